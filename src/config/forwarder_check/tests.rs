//! Files in the forms that forwarders are shipped with, right ones and broken ones: none that would not send our
//! frames is good, and none that would is refused.

use super::finding::Against;
use super::finding::Severity;
use crate::config::file::Config;
use crate::config::forwarder_file::Dialect;
use crate::config::forwarder_file::ForwarderFile;
use crate::lorawan::Secret;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

const CONFIG: &str = include_str!("../../../tests/configs/meters.toml");

/// A form: its name, the section of the board, the whole file, which forwarder reads it.
struct Base {
    name: &'static str,
    board: &'static str,
    file: Value,
    dialect: Option<Dialect>,
}

fn sx1302(board: &str) -> Value {
    let rows: Vec<Value> =
        (12..28).map(|power| json!({"rf_power": power, "pa_gain": 1, "pwr_idx": power - 11})).collect();
    json!({
        board: {
            "com_type": "SPI", "com_path": "/dev/spidev0.0", "lorawan_public": true, "clksrc": 0,
            "antenna_gain": 2, "full_duplex": false,
            "radio_0": {"enable": true, "type": "SX1250", "freq": 867_500_000, "tx_enable": true,
                        "tx_freq_min": 863_000_000, "tx_freq_max": 870_000_000, "tx_gain_lut": rows},
            "radio_1": {"enable": true, "type": "SX1250", "freq": 868_500_000, "tx_enable": false},
        },
        "gateway_conf": gateway(),
    })
}

fn sx1301() -> Value {
    let mut file = json!({
        "SX1301_conf": {
            "lorawan_public": true, "clksrc": 1, "antenna_gain": 2,
            "radio_0": {"enable": true, "type": "SX1257", "freq": 867_500_000, "tx_enable": true,
                        "tx_freq_min": 863_000_000, "tx_freq_max": 870_000_000},
            "radio_1": {"enable": true, "type": "SX1257", "freq": 868_500_000, "tx_enable": false},
        },
        "gateway_conf": gateway(),
    });
    for (n, power) in (12..28).enumerate() {
        file["SX1301_conf"][format!("tx_lut_{n}")] = json!({"rf_power": power, "pa_gain": 1, "mix_gain": 9});
    }
    file
}

fn gateway() -> Value {
    json!({
        "gateway_ID": "0016C001F1500812", "server_address": "127.0.0.1", "serv_port_up": 1700,
        "serv_port_down": 1700, "keepalive_interval": 10, "stat_interval": 30, "push_timeout_ms": 100,
        "forward_crc_valid": true, "forward_crc_error": false, "forward_crc_disabled": false,
    })
}

fn ours() -> Value {
    json!({"server_address": "127.0.0.1", "serv_port_up": 1700, "serv_port_down": 1700, "serv_enabled": true})
}

fn theirs() -> Value {
    json!({"server_address": "lns.example.net", "serv_port_up": 1700, "serv_port_down": 1700, "serv_enabled": true})
}

/// With `servers`, and without the keys of the one server.
fn with_list(mut file: Value, servers: Value) -> Value {
    let gateway = file["gateway_conf"].as_object_mut().unwrap();
    for key in ["server_address", "serv_port_up", "serv_port_down"] {
        gateway.remove(key);
    }
    gateway.insert("servers".into(), servers);
    file
}

fn bases() -> Vec<Base> {
    let base = |name, board, file, dialect| Base { name, board, file, dialect };
    let both = |mut file: Value| {
        file["gateway_conf"]["servers"] = json!([ours()]);
        file
    };
    let disabled = json!({"server_address": "lns.example.net", "serv_port_up": 1700, "serv_port_down": 1700, "serv_enabled": false});
    vec![
        base("sx1302_hal 2", "SX130x_conf", sx1302("SX130x_conf"), None),
        base("sx1302_hal 2, told", "SX130x_conf", sx1302("SX130x_conf"), Some(Dialect::Semtech)),
        base("sx1302_hal 1", "SX1302_conf", sx1302("SX1302_conf"), None),
        base("packet_forwarder", "SX1301_conf", sx1301(), None),
        base("mp", "SX1301_conf", with_list(sx1301(), json!([ours()])), Some(Dialect::Mp)),
        base("mp, not told", "SX1301_conf", with_list(sx1301(), json!([disabled, ours()])), None),
        base("poly", "SX1301_conf", both(sx1301()), Some(Dialect::Poly)),
        base("poly, not told", "SX1301_conf", both(sx1301()), None),
        base("dragino", "SX130x_conf", both(sx1302("SX130x_conf")), Some(Dialect::Dragino)),
        base("semtech with a list", "SX130x_conf", both(sx1302("SX130x_conf")), Some(Dialect::Semtech)),
    ]
}

