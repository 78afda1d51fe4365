//! `prepare`: a list of root keys on standard input becomes the devices file of a gateway.

use super::Desk;
use super::Done;
use super::GEN_APP_KEY;
use super::MC_KEY;
use super::data;
use super::number;
use super::text;
use super::vectors;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;
use toml::Value;

/// Runs the words of `line` with `input` on standard input. No root key, and no McKey, is ever printed.
fn prepare(desk: &Desk, line: &str, input: &str) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
    command.arg("prepare").args(line.split_whitespace()).current_dir(desk.0.dir()).env_clear();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever refuses before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let done = Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    for key in [MC_KEY, GEN_APP_KEY, &MC_KEY[4..28], &GEN_APP_KEY[4..28]] {
        assert!(!format!("{}{}", done.out, done.err).contains(key), "{line} shows a key");
    }
    done
}

const ONE: &str = "--group meters --mc-key-file meters.mckey --root gen-app-key";

fn list(more: &str) -> String {
    format!("dev-eui,root-key,name\n70b3d57ed0000001,{GEN_APP_KEY},m1\n{more}")
}

#[test]
fn mc_keys_are_encrypted_and_mics_made_as_others_do() {
    let desk = Desk::new();
    let vectors = vectors("frame_vectors.json");
    for row in vectors["mc_key_vectors"].as_array().unwrap() {
        desk.secret("v.mckey", text(row, "mc_key"));
        let kinds: &[&str] = match text(row, "root_key_kind").starts_with("Gen") {
            true => &["gen-app-key", "app-key-1.0"],
            false => &["app-key-1.1"],
        };
        for kind in kinds {
            let input = format!("dev-eui,root-key\n70b3d57ed0000001,{}\n", text(row, "root_key"));
            let done = prepare(&desk, &format!("--group meters --mc-key-file v.mckey --root {kind}"), &input);
            assert_eq!(done.code, 0, "{}", done.err);
            let file: Value = toml::from_str(&done.out).unwrap();
            let device = &file["device"][0];
            assert_eq!(device["mc-key-encrypted"].as_str().unwrap(), text(row, "mc_key_encrypted"));
            assert_eq!(device["name"].as_str().unwrap(), "70b3d57ed0000001");
        }
    }
    for row in vectors["ts004_v2_data_block_mic"].as_array().unwrap() {
        if number(row, "frag_index") != 0 {
            continue;
        }
        desk.write("v.bin", data(&row["data"]));
        let (count, descriptor) = (number(row, "session_cnt"), text(row, "descriptor"));
        let input = format!("dev-eui,root-key\n70b3d57ed0000001,{}\n", text(row, "root_key"));
        let line = format!(
            "{ONE} --image v.bin --session-cnt {count}..{count} --descriptor {descriptor} --with-integrity-keys"
        );
        let done = prepare(&desk, &line, &input);
        assert_eq!(done.code, 0, "{}", done.err);
        let file: Value = toml::from_str(&done.out).unwrap();
        let device = &file["device"][0];
        assert_eq!(device["mics"].as_array().unwrap(), &[Value::from(text(row, "mic"))]);
        assert_eq!(device["data-block-int-key"].as_str().unwrap(), text(row, "data_block_int_key"));
        assert_eq!(file["image"]["first-session-cnt"].as_integer(), Some(count as i64));
        assert_eq!(file["image"]["bytes"].as_integer(), Some(data(&row["data"]).len() as i64));
    }
}

#[test]
fn what_is_prepared_is_what_the_gateway_takes_with_its_own_key_and_no_other() {
    let desk = Desk::new();
    let input = format!(
        "dev-eui,root-key,name,device-id,lorawan,hardware\n70B3D57ED0000001,{GEN_APP_KEY},\"m \"\"1\"\"\",meter-1,1.0.4,rev b\n"
    );
    let done = prepare(
        &desk,
        &format!("{ONE} --image image.bin --session-cnt 0..3 --out meters.devices.toml"),
        &input,
    );
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    assert!(done.err.contains("1 devices of group meters; McKey check "), "{}", done.err);
    use std::os::unix::fs::PermissionsExt;
    let written = desk.0.path("meters.devices.toml");
    assert_eq!(std::fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o600);
    let file: Value = toml::from_str(&std::fs::read_to_string(&written).unwrap()).unwrap();
    assert_eq!(file["device"][0]["mics"].as_array().unwrap().len(), 4);
    assert_eq!(file["device"][0]["name"].as_str().unwrap(), "m \"1\"");
    assert_eq!(file["device"][0].get("data-block-int-key"), None, "only when asked for");
    let config = "[gateway]\nregion = \"EU868\"\n[[network-server]]\naddress = \"192.0.2.1:1700\"\n[[lns]]\nname = \"cs\"\n\
                  kind = \"chirpstack\"\nbroker = \"mqtt://127.0.0.1\"\napplications = [\"5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11\"]\n\
                  [[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"KEY\"\nsession = \"windows\"\nlns = \"cs\"\n\
                  devices-file = \"meters.devices.toml\"\n";
    desk.write("g.toml", config.replace("KEY", "meters.mckey"));
    assert_eq!(desk.run("check g.toml").code, 0, "{}", desk.run("check g.toml").err);
    // A plan keeps counters for what these devices may ask for, as the service does.
    let deaf = config.replace("KEY", "meters.mckey").replace("lns = \"cs\"", "");
    desk.write("deaf.toml", deaf.replace("devices-file = \"meters.devices.toml\"", ""));
    let end_fcnt = |config: &str| {
        let plan = format!("plan meters-1.4.2.json -c {config} --image image.bin --json");
        number(&desk.json(&plan), "end_fcnt")
    };
    assert!(end_fcnt("g.toml") > end_fcnt("deaf.toml") + 500);
    let missing = config
        .replace("KEY", "meters.mckey")
        .replace("[[group]]", "user = \"gw\"\npassword-file = \"absent\"\n[[group]]");
    desk.write("m.toml", missing);
    let told = desk.run("check m.toml");
    assert!(told.code == 0 && told.err.contains("lns cs.password-file: absent is not here"), "{}", told.err);
    desk.secret("other.mckey", &MC_KEY.replace('0', "5"));
    desk.check_refuses(
        &config.replace("KEY", "other.mckey"),
        &["group meters.devices-file: mc-key-check", "is of another McKey"],
    );
    let again = prepare(&desk, &format!("{ONE} --out meters.devices.toml"), &list(""));
    assert_eq!(again.code, 73, "{}", again.err);
    assert!(
        again.err.contains("it is there already and never overwritten: give another --out"),
        "{}",
        again.err
    );
}

