//! What the real world tells the engine.

use crate::broadcast::TaskSource;
use crate::task::TaskId;

/// One fact.
#[derive(Debug)]
pub enum Fact {
    /// A task document was seen.
    Task {
        /// The JSON.
        document: Vec<u8>,
        /// Its id where the document has none.
        stem: String,
        /// Where it came from.
        source: TaskSource,
    },
    /// The task is not there any more.
    Gone(TaskId),
    /// The image that a task needs.
    Image(TaskId, Vec<u8>),
    /// It cannot be had: one line why.
    ImageFailed(TaskId, String),
}
