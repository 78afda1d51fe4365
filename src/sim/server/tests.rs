//! The server and its devices, behaviour by behaviour, and both at one concentrator.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::radio::Modulation;
use crate::sim::concentrator::Concentrator;
use crate::sim::concentrator::Output;
use crate::sim::concentrator::Settings;
use crate::sim::concentrator::Socket;
use crate::sim::random::Random;
use crate::time::Instant;

const MS: i64 = 1_000;
const S: i64 = 1_000_000;
const OURS: u32 = 0x0100_0001;
const GATEWAY: &[u8] = b"\x00\x16\xc0\x01\xf1\x50\x08\x12";

fn at(us: i64) -> Instant {
    Instant::from_us(us)
}

/// A server, and the gateway's words put into its ears by hand.
struct Bench {
    server: Server,
    sent: Vec<Vec<u8>>,
}

impl Bench {
    fn new(settings: ServerSettings) -> Self {
        let mut bench =
            Bench { server: Server::new(settings, Random::new(1), Instant::ZERO), sent: Vec::new() };
        bench.tell(0, [7, 8], 2, "");
        bench
    }

    fn of(manner: Manner) -> Self {
        Bench::new(ServerSettings { manner, ..ServerSettings::default() })
    }

    fn tell(&mut self, us: i64, token: [u8; 2], identifier: u8, json: &str) {
        let bytes = [&[2, token[0], token[1], identifier][..], GATEWAY, json.as_bytes()].concat();
        self.server.datagram(at(us), &bytes);
        self.take();
    }

    fn take(&mut self) {
        while let Some(datagram) = self.server.take() {
            self.sent.push(datagram);
        }
    }

    fn run(&mut self, until: i64) {
        while let Some(next) = self.server.wake_at().filter(|next| *next <= at(until)) {
            self.server.wake(next);
            self.take();
        }
    }

    /// An uplink whose counter is its arrival less 10 ms.
    fn uplink(&mut self, us: i64, frame: &[u8]) {
        use base64::Engine;
        let rxpk = json!({
            "tmst": (us - 10 * MS) as u32, "chan": 0, "rfch": 0, "freq": 868.3, "stat": 1, "modu": "LORA",
            "datr": "SF7BW125", "codr": "4/5", "rssi": -90, "lsnr": 7.0, "size": frame.len(),
            "data": base64::engine::general_purpose::STANDARD.encode(frame),
        });
        self.tell(us, [1, 1], 0, &json!({ "rxpk": [rxpk] }).to_string());
    }

    fn data_uplink(&mut self, us: i64, mhdr: u8, dev_addr: u32) {
        let mut frame = vec![mhdr];
        frame.extend(dev_addr.to_le_bytes());
        frame.extend([0, 5, 0, 1, 9, 9, 1, 2, 3, 4]);
        self.uplink(us, &frame);
    }

    fn pull_resps(&self) -> Vec<([u8; 2], Value)> {
        let resps = self.sent.iter().filter(|datagram| datagram[3] == 3);
        let txpk = |d: &Vec<u8>| serde_json::from_slice::<Value>(&d[4..]).unwrap()["txpk"].clone();
        resps.map(|d| ([d[1], d[2]], txpk(d))).collect()
    }

    /// Answers the newest PULL_RESP.
    fn ack(&mut self, us: i64, body: &str) {
        let token = self.pull_resps().last().unwrap().0;
        self.tell(us, token, 5, body);
    }

    fn refuse(&mut self, us: i64, error: &str) {
        self.ack(us, &json!({ "txpk_ack": { "error": error } }).to_string());
    }
}

