//! Errors of texts that should be keys or addresses.

use thiserror::Error;

/// Reasons why a text is not a key, a fingerprint or a multicast address. No variant carries any of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has too many or too few characters.
    #[error(
        "{what} is {expected} hex digits, but this has {found} bytes; write it without 0x, spaces or colons"
    )]
    Length {
        /// Name of the value to be read, for the message.
        what: &'static str,
        /// Number of hex digits required.
        expected: usize,
        /// Length of the text in bytes.
        found: usize,
    },
    /// The text has a character that is not 0-9, a-f or A-F.
    #[error("{what} is written in hex digits only, but character {position} is none")]
    NotHex {
        /// Name of the value to be read, for the message.
        what: &'static str,
        /// Position of that byte in the text, counted from 1.
        position: usize,
    },
    /// The address is 00000000, which devices refuse.
    #[error("McAddr 00000000 is refused by end devices; take an address of the network's own DevAddr block")]
    ZeroMcAddr,
}
