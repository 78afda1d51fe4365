//! A JSON object that is emptied member by member; what is left over is unknown. Errors name the member's
//! path and what may stand there, which derived deserialisation does not.

use core::fmt;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use super::error::TaskError;
use super::json::MAX_TASK_BYTES;
use super::timestamp;
use crate::time::GpsTime;

/// How much of a value or of a name an error shows, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// A whole number: where it stands and what it may be.
pub(super) struct Limit {
    pub(super) path: &'static str,
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Limit {
    /// `value` in the type that keeps it, if it is within the limit.
    pub(super) fn check<T: TryFrom<i64>>(&self, value: Option<i64>) -> Result<Option<T>, TaskError> {
        let Some(value) = value else { return Ok(None) };
        let is_allowed = (self.min..=self.max).contains(&value);
        let kept = is_allowed.then_some(value).and_then(|value| T::try_from(value).ok());
        kept.map(Some).ok_or_else(|| self.refuse(value.to_string()))
    }

    /// The refusal of `value`.
    pub(super) fn refuse(&self, value: String) -> TaskError {
        let allowed = format!("a whole number from {} to {}", self.min, self.max);
        TaskError::Value { path: self.path.to_owned(), value, allowed }
    }
}

/// The one JSON object in `bytes`, at most [`MAX_TASK_BYTES`] long, with no name twice in any object.
///
/// # Errors
///
/// [`TaskError::TooLarge`], [`TaskError::Syntax`], and [`TaskError::Value`] when it is no object.
pub fn json_tree(bytes: &[u8]) -> Result<Value, TaskError> {
    if bytes.len() > MAX_TASK_BYTES {
        return Err(TaskError::TooLarge { bytes: bytes.len() });
    }
    let members = Members::from_slice(bytes)?;
    Ok(Value::Object(members.0.into_iter().collect()))
}

/// The members of an object that nobody has taken yet. `null` is absent.
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    /// The one object in `bytes`, with nothing after it and no name twice in any object.
    pub(super) fn from_slice(bytes: &[u8]) -> Result<Members, TaskError> {
        match serde_json::from_slice(bytes) {
            Ok(Tree(Value::Object(members))) => Ok(Members::of(members)),
            Ok(Tree(other)) => {
                let allowed = "an object, as `aws iotwireless get-fuota-task` prints it";
                Err(refuse("the document", &other, allowed))
            }
            Err(error) => Err(syntax(&error)),
        }
    }

    fn of(members: Map<String, Value>) -> Members {
        Members(members.into_iter().collect())
    }

    fn take(&mut self, path: &str) -> Option<Value> {
        self.0.remove(last_part(path)).filter(|value| !value.is_null())
    }

    /// The object at `path`.
    pub(super) fn object(&mut self, path: &'static str) -> Result<Option<Members>, TaskError> {
        match self.take(path) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Members::of(members))),
            Some(other) => Err(refuse(path, &other, "an object")),
        }
    }

    /// The tree at `path`, whatever it is.
    pub(super) fn tree(&mut self, path: &'static str) -> Option<Value> {
        self.take(path)
    }

    /// The text at `path`; `allowed` is what an error says it may be.
    pub(super) fn text(&mut self, path: &'static str, allowed: &str) -> Result<Option<String>, TaskError> {
        match self.take(path) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(refuse(path, &other, allowed)),
        }
    }

    /// The list of texts at `path`.
    pub(super) fn texts(
        &mut self,
        path: &'static str,
        allowed: &str,
    ) -> Result<Option<Vec<String>>, TaskError> {
        let items = match self.take(path) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(refuse(path, &other, allowed)),
        };
        let text = |(index, item)| match item {
            Value::String(text) => Ok(text),
            other => Err(refuse(&format!("{path}[{index}]"), &other, "a string")),
        };
        items.into_iter().enumerate().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// The whole number at `limit.path`; whether it is within the limit is asked later.
    pub(super) fn whole(&mut self, limit: &Limit) -> Result<Option<i64>, TaskError> {
        let Some(value) = self.take(limit.path) else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| limit.refuse(shown(&value)))
    }

    /// The timestamp at `path`.
    pub(super) fn time(&mut self, path: &'static str) -> Result<Option<GpsTime>, TaskError> {
        let Some(value) = self.take(path) else { return Ok(None) };
        timestamp::gps_from_value(&value).map(Some).ok_or_else(|| refuse(path, &value, timestamp::ALLOWED))
    }

    /// What nobody took.
    pub(super) fn rest(self) -> BTreeMap<String, Value> {
        self.0.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// Nothing may be left over in `object` (with its dot), which is one of the objects in `paths`.
    pub(super) fn nothing_else(self, object: &str, paths: &[&'static str]) -> Result<(), TaskError> {
        let Some(name) = self.0.into_keys().next() else { return Ok(()) };
        let known: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix(object)).collect();
        Err(TaskError::UnknownMember {
            path: format!("{object}{}", shown_name(&name)),
            hint: nearest(&name, paths).map(|near| format!(", did you mean {near}?")).unwrap_or_default(),
            known: known.join(", "),
        })
    }
}

