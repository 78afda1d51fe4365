//! One line for every mistake.

use super::CONFIG;
use super::Desk;
use super::MC_KEY;
use super::NO_REDUNDANCY;
use super::TASK;
use super::with;
use std::process::Command;

#[test]
fn unknown_words_are_answered_in_one_line() {
    let desk = Desk::new();
    desk.refuses("", 64, &["--help"]);
    desk.refuses("chekc", 64, &["chekc", "'check'"]);
    desk.refuses("check --foo", 64, &["--foo"]);
    desk.refuses("simulate", 64, &["<SCENARIO>"]);
    desk.refuses("simulate x --seed=-1", 64, &["-1", "--seed"]);
    desk.refuses("inspect frames --fcnt 4294967296", 64, &["4294967296"]);
    desk.refuses("inspect frames", 64, &["--mc-addr <MC_ADDR>", "--payload <PAYLOAD>"]);
    desk.refuses("group new meters --mc-addr 00000000", 64, &["00000000", "DevAddr block"]);
    desk.refuses("group new a/b", 64, &["a/b", "letters"]);
    assert!(desk.prints("--help").contains("simulate"));
    assert!(desk.prints("--version").starts_with("fuotad "));
}

#[test]
fn a_key_in_the_wrong_place_of_the_command_line_is_not_repeated() {
    let desk = Desk::new();
    desk.refuses(&format!("inspect frames {MC_KEY}"), 64, &["unexpected"]);
    desk.refuses(&format!("inspect keys --mckey={MC_KEY}"), 64, &["'--mc-key'"]);
    desk.refuses(&format!("inspect keys --mc-key x --mc-addr {MC_KEY}"), 64, &["8 hex digits"]);
    desk.refuses(&format!("inspect keys --mc-key {MC_KEY}0 --mc-addr 01c0ffee"), 64, &["33"]);
    desk.refuses(
        &format!(
            "inspect keys --mc-key {MC_KEY} --mc-addr 01c0ffee --gen-app-key {MC_KEY} --app-key {MC_KEY}"
        ),
        64,
        &["--app-key"],
    );
}

#[test]
fn a_wrong_option_of_inspect_is_refused_with_what_would_do() {
    let desk = Desk::new();
    desk.write("empty", "");
    let fragments = |rest: &str| format!("inspect fragments --ts004 1 --frag-size {rest}");
    desk.refuses(&fragments("0 --coded 1 image.bin"), 64, &["size of 0", "1 to 255"]);
    desk.refuses(&fragments("256 --coded 1 image.bin"), 64, &["256", "1 to 255"]);
    desk.refuses(&fragments("50 --coded 1 empty"), 65, &["empty", "nothing"]);
    desk.refuses(&fragments("50 --coded 16284 image.bin"), 64, &["16284", "100", "16283"]);
    desk.refuses(&fragments("50 --coded 1 none.bin"), 66, &["none.bin"]);
    desk.refuses(&fragments("50 --coded 1 ."), 66, &["folder"]);
    desk.refuses("inspect fragments --ts004 3 --frag-size 9 --coded 1 image.bin", 64, &["3", "1 and 2"]);
    desk.refuses("inspect airtime --sf 13 --bw-hz 125000 --len 1", 64, &["13", "5 to 12"]);
    desk.refuses("inspect airtime --sf 7 --bw-hz 125000 --len 18446744073709551615", 64, &["255"]);
    desk.refuses("inspect airtime --fsk-bps 0 --len 1", 64, &["0"]);
    let frames = format!("inspect frames --mc-addr 01c0ffee --mc-key {MC_KEY} --fcnt 2 --fport");
    desk.refuses(&format!("{frames} 201 --payload 0"), 64, &["--payload", "1 hex digits"]);
    desk.refuses(&format!("{frames} 0 --payload 00"), 64, &["FPort 0", "1 to 223"]);
}

