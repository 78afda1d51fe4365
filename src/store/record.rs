//! Records that are replaced as a whole: the caller's bytes and a trailer.

use core::fmt;

use crate::store::bytes::array;

/// The most bytes of one task record: 256 KiB.
pub const TASK_BYTES_MAX: usize = 256 << 10;

const TRAILER_BYTES: usize = 40;
const VERSION: u16 = 1;

/// The name of a task in the store: 16 bytes, for instance of the digest of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId(pub [u8; 16]);

/// 32 lower-case hex digits.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Everything to be remembered about one task; the store does not look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Name of the task in the store.
    pub id: RecordId,
    /// The record itself, at most [`TASK_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

/// The most bytes of one record of devices: 8 KiB.
pub const FLEET_BYTES_MAX: usize = 8 << 10;

/// The dialogues with some devices of one group, or which tasks are paused; the store does not look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetRecord {
    /// Name of the record in the store.
    pub id: RecordId,
    /// The record itself, at most [`FLEET_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

/// What kind of record a trailer closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Task,
    /// Of earlier releases only.
    Report,
    Key,
    Fleet,
}

impl Kind {
    fn magic(self) -> [u8; 4] {
        match self {
            Kind::Task => *b"FTTK",
            Kind::Report => *b"FTRP",
            Kind::Key => *b"FTKY",
            Kind::Fleet => *b"FTFL",
        }
    }
}

/// A record as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    Whole { id: RecordId, seq: u64, bytes: Vec<u8> },
    Damaged,
    Newer(u16),
}

/// `bytes` with their trailer: id 16, number 8, length 4, magic 4, version 2, zero 2, CRC-32C of it all.
pub(super) fn close(kind: Kind, id: RecordId, seq: u64, bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(bytes.len() + TRAILER_BYTES);
    file.extend(bytes);
    file.extend(id.0);
    file.extend(seq.to_le_bytes());
    file.extend((bytes.len() as u32).to_le_bytes());
    file.extend(kind.magic());
    file.extend(VERSION.to_le_bytes());
    file.extend([0; 2]);
    file.extend(crc32c::crc32c(&file).to_le_bytes());
    file
}

/// Takes the trailer off again.
pub(super) fn open(kind: Kind, mut file: Vec<u8>) -> Sealed {
    let Some(length) = file.len().checked_sub(TRAILER_BYTES) else { return Sealed::Damaged };
    let (body, crc) = file.split_at(file.len() - 4);
    let trailer = &body[length..];
    let is_whole = crc32c::crc32c(body).to_le_bytes() == crc && array(trailer, 28) == kind.magic();
    if !is_whole {
        return Sealed::Damaged;
    }
    let version = u16::from_le_bytes(array(trailer, 32));
    if version > VERSION {
        return Sealed::Newer(version);
    }
    if u32::from_le_bytes(array(trailer, 24)) as usize != length {
        return Sealed::Damaged;
    }
    let (id, seq) = (RecordId(array(trailer, 0)), u64::from_le_bytes(array(trailer, 16)));
    file.truncate(length);
    Sealed::Whole { id, seq, bytes: file }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_cut_short_or_flipped_anywhere_is_damaged() {
        let whole = close(Kind::Task, RecordId([1; 16]), 5, b"a task");
        let expected = Sealed::Whole { id: RecordId([1; 16]), seq: 5, bytes: b"a task".to_vec() };
        assert_eq!(open(Kind::Task, whole.clone()), expected);
        assert_eq!(open(Kind::Report, whole.clone()), Sealed::Damaged);
        for bit in 0..whole.len() * 8 {
            let mut file = whole.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(Kind::Task, file), Sealed::Damaged, "bit {bit}");
            assert_eq!(open(Kind::Task, whole[..bit / 8].to_vec()), Sealed::Damaged);
        }
    }

    proptest! {
        #[test]
        fn hostile_records_never_panic(file in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut closed = file.clone();
            closed.extend(crc32c::crc32c(&closed).to_le_bytes());
            let _ = open(Kind::Task, file);
            let _ = open(Kind::Task, closed);
        }
    }
}
