//! The task itself: every member within its range, every default decided.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::cloud::CloudFacts;
use super::error::TaskError;
use super::id::TaskId;
use super::image_ref;
use super::image_ref::ImageRef;
use super::json;
use super::json::FuotaTaskJson;
use super::json::FuotadJson;
use super::members::Limit;
use super::members::shown_name;
use super::members::shown_text;
use super::ota;
use super::ota::SignatureMaterial;
use super::pace::Interval;
use super::pace::Start;
use super::said::Said;
use super::said::warn_of_unknown;
use super::said::with_role;
use super::status::TaskStatus;
use super::timestamp::gps_from_rfc3339;
use crate::image::Digest;
use crate::time::GpsTime;

/// `RedundancyPercent` where the task does not say.
pub const DEFAULT_REDUNDANCY_PERCENT: u8 = 30;

/// The most multicast groups that one task may name.
pub const MAX_GROUPS: usize = 64;

/// The most warnings that are kept; one more says how many there were.
pub const MAX_WARNINGS: usize = 16;

/// The longest `Descriptor` in bytes: 332 characters of base64 (GetFuotaTask).
const MAX_DESCRIPTOR_BYTES: usize = 249;

const OUR_DESCRIPTOR: &str = "Fuotad.Descriptor";

/// An order that can be looked at: whether group, region and air allow it is asked later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name, under which it runs once and never again.
    pub id: TaskId,
    /// A name for people.
    pub name: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// Its name within AWS.
    pub arn: Option<String>,
    /// Where it stands.
    pub status: TaskStatus,
    /// `LoRaWAN.RfRegion` as written.
    pub rf_region: Option<String>,
    /// When it may begin; `None` is not decided yet.
    pub start: Option<Start>,
    /// Where its image lies.
    pub image: ImageRef,
    /// Coded fragments in percent of the uncoded ones, 0 to 100.
    pub redundancy_percent: u8,
    /// FragSize in bytes, 1 to 255 (TS004-1.0.0 3.2); `None`: the largest that fits.
    pub fragment_size_bytes: Option<u16>,
    /// The least distance between fragments; `None`: what law and devices allow.
    pub fragment_interval: Option<Interval>,
    /// The names of its groups, none twice.
    pub groups: Vec<String>,
    /// What the image must hash to.
    pub sha256: Option<Digest>,
    /// n of a session of 2^n seconds, 0 to 15 (TS005-1.0.0 3.5).
    pub session_timeout_exponent: Option<u8>,
    /// Metadata of the image, at most 249 bytes.
    pub descriptor: Option<Vec<u8>>,
    /// The role that may read the image.
    pub role: Option<String>,
    /// When it was created.
    pub created_at: Option<GpsTime>,
    /// What AWS says around it.
    pub cloud: CloudFacts,
    /// What is said to sign the image; not checked.
    pub signature: SignatureMaterial,
    /// A digest from a source that vouches for nothing: an image that differs is refused, one that fits is not
    /// accepted for it.
    pub hinted_sha256: Option<Digest>,
    /// What an operator should know about the document, a sentence each.
    pub warnings: Vec<String>,
}

impl Task {
    /// The task in a file: the JSON that `aws iotwireless get-fuota-task` prints, with or without `Fuotad`.
    /// `file_stem`, the file's name without `.json`, is its id if it has no other.
    ///
    /// # Errors
    ///
    /// [`TaskError`], with the place in the document and what may stand there.
    pub fn from_json(bytes: &[u8], file_stem: &str) -> Result<Task, TaskError> {
        Task::accept(FuotaTaskJson::from_slice(bytes)?, Some(file_stem))
    }

    /// The task that AWS answered with, `fuotad` filled in from the local configuration. It must have an `Id`,
    /// and its image must not be a file: a cloud has no business to name one on this gateway, least of all one
    /// with keys in it.
    ///
    /// # Errors
    ///
    /// [`TaskError::Missing`] and [`TaskError::Value`].
    pub fn from_cloud(json: FuotaTaskJson) -> Result<Task, TaskError> {
        let task = Task::accept(json, None)?;
        if let ImageRef::File(path) = &task.image {
            return Err(TaskError::Value {
                path: image_ref::PATH.to_owned(),
                value: shown_text(&format!("file://{path}")),
                allowed: "s3://bucket/key or https://host/path in a task from the cloud".to_owned(),
            });
        }
        Ok(task)
    }

