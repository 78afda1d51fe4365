//! What sources of tasks tell the driver, and what it asks of them.

use crate::broadcast::TaskSource;
use crate::task::ImageRef;
use crate::task::TaskId;

/// Facts that may wait for the driver; whoever has more waits.
pub const FACTS_MAX: usize = 64;

/// Something a source of tasks knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A task document was seen, for the first time or changed.
    Task {
        /// The JSON.
        document: Vec<u8>,
        /// The task's id where the document has none.
        stem: String,
        /// Where it came from.
        source: TaskSource,
    },
    /// The task is not there any more: it is cancelled.
    Gone(TaskId),
    /// The order is being deleted: it is cancelled unless its first frame was sent.
    Withdrawn(TaskId),
    /// The image that a [`FetchOrder`] asked for.
    Image(TaskId, Vec<u8>),
    /// It cannot be had: one line why.
    ImageFailed(TaskId, String),
}

/// An image that the driver cannot bring by itself (`s3://`, `https://`): the answer is [`Fact::Image`] or
/// [`Fact::ImageFailed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOrder {
    /// For which task.
    pub task: TaskId,
    /// Where it lies.
    pub image: ImageRef,
}
