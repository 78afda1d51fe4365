//! The share of what the law leaves to a network server that commands of ours may take, by sub-band.
//!
//! A server answers in RX1 unless it is seen to answer uplinks of that data rate in RX2, whose sub-band has ten times as
//! much airtime in Europe.

use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;
use crate::region::Parameters;
use crate::region::SubBandIndex;
use crate::time::Instant;
use std::collections::BTreeMap;

/// An item must leave so many times its own airtime: where airtime is short, slow data rates come last.
const LEAVES: u64 = 3;
const NO_LIMIT_PPM: u32 = 1_000_000;
/// Where a server does not tell an uplink's frequency, the duty cycle of most sub-bands for uplinks counts.
const USUAL_DUTY_PPM: u32 = 10_000;
const HOUR_US: u64 = 3_600_000_000;

/// Whose law limits the commands of a group, and which part of it they may take.
#[derive(Clone, Copy, Debug)]
pub struct AirtimeRule {
    /// The law of the gateway's region.
    pub region: &'static Parameters,
    /// The part of each sub-band's budget, parts per million.
    pub share_ppm: u32,
}

impl PartialEq for AirtimeRule {
    fn eq(&self, other: &Self) -> bool {
        (self.region.region, self.share_ppm) == (other.region.region, other.share_ppm)
    }
}

impl Eq for AirtimeRule {}

/// A budget that refills evenly and holds a window's worth.
#[derive(Clone, Copy, Debug)]
struct Budget {
    us_per_window: u64,
    window_us: u64,
    left_us: u64,
    at: Instant,
}

impl Budget {
    fn full(us_per_window: u64, window_us: u64, at: Instant) -> Budget {
        Budget { us_per_window, window_us: window_us.max(1), left_us: us_per_window, at }
    }

    fn take(&mut self, at: Instant, airtime_us: u64) -> bool {
        let elapsed_us = at.us_since(self.at).min(self.window_us);
        let refill_us = u128::from(self.us_per_window) * u128::from(elapsed_us) / u128::from(self.window_us);
        self.left_us = (self.left_us + refill_us as u64).min(self.us_per_window);
        self.at = at;
        let wanted_us = airtime_us.saturating_mul(1 + LEAVES).min(self.us_per_window);
        if self.left_us < wanted_us || self.left_us < airtime_us {
            return false;
        }
        self.left_us -= airtime_us;
        true
    }
}

/// Where a frame is sent: frequency (Hz), where it is known, and modulation.
pub(super) type Place = (Option<u32>, Modulation);

/// What is left of the share in each sub-band.
#[derive(Debug)]
pub(super) struct AirtimeShare {
    rule: Option<AirtimeRule>,
    budgets: BTreeMap<Option<SubBandIndex>, Budget>,
    /// The data rates of uplinks that the server answered in RX2 last, and how; there are at most as many as a region has.
    in_rx2: BTreeMap<Modulation, (u32, Modulation)>,
}

impl AirtimeShare {
    /// Full budgets; `None`: no limit.
    pub(super) fn new(rule: Option<AirtimeRule>) -> AirtimeShare {
        AirtimeShare { rule, budgets: BTreeMap::new(), in_rx2: BTreeMap::new() }
    }

    /// The server answered an uplink there, and sent `on`.
    pub(super) fn sent(&mut self, uplink: Place, on: (u32, Modulation)) {
        if uplink.0 == Some(on.0) {
            self.in_rx2.remove(&uplink.1);
        } else {
            self.in_rx2.insert(uplink.1, on);
        }
    }

    /// Takes the airtime of `frame_bytes` behind such an uplink out of its sub-band's budget; `false` if it has too little.
    pub(super) fn take(&mut self, at: Instant, uplink: Place, frame_bytes: usize) -> bool {
        let Some(AirtimeRule { region, share_ppm }) = self.rule else { return true };
        let in_rx2 = self.in_rx2.get(&uplink.1).map(|(hz, modulation)| (Some(*hz), *modulation));
        let (frequency_hz, modulation) = in_rx2.unwrap_or(uplink);
        let airtime_us = downlink_airtime_us(modulation, frame_bytes);
        let index = frequency_hz.and_then(|hz| region.sub_band_of(hz, modulation).ok());
        let limits = index.and_then(|index| region.sub_band(index));
        let (duty_ppm, window_us) =
            limits.map_or((USUAL_DUTY_PPM, HOUR_US), |sub_band| (sub_band.duty_ppm, sub_band.window_us));
        if duty_ppm >= NO_LIMIT_PPM || limits.is_none() && region.sub_bands.iter().all(is_free) {
            return true;
        }
        let per_million = |value: u64, ppm: u32| (u128::from(value) * u128::from(ppm) / 1_000_000) as u64;
        let us_per_window = per_million(per_million(window_us, duty_ppm), share_ppm);
        let budget = self.budgets.entry(index).or_insert(Budget::full(us_per_window, window_us, at));
        budget.take(at, airtime_us)
    }
}

fn is_free(sub_band: &crate::region::SubBand) -> bool {
    sub_band.duty_ppm >= NO_LIMIT_PPM
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::RfRegion;
    use crate::region::parameters;

    const SF12: Modulation = Modulation::LoRa { sf: 12, bw_hz: 125_000 };
    const SF7: Modulation = Modulation::LoRa { sf: 7, bw_hz: 125_000 };
    /// 2.1 s at SF12.
    const FRAME_BYTES: usize = 44;

    fn share(region: RfRegion) -> AirtimeShare {
        let region = parameters(region).unwrap();
        AirtimeShare::new(Some(AirtimeRule { region, share_ppm: 250_000 }))
    }

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    #[test]
    fn where_airtime_is_short_a_slow_item_waits_and_a_fast_one_goes() {
        let mut share = share(RfRegion::Eu868);
        // A quarter of 36 s.
        let mut take = |s, modulation| share.take(at(s), (Some(868_100_000), modulation), FRAME_BYTES);
        assert!(take(0, SF12));
        assert!(!take(0, SF12), "7 s are left: it would leave too little");
        assert!(take(0, SF7));
        assert!(!take(1, SF12));
        assert!(take(1800, SF12), "half an hour later there is more");
    }

    #[test]
    fn what_a_server_is_seen_to_answer_in_rx2_costs_its_airtime_there() {
        let mut share = share(RfRegion::Eu868);
        let uplink = (Some(868_100_000), SF12);
        share.sent(uplink, (869_525_000, SF12));
        let take = |share: &mut AirtimeShare| share.take(at(0), uplink, FRAME_BYTES);
        assert!((0..30).all(|_| take(&mut share)), "a quarter of 360 s");
        assert!(
            share.take(at(0), (Some(868_100_000), SF7), FRAME_BYTES),
            "another data rate is answered in RX1"
        );
        share.sent(uplink, (868_100_000, SF12));
        assert!(take(&mut share) && !take(&mut share), "it answers in RX1 again");
    }

    #[test]
    fn each_sub_band_has_its_own_budget_and_one_without_a_limit_has_none() {
        let mut eu868 = share(RfRegion::Eu868);
        for hz in [Some(868_100_000), Some(867_100_000), None] {
            let mut take = || eu868.take(at(0), (hz, SF12), FRAME_BYTES);
            assert!(take() && !take());
        }
        let mut us915 = share(RfRegion::Us915);
        for hz in [Some(903_900_000), None] {
            assert!((0..100).all(|_| us915.take(at(0), (hz, SF12), FRAME_BYTES)));
        }
    }
}
