use super::*;
use crate::radio::Dbm;
use crate::radio::downlink_airtime_us;
use crate::region::RfRegion;
use crate::region::parameters;
use crate::schedule::spacing::Pace;
use crate::schedule::spacing::PaceLimit;
use crate::schedule::spacing::Pattern;
use proptest::prelude::*;

const HOUR_US: u64 = 3_600_000_000;
/// An hour, and the error of two starts.
const COUNTED_US: u64 = HOUR_US + 50_000;

fn eu868() -> Scheduler {
    Scheduler::new(parameters(RfRegion::Eu868).unwrap().sub_bands, 0)
}

fn request(dr: u8, phy_len: usize, policy: TxPolicy) -> TxRequest {
    let channel = parameters(RfRegion::Eu868).unwrap().check(869_525_000, dr, Dbm::from_whole(27)).unwrap();
    let airtime_us = downlink_airtime_us(channel.modulation, phy_len);
    let queue_slot_us = airtime_us + 1000;
    TxRequest {
        channel,
        airtime_us,
        queue_slot_us,
        earliest: Instant::ZERO,
        until: None,
        need_us: 0,
        gap_us: 45_000,
        lead_us: 100_000,
        open_us: 0,
        policy,
    }
}

fn all(pattern: Pattern) -> TxPolicy {
    TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 1_000_000, pattern }
}

fn start_of(placement: Placement) -> Instant {
    match placement {
        Placement::At(start) => start,
        Placement::Refused(why) => panic!("{why}"),
    }
}

#[test]
fn two_frames_keep_the_forwarders_gap() {
    let mut scheduler = eu868();
    let request = request(5, 255, all(Pattern::Burst));
    scheduler.commit(Instant::from_us(1_000_000), &request);
    let second = start_of(
        scheduler.place(Instant::ZERO, &TxRequest { earliest: Instant::from_us(990_000), ..request }),
    );
    assert_eq!(second, Instant::from_us(1_000_000).plus_us(request.queue_slot_us + 45_000));
}

#[test]
fn a_frame_that_was_refused_leaves_its_place_and_its_airtime() {
    let mut scheduler = eu868();
    let request = request(5, 255, all(Pattern::Burst));
    let booking = scheduler.commit(Instant::from_us(1_000_000), &request);
    scheduler.refund(booking);
    let again =
        scheduler.place(Instant::ZERO, &TxRequest { earliest: Instant::from_us(1_000_000), ..request });
    assert_eq!(again, Placement::At(Instant::from_us(1_000_000)));
    assert_eq!(scheduler.bands(Instant::from_us(2_000_000)).iter().map(|band| band.total_us).sum::<u64>(), 0);
}

#[test]
fn a_burst_spends_the_budget_and_waits_for_the_hour_to_pass() {
    let mut scheduler = eu868();
    let request = request(5, 255, all(Pattern::Burst));
    let frames = 360_000_000 / request.airtime_us;
    let mut now = Instant::ZERO;
    let mut first = None;
    for _ in 0..frames {
        let start = start_of(scheduler.place(now, &TxRequest { earliest: now, ..request }));
        scheduler.commit(start, &request);
        first = first.or(Some(start));
        now = start;
    }
    assert!(now.us_since(Instant::ZERO) < HOUR_US / 4);
    let next = start_of(scheduler.place(now, &TxRequest { earliest: now, ..request }));
    assert_eq!(next, first.unwrap().plus_us(COUNTED_US));
}

#[test]
fn our_share_is_spread_evenly() {
    let policy = TxPolicy { duty_share_ppm: 400_000, max_deaf_ppm: 200_000, pattern: Pattern::Even };
    let request = request(5, 255, policy);
    let pace = eu868().pace(request.channel, request.airtime_us, 45_000, policy).unwrap();
    // 144 s of the hour hold 365 frames of 394.496 ms.
    assert_eq!(pace, Pace { spacing_us: COUNTED_US.div_ceil(365), limit: PaceLimit::Duty });
}

