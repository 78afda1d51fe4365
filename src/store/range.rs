//! The records of a range journal and what can be read out of its two files. Pure: bytes in, facts out.

use crate::lorawan::KeyFingerprint;
use crate::store::bytes::array;
use crate::store::error::StoreError;
use crate::store::record::RecordId;

/// Slots in each ring file.
pub const SLOTS: usize = 16;

/// Bytes of one slot: what a flash device writes at least.
pub const SLOT_BYTES: usize = 4096;

/// The lowest counter that is ever handed out. Devices are told min = base - 1, and FCnt 0 is accepted again and
/// again by some stacks.
pub const FCNT_FIRST: u32 = 2;

/// The highest `next_free` of a reservation: the last counter handed out is 65 534, below the 16-bit epoch's
/// end that the devices are told as maximum.
pub const NEXT_FREE_MAX: u32 = 65_535;

/// The most reservations of one key that are held at a time, as many as there may be open tasks.
pub const RESERVATIONS_MAX: usize = 64;

const HEAD_BYTES: usize = 128;
const HEAD_CRC_AT: usize = HEAD_BYTES - 4;
const ENTRY_BYTES: usize = 60;
const PAGE_CRC_AT: usize = SLOT_BYTES - 4;
const MAGIC: [u8; 4] = *b"FTRJ";
/// The first version held the newest reservation only.
const VERSION_OF_ONE: u16 = 1;
const VERSION: u16 = 2;
const _: () = assert!(HEAD_BYTES + RESERVATIONS_MAX * ENTRY_BYTES <= PAGE_CRC_AT);

/// Counters `base..next_free` of one key belong to one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Whose counters they are.
    pub key: KeyFingerprint,
    /// McAddr of the group, as a number.
    pub mc_addr: u32,
    /// The first FCnt of the reservation.
    pub base: u32,
    /// The first FCnt beyond.
    pub next_free: u32,
    /// The digest of everything the frames' bytes depend on.
    pub plan_hash: [u8; 32],
    /// The task they are for; zeros where an earlier release did not write it down.
    pub task: RecordId,
}

impl Reservation {
    /// Whether both number the same plan in the same way, so that one may continue or extend the other.
    pub fn is_same_plan(&self, other: &Reservation) -> bool {
        let id = |r: &Reservation| (r.key, r.mc_addr, r.base, r.plan_hash);
        id(self) == id(other)
    }
}

/// What is given away of one key's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyCounters {
    /// The first FCnt that nobody has reserved.
    pub next_free: u32,
    /// The reservations that are not known to be over, oldest first; at most [`RESERVATIONS_MAX`].
    pub reservations: Vec<Reservation>,
}

impl KeyCounters {
    /// The reservation of this very plan.
    pub fn of_plan(&self, plan_hash: &[u8; 32]) -> Option<&Reservation> {
        self.reservations.iter().find(|reservation| reservation.plan_hash == *plan_hash)
    }

    /// The same with `wanted` given away and the plans in `over` let go; `None` when `wanted` is there already.
    ///
    /// # Errors
    /// [`StoreError::CounterUsed`] when `wanted` overlaps the counters of another plan, and
    /// [`StoreError::TooMany`] when there are [`RESERVATIONS_MAX`] already.
    pub fn with(&self, wanted: &Reservation, over: &[[u8; 32]]) -> Result<Option<KeyCounters>, StoreError> {
        let used = Err(StoreError::CounterUsed { base: wanted.base, next_free: self.next_free });
        let mut reservations = self.reservations.clone();
        match reservations.iter().position(|known| known.is_same_plan(wanted)) {
            Some(at) if wanted.next_free <= reservations[at].next_free => return Ok(None),
            // Behind an earlier one stands another plan.
            Some(at) if reservations[at].next_free != self.next_free => return used,
            Some(at) => reservations[at] = *wanted,
            None if wanted.base < self.next_free => return used,
            None => {
                reservations.retain(|known| !over.contains(&known.plan_hash));
                if reservations.len() == RESERVATIONS_MAX {
                    let count = RESERVATIONS_MAX + 1;
                    return Err(StoreError::TooMany {
                        what: "plans that hold counters of one key",
                        count,
                        limit: RESERVATIONS_MAX,
                    });
                }
                reservations.push(*wanted);
            }
        }
        Ok(Some(KeyCounters { next_free: wanted.next_free, reservations }))
    }
}

