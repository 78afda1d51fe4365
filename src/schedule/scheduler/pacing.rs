//! How far apart the frames of one campaign are, and how much longer bursts may take.

use super::Refused;
use super::Scheduler;
use super::deafness::even_deaf_us;
use crate::region::Channel;
use crate::schedule::ledger;
use crate::schedule::spacing::Pace;
use crate::schedule::spacing::PaceLimit;
use crate::schedule::spacing::Pattern;
use crate::schedule::spacing::TxPolicy;
use crate::schedule::spacing::even_spacing_us;

impl Scheduler {
    /// The constant pace that the law and our manners leave to frames of `airtime_us`: spread evenly over the
    /// windows in the even pattern, no more than the gap in bursts (there `place` keeps the law). The gap is
    /// the forwarder's or the sub-band's pause, whichever is longer.
    ///
    /// # Errors
    /// [`Refused::Dwell`] when one frame is too long, [`Refused::NeverFits`] when it alone is over our share.
    pub fn pace(
        &self,
        channel: Channel,
        airtime_us: u64,
        gap_us: u64,
        policy: TxPolicy,
    ) -> Result<Pace, Refused> {
        let mut pace = Pace { spacing_us: airtime_us + gap_us, limit: PaceLimit::Forwarder };
        let sub_band = channel.sub_band.0;
        self.check_dwell(sub_band, airtime_us)?;
        pace = pace.max(airtime_us + self.legal_gap_us(sub_band), PaceLimit::Pause);
        if let Some(share_us) = self.share_us(sub_band, policy.duty_share_ppm) {
            let window_us = ledger::counted_window_us(&self.sub_bands[usize::from(sub_band)]);
            let even_us = even_spacing_us(window_us, share_us, airtime_us).ok_or(Refused::NeverFits {
                airtime_us,
                share_us,
                sub_band,
            })?;
            if policy.pattern == Pattern::Even {
                pace = pace.max(even_us, PaceLimit::Duty);
            }
        }
        let even_us = even_deaf_us(airtime_us, policy.max_deaf_ppm);
        if policy.pattern == Pattern::Even && !self.is_in_trains(airtime_us, even_us) {
            pace = pace.max(even_us, PaceLimit::Deafness);
        }
        Ok(pace)
    }

    /// How much longer than at `spacing_us` a campaign of `frames` may take, microseconds, because it waits for
    /// open ears and for its share of the next window. Zero where the pace has both, in the even pattern.
    pub fn waits_us(
        &self,
        channel: Channel,
        airtime_us: u64,
        spacing_us: u64,
        frames: u64,
        policy: TxPolicy,
    ) -> u64 {
        let deaf_us = even_deaf_us(airtime_us, policy.max_deaf_ppm);
        if policy.pattern == Pattern::Even && !self.is_in_trains(airtime_us, deaf_us) {
            return 0;
        }
        // A burst is never behind the even pattern of the same limit.
        let train = self.hearing.train(self.open_us(channel, airtime_us, spacing_us, frames, policy));
        let train_us = train.map_or(0, |train| {
            let fit = train.fit(airtime_us, spacing_us);
            let hole_us = train.hole_us(airtime_us, spacing_us);
            hole_us.map_or(0, |hole_us| ((fit - 1) * spacing_us + airtime_us + hole_us).div_ceil(fit))
        });
        let slower_us = deaf_us.max(train_us).saturating_sub(spacing_us).saturating_mul(frames);
        let cost_us = self.hearing.cost_us(airtime_us, spacing_us.saturating_sub(airtime_us)).max(1);
        let hours = match train {
            Some(_) => frames.saturating_sub(1) / (self.hearing.limit_us() / cost_us).max(1),
            None => 0,
        };
        let slower_us = slower_us.saturating_add(hours.saturating_mul(3_600_000_000));
        let share_us = self.share_us(channel.sub_band.0, policy.duty_share_ppm);
        let frames_a_window = share_us.and_then(|share_us| share_us.checked_div(airtime_us));
        let windows = frames_a_window.map_or(0, |fit| frames.saturating_sub(1) / fit.max(1));
        let window_us = self.sub_band(channel.sub_band.0).map_or(0, ledger::counted_window_us);
        slower_us.saturating_add(windows.saturating_mul(window_us))
    }

    /// Whether evenly spaced frames have to stand in trains: their pauses are too short for slow uplinks.
    fn is_in_trains(&self, airtime_us: u64, spacing_us: u64) -> bool {
        self.hearing.train(0).is_some_and(|train| train.hole_us(airtime_us, spacing_us).is_some())
    }
}
