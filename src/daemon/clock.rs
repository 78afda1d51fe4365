//! The clocks of this machine. Nobody else asks them.
//!
//! Intervals come from CLOCK_BOOTTIME, which nobody can set and which goes on while the machine sleeps. The
//! wall clock only says where GPS time is, and only while it may be believed: a gateway without a battery wakes
//! up in 1970 or at its last shutdown, and a session opened then would be a session nobody listens to. Here the
//! clocks are read and their witnesses asked; [`WallClock`] judges.

use super::settings::ClockSettings;
use crate::time::Distrust;
use crate::time::Evidence;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use crate::time::Stamp;
use crate::time::WallClock;
use rustix::time::ClockId;
use rustix::time::clock_gettime;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;
#[cfg(feature = "gps")]
use tokio::sync::mpsc;

/// The evidence is looked for this often, microseconds.
const LOOK_US: u64 = 1_000_000;
/// Two clocks that are read one after the other were read at once if no more than this passed, microseconds.
const AT_ONCE_US: u64 = 100_000;
/// Tries to read them at once.
const TRIES: usize = 3;

/// All clocks of this machine.
#[derive(Debug)]
pub struct Clock {
    stopwatch: Stopwatch,
    settings: ClockSettings,
    wall_clock: WallClock,
    looked: Option<Instant>,
    seen: Evidence,
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
        /// The wall clock's time at that instant, Unix microseconds.
        unix_us: i64,
    },
    /// How it stands with it, for people.
    State(String),
}

/// The monotonic clock alone, for whoever must note a moment. Its zero is the boot: what a process notes the next one
/// of the same boot can compare.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch;

impl Stopwatch {
    /// The time since the boot, sleep included.
    pub fn now(self) -> Instant {
        Instant::from_us(boot_us())
    }
}

impl Clock {
    /// Clocks that were not read yet.
    pub fn new(settings: ClockSettings) -> Self {
        let wall_clock = WallClock::new(settings.trust);
        let stopwatch = Stopwatch;
        Clock {
            stopwatch,
            settings,
            wall_clock,
            looked: None,
            seen: Evidence::NONE,
            #[cfg(feature = "gps")]
            words: None,
            gps_state: None,
        }
    }

    /// A former process of this boot believed that it was `gps` at `mono`.
    pub fn resume(&mut self, mono: Instant, gps: GpsTime) {
        self.seen = look(&self.settings.evidence);
        self.wall_clock.resume(mono, gps, &self.seen);
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
        // The evidence first: whoever synchronises the wall clock sets it and then touches a file. News of a step that
        // is not seen yet would be no news when it is.
        let at = self.stopwatch.now();
        if self.looked.is_none_or(|looked| at.us_since(looked) >= LOOK_US) {
            self.looked = Some(at);
            self.seen = look(&self.settings.evidence);
        }
        #[cfg(feature = "gps")]
        self.take_words();
        let (mono, wall_us) = self.both();
        Now { mono, gps: self.wall_clock.read(mono, wall_us, &self.seen) }
    }

    /// The monotonic and the wall clock (Unix microseconds), read at once: a process that is paused in between would
    /// see a step that never was.
    fn both(&self) -> (Instant, i64) {
        let read = || (self.stopwatch.now(), unix_us());
        (1..TRIES)
            .map(|_| read())
            .find(|(mono, _)| self.stopwatch.now().us_since(*mono) <= AT_ONCE_US)
            .unwrap_or_else(read)
    }

    #[cfg(feature = "gps")]
    fn take_words(&mut self) {
        while let Some(word) = self.words.as_mut().and_then(|words| words.try_recv().ok()) {
            match word {
                GpsWord::Utc { at, unix_us } => self.wall_clock.hear(at, unix_us),
                GpsWord::State(state) => self.gps_state = Some(state),
            }
        }
    }

    /// Why the wall clock is not followed; `None` when it is.
    pub fn distrust(&self) -> Option<Distrust> {
        self.wall_clock.distrust()
    }

    /// The last step that was not told yet, whole seconds; positive is forward.
    pub fn take_step(&mut self) -> Option<i64> {
        self.wall_clock.take_step()
    }
}

/// The files among `paths` that exist, as they are now.
fn look(paths: &[PathBuf]) -> Evidence {
    let there = paths.iter().filter_map(|path| std::fs::metadata(path).ok());
    Evidence::new(there.map(|file| Stamp {
        mtime_s: file.mtime(),
        mtime_ns: file.mtime_nsec(),
        inode: file.ino(),
    }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ClockTrust;

    #[test]
    fn the_boot_clock_never_runs_backwards() {
        let mut clock = Clock::new(ClockSettings { trust: ClockTrust::Never, evidence: Vec::new() });
        let first = clock.now().mono;
        assert!(first >= Instant::ZERO && clock.now().mono >= first);
    }

    #[test]
    fn a_file_that_is_touched_or_made_anew_is_news_and_one_that_is_not_there_is_no_evidence() {
        let folder = std::env::temp_dir().join(format!("fuotad-clock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let paths = [folder.join("missing"), folder.join("synchronized")];
        assert!(look(&paths).is_empty());
        std::fs::write(&paths[1], "").unwrap();
        let made = look(&paths);
        assert!(!made.is_empty() && !look(&paths).is_news_to(&made));
        let file = std::fs::File::options().write(true).open(&paths[1]).unwrap();
        // As a clock that stands in the past would touch it.
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let touched = look(&paths);
        assert!(touched.is_news_to(&made));
        std::fs::remove_file(&paths[1]).unwrap();
        assert!(look(&paths).is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
