//! The measured behaviour of the original, row by row.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::sim::random::Random;
use crate::time::Instant;

pub(super) const MS: i64 = 1_000;
pub(super) const S: i64 = 1_000_000;

/// A gateway, its clock, and all it did.
pub(super) struct Bench {
    pub(super) gateway: Concentrator,
    pub(super) log: Vec<(Instant, Output)>,
    token: u16,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let gateway = Concentrator::new(settings, Random::new(1), Instant::ZERO);
        Bench { gateway, log: Vec::new(), token: 0 }
    }

    pub(super) fn run(&mut self, until: i64) {
        while let Some(at) = self.gateway.wake_at().filter(|at| at.as_us() <= until) {
            self.gateway.time(at);
            self.take(at);
        }
        self.gateway.time(Instant::from_us(until));
    }

    fn take(&mut self, at: Instant) {
        while let Some(output) = self.gateway.poll() {
            self.log.push((at, output));
        }
    }

    pub(super) fn send_text(&mut self, at: i64, text: &str) -> u16 {
        self.run(at);
        self.token += 1;
        let [high, low] = self.token.to_be_bytes();
        let datagram = [&[2, high, low, 3], text.as_bytes()].concat();
        self.gateway.datagram(Instant::from_us(at), Socket::Pull, &datagram);
        self.take(Instant::from_us(at));
        self.token
    }

    /// Sends and waits for the answer.
    pub(super) fn ask(&mut self, at: i64, txpk: Value) -> String {
        let token = self.send_text(at, &json!({ "txpk": txpk }).to_string());
        self.run(at + 5 * MS);
        self.answer(token)
    }

    fn ask_text(&mut self, at: i64, text: &str) -> String {
        let token = self.send_text(at, text);
        self.run(at + 5 * MS);
        self.answer(token)
    }

    /// `OK`, the error, the warning with its value, or `silence`.
    pub(super) fn answer(&self, token: u16) -> String {
        let body = self.log.iter().find_map(|(_, output)| match output {
            Output::Pull(d) if d[3] == 5 && d[1..3] == token.to_be_bytes() => Some(&d[12..]),
            _ => None,
        });
        match body {
            None => "silence".into(),
            Some([]) => "OK".into(),
            Some(json) => {
                let ack = serde_json::from_slice::<Value>(json).unwrap()["txpk_ack"].clone();
                match ack["error"].as_str() {
                    Some(error) => error.into(),
                    None => format!("{} {}", ack["warn"].as_str().unwrap(), ack["value"]),
                }
            }
        }
    }

    pub(super) fn on_air(&self) -> Vec<Transmission> {
        let on_air = |(at, output): &(Instant, Output)| match output {
            Output::OnAir(transmission) => {
                assert_eq!(*at, transmission.start, "told when it begins");
                Some(transmission.clone())
            }
            _ => None,
        };
        self.log.iter().filter_map(on_air).collect()
    }

    /// Microseconds between the end of each transmission and the start of the next.
    fn gaps(&self) -> Vec<i64> {
        let on_air = self.on_air();
        on_air.windows(2).map(|two| two[1].start.as_us() - two[0].end().as_us()).collect()
    }

    pub(super) fn pushed(&self) -> Vec<(Instant, Value)> {
        let pushed = |(at, output): &(Instant, Output)| match output {
            Output::Push(datagram) => Some((*at, serde_json::from_slice(&datagram[12..]).unwrap())),
            _ => None,
        };
        self.log.iter().filter_map(pushed).collect()
    }

    pub(super) fn uplink(&mut self, start: i64, end: i64) -> bool {
        self.run(end);
        let heard = self.gateway.uplink(
            Instant::from_us(end),
            Reception {
                start: Instant::from_us(start),
                frequency_hz: 868_100_000,
                modulation: Modulation::LoRa { sf: 7, bw_hz: 125_000 },
                phy_payload: &[0x40, 1, 2, 3, 4, 0, 1, 0, 9, 9, 9, 9],
                rssi: Dbm::from_whole(-107),
                snr_tenths_db: -78,
            },
        );
        self.take(Instant::from_us(end));
        heard
    }

    fn acknowledge_pushes(&mut self, at: i64) {
        let tokens = self.log.iter().rev().find_map(|(_, output)| match output {
            Output::Push(datagram) => Some([datagram[1], datagram[2]]),
            _ => None,
        });
        let [high, low] = tokens.unwrap();
        self.gateway.datagram(Instant::from_us(at), Socket::Push, &[2, high, low, 1]);
        self.take(Instant::from_us(at));
    }
}

pub(super) fn packet(datr: &str, bytes: usize) -> Value {
    use base64::Engine;
    json!({
        "imme": false, "freq": 869.525, "rfch": 0, "powe": 14, "modu": "LORA", "datr": datr, "codr": "4/5",
        "ipol": true, "prea": 8, "ncrc": true, "size": bytes,
        "data": base64::engine::general_purpose::STANDARD.encode(vec![0xA5; bytes]),
    })
}

pub(super) fn at_tmst(tmst: i64) -> Value {
    with(packet("SF7BW125", 20), "tmst", json!(tmst as u32))
}

pub(super) fn imme() -> Value {
    with(packet("SF7BW125", 51), "imme", json!(true))
}

pub(super) fn with(mut txpk: Value, key: &str, value: Value) -> Value {
    txpk[key] = value;
    txpk
}

fn without(mut txpk: Value, key: &str) -> Value {
    txpk.as_object_mut().unwrap().remove(key);
    txpk
}

