use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::image::Digest;
use crate::task::ImageRef;
use crate::task::Interval;
use crate::task::MAX_GROUPS;
use crate::task::MAX_TASK_BYTES;
use crate::task::MAX_WARNINGS;
use crate::task::Start;
use crate::task::Task;
use crate::task::TaskError;
use crate::task::TaskId;
use crate::task::TaskSignature;
use crate::task::TaskStatus;
use crate::task::gps_from_rfc3339;
use crate::task::redundancy_fragments;
use crate::time::GpsTime;

const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const NIGHT: &str = "2026-11-22T02:00:00Z";

/// The answer of GetFuotaTask with every member that the service has.
const FROM_AWS: &str = r#"{"Arn":"arn:aws:iotwireless:eu-west-1:123456789012:FuotaTask/6d2f","Id":"6d2f",
 "Status":"FuotaSession_Waiting","Name":"meter-fw-1-4-2","Description":"",
 "LoRaWAN":{"RfRegion":"EU868","StartTime":"2026-11-22T02:00:00Z"},
 "FirmwareUpdateImage":"s3://fw-bucket/meters/app-1.4.2.bin",
 "FirmwareUpdateRole":"arn:aws:iam::123456789012:role/fuota-read",
 "CreatedAt":1732233600.123,"RedundancyPercent":50,"FragmentSizeBytes":10,"FragmentIntervalMS":1500,
 "Descriptor":"AQQCAA=="}"#;

/// The smallest document of a task of which nothing is to be said.
fn least() -> Value {
    json!({"FirmwareUpdateImage": "s3://b/k", "LoRaWAN": {"RfRegion": "EU868"}})
}

/// The smallest task with the member at `path` (`A` or `A.B`) set.
fn with(path: &str, value: Value) -> Value {
    let mut document = least();
    match path.split_once('.') {
        Some((object, name)) => document[object][name] = value,
        None => document[path] = value,
    }
    document
}

fn read(document: &Value) -> Result<Task, TaskError> {
    task_from_file(document.to_string().as_bytes(), "stem")
}

fn task(document: &Value) -> Task {
    read(document).unwrap()
}

fn refused(document: &Value) -> String {
    read(document).unwrap_err().to_string()
}

fn gps(text: &str) -> GpsTime {
    gps_from_rfc3339(text).unwrap()
}

#[test]
fn the_answer_of_get_fuota_task_is_read_member_by_member() {
    let task = task_from_file(FROM_AWS.as_bytes(), "stem").unwrap();
    let expected = Task {
        id: TaskId::new("6d2f").unwrap(),
        document_id: TaskId::new("6d2f").unwrap(),
        name: Some("meter-fw-1-4-2".to_owned()),
        description: Some(String::new()),
        status: TaskStatus::Armed,
        rf_region: Some("EU868".to_owned()),
        start: Some(Start::At(gps(NIGHT))),
        image: ImageRef::S3 {
            bucket: "fw-bucket".to_owned(),
            key: "meters/app-1.4.2.bin".to_owned(),
            version: None,
            role: Some("arn:aws:iam::123456789012:role/fuota-read".to_owned()),
        },
        redundancy_percent: 50,
        fragment_size_bytes: Some(10),
        fragment_interval: Some(Interval { requested_ms: 1500, spacing_us: 2_000_000 }),
        groups: vec![],
        targets: vec![],
        sha256: None,
        session_timeout_exponent: None,
        finish_by: None,
        coded_from: None,
        devices: None,
        descriptor: Some(vec![1, 4, 2, 0]),
        role: Some("arn:aws:iam::123456789012:role/fuota-read".to_owned()),
        created_at: GpsTime::from_unix_us(1_732_233_600_123_000),
        warnings: vec![],
        announced: vec![],
        signature: TaskSignature::default(),
        hinted_sha256: None,
    };
    assert_eq!(task, expected);
    assert_eq!(task.frag_descriptor(), Some([1, 4, 2, 0]));
}

