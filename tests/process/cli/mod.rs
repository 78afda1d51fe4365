//! The binary as an operator meets it: its fixed forms against other people's answers, its one line for every
//! mistake, and its silence about keys.

use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::PackageVersion;
use fuotad::lorawan::Secret;
use fuotad::lorawan::ts004;
use fuotad::lorawan::ts005;
use fuotad::sim::disk::Disk;
use fuotad::store::Change;
use fuotad::store::Enrolment;
use fuotad::store::Files;
use fuotad::store::RecordId;
use fuotad::store::Reservation;
use fuotad::store::Store;
use fuotad::store::enrol;
use fuotad::task::gps_from_rfc3339;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use std::cell::RefCell;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// No output may ever show these, nor what is derived from them.
const MC_KEY: &str = "00112233445566778899aabbccddeeff";
const GEN_APP_KEY: &str = "000102030405060708090a0b0c0d0e0f";
/// McAppSKey and McNwkSKey of `MC_KEY` for 01c0ffee.
const MC_APP_S_KEY: &str = "ca2780389d72f2b319d1b1997617329e";
const MC_NWK_S_KEY: &str = "8ed4be148cfd3cca6db47e0181f3ffcc";

const CONFIG: &str = include_str!("../../configs/meters.toml");
const MINIMAL: &str = include_str!("../../configs/minimal.toml");
const TASK: &str = include_str!("../../configs/meters-1.4.2.json");
const NO_REDUNDANCY: &str = include_str!("../../scenarios/no-redundancy.toml");
const STOCK_CAPS: &str = include_str!("../../scenarios/stock-caps.toml");

/// A folder of its own for a test, gone when the test is over.
struct Scratch(PathBuf);

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Scratch {
    /// With a key file, an image of 5000 bytes, a configuration and a task.
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("fuotad-cli-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let scratch = Scratch(dir);
        scratch.secret("meters.mckey", MC_KEY);
        scratch.write("image.bin", lcg(7, 5000));
        scratch.write("meters.toml", CONFIG);
        scratch.write("meters-1.4.2.json", TASK);
        scratch
            .write("devices.toml", format!("[[device]]\nname = \"d1\"\ngen-app-key = \"{GEN_APP_KEY}\"\n"));
        scratch
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }

    fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.0.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs the words of `line` and sees to what holds for every command: no panic, no key.
    fn run(&self, line: &str) -> Done {
        let done = self.run_words(&line.split_whitespace().collect::<Vec<_>>());
        for canary in [MC_KEY, GEN_APP_KEY, MC_APP_S_KEY, MC_NWK_S_KEY, &MC_KEY[4..28], &GEN_APP_KEY[4..28]] {
            let shown = format!("{}{}", done.out, done.err).to_lowercase();
            assert!(!shown.contains(canary), "{line} shows a key: {}{}", done.out, done.err);
        }
        done
    }

    fn run_words(&self, words: &[&str]) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        let output = command.args(words).current_dir(&self.0).env_clear().output().unwrap();
        let done = Done {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(done.code < 100 && !done.err.contains("panicked"), "{words:?}: {}", done.err);
        done
    }

    /// What a command that must succeed prints.
    fn prints(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.code, 0, "{line}: {}", done.err);
        done.out
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.prints(line)).unwrap()
    }

    /// One line beginning `fuotad: ` with everything in `needles`, nothing else, and the exit code.
    fn refuses(&self, line: &str, code: i32, needles: &[&str]) {
        self.run(line).refused(line, code, needles);
    }

    /// `check` of `config`, where it is refused.
    fn check_refuses(&self, config: &str, needles: &[&str]) {
        self.write("bad.toml", config);
        self.refuses("check bad.toml", 78, needles);
    }

    /// `plan` of `task` and this image, where it is refused.
    fn plan_refuses(&self, task: &str, image: &str, needles: &[&str]) {
        self.write("bad.json", task);
        self.refuses(&format!("plan bad.json -c meters.toml --image {image}"), 65, needles);
    }

    fn simulate_refuses(&self, scenario: &str, needles: &[&str]) {
        self.write("bad.toml", scenario);
        self.refuses("simulate bad.toml", 65, needles);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Done {
    fn refused(&self, line: &str, code: i32, needles: &[&str]) {
        assert_eq!(self.out, "", "{line}: something was printed before it was refused");
        assert_eq!(self.err.matches('\n').count(), 1, "{line}: not one line:\n{}", self.err);
        assert!(self.err.starts_with("fuotad: ") && self.err.ends_with('\n'), "{line}: {}", self.err);
        for needle in needles {
            assert!(self.err.contains(needle), "{line}: no {needle:?} in {}", self.err);
        }
        assert_eq!(self.code, code, "{line}: {}", self.err);
    }
}

/// `text` with `from`, which must be there, replaced once.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap()
}

/// The generator of the vectors' data.
fn lcg(seed: u32, length: usize) -> Vec<u8> {
    let step = |x: &u32| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(step(&seed), step).map(|x| (x >> 24) as u8).take(length).collect()
}

