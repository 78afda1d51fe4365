//! What a document orders, whichever service it is of.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fuota_task::FuotaTaskJson;
use super::image_ref::IMAGE_ALLOWED;
use super::image_ref::IMAGE_PATH;
use super::image_ref::image_ref;
use super::look_alike;
use super::members::PATHS;
use super::task_status::status_from_aws;
use crate::json::shown_name;
use crate::task::ImageRef;
use crate::task::Start;
use crate::task::TaskError;
use crate::task::TaskSignature;
use crate::task::TaskStatus;
use crate::task::nearest;
use crate::time::GpsTime;

/// An order before ranges and defaults.
pub(super) struct RawTask {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) arn: Option<String>,
    pub(super) status: TaskStatus,
    pub(super) rf_region: Option<String>,
    pub(super) start: Option<Start>,
    pub(super) image: ImageRef,
    pub(super) redundancy_percent: Option<i64>,
    pub(super) fragment_size_bytes: Option<i64>,
    pub(super) fragment_interval_ms: Option<i64>,
    pub(super) descriptor: Option<String>,
    pub(super) group: Option<String>,
    pub(super) role: Option<String>,
    pub(super) targets: Vec<String>,
    pub(super) created_at: Option<GpsTime>,
    pub(super) signature: TaskSignature,
    pub(super) hinted_sha256: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl RawTask {
    /// Where the image lies, and nothing else.
    pub(super) fn of(image: ImageRef) -> RawTask {
        RawTask {
            id: None,
            name: None,
            description: None,
            arn: None,
            status: TaskStatus::default(),
            rf_region: None,
            start: None,
            image,
            redundancy_percent: None,
            fragment_size_bytes: None,
            fragment_interval_ms: None,
            descriptor: None,
            group: None,
            role: None,
            targets: Vec::new(),
            created_at: None,
            signature: TaskSignature::default(),
            hinted_sha256: None,
            warnings: Vec::new(),
        }
    }

    /// What GetFuotaTask's answer orders.
    pub(super) fn of_fuota(json: FuotaTaskJson) -> Result<RawTask, TaskError> {
        let lorawan = json.lorawan.unwrap_or_default();
        look_alike::check_case("", &json.unknown)?;
        look_alike::check_case("LoRaWAN.", &lorawan.unknown)?;
        let image = json.firmware_update_image.as_deref();
        let image = image.ok_or_else(|| match look_alike::of_object(&json.unknown) {
            Some(what) => missing(IMAGE_PATH, &format!("{IMAGE_ALLOWED}; {what}")),
            None => missing(IMAGE_PATH, IMAGE_ALLOWED),
        })?;
        let mut warnings = Vec::new();
        warn_of_unknown(&mut warnings, "", &json.unknown);
        warn_of_unknown(&mut warnings, "LoRaWAN.", &lorawan.unknown);
        if lorawan.rf_region.is_none() {
            warnings
                .push("LoRaWAN.RfRegion is absent: the gateway's region is taken for the task's".to_owned());
        }
        Ok(RawTask {
            id: json.id,
            name: json.name,
            description: json.description,
            arn: json.arn,
            status: json.status.as_deref().map(status_from_aws).unwrap_or_default(),
            rf_region: lorawan.rf_region,
            start: lorawan.start_time.map(Start::At),
            redundancy_percent: json.redundancy_percent,
            fragment_size_bytes: json.fragment_size_bytes,
            fragment_interval_ms: json.fragment_interval_ms,
            descriptor: json.descriptor,
            role: json.firmware_update_role,
            created_at: json.created_at,
            warnings,
            ..RawTask::of(image_ref(image)?)
        })
    }
}

/// The image with the role that may read it, where the role is of the task's own account: what a service answers
/// must not send the gateway into somebody else's.
pub(super) fn with_role(image: ImageRef, role: Option<&str>, arn: Option<&str>) -> ImageRef {
    let account = |arn: &str| arn.split(':').nth(4).map(str::to_owned);
    match image {
        ImageRef::S3 { bucket, key, version, .. } => {
            let role = role.filter(|role| arn.is_none_or(|arn| account(arn) == account(role)));
            ImageRef::S3 { bucket, key, version, role: role.map(str::to_owned) }
        }
        other => other,
    }
}

/// A warning for each of the members in `unknown`.
pub(super) fn warn_of_unknown(warnings: &mut Vec<String>, object: &str, unknown: &BTreeMap<String, Value>) {
    warnings.extend(unknown.keys().map(|name| {
        let hint = nearest(name, &PATHS).map(|near| format!("; did you mean {near}?"));
        format!("{object}{} is unknown and ignored{}", shown_name(name), hint.unwrap_or_default())
    }));
}

/// The error that `path` is missing.
pub(super) fn missing(path: &'static str, allowed: &str) -> TaskError {
    TaskError::Missing { path, allowed: allowed.to_owned() }
}
