//! The document of an AWS IoT job (`afr_ota`), as GetJobDocument gives it: the simplest place of a signature for
//! both kinds of signing.

use super::error::SigningError;
use super::evidence::Evidence;
use serde_json::Value;

/// Which of a job document's files is meant. Without either there must be one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFile<'a> {
    /// `fileid` of the file, 0..=255.
    pub id: Option<u64>,
    /// Its `filepath`, the name on the device.
    pub path: Option<&'a str>,
}

impl Evidence {
    /// The signature of one file in `document`, with the size that the document gives it.
    ///
    /// # Errors
    /// [`SigningError::JobDocument`] when the document does not name one such file with a signature.
    pub fn of_job_document(document: &str, file: JobFile<'_>) -> Result<Evidence, SigningError> {
        let document: Value = serde_json::from_str(document).map_err(|_| refuse("is no JSON"))?;
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
        Evidence::of_job_document(JOB, JobFile { id, path })
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
            (Evidence::of_job_document("{", JobFile::default()), "no JSON"),
            (Evidence::of_job_document("[]", JobFile::default()), "no afr_ota.files"),
            (
                Evidence::of_job_document(r#"{"afr_ota":{"files":[{"filesize":1}]}}"#, JobFile::default()),
                "no sig-",
            ),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