/// What is known about the counters of an enrolled key after a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeState {
    /// All that was given away: these plans may go on, another may follow from `next_free`.
    Intact(KeyCounters),
    /// A newer reservation than these may be lost: these plans may go on within their ranges; nothing else may
    /// begin under this key.
    Damaged {
        /// The newest record that can be read.
        newest: KeyCounters,
        /// How many slot numbers are unreadable in both files.
        unreadable: u32,
    },
    /// Nothing can be said: no counter of this key may be used. Holds the reason.
    Lost(String),
}

impl RangeState {
    /// The plans that may go on.
    pub fn counters(&self) -> Option<&KeyCounters> {
        match self {
            RangeState::Intact(counters) | RangeState::Damaged { newest: counters, .. } => Some(counters),
            RangeState::Lost(_) => None,
        }
    }
}

/// One of the two files of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    A,
    B,
}

impl Side {
    pub(super) const BOTH: [Side; 2] = [Side::A, Side::B];

    pub(super) fn file_name(self, key: KeyFingerprint) -> String {
        match self {
            Side::A => format!("{key}.a"),
            Side::B => format!("{key}.b"),
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Side::A => 0,
            Side::B => 1,
        }
    }
}

/// One entry of the journal: all that is given away after the `seq`-th reservation of its key. Number 0 is the one
/// that the files are filled with: it holds the first counter that the key was enrolled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: KeyFingerprint,
    pub(super) seq: u64,
    pub(super) counters: KeyCounters,
}

impl Record {
    pub(super) fn initial(key: KeyFingerprint, first_fcnt: u32) -> Record {
        Record { key, seq: 0, counters: KeyCounters { next_free: first_fcnt, reservations: Vec::new() } }
    }

    /// The slot in which this record is written first (copies may stand elsewhere).
    pub(super) fn slot(&self) -> usize {
        (self.seq % SLOTS as u64) as usize
    }

    /// A whole page, so that a write refreshes every byte of its slot. Its head is that of the first version with
    /// the newest reservation in it, so that an earlier release knows it for a newer format.
    pub(super) fn page(&self, side: Side, slot: usize, boot_id: &[u8; 16]) -> Vec<u8> {
        let newest = self.counters.reservations.last();
        let mut page = Vec::with_capacity(SLOT_BYTES);
        page.extend(MAGIC);
        page.extend(VERSION.to_le_bytes());
        page.push(side.index() as u8);
        page.push(slot as u8);
        page.extend(self.seq.to_le_bytes());
        page.extend(self.key.as_bytes());
        page.extend(newest.map_or(0, |newest| newest.mc_addr).to_le_bytes());
        page.extend(newest.map_or(0, |newest| newest.base).to_le_bytes());
        page.extend(self.counters.next_free.to_le_bytes());
        page.extend(newest.map_or([0; 32], |newest| newest.plan_hash));
        page.extend(boot_id);
        page.extend((self.counters.reservations.len() as u16).to_le_bytes());
        page.resize(HEAD_CRC_AT, 0);
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        for held in &self.counters.reservations {
            page.extend(held.mc_addr.to_le_bytes());
            page.extend(held.base.to_le_bytes());
            page.extend(held.next_free.to_le_bytes());
            page.extend(held.plan_hash);
            page.extend(held.task.0);
        }
        page.resize(PAGE_CRC_AT, 0);
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        page
    }
}

/// What both files of one key say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The record with the highest counter of all that are whole, wherever they stand.
    pub(super) newest: Option<Record>,
    /// The highest sequence number of all whole records.
    pub(super) seq_max: u64,
    /// A bit for each slot of A and of B that does not hold a record of its own.
    pub(super) holes: [u16; 2],
    /// Which files hold the newest record in its own slot.
    pub(super) holds_newest: [bool; 2],
    /// A whole record belongs to another key.
    pub(super) is_foreign: bool,
    /// A whole record has this newer format version.
    pub(super) newer_version: Option<u16>,
}

