//! Emissions whose TX_ACK is awaited, and what was handed over and is not yet off the air.

use std::net::SocketAddr;

use crate::time::ConcentratorTime;
use crate::time::Instant;

use super::event::EmissionId;
use super::event::Refusal;
use super::timing::IMMEDIATE_HOLD_US;
use super::txpk::TxPk;

/// Emissions whose TX_ACK is awaited, at most.
pub(super) const PENDING_ACKS_MAX: usize = 8;

/// Emissions handed over and not off the air: the forwarder's own queue holds 32.
pub(super) const IN_FLIGHT_MAX: usize = 32;

/// An emission whose TX_ACK is awaited.
#[derive(Debug)]
pub(super) struct PendingAck {
    pub id: EmissionId,
    pub token: u16,
    /// The token of the copy, once it was sent again.
    pub copy_token: Option<u16>,
    /// The first copy was refused while the answer to the second is awaited.
    pub first_refused: bool,
    pub to: SocketAddr,
    pub txpk: TxPk,
    /// On our clock: when it goes on the air.
    pub start: Instant,
    /// On the forwarder's; `None` for one without a timestamp.
    pub at: Option<ConcentratorTime>,
    /// When silence becomes an answer.
    pub deadline: Instant,
}

impl PendingAck {
    /// What an answer to `token` means for this emission; `None` while another copy may still be taken.
    pub fn judge<T>(&mut self, token: u16, answer: Result<T, Refusal>) -> Option<Result<Option<T>, Refusal>> {
        match (answer, self.copy_token) {
            (Ok(remark), _) => Some(Ok(Some(remark))),
            // The second copy found the first one in its place.
            (Err(Refusal::CollisionPacket), Some(copy)) if copy == token && !self.first_refused => {
                Some(Ok(None))
            }
            (Err(_), Some(copy)) if copy != token => {
                self.first_refused = true;
                None
            }
            (Err(refusal), _) => Some(Err(refusal)),
        }
    }
}

/// What the forwarder has and has not yet radiated to its end, as far as we know. The forwarder forgets what it
/// has given to its radio, and drops what collides with that without a word; so we remember.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    list: Vec<Emitted>,
}

#[derive(Clone, Copy, Debug)]
struct Emitted {
    id: EmissionId,
    start: Instant,
    end: Instant,
    is_immediate: bool,
}

impl InFlight {
    /// Forgets what is off the air and may be followed by anything.
    pub fn tidy(&mut self, now: Instant) {
        self.list.retain(|emitted| emitted.end.plus_us(IMMEDIATE_HOLD_US) > now);
    }

    pub fn add(&mut self, id: EmissionId, start: Instant, end: Instant, is_immediate: bool) {
        self.list.push(Emitted { id, start, end, is_immediate });
    }

    /// It will not be radiated.
    pub fn remove(&mut self, id: EmissionId) {
        self.list.retain(|emitted| emitted.id != id);
    }

    /// It starts at another time than was planned.
    pub fn moved(&mut self, id: EmissionId, start: Instant) {
        for emitted in self.list.iter_mut().filter(|emitted| emitted.id == id) {
            emitted.end = start.plus_us(emitted.end.us_since(emitted.start));
            emitted.start = start;
        }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// When everything is off the air.
    pub fn all_off(&self, now: Instant) -> Option<Instant> {
        self.list
            .iter()
            .map(|emitted| emitted.end.plus_us(IMMEDIATE_HOLD_US))
            .filter(|&free_at| free_at > now)
            .max()
    }

    /// When the next one will be off the air.
    pub fn next_off(&self) -> Option<Instant> {
        self.list.iter().map(|emitted| emitted.end.plus_us(IMMEDIATE_HOLD_US)).min()
    }

    /// When the one without a timestamp that stands in the way of a start at `start` has ended.
    pub fn immediate_before(&self, start: Instant) -> Option<Instant> {
        let in_the_way =
            |emitted: &&Emitted| emitted.is_immediate && emitted.end.plus_us(IMMEDIATE_HOLD_US) > start;
        self.list.iter().filter(in_the_way).map(|emitted| emitted.end.plus_us(IMMEDIATE_HOLD_US)).max()
    }
}
