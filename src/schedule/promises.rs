//! What joins and confirmed messages need between trains of frames, beside the promise of an hour.
//!
//! A device that joins is on the air for a hundredth of the time (TS001-1.0.4 7), one that sends a confirmed message tries
//! eight times. Each try meets a frame with the chance that its data rate has in a train and its hole; tries come at random
//! enough to be taken as independent. Counted over the hour, of which the campaign may fill a part, few may fail.

use super::hearing::Train;
use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::radio::UplinkRate;
use crate::radio::uplink_airtime_us;

/// What is promised of joins: at most so many fail within ten minutes, parts per million.
pub const JOINS_FAILED_PPM: u32 = 10_000;
/// What is promised of confirmed messages: at most so many fail after all their tries, parts per million.
pub const CONFIRMED_FAILED_PPM: u32 = 10_000;
/// Tries of a confirmed message (TS001-1.0.4 19, NbTrans and its like).
pub const TRIES: u32 = 8;
/// A join is to succeed within this, microseconds.
pub const JOIN_WITHIN_US: u64 = 600_000_000;
/// A joining device waits for so many times its airtime, and at random up to a fifth more (TS001-1.0.4 7).
pub const JOIN_DUTY: u64 = 100;
/// PHYPayload of a JoinRequest, bytes.
const JOIN_LEN: usize = 23;

const HOUR_US: f64 = 3_600_000_000.0;
/// The model takes tries as independent and frames as a steady stream: what it says may be wrong by as much.
const MARGIN: f64 = 0.7;
/// Longer holes are not tried, microseconds.
const OPEN_MAX_US: u64 = 120_000_000;

/// Time on air of a JoinRequest, microseconds.
pub fn join_us(modulation: Modulation) -> u64 {
    uplink_airtime_us(modulation, JOIN_LEN)
}

/// A campaign as it is sent while it is.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Airtime of each frame, microseconds.
    pub airtime_us: u64,
    /// From one start to the next within a train, microseconds.
    pub spacing_us: u64,
    /// Frames in an hour, at most.
    pub frames: u64,
    /// The shortest time for so many of them on average, microseconds: what `max-deaf` leaves.
    pub even_us: u64,
}

/// For how much of each train and its hole the slowest usual uplink has to find the gateway listening, microseconds. It is
/// no less than what `train` has.
pub fn open_us(train: Train, uplinks: &UplinkMix, stream: Stream) -> u64 {
    let candidates = std::iter::successors(Some(train.open_us), |open_us| Some(open_us + open_us / 8));
    let mut candidates = candidates.take_while(|open_us| *open_us <= OPEN_MAX_US);
    let keeps = |open_us: &u64| {
        let (joins, confirmed) = failing(Train { open_us: *open_us, ..train }, uplinks, stream);
        joins <= f64::from(JOINS_FAILED_PPM) / 1e6 * MARGIN
            && confirmed <= f64::from(CONFIRMED_FAILED_PPM) / 1e6 * MARGIN
    };
    candidates.find(keeps).unwrap_or(OPEN_MAX_US)
}

/// The parts of an hour's joins and confirmed messages that fail.
fn failing(train: Train, uplinks: &UplinkMix, stream: Stream) -> (f64, f64) {
    let Stream { airtime_us, spacing_us, frames, even_us } = stream;
    let fit = train.fit(airtime_us, spacing_us);
    let pause_us = spacing_us.saturating_sub(airtime_us);
    let shortest_us = (fit - 1) * spacing_us + airtime_us;
    let hole_us = train.hole_us(airtime_us, spacing_us).unwrap_or(pause_us).max(pause_us);
    let cycle_us = (shortest_us + hole_us).max(fit * even_us);
    let hole_us = cycle_us - shortest_us;
    let lost = |uplink_us: u64| {
        let lost_us = fit * airtime_us + (fit - 1) * uplink_us.min(pause_us) + uplink_us.min(hole_us);
        lost_us as f64 / cycle_us as f64
    };
    let share = (frames as f64 / fit as f64 * cycle_us as f64 / HOUR_US).min(1.0);
    let mean = |fails: &dyn Fn(&UplinkRate) -> f64| {
        let sum: f64 = uplinks.rates().iter().map(|rate| rate.weight as f64 * fails(rate)).sum();
        sum / uplinks.weight().max(1) as f64 * share
    };
    let join = |rate: &UplinkRate| {
        let join_us = join_us(rate.modulation).max(1);
        let tries = JOIN_WITHIN_US.div_ceil(join_us * (JOIN_DUTY + JOIN_DUTY / 10));
        lost(join_us).powi(i32::try_from(tries).unwrap_or(i32::MAX))
    };
    let confirmed = |rate: &UplinkRate| lost(rate.airtime_us).powi(TRIES as i32);
    (mean(&join), mean(&confirmed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::RfRegion;
    use crate::region::parameters;

    const TRAIN: Train = Train { longest_us: 20_000_000, open_us: 5_000_000, slowest_us: 1_483_000 };

    fn open(frames: u64) -> u64 {
        let mix = parameters(RfRegion::Eu868).unwrap().usual_uplinks();
        let stream = Stream { airtime_us: 61_000, spacing_us: 1_561_000, frames, even_us: 0 };
        open_us(TRAIN, &mix, stream)
    }

    #[test]
    fn a_short_campaign_needs_no_longer_holes_and_one_that_fills_the_hour_does() {
        assert_eq!(open(100), TRAIN.open_us);
        assert!(open(2300) > TRAIN.open_us * 5 / 4, "{}", open(2300));
    }

    #[test]
    fn where_every_pause_is_long_enough_for_every_uplink_nothing_is_added() {
        let mix = parameters(RfRegion::Us915).unwrap().usual_uplinks();
        let stream = Stream { airtime_us: 50_000, spacing_us: 3_050_000, frames: 1180, even_us: 0 };
        assert_eq!(open_us(TRAIN, &mix, stream), TRAIN.open_us);
    }
}
