//! What goes wrong at a forwarder over a span of time, what becomes of its process, and forwarders of another kind.

use serde_json::Value;
use serde_json::json;

use crate::sim::concentrator::forwarder::Concentrator;
use crate::sim::concentrator::hazards::Hazards;
use crate::sim::concentrator::hazards::Span;
use crate::sim::concentrator::output::Output;
use crate::sim::concentrator::output::Socket;
use crate::sim::concentrator::settings::SecondBoard;
use crate::sim::concentrator::settings::Settings;
use crate::sim::concentrator::tests::Bench;
use crate::sim::concentrator::tests::MS;
use crate::sim::concentrator::tests::S;
use crate::sim::concentrator::tests::at_tmst;
use crate::sim::concentrator::tests::packet;
use crate::sim::concentrator::tests::with;
use crate::sim::random::Random;
use crate::time::Instant;

/// GPS seconds at the world's zero, and the world's second of the first beacon after 21 s.
const ZERO_S: i64 = 1_451_260_818;
const BEACON: i64 = ((ZERO_S + 21) / 128 * 128 + 128 - ZERO_S) * S;

fn span(from: i64, until: i64) -> Span {
    Span { from_us: from as u64, until_us: until as u64 }
}

fn bench(hazards: Hazards) -> Bench {
    Bench::with(Settings { hazards, ..Settings::default() })
}

/// Packets for every second from `from_s` on, each sent 400 ms before its start; all are acknowledged.
fn send_each_second(bench: &mut Bench, from_s: i64, count: i64) {
    for n in 0..count {
        // Not in step with the fetches.
        let start = (from_s + n) * S + n * 7_919 % 100_000;
        bench.send_text(start - 400 * MS, &json!({ "txpk": at_tmst(start) }).to_string());
    }
    bench.run((from_s + count + 1) * S);
    assert_eq!(bench.gateway.counts().accepted, count as u64);
}

/// How many starts lie in each span of 100 s from 100 s on.
fn starts_by_hundred_s(bench: &Bench) -> [usize; 3] {
    let starts = bench.on_air();
    [1, 2, 3].map(|n| starts.iter().filter(|one| one.start.as_us() / (100 * S) == n).count())
}

fn pulled(bench: &Bench) -> Vec<(i64, Vec<u8>)> {
    let pulled = |(at, output): &(Instant, Output)| match output {
        Output::Pull(datagram) => Some((at.as_us(), datagram.clone())),
        _ => None,
    };
    bench.log.iter().filter_map(pulled).collect()
}

#[test]
fn a_bus_that_is_slow_for_a_while_eats_packets_for_so_long_only() {
    let slow_bus = vec![(span(200 * S, 300 * S), 60_000)];
    let mut bench = bench(Hazards { slow_bus, ..Hazards::default() });
    send_each_second(&mut bench, 100, 300);
    let [before, during, after] = starts_by_hundred_s(&bench);
    assert!(before == 100 && (50..80).contains(&during) && after == 100, "{before} {during} {after}");
}

#[test]
fn a_queue_that_is_polled_late_loses_acknowledged_packets() {
    // The poll finds a packet 30 to 40 ms before its start, and the chip needs 1.5 ms.
    for (late_us, least, most) in [(28_000, 100, 100), (35_000, 20, 80), (45_000, 0, 0)] {
        let late_jit = vec![(span(200 * S - 50 * MS, 300 * S - 50 * MS), (late_us, late_us))];
        let mut bench = bench(Hazards { late_jit, ..Hazards::default() });
        send_each_second(&mut bench, 100, 300);
        let [before, during, after] = starts_by_hundred_s(&bench);
        assert_eq!((before, after), (100, 100), "{late_us}");
        assert!((least..=most).contains(&during), "{late_us}: {during}");
        let counts = bench.gateway.counts();
        assert_eq!((counts.accepted, counts.swallowed), (300, 100 - during as u64), "{late_us}");
    }
}

#[test]
fn a_queue_that_is_polled_late_counts_what_it_gives_to_the_chip_too_late() {
    let late_jit = vec![(Span::ALWAYS, (28_000, 40_000))];
    let mut bench = bench(Hazards { late_jit, ..Hazards::default() });
    send_each_second(&mut bench, 2, 300);
    let counts = bench.gateway.counts();
    assert!(counts.on_air < counts.txnb && counts.txnb < counts.accepted, "{counts:?}");
}

