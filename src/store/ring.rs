//! A ring of pages in one file that is made at the first start and never grows: what goes into it needs no room
//! on the disk later. Each write goes into the slot after the last one, so a torn write costs one write.

use crate::store::bytes::array;
use crate::store::error::StoreError;
use crate::store::files::Files;
use crate::store::new_file::adopt_new;
use crate::store::new_file::write_new;

/// Bytes before the payload: magic 4, version 2, slot 1, flags 1, number 8.
pub(super) const HEADER_BYTES: usize = 16;
const CRC_BYTES: usize = 4;
const VERSION: u16 = 1;

/// The shape of one ring file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Name of the ring file in the state folder.
    pub(super) name: &'static str,
    /// What its pages begin with.
    pub(super) magic: [u8; 4],
    /// Number of slots in the file.
    pub(super) slots: usize,
    /// Bytes of one slot; a multiple of what a flash device writes.
    pub(super) slot_bytes: usize,
}

/// What a ring file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading<T> {
    /// The newest entry; `None` if none was ever written or none can be read.
    pub(super) newest: Option<T>,
    /// Its number; 0 for none.
    pub(super) seq: u64,
    /// A newer entry may be lost: the slot that would hold it is unreadable.
    pub(super) is_damaged: bool,
    /// What the pages were flagged with when the file was made, as far as they were not written since.
    pub(super) made_with: u8,
    /// A whole page has this newer format version.
    pub(super) newer_version: Option<u16>,
}

impl Form {
    /// The most bytes of one entry.
    pub(super) const fn room(self) -> usize {
        self.slot_bytes - HEADER_BYTES - CRC_BYTES
    }

    /// One page. `payload` is at most [`Form::room`] bytes.
    pub(super) fn page(self, slot: usize, seq: u64, flags: u8, payload: &[u8]) -> Vec<u8> {
        debug_assert!(payload.len() <= self.room());
        let mut page = Vec::with_capacity(self.slot_bytes);
        page.extend(self.magic);
        page.extend(VERSION.to_le_bytes());
        page.push(slot as u8);
        page.push(flags);
        page.extend(seq.to_le_bytes());
        page.extend(payload);
        page.resize(self.slot_bytes - CRC_BYTES, 0);
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        page
    }

    /// Reads a file. `decode` turns flags and payload into an entry; what it refuses counts as unreadable.
    pub(super) fn read<T>(self, file: &[u8], decode: impl Fn(u8, &[u8]) -> Option<T>) -> Reading<T> {
        let mut reading =
            Reading { newest: None, seq: 0, is_damaged: false, made_with: 0, newer_version: None };
        let mut readable = vec![false; self.slots];
        for (slot, page) in file.chunks(self.slot_bytes).take(self.slots).enumerate() {
            match self.whole(page) {
                None => {}
                Some(body) if version(body) > VERSION => reading.newer_version = Some(version(body)),
                Some(body) => {
                    let (flags, seq) = (body[7], u64::from_le_bytes(array(body, 8)));
                    let entry = decode(flags, &body[HEADER_BYTES..]).filter(|_| seq < u64::MAX);
                    readable[slot] = entry.is_some() && usize::from(body[6]) == slot;
                    if seq == 0 {
                        reading.made_with |= flags;
                    }
                    if entry.is_some() && seq > reading.seq {
                        (reading.seq, reading.newest) = (seq, entry);
                    }
                }
            }
        }
        // The entry after the newest goes into the next slot. If that slot can be read it was never written.
        let next = (reading.seq.wrapping_add(1) % self.slots as u64) as usize;
        reading.is_damaged = !readable[next];
        reading
    }

    /// The page without its sum, when it is whole.
    fn whole(self, page: &[u8]) -> Option<&[u8]> {
        if page.len() != self.slot_bytes {
            return None;
        }
        let (body, crc) = page.split_at(self.slot_bytes - CRC_BYTES);
        (body.starts_with(&self.magic) && crc32c::crc32c(body).to_le_bytes() == crc).then_some(body)
    }

    /// Writes entry number `seq` into its slot and makes it durable.
    pub(super) fn write<F: Files>(
        self,
        files: &mut F,
        seq: u64,
        flags: u8,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let slot = (seq % self.slots as u64) as usize;
        files.write_at(self.name, (slot * self.slot_bytes) as u64, &self.page(slot, seq, flags, payload))?;
        Ok(files.sync(self.name)?)
    }

    /// Makes the file, filled with entries of number 0; it has its name durably when this returns.
    pub(super) fn create<F: Files>(self, files: &mut F, flags: u8, payload: &[u8]) -> Result<(), StoreError> {
        let pages: Vec<Vec<u8>> = (0..self.slots).map(|slot| self.page(slot, 0, flags, payload)).collect();
        write_new(files, self.name, &pages.concat())?;
        adopt_new(files, self.name)?;
        Ok(files.sync_dir()?)
    }
}

fn version(body: &[u8]) -> u16 {
    u16::from_le_bytes(array(body, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form { name: "ring", magic: *b"TEST", slots: 4, slot_bytes: 64 };

    fn one_byte(_: u8, payload: &[u8]) -> Option<u8> {
        payload.first().copied()
    }

    /// A file after `seq` writes of their own numbers.
    fn file(seq: u64) -> Vec<u8> {
        let mut pages: Vec<Vec<u8>> = (0..FORM.slots).map(|slot| FORM.page(slot, 0, 0, &[0])).collect();
        for number in 1..=seq {
            let slot = (number % 4) as usize;
            pages[slot] = FORM.page(slot, number, 0, &[number as u8]);
        }
        pages.concat()
    }

    #[test]
    fn the_newest_entry_is_the_one_with_the_highest_number() {
        for seq in 1..10 {
            let reading = FORM.read(&file(seq), one_byte);
            assert_eq!((reading.newest, reading.seq, reading.is_damaged), (Some(seq as u8), seq, false));
        }
        assert_eq!(FORM.read(&file(0), one_byte).newest, None, "number 0 is none");
    }

    #[test]
    fn an_unreadable_slot_is_damage_only_where_a_newer_entry_could_stand() {
        for slot in 0..4 {
            let mut rotten = file(5);
            rotten[slot * 64 + 20] ^= 1;
            let reading = FORM.read(&rotten, one_byte);
            assert_eq!(reading.is_damaged, slot == 1 || slot == 2, "slot {slot}");
            assert_eq!(reading.seq, if slot == 1 { 4 } else { 5 }, "slot {slot}");
        }
        assert!(FORM.read(&[], one_byte).is_damaged);
    }

    #[test]
    fn a_newer_format_is_told_apart_from_damage() {
        let mut ring = file(1);
        ring[4] = 2;
        let crc = crc32c::crc32c(&ring[..60]).to_le_bytes();
        ring[60..64].copy_from_slice(&crc);
        assert_eq!(FORM.read(&ring, one_byte).newer_version, Some(2));
    }
}
