//! The order: which image goes to which multicast groups, when and with how much redundancy.
//!
//! A [`Task`] comes from a file or from AWS IoT Wireless. Both speak the JSON of `GetFuotaTask`
//! (API version 2020-11-22), here [`FuotaTaskJson`]; a file may add the member `Fuotad`
//! ([`FuotadJson`]) for what AWS cannot say:
//!
//! ```text
//! bytes --FuotaTaskJson::from_slice--> FuotaTaskJson --Task::from_json / Task::from_cloud--> Task
//!         syntax and types                              ranges, defaults, meaning
//! ```
//!
//! A document with the member `otaUpdateInfo` is an OTA update (GetOTAUpdate of AWS IoT), with the same `Fuotad`. What
//! AWS says around an order (groups, sessions, a stream, a job document) stands in the member `Cloud`.
//!
//! Members that AWS may add one day are warnings; members of `Fuotad` that we do not know are errors.
//! This room does not know regions, clocks or files: whether the fragment size fits the air is asked later.

mod cloud;
mod error;
mod id;
mod image_ref;
mod json;
mod members;
mod order;
mod ota;
mod pace;
mod said;
mod shape;
mod status;
mod timestamp;

pub use cloud::CloudFacts;
pub use cloud::MulticastGroup;
pub use cloud::MulticastLoRaWan;
pub use cloud::MulticastSession;
pub use cloud::ParticipatingGateways;
pub use cloud::S3Location;
pub use cloud::SessionLoRaWan;
pub use cloud::SessionParameters;
pub use cloud::SignedObject;
pub use cloud::SignedS3;
pub use cloud::SigningJob;
pub use cloud::Stream;
pub use cloud::StreamFile;
pub use cloud::WirelessGateway;
pub use error::TaskError;
pub use id::MAX_ID_CHARS;
pub use id::TaskId;
pub use image_ref::ImageRef;
pub use image_ref::MAX_IMAGE_REF_CHARS;
pub use json::FuotaTaskJson;
pub use json::FuotadJson;
pub use json::LoRaWanJson;
pub use json::MAX_TASK_BYTES;
pub use members::json_tree;
pub use members::nearest;
pub use order::DEFAULT_REDUNDANCY_PERCENT;
pub use order::MAX_GROUPS;
pub use order::MAX_WARNINGS;
pub use order::Task;
pub use ota::CodeSigning;
pub use ota::ErrorInfo;
pub use ota::FileLocation;
pub use ota::JobEntry;
pub use ota::OtaFile;
pub use ota::OtaFileChoice;
pub use ota::OtaStatus;
pub use ota::OtaUpdate;
pub use ota::SignatureMaterial;
pub use pace::Interval;
pub use pace::Start;
pub use pace::redundancy_fragments;
pub use shape::Moment;
pub use status::TaskStatus;
pub use timestamp::gps_from_rfc3339;
pub use timestamp::rfc3339_from_gps;

#[cfg(test)]
mod tests;
