//! What a forwarder answers to a PULL_RESP (PROTOCOL.TXT 5.5 and 6, `txpk_ack`).

use serde::Deserialize;
use serde_json::Value;

use crate::radio::Dbm;
use crate::time::Tmst;

use super::event::Refusal;

/// What the body of a TX_ACK says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TxAck {
    /// Queued, with the conducted power if the forwarder changed it; or not.
    pub answer: Result<Option<Dbm>, Refusal>,
    /// The counter at its departure, which some forwarders tell.
    pub tmst: Option<Tmst>,
}

/// Real ones have less than 80 bytes.
const MAX_BODY: usize = 1024;

const MAX_TEXT: usize = 64;

impl TxAck {
    /// `None` when the body is neither empty nor a JSON object. Nothing said means queued; an unknown error means
    /// refused, because whoever sends one did not queue. A warning is an error only if it names a known refusal.
    pub fn read(body: &[u8]) -> Option<TxAck> {
        let body = trimmed(body);
        if body.is_empty() {
            return Some(TxAck { answer: Ok(None), tmst: None });
        }
        if body.len() > MAX_BODY {
            return None;
        }
        let json = Value::deserialize(&mut serde_json::Deserializer::from_slice(body)).ok()?;
        let ack = match json.as_object()?.get("txpk_ack") {
            None | Some(Value::Null) => Value::Null,
            Some(ack) if ack.is_object() => ack.clone(),
            Some(_) => return None,
        };
        let tmst = number(&ack["tmst"]).filter(|us| (0.0..4_294_967_296.0).contains(us));
        Some(TxAck { answer: answer(&ack), tmst: tmst.map(|us| Tmst(us as u32)) })
    }
}

fn answer(ack: &Value) -> Result<Option<Dbm>, Refusal> {
    if let Some(error) = text(&ack["error"]) {
        return Err(refusal(error));
    }
    match text(&ack["warn"]).map(refusal) {
        None | Some(Refusal::Other(_)) => Ok(None),
        Some(Refusal::TxPower) => {
            let dbm = number(&ack["value"]).filter(|dbm| dbm.abs() <= 100.0);
            Ok(dbm.map(|dbm| Dbm::from_centi((dbm * 100.0).round() as i32)))
        }
        Some(refusal) => Err(refusal),
    }
}

/// What is said there, if anything is: "NONE", nothing and null say nothing.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    (!text.is_empty() && !text.eq_ignore_ascii_case("NONE")).then_some(text)
}

