//! `devices`: what a running service answers, as people and programs read it. The service is a double that answers as
//! docs/control.md says.

use super::Desk;
use super::Done;
use serde_json::Value;
use serde_json::json;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::channel;

/// Three devices, two on a page.
fn devices() -> Vec<Value> {
    let device = |number: u8, name: &str, state: &str, reason: &str| {
        json!({"dev-eui": format!("70b3d57ed000000{number}"), "name": name, "state": state, "aws": "Initial",
               "reason": reason, "ts003": 1, "ts004": 2, "interval-s": 3600, "heard-here": 7, "heard-of": 10,
               "downlinks": 4, "days-to-told": 1, "future": [1]})
    };
    vec![
        device(1, "meter-1", "told", ""),
        device(
            2,
            "meter with a rather long name",
            "not-heard-here",
            "only 1 of its last 10 uplinks were heard here with 5 dB to spare: move the gateway or take another one",
        ),
        device(3, "meter-3", "refused", "FragIndex_unsupported"),
    ]
}

/// A service at `DESK/control.sock`; the requests that it got come out.
fn service(desk: &Desk) -> Receiver<Value> {
    let listener = UnixListener::bind(desk.0.path("control.sock")).unwrap();
    let (tell, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut writing = stream.try_clone().unwrap();
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let request: Value = serde_json::from_str(&line).unwrap();
                let all = devices();
                let one = || all.iter().find(|device| device["dev-eui"] == request["device"]).cloned();
                let answer = match request["do"].as_str().unwrap() {
                    "devices.list" if request["after"].is_null() => {
                        json!({"ok": {"devices": all[..2], "next": "70b3d57ed0000002"}})
                    }
                    "devices.list" => json!({"ok": {"devices": all[2..]}}),
                    "devices.survey" => json!({"ok": {}}),
                    _ => match one() {
                        Some(device) => json!({"ok": device}),
                        None => {
                            json!({"error": {"code": "unknown-device", "message": "group meters has no such device"}})
                        }
                    },
                };
                writeln!(writing, "{answer}").unwrap();
                if tell.send(request).is_err() {
                    return;
                }
            }
        }
    });
    requests
}

fn run(desk: &Desk, words: &str) -> Done {
    desk.run(&format!("devices {words} --socket control.sock --group meters"))
}

#[test]
fn a_list_fits_into_80_columns_and_says_why_devices_are_stuck() {
    let desk = Desk::new();
    let requests = service(&desk);
    let done = run(&desk, "list");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.lines().all(|line| line.chars().count() <= 80), "{}", done.out);
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines[0], "group meters: 3 devices: 1 not-heard-here, 1 refused, 1 told");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["device", "DevEUI", "state", "every", "heard", "downlinks"]
    );
    let row: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(row, ["meter-1", "70b3d57ed0000001", "told", "60", "min", "7/10", "4"]);
    assert!(lines[3].starts_with("  meter with a rat  70b3d57ed0000002"), "{}", done.out);
    assert!(done.out.contains("  meter-3: refused: FragIndex_unsupported\n"), "{}", done.out);
    assert!(!done.out.contains("meter-1: told"), "who takes its course needs nobody's eyes");
    let first = requests.recv().unwrap();
    assert_eq!(first, json!({"v": 1, "do": "devices.list", "group": "meters", "limit": 200}));
    assert_eq!(requests.recv().unwrap()["after"], "70b3d57ed0000002", "the next page");
    // Without a word it is the list, too.
    assert_eq!(run(&desk, "").out, done.out);
    let json = run(&desk, "--json");
    let told: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told, devices(), "all that the service says, one device a line");
}

#[test]
fn a_survey_is_asked_for_and_shows_versions_and_days() {
    let desk = Desk::new();
    let requests = service(&desk);
    let done = run(&desk, "survey");
    assert_eq!(requests.recv().unwrap()["do"], "devices.survey");
    let row: Vec<&str> = done.out.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(row, ["meter-1", "told", "1/2/-", "60", "min", "7/10", "1"]);
    assert!(done.out.lines().all(|line| line.chars().count() <= 80), "{}", done.out);
}

#[test]
fn a_device_is_shown_retried_and_forgotten_by_its_name_or_dev_eui() {
    let desk = Desk::new();
    let requests = service(&desk);
    let shown = run(&desk, "show 70B3D57ED0000003");
    assert!(shown.out.contains("reason         FragIndex_unsupported\n"), "{}", shown.out);
    assert!(
        shown.out.contains("future         [1]\n"),
        "what a later service says is shown, too: {}",
        shown.out
    );
    assert_eq!(requests.recv().unwrap()["device"], "70b3d57ed0000003");
    let done = run(&desk, "retry meter-3 70b3d57ed0000001");
    assert_eq!(done.code, 0, "{}", done.err);
    let asked: Vec<Value> = requests.try_iter().collect();
    let retried: Vec<&Value> = asked
        .iter()
        .filter(|request| request["do"] == "devices.retry")
        .map(|request| &request["device"])
        .collect();
    assert_eq!(retried, ["70b3d57ed0000003", "70b3d57ed0000001"]);
    assert!(done.out.starts_with("meter-3 70b3d57ed0000003: refused: "), "{}", done.out);
    run(&desk, "forget meter-1");
    assert!(
        requests
            .try_iter()
            .any(|request| request["do"] == "devices.forget" && request["device"] == "70b3d57ed0000001")
    );
    run(&desk, "show nobody").refused(
        "show",
        65,
        &["\"nobody\" is neither a DevEUI", "nor the name of a device of group meters"],
    );
    run(&desk, "show 70b3d57ed0000009").refused("show", 69, &["group meters has no such device"]);
}

#[test]
fn without_a_service_or_a_group_the_way_out_is_said() {
    let desk = Desk::new();
    desk.refuses(
        "devices --socket absent.sock --group meters",
        69,
        &["absent.sock: it is not there", "is the service running?"],
    );
    desk.refuses("devices -c meters.toml", 78, &["no [[group]] has an lns", "write lns and devices-file"]);
}
