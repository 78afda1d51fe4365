//! From GetOTAUpdate's answer, and what the gateway learned around it, to what an order says.

use serde_json::Value;

use super::answer::OtaFile;
use super::answer::OtaUpdate;
use super::signature::signature_of;
use crate::cloud::facts::CloudFacts;
use crate::cloud::facts::S3Location;
use crate::cloud::file_choice::OtaFileChoice;
use crate::cloud::image_ref::s3_object;
use crate::cloud::members;
use crate::cloud::members::Limit;
use crate::cloud::raw_task::RawTask;
use crate::cloud::reader::UnknownMember;
use crate::json::shown_text;
use crate::task::ImageRef;
use crate::task::TaskError;

const FRAG_SIZE: Limit = Limit { path: "attributes.fragSize", ..members::FRAGMENT_SIZE_BYTES };
const REDUNDANCY: Limit = Limit { path: "attributes.redundancy", ..members::REDUNDANCY_PERCENT };
const INTERVAL_MS: Limit = Limit { path: "attributes.intervalMs", ..members::FRAGMENT_INTERVAL_MS };

/// What the OTA update in `info` orders.
///
/// Its attributes are hints: whoever may write the update may write them, no signature covers them, and what the
/// gateway's configuration says comes first. A digest among them is checked, but vouches for nothing.
pub(in crate::cloud) fn accept(
    info: &Value,
    choice: &OtaFileChoice,
    cloud: &CloudFacts,
    unknown: &mut Vec<UnknownMember>,
) -> Result<RawTask, TaskError> {
    let update = OtaUpdate::read_noting(info, unknown)?;
    let status = update.standing()?;
    let (index, file) = update.chosen(choice)?;
    let hints = Hints { update: &update, file };
    let signature = signature_of(index, file, cloud)?;
    let mut warnings = Vec::new();
    if !is_custom(file) && file.signer_job().is_none() && is_to_be_signed(file) {
        warnings.push(
            "codeSigning.startSigningJobParameter says how the file will be signed, not that it is"
                .to_owned(),
        );
    }
    Ok(RawTask {
        name: file.file_name.clone(),
        description: update.description.clone(),
        arn: update.ota_update_arn.clone(),
        status,
        redundancy_percent: hints.whole(&REDUNDANCY, "redundancy")?,
        fragment_size_bytes: hints.whole(&FRAG_SIZE, "fragSize")?,
        fragment_interval_ms: hints.whole(&INTERVAL_MS, "intervalMs")?,
        descriptor: hints.text("descriptor").map(str::to_owned),
        group: hints.text("mcGroup").map(str::to_owned),
        hinted_sha256: hints.text("sha256").map(str::to_owned),
        created_at: update.creation_date.map(|moment| moment.0),
        signature,
        targets: update.targets.clone().unwrap_or_default(),
        warnings,
        id: update.ota_update_id.clone(),
        ..RawTask::of(image(file, cloud)?)
    })
}

/// Attributes of the file, then additional parameters of the update.
struct Hints<'a> {
    update: &'a OtaUpdate,
    file: &'a OtaFile,
}

impl Hints<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        let of_file = self.file.attributes.as_ref().and_then(|attributes| attributes.get(name));
        let of_update = || self.update.additional_parameters.as_ref().and_then(|more| more.get(name));
        of_file.or_else(of_update).map(String::as_str)
    }

    fn whole(&self, limit: &Limit, name: &str) -> Result<Option<i64>, TaskError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(number) => limit.check(Some(number)),
            Err(_) => Err(limit.refuse(shown_text(text))),
        }
    }
}

fn is_custom(file: &OtaFile) -> bool {
    let custom = file.code_signing.as_ref().and_then(|signing| signing.custom_code_signing.as_ref());
    let signature = custom.and_then(|custom| custom.signature.as_ref()?.inline_document.as_deref());
    signature.is_some_and(|text| !text.is_empty())
}

fn is_to_be_signed(file: &OtaFile) -> bool {
    let start = file.code_signing.as_ref().and_then(|signing| signing.start_signing_job_parameter.as_ref());
    start.is_some_and(|start| {
        let profile = start.signing_profile_parameter.as_ref();
        start.signing_profile_name.is_some()
            || profile.is_some_and(|profile| profile.certificate_arn.is_some())
    })
}

/// Where the file lies: S3 at once, S3 by a stream, or what a signer job made of it.
fn image(file: &OtaFile, cloud: &CloudFacts) -> Result<ImageRef, TaskError> {
    if let Some(location) = file.s3_location() {
        return s3(location);
    }
    if let Some((stream, id)) = file.stream() {
        let known = cloud.stream.as_ref().ok_or_else(|| {
            missing(format!("stream {}: what DescribeStream says of it (Cloud.Stream)", shown_text(stream)))
        })?;
        let location = known.location(id).ok_or_else(|| {
            missing(format!("a file of stream {}, which has no file {id} in S3", shown_text(stream)))
        })?;
        return s3(location);
    }
    if file.signer_job().is_some() {
        let object = cloud.signing_job.as_ref().and_then(|job| job.signed_object.as_ref());
        let object = object
            .and_then(|object| object.s3.clone())
            .ok_or_else(|| missing("the signedObject of its signing job (Cloud.SigningJob)".to_owned()))?;
        return s3(&S3Location { bucket: object.bucket_name, key: object.key, version: None });
    }
    Err(missing("s3Location, stream, or the signer job that made it".to_owned()))
}

fn s3(location: &S3Location) -> Result<ImageRef, TaskError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    s3_object(&text(&location.bucket), &text(&location.key), location.version.as_deref())
}

fn missing(allowed: String) -> TaskError {
    TaskError::Missing { path: FILE_LOCATION, allowed }
}

const FILE_LOCATION: &str = "otaUpdateInfo.otaUpdateFiles[].fileLocation";
