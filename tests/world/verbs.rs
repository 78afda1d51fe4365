//! An operator pauses tasks, lets them go on, and cancels them, while gateways die.

use crate::support::small_world::assert_content;
use crate::support::small_world::document;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script_of;
use fuotad::broadcast::Record;
use fuotad::broadcast::RecordState;
use fuotad::broadcast::TaskState;
use fuotad::broadcast::Verb;
use fuotad::campaign::SessionRule;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::report::WaitReason;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::UnsyncedPages;
use fuotad::sim::VerbScript;
use fuotad::sim::World;
use fuotad::store::RecordId;
use fuotad::task::TaskId;
use fuotad::time::Instant;

const SECOND_US: u64 = 1_000_000;
/// A frame that is with the forwarder leaves within this, seconds.
const ON_ITS_WAY_S: u64 = 2;

fn says(at_s: u64, verb: Verb) -> VerbScript {
    VerbScript { at_us: at_s * SECOND_US, verb, task: "task-1".to_owned() }
}

/// A campaign from 08:00:30 on, of some minutes, and an operator who says this.
fn told(verbs: Vec<VerbScript>) -> Script {
    let mut script = script_of(6_000);
    script.limit_us = 6 * 3_600 * SECOND_US;
    Script { verbs, ..script }
}

/// Frames on the air between these seconds of the world.
fn frames_in(summary: &Summary, from_s: u64, to_s: u64) -> usize {
    let at = |s: u64| Instant::ZERO.plus_us(s * SECOND_US);
    summary.frames.iter().filter(|frame| (at(from_s)..at(to_s)).contains(&frame.start)).count()
}

/// How many warnings contain `needle`.
fn warnings(summary: &Summary, needle: &str) -> usize {
    let is_one = |event: &Event| matches!(event, Event::Warning { text } if text.contains(needle));
    summary.reports.iter().filter(|report| is_one(&report.event)).count()
}

/// When the last frame of an undisturbed campaign goes out, seconds.
fn usual_end_s() -> u64 {
    let summary = run(told(Vec::new()));
    summary.frames.last().unwrap().start.us_since(Instant::ZERO) / SECOND_US
}

#[test]
fn a_paused_task_sends_nothing_across_kills_and_goes_on_where_it_was() {
    assert!(usual_end_s() > 45, "the pause falls into its course: {}", usual_end_s());
    for faults in [
        vec![],
        vec![Fault::KillAfter(100 * SECOND_US)],
        vec![Fault::KillAfter(100 * SECOND_US), Fault::KillAfter(50 * SECOND_US)],
    ] {
        let story = format!("{faults:?}");
        let verbs = vec![says(35, Verb::Pause), says(600, Verb::Resume)];
        let mut world = World::new(Script { faults, ..told(verbs) });
        let mut kinds = Vec::new();
        while world.step() {
            if (60 * SECOND_US..590 * SECOND_US).contains(&world.now().us_since(Instant::ZERO)) {
                kinds.extend(
                    world.tasks().iter().map(|task| task.wait.as_ref().map(|(wait, _)| wait.reason.clone())),
                );
            }
        }
        let summary = world.summary();
        assert_content(&summary, &story);
        assert_eq!(summary.complete(), 3, "{story}");
        assert!(frames_in(&summary, 0, 35) > 5, "{story}: it had begun");
        assert_eq!(frames_in(&summary, 35 + ON_ITS_WAY_S, 600), 0, "{story}");
        assert!(frames_in(&summary, 600, 1_000) > 5, "{story}: it went on");
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == Some(WaitReason::Paused)), "{story}");
        assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))), "{story}");
        let numbers: Vec<u32> = summary.frames.iter().map(|frame| frame.fcnt).collect();
        let is_rising = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(is_rising || summary.restarts > 0, "{story}: {numbers:?}");
    }
}

