//! The link's manners, one a test.

use std::net::SocketAddr;

use proptest::prelude::*;
use semtech_udp::SerializablePacket;
use semtech_udp::tx_ack;

use super::*;
use crate::radio::Dbm;
use crate::radio::Emission;
use crate::radio::Modulation;
use crate::time::Instant;
use crate::time::Tmst;

const GATEWAY: [u8; 8] = [0, 0x16, 0xC0, 1, 0xF1, 0x50, 8, 0x12];
const MS: i64 = 1_000;
const S: i64 = 1_000_000;
/// The forwarder's counter at our zero.
const COUNTER: i64 = 4_000_000_000;

fn at(us: i64) -> Instant {
    Instant::from_us(us)
}

fn host(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn header(version: u8, token: u16, identifier: u8, gateway: [u8; 8]) -> Vec<u8> {
    let [high, low] = token.to_be_bytes();
    [&[version, high, low, identifier], &gateway[..]].concat()
}

fn emission(start: i64) -> Emission {
    Emission {
        start: at(start),
        frequency_hz: 869_525_000,
        modulation: Modulation::LoRa { sf: 9, bw_hz: 125_000 },
        eirp: Dbm::from_whole(27),
        phy_payload: vec![0x60; 51],
    }
}

/// A link, and the little that a forwarder says to it.
struct Desk {
    link: Link,
    outputs: Vec<Output>,
}

impl Desk {
    fn silent() -> Desk {
        Desk { link: Link::new(Settings::default(), 7), outputs: Vec::new() }
    }

    /// Online from port 2 since the zero.
    fn online() -> Desk {
        let mut desk = Desk::silent();
        desk.pull(0, 2);
        desk
    }

    /// Online, with a known counter.
    fn timed() -> Desk {
        let mut desk = Desk::online();
        desk.uplink(0, COUNTER);
        desk.take();
        desk
    }

    fn hear(&mut self, now: i64, from: SocketAddr, bytes: &[u8]) {
        self.link.datagram(at(now), from, bytes);
        self.drain();
    }

    fn drain(&mut self) {
        self.outputs.extend(std::iter::from_fn(|| self.link.poll()));
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    fn events(&mut self) -> Vec<Event> {
        let event = |output| match output {
            Output::Event(event) => Some(event),
            Output::Datagram { .. } => None,
        };
        self.take().into_iter().filter_map(event).collect()
    }

    fn pull(&mut self, now: i64, port: u16) {
        self.hear(now, host(port), &header(2, 0x67C6, 2, GATEWAY));
    }

    fn push(&mut self, now: i64, json: &str) {
        let datagram = [&header(2, 0x1234, 0, GATEWAY)[..], json.as_bytes()].concat();
        self.hear(now, host(1), &datagram);
    }

    fn uplink(&mut self, now: i64, counter: i64) {
        let tmst = counter.rem_euclid(1 << 32);
        self.push(
            now,
            &format!(r#"{{"rxpk":[{{"tmst":{tmst},"freq":868.100000,"size":1,"data":"QA=="}}]}}"#),
        );
    }

    fn time(&mut self, now: i64) {
        self.link.time(at(now));
        self.drain();
    }

    /// Sends an emission and gives the token and the JSON of its PULL_RESP.
    fn send(&mut self, now: i64, id: u64, start: i64) -> (u16, String) {
        self.take();
        self.link.send(at(now), EmissionId(id), &emission(start)).unwrap();
        self.drain();
        self.pull_resp()
    }

    fn pull_resp(&mut self) -> (u16, String) {
        let outputs = self.take();
        let [Output::Datagram { to, bytes }] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(*to, host(2));
        assert_eq!((bytes[0], bytes[3]), (2, 3));
        (u16::from_be_bytes([bytes[1], bytes[2]]), String::from_utf8(bytes[4..].to_vec()).unwrap())
    }

    fn tx_ack(&mut self, now: i64, token: u16, body: &str) {
        let datagram = [&header(2, token, 5, GATEWAY)[..], body.as_bytes()].concat();
        self.hear(now, host(2), &datagram);
    }

    fn refuse(&mut self, now: i64, token: u16, error: &str) {
        self.tx_ack(now, token, &format!(r#"{{"txpk_ack":{{"error":"{error}"}}}}"#));
    }

    fn refused_to_send(&mut self, now: i64, start: i64) -> NotSent {
        let refusal = self.link.send(at(now), EmissionId(99), &emission(start)).unwrap_err();
        self.drain();
        assert_eq!(self.take(), [], "nothing leaves");
        refusal
    }
}

fn verdict(id: u64, verdict: Verdict) -> Event {
    Event::Verdict { id: EmissionId(id), verdict }
}

fn queued(id: u64, start: i64) -> Event {
    verdict(id, Verdict::Queued { start: at(start), power: None })
}

fn tmst_of(json: &str) -> u32 {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    u32::try_from(value["txpk"]["tmst"].as_u64().unwrap()).unwrap()
}

fn malformed(kind: MalformedKind) -> Event {
    Event::Malformed { kind }
}

#[test]
fn an_ack_comes_first_and_echoes_version_and_token() {
    let mut desk = Desk::silent();
    desk.hear(0, host(2), &header(1, 0xBEEF, 2, GATEWAY));
    let online = Event::Online { gateway: GatewayId(GATEWAY), from: host(2), version: 1 };
    let ack = Output::Datagram { to: host(2), bytes: vec![1, 0xBE, 0xEF, 4] };
    assert_eq!(desk.take(), [ack, Output::Event(online)]);
    desk.push(1, "no json");
    let ack = Output::Datagram { to: host(1), bytes: vec![2, 0x12, 0x34, 1] };
    assert_eq!(desk.take(), [ack, Output::Event(malformed(MalformedKind::Json))]);
    let counts = desk.link.state(at(1)).counts;
    assert_eq!((counts.pulls, counts.pushes, counts.malformed), (1, 1, 1));
}

#[test]
fn nothing_is_sent_to_a_forwarder_that_has_not_asked() {
    let mut desk = Desk::silent();
    desk.uplink(0, COUNTER);
    desk.take();
    assert_eq!(desk.refused_to_send(0, 350 * MS), NotSent::Offline);
}

#[test]
fn a_forwarder_of_protocol_v1_is_acked_but_not_sent_anything() {
    let mut desk = Desk::silent();
    desk.hear(0, host(2), &header(1, 1, 2, GATEWAY));
    desk.take();
    assert_eq!(desk.refused_to_send(0, 80 * MS), NotSent::ProtocolV1);
    assert!(NotSent::ProtocolV1.to_string().starts_with("protocol v1 has no TX_ACK"));
}

fn push_of(gateway: [u8; 8]) -> Vec<u8> {
    [&header(2, 6, 0, gateway)[..], br#"{"rxpk":[{"tmst":1}]}"#].concat()
}

fn other(gateway: [u8; 8], from: SocketAddr, is_configured: bool) -> Event {
    let sender = OtherSender { gateway: GatewayId(gateway), from, datagrams: 1 };
    Event::OtherSender { sender, served: Some(GatewayId(GATEWAY)), is_configured }
}

#[test]
fn another_gateway_is_told_and_counted_but_neither_acked_nor_sent_anything() {
    let mut desk = Desk::online();
    desk.take();
    desk.hear(1, host(9), &header(2, 5, 2, [9; 8]));
    assert_eq!(desk.take(), [Output::Event(other([9; 8], host(9), false))]);
    assert!(!desk.link.datagram(at(1), host(10), &push_of([9; 8])), "not for network servers either");
    desk.drain();
    assert_eq!(desk.take(), [], "told once");
    assert_eq!(desk.link.state(at(1)).counts.foreign, 2);
    let sender = OtherSender { gateway: GatewayId([9; 8]), from: host(10), datagrams: 2 };
    assert_eq!(desk.link.other_senders().collect::<Vec<_>>(), [sender]);
    desk.send(2, 1, 80 * MS);
}

#[test]
fn our_gateways_name_from_another_host_is_told_teaches_nothing_and_is_not_acked() {
    let mut desk = Desk::online();
    desk.take();
    let thief = SocketAddr::from(([10, 0, 0, 1], 1));
    desk.hear(1, thief, &push_of(GATEWAY));
    desk.hear(2, thief, &header(2, 5, 2, GATEWAY));
    assert_eq!(desk.take(), [Output::Event(other(GATEWAY, thief, false))]);
    assert_eq!(desk.link.state(at(2)).counter, None, "it teaches nothing");
}

#[test]
fn whoever_is_adopted_in_place_of_a_silent_one_is_another_gateway_and_no_restart() {
    let mut desk = Desk::timed();
    desk.hear(S, host(9), &header(2, 5, 2, [9; 8]));
    desk.time(123 * S);
    desk.take();
    desk.hear(124 * S, host(9), &header(2, 5, 2, [9; 8]));
    let online = Event::Online { gateway: GatewayId([9; 8]), from: host(9), version: 2 };
    assert_eq!(desk.events(), [Event::CounterLost { why: CounterLoss::OtherGateway }, online]);
    assert_eq!(desk.link.other_senders().count(), 0, "it is served now");
}

#[test]
fn what_keeps_emissions_back_has_a_name() {
    let obstacle = |desk: &Desk| desk.link.state(at(0)).obstacle;
    let mut desk = Desk::silent();
    assert_eq!(obstacle(&desk), Some(Obstacle::NotHeard));
    desk.hear(0, host(9), &header(1, 5, 5, GATEWAY));
    assert_eq!(obstacle(&desk), Some(Obstacle::NotHeard));
    desk.uplink(0, COUNTER);
    assert_eq!(obstacle(&desk), Some(Obstacle::NoPullData));
    desk.pull(0, 2);
    assert_eq!(obstacle(&desk), None);
    desk.send(0, 1, 80 * MS + 350 * MS);
    desk.time(200 * MS);
    desk.time(400 * MS);
    assert_eq!(obstacle(&desk), Some(Obstacle::Unanswered));
    desk.time(123 * S);
    assert_eq!(obstacle(&desk), Some(Obstacle::Silent));
    desk.hear(124 * S, host(2), &header(1, 5, 2, GATEWAY));
    assert_eq!(obstacle(&desk), Some(Obstacle::Version1));
}

#[test]
fn a_first_keepalive_of_nobody_keeps_the_real_forwarder_out_only_until_it_is_silent() {
    let mut desk = Desk::silent();
    desk.hear(0, host(9), &header(2, 5, 2, [9; 8]));
    for second in (0..=120).step_by(10) {
        desk.pull(second * S, 2);
        assert_eq!(desk.link.state(at(second * S)).online, Some(host(9)), "{second} s");
    }
    desk.link.time(at(123 * S));
    desk.pull(130 * S, 2);
    let state = desk.link.state(at(130 * S));
    assert_eq!((state.online, state.gateway), (Some(host(2)), Some(GatewayId(GATEWAY))));
}

#[test]
fn a_configured_gateway_is_the_only_one_listened_to() {
    let settings = Settings { gateway: Some(GatewayId([9; 8])), ..Settings::default() };
    let mut desk = Desk { link: Link::new(settings, 7), outputs: Vec::new() };
    desk.pull(0, 2);
    let sender = OtherSender { gateway: GatewayId(GATEWAY), from: host(2), datagrams: 1 };
    let served = Some(GatewayId([9; 8]));
    let told = Event::OtherSender { sender, served, is_configured: true };
    assert_eq!(desk.take(), [Output::Event(told)]);
    let state = desk.link.state(at(0));
    assert_eq!((state.online, state.obstacle), (None, Some(Obstacle::NotHeard)));
}

#[test]
fn an_uplink_makes_the_counter_known_and_is_told() {
    let mut desk = Desk::online();
    desk.take();
    desk.uplink(S, COUNTER + S);
    let uplink = Uplink {
        received: at(S),
        ended: at(S),
        tmst: Tmst((COUNTER + S) as u32),
        gps_ms: None,
        frequency_hz: Some(868_100_000),
        modulation: None,
        size: Some(1),
        first_byte: Some(0x40),
        dev_addr: None,
        crc_ok: true,
    };
    assert_eq!(desk.events(), [Event::CounterKnown { error_us: 15_000 }, Event::Uplink(uplink)]);
    assert_eq!(desk.link.state(at(2 * S)).counter, Some(CounterEstimate { error_us: 15_050 }));
}

#[test]
fn statistics_are_told_and_kept() {
    let mut desk = Desk::online();
    desk.take();
    desk.push(1, r#"{"stat":{"txnb":3,"dwnb":6}}"#);
    let stat = Stat { txnb: Some(3), dwnb: Some(6), ..Stat::default() };
    let until = at(1).plus_us(60_000);
    let nothing = Accounted { until, dropped: 0, ours_dropped: 0, is_told: true, interval_us: None };
    assert_eq!(desk.events(), [Event::Stat(stat), Event::Accounted(nothing)]);
    assert_eq!(desk.link.state(at(1)).stat, Some(stat));
}

#[test]
fn uplinks_are_packets_with_a_good_crc_and_not_datagrams() {
    let mut desk = Desk::online();
    desk.push(1, r#"{"rxpk":[{"tmst":1,"stat":1},{"tmst":2,"stat":-1},{"tmst":3},{"tmst":4,"stat":0}]}"#);
    desk.push(2, r#"{"stat":{"rxok":7}}"#);
    let counts = desk.link.state(at(2)).counts;
    assert_eq!((counts.pushes, counts.uplinks), (2, 2));
}

#[test]
fn with_a_counter_an_emission_goes_by_timestamp_across_the_wrap() {
    let mut desk = Desk::timed();
    desk.pull(294 * S, 2);
    let (token, json) = desk.send(294 * S, 1, 294 * S + 967_396);
    assert!((0..20_000).contains(&(tmst_of(&json).wrapping_neg() as i32)), "{json}");
    desk.tx_ack(294 * S, token, "");
    assert_eq!(desk.events(), [queued(1, 294 * S + 967_396)]);
}

#[test]
fn without_a_counter_an_emission_goes_at_once_and_starts_80_ms_later() {
    let mut desk = Desk::online();
    let (token, json) = desk.send(S, 1, S + 75 * MS);
    assert!(json.contains(r#""imme":true"#) && !json.contains("tmst"));
    desk.tx_ack(S, token, "");
    assert_eq!(desk.events(), [queued(1, S + 80 * MS)]);
}

#[test]
fn an_emission_too_near_or_too_far_is_not_sent() {
    let mut desk = Desk::timed();
    let too_late = NotSent::TooLate { lead_us: 79_999, needed_us: 80_000 };
    assert_eq!(desk.refused_to_send(0, 79_999), too_late);
    let too_early = NotSent::TooEarly { lead_us: 61_000_000, allowed_us: 60_000_000 };
    assert_eq!(desk.refused_to_send(0, 61 * S), too_early);
    let mut desk = Desk::online();
    desk.take();
    assert_eq!(desk.refused_to_send(S, 0), NotSent::TooLate { lead_us: 0, needed_us: 60_000 });
    let too_early = NotSent::TooEarly { lead_us: 350_000, allowed_us: 100_000 };
    assert_eq!(desk.refused_to_send(0, 350 * MS), too_early);
}

#[test]
fn an_emission_that_would_break_the_forwarder_is_not_sent() {
    let mut desk = Desk::online();
    desk.take();
    let empty = Emission { phy_payload: Vec::new(), ..emission(80 * MS) };
    let refusal = desk.link.send(at(0), EmissionId(1), &empty).unwrap_err();
    assert_eq!(refusal, NotSent::Invalid(Invalid::Size { bytes: 0 }));
    assert_eq!(desk.link.poll(), None);
}

#[test]
fn without_a_timestamp_only_one_is_under_way_until_it_is_off_the_air() {
    let mut desk = Desk::online();
    let (token, _) = desk.send(0, 1, 80 * MS);
    desk.tx_ack(0, token, "");
    let free_at = at(80 * MS).plus_us(emission(0).airtime_us() + 60_000);
    let busy = NotSent::Busy { outstanding: 1, free_at };
    let early = free_at.as_us() - 1;
    desk.take();
    assert_eq!(desk.refused_to_send(early, early + 80 * MS), busy);
    desk.send(free_at.as_us(), 2, free_at.as_us() + 80 * MS);
}

#[test]
fn whoever_keeps_the_pace_is_never_busy() {
    let mut desk = Desk::online();
    let (mut now, mut end) = (0, at(-S));
    for id in 0..50 {
        let pace = desk.link.pace(at(now), false);
        let start = end.plus_us(pace.gap_us);
        // Handed over up to 15 ms late.
        now = start.minus_us(pace.lead_us).as_us() + (id as i64 % 16) * MS;
        let (token, _) = desk.send(now, id, start.as_us());
        desk.tx_ack(now, token, "");
        end = start.plus_us(emission(0).airtime_us());
        desk.take();
    }
}

#[test]
fn a_refused_emission_leaves_the_air_free() {
    let mut desk = Desk::online();
    let (token, _) = desk.send(0, 1, 80 * MS);
    desk.refuse(0, token, "TX_FREQ");
    assert_eq!(desk.events(), [verdict(1, Verdict::Refused(Refusal::TxFreq))]);
    desk.send(1, 2, 80 * MS);
}

#[test]
fn a_timestamp_may_not_meet_an_emission_that_had_none() {
    let mut desk = Desk::online();
    let (token, _) = desk.send(0, 1, 80 * MS);
    desk.tx_ack(0, token, "");
    desk.uplink(10 * MS, COUNTER);
    desk.take();
    let free_at = at(80 * MS).plus_us(emission(0).airtime_us() + 60_000);
    assert_eq!(desk.refused_to_send(20 * MS, 200 * MS), NotSent::Busy { outstanding: 1, free_at });
    desk.send(20 * MS, 2, free_at.as_us());
}

#[test]
fn at_most_eight_answers_are_awaited() {
    let mut desk = Desk::timed();
    for id in 0..8 {
        desk.send(0, id, (id as i64 + 1) * 500 * MS);
    }
    let busy = NotSent::Busy { outstanding: 8, free_at: at(200 * MS) };
    assert_eq!(desk.refused_to_send(0, 5 * S), busy);
}

#[test]
fn an_estimate_that_steps_back_does_not_push_two_emissions_together() {
    let mut desk = Desk::timed();
    // Only later samples, 40 ms behind, remain when the first ages away.
    desk.uplink(200 * S, COUNTER + 200 * S - 40 * MS);
    let now = 299 * S + 900 * MS;
    desk.pull(now, 2);
    let (_, first) = desk.send(now, 1, now + 350 * MS);
    let airtime = emission(0).airtime_us();
    let next = now + 350 * MS + airtime as i64 + 45 * MS;
    let (_, second) = desk.send(now + 300 * MS, 2, next);
    assert_eq!(u64::from(tmst_of(&second).wrapping_sub(tmst_of(&first))), airtime + 45_000);
}

#[test]
fn silence_is_answered_by_one_copy_under_a_new_token() {
    let mut desk = Desk::timed();
    let (token, json) = desk.send(0, 1, 350 * MS);
    assert_eq!(desk.link.wake_at(), Some(at(200 * MS)));
    desk.time(199_999);
    assert_eq!(desk.take(), []);
    desk.time(200 * MS);
    let (copy, copied) = desk.pull_resp();
    assert_ne!(copy, token);
    assert_eq!(copied, json);
    desk.time(400 * MS);
    assert_eq!(desk.events(), [verdict(1, Verdict::Silent { immediate: false })]);
}

#[test]
fn a_copy_that_collides_found_the_first_in_its_place() {
    let mut desk = Desk::timed();
    desk.send(0, 1, 350 * MS);
    desk.time(200 * MS);
    let (copy, _) = desk.pull_resp();
    desk.refuse(201 * MS, copy, "COLLISION_PACKET");
    assert_eq!(desk.events(), [queued(1, 350 * MS)]);
}

#[test]
fn a_copy_that_collides_is_refused_when_the_first_was_refused_too() {
    let mut desk = Desk::timed();
    let (token, _) = desk.send(0, 1, 350 * MS);
    desk.time(200 * MS);
    let (copy, _) = desk.pull_resp();
    desk.refuse(201 * MS, token, "COLLISION_PACKET");
    assert_eq!(desk.events(), [], "the copy may still be taken");
    desk.refuse(202 * MS, copy, "COLLISION_PACKET");
    assert_eq!(desk.events(), [verdict(1, Verdict::Refused(Refusal::CollisionPacket))]);
}

#[test]
fn a_late_answer_to_the_first_copy_counts() {
    let mut desk = Desk::timed();
    let (token, _) = desk.send(0, 1, 350 * MS);
    desk.time(200 * MS);
    let (copy, _) = desk.pull_resp();
    desk.tx_ack(201 * MS, token, "");
    assert_eq!(desk.events(), [queued(1, 350 * MS)]);
    desk.refuse(202 * MS, copy, "COLLISION_PACKET");
    assert_eq!(desk.events(), [malformed(MalformedKind::UnknownAck { token: copy })]);
}

#[test]
fn no_copy_is_sent_when_the_start_is_near_or_the_counter_was_lost() {
    let mut desk = Desk::timed();
    desk.send(0, 1, 260 * MS);
    desk.time(200 * MS);
    assert_eq!(desk.events(), [verdict(1, Verdict::Silent { immediate: false })]);
    let mut desk = Desk::timed();
    desk.send(0, 1, 350 * MS);
    desk.uplink(100 * MS, 5);
    desk.take();
    desk.time(200 * MS);
    assert_eq!(desk.take(), [Output::Event(verdict(1, Verdict::Silent { immediate: false }))]);
}

#[test]
fn an_emission_without_a_timestamp_is_never_repeated() {
    let mut desk = Desk::online();
    desk.send(0, 1, 80 * MS);
    desk.time(200 * MS);
    assert_eq!(desk.take(), [Output::Event(verdict(1, Verdict::Silent { immediate: true }))]);
    // It may be on the air all the same.
    assert!(matches!(desk.refused_to_send(210 * MS, 290 * MS), NotSent::Busy { .. }));
}

#[test]
fn an_answer_counts_only_with_token_address_and_gateway() {
    let mut desk = Desk::timed();
    let (token, _) = desk.send(0, 1, 350 * MS);
    let unknown = |token| malformed(MalformedKind::UnknownAck { token });
    desk.tx_ack(1, token ^ 1, "");
    desk.hear(1, host(3), &header(2, token, 5, GATEWAY));
    desk.hear(1, host(2), &header(2, token, 5, [9; 8]));
    assert_eq!(desk.events(), [unknown(token ^ 1), unknown(token), unknown(token)]);
    desk.tx_ack(2, token, "{broken");
    assert_eq!(desk.events(), [malformed(MalformedKind::TxAckBody { token })]);
    desk.tx_ack(3, token, "\0");
    assert_eq!(desk.events(), [queued(1, 350 * MS)]);
    desk.tx_ack(4, token, "");
    assert_eq!(desk.events(), [unknown(token)]);
    assert_eq!(desk.link.state(at(4)).counts.unknown_acks, 4);
}

#[test]
fn an_answer_written_by_somebody_else_is_understood() {
    for (error, refusal) in [
        (tx_ack::Error::TooLate, Refusal::TooLate),
        (tx_ack::Error::CollisionBeacon, Refusal::CollisionBeacon),
        (tx_ack::Error::GpsUnlocked, Refusal::GpsUnlocked),
        (tx_ack::Error::SendFail, Refusal::Other("SEND_FAIL".to_owned())),
    ] {
        let mut desk = Desk::timed();
        let (token, _) = desk.send(0, 1, 350 * MS);
        let data = tx_ack::Data::new_with_error(error);
        let packet = tx_ack::Packet { random_token: token, gateway_mac: GATEWAY.into(), data };
        let mut bytes = [0; 256];
        let length = packet.serialize(&mut bytes).unwrap() as usize;
        desk.hear(1, host(2), &bytes[..length]);
        assert_eq!(desk.events(), [verdict(1, Verdict::Refused(refusal))]);
    }
}

#[test]
fn a_changed_power_is_queued_and_told() {
    for (value, id) in [(20, 1), (27, 2), (30, 3)] {
        let mut desk = Desk::timed();
        let (token, _) = desk.send(0, id, 350 * MS);
        desk.tx_ack(0, token, &format!(r#"{{"txpk_ack":{{"warn":"TX_POWER","value":{value}}}}}"#));
        let (asked, granted) = (Dbm::from_whole(27), Dbm::from_whole(value));
        let queued = Verdict::Queued { start: at(350 * MS), power: Some(granted) };
        let mut expected = vec![verdict(id, queued)];
        let id = EmissionId(id);
        match value {
            20 => expected.push(Event::PowerReduced { id, asked, granted }),
            30 => expected.push(Event::PowerExceeded { id, asked, granted }),
            _ => {}
        }
        assert_eq!(desk.events(), expected);
    }
}

#[test]
fn a_departure_told_by_the_forwarder_is_believed() {
    let mut desk = Desk::timed();
    let (token, json) = desk.send(0, 1, 350 * MS);
    let tmst = tmst_of(&json) + 7_000;
    desk.tx_ack(0, token, &format!(r#"{{"txpk_ack":{{"error":"NONE","tmst":{tmst}}}}}"#));
    assert_eq!(desk.events(), [queued(1, 357 * MS)]);
}

#[test]
fn too_early_for_something_ahead_means_the_counter_is_wrong() {
    let mut desk = Desk::timed();
    let (token, _) = desk.send(0, 1, 350 * MS);
    desk.refuse(MS, token, "TOO_EARLY");
    let lost = Event::CounterLost { why: CounterLoss::TooEarly };
    assert_eq!(desk.events(), [verdict(1, Verdict::Refused(Refusal::TooEarly)), lost]);
    assert_eq!(desk.link.pace(at(MS), false).lead_us, 80_000);
    desk.uplink(2 * MS, 77);
    assert_eq!(desk.events()[0], Event::CounterKnown { error_us: 15_000 });
}

#[test]
fn too_early_for_something_past_means_only_that_we_were_slow() {
    let mut desk = Desk::timed();
    let (token, _) = desk.send(0, 1, 150 * MS);
    desk.refuse(190 * MS, token, "TOO_EARLY");
    assert_eq!(desk.events(), [verdict(1, Verdict::Refused(Refusal::TooEarly))]);
    assert_eq!(desk.link.pace(at(190 * MS), false).lead_us, 350_000);
}

#[test]
fn a_counter_that_jumps_is_lost_and_learned_anew() {
    let mut desk = Desk::timed();
    desk.uplink(S, 5_000);
    let events = desk.events();
    assert!(matches!(events[0], Event::CounterLost { why: CounterLoss::Jumped { .. } }), "{events:?}");
    assert_eq!(events[1], Event::CounterKnown { error_us: 15_000 });
    let (_, json) = desk.send(S, 1, S + 350 * MS);
    assert_eq!(tmst_of(&json), 5_000 + 350_000 - 17);
}

#[test]
fn a_backlog_of_thirty_seconds_loses_no_counter() {
    let mut desk = Desk::timed();
    for second in 1..=30 {
        desk.uplink(30 * S + second, COUNTER + second * S);
    }
    desk.uplink(31 * S, COUNTER + 31 * S);
    let events = desk.events();
    assert!(events.iter().all(|event| matches!(event, Event::Uplink(_))), "{events:?}");
    let (_, json) = desk.send(31 * S, 1, 31 * S + 350 * MS);
    assert!(
        tmst_of(&json).abs_diff((COUNTER + 31 * S + 350 * MS).rem_euclid(1 << 32) as u32) < 2_000,
        "{json}"
    );
}

#[test]
fn two_boards_have_two_counters_and_our_emissions_name_the_first() {
    let mut desk = Desk::online();
    desk.take();
    let uplink = |board: i64, tmst: i64| {
        let tmst = tmst.rem_euclid(1 << 32);
        format!(r#"{{"rxpk":[{{"tmst":{tmst},"brd":{board},"freq":868.1,"size":1,"data":"QA=="}}]}}"#)
    };
    for second in 0..60 {
        let board = second % 2;
        desk.push(second * S, &uplink(board, COUNTER + second * S + board * 60 * S));
    }
    let events = desk.events();
    let others = events.iter().filter(|event| !matches!(event, Event::Uplink(_)));
    assert_eq!(others.collect::<Vec<_>>(), [&Event::CounterKnown { error_us: 15_000 }]);
    let ended = |event: &Event| match event {
        Event::Uplink(uplink) => {
            uplink.ended.us_since(uplink.received).max(uplink.received.us_since(uplink.ended))
        }
        _ => 0,
    };
    assert!(events.iter().all(|event| ended(event) < 5_000), "each by the counter of its board");
    let (_, json) = desk.send(59 * S, 1, 60 * S);
    assert!(json.contains(r#","brd":0,"modu""#), "{json}");
    assert!(tmst_of(&json).abs_diff((COUNTER + 60 * S).rem_euclid(1 << 32) as u32) < 5_000, "{json}");
    let tmst = Tmst((COUNTER + 121 * S).rem_euclid(1 << 32) as u32);
    let instant = |board| desk.link.instant_of(at(59 * S), board, tmst).map(|at| (at.as_us() + S / 2) / S);
    assert_eq!((instant(Some(1)), instant(Some(0)), instant(None)), (Some(61), Some(121), Some(121)));
    assert_eq!(instant(Some(2)), None, "a board that was never heard has no time");
}

#[test]
fn a_keepalive_from_a_new_port_is_a_restart() {
    let mut desk = Desk::timed();
    desk.pull(S, 5);
    let online = Event::Online { gateway: GatewayId(GATEWAY), from: host(5), version: 2 };
    assert_eq!(desk.events(), [online, Event::CounterLost { why: CounterLoss::NewSource }]);
    assert_eq!(desk.link.state(at(S)).online, Some(host(5)));
    desk.uplink(2 * S, COUNTER);
    assert_eq!(desk.events()[0], Event::CounterKnown { error_us: 15_000 });
}

#[test]
fn a_counter_without_uplinks_ages_away() {
    let mut desk = Desk::timed();
    for second in (10..=300).step_by(10) {
        assert_eq!(desk.events(), []);
        desk.pull(second * S, 2);
    }
    assert_eq!(desk.events(), [Event::CounterLost { why: CounterLoss::Aged }]);
    assert_eq!(desk.link.state(at(300 * S)).counter, None);
}

#[test]
fn three_missing_keepalives_are_offline_and_the_next_one_is_online() {
    let mut desk = Desk::online();
    assert_eq!(desk.link.wake_at(), Some(at(122_500 * MS)), "35 s until the interval is learned");
    for second in [10, 20, 30] {
        desk.pull(second * S, 2);
    }
    desk.take();
    assert_eq!(desk.link.wake_at(), Some(at(65 * S)));
    desk.time(65 * S);
    assert_eq!(desk.events(), [Event::Offline { silent_us: 35_000_000 }]);
    assert_eq!(desk.refused_to_send(65 * S, 65 * S + 80 * MS), NotSent::Offline);
    assert_eq!(desk.link.wake_at(), None);
    desk.pull(70 * S, 2);
    assert_eq!(desk.events(), [Event::Online { gateway: GatewayId(GATEWAY), from: host(2), version: 2 }]);
    assert_eq!(desk.link.wake_at(), Some(at(105 * S)), "the pause is no interval");
}

#[test]
fn a_caller_who_takes_nothing_costs_no_more_memory() {
    let mut link = Link::new(Settings::default(), 7);
    for _ in 0..1000 {
        link.datagram(at(0), host(2), &header(2, 1, 2, GATEWAY));
    }
    assert!(link.state(at(0)).counts.dropped > 700);
    assert!(std::iter::from_fn(|| link.poll()).count() < 260);
}

/// A real datagram with some bytes changed and an end cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let push = br#"{"rxpk":[{"tmst":3512348611,"tmms":1451361863123,"freq":866.349812,"stat":1,"modu":"LORA","datr":"SF7BW125","size":32,"data":"QCkAASY="}],"stat":{"rxnb":2,"ackr":66.7,"txnb":4}}"#;
    let ack = br#"{"txpk_ack":{"warn":"TX_POWER","value":27,"tmst":17}}"#;
    let bodies = [(0, &push[..]), (2, b""), (5, &ack[..])];
    let datagram = proptest::sample::select(bodies.to_vec())
        .prop_map(|(identifier, body)| [&header(2, 0x0102, identifier, GATEWAY)[..], body].concat());
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6);
    (datagram, changes, any::<proptest::sample::Index>()).prop_map(|(mut datagram, changes, cut)| {
        for (index, byte) in changes {
            let index = index.index(datagram.len());
            datagram[index] = byte;
        }
        let keep = datagram.len() - cut.index(datagram.len()) % 20;
        datagram.truncate(keep);
        datagram
    })
}

/// The ack that PROTOCOL.TXT wants for `bytes`, by its own words, where they are of the gateway that is served.
fn ack_due(bytes: &[u8], served: Option<GatewayId>) -> Option<Vec<u8>> {
    let is_served = served.is_some_and(|served| bytes.get(4..12) == Some(&served.0));
    let is_good = is_served && bytes.len() >= 12 && [1, 2].contains(&bytes[0]) && [0, 2].contains(&bytes[3]);
    is_good.then(|| vec![bytes[0], bytes[1], bytes[2], if bytes[3] == 0 { 1 } else { 4 }])
}

proptest! {
    #[test]
    fn whatever_comes_nothing_breaks_and_what_deserves_an_ack_gets_exactly_that(
        datagrams in proptest::collection::vec(
            (prop_oneof![mutated(), proptest::collection::vec(any::<u8>(), 0..64)], any::<i64>(), 0_i64..5_000_000),
            1..40,
        ),
        token_matches in any::<bool>(),
    ) {
        let mut desk = Desk::timed();
        let mut now = 0;
        for (mut bytes, wild, step) in datagrams {
            now += step;
            if let Ok(()) = desk.link.send(at(now), EmissionId(1), &emission(now + 350 * MS))
                && let Some(Output::Datagram { bytes: sent, .. }) = desk.link.poll()
                && token_matches
                && bytes.len() > 3
            {
                bytes[1..3].copy_from_slice(&sent[1..3]);
            }
            desk.drain();
            desk.take();
            desk.hear(now, host(2), &bytes);
            let is_ack = |bytes: &[u8]| bytes.len() == 4;
            let acks: Vec<_> = desk.take().into_iter().filter_map(|output| match output {
                Output::Datagram { to, bytes } if is_ack(&bytes) => Some((to, bytes)),
                _ => None,
            }).collect();
            let due: Vec<_> = ack_due(&bytes, desk.link.state(at(now)).gateway).map(|ack| (host(2), ack)).into_iter().collect();
            prop_assert_eq!(acks, due);
            // A clock that runs wild is not ours to survive in style, but to survive.
            let mut other = Desk::timed();
            other.hear(wild, host(2), &bytes);
            other.time(wild);
        }
    }
}