#[test]
fn a_configuration_that_cannot_be_is_refused_with_key_number_and_way_out() {
    let desk = Desk::new();
    let config = |from: &str, to: &str| with(CONFIG, from, to);
    let group = |more: &str| format!("{CONFIG}{more}\n");
    let region = |name: &str| config("EU868", name);
    desk.check_refuses(&region("EU867"), &["gateway.region", "EU867", "EU868, US915"]);
    desk.check_refuses(&region("AS923"), &["869525000", "915062600", "3.10"]);
    desk.check_refuses(&region("CN779"), &["CN779", "withdrawn", "withdrawn-region = true"]);
    desk.check_refuses(&config("data-rate", "data-raet"), &["line 7", "data-raet", "`data-rate`"]);
    desk.check_refuses(&group("[log]\nfilter = \"inof\""), &["log.filter", "\"inof\"", "debug"]);
    desk.check_refuses(&config("first-fcnt", "first-fcnts"), &["line 16", "did you mean `first-fcnt`"]);
    desk.check_refuses(&config("869_525", "869_650"), &["frequency-hz", "869650000", "869587400"]);
    desk.check_refuses(&config("data-rate = 5", "data-rate = 6"), &["250000 Hz", "869825100"]);
    desk.check_refuses(&config("eirp-dbm = 27", "eirp-dbm = 29.16"), &["eirp-dbm", "29.16", "29.15"]);
    desk.check_refuses(&config("data-rate = 5", "data-rate = 14"), &["data-rate", "DR14"]);
    let us915 = with(&config("869_525", "923_300"), "EU868", "US915");
    desk.check_refuses(&with(&us915, "rate = 5", "rate = 3"), &["data-rate", "DR3", "downlinks have DR"]);
    desk.check_refuses(&config("01c0ffee", "00000000"), &["meters.mc-addr", "00000000"]);
    desk.check_refuses(&config("01c0ffee", "1c0ffee"), &["meters.mc-addr", "8 hex digits"]);
    for fcnt in ["0", "1", "65535"] {
        let needles = ["first-fcnt", &format!("{fcnt} is outside 2 to 65534")];
        desk.check_refuses(&config("first-fcnt = 2", &format!("first-fcnt = {fcnt}")), &needles);
    }
    desk.check_refuses(&group("session-timeout-exponent = 16"), &["exponent: 16", "2^15"]);
    desk.check_refuses(&group("session-timeout-exponent = 3"), &["2^3 s", "guards of 7 s", "larger"]);
    desk.check_refuses(&group("gap-uncoded-ms = 44"), &["meters.gap-uncoded-ms", "44 ms", "45 to"]);
    desk.check_refuses(&group("gap-coded-ms = 0"), &["meters.gap-coded-ms", "0 ms", "45 to"]);
    desk.check_refuses(&group("max-sessions = 0"), &["meters.max-sessions", "0 is outside 1 to 64"]);
    desk.check_refuses(&group("session-price-s = 40000"), &["session-price-s", "40000", "0 to 32768"]);
    let power = |line: &str| group(&format!("[group.power]\n{line}"));
    desk.check_refuses(&power("capacity-mah = 0"), &["power.capacity-mah", "0 mAh is no battery", "1 to"]);
    desk.check_refuses(&power("receive-ma = 0"), &["power.receive-ma", "0 mA is no receiver", "0.001 to"]);
    desk.check_refuses(&power("class = \"D\""), &["line ", "\"D\""]);
    desk.check_refuses(&group("fport = 224"), &["224", "1 to 223"]);
    desk.check_refuses(&group("duty-share = 1.5"), &["meters.duty-share", "1.5"]);
    let known = [
        "\"lbn\"",
        "unknown",
        "loramac-node",
        "lbm",
        "zephyr",
        "multitech-dot",
        "fast",
        "did you mean \"lbm\"",
    ];
    desk.check_refuses(&group("device-profile = \"lbn\""), &known);
    let dot = group("device-profile = \"multitech-dot\"\nts004-version = 2");
    desk.check_refuses(&dot, &["meters.ts004-version", "multitech-dot have version 1 only: write 1"]);
    desk.check_refuses(&group("ts004-version = 3"), &["line ", "3 is no version", "use 1 or 2"]);
    desk.check_refuses(&config("= \"even\"", "= \"brust\""), &["line 18", "\"brust\"", "\"burst\""]);
    desk.check_refuses(&group("session-start = \"noon\""), &["session-start", "noon", "RFC 3339"]);
    desk.check_refuses(&config("= \"windows\"", "= \"window\""), &["line 17", "did you mean \"windows\""]);
    let second = "[[group]]\nname = \"b\"\nmc-addr = \"01C0FFEE\"\nmc-key-file = \"meters.mckey\"";
    desk.check_refuses(&group(second), &["group[1].mc-addr", "01C0FFEE is used twice"]);
    let second = "[[group]]\nname = \"meters\"\nmc-addr = \"01020304\"\nmc-key-file = \"meters.mckey\"";
    desk.check_refuses(&group(second), &["group[1].name", "twice"]);
    let antenna = config("\nantenna-gain-dbi = 2", "\nantenna-gain-dbi = 99");
    desk.check_refuses(&antenna, &["radio.antenna-gain-dbi", "99"]);
}

