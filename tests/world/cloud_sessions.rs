//! AWS's word on a group against the gateway's own: a difference is an error before flight.

use crate::support::small_world;
use fuotad::campaign::SessionRule;
use fuotad::engine::Settings;
use fuotad::plan::Timetable;
use fuotad::task::gps_from_rfc3339;
use serde_json::Value;
use serde_json::json;

const NIGHT: &str = "2026-11-22T08:01:00Z";

/// The plan of a task for the group of the tests, of which AWS says `theirs`; the group listens as `session` says.
fn planned(theirs: &Value, session: SessionRule) -> Result<Vec<String>, String> {
    let group = fuotad::campaign::Group { session, ..small_world::group() };
    let settings = Settings { groups: vec![group], ..small_world::settings() };
    let mut theirs = theirs.clone();
    theirs["Group"] = json!("meters");
    let document = json!({"FirmwareUpdateImage": "file:///image.bin", "RedundancyPercent": 10,
        "FragmentSizeBytes": 48, "LoRaWAN": {"RfRegion": "EU868", "StartTime": NIGHT},
        "Cloud": {"MulticastGroups": [theirs]}});
    let timetable = Timetable::new(&settings, &document.to_string(), "task", small_world::image(960));
    timetable.map(|plan| plan.planned.warnings)
}

fn windows() -> SessionRule {
    SessionRule::Windows { exponent: Some(12), start: gps_from_rfc3339(NIGHT) }
}

fn session(lorawan: &Value) -> Value {
    json!({"LoRaWAN": {"DlClass": "ClassC"}, "Session": {"LoRaWAN": lorawan}})
}

#[test]
fn the_same_session_is_agreed_on() {
    let same = session(
        &json!({"DlDr": 5, "DlFreq": 869_525_000, "SessionStartTime": NIGHT, "SessionTimeout": 4096}),
    );
    assert_eq!(planned(&same, windows()), Ok(vec![]));
    // A length that is no power of two stands for the next one; what is not said is not compared.
    assert!(planned(&session(&json!({"SessionTimeout": 2049})), windows()).is_ok());
    for silent in [json!({}), json!({"Session": null}), json!({"Session": {}}), session(&json!({}))] {
        assert_eq!(planned(&silent, windows()), Ok(vec![]), "{silent}");
    }
}

#[test]
fn every_difference_is_an_error_before_flight() {
    for (lorawan, said) in [
        (json!({"DlDr": 4}), "DlDr is 4, ours 5"),
        (json!({"DlFreq": 868_100_000}), "DlFreq is 868100000, ours 869525000"),
        (json!({"SessionTimeout": 4097}), "SessionTimeout is 4097 s (2^13), ours 2^12 s"),
        (
            json!({"SessionStartTime": "2026-11-22T08:02:00Z"}),
            "SessionStartTime is 2026-11-22T08:02:00Z, ours 2026",
        ),
        (json!({"PingSlotPeriod": 128}), "a Class B session"),
        (json!({"DlDr": -1}), "DlDr is -1, ours 5"),
    ] {
        let reason = planned(&session(&lorawan), windows()).unwrap_err();
        assert!(reason.contains(said) && reason.contains("correct the [[group]]"), "{reason}");
    }
    let reason = planned(&json!({"LoRaWAN": {"DlClass": "ClassB"}}), SessionRule::Always).unwrap_err();
    assert!(reason.contains("DlClass is \"ClassB\", and this gateway sends Class C"), "{reason}");
    let two = session(&json!({"DlDr": 4, "DlFreq": 868_100_000}));
    let reason = planned(&two, SessionRule::Always).unwrap_err();
    assert!(reason.contains("DlFreq is 868100000, ours 869525000; DlDr is 4, ours 5"), "{reason}");
}

#[test]
fn a_group_that_always_listens_has_no_session_to_compare() {
    let lorawan = json!({"DlDr": 5, "SessionTimeout": 60, "SessionStartTime": "2026-11-22T08:00:00Z"});
    let warnings = planned(&session(&lorawan), SessionRule::Always).unwrap();
    assert_eq!(
        warnings,
        ["the cloud's session starts at 2026-11-22T08:00:00Z, the task at 2026-11-22T08:01:00Z"]
    );
}

#[test]
fn parameters_of_a_session_that_is_not_there_yet_are_a_warning() {
    let defaults = json!({"LoRaWAN": {"DefaultSessionParameters": {"DlDr": 0, "DlFreq": 869_525_000}}});
    let warnings = planned(&defaults, SessionRule::Always).unwrap();
    assert_eq!(warnings, ["the cloud's DefaultSessionParameters: DlDr is 0, ours 5"]);
}
