//! The time line inside an open session. Devices began to listen by the clock as it was then; whatever the wall clock
//! does while they do, the session ends when they stop.

use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

/// Readings that differ by more than this from the monotonic clock are a step, microseconds.
const STEP_US: u64 = 1_000_000;

/// The last time that was believed.
#[derive(Debug)]
pub(super) struct SessionClock {
    held: Option<(Instant, GpsTime)>,
}

impl SessionClock {
    /// Goes on from what a former process of this boot believed.
    pub(super) fn new(held: Option<(Instant, GpsTime)>) -> SessionClock {
        SessionClock { held }
    }

    /// What counts as the time now, and whether the time line is a new one. `is_in_session` says whether
    /// devices listen at a time.
    pub(super) fn filter(&mut self, now: Now, is_in_session: impl Fn(Now) -> bool) -> (Now, bool) {
        let mut has_moved = self.held.is_none() && now.gps.is_some();
        if let Some((mono, gps)) = self.held {
            let expected = gps.plus_us(now.mono.us_since(mono));
            let is_step = now.gps.is_none_or(|gps| gps.as_us().abs_diff(expected.as_us()) > STEP_US);
            let held = Now { gps: Some(expected), ..now };
            if is_step && is_in_session(held) {
                return (held, false);
            }
            has_moved = is_step && now.gps.is_some();
        }
        self.held = now.gps.map(|gps| (now.mono, gps));
        (now, has_moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: GpsTime = GpsTime::from_us(1_400_000_000_000_000);

    fn at(second: i64, off_us: i64) -> Now {
        let gps = START.as_us() as i64 + second * 1_000_000 + off_us;
        Now { mono: Instant::from_us(second * 1_000_000), gps: Some(GpsTime::from_us(gps as u64)) }
    }

    /// Devices listen from second 100 to second 200.
    fn listens(now: Now) -> bool {
        let from_start_us = now.gps.map_or(0, |gps| gps.us_since(START));
        (100_000_000..200_000_000).contains(&from_start_us)
    }

    #[test]
    fn inside_a_session_a_step_or_a_lost_clock_changes_nothing() {
        for step in [Some(-3_600_000_000), Some(3_600_000_000), Some(1_000_001), None] {
            let mut clock = SessionClock::new(None);
            assert_eq!(clock.filter(at(99, 0), listens).0, at(99, 0));
            assert_eq!(clock.filter(at(101, 0), listens).0, at(101, 0));
            for second in 102..200 {
                let wall = step.map_or(Now { gps: None, ..at(second, 0) }, |step| at(second, step));
                assert_eq!(clock.filter(wall, listens).0, at(second, 0), "{step:?}, {second}");
            }
            let after = step.map_or(Now { gps: None, ..at(200, 0) }, |step| at(200, step));
            assert_eq!(clock.filter(after, listens).0, after, "{step:?}: it is over");
        }
    }

    #[test]
    fn outside_of_sessions_the_clock_is_what_it_is_and_inside_it_may_be_slewed() {
        let mut clock = SessionClock::new(None);
        assert_eq!(clock.filter(at(1, 0), listens), (at(1, 0), true));
        assert_eq!(clock.filter(at(2, -7_000_000_000), listens), (at(2, -7_000_000_000), true));
        let mut slewed = SessionClock::new(None);
        for second in 90..200 {
            // 500 ppm, the most that a kernel slews.
            let wall = at(second, second * 500);
            assert_eq!(slewed.filter(wall, listens), (wall, second == 90));
        }
    }
}