#[test]
fn push_data_and_pull_data_are_acknowledged_with_their_tokens_even_when_unreadable() {
    let mut bench = Bench::of(Manner::ChirpStack);
    bench.tell(S, [3, 4], 0, "no JSON at all");
    bench.tell(S, [5, 6], 0, r#"{"stat":{"time":"x","rxnb":0,"rxok":0,"rxfw":0,"dwnb":0,"txnb":0}}"#);
    assert_eq!(bench.sent, [vec![2, 7, 8, 4], vec![2, 3, 4, 1], vec![2, 5, 6, 1]]);
    let counts = bench.server.counts();
    assert_eq!((counts.pull_data, counts.push_data, counts.unread, counts.stats), (1, 2, 1, 1));
}

#[test]
fn an_answer_goes_in_rx1_of_the_uplinks_own_channel() {
    for (rx_delay_s, delay) in [(1, S), (5, 5 * S), (15, 15 * S)] {
        let windows = Windows { rx_delay_s, ..Windows::default() };
        let mut bench = Bench::new(ServerSettings { windows, ..ServerSettings::default() });
        bench.data_uplink(10 * S, 0x40, OURS);
        bench.run(10 * S + 299_999);
        assert!(bench.pull_resps().is_empty(), "it thinks for 300 ms");
        bench.run(10 * S + 300_000);
        let (_, txpk) = &bench.pull_resps()[0];
        assert_eq!(txpk["tmst"], 10 * S - 10 * MS + delay);
        assert_eq!(
            [&txpk["imme"], &txpk["ipol"], &txpk["freq"]],
            [&json!(false), &json!(true), &json!(868.3)]
        );
        assert_eq!([&txpk["datr"], &txpk["codr"]], ["SF7BW125", "4/5"]);
        assert_eq!(txpk["powe"], 14);
        bench.ack(10 * S + 301 * MS, "");
        let answers = bench.server.counts().answers;
        assert_eq!((answers.due, answers.sent, answers.accepted, answers.lost), (1, 1, 1, 0));
    }
}

#[test]
fn chirpstack_tries_rx2_at_once_when_rx1_is_refused_and_gives_up_after_that() {
    let mut bench = Bench::of(Manner::ChirpStack);
    bench.data_uplink(S, 0x80, OURS);
    bench.run(2 * S - 700 * MS);
    bench.refuse(S + 301 * MS, "COLLISION_PACKET");
    let resps = bench.pull_resps();
    assert_eq!(resps.len(), 2, "without waiting");
    let (rx1, rx2) = (&resps[0].1, &resps[1].1);
    assert_eq!(rx2["tmst"].as_i64().unwrap() - rx1["tmst"].as_i64().unwrap(), S);
    assert_eq!([&rx2["freq"], &rx2["datr"]], [&json!(869.525), &json!("SF12BW125")]);
    assert_eq!(rx1["data"], rx2["data"], "the same frame");
    assert_ne!(resps[0].0, resps[1].0, "another token");
    bench.refuse(S + 302 * MS, "TOO_LATE");
    assert_eq!(bench.pull_resps().len(), 2);
    let counts = bench.server.counts();
    let Tally { due, sent, accepted, refused, second_tries, lost, .. } = counts.answers;
    assert_eq!((due, sent, accepted, refused, second_tries, lost), (1, 2, 0, 2, 1, 1));
    assert_eq!((counts.errors["COLLISION_PACKET"], counts.errors["TOO_LATE"]), (1, 1));
}

#[test]
fn the_things_stack_tries_once_and_a_refused_answer_is_lost() {
    let mut bench = Bench::of(Manner::TheThingsStack);
    bench.data_uplink(S, 0x80, OURS);
    bench.run(2 * S);
    bench.refuse(2 * S, "COLLISION_PACKET");
    bench.run(9 * S);
    assert_eq!(bench.pull_resps().len(), 1);
    let answers = bench.server.counts().answers;
    assert_eq!((answers.refused, answers.second_tries, answers.lost), (1, 0, 1));
}

#[test]
fn only_the_things_stack_asks_for_no_crc() {
    for (manner, ncrc) in [(Manner::ChirpStack, Value::Null), (Manner::TheThingsStack, json!(true))] {
        let mut bench = Bench::of(manner);
        bench.data_uplink(S, 0x40, OURS);
        bench.run(2 * S);
        assert_eq!(bench.pull_resps()[0].1["ncrc"], ncrc);
    }
}

#[test]
fn a_warning_accepts_and_a_word_that_nobody_knows_refuses() {
    let mut bench = Bench::of(Manner::TheThingsStack);
    for (n, body) in [
        r#"{"txpk_ack":{"warn":"TX_POWER","value":12}}"#,
        r#"{"txpk_ack":{"error":"NONE"}}"#,
        "\0",
        r#"{"txpk_ack":{"error":"DUTY_CYCLE_OVERFLOW"}}"#,
        "{",
    ]
    .into_iter()
    .enumerate()
    {
        let us = (n as i64 + 1) * 10 * S;
        bench.data_uplink(us, 0x80, OURS);
        bench.run(us + S);
        bench.ack(us + S, body);
    }
    let counts = bench.server.counts();
    assert_eq!((counts.answers.accepted, counts.answers.refused, counts.warned), (3, 2, 1));
    assert_eq!((counts.errors["DUTY_CYCLE_OVERFLOW"], counts.errors["UNREADABLE"]), (1, 1));
}

#[test]
fn an_answer_without_a_tx_ack_is_counted_after_two_seconds_and_not_repeated() {
    let mut bench = Bench::of(Manner::ChirpStack);
    bench.data_uplink(S, 0x80, OURS);
    bench.run(S + 300 * MS + 1_999_999);
    assert_eq!(bench.server.counts().answers.unanswered, 0);
    bench.run(S + 300 * MS + 2 * S);
    assert_eq!((bench.server.counts().answers.unanswered, bench.pull_resps().len()), (1, 1));
    bench.ack(9 * S, "");
    assert_eq!((bench.server.counts().strange_acks, bench.server.counts().answers.accepted), (1, 0));
}

#[test]
fn others_devices_and_unlucky_ones_get_no_answer_and_confirmed_ones_always_do() {
    let mut bench = Bench::new(ServerSettings { answered_ppm: 250_000, ..ServerSettings::default() });
    for n in 1..=400 {
        bench.data_uplink(n * 10 * S, 0x40, OURS);
        bench.data_uplink(n * 10 * S + S, 0x40, 0x0200_0002);
        bench.uplink(n * 10 * S + 2 * S, &[0x40, 1]);
        bench.uplink(n * 10 * S + 2 * S, &[]);
    }
    let due = bench.server.counts().answers.due;
    assert!((70..130).contains(&due), "{due}");
    assert_eq!(bench.server.counts().uplinks, 1600);
    for n in 0..10 {
        bench.data_uplink((5000 + n * 10) * S, 0x80, OURS);
    }
    bench.run(6000 * S);
    assert_eq!(bench.server.counts().answers.due, due + 10);
    let (_, txpk) = bench.pull_resps().pop().unwrap();
    assert!(txpk["data"].as_str().unwrap().starts_with("YAEAAAEg"), "ACK bit, DevAddr: {txpk}");
}

#[test]
fn a_join_request_of_its_own_gets_an_accept_five_seconds_later() {
    let mut bench = Bench::of(Manner::ChirpStack);
    let join = |eui: u64| [&[0][..], &eui.to_le_bytes(), &[1; 14]].concat();
    bench.uplink(10 * S, &join(0x70b3_d57e_d000_0000));
    bench.uplink(10 * S, &join(1));
    bench.run(11 * S);
    let resps = bench.pull_resps();
    assert_eq!(resps.len(), 1);
    assert_eq!((&resps[0].1["tmst"], &resps[0].1["size"]), (&json!(15 * S - 10 * MS), &json!(17)));
    bench.refuse(11 * S, "COLLISION_PACKET");
    assert_eq!(bench.pull_resps()[1].1["tmst"], 16 * S - 10 * MS);
}

fn class_c(manner: Manner) -> ServerSettings {
    let class_c = BTreeSet::from([0x0100_0C01, 0x0100_0C02]);
    ServerSettings { manner, class_a: BTreeSet::new(), class_c, class_c_per_hour: 60, ..Default::default() }
}

#[test]
fn chirpstack_sends_class_c_as_immediate() {
    let mut bench = Bench::new(class_c(Manner::ChirpStack));
    bench.run(3600 * S);
    let resps = bench.pull_resps();
    assert!((40..80).contains(&resps.len()), "{}", resps.len());
    for (_, txpk) in &resps {
        assert_eq!(
            (&txpk["imme"], &txpk["tmst"], &txpk["freq"]),
            (&json!(true), &json!(null), &json!(869.525))
        );
    }
    let class_c = bench.server.counts().class_c;
    assert_eq!((class_c.due, class_c.sent), (resps.len() as u64, resps.len() as u64));
    assert!(class_c.unanswered >= class_c.sent - 1);
}

#[test]
fn the_things_stack_times_class_c_530_ms_ahead_and_needs_an_uplink_for_it() {
    let mut bench = Bench::new(class_c(Manner::TheThingsStack));
    bench.run(600 * S);
    let blind = bench.server.counts().class_c;
    assert!(blind.due > 0 && blind.lost == blind.due, "{blind:?}");
    bench.data_uplink(600 * S, 0x40, 0x0200_0002);
    while bench.pull_resps().is_empty() {
        let next = bench.server.wake_at().unwrap();
        bench.run(next.as_us());
        if let Some((_, txpk)) = bench.pull_resps().first() {
            assert_eq!(
                (&txpk["imme"], &txpk["tmst"]),
                (&json!(false), &json!(next.as_us() - 10 * MS + 530 * MS))
            );
        }
    }
}

#[test]
fn it_sends_to_a_multicast_address_when_told_to() {
    let multicast = Some(Multicast { dev_addr: 0x01c0_ffee, every_us: 60_000_000, keys: None });
    let mut bench = Bench::new(ServerSettings { multicast, ..ServerSettings::default() });
    bench.run(185 * S);
    let resps = bench.pull_resps();
    assert_eq!((resps.len(), bench.server.counts().multicast.due), (3, 3));
    assert!(resps[0].1["data"].as_str().unwrap().starts_with("YO7/wAE"), "{:?}", resps[0]);
}

#[test]
fn without_pull_data_there_is_no_way_and_the_answer_is_lost() {
    let settings = ServerSettings::default();
    let server = Server::new(settings, Random::new(1), Instant::ZERO);
    let mut bench = Bench { server, sent: Vec::new() };
    bench.data_uplink(S, 0x80, OURS);
    bench.run(9 * S);
    assert_eq!((bench.server.counts().answers.lost, bench.pull_resps().len()), (1, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_datagrams_never_panic_and_every_answer_is_accounted_for(
        datagrams in proptest::collection::vec((0_u8..7, proptest::collection::vec(any::<u8>(), 0..40), 0_i64..3000), 1..40),
    ) {
        let mut bench = Bench::of(Manner::ChirpStack);
        let mut us = 0;
        for (identifier, bytes, later_ms) in datagrams {
            us += later_ms * MS;
            let datagram = [&[2, 0, 1, identifier][..], &bytes].concat();
            bench.server.datagram(at(us), &bytes);
            bench.server.datagram(at(us), &datagram);
            bench.data_uplink(us, 0x80, OURS);
        }
        bench.run(us + 60 * S);
        let Tally { due, accepted, lost, unanswered, .. } = bench.server.counts().answers;
        prop_assert_eq!(due, accepted + lost + unanswered);
    }
}

// The devices.

#[test]
fn uplinks_come_at_their_rate_with_valid_headers_and_grow_no_older_than_their_end() {
    let devices: Vec<u32> = (1..=20).collect();
    let settings = TrafficSettings {
        devices: devices.clone(),
        uplinks_per_hour: 600,
        joins_per_hour: 30,
        ..TrafficSettings::default()
    };
    let mut traffic = Traffic::new(settings, Random::new(3), Instant::ZERO);
    let (mut confirmed, mut seen, mut last) = (0, BTreeSet::new(), Instant::ZERO);
    while let Some(end) = traffic.next_at().filter(|end| *end <= at(36_000 * S)) {
        assert!(traffic.take(end.minus_us(1)).is_none());
        let uplink = traffic.take(end).unwrap();
        assert!(uplink.end == end && uplink.start < end && end >= last);
        last = end;
        let phy = &uplink.phy_payload;
        match phy[0] {
            0x00 => assert_eq!((phy.len(), phy[8]), (23, 0x70)),
            mhdr => {
                assert!(mhdr == 0x40 || mhdr == 0x80);
                seen.insert(u32::from_le_bytes(phy[1..5].try_into().unwrap()));
                confirmed += u64::from(mhdr == 0x80);
                assert!((17..=53).contains(&phy.len()), "{}", phy.len());
            }
        }
    }
    let counts = traffic.counts();
    assert!((5700..6300).contains(&counts.uplinks), "{counts:?}");
    assert!((240..360).contains(&counts.joins), "{counts:?}");
    assert_eq!(counts.confirmed, confirmed);
    assert!((480..720).contains(&confirmed), "{confirmed}");
    assert_eq!(seen, devices.into_iter().collect());
}

#[test]
fn an_sf7_uplink_of_13_bytes_more_takes_the_airtime_with_a_crc() {
    let settings = TrafficSettings {
        payload_bytes: (0, 0),
        channels: [(868_100_000, vec![Modulation::LoRa { sf: 7, bw_hz: 125_000 }])].into(),
        ..TrafficSettings::default()
    };
    let mut traffic = Traffic::new(settings, Random::new(3), Instant::ZERO);
    let uplink = traffic.take(at(3600 * S)).unwrap();
    assert_eq!((uplink.phy_payload.len(), uplink.end.us_since(uplink.start)), (13, 46_336));
}

#[test]
fn nobody_talks_when_the_settings_name_nobody() {
    let settings = TrafficSettings { uplinks_per_hour: 0, ..TrafficSettings::default() };
    assert_eq!(Traffic::new(settings, Random::new(3), Instant::ZERO).next_at(), None);
    let settings = TrafficSettings { devices: Vec::new(), ..TrafficSettings::default() };
    assert_eq!(Traffic::new(settings, Random::new(3), Instant::ZERO).take(at(3600 * S)), None);
}

/// Devices, concentrator and server joined by a wire of 50 us; `relay` may eat or change what passes.
struct Place {
    traffic: Traffic,
    gateway: Concentrator,
    server: Server,
    heard: u64,
}

impl Place {
    fn new(traffic: TrafficSettings, server: ServerSettings, seed: u64) -> Self {
        Place {
            traffic: Traffic::new(traffic, Random::new(seed).split(1), Instant::ZERO),
            gateway: Concentrator::new(Settings::default(), Random::new(seed).split(2), Instant::ZERO),
            server: Server::new(server, Random::new(seed).split(3), Instant::ZERO),
            heard: 0,
        }
    }

    fn run(&mut self, until: Instant) {
        loop {
            let wakes = [self.traffic.next_at(), self.gateway.wake_at(), self.server.wake_at()];
            let Some(now) = wakes.into_iter().flatten().min().filter(|now| *now <= until) else { return };
            self.gateway.time(now);
            while let Some(uplink) = self.traffic.take(now) {
                self.heard += u64::from(self.gateway.uplink(now, uplink.reception()));
            }
            self.server.wake(now);
            self.exchange(now);
        }
    }

    fn exchange(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.gateway.poll() {
                match output {
                    Output::Push(bytes) | Output::Pull(bytes) => self.server.datagram(now, &bytes),
                    Output::OnAir(transmission) => {
                        self.traffic.hear(&transmission);
                    }
                    Output::Exited { why } => panic!("{why}"),
                }
            }
            let Some(bytes) = self.server.take() else { return };
            let socket = if bytes[3] == 1 { Socket::Push } else { Socket::Pull };
            self.gateway.datagram(now, socket, &bytes);
        }
    }
}

#[test]
fn at_a_gateway_of_its_own_every_answer_reaches_its_device_in_rx1_or_rx2() {
    for manner in [Manner::ChirpStack, Manner::TheThingsStack] {
        let traffic = TrafficSettings { joins_per_hour: 6, ..TrafficSettings::default() };
        let mut place = Place::new(traffic, ServerSettings { manner, ..ServerSettings::default() }, 5);
        place.run(at(10 * 3600 * S));
        // What was sent in the last seconds is under way.
        let answers = place.server.counts().answers;
        let devices = place.traffic.counts();
        assert!(answers.due > 500 && answers.accepted + 2 >= answers.due - answers.lost, "{answers:?}");
        assert_eq!(place.gateway.counts().by_hand > 0, manner == Manner::ChirpStack, "no ncrc");
        let reached = devices.rx1 + devices.rx2;
        // Accepted and never radiated: what the forwarder drops without a word.
        let swallowed = place.gateway.counts().swallowed;
        assert!(reached + swallowed + 2 >= answers.accepted, "{answers:?} {devices:?} {swallowed}");
        assert!(swallowed * 50 < answers.accepted, "{swallowed}");
        assert!(devices.rx1 > devices.rx2, "{devices:?}");
        if manner == Manner::TheThingsStack {
            assert_eq!(devices.rx2, 0);
        }
    }
}

#[test]
fn answers_that_collide_at_a_busy_gateway_go_in_rx2_the_chirpstack_way_and_get_lost_the_other() {
    let outcome = |manner| {
        let traffic = TrafficSettings { uplinks_per_hour: 3000, ..TrafficSettings::default() };
        let mut place = Place::new(traffic, ServerSettings { manner, ..ServerSettings::default() }, 5);
        place.run(at(3600 * S));
        let counts = place.server.counts().clone();
        assert!(counts.errors["COLLISION_PACKET"] > 100, "{counts:?}");
        (counts.answers, place.traffic.counts())
    };
    let (chirpstack, devices) = outcome(Manner::ChirpStack);
    assert!(devices.rx2 > 50 && chirpstack.second_tries > 100, "{chirpstack:?} {devices:?}");
    let (tts, devices) = outcome(Manner::TheThingsStack);
    assert_eq!((devices.rx2, tts.second_tries, tts.lost), (0, 0, tts.refused));
}

#[test]
fn a_device_hears_nothing_at_the_wrong_time_or_place() {
    let wrong: [fn(&mut crate::sim::concentrator::Transmission); 5] = [
        |t| t.start = t.start.plus_us(3_001),
        |t| t.frequency_hz += 200_000,
        |t| t.modulation = Modulation::LoRa { sf: 12, bw_hz: 500_000 },
        |t| t.phy_payload[1] ^= 1,
        |t| t.inverted_iq = false,
    ];
    for spoil in wrong.into_iter().map(Some).chain([None]) {
        let settings = TrafficSettings { confirmed_ppm: 1_000_000, ..TrafficSettings::default() };
        let mut traffic = Traffic::new(settings, Random::new(3), Instant::ZERO);
        let uplink = traffic.take(at(3600 * S)).unwrap();
        let mut transmission = crate::sim::concentrator::Transmission {
            start: uplink.end.plus_us(1_000_000),
            airtime_us: 50_000,
            frequency_hz: uplink.frequency_hz,
            modulation: uplink.modulation,
            eirp: crate::radio::Dbm::from_whole(14),
            phy_payload: vec![0x60, 1, 0, 0, 1, 0x20, 1, 0, 1, 2, 3, 4],
            inverted_iq: true,
            crc: false,
            preamble_symbols: 8,
        };
        if let Some(spoil) = spoil {
            spoil(&mut transmission);
        }
        assert_eq!(traffic.hear(&transmission), spoil.is_none());
        assert_eq!(traffic.counts().awaited, u64::from(spoil.is_none()));
        assert!(!traffic.hear(&transmission), "once");
    }
}

#[test]
fn the_same_seed_gives_the_same_place() {
    let run = |seed| {
        let settings = ServerSettings { class_c_per_hour: 60, ..class_c(Manner::ChirpStack) };
        let mut place = Place::new(TrafficSettings::default(), settings, seed);
        place.run(at(3600 * S));
        (place.server.counts().clone(), place.traffic.counts(), place.gateway.counts())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