fn data(value: &Value) -> Vec<u8> {
    let length = number(value, "length") as usize;
    match text(value, "generator") {
        "counter" => (0..length).map(|i| i as u8).collect(),
        _ => lcg(number(value, "seed") as u32, length),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Seconds from one RFC 3339 member to another.
fn apart_us(a: &Value, b: &Value) -> u64 {
    let us = |value: &Value| gps_from_rfc3339(value.as_str().unwrap()).unwrap().as_us();
    us(a).abs_diff(us(b))
}

// --- the fixed forms of `inspect` ---------------------------------------------------------------------------

#[test]
fn inspected_fragments_are_those_of_other_implementations() {
    let scratch = Scratch::new();
    let cases = vectors("fec_vectors.json");
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        scratch.write("data", data(&case["data"]));
        let (version, size) = (number(case, "ts004_version"), number(case, "frag_size"));
        let coded = number(case, "redundancy");
        let line = format!("inspect fragments --ts004 {version} --frag-size {size} --coded {coded} data");
        let out = scratch.prints(&line);
        let mut all = Sha256::new();
        let nb_frag = number(case, "M");
        assert_eq!(out.lines().count() as u64, nb_frag + coded, "{line}");
        for (n, line) in (1..).zip(out.lines()) {
            let hex =
                line.strip_prefix(&format!("{{\"n\":{n},\"hex\":\"")).unwrap().strip_suffix("\"}").unwrap();
            let expected = [&case["first_coded"][n.to_string()], &case["last_coded"][n.to_string()]];
            for expected in expected.into_iter().filter_map(Value::as_str) {
                assert_eq!(hex, expected, "{line}");
            }
            if n == 1 {
                assert_eq!(hex, text(case, "first_uncoded"), "{line}");
            }
            all.update(unhex(hex));
        }
        let all: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(all, text(case, "sha256_all_fragments"), "{line}");
    }
}

#[test]
fn inspected_frames_are_those_of_other_implementations() {
    let scratch = Scratch::new();
    let vectors = vectors("frame_vectors.json");
    let frames = vectors["multicast_frames"].as_array().unwrap();
    assert_eq!(frames.len(), 11);
    let mc_key = |frame: &Value| {
        let rows = vectors["mc_key_vectors"].as_array().unwrap();
        let row = rows.iter().find(|row| row["mc_app_s_key"] == frame["mc_app_s_key"]);
        row.map(|row| text(row, "mc_key").to_owned())
    };
    for frame in frames {
        let (fcnt, fport) = (number(frame, "fcnt"), number(frame, "fport"));
        let (mc_addr, payload) = (text(frame, "mc_addr"), text(frame, "payload"));
        let (nwk, app) = (text(frame, "mc_nwk_s_key"), text(frame, "mc_app_s_key"));
        let mut keys = vec![format!("--mc-nwk-s-key {nwk} --mc-app-s-key {app}")];
        keys.extend(mc_key(frame).map(|mc_key| format!("--mc-key {mc_key}")));
        for keys in keys {
            let line = format!(
                "inspect frames --mc-addr {mc_addr} {keys} --fcnt {fcnt} --fport {fport} --payload {payload}"
            );
            let expected = format!("{{\"fcnt\":{fcnt},\"hex\":\"{}\"}}\n", text(frame, "phy_payload"));
            assert_eq!(scratch.prints(&line), expected, "{line}");
        }
    }
}

#[test]
fn inspected_keys_are_those_of_other_implementations_and_null_where_nothing_is_known() {
    let scratch = Scratch::new();
    let vectors = vectors("frame_vectors.json");
    for row in vectors["mc_key_vectors"].as_array().unwrap() {
        let base = ["inspect", "keys", "--mc-key", text(row, "mc_key"), "--mc-addr", text(row, "mc_addr")];
        let root = match text(row, "root_key_kind") {
            "GenAppKey (1.0.x)" => "--gen-app-key",
            _ => "--app-key",
        };
        let mut words = base.to_vec();
        let session = ["mc_app_s_key", "mc_nwk_s_key"];
        let lifetime = ["mc_root_key", "mc_ke_key", "mc_key_encrypted"];
        let alone: Value = serde_json::from_str(&scratch.run_words(&words).out).unwrap();
        words.extend([root, text(row, "root_key")]);
        let full: Value = serde_json::from_str(&scratch.run_words(&words).out).unwrap();
        assert_eq!(full.as_object().unwrap().len(), 5);
        for name in session {
            assert_eq!((&alone[name], &full[name]), (&row[name], &row[name]), "{name}");
        }
        for name in lifetime {
            assert_eq!((&alone[name], &full[name]), (&Value::Null, &row[name]), "{name}");
            assert!(alone.as_object().unwrap().contains_key(name));
        }
    }
}

#[test]
fn inspected_airtimes_are_those_of_other_implementations() {
    let scratch = Scratch::new();
    let vectors = vectors("airtime_vectors.json");
    let mut told = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let len = number(vector, "payload_len");
        let line = if text(vector, "modulation") == "FSK" {
            if vector["crc"] != true || number(vector, "preamble_bytes") != 5 {
                continue;
            }
            format!("inspect airtime --fsk-bps {} --len {len}", number(vector, "bitrate"))
        } else {
            let (sf, bw) = (number(vector, "sf"), number(vector, "bw_hz"));
            // The command has no flag for it: a symbol of 16.384 ms or more turns it on.
            if vector["ldro"] != ((1 << sf) * 1000 >= bw / 1000 * 16_384) {
                continue;
            }
            let (cr, preamble) = (number(vector, "cr"), number(vector, "preamble_symbols"));
            let crc = if vector["crc"] == true { " --crc" } else { "" };
            let implicit = if vector["explicit_header"] == false { " --implicit" } else { "" };
            let default = if sf <= 6 { 12 } else { 8 };
            let preamble =
                if preamble == default { String::new() } else { format!(" --preamble {preamble}") };
            let cr = if cr == 1 { String::new() } else { format!(" --cr {cr}") };
            format!("inspect airtime --sf {sf} --bw-hz {bw} --len {len}{cr}{preamble}{crc}{implicit}")
        };
        let expected = format!("{{\"airtime_us\":{}}}\n", number(vector, "expected_us"));
        assert_eq!(scratch.prints(&line), expected, "{line}");
        told += 1;
    }
    assert!(told >= 80, "only {told} of the vectors were asked for");
}

// --- one line for every mistake -----------------------------------------------------------------------------

#[test]
fn unknown_words_are_answered_in_one_line() {
    let scratch = Scratch::new();
    scratch.refuses("", 64, &["--help"]);
    scratch.refuses("chekc", 64, &["chekc", "'check'"]);
    scratch.refuses("check --foo", 64, &["--foo"]);
    scratch.refuses("simulate", 64, &["<SCENARIO>"]);
    scratch.refuses("simulate x --seed=-1", 64, &["-1", "--seed"]);
    scratch.refuses("inspect frames --fcnt 4294967296", 64, &["4294967296"]);
    scratch.refuses("inspect frames", 64, &["--mc-addr <MC_ADDR>", "--payload <PAYLOAD>"]);
    scratch.refuses("group new meters --mc-addr 00000000", 64, &["00000000", "DevAddr block"]);
    scratch.refuses("group new a/b", 64, &["a/b", "letters"]);
    assert!(scratch.prints("--help").contains("simulate"));
    assert!(scratch.prints("--version").starts_with("fuotad "));
}

