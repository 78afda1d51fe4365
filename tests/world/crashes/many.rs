//! Four tasks on two groups, and a death at any moment of any of them.

use crate::support::small_world::START;
use crate::support::small_world::assert_content;
use crate::support::small_world::group;
use crate::support::small_world::image;
use crate::support::small_world::listener;
use crate::support::small_world::script;
use fuotad::campaign::Group;
use fuotad::campaign::SessionRule;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::report::Event;
use fuotad::sim::DeviceScript;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;
use fuotad::sim::UnsyncedPages;
use fuotad::sim::World;
use fuotad::sim::random::Random;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// A group whose devices listen in sessions they are told.
fn lamps() -> Group {
    let (mc_addr, mc_key) = (McAddr::new(0x01c0_0002), Secret::from_bytes(*b"a key of nobody2"));
    Group {
        name: "lamps".to_owned(),
        mc_addr,
        keys: McSessionKeys::derive(&mc_key, mc_addr),
        mc_key: Some(mc_key),
        session: SessionRule::Windows { exponent: None, start: None },
        first_fcnt: Some(500),
        ..group()
    }
}

fn device(name: &str, group: &str) -> DeviceScript {
    let mut device = listener(name, 0);
    device.group = Some(group.to_owned());
    if group == "lamps" {
        device.settings.permanent_class_c = None;
    }
    device
}

/// A task of a group that starts `start_s` seconds after the world.
fn task(stem: &str, group: &str, at_s: u64, start_s: u64, len: usize) -> TaskScript {
    let start = fuotad::task::rfc3339_from_gps(START.plus_us(start_s * 1_000_000));
    let document = format!(
        r#"{{"FirmwareUpdateImage":"file:///image.bin","RedundancyPercent":100,"FragmentSizeBytes":48,
            "LoRaWAN":{{"RfRegion":"EU868"}},"Fuotad":{{"MulticastGroups":["{group}"],"Start":"{start}"}}}}"#
    );
    TaskScript { at_us: at_s * 1_000_000, stem: stem.to_owned(), document, image: image(len) }
}

/// Two tasks for each of two groups, all of them ordered early, so that the later ones are armed while the earlier
/// ones are on the air; names against the order of arrival.
pub fn four_tasks() -> Script {
    Script {
        groups: vec![group(), lamps()],
        tasks: vec![
            task("d-meters", "meters", 1, 30, 1400),
            task("b-meters", "meters", 3, 900, 700),
            task("c-lamps", "lamps", 2, 120, 900),
            task("a-lamps", "lamps", 4, 6000, 500),
        ],
        devices: vec![
            device("m1", "meters"),
            device("m2", "meters"),
            device("l1", "lamps"),
            device("l2", "lamps"),
        ],
        is_retold: true,
        ..script()
    }
}

/// Each task's devices hold its image.
pub const COMPLETIONS: u64 = 8;

