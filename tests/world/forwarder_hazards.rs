//! Campaigns over a packet forwarder that goes wrong while they run: its host stands still, it comes late, swallows, dies
//! and comes back, or speaks a protocol without answers.

use crate::support::small_world::assert_content;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script_of;
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
    assert!(matches!(outcome(&summary), Some(Outcome::Complete { .. })), "{story}: {:#?}", summary.reports);
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
        let summary = complete_over(hazards, story);
        assert!((30..90).contains(&summary.swallowed), "{story}: {}", summary.swallowed);
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