#[test]
fn what_no_group_uses_is_checked_too() {
    let desk = Desk::new();
    let gateway = "[gateway]\nregion = \"EU868\"\n";
    desk.check_refuses(&format!("{gateway}[radio]\nduty-share = 7\n"), &["radio.duty-share", "7"]);
    let min_heard = ["radio.min-heard", "1 is not at least 0 and below 1", "0.98"];
    desk.check_refuses(&format!("{gateway}[radio]\nmin-heard = 1.0\n"), &min_heard);
    let reserve = ["radio.server-reserve", "1 is not at least 0 and below 1", "0.9"];
    desk.check_refuses(&format!("{gateway}[radio]\nserver-reserve = 1.0\n"), &reserve);
    let odd = ["line 4", "\"odd\"", "\"even\"", "\"burst\""];
    desk.check_refuses(&format!("{gateway}[radio]\nspacing = \"odd\"\n"), &odd);
    let first = ["line 4", "\"first\"", "\"in-order\"", "\"fairly\""];
    desk.check_refuses(&format!("{gateway}[radio]\nturns = \"first\"\n"), &first);
    desk.check_refuses(&format!("{gateway}[forwarder]\nlisten = \"1700\"\n"), &["listen", "127.0.0.1:1700"]);
    desk.check_refuses(&format!("{gateway}id = \"banana\"\n"), &["gateway.id"]);
}

#[test]
fn what_is_no_configuration_at_all_is_refused() {
    let desk = Desk::new();
    desk.write("garbage.toml", [0x7f, b'E', b'L', b'F', 0, 0xff, 0xfe, b'\n']);
    desk.refuses("check garbage.toml", 78, &["garbage.toml", "byte 5"]);
    desk.write("zeros.toml", [0; 100]);
    desk.refuses("check zeros.toml", 78, &["zeros.toml", "line 1"]);
    desk.refuses("check none.toml", 66, &["none.toml"]);
    desk.refuses("check .", 66, &["folder"]);
    desk.check_refuses("", &["line 1", "gateway"]);
}

#[test]
fn a_missing_key_file_is_a_warning_in_check_and_an_error_in_plan() {
    let desk = Desk::new();
    desk.write("meters.toml", with(CONFIG, "meters.mckey", "gone.mckey"));
    let done = desk.run("check meters.toml");
    // The other one is that this gateway has no network server.
    assert_eq!((done.code, done.err.lines().count()), (0, 2));
    assert!(done.err.starts_with("warning: gone.mckey"), "{}", done.err);
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    desk.refuses(plan, 78, &["meters.mc-key-file", "gone.mckey"]);
}