// The queue.

#[test]
fn thirty_two_are_accepted_and_the_thirty_third_collides() {
    for is_immediate in [false, true] {
        let mut bench = Bench::new();
        let tokens: Vec<u16> = (1..=33)
            .map(|n| {
                let txpk = if is_immediate { imme() } else { at_tmst(n * S) };
                bench.send_text(500 * MS, &json!({ "txpk": txpk }).to_string())
            })
            .collect();
        bench.run(510 * MS);
        assert!(tokens[..32].iter().all(|&token| bench.answer(token) == "OK"));
        assert_eq!(bench.answer(tokens[32]), "COLLISION_PACKET");
    }
}

#[test]
fn a_lead_up_to_42_5_ms_is_too_late_and_from_there_to_512_s_it_is_accepted() {
    let now = 10 * S;
    for (lead_us, answer) in [
        (0, "TOO_LATE"),
        (1, "TOO_LATE"),
        (20 * MS, "TOO_LATE"),
        (42_500, "TOO_LATE"),
        (42_501, "OK"),
        (43 * MS, "OK"),
        (512 * S, "OK"),
        (512 * S + 1, "TOO_EARLY"),
        (600 * S, "TOO_EARLY"),
    ] {
        assert_eq!(Bench::new().ask(now, at_tmst(now + lead_us)), answer, "{lead_us}");
    }
}

#[test]
fn the_past_is_too_early_until_the_wrap_makes_it_the_future() {
    let now = 4_000 * S;
    for (ago_us, answer) in
        [(200, "TOO_EARLY"), (S, "TOO_EARLY"), (3_782 * S, "TOO_EARLY"), (3_783 * S, "OK"), (3_900 * S, "OK")]
    {
        assert_eq!(Bench::new().ask(now, at_tmst(now - ago_us)), answer, "{ago_us}");
    }
}

#[test]
fn the_least_gap_is_42_5_ms_behind_the_rounded_airtime() {
    for (datr, bytes, measured_us) in [
        ("SF7BW125", 20, 42_050),
        ("SF9BW125", 50, 42_280),
        ("SF9BW125", 115, 42_190),
        ("SF12BW125", 51, 42_580),
    ] {
        let first = 2 * S;
        let (mut refused, mut accepted) = (0, 5 * S);
        while accepted - refused > 1 {
            let middle = (refused + accepted) / 2;
            let mut bench = Bench::new();
            bench.ask(S, with(packet(datr, bytes), "tmst", json!(first)));
            let second = with(packet(datr, bytes), "tmst", json!(first + middle));
            match bench.ask(S + 10 * MS, second).as_str() {
                "OK" => accepted = middle,
                "COLLISION_PACKET" => refused = middle,
                other => panic!("{other}"),
            }
        }
        let mut bench = Bench::new();
        bench.ask(S, with(packet(datr, bytes), "tmst", json!(first)));
        bench.ask(S + 10 * MS, with(packet(datr, bytes), "tmst", json!(first + accepted)));
        bench.run(30 * S);
        let gap_us = bench.gaps()[0];
        assert!((gap_us - measured_us).abs() <= 200, "{datr} {bytes}: {gap_us}, measured {measured_us}");
        assert!((42_000..=43_000).contains(&gap_us), "{gap_us}");
    }
}

#[test]
fn a_packet_before_a_waiting_one_must_end_42_5_ms_before_it() {
    // SF7, 20 bytes: 51.456 ms (51 reserved).
    for (ahead_us, answer) in [(93_500, "COLLISION_PACKET"), (93_501, "OK")] {
        let mut bench = Bench::new();
        bench.ask(S, at_tmst(3 * S));
        assert_eq!(bench.ask(2 * S, at_tmst(3 * S - ahead_us)), answer);
    }
}

#[test]
fn an_immediate_packet_leaves_80_ms_after_an_idle_queue_got_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(S, imme()), "OK");
    bench.run(2 * S);
    assert_eq!(bench.on_air()[0].start.as_us(), S + 80 * MS);
}

#[test]
fn immediate_packets_queue_up_82_5_ms_behind_each_other() {
    for (datr, bytes) in [("SF7BW125", 51), ("SF9BW125", 50), ("SF9BW125", 115), ("SF12BW125", 51)] {
        let mut bench = Bench::new();
        for _ in 0..6 {
            bench.ask(S, with(packet(datr, bytes), "imme", json!(true)));
        }
        bench.run(40 * S);
        let gaps = bench.gaps();
        assert_eq!(gaps.len(), 5);
        assert!(gaps.iter().all(|gap| *gap == gaps[0]), "{gaps:?}");
        assert!((82_000..=83_000).contains(&gaps[0]), "{gaps:?}");
    }
}

#[test]
fn an_immediate_packet_takes_the_first_gap_that_fits() {
    let mut bench = Bench::new();
    bench.ask(S, at_tmst(S + 100 * MS));
    bench.ask(S, at_tmst(S + 200 * MS));
    bench.ask(S, at_tmst(S + 600 * MS));
    bench.ask(S + 10 * MS, imme());
    bench.run(3 * S);
    // Between the second (51 ms reserved) and the third.
    assert_eq!(bench.on_air()[2].start.as_us(), S + (200 + 51) * MS + 82_500);
}