#[test]
fn a_key_in_the_wrong_place_of_the_command_line_is_not_repeated() {
    let scratch = Scratch::new();
    scratch.refuses(&format!("inspect frames {MC_KEY}"), 64, &["unexpected"]);
    scratch.refuses(&format!("inspect keys --mckey={MC_KEY}"), 64, &["'--mc-key'"]);
    scratch.refuses(&format!("inspect keys --mc-key x --mc-addr {MC_KEY}"), 64, &["8 hex digits"]);
    scratch.refuses(&format!("inspect keys --mc-key {MC_KEY}0 --mc-addr 01c0ffee"), 64, &["33"]);
    scratch.refuses(
        &format!(
            "inspect keys --mc-key {MC_KEY} --mc-addr 01c0ffee --gen-app-key {MC_KEY} --app-key {MC_KEY}"
        ),
        64,
        &["--app-key"],
    );
}

#[test]
fn a_wrong_option_of_inspect_is_refused_with_what_would_do() {
    let scratch = Scratch::new();
    scratch.write("empty", "");
    let fragments = |rest: &str| format!("inspect fragments --ts004 1 --frag-size {rest}");
    scratch.refuses(&fragments("0 --coded 1 image.bin"), 64, &["size of 0", "1 to 255"]);
    scratch.refuses(&fragments("256 --coded 1 image.bin"), 64, &["256", "1 to 255"]);
    scratch.refuses(&fragments("50 --coded 1 empty"), 65, &["empty", "nothing"]);
    scratch.refuses(&fragments("50 --coded 16284 image.bin"), 64, &["16284", "100", "16283"]);
    scratch.refuses(&fragments("50 --coded 1 none.bin"), 66, &["none.bin"]);
    scratch.refuses(&fragments("50 --coded 1 ."), 66, &["directory"]);
    scratch.refuses("inspect fragments --ts004 3 --frag-size 9 --coded 1 image.bin", 64, &["3", "1 and 2"]);
    scratch.refuses("inspect airtime --sf 13 --bw-hz 125000 --len 1", 64, &["13", "5 to 12"]);
    scratch.refuses("inspect airtime --sf 7 --bw-hz 125000 --len 18446744073709551615", 64, &["255"]);
    scratch.refuses("inspect airtime --fsk-bps 0 --len 1", 64, &["0"]);
    let frames = format!("inspect frames --mc-addr 01c0ffee --mc-key {MC_KEY} --fcnt 2 --fport");
    scratch.refuses(&format!("{frames} 201 --payload 0"), 64, &["--payload", "even"]);
    scratch.refuses(&format!("{frames} 0 --payload 00"), 64, &["FPort 0", "1 to 223"]);
}

#[test]
fn a_configuration_that_cannot_be_is_refused_with_key_number_and_way_out() {
    let scratch = Scratch::new();
    let config = |from: &str, to: &str| with(CONFIG, from, to);
    let group = |more: &str| format!("{CONFIG}{more}\n");
    let region = |name: &str| config("EU868", name);
    scratch.check_refuses(&region("EU867"), &["gateway.region", "EU867", "EU868, US915"]);
    scratch.check_refuses(&region("AS923"), &["869525000", "915062600", "3.10"]);
    scratch.check_refuses(&region("CN779"), &["CN779", "withdrawn", "withdrawn-region = true"]);
    scratch.check_refuses(&config("data-rate", "data-raet"), &["line 7", "data-raet", "expected one of"]);
    scratch.check_refuses(&config("first-fcnt", "first-fcnts"), &["line 16", "did you mean `first-fcnt`"]);
    scratch.check_refuses(&config("869_525", "869_650"), &["frequency-hz", "869650000", "869587400"]);
    scratch.check_refuses(&config("data-rate = 5", "data-rate = 6"), &["250000 Hz", "869825100"]);
    scratch.check_refuses(&config("eirp-dbm = 27", "eirp-dbm = 29.16"), &["eirp-dbm", "29.16", "29.15"]);
    scratch.check_refuses(&config("data-rate = 5", "data-rate = 14"), &["data-rate", "DR14"]);
    let us915 = with(&config("869_525", "923_300"), "EU868", "US915");
    scratch.check_refuses(&with(&us915, "rate = 5", "rate = 3"), &["data-rate", "DR3", "downlinks have DR"]);
    scratch.check_refuses(&config("01c0ffee", "00000000"), &["meters.mc-addr", "00000000"]);
    scratch.check_refuses(&config("01c0ffee", "1c0ffee"), &["meters.mc-addr", "8 hex digits"]);
    for fcnt in ["0", "1", "65535"] {
        let needles = ["first-fcnt", &format!("{fcnt} is outside 2..=65534")];
        scratch.check_refuses(&config("first-fcnt = 2", &format!("first-fcnt = {fcnt}")), &needles);
    }
    scratch.check_refuses(&group("session-timeout-exponent = 16"), &["exponent: 16", "2^15"]);
    scratch.check_refuses(&group("session-timeout-exponent = 4"), &["2^4 s", "guards of 10 s", "larger"]);
    scratch.check_refuses(&group("fport = 224"), &["224", "1..=223"]);
    scratch.check_refuses(&group("duty-share = 1.5"), &["meters.duty-share", "1.5"]);
    scratch.check_refuses(&group("device-profile = \"lbn\""), &["lbn", "lbm"]);
    scratch.check_refuses(&group("session-start = \"noon\""), &["session-start", "noon", "RFC 3339"]);
    scratch.check_refuses(&config("= \"windows\"", "= \"window\""), &["line 17", "did you mean `windows`"]);
    let second = "[[group]]\nname = \"b\"\nmc-addr = \"01C0FFEE\"\nmc-key-file = \"meters.mckey\"";
    scratch.check_refuses(&group(second), &["group[1].mc-addr", "01c0ffee is used twice"]);
    let second = "[[group]]\nname = \"meters\"\nmc-addr = \"01020304\"\nmc-key-file = \"meters.mckey\"";
    scratch.check_refuses(&group(second), &["group[1].name", "twice"]);
    let antenna = config("\nantenna-gain-dbi = 2", "\nantenna-gain-dbi = 99");
    scratch.check_refuses(&antenna, &["radio.antenna-gain-dbi", "99"]);
}

