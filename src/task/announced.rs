//! What a task's source has announced to the devices of a group: their multicast session.

use crate::time::GpsTime;

/// A multicast group as the source of the task knows it. Nothing is required and no range is enforced: whoever
/// compares it names the difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnouncedGroup {
    /// The group's name on this gateway.
    pub group: String,
    /// The class of its downlinks, as written.
    pub class: Option<String>,
    /// The frequency and data rate of sessions that are not set up yet.
    pub defaults: Option<AnnouncedChannel>,
    /// The session that is set up.
    pub session: Option<AnnouncedSession>,
}

/// The channel on which devices listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnnouncedChannel {
    /// The centre frequency, Hz, as written.
    pub frequency_hz: Option<i64>,
    /// The data rate's number in the region.
    pub data_rate: Option<i64>,
}

/// The multicast session that devices were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnnouncedSession {
    /// The channel on which devices listen.
    pub channel: AnnouncedChannel,
    /// The session's first moment, GPS time.
    pub start: Option<GpsTime>,
    /// How long it lasts, seconds.
    pub timeout_s: Option<i64>,
    /// Slots from ping to ping: Class B only.
    pub ping_slot_period: Option<i64>,
}

impl AnnouncedSession {
    /// n of the session's 2^n seconds (TS005-1.0.0 3.5): a length between two powers is the longer one.
    pub fn timeout_exponent(&self) -> Option<u32> {
        let seconds = u64::try_from(self.timeout_s?).ok().filter(|seconds| *seconds > 0)?;
        Some(seconds.checked_next_power_of_two()?.ilog2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_length_between_two_powers_is_the_longer_one() {
        for (seconds, exponent) in
            [(Some(60), Some(6)), (Some(4096), Some(12)), (Some(4097), Some(13)), (Some(172_800), Some(18))]
        {
            let session = AnnouncedSession { timeout_s: seconds, ..AnnouncedSession::default() };
            assert_eq!(session.timeout_exponent(), exponent, "{seconds:?}");
        }
        for odd in [None, Some(0), Some(-1), Some(i64::MIN), Some(i64::MAX)] {
            let session = AnnouncedSession { timeout_s: odd, ..AnnouncedSession::default() };
            let exponent = (odd == Some(i64::MAX)).then_some(63);
            assert_eq!(session.timeout_exponent(), exponent, "{odd:?}");
        }
    }
}
