//! What stops a crash loop: a process that dies again and again soon after its start relays the gateway's traffic and
//! does nothing else for a while. What kills it is then not on the way, and its flash is spared.

use crate::report::Wait;
use crate::report::WaitReason;
use crate::time::Instant;

/// A life that is no longer than this is short, microseconds: five of them are over in two minutes.
const SHORT_US: u64 = 30_000_000;
/// After so many short lives, this one included, the process rests.
const STARTS: u32 = 5;
/// It rests for so long where nothing else is said, microseconds.
pub const CRASH_REST_US: u64 = 600_000_000;

/// The breaker of one life.
#[derive(Debug)]
pub struct Breaker {
    starts: u32,
    rest_us: u64,
    /// Nothing is planned or sent before this; what is done from then on shows whether this life is a short one.
    rests_until: Instant,
    has_lived: bool,
}

impl Breaker {
    /// A life that began at `now` after so many short ones; where they are too many it rests for `rest_us`.
    pub fn new(short_lives: u32, rest_us: u64, now: Instant) -> Self {
        let starts = short_lives.saturating_add(1);
        let rest_us = if starts >= STARTS { rest_us } else { 0 };
        Breaker { starts, rest_us, rests_until: now.plus_us(rest_us), has_lived: false }
    }

    /// What the operator is told at the start, when this life rests.
    pub fn story(&self) -> Option<String> {
        (self.rest_us > 0).then(|| {
            format!(
                "{} starts in a row, each soon after the one before: for {} s traffic is relayed and nothing is broadcast, then it is tried again; the log of the last lives says why they ended",
                self.starts,
                self.rest_us / 1_000_000
            )
        })
    }

    /// Why nothing is broadcast at `now`.
    pub fn wait(&self, now: Instant) -> Option<Wait> {
        let reason = WaitReason::Crashes { starts: self.starts, rest_s: self.rest_us / 1_000_000 };
        (now < self.rests_until).then(|| Wait::until(reason, self.rests_until))
    }

    /// Whether it has just become clear that this life is not a short one; once.
    pub fn has_lived(&mut self, now: Instant) -> bool {
        let is_due = !self.has_lived && now >= self.rests_until.plus_us(SHORT_US);
        self.has_lived |= is_due;
        is_due
    }

    /// When the next of these things happens.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let lived_at = Some(self.rests_until.plus_us(SHORT_US)).filter(|_| !self.has_lived);
        if now < self.rests_until { Some(self.rests_until) } else { lived_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(s: u64) -> Instant {
        Instant::from_us(s as i64 * 1_000_000)
    }

    #[test]
    fn the_fifth_start_in_a_row_rests_ten_minutes_and_then_tries_again() {
        for short_lives in 0..4 {
            assert_eq!(
                Breaker::new(short_lives, CRASH_REST_US, Instant::ZERO).wait(Instant::ZERO),
                None,
                "{short_lives}"
            );
        }
        let breaker = Breaker::new(4, CRASH_REST_US, Instant::ZERO);
        assert!(breaker.story().unwrap().starts_with("5 starts in a row"));
        assert!(breaker.wait(second(599)).is_some());
        assert_eq!(breaker.wake_at(Instant::ZERO), Some(second(600)));
        assert_eq!(breaker.wait(second(600)), None);
    }

    #[test]
    fn a_rest_of_nothing_is_none() {
        let breaker = Breaker::new(100, 0, Instant::ZERO);
        assert_eq!((breaker.story(), breaker.wait(Instant::ZERO)), (None, None));
    }

    #[test]
    fn a_life_has_lived_after_thirty_seconds_of_work_and_says_so_once() {
        let mut breaker = Breaker::new(0, CRASH_REST_US, Instant::ZERO);
        assert_eq!(breaker.wake_at(Instant::ZERO), Some(second(30)));
        assert!(!breaker.has_lived(second(29)));
        assert!(breaker.has_lived(second(30)));
        assert!(!breaker.has_lived(second(31)));
        assert_eq!(breaker.wake_at(second(31)), None);
        let mut rested = Breaker::new(9, CRASH_REST_US, Instant::ZERO);
        assert!(!rested.has_lived(second(620)) && rested.has_lived(second(630)));
    }
}