#[test]
fn what_no_group_uses_is_checked_too() {
    let scratch = Scratch::new();
    let gateway = "[gateway]\nregion = \"EU868\"\n";
    scratch.check_refuses(&format!("{gateway}[radio]\nduty-share = 7\n"), &["radio.duty-share", "7"]);
    scratch.check_refuses(&format!("{gateway}[radio]\nspacing = \"odd\"\n"), &["radio.spacing", "odd"]);
    scratch
        .check_refuses(&format!("{gateway}[forwarder]\nlisten = \"1700\"\n"), &["listen", "127.0.0.1:1700"]);
    scratch.check_refuses(&format!("{gateway}id = \"banana\"\n"), &["gateway.id"]);
}

#[test]
fn what_is_no_configuration_at_all_is_refused() {
    let scratch = Scratch::new();
    scratch.write("garbage.toml", [0x7f, b'E', b'L', b'F', 0, 0xff, 0xfe, b'\n']);
    scratch.refuses("check garbage.toml", 78, &["garbage.toml", "byte 5"]);
    scratch.write("zeros.toml", [0; 100]);
    scratch.refuses("check zeros.toml", 78, &["zeros.toml", "line 1"]);
    scratch.refuses("check none.toml", 66, &["none.toml"]);
    scratch.refuses("check .", 66, &["directory"]);
    scratch.check_refuses("", &["line 1", "gateway"]);
}

#[test]
fn a_missing_key_file_is_a_warning_in_check_and_an_error_in_plan() {
    let scratch = Scratch::new();
    scratch.write("meters.toml", with(CONFIG, "meters.mckey", "gone.mckey"));
    let done = scratch.run("check meters.toml");
    assert_eq!((done.code, done.err.lines().count()), (0, 1));
    assert!(done.err.starts_with("warning: gone.mckey"), "{}", done.err);
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    scratch.refuses(plan, 78, &["meters.mc-key-file", "gone.mckey"]);
}

#[test]
fn a_key_file_that_cannot_be_trusted_is_refused_in_check_already() {
    let scratch = Scratch::new();
    scratch.mode("meters.mckey", 0o644);
    scratch.refuses("check meters.toml", 78, &["meters.mckey", "644", "chmod"]);
    scratch.secret("meters.mckey", &format!("{}g", &MC_KEY[..31]));
    scratch.refuses("check meters.toml", 78, &["meters.mckey", "character 32"]);
    scratch.secret("meters.mckey", "0011");
    scratch.refuses("check meters.toml", 78, &["32 hex digits"]);
    scratch.write("meters.toml", with(CONFIG, "meters.mckey", "."));
    scratch.refuses("check meters.toml", 78, &["directory"]);
    let inline = with(CONFIG, "mc-key-file = \"meters.mckey\"", &format!("mc-key = \"{MC_KEY}\""));
    scratch.check_refuses(&inline, &["mc-key", "mc-key-file"]);
}

#[test]
fn a_task_that_cannot_be_is_refused_with_member_number_and_way_out() {
    let scratch = Scratch::new();
    scratch.write("empty", "");
    scratch.write("large.bin", vec![0; 200_000]);
    scratch.write("huge.bin", vec![0; 4_000_000]);
    scratch.write("over.bin", vec![0; (16 << 20) + 1]);
    let task = |from: &str, to: &str| with(TASK, from, to);
    let size = |size: &str| task("\"FragmentSizeBytes\": 48", &format!("\"FragmentSizeBytes\": {size}"));
    let percent = |percent: &str| task(": 30", &format!(": {percent}"));
    scratch.plan_refuses(&size("0"), "image.bin", &["FragmentSizeBytes is 0", "1 to 255"]);
    scratch.plan_refuses(&size("255"), "image.bin", &["255 is too large for DR5", "at most 239"]);
    scratch.plan_refuses(&size("256"), "image.bin", &["FragmentSizeBytes is 256", "1 to 255"]);
    scratch.plan_refuses(&percent("101"), "image.bin", &["RedundancyPercent is 101", "0 to 100"]);
    scratch.plan_refuses(&percent("-1"), "image.bin", &["RedundancyPercent is -1", "0 to 100"]);
    scratch.plan_refuses(TASK, "empty", &["empty"]);
    let needles = ["200000 fragments and 60000 coded", "16383", "FragmentSizeBytes 16 or more"];
    scratch.plan_refuses(&size("1"), "large.bin", &needles);
    let needles = ["83334 fragments", "16383", "any fragment size DR5 allows"];
    scratch.plan_refuses(TASK, "huge.bin", &needles);
    scratch.plan_refuses(TASK, "over.bin", &["over.bin", "limit"]);
    scratch.plan_refuses(&task("\"meters\"", "\"lamps\""), "image.bin", &["lamps", "has meters"]);
    scratch.plan_refuses(&task("EU868", "US915"), "image.bin", &["US915", "EU868"]);
    let at_once = task("\"MulticastGroups\"", "\"Start\": \"at-once\", \"MulticastGroups\"");
    scratch.plan_refuses(&at_once, "image.bin", &["at-once", "StartTime"]);
    scratch.plan_refuses(&task("\"StartTime\": \"2026", "\"StartTim\": \"2026"), "image.bin", &["StartTime"]);
    let exponent = |n: &str| task("[\"meters\"]", &format!("[\"meters\"], \"SessionTimeoutExponent\": {n}"));
    scratch.plan_refuses(&exponent("16"), "image.bin", &["SessionTimeoutExponent is 16", "0 to 15"]);
    scratch.plan_refuses(&exponent("4"), "image.bin", &["2^4 s", "larger"]);
    scratch.plan_refuses(&task(": 30,", ": 30,,"), "image.bin", &["line 4 column 27"]);
    scratch.plan_refuses("", "image.bin", &["line 1 column 0"]);
    scratch.plan_refuses("\u{0}\u{1}", "image.bin", &["line 1 column"]);
    scratch.plan_refuses("[]", "image.bin", &["a list"]);
    let cloud = task("file:///nowhere/", "s3://bucket/");
    scratch.plan_refuses(&cloud, "image.bin", &["Sha256", "unsigned"]);
    scratch.write("bad.json", &cloud);
    scratch.refuses("plan bad.json -c meters.toml", 64, &["s3://bucket/meters-1.4.2.bin", "--image"]);
    scratch.refuses("plan meters-1.4.2.json -c meters.toml", 66, &["/nowhere/meters-1.4.2.bin"]);
    scratch.refuses("plan none.json -c meters.toml", 66, &["none.json"]);
    scratch.refuses("plan . -c meters.toml", 66, &["directory"]);
}

