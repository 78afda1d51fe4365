//! From bytes to a tree of JSON: the first step of every document, and the only one that parses.

use serde_json::Value;

use super::look_alike;
use crate::json::shown_text;
use crate::json::tree;
use crate::task::MAX_TASK_BYTES;
use crate::task::TaskError;

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
    match tree(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(other) => Err(no_document(&other)),
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
    let line_bytes = bytes.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let at = line_bytes.get(column.saturating_sub(1)).map(|byte| char::from(*byte));
    let words = || look_alike::in_words(&reason, at);
    let reason = look_alike::of_text(bytes).filter(|_| is_other).unwrap_or_else(words);
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
