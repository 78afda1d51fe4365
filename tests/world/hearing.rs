//! What a plan promises of hearing, against what the simulated gateway then heard of uplinks at all data rates.

use crate::support::scenarios::shipped;
use crate::support::small_world::assert_content;
use crate::support::small_world::run;
use fuotad::plan::Heard;
use fuotad::radio::UplinkMix;
use fuotad::radio::downlink_airtime_us;
use fuotad::radio::forwarder_airtime_us;
use fuotad::region::RfRegion;
use fuotad::region::Terms;
use fuotad::region::parameters;
use fuotad::region::parameters_even_withdrawn;
use fuotad::schedule::Kept;
use fuotad::schedule::Pattern;
use fuotad::schedule::Placement;
use fuotad::schedule::Scheduler;
use fuotad::schedule::TxPolicy;
use fuotad::schedule::TxRequest;
use fuotad::sim::Script;
use fuotad::sim::SentFrame;
use fuotad::sim::Summary;
use fuotad::time::Instant;

/// Uplinks of others: enough for the rarest data rate to be counted to a point.
const UPLINKS_PER_HOUR: u32 = 240_000;

/// The worst distance of promised and simulated loss over all data rates with a thousandth of the uplinks, percentage points.
fn distance(name: &str, summary: &Summary, script: &Script) -> f64 {
    let planned = summary.planned.as_ref().unwrap();
    let mix = script.region.usual_uplinks();
    let heard = Heard::beside(&summary.frames, planned.airtime_us, &mix);
    let (first, last) = (summary.frames.first().unwrap(), summary.frames.last().unwrap());
    let took_us = last.start.plus_us(planned.airtime_us).us_since(first.start) as f64;
    let world_us = summary.end.us_since(Instant::ZERO) as f64;
    let mut worst = 0.0f64;
    for rate in &heard.rates {
        // Uplinks come all the time, and are lost only while the campaign is sent.
        let share = rate.rate.weight as f64 / mix.weight() as f64;
        let offered = summary.uplinks.0 as f64 * share * took_us / world_us;
        let lost = *summary.deaf_to.get(&rate.rate.modulation).unwrap_or(&0) as f64;
        let (promised, simulated) = (f64::from(rate.lost_ppm) / 1e4, lost / offered * 100.0);
        println!(
            "{name} {}: promised {promised:.1} %, simulated {simulated:.1} % of {offered:.0}",
            rate.rate.modulation
        );
        worst = worst.max((promised - simulated).abs());
    }
    worst
}

#[test]
fn the_loss_of_uplinks_is_as_promised_within_three_points_at_every_data_rate() {
    for name in ["eu868-100kb.toml", "us915-100kb.toml", "region-as923-1.toml"] {
        for pattern in [Pattern::Burst, Pattern::Even] {
            let mut script = shipped(name);
            script.uplinks_per_hour = UPLINKS_PER_HOUR;
            script.devices.truncate(1);
            script.groups.iter_mut().for_each(|group| group.policy.pattern = pattern);
            let summary = run(script.clone());
            assert_content(&summary, name);
            let worst = distance(&format!("{name} {pattern:?}"), &summary, &script);
            assert!(worst <= 3.0, "{name} {pattern:?}: {worst:.1} points");
        }
    }
}

#[test]
fn a_gateway_that_hears_only_fast_uplinks_leaves_no_holes_for_slow_ones() {
    let took_us = |uplink_mix: Option<UplinkMix>| {
        let mut script = shipped("eu868-100kb.toml");
        // Half an hour before the start, so there are more than enough to know.
        (script.uplinks_per_hour, script.uplink_mix) = (1_200, uplink_mix);
        script.devices.truncate(1);
        let frames = run(script).frames;
        frames.last().unwrap().start.us_since(frames.first().unwrap().start)
    };
    let usual = parameters(RfRegion::Eu868).unwrap().usual_uplinks();
    let fastest = usual.rates().iter().copied().min_by_key(|rate| rate.airtime_us);
    let (fast_us, usual_us) = (took_us(Some(UplinkMix::new(fastest))), took_us(None));
    assert!(fast_us < usual_us / 10 * 9, "{fast_us} us, {usual_us} us");
}

