//! Tasks that are over: none of them runs again as long as it is still there.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Records of finished tasks that are kept at most; the store holds a few more files than that.
const KEPT: usize = 200;

/// Finished tasks in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub struct History {
    over: BTreeMap<[u8; 16], u64>,
    /// Those that somebody still orders: forgetting one of them would run it again.
    present: BTreeSet<[u8; 16]>,
    next: u64,
}

impl History {
    /// Whether the task is over.
    pub fn holds(&self, record: &[u8; 16]) -> bool {
        self.over.contains_key(record)
    }

    /// A former run finished the task as its `order`-th.
    pub fn restore(&mut self, record: [u8; 16], order: u64) {
        self.over.insert(record, order);
        self.next = self.next.max(order.saturating_add(1));
    }

    /// The number of the next task to end.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The task has ended now; its source still has it.
    pub fn add(&mut self, record: [u8; 16]) {
        self.restore(record, self.next);
        self.present.insert(record);
    }

    /// The finished task was seen at its source.
    pub fn seen(&mut self, record: [u8; 16]) {
        self.present.insert(record);
    }

    /// The finished task is not at its source any more.
    pub fn gone(&mut self, record: &[u8; 16]) {
        self.present.remove(record);
    }

    /// Takes out the oldest task that nobody orders any more, when there are too many.
    pub fn forget(&mut self) -> Option<[u8; 16]> {
        if self.over.len() <= KEPT {
            return None;
        }
        let candidates = self.over.iter().filter(|(record, _)| !self.present.contains(*record));
        let record = candidates.min_by_key(|(_, order)| **order).map(|(record, _)| *record)?;
        self.over.remove(&record);
        Some(record)
    }

    /// Whether one more task can be remembered when it is over.
    pub fn has_room(&self) -> bool {
        self.over.len() <= KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: usize) -> [u8; 16] {
        (n as u128).to_be_bytes()
    }

    #[test]
    fn the_oldest_that_nobody_orders_any_more_is_forgotten_first() {
        let mut history = History::default();
        for n in 0..=KEPT {
            history.add(record(n));
        }
        assert_eq!(history.forget(), None, "all are still in the folder");
        history.gone(&record(7));
        history.gone(&record(3));
        assert_eq!(history.forget(), Some(record(3)));
        assert!(history.holds(&record(7)) && !history.holds(&record(3)));
        assert_eq!(history.forget(), None, "few enough now");
    }

    #[test]
    fn what_a_former_run_finished_is_older_than_what_this_one_does() {
        let mut history = History::default();
        history.restore(record(5), 41);
        assert_eq!(history.next(), 42);
    }

    #[test]
    fn the_last_number_there_is_stays_the_last() {
        let mut history = History::default();
        history.restore([1; 16], u64::MAX);
        assert_eq!(history.next(), u64::MAX);
        history.add([2; 16]);
        assert!(history.holds(&[1; 16]) && history.holds(&[2; 16]));
    }
}
