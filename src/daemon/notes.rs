//! What the loop notes of the tasks for the status page.

use super::answers::of_report;
use super::snapshot::AnswersSnapshot;
use super::snapshot::Snapshot;
use crate::task::TaskId;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// Endings and refusals that are remembered for the status page.
const REMEMBERED: usize = 16;

/// Missing images of tasks that are not over; the last endings and refusals.
#[derive(Debug, Default)]
pub struct Notes {
    missing_images: BTreeMap<TaskId, String>,
    refused: VecDeque<(String, String)>,
    finished: VecDeque<(String, String)>,
    /// What the devices of campaigns hold whose results are final.
    answers: VecDeque<AnswersSnapshot>,
}

impl Notes {
    /// The task's image is not where it should be, and why.
    pub fn image_is_missing(&mut self, task: TaskId, reason: String) {
        self.missing_images.insert(task, reason);
    }

    /// The task's image is there.
    pub fn image_came(&mut self, task: &TaskId) {
        self.missing_images.remove(task);
    }

    /// Why the image of the task with this id is not there.
    pub fn missing_image(&self, task: &str) -> Option<String> {
        let missing = self.missing_images.iter().find(|(id, _)| id.as_str() == task);
        missing.map(|(_, reason)| reason.clone())
    }

    /// Something was refused, a task or a document that is none.
    pub fn refused(&mut self, task: Option<&TaskId>, reason: &str) {
        let task = task.map_or(String::new(), TaskId::to_string);
        remember(&mut self.refused, (task, reason.to_owned()));
    }

    /// The task is over, with this outcome where it ran.
    pub fn ended(&mut self, task: &TaskId, outcome: Option<String>) {
        self.missing_images.remove(task);
        if let Some(outcome) = outcome {
            remember(&mut self.finished, (task.to_string(), outcome));
        }
    }

    /// The results of a campaign's devices are final, or were: its report.
    pub fn answered(&mut self, report: &Map<String, Value>) {
        let Some(answers) = of_report(report) else { return };
        self.answers.retain(|known| known.task != answers.task);
        if self.answers.len() == REMEMBERED {
            self.answers.pop_front();
        }
        self.answers.push_back(answers);
    }

    /// What earlier runs left, oldest first.
    pub fn restore(&mut self, reports: &[Map<String, Value>]) {
        for report in reports {
            let text = |name: &str| report.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(task), Some(outcome)) = (text("task"), text("outcome")) {
                remember(&mut self.finished, (task, outcome));
            }
            self.answered(report);
        }
    }

    /// Puts the last endings and refusals on the page, and what the devices of campaigns hold that the page knows nothing of.
    pub fn fill(&self, page: &mut Snapshot) {
        page.refused = self.refused.iter().cloned().collect();
        page.finished = self.finished.iter().cloned().collect();
        let is_new = |known: &&AnswersSnapshot| page.answers.iter().all(|shown| shown.task != known.task);
        let older: Vec<AnswersSnapshot> = self.answers.iter().filter(is_new).cloned().collect();
        page.answers.splice(..0, older);
    }
}

/// Reports of earlier runs by name and text, as objects, the oldest first.
pub fn in_order(reports: &[(String, Vec<u8>)]) -> Vec<Map<String, Value>> {
    let read = |(_, text): &(String, Vec<u8>)| serde_json::from_slice::<Map<String, Value>>(text).ok();
    let mut reports: Vec<Map<String, Value>> = reports.iter().filter_map(read).collect();
    reports.sort_by_key(|report| report.get("sequence").and_then(Value::as_u64));
    reports
}