#[test]
fn the_member_fuotad_says_what_aws_cannot() {
    let mut document: Value = serde_json::from_str(FROM_AWS).unwrap();
    document["Fuotad"] = json!({"MulticastGroups": ["meters", "valves"], "Start": "at-once",
        "Interval": "exact", "Sha256": SHA, "SessionTimeoutExponent": 15});
    let task = task(&document);
    assert_eq!(task.groups, ["meters", "valves"]);
    assert_eq!(task.start, Some(Start::AtOnce));
    assert_eq!(task.fragment_interval, Some(Interval { requested_ms: 1500, spacing_us: 1_500_000 }));
    assert_eq!(task.sha256, Some(Digest::of(b"abc")));
    assert_eq!(task.session_timeout_exponent, Some(15));
    assert_eq!(task.warnings, [""; 0]);
}

#[test]
fn the_smallest_task_is_pending_and_named_after_its_file_and_30_percent_redundant() {
    let task = task(&least());
    assert_eq!((task.id.as_str(), &task.status, task.redundancy_percent), ("stem", &TaskStatus::Pending, 30));
    assert_eq!((task.start, task.fragment_size_bytes, task.fragment_interval), (None, None, None));
    assert_eq!((task.created_at, task.frag_descriptor(), task.warnings.len()), (None, None, 0));
}

#[test]
fn an_empty_object_is_told_what_is_missing() {
    let error = read(&json!({})).unwrap_err();
    assert!(matches!(error, TaskError::Missing { path: "FirmwareUpdateImage", .. }));
    assert_eq!(
        error.to_string(),
        "FirmwareUpdateImage is missing; it is s3://bucket/key, file:///path or https://host/path"
    );
}

#[test]
fn a_region_that_is_assumed_is_told_where_one_could_be_named() {
    let said = "LoRaWAN.RfRegion is absent: the gateway's region is taken for the task's";
    assert_eq!(task(&json!({"FirmwareUpdateImage": "s3://b/k"})).warnings, [said]);
    assert_eq!(task(&least()).warnings, [""; 0]);
}

#[test]
fn a_document_for_several_groups_is_a_task_for_each_under_a_name_of_its_own() {
    let of = |groups: Value| task(&with("Fuotad.MulticastGroups", groups)).per_group().unwrap();
    let tasks = of(json!(["meters", "lamps"]));
    let named: Vec<_> = tasks.iter().map(|task| (task.id.as_str(), task.groups.as_slice())).collect();
    let (meters, lamps) = (["meters".to_owned()], ["lamps".to_owned()]);
    assert_eq!(named, [("stem@meters", &meters[..]), ("stem@lamps", &lamps[..])]);
    assert!(tasks.iter().all(|task| task.document_id.as_str() == "stem"));
    assert_eq!(of(json!(["meters"]))[0].id.as_str(), "stem");
    assert_eq!(of(json!([]))[0].id.as_str(), "stem");
    let long = task(&with("Fuotad.MulticastGroups", json!(["a", "b".repeat(256)])));
    assert!(long.per_group().unwrap_err().to_string().starts_with("Id is \"stem@bbb"));
}

#[test]
fn null_is_absent_wherever_it_stands() {
    for path in super::members::PATHS.into_iter().filter(|path| *path != "FirmwareUpdateImage") {
        let without = match path {
            "LoRaWAN" | "LoRaWAN.RfRegion" => task(&json!({"FirmwareUpdateImage": "s3://b/k"})),
            _ => task(&least()),
        };
        assert_eq!(task(&with(path, Value::Null)), without, "{path}");
    }
    for path in ["Future", "LoRaWAN.Future"] {
        assert_eq!(task(&with(path, Value::Null)), task(&least()), "{path}");
    }
    let message = refused(&with("FirmwareUpdateImage", Value::Null));
    assert!(message.starts_with("FirmwareUpdateImage is missing"), "{message}");
}

