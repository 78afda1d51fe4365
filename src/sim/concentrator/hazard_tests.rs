//! The measured behaviour of the original where other things share its time: beacons, GPS, and a bus that is held.

use serde_json::Value;
use serde_json::json;

use crate::sim::concentrator::output::Output;
use crate::sim::concentrator::settings::Settings;
use crate::sim::concentrator::tests::Bench;
use crate::sim::concentrator::tests::MS;
use crate::sim::concentrator::tests::S;
use crate::sim::concentrator::tests::at_tmst;
use crate::sim::concentrator::tests::imme;
use crate::sim::concentrator::tests::packet;
use crate::sim::concentrator::tests::with;
use crate::time::Instant;

/// GPS seconds at the world's zero, and the world's second of the first beacon after 21 s.
const ZERO_S: i64 = 1_451_260_818;
const BEACON: i64 = ((ZERO_S + 21) / 128 * 128 + 128 - ZERO_S) * S;

fn with_beacons() -> Bench {
    Bench::with(Settings { gps: true, beacon_period_s: 128, ..Settings::default() })
}

fn at_gps(world_us: i64) -> Value {
    with(packet("SF7BW125", 20), "tmms", json!(ZERO_S * 1000 + world_us / MS))
}

// Beacons. A packet of 20 bytes at SF7 reserves 51 ms.

#[test]
fn a_beacon_is_sent_at_every_128_s_of_gps_time_from_21_2_s_after_the_start() {
    let mut bench = with_beacons();
    bench.run(BEACON + 300 * S);
    let on_air = bench.on_air();
    let starts: Vec<i64> = on_air.iter().map(|transmission| transmission.start.as_us()).collect();
    assert_eq!(starts, [BEACON, BEACON + 128 * S, BEACON + 256 * S]);
    let gps_s = (ZERO_S + BEACON / S) as u32;
    assert_eq!(on_air[0].phy_payload[2..6], gps_s.to_le_bytes());
    assert_eq!((on_air[0].phy_payload.len(), on_air[0].airtime_us), (17, 152_576));
    assert!(!on_air[0].inverted_iq && !on_air[0].crc);
    let counts = bench.gateway.counts();
    assert_eq!((counts.beacons, counts.beacons_lost, counts.txnb, counts.on_air), (3, 0, 3, 0));
}

#[test]
fn no_beacon_waits_in_the_first_21_2_s_and_none_without_a_receiver() {
    assert_eq!(with_beacons().ask(21 * S, at_tmst(BEACON)), "OK");
    assert_eq!(with_beacons().ask(22 * S, at_tmst(BEACON)), "COLLISION_BEACON");
    let mut blind = Bench::with(Settings { beacon_period_s: 128, ..Settings::default() });
    blind.run(300 * S);
    assert_eq!(blind.gateway.counts().txnb, 0);
}

#[test]
fn three_beacons_take_three_of_the_32_places() {
    let mut bench = with_beacons();
    let answers: Vec<String> = (0..30).map(|n| bench.ask(25 * S, at_tmst(50 * S + n * S))).collect();
    assert!(answers[..29].iter().all(|answer| answer == "OK"), "{answers:?}");
    assert_eq!(answers[29], "COLLISION_PACKET");
}

#[test]
fn by_tmst_a_packet_may_end_2_5_ms_before_a_beacon_and_start_2_1625_s_after_it() {
    for (off_us, answer) in [
        (-3 * S, "OK"),
        (-53_501, "OK"),
        (-53_500, "COLLISION_BEACON"),
        (0, "COLLISION_BEACON"),
        (2_150 * MS, "COLLISION_BEACON"),
        (2_162_500, "COLLISION_BEACON"),
        (2_162_501, "OK"),
        (2_165 * MS, "OK"),
    ] {
        assert_eq!(with_beacons().ask(BEACON - 10 * S, at_tmst(BEACON + off_us)), answer, "{off_us}");
    }
}

#[test]
fn by_gps_time_a_packet_keeps_out_of_the_guard_of_3_0425_s_too() {
    for (off_ms, answer) in [
        (-3_094, "OK"),
        (-3_093, "COLLISION_BEACON"),
        (-100, "COLLISION_BEACON"),
        (2_162, "COLLISION_BEACON"),
        (2_163, "OK"),
    ] {
        assert_eq!(with_beacons().ask(BEACON - 10 * S, at_gps(BEACON + off_ms * MS)), answer, "{off_ms}");
    }
}

