//! `check`, `plan` and `group`.

use super::CONFIG;
use super::Desk;
use super::MC_KEY;
use super::MINIMAL;
use super::TASK;
use super::apart_us;
use super::number;
use super::text;
use super::with;
use crate::support::small_world::lcg;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::sim::disk::Disk;
use fuotad::store::Change;
use fuotad::store::Enrolment;
use fuotad::store::Files;
use fuotad::store::RecordId;
use fuotad::store::Reservation;
use fuotad::store::Store;
use fuotad::store::enrol;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn the_effective_configuration_is_a_configuration_that_prints_the_same() {
    let desk = Desk::new();
    let burst = with(CONFIG, "data-rate = 5", "data-rate = 3\nspacing = \"burst\"\nduty-share = 0.35");
    for config in [CONFIG, MINIMAL, &burst, "[gateway]\nregion = \"EU868\"\n"] {
        desk.write("a.toml", config);
        let once = desk.prints("check --print a.toml");
        desk.write("a.toml", &once);
        assert_eq!(desk.prints("check --print a.toml"), once);
    }
}

#[test]
fn the_effective_configuration_says_where_each_group_is_sent() {
    let desk = Desk::new();
    desk.write("a.toml", MINIMAL);
    let printed = desk.prints("check --print a.toml");
    let group = printed.split("[[group]]").nth(1).unwrap();
    for line in ["frequency-hz = 923300000", "data-rate = 8", "eirp-dbm = 26.0", "session = \"always\""] {
        assert!(group.contains(line), "{line} is not in {group}");
    }
}

#[test]
fn the_plans_table_and_json_agree() {
    let desk = Desk::new();
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let (table, json) = (desk.prints(plan), desk.json(&format!("{plan} --json")));
    // 5000 B in 48 B: 105 uncoded with 40 B of padding, 30 % of it rounded up, one repeat (profile unknown).
    assert_eq!((number(&json, "nb_frag"), number(&json, "coded"), number(&json, "padding")), (105, 32, 40));
    assert_eq!(number(&json, "frames"), 138);
    assert!(table.contains("105 uncoded + 32 coded of 48 B, 40 B padding"), "{table}");
    assert!(!table.contains("  questions "), "nobody's answers are heard");
    // People read it to the second.
    let second = |name: &str| text(&json, name).split('.').next().unwrap().trim_end_matches('Z').to_owned();
    assert!(table.contains(&format!("begin       {}Z", second("begin"))), "{table}");
    assert!(table.contains(&format!("end         {}Z", second("end"))), "{table}");
    assert_eq!(number(&json, "airtime_us"), 138 * number(&json, "frame_airtime_us"));
    assert_eq!(apart_us(&json["begin"], &json["end"]), number(&json, "duration_us"));
    let session = &json["sessions"][0];
    assert_eq!(text(session, "start"), "2099-11-22T08:30:00Z");
    assert!(apart_us(&session["start"], &json["begin"]) >= 7_000_000);
    assert!(
        apart_us(&session["start"], &json["end"])
            <= (1_000_000 << number(session, "timeout_exponent")) - 7_000_000
    );
}

#[test]
fn the_plan_says_what_of_the_last_session_is_kept_for_questions_where_answers_are_heard() {
    let desk = Desk::new();
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let kept_us = |config: &str| {
        desk.write("meters.toml", config);
        number(&desk.json(&format!("{plan} --json")), "questions_us")
    };
    assert_eq!(kept_us(CONFIG), 0);
    let lns = "[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://127.0.0.1\"\n\
               applications = [\"5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11\"]\n";
    desk.secret(
        "told.toml",
        "group = \"meters\"\n[[device]]\nname = \"m1\"\ndev-eui = \"70b3d57ed0000001\"\n\
         mc-key-encrypted = \"00112233445566778899aabbccddeeff\"\n",
    );
    let heard =
        with(CONFIG, "[[group]]", &format!("{lns}[[group]]\nlns = \"cs\"\ndevices-file = \"told.toml\""));
    let of_the_last_us = kept_us(&heard);
    // Eight questions or five, each with 16 s for its answers and 5 s for their way.
    let line = match of_the_last_us {
        168_000_000 => {
            "  questions   2 min 48 s of the last session are kept to ask its devices what they miss\n"
        }
        105_000_000 => {
            "  questions   1 min 45 s of the last session are kept to ask its devices what they miss\n"
        }
        other => panic!("{other}"),
    };
    let table = desk.prints(plan);
    assert!(table.contains(line), "{of_the_last_us}: {table}");
    let ordered = format!("{heard}session-timeout-exponent = 10\n");
    assert_eq!(kept_us(&ordered), 0, "a length that is ordered is kept");
}