#[test]
fn a_desk_without_a_configuration_makes_group_and_devices() {
    let desk = Desk::new();
    let made = desk.run_words(&["group", "new", "lamps", "--key-file", "lamps.mckey", "-c", "absent.toml"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let done = prepare(&desk, "--group lamps --mc-key-file lamps.mckey --root gen-app-key", &list(""));
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("group = \"lamps\"") && done.out.contains("mc-key-encrypted"), "{}", done.out);
}

#[test]
fn what_cannot_be_prepared_is_refused_with_its_line_and_nothing_is_written() {
    let desk = Desk::new();
    desk.secret("zero.mckey", &"0".repeat(32));
    let twice = list(&format!("70b3d57ed0000001,{GEN_APP_KEY},m2\n"));
    let version = format!("dev-eui,root-key,lorawan\n70b3d57ed0000001,{GEN_APP_KEY},1.1\n");
    let count = "like 0..7";
    for (line, input, code, words) in [
        (ONE, twice.as_str(), 65, "line 3: dev-eui 70b3d57ed0000001 stands in line 2, too"),
        (ONE, &version, 65, "line 2: lorawan \"1.1\" and --root gen-app-key do not go together"),
        (ONE, "", 65, "line 1: it is empty"),
        (
            "--group meters --mc-key-file zero.mckey --root gen-app-key",
            &list(""),
            65,
            "the McKey is all zeros",
        ),
        ("--group meters --mc-key-file absent --root gen-app-key", &list(""), 66, "absent: it is not there"),
        ("--group meters --mc-key-file meters.mckey --root app-key", &list(""), 64, "app-key-1.1"),
        (
            "--group meters --mc-key-file meters.mckey --root gen-app-key --image image.bin",
            &list(""),
            64,
            "--session-cnt",
        ),
        (
            "--group meters --mc-key-file meters.mckey --root gen-app-key --image image.bin --session-cnt 3..2",
            &list(""),
            64,
            count,
        ),
        (
            "--group meters --mc-key-file meters.mckey --root gen-app-key --image image.bin --session-cnt 0..64",
            &list(""),
            64,
            count,
        ),
        (
            "--group meters --mc-key-file meters.mckey --root gen-app-key --image image.bin --session-cnt 3",
            &list(""),
            64,
            count,
        ),
    ] {
        let done = prepare(&desk, &format!("{line} --out out.toml"), input);
        done.refused(line, code, &[words]);
        assert!(!desk.0.path("out.toml").exists(), "{line}");
    }
    let shared = list(&format!("70b3d57ed0000002,{GEN_APP_KEY},m2\n"));
    let done = prepare(&desk, ONE, &shared);
    assert!(
        done.code == 0 && done.err.contains("line 3: another device has the same root key"),
        "{}",
        done.err
    );
}

#[test]
fn a_list_is_a_batch_of_its_own_unless_it_joins_one() {
    let desk = Desk::new();
    let batch = |line: &str, input: &str| {
        let done = prepare(&desk, line, input);
        assert_eq!(done.code, 0, "{}", done.err);
        let file: Value = toml::from_str(&done.out).unwrap();
        file["batch"].as_str().unwrap().to_owned()
    };
    let one = batch(ONE, &list(""));
    assert_eq!(batch(ONE, &list("")), one, "the same keys are the same batch");
    let other = ONE.replace("gen-app-key", "app-key-1.1");
    assert_ne!(batch(&other, &list("")), one, "with keys of another kind it is tried anew");
    assert_eq!(batch(&format!("{other} --batch spring"), &list("")), "spring");
    assert_eq!(prepare(&desk, &format!("{ONE} --batch="), &list("")).code, 64);
}
