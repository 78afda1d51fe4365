//! The clocks of this machine. Nobody else asks them.
//!
//! Intervals come from CLOCK_BOOTTIME, which nobody can set and which goes on while the machine sleeps. The
//! wall clock only says where GPS time is, and only while it may be believed: a gateway without a battery wakes
//! up in 1970 or at its last shutdown, and a session opened then would be a session nobody listens to.

use super::ClockSettings;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use rustix::time::ClockId;
use rustix::time::clock_gettime;
use std::time::SystemTime;

/// Before this the wall clock was certainly never set: 2026-01-01 00:00:00 UTC, Unix microseconds.
const FLOOR_UNIX_US: i64 = 1_767_225_600_000_000;
/// The wall clock may be slewed, not moved: more than this against the boot clock is a jump, microseconds.
const JUMP_US: u64 = 1_000_000;
/// After a jump it must stand still this long before it is believed again, microseconds.
const SETTLE_US: u64 = 10_000_000;
/// The evidence is looked for this often, microseconds.
const LOOK_US: u64 = 1_000_000;

/// When the wall clock is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// While there is evidence that it is synchronised.
    Auto,
    /// Always: the operator vouches for it (a battery-backed clock, a GPS receiver that sets it).
    Always,
    /// Never: only tasks that start at once and devices that always listen can be served.
    Never,
}

/// All clocks of this machine.
#[derive(Debug)]
pub struct Clock {
    zero_us: i64,
    settings: ClockSettings,
    judge: Judge,
    looked: Option<Instant>,
}

impl Clock {
    /// Clocks whose zero is now.
    pub fn new(settings: ClockSettings) -> Self {
        let judge = Judge { trust: settings.trust, ..Judge::default() };
        Clock { zero_us: boot_us(), settings, judge, looked: None }
    }

    /// One reading of all clocks.
    pub fn now(&mut self) -> Now {
        let mono = self.mono();
        if self.looked.is_none_or(|looked| mono.us_since(looked) >= LOOK_US) {
            self.looked = Some(mono);
            self.judge.has_evidence = self.settings.evidence.iter().any(|path| path.exists());
        }
        Now { mono, gps: self.judge.gps(mono, unix_us()) }
    }

    /// Why the wall clock is not believed; `None` when it is.
    pub fn distrust(&self) -> Option<&'static str> {
        self.judge.distrust
    }

    /// The last jump that was not told yet, seconds; positive is forward.
    pub fn take_jump(&mut self) -> Option<i64> {
        self.judge.jumped_us.take().map(|us| us / 1_000_000)
    }

    fn mono(&self) -> Instant {
        Instant::from_us(boot_us().saturating_sub(self.zero_us))
    }
}

/// What the wall clock shows, believed or not: for a command that a person gives.
pub fn wall_clock() -> Option<GpsTime> {
    GpsTime::from_unix_us(unix_us())
}

fn boot_us() -> i64 {
    let at = clock_gettime(ClockId::Boottime);
    at.tv_sec.saturating_mul(1_000_000).saturating_add(at.tv_nsec / 1000)
}

fn unix_us() -> i64 {
    let us = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => us(after),
        Err(before) => -us(before.duration()),
    }
}

/// Decides whether a reading of the wall clock is believed. Pure, so that jumps can be tested.
#[derive(Debug)]
struct Judge {
    trust: Trust,
    has_evidence: bool,
    /// Wall clock minus boot clock at the last reading, microseconds.
    offset_us: Option<i64>,
    settles_at: Option<Instant>,
    jumped_us: Option<i64>,
    distrust: Option<&'static str>,
}

impl Default for Judge {
    fn default() -> Self {
        Judge {
            trust: Trust::Auto,
            has_evidence: false,
            offset_us: None,
            settles_at: None,
            jumped_us: None,
            distrust: Some("it was not read yet"),
        }
    }
}

