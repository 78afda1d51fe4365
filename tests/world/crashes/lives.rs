//! Lives too short to get anywhere, one after the other.

use super::many::judged;
use crate::support::small_world::script;
use crate::support::small_world::script_of;
use fuotad::report::Event;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;

const SECOND_US: u64 = 1_000_000;

/// Where each life went on.
pub fn resumed(summary: &Summary) -> Vec<u32> {
    let at = |report: &fuotad::report::Report| match report.event {
        Event::Resumed { frame_no: k } => Some(k),
        _ => None,
    };
    summary.reports.iter().filter_map(at).collect()
}

/// Four lives that are over two seconds after they could send.
pub fn four_short_lives() -> Script {
    let mut script = script_of(4000);
    script.concentrator.keepalive_us = SECOND_US;
    script.tasks[0].document = script.tasks[0].document.replace("08:00:30Z", "08:00:02Z");
    script.faults = vec![Fault::KillAfter(4 * SECOND_US); 4];
    script
}

#[test]
fn every_life_goes_on_behind_the_first_frame_of_the_one_before() {
    let (summary, verdict) = judged(four_short_lives());
    assert_eq!(verdict, Ok(()));
    let resumed = resumed(&summary);
    assert!(resumed.len() >= 3, "{resumed:?}");
    assert!(resumed.windows(2).all(|pair| pair[0] < pair[1]), "{resumed:?}");
}

#[test]
fn after_five_starts_in_a_row_only_traffic_is_relayed_for_ten_minutes() {
    let mut script = script();
    script.faults = vec![Fault::KillAfter(3 * SECOND_US); 6];
    script.limit_us = 3_600 * SECOND_US;
    let (summary, verdict) = judged(script);
    assert_eq!(verdict, Ok(()));
    let rest = |report: &&fuotad::report::Report| match &report.event {
        Event::Warning { text } => text.contains("starts in a row"),
        _ => false,
    };
    let rests: Vec<u64> =
        summary.reports.iter().filter(rest).map(|report| report.at.as_us() as u64).collect();
    // The fifth and the sixth are killed as well; the seventh lives.
    assert_eq!(rests.len(), 3, "{:#?}", summary.reports);
    let waits = |report: &fuotad::report::Report| match &report.event {
        Event::Waiting { reason } => reason.contains("a rest of 600 s after 7 starts"),
        _ => false,
    };
    assert!(summary.reports.iter().any(waits), "{:#?}", summary.reports);
    let first = summary.frames.first().unwrap().start.as_us() as u64;
    let rest_s = (first - rests[2]) / SECOND_US;
    assert!((600..620).contains(&rest_s), "the first frame {rest_s} s after the last start");
    assert_eq!(summary.complete(), 3, "it tried again");
}

#[test]
fn restarts_in_order_are_no_crash_loop() {
    let mut script = Script { faults: vec![Fault::KillAfter(31 * SECOND_US); 8], ..script_of(4000) };
    script.limit_us = 3_600 * SECOND_US;
    let (summary, verdict) = judged(script);
    assert_eq!(verdict, Ok(()));
    assert_eq!(summary.complete(), 3);
    let rests = |report: &fuotad::report::Report| format!("{}", report.event).contains("starts in a row");
    assert!(!summary.reports.iter().any(rests), "lives of half a minute are not short");
}
