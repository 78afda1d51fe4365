//! The transmitter's duty ledger: what this gateway sent in each sub-band, ours and others' together.

use super::airtime_window::AirtimeWindow;
use super::airtime_window::Load;
use super::airtime_window::Origin;
use crate::radio::MinuteLoad;
use crate::region::SubBand;
use crate::time::Instant;

/// Airtime in one sub-band, for status pages and plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BandUse {
    /// Position of the sub-band in its region's table.
    pub sub_band: u8,
    /// Airtime of campaigns in the window that ends now, microseconds.
    pub ours_us: u64,
    /// Airtime of everything in the window that ends now, microseconds.
    pub total_us: u64,
    /// What the law allows in a window, microseconds; `None` without a limit.
    pub budget_us: Option<u64>,
}

const MINUTE_US: u64 = 60_000_000;
/// Two starts are apart as planned to within this, microseconds: the concentrator's counter is known to 15 ms, and an
/// immediate frame waits for its datagram and for the forwarder.
const START_ERROR_US: u64 = 50_000;

/// One sliding window per sub-band that has a limit. A sub-band without one keeps no list: there is nothing
/// to refuse, and in US915 it would hold every frame of the hour.
#[derive(Clone, Debug)]
pub struct Ledger {
    bands: Vec<Option<Band>>,
}

#[derive(Clone, Debug)]
struct Band {
    budget_us: u64,
    loads: AirtimeWindow,
}

impl Ledger {
    /// An empty ledger for a region's sub-bands.
    pub fn new(sub_bands: &[SubBand]) -> Self {
        let bands = sub_bands.iter().map(|band| {
            let budget_us = budget_us(band)?;
            Some(Band { budget_us, loads: AirtimeWindow::new(counted_window_us(band)) })
        });
        Ledger { bands: bands.collect() }
    }

    /// Adds a frame of sub-band number `sub_band`.
    pub fn charge(&mut self, sub_band: u8, load: Load) {
        if let Some(band) = self.band_mut(sub_band) {
            band.loads.add(load);
        }
    }

    /// Takes back a frame that the forwarder provably refused.
    pub fn refund(&mut self, sub_band: u8, load: Load) {
        if let Some(band) = self.band_mut(sub_band) {
            band.loads.remove(load);
        }
    }

    /// Forgets what no window reaching past `now` can hold.
    pub fn forget_before(&mut self, now: Instant) {
        for band in self.bands.iter_mut().flatten() {
            band.loads.forget_before(now);
        }
    }

    /// The first instant from `from` on at which a frame of ours fits: our part within `share_ppm` of the
    /// budget, the total within the budget less `reserve_ppm` of it that is kept for the network server.
    /// `None` when it never does.
    pub fn earliest(
        &self,
        sub_band: u8,
        from: Instant,
        airtime_us: u64,
        share_ppm: u32,
        reserve_ppm: u32,
    ) -> Option<Instant> {
        let Some(band) = self.bands.get(usize::from(sub_band)).and_then(Option::as_ref) else {
            return Some(from);
        };
        let total_us = part(band.budget_us, 1_000_000u32.saturating_sub(reserve_ppm));
        let ours_us = part(band.budget_us, share_ppm);
        let mut start = from;
        // The two limits chase each other forward; every turn moves past a window of the finite list.
        loop {
            let lawful = band.loads.earliest(start, airtime_us, total_us, false)?;
            let polite = band.loads.earliest(lawful, airtime_us, ours_us, true)?;
            if polite == start {
                return Some(start);
            }
            start = polite;
        }
    }

    /// What each sub-band with a limit holds at `now`.
    pub fn bands(&self, now: Instant) -> Vec<BandUse> {
        let used = |(index, band): (usize, &Option<Band>)| {
            let band = band.as_ref()?;
            Some(BandUse {
                sub_band: u8::try_from(index).ok()?,
                ours_us: band.loads.used_us(now, Some(Origin::Ours)),
                total_us: band.loads.used_us(now, None),
                budget_us: Some(band.budget_us),
            })
        };
        self.bands.iter().enumerate().filter_map(used).collect()
    }

    /// The load of the last window in whole minutes, youngest first, for a mark. Frames already planned
    /// count as sent in the youngest minute.
    pub fn minutes(&self, now: Instant) -> Vec<MinuteLoad> {
        let mut minutes: Vec<MinuteLoad> = Vec::new();
        for (index, band) in self.bands.iter().enumerate() {
            let Some(band) = band else { continue };
            let sub_band = u8::try_from(index).unwrap_or(u8::MAX);
            for load in band.loads.iter() {
                let age_min = u8::try_from(now.us_since(load.start) / MINUTE_US).unwrap_or(u8::MAX);
                let airtime_us = u32::try_from(load.airtime_us).unwrap_or(u32::MAX);
                let ours_us = if load.origin == Origin::Ours { airtime_us } else { 0 };
                match minutes.last_mut() {
                    Some(last) if last.sub_band == sub_band && last.age_min == age_min => {
                        last.ours_us = last.ours_us.saturating_add(ours_us);
                        last.total_us = last.total_us.saturating_add(airtime_us);
                    }
                    _ => minutes.push(MinuteLoad { sub_band, age_min, ours_us, total_us: airtime_us }),
                }
            }
        }
        minutes
    }

    /// Puts back what a mark remembered, `elapsed_us` microseconds (only what is proven) after it was made.
    /// A minute's load counts as sent at the end of that minute, so the ledger is never below the truth.
    pub fn restore(&mut self, now: Instant, elapsed_us: u64, minutes: &[MinuteLoad]) {
        for minute in minutes {
            let start = now.minus_us(elapsed_us).minus_us(u64::from(minute.age_min) * MINUTE_US);
            let others_us = minute.total_us.saturating_sub(minute.ours_us);
            for (airtime_us, origin) in [(minute.ours_us, Origin::Ours), (others_us, Origin::Others)] {
                if airtime_us > 0 {
                    self.charge(minute.sub_band, Load { start, airtime_us: airtime_us.into(), origin });
                }
            }
        }
    }

    /// Counts every budget as spent at `now`: what is assumed when the memory of the last hour is damaged.
    pub fn assume_spent(&mut self, now: Instant) {
        for band in self.bands.iter_mut().flatten() {
            band.loads.add(Load { start: now, airtime_us: band.budget_us, origin: Origin::Others });
        }
    }

    fn band_mut(&mut self, sub_band: u8) -> Option<&mut Band> {
        self.bands.get_mut(usize::from(sub_band))?.as_mut()
    }
}

/// The airtime in microseconds that the law allows in one window of the sub-band; `None` without a limit.
pub(super) fn budget_us(band: &SubBand) -> Option<u64> {
    (band.duty_ppm < 1_000_000).then(|| part(band.window_us, band.duty_ppm))
}

/// The observation period as it is counted: a frame may start some milliseconds before or after the instant that
/// it was given, and the law asks when it truly did.
pub(super) fn counted_window_us(band: &SubBand) -> u64 {
    band.window_us + START_ERROR_US
}

/// `ppm` millionths of `us`, rounded down.
pub(super) fn part(us: u64, ppm: u32) -> u64 {
    let part = u128::from(us) * u128::from(ppm) / 1_000_000;
    u64::try_from(part).unwrap_or(u64::MAX)
}