#[test]
fn the_plan_says_what_a_device_may_expect_and_what_would_be_cheaper() {
    let desk = Desk::new();
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let (table, json) = (desk.prints(plan), desk.json(&format!("{plan} --json")));
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
    for words in [
        "a device completes",
        "cheapest first",
        "DR5 (the group's)",
        "left to the server",
        "sessions at 5.5 mA",
    ] {
        assert!(table.contains(words), "{words} is not in {table}");
    }
    // What is cheap is of no use to a device that cannot hear it.
    let needs = |data_rate: u64| {
        let of_rate = choices.iter().find(|choice| number(choice, "data_rate") == data_rate);
        of_rate.unwrap_or_else(|| panic!("no DR{data_rate}: {choices:?}"))["needs"].clone()
    };
    assert!(needs(5).is_null() && needs(7).as_str().unwrap().contains("FSK"), "{choices:?}");
    assert!(needs(12).as_str().unwrap().contains("SX126x"), "{choices:?}");
    assert!(table.contains("DR7 needs FSK") && table.contains("DR12 needs an SX126x"), "{table}");
    let decoded = &json["decoded"];
    assert_eq!((number(decoded, "frames"), number(decoded, "lost")), (138, 24));
    assert!(table.contains("138 frames opened, 24 lost"), "{table}");
    let mah = json["image_mah"].as_f64().unwrap();
    let exponents =
        json["sessions"].as_array().unwrap().iter().map(|session| number(session, "timeout_exponent"));
    let hours = exponents.map(|exponent| (1_u64 << exponent) as f64 / 3600.0).sum::<f64>();
    assert!(mah > hours * 5.5 && mah < hours * 5.5 + 0.5, "{mah}");
}

#[test]
fn the_plan_begins_at_the_counter_that_the_journal_has_left_and_touches_nothing() {
    let desk = Desk::new();
    desk.write("meters.toml", format!("{CONFIG}\n[state]\ndir = \"state\"\n"));
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let table = desk.prints(plan);
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
    std::fs::create_dir(desk.0.path("state")).unwrap();
    let names = disk.borrow_mut().list().unwrap();
    let files: Vec<(String, Vec<u8>)> = names
        .into_iter()
        .map(|name| (format!("state/{name}"), disk.borrow_mut().read(&name).unwrap().unwrap()))
        .collect();
    for (name, bytes) in &files {
        desk.write(name, bytes);
    }
    let json = desk.json(&format!("{plan} --json"));
    assert_eq!((number(&json, "first_fcnt"), json["knows_journal"].as_bool()), (700, Some(true)));
    for (name, bytes) in &files {
        assert_eq!(&std::fs::read(desk.0.path(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(std::fs::read_dir(desk.0.path("state")).unwrap().count(), files.len());

    // Both files of the key are rotten: nobody knows its counters any more.
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".a") || name.ends_with(".b")) {
        desk.write(name, vec![0x5a; bytes.len()]);
    }
    desk.refuses(plan, 65, &["state", "group meters", "fuotad group new"]);
}

#[test]
fn a_fragment_of_one_byte_is_legal_and_warned_of() {
    let desk = Desk::new();
    desk.write("meters-1.4.2.json", with(TASK, ": 48", ": 1"));
    desk.write("tiny.bin", [1; 30]);
    let done = desk.run("plan meters-1.4.2.json -c meters.toml --image tiny.bin --json");
    let json: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, number(&json, "nb_frag")), (0, 30));
    assert!(done.err.starts_with("warning: fragment size 1 is not a multiple of 8"), "{}", done.err);
    assert!(json["warnings"][0].as_str().unwrap().contains("fragment size 1"));
}

