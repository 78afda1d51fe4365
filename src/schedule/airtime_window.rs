//! A sliding window over airtime, asked one question: when is there room for one more frame?

use crate::time::Instant;
use std::collections::VecDeque;

/// Who sent it. The law asks for the sum, our manners for our part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A frame of a campaign.
    Ours,
    /// A downlink of the network server, a beacon, or what was restored without a name.
    Others,
}

/// One frame's stay on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// When it goes on the air.
    pub start: Instant,
    /// How long it stays there, microseconds.
    pub airtime_us: u64,
    /// The sender, ours or another.
    pub origin: Origin,
}

/// The frames of the last window and those already planned, in order of their start.
///
/// A frame that begins inside a window is counted in full. Testing the windows that begin at each frame's
/// start then covers every sliding window: one that begins in between holds no more than the one that begins
/// at the first frame inside it.
#[derive(Clone, Debug)]
pub struct AirtimeWindow {
    window_us: u64,
    loads: VecDeque<Load>,
    /// For each of them, what was added before it since the beginning, microseconds: of all, and ours.
    before_us: VecDeque<[u64; 2]>,
    /// The same for the next one.
    total_us: [u64; 2],
}

impl AirtimeWindow {
    /// An empty window of `window_us` microseconds.
    pub fn new(window_us: u64) -> Self {
        AirtimeWindow { window_us, loads: VecDeque::new(), before_us: VecDeque::new(), total_us: [0; 2] }
    }

    /// The length of the window, microseconds.
    pub fn window_us(&self) -> u64 {
        self.window_us
    }

    /// Adds a frame; frames need not arrive in order.
    pub fn add(&mut self, load: Load) {
        let at = self.loads.partition_point(|other| other.start <= load.start);
        self.loads.insert(at, load);
        self.before_us.insert(at, self.before_us.get(at).copied().unwrap_or(self.total_us));
        let later = self.before_us.range_mut(at + 1..).chain([&mut self.total_us]);
        for sums_us in later {
            *sums_us = [sums_us[0] + load.airtime_us, sums_us[1] + ours_us(&load)];
        }
    }

    /// Takes one frame back that is proven not to have been sent. Unknown frames change nothing.
    pub fn remove(&mut self, load: Load) {
        if let Some(at) = self.loads.iter().rposition(|other| *other == load) {
            self.loads.remove(at);
            self.before_us.remove(at);
            for sums_us in self.before_us.range_mut(at..).chain([&mut self.total_us]) {
                *sums_us = [sums_us[0] - load.airtime_us, sums_us[1] - ours_us(&load)];
            }
        }
    }

    /// Forgets frames that no window reaching past `now` can hold.
    pub fn forget_before(&mut self, now: Instant) {
        let horizon = now.minus_us(self.window_us);
        while self.loads.front().is_some_and(|first| first.start <= horizon) {
            self.loads.pop_front();
            self.before_us.pop_front();
        }
    }

    /// Airtime in microseconds of `origin` (all, when `None`) that began in the window ending at `now`.
    pub fn used_us(&self, now: Instant, origin: Option<Origin>) -> u64 {
        let horizon = now.minus_us(self.window_us);
        let counted =
            |load: &&Load| load.start > horizon && origin.is_none_or(|origin| load.origin == origin);
        self.loads.iter().filter(counted).map(|load| load.airtime_us).sum()
    }

    /// The frames that begin before `at`, the latest first.
    pub fn before(&self, at: Instant) -> impl Iterator<Item = &Load> {
        self.loads.range(..self.loads.partition_point(|load| load.start < at)).rev()
    }

