//! Tasks that are over: none of them runs again as long as it is still there.

use crate::store::EndedTask;
use crate::store::RecordId;
use crate::task::TaskId;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Finished tasks that are kept at most; the store holds a few more than that.
const KEPT: usize = 200;

/// Finished tasks that are ordered again and shown, at most.
const AGAIN_MAX: usize = 16;
/// What is said of an end that nobody remembers.
pub const UNKNOWN: &str = "how is not known any more";

/// Finished tasks in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub struct FinishedTasks {
    over: BTreeMap<RecordId, u64>,
    /// How they ended, where that is known.
    outcomes: BTreeMap<RecordId, String>,
    /// Those that somebody still orders: forgetting one of them would run it again.
    present: BTreeSet<RecordId>,
    /// Those that were ordered anew in this life, by their ids.
    again: BTreeMap<TaskId, RecordId>,
    next: u64,
}

impl FinishedTasks {
    /// Whether the task is over.
    pub fn holds(&self, record: &RecordId) -> bool {
        self.over.contains_key(record)
    }

    /// A former run finished the task as its `order`-th.
    pub fn restore(&mut self, record: RecordId, order: u64) {
        self.over.entry(record).or_insert(order);
        self.next = self.next.max(order.saturating_add(1));
    }

    /// How it ended, for people.
    pub fn set_outcome(&mut self, record: RecordId, outcome: String) {
        self.outcomes.insert(record, outcome);
    }

    /// How a finished task ended.
    pub fn outcome(&self, record: &RecordId) -> Option<&str> {
        self.outcomes.get(record).map(String::as_str)
    }

    /// The number of the next task to end.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The task has ended now; its source still has it.
    pub fn add(&mut self, record: RecordId) {
        self.restore(record, self.next);
        self.present.insert(record);
    }

    /// The finished task was seen at its source; whether that is news in this life.
    pub fn seen(&mut self, record: RecordId) -> bool {
        self.present.insert(record)
    }

    /// The finished task was ordered again, which does nothing.
    pub fn ordered_again(&mut self, task: TaskId, record: RecordId) {
        if self.again.len() < AGAIN_MAX {
            self.again.insert(task, record);
        }
    }

    /// The finished tasks that are ordered again, and how each ended.
    pub fn again(&self) -> impl Iterator<Item = (&TaskId, &str)> {
        self.again.iter().map(|(task, record)| (task, self.outcome(record).unwrap_or(UNKNOWN)))
    }

    /// The finished task is not at its source any more.
    pub fn gone(&mut self, record: &RecordId) {
        self.present.remove(record);
        self.again.retain(|_, again| again != record);
    }

    /// Takes out the oldest task that nobody orders any more, when there are too many.
    pub fn forget(&mut self) -> Option<RecordId> {
        if self.over.len() <= KEPT {
            return None;
        }
        let candidates = self.over.iter().filter(|(record, _)| !self.present.contains(*record));
        let record = candidates.min_by_key(|(_, order)| **order).map(|(record, _)| *record)?;
        self.over.remove(&record);
        self.outcomes.remove(&record);
        Some(record)
    }

    /// Whether one more task can be remembered when it is over.
    pub fn has_room(&self) -> bool {
        self.over.len() <= KEPT
    }

    /// All of them, for the store.
    pub fn list(&self) -> Vec<EndedTask> {
        self.over.iter().map(|(task, order)| EndedTask { task: *task, order: *order }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: usize) -> RecordId {
        RecordId((n as u128).to_be_bytes())
    }

    #[test]
    fn the_oldest_that_nobody_orders_any_more_is_forgotten_first() {
        let mut finished = FinishedTasks::default();
        for n in 0..=KEPT {
            finished.add(record(n));
        }
        assert_eq!(finished.forget(), None, "all are still in the folder");
        finished.gone(&record(7));
        finished.gone(&record(3));
        assert_eq!(finished.forget(), Some(record(3)));
        assert!(finished.holds(&record(7)) && !finished.holds(&record(3)));
        assert_eq!(finished.forget(), None, "few enough now");
    }

    #[test]
    fn what_a_former_run_finished_is_older_than_what_this_one_does() {
        let mut finished = FinishedTasks::default();
        finished.restore(record(5), 41);
        assert_eq!(finished.next(), 42);
    }

    #[test]
    fn as_many_as_may_end_fit_the_list_on_disk() {
        let open_tasks = 64;
        assert!(KEPT + 1 + open_tasks <= crate::store::ENDED_MAX);
    }

    #[test]
    fn the_last_number_there_is_stays_the_last() {
        let mut finished = FinishedTasks::default();
        finished.restore(record(1), u64::MAX);
        assert_eq!(finished.next(), u64::MAX);
        finished.add(record(2));
        assert!(finished.holds(&record(1)) && finished.holds(&record(2)));
    }
}