#[test]
fn while_the_host_stands_still_datagrams_wait_and_then_come_at_once() {
    let host_stalls = vec![span(20 * S, 25 * S)];
    let mut bench = Bench::with(Settings {
        keepalive_us: 1_000_000,
        hazards: Hazards { host_stalls, ..Hazards::default() },
        ..Settings::default()
    });
    bench.run(20 * S);
    let (early, late) = (21 * S, 26 * S);
    let tokens: Vec<u16> = [(early, 24 * S), (early, late), (22 * S, late + S)]
        .map(|(at, start)| bench.send_text(at, &json!({ "txpk": at_tmst(start) }).to_string()))
        .to_vec();
    bench.uplink(23 * S, 23 * S + 50 * MS);
    bench.run(25 * S - 1);
    assert!(bench.log.iter().all(|(at, _)| at.as_us() <= 20 * S), "it says nothing");
    bench.run(30 * S);
    let answers: Vec<String> = tokens.iter().map(|token| bench.answer(*token)).collect();
    assert_eq!(
        answers,
        ["TOO_EARLY", "OK", "OK"],
        "a start that has passed is one turn of the register ahead"
    );
    let first: Vec<i64> =
        pulled(&bench).iter().map(|(at, _)| *at).filter(|at| *at > 20 * S).take(4).collect();
    assert!(first.iter().all(|at| (25 * S..25 * S + MS).contains(at)), "{first:?}");
    let (pushed_at, json) = &bench.pushed()[0];
    assert_eq!(pushed_at.as_us(), 25 * S);
    assert_eq!(json["rxpk"][0]["tmst"], 23 * S + 50 * MS, "the chip notes when it was heard");
    assert_eq!(bench.on_air().len(), 2);
}

#[test]
fn what_the_chip_holds_is_sent_while_the_host_stands_still_and_what_waits_is_not() {
    let host_stalls = vec![span(10 * S - 20 * MS, 12 * S)];
    let mut bench = bench(Hazards { host_stalls, ..Hazards::default() });
    for start in [10 * S, 11 * S, 13 * S] {
        assert_eq!(bench.ask(9 * S, at_tmst(start)), "OK");
    }
    bench.run(14 * S);
    let starts: Vec<i64> = bench.on_air().iter().map(|one| one.start.as_us()).collect();
    assert_eq!(starts, [10 * S, 13 * S]);
    assert_eq!(bench.gateway.counts().swallowed, 1);
}

#[test]
fn a_stall_loses_what_the_socket_cannot_hold() {
    let host_stalls = vec![span(10 * S, 11 * S)];
    let mut bench = bench(Hazards { host_stalls, ..Hazards::default() });
    for n in 0..200 {
        bench.send_text(10 * S + n * MS, &json!({ "txpk": at_tmst(100 * S + n * S) }).to_string());
    }
    bench.run(12 * S);
    let answers = pulled(&bench).iter().filter(|(_, datagram)| datagram[3] == 5).count();
    assert_eq!(answers, 166);
}

#[test]
fn a_part_of_the_packets_is_swallowed_for_a_while_and_counted_nowhere() {
    let swallowing = vec![(span(200 * S - 400 * MS, 300 * S - 400 * MS), 300_000)];
    let mut bench = bench(Hazards { swallowing, ..Hazards::default() });
    send_each_second(&mut bench, 100, 300);
    let [before, during, after] = starts_by_hundred_s(&bench);
    assert!(before == 100 && (55..85).contains(&during) && after == 100, "{before} {during} {after}");
    let counts = bench.gateway.counts();
    assert_eq!((counts.accepted, counts.txnb), (300, counts.on_air));
    assert_eq!(counts.swallowed, 100 - during as u64);
}

#[test]
fn a_beacon_can_swallow_a_packet_that_was_acknowledged() {
    let with_beacons = |beacons_swallow| {
        let hazards = Hazards { beacons_swallow, ..Hazards::default() };
        Bench::with(Settings { gps: true, beacon_period_s: 128, hazards, ..Settings::default() })
    };
    assert_eq!(with_beacons(false).ask(BEACON - 10 * S, at_tmst(BEACON)), "COLLISION_BEACON");
    let mut bench = with_beacons(true);
    assert_eq!(bench.ask(BEACON - 10 * S, at_tmst(BEACON)), "OK");
    assert_eq!(bench.ask(BEACON - 10 * S, at_tmst(BEACON + 3 * S)), "OK");
    bench.run(BEACON + 5 * S);
    let counts = bench.gateway.counts();
    assert_eq!((counts.beacons, counts.on_air, counts.accepted, counts.swallowed), (1, 1, 2, 1));
}

