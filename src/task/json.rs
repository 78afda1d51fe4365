//! The JSON of a task: what `aws iotwireless get-fuota-task` prints (API version 2020-11-22), and our own
//! member `Fuotad` for task files. Here syntax and types are checked; ranges and meaning are `order.rs`'s.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::cloud::CLOUD;
use super::error::TaskError;
use super::image_ref;
use super::members::Limit;
use super::members::Members;
use super::ota::OTA_UPDATE;
use super::ota::OtaFileChoice;
use super::timestamp;
use crate::time::GpsTime;

/// The largest task document that is read, in bytes: an OTA update with its job document and certificates.
pub const MAX_TASK_BYTES: usize = 256 * 1024;

pub(super) const REDUNDANCY_PERCENT: Limit = Limit { path: "RedundancyPercent", min: 0, max: 100 };
/// TS004-1.0.0 3.2: FragSize is one byte.
pub(super) const FRAGMENT_SIZE_BYTES: Limit = Limit { path: "FragmentSizeBytes", min: 1, max: 255 };
/// The API's own type is a signed 32-bit number.
pub(super) const FRAGMENT_INTERVAL_MS: Limit =
    Limit { path: "FragmentIntervalMS", min: 1, max: i32::MAX as i64 };
/// TS005-1.0.0 3.5: SessionTimeOut is 4 bits.
pub(super) const SESSION_TIMEOUT_EXPONENT: Limit =
    Limit { path: "Fuotad.SessionTimeoutExponent", min: 0, max: 15 };

pub(super) const GROUPS: &str = "Fuotad.MulticastGroups";
pub(super) const GROUPS_ALLOWED: &str = "a list of group names";
pub(super) const START: &str = "Fuotad.Start";
pub(super) const START_ALLOWED: &str =
    "\"at-once\" or an RFC 3339 time with its offset (2026-11-22T02:00:00Z)";
pub(super) const INTERVAL: &str = "Fuotad.Interval";
pub(super) const INTERVAL_ALLOWED: &str = "\"exact\" (absent: rounded to the nearest second)";
pub(super) const SHA256: &str = "Fuotad.Sha256";
pub(super) const SHA256_ALLOWED: &str = "64 hexadecimal digits, as sha256sum prints them";
pub(super) const DESCRIPTOR: &str = "Descriptor";
pub(super) const DESCRIPTOR_ALLOWED: &str = "base64 of at most 249 bytes";

/// What comes before the task's own number, in a file or from the configuration.
pub(super) const OUR_REDUNDANCY_PERCENT: Limit =
    Limit { path: "Fuotad.RedundancyPercent", ..REDUNDANCY_PERCENT };
/// The same.
pub(super) const OUR_FRAGMENT_SIZE_BYTES: Limit =
    Limit { path: "Fuotad.FragmentSizeBytes", ..FRAGMENT_SIZE_BYTES };
/// The same.
pub(super) const OUR_FRAGMENT_INTERVAL_MS: Limit =
    Limit { path: "Fuotad.FragmentIntervalMS", ..FRAGMENT_INTERVAL_MS };
const FILE: &str = "Fuotad.File";

/// Every member that a task document may have.
pub(super) const PATHS: [&str; 28] = [
    "Arn",
    "Id",
    "Status",
    "Name",
    "Description",
    "LoRaWAN",
    "LoRaWAN.RfRegion",
    "LoRaWAN.StartTime",
    "FirmwareUpdateImage",
    "FirmwareUpdateRole",
    "CreatedAt",
    "RedundancyPercent",
    "FragmentSizeBytes",
    "FragmentIntervalMS",
    "Descriptor",
    "Fuotad",
    GROUPS,
    START,
    INTERVAL,
    SHA256,
    SESSION_TIMEOUT_EXPONENT.path,
    OUR_REDUNDANCY_PERCENT.path,
    OUR_FRAGMENT_SIZE_BYTES.path,
    OUR_FRAGMENT_INTERVAL_MS.path,
    "Fuotad.Descriptor",
    FILE,
    CLOUD,
    OTA_UPDATE,
];

