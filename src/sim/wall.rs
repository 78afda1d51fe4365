//! The time as it is, and the gateway's wall clock: right until somebody moves it, and judged by the very code that
//! judges a real one.

use super::script::ClockTrouble;
use super::script::Script;
use crate::time::ClockTrust;
use crate::time::Evidence;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use crate::time::Stamp;
use crate::time::WallClock;

/// After a boot the network puts the clock right in this time, microseconds.
const SYNC_US: u64 = 30_000_000;

/// The time as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrueClock {
    zero: GpsTime,
}

impl TrueClock {
    /// The clock of a world that begins at `zero`.
    pub(super) fn new(zero: GpsTime) -> TrueClock {
        TrueClock { zero }
    }

    /// GPS time at `now`.
    pub(super) fn gps(self, now: Instant) -> GpsTime {
        self.zero.plus_us(now.us_since(Instant::ZERO))
    }

    /// Both clocks at `now`.
    pub(super) fn read(self, now: Instant) -> Now {
        Now { mono: now, gps: Some(self.gps(now)) }
    }
}

/// A wall clock and its judge.
#[derive(Debug)]
pub(super) struct Wall {
    judge: WallClock,
    truth: TrueClock,
    steps: Vec<(Instant, i64)>,
    trouble: Option<ClockTrouble>,
    is_credulous: bool,
    booted_at: Instant,
    /// How many boots there were; each is synchronised once, and the file of evidence says so.
    boots: u32,
}

impl Wall {
    /// A clock in its first boot; synchronised before the world began.
    pub(super) fn new(truth: TrueClock, script: &Script) -> Wall {
        let step = |(at_us, by_us): &(u64, i64)| (Instant::ZERO.plus_us(*at_us), *by_us);
        Wall {
            judge: WallClock::new(ClockTrust::Auto),
            truth,
            steps: script.clock_steps.iter().map(step).collect(),
            trouble: script.clock_trouble,
            is_credulous: script.is_credulous,
            booted_at: Instant::ZERO.minus_us(SYNC_US),
            boots: 0,
        }
    }

    /// The machine boots anew.
    pub(super) fn boot(&mut self, now: Instant) {
        self.booted_at = now;
        self.boots += 1;
    }

    /// Another process, and what one before it in this boot believed.
    pub(super) fn start(&mut self, now: Instant, believed: Option<(Instant, GpsTime)>) {
        self.judge = WallClock::new(ClockTrust::Auto);
        if let Some((mono, gps)) = believed {
            let evidence = self.evidence(now);
            self.judge.resume(mono, gps, &evidence);
        }
    }

    /// What the gateway takes for the time at `now`.
    pub(super) fn read(&mut self, now: Instant) -> Now {
        let has_trouble = |trouble: &ClockTrouble| now < Instant::ZERO.plus_us(trouble.until_us);
        if let Some(trouble) = self.trouble.filter(has_trouble) {
            let off_us =
                |off_us: i64| GpsTime::from_us(self.truth.gps(now).as_us().saturating_add_signed(off_us));
            return Now { mono: now, gps: trouble.off_us.map(off_us) };
        }
        if self.steps.is_empty() {
            return self.truth.read(now);
        }
        // The last synchronisation undid what was moved before it.
        let synced_at = self.booted_at.plus_us(SYNC_US);
        let counts = |at: Instant| at <= now && (now < synced_at || at > synced_at);
        let off_us: i64 = self.steps.iter().filter(|(at, _)| counts(*at)).map(|(_, by_us)| by_us).sum();
        let wall_us = self.truth.gps(now).to_unix_us().saturating_add(off_us);
        if self.is_credulous {
            return Now { mono: now, gps: GpsTime::from_unix_us(wall_us) };
        }
        let evidence = self.evidence(now);
        Now { mono: now, gps: self.judge.read(now, wall_us, &evidence) }
    }

    fn evidence(&self, now: Instant) -> Evidence {
        let stamp = Stamp { mtime_s: 0, mtime_ns: 0, inode: u64::from(self.boots) };
        if now < self.booted_at.plus_us(SYNC_US) { Evidence::NONE } else { Evidence::new([stamp]) }
    }
}