    /// Every frame still remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Load> {
        self.loads.iter()
    }

    /// The first instant from `from` on at which a frame of `airtime_us` leaves every window with at most
    /// `limit_us`; with `ours_only`, of our own airtime. `None` when the frame alone is over the limit.
    pub fn earliest(
        &self,
        from: Instant,
        airtime_us: u64,
        limit_us: u64,
        ours_only: bool,
    ) -> Option<Instant> {
        if airtime_us > limit_us {
            return None;
        }
        if self.airtime_us_from(0, ours_only) + airtime_us <= limit_us {
            return Some(from);
        }
        let mut start = from;
        // Each turn leaves at least one window behind for good, so there are no more turns than frames.
        for _ in 0..=2 * self.loads.len() + 1 {
            match self.first_obstacle(start, airtime_us, limit_us, ours_only) {
                None => return Some(start),
                Some(later) => start = later,
            }
        }
        None
    }

    /// Where a frame at `start` would have to move to, because of the latest window it overfills.
    fn first_obstacle(
        &self,
        start: Instant,
        airtime_us: u64,
        limit_us: u64,
        ours_only: bool,
    ) -> Option<Instant> {
        let us_of = |load: &Load| if ours_only { ours_us(load) } else { load.airtime_us };
        let horizon = start.minus_us(self.window_us);
        let first = self.loads.partition_point(|load| load.start <= horizon);
        if self.loads.back().is_none_or(|last| last.start <= start) {
            return self.latest_full(first, limit_us - airtime_us, ours_only);
        }
        let (mut end, mut sum_us, mut move_to) = (first, 0u64, None);
        for at in first..self.loads.len() {
            let begin = self.loads[at].start;
            if begin > start {
                break;
            }
            let close = begin.plus_us(self.window_us);
            while end < self.loads.len() && self.loads[end].start < close {
                sum_us += us_of(&self.loads[end]);
                end += 1;
            }
            if sum_us + airtime_us > limit_us {
                move_to = Some(close);
            }
            sum_us -= us_of(&self.loads[at]);
        }
        move_to.or_else(|| {
            let close = start.plus_us(self.window_us);
            let next = self.loads.partition_point(|load| load.start < start);
            let later = self.loads.range(next..).take_while(|load| load.start < close);
            let sum_us: u64 = later.map(us_of).sum();
            (sum_us + airtime_us > limit_us)
                .then(|| self.loads.get(next).map_or(close, |load| load.start.plus_us(1)))
        })
    }

    /// Where no frame is later: the end of the latest window, of those from frame `first` on, that holds more than
    /// `limit_us`. Each of them holds all the frames that follow.
    fn latest_full(&self, first: usize, limit_us: u64, ours_only: bool) -> Option<Instant> {
        let least_us = self.total_us[usize::from(ours_only)].saturating_sub(limit_us);
        let after = self.before_us.partition_point(|sums_us| sums_us[usize::from(ours_only)] < least_us);
        (after > first).then(|| self.loads[after - 1].start.plus_us(self.window_us))
    }

    /// Airtime from frame `at` on, microseconds.
    fn airtime_us_from(&self, at: usize, ours_only: bool) -> u64 {
        let before_us = self.before_us.get(at).unwrap_or(&self.total_us);
        self.total_us[usize::from(ours_only)] - before_us[usize::from(ours_only)]
    }
}