#[test]
fn a_scenario_that_cannot_be_is_refused_with_key_number_and_way_out() {
    let scratch = Scratch::new();
    let scenario = |from: &str, to: &str| with(NO_REDUNDANCY, from, to);
    scratch.simulate_refuses(&scenario("loss = 0.10", "loss = 1.5"), &["lbm.loss", "1.5", "0..=1"]);
    scratch.simulate_refuses(&scenario("loss = 0.10", "loss = nan"), &["lbm.loss", "NaN"]);
    let bursts = scenario("loss = 0.10", "loss = 0.9\nburst-frames = 1.5");
    scratch.simulate_refuses(&bursts, &["burst-frames", "1.5", "0.9"]);
    scratch.simulate_refuses(&scenario("\"lbm\"\nloss", "\"lbn\"\nloss"), &["lbn", "`lbm`"]);
    scratch.simulate_refuses(&scenario("count = 10", "count = 10001"), &["10001", "10000"]);
    scratch.simulate_refuses(&scenario("\"lcg\"", "\"aes\""), &["aes", "lcg"]);
    scratch.simulate_refuses(&scenario("5_000", "0"), &["empty"]);
    scratch.simulate_refuses(&scenario("2026-11-22T08:00:00Z", "today"), &["world.start", "today"]);
    let uplinks = scenario("seed = 1\n", "uplinks-per-hour = 4000000000\n");
    scratch.simulate_refuses(&uplinks, &["uplinks-per-hour", "4000000000", "36000"]);
    let drift = scenario("seed = 1\n", "concentrator-drift-ppm = nan\n");
    scratch.simulate_refuses(&drift, &["concentrator-drift-ppm", "NaN"]);
    let cut = scenario("seed = 1\n", "power-cut-at-frame = 0\n");
    scratch.simulate_refuses(&cut, &["power-cut-at-frame", "0"]);
    scratch.simulate_refuses(
        &scenario("first-fcnt", "frist-fcnt"),
        &["line 24", "frist-fcnt", "did you mean `first-fcnt`"],
    );
    scratch.simulate_refuses(&scenario(&MC_KEY[26..], "xxxxxx"), &["line 23", "hex digits"]);
    scratch.simulate_refuses(&scenario("mc-key = ", "mc-key-file = "), &["mc-key"]);
    scratch.simulate_refuses(&scenario("Bytes = 48", "Bytes = 240"), &["240", "239"]);
    scratch.write("garbage.toml", [0xff; 9]);
    scratch.refuses("simulate garbage.toml", 65, &["garbage.toml", "byte 0"]);
    scratch.refuses("simulate none.toml", 66, &["none.toml"]);
    scratch.refuses("simulate .", 66, &["directory"]);
}

#[test]
fn somebody_elses_environment_is_no_concern_but_ours_must_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let no_text = OsStr::from_bytes(b"\xff");
    let check = |key: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        command.args(["check", "meters.toml"]).current_dir(&scratch.0).env(key, no_text).output().unwrap()
    };
    assert_eq!(check("LS_COLORS").status.code(), Some(0));
    let ours = check("FUOTAD__GATEWAY__ID");
    assert_eq!(ours.status.code(), Some(78));
    assert!(String::from_utf8(ours.stderr).unwrap().contains("FUOTAD__GATEWAY__ID is no text"));
}

// --- check, plan, group, simulate ---------------------------------------------------------------------------

#[test]
fn the_effective_configuration_is_a_configuration_that_prints_the_same() {
    let scratch = Scratch::new();
    let burst = with(CONFIG, "data-rate = 5", "data-rate = 3\nspacing = \"burst\"\nduty-share = 0.35");
    for config in [CONFIG, MINIMAL, &burst, "[gateway]\nregion = \"EU868\"\n"] {
        scratch.write("a.toml", config);
        let once = scratch.prints("check --print a.toml");
        scratch.write("a.toml", &once);
        assert_eq!(scratch.prints("check --print a.toml"), once);
    }
}

#[test]
fn the_effective_configuration_says_where_each_group_is_sent() {
    let scratch = Scratch::new();
    scratch.write("a.toml", MINIMAL);
    let printed = scratch.prints("check --print a.toml");
    let group = printed.split("[[group]]").nth(1).unwrap();
    for line in ["frequency-hz = 923300000", "data-rate = 8", "eirp-dbm = 26.0", "session = \"always\""] {
        assert!(group.contains(line), "{line} is not in {group}");
    }
}

#[test]
fn the_plans_table_and_json_agree() {
    let scratch = Scratch::new();
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let (table, json) = (scratch.prints(plan), scratch.json(&format!("{plan} --json")));
    // 5000 B in 48 B: 105 uncoded with 40 B of padding, 30 % of it rounded up, one repeat (profile unknown).
    assert_eq!((number(&json, "nb_frag"), number(&json, "coded"), number(&json, "padding")), (105, 32, 40));
    assert_eq!(number(&json, "frames"), 138);
    assert!(table.contains("105 uncoded + 32 coded of 48 B, 40 B padding"), "{table}");
    assert!(table.contains(&format!("begin       {}", text(&json, "begin"))), "{table}");
    assert!(table.contains(&format!("end         {}", text(&json, "end"))), "{table}");
    assert_eq!(number(&json, "airtime_us"), 138 * number(&json, "frame_airtime_us"));
    assert_eq!(apart_us(&json["begin"], &json["end"]), number(&json, "duration_us"));
    let session = &json["sessions"][0];
    assert_eq!(text(session, "start"), "2026-11-22T08:30:00Z");
    assert!(apart_us(&session["start"], &json["begin"]) >= 10_000_000);
    assert!(
        apart_us(&session["start"], &json["end"])
            <= (1_000_000 << number(session, "timeout_exponent")) - 10_000_000
    );
}

