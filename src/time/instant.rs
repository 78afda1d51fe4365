//! Four clocks, four types: the process' own [`Instant`], [`GpsTime`], the concentrator's wrapping [`Tmst`]
//! and its unrolled [`ConcentratorTime`]. They do not mix by accident:
//!
//! ```compile_fail
//! use fuotad::time::{GpsTime, Instant};
//! let _ = Instant::from_us(1) < GpsTime::from_us(1);
//! ```
//!
//! This room knows no source of time. Whoever stands at the edge of the world reads a clock and passes
//! [`Now`] in.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// Microseconds on a monotonic time line whose zero is arbitrary: the start of the process, or of the
/// simulated world. Signed, because what was sent before the zero (a restored ledger) still counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    us: i64,
}

impl Instant {
    /// The zero of the time line.
    pub const ZERO: Instant = Instant { us: 0 };

    /// The instant `us` microseconds after the zero (before it, when negative).
    pub const fn from_us(us: i64) -> Self {
        Instant { us }
    }

    /// Microseconds since the zero.
    pub const fn as_us(self) -> i64 {
        self.us
    }

    /// The time since `earlier`; zero when `earlier` is in truth later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(u64::try_from(self.us.saturating_sub(earlier.us)).unwrap_or(0))
    }

    /// Microseconds since `earlier`; zero when `earlier` is in truth later.
    pub fn us_since(self, earlier: Instant) -> u64 {
        u64::try_from(self.us.saturating_sub(earlier.us)).unwrap_or(0)
    }

    /// This instant moved `us` microseconds into the future, stopping at the end of the time line.
    pub fn plus_us(self, us: u64) -> Instant {
        Instant { us: self.us.saturating_add(i64::try_from(us).unwrap_or(i64::MAX)) }
    }

    /// This instant moved `us` microseconds into the past, stopping at the beginning of the time line.
    pub fn minus_us(self, us: u64) -> Instant {
        Instant { us: self.us.saturating_sub(i64::try_from(us).unwrap_or(i64::MAX)) }
    }
}

fn duration_us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        self.plus_us(duration_us(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, duration: Duration) -> Instant {
        self.minus_us(duration_us(duration))
    }
}

/// Seconds with six decimals, for logs: `12.000345 s`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.us < 0 { "-" } else { "" };
        let us = self.us.unsigned_abs();
        write!(f, "{sign}{}.{:06} s", us / 1_000_000, us % 1_000_000)
    }
}

/// Microseconds of GPS time: since 1980-01-06 00:00:00 UTC, leap seconds counted (TS005-1.0.0 uses its seconds
/// modulo 2^32 as `SessionTime`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpsTime {
    us: u64,
}

/// Unix seconds of the GPS epoch, 1980-01-06 00:00:00 UTC.
const GPS_EPOCH_UNIX_S: i64 = 315_964_800;

/// Unix seconds at which one more leap second had been inserted since the GPS epoch (IERS Bulletin C; the
/// last is 2017-01-01, announced to stay so until further notice).
const LEAPS_UNIX_S: [i64; 18] = [
    362_793_600,
    394_329_600,
    425_865_600,
    489_024_000,
    567_993_600,
    631_152_000,
    662_688_000,
    709_948_800,
    741_484_800,
    773_020_800,
    820_454_400,
    867_715_200,
    915_148_800,
    1_136_073_600,
    1_230_768_000,
    1_341_100_800,
    1_435_708_800,
    1_483_228_800,
];

impl GpsTime {
    /// From microseconds since the GPS epoch.
    pub const fn from_us(us: u64) -> Self {
        GpsTime { us }
    }

    /// Microseconds since the GPS epoch.
    pub const fn as_us(self) -> u64 {
        self.us
    }

    /// From Unix time in microseconds (UTC without leap seconds). `None` before the GPS epoch.
    pub fn from_unix_us(unix_us: i64) -> Option<Self> {
        let unix_s = unix_us.div_euclid(1_000_000);
        let leaps = LEAPS_UNIX_S.iter().filter(|&&at| unix_s >= at).count();
        let gps_s = unix_s.checked_sub(GPS_EPOCH_UNIX_S)?.checked_add(i64::try_from(leaps).ok()?)?;
        let us = gps_s.checked_mul(1_000_000)?.checked_add(unix_us.rem_euclid(1_000_000))?;
        Some(GpsTime { us: u64::try_from(us).ok()? })
    }

