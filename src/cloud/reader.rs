//! From a tree of JSON to a type of ours, the one way for all documents: a value of the wrong type is named by its
//! path, a list is no object, and members that we do not know are told of.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::json::Node;
use crate::json::shown_name;
use crate::task::TaskError;

/// How much of a reason is shown, in characters: it quotes the value.
const MAX_SHOWN_CHARS: usize = 160;

/// A member that the type does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownMember {
    /// The path of the object that it stands in.
    pub(super) object: String,
    /// Its name, as it came.
    pub(super) name: String,
}

impl UnknownMember {
    /// The member's path, printable.
    pub(super) fn path(&self) -> String {
        let name = shown_name(&self.name);
        if self.object.is_empty() { name } else { format!("{}.{name}", self.object) }
    }
}

/// A value of the wrong type.
pub(super) struct Misfit<'a> {
    /// Its path; empty for the whole tree.
    pub(super) path: String,
    /// The value that stands there.
    pub(super) found: Option<&'a Value>,
    /// What was expected, as serde says it.
    pub(super) reason: String,
}

/// `tree` as a `T`. The members that `T` does not know are added to `unknown`.
pub(super) fn read<'a, T: DeserializeOwned>(
    tree: &'a Value,
    unknown: &mut Vec<UnknownMember>,
) -> Result<T, Misfit<'a>> {
    let mut note = |path: serde_ignored::Path<'_>| unknown.extend(unknown_member(&path));
    let from = serde_ignored::Deserializer::new(Node(tree), &mut note);
    serde_path_to_error::deserialize(from).map_err(|error| {
        let path = error.path();
        let found = path.iter().try_fold(tree, |value, segment| match segment {
            Segment::Map { key } => value.get(key),
            Segment::Seq { index } => value.get(index),
            _ => Some(value),
        });
        let path = path.to_string();
        let path = if path == "." { String::new() } else { path };
        Misfit { path, found, reason: error.into_inner().to_string() }
    })
}

/// Reads `value`, which stands at `root` in its document, as a `T`.
/// The members that `T` does not know are added to `unknown`.
///
/// # Errors
///
/// [`TaskError::Shape`] with the path of the value that has the wrong type.
pub(super) fn read_at<T: DeserializeOwned>(
    value: &Value,
    root: &str,
    unknown: &mut Vec<UnknownMember>,
) -> Result<T, TaskError> {
    let mut inside = Vec::new();
    let read = read(value, &mut inside);
    unknown.extend(
        inside.into_iter().map(|member| UnknownMember { object: joined(root, &member.object), ..member }),
    );
    read.map_err(|misfit| {
        let printable = misfit.reason.chars().filter(|c| !c.is_control());
        TaskError::Shape {
            path: joined(root, &misfit.path),
            reason: printable.take(MAX_SHOWN_CHARS).collect(),
        }
    })
}

fn joined(root: &str, inside: &str) -> String {
    if inside.is_empty() { root.to_owned() } else { format!("{root}.{inside}") }
}

fn unknown_member(path: &serde_ignored::Path<'_>) -> Option<UnknownMember> {
    let serde_ignored::Path::Map { parent, key } = path else { return None };
    // An `Option` on the way is a question mark in its path.
    let object = parent.to_string().replace(".?", "");
    let object = object.strip_prefix('?').unwrap_or(&object).trim_start_matches('.').to_owned();
    Some(UnknownMember { object, name: key.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::moment::Moment;
    use serde::Deserialize;
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

    fn outer_of(value: &Value) -> (Result<Outer, String>, Vec<UnknownMember>) {
        let mut unknown = Vec::new();
        let outer = read_at(value, "root", &mut unknown).map_err(|error| error.to_string());
        (outer, unknown)
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_by_its_path() {
        let (outer, _) = outer_of(&json!({"list": [{}, {"n": "x"}]}));
        let message = outer.unwrap_err();
        assert!(message.starts_with("root.list[1].n: ") && message.contains("expected i64"), "{message}");
        let (outer, _) = outer_of(&json!({"list": [{"at": "soon"}]}));
        assert!(outer.unwrap_err().contains("root.list[0].at: \"soon\" is no time"));
        assert!(outer_of(&json!("x")).0.unwrap_err().starts_with("root: "));
    }

    #[test]
    fn null_and_absent_are_the_same_and_unknown_members_are_named() {
        let (outer, unknown) = outer_of(&json!({"list": [{"n": null, "new": 1}], "more": {"deep": 1}}));
        assert!(outer.unwrap().list.unwrap()[0].n.is_none());
        let unknown: Vec<String> = unknown.iter().map(UnknownMember::path).collect();
        assert_eq!(unknown, ["root.list.0.new", "root.more"]);
        let (outer, _) = outer_of(&json!({"list": [{"at": 1_732_233_600}]}));
        assert!(outer.unwrap().list.unwrap()[0].at.is_some());
    }

    #[test]
    fn a_list_is_no_object() {
        for (value, path) in [
            (json!([]), "root"),
            (json!({"list": [[]]}), "root.list[0]"),
            (json!({"list": [[7]]}), "root.list[0]"),
        ] {
            let message = outer_of(&value).0.unwrap_err();
            assert_eq!(message, format!("{path}: invalid type: a list, expected an object"));
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let (outer, _) = outer_of(&json!({"list": format!("a\n\u{1b}[2J{}", "x".repeat(5000))}));
        let message = outer.unwrap_err();
        assert!(message.len() < 250 && !message.contains(['\n', '\u{1b}']), "{message}");
    }
}
