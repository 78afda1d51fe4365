//! Monotonic time lines, and a reading of them together with GPS time.

use super::gps_time::GpsTime;
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

/// The concentrator's 32-bit microsecond counter as it stands in `rxpk.tmst` and `txpk.tmst`: it wraps every
/// 71 min 35 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tmst(pub u32);

/// The concentrator's counter unrolled to 64 bits, with the number of the forwarder session it was seen in:
/// after a restart of the forwarder every older value is foreign, not merely wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConcentratorTime {
    /// Number of the packet forwarder's session that counted this.
    pub session: u32,
    /// Microseconds since the counter's zero, wraps counted.
    pub us: u64,
}

impl ConcentratorTime {
    /// The value for `txpk.tmst`: the low 32 bits.
    pub fn tmst(self) -> Tmst {
        Tmst((self.us & u64::from(u32::MAX)) as u32)
    }
}

/// A reading of the clocks, made by the daemon or the simulation and passed as an argument to everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time of the monotonic clock.
    pub mono: Instant,
    /// GPS time; `None` while its source is not trusted.
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