fn refusal(mut text: String) -> Refusal {
    match text.to_ascii_uppercase().as_str() {
        "TOO_LATE" => Refusal::TooLate,
        "TOO_EARLY" => Refusal::TooEarly,
        "COLLISION_PACKET" => Refusal::CollisionPacket,
        "COLLISION_BEACON" => Refusal::CollisionBeacon,
        "TX_FREQ" => Refusal::TxFreq,
        "TX_POWER" => Refusal::TxPower,
        "GPS_UNLOCKED" => Refusal::GpsUnlocked,
        _ => {
            let cut = (0..=MAX_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
            text.truncate(cut.unwrap_or(0));
            Refusal::Other(text)
        }
    }
}

/// A number, or a text that holds one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Without white space and the NUL that some forwarders send along.
fn trimmed(mut body: &[u8]) -> &[u8] {
    while let Some((0, rest)) = body.split_last() {
        body = rest;
    }
    body.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> Result<Option<Dbm>, Refusal> {
        TxAck::read(body.as_bytes()).unwrap().answer
    }

    fn error(text: &str) -> Result<Option<Dbm>, Refusal> {
        answered(&format!(r#"{{"txpk_ack":{{"error":"{text}"}}}}"#))
    }

    #[test]
    fn nothing_said_means_queued() {
        for body in [
            "",
            "\0",
            " \r\n\0\0",
            "{}",
            r#"{"txpk_ack":{}}"#,
            r#"{"txpk_ack":null}"#,
            r#"{"txpk_ack":{"error":"NONE"}}"#,
            r#"{"txpk_ack":{"error":""}}"#,
            r#"{"txpk_ack":{"error":null,"warn":null}}"#,
            "{\"txpk_ack\":{\"error\":\"NONE\"}}\0",
        ] {
            assert_eq!(TxAck::read(body.as_bytes()), Some(TxAck { answer: Ok(None), tmst: None }), "{body}");
        }
    }

    #[test]
    fn every_error_of_the_document_is_a_refusal_of_its_own() {
        for (text, refusal) in [
            ("TOO_LATE", Refusal::TooLate),
            ("TOO_EARLY", Refusal::TooEarly),
            ("COLLISION_PACKET", Refusal::CollisionPacket),
            ("COLLISION_BEACON", Refusal::CollisionBeacon),
            ("TX_FREQ", Refusal::TxFreq),
            ("TX_POWER", Refusal::TxPower),
            ("GPS_UNLOCKED", Refusal::GpsUnlocked),
        ] {
            assert_eq!(error(text), Err(refusal.clone()));
            assert_eq!(refusal.to_string(), text);
        }
    }

    #[test]
    fn an_unknown_error_is_a_refusal_and_never_a_success() {
        for text in
            ["UNKNOWN", "QUEUE_FULL", "INTERNAL_ERROR", "DUTY_CYCLE_OVERFLOW", "SEND_LBT", "SEND_FAIL"]
        {
            assert_eq!(error(text), Err(Refusal::Other(text.to_owned())));
        }
        assert_eq!(answered(r#"{"txpk_ack":{"error":5}}"#), Err(Refusal::Other("5".to_owned())));
        let Err(Refusal::Other(cut)) = error(&"ä".repeat(1 << 8)) else { panic!("refused") };
        assert_eq!(cut, "ä".repeat(32));
    }

    #[test]
    fn a_changed_power_is_queued_whatever_kind_of_number_it_is() {
        for value in ["27", "27.0", "\"27\"", "\" 27 \"", "2.7e1"] {
            let body = format!(r#"{{"txpk_ack":{{"warn":"TX_POWER","value":{value}}}}}"#);
            assert_eq!(answered(&body), Ok(Some(Dbm::from_whole(27))), "{body}");
        }
        assert_eq!(
            answered(r#"{"txpk_ack":{"warn":"TX_POWER","value":-1.5}}"#),
            Ok(Some(Dbm::from_centi(-150)))
        );
        assert_eq!(answered(r#"{"txpk_ack":{"warn":"TX_POWER"}}"#), Ok(None));
        assert_eq!(answered(r#"{"txpk_ack":{"warn":"TX_POWER","value":"much"}}"#), Ok(None));
    }

    #[test]
    fn a_warning_is_a_refusal_only_if_it_names_one() {
        assert_eq!(answered(r#"{"txpk_ack":{"warn":"HOT"}}"#), Ok(None));
        assert_eq!(answered(r#"{"txpk_ack":{"warn":"TOO_LATE"}}"#), Err(Refusal::TooLate));
        let both = r#"{"txpk_ack":{"warn":"TX_POWER","value":27,"error":"TX_FREQ"}}"#;
        assert_eq!(answered(both), Err(Refusal::TxFreq));
    }

    #[test]
    fn a_departure_time_is_read() {
        let ack = TxAck::read(br#"{"txpk_ack":{"error":"NONE","tmst":4294967295}}"#).unwrap();
        assert_eq!(ack.tmst, Some(Tmst(u32::MAX)));
        let ack = TxAck::read(br#"{"txpk_ack":{"tmst":4294967296}}"#).unwrap();
        assert_eq!(ack.tmst, None);
    }

    #[test]
    fn garbage_is_no_answer() {
        let long = format!("{{\"txpk_ack\":{{}}{}}}", " ".repeat(MAX_BODY));
        for body in ["x", "7", "[]", "{", r#"{"txpk_ack":7}"#, r#"{"txpk_ack":"TOO_LATE"}"#, long.as_str()] {
            assert_eq!(TxAck::read(body.as_bytes()), None, "{body}");
        }
    }
}
