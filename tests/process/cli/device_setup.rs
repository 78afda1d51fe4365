//! `setup`: the commands that make devices of a group.

use super::CONFIG;
use super::Desk;
use super::GEN_APP_KEY;
use super::MC_KEY;
use super::TASK;
use super::data;
use super::number;
use super::text;
use super::unhex;
use super::vectors;
use super::with;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::PackageVersion;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::lorawan::data_block_mic;
use fuotad::lorawan::encrypt_mc_key;
use fuotad::lorawan::mc_ke_key;
use fuotad::lorawan::ts004;
use fuotad::lorawan::ts005;
use fuotad::task::gps_from_rfc3339;
use serde_json::Value;

#[test]
fn the_setup_commands_say_what_the_plan_says() {
    let desk = Desk::new();
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let vectors = vectors("frame_vectors.json");
    for row in vectors["mc_key_vectors"].as_array().unwrap() {
        desk.secret("meters.mckey", text(row, "mc_key"));
        let config = with(CONFIG, "01c0ffee", text(row, "mc_addr"));
        desk.write("meters.toml", format!("{config}session-timeout-exponent = 9\n"));
        let kind = if text(row, "root_key_kind").starts_with("Gen") { "gen-app-key" } else { "app-key" };
        desk.write(
            "d.toml",
            format!(
                "[[device]]\nname = \"d1\"\ndev-eui = \"70b3d57ed0000001\"\n{kind} = \"{}\"\n",
                text(row, "root_key")
            ),
        );
        let json = desk.json(&format!("{plan} --json"));
        let out = desk.prints(&format!("{plan} --setup --devices d.toml"));
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!out.contains(text(row, "mc_key")) && !out.contains(text(row, "root_key")));
        let sessions = json["sessions"].as_array().unwrap();
        assert!(sessions.len() > 1);
        assert_eq!(lines.len(), 2 + sessions.len());
        let of_the_device =
            |line: &Value| text(line, "device") == "d1" && text(line, "dev_eui") == "70b3d57ed0000001";
        assert!(lines.iter().all(of_the_device));
        let in_base64 =
            |line: &Value| STANDARD.decode(text(line, "base64")).unwrap() == unhex(text(line, "hex"));
        assert!(lines.iter().all(in_base64));
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
    let desk = Desk::new();
    let vectors = vectors("frame_vectors.json");
    let vector = &vectors["ts004_v2_data_block_mic"][0];
    desk.write("image.bin", data(&vector["data"]));
    desk.write("meters.toml", format!("{CONFIG}ts004-version = 2\n"));
    let size = format!(": {}", number(vector, "frag_size"));
    desk.write("meters-1.4.2.json", with(TASK, ": 48", &size));
    assert_eq!(text(vector, "root_key"), GEN_APP_KEY);
    let out =
        desk.prints("plan meters-1.4.2.json -c meters.toml --image image.bin --setup --devices devices.toml");
    let line: Value = serde_json::from_str(out.lines().nth(1).unwrap()).unwrap();
    let (requests, _) = ts004::Request::parse(&unhex(text(&line, "hex")), PackageVersion::V2);
    let [ts004::Request::FragSessionSetup(frag)] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(frag.v2.unwrap().mic.to_vec(), unhex(text(vector, "mic")));
}

#[test]
fn a_devices_file_with_a_mistake_gets_no_command_for_any_device() {
    let desk = Desk::new();
    let good = format!("[[device]]\nname = \"d1\"\ngen-app-key = \"{GEN_APP_KEY}\"\n");
    let setup = "plan meters-1.4.2.json -c meters.toml --image image.bin --setup --devices d.toml";
    let refuses = |text: &str, needles: &[&str]| {
        desk.write("d.toml", text);
        desk.refuses(setup, 65, needles);
    };
    let second = |key: &str| format!("{good}[[device]]\nname = \"d2\"\n{key}\n");
    refuses(&second(""), &["device d2", "gen-app-key"]);
    refuses(&second("app-key = \"00\""), &["line 6", "32 hex digits"]);
    refuses(&second(&format!("gen-ap-key = \"{GEN_APP_KEY}\"")), &["line 6", "did you mean `gen-app-key`"]);
    refuses(&second(&format!("session-cnt = \"{GEN_APP_KEY}\"")), &["line 6", "65535"]);
    refuses(&second("app-key = 0x00112233445566778899aabbccddeeff"), &["line 6"]);
    refuses(&second(&format!("{GEN_APP_KEY} = 1")), &["line 6", "is no key of [device[1]]"]);
    refuses(&format!("{good}{good}"), &["device d1", "twice"]);
    refuses("", &["device"]);
    desk.refuses(&setup.replace("d.toml", "none.toml"), 66, &["none.toml"]);
}

/// The configuration with a network server of each kind.
fn with_servers(lns: &str) -> String {
    let group = with(CONFIG, "[[group]]", &format!("{lns}\n[[group]]"));
    assert_ne!(group, CONFIG);
    group
}

const CHIRPSTACK: &str = "[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://127.0.0.1\"\n\
                          applications = [\"5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11\"]\ntopic-prefix = \"eu\"\n";