fn remember(list: &mut VecDeque<(String, String)>, entry: (String, String)) {
    list.retain(|known| known.0 != entry.0 || entry.0.is_empty() && known.1 != entry.1);
    if list.len() == REMEMBERED {
        list.pop_front();
    }
    list.push_back(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(notes: &Notes) -> Snapshot {
        let mut page = Snapshot::default();
        notes.fill(&mut page);
        page
    }

    #[test]
    fn the_last_word_on_a_task_is_the_one_that_is_shown_and_no_more_than_some() {
        let mut notes = Notes::default();
        let task = |n: usize| TaskId::new(&format!("task-{n}")).unwrap();
        notes.refused(Some(&task(0)), "at first");
        notes.refused(Some(&task(0)), "then");
        assert_eq!(page(&notes).refused, [("task-0".to_owned(), "then".to_owned())]);
        // Documents without a task are told apart by their reasons.
        for reason in ["one", "another", "one"] {
            notes.refused(None, reason);
        }
        assert_eq!(page(&notes).refused.len(), 3);
        for n in 1..100 {
            notes.refused(Some(&task(n)), "no");
        }
        assert_eq!(page(&notes).refused.len(), REMEMBERED);
        assert_eq!(page(&notes).refused[REMEMBERED - 1].0, "task-99");
    }

    #[test]
    fn what_earlier_runs_left_is_shown_in_its_order_and_only_the_newest_of_it() {
        let report = |n: u64| {
            let text = format!(r#"{{"task":"t-{n}","outcome":"complete: {n} frames sent","sequence":{n}}}"#);
            (format!("report-{n}"), text.into_bytes())
        };
        let mut reports: Vec<(String, Vec<u8>)> = (1..=20).rev().map(report).collect();
        reports.push(("report-x".to_owned(), b"{}".to_vec()));
        reports.push(("report-y".to_owned(), b"no JSON".to_vec()));
        let mut notes = Notes::default();
        notes.restore(&in_order(&reports));
        let shown = page(&notes).finished;
        assert_eq!(shown.len(), REMEMBERED);
        assert_eq!(shown[REMEMBERED - 1], ("t-20".to_owned(), "complete: 20 frames sent".to_owned()));
        assert_eq!(shown[0].0, "t-5");
        notes.ended(&TaskId::new("t-9").unwrap(), Some("aborted: why".to_owned()));
        assert_eq!(page(&notes).finished[REMEMBERED - 1].1, "aborted: why");
    }

    #[test]
    fn what_devices_hold_is_shown_of_the_newest_campaigns_and_once_of_each() {
        let report = |n: u64, done: u64| {
            let results = serde_json::json!({ "counts": { "done": done }, "questions": 2, "end": "done", "without": {} });
            let report = serde_json::json!({
                "task": format!("t-{n}"), "outcome": "complete", "sequence": n,
                "planned": { "group": format!("g-{n}") }, "results": results,
            });
            (format!("report-{n}"), report.to_string().into_bytes())
        };
        let reports: Vec<(String, Vec<u8>)> = (1..=20).map(|n| report(n, n)).collect();
        let mut notes = Notes::default();
        notes.restore(&in_order(&reports));
        notes.answered(&in_order(&[report(7, 70)])[0]);
        let mut shown = page(&notes).answers;
        assert_eq!((shown.len(), shown[0].task.as_str()), (REMEMBERED, "t-5"));
        let newest = shown.pop().unwrap();
        assert_eq!((newest.task.as_str(), newest.group.as_str(), newest.counts.done), ("t-7", "g-7", 70));
        assert_eq!((newest.questions, newest.stage.as_str()), (2, "over"));
        assert!(shown.iter().all(|answers| answers.task != "t-7"));
        // What the engine knows itself is the newest.
        let live = AnswersSnapshot { task: "t-9".to_owned(), ..AnswersSnapshot::default() };
        let mut page = Snapshot { answers: vec![live.clone()], ..Snapshot::default() };
        notes.fill(&mut page);
        assert_eq!((page.answers.len(), page.answers.last()), (REMEMBERED, Some(&live)));
    }

    #[test]
    fn a_task_that_is_over_misses_no_image_and_is_shown_only_with_an_outcome() {
        let mut notes = Notes::default();
        let task = TaskId::new("lamps-1").unwrap();
        for outcome in [None, Some("complete".to_owned())] {
            notes.image_is_missing(task.clone(), "it is not there".to_owned());
            assert_eq!(notes.missing_image("lamps-1").as_deref(), Some("it is not there"));
            notes.ended(&task, outcome.clone());
            assert_eq!(notes.missing_image("lamps-1"), None);
        }
        assert_eq!(page(&notes).finished, [("lamps-1".to_owned(), "complete".to_owned())]);
    }
}
