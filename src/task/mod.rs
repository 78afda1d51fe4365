//! The order: which image goes to which multicast groups, when and with how much redundancy.
//!
//! A [`Task`] is made of a document elsewhere; here is what it says, whatever service or file said it. This room
//! does not know documents, regions, clocks or files: whether the fragment size fits the air is asked later.

mod announced;
mod definition;
mod error;
mod id;
mod image_ref;
mod pace;
mod signature;
mod status;
mod text;
mod timestamp;

pub use announced::AnnouncedChannel;
pub use announced::AnnouncedGroup;
pub use announced::AnnouncedSession;
pub use definition::DEFAULT_REDUNDANCY_PERCENT;
pub use definition::MAX_GROUPS;
pub use definition::MAX_WARNINGS;
pub use definition::Task;
pub use error::MAX_TASK_BYTES;
pub use error::TaskError;
pub use id::MAX_ID_CHARS;
pub use id::TaskId;
pub use image_ref::ImageRef;
pub use image_ref::without_query;
pub use pace::Interval;
pub use pace::Start;
pub use pace::redundancy_fragments;
pub use signature::EnclosedSignature;
pub use signature::TaskSignature;
pub use status::TaskStatus;
pub use text::nearest;
pub use timestamp::gps_from_rfc3339;
pub use timestamp::rfc3339_from_gps;
