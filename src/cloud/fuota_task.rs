//! The JSON of a task: what `aws iotwireless get-fuota-task` prints (API version 2020-11-22), and our own
//! member `Fuotad` for task files. Here types are checked; ranges and meaning come later.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use super::file_choice::OtaFileChoice;
use super::json_tree::json_tree;
use super::json_tree::no_document;
use super::json_tree::shown;
use super::members::FILE_PATHS;
use super::members::PATHS;
use super::members::allowed;
use super::moment;
use super::reader::Misfit;
use super::reader::UnknownMember;
use super::reader::read;
use crate::json::shown_name;
use crate::task::TaskError;
use crate::task::nearest;
use crate::time::GpsTime;

/// A FUOTA task as its JSON says it. Every member may be absent, as in the service's own model. Serialised it
/// is the service's answer again: `CreatedAt` in epoch seconds, `StartTime` as ISO 8601.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FuotaTaskJson {
    /// The task's ARN, `arn:aws:iotwireless:{region}:{account}:FuotaTask/{Id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The task's id, as in its ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it stands, as [`TaskStatus`](crate::task::TaskStatus).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The RF region and the start.
    #[serde(rename = "LoRaWAN", skip_serializing_if = "Option::is_none")]
    pub lorawan: Option<LoRaWanJson>,
    /// Where the image lies, as [`ImageRef`](crate::task::ImageRef).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_update_image: Option<String>,
    /// The role that may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_update_role: Option<String>,
    /// When it was created.
    #[serde(
        deserialize_with = "moment::deserialize_kept",
        serialize_with = "moment::serialize_epoch",
        skip_serializing_if = "Option::is_none"
    )]
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
    /// GetOTAUpdate's answer, as it was: then the document is an OTA update,
    /// and its only other members are `Fuotad` and `Cloud`.
    #[serde(rename = "otaUpdateInfo", skip_serializing_if = "Option::is_none")]
    pub ota_update: Option<Value>,
    /// Members that this program does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// The member `LoRaWAN` of GetFuotaTask.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoRaWanJson {
    /// The name of the regional parameters, free text in the service's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rf_region: Option<String>,
    /// When the first session begins.
    #[serde(
        deserialize_with = "moment::deserialize",
        serialize_with = "moment::serialize_rfc3339",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_time: Option<GpsTime>,
    /// Members that this program does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// The member `Fuotad`: what a task file, or the configuration for a cloud task, says beyond AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
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
    /// RFC 3339: by then the last frame is to be out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_by: Option<String>,
    /// Only coded fragments from this number on: the devices keep what they heard of an earlier task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coded_from: Option<i64>,
    /// DevEUIs of the devices that the task is for; the others of its groups are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
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
    /// Reads one document of at most [`MAX_TASK_BYTES`](crate::task::MAX_TASK_BYTES), UTF-8,
    /// with or without byte order mark. `null` is absent; both timestamps may have both forms;
    /// unknown members are kept, except in `Fuotad`.
    ///
    /// # Errors
    ///
    /// All of [`TaskError`] except [`TaskError::Missing`].
    pub fn from_slice(bytes: &[u8]) -> Result<FuotaTaskJson, TaskError> {
        FuotaTaskJson::from_tree(&json_tree(bytes)?)
    }

    /// The same from a tree that [`json_tree`] made.
    ///
    /// # Errors
    ///
    /// [`TaskError::Value`] for a mistyped member, [`TaskError::UnknownMember`] for one unknown in `Fuotad`.
    pub fn from_tree(tree: &Value) -> Result<FuotaTaskJson, TaskError> {
        let mut unknown = Vec::new();
        let mut json: FuotaTaskJson = read(tree, &mut unknown).map_err(refused)?;
        // All others are kept by the types themselves.
        if let Some(member) = unknown.first() {
            return Err(unknown_of_ours(member));
        }
        json.unknown.retain(|_, value| !value.is_null());
        if let Some(lorawan) = &mut json.lorawan {
            lorawan.unknown.retain(|_, value| !value.is_null());
        }
        json.fuotad.iter().flat_map(|fuotad| &fuotad.file).try_for_each(OtaFileChoice::check)?;
        Ok(json)
    }
}

fn refused(misfit: Misfit<'_>) -> TaskError {
    let Misfit { path, found, reason } = misfit;
    if path.is_empty() {
        return no_document(found.unwrap_or(&Value::Null));
    }
    let is_item = path.ends_with(']');
    TaskError::Value {
        value: found.map_or(reason, shown),
        allowed: if is_item { "a string".to_owned() } else { allowed(&path) },
        path,
    }
}

/// A member of `Fuotad` that does not exist.
fn unknown_of_ours(member: &UnknownMember) -> TaskError {
    let UnknownMember { object, name } = member;
    let paths: &[&str] = if object == "Fuotad" { &PATHS } else { &FILE_PATHS };
    let known = paths.iter().filter_map(|path| path.strip_prefix(object.as_str())?.strip_prefix('.'));
    TaskError::UnknownMember {
        path: format!("{object}.{}", shown_name(name)),
        hint: nearest(name, paths).map(|near| format!(", did you mean {near}?")).unwrap_or_default(),
        known: known.collect::<Vec<_>>().join(", "),
    }
}
