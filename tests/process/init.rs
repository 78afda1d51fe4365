//! `fuotad init` and `fuotad doctor`: from a packet forwarder's file to a configuration that does, and what is in the way.

use crate::support::scratch::Scratch;
use std::io::Write;
use std::net::UdpSocket;
use std::process::Command;
use std::process::Stdio;

const FORWARDER: &str = include_str!("../configs/forwarder-sx1302.json");

/// A gateway's files in a folder of the test.
struct Gateway(Scratch);

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Gateway {
    /// With a forwarder that sends to `server` from both its ports.
    fn sending_to(server: &str, port: u16) -> Gateway {
        let gateway = Gateway(Scratch::new("init"));
        let text = FORWARDER.replace("\"127.0.0.1\", /*", &format!("\"{server}\", /*"));
        gateway.0.write("global_conf.json", text.replace(": 1700,", &format!(": {port},")));
        gateway
    }

    fn run(&self, words: &[&str], typed: &str) -> Done {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fuotad"))
            .current_dir(self.0.dir())
            .args(words)
            .env("FUOTAD__STATE__DIR", self.0.path("state"))
            .env("FUOTAD__STATUS__SOCKET", self.0.path("status.sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever is asked nothing does not read it.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        let output = child.wait_with_output().unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn init(&self, more: &[&str]) -> Done {
        let words = ["init", "--config", "fuotad.toml", "--forwarder", "global_conf.json"];
        self.run(&[&words, more].concat(), "")
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.0.read(name)).unwrap()
    }
}

#[test]
fn one_command_makes_a_configuration_that_the_changed_forwarder_serves_and_names_the_way_back() {
    let gateway = Gateway::sending_to("192.0.2.1", 1680);
    let before = gateway.text("global_conf.json");
    let done = gateway.init(&["--yes", "--apply"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let config = gateway.text("fuotad.toml");
    assert!(
        config.contains("region = \"EU868\"") && config.contains("address = \"192.0.2.1:1680\""),
        "{config}"
    );
    assert!(config.contains("name = \"meters\"") && config.contains("session = \"windows\""), "{config}");
    let checked = gateway.run(&["check", "--strict", "fuotad.toml"], "");
    assert_eq!((checked.code, checked.out.contains("EU868, 1 group")), (0, true), "{}", checked.err);
    assert!(!checked.err.contains("not enrolled") && !done.err.contains(".spacing"), "{}", checked.err);
    let checked = gateway.run(&["check", "fuotad.toml", "--forwarder", "global_conf.json"], "");
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    let changed = before.replace("\"192.0.2.1\"", "\"127.0.0.1\"").replace(": 1680,", ": 1700,");
    assert_eq!(gateway.text("global_conf.json"), changed, "nothing else is changed");
    assert!(done.out.contains("gateway_conf.serv_port_up: 1680 -> 1700"), "{}", done.out);
    let back = "mv global_conf.json.before-fuotad global_conf.json";
    assert!(done.out.contains(back), "{}", done.out);
    assert_eq!(gateway.text("global_conf.json.before-fuotad"), before);
}

#[test]
fn without_apply_the_forwarder_s_file_stays_and_what_to_change_is_said() {
    let gateway = Gateway::sending_to("192.0.2.1", 1680);
    let before = gateway.text("global_conf.json");
    let done = gateway.init(&["--yes", "--group", "none"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(gateway.text("global_conf.json"), before);
    assert!(done.out.contains("gateway_conf.server_address: 192.0.2.1 -> 127.0.0.1"), "{}", done.out);
    assert!(!gateway.0.path("global_conf.json.before-fuotad").exists());
    assert!(!gateway.text("fuotad.toml").contains("[[group]]"));
}

#[test]
fn beside_a_network_server_on_the_same_machine_the_next_port_is_taken() {
    let gateway = Gateway::sending_to("127.0.0.1", 1700);
    let done = gateway.init(&["--yes", "--apply", "--group", "none"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let config = gateway.text("fuotad.toml");
    assert!(
        config.contains("listen = \"127.0.0.1:1701\"") && config.contains("address = \"127.0.0.1:1700\""),
        "{config}"
    );
    assert!(gateway.text("global_conf.json").contains("\"serv_port_down\": 1701"), "{}", done.out);
    assert!(done.out.contains("ListenDatagram=127.0.0.1:1701"), "{}", done.out);
    assert!(done.out.contains("where systemd is to hold the port, in /etc"), "no unit is here: {}", done.out);
}

#[test]
fn what_is_typed_is_taken_and_a_wrong_answer_is_asked_again() {
    let gateway = Gateway::sending_to("192.0.2.1", 1680);
    let words = ["init", "--config", "fuotad.toml", "--forwarder", "global_conf.json"];
    let done = gateway.run(&words, "EU869\nEU433\nlns.example\nnone\nlamps\nalways\n");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(
        done.out.contains("Region [EU868]: ") && done.out.contains("no host with a port"),
        "{}",
        done.out
    );
    let config = gateway.text("fuotad.toml");
    for line in ["region = \"EU433\"", "name = \"lamps\"", "session = \"always\""] {
        assert!(config.contains(line), "{config}");
    }
    assert!(!config.contains("[[network-server]]"), "{config}");
}

#[test]
fn devices_behind_a_network_server_are_asked_for_and_their_file_waits_for_prepare() {
    let gateway = Gateway::sending_to("192.0.2.1", 1680);
    let words = ["init", "--config", "fuotad.toml", "--forwarder", "global_conf.json"];
    let typed = "\n\n\n\nChirpStack\nchirpstack\nhost\n\n\n5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11\n";
    let done = gateway.run(&words, typed);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(done.out.contains("is no kind of network server"), "{}", done.out);
    assert!(done.out.contains("\"host\": write mqtts://HOST:PORT"), "{}", done.out);
    let config = gateway.text("fuotad.toml");
    for line in
        ["kind = \"chirpstack\"", "broker = \"mqtt://127.0.0.1:1883\"", "lns = \"lns\"", "ready-percent = 95"]
    {
        assert!(config.contains(line), "{line}: {config}");
    }
    let checked = gateway.run(&["check", "fuotad.toml"], "");
    assert_eq!(checked.code, 0, "{}", checked.err);
    let prepare = ["prepare", "--group", "meters", "--mc-key-file", "meters.mckey", "--root", "gen-app-key"];
    let list = "dev-eui,root-key\n70b3d57ed0000001,00000000000000000000000000000001\n";
    let prepared = gateway.run(&prepare, list);
    gateway.0.write("meters.devices.toml", prepared.out);
    let checked = gateway.run(&["check", "fuotad.toml"], "");
    assert_eq!(checked.code, 0, "{}", checked.err);
}

#[test]
fn a_configuration_that_is_there_is_not_touched_and_one_of_remarks_alone_is_none() {
    let gateway = Gateway::sending_to("192.0.2.1", 1680);
    gateway.0.write("fuotad.toml", "# nothing yet\n\n");
    assert_eq!(gateway.init(&["--yes"]).code, 0);
    let first = gateway.text("fuotad.toml");
    let again = gateway.init(&["--yes", "--apply", "--region", "EU433"]);
    assert_eq!(again.code, 73, "{}", again.err);
    assert!(again.err.contains("there is a configuration already"), "{}", again.err);
    assert_eq!(gateway.text("fuotad.toml"), first);
}

#[test]
fn what_fails_leaves_everything_as_it_was() {
    let gateway = Gateway::sending_to("192.0.2.1", 1680);
    let before = gateway.text("global_conf.json");
    gateway.0.write("meters.mckey", "somebody's");
    let done = gateway.init(&["--yes", "--apply"]);
    assert_eq!(done.code, 73, "{}", done.err);
    assert!(!gateway.0.path("fuotad.toml").exists());
    assert_eq!(gateway.text("global_conf.json"), before);
    assert_eq!(gateway.text("meters.mckey"), "somebody's");
    let done = gateway.init(&["--yes", "--region", "EU869"]);
    assert!(done.code == 64 && done.err.contains("--region"), "{}", done.err);
}

/// The lines of `fuotad doctor` and its code.
fn doctor(gateway: &Gateway, more: &[&str]) -> (i32, String) {
    let done = gateway.run(&[&["doctor", "--config", "fuotad.toml"], more].concat(), "");
    (done.code, done.out.split_whitespace().collect::<Vec<_>>().join(" ") + &done.err)
}

#[test]
fn the_doctor_names_who_holds_the_port_and_what_must_be_mended() {
    let gateway = Gateway::sending_to("192.0.2.1", 1680);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = socket.local_addr().unwrap();
    assert_eq!(gateway.init(&["--yes"]).code, 0);
    let text = gateway.text("fuotad.toml");
    gateway.0.write("fuotad.toml", format!("{text}\n[forwarder]\nlisten = \"{listen}\"\n"));
    let (code, out) = doctor(&gateway, &[]);
    assert!(code == 65 && out.contains(&format!("MEND port: {listen} is held by process")), "{code} {out}");
    drop(socket);
    let (code, out) = doctor(&gateway, &[]);
    assert!(code == 0 && out.contains(&format!("good port: {listen} is free")), "{code} {out}");
    assert!(out.contains("it does not run") && out.contains("good disk: "), "{out}");
    assert!(out.contains("good server: 192.0.2.1:1680 is 192.0.2.1:1680"), "{out}");
    let (code, out) = doctor(&gateway, &["--forwarder", "global_conf.json"]);
    assert!(
        code == 65 && out.contains("MEND forwarder file: gateway_conf.server_address: 192.0.2.1"),
        "{out}"
    );
    let (_, json) = doctor(&gateway, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["good"], true);
    std::fs::remove_file(gateway.0.path("meters.mckey")).unwrap();
    let (code, out) = doctor(&gateway, &[]);
    assert!(
        code == 65 && out.contains("MEND configuration: ") && out.contains("meters.mckey"),
        "{code} {out}"
    );
}