#[test]
fn the_plan_says_what_a_device_may_expect_and_what_would_be_cheaper() {
    let scratch = Scratch::new();
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let (table, json) = (scratch.prints(plan), scratch.json(&format!("{plan} --json")));
    let chances = json["chances"].as_array().unwrap();
    let percents: Vec<u64> = chances.iter().map(|chance| number(chance, "loss_percent")).collect();
    assert_eq!(percents, [1, 5, 10, 20, 30]);
    let completes: Vec<f64> = chances.iter().map(|chance| chance["completes"].as_f64().unwrap()).collect();
    assert!(completes.windows(2).all(|pair| pair[0] >= pair[1]), "{completes:?}");
    assert!(completes[0] > 0.999 && completes[4] < 0.1, "{completes:?}");
    let wanted: Vec<u64> = chances.iter().map(|chance| number(chance, "coded_wanted")).collect();
    assert!(wanted.windows(2).all(|pair| pair[0] < pair[1]), "{wanted:?}");
    let choices = json["choices"].as_array().unwrap();
    let airtimes: Vec<u64> = choices.iter().map(|choice| number(choice, "airtime_us")).collect();
    assert!(choices.len() >= 5 && airtimes.is_sorted(), "{choices:?}");
    // DR6 is 250 kHz wide and does not fit band P.
    assert!(choices.iter().all(|choice| number(choice, "data_rate") != 6), "{choices:?}");
    for words in
        ["a device completes", "cheapest first", "DR5 (the group's)", "left to the server", "mAh at 5.5 mA"]
    {
        assert!(table.contains(words), "{words} is not in {table}");
    }
    let decoded = &json["decoded"];
    assert_eq!((number(decoded, "frames"), number(decoded, "lost")), (138, 24));
    assert!(table.contains("138 frames opened, 24 lost"), "{table}");
    let mah = json["listening_mah"].as_f64().unwrap();
    let hours = number(&json, "listening_us") as f64 / 3.6e9;
    assert!((mah - hours * 5.5).abs() < 1e-9, "{mah}");
}

#[test]
fn the_plan_begins_at_the_counter_that_the_journal_has_left_and_touches_nothing() {
    let scratch = Scratch::new();
    scratch.write("meters.toml", format!("{CONFIG}\n[state]\ndir = \"state\"\n"));
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let table = scratch.prints(plan);
    assert!(table.contains("FCnt from 2,") && table.contains("no journal yet: as for a new key"), "{table}");

    let keys = McSessionKeys::derive(&Secret::from_hex(MC_KEY).unwrap(), "01c0ffee".parse().unwrap());
    let disk = Rc::new(RefCell::new(Disk::new()));
    let key = keys.fingerprint();
    enrol(&mut Rc::clone(&disk), key, &Enrolment::new("meters", None, 2, false), [0; 16]).unwrap();
    let (mut store, _) = Store::open(Rc::clone(&disk), [0; 16]).unwrap();
    let wanted = Reservation {
        key,
        mc_addr: 0x01c0_ffee,
        base: 2,
        next_free: 700,
        plan_hash: [1; 32],
        task: RecordId([0; 16]),
    };
    store.apply(&Change::Reserve { wanted, over: Vec::new() }).unwrap();
    std::fs::create_dir(scratch.0.join("state")).unwrap();
    let names = disk.borrow_mut().list().unwrap();
    let files: Vec<(String, Vec<u8>)> = names
        .into_iter()
        .map(|name| (format!("state/{name}"), disk.borrow_mut().read(&name).unwrap().unwrap()))
        .collect();
    for (name, bytes) in &files {
        scratch.write(name, bytes);
    }
    let json = scratch.json(&format!("{plan} --json"));
    assert_eq!((number(&json, "first_fcnt"), json["knows_journal"].as_bool()), (700, Some(true)));
    for (name, bytes) in &files {
        assert_eq!(&std::fs::read(scratch.0.join(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(std::fs::read_dir(scratch.0.join("state")).unwrap().count(), files.len());

    // Both files of the key are rotten: nobody knows its counters any more.
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".a") || name.ends_with(".b")) {
        scratch.write(name, vec![0x5a; bytes.len()]);
    }
    scratch.refuses(plan, 65, &["state", "group meters", "fuotad group new"]);
}

#[test]
fn a_fragment_of_one_byte_is_legal_and_warned_of() {
    let scratch = Scratch::new();
    scratch.write("meters-1.4.2.json", with(TASK, ": 48", ": 1"));
    scratch.write("tiny.bin", [1; 30]);
    let done = scratch.run("plan meters-1.4.2.json -c meters.toml --image tiny.bin --json");
    let json: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, number(&json, "nb_frag")), (0, 30));
    assert!(done.err.starts_with("warning: fragment size 1 is not a multiple of 8"), "{}", done.err);
    assert!(json["warnings"][0].as_str().unwrap().contains("fragment size 1"));
}