#[test]
fn an_immediate_packet_2_s_before_a_beacon_goes_2202_5_ms_after_it() {
    let mut bench = with_beacons();
    assert_eq!(bench.ask(BEACON - 2 * S, imme()), "OK");
    bench.run(BEACON + 5 * S);
    let on_air = bench.on_air();
    assert_eq!(on_air[1].start.as_us(), BEACON + 2_202_500);
    // Before the guard it goes at once.
    let mut bench = with_beacons();
    bench.ask(BEACON - 4 * S, imme());
    bench.run(BEACON - 3 * S);
    assert_eq!(bench.on_air()[0].start.as_us(), BEACON - 4 * S + 80 * MS);
}

#[test]
fn a_packet_that_ends_just_before_a_beacon_makes_the_beacon_be_dropped() {
    for (end_before_us, beacons) in [(3 * MS, 0), (25 * MS, 0), (45 * MS, 1), (100 * MS, 1)] {
        let mut bench = with_beacons();
        assert_eq!(bench.ask(BEACON - S, at_tmst(BEACON - 51_456 - end_before_us)), "OK");
        bench.run(BEACON + S);
        let counts = bench.gateway.counts();
        assert_eq!((counts.on_air, counts.beacons, counts.beacons_lost), (1, beacons, 1 - beacons));
        assert_eq!(counts.swallowed, 0, "a beacon is nobody's packet");
    }
}

#[test]
fn stat_counts_beacons_in_txnb() {
    let mut bench = with_beacons();
    bench.run(BEACON + 60 * S);
    let txnb: u64 = bench.pushed().iter().filter_map(|(_, json)| json["stat"]["txnb"].as_u64()).sum();
    assert_eq!(txnb, 1);
}

// GPS.

#[test]
fn with_a_receiver_a_reception_is_printed_as_the_forwarder_prints_it() {
    let mut bench = Bench::with(Settings { gps: true, ..Settings::default() });
    bench.uplink(5 * S, 5 * S + 123_456);
    bench.run(6 * S);
    let text = bench.log.iter().find_map(|(_, output)| match output {
        Output::Push(datagram) => Some(datagram.clone()),
        _ => None,
    });
    let datagram = text.unwrap();
    assert_eq!(
        std::str::from_utf8(&datagram[12..]).unwrap(),
        "{\"rxpk\":[{\"jver\":1,\"tmst\":5123456,\"time\":\"2026-01-01T00:00:05.123456Z\",\"tmms\":1451260823123,\
         \"chan\":0,\"rfch\":0,\"freq\":868.100000,\"mid\": 8,\"stat\":1,\"modu\":\"LORA\",\"datr\":\"SF7BW125\",\
         \"codr\":\"4/5\",\"rssis\":-107,\"lsnr\":-7.8,\"foff\":0,\"rssi\":-107,\"size\":12,\
         \"data\":\"QAECAwQAAQAJCQkJ\"}]}"
    );
    // Somebody else's codec reads the same.
    let Ok(semtech_udp::Up::PushData(packet)) = semtech_udp::Packet::parse_uplink(&datagram) else {
        panic!()
    };
    let rxpk = &packet.data.rxpk.unwrap()[0];
    assert_eq!((rxpk.timestamp(), rxpk.frequency(), rxpk.snr()), (5_123_456, 868.1, -7.8));
}

#[test]
fn before_the_first_fix_a_reception_has_no_gps_time_and_stat_no_place() {
    let mut bench = Bench::with(Settings { gps: true, stat_us: 3_000_000, ..Settings::default() });
    bench.uplink(3 * S, 3 * S + 50 * MS);
    bench.run(7 * S);
    let pushed: Vec<Value> = bench.pushed().into_iter().map(|(_, json)| json).collect();
    let rxpk = pushed.iter().find_map(|json| json["rxpk"].get(0)).unwrap();
    assert_eq!((rxpk.get("tmms"), rxpk.get("time")), (None, None));
    let stats: Vec<&Value> = pushed.iter().filter_map(|json| json.get("stat")).collect();
    assert_eq!((stats[0].get("lati"), stats[1]["lati"].as_f64()), (None, Some(46.24)));
}

