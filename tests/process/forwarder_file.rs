//! `fuotad check --forwarder`: what a packet forwarder's own configuration must say before it can serve.

use crate::support::scratch::Scratch;
use serde_json::Value;
use std::process::Command;

const CONFIG: &str = include_str!("../configs/meters.toml");
const SX1302: &str = include_str!("../configs/forwarder-sx1302.json");
const SX1301: &str = include_str!("../configs/forwarder-sx1301.json");
const LOCAL: &str = include_str!("../configs/forwarder-local.json");

/// The folder with the files that are checked.
struct Desk(Scratch);

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Desk {
        Desk(Scratch::new("forwarder"))
    }

    fn run(&self, config: &str, forwarders: &[&str], more: &[&str]) -> Done {
        self.0.write("fuotad.toml", config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        command.current_dir(self.0.dir()).args(["check", "fuotad.toml"]).args(more);
        for (n, text) in forwarders.iter().enumerate() {
            let name = format!("conf-{n}.json");
            self.0.write(&name, text);
            command.args(["--forwarder", &name]);
        }
        let output = command.output().unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// (severity, key, found, wanted) of every finding.
fn findings(config: &str, forwarders: &[&str]) -> Vec<[String; 4]> {
    let done = Desk::new().run(config, forwarders, &["--json"]);
    let json: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{}", done.err));
    let must_change = json["must-change"].as_u64().unwrap();
    assert_eq!(done.code, if must_change > 0 { 65 } else { 0 }, "{}", done.err);
    let findings: Vec<[String; 4]> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            ["severity", "key", "found", "wanted"].map(|key| finding[key].as_str().unwrap().to_owned())
        })
        .collect();
    let must = findings.iter().filter(|finding| finding[0] == "must-change").count();
    assert_eq!(must as u64, must_change);
    findings
}

/// The only finding of the SX1302's file after `from` became `to`, in `config`.
fn only(config: &str, from: &str, to: &str) -> [String; 4] {
    assert!(SX1302.contains(from), "{from}");
    let found = findings(config, &[&SX1302.replace(from, to)]);
    assert_eq!(found.len(), 1, "{from} -> {to}: {found:#?}");
    found[0].clone()
}

#[track_caller]
fn must_change(from: &str, to: &str, key: &str, needles: [&str; 2]) {
    let [severity, at, found, wanted] = only(CONFIG, from, to);
    assert_eq!((severity.as_str(), at.as_str()), ("must-change", key));
    assert_eq!([found.as_str(), wanted.as_str()], needles);
}

fn configured(from: &str, to: &str) -> String {
    assert!(CONFIG.contains(from), "{from}");
    CONFIG.replace(from, to)
}

#[test]
fn a_forwarder_that_fits_is_good_and_nothing_more_is_said() {
    let done = Desk::new().run(CONFIG, &[SX1302], &[]);
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "conf-0.json: good: this forwarder serves fuotad as it is\n")
    );
    assert_eq!(findings(CONFIG, &[SX1302]), Vec::<[String; 4]>::new());
}

#[test]
fn the_server_must_be_where_fuotad_listens() {
    let address = "\"127.0.0.1\"";
    let key = "gateway_conf.server_address";
    must_change(address, "\"eu1.cloud.example.org\"", key, ["eu1.cloud.example.org", "127.0.0.1"]);
    must_change(address, "\"192.168.7.9\"", key, ["192.168.7.9", "127.0.0.1"]);
    // The forwarder's own default is the loopback.
    let [severity, _, found, _] = only(CONFIG, "server_address", "server-address");
    assert_eq!([severity.as_str(), found.as_str()], ["note", "absent"]);
    let long = format!("\"{}\"", "a".repeat(64));
    must_change(address, &long, key, [long.trim_matches('"'), "127.0.0.1"]);
    assert!(findings(CONFIG, &[&SX1302.replace(address, "\"localhost\"")]).is_empty());
    // Listening for a forwarder elsewhere: a name may lead here, another address does not.
    let lan = format!("{CONFIG}\n[forwarder]\nlisten = \"192.168.7.9:1700\"\nallow = [\"192.168.7.9\"]\n");
    assert!(findings(&lan, &[&SX1302.replace(address, "\"192.168.7.9\"")]).is_empty());
    assert_eq!(only(&lan, address, "\"gateway.lan\"")[0], "note");
    assert_eq!(only(&lan, address, "\"127.0.0.1\"")[0], "must-change");
    let any = lan.replace("192.168.7.9:", "0.0.0.0:");
    assert!(findings(&any, &[SX1302]).is_empty());
    assert_eq!(only(&any, address, "\"192.168.7.9\"")[0], "note");
    let six = lan.replace("192.168.7.9:", "[::1]:");
    assert_eq!(only(&six, address, address)[3], "an IPv4 address");
}