#[test]
fn a_member_of_the_wrong_type_is_named_with_its_value_and_what_it_may_be() {
    for (path, allowed) in [
        ("Arn", "a string"),
        ("Id", "a string"),
        ("Status", "a string"),
        ("Name", "a string"),
        ("Description", "a string"),
        ("LoRaWAN", "an object"),
        ("LoRaWAN.RfRegion", "a string"),
        ("LoRaWAN.StartTime", "RFC 3339 with its offset (2026-11-22T02:00:00Z) or in epoch seconds"),
        ("FirmwareUpdateImage", "s3://bucket/key, file:///path or https://host/path"),
        ("FirmwareUpdateRole", "a string"),
        ("CreatedAt", "RFC 3339 with its offset (2026-11-22T02:00:00Z) or in epoch seconds"),
        ("RedundancyPercent", "a whole number from 0 to 100"),
        ("FragmentSizeBytes", "a whole number from 1 to 255"),
        ("FragmentIntervalMS", "a whole number from 1 to 2147483647"),
        ("Descriptor", "base64"),
        ("Fuotad", "an object"),
        ("Fuotad.MulticastGroups", "a list of group names"),
        ("Fuotad.Start", "\"at-once\" or an RFC 3339 time"),
        ("Fuotad.Interval", "\"exact\""),
        ("Fuotad.Sha256", "64 hexadecimal digits"),
        ("Fuotad.SessionTimeoutExponent", "a whole number from 0 to 15"),
    ] {
        // No member is a boolean, and a list of a number is not even a list of groups.
        let message = refused(&with(path, json!(true)));
        assert!(message.starts_with(&format!("{path} is true; allowed: ")), "{message}");
        assert!(message.contains(allowed), "{message}");
        let message = refused(&with(path, json!([7])));
        assert!(message.starts_with(path) && !message.contains("unknown"), "{message}");
        if path != "LoRaWAN" && path != "Fuotad" {
            let message = refused(&with(path, json!({"x": 1})));
            assert!(message.starts_with(&format!("{path} is an object; allowed: ")), "{message}");
        }
    }
}

#[test]
fn a_number_where_a_text_belongs_and_a_text_where_a_number_belongs_are_refused() {
    assert_eq!(refused(&with("Name", json!(7))), "Name is 7; allowed: a string");
    assert_eq!(
        refused(&with("RedundancyPercent", json!("50"))),
        "RedundancyPercent is \"50\"; allowed: a whole number from 0 to 100"
    );
    assert!(refused(&with("FirmwareUpdateImage", json!(7))).starts_with("FirmwareUpdateImage is 7;"));
    assert!(
        refused(&with("Fuotad.MulticastGroups", json!("meters"))).contains("\"meters\"; allowed: a list")
    );
    assert!(refused(&with("LoRaWAN", json!("EU868"))).contains("LoRaWAN is \"EU868\"; allowed: an object"));
}

#[test]
fn every_number_has_its_range_and_the_refusal_says_it() {
    for (path, min, max) in [
        ("RedundancyPercent", 0, 100),
        ("FragmentSizeBytes", 1, 255),
        ("FragmentIntervalMS", 1, 2_147_483_647_i64),
        ("Fuotad.SessionTimeoutExponent", 0, 15),
    ] {
        assert!(read(&with(path, json!(min))).is_ok() && read(&with(path, json!(max))).is_ok(), "{path}");
        let wrong = [json!(min - 1), json!(max + 1), json!(1.5), json!(-7), json!(1e99), json!(u64::MAX)];
        for value in wrong.into_iter().chain([json!(i64::MIN), json!(1.0)]) {
            let expected = format!("{path} is {value}; allowed: a whole number from {min} to {max}");
            assert_eq!(refused(&with(path, value)), expected);
        }
    }
}

#[test]
fn both_timestamps_have_both_forms() {
    for value in
        [json!("2024-11-22T00:00:00.123Z"), json!("2024-11-22T01:00:00.123+01:00"), json!(1732233600.123)]
    {
        let moment = GpsTime::from_unix_us(1_732_233_600_123_000);
        assert_eq!(task(&with("CreatedAt", value.clone())).created_at, moment, "{value}");
        assert_eq!(task(&with("LoRaWAN.StartTime", value.clone())).start, moment.map(Start::At), "{value}");
    }
    assert_eq!(
        task(&with("LoRaWAN.StartTime", json!(1_732_233_600))).start,
        Some(Start::At(gps("2024-11-22T00:00:00Z")))
    );
    for path in ["CreatedAt", "LoRaWAN.StartTime"] {
        for value in [json!("2026-11-22T02:00:00"), json!(1e300), json!(-1)] {
            let message = refused(&with(path, value));
            assert!(message.starts_with(path) && message.contains("since 1980-01-06"), "{message}");
        }
    }
}