#[test]
fn of_an_immediate_burst_of_40_32_are_on_the_air_and_none_is_lost() {
    let mut bench = Bench::new();
    let tokens: Vec<u16> =
        (0..40).map(|_| bench.send_text(S, &json!({ "txpk": imme() }).to_string())).collect();
    bench.run(20 * S);
    let accepted = tokens.iter().filter(|&&token| bench.answer(token) == "OK").count();
    assert_eq!((accepted, bench.on_air().len()), (32, 32));
    assert_eq!(bench.answer(tokens[39]), "COLLISION_PACKET");
    assert_eq!(bench.gateway.counts().swallowed, 0);
}

#[test]
fn shuffled_packets_leave_in_order_across_both_edges_of_the_counter() {
    for edge in [1_u32 << 31, 0] {
        let settings = Settings { counter_at_start: edge.wrapping_sub(10_000_000), ..Settings::default() };
        let start = settings.counter_at_start;
        let mut bench = Bench::with(settings);
        for n in 0..28_i64 {
            let slot = n * 11 % 28;
            let tmst = i64::from(start) + 6 * S + slot * 300 * MS;
            assert_eq!(bench.ask(S + n * 10 * MS, at_tmst(tmst)), "OK");
        }
        for n in 0..3 {
            assert_eq!(bench.ask(2 * S + n * 10 * MS, imme()), "OK");
        }
        bench.run(30 * S);
        assert_eq!(bench.on_air().len(), 31);
        assert!(bench.gaps().iter().all(|&gap| gap > 42_000));
        assert_eq!(bench.on_air()[30].start.as_us(), 6 * S + 27 * 300 * MS);
    }
}

#[test]
fn a_packet_is_handed_over_30_to_40_ms_before_its_start() {
    let mut leads = Vec::new();
    let mut bench = Bench::new();
    for n in 1..=100 {
        bench.ask(n * S, at_tmst(n * S + 500 * MS));
        let before = bench.gateway.counts().txnb;
        for lead_us in (29 * MS..=41 * MS).rev().step_by(100) {
            bench.run(n * S + 500 * MS - lead_us);
            if bench.gateway.counts().txnb > before {
                leads.push(lead_us);
                break;
            }
        }
    }
    assert_eq!(leads.len(), 100);
    assert!(leads.iter().all(|lead| (30 * MS..40 * MS).contains(lead)), "{leads:?}");
    assert!(leads.iter().max().unwrap() - leads.iter().min().unwrap() > 8 * MS);
}

#[test]
fn packets_45_or_43_ms_apart_four_ahead_are_all_on_the_air() {
    for (datr, gap_us, count, rate) in [("SF9BW125", 45 * MS, 90, 2.676), ("SF7BW125", 43 * MS, 150, 7.116)] {
        let mut bench = Bench::new();
        let mut probe = Bench::new();
        probe.ask(S, with(packet(datr, 51), "imme", json!(true)));
        probe.run(3 * S);
        let step_us = probe.on_air()[0].airtime_us as i64 + gap_us;
        for n in 0..count {
            let start = 5 * S + n * step_us;
            assert_eq!(bench.ask(start - 4 * step_us, with(packet(datr, 51), "tmst", json!(start))), "OK");
        }
        bench.run(60 * S);
        assert_eq!(bench.on_air().len() as i64, count);
        assert!(bench.gaps().iter().all(|&gap| gap == gap_us));
        assert!((1e6 / step_us as f64 - rate).abs() < 0.02, "{step_us}");
    }
}

#[test]
fn immediate_packets_topped_up_to_three_run_at_5_54_a_second() {
    let mut bench = Bench::new();
    bench.ask(S, imme());
    bench.ask(S, imme());
    for n in 0..148_i64 {
        bench.ask(S + 10 * MS + n * 180_500, imme());
    }
    bench.run(60 * S);
    let on_air = bench.on_air();
    assert_eq!(on_air.len(), 150);
    let span_s = on_air[149].start.us_since(on_air[0].start) as f64 / 1e6;
    assert!((149.0 / span_s - 5.540).abs() < 0.005, "{span_s}");
}

#[test]
fn a_burst_beyond_the_socket_buffer_is_lost_without_a_word() {
    let mut bench = Bench::new();
    for _ in 0..300 {
        bench.send_text(S, &json!({ "txpk": at_tmst(0) }).to_string());
    }
    bench.run(2 * S);
    let answered = (1..=300).filter(|&token| bench.answer(token) != "silence").count();
    assert_eq!(answered, 166);
    assert_eq!(bench.ask(3 * S, at_tmst(4 * S)), "OK");
}

// The queue forgets.

/// 97.536 ms on the air.
const SF7_51: i64 = 97_536;

#[test]
fn an_immediate_packet_55_to_75_ms_after_another_is_dropped_in_silence() {
    for (after_ms, on_air) in [(35, 2), (55, 1), (65, 1), (75, 1)] {
        let mut bench = Bench::new();
        assert_eq!(bench.ask(S, imme()), "OK");
        assert_eq!(bench.ask(S + after_ms * MS, imme()), "OK");
        bench.run(3 * S);
        assert_eq!(bench.on_air().len(), on_air, "{after_ms}");
        let counts = bench.gateway.counts();
        assert_eq!((counts.accepted, counts.on_air + counts.swallowed), (2, 2));
        assert_eq!(counts.txnb, on_air as u64);
    }
}

