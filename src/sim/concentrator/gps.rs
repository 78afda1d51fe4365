//! The GPS receiver at the forwarder: what time it is, and when its reference is valid.

use crate::sim::concentrator::settings::Settings;
use crate::sim::random::Random;
use crate::time::GpsTime;
use crate::time::Instant;

/// From the start of the process to the first valid reference (measured).
const FIRST_FIX_US: u64 = 4_000_000;
/// A reference outlives the messages by this (measured: 29.6 s of the limit of 30 s)...
const HOLD_OVER_US: u64 = 29_600_000;
/// ...and is back so long after they came back.
const BACK_US: u64 = 600_000;
/// The frequency of the crystal is known, and the first beacons are queued, so long after the start.
const BEACONS_READY_US: u64 = 21_200_000;
/// The time of a reception can be so much too late.
const GLITCH_US: u64 = 1 << 32;

/// What `Settings` says of it.
#[derive(Clone, Debug)]
pub(super) struct Gps {
    is_there: bool,
    silences_us: Vec<(u64, u64)>,
    glitch_ppm: u32,
    /// GPS time at the zero of the world's time.
    zero: GpsTime,
    started: Instant,
}

impl Gps {
    pub(super) fn new(settings: &Settings, started: Instant) -> Self {
        Gps {
            is_there: settings.gps,
            silences_us: settings.gps_silences_us.clone(),
            glitch_ppm: settings.gps_glitch_ppm,
            zero: settings.gps_at_zero,
            started,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// GPS time at `now`, known or not.
    pub(super) fn time(&self, now: Instant) -> GpsTime {
        self.zero.plus_us(now.us_since(Instant::ZERO))
    }

    /// How far a GPS time is ahead, true microseconds.
    pub(super) fn ahead_us(&self, now: Instant, gps_ms: u64) -> i128 {
        i128::from(gps_ms) * 1000 - i128::from(self.zero.as_us()) - i128::from(now.as_us())
    }

    /// GPS time of a reception that ends now, as far as the forwarder knows it.
    pub(super) fn time_of_reception(&self, now: Instant, rng: &mut Random) -> Option<GpsTime> {
        let is_glitch = self.glitch_ppm > 0 && rng.chance_ppm(self.glitch_ppm);
        let time = self.time(now).plus_us(if is_glitch { GLITCH_US } else { 0 });
        self.is_valid(now).then_some(time)
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
        let gps_silences_us = vec![(100_000_000, 200_000_000), (300_000_000, 320_000_000)];
        let settings = Settings { gps: true, gps_silences_us, ..Settings::default() };
        let gps = Gps::new(&settings, Instant::ZERO);
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
        let none = Gps::new(&Settings::default(), Instant::ZERO);
        assert!(!none.is_valid(Instant::from_us(9_000_000)));
    }
}