    fn accept(json: FuotaTaskJson, file_stem: Option<&str>) -> Result<Task, TaskError> {
        let fuotad = json.fuotad.clone().unwrap_or_default();
        let mut unknown = Vec::new();
        let cloud = json.cloud.as_ref().map(|cloud| CloudFacts::read(cloud, &mut unknown));
        let cloud = cloud.transpose()?.unwrap_or_default();
        let said = match &json.ota_update {
            Some(info) => {
                let choice = fuotad.file.clone().unwrap_or_default();
                let mut said = ota::accept(info, &choice, &cloud, &mut unknown)?;
                warn_of_unknown(&mut said.warnings, "", &json.unknown);
                said
            }
            None => Said::of_fuota(json)?,
        };
        let id = said.id.as_deref().or(file_stem).ok_or_else(|| missing("Id", "the name of the task"))?;
        let descriptor = match (&fuotad.descriptor, &said.descriptor) {
            (Some(ours), _) => Some(descriptor(OUR_DESCRIPTOR, ours)?),
            (None, theirs) => theirs.as_deref().map(|text| descriptor(json::DESCRIPTOR, text)).transpose()?,
        };
        let mut warnings = said.warnings;
        warnings.extend(unknown_status(&said.status));
        warnings.extend(descriptor.as_deref().and_then(long_descriptor));
        warnings.extend(unknown.iter().map(|path| format!("{} is unknown and ignored", shown_name_at(path))));
        shorten(&mut warnings);
        Ok(Task {
            id: TaskId::new(id)?,
            name: said.name,
            description: said.description,
            status: said.status,
            rf_region: said.rf_region,
            start: fuotad.start.as_deref().map(start).transpose()?.or(said.start),
            image: with_role(said.image, said.role.as_deref(), said.arn.as_deref()),
            redundancy_percent: or(
                (json::OUR_REDUNDANCY_PERCENT, fuotad.redundancy_percent),
                (json::REDUNDANCY_PERCENT, said.redundancy_percent),
            )?
            .unwrap_or(DEFAULT_REDUNDANCY_PERCENT),
            fragment_size_bytes: or(
                (json::OUR_FRAGMENT_SIZE_BYTES, fuotad.fragment_size_bytes),
                (json::FRAGMENT_SIZE_BYTES, said.fragment_size_bytes),
            )?,
            fragment_interval: interval(said.fragment_interval_ms, &fuotad)?,
            sha256: fuotad.sha256.as_deref().map(|text| sha256(json::SHA256, text)).transpose()?,
            hinted_sha256: said
                .hinted_sha256
                .as_deref()
                .map(|text| sha256("attributes.sha256", text))
                .transpose()?,
            session_timeout_exponent: json::SESSION_TIMEOUT_EXPONENT
                .check(fuotad.session_timeout_exponent)?,
            groups: groups(fuotad.multicast_groups.unwrap_or_else(|| said.group.into_iter().collect()))?,
            descriptor,
            role: said.role,
            arn: said.arn,
            created_at: said.created_at,
            cloud,
            signature: said.signature,
            warnings,
        })
    }

    /// Whether `other` orders the same frames: image, fragment size, redundancy and groups (in any order, for
    /// the service lists them in any) are unchanged. If not, an armed task is planned anew while nothing was
    /// sent, and refused afterwards. A digest that is given only now, or no longer, changes nothing by itself.
    pub fn same_order(&self, other: &Task) -> bool {
        let sorted = |task: &Task| task.groups.iter().cloned().collect::<BTreeSet<_>>();
        let is_other_digest = self.sha256.is_some() && other.sha256.is_some() && self.sha256 != other.sha256;
        self.image.is_same_place(&other.image)
            && !is_other_digest
            && self.fragment_size_bytes == other.fragment_size_bytes
            && self.redundancy_percent == other.redundancy_percent
            && sorted(self) == sorted(other)
    }