#[test]
fn a_promise_of_nine_tenths_is_kept_in_every_hour_of_a_long_campaign() {
    let mut script = shipped("us915-100kb.toml");
    script.kept = Kept { min_heard_ppm: 900_000, ..script.kept };
    script.groups[0].policy.max_deaf_ppm = 1_000_000;
    script.groups[0].profile.gap_uncoded_us = 200_000;
    script.groups[0].profile.gap_coded_us = 200_000;
    for task in &mut script.tasks {
        task.image = vec![7; 240_000];
    }
    script.devices.truncate(1);
    let summary = run(script.clone());
    let airtime_us = summary.planned.as_ref().unwrap().airtime_us;
    let heard = Heard::beside(&summary.frames, airtime_us, &script.region.usual_uplinks());
    println!("worst hour {:.1} %", f64::from(heard.worst_hour_ppm) / 1e4);
    assert!(heard.worst_hour_ppm >= 899_000, "{heard:?}");
    assert_eq!(heard.broken(), Vec::<String>::new());
}

/// Frames as fast as they may be sent for two hours, by the defaults of bursts.
fn two_hours(region: RfRegion, data_rate: u8, phy_len: usize, gap_us: u64) -> Option<Heard> {
    let region = parameters_even_withdrawn(region);
    let terms = Terms::default();
    let eirp = region.default_eirp(&terms, region.rx2.frequency_hz);
    let channel = region.check_under(&terms, region.rx2.frequency_hz, data_rate, eirp).ok()?;
    let airtime_us = downlink_airtime_us(channel.modulation, phy_len);
    let kept = Kept { server_reserve_ppm: 100_000, min_heard_ppm: 800_000 };
    let mut scheduler = Scheduler::of(region, kept);
    let policy = TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 500_000, pattern: Pattern::Burst };
    let request = TxRequest {
        channel,
        airtime_us,
        queue_slot_us: forwarder_airtime_us(channel.modulation, phy_len),
        earliest: Instant::ZERO,
        until: None,
        need_us: 0,
        gap_us: 45_000,
        lead_us: 0,
        open_us: scheduler.open_us(channel, airtime_us, airtime_us + gap_us, 100_000, policy),
        policy,
    };
    let mut frames = Vec::new();
    let mut earliest = Instant::ZERO;
    while earliest < Instant::ZERO.plus_us(7_200_000_000) {
        let Placement::At(start) = scheduler.place(earliest, &TxRequest { earliest, ..request }) else {
            break;
        };
        scheduler.commit(start, &request);
        frames.push(SentFrame { frame_no: 0, fcnt: 0, start });
        earliest = start.plus_us(airtime_us + gap_us);
    }
    Some(Heard::beside(&frames, airtime_us, &region.usual_uplinks())).filter(|_| !frames.is_empty())
}

#[test]
fn all_three_promises_are_kept_in_every_region_at_every_data_rate_and_gap() {
    let (mut cases, mut broken) = (0, Vec::new());
    let (mut heard_ppm, mut joins_ppm, mut failed_ppm) = (1_000_000, 1_000_000, 0);
    for region in RfRegion::ALL {
        for data_rate in 0..16 {
            for phy_len in [24, 250] {
                for gap_us in [45_000, 500_000, 1_000_000, 1_500_000] {
                    let Some(heard) = two_hours(region, data_rate, phy_len, gap_us) else { continue };
                    cases += 1;
                    heard_ppm = heard_ppm.min(heard.worst_hour_ppm);
                    joins_ppm = joins_ppm.min(heard.joins_ppm);
                    failed_ppm = failed_ppm.max(heard.confirmed_failed_ppm);
                    if heard.worst_hour_ppm < 799_000 || !heard.broken().is_empty() {
                        broken.push(format!(
                            "{region} DR{data_rate} {phy_len} B {gap_us} us: heard {} joins {} failed {}",
                            heard.worst_hour_ppm, heard.joins_ppm, heard.confirmed_failed_ppm
                        ));
                    }
                }
            }
        }
    }
    println!("{cases} cases: heard {heard_ppm} ppm, joins {joins_ppm} ppm, failed {failed_ppm} ppm at worst");
    assert!(cases > 300, "{cases}");
    assert!(broken.is_empty(), "{} of {cases}:\n{}", broken.len(), broken.join("\n"));
}
