//! How long to wait: back-off with full jitter, so that gateways that lost their cloud together do not come
//! back together.

use std::time::Duration;

/// Back-offs and time limits of the client; tests shorten them.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// The control plane's first back-off is drawn below this; each further one below twice as much.
    pub poll_first: Duration,
    /// The same for the download.
    pub fetch_first: Duration,
    /// No back-off is longer.
    pub longest: Duration,
    /// For a connection, and for the first byte of an answer.
    pub answer: Duration,
    /// The slowest backhaul that is worth waiting for, bytes per second, not 0.
    pub floor_bps: u64,
    /// Between two looks for a way out while the cloud cannot be reached.
    pub network: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            poll_first: Duration::from_secs(30),
            fetch_first: Duration::from_secs(1),
            longest: Duration::from_secs(15 * 60),
            answer: Duration::from_secs(30),
            floor_bps: 500,
            network: Duration::from_secs(2),
        }
    }
}

impl Timeouts {
    /// How long one ranged request may take that is answered with `bytes`.
    pub(super) fn of_range(&self, bytes: usize) -> Duration {
        self.answer + Duration::from_secs(bytes as u64 / self.floor_bps.max(1))
    }
}

/// The back-off after failures in a row.
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, failures: 0 }
    }

    /// It went well: the next failure is the first one again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure, with `random` in 0..=u32::MAX: between half of the first step and a
    /// ceiling that doubles each time. Never nothing, so that a failure is no busy loop.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let doublings = self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.longest);
        scaled(ceiling, random).max(self.first.min(self.longest) / 2)
    }
}

/// `poll`, up to a tenth shorter or longer.
pub(super) fn jittered(poll: Duration, random: u32) -> Duration {
    poll - poll / 10 + scaled(poll / 5, random)
}

/// A random number; the middle where the system has none to give.
pub(super) fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

fn scaled(whole: Duration, random: u32) -> Duration {
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_to_a_quarter_of_an_hour_and_progress_resets_it() {
        let timeouts = Timeouts::default();
        let mut backoff = Backoff::new(timeouts.poll_first, timeouts.longest);
        let ceilings: Vec<u64> = (0..7).map(|_| backoff.next(u32::MAX).as_secs()).collect();
        assert_eq!(ceilings, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(backoff.next(0).as_secs(), 15);
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX).as_secs(), 30);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next(u32::MAX).as_secs(), 900);
    }

    #[test]
    fn looks_at_a_task_are_spread_by_a_tenth() {
        let poll = Duration::from_secs(60);
        assert_eq!(jittered(poll, 0), Duration::from_secs(54));
        assert_eq!(jittered(poll, u32::MAX), Duration::from_secs(66));
    }

    #[test]
    fn a_range_may_take_as_long_as_the_slowest_backhaul_needs() {
        assert_eq!(Timeouts::default().of_range(128 * 1024), Duration::from_secs(30 + 262));
    }
}