#[test]
fn our_start_wins_over_the_start_time_of_aws() {
    let mut document = with("LoRaWAN.StartTime", json!(NIGHT));
    assert_eq!(task(&document).start, Some(Start::At(gps(NIGHT))));
    document["Fuotad"]["Start"] = json!("2026-11-23T02:00:00+01:00");
    assert_eq!(task(&document).start, Some(Start::At(gps("2026-11-23T01:00:00Z"))));
    document["Fuotad"]["Start"] = json!("at-once");
    assert_eq!(task(&document).start, Some(Start::AtOnce));
    for text in ["now", "At-Once", "", "2026-11-23", "02:00"] {
        document["Fuotad"]["Start"] = json!(text);
        let message = refused(&document);
        assert!(
            message.starts_with(&format!("Fuotad.Start is \"{text}\"; allowed: \"at-once\"")),
            "{message}"
        );
    }
}

#[test]
fn an_interval_is_rounded_as_the_service_does_unless_it_is_exact() {
    let mut document = with("FragmentIntervalMS", json!(2500));
    assert_eq!(
        task(&document).fragment_interval,
        Some(Interval { requested_ms: 2500, spacing_us: 3_000_000 })
    );
    document["Fuotad"]["Interval"] = json!("exact");
    assert_eq!(
        task(&document).fragment_interval,
        Some(Interval { requested_ms: 2500, spacing_us: 2_500_000 })
    );
    document["Fuotad"]["Interval"] = json!("rounded");
    assert!(refused(&document).starts_with("Fuotad.Interval is \"rounded\"; allowed: \"exact\""));
    assert_eq!(task(&with("Fuotad.Interval", json!("exact"))).fragment_interval, None);
}

#[test]
fn a_digest_that_is_none_is_refused() {
    for text in ["", "abc", &SHA[1..], &format!("{SHA}0"), &SHA.replace('b', "g")] {
        let message = refused(&with("Fuotad.Sha256", json!(text)));
        assert!(
            message.starts_with("Fuotad.Sha256 is \"") && message.contains("64 hexadecimal"),
            "{message}"
        );
    }
    assert_eq!(task(&with("Fuotad.Sha256", json!(SHA.to_uppercase()))).sha256, Some(Digest::of(b"abc")));
}

#[test]
fn a_group_is_named_once_and_by_a_name() {
    let groups = |names: Value| with("Fuotad.MulticastGroups", names);
    assert!(refused(&groups(json!(["a", "b", "a"]))).starts_with("Fuotad.MulticastGroups[2] is \"a\""));
    assert!(refused(&groups(json!([""]))).starts_with("Fuotad.MulticastGroups[0] is \"\""));
    assert!(
        refused(&groups(json!(["a", 7]))).starts_with("Fuotad.MulticastGroups[1] is 7; allowed: a string")
    );
    let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(task(&groups(json!(names(MAX_GROUPS)))).groups.len(), MAX_GROUPS);
    assert!(refused(&groups(json!(names(MAX_GROUPS + 1)))).contains("at most 64 group names"));
    assert_eq!(task(&groups(json!([]))).groups, [""; 0]);
}

#[test]
fn a_descriptor_is_filled_up_to_the_4_bytes_a_session_carries_and_never_cut() {
    let of = |base64: &str| task(&with("Descriptor", json!(base64)));
    assert_eq!(of("AQ==").frag_descriptor(), Some([1, 0, 0, 0]));
    assert_eq!(of("").frag_descriptor(), Some([0; 4]));
    let long = of("AQIDBAU=");
    assert_eq!((long.frag_descriptor(), long.descriptor), (None, Some(vec![1, 2, 3, 4, 5])));
    assert!(long.warnings[0].starts_with("Descriptor has 5 bytes"), "{:?}", long.warnings);
    for text in ["AQ", "A-_=", "version 1", &"AAAA".repeat(84)] {
        assert!(refused(&with("Descriptor", json!(text))).contains("base64 of at most 249 bytes"), "{text}");
    }
}

