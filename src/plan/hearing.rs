//! What the gateway hears while a campaign is sent, from the frames of its timetable.

use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::radio::UplinkRate;
use crate::schedule::CONFIRMED_FAILED_PPM;
use crate::schedule::JOIN_DUTY;
use crate::schedule::JOIN_WITHIN_US;
use crate::schedule::JOINS_FAILED_PPM;
use crate::schedule::TRIES;
use crate::schedule::join_us;
use crate::sim::SentFrame;
use crate::sim::random::Random;
use crate::time::Instant;

const SECOND_US: u64 = 1_000_000;
const HOUR_US: u64 = 3600 * SECOND_US;
/// Between two tries of a confirmed message: RX2, and up to 3 s at random (TS001-1.0.4, ACK_TIMEOUT), microseconds.
const TRIES_APART_US: u64 = 3 * SECOND_US;
const TRIES_JITTER_US: u64 = 2 * SECOND_US;

/// One data rate of uplinks during a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateHeard {
    /// The data rate, its share and its mean airtime.
    pub rate: UplinkRate,
    /// The part of its uplinks that are lost from the first frame to the last, parts per million.
    pub lost_ppm: u32,
}

/// What the gateway hears while a campaign is sent, the campaign's frames alone counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Each usual data rate.
    pub rates: Vec<RateHeard>,
    /// The part of usual uplinks that is heard in the hour in which most are lost, parts per million.
    pub worst_hour_ppm: u32,
    /// The part of joins begun in that hour that succeed within ten minutes, parts per million.
    pub joins_ppm: u32,
    /// The part of confirmed messages of that hour that fail after all their tries, parts per million.
    pub confirmed_failed_ppm: u32,
}

impl Heard {
    /// What is heard beside `frames` of `airtime_us` each, in the order of their starts.
    pub fn beside(frames: &[SentFrame], airtime_us: u64, mix: &UplinkMix) -> Heard {
        let us = |frame: &SentFrame| frame.start.us_since(Instant::ZERO);
        let air = Air { starts_us: frames.iter().map(us).collect(), airtime_us };
        let (Some(begin), Some(last)) = (air.starts_us.first(), air.starts_us.last()) else {
            return Heard { worst_hour_ppm: 1_000_000, joins_ppm: 1_000_000, ..Heard::default() };
        };
        let took_us = last + airtime_us - begin;
        let rate = |rate: &UplinkRate| {
            let lost_us = air.costs_us(rate.airtime_us).iter().sum::<u64>().min(took_us);
            RateHeard { rate: *rate, lost_ppm: ppm(lost_us, took_us) }
        };
        let (hour, lost_us) = air.worst_hour(mix);
        Heard {
            rates: mix.rates().iter().map(rate).collect(),
            worst_hour_ppm: 1_000_000 - ppm(lost_us, HOUR_US),
            joins_ppm: 1_000_000 - air.failing_ppm(mix, hour, |rate| Tries::join(rate.modulation)),
            confirmed_failed_ppm: air.failing_ppm(mix, hour, |rate| Tries::confirmed(rate.airtime_us)),
        }
    }

    /// The promises beside `min-heard` that it does not keep, in words.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.joins_ppm < 1_000_000 - JOINS_FAILED_PPM {
            broken.push(format!(
                "{:.1} % of joins succeed within ten minutes",
                f64::from(self.joins_ppm) / 1e4
            ));
        }
        if self.confirmed_failed_ppm > CONFIRMED_FAILED_PPM {
            let percent = f64::from(self.confirmed_failed_ppm) / 1e4;
            broken.push(format!("{percent:.1} % of confirmed messages fail after all their tries"));
        }
        broken
    }
}

/// How a device tries: so far apart, and at random a little more.
struct Tries {
    airtime_us: u64,
    apart_us: u64,
    jitter_us: u64,
    number: u32,
    within_us: u64,
}

impl Tries {
    fn join(modulation: Modulation) -> Tries {
        let airtime_us = join_us(modulation);
        let apart_us = airtime_us * JOIN_DUTY;
        let within_us = JOIN_WITHIN_US;
        Tries { airtime_us, apart_us, jitter_us: apart_us / 5, number: u32::MAX, within_us }
    }

    fn confirmed(airtime_us: u64) -> Tries {
        let apart_us = TRIES_APART_US + airtime_us;
        Tries { airtime_us, apart_us, jitter_us: TRIES_JITTER_US, number: TRIES, within_us: u64::MAX }
    }

    /// When each of them begins, the first at `begin_us`.
    fn begins_us(&self, begin_us: u64) -> impl Iterator<Item = u64> {
        let mut rng = Random::new(begin_us);
        let next = move |at_us: &u64| Some(at_us + self.apart_us + rng.below(self.jitter_us.max(1)));
        let begins = std::iter::successors(Some(begin_us), next);
        begins.take(self.number as usize).take_while(move |at_us| at_us - begin_us < self.within_us)
    }
}

