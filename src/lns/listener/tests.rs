use super::*;
use crate::lns::event::EventKind;
use crate::lns::event::FailureCode;
use crate::lns::event::LogLevel;
use crate::lns::event::Reception;
use crate::lns::event::Up;
use crate::lns::item_id::ItemId;
use crate::lns::read_error::MAX_DOCUMENT_BYTES;
use crate::radio::Modulation;

const OURS: Eui64 = Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 1]);
const GATEWAY: Eui64 = Eui64::from_bytes([0, 0x16, 0xc0, 1, 0xf1, 0x53, 0xa1, 0x4c]);

fn item() -> ItemId {
    ItemId::new(OURS, b"salt", 1)
}

fn chirpstack() -> Listener {
    let topics = Topics::new(Dialect::ChirpStack, "", vec!["5aa8".to_owned()]).unwrap();
    Listener::new(topics, Audience::new([(OURS, None)]))
}

/// What ChirpStack's event of this kind tells of our device.
fn chirpstack_kind(kind: &str, payload: &str) -> Result<EventKind, ReadError> {
    let topic = format!("application/5aa8/device/{OURS}/event/{kind}");
    match chirpstack().hear(&topic, payload.as_bytes())? {
        Heard::Event(event) => {
            assert_eq!((event.device.dev_eui, event.device.application.as_str()), (OURS, "5aa8"));
            Ok(event.kind)
        }
        other => panic!("{other:?}"),
    }
}

fn the_things_stack() -> Listener {
    let topics = Topics::new(Dialect::TheThingsStack, "", vec!["app1@ttn".to_owned()]).unwrap();
    Listener::new(topics, Audience::new([(OURS, None)]))
}

/// What a listener that knows the device as `meter-1` makes of a message of The Things Stack.
fn the_things_stack_kind(end: &str, payload: &str) -> Result<EventKind, ReadError> {
    let topics = Topics::new(Dialect::TheThingsStack, "", vec!["app1@ttn".to_owned()]).unwrap();
    let mut listener = Listener::new(topics, Audience::new([(OURS, Some("meter-1".to_owned()))]));
    match listener.hear(&format!("v3/app1@ttn/devices/meter-1/{end}"), payload.as_bytes())? {
        Heard::Event(event) => {
            assert_eq!((event.device.dev_eui, event.device.device.as_str()), (OURS, "meter-1"));
            Ok(event.kind)
        }
        other => panic!("{other:?}"),
    }
}

/// An uplink of which the server leaves all out that is empty.
fn empty_up() -> Up {
    Up {
        f_cnt: 0,
        f_port: 0,
        data: Vec::new(),
        data_rate: None,
        modulation: None,
        frequency_hz: None,
        confirmed: false,
        adr: None,
        receptions: Vec::new(),
        via_relay: false,
    }
}

#[test]
fn an_uplink_of_chirpstack_is_read_with_receptions_and_data_rate() {
    let payload = r#"{
        "deduplicationId": "3ac7e3c4", "time": "2026-11-29T10:00:00.123456789+00:00", "future": {"x": [1]},
        "deviceInfo": {"tenantName": "t", "applicationId": "5aa8", "devEui": "70B3D57ED0000001", "tags": {}},
        "devAddr": "01c0ffee", "adr": true, "dr": 5, "fCnt": 70000, "fPort": 200, "confirmed": true,
        "data": "AAID", "object": {"fPort": "no number"},
        "rxInfo": [
            {"gatewayId": "0016c001f153a14c", "uplinkId": 42, "rssi": -36, "snr": 10.5, "context": "E3OWOQ=="},
            {"gatewayId": "elsewhere", "rssi": -120}
        ],
        "txInfo": {"frequency": 868100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}}}
    }"#;
    let up = Up {
        f_cnt: 70_000,
        f_port: 200,
        data: vec![0, 2, 3],
        data_rate: Some(5),
        modulation: Some(Modulation::LoRa { sf: 7, bw_hz: 125_000 }),
        frequency_hz: Some(868_100_000),
        confirmed: true,
        adr: Some(true),
        receptions: vec![Reception { gateway_eui: GATEWAY, rssi_dbm: -36.0, snr_db: 10.5 }],
        via_relay: false,
    };
    assert_eq!(chirpstack_kind("up", payload), Ok(EventKind::Up(up)));
}

