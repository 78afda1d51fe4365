//! Which batches of a group are proved, and the trials of the others: one record on disk.

use super::batch::BATCH_BYTES;
use super::batch::Batch;
use super::trial::Trial;
use super::trial::take;
use crate::lorawan::KeyFingerprint;
use std::collections::BTreeMap;

const VERSION: u8 = 3;
/// Batches that are remembered as proved, at most.
const PROVED_MAX: usize = 255;

/// What is known of the batches of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proofs {
    /// The batches that are proved, the newest last.
    proved: Vec<Batch>,
    /// The first counter that no question to canaries has used; it never falls.
    pub(super) next_fcnt: u32,
    /// The setup that the trials are of.
    pub(super) setup: [u8; 8],
    pub(super) trials: BTreeMap<Batch, Trial>,
}

impl Proofs {
    /// Whether the batch is proved.
    pub(super) fn has(&self, batch: Batch) -> bool {
        self.proved.contains(&batch)
    }

    /// The batch is proved: its trial is over.
    pub(super) fn prove(&mut self, batch: Batch) {
        self.trials.remove(&batch);
        if !self.has(batch) {
            self.proved.push(batch);
        }
        let over = self.proved.len().saturating_sub(PROVED_MAX);
        self.proved.drain(..over);
    }

    /// Another setup begins: what was tried for the one before is over.
    pub(super) fn begin(&mut self, setup: [u8; 8]) {
        if self.setup != setup {
            self.setup = setup;
            self.trials.clear();
        }
    }

    /// Its bytes on disk.
    pub(super) fn to_bytes(&self, key: KeyFingerprint) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(key.as_bytes());
        bytes.extend(self.setup);
        bytes.extend(self.next_fcnt.to_le_bytes());
        bytes.push(self.proved.len() as u8);
        self.proved.iter().for_each(|batch| bytes.extend(batch.to_bytes()));
        self.trials.iter().for_each(|(batch, trial)| trial.write(*batch, &mut bytes));
        bytes
    }

    /// Reads what [`Proofs::to_bytes`] wrote for the key.
    pub(super) fn from_bytes(key: KeyFingerprint, bytes: &[u8]) -> Option<Proofs> {
        let mut rest = bytes.strip_prefix(&[VERSION])?.strip_prefix(key.as_bytes())?;
        let setup = take(&mut rest)?;
        let next_fcnt = u32::from_le_bytes(take(&mut rest)?);
        let [count] = take(&mut rest)?;
        let one = |rest: &mut &[u8]| take::<BATCH_BYTES>(rest).map(Batch::from_bytes);
        let proved = (0..count).map(|_| one(&mut rest)).collect::<Option<_>>()?;
        let trials = core::iter::from_fn(|| Trial::read(&mut rest)).collect();
        Some(Proofs { proved, next_fcnt, setup, trials })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::setup::Window;
    use crate::fleet::trial::TrialSession;
    use crate::lorawan::Eui64;
    use crate::time::GpsTime;

    #[test]
    fn proofs_and_trials_are_the_same_after_they_were_on_disk_and_nobodys_under_another_key() {
        let key = KeyFingerprint::from_bytes([7; 16]);
        let session = TrialSession {
            window: Window { start: GpsTime::from_us(1_400_000_000_000_000), exponent: 6 },
            canaries: vec![Eui64::from_bytes([1; 8]), Eui64::from_bytes([2; 8])],
            block_ack_delay: 5,
            questions: 1,
            asked: Some(GpsTime::from_us(1_400_000_010_000_001)),
        };
        let unanswered = [(Eui64::from_bytes([3; 8]), 2)].into();
        let trial = Trial { session: Some(session), lapses: 3, unanswered, is_doubted: true };
        let trials = [(Batch::named("one"), trial), (Batch::named("two"), Trial::default())].into();
        let mut proofs = Proofs { next_fcnt: 9, setup: [5; 8], trials, ..Proofs::default() };
        proofs.prove(Batch::named("three"));
        let bytes = proofs.to_bytes(key);
        assert_eq!(Proofs::from_bytes(key, &bytes), Some(proofs.clone()));
        assert!(proofs.has(Batch::named("three")) && !proofs.has(Batch::named("one")));
        assert_eq!(Proofs::from_bytes(KeyFingerprint::from_bytes([8; 16]), &bytes), None);
        for end in 0..bytes.len() {
            let _ = Proofs::from_bytes(key, &bytes[..end]);
        }
        proofs.begin([5; 8]);
        assert_eq!(proofs.trials.len(), 2);
        proofs.begin([6; 8]);
        assert_eq!((proofs.trials.len(), proofs.next_fcnt), (0, 9), "counters stay used");
    }
}
