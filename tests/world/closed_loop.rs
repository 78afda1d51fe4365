//! A campaign whose devices answer through a network server's application side: it goes on until they hold the image.

use crate::support::small_world;
use crate::support::small_world::assert_content;
use crate::support::small_world::outcome;
use fuotad::answers::AnswerWindow;
use fuotad::answers::End;
use fuotad::answers::Habit;
use fuotad::answers::Holding;
use fuotad::answers::Roll;
use fuotad::campaign::CANARY_FCNTS;
use fuotad::campaign::Group;
use fuotad::campaign::SessionRule;
use fuotad::engine::FleetSettings;
use fuotad::fleet::Batch;
use fuotad::fleet::FleetRules;
use fuotad::fleet::Member;
use fuotad::lns::Dialect;
use fuotad::lorawan::Eui64;
use fuotad::lorawan::encrypt_mc_key;
use fuotad::lorawan::mc_ke_key;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::report::WaitReason;
use fuotad::sim::DeviceScript;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;
use fuotad::sim::World;
use fuotad::sim::device::State;
use fuotad::sim::lns::FieldDevice;
use fuotad::sim::lns::FieldScript;

/// When so many devices of a group at DR5 answer.
fn window(devices: usize) -> AnswerWindow {
    let region = parameters(RfRegion::Eu868).unwrap();
    let session = region.data_rate(5).unwrap().modulation;
    let usual = (&region.usual_uplinks(), region.usual_channels());
    AnswerWindow::new(devices, Habit::AsMeant, session, usual)
}

/// `devices` ideal ones that lose 5 to 25 % of the frames; 10 % redundancy are ordered, 5 minutes after the world's zero.
pub fn script(devices: usize) -> Script {
    let base = small_world::script_of(4000);
    let listeners: Vec<DeviceScript> = (0..devices)
        .map(|number| {
            let loss_ppm = 50_000 + 200_000 * number as u32 / devices as u32;
            let listener = small_world::listener(&format!("meter-{number}"), loss_ppm);
            DeviceScript { is_told: false, ..listener }
        })
        .collect();
    let member = |(number, listener): (usize, &DeviceScript)| Member {
        dev_eui: Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 1, number as u8]),
        name: listener.settings.name.clone(),
        mc_key_encrypted: encrypt_mc_key(
            &mc_ke_key(&listener.settings.root_key.mc_root_key()),
            &small_world::mc_key(),
        ),
        batch: Batch::default(),
        session_mics: None,
    };
    let members: Vec<Member> = listeners.iter().enumerate().map(member).collect();
    let gateway_eui = Some(Eui64::from_bytes(base.concentrator.gateway_id));
    let rules =
        FleetRules { gateway_eui, question_interval_s: Some(60), ..FleetRules::new(Dialect::ChirpStack) };
    let group = Group { is_set_up_here: true, answer_window: Some(window(devices)), ..small_world::group() };
    let place = |(device, member): (usize, &Member)| FieldDevice {
        device,
        dev_eui: member.dev_eui,
        mc_addr: small_world::mc_addr(),
        interval_us: 20_000_000,
        loss_ppm: 200_000,
        is_clock_right: true,
        silent_from_us: None,
    };
    let places = members.iter().enumerate().map(place).collect();
    let fleet = FleetSettings { group: group.name.clone(), link: 0, rules, members };
    let mut tasks = base.tasks.clone();
    tasks[0].document = small_world::document(10, "").replace("08:00:30Z", "08:05:00Z");
    Script {
        groups: vec![group],
        tasks,
        devices: listeners,
        fleets: vec![fleet],
        fields: vec![FieldScript { dialect: Dialect::ChirpStack, is_air_shared: false, devices: places }],
        limit_us: 6 * 3_600_000_000,
        // Whoever's result is open is asked alone.
        epilogue_us: 900_000_000,
        ..base
    }
}

pub fn carry_out(script: Script) -> (Summary, Roll) {
    let mut world = World::new(script);
    let mut roll = None;
    while world.step() {
        roll = world.answers("meters").or(roll);
    }
    (world.summary(), roll.unwrap())
}

