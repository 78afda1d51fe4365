//! Whether a device will listen when it should, by what its answers say of its clock.

use crate::lorawan::ts005::TIME_TO_START_UNKNOWN;
use crate::time::GpsTime;

/// An answer that tells a device's clock, and when it can have been built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedAnswer {
    /// The command left a gateway not before this: the answer is not older.
    pub asked: GpsTime,
    /// The end of the answer's uplink at our gateway.
    pub ended: GpsTime,
}

/// What an answer says of a device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockVerdict {
    /// It may be right within the guard.
    Right,
    /// It is ahead of GPS time by at least so many seconds more than the guard; behind it when negative.
    Wrong(i64),
    /// The device does not know the time.
    Unknown,
}

impl TimedAnswer {
    /// TimeToStart of McClassCSessionAns against the session's start. It is computed when the answer is built: a late
    /// uplink makes it look like a clock that is behind, so the answer counts as built at any time since the command.
    pub fn time_to_start(self, time_to_start_s: u32, start: GpsTime, guard_us: u64) -> ClockVerdict {
        if time_to_start_s == TIME_TO_START_UNKNOWN {
            return ClockVerdict::Unknown;
        }
        // Where the device begins to listen, against the start: the earlier it does the more its clock is ahead.
        let begins = |built: GpsTime| {
            built.as_us() as i64 + i64::from(time_to_start_s) * 1_000_000 - start.as_us() as i64
        };
        self.verdict(-begins(self.ended), -begins(self.asked.min(self.ended)), guard_us)
    }

    /// DeviceTime of AppTimeReq, GPS seconds modulo 2^32, taken just before sending.
    pub fn device_time(self, device_time_s: u32, guard_us: u64) -> ClockVerdict {
        if device_time_s == 0 {
            return ClockVerdict::Unknown;
        }
        let ahead = |built: GpsTime| {
            let expected_s = built.session_time();
            i64::from(device_time_s.wrapping_sub(expected_s).cast_signed()) * 1_000_000
        };
        self.verdict(ahead(self.ended), ahead(self.asked.min(self.ended)), guard_us)
    }

    /// The clock is ahead by something between the two, microseconds; seconds are whole ones on the air.
    fn verdict(self, low_us: i64, high_us: i64, guard_us: u64) -> ClockVerdict {
        let guard_us = guard_us.cast_signed().saturating_add(1_000_000);
        if low_us > guard_us {
            ClockVerdict::Wrong(low_us / 1_000_000)
        } else if high_us < -guard_us {
            ClockVerdict::Wrong(high_us / 1_000_000)
        } else {
            ClockVerdict::Right
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD_US: u64 = 10_000_000;

    fn gps(seconds: u64) -> GpsTime {
        GpsTime::from_us(1_400_000_000_000_000 + seconds * 1_000_000)
    }

    fn judged(late_s: u64, time_to_start_s: u32) -> ClockVerdict {
        TimedAnswer { asked: gps(0), ended: gps(late_s) }.time_to_start(time_to_start_s, gps(1000), GUARD_US)
    }

    #[test]
    fn a_late_uplink_is_no_fault_of_the_clock() {
        // Built at 2 s with a right clock, and sent 300 s later because of the device's duty cycle.
        assert_eq!(judged(302, 998), ClockVerdict::Right);
        assert_eq!(judged(2, 998), ClockVerdict::Right);
    }

    #[test]
    fn a_clock_beyond_the_guard_is_wrong_by_the_seconds_that_are_certain() {
        assert_eq!(judged(2, 998 - 100), ClockVerdict::Wrong(100));
        assert_eq!(judged(2, 998 + 100), ClockVerdict::Wrong(-98));
        assert_eq!(judged(302, 698 - 12), ClockVerdict::Wrong(12), "early is early however late it was sent");
        assert_eq!(judged(2, TIME_TO_START_UNKNOWN), ClockVerdict::Unknown);
    }

    #[test]
    fn the_time_of_a_request_is_judged_across_the_end_of_its_32_bits() {
        let asked = GpsTime::from_us(((1 << 32) - 1) * 1_000_000);
        let answer = TimedAnswer { asked, ended: asked.plus_us(3_000_000) };
        assert_eq!(answer.device_time(1, GUARD_US), ClockVerdict::Right);
        assert_eq!(answer.device_time(61, GUARD_US), ClockVerdict::Wrong(59));
        assert_eq!(answer.device_time(0, GUARD_US), ClockVerdict::Unknown);
    }
}