/// What must hold whatever happens: the referee's rules, and that what was begun goes on as itself and what is over
/// stays over. An `Err` says what did not.
pub fn judge(summary: &Summary) -> Result<(), String> {
    let breaches: Vec<String> = summary.verdict.breaches.iter().map(ToString::to_string).collect();
    if !breaches.is_empty() {
        return Err(format!("breach: {breaches:?}"));
    }
    let (mut over, mut begun, mut counters) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for report in &summary.reports {
        let Some(task) = report.task.as_ref().map(ToString::to_string) else { continue };
        match &report.event {
            Event::Over(_) => drop(over.insert(task)),
            Event::Planned(_) | Event::Began | Event::Resumed { .. } if over.contains(&task) => {
                return Err(format!("task {task} is over and runs again"));
            }
            Event::Began => drop(begun.insert(task)),
            Event::Planned(planned) => {
                let before = counters.insert(task.clone(), planned.first_fcnt);
                if begun.contains(&task) && before.is_some_and(|before| before != planned.first_fcnt) {
                    return Err(format!("task {task} went on under other counters: {before:?} {planned:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The world of a script, and its judges' word.
pub fn judged(script: Script) -> (Summary, Result<(), String>) {
    let mut world = World::new(script);
    while world.step() {}
    let summary = world.summary();
    let verdict = judge(&summary);
    (summary, verdict)
}

/// What happened, a line each.
fn told(summary: &Summary) -> String {
    let line = |report: &fuotad::report::Report| {
        let task = report.task.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("\n{:>12} {task:10} {:.120}", report.at.to_string(), report.event.to_string())
    };
    let devices = summary.devices.iter();
    let devices =
        devices.map(|device| format!("\n{} {:?}, {} heard", device.name, device.state, device.heard));
    summary.reports.iter().map(line).chain(devices).collect()
}

/// Nothing is lost: the judges are content, nothing was refused, and every device holds every image of its group.
pub fn survive(script: Script, story: &str) -> Summary {
    let (summary, verdict) = judged(script);
    assert_eq!(verdict, Ok(()), "{story}");
    assert_content(&summary, story);
    assert_eq!(summary.refusal(), None, "{story}");
    assert_eq!(summary.completions, COMPLETIONS, "{story}: {}", told(&summary));
    summary
}

#[test]
fn four_tasks_on_two_groups_reach_all_their_devices() {
    let summary = survive(four_tasks(), "undisturbed");
    assert_eq!(summary.over, 4);
}

#[test]
fn the_process_may_be_killed_in_every_state_of_every_task() {
    let mut died = 0;
    // Every fact of the first minutes, in which all are planned; then every seventh.
    for fact in (1..150).chain((150..).step_by(7)) {
        let faults = vec![Fault::KillAtFact(fact)];
        let summary = survive(Script { faults, ..four_tasks() }, &format!("killed at fact {fact}"));
        if summary.restarts == 0 {
            break;
        }
        died += 1;
    }
    assert!(died > 200, "only {died} deaths");
    println!("{died} deaths at facts survived, 0 campaigns lost");
}

#[test]
fn it_may_die_at_every_disk_operation_of_four_tasks() {
    let mut died = 0;
    for operation in 1.. {
        let kinds = [
            (Fault::KillAtDiskOperation(operation), UnsyncedPages::New),
            (Fault::AtDiskOperation(operation), UnsyncedPages::Old),
            (Fault::AtDiskOperation(operation), UnsyncedPages::Torn),
            (Fault::AtDiskOperation(operation), UnsyncedPages::Mixed),
        ];
        let mut is_past_the_end = true;
        for (fault, unsynced_pages) in kinds {
            let story = format!("{fault:?}, pages {unsynced_pages:?}");
            let summary = survive(Script { faults: vec![fault], unsynced_pages, ..four_tasks() }, &story);
            is_past_the_end &= summary.restarts == 0;
            died += summary.restarts;
        }
        if is_past_the_end {
            break;
        }
    }
    assert!(died > 300, "only {died} deaths");
    println!("{died} deaths at disk operations survived, 0 campaigns lost");
}

#[test]
fn it_may_die_again_and_again() {
    for seed in 0..60_u64 {
        let mut luck = Random::new(seed);
        let mut next = |below: u64| 1 + luck.below(below);
        let mut fault = || match next(4) {
            1 => Fault::KillAtFact(next(400)),
            2 => Fault::KillAtDiskOperation(next(60)),
            3 => Fault::AfterSend(next(30)),
            _ => Fault::AtDiskOperation(next(60)),
        };
        let faults = vec![fault(), fault(), fault(), fault()];
        let story = format!("seed {seed}: {faults:?}");
        survive(Script { faults, seed, ..four_tasks() }, &story);
    }
}

/// The counters of each plan of a task: the first, and the first beyond.
fn ranges(summary: &Summary, name: &str) -> Vec<(u32, u32)> {
    let is_its =
        |report: &&fuotad::report::Report| report.task.as_ref().is_some_and(|task| task.as_str() == name);
    let planned = |report: &fuotad::report::Report| match &report.event {
        Event::Planned(planned) => Some((planned.first_fcnt, planned.end_fcnt)),
        _ => None,
    };
    summary.reports.iter().filter(is_its).filter_map(planned).collect()
}

#[test]
fn a_small_task_that_comes_later_takes_no_counters_of_a_large_one() {
    let script = Script {
        tasks: vec![task("z-large", "meters", 1, 300, 40_000), task("a-small", "meters", 1, 4_800, 500)],
        groups: vec![group()],
        devices: vec![device("m1", "meters")],
        ..script()
    };
    let (summary, verdict) = judged(script);
    assert_eq!(verdict, Ok(()));
    assert_eq!((summary.refusal(), summary.completions), (None, 2), "{}", told(&summary));
    let (large, small) = (ranges(&summary, "z-large"), ranges(&summary, "a-small"));
    assert_eq!((large.len(), small.len(), large[0].0), (1, 1, 2), "each is planned once");
    assert_eq!(small[0].0, large[0].1, "in the order of planning, without a gap");
}

#[test]
fn a_task_that_begins_before_an_older_one_of_its_group_has_the_older_one_planned_anew() {
    let script = Script {
        tasks: vec![task("older", "meters", 1, 4_000, 700), task("sooner", "meters", 2, 100, 700)],
        groups: vec![group()],
        devices: Vec::new(),
        ..script()
    };
    let (summary, verdict) = judged(script);
    assert_eq!(verdict, Ok(()), "counters only rise: {}", told(&summary));
    assert_eq!((summary.refusal(), summary.over), (None, 2), "{}", told(&summary));
    let planned = |name: &str| ranges(&summary, name);
    assert_eq!(planned("older").len(), 2, "{}", told(&summary));
    assert!(planned("older")[1].0 >= planned("sooner")[0].1, "{}", told(&summary));
}