/// The newest word about the answers.
pub fn answered(summary: &Summary) -> Option<(u16, End)> {
    summary.reports.iter().rev().find_map(|report| match &report.event {
        Event::Answered { questions, end, .. } => Some((*questions, *end)),
        _ => None,
    })
}

pub fn assert_nobody_is_called_done_who_is_not(summary: &Summary, roll: &Roll) {
    for (device, (_, holding)) in summary.devices.iter().zip(roll.each()) {
        let is_complete = matches!(device.state, State::Complete { .. });
        assert!(holding != Holding::Done || is_complete, "{}: {:?}", device.name, device.state);
    }
}

#[test]
fn while_answers_come_in_the_task_says_so_and_until_when() {
    let mut world = World::new(script(4));
    let mut waits = 0;
    let mut until = None;
    while world.step() {
        let wait = world.tasks().into_iter().find_map(|state| state.wait.map(|(wait, _)| wait));
        let Some(wait) = wait.filter(|wait| wait.reason == WaitReason::DeviceAnswers) else { continue };
        waits += u32::from(until != wait.until);
        until = wait.until;
        assert!(until.is_some_and(|until| until >= world.now()), "{wait:?} at {}", world.now());
    }
    let questions = answered(&world.summary()).unwrap().0;
    assert_eq!(waits, u32::from(questions));
}

#[test]
fn a_campaign_goes_on_until_everybody_who_answers_holds_the_image() {
    let (summary, roll) = carry_out(script(20));
    assert_content(&summary, "closed loop");
    assert_eq!(summary.complete(), 20, "{}: {:#?}", roll.holdings(), summary.reports);
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    let (questions, end) = answered(&summary).unwrap();
    println!("{} frames, {questions} questions, {}", summary.frames.len(), roll.holdings());
    assert_eq!(end, End::Done);
    assert!(roll.holdings().done >= 18, "{}", roll.holdings());
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))));
    // 84 uncoded and 9 ordered ones would not do.
    assert!(summary.frames.len() > 100 && summary.frames.len() < 160, "{}", summary.frames.len());
}

/// The same in sessions that the devices are told.
pub fn in_sessions(devices: usize) -> Script {
    let mut script = script(devices);
    script.groups[0].session = SessionRule::Windows { exponent: None, start: None };
    script.tasks[0].document = script.tasks[0].document.replace("08:05:00Z", "08:10:00Z");
    for device in &mut script.devices {
        device.settings.permanent_class_c = None;
    }
    script
}

#[test]
fn a_session_has_room_for_the_questions_and_for_what_devices_ask_for() {
    let (summary, roll) = carry_out(in_sessions(20));
    assert_content(&summary, "closed loop in a session");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    let exponents: Vec<u8> =
        summary.planned.iter().flat_map(|planned| &planned.sessions).map(|(_, exponent)| *exponent).collect();
    println!("{} frames in sessions {exponents:?}, {}", summary.frames.len(), roll.holdings());
    assert_eq!(answered(&summary).map(|(_, end)| end), Some(End::Done), "{:#?}", summary.reports);
    let told = 20 - roll.holdings().not_told;
    assert_eq!(summary.complete(), told as usize, "{}", roll.holdings());
    assert!(told >= 18, "{}", roll.holdings());
}

#[test]
fn a_session_that_is_over_ends_the_loop_and_says_so() {
    let mut script = in_sessions(20);
    script.groups[0].session = SessionRule::Windows { exponent: Some(6), start: None };
    script.fleets[0].rules.give_up.further_sessions = 0;
    let (summary, roll) = carry_out(script);
    assert_content(&summary, "closed loop in a short session");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    assert_eq!(answered(&summary).map(|(_, end)| end), Some(End::Session), "{:#?}", summary.reports);
    assert!(roll.holdings().missing + roll.holdings().unheard > 0, "{}", roll.holdings());
}

