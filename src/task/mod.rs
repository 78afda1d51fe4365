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
//! Members that AWS may add one day are warnings; members of `Fuotad` that we do not know are errors.
//! This room does not know regions, clocks or files: whether the fragment size fits the air is asked later.

mod error;
mod id;
mod image_ref;
mod json;
mod members;
mod order;
mod pace;
mod status;
mod timestamp;

pub use error::TaskError;
pub use id::MAX_ID_CHARS;
pub use id::TaskId;
pub use image_ref::ImageRef;
pub use image_ref::MAX_IMAGE_REF_CHARS;
pub use json::FuotaTaskJson;
pub use json::FuotadJson;
pub use json::LoRaWanJson;
pub use json::MAX_TASK_BYTES;
pub use members::nearest;
pub use order::DEFAULT_REDUNDANCY_PERCENT;
pub use order::MAX_GROUPS;
pub use order::MAX_WARNINGS;
pub use order::Task;
pub use pace::Interval;
pub use pace::Start;
pub use pace::redundancy_fragments;
pub use status::TaskStatus;
pub use timestamp::gps_from_rfc3339;
pub use timestamp::rfc3339_from_gps;

#[cfg(test)]
mod tests;
