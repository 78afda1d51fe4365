//! The range journal of one key on its two files: level, reserve, repair.

use crate::lorawan::KeyFingerprint;
use crate::store::error::StoreError;
use crate::store::files::Files;
use crate::store::new_file::adopt_new;
use crate::store::new_file::write_new;
use crate::store::range::FCNT_FIRST;
use crate::store::range::NEXT_FREE_MAX;
use crate::store::range::RangeState;
use crate::store::range::Reading;
use crate::store::range::Record;
use crate::store::range::Reservation;
use crate::store::range::SLOT_BYTES;
use crate::store::range::SLOTS;
use crate::store::range::Side;

/// A journal that could be read. Until [`Journal::level`] has returned nothing it says may be relied on.
#[derive(Debug)]
pub(super) struct Journal {
    newest: Record,
    seq_next: u64,
    holes: [u16; 2],
    holds_newest: [bool; 2],
    is_missing: [bool; 2],
    /// Slot numbers unreadable in both files when the journal was read.
    unreadable: u32,
}

impl Journal {
    /// What the two files say; `Err` holds the reason why the counter is lost.
    pub(super) fn recover(reading: &Reading, is_missing: [bool; 2]) -> Result<Journal, String> {
        if reading.is_foreign {
            return Err("it holds a record of another key".to_owned());
        }
        let newest = reading.newest.clone().ok_or("no record can be read")?;
        let seq_next = reading.seq_max.checked_add(1).ok_or("its numbers are exhausted")?;
        if newest.seq == 0 && reading.unreadable_in_both() > 0 {
            return Err("its first reservation may be lost".to_owned());
        }
        Ok(Journal {
            newest,
            seq_next,
            holes: reading.holes,
            holds_newest: reading.holds_newest,
            is_missing,
            unreadable: reading.unreadable_in_both(),
        })
    }

    /// Makes both files of a key that is being enrolled, with nothing given away from `first_fcnt` on. They get their
    /// names only when both are whole: a cut leaves no journal, or one that has handed out nothing.
    pub(super) fn create<F: Files>(
        files: &mut F,
        key: KeyFingerprint,
        first_fcnt: u32,
        boot_id: &[u8; 16],
    ) -> Result<(), StoreError> {
        let newest = Record::initial(key, first_fcnt);
        for side in Side::BOTH {
            let pages: Vec<Vec<u8>> = (0..SLOTS).map(|slot| newest.page(side, slot, boot_id)).collect();
            write_new(files, &side.file_name(key), &pages.concat())?;
        }
        for side in Side::BOTH {
            adopt_new(files, &side.file_name(key))?;
        }
        Ok(files.sync_dir()?)
    }

    /// What it says; `None` for the empty journal of an earlier release, which made it before the first reservation:
    /// nothing was given away, and nobody said from where on.
    pub(super) fn state(&self) -> Option<RangeState> {
        let newest = self.newest.counters.clone();
        match self.unreadable {
            0 if newest.next_free == 0 => None,
            0 => Some(RangeState::Intact(newest)),
            unreadable => Some(RangeState::Damaged { newest, unreadable }),
        }
    }

    /// Whether a counter was ever given away.
    pub(super) fn is_used(&self) -> bool {
        self.newest.seq > 0
    }

    /// The first counter that nobody has reserved.
    pub(super) fn next_free(&self) -> u32 {
        self.newest.counters.next_free
    }

    /// The key was enrolled again from here on: nothing below is given away any more.
    pub(super) fn raise(&mut self, first_fcnt: u32) {
        let next_free = &mut self.newest.counters.next_free;
        *next_free = first_fcnt.max(*next_free);
    }

    /// How many slots of one file are damaged, for the operator.
    pub(super) fn damaged_slots(&self) -> u32 {
        self.holes.iter().map(|holes| holes.count_ones()).sum()
    }

