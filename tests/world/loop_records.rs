//! The records of a loop between two lives: an older layout, and the end of the questions to single devices.

use crate::asked_alone::final_at;
use crate::asked_alone::one_by_one;
use crate::asked_alone::over_at;
use crate::closed_loop::answered;
use crate::closed_loop::assert_nobody_is_called_done_who_is_not;
use crate::closed_loop::carry_out;
use crate::closed_loop::script;
use crate::support::small_world::assert_content;
use crate::support::small_world::group;
use fuotad::answers::Holding;
use fuotad::answers::Holdings;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Spoil;
use fuotad::sim::World;
use sha2::Digest;
use sha2::Sha256;
use std::cell::RefCell;
use std::rc::Rc;

/// Bytes of the store behind a record.
const TRAILER_BYTES: usize = 40;
/// Version, key, FCnt and NbFrag, questions, coded fragments, flags: version 1 has no more before the answers.
const HEAD_BYTES: usize = 1 + 16 + 4 + 2 + 2 + 2 + 1;
/// Version 2 has these behind them: the end, CRC-32, and the second; then the length of the task's name and the name.
const END_BYTES: usize = 1 + 1 + 4 + 4;
/// Version 3 has the frames of earlier sessions before the length of the name.
const BEFORE_BYTES: usize = 4;

/// The disk of a gateway that ran an earlier release: the loop's record has an older version.
struct EarlierRelease {
    version: u8,
    name: String,
    read: u32,
}

impl EarlierRelease {
    fn new(version: u8) -> EarlierRelease {
        let id = Sha256::new()
            .chain_update(b"fuotad answers record")
            .chain_update(group().keys.fingerprint().as_bytes())
            .chain_update(0_u64.to_le_bytes())
            .finalize();
        EarlierRelease { version, name: id[..16].iter().map(|byte| format!("{byte:02x}")).collect(), read: 0 }
    }
}

impl Spoil for EarlierRelease {
    fn read(&mut self, name: &str, there: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let file = there?;
        if !name.ends_with(&self.name) {
            return Some(file);
        }
        let (bytes, trailer) = file.split_at(file.len() - TRAILER_BYTES);
        let (head, more) = bytes.split_at(HEAD_BYTES);
        assert_eq!(head[0], 3, "the newest version");
        let (end, more) = more.split_at(END_BYTES);
        let named = &more[BEFORE_BYTES..];
        let task_bytes = 2 + usize::from(u16::from_le_bytes([named[0], named[1]]));
        let mut old = vec![self.version];
        old.extend(&head[1..]);
        match self.version {
            1 => old.extend(&named[task_bytes..]),
            _ => old.extend(end.iter().chain(named)),
        }
        let length = old.len() as u32;
        // Name and number of the record, its length, and the form of the trailer.
        old.extend(&trailer[..24]);
        old.extend(length.to_le_bytes());
        old.extend(&trailer[28..36]);
        old.extend(crc32c::crc32c(&old).to_le_bytes());
        self.read += 1;
        Some(old)
    }
}

#[test]
fn an_upgrade_in_flight_goes_on_with_what_devices_said_to_the_earlier_release() {
    [1, 2].into_iter().for_each(upgrade_in_flight);
}

fn upgrade_in_flight(version: u8) {
    let undisturbed = carry_out(script(4)).0;
    let (whole, (questions, _)) = (undisturbed.frames.len() as u64, answered(&undisturbed).unwrap());
    let mut world = World::new(Script { faults: vec![Fault::Kill(whole - 2)], ..script(4) });
    let disk = Rc::new(RefCell::new(EarlierRelease::new(version)));
    world.spoil(disk.clone());
    let (mut before, mut after): (Option<Holdings>, Option<Holdings>) = (None, None);
    let mut roll = None;
    while world.step() {
        roll = world.answers("meters").or(roll);
        let holdings = world.answers("meters").map(|roll| roll.holdings());
        match world.restarts() {
            0 => before = holdings.or(before),
            _ => after = after.or(holdings),
        }
    }
    let (summary, roll) = (world.summary(), roll.unwrap());
    assert_eq!((summary.restarts, disk.borrow().read), (1, 1));
    assert_eq!(after, before, "nothing that was said is forgotten");
    assert!(before.unwrap().done + before.unwrap().missing > 0, "{before:?}");
    assert_content(&summary, "an upgrade in flight");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    assert_eq!((summary.complete(), roll.holdings().done), (4, 4));
    let (asked, _) = answered(&summary).unwrap();
    assert!(asked + 1 >= questions, "{asked} of {questions} questions");
}

#[test]
fn a_resumed_life_asks_alone_until_the_hours_that_are_allowed_are_over_and_no_longer() {
    let script = || {
        let mut script = one_by_one(4);
        script.fleets[0].rules.give_up.answers_us = 300_000_000;
        script.fields[0].devices[2].loss_ppm = 0;
        // It falls silent when it was told.
        script.fields[0].devices[2].silent_from_us = Some(280_000_000);
        script
    };
    let (undisturbed, _) = carry_out(script());
    let over_us = over_at(&undisturbed).us_since(fuotad::time::Instant::ZERO);
    for after_us in [60_000_000, 200_000_000, 297_000_000] {
        let faults = vec![Fault::KillAfter(over_us + after_us)];
        let (summary, roll) = carry_out(Script { faults, ..script() });
        assert_eq!(summary.restarts, 1);
        let waited_us = final_at(&summary).us_since(over_at(&summary));
        assert!((290_000_000..=310_000_000).contains(&waited_us), "killed after {after_us}: {waited_us}");
        let holdings: Vec<Holding> = roll.each().map(|(_, holding)| holding).collect();
        assert_eq!(holdings[2], Holding::Unheard, "{holdings:?}");
        assert_nobody_is_called_done_who_is_not(&summary, &roll);
    }
}