#[test]
fn both_ports_must_be_fuotads() {
    let up = "\"serv_port_up\": 1700";
    must_change(up, "\"serv_port_up\": 1680", "gateway_conf.serv_port_up", ["1680", "1700"]);
    let odd = ["\"1700\", which the forwarder reads as another port", "1700"];
    must_change(up, "\"serv_port_up\": \"1700\"", "gateway_conf.serv_port_up", odd);
    must_change(up, "\"port_up\": 1700", "gateway_conf.serv_port_up", ["absent: 1780", "1700"]);
    let wrapped = ["67236, which the forwarder reads as another port", "1700"];
    must_change(up, "\"serv_port_up\": 67236", "gateway_conf.serv_port_up", wrapped);
    assert!(findings(CONFIG, &[&SX1302.replace(up, "\"serv_port_up\": 1700.0")]).is_empty());
    let down = "\"serv_port_down\": 1700";
    must_change(down, "\"serv_port_down\": 1782", "gateway_conf.serv_port_down", ["1782", "1700"]);
}

#[test]
fn another_gateways_id_would_be_ignored() {
    let config = configured("region = \"EU868\"", "region = \"EU868\"\nid = \"0016c001f1500812\"");
    assert!(findings(&config, &[SX1302]).is_empty());
    let [severity, key, found, wanted] = only(&config, "0016C001F1500812", "0016C001F1500813");
    assert_eq!((severity.as_str(), key.as_str()), ("must-change", "gateway_conf.gateway_ID"));
    assert_eq!((found.as_str(), wanted.as_str()), ("0016C001F1500813", "0016c001f1500812"));
}

#[test]
fn a_chain_that_may_not_transmit_is_named() {
    let key = "SX130x_conf.radio_0.tx_enable";
    must_change("\"tx_enable\": true", "\"tx_enable\": false", key, ["not true", "true"]);
    must_change(
        "\"enable\": true,\n            \"type\"",
        "\"enable\": false,\n            \"type\"",
        key,
        ["not true", "true"],
    );
    let config = configured("[radio]", "[radio]\nrf-chain = 1");
    assert_eq!(only(&config, "}", "}")[1], "SX130x_conf.radio_1.tx_enable");
}

#[test]
fn a_group_outside_the_transmit_range_would_be_refused() {
    let key = "SX130x_conf.radio_0.tx_freq_min, tx_freq_max";
    let range = "\"tx_freq_max\": 870000000";
    must_change(range, "\"tx_freq_max\": 869000000", key, ["863000000 to 869000000", "around 869525000"]);
    must_change(range, "\"max\": 0", key, ["863000000 to absent (0)", "around 869525000"]);
    // The edge belongs to it.
    assert!(findings(CONFIG, &[&SX1302.replace(range, "\"tx_freq_max\": 869525000")]).is_empty());
}

