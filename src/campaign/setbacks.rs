//! What went wrong with the frames of late, and what it costs: a pause, a rest, an earlier hand-over.

use super::step::Refusal;
use crate::forwarder::timing::GAP_US;
use crate::report;
use crate::report::WaitReason;

/// So many refusals or silences in a row, and the campaign rests for [`REST_US`].
const PATIENCE: u32 = 20;
/// So often a frame goes out, the forwarder being heard each time and answering none of them; then it counts as sent.
const SILENCES_MAX: u32 = 5;
/// How long a campaign rests when the forwarder does not cooperate, microseconds.
const REST_US: u64 = 60_000_000;
/// How long a campaign pauses when the forwarder keeps a duty cycle of its own, microseconds.
const DUTY_PAUSE_US: u64 = 60_000_000;

/// Refusals and silences since the last frame that was accepted.
#[derive(Clone, Debug, Default)]
pub struct Setbacks {
    failures: u32,
    late: u32,
    /// How often the next frame was handed over without an answer.
    silences: u32,
    /// It rests because the forwarder did not cooperate.
    is_resting: bool,
    /// Why the forwarder made it pause.
    pause: Option<WaitReason>,
}

impl Setbacks {
    /// A frame was left unanswered; whether the same goes out again.
    pub fn silence(&mut self) -> bool {
        let is_repeated = self.silences + 1 < SILENCES_MAX;
        self.silences = if is_repeated { self.silences + 1 } else { 0 };
        is_repeated
    }

    /// A frame was refused; it may go out again after so long, microseconds.
    pub fn refusal(&mut self, frame_no: u32, refusal: &Refusal, queue_slot_us: u64) -> u64 {
        let again_us = match refusal {
            Refusal::TooLate => {
                self.late += 1;
                200_000
            }
            Refusal::WrongCounter => 100_000,
            Refusal::Beacon => 2_200_000,
            // The first time something is in the way; after that an unknown occupant or a full queue.
            Refusal::Collision if self.failures == 0 => queue_slot_us + GAP_US,
            Refusal::Collision | Refusal::Listening(_) => 1_500_000,
            Refusal::DutyCycle(_) => DUTY_PAUSE_US,
            Refusal::Channel(_) | Refusal::NotSent(_) | Refusal::Other(_) => 500_000,
        };
        let refused = report::Refused { frame_no, cause: refusal.cause(), error: refusal.to_string() };
        self.pause = Some(WaitReason::Refusal(refused));
        match refusal {
            // A forwarder that keeps the law is well: nothing failed.
            Refusal::DutyCycle(_) => again_us,
            _ => self.failure().unwrap_or(again_us),
        }
    }

    /// A frame failed; the rest that is due, microseconds.
    pub fn failure(&mut self) -> Option<u64> {
        self.failures += 1;
        self.is_resting = self.failures.is_multiple_of(PATIENCE);
        self.is_resting.then(|| {
            self.pause = Some(WaitReason::Failures(self.failures));
            REST_US
        })
    }

    /// What the forwarder did before says nothing any more; whether that ends a rest.
    pub fn end_rest(&mut self) -> bool {
        let was_resting = self.is_resting;
        if was_resting {
            *self = Setbacks { late: self.late, silences: self.silences, ..Setbacks::default() };
        }
        was_resting
    }

    /// Why the forwarder made the campaign pause.
    pub fn pause(&self) -> Option<&WaitReason> {
        self.pause.as_ref()
    }

    /// Frames come too late at the forwarder: they are handed over so many times earlier.
    pub fn lead_factor(&self) -> u64 {
        1 + u64::from(self.late / 3).min(3)
    }
}