#[test]
fn a_supervisor_starts_a_dead_process_with_a_counter_and_ports_of_its_own_and_without_its_queue() {
    let mut waits = Vec::new();
    for seed in 0..20 {
        let hazards = Hazards {
            deaths_us: vec![50_000_000],
            supervisor_us: Some((4_000_000, 12_000_000)),
            ..Hazards::default()
        };
        let settings = Settings { keepalive_us: 1_000_000, hazards, ..Settings::default() };
        let mut bench = Bench::with(settings.clone());
        bench.gateway = Concentrator::new(settings, Random::new(seed), Instant::ZERO);
        assert_eq!(bench.ask(49 * S, at_tmst(52 * S)), "OK");
        assert_eq!(bench.ask(51 * S, at_tmst(52 * S)), "silence", "nobody is there");
        assert!(!bench.uplink(52 * S, 52 * S + 50 * MS));
        bench.run(70 * S);
        assert_eq!((bench.on_air().len(), bench.gateway.counts().swallowed), (0, 1));
        assert_eq!(bench.gateway.port_generation(), 1);
        let said = pulled(&bench).into_iter().map(|(at, _)| at).find(|at| *at > 50 * S).unwrap();
        let started = said - 300;
        assert_eq!(i64::from(bench.gateway.counter(Instant::from_us(70 * S))), 70 * S - started);
        waits.push(started - 50 * S);
    }
    assert!(waits.iter().all(|wait| (4 * S..=12 * S).contains(wait)), "{waits:?}");
    assert!(waits.iter().max().unwrap() - waits.iter().min().unwrap() > 4 * S, "{waits:?}");
}

#[test]
fn a_process_that_a_datagram_kills_stays_dead_without_a_supervisor() {
    for (supervisor_us, generation) in [(None, 0), (Some((4_000_000, 4_000_000)), 1)] {
        let mut bench = bench(Hazards { supervisor_us, ..Hazards::default() });
        let poison = with(packet("SF7BW125", 20), "data", json!("!!!!"));
        bench.ask(10 * S, with(poison, "imme", json!(true)));
        bench.run(20 * S);
        let is_exit = |(_, output): &(Instant, Output)| matches!(output, Output::Exited { .. });
        assert!(bench.log.iter().any(is_exit));
        assert_eq!(bench.gateway.port_generation(), generation);
        assert_eq!(bench.gateway.wake_at().is_some(), generation == 1);
    }
}

