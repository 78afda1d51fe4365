//! Tasks that the operator paused: one small record, written anew with each change.

use crate::store::FleetRecord;
use crate::store::RecordId;
use sha2::Digest;
use sha2::Sha256;
use std::collections::BTreeSet;

/// The format of the record, its first byte.
const VERSION: u8 = 1;
const ID_BYTES: usize = 16;
/// Tasks that are paused at the same time, at most; a record of devices has room for more.
const PAUSED_MAX: usize = 256;

/// The tasks that are paused. One that its source has not told yet in this life is among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses(BTreeSet<RecordId>);

impl Pauses {
    /// What the record of an earlier life says, where there is one.
    pub fn restore(records: &[FleetRecord]) -> Pauses {
        let record = records.iter().find(|record| record.id == Pauses::id());
        let ids = record.and_then(|record| record.bytes.strip_prefix(&[VERSION])).unwrap_or_default();
        let ids = ids.as_chunks::<ID_BYTES>().0.iter().map(|id| RecordId(*id));
        Pauses(ids.take(PAUSED_MAX).collect())
    }

    /// The name of the record in the store.
    pub fn id() -> RecordId {
        let hash = Sha256::new().chain_update(b"fuotad paused tasks").finalize();
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash[..ID_BYTES]);
        RecordId(id)
    }

    /// Whether this task is paused.
    pub fn holds(&self, task: &RecordId) -> bool {
        self.0.contains(task)
    }

    /// The task is paused; whether it was not. When there are too many, those go that nobody `is_known` as.
    pub fn add(&mut self, task: RecordId, is_known: impl Fn(&RecordId) -> bool) -> bool {
        if self.0.len() >= PAUSED_MAX {
            self.0.retain(is_known);
        }
        self.0.insert(task)
    }

    /// The task is not paused; whether it was.
    pub fn remove(&mut self, task: &RecordId) -> bool {
        self.0.remove(task)
    }

    /// All of them, for the store.
    pub fn record(&self) -> FleetRecord {
        let ids = self.0.iter().flat_map(|id| id.0);
        FleetRecord { id: Pauses::id(), bytes: std::iter::once(VERSION).chain(ids).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: u16) -> RecordId {
        let mut id = [0; ID_BYTES];
        id[..2].copy_from_slice(&n.to_be_bytes());
        RecordId(id)
    }

    #[test]
    fn what_was_paused_is_paused_in_the_next_life_and_other_records_say_nothing_of_it() {
        let mut pauses = Pauses::default();
        assert!(pauses.add(task(1), |_| true) && pauses.add(task(2), |_| true));
        assert!(!pauses.add(task(2), |_| true), "it was paused before");
        assert!(pauses.remove(&task(1)) && !pauses.remove(&task(1)));
        let other = FleetRecord { id: task(7), bytes: vec![VERSION; 17] };
        let restored = Pauses::restore(&[other.clone(), pauses.record()]);
        assert!(restored == pauses && restored.holds(&task(2)) && !restored.holds(&task(1)));
        assert_eq!(Pauses::restore(&[other]), Pauses::default());
    }

    #[test]
    fn the_record_stays_small_whatever_is_paused() {
        let mut pauses = Pauses::default();
        for n in 0..2_000 {
            pauses.add(task(n), |known| *known == task(3));
        }
        assert!(pauses.holds(&task(3)) && pauses.holds(&task(1_999)) && !pauses.holds(&task(4)));
        assert!(pauses.record().bytes.len() <= crate::store::FLEET_BYTES_MAX);
    }
}
