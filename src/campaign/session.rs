//! When the devices listen: Class C sessions (TS005-1.0.0 3.5) of 2^n seconds, one frequency, one data rate.

use crate::time::GpsTime;

/// The longest session: 2^15 s (TS005-1.0.0 3.5, TimeOut).
pub const MAX_EXPONENT: u8 = 15;
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
}

/// More sessions than any campaign of 16383 fragments needs in a band with a tenth of a per cent.
pub const MAX_SESSIONS: usize = 2048;
