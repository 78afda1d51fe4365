//! The documents of AWS: what orders a broadcast, and what AWS says around an order.
//!
//! A task comes from a file or from AWS IoT Wireless. Both speak the JSON of `GetFuotaTask`
//! (API version 2020-11-22), here [`FuotaTaskJson`]; a file may add the member `Fuotad`
//! ([`FuotadJson`]) for what AWS cannot say:
//!
//! ```text
//! bytes --json_tree--> tree --FuotaTaskJson::from_tree--> FuotaTaskJson --into_task / into_cloud_task--> Task
//!         syntax, no name twice      types, paths                          ranges, defaults, meaning
//! ```
//!
//! A document with the member `otaUpdateInfo` is an OTA update (GetOTAUpdate of AWS IoT), with the same `Fuotad`. What
//! AWS says around an order (groups, sessions, a stream, a job document) stands in the member `Cloud`.
//!
//! Every document is parsed once, by [`json_tree`], and read by one reader: a list is no object, a value of the
//! wrong type is named by its path. Members that AWS may add one day are warnings; members of `Fuotad` that we do
//! not know are errors. This room does not know clocks, files or the network.

mod accept;
mod enclosed;
mod facts;
mod file_choice;
mod fuota_task;
mod image_ref;
mod job_document;
mod json_tree;
mod look_alike;
mod members;
mod moment;
mod ota;
mod raw_task;
mod reader;
mod task_status;

pub use accept::task_from_cloud;
pub use accept::task_from_file;
pub use enclosed::enclosed_evidence;
pub use facts::CloudFacts;
pub use facts::MulticastGroup;
pub use facts::MulticastLoRaWan;
pub use facts::MulticastSession;
pub use facts::ParticipatingGateways;
pub use facts::S3Location;
pub use facts::SessionLoRaWan;
pub use facts::SessionParameters;
pub use facts::SignedObject;
pub use facts::SignedS3;
pub use facts::SigningJob;
pub use facts::Stream;
pub use facts::StreamFile;
pub use facts::WirelessGateway;
pub use file_choice::OtaFileChoice;
pub use fuota_task::FuotaTaskJson;
pub use fuota_task::FuotadJson;
pub use fuota_task::LoRaWanJson;
pub use image_ref::image_ref;
pub use image_ref::s3_object;
pub use job_document::JobFile;
pub use job_document::job_evidence;
pub use json_tree::json_tree;
pub use moment::Moment;
pub use ota::CodeSigning;
pub use ota::ErrorInfo;
pub use ota::FileLocation;
pub use ota::OtaFile;
pub use ota::OtaStatus;
pub use ota::OtaUpdate;
pub use task_status::status_from_aws;
pub use task_status::status_to_aws;

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod tests;
