//! A network server's downlink that the forwarder has not answered yet.

use super::event::EmissionId;
use crate::time::Instant;
use std::net::SocketAddr;

/// One downlink of a server.
#[derive(Debug)]
pub(super) struct ServerDownlink {
    pub(super) id: EmissionId,
    pub(super) token: u16,
    pub(super) to: SocketAddr,
    pub(super) deadline: Instant,
    /// When it goes on the air, as far as that is known.
    pub(super) start: Option<Instant>,
}

/// Where a server's downlink has its place in the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When it goes on the air.
    pub start: Instant,
    /// For how long, microseconds.
    pub airtime_us: u64,
    /// It goes as "immediate".
    pub is_immediate: bool,
}