#[test]
fn a_misspelt_member_of_fuotad_is_an_error_that_names_the_right_one() {
    let error = refused(&with("Fuotad.Sha-256", json!(SHA)));
    assert_eq!(
        error,
        "Fuotad.\"Sha-256\" is unknown, did you mean Fuotad.Sha256?; known are MulticastGroups, Start, \
         Interval, Sha256, SessionTimeoutExponent, FinishBy, CodedFrom, Devices, RedundancyPercent, FragmentSizeBytes, \
         FragmentIntervalMS, Descriptor, File"
    );
    let in_the_wrong_place = refused(&with("Fuotad.StartTime", json!(1)));
    assert!(in_the_wrong_place.contains("did you mean LoRaWAN.StartTime?"), "{in_the_wrong_place}");
    let beyond_guessing = refused(&with("Fuotad.Colour", Value::Null));
    assert!(beyond_guessing.starts_with("Fuotad.Colour is unknown; known are"), "{beyond_guessing}");
}

#[test]
fn an_unknown_member_elsewhere_is_a_warning_with_a_hint() {
    let document = json!({"FirmwareUpdateImage": "s3://b/k", "FragmentSize": 50, "ResponseMetadata": {},
        "Sha256": SHA, "LoRaWAN": {"RfRegion": "EU868", "StartTimes": 1, "a\nb": 1}});
    assert_eq!(
        task(&document).warnings,
        [
            "FragmentSize is unknown and ignored; did you mean FragmentSizeBytes?",
            "ResponseMetadata is unknown and ignored",
            "Sha256 is unknown and ignored; did you mean Fuotad.Sha256?",
            "LoRaWAN.StartTimes is unknown and ignored; did you mean LoRaWAN.StartTime?",
            "LoRaWAN.\"a\\nb\" is unknown and ignored",
        ]
    );
}

#[test]
fn a_member_in_another_spelling_is_refused_and_what_it_says_is_not_lost() {
    for (member, wanted) in [
        ("firmwareUpdateImage", "firmwareUpdateImage is unknown: write FirmwareUpdateImage"),
        ("firmware_update_image", "firmware_update_image is unknown: write FirmwareUpdateImage"),
        ("fuotad", "fuotad is unknown: write Fuotad"),
        ("lorawan", "lorawan is unknown: write LoRaWAN"),
        ("LoRaWN", "LoRaWN is unknown: write LoRaWAN"),
        ("LoRaVAN", "LoRaVAN is unknown: write LoRaWAN"),
        ("fragmentIntervalMs", "fragmentIntervalMs is unknown: write FragmentIntervalMS"),
        ("LoRaWAN.rfRegion", "LoRaWAN.rfRegion is unknown: write LoRaWAN.RfRegion"),
    ] {
        assert!(refused(&with(member, json!({}))).starts_with(wanted), "{member}");
    }
}

#[test]
fn a_document_that_looks_like_another_is_told_what_it_is() {
    for (document, needle) in [
        (json!({"FuotaTaskList": []}), "list-fuota-tasks: save get-fuota-task"),
        (json!({"otaUpdates": []}), "list-ota-updates: save get-ota-update"),
        (json!({"otaUpdateId": "a", "otaUpdateFiles": []}), "with otaUpdateInfo around it"),
        (json!({"Type": "AWS::IoTWireless::FuotaTask", "Properties": {}}), "CloudFormation"),
        (json!({"Resources": {}}), "CloudFormation"),
        (json!({"afr_ota": {}}), "a job or its document"),
        (json!({"FuotaTask": {}}), "its members stand at the top"),
    ] {
        let error = refused(&document);
        assert!(error.starts_with("FirmwareUpdateImage is missing") && error.contains(needle), "{error}");
    }
    let of_text = |text: &[u8]| task_from_file(text, "t").unwrap_err().to_string();
    for (text, needle) in [
        ("Arn: arn:aws:iotwireless\nLoRaWAN:\n  RfRegion: EU868\n", "looks like YAML"),
        ("# mine\nFirmwareUpdateImage: s3://b/k", "looks like YAML"),
        ("-----\n|  GetFuotaTask  |\n", "AWS's table output"),
        ("arn:aws:iotwireless\t2026\tname", "AWS's text output"),
        ("  \n", "the file is empty"),
        ("[{}]", "one in a file"),
    ] {
        assert!(of_text(text.as_bytes()).contains(needle), "{text}: {}", of_text(text.as_bytes()));
    }
    assert!(of_text(b"\x7FELF\xFF\x00").contains("an ELF file"));
    assert!(of_text(b"\x01\xFF\x00").contains("binary"));
    // JSON with a slip in it stays JSON.
    assert!(of_text(b"{\"Arn\": 1,}").contains("a comma before the closing bracket"));
}

