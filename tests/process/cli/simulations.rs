//! `simulate`, and what `plan` has in common with it.

use super::CONFIG;
use super::Desk;
use super::NO_REDUNDANCY;
use super::STOCK_CAPS;
use super::TASK;
use super::apart_us;
use super::number;
use super::with;
use crate::support::small_world::lcg;
use serde_json::Value;
use std::path::Path;

#[test]
fn plan_and_a_lossless_simulation_agree_to_the_second() {
    let desk = Desk::new();
    let lossless = with(&with(NO_REDUNDANCY, "loss = 0.10", "loss = 0"), "Percent = 0", "Percent = 30")
        .replace("2026-11-22", "2099-11-22");
    let eu868 = (with(CONFIG, "spacing = \"even\"\n", ""), TASK.to_owned(), lossless);
    let us = |text: &str| {
        text.replace("EU868", "US915")
            .replace("869_525_000", "923_300_000")
            .replace("data-rate = 5", "data-rate = 10")
    };
    let us915 = (us(&eu868.0), us(&eu868.1), us(&eu868.2));
    for (config, task, scenario) in [eu868, us915] {
        desk.write("meters.toml", config);
        desk.write("meters-1.4.2.json", task);
        desk.write("lossless.toml", scenario);
        let plan = desk.json("plan meters-1.4.2.json -c meters.toml --image image.bin --json");
        let world = desk.json("simulate lossless.toml --image image.bin --json");
        assert!(apart_us(&plan["begin"], &world["begin"]) < 1_000_000, "{plan} {world}");
        assert!(apart_us(&plan["end"], &world["end"]) < 1_000_000, "{plan} {world}");
        assert_eq!((&plan["frames"], &plan["airtime_us"]), (&world["frames"], &world["airtime_us"]));
        assert_eq!(number(&world, "complete"), 10);
    }
}

