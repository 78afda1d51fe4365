//! The relay as the engine's neighbours see it: datagrams in, datagrams out. The forwarder here is a desk with three
//! drawers; nothing is on the air.

use crate::support::small_world;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuotad::broadcast::TaskSource;
use fuotad::engine::Engine;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::engine::Settings;
use fuotad::forwarder;
use fuotad::lorawan::multicast_frame;
use fuotad::relay::RelaySettings;
use fuotad::relay::ServerSettings;
use fuotad::report::Event;
use fuotad::schedule::Kept;
use fuotad::sim::random::Random;
use fuotad::time::Instant;
use fuotad::time::Now;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;

const GATEWAY: [u8; 8] = [0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
const PULL: u16 = 40_001;

struct Desk {
    engine: Engine,
    /// What left for the forwarder: where to, and the bytes.
    south: Vec<(SocketAddr, Vec<u8>)>,
    /// What left for the servers.
    north: Vec<(usize, Vec<u8>)>,
    reports: Vec<Event>,
    wake_at: Option<Instant>,
    /// Bytes of the image that a task gets.
    image_len: usize,
}

fn server(name: &str) -> ServerSettings {
    ServerSettings { name: name.to_owned(), is_uplink_only: false, is_enforced: false }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn at(ms: i64) -> Now {
    let gps = small_world::START.plus_us(u64::try_from(ms * 1000).unwrap());
    Now { mono: Instant::from_us(ms * 1000), gps: Some(gps) }
}

impl Desk {
    fn new(servers: Vec<ServerSettings>, link: forwarder::Settings) -> Desk {
        let settings = Settings {
            forwarder: link,
            relay: RelaySettings { servers, ..RelaySettings::default() },
            kept: Kept { server_reserve_ppm: 100_000, min_heard_ppm: 0 },
            ..small_world::settings()
        };
        let engine = Engine::new(settings, small_world::enrolled(), 1, at(0));
        Desk {
            engine,
            south: Vec::new(),
            north: Vec::new(),
            reports: Vec::new(),
            wake_at: None,
            image_len: 1000,
        }
    }

    /// A forwarder that is online, whose counter is the world's own clock, and one server.
    fn ready() -> Desk {
        let mut desk = Desk::new(vec![server("a:1")], forwarder::Settings::default());
        desk.pull_data(0);
        desk.uplink(10, r#"{"rxpk":[{"tmst":10000,"stat":1,"data":"AA=="}]}"#);
        desk.forget();
        desk
    }

    fn forget(&mut self) {
        self.south.clear();
        self.north.clear();
        self.reports.clear();
    }

    fn forget_given(&mut self) {
        self.south.clear();
    }

    fn tell(&mut self, ms: i64, input: Input<'_>) {
        self.engine.handle(at(ms), input);
        loop {
            match self.engine.poll() {
                Output::WakeAt(at) => {
                    self.wake_at = at;
                    return;
                }
                Output::Datagram { to, bytes } => self.south.push((to, bytes)),
                Output::ToServer { server, bytes } => self.north.push((server, bytes)),
                Output::Report(report) => self.reports.push(report.event),
                Output::Fetch(fetch) => {
                    let image = small_world::image(self.image_len);
                    self.tell(ms, Input::Image(fetch.task, image, None));
                }
                Output::Save(save, _) => self.tell(ms, Input::Saved(save, Ok(()))),
                Output::Stopped | Output::LnsPush { .. } => {}
            }
        }
    }

    /// Lets time pass, waking the engine when it asks for it.
    fn wait(&mut self, until_ms: i64) {
        while let Some(wake) = self.wake_at.filter(|wake| *wake <= Instant::from_us(until_ms * 1000)) {
            self.tell((wake.as_us() + 999) / 1000, Input::Time);
        }
    }

    fn datagram(&mut self, ms: i64, from: SocketAddr, head: [u8; 4], body: &[u8]) {
        let bytes = [&head[..], &GATEWAY, body].concat();
        self.tell(ms, Input::Datagram { from, bytes: &bytes });
    }

    fn pull_data(&mut self, ms: i64) {
        self.datagram(ms, local(PULL), [2, 1, 2, 2], b"");
    }

    fn uplink(&mut self, ms: i64, json: &str) {
        self.datagram(ms, local(40_000), [2, 3, 4, 0], json.as_bytes());
    }

    fn downlink(&mut self, ms: i64, server: usize, token: u16, txpk: &Value) {
        let json = json!({ "txpk": txpk }).to_string();
        let [high, low] = token.to_be_bytes();
        let bytes = [&[2, high, low, 3][..], json.as_bytes()].concat();
        self.tell(ms, Input::FromServer { server, bytes: &bytes });
    }

    fn tx_ack(&mut self, ms: i64, from: SocketAddr, token: [u8; 2], body: &str) {
        self.datagram(ms, from, [2, token[0], token[1], 5], body.as_bytes());
    }

    /// Tokens and `txpk` of what was given to the forwarder.
    fn given(&self) -> Vec<([u8; 2], Value)> {
        let given = self.south.iter().filter(|(_, bytes)| bytes[3] == 3);
        let read = |bytes: &[u8]| {
            let json: Value = serde_json::from_slice(&bytes[4..]).unwrap();
            ([bytes[1], bytes[2]], json["txpk"].clone())
        };
        given.map(|(_, bytes)| read(bytes)).collect()
    }

    /// TX_ACKs that went to the servers: which, the token, the text.
    fn acks(&self) -> Vec<(usize, u16, String)> {
        let acks = self.north.iter().filter(|(_, bytes)| bytes[3] == 5);
        acks.map(|(server, bytes)| {
            assert_eq!(bytes[4..12], GATEWAY);
            let text = String::from_utf8(bytes[12..].to_vec()).unwrap();
            (*server, u16::from_be_bytes([bytes[1], bytes[2]]), text)
        })
        .collect()
    }
}

/// A Class A answer of 30 ms at this counter value, microseconds.
fn answer(tmst: u32) -> Value {
    json!({
        "tmst": tmst, "freq": 868.1, "rfch": 0, "powe": 14, "modu": "LORA", "datr": "SF7BW125", "codr": "4/5",
        "ipol": true, "size": 12, "data": "YAEQASYAAQAAAAAA", "brd": 0, "x": {"unknown": [1.5e3]},
    })
}

/// A downlink with these bytes.
fn carrying(tmst: u32, phy_payload: &[u8]) -> Value {
    let mut txpk = answer(tmst);
    txpk["size"] = json!(phy_payload.len());
    txpk["data"] = json!(STANDARD.encode(phy_payload));
    txpk
}

const COLLISION: &str = r#"{"txpk_ack":{"error":"COLLISION_PACKET"}}"#;

#[test]
fn an_uplink_is_acked_at_once_and_goes_north_with_every_byte_as_it_came() {
    let mut desk = Desk::new(vec![server("a:1"), server("b:1")], forwarder::Settings::default());
    desk.pull_data(0);
    desk.forget();
    let json = r#"{"rxpk":[{"tmst":9,"data":"AA==","foo":1e-7},{"jver":2,"rsig":[{"ant":1}]}],"stat":{"ackr":1.50}} "#;
    desk.uplink(5, json);
    assert_eq!(desk.south, [(local(40_000), vec![2, 3, 4, 1])]);
    let came = [&[2, 3, 4, 0][..], &GATEWAY, json.as_bytes()].concat();
    assert_eq!(desk.north, [(0, came.clone()), (1, came)]);
}

#[test]
fn a_server_got_as_many_uplinks_as_packets_with_a_good_crc_were_relayed_to_it() {
    let mut desk = Desk::ready();
    desk.uplink(
        20,
        r#"{"rxpk":[{"tmst":20000,"stat":1,"data":"AA=="},{"tmst":20000,"stat":-1,"data":"AA=="}]}"#,
    );
    desk.uplink(30, r#"{"rxpk":[{"tmst":30000,"stat":1,"data":"AA=="}],"stat":{"rxok":1}}"#);
    desk.uplink(40, r#"{"stat":{"rxok":1}}"#);
    let counts: Vec<_> = desk.engine.servers().map(|(_, counts)| (counts.pushed, counts.uplinks)).collect();
    assert_eq!(counts, [(4, 3)], "one more of each came before");
}

#[test]
fn the_servers_get_an_uplink_before_the_forwarder_gets_its_ack() {
    let mut desk = Desk::ready();
    let bytes = [&[2, 3, 4, 0][..], &GATEWAY, br#"{"rxpk":[]}"#].concat();
    desk.engine.handle(at(20), Input::Datagram { from: local(40_000), bytes: &bytes });
    let first = desk.engine.poll();
    assert!(matches!(first, Output::ToServer { server: 0, .. }), "{first:?}");
    let is_ack = |output: &Output| matches!(output, Output::Datagram { bytes, .. } if *bytes == [2, 3, 4, 1]);
    assert!(std::iter::repeat_with(|| desk.engine.poll()).take(10).any(|output| is_ack(&output)));
}

#[test]
fn while_a_servers_queue_is_full_uplinks_are_relayed_and_not_acked_and_keepalives_are() {
    let mut desk = Desk::ready();
    desk.forget();
    desk.forget_given();
    desk.tell(20, Input::ServersFull(true));
    desk.uplink(30, r#"{"rxpk":[]}"#);
    assert_eq!((desk.north.len(), desk.south.len()), (1, 0), "{:?}", desk.south);
    desk.pull_data(40);
    assert_eq!(desk.south, [(local(PULL), vec![2, 1, 2, 4])]);
    desk.forget_given();
    desk.tell(50, Input::ServersFull(false));
    desk.uplink(60, r#"{"rxpk":[]}"#);
    assert_eq!(desk.south, [(local(40_000), vec![2, 3, 4, 1])]);
}

#[test]
fn what_is_no_json_is_acked_and_relayed_all_the_same() {
    let mut desk = Desk::ready();
    desk.uplink(20, "no json at all");
    assert_eq!((desk.south.len(), desk.north.len()), (1, 1));
}

#[test]
fn another_gateways_uplinks_are_neither_acked_nor_relayed_and_the_line_that_helps_is_told_once() {
    let gateway = Some(forwarder::GatewayId(GATEWAY));
    for (link, why) in [
        (forwarder::Settings::default(), "the first one heard"),
        (forwarder::Settings { gateway, ..Default::default() }, "as `gateway.id` says"),
    ] {
        let mut desk = Desk::new(vec![server("a:1")], link);
        desk.pull_data(0);
        desk.forget();
        for ms in 20..60 {
            let bytes = [&[2, 3, 4, 0][..], &[9; 8], b"{\"rxpk\":[]}"].concat();
            desk.tell(ms, Input::Datagram { from: local(40_002), bytes: &bytes });
        }
        assert_eq!((desk.south.len(), desk.north.len()), (0, 0));
        let told: Vec<String> = desk.reports.iter().map(Event::to_string).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        for part in
            ["0909090909090909", "127.0.0.1:40002", "0016c001f1500812", why, "`id = \"0909090909090909\"`"]
        {
            assert!(told[0].contains(part), "{part} in {}", told[0]);
        }
        assert_eq!(desk.engine.other_senders().map(|other| other.datagrams).collect::<Vec<_>>(), [40]);
    }
}

#[test]
fn a_downlink_gets_a_token_of_ours_and_its_answer_the_servers() {
    let mut desk = Desk::ready();
    desk.downlink(20, 0, 0xABCD, &answer(1_000_000));
    let given = desk.given();
    assert_eq!(given[0].1, answer(1_000_000), "every member as it came");
    assert_ne!(given[0].0, [0xAB, 0xCD]);
    assert_eq!(desk.acks(), []);
    desk.tx_ack(21, local(PULL), given[0].0, r#"{"txpk_ack":{"warn":"TX_POWER","value":12}}"#);
    assert_eq!(desk.acks(), [(0, 0xABCD, r#"{"txpk_ack":{"warn":"TX_POWER","value":12}}"#.to_owned())]);
    desk.tx_ack(22, local(PULL), given[0].0, "");
    assert_eq!(desk.acks().len(), 1, "a second answer is nobody's");
}

#[test]
fn downlinks_of_two_boards_keep_their_board_and_their_own_time() {
    let mut desk = Desk::ready();
    let uplink = |board: u32, tmst: u32| {
        format!(r#"{{"rxpk":[{{"tmst":{tmst},"brd":{board},"stat":1,"data":"AA=="}}]}}"#)
    };
    desk.uplink(20, &uplink(0, 20_000));
    desk.uplink(30, &uplink(1, 60_030_000));
    let on = |board: u32, tmst: u32| {
        let mut txpk = answer(tmst);
        txpk["brd"] = json!(board);
        txpk
    };
    // One second ahead by the counter of each; the same moment on both boards counts as one radio.
    let (first, second) = (on(0, 1_040_000), on(1, 62_040_000));
    desk.downlink(40, 0, 1, &first);
    desk.downlink(40, 0, 2, &second);
    desk.downlink(40, 0, 3, &on(1, 61_040_000));
    let given: Vec<Value> = desk.given().into_iter().map(|(_, txpk)| txpk).collect();
    assert_eq!(given, [first, second], "with every member as it came");
    assert_eq!(desk.acks(), [(0, 3, COLLISION.to_owned())]);
}

#[test]
fn a_downlink_before_the_first_keepalive_goes_to_where_the_forwarder_was_in_the_last_life() {
    let gateway = forwarder::GatewayId(GATEWAY);
    let last = forwarder::PullAddress { gateway, address: local(PULL), version: 2 };
    let settings = |last_pull| forwarder::Settings { last_pull, ..Default::default() };
    let mut desk = Desk::new(vec![server("a:1")], settings(Some(last)));
    desk.tell(1, Input::Time);
    assert_eq!(desk.north.len(), 1, "the server hears at once which gateway is there again");
    desk.downlink(20, 0, 77, &answer(5_000_000));
    let [(to, sent)] = &desk.south[..] else { panic!("{:?}", desk.south) };
    assert_eq!((*to, sent[3]), (local(PULL), 3));
    desk.tx_ack(21, local(PULL), [sent[1], sent[2]], "");
    assert_eq!(desk.acks(), [(0, 77, String::new())]);
    // What is heard counts.
    desk.forget();
    desk.datagram(30, local(41_000), [2, 1, 2, 2], b"");
    desk.forget_given();
    desk.downlink(40, 0, 78, &answer(6_000_000));
    assert_eq!(desk.south.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [local(41_000)]);
    // Another gateway's address, and none.
    let other = forwarder::PullAddress { gateway: forwarder::GatewayId([9; 8]), ..last };
    let configured = forwarder::Settings { gateway: Some(gateway), ..settings(Some(other)) };
    for settings in [configured, settings(None)] {
        let mut desk = Desk::new(vec![server("a:1")], settings);
        desk.downlink(20, 0, 77, &answer(5_000_000));
        assert_eq!(desk.south, []);
    }
}

#[test]
fn two_servers_with_one_token_and_two_downlinks_at_once_are_kept_apart() {
    let mut desk = Desk::new(vec![server("a:1"), server("b:1")], forwarder::Settings::default());
    desk.pull_data(0);
    desk.uplink(10, r#"{"rxpk":[{"tmst":10000,"stat":1,"data":"AA=="}]}"#);
    desk.forget();
    desk.downlink(20, 0, 7, &answer(1_000_000));
    desk.downlink(20, 1, 7, &answer(2_000_000));
    desk.downlink(20, 0, 8, &answer(3_000_000));
    let given = desk.given();
    desk.tx_ack(21, local(PULL), given[1].0, r#"{"txpk_ack":{"error":"TOO_LATE"}}"#);
    desk.tx_ack(21, local(PULL), given[2].0, "");
    desk.tx_ack(21, local(PULL), given[0].0, "");
    let too_late = r#"{"txpk_ack":{"error":"TOO_LATE"}}"#.to_owned();
    assert_eq!(desk.acks(), [(1, 7, too_late), (0, 8, String::new()), (0, 7, String::new())]);
}

#[test]
fn what_would_end_the_forwarder_is_answered_by_us_and_never_reaches_it() {
    let mut desk = Desk::ready();
    let bad = |key: &str, value: Value| {
        let mut txpk = answer(1_000_000);
        txpk[key] = value;
        txpk
    };
    let all = [
        bad("data", json!("YAEQASYAAQAA-AAA")),
        bad("rfch", json!(7)),
        bad("size", json!(13)),
        bad("codr", Value::Null),
        bad("data", json!("A".repeat(2000))),
    ];
    for (token, txpk) in (0u16..).zip(&all) {
        desk.downlink(20, 0, token, txpk);
    }
    assert_eq!(desk.given(), []);
    let refused: Vec<(&str, u64)> =
        desk.engine.refused_downlinks().iter().map(|(why, n)| (*why, *n)).collect();
    assert_eq!(refused, [("codr", 1), ("data", 1), ("rfch", 1), ("size", 1), ("too-long", 1)]);
    let reasons: Vec<String> = desk.reports.iter().map(Event::to_string).collect();
    assert!(
        reasons.iter().any(|line| line.contains("a downlink of a:1 was refused: rfch 7 cannot be sent")),
        "{reasons:?}"
    );
    assert_eq!(reasons.len(), 5);
    for ms in 20..60_000 {
        desk.downlink(ms, 0, 99, &bad("rfch", json!(9)));
    }
    let told = desk.reports.iter().filter(|event| matches!(event, Event::DownlinkRefused { .. })).count();
    assert_eq!(told, 5, "a reason is told once a minute");
    let unknown = r#"{"txpk_ack":{"error":"UNKNOWN"}}"#;
    let told: Vec<_> = (0u16..).take(all.len()).map(|token| (0, token, unknown.to_owned())).collect();
    assert_eq!(desk.acks()[..all.len()], told);
}

#[test]
fn an_enforced_server_keeps_to_the_power_and_the_frequencies_of_the_region() {
    for (member, value, is_told) in [
        ("powe", json!(16), None),
        ("powe", json!(17), Some(("TX_POWER", "power"))),
        ("freq", json!(862.0), Some(("TX_FREQ", "frequency"))),
        ("freq", json!(915.0), Some(("TX_FREQ", "frequency"))),
    ] {
        for is_enforced in [true, false] {
            let server = ServerSettings { is_enforced, ..server("a:1") };
            let mut desk = Desk::new(vec![server], forwarder::Settings::default());
            desk.pull_data(0);
            desk.uplink(10, r#"{"rxpk":[{"tmst":10000,"stat":1,"data":"AA=="}]}"#);
            let mut txpk = answer(1_000_000);
            txpk[member] = value.clone();
            desk.downlink(20, 0, 1, &txpk);
            match is_told.filter(|_| is_enforced) {
                None => assert_eq!(desk.given().len(), 1, "{member} {value}"),
                Some((error, reason)) => {
                    assert_eq!(desk.acks(), [(0, 1, format!(r#"{{"txpk_ack":{{"error":"{error}"}}}}"#))]);
                    assert_eq!(desk.engine.refused_downlinks().get(reason), Some(&1));
                    assert_eq!((desk.given().len(), desk.engine.relayed().unlawful), (0, 1));
                }
            }
        }
    }
}

#[test]
fn a_server_for_uplinks_only_may_not_send() {
    let only = ServerSettings { is_uplink_only: true, ..server("a:1") };
    let mut desk = Desk::new(vec![only], forwarder::Settings::default());
    desk.pull_data(0);
    desk.uplink(10, r#"{"rxpk":[{"tmst":10000,"stat":1,"data":"AA=="}]}"#);
    desk.downlink(20, 0, 7, &answer(1_000_000));
    assert_eq!((desk.given(), desk.acks()), (vec![], vec![]));
    assert!(desk.north.iter().all(|(_, bytes)| bytes[3] == 0), "no keepalive for it");
}

#[test]
fn an_immediate_downlink_gets_a_place_in_our_table_and_two_of_them_do_not_meet() {
    let mut desk = Desk::ready();
    let mut immediate = answer(0);
    immediate.as_object_mut().unwrap().remove("tmst");
    immediate["imme"] = json!(true);
    desk.downlink(20, 0, 1, &immediate);
    desk.downlink(21, 0, 2, &immediate);
    let starts: Vec<u64> = desk.given().iter().map(|(_, txpk)| txpk["tmst"].as_u64().unwrap()).collect();
    assert!((99_000..=101_000).contains(&starts[0]), "80 ms after it came: {starts:?}");
    assert!(starts[1] >= starts[0] + 41_000 + 42_500, "the air is free between them: {starts:?}");
}

#[test]
fn without_a_counter_immediate_downlinks_go_one_after_the_other() {
    let mut desk = Desk::new(vec![server("a:1")], forwarder::Settings::default());
    desk.pull_data(0);
    let mut immediate = answer(0);
    immediate.as_object_mut().unwrap().remove("tmst");
    immediate["imme"] = json!(true);
    for token in 0..3 {
        desk.downlink(20, 0, token, &immediate);
    }
    assert_eq!(desk.given().len(), 1);
    desk.wait(300);
    assert_eq!(desk.given().len(), 2);
    desk.wait(1000);
    let given = desk.given();
    assert_eq!(given.len(), 3);
    assert!(given.iter().all(|(_, txpk)| txpk["imme"] == json!(true)), "{given:?}");
}

/// A desk whose campaign has handed over a frame: its counter value.
fn with_a_frame_handed_over(image_len: usize) -> (Desk, u32) {
    let mut desk = Desk { image_len, ..Desk::ready() };
    let document = small_world::document(100, "");
    let source = TaskSource::File;
    desk.tell(15, Input::Task { document: document.as_bytes(), stem: "task-1", source });
    for second in 1..30 {
        desk.pull_data(second * 1000);
        desk.uplink(
            second * 1000,
            &format!(r#"{{"rxpk":[{{"tmst":{},"stat":1,"data":"AA=="}}]}}"#, second * 1_000_000),
        );
    }
    desk.wait(31_000);
    let given = desk.given();
    let (token, txpk) = given.first().expect("the campaign began");
    let tmst = u32::try_from(txpk["tmst"].as_u64().unwrap()).unwrap();
    let token = *token;
    desk.tx_ack(30_000, local(PULL), token, "");
    (desk, tmst)
}

#[test]
fn a_forwarder_that_comes_back_ends_the_rest_that_its_refusals_caused() {
    let (mut desk, _) = with_a_frame_handed_over(1000);
    let mut ms = 31_000;
    // 10 s are more than the pause after any one refusal.
    loop {
        desk.forget_given();
        for _ in 0..10 {
            ms += 1000;
            desk.wait(ms);
            desk.pull_data(ms);
        }
        let given = desk.given();
        if given.is_empty() {
            break;
        }
        for (token, _) in given {
            desk.tx_ack(ms, local(PULL), token, r#"{"txpk_ack":{"error":"UNKNOWN"}}"#);
        }
        assert!(ms < 1_000_000, "{:?}", desk.reports);
    }
    let refused = |event: &&Event| matches!(event, Event::Refusal { .. });
    let told: Vec<String> = desk.reports.iter().filter(refused).map(Event::to_string).collect();
    assert!(
        !told.is_empty() && told.iter().all(|line| line.ends_with(": UNKNOWN")),
        "in its words: {told:?}"
    );
    // Another source port: the process was started anew.
    desk.datagram(ms, local(PULL + 1), [2, 1, 2, 2], b"");
    desk.wait(ms + 2000);
    assert!(!desk.given().is_empty(), "the rest is over");
}

#[test]
fn a_downlink_that_meets_a_frame_which_the_forwarder_has_is_refused_at_once() {
    let (mut desk, tmst) = with_a_frame_handed_over(1000);
    desk.forget();
    for (token, off_us) in [(1, 0i64), (2, -30_000), (3, 60_000)] {
        let tmst = u32::try_from(i64::from(tmst) + off_us).unwrap();
        desk.downlink(30_001, 0, token, &answer(tmst));
    }
    let collided = |token| (0, token, COLLISION.to_owned());
    assert_eq!(desk.acks(), [collided(1), collided(2), collided(3)]);
    assert_eq!(desk.engine.relayed().collided, 3);
}

#[test]
fn a_downlink_over_the_legal_limit_passes_and_is_reported_or_is_refused_where_the_operator_says_so() {
    for is_enforced in [false, true] {
        let server = ServerSettings { is_enforced, ..server("a:1") };
        let mut desk = Desk::new(vec![server], forwarder::Settings::default());
        desk.pull_data(0);
        desk.uplink(10, r#"{"rxpk":[{"tmst":10000,"stat":1,"data":"AA=="}]}"#);
        // 1.3 s each at SF12 in the 1 % of 868.0-868.6: 36 s an hour are 27 of them.
        for n in 1..=40u16 {
            let mut txpk = answer(u32::from(n) * 2_000_000);
            txpk["datr"] = json!("SF12BW125");
            desk.downlink(20 + i64::from(n), 0, n, &txpk);
            let (token, _) = *desk.given().last().unwrap();
            desk.tx_ack(20 + i64::from(n), local(PULL), token, "");
        }
        let counts = desk.engine.relayed();
        let breaches =
            desk.reports.iter().filter(|event| matches!(event, Event::ServerBreach { .. })).count();
        if is_enforced {
            assert!(counts.unlawful > 5 && counts.breaches == 0 && breaches == 0, "{counts:?}");
            assert!(counts.airtime_us <= 36_000_000, "{counts:?}");
        } else {
            assert!(counts.unlawful == 0 && counts.breaches > 5, "{counts:?}");
            assert_eq!(breaches, 1, "told once an hour");
            let over = |event: &Event| match event {
                Event::ServerBreach { used_us, budget_us, .. } => {
                    *used_us > 36_000_000 && *budget_us == Some(36_000_000)
                }
                _ => false,
            };
            assert!(desk.reports.iter().any(over), "with its numbers: {:?}", desk.reports);
        }
    }
}

#[test]
fn a_server_that_uses_a_counter_of_the_campaign_and_has_its_key_ends_it() {
    let (mut desk, _) = with_a_frame_handed_over(1000);
    // A frame to 01c0ffee with counter 10, which the campaign has reserved. Without the key it is nobody's.
    let frame = multicast_frame(&small_world::group().keys, small_world::mc_addr(), 10, 1, b"mine").unwrap();
    let mut forged = frame.clone();
    forged[frame.len() - 4..].fill(0);
    for token in [1, 2] {
        desk.downlink(
            30_005 + i64::from(token),
            0,
            token,
            &carrying(40_000_000 + u32::from(token) * 300_000, &forged),
        );
    }
    let told =
        |wanted: fn(&Event) -> bool, desk: &Desk| desk.reports.iter().filter(|event| wanted(event)).count();
    assert_eq!(
        told(|event| matches!(event, Event::WrongMic { mc_addr: 0x01c0_ffee, fcnt: 10, .. }), &desk),
        1
    );
    assert_eq!(told(|event| matches!(event, Event::SecondSender { .. } | Event::Over(_)), &desk), 0);
    assert_eq!(
        (desk.engine.relayed().wrong_mic, desk.engine.tasks().count()),
        (2, 1),
        "the campaign goes on"
    );
    desk.downlink(30_010, 0, 3, &carrying(41_000_000, &frame));
    assert!(
        desk.reports
            .iter()
            .any(|event| matches!(event, Event::SecondSender { mc_addr: 0x01c0_ffee, fcnt: 10 }))
    );
    let over = desk
        .reports
        .iter()
        .any(|event| matches!(event, Event::Over(outcome) if outcome.to_string().contains("counter 10")));
    assert!(over, "{:?}", desk.reports);
}

#[test]
fn frames_that_were_acknowledged_and_never_sent_are_made_up_for() {
    let (mut desk, _) = with_a_frame_handed_over(40_000);
    let stat = |txnb: u32| format!(r#"{{"stat":{{"txnb":{txnb}}}}}"#);
    // Every frame is acknowledged; the reports come each 30 s.
    let mut answered = 1;
    for ms in (30_050..130_000).step_by(50) {
        desk.wait(ms);
        let given = desk.given();
        for (token, _) in &given[answered..] {
            desk.tx_ack(ms, local(PULL), *token, "");
        }
        answered = given.len();
        if ms % 1000 == 50 {
            desk.pull_data(ms);
        }
        if ms % 30_000 == 50 {
            // The first two only teach the interval; then the radio has got nothing at all.
            desk.uplink(ms, &stat(0));
        }
    }
    let extra_coded: u32 = desk
        .reports
        .iter()
        .map(|event| match event {
            Event::SilentlyDropped { extra_coded, .. } => *extra_coded,
            _ => 0,
        })
        .sum();
    assert!(extra_coded > 0, "{:?}", desk.reports.last());
    assert!(desk.engine.link().counts.silently_dropped >= u64::from(extra_coded));
}

#[test]
fn a_halted_gateway_goes_on_relaying() {
    let mut desk = Desk::ready();
    desk.engine.halt(at(11), "the disk is gone".to_owned());
    desk.uplink(20, r#"{"rxpk":[]}"#);
    desk.downlink(30, 0, 1, &answer(1_000_000));
    assert_eq!((desk.south.len(), desk.north.len()), (2, 1));
    let document = small_world::document(100, "");
    desk.tell(40, Input::Task { document: document.as_bytes(), stem: "task-1", source: TaskSource::File });
    desk.wait(60_000);
    assert_eq!(desk.given().len(), 1, "the server's downlink and nothing of ours");
}

#[test]
fn a_forwarder_of_version_1_is_relayed_for_and_answers_nothing() {
    let mut desk = Desk::new(vec![server("a:1")], forwarder::Settings::default());
    desk.datagram(0, local(PULL), [1, 1, 2, 2], b"");
    desk.wait(100);
    assert_eq!(desk.north[0].1[..4], [1, desk.north[0].1[1], desk.north[0].1[2], 2]);
    desk.datagram(10, local(40_000), [1, 3, 4, 0], br#"{"rxpk":[{"tmst":10000,"stat":1,"data":"AA=="}]}"#);
    assert_eq!(desk.north.last().unwrap().1[0], 1, "its own bytes");
    desk.downlink(20, 0, 9, &answer(1_000_000));
    let (_, bytes) = desk.south.last().unwrap();
    assert_eq!(bytes[..4], [1, 0, 0, 3]);
    assert_eq!(desk.acks(), []);
}

#[test]
fn a_campaign_waits_for_a_forwarder_of_version_2_and_says_so() {
    let mut desk = Desk::new(vec![server("a:1")], forwarder::Settings::default());
    desk.datagram(0, local(PULL), [1, 1, 2, 2], b"");
    let document = small_world::document(100, "");
    let source = TaskSource::File;
    desk.tell(15, Input::Task { document: document.as_bytes(), stem: "task-1", source });
    desk.wait(60_000);
    let waiting: Vec<Option<String>> = desk.engine.tasks().map(|task| task.waiting).collect();
    let reason = "the packet forwarder: it speaks version 1, which has no TX_ACK";
    assert_eq!(waiting, [Some(reason.to_owned())]);
    assert_eq!(desk.given(), [], "nothing is even tried");
    desk.pull_data(60_001);
    desk.wait(61_000);
    assert!(!desk.given().is_empty(), "version 2 is all that was missing");
}

#[test]
fn a_keepalive_from_a_thousand_hosts_steals_no_downlink() {
    let real = SocketAddr::from(([192, 0, 2, 7], 50_000));
    let mut desk = Desk::new(vec![server("a:1")], forwarder::Settings::default());
    desk.datagram(0, real, [2, 1, 2, 2], b"");
    desk.forget();
    let mut given = 0;
    for n in 0..100_000u32 {
        let ms = i64::from(n);
        let thief = SocketAddr::from(([198, 51, (n / 250 % 4) as u8, (n % 250) as u8], 50_000));
        desk.datagram(ms, thief, [2, 1, 2, 2], b"");
        if n % 10_000 == 0 {
            desk.datagram(ms, real, [2, 1, 2, 2], b"");
        }
        if n % 10 == 0 {
            desk.downlink(ms, 0, n as u16, &answer(n * 1000 + 1_000_000));
            let sent: Vec<(SocketAddr, Vec<u8>)> =
                desk.south.iter().filter(|(_, bytes)| bytes[3] == 3).cloned().collect();
            for (to, bytes) in sent {
                assert_eq!(to, real);
                desk.tx_ack(ms, real, [bytes[1], bytes[2]], "");
                given += 1;
            }
        }
        desk.forget();
    }
    assert!(given > 1000, "{given}");
}

#[test]
fn a_real_forwarder_that_moves_is_believed_after_three_missed_keepalives() {
    let real = SocketAddr::from(([192, 0, 2, 7], 50_000));
    let moved = SocketAddr::from(([192, 0, 2, 7], 50_001));
    let mut desk = Desk::new(vec![server("a:1")], forwarder::Settings::default());
    for ms in [0, 10_000, 20_000] {
        desk.datagram(ms, real, [2, 1, 2, 2], b"");
    }
    for ms in (25_000..54_000).step_by(1000) {
        desk.datagram(ms, moved, [2, 1, 2, 2], b"");
        assert_eq!(desk.engine.link().online, Some(real), "{ms} ms");
    }
    desk.wait(56_000);
    desk.datagram(56_000, moved, [2, 1, 2, 2], b"");
    assert_eq!(desk.engine.link().online, Some(moved));
}

#[test]
fn a_host_that_is_not_on_the_list_is_not_even_acknowledged() {
    let allow = vec!["192.0.2.7".parse().unwrap()];
    let mut desk = Desk::new(vec![server("a:1")], forwarder::Settings { allow, ..Default::default() });
    desk.datagram(0, SocketAddr::from(([192, 0, 2, 8], 50_000)), [2, 1, 2, 2], b"");
    assert_eq!(desk.south, []);
    desk.datagram(0, SocketAddr::from(([192, 0, 2, 7], 50_000)), [2, 1, 2, 2], b"");
    assert_eq!(desk.south.len(), 1);
}

#[test]
fn a_guessed_answer_changes_nothing() {
    let (mut desk, _) = with_a_frame_handed_over(1000);
    desk.downlink(30_002, 0, 0x1234, &answer(60_000_000));
    let tokens: BTreeSet<[u8; 2]> = desk.given().iter().map(|(token, _)| *token).collect();
    desk.forget();
    let bands = format!("{:?}", desk.engine.bands());
    for n in 0..=u16::MAX {
        let token = n.to_be_bytes();
        desk.tx_ack(30_003, local(50_000), token, r#"{"txpk_ack":{"error":"TOO_LATE"}}"#);
        if !tokens.contains(&token) {
            desk.tx_ack(30_003, local(PULL), token, r#"{"txpk_ack":{"error":"TOO_LATE"}}"#);
        }
    }
    assert_eq!(desk.acks(), []);
    assert_eq!(format!("{:?}", desk.engine.bands()), bands);
    assert!(desk.reports.is_empty(), "{:?}", desk.reports.first());
}

/// Hostile datagrams on both sides; more by this variable.
const HOSTILE: &str = "FUOTAD_TEST_HOSTILE";

#[test]
fn a_storm_of_hostile_datagrams_is_survived_in_silence() {
    let storm: u64 = std::env::var(HOSTILE).ok().and_then(|count| count.parse().ok()).unwrap_or(200_000);
    let mut desk = Desk::ready();
    let mut luck = Random::new(5);
    let push = [&[2, 3, 4, 0][..], &GATEWAY, br#"{"rxpk":[{"tmst":10000,"freq":868.1,"stat":1,"modu":"LORA","datr":"SF7BW125","size":4,"data":"QAEQAQ=="}],"stat":{"txnb":3}}"#].concat();
    let ack = [&[2, 3, 4, 5][..], &GATEWAY, br#"{"txpk_ack":{"error":"TOO_LATE"}}"#].concat();
    let resp = [&[2, 9, 9, 3][..], json!({ "txpk": answer(50_000_000) }).to_string().as_bytes()].concat();
    let seeds = [push, ack, resp, Vec::new()];
    for n in 0..storm {
        let mut bytes = seeds[luck.below(4) as usize].clone();
        for _ in 0..luck.below(4) {
            match luck.below(3) {
                0 if !bytes.is_empty() => {
                    let at = luck.below(bytes.len() as u64) as usize;
                    bytes[at] = luck.next_u64() as u8;
                }
                1 => bytes.truncate(luck.below(1 + bytes.len() as u64) as usize),
                _ => bytes.extend(luck.next_u64().to_be_bytes()),
            }
        }
        // All from the forwarder's own sockets: what comes from elsewhere is dropped sooner.
        let ms = 20 + (n / 100) as i64;
        let from = local(if luck.below(2) == 0 { PULL } else { 40_000 });
        match luck.below(2) {
            0 => desk.tell(ms, Input::Datagram { from, bytes: &bytes }),
            _ => desk.tell(ms, Input::FromServer { server: 0, bytes: &bytes }),
        }
        desk.south.clear();
        desk.north.clear();
    }
    let lines: BTreeSet<String> = desk.reports.iter().map(ToString::to_string).collect();
    println!("{storm} datagrams, {} reports, {} different", desk.reports.len(), lines.len());
    // The log shows the same line once in ten seconds.
    assert!(lines.len() <= 20, "{lines:#?}");
    desk.forget();
    desk.pull_data(10_000_000);
    desk.uplink(10_000_001, r#"{"rxpk":[]}"#);
    assert_eq!(
        (desk.south.len(), desk.north.len()),
        (2, 2),
        "and the relay goes on: an ack each, an uplink, a keepalive"
    );
}
