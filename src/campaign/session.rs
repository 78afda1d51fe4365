//! When the devices listen: Class C sessions (TS005-1.0.0 3.5) of 2^n seconds, one frequency, one data rate.

use crate::time::GpsTime;

/// The longest session: 2^15 s (TS005-1.0.0 3.5, TimeOut).
pub const MAX_EXPONENT: u8 = 15;
/// Between two sessions of one campaign: devices leave Class C, and their clocks differ.
const BETWEEN_US: u64 = 60_000_000;
/// Room for delays in a session's length: a quarter more and a minute.
const SLACK_US: u64 = 60_000_000;

/// One Class C session as devices are told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its start, a whole GPS second.
    pub start: GpsTime,
    /// It lasts 2^exponent seconds.
    pub exponent: u8,
}

impl Session {
    /// The first moment after the session, GPS time.
    pub fn end(self) -> GpsTime {
        self.start.plus_us(self.length_us())
    }

    /// 2^exponent seconds in microseconds.
    pub fn length_us(self) -> u64 {
        1_000_000 << self.exponent.min(MAX_EXPONENT)
    }

    /// From when to when frames may be on the air, `guard_us` away from both edges: devices' clocks differ.
    pub fn usable(self, guard_us: u64) -> (GpsTime, GpsTime) {
        (self.start.plus_us(guard_us), self.start.plus_us(self.length_us().saturating_sub(guard_us)))
    }

    /// The next session of a campaign that needs more than this one.
    fn following(self) -> Session {
        Session { start: self.end().plus_us(BETWEEN_US), ..self }
    }

    /// The sessions for `duration_us` of sending from `start` on (rounded up to a whole second): one, as
    /// short as it may be, or as many of the longest as it takes. With `exponent` each has that length.
    ///
    /// Empty when a session of the wanted length has no room inside its guards.
    pub fn plan(start: GpsTime, duration_us: u64, guard_us: u64, exponent: Option<u8>) -> Vec<Session> {
        let wanted_us = duration_us + duration_us / 4 + SLACK_US + 2 * guard_us;
        let mut start = GpsTime::from_us(start.as_us().div_ceil(1_000_000) * 1_000_000);
        let mut left_us = duration_us;
        let mut sessions = Vec::new();
        let shortest = (0..MAX_EXPONENT).find(|n| (1_000_000u64 << n) >= wanted_us).unwrap_or(MAX_EXPONENT);
        let longest = exponent.unwrap_or(shortest);
        loop {
            let session = Session { start, exponent: longest };
            let Some(room_us) = session.length_us().checked_sub(2 * guard_us).filter(|room| *room > 0) else {
                return Vec::new();
            };
            sessions.push(session);
            // The slack belongs to every session; what it holds beyond its plan is not counted on.
            let planned_us = room_us.saturating_sub(room_us / 5).max(1);
            if left_us <= planned_us || sessions.len() == MAX_SESSIONS {
                return sessions;
            }
            left_us -= planned_us;
            start = session.following().start;
        }
    }
}

/// More sessions than any campaign of 16383 fragments needs in a band with a tenth of a per cent.
pub const MAX_SESSIONS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD_US: u64 = 10_000_000;

    #[test]
    fn one_session_is_as_short_as_it_may_be() {
        let start = GpsTime::from_us(1_400_000_000_000_000);
        // 600 s x 1.25 + 60 s + 2 x 10 s = 830 s: 2^10 s.
        let sessions = Session::plan(start, 600_000_000, GUARD_US, None);
        assert_eq!(sessions, vec![Session { start, exponent: 10 }]);
    }

    #[test]
    fn a_long_campaign_gets_several_of_the_longest_sessions() {
        let start = GpsTime::from_us(1_400_000_000_000_000);
        let sessions = Session::plan(start, 16 * 3_600_000_000, GUARD_US, None);
        assert_eq!(sessions.len(), 3);
        assert!(sessions.iter().all(|session| session.exponent == 15));
        assert!(sessions.windows(2).all(|pair| pair[1].start > pair[0].end()));
    }

    #[test]
    fn a_session_without_room_between_its_guards_is_no_session() {
        let start = GpsTime::from_us(1_400_000_000_000_000);
        assert_eq!(Session::plan(start, 1_000_000, GUARD_US, Some(4)), vec![]);
    }

    #[test]
    fn a_session_starts_on_a_whole_second() {
        let sessions = Session::plan(GpsTime::from_us(1_000_001), 1_000_000, GUARD_US, None);
        assert_eq!(sessions[0].start.as_us(), 2_000_000);
    }
}
