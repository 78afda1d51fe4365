//! What can be wrong with a task, in one line, with the place and the way out.

use thiserror::Error;

/// The largest task document that is read, in bytes: an OTA update with its job document and certificates.
pub const MAX_TASK_BYTES: usize = 256 * 1024;

/// Why a document is no task.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The document is longer than [`MAX_TASK_BYTES`].
    #[error("the task has {bytes} bytes; at most {MAX_TASK_BYTES} are read")]
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// UTF-16, as some shells write what a command prints.
    #[error("the task is UTF-16 text; save it as UTF-8")]
    Utf16,
    /// Not JSON, or a member twice in one object.
    #[error("line {line} column {column}: {reason}")]
    Syntax {
        /// The line of the mistake, from 1.
        line: usize,
        /// Column in bytes, from 1; 0 at the very beginning of a line.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A member without which there is no task.
    #[error("{path} is missing; it is {allowed}")]
    Missing {
        /// The path of the missing member.
        path: &'static str,
        /// What it may be.
        allowed: String,
    },
    /// A member of the wrong type, out of its range, or without meaning.
    #[error("{path} is {value}; allowed: {allowed}")]
    Value {
        /// The member's path, as `Fuotad.MulticastGroups[1]`.
        path: String,
        /// What stands there, shortened.
        value: String,
        /// What may stand there.
        allowed: String,
    },
    /// A member of the wrong type, in what a service says.
    #[error("{path}: {reason}")]
    Shape {
        /// The path of the mistyped member.
        path: String,
        /// What stands there and what was expected.
        reason: String,
    },
    /// A member of `Fuotad` that does not exist.
    #[error("{path} is unknown{hint}; known are {known}")]
    UnknownMember {
        /// The path of the unknown member.
        path: String,
        /// `, did you mean …?`, or nothing.
        hint: String,
        /// All names that exist there.
        known: String,
    },
}
