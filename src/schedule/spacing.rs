//! How far apart frames of one campaign are: the largest of what was ordered, what devices need, what the law
//! and our manners leave (design: "the spacing used is the largest of").

use core::fmt;
use serde::Deserialize;
use serde::Serialize;

/// How a campaign uses its share of the air.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// The share is spread evenly over the observation period.
    #[default]
    Even,
    /// As fast as devices and deafness allow until the period's share is spent, then wait.
    Burst,
}

/// The limits that we set ourselves, beside the law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxPolicy {
    /// Our part of a sub-band's legal budget, parts per million.
    pub duty_share_ppm: u32,
    /// The part of any 60 s in which the gateway may be deaf because it sends, parts per million.
    pub max_deaf_ppm: u32,
    /// How the share is spread over its period.
    pub pattern: Pattern,
}

impl Default for TxPolicy {
    /// 40 % of the budget (what The Things Stack leaves to its lowest priority), 20 % deaf, even.
    fn default() -> Self {
        TxPolicy { duty_share_ppm: 400_000, max_deaf_ppm: 200_000, pattern: Pattern::Even }
    }
}

/// What decided a campaign's pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaceLimit {
    /// FragmentIntervalMS of the task.
    Interval,
    /// The devices' need to write flash and to eliminate between frames.
    DeviceGap,
    /// The sub-band's duty cycle and our share of it.
    Duty,
    /// The time the gateway may be deaf.
    Deafness,
    /// The packet forwarder's own distance between two frames.
    Forwarder,
    /// The pause and the listening that the sub-band wants between two transmissions.
    Pause,
}

impl fmt::Display for PaceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PaceLimit::Interval => "FragmentIntervalMS",
            PaceLimit::DeviceGap => "the devices' gap",
            PaceLimit::Duty => "duty cycle and duty-share",
            PaceLimit::Deafness => "max-deaf",
            PaceLimit::Forwarder => "the packet forwarder",
            PaceLimit::Pause => "the sub-band's pause between two transmissions",
        })
    }
}

/// Start-to-start distance of two frames and what decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Microseconds from one start to the next.
    pub spacing_us: u64,
    /// The largest of the reasons.
    pub limit: PaceLimit,
}

impl Pace {
    /// The larger of two; the first wins a tie.
    pub fn max(self, spacing_us: u64, limit: PaceLimit) -> Pace {
        if spacing_us > self.spacing_us { Pace { spacing_us, limit } } else { self }
    }
}

/// The constant spacing in microseconds at which frames of `airtime_us` never put more than `budget_us` into
/// any window of `window_us`: window / floor(budget / airtime), rounded up.
/// `None` when one frame alone is over the budget.
///
/// The plain quotient airtime / duty would overshoot by a frame in some windows.
pub fn even_spacing_us(window_us: u64, budget_us: u64, airtime_us: u64) -> Option<u64> {
    let frames = budget_us.checked_div(airtime_us)?;
    (frames > 0).then(|| window_us.div_ceil(frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_spacing_counts_whole_frames_in_the_window() {
        let hour_us = 3_600_000_000;
        // EU868 1 %, SF12: 12 frames of 2.79 s fit 36 s, so one every 300 s and not every 279.3 s.
        assert_eq!(even_spacing_us(hour_us, 36_000_000, 2_793_472), Some(300_000_000));
        // EU868 10 %, SF9: 531 frames of 676.9 ms fit 360 s.
        assert_eq!(even_spacing_us(hour_us, 360_000_000, 676_864), Some(6_779_662));
        assert_eq!(even_spacing_us(1000, 10, 11), None);
    }
}
