//! The document of an AWS IoT job (`afr_ota`), as GetJobDocument gives it: the simplest place of a signature for
//! both kinds of signing.

use serde_json::Value;

use super::json_tree::json_tree;
use crate::signing::Evidence;
use crate::signing::SigningError;

/// Which of a job document's files is meant. Without either there must be one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFile<'a> {
    /// The `fileid` of the file, 0..=255.
    pub id: Option<u64>,
    /// Its `filepath`, the name on the device.
    pub path: Option<&'a str>,
}

/// The signature of one file in the job document `text`, with the size that the document gives it.
///
/// # Errors
/// [`SigningError::JobDocument`] with what is wrong in the document.
pub fn job_evidence(text: &str, file: JobFile<'_>) -> Result<Evidence, SigningError> {
    let document =
        json_tree(text.as_bytes()).map_err(|_| refuse("is no JSON object, or has a name twice"))?;
    evidence_in(&document, file)
}

/// The same of a document that was parsed.
pub(super) fn evidence_in(document: &Value, file: JobFile<'_>) -> Result<Evidence, SigningError> {
    let files = document.pointer("/afr_ota/files").and_then(Value::as_array);
    let files = files.ok_or_else(|| refuse("has no afr_ota.files"))?;
    let is_meant = |entry: &&Value| {
        file.id.is_none_or(|id| entry["fileid"].as_u64() == Some(id))
            && file.path.is_none_or(|path| entry["filepath"].as_str() == Some(path))
    };
    let mut meant = files.iter().filter(is_meant);
    let (entry, second) = (meant.next().ok_or_else(|| refuse("has no such file"))?, meant.next());
    if second.is_some() {
        return Err(refuse("has several files that may be meant: name one"));
    }
    let members = entry.as_object().ok_or_else(|| refuse("has a file that is no object"))?;
    let texts = members.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let evidence = Evidence::of_members("the job document", texts)
        .ok_or_else(|| refuse("has no sig-<hash>-<algorithm> for this file"))?;
    Ok(Evidence { size: entry["filesize"].as_u64(), ..evidence })
}

/// What `document` calls file number `index` of an update, `name` on the device, if it has a `sig-…` member for it.
pub(super) fn signed_file<'a>(document: &'a Value, index: usize, name: Option<&str>) -> Option<JobFile<'a>> {
    let files = document.pointer("/afr_ota/files").and_then(Value::as_array)?;
    let entry = match files.as_slice() {
        [only] => only,
        files => files.iter().find(|entry| is_entry_of(entry, index, name))?,
    };
    let is_signed =
        entry.as_object()?.iter().any(|(name, value)| name.starts_with("sig-") && value.is_string());
    let (id, path) =
        (entry.get("fileid").and_then(Value::as_u64), entry.get("filepath").and_then(Value::as_str));
    is_signed.then_some(JobFile { id, path })
}

/// By id where it has one, else by the path on the device, which is the file's name.
fn is_entry_of(entry: &Value, index: usize, name: Option<&str>) -> bool {
    match entry.get("fileid").and_then(Value::as_u64) {
        Some(id) => usize::try_from(id) == Ok(index),
        None => name.is_some() && entry.get("filepath").and_then(Value::as_str) == name,
    }
}

fn refuse(why: &'static str) -> SigningError {
    SigningError::JobDocument { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"{"afr_ota":{"protocols":["HTTP"],"files":[
        {"filepath":"app.bin","filesize":1000,"fileid":0,"certfile":"signer.pem","sig-sha256-ecdsa":"MEUC"},
        {"filepath":"mcu.bin","filesize":7,"fileid":1,"certfile":"signer.pem","sig-sha1-rsa":"AAAA"}]}}"#;

    fn of(id: Option<u64>, path: Option<&str>) -> Result<Evidence, SigningError> {
        job_evidence(JOB, JobFile { id, path })
    }

    #[test]
    fn the_signature_is_that_of_the_file_that_is_meant() {
        let evidence = of(Some(0), None).unwrap();
        assert_eq!((evidence.signature.as_slice(), evidence.size), (&b"MEUC"[..], Some(1000)));
        assert_eq!(of(None, Some("mcu.bin")).unwrap().algorithm.as_deref(), Some("rsa"));
    }

    #[test]
    fn a_job_document_that_does_not_say_which_or_what_is_refused() {
        for (result, said) in [
            (of(None, None), "several files"),
            (of(Some(2), None), "no such file"),
            (of(Some(0), Some("mcu.bin")), "no such file"),
            (job_evidence("{", JobFile::default()), "no JSON"),
            (job_evidence(r#"{"afr_ota":{},"afr_ota":{}}"#, JobFile::default()), "no JSON"),
            (job_evidence("[]", JobFile::default()), "no JSON object"),
            (job_evidence("{}", JobFile::default()), "no afr_ota.files"),
            (job_evidence(r#"{"afr_ota":{"files":[{"filesize":1}]}}"#, JobFile::default()), "no sig-"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
