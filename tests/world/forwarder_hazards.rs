//! Campaigns over a packet forwarder that goes wrong while they run: its host stands still, it comes late, swallows, dies
//! and comes back, or speaks a protocol without answers.

use crate::support::small_world::assert_content;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script_of;
use fuotad::report::Account;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::sim::Summary;
use fuotad::sim::concentrator::Hazards;
use fuotad::sim::concentrator::Settings;
use fuotad::sim::concentrator::Span;

const MS: u64 = 1_000;
const S: u64 = 1_000_000;

/// 4000 bytes with full redundancy to three devices, from 30 s on for half a minute and what the forwarder adds.
fn over(settings: Settings, story: &str) -> Summary {
    let mut script = script_of(4000);
    script.concentrator = Settings { keepalive_us: S, ..settings };
    let summary = run(script);
    assert_content(&summary, story);
    summary
}

fn complete_over(hazards: Hazards, story: &str) -> Summary {
    let summary = over(Settings { hazards, ..Settings::default() }, story);
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))), "{story}: {:#?}", summary.reports);
    assert_eq!(summary.complete(), 3, "{story}: {:#?}", summary.devices);
    summary
}

fn last_start_us(summary: &Summary) -> i64 {
    summary.frames.last().unwrap().start.as_us()
}

#[test]
fn a_host_that_stands_still_delays_a_campaign_and_does_it_no_other_harm() {
    let plain_us = last_start_us(&complete_over(Hazards::default(), "no hazard"));
    for stall_us in [50 * MS, 300 * MS, 2 * S, 30 * S, 120 * S] {
        for from_us in [40 * S, 40 * S + 137 * MS, 40 * S + 411 * MS] {
            let story = format!("{} ms from {from_us} us on", stall_us / MS);
            let host_stalls = vec![Span { from_us, until_us: from_us + stall_us }];
            let summary = complete_over(Hazards { host_stalls, ..Hazards::default() }, &story);
            if stall_us >= 2 * S {
                let late_us = last_start_us(&summary) - plain_us;
                assert!(late_us > (stall_us - S) as i64, "{story}: {late_us}");
            }
        }
    }
}

#[test]
fn a_host_that_stutters_loses_some_frames_and_the_campaign_completes() {
    let stall = |n: u64| Span { from_us: 30 * S + n * 777 * MS, until_us: 30 * S + n * 777 * MS + 250 * MS };
    let hazards = Hazards { host_stalls: (0..300).map(stall).collect(), ..Hazards::default() };
    let summary = complete_over(hazards, "a quarter of a second in each three quarters");
    assert!(summary.swallowed > 10, "{}", summary.swallowed);
}

#[test]
fn devices_complete_though_the_forwarder_swallows_a_third_of_the_frames() {
    let late = Hazards { late_jit: vec![(Span::ALWAYS, (25_000, 38_000))], ..Hazards::default() };
    let slow = Hazards { slow_bus: vec![(Span::ALWAYS, 60_000)], ..Hazards::default() };
    let swallowing = Hazards { swallowing: vec![(Span::ALWAYS, 300_000)], ..Hazards::default() };
    for (hazards, story) in [(late, "late queue"), (slow, "slow bus"), (swallowing, "swallowing")] {
        let summary = over(Settings { hazards, ..Settings::default() }, story);
        assert_eq!(summary.complete(), 3, "{story}: {:#?}", summary.devices);
        assert!((30..110).contains(&summary.swallowed), "{story}: {}", summary.swallowed);
        // A frame that a chip was given too late counts as sent at the forwarder: what is told is a lower bound.
        assert!(u64::from(account(&summary).not_radiated) <= summary.swallowed + 1, "{story}");
    }
}

fn account(summary: &Summary) -> Account {
    match outcome(summary) {
        Some(Outcome::Complete(account) | Outcome::Short(account)) => *account,
        other => panic!("{other:?}: {:#?}", summary.reports),
    }
}

