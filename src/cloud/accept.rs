//! From a document to the task: ranges, defaults, meaning.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::facts::CloudFacts;
use super::fuota_task::FuotaTaskJson;
use super::fuota_task::FuotadJson;
use super::image_ref::IMAGE_PATH;
use super::members;
use super::members::Limit;
use super::ota;
use super::raw_task::RawTask;
use super::raw_task::missing;
use super::raw_task::warn_of_unknown;
use super::raw_task::with_role;
use super::task_status::resembling;
use crate::image::Digest;
use crate::json::shown_text;
use crate::lorawan::Eui64;
use crate::task::DEFAULT_REDUNDANCY_PERCENT;
use crate::task::ImageRef;
use crate::task::Interval;
use crate::task::MAX_GROUPS;
use crate::task::MAX_WARNINGS;
use crate::task::Start;
use crate::task::Task;
use crate::task::TaskError;
use crate::task::TaskId;
use crate::task::TaskStatus;
use crate::task::gps_from_rfc3339;
use crate::time::GpsTime;

/// The longest `Descriptor` in bytes: 332 characters of base64 (GetFuotaTask).
const MAX_DESCRIPTOR_BYTES: usize = 249;

/// The task in a file: the JSON that `aws iotwireless get-fuota-task` prints, with or without `Fuotad`.
/// `file_stem`, the file's name without `.json`, is its id if it has no other.
///
/// # Errors
///
/// [`TaskError`], with the place in the document and what may stand there.
pub fn task_from_file(bytes: &[u8], file_stem: &str) -> Result<Task, TaskError> {
    FuotaTaskJson::from_slice(bytes)?.into_task(file_stem)
}

/// The task in a document of the cloud; see [`FuotaTaskJson::into_cloud_task`].
///
/// # Errors
///
/// [`TaskError`], with the place in the document and what may stand there.
pub fn task_from_cloud(bytes: &[u8]) -> Result<Task, TaskError> {
    FuotaTaskJson::from_slice(bytes)?.into_cloud_task()
}

impl FuotaTaskJson {
    /// The task that it orders as a file; see [`task_from_file`].
    ///
    /// # Errors
    ///
    /// [`TaskError`], with the place in the document and what may stand there.
    pub fn into_task(self, file_stem: &str) -> Result<Task, TaskError> {
        accept(self, Some(file_stem))
    }

    /// The task that AWS answered with, `Fuotad` filled in from the local configuration. It must have an `Id`,
    /// and its image must not be a file: a cloud has no business to name one on this gateway, least of all one
    /// with keys in it.
    ///
    /// # Errors
    ///
    /// [`TaskError`], with the place in the document and what may stand there.
    pub fn into_cloud_task(self) -> Result<Task, TaskError> {
        let task = accept(self, None)?;
        if let ImageRef::File(path) = &task.image {
            return Err(TaskError::Value {
                path: IMAGE_PATH.to_owned(),
                value: shown_text(&format!("file://{path}")),
                allowed: "s3://bucket/key or https://host/path in a task from the cloud".to_owned(),
            });
        }
        Ok(task)
    }
}

fn accept(json: FuotaTaskJson, file_stem: Option<&str>) -> Result<Task, TaskError> {
    let fuotad = json.fuotad.clone().unwrap_or_default();
    let mut unknown = Vec::new();
    let cloud = json.cloud.as_ref().map(|cloud| CloudFacts::read(cloud, &mut unknown));
    let cloud = cloud.transpose()?.unwrap_or_default();
    let raw = match &json.ota_update {
        Some(info) => {
            let choice = fuotad.file.clone().unwrap_or_default();
            let mut raw = ota::accept(info, &choice, &cloud, &mut unknown)?;
            warn_of_unknown(&mut raw.warnings, "", &json.unknown);
            raw
        }
        None => RawTask::of_fuota(json)?,
    };
    let id = raw.id.as_deref().or(file_stem).ok_or_else(|| missing("Id", "the name of the task"))?;
    let descriptor = match (&fuotad.descriptor, &raw.descriptor) {
        (Some(ours), _) => Some(descriptor(members::OUR_DESCRIPTOR, ours)?),
        (None, theirs) => theirs.as_deref().map(|text| descriptor(members::DESCRIPTOR, text)).transpose()?,
    };
    let mut warnings = raw.warnings;
    warnings.extend(unknown_status(&raw.status));
    warnings.extend(descriptor.as_deref().and_then(long_descriptor));
    warnings.extend(unknown.iter().map(|member| format!("{} is unknown and ignored", member.path())));
    shorten(&mut warnings);
    let id = TaskId::new(id)?;
    Ok(Task {
        document_id: id.clone(),
        id,
        name: raw.name,
        description: raw.description,
        status: raw.status,
        rf_region: raw.rf_region,
        start: fuotad.start.as_deref().map(start).transpose()?.or(raw.start),
        image: with_role(raw.image, raw.role.as_deref(), raw.arn.as_deref()),
        redundancy_percent: or(
            (members::OUR_REDUNDANCY_PERCENT, fuotad.redundancy_percent),
            (members::REDUNDANCY_PERCENT, raw.redundancy_percent),
        )?
        .unwrap_or(DEFAULT_REDUNDANCY_PERCENT),
        fragment_size_bytes: or(
            (members::OUR_FRAGMENT_SIZE_BYTES, fuotad.fragment_size_bytes),
            (members::FRAGMENT_SIZE_BYTES, raw.fragment_size_bytes),
        )?,
        fragment_interval: interval(raw.fragment_interval_ms, &fuotad)?,
        sha256: fuotad.sha256.as_deref().map(|text| sha256(members::SHA256, text)).transpose()?,
        hinted_sha256: raw
            .hinted_sha256
            .as_deref()
            .map(|text| sha256("attributes.sha256", text))
            .transpose()?,
        session_timeout_exponent: members::SESSION_TIMEOUT_EXPONENT.check(fuotad.session_timeout_exponent)?,
        finish_by: fuotad.finish_by.as_deref().map(finish_by).transpose()?,
        coded_from: members::CODED_FROM.check(fuotad.coded_from)?,
        devices: fuotad.devices.as_deref().map(devices).transpose()?,
        groups: groups(fuotad.multicast_groups.unwrap_or_else(|| raw.group.into_iter().collect()))?,
        descriptor,
        role: raw.role,
        targets: raw.targets,
        created_at: raw.created_at,
        announced: cloud.announced(),
        signature: raw.signature,
        warnings,
    })
}

