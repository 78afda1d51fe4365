//! Emissions whose TX_ACK is awaited, and what was handed over and is not yet off the air.

use std::net::SocketAddr;

use crate::time::ConcentratorTime;
use crate::time::Instant;

use super::event::EmissionId;
use super::event::Refusal;
use super::txpk::TxPk;

/// Emissions whose TX_ACK is awaited, at most.
pub(super) const MAX_AWAITED: usize = 8;

/// Emissions handed over and not off the air: the forwarder's own queue holds 32.
pub(super) const MAX_HANDED_OVER: usize = 32;

/// From the end of one emission until the forwarder may safely be given another at once.
pub(super) const HOLD_US: u64 = 60_000;

/// An emission whose TX_ACK is awaited.
#[derive(Debug)]
pub(super) struct PendingAck {
    pub id: EmissionId,
    pub token: u16,
    /// The token of the copy, once it was sent again.
    pub repeat: Option<u16>,
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
        match (answer, self.repeat) {
            (Ok(remark), _) => Some(Ok(Some(remark))),
            // The second copy found the first one in its place.
            (Err(Refusal::CollisionPacket), Some(repeat)) if repeat == token && !self.first_refused => {
                Some(Ok(None))
            }
            (Err(_), Some(repeat)) if repeat != token => {
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
    list: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    id: EmissionId,
    start: Instant,
    end: Instant,
    immediate: bool,
}

impl InFlight {
    /// Forgets what is off the air and may be followed by anything.
    pub fn tidy(&mut self, now: Instant) {
        self.list.retain(|slot| slot.end.plus_us(HOLD_US) > now);
    }

    pub fn add(&mut self, id: EmissionId, start: Instant, end: Instant, immediate: bool) {
        self.list.push(Slot { id, start, end, immediate });
    }

    /// It will not be radiated.
    pub fn remove(&mut self, id: EmissionId) {
        self.list.retain(|slot| slot.id != id);
    }

    /// It starts at another time than was planned.
    pub fn moved(&mut self, id: EmissionId, start: Instant) {
        for slot in self.list.iter_mut().filter(|slot| slot.id == id) {
            slot.end = start.plus_us(slot.end.us_since(slot.start));
            slot.start = start;
        }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// When everything is off the air.
    pub fn all_off(&self, now: Instant) -> Option<Instant> {
        self.list.iter().map(|slot| slot.end.plus_us(HOLD_US)).filter(|&free_at| free_at > now).max()
    }

    /// When the next one will be off the air.
    pub fn next_off(&self) -> Option<Instant> {
        self.list.iter().map(|slot| slot.end.plus_us(HOLD_US)).min()
    }

    /// When the one without a timestamp that stands in the way of a start at `start` has ended.
    pub fn immediate_before(&self, start: Instant) -> Option<Instant> {
        let in_the_way = |slot: &&Slot| slot.immediate && slot.end.plus_us(HOLD_US) > start;
        self.list.iter().filter(in_the_way).map(|slot| slot.end.plus_us(HOLD_US)).max()
    }
}
