//! Which tasks are over, once more beside their records: a record can be lost, can rot, and can find no room on a
//! full disk, and what is over must stay over. The file has its room from the first start on.

use crate::store::bytes::array;
use crate::store::record::RecordId;
use crate::store::ring::Form;

/// The most tasks that are remembered as over.
pub const ENDED_MAX: usize = 320;

/// The ring of lists; each entry is the whole list.
pub(super) const ENDED: Form = Form { name: "ended", magic: *b"FTEN", slots: 8, slot_bytes: 8192 };

const TASK_BYTES: usize = 24;

/// A task that is over, by its record id and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndedTask {
    /// Record id of the task.
    pub task: RecordId,
    /// Which of all tasks it was to end.
    pub order: u64,
}

/// The list as an entry of the ring.
pub(super) fn encode(ended: &[EndedTask]) -> Vec<u8> {
    debug_assert!(ended.len() <= ENDED_MAX);
    let mut payload = Vec::with_capacity(2 + ended.len() * TASK_BYTES);
    payload.extend((ended.len() as u16).to_le_bytes());
    for EndedTask { task, order } in ended {
        payload.extend(task.0);
        payload.extend(order.to_le_bytes());
    }
    payload
}

/// The list of an entry, unless it is none of ours.
pub(super) fn decode(payload: &[u8]) -> Option<Vec<EndedTask>> {
    let count = usize::from(u16::from_le_bytes(array(payload, 0)));
    let tasks = payload.get(2..2 + count * TASK_BYTES)?;
    let task = |bytes: &[u8]| EndedTask {
        task: RecordId(array(bytes, 0)),
        order: u64::from_le_bytes(array(bytes, 16)),
    };
    Some(tasks.chunks(TASK_BYTES).map(task).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_list_fits_its_slot_and_comes_back() {
        let task = |n: u64| EndedTask { task: RecordId([n as u8; 16]), order: n };
        let list: Vec<EndedTask> = (0..ENDED_MAX as u64).map(task).collect();
        let payload = encode(&list);
        assert!(payload.len() <= ENDED.room(), "{} of {}", payload.len(), ENDED.room());
        assert_eq!(decode(&payload), Some(list));
    }

    #[test]
    fn a_count_beyond_the_page_is_no_list() {
        assert_eq!(decode(&[0xff, 0xff, 1, 2, 3]), None);
    }
}