/// A FUOTA task as its JSON says it. Every member may be absent, as in the service's own model. Serialised it
/// is the service's answer again: `CreatedAt` in epoch seconds, `StartTime` as ISO 8601.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FuotaTaskJson {
    /// `arn:aws:iotwireless:{region}:{account}:FuotaTask/{Id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The task's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it stands, as [`TaskStatus`](super::TaskStatus).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Region and start.
    #[serde(rename = "LoRaWAN", skip_serializing_if = "Option::is_none")]
    pub lorawan: Option<LoRaWanJson>,
    /// Where the image lies, as [`ImageRef`](super::ImageRef).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_update_image: Option<String>,
    /// The role that may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_update_role: Option<String>,
    /// When it was created.
    #[serde(serialize_with = "timestamp::serialize_epoch", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<GpsTime>,
    /// Coded fragments in percent of the uncoded ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redundancy_percent: Option<i64>,
    /// The size of a fragment in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment_size_bytes: Option<i64>,
    /// The interval from fragment to fragment in milliseconds.
    #[serde(rename = "FragmentIntervalMS", skip_serializing_if = "Option::is_none")]
    pub fragment_interval_ms: Option<i64>,
    /// Metadata of the image in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<String>,
    /// What AWS cannot say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuotad: Option<FuotadJson>,
    /// What AWS says around it, as it was answered; see [`CloudFacts`](super::CloudFacts).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Value>,
    /// GetOTAUpdate's answer, as it was: then the document is an OTA update and has no other member but `Fuotad`
    /// and `Cloud`.
    #[serde(rename = "otaUpdateInfo", skip_serializing_if = "Option::is_none")]
    pub ota_update: Option<Value>,
    /// Members that this program does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// The member `LoRaWAN`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LoRaWanJson {
    /// The name of the regional parameters, free text in the service's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rf_region: Option<String>,
    /// When the first session begins.
    #[serde(serialize_with = "timestamp::serialize_rfc3339", skip_serializing_if = "Option::is_none")]
    pub start_time: Option<GpsTime>,
    /// Members that this program does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// The member `Fuotad`: what a task file, or the configuration for a cloud task, says beyond AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FuotadJson {
    /// The names of the groups that the task is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multicast_groups: Option<Vec<String>>,
    /// `at-once` or RFC 3339; wins over `LoRaWAN.StartTime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// `exact`: `FragmentIntervalMS` is not rounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The SHA-256 of the image in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// n of a session of 2^n seconds (TS005-1.0.0 3.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_timeout_exponent: Option<i64>,
    /// Instead of the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redundancy_percent: Option<i64>,
    /// Instead of the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment_size_bytes: Option<i64>,
    /// Instead of the task's own.
    #[serde(rename = "FragmentIntervalMS", skip_serializing_if = "Option::is_none")]
    pub fragment_interval_ms: Option<i64>,
    /// Instead of the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<String>,
    /// Which file of an OTA update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<OtaFileChoice>,
}

impl FuotaTaskJson {
    /// Reads one document of at most [`MAX_TASK_BYTES`], UTF-8 with or without byte order mark. `null` is
    /// absent; both timestamps may have both forms; unknown members are kept, except in `Fuotad`.
    ///
    /// # Errors
    ///
    /// All of [`TaskError`] except [`TaskError::Missing`].
    pub fn from_slice(bytes: &[u8]) -> Result<FuotaTaskJson, TaskError> {
        if bytes.len() > MAX_TASK_BYTES {
            return Err(TaskError::TooLarge { bytes: bytes.len() });
        }
        if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
            return Err(TaskError::Utf16);
        }
        let mut of = Members::from_slice(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))?;
        Ok(FuotaTaskJson {
            arn: of.text("Arn", "a string")?,
            id: of.text("Id", "a string")?,
            status: of.text("Status", "a string")?,
            name: of.text("Name", "a string")?,
            description: of.text("Description", "a string")?,
            lorawan: of.object("LoRaWAN")?.map(LoRaWanJson::from_members).transpose()?,
            firmware_update_image: of.text(image_ref::PATH, image_ref::ALLOWED)?,
            firmware_update_role: of.text("FirmwareUpdateRole", "a string")?,
            created_at: of.time("CreatedAt")?,
            redundancy_percent: of.whole(&REDUNDANCY_PERCENT)?,
            fragment_size_bytes: of.whole(&FRAGMENT_SIZE_BYTES)?,
            fragment_interval_ms: of.whole(&FRAGMENT_INTERVAL_MS)?,
            descriptor: of.text(DESCRIPTOR, DESCRIPTOR_ALLOWED)?,
            fuotad: of.object("Fuotad")?.map(FuotadJson::from_members).transpose()?,
            cloud: of.tree(CLOUD),
            ota_update: of.tree(OTA_UPDATE),
            unknown: of.rest(),
        })
    }
}

impl LoRaWanJson {
    fn from_members(mut of: Members) -> Result<LoRaWanJson, TaskError> {
        Ok(LoRaWanJson {
            rf_region: of.text("LoRaWAN.RfRegion", "a string")?,
            start_time: of.time("LoRaWAN.StartTime")?,
            unknown: of.rest(),
        })
    }
}

impl FuotadJson {
    fn from_members(mut of: Members) -> Result<FuotadJson, TaskError> {
        let fuotad = FuotadJson {
            multicast_groups: of.texts(GROUPS, GROUPS_ALLOWED)?,
            start: of.text(START, START_ALLOWED)?,
            interval: of.text(INTERVAL, INTERVAL_ALLOWED)?,
            sha256: of.text(SHA256, SHA256_ALLOWED)?,
            session_timeout_exponent: of.whole(&SESSION_TIMEOUT_EXPONENT)?,
            redundancy_percent: of.whole(&OUR_REDUNDANCY_PERCENT)?,
            fragment_size_bytes: of.whole(&OUR_FRAGMENT_SIZE_BYTES)?,
            fragment_interval_ms: of.whole(&OUR_FRAGMENT_INTERVAL_MS)?,
            descriptor: of.text("Fuotad.Descriptor", DESCRIPTOR_ALLOWED)?,
            file: of.object(FILE)?.map(OtaFileChoice::from_members).transpose()?,
        };
        of.nothing_else("Fuotad.", &PATHS)?;
        Ok(fuotad)
    }
}
