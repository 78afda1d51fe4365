//! The radio behind the queue: one packet armed, one on the air, deaf while it sends.

use std::collections::VecDeque;

use crate::sim::concentrator::frame::Transmission;
use crate::time::Instant;

/// Own transmissions remembered to tell which receptions they spoiled. The longest LoRa packet takes 9.1 s
/// (SF12, 255 bytes), the shortest gap between two transmissions is 42 ms.
const REMEMBERED: usize = 256;

/// What the radio made of a packet handed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOver {
    Armed,
    /// Armed; the packet that was armed before will never be radiated. Whether that was a beacon.
    Overwrote {
        beacon: bool,
    },
}

#[derive(Clone, Debug, Default)]
pub(super) struct RadioChip {
    /// With whether it is a beacon.
    armed: Option<(Transmission, bool)>,
    /// Start and end of what was radiated, oldest first.
    sent: VecDeque<(Instant, Instant)>,
}

impl RadioChip {
    /// Whether it is sending at `now`; a packet handed over meanwhile is dropped.
    pub(super) fn is_emitting(&self, now: Instant) -> bool {
        self.sent.back().is_some_and(|&(_, end)| end > now)
    }

    pub(super) fn arm(&mut self, transmission: Transmission, is_beacon: bool) -> HandOver {
        match self.armed.replace((transmission, is_beacon)) {
            None => HandOver::Armed,
            Some((_, beacon)) => HandOver::Overwrote { beacon },
        }
    }

    /// Whether a packet other than a beacon is armed.
    pub(super) fn holds_packet(&self) -> bool {
        self.armed.as_ref().is_some_and(|(_, is_beacon)| !is_beacon)
    }

    /// When the armed packet goes on the air.
    pub(super) fn armed_start(&self) -> Option<Instant> {
        self.armed.as_ref().map(|(transmission, _)| transmission.start)
    }

    /// The armed packet goes on the air; with whether it is a beacon.
    pub(super) fn fire(&mut self) -> Option<(Transmission, bool)> {
        let (transmission, is_beacon) = self.armed.take()?;
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((transmission.start, transmission.end()));
        Some((transmission, is_beacon))
    }

    /// Whether any part of `from..to` fell into a transmission of its own.
    pub(super) fn was_deaf(&self, from: Instant, to: Instant) -> bool {
        self.sent.iter().rev().take_while(|&&(_, end)| end > from).any(|&(start, _)| start < to)
    }

    /// Forgets the armed packet. What is on the air already stays there.
    pub(super) fn reset(&mut self) {
        self.armed = None;
    }
}