    /// Makes the newest record durable in both files. A file that lacks it goes first, so that the only copy is
    /// never being overwritten; one that has it is written nevertheless, because what was read may have come
    /// from a cache whose sync failed. What a process that died has left unsynced is settled before: else a cut
    /// could tear the same slot in both files.
    pub(super) fn level<F: Files>(&mut self, files: &mut F, boot_id: &[u8; 16]) -> Result<(), StoreError> {
        let mut sides = Side::BOTH;
        for side in sides.iter().filter(|side| !self.is_missing[side.index()]) {
            files.sync(&side.file_name(self.newest.key))?;
        }
        sides.sort_by_key(|side| self.holds_newest[side.index()]);
        for side in sides {
            if self.is_missing[side.index()] {
                self.recreate(files, side, boot_id)?;
            } else {
                self.write(files, side, self.newest.slot(), boot_id)?;
                files.sync(&side.file_name(self.newest.key))?;
            }
            self.holds_newest[side.index()] = true;
        }
        Ok(())
    }

    /// A missing file comes back with the other's damaged slots left empty: they stay unreadable in both.
    fn recreate<F: Files>(
        &mut self,
        files: &mut F,
        side: Side,
        boot_id: &[u8; 16],
    ) -> Result<(), StoreError> {
        let own: u16 = 1 << self.newest.slot();
        let holes = self.holes[1 - side.index()] & !own;
        let page = |slot: usize| match holes & (1 << slot) {
            0 => self.newest.page(side, slot, boot_id),
            _ => vec![0; SLOT_BYTES],
        };
        let name = side.file_name(self.newest.key);
        write_new(files, &name, &(0..SLOTS).map(page).collect::<Vec<_>>().concat())?;
        adopt_new(files, &name)?;
        files.sync_dir()?;
        self.holes[side.index()] = holes;
        self.is_missing[side.index()] = false;
        Ok(())
    }

    /// Makes `wanted` durable in A, then in B; afterwards its range may be used. What already is reserved for
    /// the same plan costs nothing. The plans in `over` are let go with it.
    pub(super) fn reserve<F: Files>(
        &mut self,
        files: &mut F,
        wanted: &Reservation,
        over: &[[u8; 32]],
        boot_id: &[u8; 16],
    ) -> Result<(), StoreError> {
        let is_held = |held: &Reservation| held.is_same_plan(wanted) && wanted.next_free <= held.next_free;
        if self.unreadable > 0 && !self.newest.counters.reservations.iter().any(is_held) {
            return Err(StoreError::CounterDamaged { key: wanted.key, unreadable: self.unreadable });
        }
        let Some(counters) = self.newest.counters.with(wanted, over)? else { return Ok(()) };
        let Some(seq_after) = self.seq_next.checked_add(1) else {
            let reason = "its numbers are exhausted".to_owned();
            return Err(StoreError::CounterLost { key: wanted.key, reason });
        };
        self.newest = Record { seq: self.seq_next, counters, key: wanted.key };
        self.seq_next = seq_after;
        for side in Side::BOTH {
            self.write(files, side, self.newest.slot(), boot_id)?;
            files.sync(&side.file_name(wanted.key))?;
        }
        self.repair(files, boot_id)
    }

    /// Damaged slots get copies of the newest record, which is durable in both files by now. No slot is damaged
    /// in both here, or the reservation would have been refused: the evidence of a loss stays.
    fn repair<F: Files>(&mut self, files: &mut F, boot_id: &[u8; 16]) -> Result<(), StoreError> {
        debug_assert_eq!(self.holes[0] & self.holes[1], 0, "a new reservation beside lost slots");
        for side in Side::BOTH {
            if self.holes[side.index()] == 0 {
                continue;
            }
            for slot in 0..SLOTS {
                if self.holes[side.index()] & (1 << slot) != 0 {
                    self.write(files, side, slot, boot_id)?;
                }
            }
            files.sync(&side.file_name(self.newest.key))?;
        }
        Ok(())
    }

    fn write<F: Files>(
        &mut self,
        files: &mut F,
        side: Side,
        slot: usize,
        boot_id: &[u8; 16],
    ) -> Result<(), StoreError> {
        let name = side.file_name(self.newest.key);
        let page = self.newest.page(side, slot, boot_id);
        files.write_at(&name, (slot * SLOT_BYTES) as u64, &page)?;
        self.holes[side.index()] &= !(1 << slot);
        Ok(())
    }
}

/// Whether a reservation can be right at all: 2 <= base < next_free <= 65 535 (the last FCnt handed out is 65 534).
pub(super) fn is_legal(wanted: &Reservation) -> bool {
    FCNT_FIRST <= wanted.base && wanted.base < wanted.next_free && wanted.next_free <= NEXT_FREE_MAX
}
