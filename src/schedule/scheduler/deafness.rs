//! How the gateway's hearing moves a frame: `max-deaf`, the holes after trains, and the uplinks of an hour.

use super::DEAF_US;
use super::Manners;
use super::Scheduler;
use super::TxRequest;
use crate::region::Channel;
use crate::schedule::airtime_window::Load;
use crate::schedule::airtime_window::Origin;
use crate::schedule::ledger;
use crate::schedule::promises::Stream;
use crate::schedule::promises::open_us;
use crate::schedule::spacing::TxPolicy;
use crate::schedule::spacing::even_spacing_us;
use crate::time::Instant;

impl Scheduler {
    /// Past what `max-deaf` has of a minute, and past the hole after a full train.
    pub(super) fn past_deafness(&self, from: Instant, request: &TxRequest, manners: Manners) -> Instant {
        let ours_only = manners == Manners::Law;
        let limit_us = deaf_limit_us(request.airtime_us, request.policy.max_deaf_ppm);
        let start = self.deaf.earliest(from, request.airtime_us, limit_us, ours_only).unwrap_or(from);
        self.past_hole(start, request, ours_only)
    }

    /// For how much of a train and its hole the slowest usual uplink is to be heard beside up to `frames` of `airtime_us` each
    /// `spacing_us`, microseconds, so that joins and confirmed messages get through. 0 where nothing is promised.
    pub fn open_us(
        &self,
        channel: Channel,
        airtime_us: u64,
        spacing_us: u64,
        frames: u64,
        policy: TxPolicy,
    ) -> u64 {
        let Some(train) = self.hearing.train(0) else { return 0 };
        let cost_us = self.hearing.cost_us(airtime_us, spacing_us.saturating_sub(airtime_us)).max(1);
        let by_law =
            self.share_us(channel.sub_band.0, policy.duty_share_ppm).map(|us| us / airtime_us.max(1));
        let in_hour = by_law.unwrap_or(u64::MAX).min(self.hearing.limit_us() / cost_us).min(frames);
        let even_us = even_deaf_us(airtime_us, policy.max_deaf_ppm);
        open_us(train, self.hearing.uplinks(), Stream { airtime_us, spacing_us, frames: in_hour, even_us })
    }

    /// Past the silence that follows a train which has no room for the frame any more.
    pub(super) fn past_hole(&self, from: Instant, request: &TxRequest, ours_only: bool) -> Instant {
        let Some(train) = self.hearing.train(request.open_us) else { return from };
        let end_of = |load: &Load| load.start.plus_us(load.airtime_us);
        let begin = from.plus_us(request.airtime_us).minus_us(train.longest_us);
        let mut loads = self.deaf.before(from).filter(|load| !ours_only || load.origin == Origin::Ours);
        let Some(last) = loads.next() else { return from };
        let open_us = train.open_in(from.us_since(end_of(last)));
        // Without the pause before this frame: that one can be made longer.
        let mut rest_us = 0;
        let mut first = last.start;
        for load in loads {
            if open_us + rest_us >= train.open_us || first < begin {
                break;
            }
            rest_us += train.open_in(first.us_since(end_of(load)));
            first = load.start;
        }
        if open_us + rest_us >= train.open_us || first >= begin {
            return from;
        }
        from.max(end_of(last).plus_us(train.slowest_us + train.open_us - rest_us))
    }

    /// Past the frames that cost this hour's uplinks all that may be lost of them.
    pub(super) fn past_cost(&self, from: Instant, request: &TxRequest, manners: Manners) -> Instant {
        let cost_us = self.cost_us(from, request.airtime_us);
        self.hearing.earliest(from, cost_us, manners == Manners::Law)
    }

    /// What a frame at `start` costs of hearing after those before it, microseconds.
    pub(super) fn cost_us(&self, start: Instant, airtime_us: u64) -> u64 {
        let before = self.deaf.before(start).next();
        let pause_us =
            before.map_or(u64::MAX, |load| start.us_since(load.start).saturating_sub(load.airtime_us));
        self.hearing.cost_us(airtime_us, pause_us)
    }
}

/// Airtime that may fall into a minute, microseconds. A frame that is longer than that may still go out alone:
/// silence is not an alternative.
pub(super) fn deaf_limit_us(airtime_us: u64, max_deaf_ppm: u32) -> u64 {
    ledger::part(DEAF_US, max_deaf_ppm).max(airtime_us)
}

/// The even spacing that keeps it, microseconds.
pub(super) fn even_deaf_us(airtime_us: u64, max_deaf_ppm: u32) -> u64 {
    even_spacing_us(DEAF_US, deaf_limit_us(airtime_us, max_deaf_ppm), airtime_us).unwrap_or(DEAF_US)
}
