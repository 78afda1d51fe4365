//! Gateways that are wrong on purpose, one for each generator: the judges must notice every one of them.

use super::files::full_at_the_end;
use super::lives::four_short_lives;
use super::lives::resumed;
use super::many::four_tasks;
use super::many::judge;
use fuotad::sim::Fault;
use fuotad::sim::Meddling;
use fuotad::sim::Script;
use fuotad::sim::Spoil;
use fuotad::sim::Summary;
use fuotad::sim::World;
use fuotad::store::SLOT_BYTES;
use std::cell::RefCell;
use std::rc::Rc;

const SECOND_US: u64 = 1_000_000;

/// A world whose gateway is spoiled from its second life on.
fn spoiled(script: Script, spoil: impl Spoil + 'static) -> (Summary, Result<(), String>) {
    let mut world = World::new(script);
    world.spoil(Rc::new(RefCell::new(spoil)));
    while world.step() {}
    let summary = world.summary();
    let verdict = judge(&summary);
    (summary, verdict)
}

fn caught(verdict: Result<(), String>, words: &str) {
    let wrong = verdict.expect_err("nobody noticed");
    println!("caught: {wrong:.160}");
    assert!(wrong.contains(words), "{wrong}");
}

fn with_sums(mut page: Vec<u8>) -> Vec<u8> {
    for at in [124, SLOT_BYTES - 4] {
        let crc = crc32c::crc32c(&page[..at]).to_le_bytes();
        page[at..at + 4].copy_from_slice(&crc);
    }
    page
}

/// Today's journal: the newest reservation of a key, and no other.
struct NewestOnly;

impl Spoil for NewestOnly {
    fn read(&mut self, name: &str, there: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let there = there?;
        if !(name.ends_with(".a") || name.ends_with(".b")) {
            return Some(there);
        }
        let newest_only = |page: &[u8]| {
            let (mut page, count) = (page.to_vec(), usize::from(page[92]));
            if count > 1 {
                page.copy_within(128 + (count - 1) * 60..128 + count * 60, 128);
                page[128 + 60..SLOT_BYTES - 4].fill(0);
                page[92] = 1;
            }
            with_sums(page)
        };
        Some(there.chunks(SLOT_BYTES).flat_map(newest_only).collect())
    }
}

#[test]
fn a_journal_of_one_reservation_is_caught_by_several_tasks_and_a_restart() {
    let script = Script { faults: vec![Fault::KillAfter(35 * SECOND_US)], ..four_tasks() };
    let (_, verdict) = spoiled(script, NewestOnly);
    caught(verdict, "");
}

#[test]
fn an_enrolment_that_looks_for_no_traces_is_caught_by_removed_files() {
    let script = Script {
        faults: vec![Fault::KillAfter(130 * SECOND_US)],
        meddling: vec![Meddling::EnrolAnew],
        ..four_tasks()
    };
    let (_, verdict) = super::many::judged(script);
    caught(verdict, "breach");
}

/// A store that does not know the list of ends.
struct NoEnds;

impl Spoil for NoEnds {
    fn read(&mut self, name: &str, there: Option<Vec<u8>>) -> Option<Vec<u8>> {
        there.filter(|_| name != "ended")
    }
}

#[test]
fn ends_that_are_known_from_one_place_are_caught_by_a_removed_file() {
    let mut wrong = Vec::new();
    for file in 0..16 {
        let script = Script {
            faults: vec![Fault::KillAfter(200 * SECOND_US)],
            meddling: vec![Meddling::Remove(1 << file)],
            limit_us: 2 * 3_600 * SECOND_US,
            ..four_tasks()
        };
        wrong.extend(spoiled(script, NoEnds).1.err());
    }
    caught(wrong.into_iter().next().map_or(Ok(()), Err), "runs again");
}

/// A list of ends that is not written.
struct EndsNotWritten;

impl Spoil for EndsNotWritten {
    fn read(&mut self, name: &str, there: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let there = there?;
        // As it was made at the first start: the write of the end never came.
        // And the operator's record of it: neither place knows of the end.
        Some(if name == "ended" { Vec::new() } else { there })
    }
}

#[test]
fn an_end_without_reserved_room_is_caught_by_a_full_disk() {
    let wrong = full_at_the_end().find_map(|script| spoiled(script, EndsNotWritten).1.err());
    caught(wrong.map_or(Ok(()), Err), "runs again");
}

/// Damaged marks count as never written.
struct DamageIsNothing;

impl Spoil for DamageIsNothing {
    fn read(&mut self, name: &str, there: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let there = there?;
        if name != "marks" {
            return Some(there);
        }
        let whole = |(slot, page): (usize, &[u8])| {
            let (body, crc) = page.split_at(SLOT_BYTES - 4);
            if crc32c::crc32c(body).to_le_bytes() == crc {
                return page.to_vec();
            }
            let mut empty = vec![0; SLOT_BYTES];
            empty[..4].copy_from_slice(b"FTMK");
            (empty[4], empty[6]) = (1, slot as u8);
            let crc = crc32c::crc32c(&empty[..SLOT_BYTES - 4]).to_le_bytes();
            empty[SLOT_BYTES - 4..].copy_from_slice(&crc);
            empty
        };
        Some(there.chunks(SLOT_BYTES).enumerate().flat_map(whole).collect())
    }
}

#[test]
fn a_damaged_mark_that_costs_nothing_is_caught_by_the_duty_referee() {
    let (_, verdict) = spoiled(super::files::rotten_marks(), DamageIsNothing);
    caught(verdict, "breach");
}

/// No mark but the first of each life.
#[derive(Default)]
struct OneMarkALife {
    marks: u32,
}

impl Spoil for OneMarkALife {
    fn read(&mut self, name: &str, there: Option<Vec<u8>>) -> Option<Vec<u8>> {
        if name == "marks" {
            self.marks = 0;
        }
        there
    }

    fn swallows(&mut self, name: &str) -> bool {
        // A write and a sync for each.
        self.marks += u32::from(name == "marks");
        name == "marks" && self.marks > 3
    }
}

#[test]
fn a_life_without_a_mark_of_its_first_frame_is_caught_by_lives_that_are_short() {
    let (summary, _) = spoiled(four_short_lives(), OneMarkALife::default());
    let resumed = resumed(&summary);
    assert!(resumed.windows(2).any(|pair| pair[0] >= pair[1]), "nobody noticed: {resumed:?}");
}

#[test]
fn a_session_that_nobody_was_told_is_caught_by_devices_that_know_only_theirs() {
    let script = Script {
        faults: vec![Fault::AfterSend(60)],
        boot_us: 3_000 * SECOND_US,
        is_forgetful: true,
        limit_us: 4 * 3_600 * SECOND_US,
        ..four_tasks()
    };
    let (_, verdict) = super::many::judged(script);
    caught(verdict, "breach");
}

#[test]
fn a_gateway_that_believes_every_step_is_caught_by_moved_clocks() {
    let steps = [(20_i64, 60_u64), (-120, 60)];
    let wrong = steps.iter().find_map(|(step_s, moment_s)| {
        let script = super::clock_steps::stepped(*step_s, *moment_s, None);
        super::many::judged(Script { is_credulous: true, ..script }).1.err()
    });
    caught(wrong.map_or(Ok(()), Err), "announced session");
}
