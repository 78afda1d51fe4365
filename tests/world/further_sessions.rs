//! Sessions that are over before every device holds the image: those who miss something are told one more.

use crate::closed_loop::answered;
use crate::closed_loop::assert_nobody_is_called_done_who_is_not;
use crate::closed_loop::carry_out;
use crate::closed_loop::in_sessions;
use crate::support::small_world::assert_content;
use crate::support::small_world::outcome;
use fuotad::answers::AnswerWindow;
use fuotad::answers::End;
use fuotad::answers::Holding;
use fuotad::answers::Roll;
use fuotad::campaign::SessionRule;
use fuotad::lorawan::Eui64;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::World;
use fuotad::sim::device::State;
use std::collections::BTreeSet;

/// The session has room for the ordered fragments and one question.
fn short(devices: usize) -> Script {
    let mut script = in_sessions(devices);
    script.groups[0].session = SessionRule::Windows { exponent: Some(7), start: None };
    script.groups[0].answer_window = Some(AnswerWindow { block_ack_delay: 2, answers: 100 });
    script
}

/// How many devices were told one more session, each time.
fn told(summary: &Summary) -> Vec<usize> {
    let devices = |event: &Event| match event {
        Event::FurtherSession { devices, .. } => Some(*devices),
        _ => None,
    };
    summary.reports.iter().filter_map(|report| devices(&report.event)).collect()
}

/// Devices that were told and do not hold the image.
fn incomplete(summary: &Summary, roll: &Roll) -> usize {
    let devices = summary.devices.iter().zip(roll.each());
    let told = devices.filter(|(_, (_, holding))| *holding != Holding::NotTold);
    told.filter(|(device, _)| !matches!(device.state, State::Complete { .. })).count()
}

#[test]
fn whoever_misses_something_when_the_session_is_over_is_told_one_more_and_completes() {
    let (summary, roll) = carry_out(short(20));
    assert_content(&summary, "further sessions");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    println!("{:?} of 20 were told one more session: {}", told(&summary), roll.holdings());
    assert_eq!(incomplete(&summary, &roll), 0, "{}: {:#?}", roll.holdings(), summary.reports);
    assert_eq!(answered(&summary).map(|(_, end)| end), Some(End::Done));
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))), "{:?}", outcome(&summary));
    // Who holds the image does not listen again.
    assert!(told(&summary).iter().all(|devices| (1..16).contains(devices)), "{:?}", told(&summary));
    let is_first = |event: &Event| matches!(event, Event::FurtherSession { .. });
    let decided = summary.reports.iter().find(|report| is_first(&report.event)).unwrap().at;
    // McClassCSessionReq (TS005-1.0.0 4.5).
    let sessions = summary.fields[0].commands.iter().filter(|command| {
        command.at >= decided && command.f_port == 200 && command.payload.first() == Some(&0x04)
    });
    let devices: BTreeSet<Eui64> = sessions.map(|command| command.dev_eui).collect();
    assert!((1..=told(&summary).iter().sum()).contains(&devices.len()), "{devices:?}");
    assert!((1..=3).contains(&told(&summary).len()));
}

#[test]
fn devices_that_cannot_be_asked_together_are_asked_alone_and_get_further_sessions_all_the_same() {
    let mut script = short(20);
    script.groups[0].answer_window = None;
    script.groups[0].sessions.further = true;
    let (summary, roll) = carry_out(script);
    assert_content(&summary, "further sessions without a question to all");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    println!("{:?} of 20 were told one more session: {}", told(&summary), roll.holdings());
    assert_eq!(incomplete(&summary, &roll), 0, "{}: {:#?}", roll.holdings(), summary.reports);
    assert_eq!(answered(&summary), Some((0, End::Alone)));
    assert!((1..=3).contains(&told(&summary).len()));
}

#[test]
fn where_no_further_session_is_allowed_the_campaign_ends_with_the_last_one() {
    let mut script = short(20);
    script.fleets[0].rules.give_up.further_sessions = 0;
    let (summary, roll) = carry_out(script);
    assert_eq!((told(&summary).len(), answered(&summary).map(|(_, end)| end)), (0, Some(End::Session)));
    assert!(incomplete(&summary, &roll) > 0);
    let mut script = short(20);
    script.fleets[0].rules.give_up.further_sessions = 1;
    let (summary, _) = carry_out(script);
    assert_eq!(told(&summary).len(), 1);
}

#[test]
fn no_further_session_ends_after_the_orders_finish_by() {
    let mut script = short(20);
    let document = script.tasks[0].document.clone();
    script.tasks[0].document =
        document.replace(r#""Fuotad":{"#, r#""Fuotad":{"FinishBy":"2026-11-22T08:13:00Z","#);
    let (summary, roll) = carry_out(script);
    assert_content(&summary, "an order that is to end soon");
    assert_eq!((told(&summary).len(), answered(&summary).map(|(_, end)| end)), (0, Some(End::Session)));
    assert!(incomplete(&summary, &roll) > 0);
}

#[test]
fn the_next_campaign_of_the_group_goes_before_a_further_session() {
    let mut script = short(6);
    let first = script.tasks[0].clone();
    script.tasks.push(fuotad::sim::TaskScript {
        stem: "second".to_owned(),
        document: first.document.replace("08:10:00Z", "08:30:00Z"),
        ..first
    });
    let (summary, _) = carry_out(script);
    assert_content(&summary, "two campaigns in sessions");
    let of_first = |event: &Event| matches!(event, Event::FurtherSession { start, .. } if start.as_us() == 0);
    assert!(!summary.reports.iter().any(|report| of_first(&report.event)));
    let over = summary.reports.iter().filter(|report| matches!(report.event, Event::Over(_))).count();
    assert_eq!(over, 2, "{:#?}", summary.reports);
}

#[test]
fn a_further_session_comes_wherever_the_gateway_dies() {
    let (mut died, mut further) = (0, 0);
    for operation in 1.. {
        let mut world = World::new(Script { faults: vec![Fault::AtDiskOperation(operation)], ..short(4) });
        let mut roll = None;
        while world.step() {
            roll = world.answers("meters").or(roll);
        }
        let (summary, story) = (world.summary(), format!("cut in operation {operation}"));
        assert_content(&summary, &story);
        if summary.restarts == 0 {
            break;
        }
        died += 1;
        let Some(roll) = roll else {
            // A mark that was torn costs the law's hour, and so the session.
            let is_torn = |event: &Event| matches!(event, Event::Warning { text } if text.contains("budget"));
            assert!(summary.reports.iter().any(|report| is_torn(&report.event)), "{story}");
            continue;
        };
        assert_nobody_is_called_done_who_is_not(&summary, &roll);
        further += told(&summary).len();
        assert_eq!(incomplete(&summary, &roll), 0, "{story}: {}: {:#?}", roll.holdings(), summary.reports);
    }
    println!("{died} operations were cut, {further} further sessions");
    assert!(died > 20 && further > died / 2, "{died} operations were cut, {further} further sessions");
}