#[test]
fn a_frame_over_our_share_is_refused_with_both_numbers() {
    let policy = TxPolicy { duty_share_ppm: 5_000, ..all(Pattern::Even) };
    let request = request(0, 64, policy);
    let refused = Refused::NeverFits {
        airtime_us: 2_793_472,
        share_us: 1_800_000,
        sub_band: request.channel.sub_band.0,
    };
    assert_eq!(eu868().place(Instant::ZERO, &request), Placement::Refused(refused));
    assert_eq!(eu868().pace(request.channel, request.airtime_us, 0, policy), Err(refused));
}

#[test]
fn a_frame_that_would_end_after_the_session_is_refused() {
    let mut scheduler = eu868();
    let request = request(5, 255, all(Pattern::Burst));
    let until = Instant::from_us(1_394_000);
    let placement = scheduler.place(
        Instant::ZERO,
        &TxRequest { earliest: Instant::from_us(1_000_000), until: Some(until), ..request },
    );
    assert!(matches!(placement, Placement::Refused(Refused::SessionOver { .. })), "{placement:?}");
}

#[test]
fn the_gateway_is_never_deaf_for_more_than_its_part_of_a_minute() {
    let mut scheduler = eu868();
    let policy = TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 200_000, pattern: Pattern::Burst };
    let request = request(5, 255, policy);
    let (mut now, mut starts) = (Instant::ZERO, Vec::new());
    for _ in 0..100 {
        let start = start_of(scheduler.place(now, &TxRequest { earliest: now, ..request }));
        scheduler.commit(start, &request);
        starts.push(start);
        now = start;
    }
    for first in &starts {
        let in_minute =
            starts.iter().filter(|start| **start >= *first && start.us_since(*first) < 60_000_000).count();
        assert!(in_minute as u64 * request.airtime_us <= 12_000_000);
    }
}

#[test]
fn a_frame_longer_than_the_rule_of_deafness_goes_out_alone() {
    let mut scheduler = eu868();
    let request = request(0, 64, TxPolicy { max_deaf_ppm: 20_000, ..all(Pattern::Burst) });
    scheduler.commit(Instant::ZERO, &request);
    let second = start_of(scheduler.place(Instant::ZERO, &request));
    assert_eq!(second, Instant::from_us(60_000_000));
}

fn promising(min_heard_ppm: u32) -> Scheduler {
    let kept = Kept { server_reserve_ppm: 0, min_heard_ppm };
    Scheduler::of(parameters(RfRegion::Eu868).unwrap(), kept)
}

/// The starts of `frames` frames, each as early as may be.
fn starts(scheduler: &mut Scheduler, request: &TxRequest, spacing_us: u64, frames: usize) -> Vec<u64> {
    let mut earliest = Instant::ZERO;
    let mut starts = Vec::new();
    for _ in 0..frames {
        let start = start_of(scheduler.place(earliest, &TxRequest { earliest, ..*request }));
        scheduler.commit(start, request);
        starts.push(start.us_since(Instant::ZERO));
        earliest = start.plus_us(spacing_us);
    }
    starts
}

#[test]
fn frames_stand_in_trains_and_after_each_the_slowest_usual_uplink_is_heard() {
    let request = request(5, 255, all(Pattern::Burst));
    let starts = starts(&mut promising(1), &request, 1_400_000, 60);
    let hole_us = 5_000_000 + promising(1).hearing().uplinks().slowest_us();
    let (mut train_begins, mut trains) = (starts[0], 0);
    for pair in starts.windows(2) {
        let pause_us = pair[1] - pair[0] - request.airtime_us;
        if pause_us >= hole_us {
            (train_begins, trains) = (pair[1], trains + 1);
        } else {
            assert_eq!(pair[1] - pair[0], 1_400_000, "no waiting but in holes");
        }
        assert!(pair[1] + request.airtime_us - train_begins <= 20_000_000);
    }
    assert!((3..=5).contains(&trains), "{trains}");
}