#[test]
fn a_packet_with_a_start_inside_one_on_the_air_is_dropped_in_silence() {
    let mut bench = Bench::new();
    bench.ask(S, with(packet("SF12BW125", 51), "tmst", json!(2 * S)));
    assert_eq!(bench.ask(2 * S + 100 * MS, at_tmst(2 * S + 500 * MS)), "OK");
    assert_eq!(bench.ask(2 * S + 700 * MS, imme()), "OK");
    bench.run(9 * S);
    assert_eq!(bench.on_air().len(), 1);
    assert_eq!((bench.gateway.counts().swallowed, bench.gateway.counts().txnb), (2, 1));
}

#[test]
fn a_packet_with_43_5_ms_lead_overwrites_the_one_that_is_armed() {
    for n in 0..12 {
        let mut bench = Bench::new();
        let first = 2 * S + n * 1_234;
        bench.ask(S, at_tmst(first));
        let at = first - 28 * MS;
        assert_eq!(bench.ask(at, at_tmst(at + 43_500)), "OK");
        bench.run(9 * S);
        let on_air = bench.on_air();
        assert_eq!(on_air.len(), 1);
        assert_eq!(on_air[0].start.as_us(), at + 43_500);
        assert_eq!((bench.gateway.counts().swallowed, bench.gateway.counts().txnb), (1, 2));
    }
}

#[test]
fn immediate_packets_paced_below_40_ms_more_than_airtime_lose_every_second() {
    for (more_ms, on_air) in [(0, 10), (20, 10), (40, 20), (60, 20)] {
        let mut bench = Bench::new();
        for n in 0..20 {
            assert_eq!(bench.ask(S + n * (SF7_51 + more_ms * MS), imme()), "OK");
        }
        bench.run(9 * S);
        assert_eq!(bench.on_air().len(), on_air, "{more_ms}");
    }
}

#[test]
fn the_same_request_twice_is_executed_twice_unless_its_tmst_still_waits() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(S, imme()), "OK");
    assert_eq!(bench.ask(S + 10 * MS, imme()), "OK");
    assert_eq!(bench.ask(2 * S, at_tmst(3 * S)), "OK");
    assert_eq!(bench.ask(2 * S + 10 * MS, at_tmst(3 * S)), "COLLISION_PACKET");
    bench.run(5 * S);
    assert_eq!(bench.on_air().len(), 3);
}

// What is read and what is not.

#[test]
fn what_is_malformed_gets_no_answer() {
    let ok = || with(imme(), "ncrc", json!(true));
    let mut malformed = vec![
        without(packet("SF7BW125", 10), "imme"),
        packet("SF7BW125", 10),
        with(ok(), "datr", json!("SF13BW125")),
        with(ok(), "datr", json!("SF9BW62")),
        with(ok(), "datr", json!("sf9bw125")),
        with(ok(), "datr", json!(9)),
        with(ok(), "codr", json!("4/9")),
        with(ok(), "codr", json!("OFF")),
        with(ok(), "modu", json!("lora")),
        with(ok(), "rfch", json!(1)),
        with(ok(), "rfch", json!(7)),
        with(ok(), "data", json!(null)),
        with(ok(), "modu", json!("FSK")),
        json!([ok()]),
    ];
    for key in ["freq", "rfch", "modu", "datr", "codr", "size", "data"] {
        malformed.push(without(ok(), key));
    }
    let mut bench = Bench::new();
    for (n, txpk) in malformed.iter().enumerate() {
        assert_eq!(bench.ask((n as i64 + 1) * S, txpk.clone()), "silence", "{txpk}");
    }
    for text in ["", "{", "null", "[]", "{}", "{\"txpk\":1}", "[{\"txpk\":{}}]", "{\"txpk\":{\"imme\":true"] {
        assert_eq!(bench.ask_text(100 * S, text), "silence", "{text}");
    }
    assert_eq!(bench.gateway.counts().vanished, malformed.len() as u64 + 8);
    assert_eq!((bench.gateway.counts().dwnb, bench.on_air().len()), (0, 0));
}

#[test]
fn other_versions_types_and_sockets_are_ignored() {
    let mut bench = Bench::new();
    let mut good = [&[2, 0, 9, 3][..], json!({ "txpk": imme() }).to_string().as_bytes()].concat();
    bench.gateway.datagram(Instant::from_us(S), Socket::Push, &good);
    for (place, byte) in [(0, 1), (3, 4), (3, 0), (3, 2)] {
        let kept = good[place];
        good[place] = byte;
        bench.gateway.datagram(Instant::from_us(S), Socket::Pull, &good);
        good[place] = kept;
    }
    bench.gateway.datagram(Instant::from_us(S), Socket::Pull, &[2, 0, 0]);
    bench.run(2 * S);
    assert_eq!(bench.answer(9), "silence");
    assert_eq!(bench.gateway.counts().accepted, 0);
}

#[test]
fn datagrams_of_1000_bytes_are_cut_and_vanish() {
    let json = json!({ "txpk": imme() }).to_string();
    // Room for the header of four bytes.
    let padded =
        |length: usize| format!("{{\"pad\":\"{}\",{}", "x".repeat(length - json.len() - 13), &json[1..]);
    assert_eq!(padded(999).len(), 995);
    assert_eq!(Bench::new().ask_text(S, &padded(999)), "OK");
    assert_eq!(Bench::new().ask_text(S, &padded(1000)), "silence");
}

