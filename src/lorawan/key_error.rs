//! Why a text is refused as a key.

use thiserror::Error;

/// Why a text is not a key, a fingerprint or a multicast address. No variant carries any of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Too many or too few characters.
    #[error(
        "{what} is {expected} hex digits, but this has {found} bytes; write it without 0x, spaces or colons"
    )]
    Length {
        /// What was to be read.
        what: &'static str,
        /// Hex digits wanted.
        expected: usize,
        /// Bytes of text found.
        found: usize,
    },
    /// A character outside 0-9, a-f, A-F.
    #[error("{what} is written in hex digits only, but character {position} is none")]
    NotHex {
        /// What was to be read.
        what: &'static str,
        /// Which byte of the text, counted from 1.
        position: usize,
    },
    /// The address that devices refuse.
    #[error("McAddr 00000000 is refused by end devices; take an address of the network's own DevAddr block")]
    ZeroMcAddr,
}