#[test]
fn no_hole_is_left_where_the_pauses_between_frames_are_long_enough() {
    let request = request(5, 255, all(Pattern::Burst));
    let starts = starts(&mut promising(1), &request, 4_000_000, 60);
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 4_000_000), "{starts:?}");
}

#[test]
fn in_any_hour_the_mean_uplink_is_heard_as_promised() {
    let request = request(5, 255, all(Pattern::Burst));
    let mut scheduler = promising(900_000);
    let starts = starts(&mut scheduler, &request, 1_000_000, 900);
    let mix = scheduler.hearing().uplinks().clone();
    let hour_us = 3_600_000_000;
    for begin in starts.iter().copied().step_by(50) {
        // Each millisecond of the hour is a begin of an uplink.
        let lost = |airtime_us: u64| {
            let mut deaf_us = 0;
            let mut over_us = begin;
            for start in starts.iter().copied().filter(|start| (begin..begin + hour_us).contains(start)) {
                let from = start.saturating_sub(airtime_us).max(over_us);
                over_us = start + request.airtime_us;
                deaf_us += over_us - from;
            }
            deaf_us
        };
        let sum: u64 = mix.rates().iter().map(|rate| rate.weight * lost(rate.airtime_us)).sum();
        let lost_us = sum / mix.weight();
        assert!(lost_us <= hour_us / 10, "{lost_us}");
    }
    assert!(starts[899] > hour_us, "the promise was what held it back");
}

#[test]
fn a_restored_ledger_weighs_no_less_than_what_was_sent() {
    let mut before = eu868();
    let request = request(5, 255, all(Pattern::Burst));
    let mut now = Instant::ZERO;
    for _ in 0..912 {
        let start = start_of(before.place(now, &TxRequest { earliest: now, ..request }));
        before.commit(start, &request);
        now = start;
    }
    let minutes = before.minutes(now);
    assert!(minutes.len() <= 61);
    let mut after = eu868();
    after.restore(Instant::ZERO, 0, &minutes);
    let free_before = start_of(before.place(now, &TxRequest { earliest: now, ..request })).us_since(now);
    let free_after = start_of(after.place(Instant::ZERO, &request)).us_since(Instant::ZERO);
    assert!(free_after >= free_before, "{free_after} < {free_before}");
    // Whole minutes are at most a minute later than the truth.
    assert!(free_after <= free_before + 60_000_000, "{free_after} > {free_before} + 60 s");
}

