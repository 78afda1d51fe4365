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
    /// Armed; the packet that was armed before will never be radiated.
    Overwrote,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RadioChip {
    armed: Option<Transmission>,
    /// Start and end of what was radiated, oldest first.
    sent: VecDeque<(Instant, Instant)>,
}

impl RadioChip {
    /// Whether it is sending at `now`; a packet handed over meanwhile is dropped.
    pub(super) fn is_emitting(&self, now: Instant) -> bool {
        self.sent.back().is_some_and(|&(_, end)| end > now)
    }

    pub(super) fn arm(&mut self, transmission: Transmission) -> HandOver {
        match self.armed.replace(transmission) {
            None => HandOver::Armed,
            Some(_) => HandOver::Overwrote,
        }
    }

    /// When the armed packet goes on the air.
    pub(super) fn armed_start(&self) -> Option<Instant> {
        self.armed.as_ref().map(|transmission| transmission.start)
    }

    /// The armed packet goes on the air.
    pub(super) fn fire(&mut self) -> Option<Transmission> {
        let transmission = self.armed.take()?;
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((transmission.start, transmission.end()));
        Some(transmission)
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
