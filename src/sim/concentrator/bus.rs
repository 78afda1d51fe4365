//! The bus between the host and the concentrator, and the lock around it: who fetches receptions holds it, and who
//! wants to program a packet waits.

use crate::sim::random::Random;
use crate::time::Instant;

/// Between two fetches the lock is free so long, microseconds.
const FREE_US: u64 = 10_000;

/// A bus that every fetch of receptions holds for a while. While it is held nothing else happens: the poll of the
/// queue comes when a fetch ends, and once more before the next one only when it wins the race for the lock.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    hold_us: u64,
    since: Instant,
    random: Random,
}

impl Bus {
    pub(super) fn new(hold_us: u64, random: Random) -> Self {
        Bus { hold_us, since: Instant::from_us(i64::MIN), random }
    }

    pub(super) fn hold(&mut self, now: Instant, hold_us: u64) {
        (self.hold_us, self.since) = (hold_us, now);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.hold_us == 0
    }

    /// The first instant from `now` on at which somebody else gets the lock.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        let (freed_at, _) = self.cycle(now);
        if self.is_idle() || now.us_since(freed_at) <= FREE_US {
            return now;
        }
        freed_at.plus_us(self.period_us())
    }

    /// The first poll of the queue from `now` on; on an idle bus that is when it is wanted.
    pub(super) fn poll_at(&self, now: Instant) -> Instant {
        let now = now.max(self.since);
        if self.is_idle() {
            return now;
        }
        let (freed_at, number) = self.cycle(now);
        let again_at = freed_at.plus_us(FREE_US);
        if now <= freed_at {
            freed_at
        } else if now <= again_at && self.random.clone().split(number).chance_ppm(500_000) {
            again_at
        } else {
            freed_at.plus_us(self.period_us())
        }
    }

    /// When the lock was freed last, and how often that was.
    fn cycle(&self, now: Instant) -> (Instant, u64) {
        let period_us = self.period_us() as i64;
        let number = now.as_us().div_euclid(period_us);
        (Instant::from_us(number * period_us), number as u64)
    }

    fn period_us(&self) -> u64 {
        self.hold_us + FREE_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(instant: Instant) -> i64 {
        instant.as_us()
    }

    #[test]
    fn an_idle_bus_is_free_and_a_held_one_when_the_fetch_ends() {
        let idle = Bus::new(0, Random::new(1));
        assert_eq!(us(idle.free_at(Instant::from_us(12_345))), 12_345);
        let held = Bus::new(60_000, Random::new(1));
        for (now, free_at) in [(0, 0), (10_000, 10_000), (10_001, 70_000), (69_999, 70_000), (75_000, 75_000)]
        {
            assert_eq!(us(held.free_at(Instant::from_us(now))), free_at, "{now}");
        }
    }

    #[test]
    fn a_held_bus_is_polled_once_or_twice_in_each_cycle() {
        let bus = Bus::new(40_000, Random::new(1));
        let mut polls = vec![bus.poll_at(Instant::from_us(1))];
        while polls.len() < 3000 {
            polls.push(bus.poll_at(polls[polls.len() - 1].plus_us(1)));
        }
        let gaps: Vec<u64> = polls.windows(2).map(|two| two[1].us_since(two[0])).collect();
        assert!(gaps.iter().all(|gap| [10_000, 40_000, 50_000].contains(gap)));
        let twice = gaps.iter().filter(|gap| **gap == 10_000).count();
        let once = gaps.iter().filter(|gap| **gap == 50_000).count();
        assert!(twice.abs_diff(once) < 120, "{twice} {once}");
        assert_eq!(bus.poll_at(polls[7]), polls[7]);
    }
}