#[test]
fn a_power_below_the_lowest_entry_is_sent_with_more() {
    // 12 dBm are the least: 11 dBm EIRP with 2 dBi of antenna are 9 dBm.
    let done = Desk::new().run(&configured("eirp-dbm = 27", "eirp-dbm = 11"), &[SX1302], &[]);
    assert_eq!(done.code, 65);
    for needle in ["tx_gain_lut", "must change", "lowest 12 dBm", "an entry for 9 dBm"] {
        assert!(done.out.contains(needle), "{needle}: {}", done.out);
    }
    assert!(done.out.contains("MORE: group meters would radiate 14 dBm EIRP instead of 11"), "{}", done.out);
    assert!(findings(&configured("eirp-dbm = 27", "eirp-dbm = 14"), &[SX1302]).is_empty(), "just the lowest");
}

#[test]
fn a_power_that_is_not_reached_or_has_no_entry_is_said() {
    let top = "                {\"rf_power\": 25, \"pa_gain\": 1, \"pwr_idx\": 9},\n";
    let [severity, _, found, _] = only(CONFIG, top, "");
    assert_eq!((severity.as_str(), found.as_str()), ("note", "next lower 24 dBm"));
    let weak =
        SX1302.split("                {\"rf_power\": 25").next().unwrap().trim_end().trim_end_matches(',');
    let rest = &SX1302[SX1302.find("            ]\n        },").unwrap()..];
    let found = findings(CONFIG, &[&format!("{weak}\n{rest}")]);
    assert_eq!((found[0][0].as_str(), found[0][2].as_str()), ("must-change", "highest 24 dBm"));
    assert_eq!(only(CONFIG, "tx_gain_lut", "lut")[2], "absent");
}

#[test]
fn two_words_about_the_antenna_gain_are_one_too_many() {
    let config = configured("forwarder-antenna-gain-dbi = 2", "forwarder-antenna-gain-dbi = 5");
    let done = Desk::new().run(&config, &[SX1302], &[]);
    assert_eq!(done.code, 65);
    assert!(done.out.contains("SX130x_conf.antenna_gain"), "{}", done.out);
    assert!(done.out.contains("every frame would leave the antenna 3 dB too strong"), "{}", done.out);
    let config = configured("forwarder-antenna-gain-dbi = 2", "forwarder-antenna-gain-dbi = 0");
    let done = Desk::new().run(&config, &[SX1302], &[]);
    assert!(done.out.contains("2 dB too weak"), "{}", done.out);
    must_change("\"antenna_gain\": 2", "\"gain\": 2", "SX130x_conf.antenna_gain", ["absent: 0", "2"]);
}

#[test]
fn a_forwarder_that_keeps_its_uplinks_or_falls_silent_does_not_serve() {
    let valid = "\"forward_crc_valid\": true";
    must_change(valid, "\"forward_crc_valid\": false", "gateway_conf.forward_crc_valid", ["false", "true"]);
    let keepalive = "\"keepalive_interval\": 10";
    let wanted = "1 to 35, better 10";
    for (written, found) in [("60", "60"), ("0", "0"), ("-3", "-3"), ("\"10\"", "\"10\"")] {
        let to = format!("\"keepalive_interval\": {written}");
        must_change(keepalive, &to, "gateway_conf.keepalive_interval", [found, wanted]);
    }
}

#[test]
fn a_forwarder_that_ends_itself_while_fuotad_restarts_must_not() {
    let key = "gateway_conf.autoquit_threshold";
    let push = "\"push_timeout_ms\": 100";
    let with = |threshold: u32| format!("\"push_timeout_ms\": 100, \"autoquit_threshold\": {threshold}");
    must_change(push, &with(5), key, ["5", "0"]);
    assert_eq!(only(CONFIG, push, &with(6))[0], "note", "a minute");
    assert!(findings(CONFIG, &[&SX1302.replace(push, &with(0))]).is_empty());
}

