//! How much of each sub-band the network servers use: what they used in the last window they will want again.

use super::airtime_window::AirtimeWindow;
use super::airtime_window::Load;
use super::ledger;
use crate::region::SubBand;
use crate::time::Instant;

/// What was seen for a shorter time than this says little, microseconds.
const SEEN_MIN_US: u64 = 600_000_000;

/// The servers' frames of the last window, in each sub-band with a limit.
#[derive(Clone, Debug)]
pub(super) struct ServerDemand {
    bands: Vec<Option<AirtimeWindow>>,
    /// Since when they were watched.
    since: Option<Instant>,
}

impl ServerDemand {
    pub fn new(sub_bands: &[SubBand]) -> Self {
        let loads = |band: &SubBand| ledger::budget_us(band).map(|_| AirtimeWindow::new(band.window_us));
        ServerDemand { bands: sub_bands.iter().map(loads).collect(), since: None }
    }

    pub fn add(&mut self, sub_band: u8, load: Load) {
        if let Some(loads) = self.loads_mut(sub_band) {
            loads.add(load);
        }
    }

    pub fn remove(&mut self, sub_band: u8, load: Load) {
        if let Some(loads) = self.loads_mut(sub_band) {
            loads.remove(load);
        }
    }

    pub fn forget_before(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        for loads in self.bands.iter_mut().flatten() {
            loads.forget_before(now);
        }
    }

    /// The airtime that the servers will want in a window, microseconds: as much as in the last one, or at the pace
    /// of the time since the start.
    pub fn expected_us(&self, sub_band: u8, window_us: u64, now: Instant) -> u64 {
        let Some(loads) = self.bands.get(usize::from(sub_band)).and_then(Option::as_ref) else { return 0 };
        let used_us = loads.used_us(now, None);
        let seen_us = self.seen_us(window_us, now);
        let expected_us = u128::from(used_us) * u128::from(window_us) / u128::from(seen_us);
        u64::try_from(expected_us).unwrap_or(u64::MAX)
    }

    /// What the servers will send if they go on as they did in the last window, for the next two windows.
    pub fn foreseen(&self, now: Instant) -> Vec<(u8, Load)> {
        let mut foreseen = Vec::new();
        for (index, loads) in self.bands.iter().enumerate() {
            let Some(loads) = loads else { continue };
            let window_us = loads.window_us();
            let seen_us = self.seen_us(window_us, now);
            let sub_band = u8::try_from(index).unwrap_or(u8::MAX);
            for round in 1..=(2 * window_us).div_ceil(seen_us) {
                let again = |load: &Load| Load { start: load.start.plus_us(round * seen_us), ..*load };
                let in_time = loads.iter().map(again).filter(|load| load.start > now);
                foreseen.extend(in_time.map(|load| (sub_band, load)));
            }
        }
        foreseen
    }

    /// For how long they were watched, a window at the most, microseconds.
    fn seen_us(&self, window_us: u64, now: Instant) -> u64 {
        let seen_us = self.since.map_or(0, |since| now.us_since(since));
        seen_us.clamp(SEEN_MIN_US.min(window_us), window_us).max(1)
    }

    fn loads_mut(&mut self, sub_band: u8) -> Option<&mut AirtimeWindow> {
        self.bands.get_mut(usize::from(sub_band)).and_then(Option::as_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::RfRegion;
    use crate::region::parameters;
    use crate::schedule::airtime_window::Origin;

    #[test]
    fn what_was_used_in_the_last_hour_is_expected_in_the_next_and_early_on_the_pace_counts() {
        let bands = parameters(RfRegion::Eu868).unwrap().sub_bands;
        let limited = bands.iter().position(|band| ledger::budget_us(band).is_some()).unwrap() as u8;
        let mut server_demand = ServerDemand::new(bands);
        let at = |minute: i64| Instant::from_us(minute * 60_000_000);
        server_demand.forget_before(at(0));
        for minute in 0..120 {
            let load = Load { start: at(minute), airtime_us: 100_000, origin: Origin::Others };
            server_demand.add(limited, load);
        }
        let expected_us = |minute| server_demand.expected_us(limited, 3_600_000_000, at(minute));
        assert_eq!(expected_us(119), 6_000_000);
        let mut early = ServerDemand::new(bands);
        early.forget_before(at(0));
        early.add(limited, Load { start: at(1), airtime_us: 100_000, origin: Origin::Others });
        assert_eq!(early.expected_us(limited, 3_600_000_000, at(2)), 600_000, "ten minutes at the least");
        assert_eq!(early.expected_us(limited, 3_600_000_000, at(30)), 200_000);
    }
}
