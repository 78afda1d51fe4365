//! Documents that are no task but look like something that AWS or its tools print: what it is, and what to do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members::PATHS;
use crate::json::shown_name;
use crate::task::TaskError;

const JSON_OUTPUT: &str = "save it with `aws ... --output json`";

/// What text that is no JSON looks like, and the way out.
pub(super) fn of_text(bytes: &[u8]) -> Option<String> {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return Some(
            "this is no text, but binary: a task is JSON, and names its image in FirmwareUpdateImage"
                .to_owned(),
        );
    };
    let text = text.trim_start_matches('\u{FEFF}').trim();
    let first = text.lines().next().unwrap_or_default().trim();
    let what = if first.is_empty() {
        return Some(
            "the file is empty: it holds one task, as `aws iotwireless get-fuota-task` prints it".to_owned(),
        );
    } else if first.starts_with("---") && text.contains('|')
        || first.starts_with('+')
        || first.starts_with('|')
    {
        "AWS's table output"
    } else if first.contains('\t') {
        "AWS's text output"
    } else if text.lines().all(is_yaml) {
        "YAML"
    } else {
        return None;
    };
    Some(format!("this looks like {what}: {JSON_OUTPUT}"))
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