#[test]
fn a_creation_in_milliseconds_is_kept_and_a_start_in_them_is_refused() {
    let created = task(&with("CreatedAt", json!(1_795_312_800_000_i64))).created_at.unwrap();
    assert_eq!(created.to_unix_us(), 1_795_312_800_000_000);
    assert!(refused(&with("LoRaWAN.StartTime", json!(1_795_312_800_000_i64))).contains("epoch seconds"));
}

#[test]
fn an_unknown_status_is_kept_with_a_warning() {
    let task = task(&with("Status", json!("pending")));
    assert_eq!(task.status, TaskStatus::Unknown("pending".to_owned()));
    assert!(task.warnings[0].starts_with("Status \"pending\" is unknown"), "{:?}", task.warnings);
    assert!(task.warnings[0].ends_with("did you mean Pending?"), "{:?}", task.warnings);
}

#[test]
fn of_very_many_warnings_the_first_are_kept_and_the_rest_counted() {
    let mut document = least();
    for n in 0..1000 {
        document[format!("Zz{n:04}")] = json!(1);
    }
    let warnings = task(&document).warnings;
    assert_eq!(warnings.len(), MAX_WARNINGS + 1);
    assert_eq!(warnings[MAX_WARNINGS], "and 984 more warnings");
}

#[test]
fn what_was_read_is_written_as_the_service_writes_it_and_read_again_with_the_same_warnings() {
    let mut document: Value = serde_json::from_str(FROM_AWS).unwrap();
    assert_eq!(written(&document), document, "nothing added, nothing lost, each timestamp in its own form");
    document["Status"] = json!("Paused");
    document["Future"] = json!({"deep": [1, null, "x"]});
    document["LoRaWAN"]["Future"] = json!(1.5);
    document["Fuotad"] = json!({"MulticastGroups": ["meters"], "Start": NIGHT, "Interval": "exact",
        "Sha256": SHA, "SessionTimeoutExponent": 3});
    assert_eq!(written(&document), document);
    assert_eq!(task(&written(&document)), task(&document));
    assert_eq!(task(&document).warnings.len(), 3);
    // Whatever form a timestamp came in, it leaves in that of the service.
    document["CreatedAt"] = json!("2024-11-22T00:00:00.123Z");
    document["LoRaWAN"]["StartTime"] = json!(1_795_312_800);
    assert_eq!(written(&document)["CreatedAt"], json!(1732233600.123));
    assert_eq!(written(&document)["LoRaWAN"]["StartTime"], json!(NIGHT));
    assert_eq!(written(&least()), least());
}

fn written(document: &Value) -> Value {
    let read = FuotaTaskJson::from_slice(document.to_string().as_bytes()).unwrap();
    serde_json::to_value(read).unwrap()
}

