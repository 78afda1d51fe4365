//! The forwarder's just-in-time queue: what was acknowledged and waits to be handed to the radio.
//!
//! It knows only what still waits. What it handed over 30-40 ms before the start is forgotten, so a later
//! packet is never tested against the one that is armed or on the air (gwmp 4, "the queue forgets").
//!
//! Starts are unrolled counts. The original compares 32-bit registers; as no entry is further than minutes
//! away, the answers are the same.

use crate::sim::concentrator::airtime::reserved_us;
use crate::sim::concentrator::frame::Frame;

/// Packets that may wait (measured: the 33rd is refused).
pub(super) const DEPTH: usize = 32;

/// Before a start: the chip's own delay, and the time to program it.
const TX_START_US: u64 = 1_500;
const PROGRAM_US: u64 = 40_000;
const MARGIN_US: u64 = 1_000;

/// A start must be further away than this: 42.5 ms; and this far from the reserved end of another.
const LEAD_US: u64 = TX_START_US + PROGRAM_US + MARGIN_US;
/// An immediate packet on an idle queue: 80 ms from now; behind another: 82.5 ms from its reserved end.
const SOON_US: u64 = 2 * PROGRAM_US;
const BEHIND_US: u64 = LEAD_US + PROGRAM_US;
/// A start may not be further away: 512 s, exactly 512 s included.
const ADVANCE_MAX_US: u64 = 512_000_000;

/// When a packet asked to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// As soon as the queue has room for it.
    Immediate,
    /// When the register shows this.
    Tmst(u32),
}

/// Why a packet may not wait here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLate,
    TooEarly,
    /// Overlaps what waits; said of a full queue too.
    Collision,
}

/// A packet that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Unrolled count of its start.
    pub(super) start: u64,
    /// Unrolled count at which it is taken out and given to the radio.
    pub(super) hand_over: u64,
    pub(super) conducted_dbm: i8,
    pub(super) frame: Frame,
    reserved_us: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct JitQueue {
    /// By start, soonest first.
    entries: Vec<Entry>,
}

impl JitQueue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Unrolled count of the next hand-over.
    pub(super) fn next_hand_over(&self) -> Option<u64> {
        self.entries.first().map(|entry| entry.hand_over)
    }

    /// Takes the soonest packet out.
    pub(super) fn hand_over(&mut self) -> Option<Entry> {
        (!self.entries.is_empty()).then(|| self.entries.remove(0))
    }

    /// Lets a packet wait; `lead_us` is how long before its start the poll will find it.
    pub(super) fn enqueue(
        &mut self,
        now: u64,
        start: Start,
        lead_us: u64,
        frame: Frame,
        conducted_dbm: i8,
    ) -> Result<(), Refusal> {
        if self.entries.len() >= DEPTH {
            return Err(Refusal::Collision);
        }
        let reserved_us = reserved_us(&frame);
        let start = match start {
            Start::Immediate => self.first_gap(now, reserved_us),
            Start::Tmst(tmst) => {
                // A start in the past is one almost a whole turn of the register ahead.
                let ahead_us = u64::from(tmst.wrapping_sub(now as u32));
                if ahead_us <= LEAD_US {
                    return Err(Refusal::TooLate);
                }
                if ahead_us > ADVANCE_MAX_US {
                    return Err(Refusal::TooEarly);
                }
                now + ahead_us
            }
        };
        if self.entries.iter().any(|entry| collides(entry, start, reserved_us)) {
            return Err(Refusal::Collision);
        }
        let place = self.entries.partition_point(|entry| entry.start < start);
        let hand_over = start.saturating_sub(lead_us).max(now);
        self.entries.insert(place, Entry { start, hand_over, conducted_dbm, frame, reserved_us });
        Ok(())
    }

    /// Where an immediate packet goes: 80 ms from now if nothing that waits is in the way, else behind the
    /// first waiting packet that leaves room before the next, else behind the last.
    fn first_gap(&self, now: u64, reserved_us: u64) -> u64 {
        let soon = now + SOON_US;
        if !self.entries.iter().any(|entry| collides(entry, soon, reserved_us)) {
            return soon;
        }
        let mut behind = soon;
        for (place, entry) in self.entries.iter().enumerate() {
            behind = entry.start + entry.reserved_us + BEHIND_US;
            if self.entries.get(place + 1).is_none_or(|next| !collides(next, behind, reserved_us)) {
                break;
            }
        }
        behind
    }
}

/// Whether a packet at `start` comes within 42.5 ms of a waiting one, either way.
fn collides(entry: &Entry, start: u64, reserved_us: u64) -> bool {
    if start >= entry.start {
        start - entry.start <= entry.reserved_us + LEAD_US
    } else {
        entry.start - start <= reserved_us + LEAD_US
    }
}