#[test]
fn a_lost_ledger_counts_as_a_spent_hour() {
    let mut scheduler = eu868();
    scheduler.assume_spent(Instant::ZERO);
    let start = start_of(scheduler.place(Instant::ZERO, &request(5, 255, all(Pattern::Burst))));
    assert_eq!(start, Instant::from_us(COUNTED_US as i64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn even_spacing_never_has_to_wait_for_the_ledger(dr in 0u8..6, len in 20usize..64, share in 1u32..=10) {
        let mut scheduler = eu868();
        let policy = TxPolicy { duty_share_ppm: share * 100_000, max_deaf_ppm: 1_000_000, pattern: Pattern::Even };
        let request = request(dr, len, policy);
        let pace = scheduler.pace(request.channel, request.airtime_us, 45_000, policy).unwrap();
        let mut earliest = Instant::ZERO;
        for _ in 0..400 {
            let start = start_of(scheduler.place(earliest, &TxRequest { earliest, ..request }));
            prop_assert_eq!(start, earliest);
            scheduler.commit(start, &request);
            earliest = start.plus_us(pace.spacing_us);
        }
    }
}

#[test]
fn frames_keep_the_pause_and_the_listening_of_their_sub_band() {
    use crate::region::Terms;
    let korea = parameters(RfRegion::Kr920).unwrap();
    let terms = Terms { listens_before_talk: true, ..Terms::default() };
    let channel = korea.check_under(&terms, 921_900_000, 5, Dbm::from_whole(23)).unwrap();
    let mut scheduler = Scheduler::new(korea.sub_bands, 0);
    let request = TxRequest { channel, ..request(5, 255, all(Pattern::Burst)) };
    scheduler.commit(Instant::ZERO, &request);
    let second = start_of(scheduler.place(Instant::ZERO, &request));
    assert_eq!(second, Instant::ZERO.plus_us(request.queue_slot_us + 55_000));
    let pace = scheduler.pace(channel, request.airtime_us, request.gap_us, request.policy).unwrap();
    assert_eq!(pace, Pace { spacing_us: request.airtime_us + 55_000, limit: PaceLimit::Pause });
}

#[test]
fn a_frame_longer_than_one_transmission_may_be_is_refused_before_anything_is_sent() {
    let as923 = parameters(RfRegion::As923_3).unwrap();
    let channel = as923.check(916_600_000, 3, Dbm::from_whole(16)).unwrap();
    let mut scheduler = Scheduler::new(as923.sub_bands, 0);
    let longest = downlink_airtime_us(channel.modulation, 68);
    assert_eq!(longest, 390_144);
    scheduler.pace(channel, longest, 45_000, all(Pattern::Even)).unwrap();
    let airtime_us = downlink_airtime_us(channel.modulation, 69);
    let refused = scheduler.pace(channel, airtime_us, 45_000, all(Pattern::Even)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "one frame of 410624 us is longer than the 400000 us that one transmission may last in sub-band \
         conservative (RP002-1.0.5 3.10: 1 %, 400 ms, 16 dBm EIRP): use a faster data rate or smaller fragments"
    );
    let request = TxRequest { channel, airtime_us, ..request(3, 69, all(Pattern::Even)) };
    assert_eq!(scheduler.place(Instant::ZERO, &request), Placement::Refused(refused));
}

#[test]
fn a_burst_waits_at_most_as_long_as_it_says() {
    for (dr, max_deaf_ppm, frames) in
        [(5, 200_000, 1500), (3, 1_000_000, 700), (5, 1_000_000, 2000), (0, 300_000, 140)]
    {
        let policy = TxPolicy { duty_share_ppm: 400_000, max_deaf_ppm, pattern: Pattern::Burst };
        let mut request = request(dr, 64, policy);
        let mut scheduler = eu868();
        let spacing_us = request.queue_slot_us + request.gap_us;
        let waits_us = scheduler.waits_us(request.channel, request.airtime_us, spacing_us, frames, policy);
        let mut now = Instant::ZERO;
        for _ in 0..frames {
            now = start_of(scheduler.place(now, &request));
            scheduler.commit(now, &request);
            request.earliest = now;
        }
        let took_us = now.us_since(Instant::ZERO);
        let bound_us = spacing_us * frames + waits_us;
        assert!(took_us <= bound_us, "DR{dr}: {took_us} us, not {bound_us} us");
        // A bound of days would keep every device's receiver open for days.
        assert!(took_us + 600_000_000 > bound_us / 2, "DR{dr}: {took_us} us, not {bound_us} us");
        let even = TxPolicy { pattern: Pattern::Even, ..policy };
        assert_eq!(scheduler.waits_us(request.channel, request.airtime_us, spacing_us, frames, even), 0);
    }
}

#[test]
fn what_the_servers_are_expected_to_want_slows_a_campaign_and_does_not_end_its_session() {
    let mut scheduler = eu868();
    let second = |s: i64| Instant::from_us(s * 1_000_000);
    let request = request(5, 255, all(Pattern::Burst));
    for n in 0..50 {
        let sub_band = Some(request.channel.sub_band.0);
        scheduler.enter_other(second(n * 5), sub_band, second(n * 5), 1_300_000, 1_300_000);
    }
    scheduler.commit(second(251), &request);
    let in_session = TxRequest { until: Some(second(500)), need_us: 100_000_000, ..request };
    let start = |request: TxRequest| start_of(scheduler.clone().place(second(260), &request));
    assert!(start(request) > second(3600), "65 s of the servers in 260 s are all of an hour's law");
    assert!(start(in_session) < second(261));
}