fn refuse(path: &str, value: &Value, allowed: &str) -> TaskError {
    TaskError::Value { path: path.to_owned(), value: shown(value), allowed: allowed.to_owned() }
}

/// serde_json puts the place behind its reason; here it stands in front.
fn syntax(error: &serde_json::Error) -> TaskError {
    let (line, column, whole) = (error.line(), error.column(), error.to_string());
    let place = format!(" at line {line} column {column}");
    TaskError::Syntax { line, column, reason: whole.strip_suffix(&place).unwrap_or(&whole).to_owned() }
}

/// A value as an error shows it: JSON, escaped and shortened.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => shown_text(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// A text in quotes, escaped and shortened.
pub(super) fn shown_text(text: &str) -> String {
    let is_whole = text.chars().nth(MAX_SHOWN_CHARS).is_none();
    let beginning: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    format!("{beginning:?}{}", if is_whole { "" } else { "…" })
}

/// The name of a member: bare if it is an ordinary one, else as a text.
pub(super) fn shown_name(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain && name.len() <= MAX_SHOWN_CHARS { name.to_owned() } else { shown_text(name) }
}

/// The one of `paths` whose last part `name` was probably meant to be: at most a third of it written
/// differently. So a member in the wrong object finds its place, too.
pub fn nearest<'a>(name: &str, paths: &[&'a str]) -> Option<&'a str> {
    if name.len() > MAX_SHOWN_CHARS {
        return None;
    }
    let scored = paths.iter().map(|path| (distance(name, last_part(path)), *path));
    let (edits, path) = scored.min_by_key(|(edits, _)| *edits)?;
    (edits <= last_part(path).len() / 3).then_some(path)
}

fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// How many letters to insert, drop or change from `a` to `b`, capitals apart (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A JSON value in which no object has a name twice. `serde_json::Value` would silently take the last one, and
/// the operator may have meant the other.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(TreeVisitor).map(Tree)
    }
}

struct TreeVisitor;

impl<'de> de::Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(item)) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format!("{} stands here twice", shown_name(&name))));
            }
            let Tree(value) = from.next_value()?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_through_small_slips_and_not_through_large_ones() {
        let known = ["MulticastGroups", "Start", "Interval", "Sha256", "SessionTimeoutExponent"];
        for (name, meant) in [
            ("sha256", Some("Sha256")),
            ("Sha-256", Some("Sha256")),
            ("multicast-groups", Some("MulticastGroups")),
            ("MulticastGroup", Some("MulticastGroups")),
            ("Stort", Some("Start")),
            ("SessionTimoutExponent", Some("SessionTimeoutExponent")),
            ("Colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &known), meant, "{name}");
        }
        assert_eq!(nearest(&"Start".repeat(100), &known), None);
    }

    #[test]
    fn what_an_error_shows_is_escaped_and_short() {
        assert_eq!(shown_text("a\"\n\u{1b}b"), r#""a\"\n\u{1b}b""#);
        assert_eq!(shown_text(&"ä".repeat(80)).chars().count(), 82);
        assert_eq!(shown_text(&"ä".repeat(81)).chars().count(), 83);
        assert_eq!(shown_name("Sha256"), "Sha256");
        assert_eq!(shown_name("a b"), "\"a b\"");
        assert_eq!(shown_name(""), "\"\"");
    }

    #[test]
    fn members_are_taken_once_and_null_is_absent() {
        let mut members = Members::from_slice(br#"{"A":"x","B":null,"C":null,"D":7}"#).unwrap();
        assert_eq!(members.text("A", "a string"), Ok(Some("x".to_owned())));
        assert_eq!(members.text("A", "a string"), Ok(None));
        assert_eq!(members.text("In.B", "a string"), Ok(None));
        assert_eq!(members.rest().into_iter().collect::<Vec<_>>(), [("D".to_owned(), Value::from(7))]);
    }
}
