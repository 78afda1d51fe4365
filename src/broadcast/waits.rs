//! What one task waits for, when that is told, and what its waits came to.

use crate::report::Wait;
use crate::report::WaitTotal;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The waits of one task.
#[derive(Debug, Default)]
pub struct Waits {
    current: Option<Current>,
    /// What was told and is no news: one kind, or all kinds of the air, which come and go with every frame.
    told: BTreeSet<&'static str>,
    is_air_told: bool,
    totals: BTreeMap<&'static str, WaitTotal>,
}

#[derive(Debug)]
struct Current {
    wait: Wait,
    since: Instant,
}

impl Waits {
    /// It waits for this now; whether that is to be told, which it is once it lasted for `quiet_us` microseconds.
    pub fn begin(&mut self, now: Instant, wait: Wait, quiet_us: u64) -> bool {
        let kind = wait.reason.kind();
        let since = match &self.current {
            Some(current) if current.wait.reason.kind() == kind => current.since,
            _ => {
                self.close(now);
                now
            }
        };
        let is_of_the_air = wait.reason.is_of_the_air();
        self.current = Some(Current { wait, since });
        if now.us_since(since) < quiet_us || self.told.contains(kind) {
            return false;
        }
        if !is_of_the_air || !self.is_air_told {
            self.told.clear();
        }
        self.is_air_told = is_of_the_air;
        self.told.insert(kind)
    }

    /// It waits for nothing any more. What the air made it wait for is not told again until it waits for something else.
    pub fn end(&mut self, now: Instant) {
        if let Some(Current { wait: Wait { reason, .. }, .. }) = &self.current
            && !reason.is_of_the_air()
        {
            self.told.remove(reason.kind());
        }
        self.close(now);
    }

    /// What it waits for, and since when.
    pub fn current(&self) -> Option<(&Wait, Instant)> {
        self.current.as_ref().map(|current| (&current.wait, current.since))
    }

    /// What all waits until now came to, the longest kind first.
    pub fn totals(&self, now: Instant) -> Vec<WaitTotal> {
        let mut all = self.totals.clone();
        add(&mut all, now, self.current.as_ref());
        let mut totals: Vec<WaitTotal> = all.into_values().collect();
        totals.sort_by_key(|total| std::cmp::Reverse(total.total_us));
        totals
    }

    fn close(&mut self, now: Instant) {
        let current = self.current.take();
        add(&mut self.totals, now, current.as_ref());
    }
}

fn add(totals: &mut BTreeMap<&'static str, WaitTotal>, now: Instant, current: Option<&Current>) {
    let Some(Current { wait, since }) = current else { return };
    let (kind, us) = (wait.reason.kind(), now.us_since(*since));
    let total = totals.entry(kind).or_insert(WaitTotal { kind, count: 0, total_us: 0, longest_us: 0 });
    total.count = total.count.saturating_add(1);
    total.total_us = total.total_us.saturating_add(us);
    total.longest_us = total.longest_us.max(us);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::AirLimit;
    use crate::report::WaitReason;

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    fn windows(windows: usize) -> Wait {
        Wait::until(WaitReason::Air(AirLimit::Windows { windows }), at(100))
    }

    #[test]
    fn a_kind_is_told_once_and_again_only_after_another_and_its_numbers_are_no_news() {
        let mut waits = Waits::default();
        assert!(waits.begin(at(0), windows(1), 0));
        assert!(!waits.begin(at(1), windows(2), 0));
        assert_eq!(waits.current(), Some((&windows(2), at(0))));
        waits.end(at(2));
        assert!(!waits.begin(at(3), windows(1), 0), "the air again");
        assert!(waits.begin(at(4), Wait::event(WaitReason::File), 0));
        waits.end(at(5));
        assert!(waits.begin(at(6), Wait::event(WaitReason::File), 0), "it came back and is gone again");
        assert!(waits.begin(at(7), windows(1), 0));
        let busy = || Wait::until(WaitReason::Air(AirLimit::Busy), at(100));
        assert!(waits.begin(at(8), busy(), 0));
        assert!(!waits.begin(at(9), windows(1), 0) && !waits.begin(at(10), busy(), 0), "to and fro");
    }

    #[test]
    fn what_is_usual_is_told_when_it_takes_long() {
        let mut waits = Waits::default();
        let image = || Wait::event(WaitReason::Image);
        let told: Vec<bool> = [0, 4, 9, 10, 11].map(|s| waits.begin(at(s), image(), 10_000_000)).to_vec();
        assert_eq!(told, [false, false, false, true, false]);
    }

    #[test]
    fn the_totals_have_count_and_time_of_each_kind_and_the_one_that_goes_on() {
        let mut waits = Waits::default();
        for s in [0, 10] {
            waits.begin(at(s), windows(1), 0);
            waits.end(at(s + 2 + s / 10));
        }
        waits.begin(at(20), Wait::event(WaitReason::File), 0);
        let total = |kind, count, total_s: u64, longest_s: u64| WaitTotal {
            kind,
            count,
            total_us: total_s * 1_000_000,
            longest_us: longest_s * 1_000_000,
        };
        assert_eq!(waits.totals(at(30)), [total("task-file", 1, 10, 10), total("receive-windows", 2, 5, 3)]);
    }
}
