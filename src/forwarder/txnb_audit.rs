//! What the forwarder accepted against what it gave to the radio (`stat.txnb`, PROTOCOL.TXT 4): it acknowledges frames
//! that it then drops without a word.

use crate::time::Instant;
use std::collections::VecDeque;

/// A frame is given to the radio 30 to 40 ms before its start, and shows in a report that is that much late at
/// most: frames between the two are in this report or in the next.
const SURELY_GIVEN_US: u64 = 400_000;
const PERHAPS_GIVEN_US: u64 = 60_000;
/// Two reports closer than this tell nothing about their interval.
const INTERVAL_MIN_US: u64 = 1_000_000;
/// Accepted frames that are kept: far more than fit between two reports.
const ACCEPTED_MAX: usize = 8192;

/// Frames that were acknowledged and never reached the radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentlyDropped {
    /// How many were dropped, at least.
    pub frames: u32,
    /// How many of them were ours, at most; the rest were a network server's.
    pub ours_at_most: u32,
}

#[derive(Clone, Copy, Debug)]
struct Accepted {
    start: Instant,
    is_ours: bool,
}

/// Two running sums and what stands between them. The radio's own count is an upper bound (beacons count in it,
/// frames overwritten after the hand-over too), so every difference is a loss, though not every loss shows.
#[derive(Clone, Debug, Default)]
pub(super) struct TxnbAudit {
    accepted: VecDeque<Accepted>,
    /// Frames that must have been given to the radio, less those that were.
    missing: i64,
    last: Option<Instant>,
    interval_us: Option<u64>,
}

impl TxnbAudit {
    /// The forwarder accepted a frame.
    pub fn accepted(&mut self, start: Instant, is_ours: bool) {
        if self.accepted.len() == ACCEPTED_MAX {
            self.accepted.pop_front();
            self.missing += 1;
        }
        self.accepted.push_back(Accepted { start, is_ours });
    }

    /// A report came: `txnb` frames were given to the radio since the one before.
    pub fn stat(&mut self, now: Instant, txnb: u32) -> Option<SilentlyDropped> {
        let surely = now.minus_us(SURELY_GIVEN_US);
        let spacing_us = self.last.map(|last| now.us_since(last));
        self.last = Some(now);
        // After a start or a lost report the sums begin anew.
        let is_whole = spacing_us.zip(self.interval_us).is_some_and(|(us, every_us)| us < every_us * 3 / 2);
        if let Some(us) = spacing_us.filter(|us| *us >= INTERVAL_MIN_US) {
            self.interval_us = Some(self.interval_us.map_or(us, |every_us| every_us.min(us)));
        }
        let mut ours = 0;
        self.accepted.retain(|frame| {
            let is_past = frame.start <= surely;
            self.missing += i64::from(is_past);
            ours += u32::from(is_past && frame.is_ours);
            !is_past
        });
        self.missing -= i64::from(txnb);
        let perhaps = now.plus_us(PERHAPS_GIVEN_US);
        let underway = self.accepted.iter().filter(|frame| frame.start <= perhaps).count() as i64;
        if !is_whole {
            self.missing = -underway;
            return None;
        }
        // More than we know of: beacons, or frames of an earlier life. They make up for nothing.
        self.missing = self.missing.max(-underway);
        let frames = u32::try_from(self.missing).ok().filter(|frames| *frames > 0)?;
        self.missing = 0;
        Some(SilentlyDropped { frames, ours_at_most: ours.min(frames) })
    }

    /// The forwarder was started anew: its sums are, too.
    pub fn reset(&mut self) {
        *self = TxnbAudit::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    /// Reports each 30 s; frames at these moments; the answers to the reports.
    fn told(frames_ms: &[i64], txnb: &[u32]) -> Vec<u32> {
        let mut audit = TxnbAudit::default();
        let reports = txnb.iter().zip(1i64..).map(|(txnb, n)| (at(n * 30_000), *txnb));
        let mut frames = frames_ms.iter().map(|ms| at(*ms)).peekable();
        let tell = |(now, txnb): (Instant, u32)| {
            while let Some(start) = frames.next_if(|start| *start <= now.plus_us(200_000)) {
                audit.accepted(start, true);
            }
            audit.stat(now, txnb).map_or(0, |dropped| dropped.frames)
        };
        reports.map(tell).collect()
    }

    #[test]
    fn a_frame_that_was_accepted_and_not_given_to_the_radio_is_missed_once() {
        let frames: Vec<i64> = (0..100).map(|n| 61_000 + n * 1000).collect();
        assert_eq!(told(&frames, &[0, 0, 29, 29, 30, 11]), [0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_frame_on_the_border_of_two_reports_is_in_one_of_them() {
        for border_ms in [-399, -100, -1, 0, 30, 59] {
            let frames = [70_000, 90_000 + border_ms, 100_000];
            assert_eq!(told(&frames, &[0, 0, 1, 2]), [0, 0, 0, 0], "{border_ms} ms, in the second");
            assert_eq!(told(&frames, &[0, 0, 2, 1]), [0, 0, 0, 0], "{border_ms} ms, in the first");
        }
        assert_eq!(told(&[70_000, 89_999, 100_000], &[0, 0, 1, 1]), [0, 0, 0, 1]);
    }

    #[test]
    fn beacons_hide_nothing_that_comes_after_them() {
        let frames: Vec<i64> = (0..60).map(|n| 61_000 + n * 1000).collect();
        assert_eq!(told(&frames, &[5, 5, 35, 28]), [0, 0, 0, 1]);
    }

    #[test]
    fn a_report_that_was_lost_is_no_loss_of_frames() {
        let mut audit = TxnbAudit::default();
        for (seconds, txnb) in [(30, 0), (60, 0), (150, 9), (180, 9)] {
            for n in 1..=9 {
                audit.accepted(at(seconds * 1000 - n * 1000), false);
            }
            assert_eq!(audit.stat(at(seconds * 1000), txnb).filter(|_| seconds > 60), None);
        }
    }

    #[test]
    fn a_servers_frames_are_told_from_ours() {
        let mut audit = TxnbAudit::default();
        audit.stat(at(0), 0);
        audit.stat(at(30_000), 0);
        audit.accepted(at(31_000), false);
        audit.accepted(at(32_000), true);
        audit.accepted(at(33_000), false);
        assert_eq!(audit.stat(at(60_000), 0), Some(SilentlyDropped { frames: 3, ours_at_most: 1 }));
    }
}
