//! The packet forwarder is away for a while: nothing is sent into the dead port, and devices with a small decoder lose
//! nothing by it.

use crate::support::small_world::assert_content;
use crate::support::small_world::listener;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::time::Instant;

/// A campaign of 21 x 50 B on lossless air to one device that solves for no more than 5 lost fragments.
fn capped() -> Script {
    let mut script = script();
    script.tasks[0].image = vec![0x5a; 21 * 50];
    script.tasks[0].document =
        script.tasks[0].document.replace(r#""FragmentSizeBytes":48"#, r#""FragmentSizeBytes":50"#);
    let mut device = listener("capped", 0);
    device.settings.max_fragments = 21;
    device.settings.max_fragment_size = 50;
    device.settings.max_lost = 5;
    script.devices = vec![device];
    script
}

fn frames_between(summary: &Summary, from_us: i64, to_us: i64) -> usize {
    let is_between = |start: Instant| (from_us..to_us).contains(&start.as_us());
    summary.frames.iter().filter(|frame| is_between(frame.start)).count()
}

#[test]
fn a_device_that_solves_for_five_losses_completes_through_any_outage_of_the_forwarder() {
    let plain = run(capped());
    assert_eq!(plain.complete(), 1, "{:#?}", plain.devices);
    for frame in &plain.frames {
        for outage_s in [4, 8, 12, 60] {
            // Killed while the frame waits in its queue, and just after it went out.
            for offset_us in [-120_000, 200_000] {
                let at_us = u64::try_from(frame.start.as_us() + offset_us).unwrap();
                let outage = (at_us, outage_s * 1_000_000);
                let what = format!("frame {} {offset_us} us, {outage_s} s", frame.frame_no);
                let summary = run(Script { forwarder_outages_us: vec![outage], ..capped() });
                assert_content(&summary, &what);
                assert_eq!(summary.complete(), 1, "{what}: {:#?}", summary.devices);
                assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))), "{what}");
            }
        }
    }
}

#[test]
fn after_one_unanswered_frame_nothing_is_sent_until_the_forwarder_is_heard_and_then_the_same_frame() {
    let plain = run(capped());
    let (killed, outage_us) = (plain.frames[6].start.as_us() + 200_000, 60_000_000);
    let outage = (u64::try_from(killed).unwrap(), u64::try_from(outage_us).unwrap());
    let summary = run(Script { forwarder_outages_us: vec![outage], ..capped() });
    let unanswered = summary.reports.iter().filter_map(|report| match report.event {
        Event::Unanswered { frame_no } => Some(frame_no),
        _ => None,
    });
    let [frame_no] = unanswered.collect::<Vec<_>>()[..] else { panic!("{:#?}", summary.reports) };
    // What it had taken before its end, and lost with it, was to start within 400 ms.
    assert_eq!(frames_between(&summary, killed + 400_000, killed + outage_us), 0);
    let next = summary.frames.iter().find(|frame| frame.start.as_us() > killed + 400_000).unwrap();
    assert_eq!(next.frame_no, frame_no, "the same frame goes out again");
    let again_us = next.start.as_us() - (killed + outage_us);
    assert!(again_us < 2_000_000 + i64::try_from(SPEAKS_WITHIN_US).unwrap(), "{again_us} us after its start");
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(account)) if account.unanswered == 0));
}

/// The simulated forwarder says its first word so long after its start at most, microseconds.
const SPEAKS_WITHIN_US: u64 = 1_000_000;
