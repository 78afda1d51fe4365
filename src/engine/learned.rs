//! What was learned of a group's losses: one small record in the name of its key.

use crate::answers::Learned;
use crate::lorawan::KeyFingerprint;
use crate::store::FleetRecord;
use crate::store::RecordId;
use sha2::Digest;
use sha2::Sha256;

/// The name of the record of the group with this key.
pub fn learned_id(key: KeyFingerprint) -> RecordId {
    let hash = Sha256::new().chain_update(b"fuotad learned record").chain_update(key.as_bytes()).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    RecordId(id)
}

/// What an earlier life learned of the group with this key; nothing where no record says so.
pub fn learned_of(key: KeyFingerprint, records: &[FleetRecord]) -> Learned {
    let record = records.iter().find(|record| record.id == learned_id(key));
    record.and_then(|record| Learned::from_bytes(key, &record.bytes)).unwrap_or_default()
}

/// The record that says what was learned.
pub(super) fn learned_record(key: KeyFingerprint, learned: &Learned) -> FleetRecord {
    FleetRecord { id: learned_id(key), bytes: learned.to_bytes(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::CampaignLoss;

    #[test]
    fn what_a_group_taught_is_found_again_by_its_key_and_by_no_other() {
        let [key, other] = [1, 2].map(|byte| KeyFingerprint::from_bytes([byte; 16]));
        let mut learned = Learned::default();
        learned.learn(2, CampaignLoss::Measured(20_000));
        let records = [learned_record(other, &Learned::default()), learned_record(key, &learned)];
        assert_eq!(learned_of(key, &records), learned);
        assert_eq!(learned_of(other, &records), Learned::default());
        assert_eq!(learned_of(key, &[]), Learned::default());
    }
}