/// Frames of one length on the air.
struct Air {
    starts_us: Vec<u64>,
    airtime_us: u64,
}

impl Air {
    /// For how long each frame alone costs uplinks of that length, microseconds.
    fn costs_us(&self, uplink_us: u64) -> Vec<u64> {
        let mut over_us = 0;
        let cost = |start: &u64| {
            let from = start.saturating_sub(uplink_us).max(over_us);
            over_us = start + self.airtime_us;
            over_us - from.min(over_us)
        };
        self.starts_us.iter().map(cost).collect()
    }

    /// The begin of the hour in which the mean uplink loses most, and how much that is, microseconds.
    fn worst_hour(&self, mix: &UplinkMix) -> (u64, u64) {
        let mut mean_us = vec![0u128; self.starts_us.len()];
        for rate in mix.rates() {
            for (sum, cost_us) in mean_us.iter_mut().zip(self.costs_us(rate.airtime_us)) {
                *sum += u128::from(cost_us) * u128::from(rate.weight);
            }
        }
        let (mut sum, mut end, mut worst) = (0, 0, (0, 0));
        for (first, start) in self.starts_us.iter().enumerate() {
            while end < self.starts_us.len() && self.starts_us[end] < start + HOUR_US {
                sum += mean_us[end];
                end += 1;
            }
            if sum > worst.1 {
                worst = (*start, sum);
            }
            sum -= mean_us[first];
        }
        (worst.0, ((worst.1 / u128::from(mix.weight().max(1))) as u64).min(HOUR_US))
    }

    /// The part of tries begun in that hour that all fail, parts per million: one is begun each second.
    fn failing_ppm(&self, mix: &UplinkMix, hour_us: u64, tries: impl Fn(&UplinkRate) -> Tries) -> u32 {
        let (mut failed, mut all) = (0, 0);
        for rate in mix.rates() {
            let tries = tries(rate);
            let fails =
                |begin_us: u64| tries.begins_us(begin_us).all(|at_us| self.is_lost(at_us, tries.airtime_us));
            let begins = (0..HOUR_US / SECOND_US).map(|second| hour_us + second * SECOND_US);
            failed += begins.filter(|begin_us| fails(*begin_us)).count() as u64 * rate.weight;
            all += HOUR_US / SECOND_US * rate.weight;
        }
        ppm(failed, all)
    }

    /// Whether an uplink meets a frame.
    fn is_lost(&self, begin_us: u64, uplink_us: u64) -> bool {
        let before = self.starts_us.partition_point(|start| *start < begin_us + uplink_us);
        before > 0 && self.starts_us[before - 1] + self.airtime_us > begin_us
    }
}

fn ppm(part: u64, whole: u64) -> u32 {
    (u128::from(part) * 1_000_000 / u128::from(whole.max(1))).min(1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(starts_s: impl IntoIterator<Item = u64>) -> Vec<SentFrame> {
        let frame = |start_s: u64| SentFrame {
            frame_no: 0,
            fcnt: 0,
            start: Instant::ZERO.plus_us(start_s * SECOND_US),
        };
        starts_s.into_iter().map(frame).collect()
    }

    fn one_rate(airtime_us: u64) -> UplinkMix {
        let modulation = Modulation::LoRa { sf: 12, bw_hz: 125_000 };
        UplinkMix::new([UplinkRate { modulation, airtime_us, weight: 1 }])
    }

    #[test]
    fn an_uplink_is_lost_if_any_part_of_it_meets_a_frame() {
        // A frame of 1 s each 4 s, uplinks of 2 s: three begins of four are lost.
        let heard = Heard::beside(&frames((0..900).map(|n| n * 4)), SECOND_US, &one_rate(2 * SECOND_US));
        assert!((749_000..751_000).contains(&heard.rates[0].lost_ppm), "{heard:?}");
        assert!((249_000..252_000).contains(&heard.worst_hour_ppm), "{heard:?}");
    }

    #[test]
    fn evenly_spaced_short_frames_leave_nothing_to_a_slow_uplink_and_break_all_promises() {
        let heard = Heard::beside(&frames(0..5000), SECOND_US / 10, &one_rate(SECOND_US));
        assert_eq!(heard.rates[0].lost_ppm, 1_000_000);
        assert!(heard.joins_ppm < 10_000 && heard.confirmed_failed_ppm > 980_000, "{heard:?}");
        assert_eq!(heard.broken().len(), 2);
    }

    #[test]
    fn beside_a_short_campaign_every_confirmed_message_of_the_hour_gets_through() {
        let heard = Heard::beside(&frames(0..20), SECOND_US / 10, &one_rate(SECOND_US));
        assert!(heard.worst_hour_ppm > 990_000, "{heard:?}");
        assert_eq!(heard.broken(), Vec::<String>::new());
    }
}
