//! Network servers' downlinks that the forwarder has not answered yet: our token there, the server's kept by the relay.

use super::event::EmissionId;
use super::timing::SERVER_ACK_US;
use crate::time::Instant;
use std::net::SocketAddr;

/// Downlinks whose TX_ACK is awaited, at most: what a forwarder's socket holds for certain (measured: 166).
const PENDING_MAX: usize = 100;

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

/// One downlink of a server.
#[derive(Debug)]
pub(super) struct ServerDownlink {
    pub id: EmissionId,
    pub token: u16,
    pub to: SocketAddr,
    /// When it goes on the air, as far as that is known.
    pub start: Option<Instant>,
    deadline: Instant,
}

/// All of them; at most [`PENDING_MAX`].
#[derive(Debug, Default)]
pub(super) struct ServerDownlinks {
    pending: Vec<ServerDownlink>,
}

impl ServerDownlinks {
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    pub fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX
    }

    pub fn add(&mut self, now: Instant, id: EmissionId, token: u16, to: SocketAddr, start: Option<Instant>) {
        let deadline = now.plus_us(SERVER_ACK_US);
        self.pending.push(ServerDownlink { id, token, to, start, deadline });
    }

    /// The downlink that a TX_ACK with this token from there answers; it is awaited no longer.
    pub fn take(&mut self, from: SocketAddr, token: u16) -> Option<ServerDownlink> {
        let index = self.pending.iter().position(|pending| pending.to == from && pending.token == token)?;
        Some(self.pending.swap_remove(index))
    }

    /// Forgets downlinks that were never answered: whoever asked for them hears nothing either.
    pub fn forget_unanswered(&mut self, now: Instant) {
        self.pending.retain(|pending| pending.deadline > now);
    }

    /// When the next of them is forgotten.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.deadline).min()
    }
}
