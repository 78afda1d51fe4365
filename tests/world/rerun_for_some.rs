//! What a campaign left incomplete is completed by the next one: coded fragments alone, for those devices and no others.

use crate::closed_loop::answered;
use crate::closed_loop::carry_out;
use crate::closed_loop::script;
use crate::rerun::plans;
use crate::support::small_world;
use crate::support::small_world::assert_content;
use fuotad::answers::GiveUp;
use fuotad::answers::Holding;
use fuotad::campaign::Sequence;
use fuotad::campaign::SessionRule;
use fuotad::lorawan::Eui64;
use fuotad::report::Planned;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;
use fuotad::sim::World;
use fuotad::sim::device::State;
use fuotad::sim::lns::FieldCommand;
use fuotad::time::Instant;
use std::collections::BTreeSet;

const SECOND_US: u64 = 1_000_000;
const DEVICES: usize = 12;
/// When the second task is ordered, and when it begins.
const ORDERED_S: u64 = 2_400;
const BEGINS: &str = "08:55:00Z";

/// A campaign that ends after its first question, whatever is missing then.
fn once() -> Script {
    let mut script = script(DEVICES);
    let task = &mut script.tasks[0];
    task.document = task.document.replace("Percent\":10", "Percent\":20");
    script.fleets[0].rules.give_up =
        GiveUp { questions: 1, airtime_us: Some(0), answers_us: 900 * SECOND_US, ..GiveUp::default() };
    script
}

/// The same in sessions that devices are told.
fn once_in_sessions() -> Script {
    let mut script = once();
    script.groups[0].session = SessionRule::Windows { exponent: None, start: None };
    script.devices.iter_mut().for_each(|device| device.settings.permanent_class_c = None);
    script
}

/// A second task of the same image, with more members in `Fuotad`.
fn again(mut script: Script, more: &str) -> Script {
    let document = small_world::document(30, "").replace("08:00:30Z\"", &format!("{BEGINS}\"{more}"));
    let image = script.tasks[0].image.clone();
    let stem = "task-1~2".to_owned();
    script.tasks.push(TaskScript { at_us: ORDERED_S * SECOND_US, stem, document, image });
    script
}

/// The members that order coded fragments alone for these devices.
fn rest(first: &Planned, devices: &BTreeSet<Eui64>) -> String {
    let from = Sequence::new(first.nb_frag).coded_from(first.end_fcnt - first.first_fcnt);
    let devices: Vec<String> = devices.iter().map(|dev_eui| format!("\"{dev_eui}\"")).collect();
    format!(",\"CodedFrom\":{from},\"Devices\":[{}]", devices.join(","))
}

/// The commands since the second task was ordered.
fn later(summary: &Summary) -> Vec<&FieldCommand> {
    let ordered = Instant::ZERO.plus_us(ORDERED_S * SECOND_US);
    let commands = summary.fields.iter().flat_map(|field| &field.commands);
    commands.filter(|command| command.at >= ordered).collect()
}

fn is_frag_session_setup(command: &FieldCommand) -> bool {
    command.f_port == 201 && matches!(command.payload[..], [0x02, ..] | [0x00, 0x02, ..])
}

/// Who misses something after the first campaign, and everybody whose result is not that it holds the image.
fn left_by(first: Script) -> (Planned, BTreeSet<Eui64>) {
    let (summary, roll) = carry_out(first);
    let missing = roll.each().filter(|(_, holding)| matches!(holding, Holding::Missing(_)));
    let missing: BTreeSet<Eui64> = missing.map(|(dev_eui, _)| dev_eui).collect();
    let done = roll.each().filter(|(_, holding)| *holding == Holding::Done).count();
    println!("after the first campaign: {}", roll.holdings());
    assert!(missing.len() >= 3 && done >= 3 && summary.complete() < DEVICES, "{}", roll.holdings());
    (plans(&summary)[0].clone(), missing)
}

