//! The records of a range journal and what can be read out of its two files. Pure: bytes in, facts out.

use crate::lorawan::KeyFingerprint;

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

const RECORD_BYTES: usize = 128;
const CRC_AT: usize = RECORD_BYTES - 4;
const MAGIC: [u8; 4] = *b"FTRJ";
const VERSION: u16 = 1;

/// Counters `base..next_free` of one key belong to one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Whose counters they are.
    pub key: KeyFingerprint,
    /// The group's McAddr.
    pub mc_addr: u32,
    /// The first FCnt.
    pub base: u32,
    /// The first FCnt beyond.
    pub next_free: u32,
    /// The digest of everything the frames' bytes depend on.
    pub plan_hash: [u8; 32],
}

impl Reservation {
    /// Whether both number the same plan in the same way, so that one may continue or extend the other.
    pub fn is_same_plan(&self, other: &Reservation) -> bool {
        let id = |r: &Reservation| (r.key, r.mc_addr, r.base, r.plan_hash);
        id(self) == id(other)
    }
}

/// What is known about the counters of a key after a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeState {
    /// The last reservation. Its plan may go on or be extended, another may follow from its `next_free`.
    Intact(Reservation),
    /// A newer reservation than this may be lost: this plan may go on within its range; nothing else may begin
    /// under this key.
    Damaged {
        /// The newest reservation that can be read.
        newest: Reservation,
        /// How many slot numbers are unreadable in both files.
        unreadable: u32,
    },
    /// Nothing can be said: no counter of this key may be used. The cure is a new key. Holds the reason.
    Lost(String),
}

/// Which of the two files.
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

/// One entry of the journal; the `seq`-th reservation of its key. Number 0 is the empty one that the files are
/// filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) seq: u64,
    pub(super) reservation: Reservation,
}

impl Record {
    pub(super) fn initial(key: KeyFingerprint) -> Record {
        let reservation = Reservation { key, mc_addr: 0, base: 0, next_free: 0, plan_hash: [0; 32] };
        Record { seq: 0, reservation }
    }

    /// The slot in which this record is written first (copies may stand elsewhere).
    pub(super) fn slot(&self) -> usize {
        (self.seq % SLOTS as u64) as usize
    }

    /// A whole page, so that a write refreshes every byte of its slot.
    pub(super) fn page(&self, side: Side, slot: usize, boot_id: &[u8; 16]) -> Vec<u8> {
        let r = &self.reservation;
        let mut page = Vec::with_capacity(SLOT_BYTES);
        page.extend(MAGIC);
        page.extend(VERSION.to_le_bytes());
        page.push(side.index() as u8);
        page.push(slot as u8);
        page.extend(self.seq.to_le_bytes());
        page.extend(r.key.as_bytes());
        page.extend(r.mc_addr.to_le_bytes());
        page.extend(r.base.to_le_bytes());
        page.extend(r.next_free.to_le_bytes());
        page.extend(r.plan_hash);
        page.extend(boot_id);
        page.resize(CRC_AT, 0);
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        page.resize(SLOT_BYTES, 0);
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
        if let Some(newest) = reading.newest {
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
            Decoded::Whole { record, .. } if record.reservation.key != key => self.is_foreign = true,
            Decoded::Whole { record, side_written, slot_written } => {
                // A record in a wrong place (a misdirected write, a file copied over the other) still proves
                // that its counters are spent; its slot is damaged all the same.
                let rank = |r: &Record| (r.reservation.next_free, r.seq);
                if self.newest.is_none_or(|newest| rank(&record) > rank(&newest)) {
                    self.newest = Some(record);
                }
                self.seq_max = self.seq_max.max(record.seq);
                if usize::from(side_written) == side.index() && usize::from(slot_written) == slot {
                    self.holes[side.index()] &= !(1 << slot);
                }
            }
        }
    }

    /// Slot numbers that are unreadable in both files and may have held something newer. The newest record's
    /// own slot is none of them: levelling fills it, and what it held is known from a copy.
    pub(super) fn unreadable_in_both(&self) -> u32 {
        let own = self.newest.map_or(0, |newest| 1 << newest.slot());
        (self.holes[0] & self.holes[1] & !own).count_ones()
    }
}

enum Decoded {
    Unreadable,
    Newer(u16),
    Whole { record: Record, side_written: u8, slot_written: u8 },
}

fn decode(page: &[u8]) -> Decoded {
    let Some(bytes) = page.get(..RECORD_BYTES) else { return Decoded::Unreadable };
    let (body, crc) = bytes.split_at(CRC_AT);
    if !body.starts_with(&MAGIC) || crc32c::crc32c(body).to_le_bytes() != crc {
        return Decoded::Unreadable;
    }
    let version = u16::from_le_bytes(array(body, 4));
    if version > VERSION {
        return Decoded::Newer(version);
    }
    let reservation = Reservation {
        key: KeyFingerprint::from_bytes(array(body, 16)),
        mc_addr: u32::from_le_bytes(array(body, 32)),
        base: u32::from_le_bytes(array(body, 36)),
        next_free: u32::from_le_bytes(array(body, 40)),
        plan_hash: array(body, 44),
    };
    let record = Record { seq: u64::from_le_bytes(array(body, 8)), reservation };
    Decoded::Whole { record, side_written: body[6], slot_written: body[7] }
}

/// `N` bytes from `at`; zeros where there are none.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 16] = [0x5a; 16];

    fn record(seq: u64, next_free: u32) -> Record {
        let key = KeyFingerprint::from_bytes(KEY);
        let reservation = Reservation { key, mc_addr: 7, base: 2, next_free, plan_hash: [3; 32] };
        Record { seq, reservation }
    }

    fn file(side: Side, records: &[Record]) -> Vec<u8> {
        let initial = Record::initial(KeyFingerprint::from_bytes(KEY));
        let at = |slot| records.iter().rev().find(|r| r.slot() == slot).unwrap_or(&initial);
        (0..SLOTS).flat_map(|slot| at(slot).page(side, slot, &[1; 16])).collect()
    }

    fn read(a: &[u8], b: &[u8]) -> Reading {
        Reading::of(KeyFingerprint::from_bytes(KEY), [a, b])
    }

    #[test]
    fn the_maximum_of_both_files_counts_whichever_holds_it() {
        let (old, new) = (record(1, 50), record(2, 90));
        let lagging = file(Side::A, &[old]);
        let reading = read(&lagging, &file(Side::B, &[old, new]));
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
        let foreign = Record::initial(KeyFingerprint::from_bytes([9; 16])).page(Side::A, 4, &[1; 16]);
        a[4 * SLOT_BYTES..5 * SLOT_BYTES].copy_from_slice(&foreign);
        assert!(read(&a, &file(Side::B, &[])).is_foreign);
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_seen() {
        let whole = record(3, 60).page(Side::A, 3, &[1; 16]);
        for bit in 0..RECORD_BYTES * 8 {
            let mut page = whole.clone();
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode(&page), Decoded::Unreadable), "bit {bit}");
        }
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
                    let newest = reading.newest.expect("a whole record was there");
                    prop_assert!(newest.reservation.next_free >= record.reservation.next_free);
                    prop_assert!(reading.seq_max >= record.seq);
                }
            }
        }
    }
}
