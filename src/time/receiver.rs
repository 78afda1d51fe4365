//! A GPS receiver as a witness of the wall clock.

use super::gps_time::FLOOR_UNIX_US;
use super::instant::Instant;

/// Number of consecutive times that must agree before a receiver is believed.
const AGREEING: u32 = 3;
/// Largest difference between two times that agree, in microseconds.
const AGREE_US: u64 = 1_000_000;
/// Age of the last time up to which a receiver is believed, in microseconds.
const FRESH_US: u64 = 10_000_000;

/// The times that a GPS receiver reported lately.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    /// Instant of the last report, and the Unix time in microseconds that it carried.
    last: Option<(Instant, i64)>,
    agreeing: u32,
}

impl Receiver {
    /// Takes the report of `unix_us` (Unix microseconds) at `at`.
    pub fn hear(&mut self, at: Instant, unix_us: i64) {
        // Before its first almanac, or past its firmware's 1024 weeks, a receiver may name any year.
        if unix_us < FLOOR_UNIX_US {
            *self = Receiver::default();
            return;
        }
        let agrees = self.at(at).is_some_and(|expected_us| expected_us.abs_diff(unix_us) <= AGREE_US);
        self.agreeing = if agrees { self.agreeing.saturating_add(1) } else { 1 };
        self.last = Some((at, unix_us));
    }

    /// The receiver's time now, Unix microseconds; `None` while the receiver is not believed.
    pub fn unix_us(&self, mono: Instant) -> Option<i64> {
        self.at(mono).filter(|_| self.agreeing >= AGREEING)
    }

    /// The last reported time, aged to `mono`; `None` when that report is too old.
    fn at(&self, mono: Instant) -> Option<i64> {
        let (at, unix_us) = self.last?;
        let age_us = mono.us_since(at);
        (age_us <= FRESH_US).then(|| unix_us.saturating_add(age_us as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX_US: i64 = FLOOR_UNIX_US + 30_000_000_000_000;

    #[test]
    fn a_receiver_is_believed_after_three_times_that_agree_and_for_ten_seconds() {
        let mut receiver = Receiver::default();
        let at = |second: i64| Instant::from_us(second * 1_000_000);
        let says = |second: i64| UNIX_US + second * 1_000_000;
        receiver.hear(at(0), says(0));
        receiver.hear(at(1), says(1));
        assert_eq!(receiver.unix_us(at(1)), None);
        receiver.hear(at(2), says(2));
        assert_eq!(receiver.unix_us(at(2)), Some(says(2)));
        assert_eq!(receiver.unix_us(at(12)), Some(says(12)));
        assert_eq!(receiver.unix_us(at(13)), None);
        // One that jumps begins anew.
        receiver.hear(at(3), says(3) + 1_000_001);
        assert_eq!(receiver.unix_us(at(3)), None);
        // So does one that was silent, and one that names a year long gone.
        receiver.hear(at(4), says(4) + 1_000_000);
        receiver.hear(at(5), says(5) + 1_000_000);
        assert!(receiver.unix_us(at(5)).is_some());
        receiver.hear(at(16), says(16) + 1_000_000);
        assert_eq!(receiver.unix_us(at(16)), None);
        for second in 17..30 {
            receiver.hear(at(second), FLOOR_UNIX_US - 1);
            assert_eq!(receiver.unix_us(at(second)), None);
        }
    }
}