#[test]
fn devices_that_still_miss_fragments_complete_with_fresh_coded_ones_and_the_others_are_left_alone() {
    for first in [once(), once_in_sessions()] {
        let story = format!("{:?}", first.groups[0].session);
        let (planned, missing) = left_by(first.clone());
        let (summary, roll) = carry_out(again(first, &rest(&planned, &missing)));
        assert_content(&summary, &story);
        let breaches: Vec<&String> = summary.fields.iter().flat_map(|field| &field.breaches).collect();
        assert!(breaches.is_empty(), "{story}: {breaches:#?}");
        let [first, second] = plans(&summary)[..] else { panic!("{:#?}", plans(&summary)) };
        assert!(second.is_coded_only && second.only.as_deref() == Some(&missing), "{second:?}");
        // Fresh counters, and no fragment that anybody heard before.
        let frames: Vec<_> = summary.frames.iter().filter(|frame| frame.fcnt >= second.first_fcnt).collect();
        let end = first.end_fcnt - first.first_fcnt;
        assert!(frames.len() >= usize::from(second.coded), "{story}: {} frames", frames.len());
        assert!(frames.iter().all(|frame| frame.frame_no >= end), "{story}");
        // Exactly those complete, and say so.
        let held: BTreeSet<Eui64> = roll.each().map(|(dev_eui, _)| dev_eui).collect();
        assert_eq!(held, missing, "{story}: they are the campaign's devices");
        assert!(roll.each().all(|(_, holding)| holding == Holding::Done), "{story}: {}", roll.holdings());
        for (place, device) in summary.devices.iter().enumerate() {
            let dev_eui = Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 1, place as u8]);
            let is_complete = matches!(device.state, State::Complete { .. });
            assert!(is_complete || !missing.contains(&dev_eui), "{story}: {dev_eui} {:?}", device.state);
        }
        let commands = later(&summary);
        let told: BTreeSet<Eui64> = commands.iter().map(|command| command.dev_eui).collect();
        assert_eq!(told, missing, "{story}: nobody else gets a downlink");
        assert!(!commands.iter().any(|command| is_frag_session_setup(command)), "{story}: {commands:#?}");
    }
}

#[test]
fn the_whole_image_goes_to_the_named_devices_alone_where_they_are_set_up_anew() {
    let first = once();
    let (planned, missing) = left_by(first.clone());
    let only = rest(&planned, &missing);
    let (_, only) = only.split_once(",\"Devices").unwrap();
    let (summary, roll) = carry_out(again(first, &format!(",\"Devices{only}")));
    assert_content(&summary, "the whole image");
    let commands = later(&summary);
    let told: BTreeSet<Eui64> = commands.iter().map(|command| command.dev_eui).collect();
    assert_eq!(told, missing);
    let set_up: BTreeSet<Eui64> = commands
        .iter()
        .filter(|command| is_frag_session_setup(command))
        .map(|command| command.dev_eui)
        .collect();
    assert_eq!(set_up, missing, "each gets a fresh session");
    let done = roll.each().filter(|(_, holding)| *holding == Holding::Done).count();
    assert!(roll.each().count() == missing.len() && done > 0, "{}", roll.holdings());
}

#[test]
fn who_cannot_be_chosen_is_said_before_flight() {
    let stranger = ",\"Devices\":[\"0000000000000007\",\"70b3d57ed0000100\"]";
    let said_of = |is_set_up_here: bool| {
        let mut script = once();
        if !is_set_up_here {
            script.groups = vec![small_world::group()];
            script.fleets.clear();
        }
        let document = &mut script.tasks[0].document;
        *document = document.replace("08:05:00Z\"", &format!("08:05:00Z\"{stranger}"));
        let mut world = World::new(script);
        while world.planned().is_none() && world.step() {}
        world.planned().unwrap().warnings.clone()
    };
    let unknown = "Fuotad.Devices: 1 of 2 are none of the devices of group meters: they are told nothing";
    assert_eq!(said_of(true), [unknown]);
    let nobody =
        "Fuotad.Devices: group meters has no lns, so nobody sets its devices up: all that listen hear it";
    assert_eq!(said_of(false), [nobody]);
}

#[test]
fn a_gateway_that_dies_while_it_completes_them_goes_on_with_the_same_devices() {
    // Hardly an answer is lost.
    let once = || {
        let mut script = once();
        script.fields[0].devices.iter_mut().for_each(|device| device.loss_ppm = 20_000);
        script
    };
    let (planned, missing) = left_by(once());
    let rest = rest(&planned, &missing);
    for died_s in [2_450, 3_100, 3_320, 3_340] {
        let faults = vec![Fault::KillAfter(died_s * SECOND_US)];
        let (summary, roll) = carry_out(Script { faults, ..again(once(), &rest) });
        let story = format!("dead after {died_s} s");
        assert_content(&summary, &story);
        let held: BTreeSet<Eui64> = roll.each().map(|(dev_eui, _)| dev_eui).collect();
        assert_eq!((held, summary.restarts), (missing.clone(), 1), "{story}");
        assert!(roll.each().all(|(_, holding)| holding == Holding::Done), "{story}: {}", roll.holdings());
        let commands = later(&summary);
        let is_theirs = |command: &&FieldCommand| missing.contains(&command.dev_eui);
        assert!(commands.iter().all(is_theirs), "{story}");
        assert!(!commands.iter().any(|command| is_frag_session_setup(command)), "{story}");
        assert!(answered(&summary).is_some(), "{story}");
    }
}