#[test]
fn a_document_that_is_no_json_is_refused_with_line_and_column() {
    let at = |text: &str| match task_from_file(text.as_bytes(), "stem") {
        Err(TaskError::Syntax { line, column, reason }) => (line, column, reason),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(
        at(""),
        (1, 0, "the file is empty: it holds one task, as `aws iotwireless get-fuota-task` prints it".into())
    );
    assert_eq!(at("{\n  \"Id\": \"a\",\n}").0, 3);
    assert_eq!(at("{\"Id\": 'a'}"), (1, 8, "text in single quotes: JSON wants double quotes".to_owned()));
    let more = "more text after the end of the task: a file holds one task";
    assert_eq!(at("{} x"), (1, 4, more.to_owned()));
    assert_eq!(at("{}{}").2, more);
    assert!(at("{\"Id\": \"a\"").2.starts_with("the text ends in the middle of the task"));
    assert!(at("{// the id\n\"Id\": \"a\"}").2.starts_with("a comment, which JSON has none of"));
    assert!(at("{\"Id\": \"a\nb\"}").2.starts_with("a line break or a tab inside a text"));
    assert!(at("{\"Id\": \"\\x\"}").2.starts_with("a backslash in a text is written twice"));
    assert_eq!(at("{\"RedundancyPercent\": 1e999}").2, "number out of range");
    assert_eq!(at(&"[".repeat(60_000)).2, "recursion limit exceeded");
    let message = task_from_file(b"{\n \"Id\" 1}", "stem").unwrap_err().to_string();
    assert_eq!(message, "line 2 column 7: a colon is missing between name and value");
    assert!(matches!(task_from_file(b"{\"Id\": \"\xFF\"}", "stem"), Err(TaskError::Syntax { .. })));
}

#[test]
fn a_name_that_stands_twice_in_one_object_is_refused_where_it_stands() {
    let text = "{\"RedundancyPercent\": 10,\n \"RedundancyPercent\": 90}";
    let message = task_from_file(text.as_bytes(), "stem").unwrap_err().to_string();
    assert!(message.starts_with("line 2 column "), "{message}");
    assert!(message.ends_with("RedundancyPercent stands here twice: leave one out"), "{message}");
    let inside = r#"{"Fuotad": {"Start": "at-once", "Start": null}}"#;
    assert!(task_from_file(inside.as_bytes(), "stem").unwrap_err().to_string().contains("Start stands here"));
}

#[test]
fn a_document_that_is_json_but_no_object_is_refused() {
    for (text, shown) in [("[]", "a list"), ("7", "7"), ("null", "null"), ("\"s3://b/k\"", "\"s3://b/k\"")] {
        let message = task_from_file(text.as_bytes(), "stem").unwrap_err().to_string();
        assert!(message.starts_with(&format!("the document is {shown}; allowed: an object")), "{message}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped_and_utf_16_is_called_by_its_name() {
    let marked = ["\u{FEFF}", &least().to_string()].concat();
    assert_eq!(task_from_file(marked.as_bytes(), "stem"), Ok(task(&least())));
    assert_eq!(task_from_file(b"\xFF\xFE{\0}\0", "stem"), Err(TaskError::Utf16));
    assert_eq!(task_from_file(b"\xFE\xFF\0{\0}", "stem"), Err(TaskError::Utf16));
}

#[test]
fn a_document_may_have_256_kib_and_no_byte_more() {
    let mut text = least().to_string();
    text.push_str(&" ".repeat(MAX_TASK_BYTES - text.len()));
    assert!(task_from_file(text.as_bytes(), "stem").is_ok());
    text.push(' ');
    assert_eq!(task_from_file(text.as_bytes(), "stem"), Err(TaskError::TooLarge { bytes: 262_145 }));
}

#[test]
fn an_id_that_cannot_be_printed_is_refused_wherever_it_comes_from() {
    assert!(refused(&with("Id", json!(""))).starts_with("Id is \"\""));
    assert!(task_from_file(least().to_string().as_bytes(), "a\nb").is_err());
    assert_eq!(task(&with("Id", json!("6d2f"))).id.as_str(), "6d2f");
}

#[test]
fn a_cloud_task_has_an_id_and_no_file() {
    let cloud = |image: &str, id: Option<&str>| {
        let (firmware_update_image, id) = (Some(image.to_owned()), id.map(str::to_owned));
        FuotaTaskJson { id, firmware_update_image, ..FuotaTaskJson::default() }.into_cloud_task()
    };
    assert_eq!(cloud("s3://b/k", Some("6d2f")).unwrap().id.as_str(), "6d2f");
    assert!(matches!(cloud("s3://b/k", None), Err(TaskError::Missing { path: "Id", .. })));
    let message = cloud("file:///etc/fuotad/meters.mckey", Some("6d2f")).unwrap_err().to_string();
    assert!(message.contains("in a task from the cloud"), "{message}");
}

#[test]
fn only_a_role_of_the_tasks_own_account_may_be_assumed_and_who_reads_changes_no_order() {
    let mut document: Value = serde_json::from_str(FROM_AWS).unwrap();
    let role = |document: &Value| match task(document).image {
        ImageRef::S3 { role, .. } => role,
        other => panic!("{other}"),
    };
    assert_eq!(role(&document).as_deref(), Some("arn:aws:iam::123456789012:role/fuota-read"));
    let before = task(&document);
    document["FirmwareUpdateRole"] = json!("arn:aws:iam::999999999999:role/fuota-read");
    assert_eq!(role(&document), None, "another account's");
    assert_eq!(task(&document).role.as_deref(), Some("arn:aws:iam::999999999999:role/fuota-read"), "kept");
    assert!(task(&document).same_order(&before));
    document["FirmwareUpdateRole"] = json!("nonsense");
    assert_eq!(role(&document), None);
}

#[test]
fn an_order_is_the_same_until_image_size_redundancy_or_groups_change() {
    let with = |path, value| task(&with(path, value));
    let base = with("Fuotad.MulticastGroups", json!(["a", "b"]));
    assert!(base.same_order(&with("Fuotad.MulticastGroups", json!(["b", "a"]))));
    assert!(!base.same_order(&with("Fuotad.MulticastGroups", json!(["a"]))));
    let base = task(&least());
    for (path, value) in [
        ("FirmwareUpdateImage", json!("s3://b/k2")),
        ("FragmentSizeBytes", json!(50)),
        ("RedundancyPercent", json!(31)),
    ] {
        assert!(!base.same_order(&with(path, value)), "{path}");
    }
    for (path, value) in [
        ("Status", json!("FuotaDone")),
        ("Name", json!("x")),
        ("RedundancyPercent", json!(30)),
        ("FragmentIntervalMS", json!(9000)),
        ("LoRaWAN.StartTime", json!(NIGHT)),
        ("Fuotad.Sha256", json!(SHA)),
    ] {
        assert!(base.same_order(&with(path, value)), "{path}");
    }
    let digest = with("Fuotad.Sha256", json!(SHA));
    assert!(!digest.same_order(&with("Fuotad.Sha256", json!(SHA.replace('b', "c")))));
}

#[test]
fn a_change_of_the_status_alone_is_told_from_every_other_change() {
    let base = task(&least());
    assert!(!base.status_only_change(&base));
    assert!(base.status_only_change(&task(&with("Status", json!("Delete_Waiting")))));
    assert!(base.status_only_change(&task(&with("Status", json!("Paused")))));
    let mut document = with("Status", json!("FuotaDone"));
    document["Name"] = json!("x");
    assert!(!base.status_only_change(&task(&document)));
}

/// A text in which `cut` bytes at `at` became `bytes`.
fn mutated(text: &str, at: usize, cut: usize, bytes: &[u8]) -> Vec<u8> {
    let at = at % text.len();
    let end = (at + cut).min(text.len());
    [&text.as_bytes()[..at], bytes, &text.as_bytes()[end..]].concat()
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), stem in ".*") {
        let _ = task_from_file(&bytes, &stem);
    }

    #[test]
    fn a_damaged_task_is_refused_in_one_line_or_is_a_task(
        at in any::<usize>(),
        cut in 0_usize..20,
        bytes in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        match task_from_file(&mutated(FROM_AWS, at, cut, &bytes), "stem") {
            Ok(task) => prop_assert!(task.redundancy_percent <= 100),
            Err(error) => prop_assert!(!error.to_string().contains(char::is_control), "{error}"),
        }
    }

    #[test]
    fn a_member_with_any_value_is_refused_by_name_or_within_its_range(
        index in 0_usize..super::members::PATHS.len(),
        text in ".{0,20}",
        number in any::<f64>(),
        whole in any::<i64>(),
    ) {
        let path = super::members::PATHS[index];
        for value in [json!(text), json!(number), json!(whole), json!([text])] {
            match read(&with(path, value)) {
                Ok(task) => {
                    prop_assert!(task.fragment_size_bytes.is_none_or(|size| (1..=255).contains(&size)));
                    prop_assert!(task.fragment_interval.is_none_or(|interval| interval.spacing_us >= 1_000_000));
                }
                Err(error) => prop_assert!(error.to_string().starts_with(path), "{error}"),
            }
        }
    }

    #[test]
    fn redundancy_is_the_least_number_of_fragments_that_reaches_the_percentage(
        nb_frag in any::<u16>(),
        percent in 0_u8..=100,
    ) {
        let fragments = redundancy_fragments(nb_frag, percent) * 100;
        let wanted = u32::from(nb_frag) * u32::from(percent);
        prop_assert!(fragments >= wanted && fragments < wanted + 100);
    }
}