const THE_THINGS_STACK: &str = "[[lns]]\nname = \"tts\"\nkind = \"the-things-stack\"\nbroker = \"mqtts://h\"\n\
                                applications = [\"app1\"]\ntenant = \"ttn\"\npassword-file = \"p\"\n";

#[test]
fn the_commands_are_written_as_messages_for_either_network_server() {
    let desk = Desk::new();
    desk.write(
        "meters.toml",
        format!(
            "{}session-timeout-exponent = 10\n",
            with_servers(&format!("{CHIRPSTACK}{THE_THINGS_STACK}"))
        ),
    );
    let device = format!(
        "[[device]]\nname = \"d1\"\ndev-eui = \"70B3D57ED0000001\"\ngen-app-key = \"{GEN_APP_KEY}\"\n"
    );
    desk.write("d.toml", &device);
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin --setup --devices d.toml";
    let lines = |line: &str| -> Vec<Value> {
        desk.prints(line).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let plain = lines(plan);
    for (kind, topic) in [
        (
            "chirpstack",
            "eu/application/5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11/device/70b3d57ed0000001/command/down",
        ),
        ("the-things-stack", "v3/app1@ttn/devices/eui-70b3d57ed0000001/down/push"),
    ] {
        let messages = lines(&format!("{plan} --for {kind}"));
        assert_eq!(messages.len(), plain.len());
        for (message, plain) in messages.iter().zip(&plain) {
            assert_eq!((text(message, "topic"), text(message, "command")), (topic, text(plain, "command")));
            let payload = &message["payload"];
            let downlink = if kind == "chirpstack" { payload } else { &payload["downlinks"][0] };
            let [data, port] =
                if kind == "chirpstack" { ["data", "fPort"] } else { ["frm_payload", "f_port"] };
            assert_eq!((&downlink[data], &downlink[port]), (&plain["base64"], &plain["fport"]));
            assert_eq!(downlink["confirmed"], false);
        }
    }
    desk.write("d.toml", format!("{device}device-id = \"meter-1\"\n"));
    let named = lines(&format!("{plan} --for the-things-stack"));
    assert_eq!(text(&named[0], "topic"), "v3/app1@ttn/devices/meter-1/down/push");
    desk.write("d.toml", with(&device, "dev-eui = \"70B3D57ED0000001\"\n", ""));
    desk.run(&format!("{plan} --for chirpstack")).refused(plan, 65, &["device d1: dev-eui is missing"]);
    desk.write("d.toml", &device);
    desk.write("meters.toml", CONFIG);
    let done = desk.run(&format!("{plan} --for chirpstack"));
    assert!(done.code == 78 && done.err.contains("no [[lns]] of this kind"), "{}", done.err);
}

#[test]
fn a_prepared_devices_file_gives_the_same_commands_as_the_root_keys_did() {
    let desk = Desk::new();
    for version in [1, 2] {
        desk.write(
            "meters.toml",
            format!("{}ts004-version = {version}\nsession-timeout-exponent = 9\n", CONFIG),
        );
        let device = "[[device]]\nname = \"d1\"\ndev-eui = \"70b3d57ed0000001\"\nsession-cnt = 2\n";
        desk.write("d.toml", format!("{device}gen-app-key = \"{GEN_APP_KEY}\"\n"));
        let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin --setup --devices";
        let by_root_key = desk.prints(&format!("{plan} d.toml"));
        let root = RootKey::GenAppKey(Secret::from_hex(GEN_APP_KEY).unwrap());
        let mc_key = Secret::from_hex(MC_KEY).unwrap();
        let encrypted = u128::from_be_bytes(encrypt_mc_key(&mc_ke_key(&root.mc_root_key()), &mc_key));
        let image = std::fs::read(desk.0.path("image.bin")).unwrap();
        let mics: Vec<String> = (1..=3)
            .map(|count| u32::from_be_bytes(data_block_mic(&root, count, 0, [0; 4], &image)))
            .map(|mic| format!("\"{mic:08x}\""))
            .collect();
        let digest = sha256(&desk);
        let image =
            format!("[image]\nsha256 = \"{digest}\"\nbytes = {}\nfirst-session-cnt = 1\n", image.len());
        let prepared =
            format!("{image}{device}mc-key-encrypted = \"{encrypted:032x}\"\nmics = [{}]\n", mics.join(", "));
        desk.write("p.toml", &prepared);
        assert_eq!(desk.prints(&format!("{plan} p.toml")), by_root_key);
        if version == 2 {
            desk.write("p.toml", prepared.replace(&digest, &"0".repeat(64)));
            let done = desk.run(&format!("{plan} p.toml"));
            assert!(
                done.code == 65 && done.err.contains("the devices file has no MIC of this image"),
                "{}",
                done.err
            );
        }
        desk.write("p.toml", format!("mc-key-check = \"0011223344556677\"\n{prepared}"));
        let done = desk.run(&format!("{plan} p.toml"));
        assert!(
            done.code == 65 && done.err.contains("is of another McKey than that of group meters"),
            "{}",
            done.err
        );
    }
}

/// What `sha256sum` says of the image.
fn sha256(desk: &Desk) -> String {
    let out = std::process::Command::new("sha256sum").arg(desk.0.path("image.bin")).output().unwrap().stdout;
    String::from_utf8(out).unwrap()[..64].to_owned()
}