/// What `aws iot get-ota-update` prints is a task document, too; every member of it, known or not, is shown again.

#[test]
fn plan_shows_every_field_of_an_ota_update_as_it_was_answered() {
    let desk = Desk::new();
    let digest: String = Sha256::digest(lcg(7, 5000)).iter().map(|byte| format!("{byte:02x}")).collect();
    let document = serde_json::json!({
        "otaUpdateInfo": {
            "otaUpdateId": "gw-ota-7", "creationDate": "2026-11-22T02:00:00.123000+00:00", "protocols": ["MQTT"],
            "awsJobExecutionsRolloutConfig": {"maximumPerMinute": 0, "exponentialRate": {"incrementFactor": 1.5}},
            "awsJobPresignedUrlConfig": {"expiresInSec": 1800}, "targetSelection": "SNAPSHOT", "future": [1, {"x": 2}],
            "otaUpdateStatus": "CREATE_COMPLETE", "otaUpdateFiles": [{"fileName": "app.bin", "fileType": 1,
                "fileLocation": {"s3Location": {"bucket": "b", "key": "k", "version": "v"}},
                "codeSigning": {"customCodeSigning": {}}, "attributes": {"fragSize": "48", "mcGroup": "meters"}}]},
        "Fuotad": {"Sha256": digest, "Start": "2099-11-22T08:30:00Z"}});
    desk.write("ota.json", document.to_string());
    let plan = desk.json("plan ota.json -c meters.toml --image image.bin --json");
    assert_eq!(plan["task"], document);
    assert_eq!((&plan["group"], &plan["frag_size"]), (&"meters".into(), &48.into()));
    let text = plan["warnings"].to_string();
    assert!(text.contains("otaUpdateInfo.future is unknown and ignored"), "{text}");
    desk.refuses("plan ota.json -c meters.toml", 64, &["s3://b/k (version v)", "--image"]);
    let document = document.to_string().replace(",\"future\":[1,{\"x\":2}]", "");
    let two = document.replace(&digest, &"00".repeat(32));
    desk.plan_refuses(&two, "image.bin", &[&digest]);
    let bad = document.replace("\"fileType\":1", "\"fileType\":\"1\"");
    desk.plan_refuses(&bad, "image.bin", &["otaUpdateInfo.otaUpdateFiles[0].fileType: invalid type"]);
}