#[test]
fn a_process_says_its_last_words_once_and_from_its_push_socket_or_nothing() {
    for last_words in [None, Some(b"\x02garbage".to_vec())] {
        let mut bench = bench(Hazards {
            deaths_us: vec![9_000_000],
            last_words: last_words.clone(),
            ..Hazards::default()
        });
        bench.run(60 * S);
        let said: Vec<(i64, Vec<u8>)> = bench
            .log
            .iter()
            .filter_map(|(at, output)| match output {
                Output::Push(datagram) => Some((at.as_us(), datagram.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(said, last_words.map(|words| (9 * S, words)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_forwarder_of_version_1_sends_what_it_is_asked_for_and_never_answers() {
    let mut bench = Bench::with(Settings { protocol_version: 1, ..Settings::default() });
    let token = bench.send_text(2 * S, &json!({ "txpk": at_tmst(3 * S) }).to_string());
    let of_version_1 = [&[1, 0, 7, 3], json!({ "txpk": at_tmst(5 * S) }).to_string().as_bytes()].concat();
    bench.gateway.datagram(Instant::from_us(4 * S), Socket::Pull, &of_version_1);
    bench.uplink(6 * S, 6 * S + 50 * MS);
    bench.run(40 * S);
    assert_eq!(bench.answer(token), "silence");
    let starts: Vec<i64> = bench.on_air().iter().map(|one| one.start.as_us()).collect();
    assert_eq!(starts, [5 * S], "a datagram of version 2 is none to it");
    let sent: Vec<(u8, u8)> = bench
        .log
        .iter()
        .filter_map(|(_, output)| match output {
            Output::Push(datagram) | Output::Pull(datagram) => Some((datagram[0], datagram[3])),
            _ => None,
        })
        .collect();
    assert!(sent.contains(&(1, 0)) && sent.contains(&(1, 2)), "PUSH_DATA and PULL_DATA: {sent:?}");
    assert!(sent.iter().all(|(version, identifier)| *version == 1 && *identifier != 5), "{sent:?}");
}

#[test]
fn a_push_ack_of_version_1_is_taken_by_a_forwarder_of_version_1_only() {
    for version in [1, 2] {
        let mut bench = Bench::with(Settings { protocol_version: version, ..Settings::default() });
        bench.uplink(S, S + 50 * MS);
        let is_push = |(_, output): &(Instant, Output)| matches!(output, Output::Push(_));
        while !bench.log.iter().any(is_push) {
            bench.run(bench.gateway.wake_at().unwrap().as_us());
        }
        let Some((at, Output::Push(datagram))) = bench.log.iter().rfind(|one| is_push(one)).cloned() else {
            panic!()
        };
        bench.gateway.datagram(at.plus_us(50), Socket::Push, &[1, datagram[1], datagram[2], 1]);
        assert_eq!(bench.gateway.counts().push_acked, u64::from(version == 1));
    }
}

#[test]
fn a_stat_interval_of_300_s_brings_one_report_in_300_s() {
    let mut bench = Bench::with(Settings { stat_us: 300_000_000, ..Settings::default() });
    send_each_second(&mut bench, 2, 10);
    bench.run(900 * S);
    let reports: Vec<(i64, u64)> = bench
        .pushed()
        .iter()
        .map(|(at, json)| (at.as_us() / S, json["stat"]["txnb"].as_u64().unwrap()))
        .collect();
    assert_eq!(reports, [(300, 10), (600, 0), (900, 0)]);
}

fn two_boards() -> Bench {
    let second_board = Some(SecondBoard { counter_at_start: 3_000_000_000, drift_ppb: 0 });
    Bench::with(Settings { second_board, ..Settings::default() })
}

#[test]
fn two_boards_hear_in_turn_and_each_counts_for_itself() {
    let mut bench = two_boards();
    for n in 1..=4 {
        bench.uplink(n * S - 50 * MS, n * S);
    }
    bench.run(6 * S);
    let heard: Vec<(u64, u64)> = bench
        .pushed()
        .iter()
        .flat_map(|(_, json)| json["rxpk"].as_array().cloned().unwrap_or_default())
        .map(|rxpk: Value| (rxpk["brd"].as_u64().unwrap(), rxpk["tmst"].as_u64().unwrap()))
        .collect();
    assert_eq!(heard, [(0, 1_000_000), (1, 3_002_000_000), (0, 3_000_000), (1, 3_004_000_000)]);
    let mut single = Bench::with(Settings::default());
    single.uplink(S - 50 * MS, S);
    single.run(2 * S);
    assert_eq!(single.pushed()[0].1["rxpk"][0].get("brd"), None, "one board has no number");
}

#[test]
fn brd_says_which_board_sends_by_whose_counter() {
    let on_board = |board: i64, tmst: i64| with(at_tmst(tmst), "brd", json!(board));
    let mut bench = two_boards();
    assert_eq!(bench.ask(2 * S, at_tmst(3 * S)), "OK");
    assert_eq!(bench.ask(2 * S, on_board(0, 4 * S)), "OK");
    assert_eq!(bench.ask(2 * S, on_board(1, 3_005 * S)), "OK");
    assert_eq!(bench.ask(2 * S, on_board(1, 3 * S)), "TOO_EARLY", "by the other board's counter");
    assert_eq!(bench.ask(2 * S, on_board(2, 3 * S)), "silence");
    bench.run(8 * S);
    let starts: Vec<i64> = bench.on_air().iter().map(|one| one.start.as_us()).collect();
    assert_eq!(starts, [3 * S, 4 * S, 5 * S]);
}

#[test]
fn two_boards_send_at_the_same_time_and_neither_hears_while_it_sends() {
    let mut bench = two_boards();
    assert_eq!(bench.ask(2 * S, at_tmst(3 * S)), "OK");
    assert_eq!(bench.ask(2 * S, with(at_tmst(3_003 * S), "brd", json!(1))), "OK");
    assert_eq!(bench.ask(2 * S, at_tmst(4 * S)), "OK");
    bench.run(4 * S + 10 * MS);
    assert_eq!(bench.on_air().len(), 3);
    assert!(!bench.uplink(4 * S, 4 * S + 20 * MS), "the first board was sending");
    assert!(bench.uplink(4 * S, 4 * S + 20 * MS), "the second was not");
}

#[test]
fn after_a_restart_the_counters_of_two_boards_are_still_apart() {
    let mut bench = two_boards();
    bench.run(10 * S);
    bench.gateway.restart(Instant::from_us(10 * S));
    bench.uplink(11 * S - 50 * MS, 11 * S);
    bench.uplink(12 * S - 50 * MS, 12 * S);
    bench.run(13 * S);
    let tmst = |n: usize| bench.pushed()[n].1["rxpk"][0]["tmst"].clone();
    assert_eq!((tmst(0), tmst(1)), (json!(1_000_000), json!(3_002_000_000_u32)));
}
