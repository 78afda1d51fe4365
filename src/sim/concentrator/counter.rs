//! The concentrator's microsecond counter against the world's time.

use crate::time::Instant;

const BILLION: i128 = 1_000_000_000;

/// A counter that runs a little fast or slow and shows its low 32 bits only (gwmp: SX1302, wraps every
/// 4294.97 s). Inside the double it is unrolled: 64 bits that never wrap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    started: Instant,
    at_start: u64,
    /// What it counts in 10^9 true microseconds.
    rate: i128,
}

impl Counter {
    pub(super) fn new(started: Instant, at_start: u32, drift_ppb: i32) -> Self {
        let rate = (BILLION + i128::from(drift_ppb)).max(1);
        Counter { started, at_start: u64::from(at_start), rate }
    }

    /// The unrolled count at `now`.
    pub(super) fn read(&self, now: Instant) -> u64 {
        self.at_start + (i128::from(now.us_since(self.started)) * self.rate / BILLION) as u64
    }

    /// What the register shows at `now`.
    pub(super) fn tmst(&self, now: Instant) -> u32 {
        self.read(now) as u32
    }

    /// The first instant at which [`Counter::read`] gives at least `count`.
    pub(super) fn instant_of(&self, count: u64) -> Instant {
        let counted = i128::from(count.saturating_sub(self.at_start));
        let true_us = (counted * BILLION + self.rate - 1) / self.rate;
        self.started.plus_us(u64::try_from(true_us).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_and_its_instant_agree_at_every_drift() {
        for drift_ppb in [-50_000, -1, 0, 1, 20_000, 50_000] {
            let counter = Counter::new(Instant::from_us(-17), 4_000_000_000, drift_ppb);
            for count in [4_000_000_000, 4_294_967_296, 4_294_967_297, 99_999_999_999_999] {
                let instant = counter.instant_of(count);
                assert!(counter.read(instant) >= count);
                assert!(count == 4_000_000_000 || counter.read(instant.minus_us(1)) < count);
            }
        }
    }

    #[test]
    fn twenty_ppm_are_seventy_two_milliseconds_an_hour() {
        let counter = Counter::new(Instant::ZERO, 0, 20_000);
        let hour = Instant::from_us(3_600_000_000);
        assert_eq!(counter.read(hour) - 3_600_000_000, 72_000);
    }

    #[test]
    fn the_register_wraps_and_the_count_does_not() {
        let counter = Counter::new(Instant::ZERO, u32::MAX, 0);
        assert_eq!(counter.tmst(Instant::ZERO), u32::MAX);
        assert_eq!(counter.tmst(Instant::from_us(1)), 0);
        assert_eq!(counter.read(Instant::from_us(1)), 1 << 32);
    }
}