#[test]
fn a_reference_outlives_a_silence_of_29_6_s_and_not_more() {
    let silence = vec![(100_000_000, 160_000_000)];
    let mut bench = Bench::with(Settings { gps: true, gps_silences_us: silence, ..Settings::default() });
    for (now, answer) in [(129, "OK"), (130, "GPS_UNLOCKED"), (160, "GPS_UNLOCKED"), (161, "OK")] {
        assert_eq!(bench.ask(now * S, at_gps(now * S + 500 * MS)), answer, "{now}");
    }
}

#[test]
fn a_glitch_makes_gps_time_4294_967_s_too_late() {
    let mut bench = Bench::with(Settings { gps: true, gps_glitch_ppm: 1_000_000, ..Settings::default() });
    bench.uplink(5 * S, 5 * S + 50 * MS);
    bench.run(6 * S);
    let true_ms = (ZERO_S + 5) * 1000 + 50;
    assert_eq!(bench.pushed()[0].1["rxpk"][0]["tmms"], true_ms + 4_294_967);
}

// A bus that is held.

/// How many of `count` packets, a second apart, are radiated and counted by the driver.
fn sent_with_a_held_bus(hold_us: u64, count: i64) -> (u64, u64) {
    let mut bench = Bench::with(Settings { bus_hold_us: hold_us, ..Settings::default() });
    for n in 0..count {
        // Not in step with the fetches.
        let start = (n + 2) * S + n * 7_919 % 100_000;
        bench.send_text(start - 400 * MS, &json!({ "txpk": at_tmst(start) }).to_string());
    }
    bench.run((count + 9) * S);
    let counts = bench.gateway.counts();
    assert_eq!(counts.accepted, count as u64, "all are acknowledged");
    assert_eq!(counts.on_air + counts.swallowed, count as u64);
    (counts.on_air, counts.txnb)
}

#[test]
fn a_held_bus_eats_packets_in_silence_from_30_ms_a_fetch_on() {
    // Of 100 packets the original radiated: at 20 ms 100, at 30 ms 98, at 36 ms 95, at 45 ms 85; at 60 ms 20 of 32.
    for (hold_us, least, most) in [
        (0, 1000, 1000),
        (20_000, 1000, 1000),
        (30_000, 960, 995),
        (36_000, 890, 970),
        (45_000, 750, 870),
        (60_000, 550, 700),
    ] {
        let (on_air, txnb) = sent_with_a_held_bus(hold_us, 1000);
        assert!((least..=most).contains(&on_air), "{hold_us}: {on_air}");
        assert!(txnb >= on_air, "what was given to the radio too late is counted as sent");
    }
    let (on_air, txnb) = sent_with_a_held_bus(30_000, 1000);
    assert!(txnb > on_air, "{txnb} {on_air}");
}

#[test]
fn answers_wait_for_a_held_bus() {
    let hold_us = 60_000;
    let mut bench = Bench::with(Settings { bus_hold_us: hold_us, ..Settings::default() });
    let mut waits_us = Vec::new();
    for n in 0..500_i64 {
        let now = (n + 1) * S + n * 7_919 % 100_000;
        bench.run(now);
        bench.log.clear();
        bench.send_text(now, &json!({ "txpk": at_tmst(now + 300 * MS) }).to_string());
        bench.run(now + 200 * MS);
        let is_ack = |output: &Output| matches!(output, Output::Pull(datagram) if datagram[3] == 5);
        let (answered, _) = bench.log.iter().find(|(_, output)| is_ack(output)).unwrap();
        waits_us.push(answered.us_since(Instant::from_us(now)));
    }
    waits_us.sort_unstable();
    let p99_us = waits_us[495];
    assert!((hold_us * 9 / 10..=hold_us + 200).contains(&p99_us), "{p99_us}");
}

#[test]
fn a_bus_that_is_set_free_eats_nothing_more() {
    let mut bench = Bench::with(Settings { bus_hold_us: 200_000, ..Settings::default() });
    for n in 0..20 {
        bench.ask((n + 1) * S, at_tmst((n + 1) * S + 500 * MS));
    }
    bench.run(30 * S);
    assert!(bench.gateway.counts().swallowed > 10, "{:?}", bench.gateway.counts());
    let before = bench.gateway.counts();
    bench.gateway.hold_bus(Instant::from_us(30 * S), 0);
    for n in 30..50 {
        bench.ask((n + 1) * S, at_tmst((n + 1) * S + 500 * MS));
    }
    bench.run(60 * S);
    assert_eq!(bench.gateway.counts().swallowed, before.swallowed);
    assert_eq!(bench.gateway.counts().on_air, before.on_air + 20);
}
