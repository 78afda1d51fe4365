//! Why the daemon did not start, or had to end, each with its `sysexits.h` code.

use super::io_words::io_words;
use crate::store::StoreError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// Why `fuotad run` ended with an error. One line with the way out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The UDP port belongs to somebody else.
    #[error(
        "{address} is in use: another server (a network server's bridge, or another fuotad) listens there; find it with `ss -lunp`, stop it or change [forwarder] listen and the packet forwarder's server address"
    )]
    PortInUse {
        /// The address that another has.
        address: SocketAddr,
    },
    /// The socket cannot be had for another reason.
    #[error(
        "cannot listen on {address}: {}; [forwarder] listen must be an address of this machine and a port it may use",
        io_words(error)
    )]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's word for the reason.
        error: io::Error,
    },
    /// Another instance works in the same state folder.
    #[error(
        "another fuotad works in {}: two of them would use the same frame counters; stop it, or give this one its own [state] dir and its own keys",
        dir.display()
    )]
    SecondInstance {
        /// The state folder that is held.
        dir: PathBuf,
    },
    /// The state folder cannot be used.
    #[error(
        "the state folder {} cannot be used: {}; create it and give it to the service's user, mode 0700",
        dir.display(),
        io_words(error)
    )]
    StateDir {
        /// The state folder as configured.
        dir: PathBuf,
        /// The system's word for the reason.
        error: io::Error,
    },
    /// What is stored cannot be read.
    #[error("state folder {}: {error}", dir.display())]
    Store {
        /// The state folder as configured.
        dir: PathBuf,
        /// What the store cannot read, or write.
        error: StoreError,
    },
    /// The system does not give what every process needs.
    #[error("the system refuses {what}: {}", io_words(error))]
    System {
        /// What was asked for.
        what: &'static str,
        /// The system's word for the reason.
        error: io::Error,
    },
    /// A part of the daemon ended that never should.
    #[error("the {0} ended unexpectedly: please report it; the service manager starts anew")]
    Broken(&'static str),
}

impl StartError {
    /// The exit code of the process (sysexits.h): 69 to 75.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::PortInUse { .. } | StartError::Listen { .. } => 69,
            StartError::Broken(_) => 70,
            StartError::System { .. } => 71,
            StartError::StateDir { .. } => 73,
            StartError::Store { .. } => 74,
            StartError::SecondInstance { .. } => 75,
        }
    }
}
