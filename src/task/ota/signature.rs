//! What is said to sign an image, as it was received: nothing here is checked yet.

use super::answer::OtaFile;
use super::job::JobEntry;
use super::job::signed_entry;
use crate::task::cloud::CloudFacts;
use crate::task::cloud::SigningJob;

/// Everything about the signature of an OTA update's file. Texts are as on the wire: base64 is not decoded, names
/// are not normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureMaterial {
    /// `customCodeSigning.signature.inlineDocument`: base64 of the signature.
    pub inline_document: Option<String>,
    /// `customCodeSigning.certificateChain.inlineDocument`.
    pub certificate_chain: Option<String>,
    /// `customCodeSigning.certificateChain.certificateName`: a path on the device, no identity.
    pub certificate_name: Option<String>,
    /// `customCodeSigning.hashAlgorithm`.
    pub hash_algorithm: Option<String>,
    /// `customCodeSigning.signatureAlgorithm`.
    pub signature_algorithm: Option<String>,
    /// `awsSignerJobId`.
    pub signer_job_id: Option<String>,
    /// What DescribeSigningJob says of it.
    pub signing_job: Option<SigningJob>,
    /// The file in the job document (`Cloud.JobDocument`), where that has a `sig-…` member for it.
    pub job_entry: Option<JobEntry>,
}

impl SignatureMaterial {
    pub(super) fn of(index: usize, file: &OtaFile, cloud: &CloudFacts) -> SignatureMaterial {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let custom = file.code_signing.as_ref().and_then(|signing| signing.custom_code_signing.as_ref());
        let custom = custom.cloned().unwrap_or_default();
        let chain = custom.certificate_chain.unwrap_or_default();
        SignatureMaterial {
            inline_document: text(&custom.signature.unwrap_or_default().inline_document),
            certificate_chain: text(&chain.inline_document),
            certificate_name: text(&chain.certificate_name),
            hash_algorithm: text(&custom.hash_algorithm),
            signature_algorithm: text(&custom.signature_algorithm),
            signer_job_id: file.signer_job().map(str::to_owned),
            signing_job: cloud.signing_job.clone(),
            job_entry: cloud.job_document.as_deref().and_then(|document| signed_entry(document, index, file)),
        }
    }

    /// Whether the order itself brings a signature.
    pub fn is_enclosed(&self) -> bool {
        self.inline_document.is_some() || self.job_entry.is_some()
    }

    /// Whether there is a signature, or a job that made one.
    pub fn is_present(&self) -> bool {
        self.is_enclosed() || self.signer_job_id.is_some()
    }
}