#[test]
fn a_gateway_may_die_at_every_save_of_a_pause_a_resume_and_a_cancel() {
    let (mut died, mut lives) = (0, 0);
    for fault in [Fault::KillAtDiskOperation as fn(u64) -> Fault, Fault::AtDiskOperation] {
        for operation in 1.. {
            let verbs = vec![says(32, Verb::Pause), says(120, Verb::Resume), says(300, Verb::Pause)];
            let story = format!("{:?}", fault(operation));
            let script = told([verbs, vec![says(400, Verb::Cancel)]].concat());
            let script =
                Script { faults: vec![fault(operation)], unsynced_pages: UnsyncedPages::Mixed, ..script };
            let summary = run(Script { limit_us: 900 * SECOND_US, ..script });
            assert_content(&summary, &story);
            // Whoever was not answered asks again five seconds later, and a boot takes 20 s.
            assert_eq!(frames_in(&summary, 32 + 40, 120), 0, "{story}");
            let is_paused_again = !matches!(outcome(&summary), Some(Outcome::Complete(_)));
            assert!(is_paused_again || summary.complete() == 3, "{story}: {:#?}", summary.reports);
            died += u32::from(summary.restarts > 0);
            lives += 1;
            if summary.restarts == 0 {
                break;
            }
        }
    }
    assert!(died > 40, "only {died} of {lives} died");
}

#[test]
fn a_cancelled_task_ends_and_does_not_begin_again_although_its_file_is_still_there() {
    // Before the image is there, before its start, in its course.
    for (at_us, has_begun) in [(1_000_500, false), (20 * SECOND_US, false), (40 * SECOND_US, true)] {
        let verb = VerbScript { at_us, verb: Verb::Cancel, task: "task-1".to_owned() };
        let mut world = World::new(told(vec![verb]));
        while world.step() {}
        let summary = world.summary();
        let story = format!("cancelled after {at_us} us: {:#?}", summary.reports);
        assert_content(&summary, &story);
        assert!(
            matches!(outcome(&summary), Some(Outcome::Cancelled { sent }) if (*sent > 0) == has_begun),
            "{story}"
        );
        assert_eq!(frames_in(&summary, at_us / SECOND_US + ON_ITS_WAY_S, 6 * 3_600), 0, "{story}");
        let mut found = world.recovered();
        let record = RecordId(TaskId::new("task-1").unwrap().record_id());
        assert!(found.ended.iter().any(|ended| ended.task == record), "{story}");
        found.tasks.retain(|task| task.id == record);
        let kept = Record::from_bytes(&found.tasks[0].bytes).unwrap();
        assert!(
            matches!(&kept.state, RecordState::Over { outcome, .. } if outcome.starts_with("cancelled")),
            "{kept:?}"
        );
        // The next life sees the file and leaves it alone.
        let script = told(Vec::new());
        let next = run(Script { recovered: Some(world.recovered()), ..script });
        assert_eq!(next.frames.len(), 0, "{story}: {:#?}", next.reports);
        let is_known = |event: &Event| matches!(event, Event::AlreadyOver { outcome } if outcome.starts_with("cancelled"));
        assert!(next.reports.iter().any(|report| is_known(&report.event)), "{story}: {:#?}", next.reports);
    }
}

#[test]
fn what_a_session_loses_while_its_task_is_paused_waits_for_another_start() {
    let mut script = told(vec![says(320, Verb::Pause), says(4_000, Verb::Resume)]);
    script.groups[0].session = SessionRule::Windows { exponent: None, start: None };
    script.tasks[0].document = document(30, "").replace("08:00:30Z", "08:05:00Z");
    script.devices.iter_mut().for_each(|device| device.settings.permanent_class_c = None);
    let missed = run(script.clone());
    assert_content(&missed, "nobody tells the devices anew");
    assert!(frames_in(&missed, 300, 325) > 2 && frames_in(&missed, 325, 6 * 3_600) == 0);
    let is_told = |summary: &Summary| {
        summary.reports.iter().any(|report| matches!(report.event, Event::SessionsMissed { left: 1.., .. }))
    };
    assert!(is_told(&missed), "{:#?}", missed.reports);
    // An operator who reads it gives the task another start.
    let retold = run(Script { is_retold: true, ..script });
    assert_content(&retold, "told anew");
    assert!(is_told(&retold) && retold.complete() == 3, "{:#?}", retold.reports);
}

