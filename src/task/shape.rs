//! From a JSON tree that AWS answered with to a type of ours: a value of the wrong type is named by its path,
//! members that we do not know are counted and stay in the tree.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::de::Error as _;
use serde_json::Value;

use super::error::TaskError;
use super::timestamp;
use crate::time::GpsTime;

/// How much of a reason is shown, in characters: it quotes the value.
const MAX_SHOWN_CHARS: usize = 160;

/// A moment in either form of a timestamp: epoch seconds or RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub GpsTime);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Moment, D::Error> {
        let value = Value::deserialize(from)?;
        let gps = timestamp::gps_from_value(&value);
        gps.map(Moment).ok_or_else(|| D::Error::custom(format!("{value} is no time: {}", timestamp::ALLOWED)))
    }
}

/// `value`, which stands at `root` in its document, as a `T`. The paths of members that `T` does not know are
/// added to `unknown`.
pub(super) fn shaped<T: DeserializeOwned>(
    value: &Value,
    root: &str,
    unknown: &mut Vec<String>,
) -> Result<T, TaskError> {
    let mut note = |path: serde_ignored::Path<'_>| {
        // An `Option` on the way is a question mark in its path.
        let path = path.to_string().replace(".?", "");
        unknown.push(format!("{root}.{}", path.trim_start_matches("?.")));
    };
    let from = serde_ignored::Deserializer::new(value, &mut note);
    serde_path_to_error::deserialize(from).map_err(|error| {
        let inside = error.path().to_string();
        let path = if inside == "." { root.to_owned() } else { format!("{root}.{inside}") };
        let reason = error.into_inner().to_string();
        let printable = reason.chars().filter(|c| !c.is_control());
        TaskError::Shape { path, reason: printable.take(MAX_SHOWN_CHARS).collect() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        n: Option<i64>,
        at: Option<Moment>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        list: Option<Vec<Inner>>,
    }

    fn read(value: &Value) -> (Result<Outer, String>, Vec<String>) {
        let mut unknown = Vec::new();
        let outer = shaped(value, "root", &mut unknown).map_err(|error| error.to_string());
        (outer, unknown)
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_by_its_path() {
        let (outer, _) = read(&json!({"list": [{}, {"n": "x"}]}));
        let message = outer.unwrap_err();
        assert!(message.starts_with("root.list[1].n: ") && message.contains("expected i64"), "{message}");
        let (outer, _) = read(&json!({"list": [{"at": "soon"}]}));
        assert!(outer.unwrap_err().contains("root.list[0].at: \"soon\" is no time"));
        // An empty list is an object without members: nothing in it has the wrong type.
        assert!(read(&json!([])).0.unwrap().list.is_none());
        assert!(read(&json!("x")).0.unwrap_err().starts_with("root: "));
    }

    #[test]
    fn null_and_absent_are_the_same_and_unknown_members_are_named() {
        let (outer, unknown) = read(&json!({"list": [{"n": null, "new": 1}], "more": {"deep": 1}}));
        assert!(outer.unwrap().list.unwrap()[0].n.is_none());
        assert_eq!(unknown, ["root.list.0.new", "root.more"]);
        let (outer, _) = read(&json!({"list": [{"at": 1_732_233_600}]}));
        assert!(outer.unwrap().list.unwrap()[0].at.is_some());
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let (outer, _) = read(&json!({"list": format!("a\n\u{1b}[2J{}", "x".repeat(5000))}));
        let message = outer.unwrap_err();
        assert!(message.len() < 250 && !message.contains(['\n', '\u{1b}']), "{message}");
    }
}
