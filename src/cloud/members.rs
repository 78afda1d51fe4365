//! The members that documents have: their paths, what they may be, the ranges of their numbers.

use super::image_ref::IMAGE_ALLOWED;
use super::image_ref::IMAGE_PATH;
use super::moment;
use crate::task::TaskError;

/// A whole number: where it stands and what it may be.
pub(super) struct Limit {
    pub(super) path: &'static str,
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Limit {
    /// `value` in the type that keeps it, if it is within the limit.
    pub(super) fn check<T: TryFrom<i64>>(&self, value: Option<i64>) -> Result<Option<T>, TaskError> {
        let Some(value) = value else { return Ok(None) };
        let is_allowed = (self.min..=self.max).contains(&value);
        let kept = is_allowed.then_some(value).and_then(|value| T::try_from(value).ok());
        kept.map(Some).ok_or_else(|| self.refuse(value.to_string()))
    }

    /// The refusal of `value`.
    pub(super) fn refuse(&self, value: String) -> TaskError {
        TaskError::Value { path: self.path.to_owned(), value, allowed: self.allowed() }
    }

    /// What an error says it may be.
    pub(super) fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }
}

pub(super) const REDUNDANCY_PERCENT: Limit = Limit { path: "RedundancyPercent", min: 0, max: 100 };
/// TS004-1.0.0 3.2: FragSize is one byte.
pub(super) const FRAGMENT_SIZE_BYTES: Limit = Limit { path: "FragmentSizeBytes", min: 1, max: 255 };
/// The API's own type is a signed 32-bit number.
pub(super) const FRAGMENT_INTERVAL_MS: Limit =
    Limit { path: "FragmentIntervalMS", min: 1, max: i32::MAX as i64 };
/// TS005-1.0.0 3.5: SessionTimeOut is 4 bits.
pub(super) const SESSION_TIMEOUT_EXPONENT: Limit =
    Limit { path: "Fuotad.SessionTimeoutExponent", min: 0, max: 15 };

/// TS004-1.0.0 3.4: 14 bits number all fragments, uncoded ones first.
pub(super) const CODED_FROM: Limit = Limit { path: "Fuotad.CodedFrom", min: 1, max: 16_382 };

/// The devices that a task is for.
pub(super) const DEVICES: &str = "Fuotad.Devices";
pub(super) const DEVICES_ALLOWED: &str = "a list of DevEUIs, 16 hex digits each, at least one";

pub(super) const GROUPS: &str = "Fuotad.MulticastGroups";
pub(super) const GROUPS_ALLOWED: &str = "a list of group names";
pub(super) const START: &str = "Fuotad.Start";
pub(super) const START_ALLOWED: &str =
    "\"at-once\" or an RFC 3339 time with its offset (2026-11-22T02:00:00Z)";
pub(super) const FINISH_BY: &str = "Fuotad.FinishBy";
pub(super) const FINISH_BY_ALLOWED: &str = "an RFC 3339 time with its offset (2026-11-22T12:00:00Z)";
pub(super) const INTERVAL: &str = "Fuotad.Interval";
pub(super) const INTERVAL_ALLOWED: &str = "\"exact\" (absent: rounded to the nearest second)";
pub(super) const SHA256: &str = "Fuotad.Sha256";
pub(super) const SHA256_ALLOWED: &str = "64 hexadecimal digits, as sha256sum prints them";
pub(super) const DESCRIPTOR: &str = "Descriptor";
pub(super) const OUR_DESCRIPTOR: &str = "Fuotad.Descriptor";
pub(super) const DESCRIPTOR_ALLOWED: &str = "base64 of at most 249 bytes";

/// What comes before the task's own number, in a file or from the configuration.
pub(super) const OUR_REDUNDANCY_PERCENT: Limit =
    Limit { path: "Fuotad.RedundancyPercent", ..REDUNDANCY_PERCENT };
/// The fragment size that comes before the task's own, bytes.
pub(super) const OUR_FRAGMENT_SIZE_BYTES: Limit =
    Limit { path: "Fuotad.FragmentSizeBytes", ..FRAGMENT_SIZE_BYTES };
/// The fragment interval that comes before the task's own, milliseconds.
pub(super) const OUR_FRAGMENT_INTERVAL_MS: Limit =
    Limit { path: "Fuotad.FragmentIntervalMS", ..FRAGMENT_INTERVAL_MS };
pub(super) const FILE: &str = "Fuotad.File";

/// Every member that a task document may have.
pub(super) const PATHS: [&str; 31] = [
    "Arn",
    "Id",
    "Status",
    "Name",
    "Description",
    "LoRaWAN",
    "LoRaWAN.RfRegion",
    "LoRaWAN.StartTime",
    IMAGE_PATH,
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
    FINISH_BY,
    CODED_FROM.path,
    DEVICES,
    OUR_REDUNDANCY_PERCENT.path,
    OUR_FRAGMENT_SIZE_BYTES.path,
    OUR_FRAGMENT_INTERVAL_MS.path,
    OUR_DESCRIPTOR,
    FILE,
    CLOUD,
    OTA_UPDATE,
];

/// The member's path in a document: what AWS says around an order.
pub(super) const CLOUD: &str = "Cloud";
/// The member of GetOTAUpdate's answer that holds everything.
pub(super) const OTA_UPDATE: &str = "otaUpdateInfo";

/// The members of `Fuotad.File`.
pub(super) const FILE_PATHS: [&str; 3] = [FILE_NAME, FILE_TYPE.path, FILE_INDEX.path];
const FILE_NAME: &str = "Fuotad.File.Name";
pub(super) const FILE_TYPE: Limit = Limit { path: "Fuotad.File.Type", min: 0, max: 255 };
pub(super) const FILE_INDEX: Limit = Limit { path: "Fuotad.File.Index", min: 0, max: 255 };

/// The whole numbers of a document.
const NUMBERS: [&Limit; 10] = [
    &REDUNDANCY_PERCENT,
    &FRAGMENT_SIZE_BYTES,
    &FRAGMENT_INTERVAL_MS,
    &SESSION_TIMEOUT_EXPONENT,
    &CODED_FROM,
    &OUR_REDUNDANCY_PERCENT,
    &OUR_FRAGMENT_SIZE_BYTES,
    &OUR_FRAGMENT_INTERVAL_MS,
    &FILE_TYPE,
    &FILE_INDEX,
];

/// What an error says that the member at `path` of a task document may be.
pub(super) fn allowed(path: &str) -> String {
    if let Some(number) = NUMBERS.iter().find(|number| number.path == path) {
        return number.allowed();
    }
    let allowed = match path {
        "LoRaWAN" | "Fuotad" | FILE => "an object",
        "LoRaWAN.StartTime" | "CreatedAt" => moment::ALLOWED,
        IMAGE_PATH => IMAGE_ALLOWED,
        DESCRIPTOR | OUR_DESCRIPTOR => DESCRIPTOR_ALLOWED,
        GROUPS => GROUPS_ALLOWED,
        DEVICES => DEVICES_ALLOWED,
        START => START_ALLOWED,
        INTERVAL => INTERVAL_ALLOWED,
        SHA256 => SHA256_ALLOWED,
        FILE_NAME => "a file's name",
        _ => "a string",
    };
    allowed.to_owned()
}
