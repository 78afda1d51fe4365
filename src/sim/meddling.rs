//! What somebody does to the files of a state folder: the operator enrols keys, and things happen while
//! the gateway is down.

use super::disk::Disk;
use super::disk::PAGE_BYTES;
use super::random::Random;
use super::script::Meddling;
use super::spoiled::SharedDisk;
use crate::campaign::Group;
use crate::store::Enrolment;
use crate::store::Files;
use crate::store::enrol;
use std::rc::Rc;

/// `fuotad group enrol`, for every group that says from where on.
pub(super) fn enrol_all(disk: &SharedDisk, groups: &[Group]) {
    for group in groups {
        let Some(first_fcnt) = group.first_fcnt else { continue };
        let enrolment = Enrolment::new(&group.name, None, first_fcnt, false);
        // Two groups of one key are told of at the first plan.
        let _ = enrol(&mut Rc::clone(disk), group.keys.fingerprint(), &enrolment, [0; 16]);
    }
}

/// Carries out what the script says of the time between two lives.
pub(super) fn meddle(disk: &SharedDisk, meddling: Meddling, groups: &[Group]) {
    match meddling {
        Meddling::Nothing => {}
        Meddling::Remove(bits) => remove(&mut disk.borrow_mut(), |n, _| bits >> (n % 64) & 1 == 1),
        Meddling::FlipBit(seed) => {
            let mut disk = disk.borrow_mut();
            let (mut rng, names) = (Random::new(seed), names(&mut disk));
            let name = &names[rng.below(names.len() as u64) as usize];
            let bytes = disk.read(name).ok().flatten().map_or(0, |bytes| bytes.len());
            disk.flip_bit(name, rng.below(bytes as u64 * 8) as usize);
        }
        Meddling::FlipNewestMark => flip_newest_mark(&mut disk.borrow_mut()),
        Meddling::EnrolAnew => {
            let is_of_a_key =
                |name: &str| name.ends_with(".a") || name.ends_with(".b") || name.starts_with("key-");
            remove(&mut disk.borrow_mut(), |_, name| is_of_a_key(name));
            enrol_all(disk, groups);
        }
    }
}

/// The files in the order of their names.
fn names(disk: &mut Disk) -> Vec<String> {
    let mut names = disk.list().unwrap_or_default();
    names.sort();
    names
}

fn remove(disk: &mut Disk, is_chosen: impl Fn(usize, &str) -> bool) {
    for (n, name) in names(disk).iter().enumerate() {
        if is_chosen(n, name) {
            // It is on the list.
            let _ = disk.remove(name);
        }
    }
    let _ = disk.sync_dir();
}

fn flip_newest_mark(disk: &mut Disk) {
    let marks = disk.read("marks").ok().flatten().unwrap_or_default();
    let seq = |page: &[u8]| {
        page.get(8..16).map_or(0, |seq| seq.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    let newest = marks.chunks(PAGE_BYTES).enumerate().max_by_key(|(_, page)| seq(page));
    if let Some((page, _)) = newest {
        disk.flip_bit("marks", page * PAGE_BYTES * 8 + 1000);
    }
}
