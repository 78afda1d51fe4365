//! The gateway dies at every moment of a small campaign: at every operation on its disk and at every frame, with
//! every outcome for pages that were not synced. It comes back, finishes, and no frame counter of a key
//! ever carried two payloads.

use crate::support::small_world;
use crate::support::small_world::assert_content;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script;
use fuotad::report::Outcome;
use fuotad::schedule::Pattern;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::UnsyncedPages;

const ALL_LUCK: [UnsyncedPages; 4] =
    [UnsyncedPages::New, UnsyncedPages::Old, UnsyncedPages::Torn, UnsyncedPages::Mixed];

fn survive(script: Script, story: &str) -> Summary {
    let devices = script.devices.len();
    let summary = run(script);
    assert_content(&summary, story);
    assert_eq!(summary.complete(), devices, "{story}: {:#?}", summary.reports);
    // A cut after the last frame, when the end is on disk, leaves nobody to report it a second time.
    let is_complete = matches!(outcome(&summary), Some(Outcome::Complete(_)));
    assert!(is_complete || summary.restarts > 0, "{story}: {:#?}", summary.reports);
    summary
}

#[test]
fn the_power_may_go_at_every_operation_on_the_disk() {
    let mut died = 0;
    for luck in ALL_LUCK {
        for operation in 1.. {
            let story = format!("power cut in disk operation {operation}, pages {luck:?}");
            let faults = vec![Fault::AtDiskOperation(operation)];
            let summary = survive(Script { faults, unsynced_pages: luck, ..script() }, &story);
            if summary.restarts == 0 {
                break;
            }
            assert!(
                summary.verdict.max_repeated_in_a_row <= 70,
                "{story}: more frames repeated than a mark covers"
            );
            died += 1;
        }
    }
    assert!(died > 100, "only {died} operations were cut");
    println!("{died} power cuts in disk operations survived");
}

#[test]
fn the_power_may_go_at_every_frame() {
    let mut died = 0;
    for fault in [Fault::BeforeSend as fn(u64) -> Fault, Fault::AfterSend, Fault::Kill] {
        for frame in 1.. {
            let faults = vec![fault(frame)];
            let story = format!("{faults:?}");
            let summary = survive(Script { faults, ..script() }, &story);
            if summary.restarts == 0 {
                break;
            }
            died += 1;
        }
    }
    assert!(died > 80, "only {died} frames were cut");
    println!("{died} deaths at frames survived");
}

#[test]
fn the_power_may_go_again_while_the_gateway_recovers() {
    for first in (1..60).step_by(3) {
        for second in 1..14 {
            let faults = vec![
                Fault::AtDiskOperation(first),
                Fault::AtDiskOperation(second),
                Fault::AtDiskOperation(second + 1),
            ];
            let story = format!("{faults:?}");
            survive(Script { faults, seed: first * 100 + second, ..script() }, &story);
        }
    }
}

#[test]
fn a_power_cut_repeats_at_most_32_frames_or_those_of_ten_seconds() {
    for (pattern, frame) in
        [(Pattern::Burst, 40), (Pattern::Burst, 100), (Pattern::Even, 20), (Pattern::Even, 60)]
    {
        let mut script = small_world::script_of(4000);
        script.groups[0].policy.pattern = pattern;
        script.faults = vec![Fault::AfterSend(frame)];
        let story = format!("{pattern:?}, power cut after frame {frame}");
        let summary = survive(script, &story);
        assert_eq!(summary.restarts, 1);
        let spacing_us = summary.planned.as_ref().map_or(0, |planned| planned.spacing_us);
        let bound = 10_000_000_u64.div_ceil(spacing_us).max(32);
        let repeated = summary.verdict.repeated_frames;
        assert!(repeated <= bound, "{story}: {repeated} frames repeated, a mark covers {bound}");
        let frames = summary.planned.as_ref().map(|plan| u32::from(plan.nb_frag) + u32::from(plan.coded));
        let Some(Outcome::Complete(account)) = outcome(&summary) else {
            panic!("{story}: {:#?}", summary.reports)
        };
        assert_eq!(
            (Some(account.sent), account.unconfirmed()),
            (frames, 0),
            "{story}: of the life before, too"
        );
    }
}
