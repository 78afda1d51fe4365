//! What the devices of a group's newest campaign hold, as the records of its loop say.

use super::course::Known;
use crate::answers::Holding;
use crate::answers::Roll;
use crate::lorawan::Eui64;
use crate::lorawan::KeyFingerprint;
use crate::store::FleetRecord;
use crate::store::RecordId;
use crate::task::TaskId;
use sha2::Digest;
use sha2::Sha256;
use std::collections::BTreeMap;

/// Records of one group, at most: they hold 200 devices each.
pub(super) const RECORDS_MAX: usize = 32;

/// What the devices of a group's newest campaign hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResults {
    /// The task that the campaign carried out.
    pub task: TaskId,
    /// The devices that the campaign was for.
    pub holdings: BTreeMap<Eui64, Holding>,
    /// The campaign was for some devices of the group; the others held the image before.
    pub is_for_some: bool,
}

impl KeptResults {
    /// Those of the group with this key, from the records of a state folder; `None` where no release kept any.
    pub fn read(key: KeyFingerprint, records: &[FleetRecord]) -> Option<KeptResults> {
        let mut results: Option<KeptResults> = None;
        for record in parts_of(key, records) {
            let Some((head, part)) = Known::read(key, &record.bytes) else { continue };
            let Some(task) = head.task else { continue };
            let of = results.get_or_insert_with(|| KeptResults {
                task: task.clone(),
                holdings: BTreeMap::new(),
                is_for_some: head.is_for_some,
            });
            if of.task == task {
                of.holdings.extend(Roll::of_part(part));
            }
        }
        results
    }
}

/// The records of the group with this key in their order. Behind those of the newest campaign there may be some of one
/// with more devices.
pub(super) fn parts_of(key: KeyFingerprint, records: &[FleetRecord]) -> impl Iterator<Item = &FleetRecord> {
    let part = move |part| records.iter().find(|record| record.id == id(key, part));
    (0..RECORDS_MAX).filter_map(part)
}

/// The name of a part of the record of the group with this key.
pub(super) fn id(key: KeyFingerprint, part: usize) -> RecordId {
    let hash = Sha256::new()
        .chain_update(b"fuotad answers record")
        .chain_update(key.as_bytes())
        .chain_update((part as u64).to_le_bytes())
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    RecordId(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::AnswerWindow;
    use crate::answers::Habit;
    use crate::answers::Sent;
    use crate::answers::Session;
    use crate::answers::Whom;
    use crate::engine::course::Course;
    use crate::lorawan::PackageVersion;

    const KEY: KeyFingerprint = KeyFingerprint::from_bytes([9; 16]);
    /// Where version 3 says what earlier campaigns sent.
    const BEFORE: core::ops::Range<usize> = 38..42;

    fn session(nb_frag: u16, crc32: Option<u32>) -> Session {
        Session {
            frag_index: 0,
            nb_frag,
            version: PackageVersion::V1,
            habit: Habit::AsMeant,
            crc32,
            window: AnswerWindow::default(),
        }
    }

    fn device(number: u16) -> Eui64 {
        let [high, low] = number.to_be_bytes();
        Eui64::from_bytes([0x70, 0xb3, 0xd5, 0, 0, 0, high, low])
    }

    /// The records of a campaign for devices with these numbers, of which the first misses five fragments.
    fn records(task: &str, devices: core::ops::Range<u16>, is_for_some: bool) -> Vec<FleetRecord> {
        let devices: Vec<Eui64> = devices.map(device).collect();
        let mut course = Course::new(TaskId::new(task).unwrap(), 7, session(100, Some(3)), &devices);
        (course.is_for_some, course.before) = (is_for_some, Sent { last_n: 0, frames: 40 });
        course.roll.tell(devices[0]);
        course.roll.set_sent(Sent { last_n: 130, frames: 130 });
        course.roll.ask(Whom::All);
        course.roll.hear(devices[0], 1, &[0x01, 95, 0, 5, 0]).unwrap();
        let head = course.head(KEY);
        let parts = course.roll.parts().enumerate();
        parts
            .map(|(part, roll)| FleetRecord { id: id(KEY, part), bytes: [&head[..], &roll].concat() })
            .collect()
    }

    #[test]
    fn what_devices_hold_is_read_from_the_records_of_the_newest_campaign_alone() {
        let before = records("meters-1", 0..450, false);
        let newest = records("meters-1~2", 10..13, true);
        assert_eq!((before.len(), newest.len()), (3, 1));
        // The store names them by their digests, in whatever order.
        let all: Vec<FleetRecord> = before[1..].iter().rev().chain(&newest).cloned().collect();
        let results = KeptResults::read(KEY, &all).unwrap();
        assert_eq!((results.task.as_str(), results.is_for_some), ("meters-1~2", true));
        let missing = (device(10), Holding::Missing(5));
        let others = [11, 12].map(|number| (device(number), Holding::NotTold));
        assert_eq!(results.holdings, [missing].into_iter().chain(others).collect());
        assert_eq!(KeptResults::read(KEY, &before).unwrap().holdings.len(), 450);
        assert_eq!(KeptResults::read(KeyFingerprint::from_bytes([8; 16]), &all), None);
    }

    #[test]
    fn a_campaign_of_an_earlier_life_has_the_devices_that_it_was_for() {
        let all: Vec<Eui64> = (0..20).map(device).collect();
        for (is_for_some, devices) in [(true, 3), (false, 20)] {
            let records = records("meters-1~2", 10..13, is_for_some);
            let bytes = records.iter().map(|record| record.bytes.as_slice());
            let course = Course::of_records(KEY, bytes, session, &all).unwrap();
            assert_eq!((course.roll.each().count(), course.is_for_some), (devices, is_for_some));
            assert_eq!((course.before.frames, course.roll.sent().frames), (40, 130));
            assert_eq!(course.roll.holding(device(10)), Some(Holding::Missing(5)));
        }
    }

    #[test]
    fn a_record_of_an_earlier_release_says_what_it_said_then() {
        let mut records = records("meters-1", 0..3, false);
        let bytes = &mut records[0].bytes;
        assert_eq!((bytes[0], &bytes[BEFORE]), (3, &40_u32.to_le_bytes()[..]));
        bytes.drain(BEFORE);
        bytes[0] = 2;
        let results = KeptResults::read(KEY, &records).unwrap();
        assert_eq!((results.task.as_str(), results.holdings.len()), ("meters-1", 3));
        assert_eq!(results.holdings[&device(0)], Holding::Missing(5));
        let bytes = records.iter().map(|record| record.bytes.as_slice());
        let course = Course::of_records(KEY, bytes, session, &[device(0)]).unwrap();
        assert_eq!((course.before.frames, course.roll.sent().frames), (0, 130));
    }
}
