//! The job document of an OTA update (GetJobDocument): `afr_ota.files[]` holds each file's signature.

use serde_json::Value;

use super::answer::OtaFile;

/// The most `sig-…` members of one file that are kept.
const MAX_SIGNATURES: usize = 8;

/// The `sig-…` members of file number `index` in `document`. A document of another form has none: it is not ours.
pub(super) fn signatures(document: &str, index: usize, file: &OtaFile) -> Vec<(String, String)> {
    let Ok(document) = serde_json::from_str::<Value>(document) else { return Vec::new() };
    let files = document.pointer("/afr_ota/files").and_then(Value::as_array);
    let files = files.map(Vec::as_slice).unwrap_or_default();
    let entry = match files {
        [only] => Some(only),
        _ => files.iter().find(|entry| is_entry_of(entry, index, file)),
    };
    let members = entry.and_then(Value::as_object).into_iter().flatten();
    members
        .filter(|(name, _)| name.starts_with("sig-"))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .take(MAX_SIGNATURES)
        .collect()
}

/// By id where it has one, else by the path on the device, which is the file's name.
fn is_entry_of(entry: &Value, index: usize, file: &OtaFile) -> bool {
    match entry.get("fileid").and_then(Value::as_u64) {
        Some(id) => usize::try_from(id) == Ok(index),
        None => {
            file.file_name.is_some()
                && entry.get("filepath").and_then(Value::as_str) == file.file_name.as_deref()
        }
    }
}
