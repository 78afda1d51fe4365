//! The uplinks of the last day, by data rate.

use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::radio::UplinkRate;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// They are counted by the hour.
const HOUR_US: u64 = 3_600_000_000;
const HOURS: u64 = 24;
/// Fewer say nothing of what is usual.
const ENOUGH: u64 = 100;
/// Data rates that are told apart, at most: more than any region has.
const RATES_MAX: usize = 24;

/// How many, and their airtime together, microseconds.
type Count = (u64, u64);

/// What was heard in the last day.
#[derive(Clone, Debug, Default)]
pub struct HeardUplinks {
    /// The number of the hour, and what was heard in it; the newest last.
    hours: VecDeque<(u64, BTreeMap<Modulation, Count>)>,
    mix: Option<UplinkMix>,
}

impl HeardUplinks {
    /// Counts an uplink that was heard at `now`.
    pub fn hear(&mut self, now: Instant, modulation: Modulation, airtime_us: u64) {
        let hour = now.us_since(Instant::ZERO) / HOUR_US;
        if self.hours.back().is_none_or(|(last, _)| *last != hour) {
            self.hours.push_back((hour, BTreeMap::new()));
            self.forget_before(now);
            self.mix = self.counted();
        }
        let Some((_, counts)) = self.hours.back_mut() else { return };
        if counts.len() < RATES_MAX || counts.contains_key(&modulation) {
            let (number, sum_us) = counts.entry(modulation).or_default();
            (*number, *sum_us) = (*number + 1, *sum_us + airtime_us);
        }
        // A mix that is there changes by the hour: each change moves what is planned.
        if self.mix.is_none() {
            self.mix = self.counted();
        }
    }

    /// Each data rate as it was heard; `None` while too few were.
    pub fn mix(&self) -> Option<&UplinkMix> {
        self.mix.as_ref()
    }

    /// Forgets what is older than a day.
    pub fn forget_before(&mut self, now: Instant) {
        let hour = now.us_since(Instant::ZERO) / HOUR_US;
        let before = self.hours.len();
        self.hours.retain(|(then, _)| then + HOURS > hour);
        if self.hours.len() < before {
            self.mix = self.counted();
        }
    }

    fn counted(&self) -> Option<UplinkMix> {
        let mut sums: BTreeMap<Modulation, Count> = BTreeMap::new();
        for (modulation, (number, sum_us)) in self.hours.iter().flat_map(|(_, counts)| counts) {
            let sum = sums.entry(*modulation).or_default();
            *sum = (sum.0 + number, sum.1 + sum_us);
        }
        let rate = |(modulation, (number, sum_us)): (Modulation, Count)| UplinkRate {
            modulation,
            airtime_us: sum_us / number.max(1),
            weight: number,
        };
        Some(UplinkMix::new(sums.into_iter().map(rate))).filter(|mix| mix.weight() >= ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SF7: Modulation = Modulation::LoRa { sf: 7, bw_hz: 125_000 };
    const SF12: Modulation = Modulation::LoRa { sf: 12, bw_hz: 125_000 };

    fn hours(hours: u64) -> Instant {
        Instant::ZERO.plus_us(hours * HOUR_US)
    }

    #[test]
    fn a_hundred_uplinks_say_what_is_usual_and_are_forgotten_after_a_day() {
        let mut heard = HeardUplinks::default();
        for _ in 0..99 {
            heard.hear(hours(0), SF7, 60_000);
        }
        assert_eq!(heard.mix(), None);
        heard.hear(hours(0), SF12, 1_500_000);
        let mix = heard.mix().unwrap();
        assert_eq!((mix.weight(), mix.mean_us(u64::MAX)), (100, 74_400));
        for _ in 0..200 {
            heard.hear(hours(23), SF12, 1_500_000);
        }
        heard.forget_before(hours(24));
        assert_eq!(heard.mix().unwrap().weight(), 200, "the first hour is a day old");
        heard.forget_before(hours(47));
        assert_eq!(heard.mix(), None);
    }

    #[test]
    fn the_memory_of_data_rates_is_bounded() {
        let mut heard = HeardUplinks::default();
        for bit_rate_bps in 1..1000 {
            heard.hear(hours(1), Modulation::Gfsk { bit_rate_bps }, 10);
        }
        assert_eq!(heard.mix().map(|mix| mix.rates().len()), None);
        assert!(heard.counted().is_none());
    }
}