#[test]
fn without_an_application_the_same_campaign_ends_after_the_ordered_fragments() {
    let mut script = script(20);
    script.groups[0].answer_window = None;
    (script.fleets, script.fields) = (Vec::new(), Vec::new());
    script.devices.iter_mut().for_each(|device| device.is_told = true);
    let mut world = World::new(script);
    while world.step() {}
    let summary = world.summary();
    assert_eq!((summary.frames.len(), answered(&summary)), (93, None));
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))));
    assert!(summary.complete() < 20);
}

/// Whom a death in the course of the set-up kept from being told has nothing to complete.
fn assert_told_ones_are_complete(summary: &Summary, roll: &Roll, story: &str) {
    for (device, (_, holding)) in summary.devices.iter().zip(roll.each()) {
        let is_complete = matches!(device.state, State::Complete { .. });
        assert!(
            holding == Holding::NotTold || is_complete,
            "{story}: {} {:?}: {holding}",
            device.name,
            device.state
        );
    }
    assert!(answered(summary).is_some() || roll.holdings().not_told == 4, "{story}: {:#?}", summary.reports);
}

#[test]
fn the_loop_goes_on_wherever_the_gateway_dies() {
    let undisturbed = carry_out(script(4)).0;
    let (whole, (questions, _)) = (undisturbed.frames.len(), answered(&undisturbed).unwrap());
    let mut died = 0;
    for operation in 1.. {
        let faults = vec![Fault::AtDiskOperation(operation)];
        let (summary, roll) = carry_out(Script { faults, ..script(4) });
        assert_content(&summary, &format!("power cut in disk operation {operation}"));
        assert_nobody_is_called_done_who_is_not(&summary, &roll);
        if summary.restarts == 0 {
            break;
        }
        assert_told_ones_are_complete(&summary, &roll, &format!("cut in operation {operation}"));
        died += 1;
    }
    assert!(died > 10, "only {died} operations were cut");
    for frame in [1, 60, 94, whole as u64 - 8, whole as u64 - 2, whole as u64] {
        let (summary, roll) = carry_out(Script { faults: vec![Fault::Kill(frame)], ..script(4) });
        let story = format!("killed at frame {frame}");
        assert_content(&summary, &story);
        assert_nobody_is_called_done_who_is_not(&summary, &roll);
        assert_told_ones_are_complete(&summary, &roll, &story);
        // What was asked and answered before is not forgotten.
        let (asked, _) = answered(&summary).unwrap();
        assert!(frame < whole as u64 || asked + 1 >= questions, "{story}: {asked} of {questions} questions");
    }
}

#[test]
fn a_campaign_that_was_answered_proves_the_root_keys_for_the_next_one() {
    let of = |is_answered: bool| {
        let mut script = in_sessions(4);
        script.groups[0].canary_fcnts = CANARY_FCNTS;
        script.fleets[0].rules.canaries = 3;
        if !is_answered {
            script.groups[0].answer_window = None;
            script.fleets[0].rules.give_up.answers_us = 0;
        }
        // The first one leaves no time for a canary.
        let document = script.tasks[0].document.clone();
        script.tasks[0].document = document.replace("08:10:00Z", "08:03:30Z");
        let next = TaskScript {
            at_us: 3_600_000_000,
            stem: "task-2".to_owned(),
            document: document.replace("08:10:00Z", "10:00:00Z"),
            ..script.tasks[0].clone()
        };
        script.tasks.push(next);
        let (mut world, mut warned) = (World::new(script), false);
        while world.step() {}
        let summary = world.summary();
        let mut asked = 0;
        for report in &summary.reports {
            asked += u32::from(matches!(report.event, Event::CanariesAsked { .. }));
            warned |= matches!(&report.event, Event::Warning { text } if text.contains("without a proof"));
        }
        let over = summary.reports.iter().filter(|report| matches!(report.event, Event::Over(_))).count();
        assert!(summary.verdict.is_content(), "{:?}", summary.verdict.breaches);
        (over, warned, asked)
    };
    assert_eq!(of(true), (2, true, 0));
    // Where nobody hears answers a canary is asked before the second one.
    let (over, warned, asked) = of(false);
    assert_eq!((over, warned), (2, true));
    assert!(asked > 0);
}