#[test]
fn an_uplink_of_chirpstack_without_its_empty_members_is_frame_0_at_data_rate_0() {
    let bare = r#"{"deviceInfo":{"devEui":"70b3d57ed0000001"}}"#;
    let up = Up { data_rate: Some(0), adr: Some(false), ..empty_up() };
    assert_eq!(chirpstack_kind("up", bare), Ok(EventKind::Up(up.clone())));
    let relayed = r#"{"deviceInfo":{"devEui":"70b3d57ed0000001"},"relayRxInfo":{"devEui":"01"}}"#;
    assert_eq!(chirpstack_kind("up", relayed), Ok(EventKind::Up(Up { via_relay: true, ..up })));
}

#[test]
fn chirpstack_tells_the_fate_of_our_item_and_of_foreign_ones() {
    let tell = |members: &str| format!(r#"{{"deviceInfo":{{"devEui":"70b3d57ed0000001"}}{members}}}"#);
    let ours = format!(r#","queueItemId":"{}""#, item());
    let foreign = r#","queueItemId":"5f6a3c1e-0000-4000-8000-000000000000""#;
    for (kind, members, expected) in [
        ("txack", format!(r#"{ours},"fCntDown":12"#), EventKind::Sent { item: Some(item()), on: None }),
        (
            "txack",
            format!(
                r#"{ours},"txInfo":{{"frequency":869525000,"power":29,"modulation":{{"lora":{{"bandwidth":125000,"spreadingFactor":12,"codeRate":"CR_4_5"}}}}}}"#
            ),
            EventKind::Sent {
                item: Some(item()),
                on: Some((869_525_000, Modulation::LoRa { sf: 12, bw_hz: 125_000 })),
            },
        ),
        ("txack", foreign.to_owned(), EventKind::Sent { item: None, on: None }),
        ("ack", format!(r#"{ours},"acknowledged":true"#), EventKind::Ack { item: Some(item()) }),
        ("ack", foreign.to_owned(), EventKind::Nack { item: None }),
        ("join", String::new(), EventKind::Join),
        (
            "log",
            format!(
                r#","level":"ERROR","code":"DOWNLINK_PAYLOAD_SIZE","description":"too long","context":{{"queue_item_id":"{}"}}"#,
                item()
            ),
            EventKind::Failed { item: Some(item()), code: FailureCode::TooLong, text: "too long".to_owned() },
        ),
        (
            "log",
            r#","level":"ERROR","code":"EXPIRED""#.to_owned(),
            EventKind::Failed { item: None, code: FailureCode::Expired, text: String::new() },
        ),
        (
            "log",
            r#","level":"ERROR","code":"DOWNLINK_GATEWAY","description":"COLLISION_PACKET""#.to_owned(),
            EventKind::Failed { item: None, code: FailureCode::Gateway, text: "COLLISION_PACKET".to_owned() },
        ),
        (
            "log",
            r#","level":"WARNING","code":"UPLINK_F_CNT_RESET","description":"reset""#.to_owned(),
            EventKind::Log {
                level: LogLevel::Warning,
                code: "UPLINK_F_CNT_RESET".to_owned(),
                text: "reset".to_owned(),
            },
        ),
        (
            "log",
            String::new(),
            EventKind::Log { level: LogLevel::Info, code: String::new(), text: String::new() },
        ),
    ] {
        assert_eq!(chirpstack_kind(kind, &tell(&members)), Ok(expected), "{kind} {members}");
    }
}

#[test]
fn an_uplink_of_the_things_stack_teaches_the_device_id() {
    let mut listener = the_things_stack();
    let payload = r#"{
        "end_device_ids": {"device_id": "meter-1", "application_ids": {"application_id": "app1"},
            "dev_eui": "70B3D57ED0000001", "join_eui": "800000000000000C"},
        "correlation_ids": ["as:up:01"], "received_at": "2026-11-29T10:00:00Z", "simulated": true,
        "uplink_message": {"session_key_id": "AX", "f_cnt": 2, "f_port": 202, "frm_payload": "Af8=",
            "rx_metadata": [
                {"gateway_ids": {"gateway_id": "gw", "eui": "0016C001F153A14C"}, "rssi": -35, "snr": 5.2},
                {"gateway_ids": {"gateway_id": "packetbroker"}, "rssi": -110, "snr": -12,
                 "relay": {"device_id": "relay-1"}}],
            "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 12}},
                "frequency": "868300000"}}
    }"#;
    let failed = r#"{"end_device_ids":{"device_id":"meter-1"},"downlink_failed":{}}"#;
    let failed_topic = "v3/app1@ttn/devices/meter-1/down/failed";
    assert_eq!(listener.hear(failed_topic, failed.as_bytes()), Ok(Heard::Foreign));
    let heard = listener.hear("v3/app1@ttn/devices/meter-1/up", payload.as_bytes()).unwrap();
    let up = Up {
        f_cnt: 2,
        f_port: 202,
        data: vec![1, 255],
        data_rate: None,
        modulation: Some(Modulation::LoRa { sf: 12, bw_hz: 125_000 }),
        frequency_hz: Some(868_300_000),
        confirmed: false,
        adr: None,
        receptions: vec![Reception { gateway_eui: GATEWAY, rssi_dbm: -35.0, snr_db: 5.2 }],
        via_relay: true,
    };
    let device = Address { dev_eui: OURS, application: "app1@ttn".to_owned(), device: "meter-1".to_owned() };
    assert_eq!(heard, Heard::Event(Event { device, kind: EventKind::Up(up) }));
    // Messages about downlinks may name no DevEUI: now it is known whose they are.
    assert!(matches!(listener.hear(failed_topic, failed.as_bytes()), Ok(Heard::Event(_))));
}

#[test]
fn the_things_stack_tells_the_fate_of_our_item_and_of_foreign_ones() {
    let down = |name: &str| {
        format!(r#"{{"{name}":{{"f_cnt":23,"correlation_ids":["as:downlink:1","fuotad:{}"]}}}}"#, item())
    };
    for (end, payload, expected) in [
        ("up", "{}".to_owned(), EventKind::Up(empty_up())),
        ("join", "{}".to_owned(), EventKind::Join),
        ("down/queued", down("downlink_queued"), EventKind::Queued { item: Some(item()) }),
        ("down/sent", down("downlink_sent"), EventKind::Sent { item: Some(item()), on: None }),
        ("down/sent", "{}".to_owned(), EventKind::Sent { item: None, on: None }),
        ("down/ack", down("downlink_ack"), EventKind::Ack { item: Some(item()) }),
        ("down/nack", down("downlink_nack"), EventKind::Nack { item: Some(item()) }),
        (
            "down/failed",
            format!(
                r#"{{"downlink_failed":{{"downlink":{{"correlation_ids":["fuotad:{}"]}},"error":{{"name":"application_downlink_too_long","message_format":"too long"}}}}}}"#,
                item()
            ),
            EventKind::Failed { item: Some(item()), code: FailureCode::TooLong, text: "too long".to_owned() },
        ),
        (
            "down/failed",
            r#"{"downlink_failed":{"error":{"name":"new_reason"}}}"#.to_owned(),
            EventKind::Failed {
                item: None,
                code: FailureCode::Other("new_reason".to_owned()),
                text: String::new(),
            },
        ),
    ] {
        assert_eq!(the_things_stack_kind(end, &payload), Ok(expected), "{end}");
    }
}

#[test]
fn the_payload_of_a_foreign_device_is_not_parsed() {
    let mut chirpstack = chirpstack();
    let mut the_things_stack = the_things_stack();
    for foreign in 2..=50_001_u64 {
        let dev_eui = Eui64::from_bytes((0x70b3_d57e_d000_0000 + foreign).to_be_bytes());
        let topic = format!("application/5aa8/device/{dev_eui}/event/up");
        assert_eq!(chirpstack.hear(&topic, b"{no json"), Ok(Heard::Foreign));
        let topic = format!("v3/app1@ttn/devices/meter-{foreign}/up");
        let payload = format!(r#"{{"end_device_ids":{{"dev_eui" : "{dev_eui}", no json"#);
        assert_eq!(the_things_stack.hear(&topic, payload.as_bytes()), Ok(Heard::Foreign));
    }
    assert_eq!(the_things_stack.hear("v3/app1@ttn/devices/a/up", b"{}"), Ok(Heard::Foreign));
    assert_eq!(the_things_stack.hear("v3/app1@ttn/devices/a/up", b"\"dev_eui\""), Ok(Heard::Foreign));
    assert_eq!(the_things_stack.hear("v3/app2@ttn/devices/a/up", b"{}"), Ok(Heard::Unknown));
    assert_eq!(chirpstack.hear("application/5aa8/device/meter/event/up", b"{}"), Ok(Heard::Foreign));
    // Nothing of all of them was kept.
    assert_eq!(the_things_stack.audience, Audience::new([(OURS, None)]));
}

#[test]
fn a_message_about_our_device_that_cannot_be_used_is_named() {
    let of_ours = |members: &str| format!(r#"{{"deviceInfo":{{"devEui":"70b3d57ed0000001"}}{members}}}"#);
    for (payload, code, message) in [
        (of_ours(r#","data":"A=A""#), "wrong-member", "data: no base64: "),
        (of_ours(r#","fCnt":-1"#), "wrong-member", "fCnt: invalid value: integer `-1`, expected u32"),
        (of_ours(r#","fPort":256"#), "wrong-member", "fPort: 256 is no FPort"),
        (of_ours(r#","rxInfo":[{"rssi":"-36"}]"#), "wrong-member", "rxInfo[0].rssi: invalid type"),
        (
            of_ours(r#","data":"AA==","data":"AB==""#),
            "no-json",
            "the message is no JSON: data stands here twice",
        ),
        ("[]".to_owned(), "wrong-member", "the message: invalid type: a list, expected an object"),
        ("\u{0}\u{10}".to_owned(), "no-json", "the message is no JSON: "),
        (String::new(), "no-json", "the message is no JSON: "),
        ("{}".to_owned(), "wrong-member", "deviceInfo.devEui: an EUI is 16 hex digits, but this has 0"),
        (
            r#"{"deviceInfo":{"devEui":"70b3d57ed0000002"}}"#.to_owned(),
            "other-device",
            "the topic is of 70b3d57ed0000001, the message of 70b3d57ed0000002",
        ),
        (" ".repeat(MAX_DOCUMENT_BYTES + 1), "too-large", "the message has 262145 bytes, more than 262144"),
    ] {
        let error = chirpstack_kind("up", &payload).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().starts_with(message), "{error}");
    }
    let other = r#"{"end_device_ids":{"dev_eui":"70b3d57ed0000002"}}"#;
    assert_eq!(the_things_stack_kind("up", other).unwrap_err().code(), "other-device");
    let wrong = r#"{"uplink_message":{"frm_payload":"#.to_owned() + "\"A\"}}";
    let error = the_things_stack_kind("up", &wrong).unwrap_err().to_string();
    assert!(error.starts_with("uplink_message.frm_payload: no base64: "), "{error}");
}