#[test]
fn listening_before_talking_must_be_true_when_it_is_claimed() {
    let config = configured("[radio]", "[radio]\nlisten-before-talk = true");
    let found = findings(&config, &[SX1302]);
    assert_eq!((found.len(), found[0][1].as_str()), (1, "SX130x_conf listen before talk"));
    let with = |frequency_hz: u32, bandwidth_hz: u32, most_ms: u32| {
        let channel = format!(
            r#"{{"freq_hz":{frequency_hz},"bandwidth":{bandwidth_hz},"scan_time_us":128,"transmit_time_ms":{most_ms}}}"#
        );
        let lbt = format!(r#""lbt": {{ "enable": true, "channels": [{channel}] }}"#);
        SX1302.replace("\"lbt\": { \"enable\": false }", &lbt)
    };
    let right = with(869_525_000, 125_000, 4000);
    assert!(findings(&config, &[&right]).is_empty());
    let found = findings(CONFIG, &[&right]);
    assert_eq!((found.len(), found[0][0].as_str()), (1, "note"));
    // What the list does not have, or not for so long, is dropped after an OK.
    let none = SX1302.replace("\"lbt\": { \"enable\": false }", "\"lbt\": { \"enable\": true }");
    for (wrong, shown) in [
        (none, "0 other channel(s)"),
        (with(869_524_000, 125_000, 4000), "1 other channel(s)"),
        (with(869_525_000, 250_000, 4000), "1 other channel(s)"),
        (with(869_525_000, 125_000, 300), "frames of at most 300 ms"),
    ] {
        let found = findings(&config, &[&wrong]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0][..3], ["must-change", "SX130x_conf.sx1261_conf.lbt", shown]);
    }
}

#[test]
fn an_sx1301_forwarder_refuses_what_its_table_has_not_and_a_local_file_wins() {
    let keys = |found: &[[String; 4]]| found.iter().map(|finding| finding[1].clone()).collect::<Vec<_>>();
    let found = findings(CONFIG, &[SX1301]);
    assert_eq!(
        keys(&found),
        [
            "gateway_conf.server_address",
            "gateway_conf.serv_port_up",
            "gateway_conf.serv_port_down",
            "gateway_conf.autoquit_threshold",
            "SX1301_conf.antenna_gain",
            "SX1301_conf.radio_0.tx_freq_min, tx_freq_max",
            "gateway_conf.beacon_period",
        ]
    );
    let found = findings(CONFIG, &[SX1301, LOCAL]);
    assert_eq!(found.len(), 3, "{found:#?}");
    // 26 dBm EIRP without any gain: between 20 and 27.
    let config = CONFIG.replace("eirp-dbm = 27", "eirp-dbm = 26").replace("gain-dbi = 2", "gain-dbi = 0");
    let wide = SX1301.replace("869000000", "870000000");
    let found = findings(&config, &[&wide, LOCAL]);
    assert_eq!(found[0][1..3], ["SX1301_conf.tx_lut_*", "-6 to 27 dBm, not 26"]);
}

#[test]
fn what_cannot_be_read_is_refused_in_one_line() {
    let done = Desk::new().run(CONFIG, &["{\n\"SX130x_conf\": \n}"], &[]);
    assert_eq!((done.code, done.out.as_str()), (65, ""));
    assert_eq!(
        done.err.lines().last(),
        Some("fuotad: conf-0.json: line 3: no JSON that the forwarder reads: expected a value")
    );
    let desk = Desk::new();
    desk.0.write("fuotad.toml", CONFIG);
    let done = desk.run(CONFIG, &[], &["--forwarder", "nowhere.json"]);
    assert_eq!((done.code, done.out.as_str()), (66, ""));
    let done = desk.run(CONFIG, &[], &["--json"]);
    assert_eq!(done.code, 64, "{}", done.err);
}

#[test]
fn a_file_with_one_half_only_is_checked_as_far_as_it_goes() {
    let found = findings(CONFIG, &[LOCAL]);
    assert_eq!((found.len(), found[0][1].as_str()), (1, "SX130x_conf"));
    let found = findings(CONFIG, &[&SX1302.replace("gateway_conf", "gateway")]);
    assert_eq!((found.len(), found[0][1].as_str()), (1, "gateway_conf"));
}
