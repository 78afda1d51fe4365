//! Answers that must change nothing, told to a running engine one by one, and devices that contradict themselves.

use crate::closed_loop::answered;
use crate::closed_loop::assert_nobody_is_called_done_who_is_not;
use crate::closed_loop::script;
use crate::support::small_world::assert_content;
use fuotad::answers::End;
use fuotad::answers::Holding;
use fuotad::answers::Roll;
use fuotad::lns::Address;
use fuotad::lns::Event;
use fuotad::lns::EventKind;
use fuotad::lns::Up;
use fuotad::lorawan::Eui64;
use fuotad::sim::Script;
use fuotad::sim::World;
use fuotad::sim::device::Settings;
use fuotad::sim::device::Stack;
use fuotad::sim::device::State;

const FPORT: u8 = 201;
/// Uplinks that somebody makes up are numbered far above the devices' own, which are believed again after them.
const FORGED: u32 = 1_000_000;

fn dev_eui(number: u8) -> Eui64 {
    Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 1, number])
}

fn up(dev_eui: Eui64, f_cnt: u32, f_port: u8, data: &[u8]) -> Event {
    let up = Up {
        f_cnt,
        f_port,
        data: data.to_vec(),
        data_rate: None,
        modulation: None,
        frequency_hz: None,
        confirmed: false,
        adr: None,
        receptions: Vec::new(),
        via_relay: false,
    };
    let device = Address { dev_eui, application: String::new(), device: dev_eui.to_string() };
    Event { device, kind: EventKind::Up(up) }
}

/// FragSessionStatusAns of TS004-1.0.0.
fn status(frag_index: u16, received: u16, missing: u8) -> [u8; 5] {
    let [low, high] = (frag_index << 14 | received).to_le_bytes();
    [0x01, low, high, missing, 0]
}

fn each(world: &World) -> Option<Vec<(Eui64, Holding)>> {
    world.answers("meters").map(|roll| roll.each().collect())
}

fn missing(roll: &Roll) -> Option<(Eui64, u16)> {
    roll.each().find_map(|(dev_eui, holding)| match holding {
        Holding::Missing(fragments) => Some((dev_eui, fragments)),
        _ => None,
    })
}

/// Steps until this is so.
fn until<T>(world: &mut World, what: &str, is_so: impl Fn(&World) -> Option<T>) -> T {
    loop {
        if let Some(found) = is_so(world) {
            return found;
        }
        assert!(world.step(), "{what}: never");
    }
}

/// Five devices, of which the last is never told: its uplinks are all lost.
fn site() -> Script {
    let mut script = script(5);
    script.fields[0].devices[4].loss_ppm = 1_000_000;
    script
}

/// Tells each of these events and sees that nobody's result changes.
fn change_nothing(world: &mut World, story: &str, events: Vec<(&str, usize, Event)>) {
    let before = each(world);
    for (what, link, event) in events {
        world.publish(link, event);
        assert_eq!(each(world), before, "{story}: {what}");
    }
}

/// Everything that is wrong with an answer of a told device that misses some of NbFrag 84 fragments.
fn wrong_answers(device: Eui64, fragments: u16, f_cnt: u32) -> Vec<(&'static str, usize, Event)> {
    let done = status(0, 84, 0);
    let said = status(0, 84_u16.saturating_sub(fragments), fragments as u8);
    let of = |f_cnt: u32, data: &[u8]| up(device, f_cnt, FPORT, data);
    vec![
        ("what it said before", 0, of(f_cnt, &said)),
        ("the same uplink doubled, with another answer", 0, of(f_cnt, &done)),
        ("an uplink that was overtaken", 0, of(f_cnt - 1, &done)),
        ("another session", 0, of(f_cnt + 1, &status(1, 84, 0))),
        ("more received than was sent", 0, of(f_cnt + 2, &status(0, 9000, 0))),
        ("more missing than there are", 0, of(f_cnt + 3, &status(0, 80, 200))),
        ("fewer missing than were not received", 0, of(f_cnt + 4, &status(0, 10, 3))),
        ("nothing missing and hardly anything received", 0, of(f_cnt + 5, &status(0, 10, 0))),
        ("a verdict that TS004-1.0.0 does not have", 0, of(f_cnt + 6, &[0x04, 0x00])),
        ("the checksum of another stack", 0, of(f_cnt + 7, &[0x05, 1, 2, 3, 4])),
        ("an answer cut short", 0, of(f_cnt + 8, &done[..3])),
        ("nothing", 0, of(f_cnt + 9, &[])),
        ("a command that nobody knows", 0, of(f_cnt + 10, &[0xff, 1, 2])),
        ("another port", 0, up(device, f_cnt + 11, 200, &done)),
        ("another network server", 1, of(f_cnt + 12, &done)),
        ("a device that is none of the group's", 0, up(Eui64::from_bytes([8; 8]), 1, FPORT, &done)),
        ("a device that was not told", 0, up(dev_eui(4), 1, FPORT, &done)),
    ]
}