#[test]
fn the_setup_commands_say_what_the_plan_says() {
    let scratch = Scratch::new();
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let vectors = vectors("frame_vectors.json");
    for row in vectors["mc_key_vectors"].as_array().unwrap() {
        scratch.secret("meters.mckey", text(row, "mc_key"));
        let config = with(CONFIG, "01c0ffee", text(row, "mc_addr"));
        scratch.write("meters.toml", format!("{config}session-timeout-exponent = 9\n"));
        let kind = if text(row, "root_key_kind").starts_with("Gen") { "gen-app-key" } else { "app-key" };
        scratch
            .write("d.toml", format!("[[device]]\nname = \"d1\"\n{kind} = \"{}\"\n", text(row, "root_key")));
        let json = scratch.json(&format!("{plan} --json"));
        let out = scratch.prints(&format!("{plan} --setup --devices d.toml"));
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!out.contains(text(row, "mc_key")) && !out.contains(text(row, "root_key")));
        let sessions = json["sessions"].as_array().unwrap();
        assert!(sessions.len() > 1);
        assert_eq!(lines.len(), 2 + sessions.len());
        assert!(lines.iter().all(|line| text(line, "device") == "d1"));
        let request = |line: &Value| {
            let (mut requests, tail) = ts005::Request::parse(&unhex(text(line, "hex")), PackageVersion::V1);
            assert_eq!((requests.len(), tail, number(line, "fport")), (1, None, 200));
            requests.remove(0)
        };

        let ts005::Request::McGroupSetup(group) = request(&lines[0]) else { panic!("{}", lines[0]) };
        assert_eq!(text(&lines[0], "command"), "McGroupSetupReq");
        assert_eq!(group.mc_addr, text(row, "mc_addr").parse::<McAddr>().unwrap());
        assert_eq!(group.mc_key_encrypted.to_vec(), unhex(text(row, "mc_key_encrypted")));
        assert_eq!(u64::from(group.min_mc_fcount), number(&json, "first_fcnt") - 1);
        assert!(u64::from(group.max_mc_fcount) >= number(&json, "end_fcnt"));

        assert_eq!((text(&lines[1], "command"), number(&lines[1], "fport")), ("FragSessionSetupReq", 201));
        let bytes = unhex(text(&lines[1], "hex"));
        let (requests, tail) = ts004::Request::parse(&bytes, PackageVersion::V1);
        let [ts004::Request::FragSessionSetup(frag)] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!((tail, frag.frag_index, frag.frag_algo, frag.v2), (None, 0, 0, None));
        assert_eq!(frag.mc_group_bit_mask, 1 << group.mc_group_id);
        assert_eq!(u64::from(frag.nb_frag), number(&json, "nb_frag"));
        assert_eq!(u64::from(frag.frag_size), number(&json, "frag_size"));
        assert_eq!(u64::from(frag.padding), number(&json, "padding"));

        for (index, (line, session)) in lines[2..].iter().zip(sessions).enumerate() {
            assert_eq!(
                (text(line, "command"), number(line, "session")),
                ("McClassCSessionReq", index as u64 + 1)
            );
            let ts005::Request::McClassCSession(told) = request(line) else { panic!("{line}") };
            let start = gps_from_rfc3339(text(session, "start")).unwrap();
            assert_eq!(u64::from(told.session_time), start.as_us() / 1_000_000 % (1 << 32));
            assert_eq!(u64::from(told.time_out), number(session, "timeout_exponent"));
            assert_eq!((told.dl_frequency_hz, told.dr), (869_525_000, 5));
            assert_eq!(told.mc_group_id, group.mc_group_id);
        }
    }
}

#[test]
fn the_setup_of_a_version_2_device_carries_the_mic_that_another_implementation_computes() {
    let scratch = Scratch::new();
    let vectors = vectors("frame_vectors.json");
    let vector = &vectors["ts004_v2_data_block_mic"][0];
    scratch.write("image.bin", data(&vector["data"]));
    scratch.write("meters.toml", format!("{CONFIG}ts004-version = 2\n"));
    let size = format!(": {}", number(vector, "frag_size"));
    scratch.write("meters-1.4.2.json", with(TASK, ": 48", &size));
    assert_eq!(text(vector, "root_key"), GEN_APP_KEY);
    let out = scratch
        .prints("plan meters-1.4.2.json -c meters.toml --image image.bin --setup --devices devices.toml");
    let line: Value = serde_json::from_str(out.lines().nth(1).unwrap()).unwrap();
    let (requests, _) = ts004::Request::parse(&unhex(text(&line, "hex")), PackageVersion::V2);
    let [ts004::Request::FragSessionSetup(frag)] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(frag.v2.unwrap().mic.to_vec(), unhex(text(vector, "mic")));
}

#[test]
fn a_devices_file_with_a_mistake_gets_no_command_for_any_device() {
    let scratch = Scratch::new();
    let good = format!("[[device]]\nname = \"d1\"\ngen-app-key = \"{GEN_APP_KEY}\"\n");
    let setup = "plan meters-1.4.2.json -c meters.toml --image image.bin --setup --devices d.toml";
    let refuses = |text: &str, needles: &[&str]| {
        scratch.write("d.toml", text);
        scratch.refuses(setup, 65, needles);
    };
    let second = |key: &str| format!("{good}[[device]]\nname = \"d2\"\n{key}\n");
    refuses(&second(""), &["device d2", "gen-app-key"]);
    refuses(&second("app-key = \"00\""), &["line 6", "32 hex digits"]);
    refuses(&second(&format!("gen-ap-key = \"{GEN_APP_KEY}\"")), &["line 6", "did you mean `gen-app-key`"]);
    refuses(&second(&format!("session-cnt = \"{GEN_APP_KEY}\"")), &["line 6", "u16"]);
    refuses(&second("app-key = 0x00112233445566778899aabbccddeeff"), &["line 6"]);
    refuses(&second(&format!("{GEN_APP_KEY} = 1")), &["line 6", "unknown field"]);
    refuses(&format!("{good}{good}"), &["device d1", "twice"]);
    refuses("", &["device"]);
    scratch.refuses(&setup.replace("d.toml", "none.toml"), 66, &["none.toml"]);
}

#[test]
fn plan_and_a_lossless_simulation_agree_to_the_second() {
    let scratch = Scratch::new();
    let lossless = with(&with(NO_REDUNDANCY, "loss = 0.10", "loss = 0"), "Percent = 0", "Percent = 30");
    let eu868 = (CONFIG.to_owned(), TASK.to_owned(), lossless);
    let us = |text: &str| {
        text.replace("EU868", "US915")
            .replace("869_525_000", "923_300_000")
            .replace("data-rate = 5", "data-rate = 10")
    };
    let us915 = (us(&eu868.0), us(&eu868.1), us(&eu868.2));
    for (config, task, scenario) in [eu868, us915] {
        scratch.write("meters.toml", config);
        scratch.write("meters-1.4.2.json", task);
        scratch.write("lossless.toml", scenario);
        let plan = scratch.json("plan meters-1.4.2.json -c meters.toml --image image.bin --json");
        let world = scratch.json("simulate lossless.toml --image image.bin --json");
        assert!(apart_us(&plan["begin"], &world["begin"]) < 1_000_000, "{plan} {world}");
        assert!(apart_us(&plan["end"], &world["end"]) < 1_000_000, "{plan} {world}");
        assert_eq!((&plan["frames"], &plan["airtime_us"]), (&world["frames"], &world["airtime_us"]));
        assert_eq!(number(&world, "complete"), 10);
    }
}