#[test]
fn frames_swallowed_anywhere_are_told_to_within_one_and_cost_devices_no_more_than_losses_on_the_air() {
    let (first, last) = (30 * S, 30 * S + 30 * S);
    for ppm in [0, 50_000, 150_000, 300_000] {
        for (from_us, until_us) in
            [(0, u64::MAX), (first, first + 8 * S), (first + 11 * S, last - 8 * S), (last - 8 * S, u64::MAX)]
        {
            let story = format!("{ppm} ppm from {from_us} to {until_us} us");
            let swallowing = vec![(Span { from_us, until_us }, ppm)];
            let hazards = Hazards { swallowing, ..Hazards::default() };
            let summary = over(Settings { hazards, ..Settings::default() }, &story);
            assert_eq!(summary.complete(), 3, "{story}: {:#?}", summary.devices);
            let account = account(&summary);
            let told = account.not_radiated;
            assert!(told.abs_diff(summary.swallowed as u32) <= 1, "{story}: {told} of {}", summary.swallowed);
            assert_eq!((account.unconfirmed(), account.is_short_by()), (0, 0), "{story}: {account}");
            let radiated = u64::from(account.radiated);
            assert_eq!(radiated + u64::from(told), u64::from(account.sent), "{story}");
        }
    }
}

#[test]
fn an_end_waits_for_the_forwarders_report_of_the_last_frame_and_no_longer_than_it_takes() {
    let waited_s = |settings: Settings, story: &str| {
        let summary = over(settings, story);
        let end = summary.reports.iter().find(|report| matches!(report.event, Event::Over(_))).unwrap().at;
        ((end.as_us() - last_start_us(&summary)) / S as i64, account(&summary))
    };
    let every = |seconds: u64| Settings { stat_us: seconds * S, ..Settings::default() };
    let (waited, told) = waited_s(every(10), "each 10 s");
    assert!(waited <= 11 && told.unconfirmed() == 0, "{waited} s: {told}");
    let (waited, told) = waited_s(every(300), "each 300 s");
    assert_eq!(
        (waited, told.unreported, told.radiated),
        (90, told.sent, 0),
        "no interval was learned: {told}"
    );
    // It dies for good a moment after its last frame.
    let plain = over(every(10), "no hazard");
    let dies_us = u64::try_from(last_start_us(&plain)).unwrap() + S / 2;
    let hazards = Hazards { deaths_us: vec![dies_us], ..Hazards::default() };
    let (waited, told) = waited_s(Settings { hazards, ..every(10) }, "dies behind the last frame");
    assert!(waited <= 20 && told.unreported > 0, "{waited} s: {told}");
}

#[test]
fn what_a_dying_forwarder_had_queued_was_not_radiated() {
    for death_us in (40 * S..41 * S).step_by(70_000) {
        let hazards =
            Hazards { deaths_us: vec![death_us], supervisor_us: Some((4 * S, 5 * S)), ..Hazards::default() };
        let summary = complete_over(hazards, "a death");
        let told = account(&summary);
        let lost = told.not_radiated.abs_diff(summary.swallowed as u32);
        assert!(lost <= 1, "{death_us}: {told}, {} swallowed", summary.swallowed);
    }
}

#[test]
fn a_campaign_goes_on_with_every_process_that_the_supervisor_starts() {
    for last_words in [None, Some(b"\x02\x01".to_vec()), Some(b"\x02\x01\x02\x00garbage {".to_vec())] {
        let hazards = Hazards {
            deaths_us: vec![35 * S, 50 * S, 65 * S],
            supervisor_us: Some((4 * S, 12 * S)),
            last_words,
            ..Hazards::default()
        };
        let summary = complete_over(hazards, "three deaths");
        let is_restart = |event: &Event| match event {
            Event::CounterLost { reason } => reason.contains("restarted"),
            _ => false,
        };
        let restarts = summary.reports.iter().filter(|report| is_restart(&report.event)).count();
        assert!(restarts >= 2, "{:#?}", summary.reports);
    }
}

#[test]
fn nothing_is_sent_over_a_forwarder_that_has_no_answers() {
    let summary = over(Settings { protocol_version: 1, ..Settings::default() }, "version 1");
    assert_eq!((summary.frames.len(), summary.verdict.frames, summary.over), (0, 0, 0));
}
