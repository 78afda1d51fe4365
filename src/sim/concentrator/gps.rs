//! The GPS receiver at the forwarder: when its reference is valid.

use crate::time::Instant;

/// From the start of the process to the first valid reference (measured).
const FIRST_FIX_US: u64 = 4_000_000;
/// A reference outlives the messages by this (measured: 29.6 s of the limit of 30 s)...
const HOLD_OVER_US: u64 = 29_600_000;
/// ...and is back so long after they came back.
const BACK_US: u64 = 600_000;
/// The frequency of the crystal is known, and the first beacons are queued, so long after the start.
const BEACONS_READY_US: u64 = 21_200_000;

/// What `Settings` says of it.
#[derive(Clone, Debug)]
pub(super) struct Gps {
    is_there: bool,
    silences_us: Vec<(u64, u64)>,
    started: Instant,
}

impl Gps {
    pub(super) fn new(is_there: bool, silences_us: Vec<(u64, u64)>, started: Instant) -> Self {
        Gps { is_there, silences_us, started }
    }

    pub(super) fn is_valid(&self, now: Instant) -> bool {
        let is_lost = |&(from_us, to_us): &(u64, u64)| {
            now >= Instant::ZERO.plus_us(from_us).plus_us(HOLD_OVER_US)
                && now < Instant::ZERO.plus_us(to_us).plus_us(BACK_US)
        };
        self.is_there && now >= self.started.plus_us(FIRST_FIX_US) && !self.silences_us.iter().any(is_lost)
    }

    /// The first instant at which beacons can be timed.
    pub(super) fn beacons_ready_at(&self) -> Instant {
        self.started.plus_us(BEACONS_READY_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_comes_after_4_s_outlives_its_messages_by_29_6_s_and_is_back_after_0_6_s() {
        let gps = Gps::new(true, vec![(100_000_000, 200_000_000), (300_000_000, 320_000_000)], Instant::ZERO);
        for (at_us, is_valid) in [
            (3_999_999, false),
            (4_000_000, true),
            (129_599_999, true),
            (129_600_000, false),
            (200_599_999, false),
            (200_600_000, true),
            (320_000_000, true),
        ] {
            assert_eq!(gps.is_valid(Instant::from_us(at_us)), is_valid, "{at_us}");
        }
        assert!(!Gps::new(false, Vec::new(), Instant::ZERO).is_valid(Instant::from_us(9_000_000)));
    }
}
