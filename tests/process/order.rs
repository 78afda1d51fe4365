//! `fuotad order`, `tasks` and `history`: from an image to a campaign that is over, without a document by hand.

use crate::support::scratch::Scratch;
use crate::support::site::Site;
use crate::support::small_world::lcg;
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

#[test]
fn an_image_is_ordered_sent_and_remembered_across_a_restart() {
    let mut site = Site::new("order", 12);
    site.start();
    let image = site.path("image.bin");
    let config = site.config();
    // The simulated devices were told fragments of 232 B.
    let order = ["order", image.to_str().unwrap(), "--group", "lamps", "--yes", "-c", &config];
    let words = [&order[..], &["--fragment-size", "232", "--redundancy", "30"]].concat();
    let out = site.cli(&words);
    assert!(out.contains("12 uncoded + ") && out.contains(" to group lamps"), "{out}");
    let (_, name) = out.split_once("ordered ").unwrap();
    let name = name.split(':').next().unwrap().to_owned();
    assert!(name.starts_with("image-") && name.len() == "image-".len() + 8, "{name}");
    let again = site.refuses(&words);
    assert!(again.0 == Some(73) && again.1.contains("is ordered already"), "{again:?}");
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    let verdict = site.verdict();
    assert!(verdict.is_content() && verdict.devices_complete == site.devices(), "{verdict:?}");
    assert_eq!(site.cli(&["tasks", "-c", &config]).trim(), "no task");
    site.terminate();
    let history = site.cli(&["history", "-c", &config]);
    assert!(
        history.contains(&name) && history.contains("lamps") && history.contains("complete"),
        "{history}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&site.cli(&["history", "--json", "-c", &config])).unwrap();
    assert_eq!(json["task"], name.as_str());
    // The file is gone, and the name stays used.
    std::fs::remove_file(site.path("tasks").join(format!("{name}.json"))).unwrap();
    let again = site.refuses(&words);
    assert!(again.0 == Some(65) && again.1.contains("was ordered before"), "{again:?}");
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
    // Whoever rehearses need not be allowed to read the key.
    std::fs::remove_file(desk.path("meters.mckey")).unwrap();
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
