//! What an operator does to a task that is not over: pause, resume, cancel.

use super::io::TaskSource;
use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::task_book::TaskBook;
use crate::campaign::Campaign;
use crate::campaign::Session;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::store::Change;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Now;

/// What an operator does to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// No frame of it until it is resumed, across restarts.
    Pause,
    /// It goes on where it was.
    Resume,
    /// It is over for good, although its source may still order it.
    Cancel,
}

/// Why a verb changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerbError {
    /// No task has this id.
    #[error("no task is called {0}: `fuotad tasks` has those that are not over, `fuotad history` the others")]
    Unknown(TaskId),
    /// The task is over, and how it ended.
    #[error("{0} is over: {1}")]
    Over(TaskId, String),
    /// The task is paused already.
    #[error("{0} is paused already: `fuotad resume {0}` lets it go on")]
    IsPaused(TaskId),
    /// The task is not paused.
    #[error("{0} is not paused: there is nothing to resume")]
    NotPaused(TaskId),
    /// Storage failed before, so nothing can be kept.
    #[error("nothing can be kept any more ({0}): restart the service when its disk works")]
    Halted(String),
}

/// What a verb changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The tasks that it changed: one for each group of the document, where it was named.
    pub tasks: Vec<TaskId>,
    /// The change is durable with the answer to this save.
    pub save: u64,
    /// Where the tasks came from.
    pub source: TaskSource,
    /// Whether a frame was handed over before, of which the last may still be with the packet forwarder.
    pub has_begun: bool,
    /// When the last session ends that devices were told.
    pub sessions_end: Option<GpsTime>,
}

impl TaskBook {
    /// The open tasks that are meant by `id`: the task of this name, or all of this document.
    ///
    /// # Errors
    /// There is no such task.
    pub fn meant(&self, id: &TaskId) -> Result<Vec<TaskId>, VerbError> {
        let open = self.of_document(id);
        if !open.is_empty() {
            return Ok(open);
        }
        Err(match self.how_it_ended(id) {
            Some(outcome) => VerbError::Over(id.clone(), outcome),
            None => VerbError::Unknown(id.clone()),
        })
    }

    /// What is to be said of these tasks beforehand.
    pub fn done(&self, now: Now, tasks: Vec<TaskId>) -> Done {
        let open = || tasks.iter().filter_map(|id| self.get(id));
        let campaigns = open().filter_map(OpenTask::campaign);
        let sessions = campaigns.flat_map(|campaign| campaign.calendar().begin().sessions());
        let sessions_end =
            sessions.copied().map(Session::end).filter(|end| now.gps.is_none_or(|gps| *end > gps)).max();
        let source = open().map(OpenTask::source).next().unwrap_or(TaskSource::File);
        let has_begun = open().filter_map(OpenTask::campaign).any(Campaign::has_begun);
        Done { tasks, save: 0, source, has_begun, sessions_end }
    }

    /// Whether the operator paused the task.
    pub fn is_paused(&self, id: &TaskId) -> bool {
        self.pauses().holds(&RecordId(id.record_id()))
    }

    /// No frame of these tasks until they are resumed; those that were not paused before.
    pub fn pause(&mut self, now: Now, tasks: &[TaskId], outbox: &mut Outbox) -> Vec<TaskId> {
        let known: Vec<RecordId> = self.open().values().map(OpenTask::record_id).collect();
        let mut paused = Vec::new();
        for id in tasks {
            if self.pauses_mut().add(RecordId(id.record_id()), |record| known.contains(record)) {
                self.waiting(now, id, Wait::event(WaitReason::Paused), outbox);
                paused.push(id.clone());
            }
        }
        paused
    }

    /// These tasks go on where they were; those that were paused.
    pub fn resume(&mut self, now: Now, tasks: &[TaskId]) -> Vec<TaskId> {
        let mut resumed = Vec::new();
        for id in tasks {
            if self.pauses_mut().remove(&RecordId(id.record_id())) {
                self.get_mut(id).into_iter().for_each(|open_task| open_task.go_on(now.mono));
                resumed.push(id.clone());
            }
        }
        resumed
    }

    /// Makes durable who is paused; the save.
    pub fn save_pauses(&self, outbox: &mut Outbox) -> u64 {
        outbox.save(Change::Fleet(self.pauses().record()))
    }
}