#[test]
fn garbage_behind_the_json_unknown_keys_and_unpadded_base64_are_taken() {
    let json = json!({ "txpk": with(imme(), "brd", json!(0)) }).to_string();
    let mut bench = Bench::new();
    assert_eq!(bench.ask_text(S, &format!("{json}  \n")), "OK");
    assert_eq!(bench.ask_text(2 * S, &format!("{json}garbage")), "OK");
    assert_eq!(bench.ask_text(3 * S, &format!("{json}\0garbage")), "OK");
    let bare = with(with(imme(), "data", json!("//8")), "size", json!(2));
    assert_eq!(bench.ask(4 * S, bare), "OK");
    bench.run(5 * S);
    assert_eq!(bench.on_air()[3].phy_payload, [0xff, 0xff]);
}

#[test]
fn a_character_that_is_not_base64_ends_the_process() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(S, at_tmst(100 * S)), "OK");
    let url_safe = with(with(imme(), "data", json!("AA-A")), "size", json!(3));
    assert_eq!(bench.ask(2 * S, url_safe), "silence");
    assert!(matches!(bench.log.last(), Some((_, Output::Exited { .. }))));
    assert_eq!(bench.gateway.wake_at(), None);
    assert_eq!(bench.ask(3 * S, imme()), "silence");
    assert!(!bench.uplink(3 * S, 3 * S + 50 * MS));
    bench.gateway.restart(Instant::from_us(4 * S));
    assert_eq!(bench.ask(5 * S, imme()), "OK");
}

#[test]
fn only_the_boolean_true_is_immediate() {
    let mut bench = Bench::new();
    for imme_value in [json!(1), json!("true"), json!(false), json!(null)] {
        assert_eq!(bench.ask(S, with(packet("SF7BW125", 10), "imme", imme_value.clone())), "silence");
        assert_eq!(bench.ask(10 * S, with(at_tmst(0), "imme", imme_value)), "TOO_EARLY");
    }
    assert_eq!(bench.ask(20 * S, with(at_tmst(0), "imme", json!(true))), "OK");
}

#[test]
fn a_tmst_of_null_or_text_counts_as_zero() {
    for tmst in [json!(null), json!("12000000")] {
        assert_eq!(Bench::new().ask(10 * S, with(at_tmst(0), "tmst", tmst.clone())), "TOO_EARLY");
        let settings = Settings { counter_at_start: u32::MAX - 2_000_000, ..Settings::default() };
        assert_eq!(Bench::with(settings).ask(S, with(at_tmst(0), "tmst", tmst)), "OK");
    }
}

#[test]
fn a_preamble_is_8_when_absent_6_when_null_and_never_below_6() {
    for (txpk, symbols) in [
        (without(imme(), "prea"), 8),
        (with(imme(), "prea", json!(null)), 6),
        (with(imme(), "prea", json!(3)), 6),
        (with(imme(), "prea", json!(12)), 12),
    ] {
        let mut bench = Bench::new();
        bench.ask(S, txpk);
        bench.run(2 * S);
        assert_eq!(bench.on_air()[0].preamble_symbols, symbols);
    }
}

#[test]
fn without_ncrc_the_packet_has_a_crc_and_takes_longer() {
    let mut bench = Bench::new();
    bench.ask(S, without(imme(), "ncrc"));
    bench.ask(2 * S, imme());
    bench.run(3 * S);
    let on_air = bench.on_air();
    assert_eq!([on_air[0].crc, on_air[1].crc], [true, false]);
    assert!(on_air[0].airtime_us > on_air[1].airtime_us);
    assert_eq!(on_air[1].airtime_us as i64, SF7_51);
    assert!(on_air[1].inverted_iq);
}

#[test]
fn size_cuts_or_fills_the_data() {
    let data = "AQIDBAUGBwgJCg==";
    for (size, radiated) in [(20, 20), (9, 9), (10, 10)] {
        let mut bench = Bench::new();
        assert_eq!(bench.ask(S, with(with(imme(), "data", json!(data)), "size", json!(size))), "OK");
        bench.run(2 * S);
        let expected: Vec<u8> = (1..=10).chain([0; 10]).take(radiated).collect();
        assert_eq!(bench.on_air()[0].phy_payload, expected);
    }
}

#[test]
fn more_than_255_bytes_are_accepted_and_never_radiated() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(S, with(imme(), "size", json!(256))), "OK");
    bench.run(2 * S);
    let counts = bench.gateway.counts();
    assert_eq!((counts.swallowed, counts.txnb, counts.on_air), (1, 0, 0));
}

#[test]
fn an_fsk_probe_is_queued_and_refused_by_the_driver() {
    let fsk = |datr: u32, fdev: u32| {
        let txpk = with(with(imme(), "modu", json!("FSK")), "datr", json!(datr));
        with(with(txpk, "fdev", json!(fdev)), "prea", json!(5))
    };
    let mut bench = Bench::new();
    assert_eq!(bench.ask(S, fsk(300_000, 0)), "OK");
    assert_eq!(bench.ask(2 * S, without(fsk(50_000, 25_000), "ncrc")), "OK");
    bench.run(3 * S);
    let on_air = bench.on_air();
    assert_eq!(on_air.len(), 1);
    assert_eq!(on_air[0].modulation, Modulation::Gfsk { bit_rate_bps: 50_000 });
    assert_eq!(on_air[0].airtime_us, (11 + 51) * 160);
    assert_eq!(bench.gateway.counts().swallowed, 1);
}

#[test]
fn a_proper_request_is_read_by_the_foreign_codec() {
    let mut bench = Bench::new();
    bench.ask(S, imme());
    bench.ask(2 * S, at_tmst(3 * S));
    assert_eq!(bench.gateway.counts().by_hand, 0);
    bench.ask(4 * S, without(imme(), "prea"));
    assert_eq!(bench.gateway.counts().by_hand, 1);
}

