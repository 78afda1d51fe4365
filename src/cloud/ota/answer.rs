//! GetOTAUpdate's answer. No member is required and no range enforced: real answers hold empty objects for what
//! was not used, and numbers outside the model's own ranges. So "present" means a leaf that is not empty.

#![expect(missing_docs, reason = "the names are the service's own; docs/aws-fields.md says what each does")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::cloud::facts::S3Location;
use crate::cloud::members::OTA_UPDATE;
use crate::cloud::moment::Moment;
use crate::cloud::reader::UnknownMember;
use crate::cloud::reader::read_at;
use crate::task::TaskError;

/// The member `otaUpdateInfo` of GetOTAUpdate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OtaUpdate {
    pub ota_update_id: Option<String>,
    pub ota_update_arn: Option<String>,
    pub creation_date: Option<Moment>,
    pub last_modified_date: Option<Moment>,
    pub description: Option<String>,
    pub targets: Option<Vec<String>>,
    pub protocols: Option<Vec<String>>,
    pub aws_job_executions_rollout_config: Option<RolloutConfig>,
    pub aws_job_presigned_url_config: Option<PresignedUrlConfig>,
    pub target_selection: Option<String>,
    pub ota_update_files: Option<Vec<OtaFile>>,
    pub ota_update_status: Option<String>,
    pub aws_iot_job_id: Option<String>,
    pub aws_iot_job_arn: Option<String>,
    pub error_info: Option<ErrorInfo>,
    pub additional_parameters: Option<BTreeMap<String, String>>,
}

/// The member `awsJobExecutionsRolloutConfig`: how fast the job spreads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutConfig {
    pub maximum_per_minute: Option<i64>,
    pub exponential_rate: Option<ExponentialRate>,
}

/// The member `exponentialRate` of the roll-out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialRate {
    pub base_rate_per_minute: Option<i64>,
    pub increment_factor: Option<f64>,
    pub rate_increase_criteria: Option<RateIncreaseCriteria>,
}

/// The member `rateIncreaseCriteria` of the exponential rate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateIncreaseCriteria {
    pub number_of_notified_things: Option<i64>,
    pub number_of_succeeded_things: Option<i64>,
}

/// The member `awsJobPresignedUrlConfig`: how long presigned addresses hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PresignedUrlConfig {
    pub expires_in_sec: Option<i64>,
}

/// One of the `otaUpdateFiles`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OtaFile {
    pub file_name: Option<String>,
    pub file_type: Option<i64>,
    pub file_version: Option<String>,
    pub file_location: Option<FileLocation>,
    pub code_signing: Option<CodeSigning>,
    pub attributes: Option<BTreeMap<String, String>>,
}

/// The member `fileLocation` of a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileLocation {
    pub stream: Option<StreamReference>,
    pub s3_location: Option<S3Location>,
}

/// The member `stream` of `fileLocation`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamReference {
    pub stream_id: Option<String>,
    pub file_id: Option<i64>,
}

/// The member `codeSigning` of a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CodeSigning {
    pub aws_signer_job_id: Option<String>,
    pub start_signing_job_parameter: Option<StartSigningJobParameter>,
    pub custom_code_signing: Option<CustomCodeSigning>,
}

/// `startSigningJobParameter`: how it will be signed, not that it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StartSigningJobParameter {
    pub signing_profile_parameter: Option<SigningProfileParameter>,
    pub signing_profile_name: Option<String>,
    pub destination: Option<Destination>,
}

/// The member `signingProfileParameter` of `startSigningJobParameter`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SigningProfileParameter {
    pub certificate_arn: Option<String>,
    pub platform: Option<String>,
    pub certificate_path_on_device: Option<String>,
}

/// The member `destination` of `startSigningJobParameter`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    pub s3_destination: Option<S3Destination>,
}

/// The member `s3Destination` of `destination`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3Destination {
    pub bucket: Option<String>,
    pub prefix: Option<String>,
}

/// The member `customCodeSigning` of `codeSigning`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomCodeSigning {
    pub signature: Option<InlineSignature>,
    pub certificate_chain: Option<CertificateChain>,
    pub hash_algorithm: Option<String>,
    pub signature_algorithm: Option<String>,
}

/// The member `signature` of `customCodeSigning`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InlineSignature {
    /// Base64, as on the wire.
    pub inline_document: Option<String>,
}

/// The member `certificateChain` of `customCodeSigning`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateChain {
    pub certificate_name: Option<String>,
    pub inline_document: Option<String>,
}

/// The member `errorInfo`: why the update failed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorInfo {
    pub code: Option<String>,
    pub message: Option<String>,
}

impl OtaUpdate {
    /// `otaUpdateInfo` of an answer.
    ///
    /// # Errors
    /// [`TaskError::Shape`] with the member of the wrong type.
    pub fn read(value: &Value) -> Result<OtaUpdate, TaskError> {
        OtaUpdate::read_noting(value, &mut Vec::new())
    }

    /// The same; the paths of unknown members are added to `unknown`.
    pub(super) fn read_noting(
        value: &Value,
        unknown: &mut Vec<UnknownMember>,
    ) -> Result<OtaUpdate, TaskError> {
        read_at(value, OTA_UPDATE, unknown)
    }
}

impl OtaFile {
    /// The stream that holds it: id and file. `None` where an S3 location says it at once.
    pub fn stream(&self) -> Option<(&str, i64)> {
        if self.s3_location().is_some() {
            return None;
        }
        let stream = self.file_location.as_ref()?.stream.as_ref()?;
        let id = stream.stream_id.as_deref().filter(|id| !id.is_empty())?;
        Some((id, stream.file_id.unwrap_or(0)))
    }

    /// Its place in S3, if it says one.
    pub fn s3_location(&self) -> Option<&S3Location> {
        let location = self.file_location.as_ref()?.s3_location.as_ref()?;
        let is_said = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        (is_said(&location.bucket) || is_said(&location.key)).then_some(location)
    }

    /// The id of the signer job that signed it.
    pub fn signer_job(&self) -> Option<&str> {
        self.code_signing.as_ref()?.aws_signer_job_id.as_deref().filter(|id| !id.is_empty())
    }
}
