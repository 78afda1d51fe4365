//! GPS time and the leap seconds between it and UTC.

/// The earliest plausible wall clock, 2026-01-01 00:00:00 UTC, Unix microseconds; below it the clock was never set.
pub(super) const FLOOR_UNIX_US: i64 = 1_767_225_600_000_000;

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

/// GPS time is so many seconds ahead of UTC, until another leap second is announced.
pub(super) const LEAPS_S: u64 = LEAPS_UNIX_S.len() as u64;

impl GpsTime {
    /// The GPS time `us` microseconds after the GPS epoch.
    pub const fn from_us(us: u64) -> Self {
        GpsTime { us }
    }

    /// Microseconds since the GPS epoch.
    pub const fn as_us(self) -> u64 {
        self.us
    }

    /// The GPS time of a Unix time in microseconds (UTC without leap seconds). `None` before the GPS epoch.
    pub fn from_unix_us(unix_us: i64) -> Option<Self> {
        let unix_s = unix_us.div_euclid(1_000_000);
        let leaps = LEAPS_UNIX_S.iter().filter(|&&at| unix_s >= at).count();
        let gps_s = unix_s.checked_sub(GPS_EPOCH_UNIX_S)?.checked_add(i64::try_from(leaps).ok()?)?;
        let us = gps_s.checked_mul(1_000_000)?.checked_add(unix_us.rem_euclid(1_000_000))?;
        Some(GpsTime { us: u64::try_from(us).ok()? })
    }

    /// The Unix time in microseconds. A leap second maps onto the second after it.
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

    /// The GPS time `us` microseconds later.
    pub fn plus_us(self, us: u64) -> GpsTime {
        GpsTime { us: self.us.saturating_add(us) }
    }

    /// Microseconds since `earlier`; zero when `earlier` is in truth later.
    pub fn us_since(self, earlier: GpsTime) -> u64 {
        self.us.saturating_sub(earlier.us)
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
}