/// Whether `fuotad check --forwarder` lets the files pass; `None`: they cannot be read.
fn passes(texts: &[String], dialect: Option<Dialect>) -> Option<bool> {
    let config = Config::from_text(CONFIG, &BTreeMap::new()).unwrap();
    let settings = config.daemon(&mut |_| Ok(Secret::from_bytes([0; 16]))).unwrap();
    let file = ForwarderFile::from_texts(texts.iter().map(String::as_str)).ok()?;
    let findings = file.findings(&Against {
        listen: settings.listen,
        link: &settings.engine.forwarder,
        region: settings.engine.region,
        groups: &settings.engine.groups,
        gps_tty: None,
        dialect,
    });
    Some(findings.iter().all(|finding| finding.severity == Severity::Note))
}

/// Where the server stands that the forwarder of `base` reads.
fn server(base: &Base) -> &'static str {
    match (&base.file["gateway_conf"]["servers"], base.dialect) {
        (Value::Array(entries), dialect) if dialect != Some(Dialect::Semtech) => {
            if entries.len() == 1 {
                "/gateway_conf/servers/0"
            } else {
                "/gateway_conf/servers/1"
            }
        }
        _ => "/gateway_conf",
    }
}

/// `value` at the JSON pointer `at`; `None`: without it.
fn set(file: &Value, at: &str, value: Option<Value>) -> Value {
    let mut file = file.clone();
    let (parent, key) = at.rsplit_once('/').unwrap();
    let parent = file.pointer_mut(parent).unwrap_or_else(|| panic!("{at}")).as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(key.into(), value),
        None => parent.remove(key),
    };
    file
}

/// What each form does not send with, whoever reads it.
fn broken(base: &Base) -> Vec<(String, Value)> {
    let board = |key: &str| format!("/{}/{key}", base.board);
    let link = |key: &str| format!("/gateway_conf/{key}");
    let at_server = |key: &str| format!("{}/{key}", server(base));
    let mut cases = vec![
        (at_server("server_address"), Some(json!("lns.example.net"))),
        (at_server("server_address"), Some(json!("10.0.0.9"))),
        (at_server("server_address"), Some(json!("127.0.0.2"))),
        (at_server("server_address"), Some(json!("fuotad"))),
        (at_server("serv_port_up"), Some(json!(1730))),
        (at_server("serv_port_up"), Some(json!("1700"))),
        (at_server("serv_port_up"), None),
        (at_server("serv_port_down"), Some(json!(1782))),
        (at_server("serv_port_down"), Some(json!(-1700))),
        (at_server("serv_port_down"), Some(Value::Null)),
        (at_server("serv_port_down"), None),
        (link("keepalive_interval"), Some(json!(0))),
        (link("keepalive_interval"), Some(json!(-1))),
        (link("keepalive_interval"), Some(json!("10"))),
        (link("keepalive_interval"), Some(json!(120))),
        (link("forward_crc_valid"), Some(json!(false))),
        (link("autoquit_threshold"), Some(json!(1))),
        (link("beacon_period"), Some(json!(3))),
        (board("lorawan_public"), Some(json!(false))),
        (board("lorawan_public"), None),
        (board("lorawan_public"), Some(json!(1))),
        (board("antenna_gain"), Some(json!(3))),
        (board("antenna_gain"), Some(json!(1.9))),
        (board("antenna_gain"), Some(json!("2"))),
        (board("antenna_gain"), None),
        (board("radio_0/enable"), Some(json!(false))),
        (board("radio_0/enable"), Some(json!(1))),
        (board("radio_0/tx_enable"), Some(json!(false))),
        (board("radio_0/tx_enable"), None),
        (board("radio_0/tx_freq_max"), Some(json!(869_000_000))),
        (board("radio_0/tx_freq_max"), Some(json!("870000000"))),
        (board("radio_0/tx_freq_max"), None),
        (board("radio_0/tx_freq_min"), Some(json!(869_600_000))),
        (board("radio_0/type"), Some(json!("SX1276"))),
        (board("radio_0/type"), None),
        (board("radio_0"), None),
    ];
    if base.board == "SX1301_conf" {
        cases.push((board("tx_lut_13"), None));
    } else {
        let rows = |count: usize| Some(json!(vec![json!({"rf_power": 25, "pa_gain": 1}); count]));
        cases.push((board("radio_0/tx_gain_lut"), rows(17)));
        let weak = Some(json!([{"rf_power": 12}, {"rf_power": 20}]));
        cases.push((board("radio_0/tx_gain_lut"), weak));
    }
    let mut cases: Vec<(String, Value)> = cases
        .into_iter()
        .map(|(at, value)| (format!("{at} {value:?}"), set(&base.file, &at, value)))
        .collect();
    if server(base) != "/gateway_conf" {
        let servers = |entries: Value| set(&base.file, "/gateway_conf/servers", Some(entries));
        cases.push(("a second server".into(), servers(json!([ours(), theirs()]))));
        cases.push(("twice".into(), servers(json!([ours(), ours()]))));
        cases.push(("another server".into(), servers(json!([theirs()]))));
        cases.push(("none".into(), servers(json!([]))));
    }
    cases
}