// Power, frequency, GPS, and the forms of the answer.

#[test]
fn power_comes_from_the_table_or_the_next_lower_entry_or_the_lowest() {
    let settings = || Settings {
        antenna_gain_db: 2,
        real_antenna_gain: Dbm::from_centi(315),
        gain_table_dbm: vec![12, 14, 20, 27],
        ..Settings::default()
    };
    for (powe, answer, conducted_dbm) in [
        (json!(16), "OK", 14),
        (json!(21), "TX_POWER 14", 14),
        (json!(29), "OK", 27),
        (json!(30), "TX_POWER 27", 27),
        (json!(10), "TX_POWER 12", 12),
        (json!(200), "TX_POWER 12", 12),
        (json!(-3), "TX_POWER 12", 12),
        (json!(16.9), "OK", 14),
    ] {
        let mut bench = Bench::with(settings());
        assert_eq!(bench.ask(S, with(imme(), "powe", powe.clone())), answer, "{powe}");
        bench.run(2 * S);
        assert_eq!(bench.on_air()[0].eirp.centi(), conducted_dbm * 100 + 315);
    }
    assert_eq!(Bench::with(settings()).ask(S, without(imme(), "powe")), "TX_POWER 12");
}

#[test]
fn the_edges_of_the_band_belong_to_it() {
    let mut bench = Bench::new();
    for (n, (mhz, answer)) in
        [(863.0, "OK"), (870.0, "OK"), (862.9, "TX_FREQ"), (870.1, "TX_FREQ")].into_iter().enumerate()
    {
        assert_eq!(bench.ask((n as i64 + 1) * S, with(imme(), "freq", json!(mhz))), answer);
    }
    bench.run(9 * S);
    assert_eq!(bench.on_air()[0].frequency_hz, 863_000_000);
    assert_eq!(bench.gateway.counts().dwnb, 4);
}

#[test]
fn every_hundred_hertz_printed_from_an_f64_is_read_exactly() {
    let mut bench = Bench::new();
    for n in 0..500_i64 {
        let hz = 863_000_000 + n * 13_700;
        bench.ask((n + 1) * S, with(imme(), "freq", json!(hz as f64 / 1e6)));
        bench.run((n + 1) * S + 500 * MS);
        assert_eq!(i64::from(bench.on_air()[n as usize].frequency_hz), hz);
    }
}

#[test]
fn gps_time_is_answered_gps_unlocked_and_works_with_a_receiver() {
    let tmms = |ms: u64| with(packet("SF7BW125", 20), "tmms", json!(ms));
    let now_ms = 1_451_260_818_000 + 5_000;
    let mut bench = Bench::new();
    assert_eq!(bench.ask(5 * S, tmms(now_ms + 1_000)), "GPS_UNLOCKED");
    assert_eq!(bench.ask(5 * S, json!({ "tmms": 1 })), "GPS_UNLOCKED");
    assert_eq!(bench.gateway.counts().dwnb, 0);
    for (ahead_ms, answer) in [(0, "TOO_LATE"), (20, "TOO_LATE"), (44, "OK"), (513_000, "TOO_EARLY")] {
        let mut bench = Bench::with(Settings { gps: true, drift_ppb: 3_000, ..Settings::default() });
        assert_eq!(bench.ask(5 * S, tmms(now_ms + ahead_ms)), answer, "{ahead_ms}");
        bench.run(6 * S);
        if let Some(transmission) = bench.on_air().first() {
            assert!((transmission.start.as_us() - (5 * S + 44 * MS)).abs() <= 20);
        }
    }
}

