//! GPS time as a packet forwarder's receiver tells it with uplinks, now and then.

use super::gps_time::FLOOR_UNIX_US;
use super::gps_time::GpsTime;
use super::gps_time::LEAPS_S;
use super::instant::Instant;
use super::wall_clock::APART_US;

/// Times in a row that must lie on one line before it is believed.
const AGREEING: u32 = 3;
/// The time that they must span at least, microseconds.
const SPAN_US: u64 = 10_000_000;
/// Times that are further from the line begin another one, microseconds.
const AGREE_US: u64 = 1_000_000;
/// The line is believed for so long after its last time, microseconds: a crystal of 20 ppm is off by 72 ms then.
const FRESH_US: u64 = 3_600_000_000;
/// A forwarder's GPS time can be 2^32 us ahead, when a packet came before the pulse it was compared with.
const GLITCH_US: u64 = 1 << 32;

/// Two clocks that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDispute {
    /// What this gateway's own clock says.
    pub ours: GpsTime,
    /// What the forwarder's GPS said at the same moment.
    pub theirs: GpsTime,
}

impl ClockDispute {
    /// The dispute between two times of one moment; `None` when they agree but for the forwarder's known glitch.
    pub fn between(ours: GpsTime, theirs: GpsTime) -> Option<ClockDispute> {
        let dispute = ClockDispute { ours, theirs };
        (dispute.apart_us() > APART_US && !Self::is_glitch(ours, theirs)).then_some(dispute)
    }

    /// Whether two times of one moment are as far apart as forwarders are known to be at times.
    pub fn is_glitch(ours: GpsTime, theirs: GpsTime) -> bool {
        ours.as_us().abs_diff(theirs.as_us()).abs_diff(GLITCH_US) <= APART_US
    }

    /// How far apart they are, microseconds.
    pub fn apart_us(&self) -> u64 {
        self.ours.as_us().abs_diff(self.theirs.as_us())
    }

    /// Whether they are apart as where one of them takes UTC for GPS time.
    pub fn is_utc_for_gps(&self) -> bool {
        self.apart_us().abs_diff(LEAPS_S * 1_000_000) <= APART_US
    }
}

/// The line on which the last times lay.
#[derive(Clone, Debug, Default)]
pub struct GpsLine {
    last: Option<(Instant, GpsTime)>,
    since: Instant,
    agreeing: u32,
}

impl GpsLine {
    /// Takes the time of an uplink that ended at `at`.
    pub fn hear(&mut self, at: Instant, gps: GpsTime) {
        // Before its first almanac, or past its firmware's 1024 weeks, a receiver may name any year.
        if gps.to_unix_us() < FLOOR_UNIX_US {
            *self = GpsLine::default();
            return;
        }
        let expected = self.expected(at);
        // A line that began with one is the wrong one.
        if expected.is_some_and(|expected| gps > expected && ClockDispute::is_glitch(expected, gps)) {
            return;
        }
        match expected.map(|expected| expected.as_us().abs_diff(gps.as_us())) {
            Some(..=AGREE_US) => self.agreeing = self.agreeing.saturating_add(1),
            _ => (self.agreeing, self.since) = (1, at),
        }
        self.last = Some((at, gps));
    }

    /// The time now; `None` while it is not steady, or too old.
    pub fn gps_at(&self, now: Instant) -> Option<GpsTime> {
        let (last, _) = self.last?;
        let is_steady = self.agreeing >= AGREEING && last.us_since(self.since) >= SPAN_US;
        self.expected(now).filter(|_| is_steady)
    }

    fn expected(&self, at: Instant) -> Option<GpsTime> {
        let (last, gps) = self.last?;
        let us = at.as_us().checked_sub(last.as_us())?;
        let us = gps.as_us().checked_add_signed(us).filter(|_| at.us_since(last) <= FRESH_US)?;
        Some(GpsTime::from_us(us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPS: GpsTime = GpsTime::from_us(1_479_369_618_000_000);

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    fn says(s: u64) -> GpsTime {
        GPS.plus_us(s * 1_000_000)
    }

    #[test]
    fn a_line_is_believed_after_three_times_in_ten_seconds_and_for_an_hour() {
        let mut line = GpsLine::default();
        line.hear(at(0), says(0));
        line.hear(at(1), says(1));
        line.hear(at(2), says(2));
        assert_eq!(line.gps_at(at(2)), None, "too short a span");
        line.hear(at(60), says(60));
        assert_eq!(line.gps_at(at(61)), Some(says(61)));
        assert_eq!(line.gps_at(at(60 + 3600)), Some(says(60 + 3600)));
        assert_eq!(line.gps_at(at(61 + 3600)), None);
        line.hear(at(61 + 3600), says(61 + 3600));
        assert_eq!(line.gps_at(at(61 + 3600)), None, "what comes after so long begins anew");
    }

    #[test]
    fn a_time_off_the_line_begins_anew_but_for_the_known_glitch_and_an_old_year_counts_for_nothing() {
        let mut line = GpsLine::default();
        (0..20).for_each(|second| line.hear(at(second), says(second as u64)));
        line.hear(at(20), says(20).plus_us(1 << 32));
        assert_eq!(line.gps_at(at(20)), Some(says(20)));
        let mut glitched = GpsLine::default();
        glitched.hear(at(0), says(0).plus_us(1 << 32));
        (1..20).for_each(|second| glitched.hear(at(second), says(second as u64)));
        assert_eq!(glitched.gps_at(at(20)), Some(says(20)));
        line.hear(at(21), says(23));
        assert_eq!(line.gps_at(at(21)), None);
        let mut old = GpsLine::default();
        let years_ago = GpsTime::from_us(1_400_000_000_000_000);
        (0..20).for_each(|second| old.hear(at(second), years_ago.plus_us(second as u64 * 1_000_000)));
        assert_eq!(old.gps_at(at(20)), None);
    }

    #[test]
    fn eighteen_seconds_are_utc_taken_for_gps_and_two_are_no_dispute() {
        assert_eq!(ClockDispute::between(GPS, GPS.plus_us(2_000_000)), None);
        assert_eq!(ClockDispute::between(GPS, GPS.plus_us(1 << 32)), None);
        let dispute = |apart_s: u64| ClockDispute::between(says(apart_s), GPS).unwrap();
        assert!(
            dispute(18).is_utc_for_gps() && !dispute(5).is_utc_for_gps() && !dispute(37).is_utc_for_gps()
        );
    }
}
