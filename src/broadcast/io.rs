//! What crosses the broadcaster's threshold: its wishes, and the answers to them.

use crate::campaign::Transmit;
use crate::image::Digest;
use crate::report::Report;
use crate::store::Change;
use crate::store::StoreError;
use crate::task::ImageRef;
use crate::task::TaskId;
use serde::Deserialize;
use serde::Serialize;

/// What the broadcaster wants done.
#[derive(Debug)]
pub enum Output {
    /// Hand a frame to the forwarder; its verdict comes back through [`Broadcaster::verdict`](super::broadcaster::Broadcaster::verdict).
    Transmit(Box<Transmit>),
    /// Bring the image; it comes back through [`Broadcaster::image`](super::broadcaster::Broadcaster::image).
    Fetch(Fetch),
    /// Make this durable, in order; the answer comes back through [`Broadcaster::saved`](super::broadcaster::Broadcaster::saved).
    Save(u64, Change),
    /// Tell the log, the status page and the simulated world.
    Report(Report),
    /// After [`Broadcaster::stop`](super::broadcaster::Broadcaster::stop): everything is on disk, the process may end.
    Stopped,
}

/// An image that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Task that the image belongs to.
    pub task: TaskId,
    /// URI of the image, as the task has it.
    pub image: ImageRef,
    /// What it must hash to, where that is known: a copy with this digest is as good.
    pub digest: Option<Digest>,
    /// Whether its signature is to be brought, too.
    pub signature: SignatureWish,
}

/// Whether the signature of an image is to be brought with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureWish {
    /// Nobody would look at it.
    No,
    /// If there is one: then it must be good.
    IfThere,
    /// Without it the image is of no use: it is waited for.
    Needed,
}

/// Where a task came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskSource {
    /// The operator's folder: Status is advisory, but for Delete_Waiting.
    File,
    /// A control plane that moves Status by itself.
    Cloud,
}

/// Why something is not durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSaved {
    /// The disk is full: this cannot be kept for now, everything before it is.
    NoRoom(String),
    /// The store says no: this is never kept, everything before it is.
    Refused(String),
    /// Storage failed: from now on nothing can be relied on.
    Broken(String),
}

/// What a store's "no" means here: its own refusals cost one task, a full disk puts it off, a disk that failed costs
/// everything.
impl From<&StoreError> for NotSaved {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Files(_) | StoreError::Halted(_) => NotSaved::Broken(error.to_string()),
            StoreError::NoSpace(_) => NotSaved::NoRoom(error.to_string()),
            _ => NotSaved::Refused(error.to_string()),
        }
    }
}
