//! `fuotad order`, `tasks` and `history`: from an image to a campaign that is over, without a document by hand.

use crate::support::broker::until;
use crate::support::scratch::Scratch;
use crate::support::site::Site;
use crate::support::small_world::lcg;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::daemon::ControlClient;
use fuotad::daemon::ControlError;
use fuotad::image::Digest;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

/// Fuotad with these words in `folder`: its exit code, and what it said on both sides.
fn fuotad(folder: &Path, words: &str, typed: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fuotad"))
        .current_dir(folder)
        .args(words.split_whitespace())
        .env("FUOTAD__STATE__DIR", folder.join("state"))
        .env("FUOTAD__TASKS__FOLDER", folder.join("tasks"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever is asked nothing does not read it.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// A gateway's files without a service.
fn desk() -> Scratch {
    let desk = Scratch::new("order");
    desk.write("meters.toml", include_str!("../configs/meters.toml"));
    desk.write("meters.mckey", "00112233445566778899aabbccddeeff");
    std::fs::set_permissions(desk.path("meters.mckey"), std::fs::Permissions::from_mode(0o600)).unwrap();
    desk.write("meters 1.bin", lcg(7, 5000));
    desk.write("app.bin", lcg(7, 5000));
    std::fs::create_dir(desk.path("tasks")).unwrap();
    desk
}

fn placed(desk: &Scratch) -> Vec<String> {
    let entries = std::fs::read_dir(desk.path("tasks")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The words that order the site's image: the simulated devices were told fragments of 232 B.
fn order_words<'a>(image: &'a str, config: &'a str) -> Vec<&'a str> {
    let more = ["--fragment-size", "232", "--redundancy", "30"];
    [&["order", image, "--group", "lamps", "--yes", "-c", config][..], &more].concat()
}

/// What the service keeps of orders.
fn kept(site: &Site) -> Vec<String> {
    let entries = std::fs::read_dir(site.path("state/orders")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn control(site: &Site) -> ControlClient {
    ControlClient::connect(&site.path("control.sock")).unwrap()
}

/// The code of a refusal.
pub fn refusal(answer: Result<Value, ControlError>) -> String {
    match answer {
        Err(ControlError::Refused { code, message }) => {
            assert!(!message.is_empty());
            code
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_image_is_ordered_sent_and_remembered_across_a_restart() {
    let mut site = Site::new("order", 12);
    site.start();
    site.wait("it answers", 20, |_| true);
    let (image, config) = (site.path("image.bin").display().to_string(), site.config());
    let words = order_words(&image, &config);
    let out = site.cli(&words);
    assert!(out.contains("12 uncoded + ") && out.contains(" to group lamps"), "{out}");
    let (_, name) = out.split_once("ordered ").unwrap();
    let name = name.split(':').next().unwrap().to_owned();
    assert!(name.starts_with("image-") && name.len() == "image-".len() + 8, "{name}");
    assert!(std::fs::read_dir(site.path("tasks")).unwrap().next().is_none(), "the service keeps it");
    // The image that was sent is the one that counts.
    std::fs::write(site.path("image.bin"), "another").unwrap();
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    let verdict = site.verdict();
    assert!(verdict.is_content() && verdict.devices_complete == site.devices(), "{verdict:?}");
    assert_eq!(site.cli(&["tasks", "-c", &config]).trim(), "no task");
    until("nothing of it is kept", || kept(&site).is_empty());
    let report = site.report(&name);
    assert!(report["outcome"].as_str().unwrap().starts_with("complete"), "{report}");
    let all = site.image().to_vec();
    site.put_image(&all);
    let again = site.refuses(&words);
    assert!(again.0 == Some(65) && again.1.contains("was ordered before and is over"), "{again:?}");
    site.terminate();
    let history = site.cli(&["history", "-c", &config]);
    assert!(
        history.contains(&name) && history.contains("lamps") && history.contains("complete"),
        "{history}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&site.cli(&["history", "--json", "-c", &config])).unwrap();
    assert_eq!(json["task"], name.as_str());
    // Without a service the task folder is the way, and the name stays used.
    let again = site.refuses(&words);
    assert!(again.0 == Some(65) && again.1.contains("was ordered before"), "{again:?}");
}

#[test]
fn an_order_outlives_a_kill_in_its_midst_and_shares_the_radio_with_the_next_until_it_is_cancelled() {
    let mut site = Site::new("order-kill", 40);
    site.start();
    site.wait("it answers", 20, |_| true);
    let (image, config) = (site.path("image.bin").display().to_string(), site.config());
    let first = [order_words(&image, &config), vec!["--name", "first"]].concat();
    assert!(site.cli(&first).contains("`fuotad cancel first` stops it"));
    let again = site.refuses(&first);
    assert!(again.0 == Some(73) && again.1.contains("first is ordered already"), "{again:?}");
    let second = [order_words(&image, &config), vec!["--name", "second", "--start", "2099-11-22T08:30:00Z"]];
    let out = site.cli(&second.concat());
    assert!(out.contains("it shares the radio with first, which came first"), "{out}");
    site.wait_for_frames(5);
    site.kill();
    site.start();
    site.wait("both are known again", 20, |status| status.tasks.len() == 2);
    assert_eq!(kept(&site), ["first.bin", "first.json", "second.bin", "second.json"]);
    assert_eq!(site.cli(&["cancel", "second", "-c", &config]).trim(), "second is cancelled");
    until("its image is removed", || kept(&site) == ["first.bin", "first.json"]);
    let over = site.refuses(&["cancel", "second", "-c", &config]);
    assert!(over.0 == Some(65) && over.1.contains("second is over: cancelled"), "{over:?}");
    let unknown = site.refuses(&["cancel", "third", "-c", &config]);
    assert!(unknown.0 == Some(69) && unknown.1.contains("no task is called third"), "{unknown:?}");
    site.wait("the first is over", 60, |status| {
        status.tasks.is_empty()
            && status.finished.iter().any(|(task, how)| task == "first" && how.starts_with("complete"))
    });
    until("nothing of it is kept", || kept(&site).is_empty());
    let verdict = site.verdict();
    assert!(verdict.is_content() && verdict.devices_complete == site.devices(), "{verdict:?}");
}

#[test]
fn what_is_over_is_sent_once_more_under_another_name_as_coded_fragments_alone_or_as_a_whole() {
    let mut site = Site::new("rerun", 24);
    site.start();
    site.wait("it answers", 20, |_| true);
    let (image, config) = (site.path("image.bin").display().to_string(), site.config());
    let words = [order_words(&image, &config), vec!["--name", "app"]].concat();
    site.cli(&words);
    site.wait_for_frames(2);
    let running = site.refuses(&["rerun", "app", "--image", &image, "-y", "-c", &config]);
    assert!(running.0 == Some(65) && running.1.contains("app is not over"), "{running:?}");
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    until("its image is not kept", || kept(&site).is_empty());
    for (words, code, needle) in [
        (vec!["rerun", "app", "-y"], 64, "give it with --image FILE"),
        (vec!["rerun", "app", "--image", &config, "-y"], 65, "was sent: give that image"),
        (vec!["rerun", "other", "--image", &image, "-y"], 65, "other is no task that is known here"),
        (vec!["rerun", "app", "--image", &image, "--redundancy", "0", "-y"], 65, "sends nothing"),
    ] {
        let refused = site.refuses(&[words.clone(), vec!["-c", &config]].concat());
        assert!(refused.0 == Some(code) && refused.1.contains(needle), "{words:?}: {refused:?}");
    }
    let frames = site.frames();
    let out = site.cli(&["rerun", "app", "--image", &image, "-y", "-c", &config]);
    assert!(
        out.contains("24 uncoded (not sent again) + 8 coded") && out.contains("ordered app~2: "),
        "{out}"
    );
    site.wait("it is over", 60, |status| status.finished.iter().any(|(task, _)| task == "app~2"));
    site.wait_for_the_air();
    let again = site.frames() - frames;
    assert!((8..20).contains(&again), "{again} frames");
    // The next one knows where that one ended.
    let history = site.cli(&["history", "--json", "-c", &config]);
    let report = |task: &str| {
        let mut reports = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        reports.find(|report| report["task"] == task).unwrap()
    };
    let (first, second) = (report("app"), report("app~2"));
    let from = |report: &Value| report["planned"]["first-fcnt"].as_u64().unwrap();
    assert!(from(&second) >= first["planned"]["end-fcnt"].as_u64().unwrap(), "{second}");
    until("its image is not kept", || kept(&site).is_empty());
    let out = site.cli(&["rerun", "app~2", "--image", &image, "--whole", "-y", "-c", &config]);
    assert!(out.contains("24 uncoded + 8 coded") && out.contains("ordered app~3: "), "{out}");
    site.wait("it is over", 60, |status| status.finished.iter().any(|(task, _)| task == "app~3"));
    let verdict = site.verdict();
    assert!(verdict.is_content() && verdict.devices_complete == site.devices(), "{verdict:?}");
}

#[test]
fn an_image_comes_in_pieces_goes_on_after_a_broken_connection_and_begins_anew_after_a_kill() {
    let mut site = Site::new("order-pieces", 12);
    site.start();
    site.wait("it answers", 20, |_| true);
    let image = site.image().to_vec();
    let digest = Digest::of(&image).to_string();
    let begin = json!({"do": "order.begin", "name": "app", "bytes": image.len(), "sha256": digest});
    let piece = |offset: usize, length: usize| {
        let piece = BASE64_STANDARD.encode(&image[offset..offset + length]);
        json!({"do": "order.piece", "name": "app", "offset": offset, "piece": piece})
    };
    let mut client = control(&site);
    let begun = client.ask(begin.clone()).unwrap();
    let path = begun["image"].as_str().unwrap().to_owned();
    assert_eq!((&begun["have"], begun["piece-max"].as_u64()), (&json!(0), Some(4096)));
    assert_eq!(client.ask(piece(0, 1000)).unwrap(), json!({"have": 1000}));
    assert_eq!(refusal(client.ask(piece(0, 1000))), "wrong-piece");
    let commit = |task: Value| json!({"do": "order.commit", "name": "app", "task": task});
    let task = |image: &str| {
        json!({
            "FirmwareUpdateImage": format!("file://{image}"), "RedundancyPercent": 30, "FragmentSizeBytes": 232,
            "Fuotad": {"MulticastGroups": ["lamps"], "Start": "at-once"},
        })
    };
    assert_eq!(refusal(client.ask(commit(task(&path)))), "incomplete");
    // The connection breaks.
    let mut client = control(&site);
    assert_eq!(client.ask(begin.clone()).unwrap()["have"], 1000);
    // The power goes.
    for bytes in [500, 700] {
        client.ask(begin.clone()).unwrap();
        let have = client.ask(begin.clone()).unwrap()["have"].as_u64().unwrap() as usize;
        client.ask(piece(have, bytes)).unwrap();
        site.kill();
        site.start();
        site.wait("it answers", 20, |_| true);
        assert_eq!(kept(&site), [] as [String; 0]);
        client = control(&site);
        assert_eq!(refusal(client.ask(piece(0, 10))), "not-begun");
        assert_eq!(client.ask(begin.clone()).unwrap()["have"], 0);
    }
    let mut have = 0;
    for length in [1000, 1000, image.len() - 2000] {
        assert_eq!(client.ask(piece(have, length)).unwrap()["have"], have + length);
        have += length;
    }
    // What would not be sent is not kept.
    let mut stranger = task("/etc/hostname");
    assert_eq!(refusal(client.ask(commit(stranger.clone()))), "refused");
    stranger["FirmwareUpdateImage"] = format!("file://{path}").into();
    stranger["Id"] = "other".into();
    assert_eq!(refusal(client.ask(commit(stranger))), "refused");
    assert_eq!(client.ask(commit(task(&path))).unwrap()["ordered"], "app");
    assert_eq!(refusal(client.ask(commit(task(&path)))), "already-ordered");
    assert_eq!(refusal(client.ask(begin)), "already-ordered");
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    assert_eq!(site.verdict().devices_complete, site.devices());
    until("nothing of it is kept", || kept(&site).is_empty());
}

/// A group that listens in sessions and is set up through a network server, whose broker is away.
#[cfg(feature = "lns")]
const METERS: &str = r#"
[[lns]]
name = "cs"
kind = "chirpstack"
broker = "mqtt://127.0.0.1:1"
applications = ["5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11"]
[[group]]
name = "meters"
mc-addr = "01c0ffef"
mc-key-file = "DIR/meters.key"
first-fcnt = 2
session = "windows"
lns = "cs"
devices-file = "DIR/meters.devices.toml"
"#;

#[cfg(feature = "lns")]
#[test]
fn an_order_without_a_start_waits_for_devices_where_they_decide_and_is_refused_elsewhere() {
    let start_when = "start-when = { ready-percent = 90, min-ready-percent = 50, at-latest-h = 24 }\n";
    for (more, is_taken) in [(start_when, true), ("", false)] {
        let mut site = Site::new("order-ready", 4);
        let device = "[[device]]\nname = \"m1\"\ndev-eui = \"70b3d57ed0000001\"\nmc-key-encrypted = \"00112233445566778899aabbccddeeff\"\n";
        for (name, text) in [
            ("meters.key", "ffeeddccbbaa99887766554433221100".to_owned()),
            ("meters.devices.toml", format!("group = \"meters\"\n{device}")),
        ] {
            std::fs::write(site.path(name), text).unwrap();
            std::fs::set_permissions(site.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let dir = site.path("").display().to_string();
        site.extend(&(METERS.replace("DIR", dir.trim_end_matches('/')) + more), &[]);
        site.replace("trust = \"never\"", "trust = \"always\"");
        site.cli(&["group", "enrol", "meters", "--config", &site.config()]);
        site.start();
        site.wait("it answers", 20, |_| true);
        let (image, config) = (site.path("image.bin").display().to_string(), site.config());
        let words = ["order", &image, "--group", "meters", "--name", "m", "--yes", "-c", &config];
        if is_taken {
            let out = site.cli(&words);
            assert!(out.contains("ordered m: "), "{out}");
            let status = site.wait("it waits", 20, |status| {
                status
                    .tasks
                    .first()
                    .and_then(|task| task.wait.as_ref())
                    .is_some_and(|wait| wait.reason == "devices")
            });
            assert_eq!(status.tasks.len(), 1);
        } else {
            let refused = site.refuses(&words);
            assert!(refused.0 == Some(65) && refused.1.contains("nothing would be sent"), "{refused:?}");
            assert_eq!(kept(&site), [] as [String; 0]);
        }
    }
}

#[test]
fn a_service_refuses_what_would_not_be_sent_and_keeps_nothing_of_it() {
    let mut site = Site::new("order-refused", 4);
    let key = site.path("meters.key");
    std::fs::write(&key, "ffeeddccbbaa99887766554433221100").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let meters = "name = \"meters\"\nmc-addr = \"01c0ffef\"\nfirst-fcnt = 2\nsession = \"windows\"";
    site.extend(&format!("[[group]]\n{meters}\nmc-key-file = \"{}\"\n", key.display()), &[]);
    site.replace("trust = \"never\"", "trust = \"always\"");
    site.start();
    site.wait("it answers", 20, |_| true);
    let mut client = control(&site);
    let mut ask = |bytes: &[u8], announced: &[u8], change: &dyn Fn(&mut Value)| {
        let digest = Digest::of(announced).to_string();
        let begun =
            client.ask(json!({"do": "order.begin", "name": "x", "bytes": bytes.len(), "sha256": digest}))?;
        for (index, piece) in bytes.chunks(4096).enumerate() {
            let piece = BASE64_STANDARD.encode(piece);
            client.ask(json!({"do": "order.piece", "name": "x", "offset": index * 4096, "piece": piece}))?;
        }
        let mut task = json!({
            "FirmwareUpdateImage": format!("file://{}", begun["image"].as_str().unwrap()),
            "RedundancyPercent": 30, "FragmentSizeBytes": 40,
            "Fuotad": {"MulticastGroups": ["lamps"], "Start": "at-once"},
        });
        change(&mut task);
        client.ask(json!({"do": "order.commit", "name": "x", "task": task}))
    };
    let (small, large) = (lcg(3, 5000), lcg(3, 700_000));
    let nothing = |_: &mut Value| {};
    assert_eq!(refusal(ask(&[], &[], &nothing)), "wrong-size");
    assert_eq!(refusal(ask(&small, &large, &nothing)), "damaged");
    assert_eq!(refusal(ask(&large, &large, &nothing)), "refused", "over 16383 fragments of 40 B");
    assert_eq!(refusal(ask(&small, &small, &|task| task["FragmentSizeBytes"] = 250.into())), "refused");
    let group = |task: &mut Value| task["Fuotad"]["MulticastGroups"] = json!(["nobody"]);
    assert_eq!(refusal(ask(&small, &small, &group)), "refused");
    let late = |task: &mut Value| task["Fuotad"]["FinishBy"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(refusal(ask(&small, &small, &late)), "refused");
    let past = |task: &mut Value| {
        task["Fuotad"] = json!({"MulticastGroups": ["meters"], "Start": "2020-01-01T00:00:00Z"});
    };
    assert_eq!(refusal(ask(&small, &small, &past)), "refused");
    assert_eq!(kept(&site), [] as [String; 0]);
    assert!(site.wait("it runs", 5, |_| true).tasks.is_empty());
}

#[test]
fn what_is_placed_is_what_was_planned_and_nobody_else_can_read_it() {
    let desk = desk();
    let order = "order app.bin --group meters --name m-2 --start 2099-11-22T08:30:00Z -c meters.toml";
    let (code, out) = fuotad(desk.dir(), order, "y\n");
    assert!(code == 0 && out.contains("Send it? [y/N]: "), "{out}");
    assert_eq!(placed(&desk), ["m-2.bin", "m-2.json"]);
    assert_eq!(desk.read("tasks/m-2.bin"), lcg(7, 5000));
    let mode = |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("tasks/m-2.bin"), mode("tasks/m-2.json")), (0o640, 0o640));
    let (code, planned) = fuotad(desk.dir(), "plan tasks/m-2.json -c meters.toml", "");
    assert_eq!(code, 0, "{planned}");
    let frames = planned.lines().find(|line| line.contains("frames ")).unwrap();
    assert!(out.contains(frames), "{out}\n{planned}");
    let given = "order app.bin --group meters --name m-3 --start 2099-11-22T08:30:00Z --redundancy 10 --fragment-size 40 --yes -c meters.toml";
    let (code, out) = fuotad(desk.dir(), given, "");
    assert!(code == 0 && out.contains("125 uncoded + 13 coded of 40 B"), "{out}");
}

#[test]
fn without_consent_or_with_a_mistake_nothing_is_left() {
    let desk = desk();
    desk.write("large.bin", lcg(3, 17 << 20));
    let start = "--start 2099-11-22T08:30:00Z";
    for (words, typed, code, needle) in [
        (format!("app.bin --group meters {start}"), "", 64, "nothing was ordered"),
        (format!("app.bin --group meters {start}"), "n\n", 64, "nothing was ordered"),
        ("app.bin --group meters --start 2020-01-01T00:00:00Z --yes".to_owned(), "", 65, "2020-01-01"),
        ("app.bin --group meters --start tomorrow --yes".to_owned(), "", 65, "tomorrow"),
        (format!("app.bin --group lamps {start} --yes"), "", 64, "there is: meters"),
        (format!("large.bin --group meters {start} --yes"), "", 65, "limit"),
        (format!("app.bin --group meters {start} --name ../x --yes"), "", 64, "letters, digits"),
        (
            format!("app.bin --group meters {start} --finish-by 2099-11-22T08:31:00Z --yes"),
            "",
            65,
            "let it end at 2099-11-22T",
        ),
        (format!("app.bin --group meters {start} --finish-by soon --yes"), "", 65, "soon"),
        (format!("app.bin --group meters {start} --fragment-size 250 --yes"), "", 65, "FragmentSizeBytes"),
    ] {
        let (exit, said) = fuotad(desk.dir(), &format!("order {words} -c meters.toml"), typed);
        assert!(exit == code && said.contains(needle), "{words}: {exit} {said}");
        assert_eq!(placed(&desk), [] as [String; 0], "{words}");
    }
}

#[test]
fn an_order_is_rehearsed_with_the_real_configuration_and_no_key_of_it() {
    let desk = desk();
    let order = "order app.bin --group meters --name m-2 --start 2099-11-22T08:30:00Z --yes -c meters.toml";
    assert_eq!(fuotad(desk.dir(), order, "").0, 0);
    // Whoever rehearses need not be allowed to read the key, which need not be enrolled either.
    std::fs::remove_file(desk.path("meters.mckey")).unwrap();
    let config = include_str!("../configs/meters.toml");
    assert!(config.contains("first-fcnt = 2\n"));
    desk.write("meters.toml", config.replace("first-fcnt = 2\n", ""));
    let rehearse = "rehearse tasks/m-2.json --devices 30 -c meters.toml";
    let (code, out) = fuotad(desk.dir(), &format!("{rehearse} --loss 5 --svg course.svg"), "");
    assert!(
        code == 0 && out.contains("complete    30 of 30 devices") && out.contains("referee     PASS"),
        "{out}"
    );
    assert!(out.contains("meters x 30") && out.contains("complete by 2099-11-22T08:"), "{out}");
    assert!(out.lines().count() < 25, "{out}");
    let svg = String::from_utf8(desk.read("course.svg")).unwrap();
    assert!(svg.contains("30 of 30 devices complete") && svg.contains("<rect x="), "{svg}");
    let (code, out) = fuotad(desk.dir(), &format!("{rehearse} --loss 60"), "");
    assert!(code == 1 && out.contains("complete    0 of 30 devices"), "{code} {out}");
    let (code, out) = fuotad(desk.dir(), &format!("{rehearse} --loss 101"), "");
    assert!(code == 64 && out.contains("0 to 100"), "{out}");
}

#[test]
fn a_rehearsal_asks_devices_behind_an_lns_what_they_miss() {
    let desk = desk();
    let config = include_str!("../configs/meters.toml");
    let lns = "[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://localhost\"\n\
               applications = [\"5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11\"]\n";
    let document = json!({
        "FirmwareUpdateImage": format!("file://{}", desk.path("app.bin").display()),
        "RedundancyPercent": 10, "FragmentSizeBytes": 48, "LoRaWAN": {"StartTime": "2099-11-22T08:30:00Z"},
    });
    desk.write("asked.json", document.to_string());
    for (profile, result) in [("fast", "12 done"), ("loramac-node", "done"), ("lbm", "done")] {
        let of_group = format!("lns = \"cs\"\ndevices-file = \"d.toml\"\ndevice-profile = \"{profile}\"\n");
        desk.write("asked.toml", format!("{config}{of_group}{lns}"));
        let rehearse = "rehearse asked.json --devices 12 --loss 15 -c asked.toml";
        let (code, out) = fuotad(desk.dir(), rehearse, "");
        assert!(code == 0 && out.contains("complete    12 of 12 devices"), "{profile}: {code} {out}");
        let line = out.lines().find(|line| line.starts_with("  results ")).unwrap_or_default();
        assert!(line.contains(result), "{profile}: {out}");
        assert!(out.contains("12 devices through the network server"), "{profile}: {out}");
    }
}

#[test]
fn an_order_for_two_groups_with_an_id_of_its_own_is_rehearsed() {
    let desk = desk();
    let config = include_str!("../configs/meters.toml");
    let (_, group) = config.split_once("[[group]]").unwrap();
    let second = group.replace("\"meters\"", "\"lamps\"").replace("01c0ffee", "01c0ffef");
    desk.write("meters.toml", format!("{config}\n[[group]]{second}"));
    let document = json!({
        "Id": "6d2f", "FirmwareUpdateImage": format!("file://{}", desk.path("app.bin").display()),
        "RedundancyPercent": 30, "FragmentSizeBytes": 48,
        "Fuotad": {"MulticastGroups": ["meters", "lamps"], "Start": "2099-11-22T08:30:00Z"},
    });
    desk.write("two.json", document.to_string());
    let (code, out) = fuotad(desk.dir(), "rehearse two.json --devices 5 --loss 2 -c meters.toml", "");
    assert!(code == 0 && out.contains("complete    10 of 10 devices"), "{code} {out}");
}

#[test]
fn a_plan_is_drawn_with_its_sessions_and_all_its_frames() {
    let desk = desk();
    let order = "order app.bin --group meters --name m-2 --start 2099-11-22T08:30:00Z --redundancy 30 --fragment-size 48 --yes -c meters.toml";
    assert_eq!(fuotad(desk.dir(), order, "").0, 0);
    let (code, out) = fuotad(desk.dir(), "plan tasks/m-2.json -c meters.toml --svg plan.svg", "");
    assert_eq!(code, 0, "{out}");
    let svg = String::from_utf8(desk.read("plan.svg")).unwrap();
    let frames = out.lines().find_map(|line| line.trim().strip_prefix("frames ")).unwrap();
    let frames = frames.trim().split(',').next().unwrap();
    assert!(svg.contains(&format!("{frames} of {frames} frames to meters")), "{frames}: {svg}");
    assert!(svg.contains("2099-11-22T08:30:00Z") && svg.contains("fill=\"#e6eef6\""), "{svg}");
}

#[test]
fn an_order_to_a_group_whose_key_is_not_enrolled_is_refused_with_the_way_out_and_not_kept() {
    let mut site = Site::new("order-unenrolled", 4);
    // A state folder that is there is not enrolled by itself.
    std::fs::create_dir(site.path("state")).unwrap();
    site.start();
    site.wait("it answers", 20, |_| true);
    let (image, config) = (site.path("image.bin").display().to_string(), site.config());
    let (code, text) = site.refuses(&order_words(&image, &config));
    assert_eq!(code, Some(65), "{text}");
    assert!(text.contains("say `fuotad group enrol lamps` once"), "{text}");
    assert_eq!((kept(&site), site.cli(&["tasks", "-c", &config])), (vec![], "no task\n".to_owned()));
}
