//! Files that are gone, bits that turn over, a disk that is full.

use super::many::COMPLETIONS;
use super::many::four_tasks;
use super::many::judged;
use super::many::survive;
use crate::support::small_world::script_of;
use fuotad::report::Event;
use fuotad::sim::Fault;
use fuotad::sim::Meddling;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;

const SECOND_US: u64 = 1_000_000;

/// When the process dies, seconds after its start: all planned; one on the air; one over; two over; nearly all.
const MOMENTS_S: [u64; 5] = [20, 40, 200, 1000, 6050];

#[test]
fn any_one_file_may_be_removed_and_no_campaign_is_lost() {
    let mut removed = 0;
    for moment_s in MOMENTS_S {
        for file in 0..16 {
            let script = Script {
                faults: vec![Fault::KillAfter(moment_s * SECOND_US)],
                meddling: vec![Meddling::Remove(1 << file)],
                ..four_tasks()
            };
            survive(script, &format!("file {file} is removed after {moment_s} s"));
            removed += 1;
        }
    }
    println!("{removed} times one file was removed, 0 campaigns lost");
}

#[test]
fn any_subset_of_files_may_be_removed_and_no_counter_is_used_twice() {
    let (mut lost, mut tried) = (0, 0);
    for moment_s in MOMENTS_S {
        for seed in 1..60_u64 {
            let bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let script = Script {
                faults: vec![Fault::KillAfter(moment_s * SECOND_US)],
                meddling: vec![Meddling::Remove(bits)],
                limit_us: 4 * 3_600 * SECOND_US,
                ..four_tasks()
            };
            let (summary, verdict) = judged(script);
            // What both places forgot may run again; nothing else may go wrong.
            let is_forgotten = verdict.as_ref().is_err_and(|wrong| wrong.ends_with("runs again"));
            assert!(verdict.is_ok() || is_forgotten, "{verdict:?}: files {bits:b} after {moment_s} s");
            lost += u64::from(summary.completions < COMPLETIONS);
            tried += 1;
        }
    }
    println!("{tried} subsets of files removed, {lost} worlds with a campaign that waits for an enrolment");
    assert!(lost > 0 && lost < tried, "{lost} of {tried}");
}

#[test]
fn a_bit_may_turn_over_in_every_life_and_the_law_holds() {
    let mut refused = 0;
    for seed in 0..40_u64 {
        let script = Script {
            faults: (0..8).map(|life| Fault::KillAfter((31 + 17 * life) * SECOND_US)).collect(),
            meddling: (0..8).map(|life| Meddling::FlipBit(seed * 8 + life)).collect(),
            limit_us: 24 * 3_600 * SECOND_US,
            seed,
            ..four_tasks()
        };
        let (summary, verdict) = judged(script);
        assert_eq!(verdict, Ok(()), "seed {seed}");
        refused += u64::from(summary.completions < COMPLETIONS);
    }
    println!("40 worlds with a bit turned over in each of 8 lives: the law held, {refused} lost a campaign");
    assert!(refused < 4, "{refused}");
}

/// An hour of a burst that wants all the air the law gives, with a new life and a rotten mark every 18 s.
pub fn rotten_marks() -> Script {
    let mut script = script_of(40_000);
    script.groups[0].data_rate = 3;
    for device in &mut script.devices {
        device.settings.permanent_class_c = None;
    }
    script.faults = vec![Fault::KillAfter(45 * SECOND_US); 71];
    script.meddling = vec![Meddling::FlipNewestMark; 71];
    script.limit_us = 3 * 3_600 * SECOND_US;
    script
}

#[test]
fn a_rotten_mark_before_every_start_never_ends_in_more_airtime_than_the_law_allows() {
    let (summary, verdict) = judged(rotten_marks());
    assert_eq!(verdict, Ok(()));
    assert!(summary.restarts > 60, "{}", summary.restarts);
    assert!(summary.frames.len() > 20, "{} frames", summary.frames.len());
}

fn ends(summary: &Summary) -> usize {
    summary.reports.iter().filter(|report| matches!(report.event, Event::Over(_))).count()
}

#[test]
fn the_disk_may_be_full_at_any_moment_and_what_is_over_stays_over() {
    let (mut full, mut moments) = (0, 0);
    for operation in (25..240).step_by(3) {
        let script = Script { faults: vec![Fault::DiskFull(operation)], ..four_tasks() };
        let summary = survive(script, &format!("full from operation {operation} on"));
        full += usize::from(summary.restarts > 0);
        moments += 1;
    }
    println!("{moments} moments at which the disk was full, {full} of them with a restart");
}

/// The disk is full from some operation on, for the last time of all when the campaign ends: its record cannot be
/// written.
pub fn full_at_the_end() -> impl Iterator<Item = Script> {
    (10..80).map(|operation| {
        let mut script = script_of(1000);
        // The world goes on: another task comes after the restart.
        let later = script.tasks[0].document.replace("08:00:30Z", "08:15:00Z");
        let next = TaskScript {
            at_us: 600 * SECOND_US,
            stem: "task-2".to_owned(),
            document: later,
            ..script.tasks[0].clone()
        };
        script.tasks.push(next);
        script.faults = vec![Fault::DiskFull(operation)];
        script.limit_us = 1_800 * SECOND_US;
        script
    })
}

#[test]
fn a_campaign_whose_end_finds_no_room_is_not_broadcast_again() {
    let mut without_room = 0;
    for script in full_at_the_end() {
        let (summary, verdict) = judged(script);
        assert_eq!(verdict, Ok(()));
        assert_eq!(ends(&summary), 2, "{:#?}", summary.reports);
        let no_room = |report: &fuotad::report::Report| format!("{}", report.event).contains("no room");
        without_room += usize::from(summary.reports.iter().any(no_room));
    }
    assert!(without_room > 0);
}
