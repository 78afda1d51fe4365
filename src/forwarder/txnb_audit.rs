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

/// What a report of the forwarder, or its end, says of frames that it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounted {
    /// All frames that started until then and were not accounted for before.
    pub until: Instant,
    /// Frames that never reached the radio, at least.
    pub dropped: u32,
    /// Of these ours, at most; the rest were a network server's.
    pub ours_dropped: u32,
    /// The others reached the radio, as far as the forwarder knows; else nobody knows.
    pub is_told: bool,
    /// The forwarder's reporting interval (`stat_interval`), microseconds, once it is learned.
    pub interval_us: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Accepted {
    start: Instant,
    is_ours: bool,
}

/// Two running sums and what stands between them. The radio's own count is an upper bound (beacons count in it,
/// frames overwritten after the hand-over too, and in the first report those of our former life), so every difference
/// is a loss, though not every loss shows.
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

    /// A report came: `txnb` frames were given to the radio since the one before. `None`: it does not say.
    pub fn stat(&mut self, now: Instant, txnb: Option<u32>) -> Accounted {
        let spacing_us = self.last.replace(now).map(|last| now.us_since(last));
        let is_late = spacing_us
            .zip(self.interval_us)
            .is_some_and(|(us, every_us)| us >= every_us.saturating_mul(3) / 2);
        if let Some(us) = spacing_us.filter(|us| *us >= INTERVAL_MIN_US) {
            self.interval_us = Some(self.interval_us.map_or(us, |every_us| every_us.min(us)));
        }
        let surely = now.minus_us(SURELY_GIVEN_US);
        let mut ours = self.settle(surely);
        let perhaps = now.plus_us(PERHAPS_GIVEN_US);
        let underway = self.accepted.iter().filter(|frame| frame.start <= perhaps).count() as i64;
        let Some(txnb) = txnb.filter(|_| !is_late) else {
            // It does not count, or a report was lost: the sums begin anew.
            self.missing = -underway;
            return self.account(surely, 0, 0, false);
        };
        self.missing -= i64::from(txnb);
        // More than we know of: beacons, or frames of an earlier life. They make up for nothing.
        self.missing = self.missing.max(-underway);
        let mut until = surely;
        if self.missing == -underway {
            // Those on the border were given, too.
            until = perhaps;
            ours += self.settle(perhaps);
        }
        let dropped = u32::try_from(self.missing).unwrap_or(0);
        self.missing -= i64::from(dropped);
        self.account(until, dropped, ours.min(dropped), true)
    }

    /// The forwarder was started anew; it was heard last at that instant. Of what it sent since its last report nobody
    /// tells, and what it was to send later it never sent: that in this order, unless nothing was accepted.
    pub fn reset(&mut self, heard: Instant) -> Option<[Accounted; 2]> {
        let interval_us = self.interval_us;
        let before = std::mem::replace(self, TxnbAudit { interval_us, ..TxnbAudit::default() });
        before.end(heard)
    }

    fn end(mut self, heard: Instant) -> Option<[Accounted; 2]> {
        let end = self.accepted.iter().map(|frame| frame.start).max()?;
        self.settle(heard);
        let unknown = self.account(heard, 0, 0, false);
        let ours = self.accepted.iter().filter(|frame| frame.is_ours).count();
        let [dropped, ours] =
            [self.accepted.len(), ours].map(|frames| u32::try_from(frames).unwrap_or(u32::MAX));
        let lost = self.account(end, dropped, ours, true);
        Some([unknown, lost])
    }

    /// The frames until then are summed up; how many of them are ours.
    fn settle(&mut self, until: Instant) -> u32 {
        let mut ours = 0;
        self.accepted.retain(|frame| {
            let is_past = frame.start <= until;
            self.missing += i64::from(is_past);
            ours += u32::from(is_past && frame.is_ours);
            !is_past
        });
        ours
    }

    fn account(&self, until: Instant, dropped: u32, ours_dropped: u32, is_told: bool) -> Accounted {
        Accounted { until, dropped, ours_dropped, is_told, interval_us: self.interval_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    /// Reports each 30 s; frames at these moments; how many each report finds dropped.
    fn told(frames_ms: &[i64], txnb: &[u32]) -> Vec<u32> {
        let mut audit = TxnbAudit::default();
        let reports = txnb.iter().zip(1i64..).map(|(txnb, n)| (at(n * 30_000), *txnb));
        let mut frames = frames_ms.iter().map(|ms| at(*ms)).peekable();
        let tell = |(now, txnb): (Instant, u32)| {
            while let Some(start) = frames.next_if(|start| *start <= now.plus_us(200_000)) {
                audit.accepted(start, true);
            }
            let accounted = audit.stat(now, Some(txnb));
            assert!(accounted.is_told && accounted.ours_dropped == accounted.dropped);
            accounted.dropped
        };
        reports.map(tell).collect()
    }

    #[test]
    fn a_frame_that_was_accepted_and_not_given_to_the_radio_is_missed_once() {
        let frames: Vec<i64> = (0..100).map(|n| 61_000 + n * 1000).collect();
        assert_eq!(told(&frames, &[0, 0, 29, 29, 30, 11]), [0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn the_first_report_counts_from_the_start_on_and_hides_losses_behind_frames_of_a_former_life() {
        let frames: Vec<i64> = (0..20).map(|n| 1_000 + n * 1000).collect();
        assert_eq!(told(&frames, &[13]), [7]);
        assert_eq!(told(&frames, &[50, 0]), [0, 0]);
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
    fn a_report_that_counts_the_frame_on_its_border_accounts_for_it_at_once() {
        let mut audit = TxnbAudit::default();
        audit.accepted(at(29_000), true);
        audit.accepted(at(30_040), true);
        assert_eq!(audit.stat(at(30_000), Some(1)).until, at(29_600));
        audit.accepted(at(59_900), true);
        assert_eq!(audit.stat(at(60_000), Some(2)).until, at(60_060));
        assert_eq!(audit.stat(at(90_000), Some(0)).dropped, 0);
    }

    #[test]
    fn beacons_hide_nothing_that_comes_after_them() {
        let frames: Vec<i64> = (0..60).map(|n| 61_000 + n * 1000).collect();
        assert_eq!(told(&frames, &[5, 5, 35, 28]), [0, 0, 0, 1]);
    }

    #[test]
    fn of_frames_behind_a_lost_report_nobody_knows() {
        let mut audit = TxnbAudit::default();
        let mut seen = Vec::new();
        for (seconds, txnb) in [(30, 9), (60, 9), (150, 9), (180, 9)] {
            for n in 1..=9 {
                audit.accepted(at(seconds * 1000 - n * 1000), false);
            }
            let Accounted { dropped, is_told, .. } = audit.stat(at(seconds * 1000), Some(txnb));
            seen.push((dropped, is_told));
        }
        assert_eq!(seen, [(0, true), (0, true), (0, false), (0, true)]);
    }

    #[test]
    fn a_report_without_a_count_tells_nothing_of_the_frames_before_it() {
        let mut audit = TxnbAudit::default();
        audit.accepted(at(5_000), true);
        let accounted = audit.stat(at(30_000), None);
        assert_eq!((accounted.until, accounted.dropped, accounted.is_told), (at(29_600), 0, false));
        assert_eq!(audit.stat(at(60_000), Some(0)).dropped, 0);
    }

    #[test]
    fn a_servers_frames_are_told_from_ours() {
        let mut audit = TxnbAudit::default();
        audit.accepted(at(31_000), false);
        audit.accepted(at(32_000), true);
        audit.accepted(at(33_000), false);
        let accounted = audit.stat(at(60_000), Some(0));
        assert_eq!((accounted.dropped, accounted.ours_dropped), (3, 1));
    }

    #[test]
    fn what_a_forwarder_was_to_send_after_it_was_heard_last_it_never_sent() {
        let mut audit = TxnbAudit::default();
        audit.stat(at(30_000), Some(0));
        audit.stat(at(60_000), Some(0));
        for (start_ms, is_ours) in [(61_000, true), (62_300, true), (62_350, false), (62_600, true)] {
            audit.accepted(at(start_ms), is_ours);
        }
        let [unknown, lost] = audit.reset(at(62_100)).unwrap();
        assert_eq!((unknown.until, unknown.dropped, unknown.is_told), (at(62_100), 0, false));
        assert_eq!((lost.until, lost.dropped, lost.ours_dropped, lost.is_told), (at(62_600), 3, 2, true));
        assert_eq!(lost.interval_us, Some(30_000_000), "the next process reads the same configuration");
        assert_eq!(audit.reset(at(63_000)), None);
        audit.accepted(at(70_000), true);
        assert_eq!(audit.stat(at(95_000), Some(0)).dropped, 1, "its first report counts from its start on");
    }
}
