//! Why a message of a network server cannot be used.

use crate::lorawan::Eui64;

/// The longest message that is read, bytes. An uplink that fifty gateways heard has some 40 kB.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Reasons why a message about one of our devices cannot be used. The link goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is longer than [`MAX_DOCUMENT_BYTES`].
    #[error("the message has {bytes} bytes, more than {MAX_DOCUMENT_BYTES}")]
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is no JSON.
    #[error("the message is no JSON: {reason}; the server must publish JSON, not Protobuf")]
    Syntax {
        /// serde_json's reason with line and column.
        reason: String,
    },
    /// A member has the wrong type, or a value that it cannot have.
    #[error("{path}: {reason}")]
    Member {
        /// Path of the member; `the message` for the whole.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Topic and message name different devices.
    #[error("the topic is of {topic}, the message of {message}")]
    OtherDevice {
        /// DevEUI that the topic stands for.
        topic: Eui64,
        /// DevEUI in the message.
        message: Eui64,
    },
}

impl ReadError {
    /// The error's name, for counters and logs.
    pub fn code(&self) -> &'static str {
        match self {
            ReadError::TooLarge { .. } => "too-large",
            ReadError::Syntax { .. } => "no-json",
            ReadError::Member { .. } => "wrong-member",
            ReadError::OtherDevice { .. } => "other-device",
        }
    }
}
