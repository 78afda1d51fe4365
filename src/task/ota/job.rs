//! The job document of an OTA update (GetJobDocument): `afr_ota.files[]` holds each file's signature.

use serde_json::Value;

use super::answer::OtaFile;

/// A signed file of a job document, as that document names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobEntry {
    /// Its `fileid`.
    pub id: Option<u64>,
    /// Its `filepath`.
    pub path: Option<String>,
}

/// What `document` calls file number `index`, if it has a `sig-…` member for it. A document of another form has
/// none: it is not ours.
pub(super) fn signed_entry(document: &str, index: usize, file: &OtaFile) -> Option<JobEntry> {
    let document = serde_json::from_str::<Value>(document).ok()?;
    let files = document.pointer("/afr_ota/files").and_then(Value::as_array)?;
    let entry = match files.as_slice() {
        [only] => only,
        files => files.iter().find(|entry| is_entry_of(entry, index, file))?,
    };
    let is_signed =
        entry.as_object()?.iter().any(|(name, value)| name.starts_with("sig-") && value.is_string());
    let (id, path) =
        (entry.get("fileid").and_then(Value::as_u64), entry.get("filepath").and_then(Value::as_str));
    is_signed.then(|| JobEntry { id, path: path.map(str::to_owned) })
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
