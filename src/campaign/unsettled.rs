//! Acknowledged frames that no report of the forwarder spoke of yet.

use crate::time::Instant;

/// The forwarder's report after the last frame is waited for so long while its interval is not known, microseconds.
const UNLEARNED_US: u64 = 90_000_000;
/// Whatever its interval is, no longer than this, microseconds.
const LONGEST_US: u64 = 600_000_000;

/// The starts of those frames; a plan has 65536 at most.
#[derive(Clone, Debug, Default)]
pub struct Unsettled {
    starts: Vec<Instant>,
}

impl Unsettled {
    /// The forwarder acknowledged a frame.
    pub fn add(&mut self, start: Instant) {
        self.starts.push(start);
    }

    /// How many frames started until then.
    pub fn count(&self, until: Instant) -> u32 {
        let past = self.starts.iter().filter(|start| **start <= until).count();
        u32::try_from(past).unwrap_or(u32::MAX)
    }

    /// Those that started until then are settled; their number.
    pub fn settle(&mut self, until: Instant) -> u32 {
        let count = self.count(until);
        self.starts.retain(|start| *start > until);
        count
    }

    /// Until when a report is waited for that settles the rest, the forwarder reporting at `interval_us`: it may be lost
    /// once. `None`: there is no rest.
    pub fn until(&self, interval_us: Option<u64>) -> Option<Instant> {
        let patience_us = interval_us.map_or(UNLEARNED_US, |us| us.saturating_mul(2)).min(LONGEST_US);
        self.starts.iter().max().map(|last| last.plus_us(patience_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Instant {
        Instant::from_us(second * 1_000_000)
    }

    #[test]
    fn frames_are_settled_once_and_the_rest_waits_two_reports_long_and_ten_minutes_at_most() {
        let mut unsettled = Unsettled::default();
        for second in 1..=5 {
            unsettled.add(at(second));
        }
        assert_eq!((unsettled.settle(at(3)), unsettled.settle(at(3)), unsettled.count(at(9))), (3, 0, 2));
        let waits =
            [None, Some(30_000_000), Some(900_000_000)].map(|interval_us| unsettled.until(interval_us));
        assert_eq!(waits, [at(95), at(65), at(605)].map(Some));
        unsettled.settle(at(5));
        assert_eq!(unsettled.until(None), None);
    }
}
