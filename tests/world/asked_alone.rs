//! Devices whose result is open when a campaign was sent: each is asked alone at its next uplinks.

use crate::closed_loop::answered;
use crate::closed_loop::assert_nobody_is_called_done_who_is_not;
use crate::closed_loop::carry_out;
use crate::closed_loop::script;
use crate::support::small_world::assert_content;
use crate::support::small_world::outcome;
use fuotad::answers::AnswerWindow;
use fuotad::answers::End;
use fuotad::answers::Holding;
use fuotad::answers::Roll;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::World;
use fuotad::sim::device::State;
use fuotad::time::Instant;

/// Devices that hold the image, and those of them that said so.
fn done_of_complete(summary: &Summary, roll: &Roll) -> (usize, usize) {
    let complete: Vec<Holding> = summary
        .devices
        .iter()
        .zip(roll.each())
        .filter(|(device, _)| matches!(device.state, State::Complete { .. }))
        .map(|(_, (_, holding))| holding)
        .collect();
    (complete.iter().filter(|holding| **holding == Holding::Done).count(), complete.len())
}

/// When the results were final.
pub fn final_at(summary: &Summary) -> Instant {
    let is_final = |event: &Event| matches!(event, Event::Answered { .. });
    summary.reports.iter().find(|report| is_final(&report.event)).unwrap().at
}

pub fn over_at(summary: &Summary) -> Instant {
    summary.reports.iter().find(|report| matches!(report.event, Event::Over(_))).unwrap().at
}

/// A gateway that hears few answers at a time: only those who miss something are asked together.
fn crowded(devices: usize) -> Script {
    let mut script = script(devices);
    script.groups[0].answer_window = Some(AnswerWindow { block_ack_delay: 0, answers: 10 });
    script
}

/// Devices that would all answer at once are not asked together at all.
pub fn one_by_one(devices: usize) -> Script {
    let mut script = script(devices);
    script.groups[0].answer_window = None;
    script
}

#[test]
fn whoever_holds_the_image_is_known_to_although_one_answer_in_five_and_one_question_in_five_is_lost() {
    let (summary, roll) = carry_out(crowded(100));
    assert_content(&summary, "asked alone");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    let (done, complete) = done_of_complete(&summary, &roll);
    let (questions, end) = answered(&summary).unwrap();
    println!("{done} of {complete} are done after {questions} questions to all: {}", roll.holdings());
    assert!(complete >= 98, "{complete}");
    assert!(done * 100 >= complete * 98, "{done} of {complete}: {}", roll.holdings());
    assert_eq!(end, End::Done);
    // The radio is not held up.
    assert!(over_at(&summary) < final_at(&summary));
}

#[test]
fn devices_that_cannot_be_asked_together_are_asked_one_by_one_and_their_campaign_is_over_without_waiting() {
    let (summary, roll) = carry_out(one_by_one(20));
    assert_content(&summary, "one by one");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    assert_eq!((summary.frames.len(), answered(&summary)), (93, Some((0, End::Alone))));
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))));
    let (done, complete) = done_of_complete(&summary, &roll);
    assert!(complete < 20 && done == complete, "{done} of {complete}");
    assert_eq!(roll.holdings().missing, 20 - complete as u32, "{}", roll.holdings());
}

#[test]
fn a_device_that_sends_nothing_is_given_up_after_the_hours_that_are_allowed() {
    let mut script = one_by_one(4);
    script.fleets[0].rules.give_up.answers_us = 300_000_000;
    script.fields[0].devices[2].loss_ppm = 0;
    // It falls silent when it was told.
    script.fields[0].devices[2].silent_from_us = Some(280_000_000);
    let (summary, roll) = carry_out(script);
    let waited_us = final_at(&summary).us_since(over_at(&summary));
    assert!((290_000_000..=310_000_000).contains(&waited_us), "{waited_us}");
    let holdings: Vec<Holding> = roll.each().map(|(_, holding)| holding).collect();
    assert_eq!(holdings[2], Holding::Unheard, "{holdings:?}");
}

#[test]
fn questions_to_single_devices_go_on_wherever_the_gateway_dies() {
    let undisturbed = carry_out(one_by_one(4)).0;
    let mut died = 0;
    for operation in 1.. {
        let faults = vec![Fault::AtDiskOperation(operation)];
        let (summary, roll) = carry_out(Script { faults, ..one_by_one(4) });
        assert_nobody_is_called_done_who_is_not(&summary, &roll);
        if summary.restarts == 0 {
            break;
        }
        died += 1;
        let (done, complete) = done_of_complete(&summary, &roll);
        let story = format!("cut in operation {operation}: {}", roll.holdings());
        assert_eq!(done, complete, "{story}");
        assert!(answered(&summary).is_some() || roll.holdings().not_told == 4, "{story}");
    }
    println!("{died} operations were cut");
    assert!(died > 10 && answered(&undisturbed).is_some(), "{died}");
}

#[test]
fn the_next_campaign_of_the_group_is_not_held_up_by_open_results() {
    let mut script = crowded(4);
    let first = script.tasks[0].clone();
    script.tasks.push(fuotad::sim::TaskScript {
        stem: "second".to_owned(),
        document: first.document.replace("08:05:00Z", "08:07:00Z"),
        ..first
    });
    let mut world = World::new(script);
    while world.step() {}
    let summary = world.summary();
    let finals = summary.reports.iter().filter(|report| matches!(report.event, Event::Answered { .. }));
    let tasks: Vec<&str> =
        finals.filter_map(|report| report.task.as_ref()).map(|task| task.as_str()).collect();
    assert_eq!(tasks.len(), 2, "{:#?}", summary.reports);
}