#[test]
fn plan_and_simulate_tell_the_same_sessions_and_every_frame_is_in_one_of_them() {
    let desk = Desk::new();
    let later = |text: &str| text.replace("2026-11-22", "2099-11-22");
    desk.write("meters.toml", with(CONFIG, "spacing = \"even\"\n", ""));
    desk.write("meters-1.4.2.json", TASK);
    let lossless = with(&with(NO_REDUNDANCY, "loss = 0.10", "loss = 0"), "Percent = 0", "Percent = 30");
    desk.write("s.toml", later(&lossless));
    let plan = desk.json("plan meters-1.4.2.json -c meters.toml --image image.bin --json");
    let world = desk.json("simulate s.toml --image image.bin --json");
    let told = &world["plans"][0];
    assert_eq!(number(told, "session_s"), number(&plan, "session_s"));
    let exponents = |json: &Value, name: &str| -> Vec<u64> {
        json["sessions"].as_array().unwrap().iter().map(|session| number(session, name)).collect()
    };
    assert_eq!(exponents(told, "exponent"), exponents(&plan, "timeout_exponent"));
    let sum_s: u64 = exponents(told, "exponent").iter().map(|exponent| 1 << exponent).sum();
    assert!(sum_s > 0 && sum_s == number(told, "session_s"), "{told}");
    assert_eq!(told["sessions"][0]["start"], plan["sessions"][0]["start"]);
    let frames = told["sessions"].as_array().unwrap().iter().map(|session| number(session, "frames"));
    assert_eq!(frames.sum::<u64>(), number(&world, "frames"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let desk = Desk::new();
    desk.write("s.toml", with(NO_REDUNDANCY, "Percent = 0", "Percent = 50"));
    for json in ["", " --json"] {
        let run = |seed: u32| desk.prints(&format!("simulate s.toml --seed {seed}{json}"));
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert_eq!(run(1), desk.prints(&format!("simulate s.toml{json}")), "the scenario's seed is 1");
    }
}

#[test]
fn simulate_broadcasts_the_file_it_is_given_and_draws_no_bar_on_stdout() {
    let desk = Desk::new();
    desk.write("small.bin", lcg(9, 1234));
    desk.write("s.toml", with(NO_REDUNDANCY, "Percent = 0", "Percent = 100"));
    let json = desk.json("simulate s.toml --image small.bin --json");
    assert_eq!((number(&json, "image_bytes"), number(&json, "nb_frag")), (1234, 26));
    assert_eq!((&json["content"], number(&json, "complete")), (&Value::Bool(true), 10));
    let table = desk.prints("simulate s.toml --image small.bin");
    assert!(table.contains("1234 B as 26 uncoded + 26 coded"), "{table}");
    assert!(!table.contains(['\r', '\u{1b}']));
    desk.refuses("simulate s.toml --image none.bin", 66, &["none.bin"]);
}

#[test]
fn a_scenario_that_misses_its_expectation_says_so_and_why() {
    let desk = Desk::new();
    desk.write("no-redundancy.toml", NO_REDUNDANCY);
    let done = desk.run("simulate no-redundancy.toml");
    assert_eq!((done.code, done.err.as_str()), (1, ""));
    assert!(done.out.contains("no redundancy") && done.out.contains("incomplete"), "{}", done.out);
    assert!(done.out.contains("of 10 devices, expected 10") && done.out.contains("referee     PASS"));
    desk.write("expected.toml", format!("{NO_REDUNDANCY}\n[expect]\ncomplete = 0\n"));
    assert_eq!(desk.run("simulate expected.toml").code, 0, "{}", done.out);

    desk.write("stock-caps.toml", STOCK_CAPS);
    let done = desk.run("simulate stock-caps.toml");
    assert_eq!(done.code, 1);
    // A row that is too wide goes on under its first cell.
    let row = |name: &str| {
        let from = done.out.lines().skip_while(|line| !line.trim_start().starts_with(name));
        let more = from.clone().skip(1).take_while(|line| line.starts_with("    "));
        let row: Vec<&str> = from.take(1).chain(more).map(str::trim).collect();
        row.join(" ")
    };
    assert!(row("stock").contains("refused") && row("stock").contains("21 x 50 B, needs 105 x 48 B"));
    assert!(row("roomy").contains("complete"), "{}", done.out);

    desk.write("no-start.toml", with(NO_REDUNDANCY, ", StartTime = \"2026-11-22T08:30:00Z\"", ""));
    let done = desk.run("simulate no-start.toml");
    assert_eq!(done.code, 1);
    assert!(done.out.contains("nothing: it waits for a start"), "{}", done.out);
}

#[test]
fn devices_behind_an_lns_are_set_up_by_it_and_not_beforehand() {
    let desk = Desk::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenarios/lns-chirpstack.toml");
    let whole = std::fs::read_to_string(path).unwrap();
    desk.write("lns.toml", &whole);
    let text = desk.prints("simulate lns.toml");
    assert!(text.contains("  set up      40 devices through the network server by 1"), "{text}");
    // They are asked what they miss: more than what was ordered is sent, and each has a result.
    assert!(text.contains("  results     meters: 0 done, 40 probably by their answers\n"), "{text}");
    let json = desk.json("simulate lns.toml --json");
    assert!(number(&json, "frames") > 310, "{json}");
    let result = &json["results"][0];
    assert_eq!((&result["group"], &result["is_final"]), (&"meters".into(), &true.into()));
    assert_eq!(
        (&result["holdings"]["probably"], &json["broken_promises"]),
        (&40.into(), &Value::Array(Vec::new()))
    );
    desk.write("deaf.toml", whole.replace("uplink-loss = 0.01", "uplink-loss = 1.0"));
    let deaf = desk.run("simulate deaf.toml");
    assert_eq!(deaf.code, 1);
    assert!(deaf.out.contains("complete    0 of 40"), "{}", deaf.out);
    assert!(deaf.out.contains("too-few-ready: 0 of 40 devices are ready"), "{}", deaf.out);
    desk.write("none.toml", with(NO_REDUNDANCY, "Percent = 0", "Percent = 100"));
    let text = desk.prints("simulate none.toml");
    assert!(text.contains("  set up      beforehand: no [[lns]] sets its devices up\n"), "{text}");
    for (old, new, said) in [
        ("lns = \"lns\"", "lns = \"cs\"", "there is no [[lns]] \"cs\""),
        ("lns = \"lns\"", "lns = \"lns\"\nts004-version = 2", "write 1"),
        ("interval-s = 3600", "interval-s = 0", "0 is outside 1 to 604800"),
        ("loss = 0.01\n", "loss = 1.5\n", "1.5 is outside 0..=1"),
        (
            "lns = \"lns\"\nstart",
            "redundancy = \"lean\"\n#start",
            "group meters.redundancy: \"lean\" sends less",
        ),
    ] {
        desk.write("wrong.toml", whole.replacen(old, new, 1));
        desk.refuses("simulate wrong.toml", 65, &[said]);
    }
}

#[test]
fn every_shipped_scenario_ends_well() {
    let desk = Desk::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let json = desk.json(&format!("simulate {} --json", path.display()));
        assert_eq!((&json["content"], &json["complete"]), (&Value::Bool(true), &json["expected"]));
        names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        if names.last().unwrap().contains("power-cut") {
            assert_eq!(number(&json, "restarts"), 1);
            assert!(number(&json, "repeated_frames") > 0);
        }
    }
    for region in fuotad::region::RfRegion::ALL {
        let name = format!("region-{}", region.name().to_lowercase());
        assert!(names.contains(&name), "{name} is not shipped");
    }
}
