//! Documents that are no task but look like something that AWS or its tools print: what it is, and what to do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members::PATHS;
use crate::image::ImageForm;
use crate::json::shown_name;
use crate::task::TaskError;

const IS_JSON: &str = "a task is JSON, as `aws iotwireless get-fuota-task` prints it, and names its image in FirmwareUpdateImage";
const JSON_OUTPUT: &str = "save it with `aws ... --output json`";

/// What text that is no JSON looks like, and the way out.
pub(super) fn of_text(bytes: &[u8]) -> Option<String> {
    if let Some(form) = ImageForm::of(bytes).filter(|form| *form != ImageForm::Json) {
        return Some(format!("this looks like {form}: {IS_JSON}"));
    }
    let Ok(text) = core::str::from_utf8(bytes) else {
        return Some(format!("this is no text, but binary: {IS_JSON}"));
    };
    let text = text.trim_start_matches('\u{FEFF}').trim();
    let first = text.lines().next().unwrap_or_default().trim();
    let is_table = first.starts_with("---") && text.contains('|') || first.starts_with(['+', '|']);
    Some(if first.is_empty() {
        "the file is empty: it holds one task, as `aws iotwireless get-fuota-task` prints it".to_owned()
    } else if is_table {
        format!("this looks like AWS's table output: {JSON_OUTPUT}")
    } else if first.contains('\t') {
        format!("this looks like AWS's text output: {JSON_OUTPUT}")
    } else if first.starts_with("An error occurred (") {
        "this looks like an error of the AWS command line: mend what it says, and save its answer again"
            .to_owned()
    } else if first.trim_start_matches(['$', '#', ' ']).starts_with("aws ") {
        "this looks like a command: run it with `--output json`, and save what it prints".to_owned()
    } else if first.contains("://") && !first.contains(char::is_whitespace) && text.lines().count() == 1 {
        format!("this looks like an address: {IS_JSON}")
    } else if text.lines().all(is_toml) {
        format!("this looks like TOML, as the configuration is: {IS_JSON}")
    } else if text.lines().all(is_yaml) {
        format!("this looks like YAML: {JSON_OUTPUT}")
    } else {
        return None;
    })
}

/// What is wrong where JSON ends that began as such, in an operator's words; `at` is what stands there.
pub(super) fn in_words(reason: &str, at: Option<char>) -> String {
    let text = match (reason, at) {
        ("key must be a string" | "expected value", Some('\'')) => {
            "text in single quotes: JSON wants double quotes"
        }
        ("key must be a string" | "expected value", Some('/' | '#')) => {
            "a comment, which JSON has none of: remove it"
        }
        ("key must be a string", Some(c)) if c.is_alphabetic() => {
            "a name without quotes: JSON wants it in double quotes"
        }
        ("expected value", _) => {
            "no value stands here: JSON knows text in double quotes, numbers, true, false, null, lists and objects"
        }
        ("trailing comma", _) => "a comma before the closing bracket: remove it",
        ("trailing characters", _) => "more text after the end of the task: a file holds one task",
        ("expected `,` or `}`" | "expected `,` or `]`", _) => {
            "a comma or a closing bracket is missing before this"
        }
        ("expected `:`", _) => "a colon is missing between name and value",
        ("invalid escape", _) => "a backslash in a text is written twice (\\\\)",
        (reason, _) if reason.starts_with("EOF while parsing") => {
            "the text ends in the middle of the task: a closing quote, ] or } is missing, or part of the file"
        }
        (reason, _) if reason.starts_with("control character") => {
            "a line break or a tab inside a text: a closing quote is missing, or write \\n"
        }
        (reason, _) if reason.ends_with("stands here twice") => return format!("{reason}: leave one out"),
        (reason, _) => return reason.to_owned(),
    };
    text.to_owned()
}

fn is_toml(line: &str) -> bool {
    let line = line.trim();
    let is_name = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '"' | ' '))
    };
    let table = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    let table = table.map(|table| table.trim_start_matches('[').trim_end_matches(']'));
    line.is_empty()
        || line.starts_with('#')
        || table.is_some_and(is_name)
        || line.split_once('=').is_some_and(|(name, _)| is_name(name.trim()))
}

fn is_yaml(line: &str) -> bool {
    let line = line.trim_end();
    let name = line.trim_start().trim_start_matches("- ").split(':').next().unwrap_or_default();
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'"');
    line.is_empty() || line.trim_start().starts_with('#') || line == "---" || (is_name && line.contains(':'))
}

/// What an object without an image looks like by its `unknown` members, and the way out.
pub(super) fn of_object(unknown: &BTreeMap<String, Value>) -> Option<&'static str> {
    let has = |name: &str| unknown.contains_key(name);
    Some(if has("FuotaTaskList") {
        "this is the list of list-fuota-tasks: save get-fuota-task --id ID"
    } else if has("otaUpdates") {
        "this is the list of list-ota-updates: save get-ota-update --ota-update-id ID"
    } else if has("otaUpdateId") || has("otaUpdateFiles") {
        "this is the inside of an OTA update: save the whole answer of get-ota-update, with otaUpdateInfo around it"
    } else if has("Resources") || has("Properties") {
        "this is a CloudFormation template, which says what AWS shall make: save get-fuota-task --id ID"
    } else if has("afr_ota") || has("jobDocument") || has("execution") || has("job") {
        "this is a job or its document: save get-ota-update --ota-update-id ID"
    } else if has("FuotaTask") || has("Task") {
        "the task is wrapped in another object: its members stand at the top"
    } else {
        return None;
    })
}

/// A member that has the name of another but for its letters' case, `_` or `-`: AWS never adds such a one, and what it
/// says would be lost.
///
/// # Errors
/// [`TaskError::UnknownMember`] with the name as it is written.
pub(super) fn check_case(object: &str, unknown: &BTreeMap<String, Value>) -> Result<(), TaskError> {
    for name in unknown.keys() {
        let meant = PATHS
            .iter()
            .filter_map(|path| path.strip_prefix(object))
            .find(|known| plain(known) == plain(name));
        // A wrong region is not noticed without it, so any misspelling counts.
        let meant = meant.or(Some("LoRaWAN").filter(|known| object.is_empty() && is_near(name, known)));
        if let Some(meant) = meant {
            return Err(TaskError::UnknownMember {
                path: format!("{object}{}", shown_name(name)),
                hint: format!(": write {object}{meant}"),
                known: "the members as AWS prints them".to_owned(),
            });
        }
    }
    Ok(())
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Whether one letter was left out, added or changed.
fn is_near(name: &str, known: &str) -> bool {
    let (name, known) = (plain(name), plain(known));
    let (a, b) = (name.as_bytes(), known.as_bytes());
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match a.len().abs_diff(b.len()) {
        0 => a.get(1..) == b.get(1..),
        1 if a.len() > b.len() => a.get(1..) == Some(b),
        1 => b.get(1..) == Some(a),
        _ => false,
    }
}