#[test]
fn a_key_file_that_cannot_be_trusted_is_refused_in_check_already() {
    let desk = Desk::new();
    desk.mode("meters.mckey", 0o644);
    desk.refuses("check meters.toml", 78, &["meters.mckey", "644", "chmod"]);
    desk.secret("meters.mckey", &format!("{}g", &MC_KEY[..31]));
    desk.refuses("check meters.toml", 78, &["meters.mckey", "character 32"]);
    desk.secret("meters.mckey", "0011");
    desk.refuses("check meters.toml", 78, &["32 hex digits"]);
    desk.write("meters.toml", with(CONFIG, "meters.mckey", "."));
    desk.refuses("check meters.toml", 78, &["folder"]);
    let inline = with(CONFIG, "mc-key-file = \"meters.mckey\"", &format!("mc-key = \"{MC_KEY}\""));
    desk.check_refuses(&inline, &["mc-key", "mc-key-file"]);
}

#[test]
fn a_task_that_cannot_be_is_refused_with_member_number_and_way_out() {
    let desk = Desk::new();
    desk.write("empty", "");
    desk.write("large.bin", vec![0; 200_000]);
    desk.write("huge.bin", vec![0; 4_000_000]);
    desk.write("over.bin", vec![0; (16 << 20) + 1]);
    let task = |from: &str, to: &str| with(TASK, from, to);
    let size = |size: &str| task("\"FragmentSizeBytes\": 48", &format!("\"FragmentSizeBytes\": {size}"));
    let percent = |percent: &str| task(": 30", &format!(": {percent}"));
    desk.plan_refuses(&size("0"), "image.bin", &["FragmentSizeBytes is 0", "1 to 255"]);
    desk.plan_refuses(&size("255"), "image.bin", &["255 is too large for DR5", "at most 239"]);
    desk.plan_refuses(&size("256"), "image.bin", &["FragmentSizeBytes is 256", "1 to 255"]);
    desk.plan_refuses(&percent("101"), "image.bin", &["RedundancyPercent is 101", "0 to 100"]);
    desk.plan_refuses(&percent("-1"), "image.bin", &["RedundancyPercent is -1", "0 to 100"]);
    desk.plan_refuses(TASK, "empty", &["empty"]);
    let needles = ["200000 fragments and 60000 coded", "16383", "FragmentSizeBytes 16 or more"];
    desk.plan_refuses(&size("1"), "large.bin", &needles);
    let needles = ["83334 fragments", "16383", "any fragment size DR5 allows"];
    desk.plan_refuses(TASK, "huge.bin", &needles);
    desk.plan_refuses(TASK, "over.bin", &["over.bin", "limit"]);
    desk.plan_refuses(
        &task("\"meters\"", "\"lamps\""),
        "image.bin",
        &["lamps", "set \"MulticastGroups\" to one of meters"],
    );
    desk.plan_refuses(&task("EU868", "US915"), "image.bin", &["US915", "EU868"]);
    let at_once = task("\"MulticastGroups\"", "\"Start\": \"at-once\", \"MulticastGroups\"");
    desk.plan_refuses(&at_once, "image.bin", &["at-once", "StartTime"]);
    // What is misspelt is told, too, although the order is refused for what it lacks.
    desk.write("bad.json", task("\"StartTime\": \"2099", "\"StartTim\": \"2099"));
    let done = desk.run("plan bad.json -c meters.toml --image image.bin");
    let (warning, refusal) = done.err.split_once('\n').unwrap();
    assert!(warning.ends_with("LoRaWAN.StartTim is unknown and ignored; did you mean LoRaWAN.StartTime?"));
    assert!(
        done.code == 65 && refusal.contains("it waits for a start: the task has no StartTime"),
        "{refusal}"
    );
    let exponent = |n: &str| task("[\"meters\"]", &format!("[\"meters\"], \"SessionTimeoutExponent\": {n}"));
    desk.plan_refuses(&exponent("16"), "image.bin", &["SessionTimeoutExponent is 16", "0 to 15"]);
    desk.plan_refuses(&exponent("3"), "image.bin", &["2^3 s", "larger"]);
    desk.plan_refuses(&task(": 30,", ": 30,,"), "image.bin", &["line 4 column 27"]);
    desk.plan_refuses("", "image.bin", &["line 1 column 0"]);
    desk.plan_refuses("\u{0}\u{1}", "image.bin", &["line 1 column"]);
    desk.plan_refuses("[]", "image.bin", &["a list"]);
    let cloud = task("file:///nowhere/", "s3://bucket/");
    desk.plan_refuses(&cloud, "image.bin", &["Sha256", "unsigned"]);
    desk.write("bad.json", &cloud);
    desk.refuses("plan bad.json -c meters.toml", 64, &["s3://bucket/meters-1.4.2.bin", "--image"]);
    desk.refuses("plan meters-1.4.2.json -c meters.toml", 66, &["/nowhere/meters-1.4.2.bin"]);
    desk.refuses("plan none.json -c meters.toml", 66, &["none.json"]);
    desk.refuses("plan . -c meters.toml", 66, &["folder"]);
}