#[test]
fn no_answer_that_is_wrong_doubled_forged_or_unasked_changes_a_result_at_any_time() {
    let mut world = World::new(site());
    let unasked = |f_cnt: u32| {
        (0..5).map(move |number| {
            ("before it was asked", 0, up(dev_eui(number), f_cnt, FPORT, &status(0, 84, 0)))
        })
    };
    until(&mut world, "a plan", |world| world.planned().map(|_| ()));
    change_nothing(&mut world, "before the first fragment", unasked(FORGED).collect());
    assert_eq!(each(&world), None);
    until(&mut world, "the ordered fragments", |world| each(world).map(|_| ()));
    change_nothing(&mut world, "before the first question", unasked(FORGED + 1).collect());
    // While all are asked.
    let (device, fragments) =
        until(&mut world, "somebody misses something", |world| missing(&world.answers("meters")?));
    change_nothing(&mut world, "asked together", wrong_answers(device, fragments, 2 * FORGED));
    // While they are asked alone: the others are known to be done.
    until(&mut world, "the end", |world| {
        let is_over = world.tasks().is_empty() && world.answers("meters").is_some();
        is_over.then_some(())
    });
    let roll = world.answers("meters").unwrap();
    assert_eq!(roll.holding(dev_eui(4)), Some(Holding::NotTold));
    change_nothing(&mut world, "after the last fragment", wrong_answers(dev_eui(4), 84, 3 * FORGED));
    while world.step() {}
    // And it came to the end that it would have come to.
    let summary = world.summary();
    assert_content(&summary, "wrong answers");
    let roll = world.answers("meters").unwrap();
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    assert_eq!(answered(&summary).map(|(_, end)| end), Some(End::Done));
    assert_eq!((roll.holdings().done, roll.holdings().not_told), (4, 1), "{}", roll.holdings());
}

#[test]
fn a_device_that_says_done_and_then_missing_gets_its_fragments_and_is_not_done_before() {
    let mut world = World::new(script(4));
    let (device, fragments) =
        until(&mut world, "somebody misses something", |world| missing(&world.answers("meters")?));
    let index = usize::from(device.as_bytes()[7]);
    let is_complete = |world: &World| matches!(world.summary().devices[index].state, State::Complete { .. });
    assert!(!is_complete(&world), "it misses {fragments}");
    let sent = world.frames().len();
    let holding = |world: &World| world.answers("meters").unwrap().holding(device).unwrap();
    world.publish(0, up(device, FORGED, FPORT, &status(0, 84, 0)));
    assert_eq!(holding(&world), Holding::Done, "so it says");
    let says = status(0, 84_u16.saturating_sub(fragments), fragments as u8);
    world.publish(0, up(device, FORGED + 1, FPORT, &says));
    assert_eq!(holding(&world), Holding::Missing(fragments));
    // Until it holds the image it is not done.
    while world.step() {
        assert!(holding(&world) != Holding::Done || is_complete(&world));
    }
    let (summary, roll) = (world.summary(), world.answers("meters").unwrap());
    assert_content(&summary, "done and then missing");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    assert!(summary.frames.len() > sent && is_complete(&world), "{} frames", summary.frames.len());
    assert_eq!((holding(&world), roll.holdings().done), (Holding::Done, 4));
}

#[test]
fn devices_that_all_answer_at_once_under_a_wrong_profile_are_completed_all_the_same() {
    let mut script = script(60);
    script.fields[0].is_air_shared = true;
    for device in &mut script.devices {
        // It takes BlockAckDelay for milliseconds; the group's profile says `fast`.
        device.settings = Settings { stack: Stack::Zephyr, ..device.settings.clone() };
    }
    let mut world = World::new(script);
    let mut roll = None;
    while world.step() {
        roll = world.answers("meters").or(roll);
    }
    let (summary, roll) = (world.summary(), roll.unwrap());
    println!("{:?} {} {}", answered(&summary), summary.complete(), roll.holdings());
    assert_content(&summary, "a storm");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    let told = 60 - roll.holdings().not_told as usize;
    assert_eq!(summary.complete(), told, "{}", roll.holdings());
}