#[test]
fn acceptance_has_no_body_and_a_refusal_and_a_warning_have_one() {
    let mut bench = Bench::new();
    let asked = [imme(), at_tmst(0), with(imme(), "powe", json!(30))];
    let bodies =
        ["", r#"{"txpk_ack":{"error":"TOO_EARLY"}}"#, r#"{"txpk_ack":{"warn":"TX_POWER","value":27}}"#];
    for (txpk, body) in asked.into_iter().zip(bodies) {
        let token = bench.send_text(S, &json!({ "txpk": txpk }).to_string());
        bench.run(S + 10 * MS);
        let [high, low] = token.to_be_bytes();
        let mut expected = vec![2, high, low, 5];
        expected.extend(Settings::default().gateway_id);
        expected.extend(body.as_bytes());
        assert!(bench.log.iter().any(|(_, output)| *output == Output::Pull(expected.clone())), "{body}");
    }
}

#[test]
fn an_answer_comes_after_its_latency() {
    let mut bench = Bench::with(Settings { ack_latency_us: 5_400, ..Settings::default() });
    let token = bench.send_text(S, &json!({ "txpk": imme() }).to_string());
    bench.run(S + 5_399);
    assert_eq!(bench.answer(token), "silence");
    bench.run(S + 5_415);
    assert_eq!(bench.answer(token), "OK");
}

// The counter.

#[test]
fn a_fast_counter_sends_early_by_the_worlds_clock() {
    let mut bench = Bench::with(Settings { drift_ppb: 20_000, ..Settings::default() });
    let hour = 3_600 * S;
    bench.run(hour);
    assert_eq!(bench.gateway.counter(Instant::from_us(hour)), 3_600_072_000);
    bench.ask(hour, at_tmst(3_700 * S));
    bench.run(3_800 * S);
    // 3700 s by the counter are 3699.926 s in truth.
    assert_eq!(bench.on_air()[0].start.as_us(), 3_699_926_002);
}

#[test]
fn a_packet_can_wait_across_the_wrap() {
    let mut bench = Bench::new();
    let wrap = 1_i64 << 32;
    assert_eq!(bench.ask(wrap - 100 * S, at_tmst(wrap + 5 * S)), "OK");
    bench.run(wrap + 10 * S);
    assert_eq!(bench.on_air()[0].start.as_us(), wrap + 5 * S);
    assert_eq!(bench.gateway.counter(Instant::from_us(wrap + 7)), 7);
}

#[test]
fn a_restart_sets_the_counter_to_zero_loses_the_queue_and_changes_the_ports() {
    let mut bench = Bench::with(Settings { counter_at_start: 77, ..Settings::default() });
    assert_eq!(bench.ask(10 * S, at_tmst(77 + 20 * S)), "OK");
    assert_eq!(bench.gateway.port_generation(), 0);
    let first_pull = bench.log[0].1.clone();
    bench.run(11 * S);
    bench.gateway.restart(Instant::from_us(11 * S));
    assert_eq!(bench.gateway.counter(Instant::from_us(11 * S)), 0);
    assert_eq!(bench.gateway.port_generation(), 1);
    bench.log.clear();
    bench.run(30 * S);
    assert_eq!(bench.log[0], (Instant::from_us(11 * S + 300), first_pull), "the same token as ever");
    assert!(bench.on_air().is_empty());
    assert_eq!(bench.gateway.counts().swallowed, 1);
    assert_eq!(bench.ask(31 * S, at_tmst(20 * S + 100 * MS)), "OK");
}

// Upstream.

#[test]
fn pull_data_comes_at_the_start_and_every_keepalive_plus_up_to_200_ms() {
    let mut bench = Bench::with(Settings { keepalive_us: 2_000_000, ..Settings::default() });
    bench.run(300 * S);
    let at: Vec<i64> = bench
        .log
        .iter()
        .filter(|(_, output)| matches!(output, Output::Pull(d) if d.len() == 12 && d[3] == 2))
        .map(|(at, _)| at.as_us())
        .collect();
    assert_eq!(at[0], 300);
    let spacings: Vec<i64> = at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(spacings.iter().all(|us| (2_000_000..2_200_000).contains(us)), "{spacings:?}");
    assert!(spacings.iter().any(|&us| us > 2_100_000));
    let Output::Pull(first) = &bench.log[0].1 else { panic!() };
    assert_eq!(first[..], [2, 0x67, 0xc6, 2, 0x00, 0x16, 0xc0, 0x01, 0xf1, 0x50, 0x08, 0x12]);
}

#[test]
fn stat_counts_what_happened_since_the_last_one() {
    let mut bench = Bench::new();
    bench.ask(S, imme());
    bench.ask(2 * S, at_tmst(0));
    bench.ask(3 * S, json!({}));
    assert!(bench.uplink(4 * S, 4 * S + 50 * MS));
    bench.run(4 * S + 70 * MS);
    bench.acknowledge_pushes(4 * S + 70 * MS);
    bench.run(31 * S);
    bench.acknowledge_pushes(31 * S);
    bench.run(61 * S);
    let stats: Vec<(i64, Value)> = bench
        .pushed()
        .into_iter()
        .filter(|(_, json)| json.get("stat").is_some())
        .map(|(at, json)| (at.as_us(), json["stat"].clone()))
        .collect();
    assert_eq!((stats[0].0, stats[1].0), (30 * S, 60 * S));
    let first = &stats[0].1;
    assert_eq!(first["time"], "2026-01-01 00:00:30 GMT");
    assert_eq!([&first["dwnb"], &first["txnb"], &first["rxnb"], &first["rxfw"]], [2, 1, 1, 1]);
    assert_eq!(first["ackr"], 100.0);
    assert_eq!([&stats[1].1["dwnb"], &stats[1].1["txnb"], &stats[1].1["rxnb"]], [0, 0, 0]);
    assert_eq!(first.get("lati"), None);
}

#[test]
fn an_uplink_carries_the_counter_at_its_end_and_is_pushed_later() {
    let mut bench = Bench::with(Settings { counter_at_start: 1_000, ..Settings::default() });
    assert!(bench.uplink(S, S + 56_576));
    bench.run(2 * S);
    let (at, json) = &bench.pushed()[0];
    let rxpk = &json["rxpk"][0];
    assert_eq!(rxpk["tmst"], S + 56_576 + 1_000);
    assert!((1_000..=14_000).contains(&(at.as_us() - (S + 56_576))));
    assert_eq!([&rxpk["datr"], &rxpk["codr"], &rxpk["modu"]], ["SF7BW125", "4/5", "LORA"]);
    assert_eq!([&rxpk["rssi"], &rxpk["size"], &rxpk["stat"]], [&json!(-107), &json!(12), &json!(1)]);
    assert_eq!((rxpk["freq"].as_f64(), rxpk["lsnr"].as_f64()), (Some(868.1), Some(-7.8)));
    assert_eq!(rxpk["data"], "QAECAwQAAQAJCQkJ");
}

#[test]
fn an_fsk_uplink_is_pushed_with_a_number_for_its_data_rate() {
    let mut bench = Bench::new();
    let modulation = Modulation::Gfsk { bit_rate_bps: 50_000 };
    bench.run(S);
    let reception = Reception {
        start: Instant::from_us(S - 1000),
        frequency_hz: 868_800_000,
        modulation,
        phy_payload: &[1, 2],
        rssi: Dbm::from_whole(-60),
        snr_tenths_db: 0,
    };
    assert!(bench.gateway.uplink(Instant::from_us(S), reception));
    bench.run(2 * S);
    let rxpk = &bench.pushed()[0].1["rxpk"][0];
    assert_eq!(
        (&rxpk["datr"], &rxpk["modu"], &rxpk["data"]),
        (&json!(50_000), &json!("FSK"), &json!("AQI="))
    );
}

#[test]
fn without_push_ack_forty_uplinks_leave_in_eight_bundles_and_none_is_lost() {
    let mut bench = Bench::new();
    for n in 0..40 {
        assert!(bench.uplink(S + n * 20 * MS - 10 * MS, S + n * 20 * MS));
    }
    bench.run(3 * S);
    let bundles: Vec<usize> =
        bench.pushed().iter().map(|(_, json)| json["rxpk"].as_array().unwrap().len()).collect();
    assert_eq!(bundles.iter().sum::<usize>(), 40);
    assert!((7..=9).contains(&bundles.len()), "{bundles:?}");
    assert!(bundles[1..].iter().all(|n| (1..=7).contains(n)), "{bundles:?}");
}

#[test]
fn an_acknowledged_push_makes_room_for_the_next_at_once() {
    let mut bench = Bench::with(Settings { uplink_delay_us: (0, 0), ..Settings::default() });
    bench.uplink(S, S + 10 * MS);
    bench.run(S + 11 * MS);
    bench.uplink(S, S + 12 * MS);
    bench.run(S + 13 * MS);
    assert_eq!(bench.pushed().len(), 1);
    bench.acknowledge_pushes(S + 14 * MS);
    bench.run(S + 14 * MS);
    assert_eq!(bench.pushed().len(), 2);
}

#[test]
fn a_gateway_that_sends_hears_nothing() {
    let mut bench = Bench::new();
    bench.ask(S, with(packet("SF7BW125", 51), "tmst", json!(2 * S)));
    let end = 2 * S + SF7_51;
    for (start, stop, heard) in [
        (S + 900 * MS, 2 * S, true),
        (S + 900 * MS, 2 * S + 1, false),
        (2 * S + 10 * MS, 2 * S + 60 * MS, false),
        (end - 1, end + 50 * MS, false),
        (end, end + 60 * MS, true),
        (S + 950 * MS, end + 70 * MS, false),
    ] {
        assert_eq!(bench.uplink(start, stop), heard, "{start} {stop}");
    }
    assert_eq!(bench.gateway.counts().deaf, 4);
}

#[test]
fn the_same_seed_gives_the_same_gateway() {
    let run = |seed: u64| {
        let mut bench = Bench::new();
        bench.gateway = Concentrator::new(Settings::default(), Random::new(seed), Instant::ZERO);
        for n in 1..50 {
            bench.uplink(n * S, n * S + 50 * MS);
            bench.ask(n * S + 300 * MS, imme());
        }
        bench.log
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_datagrams_never_panic(
        datagrams in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 1..20),
    ) {
        let mut bench = Bench::new();
        for (n, (is_pull, mut bytes)) in datagrams.into_iter().enumerate() {
            let at = Instant::from_us(n as i64 * S);
            let socket = if is_pull { Socket::Pull } else { Socket::Push };
            bench.gateway.datagram(at, socket, &bytes);
            if bytes.len() > 4 {
                (bytes[0], bytes[3]) = (2, 3);
                bench.gateway.datagram(at, socket, &bytes);
            }
        }
        bench.run(60 * S);
    }

    /// Requests with one key set to anything, one byte changed, at any time: nothing panics, and everything
    /// accepted is radiated, swallowed or still waiting.
    #[test]
    fn everything_accepted_is_accounted_for(
        asks in proptest::collection::vec((
            0_i64..400, any::<prop::sample::Index>(), 0_usize..9, any::<prop::sample::Index>(), any::<u8>(), 0_i64..900,
        ), 1..60),
    ) {
        let values = [
            json!(null), json!(-1), json!(1e300), json!("SF\u{20ac}9BW125"), json!(true), json!(0.5), json!(300),
            json!([]), json!("A-=="),
        ];
        let mut bench = Bench::new();
        let mut at = S;
        for (later_ms, key, value, place, byte, lead_ms) in asks {
            at += later_ms * MS;
            let mut txpk = at_tmst(at + lead_ms * MS);
            if byte < 80 {
                let keys: Vec<String> = txpk.as_object().unwrap().keys().cloned().collect();
                txpk[key.get(&keys).as_str()] = values[value].clone();
            }
            let mut bytes = [&[2, 0, 0, 3][..], json!({ "txpk": txpk }).to_string().as_bytes()].concat();
            if byte < 20 {
                let place = place.index(bytes.len());
                bytes[place] = byte.wrapping_mul(13);
            }
            bench.run(at);
            bench.gateway.datagram(Instant::from_us(at), Socket::Pull, &bytes);
            bench.take(Instant::from_us(at));
        }
        bench.run(at + 1000 * S);
        let counts = bench.gateway.counts();
        prop_assert_eq!(counts.accepted, counts.on_air + counts.swallowed);
        let mut on_air = bench.on_air();
        on_air.sort_by_key(|transmission| transmission.start);
        for two in on_air.windows(2) {
            prop_assert!(two[0].end() <= two[1].start, "one radio, one packet");
        }
    }
}