/// What `aws iot get-ota-update` prints is a task document, too; every member of it, known or not, is shown again.
#[test]
fn plan_shows_every_field_of_an_ota_update_as_it_was_answered() {
    let scratch = Scratch::new();
    let digest: String = Sha256::digest(lcg(7, 5000)).iter().map(|byte| format!("{byte:02x}")).collect();
    let document = serde_json::json!({
        "otaUpdateInfo": {
            "otaUpdateId": "gw-ota-7", "creationDate": "2026-11-22T02:00:00.123000+00:00", "protocols": ["MQTT"],
            "awsJobExecutionsRolloutConfig": {"maximumPerMinute": 0, "exponentialRate": {"incrementFactor": 1.5}},
            "awsJobPresignedUrlConfig": {"expiresInSec": 1800}, "targetSelection": "SNAPSHOT", "future": [1, {"x": 2}],
            "otaUpdateStatus": "CREATE_COMPLETE", "otaUpdateFiles": [{"fileName": "app.bin", "fileType": 1,
                "fileLocation": {"s3Location": {"bucket": "b", "key": "k", "version": "v"}},
                "codeSigning": {"customCodeSigning": {}}, "attributes": {"fragSize": "48", "mcGroup": "meters"}}]},
        "Fuotad": {"Sha256": digest, "Start": "2026-11-22T08:30:00Z"}});
    scratch.write("ota.json", document.to_string());
    let plan = scratch.json("plan ota.json -c meters.toml --image image.bin --json");
    assert_eq!(plan["task"], document);
    assert_eq!((&plan["group"], &plan["frag_size"]), (&"meters".into(), &48.into()));
    let text = plan["warnings"].to_string();
    assert!(text.contains("otaUpdateInfo.future is unknown and ignored"), "{text}");
    scratch.refuses("plan ota.json -c meters.toml", 64, &["s3://b/k (version v)", "--image"]);
    let two = document.to_string().replace(&digest, &"00".repeat(32));
    scratch.plan_refuses(&two, "image.bin", &[&digest]);
    let bad = document.to_string().replace("\"fileType\":1", "\"fileType\":\"1\"");
    scratch.plan_refuses(&bad, "image.bin", &["otaUpdateInfo.otaUpdateFiles[0].fileType: invalid type"]);
}

#[test]
fn a_new_group_is_accepted_by_check_and_its_key_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let group = scratch.prints("group new street-lamps --mc-addr 01020304");
    let path = scratch.0.join("street-lamps.mckey");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(key.trim().len() == 32 && !group.contains(key.trim()));
    assert!(group.contains("mc-addr = \"01020304\"") && group.contains("first-fcnt = 2"), "{group}");
    // The daemon does not run where the group was made: the path must be absolute.
    assert!(group.contains(&format!("mc-key-file = \"{}\"", path.display())), "{group}");
    scratch.write("new.toml", format!("{CONFIG}{group}"));
    assert!(scratch.prints("check new.toml").contains("2 group(s)"));

    scratch.refuses("group new street-lamps", 73, &["street-lamps.mckey", "never overwritten"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
    scratch.refuses("group new b --key-file nowhere/b.mckey", 73, &["nowhere/b.mckey"]);
    let another = scratch.prints("group new b");
    assert_ne!(std::fs::read_to_string(scratch.0.join("b.mckey")).unwrap(), key);
    assert!(!another.contains("01020304"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let scratch = Scratch::new();
    scratch.write("s.toml", with(NO_REDUNDANCY, "Percent = 0", "Percent = 50"));
    for json in ["", " --json"] {
        let run = |seed: u32| scratch.prints(&format!("simulate s.toml --seed {seed}{json}"));
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert_eq!(run(1), scratch.prints(&format!("simulate s.toml{json}")), "the scenario's seed is 1");
    }
}

#[test]
fn simulate_broadcasts_the_file_it_is_given_and_draws_no_bar_on_stdout() {
    let scratch = Scratch::new();
    scratch.write("small.bin", lcg(9, 1234));
    scratch.write("s.toml", with(NO_REDUNDANCY, "Percent = 0", "Percent = 100"));
    let json = scratch.json("simulate s.toml --image small.bin --json");
    assert_eq!((number(&json, "image_bytes"), number(&json, "nb_frag")), (1234, 26));
    assert_eq!((&json["content"], number(&json, "complete")), (&Value::Bool(true), 10));
    let table = scratch.prints("simulate s.toml --image small.bin");
    assert!(table.contains("1234 B as 26 uncoded + 26 coded"), "{table}");
    assert!(!table.contains(['\r', '\u{1b}']));
    scratch.refuses("simulate s.toml --image none.bin", 66, &["none.bin"]);
}

#[test]
fn a_scenario_that_misses_its_expectation_says_so_and_why() {
    let scratch = Scratch::new();
    scratch.write("no-redundancy.toml", NO_REDUNDANCY);
    let done = scratch.run("simulate no-redundancy.toml");
    assert_eq!((done.code, done.err.as_str()), (1, ""));
    assert!(done.out.contains("no redundancy") && done.out.contains("incomplete"), "{}", done.out);
    assert!(done.out.contains("of 10 devices, expected 10") && done.out.contains("referee     content"));
    scratch.write("expected.toml", format!("{NO_REDUNDANCY}\n[expect]\ncomplete = 0\n"));
    assert_eq!(scratch.run("simulate expected.toml").code, 0, "{}", done.out);

    scratch.write("stock-caps.toml", STOCK_CAPS);
    let done = scratch.run("simulate stock-caps.toml");
    assert_eq!(done.code, 1);
    let row = |name: &str| done.out.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
    assert!(row("stock").contains("refused") && row("stock").contains("21 x 50 B, needs 105 x 48 B"));
    assert!(row("roomy").contains("complete"), "{}", done.out);

    scratch.write("no-start.toml", with(NO_REDUNDANCY, ", StartTime = \"2026-11-22T08:30:00Z\"", ""));
    let done = scratch.run("simulate no-start.toml");
    assert_eq!(done.code, 1);
    assert!(done.out.contains("nothing: it waits for a start"), "{}", done.out);
}

#[test]
fn every_shipped_scenario_ends_well() {
    let scratch = Scratch::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let json = scratch.json(&format!("simulate {} --json", path.display()));
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