/// Ours, or else the task's.
fn or<T: TryFrom<i64>>(
    ours: (Limit, Option<i64>),
    theirs: (Limit, Option<i64>),
) -> Result<Option<T>, TaskError> {
    let (limit, value) = if ours.1.is_some() { ours } else { theirs };
    limit.check(value)
}

fn refuse(path: &str, text: &str, allowed: &str) -> TaskError {
    TaskError::Value { path: path.to_owned(), value: shown_text(text), allowed: allowed.to_owned() }
}

fn start(text: &str) -> Result<Start, TaskError> {
    if text == "at-once" {
        return Ok(Start::AtOnce);
    }
    gps_from_rfc3339(text).map(Start::At).ok_or_else(|| refuse(members::START, text, members::START_ALLOWED))
}

fn finish_by(text: &str) -> Result<GpsTime, TaskError> {
    gps_from_rfc3339(text).ok_or_else(|| refuse(members::FINISH_BY, text, members::FINISH_BY_ALLOWED))
}

fn interval(interval_ms: Option<i64>, fuotad: &FuotadJson) -> Result<Option<Interval>, TaskError> {
    let requested_ms = or(
        (members::OUR_FRAGMENT_INTERVAL_MS, fuotad.fragment_interval_ms),
        (members::FRAGMENT_INTERVAL_MS, interval_ms),
    )?;
    match fuotad.interval.as_deref() {
        None => Ok(requested_ms.map(Interval::rounded)),
        Some("exact") => Ok(requested_ms.map(Interval::exact)),
        Some(other) => Err(refuse(members::INTERVAL, other, members::INTERVAL_ALLOWED)),
    }
}

fn sha256(path: &str, text: &str) -> Result<Digest, TaskError> {
    text.parse().map_err(|_| refuse(path, text, members::SHA256_ALLOWED))
}

fn descriptor(path: &str, text: &str) -> Result<Vec<u8>, TaskError> {
    let bytes = BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() <= MAX_DESCRIPTOR_BYTES);
    bytes.ok_or_else(|| refuse(path, text, members::DESCRIPTOR_ALLOWED))
}

fn groups(names: Vec<String>) -> Result<Vec<String>, TaskError> {
    if names.len() > MAX_GROUPS {
        return Err(TaskError::Value {
            path: members::GROUPS.to_owned(),
            value: format!("a list of {}", names.len()),
            allowed: format!("at most {MAX_GROUPS} group names"),
        });
    }
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() || !seen.insert(name) {
            let path = format!("{}[{index}]", members::GROUPS);
            return Err(refuse(&path, name, "the name of a group, each once"));
        }
    }
    Ok(names)
}

fn devices(dev_euis: &[String]) -> Result<BTreeSet<Eui64>, TaskError> {
    if dev_euis.is_empty() {
        return Err(refuse(members::DEVICES, "an empty list", members::DEVICES_ALLOWED));
    }
    let mut devices = BTreeSet::new();
    for (index, text) in dev_euis.iter().enumerate() {
        let place = || format!("{}[{index}]", members::DEVICES);
        let dev_eui = text.parse().map_err(|_| refuse(&place(), text, "a DevEUI, 16 hex digits"))?;
        devices.insert(dev_eui);
    }
    Ok(devices)
}

fn unknown_status(status: &TaskStatus) -> Option<String> {
    let TaskStatus::Unknown(text) = status else { return None };
    let hint = resembling(text).map(|near| format!("; did you mean {near}?"));
    Some(format!(
        "Status {} is unknown, a cloud task with it does not begin{}",
        shown_text(text),
        hint.unwrap_or_default()
    ))
}

fn long_descriptor(descriptor: &[u8]) -> Option<String> {
    (descriptor.len() > 4).then(|| {
        let bytes = descriptor.len();
        format!("Descriptor has {bytes} bytes; a fragmentation session carries 4, so it carries none of it")
    })
}

fn shorten(warnings: &mut Vec<String>) {
    let more = warnings.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        warnings.truncate(MAX_WARNINGS);
        warnings.push(format!("and {more} more warnings"));
    }
}
