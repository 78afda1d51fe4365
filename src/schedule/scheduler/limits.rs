//! Which limit keeps a frame waiting, for whoever asks why.

use super::DEAF_US;
use super::Manners;
use super::Scheduler;
use super::TxRequest;
use super::deafness::deaf_limit_us;
use crate::radio::AirLimit;
use crate::region::SubBand;
use crate::schedule::ledger;
use crate::time::Instant;

impl Scheduler {
    /// The limit that alone would keep the wish waiting longest, with its numbers now; `None` when none does.
    pub fn limit(&mut self, now: Instant, request: &TxRequest) -> Option<AirLimit> {
        self.forget_before(now);
        let sub_band = request.channel.sub_band.0;
        let request = &TxRequest { gap_us: request.gap_us.max(self.legal_gap_us(sub_band)), ..*request };
        let from = request.earliest.max(now);
        let mut past_protected = from;
        while let later = self.past_protected(now, past_protected, request)
            && later > past_protected
        {
            past_protected = later;
        }
        let mut limits = vec![
            (self.past_conflicts(from, request), AirLimit::Busy),
            (past_protected, AirLimit::Windows { windows: self.protected.len() }),
        ];
        limits.extend(self.hearing_limits(now, from, request));
        limits.extend(self.band_limits(now, from, request));
        let (start, limit) = limits.into_iter().max_by_key(|(start, _)| *start)?;
        (start > from).then_some(limit)
    }

    /// How long the limits of the sub-band would keep the wish waiting; of equal ones the last is the strictest.
    fn band_limits(&self, now: Instant, from: Instant, request: &TxRequest) -> Vec<(Instant, AirLimit)> {
        let sub_band = request.channel.sub_band.0;
        let Some(&SubBand { label, window_us, .. }) = self.sub_band(sub_band) else { return Vec::new() };
        let Some(used) = self.ledger.bands(now).into_iter().find(|band| band.sub_band == sub_band) else {
            return Vec::new();
        };
        let budget_us = used.budget_us.unwrap_or(0);
        let share_ppm = request.policy.duty_share_ppm;
        let earliest = |share_ppm: u32, reserve_ppm: u32| {
            self.ledger.earliest(sub_band, from, request.airtime_us, share_ppm, reserve_ppm)
        };
        let demand = AirLimit::Demand {
            sub_band: label,
            expected_us: self.server_demand.expected_us(sub_band, window_us, now),
            budget_us,
        };
        let share_us = ledger::part(budget_us, share_ppm);
        let share = AirLimit::Share { sub_band: label, used_us: used.ours_us, share_us, window_us };
        let law = AirLimit::Law {
            sub_band: label,
            used_us: used.total_us,
            budget_us: ledger::part(budget_us, 1_000_000u32.saturating_sub(self.reserve_ppm)),
            window_us,
        };
        let starts = [
            (earliest(self.share_beside_servers(now, request), 0), demand),
            (earliest(share_ppm, 0), share),
            (earliest(1_000_000, self.reserve_ppm), law),
        ];
        starts.into_iter().filter_map(|(start, limit)| Some((start?, limit))).collect()
    }

    /// How long what the gateway is to hear would keep the wish waiting.
    fn hearing_limits(&self, now: Instant, from: Instant, request: &TxRequest) -> Vec<(Instant, AirLimit)> {
        let airtime_us = request.airtime_us;
        let limit_us = deaf_limit_us(airtime_us, request.policy.max_deaf_ppm);
        let deaf_us = self.deaf.used_us(now, None);
        let deafness = AirLimit::Deafness { deaf_us, limit_us, window_us: DEAF_US };
        let past_deaf = self.deaf.earliest(from, airtime_us, limit_us, false).unwrap_or(from);
        let hearing =
            AirLimit::Hearing { lost_us: self.hearing.used_us(now), limit_us: self.hearing.limit_us() };
        let hole_us = self.hearing.train(request.open_us).map_or(0, |train| train.open_us + train.slowest_us);
        let hole = (self.past_hole(from, request, false), AirLimit::Hole { hole_us });
        vec![hole, (past_deaf, deafness), (self.past_cost(from, request, Manners::Full), hearing)]
    }
}