    /// As Unix time in microseconds. A leap second itself maps onto the second after it.
    pub fn to_unix_us(self) -> i64 {
        let gps_s = i64::try_from(self.us / 1_000_000).unwrap_or(i64::MAX);
        let mut unix_s = gps_s.saturating_add(GPS_EPOCH_UNIX_S);
        for at in LEAPS_UNIX_S {
            if unix_s > at {
                unix_s -= 1;
            }
        }
        unix_s.saturating_mul(1_000_000).saturating_add((self.us % 1_000_000) as i64)
    }

    /// Whole GPS seconds modulo 2^32: the `SessionTime` of TS005-1.0.0 3.5.
    pub fn session_time(self) -> u32 {
        ((self.us / 1_000_000) & u64::from(u32::MAX)) as u32
    }

    /// Moved `us` microseconds into the future.
    pub fn plus_us(self, us: u64) -> GpsTime {
        GpsTime { us: self.us.saturating_add(us) }
    }

    /// Microseconds since `earlier`; zero when `earlier` is in truth later.
    pub fn us_since(self, earlier: GpsTime) -> u64 {
        self.us.saturating_sub(earlier.us)
    }
}

/// The concentrator's 32-bit microsecond counter as it stands in `rxpk.tmst` and `txpk.tmst`: it wraps every
/// 71 min 35 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tmst(pub u32);

/// The concentrator's counter unrolled to 64 bits, with the number of the forwarder session it was seen in:
/// after a restart of the forwarder every older value is foreign, not merely wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConcentratorTime {
    /// Which run of the packet forwarder counted this.
    pub session: u32,
    /// Microseconds since the counter's zero, wraps counted.
    pub us: u64,
}

impl ConcentratorTime {
    /// What goes into `txpk.tmst`.
    pub fn tmst(self) -> Tmst {
        Tmst((self.us & u64::from(u32::MAX)) as u32)
    }
}

/// One reading of the clocks, made at the edge of the world and passed into everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub mono: Instant,
    /// GPS time, only when its source is trusted.
    pub gps: Option<GpsTime>,
}

impl Now {
    /// The instant at which GPS time will be (or was) `gps`; `None` while the clock is not trusted.
    pub fn instant_of(self, gps: GpsTime) -> Option<Instant> {
        let here = self.gps?;
        Some(if gps >= here {
            self.mono.plus_us(gps.us_since(here))
        } else {
            self.mono.minus_us(here.us_since(gps))
        })
    }

    /// GPS time at `instant`; `None` while the clock is not trusted.
    pub fn gps_at(self, instant: Instant) -> Option<GpsTime> {
        let here = self.gps?;
        let ahead = instant.as_us().saturating_sub(self.mono.as_us());
        Some(GpsTime::from_us(here.as_us().saturating_add_signed(ahead)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gps_time_counts_the_leap_seconds_that_utc_hides() {
        let first_of_2017 = GpsTime::from_unix_us(1_483_228_800_000_000).unwrap();
        assert_eq!(first_of_2017.as_us() / 1_000_000, 1_167_264_018);
        let just_before = GpsTime::from_unix_us(1_483_228_799_000_000).unwrap();
        assert_eq!(first_of_2017.us_since(just_before), 2_000_000);
        assert_eq!(GpsTime::from_unix_us(315_964_800_000_000).unwrap().as_us(), 0);
        assert_eq!(GpsTime::from_unix_us(0), None);
    }

    #[test]
    fn unix_time_survives_the_way_to_gps_and_back() {
        for unix_s in [315_964_800_i64, 362_793_600, 1_341_100_799, 1_483_228_800, 1_795_305_600] {
            let unix_us = unix_s * 1_000_000 + 123_456;
            assert_eq!(GpsTime::from_unix_us(unix_us).unwrap().to_unix_us(), unix_us);
        }
    }

    #[test]
    fn an_instant_before_the_zero_still_has_a_distance() {
        let early = Instant::from_us(-5_000_000);
        assert_eq!(Instant::ZERO.us_since(early), 5_000_000);
        assert_eq!(early.us_since(Instant::ZERO), 0);
        assert_eq!(early.to_string(), "-5.000000 s");
    }

    #[test]
    fn the_instant_of_a_gps_time_is_unknown_without_a_trusted_clock() {
        let gps = GpsTime::from_us(10_000_000);
        assert_eq!(Now { mono: Instant::ZERO, gps: None }.instant_of(gps), None);
        let now = Now { mono: Instant::from_us(7), gps: Some(GpsTime::from_us(4_000_000)) };
        assert_eq!(now.instant_of(gps), Some(Instant::from_us(6_000_007)));
        assert_eq!(now.gps_at(Instant::from_us(6_000_007)), Some(gps));
    }
}
