//! A day after a campaign: what a network server's adaptive data rate made of the uplinks that were not heard, and what
//! became of confirmed messages, against the same devices without a campaign.

use crate::support::scenarios::shipped;
use crate::support::small_world::run;
use fuotad::radio::UplinkRate;
use fuotad::sim::random::Random;
use std::collections::VecDeque;

const SECOND_US: u64 = 1_000_000;
const HOUR_US: u64 = 3_600 * SECOND_US;
const DAY_US: u64 = 24 * HOUR_US;
const DEVICES: u64 = 300;
/// Uplinks lost for other reasons, parts per million.
const LOST_PPM: u64 = 20_000;
/// ChirpStack's default algorithm: NbTrans by the part of the last 20 uplinks that are missing (under 5, 10, 30 % and
/// more) and by NbTrans now.
const HISTORY: usize = 20;
const NB_TRANS: [[u8; 3]; 4] = [[1, 1, 2], [1, 2, 3], [2, 3, 3], [3, 3, 3]];
/// A confirmed message is tried so often, so far apart.
const TRIES: u64 = 8;
const TRIES_APART_US: u64 = 5 * SECOND_US;

/// Frames on the air, sorted by start, of one length.
struct Air {
    starts_us: Vec<u64>,
    airtime_us: u64,
}

impl Air {
    fn meets(&self, begin_us: u64, uplink_us: u64) -> bool {
        let before = self.starts_us.partition_point(|start| *start < begin_us + uplink_us);
        before > 0 && self.starts_us[before - 1] + self.airtime_us > begin_us
    }
}

/// One device's end of the second day: NbTrans, and confirmed messages that failed since the campaign began.
fn device(number: u64, rate: UplinkRate, interval_us: u64, air: &Air) -> (u8, u32) {
    let phase_us = number * interval_us / DEVICES;
    let (mut nb_trans, mut failed) = (1u8, 0);
    let mut history: VecDeque<bool> = VecDeque::new();
    let mut uplink = 0;
    loop {
        let begin_us = phase_us + uplink * interval_us;
        if begin_us >= 2 * DAY_US + HOUR_US {
            return (nb_trans, failed);
        }
        // Luck depends on device, uplink and try alone: with and without a campaign it is the same.
        let is_heard = |attempt: u64| {
            let mut rng = Random::new(number << 40 | uplink << 8 | attempt);
            let at_us = begin_us + attempt * (TRIES_APART_US + rate.airtime_us);
            rng.below(1_000_000) >= LOST_PPM && !air.meets(at_us, rate.airtime_us)
        };
        let heard = (0..u64::from(nb_trans)).any(is_heard);
        failed += u32::from(begin_us >= DAY_US && !(0..TRIES).any(is_heard));
        history.push_back(heard);
        if history.len() > HISTORY {
            history.pop_front();
        }
        if heard && history.len() == HISTORY {
            let missing = history.iter().filter(|heard| !**heard).count() * 100 / HISTORY;
            let row = [5, 10, 30].iter().filter(|percent| missing >= **percent).count();
            nb_trans = NB_TRANS[row][usize::from(nb_trans) - 1];
        }
        uplink += 1;
    }
}

#[test]
fn a_day_after_a_campaign_adaptive_data_rate_and_confirmed_messages_are_as_without_one() {
    for name in ["eu868-100kb.toml", "us915-100kb.toml"] {
        let mut script = shipped(name);
        script.devices.truncate(1);
        let mix = script.region.usual_uplinks();
        let summary = run(script);
        let first = summary.frames[0].start;
        let air = Air {
            // It begins a day after the devices.
            starts_us: summary.frames.iter().map(|frame| DAY_US + frame.start.us_since(first)).collect(),
            airtime_us: summary.planned.as_ref().unwrap().airtime_us,
        };
        let quiet = Air { starts_us: Vec::new(), airtime_us: 0 };
        for interval_us in [HOUR_US / 60, HOUR_US / 6, HOUR_US] {
            let day_after = |air: &Air| {
                let (mut nb_trans, mut failed) = (0, 0);
                for number in 0..DEVICES {
                    let mut at = number * 37 % mix.weight();
                    let of_it = mix.rates().iter().find(|rate| {
                        let is_it = at < rate.weight;
                        at = at.saturating_sub(rate.weight);
                        is_it
                    });
                    let (its, lost) = device(number, *of_it.unwrap(), interval_us, air);
                    nb_trans += u32::from(its);
                    failed += lost;
                }
                (f64::from(nb_trans) / DEVICES as f64, failed)
            };
            let (with, without) = (day_after(&air), day_after(&quiet));
            println!(
                "{name}, an uplink each {} s: NbTrans {:.3} (without {:.3}), confirmed messages failed {} (without {})",
                interval_us / SECOND_US,
                with.0,
                without.0,
                with.1,
                without.1
            );
            // Devices that send each hour have barely sent the twenty uplinks that are looked at.
            assert!((with.0 - without.0).abs() <= 0.05, "{with:?} {without:?}");
            // Of those that were sent in the day at most one in a thousand fails more than without a campaign.
            let sent = DEVICES * DAY_US / interval_us;
            assert!(u64::from(with.1 - without.1) * 1000 <= sent, "{with:?} {without:?} of {sent}");
        }
    }
}