#[test]
fn a_task_that_is_paused_before_it_is_planned_is_planned_when_it_is_resumed() {
    let at = |at_us: u64, verb: Verb| VerbScript { at_us, verb, task: "task-1".to_owned() };
    let verbs = vec![at(1_000_500, Verb::Pause), at(600 * SECOND_US, Verb::Resume)];
    for faults in [vec![], vec![Fault::KillAfter(100 * SECOND_US)]] {
        let summary = run(Script { faults, ..told(verbs.clone()) });
        let planned =
            summary.reports.iter().find(|report| matches!(report.event, Event::Planned(_))).unwrap();
        // The image that was asked for before may be planned, and no more than that.
        assert!(planned.at.us_since(Instant::ZERO) > 0);
        assert_eq!(frames_in(&summary, 0, 600), 0);
        assert_content(&summary, "paused at its beginning");
        assert_eq!(summary.complete(), 3);
    }
}

#[test]
fn a_verb_that_has_nothing_to_do_says_why_and_changes_nothing() {
    let stranger = VerbScript { at_us: 10 * SECOND_US, verb: Verb::Pause, task: "task-2".to_owned() };
    let verbs = vec![
        stranger,
        says(11, Verb::Resume),
        says(33, Verb::Pause),
        says(34, Verb::Pause),
        says(40, Verb::Resume),
        says(41, Verb::Resume),
        says(3_000, Verb::Pause),
        says(3_001, Verb::Cancel),
    ];
    let mut script = told(verbs);
    // Another task keeps the world going.
    let mut second = script.tasks[0].clone();
    second.stem = "task-3".to_owned();
    second.document = document(100, "").replace("08:00:30Z", "09:30:00Z");
    script.tasks.push(second);
    let summary = run(script);
    assert_content(&summary, "nothing to do");
    for (needle, count) in [
        ("no task is called task-2", 1),
        ("task-1 is not paused", 2),
        ("task-1 is paused already", 1),
        ("task-1 is over: complete", 2),
    ] {
        assert_eq!(warnings(&summary, needle), count, "{needle}: {:#?}", summary.reports);
    }
}

#[test]
fn others_send_while_a_task_is_paused_and_its_group_waits_for_it() {
    let mut script = told(vec![says(35, Verb::Pause), says(2_000, Verb::Resume)]);
    let mut second = script.tasks[0].clone();
    second.stem = "task-2".to_owned();
    second.document = document(100, "").replace("08:00:30Z", "08:20:00Z");
    script.tasks.push(second);
    let summary = run(script);
    assert_content(&summary, "two of one group");
    // The counters of the first are below those of the second: it must be over before the second begins.
    assert_eq!(frames_in(&summary, 35 + ON_ITS_WAY_S, 2_000), 0);
    let over =
        summary.reports.iter().filter(|report| matches!(report.event, Event::Over(Outcome::Complete(_))));
    assert_eq!(over.count(), 2, "{:#?}", summary.reports);
}

/// The kinds of waits that are met here.
pub fn walks() -> Vec<&'static str> {
    let mut world = World::new(told(vec![says(35, Verb::Pause), says(50, Verb::Cancel)]));
    let mut kinds = Vec::new();
    while world.step() {
        let kind = |task: &TaskState| task.wait.as_ref().map(|(wait, _)| wait.reason.kind());
        kinds.extend(world.tasks().iter().filter_map(kind).filter(|kind| *kind == "paused"));
    }
    kinds.dedup();
    kinds
}
