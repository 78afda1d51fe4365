//! The records of a group's devices: so many devices in one, each replaced as a whole.

use super::progress::FORMER_BYTES;
use super::progress::PROGRESS_BYTES;
use super::progress::Progress;
use crate::lorawan::Eui64;
use crate::lorawan::KeyFingerprint;
use crate::store::FleetRecord;
use crate::store::RecordId;
use sha2::Digest;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Devices of one record: its file stays below 6 KiB, and one answer writes one file.
pub(super) const DEVICES: usize = 64;
/// Version 1 does not know which fragmentation session a device holds.
const VERSIONS: [u8; 2] = [1, 2];
const DEVICE_BYTES: usize = 8 + PROGRESS_BYTES;
const FORMER_DEVICE_BYTES: usize = 8 + FORMER_BYTES;

/// Records of one group, at most.
const SHARDS_MAX: usize = 1024;

/// The index of the record of a campaign's start.
pub(super) const START: usize = usize::MAX;
/// The index of the record of what is proved.
pub(super) const PROOFS: usize = usize::MAX - 1;

/// The name of the `index`-th record of the devices that share a key.
pub(super) fn id(key: KeyFingerprint, index: usize) -> RecordId {
    let hash = Sha256::new()
        .chain_update(b"fuotad fleet record")
        .chain_update(key.as_bytes())
        .chain_update((index as u64).to_le_bytes())
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    RecordId(id)
}

/// The bytes of a record: the version, the key that the devices share, then the devices.
pub(super) fn write<'a>(
    key: KeyFingerprint,
    devices: impl Iterator<Item = (Eui64, &'a Progress)>,
) -> Vec<u8> {
    let mut bytes = vec![VERSIONS[1]];
    bytes.extend(key.as_bytes());
    for (dev_eui, progress) in devices {
        bytes.extend(dev_eui.as_bytes());
        bytes.extend(progress.to_bytes());
    }
    bytes
}

/// The devices of all records of a key. A device that moved from one record to another is in both for a while: the
/// record that used more item numbers is the newer one.
pub(super) fn read(key: KeyFingerprint, records: &[FleetRecord]) -> BTreeMap<Eui64, Progress> {
    let ids: BTreeSet<RecordId> = (0..SHARDS_MAX).map(|index| id(key, index)).collect();
    let mut devices: BTreeMap<Eui64, Progress> = BTreeMap::new();
    // Other records of the key begin with the same bytes.
    for record in records.iter().filter(|record| ids.contains(&record.id)) {
        let Some((version, rest)) = record.bytes.split_first() else { continue };
        let Some(rest) = rest.strip_prefix(key.as_bytes()).filter(|_| VERSIONS.contains(version)) else {
            continue;
        };
        let size = if *version == VERSIONS[0] { FORMER_DEVICE_BYTES } else { DEVICE_BYTES };
        for device in rest.chunks_exact(size) {
            let Some((dev_eui, known)) = device.split_first_chunk() else { continue };
            let mut bytes = [0; PROGRESS_BYTES];
            bytes[..known.len()].copy_from_slice(known);
            let progress = Progress::from_bytes(&bytes);
            let known = devices.entry(Eui64::from_bytes(*dev_eui)).or_insert(progress);
            if progress.next_item_no > known.next_item_no {
                *known = progress;
            }
        }
    }
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_again_and_another_keys_records_are_left_alone() {
        let [key, other] = [1, 2].map(|byte| KeyFingerprint::from_bytes([byte; 16]));
        let progress = |next_item_no| Progress { next_item_no, ..Progress::default() };
        let record = |index, devices: &[(u8, u32)]| {
            let devices: Vec<(Eui64, Progress)> =
                devices.iter().map(|(last, item)| (Eui64::from_bytes([*last; 8]), progress(*item))).collect();
            let bytes = write(key, devices.iter().map(|(dev_eui, progress)| (*dev_eui, progress)));
            FleetRecord { id: id(key, index), bytes }
        };
        let records = [record(0, &[(1, 5), (2, 3)]), record(1, &[(1, 7), (2, 1), (3, 0)])];
        let read_items =
            |key| read(key, &records).values().map(|progress| progress.next_item_no).collect::<Vec<_>>();
        assert_eq!(read_items(key), [7, 3, 0]);
        assert_eq!(read_items(other), Vec::<u32>::new());
        assert_ne!(id(key, 0), id(key, 1));
        assert_ne!(id(key, 0), id(other, 0));
    }

    #[test]
    fn the_bytes_of_a_record_stay_what_they_are() {
        let bytes = write(
            KeyFingerprint::from_bytes([9; 16]),
            [(Eui64::from_bytes([7; 8]), &Progress { ts004: 2, ..Progress::default() })].into_iter(),
        );
        assert_eq!(bytes.len(), 1 + 16 + DEVICE_BYTES);
        assert_eq!((bytes[0], bytes[1], bytes[17], bytes[33]), (2, 9, 7, 2));
    }

    #[test]
    fn what_begins_like_a_record_of_devices_and_is_called_otherwise_says_nothing_of_devices() {
        let key = KeyFingerprint::from_bytes([9; 16]);
        let progress = Progress { next_item_no: 70_000, ..Progress::default() };
        let bytes = write(key, [(Eui64::from_bytes([7; 8]), &progress)].into_iter());
        for index in [START, PROOFS] {
            let other = FleetRecord { id: id(key, index), bytes: bytes.clone() };
            assert_eq!(read(key, &[other]), BTreeMap::new());
        }
    }

    #[test]
    fn a_record_of_an_earlier_release_says_what_it_said_then() {
        let key = KeyFingerprint::from_bytes([9; 16]);
        let [first, second] = [7, 8].map(|byte| Eui64::from_bytes([byte; 8]));
        let progress = Progress { ts004: 2, done: 7, next_item_no: 5, questions: 3, ..Progress::default() };
        let devices = [(first, &progress), (second, &progress)];
        let now = write(key, devices.into_iter());
        // Version 1 ended where the session that a device holds begins.
        let mut former = vec![1];
        former.extend(key.as_bytes());
        now[17..].chunks(DEVICE_BYTES).for_each(|device| former.extend(&device[..FORMER_DEVICE_BYTES]));
        assert_eq!(former.len(), 17 + 2 * 80);
        let known = read(key, &[FleetRecord { id: id(key, 0), bytes: former }]);
        assert_eq!(known, [(first, progress), (second, progress)].into());
        let held = Progress { holds: [6; 8], ..progress };
        let bytes = write(key, [(first, &held)].into_iter());
        assert_eq!(read(key, &[FleetRecord { id: id(key, 0), bytes }]), [(first, held)].into());
    }
}
