//! What sources of tasks tell the driver, and what it asks of them.

use crate::broadcast::TaskSource;
use crate::signing::Evidence;
use crate::task::TaskId;

/// Facts that may wait for the driver; whoever has more waits.
pub const FACTS_MAX: usize = 64;

/// Wishes that may wait for the cloud's side: after a restart each open task's image is asked for at once.
pub const WISHES_MAX: usize = 2 * TASKS_MAX;

/// Tasks that can be open at the same time.
pub const TASKS_MAX: usize = 64;

/// Something a source of tasks knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A task document was seen, for the first time or changed.
    Task {
        /// The document's bytes, JSON.
        document: Vec<u8>,
        /// The task's id where the document has none.
        stem: String,
        /// Where it came from.
        source: TaskSource,
    },
    /// Its file is gone for the moment: no frame of it until its document is told again, or it is [`Fact::Gone`].
    Missing(TaskId),
    /// The task is not there any more: it is cancelled.
    Gone(TaskId),
    /// The order is being deleted: it is cancelled unless its first frame was sent.
    Withdrawn(TaskId),
    /// What became of the image that was to be brought for a task.
    Image(TaskId, Fetched),
}

/// What became of a fetch of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The bytes of the whole image, and the signature that came with it.
    Image(Vec<u8>, Option<Evidence>),
    /// It cannot be had yet, and is tried again: one line why.
    Missing(String),
    /// It can never be had: one line why.
    Failed(String),
}

/// What the driver asks of the cloud's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageWish {
    /// Bring this image, instead of whatever was to be brought for the task before.
    Fetch(FetchOrder),
    /// The task is over, refused or cancelled: its image is not needed any more.
    Over(TaskId),
}

/// An image that the driver cannot bring by itself (`s3://`, `https://`): the answer is [`Fetched::Image`] or
/// [`Fetched::Failed`], and [`Fetched::Missing`] as often as something new keeps it away.
pub use crate::broadcast::Fetch as FetchOrder;
