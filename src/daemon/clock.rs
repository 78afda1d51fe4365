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
#[cfg(feature = "gps")]
use tokio::sync::mpsc;

/// Before this the wall clock was certainly never set: 2026-01-01 00:00:00 UTC, Unix microseconds.
const FLOOR_UNIX_US: i64 = 1_767_225_600_000_000;
/// The wall clock may be slewed, not moved: more than this against the boot clock is a jump, microseconds.
const JUMP_US: u64 = 1_000_000;
/// After a jump it must stand still this long before it is believed again, microseconds.
const SETTLE_US: u64 = 10_000_000;
/// The evidence is looked for this often, microseconds.
const LOOK_US: u64 = 1_000_000;
/// Two sources of time that are further apart than this contradict each other, microseconds. A receiver's sentence
/// comes up to a second after the second that it names.
const APART_US: u64 = 2_000_000;
/// A receiver is believed when so many of its times in a row agree...
const AGREEING: u32 = 3;
/// ...to this, microseconds...
#[cfg(any(feature = "gps", test))]
const AGREE_US: u64 = 1_000_000;
/// ...and for so long after the last one, microseconds.
const FRESH_US: u64 = 10_000_000;

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
    stopwatch: Stopwatch,
    settings: ClockSettings,
    judge: Judge,
    looked: Option<Instant>,
    #[cfg(feature = "gps")]
    words: Option<mpsc::Receiver<GpsWord>>,
    gps_state: Option<String>,
}

/// What a GPS receiver of our own says.
#[cfg(feature = "gps")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpsWord {
    /// UTC, Unix microseconds, and when it was said.
    Utc {
        /// By this machine's [`Stopwatch`].
        at: Instant,
        /// Unix microseconds.
        unix_us: i64,
    },
    /// How it stands with it, for people.
    State(String),
}

/// The monotonic clock alone, for whoever must note a moment.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    zero_us: i64,
}

impl Stopwatch {
    /// Now.
    pub fn now(self) -> Instant {
        Instant::from_us(boot_us().saturating_sub(self.zero_us))
    }
}

impl Clock {
    /// Clocks whose zero is now.
    pub fn new(settings: ClockSettings) -> Self {
        let judge = Judge { trust: settings.trust, ..Judge::default() };
        let stopwatch = Stopwatch { zero_us: boot_us() };
        Clock {
            stopwatch,
            settings,
            judge,
            looked: None,
            #[cfg(feature = "gps")]
            words: None,
            gps_state: None,
        }
    }

    /// The monotonic clock alone.
    #[cfg(feature = "gps")]
    pub fn stopwatch(&self) -> Stopwatch {
        self.stopwatch
    }

    /// From now on a GPS receiver of our own is one more witness.
    #[cfg(feature = "gps")]
    pub fn hear(&mut self, words: mpsc::Receiver<GpsWord>) {
        self.words = Some(words);
    }

    /// How it stands with the receiver; `None` without one.
    pub fn gps_state(&self) -> Option<&str> {
        self.gps_state.as_deref()
    }

    /// One reading of all clocks.
    pub fn now(&mut self) -> Now {
        let mono = self.mono();
        if self.looked.is_none_or(|looked| mono.us_since(looked) >= LOOK_US) {
            self.looked = Some(mono);
            self.judge.has_evidence = self.settings.evidence.iter().any(|path| path.exists());
        }
        #[cfg(feature = "gps")]
        self.take_words();
        Now { mono, gps: self.judge.gps(mono, unix_us()) }
    }

    #[cfg(feature = "gps")]
    fn take_words(&mut self) {
        while let Some(word) = self.words.as_mut().and_then(|words| words.try_recv().ok()) {
            match word {
                GpsWord::Utc { at, unix_us } => self.judge.receiver.hear(at, unix_us),
                GpsWord::State(state) => self.gps_state = Some(state),
            }
        }
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
        self.stopwatch.now()
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
    receiver: Receiver,
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
            receiver: Receiver::default(),
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
        let received_us = self.receiver.unix_us(mono);
        let agrees = received_us.is_some_and(|received_us| received_us.abs_diff(unix_us) <= APART_US);
        let doubt = self.doubt(mono, unix_us, agrees);
        self.distrust = match (doubt, received_us) {
            (None, Some(_)) if !agrees => Some(
                "it and the GPS receiver contradict each other: one of them is wrong, and nobody knows which",
            ),
            (None, _) => None,
            // The receiver speaks for itself.
            (Some(_), Some(received_us)) => {
                self.distrust = None;
                return GpsTime::from_unix_us(received_us);
            }
            (doubt, None) => doubt,
        };
        if self.distrust.is_some() {
            return None;
        }
        self.settles_at = None;
        GpsTime::from_unix_us(unix_us)
    }