#[test]
fn a_scenario_that_cannot_be_is_refused_with_key_number_and_way_out() {
    let desk = Desk::new();
    let scenario = |from: &str, to: &str| with(NO_REDUNDANCY, from, to);
    desk.simulate_refuses(&scenario("loss = 0.10", "loss = 1.5"), &["lbm.loss", "1.5", "0..=1"]);
    desk.simulate_refuses(&scenario("loss = 0.10", "loss = nan"), &["lbm.loss", "NaN"]);
    let bursts = scenario("loss = 0.10", "loss = 0.9\nburst-frames = 1.5");
    desk.simulate_refuses(&bursts, &["burst-frames", "1.5", "0.9"]);
    desk.simulate_refuses(&scenario("\"lbm\"\nloss", "\"lbn\"\nloss"), &["lbn", "`lbm`"]);
    desk.simulate_refuses(&scenario("count = 10", "count = 10001"), &["10001", "10000"]);
    desk.simulate_refuses(&scenario("\"lcg\"", "\"aes\""), &["aes", "lcg"]);
    desk.simulate_refuses(&scenario("5_000", "0"), &["empty"]);
    desk.simulate_refuses(&scenario("2026-11-22T08:00:00Z", "today"), &["world.start", "today"]);
    let uplinks = scenario("seed = 1\n", "uplinks-per-hour = 4000000000\n");
    desk.simulate_refuses(&uplinks, &["uplinks-per-hour", "4000000000", "36000"]);
    let drift = scenario("seed = 1\n", "concentrator-drift-ppm = nan\n");
    desk.simulate_refuses(&drift, &["concentrator-drift-ppm", "NaN"]);
    let cut = scenario("seed = 1\n", "power-cut-at-frame = 0\n");
    desk.simulate_refuses(&cut, &["power-cut-at-frame", "0"]);
    desk.simulate_refuses(
        &scenario("first-fcnt", "frist-fcnt"),
        &["line 24", "frist-fcnt", "did you mean `first-fcnt`"],
    );
    desk.simulate_refuses(&scenario(&MC_KEY[26..], "xxxxxx"), &["line 23", "hex digits"]);
    desk.simulate_refuses(&scenario("mc-key = ", "mc-key-file = "), &["mc-key"]);
    desk.simulate_refuses(&scenario("Bytes = 48", "Bytes = 240"), &["240", "239"]);
    desk.write("garbage.toml", [0xff; 9]);
    desk.refuses("simulate garbage.toml", 65, &["garbage.toml", "byte 0"]);
    desk.refuses("simulate none.toml", 66, &["none.toml"]);
    desk.refuses("simulate .", 66, &["folder"]);
}

#[test]
fn somebody_elses_environment_is_no_concern_but_ours_must_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let no_text = OsStr::from_bytes(b"\xff");
    let check = |key: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        command.args(["check", "meters.toml"]).current_dir(desk.0.dir()).env(key, no_text).output().unwrap()
    };
    assert_eq!(check("LS_COLORS").status.code(), Some(0));
    let ours = check("FUOTAD__GATEWAY__ID");
    assert_eq!(ours.status.code(), Some(78));
    assert!(String::from_utf8(ours.stderr).unwrap().contains("FUOTAD__GATEWAY__ID is no text"));
}