    /// Whether `other` is this task at another status, and nothing else about it changed.
    pub fn status_only_change(&self, other: &Task) -> bool {
        let status = self.status.clone();
        let moved = Task { status, warnings: self.warnings.clone(), ..other.clone() };
        self.status != other.status && *self == moved
    }

    /// The Descriptor of FragSessionSetupReq (TS004-1.0.0 3.2): the task's, filled up with zeros to 4 bytes.
    /// `None` without one, or with one that is longer.
    pub fn frag_descriptor(&self) -> Option<[u8; 4]> {
        let descriptor = self.descriptor.as_deref()?;
        let mut filled = [0; 4];
        filled.get_mut(..descriptor.len())?.copy_from_slice(descriptor);
        Some(filled)
    }
}

/// Ours, or else the task's.
fn or<T: TryFrom<i64>>(
    ours: (Limit, Option<i64>),
    theirs: (Limit, Option<i64>),
) -> Result<Option<T>, TaskError> {
    let (limit, value) = if ours.1.is_some() { ours } else { theirs };
    limit.check(value)
}

/// The error that `path` is missing.
pub(super) fn missing(path: &'static str, allowed: &str) -> TaskError {
    TaskError::Missing { path, allowed: allowed.to_owned() }
}

fn refuse(path: &str, text: &str, allowed: &str) -> TaskError {
    TaskError::Value { path: path.to_owned(), value: shown_text(text), allowed: allowed.to_owned() }
}

fn start(text: &str) -> Result<Start, TaskError> {
    if text == "at-once" {
        return Ok(Start::AtOnce);
    }
    gps_from_rfc3339(text).map(Start::At).ok_or_else(|| refuse(json::START, text, json::START_ALLOWED))
}

fn interval(interval_ms: Option<i64>, fuotad: &FuotadJson) -> Result<Option<Interval>, TaskError> {
    let requested_ms = or(
        (json::OUR_FRAGMENT_INTERVAL_MS, fuotad.fragment_interval_ms),
        (json::FRAGMENT_INTERVAL_MS, interval_ms),
    )?;
    match fuotad.interval.as_deref() {
        None => Ok(requested_ms.map(Interval::rounded)),
        Some("exact") => Ok(requested_ms.map(Interval::exact)),
        Some(other) => Err(refuse(json::INTERVAL, other, json::INTERVAL_ALLOWED)),
    }
}

fn sha256(path: &str, text: &str) -> Result<Digest, TaskError> {
    text.parse().map_err(|_| refuse(path, text, json::SHA256_ALLOWED))
}

fn descriptor(path: &str, text: &str) -> Result<Vec<u8>, TaskError> {
    let bytes = BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() <= MAX_DESCRIPTOR_BYTES);
    bytes.ok_or_else(|| refuse(path, text, json::DESCRIPTOR_ALLOWED))
}

fn groups(names: Vec<String>) -> Result<Vec<String>, TaskError> {
    if names.len() > MAX_GROUPS {
        return Err(TaskError::Value {
            path: json::GROUPS.to_owned(),
            value: format!("a list of {}", names.len()),
            allowed: format!("at most {MAX_GROUPS} group names"),
        });
    }
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() || !seen.insert(name) {
            let path = format!("{}[{index}]", json::GROUPS);
            return Err(refuse(&path, name, "the name of a group, each once"));
        }
    }
    Ok(names)
}

fn unknown_status(status: &TaskStatus) -> Option<String> {
    let TaskStatus::Unknown(text) = status else { return None };
    let hint = TaskStatus::resembling(text).map(|near| format!("; did you mean {near}?"));
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

/// A path whose last part came from outside.
fn shown_name_at(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((object, name)) => format!("{object}.{}", shown_name(name)),
        None => shown_name(path),
    }
}

fn shorten(warnings: &mut Vec<String>) {
    let more = warnings.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        warnings.truncate(MAX_WARNINGS);
        warnings.push(format!("and {more} more warnings"));
    }
}
