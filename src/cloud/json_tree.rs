//! From bytes to a tree of JSON: the first step of every document, and the only one that parses.

use core::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use super::look_alike;
use crate::task::MAX_TASK_BYTES;
use crate::task::TaskError;
use crate::task::shown_name;
use crate::task::shown_text;

/// The one JSON object in `bytes`: at most [`MAX_TASK_BYTES`], UTF-8 with or without byte order mark, nothing after
/// it, and no name twice in any object.
///
/// # Errors
///
/// [`TaskError::TooLarge`], [`TaskError::Utf16`], [`TaskError::Syntax`], and [`TaskError::Value`] when it is no object.
pub fn json_tree(bytes: &[u8]) -> Result<Value, TaskError> {
    if bytes.len() > MAX_TASK_BYTES {
        return Err(TaskError::TooLarge { bytes: bytes.len() });
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(TaskError::Utf16);
    }
    match serde_json::from_slice(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)) {
        Ok(Tree(object @ Value::Object(_))) => Ok(object),
        Ok(Tree(other)) => Err(no_document(&other)),
        Err(error) => Err(syntax(&error, bytes)),
    }
}

/// The refusal of a `value` that is no object.
pub(super) fn no_document(value: &Value) -> TaskError {
    let one = if value.is_array() { ", one in a file" } else { "" };
    TaskError::Value {
        path: "the document".to_owned(),
        value: shown(value),
        allowed: format!("an object, as `aws iotwireless get-fuota-task` prints it{one}"),
    }
}

/// serde_json puts the place behind its reason; here it stands in front. What is no JSON from its beginning on may be
/// something else that is known.
fn syntax(error: &serde_json::Error, bytes: &[u8]) -> TaskError {
    let (line, column, whole) = (error.line(), error.column(), error.to_string());
    let place = format!(" at line {line} column {column}");
    let reason = whole.strip_suffix(&place).unwrap_or(&whole).to_owned();
    let is_other = !bytes.trim_ascii_start().starts_with(b"{");
    let reason = look_alike::of_text(bytes).filter(|_| is_other).unwrap_or(reason);
    TaskError::Syntax { line, column, reason }
}

/// A value as an error shows it: JSON, escaped and shortened.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => shown_text(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
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