#[test]
fn a_new_group_is_accepted_by_check_and_its_key_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let group = desk.prints("group new street-lamps --mc-addr 01020304");
    let path = desk.0.path("street-lamps.mckey");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(key.trim().len() == 32 && !group.contains(key.trim()));
    assert!(group.contains("mc-addr = \"01020304\"") && group.contains("first-fcnt = 2"), "{group}");
    // The daemon does not run where the group was made: the path must be absolute.
    assert!(group.contains(&format!("mc-key-file = \"{}\"", path.display())), "{group}");
    desk.write("new.toml", format!("{CONFIG}{group}"));
    assert!(desk.prints("check new.toml").contains("2 group(s)"));

    desk.refuses("group new street-lamps", 73, &["street-lamps.mckey", "never overwritten"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
    desk.refuses("group new b --key-file nowhere/b.mckey", 73, &["nowhere/b.mckey"]);
    let another = desk.prints("group new b");
    assert_ne!(std::fs::read_to_string(desk.0.path("b.mckey")).unwrap(), key);
    assert!(!another.contains("01020304"));
}

#[test]
fn on_the_gateway_a_new_groups_key_is_enrolled_and_the_services_group_may_read_it() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.write("fuotad.toml", format!("{CONFIG}\n[state]\ndir = \"state\"\n"));
    std::fs::create_dir(desk.0.path("state")).unwrap();
    let is_root = desk.0.path(".").metadata().unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(desk.0.path("state"), Some(12_345), Some(54_321)).unwrap();
    }
    let group = desk.prints("group new lamps --mc-addr 01020304 --config fuotad.toml");
    assert!(!group.contains("first-fcnt"), "{group}");
    desk.write("fuotad.toml", format!("{CONFIG}\n[state]\ndir = \"state\"\n{group}"));
    desk.refuses(
        "group enrol lamps --config fuotad.toml",
        65,
        &["is enrolled already for group lamps", "FCnt is 2"],
    );
    assert!(desk.0.path("lamps.mckey.enrolled").exists());
    let key = desk.0.path("lamps.mckey").metadata().unwrap();
    if is_root {
        assert_eq!((key.permissions().mode() & 0o777, key.gid()), (0o640, 54_321));
        let states = std::fs::read_dir(desk.0.path("state")).unwrap();
        assert!(states.map(|entry| entry.unwrap().metadata().unwrap()).all(|file| file.uid() == 12_345));
    } else {
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_state_folder_of_a_newer_release_enrols_nothing() {
    let desk = Desk::new();
    desk.write("fuotad.toml", format!("{CONFIG}\n[state]\ndir = \"state\"\n"));
    std::fs::create_dir(desk.0.path("state")).unwrap();
    // A record whose sum is right and whose format is not known.
    let mut record = [vec![b'x'; 28], b"FTTK".to_vec(), vec![9, 0, 0, 0]].concat();
    record.extend(crc32c::crc32c(&record).to_le_bytes());
    desk.write("state/task-00000000000000000000000000000000", &record);
    let newer = ["has format 9", "use the release that wrote it"];
    desk.refuses("group enrol meters --config fuotad.toml", 65, &newer);
    assert_eq!(std::fs::read_dir(desk.0.path("state")).unwrap().count(), 1, "nothing was written");
}

#[test]
fn a_plan_is_compared_with_the_beats_of_others_and_with_other_promises_of_hearing() {
    let desk = Desk::new();
    desk.write(
        "slow.toml",
        with(&with(CONFIG, "spacing = \"even\"", "spacing = \"burst\"\nduty-share = 1"), "= 5", "= 3"),
    );
    desk.write("long.bin", lcg(7, 12_000));
    let plan = "plan meters-1.4.2.json -c slow.toml --image long.bin --compare";
    let (table, json) = (desk.prints(plan), desk.json(&format!("{plan} --json")));
    let names: Vec<&str> = rows(&json, "compared").iter().map(|row| text(row, "name")).collect();
    assert_eq!(names, ["fuotad", "ChirpStack", "AWS", "MultiTech"]);
    let breaches: Vec<u64> = rows(&json, "compared").iter().map(|row| number(row, "breaches")).collect();
    // A frame of 0.3 s each 5 s is lawful in the sub-band of the tenth, and so is one in ten times its airtime.
    assert!(breaches[0] == 0 && breaches[1] == 0 && breaches[2] == 0, "{breaches:?}");
    let ours = number(&rows(&json, "compared")[0], "session_s");
    assert_eq!(ours, number(&json, "session_s"));
    assert!(ours <= number(&rows(&json, "compared")[1], "session_s"));
    let promises: Vec<f64> =
        rows(&json, "promises").iter().map(|row| row["min_heard"].as_f64().unwrap()).collect();
    assert_eq!(promises, [0.9, 0.8, 0.6, 0.0]);
    for words in ["ChirpStack", "min-heard", "lost SF12BW125", "judged by the same referee"] {
        assert!(table.contains(words), "{words} is not in {table}");
    }
}

fn rows<'a>(json: &'a Value, name: &str) -> &'a [Value] {
    json[name].as_array().unwrap()
}
