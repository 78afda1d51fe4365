//! What a look at an order showed.

use crate::cloud::FuotaTaskJson;
use crate::cloud::task_from_cloud;

/// What a look showed.
#[derive(Clone, Debug)]
pub(super) enum PollResult {
    /// An order: its document, and AWS's word for where it stands.
    Document {
        bytes: Vec<u8>,
        status: String,
        /// It is being deleted: its download is pointless.
        is_over: bool,
    },
    /// Nothing to do yet, or any more: AWS's word for it, with what it means.
    Waiting(String),
    /// Not for this gateway, or not readable: one line with the way out.
    Refused { reason: String, is_over: bool },
    /// Being deleted: not begun any more.
    Withdrawn(String),
    /// There is no such order.
    NotFound,
}

impl PollResult {
    /// The document `json`, judged as the engine will judge it. Asked here because only here it is certain that
    /// no file of this gateway may be named.
    pub(super) fn of(json: FuotaTaskJson, status: String, is_over: bool) -> PollResult {
        let bytes = match serde_json::to_vec(&json) {
            Ok(bytes) => bytes,
            Err(error) => return PollResult::Refused { reason: error.to_string(), is_over },
        };
        // Read again, so that what is told is what the engine reads, its size included.
        match task_from_cloud(&bytes) {
            Ok(_) => PollResult::Document { bytes, status, is_over },
            Err(error) => PollResult::Refused { reason: error.to_string(), is_over },
        }
    }
}