impl Reading {
    pub(super) fn of(key: KeyFingerprint, files: [&[u8]; 2]) -> Reading {
        let mut reading = Reading {
            newest: None,
            seq_max: 0,
            holes: [u16::MAX; 2],
            holds_newest: [false; 2],
            is_foreign: false,
            newer_version: None,
        };
        for side in Side::BOTH {
            for (slot, page) in files[side.index()].chunks(SLOT_BYTES).take(SLOTS).enumerate() {
                reading.take(key, side, slot, decode(page));
            }
        }
        if let Some(newest) = reading.newest.clone() {
            for side in Side::BOTH {
                let page = files[side.index()].chunks(SLOT_BYTES).nth(newest.slot());
                let found = page.map(decode);
                reading.holds_newest[side.index()] = matches!(found, Some(Decoded::Whole { record, .. })
                    if record == newest && reading.holes[side.index()] & (1 << newest.slot()) == 0);
            }
        }
        reading
    }

    fn take(&mut self, key: KeyFingerprint, side: Side, slot: usize, decoded: Decoded) {
        match decoded {
            Decoded::Unreadable => {}
            Decoded::Newer(version) => self.newer_version = Some(version),
            Decoded::Whole { record, .. } if record.key != key => self.is_foreign = true,
            Decoded::Whole { record, side_written, slot_written } => {
                // A record in a wrong place (a misdirected write, a file copied over the other) still proves
                // that its counters are spent; its slot is damaged all the same.
                let rank = |r: &Record| (r.counters.next_free, r.seq);
                self.seq_max = self.seq_max.max(record.seq);
                if self.newest.as_ref().is_none_or(|newest| rank(&record) > rank(newest)) {
                    self.newest = Some(record);
                }
                if usize::from(side_written) == side.index() && usize::from(slot_written) == slot {
                    self.holes[side.index()] &= !(1 << slot);
                }
            }
        }
    }

    /// Slot numbers that are unreadable in both files and may have held something newer. The newest record's
    /// own slot is none of them: levelling fills it, and what it held is known from a copy.
    pub(super) fn unreadable_in_both(&self) -> u32 {
        let own = self.newest.as_ref().map_or(0, |newest| 1 << newest.slot());
        (self.holes[0] & self.holes[1] & !own).count_ones()
    }
}

enum Decoded {
    Unreadable,
    Newer(u16),
    Whole { record: Record, side_written: u8, slot_written: u8 },
}

fn decode(page: &[u8]) -> Decoded {
    let Some(head) = page.get(..HEAD_BYTES) else { return Decoded::Unreadable };
    let (head, crc) = head.split_at(HEAD_CRC_AT);
    if !head.starts_with(&MAGIC) || crc32c::crc32c(head).to_le_bytes() != crc {
        return Decoded::Unreadable;
    }
    let version = u16::from_le_bytes(array(head, 4));
    let key = KeyFingerprint::from_bytes(array(head, 16));
    let next_free = u32::from_le_bytes(array(head, 40));
    let reservations = match version {
        VERSION_OF_ONE => the_only_one(key, head),
        VERSION => held(key, page, usize::from(u16::from_le_bytes(array(head, 92)))),
        _ => return Decoded::Newer(version),
    };
    let Some(reservations) = reservations else { return Decoded::Unreadable };
    let counters = KeyCounters { next_free, reservations };
    let record = Record { key, seq: u64::from_le_bytes(array(head, 8)), counters };
    Decoded::Whole { record, side_written: head[6], slot_written: head[7] }
}