    /// Why the wall clock is not to be believed; a receiver that agrees is evidence.
    fn doubt(&self, mono: Instant, unix_us: i64, agrees: bool) -> Option<&'static str> {
        if self.trust == Trust::Never {
            return Some("[clock] trust is \"never\"");
        }
        if unix_us < FLOOR_UNIX_US {
            return Some("it shows a time before 2026: it was never set");
        }
        if self.settles_at.is_some_and(|at| mono < at) {
            return Some("it jumped a moment ago");
        }
        if self.trust == Trust::Auto && !self.has_evidence && !agrees {
            return Some(
                "nothing says that it is synchronised: no file of [clock] evidence exists (or set trust = \"always\")",
            );
        }
        None
    }
}

/// What a GPS receiver of our own said lately.
#[derive(Debug, Default)]
struct Receiver {
    /// When, and Unix microseconds.
    last: Option<(Instant, i64)>,
    agreeing: u32,
}

impl Receiver {
    #[cfg(any(feature = "gps", test))]
    fn hear(&mut self, at: Instant, unix_us: i64) {
        // Before its first almanac, or past its firmware's 1024 weeks, a receiver may name any year.
        if unix_us < FLOOR_UNIX_US {
            *self = Receiver::default();
            return;
        }
        let agrees = self.at(at).is_some_and(|expected_us| expected_us.abs_diff(unix_us) <= AGREE_US);
        self.agreeing = if agrees { self.agreeing.saturating_add(1) } else { 1 };
        self.last = Some((at, unix_us));
    }

    /// Its time now, when it is to be believed.
    fn unix_us(&self, mono: Instant) -> Option<i64> {
        self.at(mono).filter(|_| self.agreeing >= AGREEING)
    }

    /// Its last time, grown older; `None` when that is too old.
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

    /// A receiver that named `unix_us` at the zero, three seconds long.
    fn with_receiver(mut judge: Judge, unix_us: i64) -> Judge {
        for second in 0..3 {
            judge.receiver.hear(Instant::from_us(second * 1_000_000), unix_us + second * 1_000_000);
        }
        judge
    }

    const LATER: Instant = Instant::from_us(2_500_000);

    #[test]
    fn a_receiver_that_agrees_is_evidence_for_the_wall_clock() {
        for off_us in [-2_000_000, 0, 2_000_000] {
            let mut judge = with_receiver(Judge::default(), UNIX_US + off_us);
            let wall_us = UNIX_US + 2_500_000;
            assert_eq!(judge.gps(LATER, wall_us), GpsTime::from_unix_us(wall_us), "the finer one");
            assert_eq!(judge.distrust, None);
        }
    }

    #[test]
    fn without_a_wall_clock_the_receiver_speaks_for_itself() {
        for mut judge in [Judge::default(), Judge { trust: Trust::Never, ..Judge::default() }, always()] {
            judge = with_receiver(judge, UNIX_US);
            assert_eq!(judge.gps(LATER, 0), GpsTime::from_unix_us(UNIX_US + 2_500_000));
            assert_eq!(judge.distrust, None);
        }
    }

    #[test]
    fn a_receiver_and_a_trusted_wall_clock_that_contradict_each_other_start_nothing() {
        for off_us in [-2_000_001, 2_000_001, 86_400_000_000] {
            let mut judge = with_receiver(always(), UNIX_US - 2_500_000 + off_us);
            assert_eq!(judge.gps(LATER, UNIX_US), None, "{off_us}");
            assert!(judge.distrust.unwrap().contains("contradict"));
        }
    }

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

    #[test]
    fn a_wall_clock_that_jumped_is_not_missed_while_there_is_a_receiver() {
        let mut judge = with_receiver(always(), UNIX_US);
        assert!(judge.gps(Instant::from_us(2_000_000), UNIX_US + 2_000_000).is_some());
        let jumped = judge.gps(LATER, UNIX_US + 3_600_000_000);
        assert_eq!(jumped, GpsTime::from_unix_us(UNIX_US + 2_500_000));
    }

    #[test]
    fn the_boot_clock_never_runs_backwards() {
        let mut clock = Clock::new(ClockSettings { trust: Trust::Never, evidence: Vec::new() });
        let first = clock.now().mono;
        assert!(first >= Instant::ZERO && clock.now().mono >= first);
    }
}