fn ours_us(load: &Load) -> u64 {
    if load.origin == Origin::Ours { load.airtime_us } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ours(start_us: i64, airtime_us: u64) -> Load {
        Load { start: Instant::from_us(start_us), airtime_us, origin: Origin::Ours }
    }

    #[test]
    fn a_frame_waits_until_the_window_that_holds_the_oldest_one_is_over() {
        let mut loads = AirtimeWindow::new(1000);
        loads.add(ours(0, 60));
        loads.add(ours(300, 40));
        let free = loads.earliest(Instant::from_us(400), 50, 100, false);
        assert_eq!(free, Some(Instant::from_us(1000)));
        assert_eq!(loads.earliest(Instant::from_us(400), 60, 100, false), Some(Instant::from_us(1000)));
        assert_eq!(loads.earliest(Instant::from_us(400), 61, 100, false), Some(Instant::from_us(1300)));
    }

    #[test]
    fn a_frame_that_is_over_the_limit_alone_never_fits() {
        assert_eq!(AirtimeWindow::new(1000).earliest(Instant::ZERO, 101, 100, false), None);
    }

    #[test]
    fn a_frame_before_planned_ones_must_leave_their_windows_legal_too() {
        let mut loads = AirtimeWindow::new(1000);
        loads.add(ours(500, 80));
        assert_eq!(loads.earliest(Instant::from_us(100), 30, 100, false), Some(Instant::from_us(1500)));
    }

    #[test]
    fn the_servers_airtime_counts_for_the_law_but_not_for_our_share() {
        let mut loads = AirtimeWindow::new(1000);
        loads.add(Load { origin: Origin::Others, ..ours(0, 90) });
        assert_eq!(loads.earliest(Instant::from_us(1), 20, 100, true), Some(Instant::from_us(1)));
        assert_eq!(loads.earliest(Instant::from_us(1), 20, 100, false), Some(Instant::from_us(1000)));
    }

    #[test]
    fn a_frame_taken_back_leaves_its_room() {
        let mut loads = AirtimeWindow::new(1000);
        loads.add(ours(0, 100));
        loads.remove(ours(0, 100));
        assert_eq!(loads.earliest(Instant::from_us(5), 100, 100, false), Some(Instant::from_us(5)));
    }

    /// The most airtime any window `[x, x + window)` truly holds, by trying every edge.
    fn worst_overlap_us(loads: &[Load], window_us: i64) -> i64 {
        let edges = loads.iter().flat_map(|load| {
            let (start, end) = (load.start.as_us(), load.start.as_us() + load.airtime_us as i64);
            [start, end, start - window_us, end - window_us]
        });
        let overlap = |x: i64| -> i64 {
            let inside = loads.iter().map(|load| {
                let (start, end) = (load.start.as_us(), load.start.as_us() + load.airtime_us as i64);
                (end.min(x + window_us) - start.max(x)).max(0)
            });
            inside.sum()
        };
        edges.map(overlap).max().unwrap_or(0)
    }

    /// The first start from `from` on that overfills nothing and overlaps no other frame: one radio.
    fn place(loads: &AirtimeWindow, from: i64, airtime_us: u64) -> Instant {
        let mut start = Instant::from_us(from);
        loop {
            let clear = loads.earliest(start, airtime_us, 150, false).expect("the frame alone fits");
            let end = clear.plus_us(airtime_us);
            let in_the_way =
                loads.iter().find(|other| other.start < end && clear < other.start.plus_us(other.airtime_us));
            match in_the_way {
                Some(other) => start = other.start.plus_us(other.airtime_us),
                None => return clear,
            }
        }
    }

    proptest! {
        #[test]
        fn no_sliding_window_is_ever_overfilled(
            frames in proptest::collection::vec((0i64..4000, 1u64..120), 1..60),
        ) {
            let mut loads = AirtimeWindow::new(1000);
            let mut placed = Vec::new();
            for (from, airtime_us) in frames {
                let start = place(&loads, from, airtime_us);
                let load = Load { start, airtime_us, origin: Origin::Ours };
                loads.add(load);
                placed.push(load);
            }
            prop_assert!(worst_overlap_us(&placed, 1000) <= 150);
        }

        #[test]
        fn a_frame_is_not_made_to_wait_longer_than_the_windows_ask(
            frames in proptest::collection::vec(1u64..120, 1..40),
        ) {
            // In order of time the first instant that fits is unique: one microsecond earlier is too early.
            let mut loads = AirtimeWindow::new(1000);
            let mut from = Instant::ZERO;
            for airtime_us in frames {
                let start = loads.earliest(from, airtime_us, 150, false).unwrap();
                if start > from {
                    let before = start.minus_us(1);
                    prop_assert!(loads.first_obstacle(before, airtime_us, 150, false).is_some());
                }
                loads.add(Load { start, airtime_us, origin: Origin::Ours });
                from = start.plus_us(airtime_us);
            }
        }
    }
}
