//! The forwarder's just-in-time queue: what was acknowledged and waits to be handed to the radio.
//!
//! It knows only what still waits. What it handed over 30-40 ms before the start is forgotten, so a later
//! packet is never tested against the one that is armed or on the air (gwmp 4, "the queue forgets").
//!
//! Starts are unrolled counts. The original compares 32-bit registers; as no entry is further than minutes
//! away, the answers are the same.

use crate::sim::concentrator::airtime::reserved_us;
use crate::sim::concentrator::frame::Frame;

/// Packets that may wait (measured: the 33rd is refused), beacons included.
pub(super) const DEPTH: usize = 32;

/// The chip's own delay before a start; a packet given to it later than this is not sent in time.
pub(super) const TX_START_US: u64 = 1_500;
/// The time to program it: the poll takes what starts within this.
pub(super) const PROGRAM_US: u64 = 40_000;
const MARGIN_US: u64 = 1_000;

/// What a packet needs before its start, and a beacon before and after it.
const PRE_US: u64 = TX_START_US + PROGRAM_US;
const BEACON_GUARD_US: u64 = 3_000_000;
const BEACON_RESERVED_US: u64 = 2_120_000;

/// A start must be further away than this: 42.5 ms; and this far from the reserved end of another.
const LEAD_US: u64 = PRE_US + MARGIN_US;
/// An immediate packet on an idle queue: 80 ms from now; behind another: 82.5 ms from its reserved end.
const SOON_US: u64 = 2 * PROGRAM_US;
const BEHIND_US: u64 = LEAD_US + PROGRAM_US;
/// A start may not be further away: 512 s, exactly 512 s included.
const ADVANCE_MAX_US: u64 = 512_000_000;

/// The start that a packet asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// As soon as the queue has room for it.
    Immediate,
    /// When the register shows this.
    Tmst(u32),
    /// The same, asked for as GPS time: a Class B downlink, which respects a beacon's guard.
    Gps(u32),
    /// A beacon at this unrolled count.
    Beacon(u64),
}

/// Reasons why the queue refuses a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLate,
    TooEarly,
    /// Overlaps what waits; said of a full queue too.
    Collision,
    /// Overlaps a beacon that waits.
    Beacon,
}

/// A packet that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Unrolled count of its start.
    pub(super) start: u64,
    /// Unrolled count when it came.
    pub(super) came: u64,
    /// How long before its start the poll of an idle bus finds it.
    pub(super) lead_us: u64,
    pub(super) conducted_dbm: i8,
    pub(super) frame: Frame,
    pub(super) is_beacon: bool,
    needs: Needs,
}

/// What a packet keeps free before and after its start.
#[derive(Clone, Copy, Debug)]
struct Needs {
    pre_us: u64,
    post_us: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct JitQueue {
    /// By start, soonest first.
    entries: Vec<Entry>,
}

impl JitQueue {
    /// Packets that wait; beacons are not counted.
    pub(super) fn packets(&self) -> usize {
        self.entries.len() - self.beacons()
    }

    pub(super) fn beacons(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_beacon).count()
    }

    /// The packet that starts soonest.
    pub(super) fn soonest(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// Takes the soonest packet out.
    pub(super) fn hand_over(&mut self) -> Option<Entry> {
        (!self.entries.is_empty()).then(|| self.entries.remove(0))
    }

    /// Queues a packet; `lead_us` is how long before its start the poll of an idle bus will find it.
    pub(super) fn enqueue(
        &mut self,
        now: u64,
        asked: Start,
        lead_us: u64,
        frame: Frame,
        conducted_dbm: i8,
    ) -> Result<(), Refusal> {
        if self.entries.len() >= DEPTH {
            return Err(Refusal::Collision);
        }
        let is_beacon = matches!(asked, Start::Beacon(_));
        let needs = if is_beacon {
            Needs { pre_us: PRE_US + BEACON_GUARD_US, post_us: BEACON_RESERVED_US }
        } else {
            Needs { pre_us: PRE_US, post_us: reserved_us(&frame) }
        };
        let start = match asked {
            Start::Immediate => self.first_gap(now, needs),
            // A start in the past is one almost a whole turn of the register ahead.
            Start::Tmst(tmst) | Start::Gps(tmst) => now + u64::from(tmst.wrapping_sub(now as u32)),
            Start::Beacon(start) => start,
        };
        if start.saturating_sub(now) <= LEAD_US {
            return Err(Refusal::TooLate);
        }
        if start - now > ADVANCE_MAX_US && matches!(asked, Start::Tmst(_) | Start::Gps(_)) {
            return Err(Refusal::TooEarly);
        }
        if let Some(waiting) = self.entries.iter().find(|entry| {
            // Only what was asked for as GPS time, and other beacons, keep out of a beacon's guard.
            let ignores_guard = entry.is_beacon && matches!(asked, Start::Immediate | Start::Tmst(_));
            let pre_us = if ignores_guard { TX_START_US } else { entry.needs.pre_us };
            collides(start, needs, entry.start, Needs { pre_us, ..entry.needs })
        }) {
            return Err(if waiting.is_beacon { Refusal::Beacon } else { Refusal::Collision });
        }
        let place = self.entries.partition_point(|entry| entry.start < start);
        let entry = Entry { start, came: now, lead_us, conducted_dbm, frame, is_beacon, needs };
        self.entries.insert(place, entry);
        Ok(())
    }

    /// Where an immediate packet goes: 80 ms from now if nothing that waits is in the way, else behind the
    /// first waiting packet that leaves room before the next, else behind the last. Here a beacon's guard counts.
    fn first_gap(&self, now: u64, needs: Needs) -> u64 {
        let is_in_the_way = |entry: &Entry, start| collides(start, needs, entry.start, entry.needs);
        let soon = now + SOON_US;
        if !self.entries.iter().any(|entry| is_in_the_way(entry, soon)) {
            return soon;
        }
        let mut behind = soon;
        for (place, entry) in self.entries.iter().enumerate() {
            behind = entry.start + entry.needs.post_us + BEHIND_US;
            if self.entries.get(place + 1).is_none_or(|next| !is_in_the_way(next, behind)) {
                break;
            }
        }
        behind
    }
}

/// Whether two packets come within a millisecond of what the other needs.
fn collides(start: u64, needs: Needs, other: u64, others: Needs) -> bool {
    if start >= other {
        start - other <= needs.pre_us + others.post_us + MARGIN_US
    } else {
        other - start <= others.pre_us + needs.post_us + MARGIN_US
    }
}