impl Judge {
    fn gps(&mut self, mono: Instant, unix_us: i64) -> Option<GpsTime> {
        let offset_us = unix_us.saturating_sub(mono.as_us());
        let moved_us = self.offset_us.map_or(0, |before| offset_us.saturating_sub(before));
        self.offset_us = Some(offset_us);
        if moved_us.unsigned_abs() > JUMP_US {
            self.jumped_us = Some(moved_us);
            self.settles_at = Some(mono.plus_us(SETTLE_US));
        }
        self.distrust = self.doubt(mono, unix_us);
        if self.distrust.is_some() {
            return None;
        }
        self.settles_at = None;
        GpsTime::from_unix_us(unix_us)
    }

    fn doubt(&self, mono: Instant, unix_us: i64) -> Option<&'static str> {
        if self.trust == Trust::Never {
            return Some("[clock] trust is \"never\"");
        }
        if unix_us < FLOOR_UNIX_US {
            return Some("it shows a time before 2026: it was never set");
        }
        if self.settles_at.is_some_and(|at| mono < at) {
            return Some("it jumped a moment ago");
        }
        if self.trust == Trust::Auto && !self.has_evidence {
            return Some(
                "nothing says that it is synchronised: no file of [clock] evidence exists (or set trust = \"always\")",
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX_US: i64 = FLOOR_UNIX_US + 30_000_000_000_000;

    fn always() -> Judge {
        Judge { trust: Trust::Always, ..Judge::default() }
    }

    #[test]
    fn a_clock_that_was_never_set_is_not_believed_whatever_the_operator_says() {
        let mut judge = always();
        assert_eq!(judge.gps(Instant::ZERO, 0), None);
        assert_eq!(judge.gps(Instant::ZERO, -UNIX_US), None);
        assert!(judge.distrust.unwrap().contains("never set"));
    }

    #[test]
    fn without_evidence_only_the_operator_makes_a_clock_trusted() {
        let mut judge = Judge::default();
        assert_eq!(judge.gps(Instant::ZERO, UNIX_US), None);
        judge.has_evidence = true;
        assert_eq!(judge.gps(Instant::ZERO, UNIX_US), GpsTime::from_unix_us(UNIX_US));
        assert!(always().gps(Instant::ZERO, UNIX_US).is_some());
        let mut never = Judge { trust: Trust::Never, has_evidence: true, ..Judge::default() };
        assert_eq!(never.gps(Instant::ZERO, UNIX_US), None);
    }

    #[test]
    fn a_clock_that_jumped_is_believed_again_when_it_stood_still_for_ten_seconds() {
        for jump_us in [3_600_000_000, -3_600_000_000, 50 * 365 * 86_400_000_000] {
            let mut judge = always();
            let mut at = Instant::ZERO;
            assert!(judge.gps(at, UNIX_US).is_some());
            at = Instant::from_us(1_000_000);
            assert_eq!(judge.gps(at, UNIX_US + 1_000_000 + jump_us), None, "{jump_us}");
            assert_eq!(judge.jumped_us.take(), Some(jump_us));
            at = Instant::from_us(10_900_000);
            assert_eq!(judge.gps(at, UNIX_US + 10_900_000 + jump_us), None);
            at = Instant::from_us(11_100_000);
            assert!(judge.gps(at, UNIX_US + 11_100_000 + jump_us).is_some());
            assert_eq!(judge.jumped_us, None);
        }
    }

    #[test]
    fn a_slewed_clock_stays_trusted() {
        let mut judge = always();
        for second in 0..10_000_i64 {
            // 500 ppm, the most that a kernel slews.
            let unix_us = UNIX_US + second * 1_000_500;
            assert!(judge.gps(Instant::from_us(second * 1_000_000), unix_us).is_some(), "{second}");
        }
    }

    #[test]
    fn the_boot_clock_never_runs_backwards() {
        let mut clock = Clock::new(ClockSettings { trust: Trust::Never, evidence: Vec::new() });
        let first = clock.now().mono;
        assert!(first >= Instant::ZERO && clock.now().mono >= first);
    }
}
