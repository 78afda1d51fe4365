//! How many lives of the process were short, one after the other. No clock is needed, so it holds across reboots
//! and with a wall clock that nobody trusts.

use crate::store::bytes::array;
use crate::store::ring::Form;

/// The ring of counts.
pub(super) const LIVES: Form = Form { name: "lives", magic: *b"FTLV", slots: 2, slot_bytes: 4096 };

/// A count as an entry of the ring.
pub(super) fn encode(short: u32) -> Vec<u8> {
    short.to_le_bytes().to_vec()
}

/// The count of an entry.
pub(super) fn decode(payload: &[u8]) -> Option<u32> {
    (payload.len() >= 4).then(|| u32::from_le_bytes(array(payload, 0)))
}