/// What the first version wrote: one reservation, or none while `next_free` is 0.
fn the_only_one(key: KeyFingerprint, head: &[u8]) -> Option<Vec<Reservation>> {
    let newest = Reservation {
        key,
        mc_addr: u32::from_le_bytes(array(head, 32)),
        base: u32::from_le_bytes(array(head, 36)),
        next_free: u32::from_le_bytes(array(head, 40)),
        plan_hash: array(head, 44),
        task: RecordId([0; 16]),
    };
    Some(Vec::from_iter((newest.next_free > 0).then_some(newest)))
}

fn held(key: KeyFingerprint, page: &[u8], count: usize) -> Option<Vec<Reservation>> {
    let (body, crc) = page.get(..SLOT_BYTES)?.split_at(PAGE_CRC_AT);
    if count > RESERVATIONS_MAX || crc32c::crc32c(body).to_le_bytes() != crc {
        return None;
    }
    let held = |bytes: &[u8]| Reservation {
        key,
        mc_addr: u32::from_le_bytes(array(bytes, 0)),
        base: u32::from_le_bytes(array(bytes, 4)),
        next_free: u32::from_le_bytes(array(bytes, 8)),
        plan_hash: array(bytes, 12),
        task: RecordId(array(bytes, 44)),
    };
    Some(body[HEAD_BYTES..][..count * ENTRY_BYTES].chunks(ENTRY_BYTES).map(held).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 16] = [0x5a; 16];

    fn reservation(base: u32, next_free: u32) -> Reservation {
        let key = KeyFingerprint::from_bytes(KEY);
        let plan_hash = [base as u8; 32];
        Reservation { key, mc_addr: 7, base, next_free, plan_hash, task: RecordId([4; 16]) }
    }

    fn record(seq: u64, next_free: u32) -> Record {
        let counters = KeyCounters { next_free, reservations: vec![reservation(2, next_free)] };
        Record { key: KeyFingerprint::from_bytes(KEY), seq, counters }
    }

    fn file(side: Side, records: &[Record]) -> Vec<u8> {
        let initial = Record::initial(KeyFingerprint::from_bytes(KEY), 2);
        let at = |slot| records.iter().rev().find(|r| r.slot() == slot).unwrap_or(&initial);
        (0..SLOTS).flat_map(|slot| at(slot).page(side, slot, &[1; 16])).collect()
    }

    fn read(a: &[u8], b: &[u8]) -> Reading {
        Reading::of(KeyFingerprint::from_bytes(KEY), [a, b])
    }

    #[test]
    fn the_maximum_of_both_files_counts_whichever_holds_it() {
        let (old, new) = (record(1, 50), record(2, 90));
        let lagging = file(Side::A, std::slice::from_ref(&old));
        let reading = read(&lagging, &file(Side::B, &[old, new.clone()]));
        assert_eq!(reading.newest, Some(new));
        assert_eq!((reading.holes, reading.holds_newest), ([0, 0], [false, true]));
    }

    #[test]
    fn a_file_copied_over_the_other_proves_its_counters_but_none_of_its_slots() {
        let a = file(Side::A, &[record(1, 50)]);
        let reading = read(&[], &a);
        assert_eq!(reading.newest, Some(record(1, 50)));
        assert_eq!(reading.holes, [u16::MAX, u16::MAX]);
        assert_eq!(reading.unreadable_in_both(), 15);
    }

    #[test]
    fn a_record_of_another_key_is_noticed() {
        let mut a = file(Side::A, &[]);
        let foreign = Record::initial(KeyFingerprint::from_bytes([9; 16]), 2).page(Side::A, 4, &[1; 16]);
        a[4 * SLOT_BYTES..5 * SLOT_BYTES].copy_from_slice(&foreign);
        assert!(read(&a, &file(Side::B, &[])).is_foreign);
    }

    #[test]
    fn every_flipped_bit_of_a_page_is_seen() {
        let whole = record(3, 60).page(Side::A, 3, &[1; 16]);
        for bit in 0..SLOT_BYTES * 8 {
            let mut page = whole.clone();
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode(&page), Decoded::Unreadable), "bit {bit}");
        }
    }

    #[test]
    fn as_many_reservations_as_may_be_held_fit_a_page_and_come_back() {
        let mut counters = KeyCounters { next_free: 2, reservations: Vec::new() };
        for n in 0..RESERVATIONS_MAX as u32 {
            counters = counters.with(&reservation(2 + n * 10, 12 + n * 10), &[]).unwrap().unwrap();
        }
        let record = Record { key: KeyFingerprint::from_bytes(KEY), seq: 64, counters: counters.clone() };
        let page = record.page(Side::B, 0, &[1; 16]);
        assert_eq!(page.len(), SLOT_BYTES);
        assert!(matches!(decode(&page), Decoded::Whole { record: read, .. } if read == record));
        let one_more = reservation(counters.next_free, counters.next_free + 10);
        assert!(matches!(counters.with(&one_more, &[]), Err(StoreError::TooMany { limit: 64, .. })));
        // One that is over makes room.
        let over = [counters.reservations[5].plan_hash];
        let next = counters.with(&one_more, &over).unwrap().unwrap();
        assert_eq!(next.reservations.len(), RESERVATIONS_MAX);
        assert!(next.of_plan(&over[0]).is_none() && next.of_plan(&one_more.plan_hash).is_some());
    }

    #[test]
    fn the_last_reservation_may_grow_and_one_before_it_may_not() {
        let first = KeyCounters { next_free: 2, ..KeyCounters::default() };
        let one = first.with(&reservation(2, 12), &[]).unwrap().unwrap();
        let longer = Reservation { next_free: 20, ..reservation(2, 12) };
        assert_eq!(one.with(&longer, &[]).unwrap().unwrap().next_free, 20);
        let two = one.with(&reservation(12, 22), &[]).unwrap().unwrap();
        assert_eq!(two.with(&longer, &[]), Err(StoreError::CounterUsed { base: 2, next_free: 22 }));
        assert_eq!(two.with(&reservation(2, 12), &[]), Ok(None), "it is there");
    }

    #[test]
    fn a_journal_of_the_first_version_holds_its_one_reservation() {
        let held = reservation(2, 50);
        let mut page = Vec::new();
        page.extend(*b"FTRJ\x01\x00\x00\x01");
        page.extend(1_u64.to_le_bytes());
        page.extend(KEY);
        page.extend([7_u32, 2, 50].map(u32::to_le_bytes).concat());
        page.extend([held.plan_hash, [1; 32]].concat());
        page.resize(HEAD_CRC_AT, 0);
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        page.resize(SLOT_BYTES, 0);
        let Decoded::Whole { record, .. } = decode(&page) else { panic!("not read") };
        let unnamed = Reservation { task: RecordId([0; 16]), ..held };
        assert_eq!(record.counters, KeyCounters { next_free: 50, reservations: vec![unnamed] });
    }

    proptest! {
        #[test]
        fn hostile_files_never_yield_less_than_any_whole_record(
            records in prop::collection::vec((any::<u64>(), any::<u32>(), 0..20_usize, any::<bool>()), 0..24),
            noise in prop::collection::vec((0..2_usize, any::<prop::sample::Index>(), any::<u8>()), 0..40),
            length in 0..=SLOTS * SLOT_BYTES,
        ) {
            let mut files = [file(Side::A, &[]), file(Side::B, &[])];
            for (seq, next_free, slot, in_b) in records {
                let side = if in_b { Side::B } else { Side::A };
                let page = record(seq, next_free).page(side, slot, &[0; 16]);
                let at = slot % SLOTS * SLOT_BYTES;
                files[side.index()][at..at + SLOT_BYTES].copy_from_slice(&page);
            }
            for (side, at, byte) in noise {
                let at = at.index(files[side].len());
                files[side][at] = byte;
            }
            files[1].truncate(length);
            let reading = read(&files[0], &files[1]);
            for page in files.iter().flat_map(|file| file.chunks(SLOT_BYTES)) {
                if let Decoded::Whole { record, .. } = decode(page) {
                    let newest = reading.newest.clone().expect("a whole record was there");
                    prop_assert!(newest.counters.next_free >= record.counters.next_free);
                    prop_assert!(reading.seq_max >= record.seq);
                }
            }
        }
    }
}
