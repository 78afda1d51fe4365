//! What is said to sign an image, as it was received: nothing here is checked yet.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::answer::OtaFile;
use crate::cloud::facts::CloudFacts;
use crate::cloud::job_document::evidence_in;
use crate::cloud::job_document::signed_file;
use crate::cloud::json_tree::json_tree;
use crate::signing::Evidence;
use crate::task::EnclosedSignature;
use crate::task::TaskError;
use crate::task::TaskSignature;

/// The job document's path in a document.
const JOB_DOCUMENT: &str = "Cloud.JobDocument";

/// Everything about the signature of an OTA update's file number `index`. Its own (`customCodeSigning`) comes
/// before that of the job document.
///
/// # Errors
/// [`TaskError::Shape`]: the job document is broken, or does not say which signature is the file's.
pub(super) fn signature_of(
    index: usize,
    file: &OtaFile,
    cloud: &CloudFacts,
) -> Result<TaskSignature, TaskError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let custom = file.code_signing.as_ref().and_then(|signing| signing.custom_code_signing.as_ref());
    let custom = custom.cloned().unwrap_or_default();
    let certificates = text(&custom.certificate_chain.unwrap_or_default().inline_document);
    let inline = text(&custom.signature.unwrap_or_default().inline_document);
    let enclosed = if inline.is_empty() {
        let document = cloud.job_document.as_deref().unwrap_or_default();
        in_job(document, index, file)?.map(|evidence| Evidence { certificates, ..evidence })
    } else {
        // Bytes are base64 in the service's JSON; what is not is judged as it stands there.
        let bytes = BASE64_STANDARD.decode(&inline).unwrap_or_else(|_| inline.into_bytes());
        let (hash, algorithm) = (text(&custom.hash_algorithm), text(&custom.signature_algorithm));
        Some(Evidence::inline(bytes, &certificates, &hash, &algorithm))
    };
    Ok(TaskSignature { enclosed: enclosed.map(enclosed_of), is_signed_object: file.signer_job().is_some() })
}

/// The signature of the file in its job's document. A document of another form has none: it is not ours.
fn in_job(text: &str, index: usize, file: &OtaFile) -> Result<Option<Evidence>, TaskError> {
    if !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let shape = |reason: String| TaskError::Shape { path: JOB_DOCUMENT.to_owned(), reason };
    let document = json_tree(text.as_bytes()).map_err(|error| shape(error.to_string()))?;
    let Some(entry) = signed_file(&document, index, file.file_name.as_deref()) else { return Ok(None) };
    evidence_in(&document, entry).map(Some).map_err(|error| shape(error.to_string()))
}

fn enclosed_of(evidence: Evidence) -> EnclosedSignature {
    let Evidence { origin, signature, certificates, hash, algorithm, size, .. } = evidence;
    EnclosedSignature { origin, signature, certificates, hash, algorithm, size }
}