/// What each form sends with as well.
fn harmless(base: &Base) -> Vec<(String, Value)> {
    let board = |key: &str| format!("/{}/{key}", base.board);
    let at_server = |key: &str| format!("{}/{key}", server(base));
    let cases = [
        ("/gateway_conf/gateway_ID".to_owned(), json!("0x0016c001f1500812")),
        ("/gateway_conf/gps_tty_path".into(), json!("/dev/ttyAMA0")),
        ("/gateway_conf/beacon_period".into(), json!(128)),
        ("/gateway_conf/stat_interval".into(), json!(240)),
        ("/gateway_conf/autoquit_threshold".into(), json!(0)),
        ("/gateway_conf/keepalive_interval".into(), json!(35.9)),
        ("/gateway_conf/forward_crc_valid".into(), json!(1)),
        (at_server("serv_port_up"), json!(1700.9)),
        (at_server("server_address"), json!("localhost")),
        (board("antenna_gain"), json!(2.0)),
        (board("radio_0/tx_freq_max"), json!(869_525_000.5)),
        (board("radio_1/type"), json!("SX1255")),
        (board("full_duplex"), json!(true)),
    ];
    cases
        .into_iter()
        .map(|(at, value)| (format!("{at} {value}"), set(&base.file, &at, Some(value))))
        .collect()
}

#[test]
fn no_file_is_good_whose_forwarder_would_not_send_our_frames() {
    let mut count = 0;
    for base in bases() {
        for (name, file) in broken(&base) {
            assert_ne!(passes(&[file.to_string()], base.dialect), Some(true), "{}: {name}", base.name);
            count += 1;
        }
        // A name that stands twice: the whole file is refused.
        let text = base.file.to_string();
        let twice = text.replacen("\"gateway_conf\":{", "\"gateway_conf\":{\"stat_interval\":30,", 1);
        assert_eq!(passes(&[twice], base.dialect), None, "{}", base.name);
        count += 1;
    }
    assert!(count >= 300, "{count}");
}

#[test]
fn no_file_is_refused_that_serves() {
    let mut count = 0;
    for base in bases() {
        let cases = harmless(&base).into_iter().chain([("as it is".to_owned(), base.file.clone())]);
        for (name, file) in cases {
            assert_eq!(passes(&[file.to_string()], base.dialect), Some(true), "{}: {name}", base.name);
            count += 1;
        }
        let text = format!("/* the roof */ {} // end", base.file);
        let local =
            json!({"gateway_conf": {"gateway_ID": "0016C001F1500813", "ref_latitude": 0.0}}).to_string();
        assert_eq!(passes(&[text, local], base.dialect), Some(true), "{}: with a local file", base.name);
        count += 1;
    }
    assert!(count >= 100, "{count}");
}

#[test]
fn forms_that_are_not_read_are_not_judged() {
    for (text, needle) in [
        (r#"{"SX1301_array_conf": []}"#, "not understood"),
        (r#"{"SX130x_conf": [{}, {}], "gateway_conf": {}}"#, "list of boards"),
        (r#"{"SX1302_conf": {}, "station_conf": {}}"#, "Basics Station"),
        (r#"{"SX130x_conf": {}, "SX1301_conf": {}}"#, "stands beside"),
        (r#"{"gateway_conf": 7}"#, "is no object"),
        (r#"{"radio": 1}"#, "(found: radio)"),
    ] {
        let error = ForwarderFile::from_texts([text]).unwrap_err().to_string();
        assert!(error.contains(needle), "{text}: {error}");
    }
}

#[test]
fn a_later_file_wins_as_in_the_forwarder() {
    let global = sx1302("SX130x_conf");
    let gateway = |json: Value| json!({"gateway_conf": json}).to_string();
    let over = |local: String| passes(&[global.to_string(), local], None);
    assert_eq!(over(gateway(json!({"server_address": "lns.example.net"}))), Some(false));
    assert_eq!(over(gateway(json!({"keepalive_interval": 60}))), Some(false));
    // A board's section is read from the beginning: what it does not say is not public.
    assert_eq!(over(json!({"SX130x_conf": {"com_type": "SPI", "com_path": "x"}}).to_string()), Some(false));
    let board = json!({"SX130x_conf": {"com_type": "SPI", "com_path": "x", "lorawan_public": true}});
    assert_eq!(over(board.to_string()), Some(true), "chains and gain stay");
}
