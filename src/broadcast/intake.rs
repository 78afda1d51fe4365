//! A task's way in and out: its document, its withdrawal, and what a former run left of it.

use super::broadcaster::Broadcaster;
use super::io::TaskSource;
use super::open_task::OpenTask;
use super::open_task::Stage;
use super::record::Record;
use super::record::RecordState;
use super::rounds::HELD;
use crate::cloud::task_from_cloud;
use crate::cloud::task_from_file;
use crate::report::Event;
use crate::report::Outcome;
use crate::schedule::Scheduler;
use crate::store::RecordId;
use crate::task::Task;
use crate::task::TaskId;
use crate::task::TaskStatus;
use crate::time::Now;

/// A full disk is tried again after this, microseconds.
const FULL_US: u64 = 30_000_000;
/// Tasks that are not over, at most.
const MAX_ORDERS: usize = 64;

impl Broadcaster {
    /// A task document arrived, or arrived again. `stem` is its id where it has none.
    pub fn task(
        &mut self,
        now: Now,
        scheduler: &mut Scheduler,
        document: &[u8],
        stem: &str,
        source: TaskSource,
    ) {
        let read = match source {
            TaskSource::File => task_from_file(document, stem),
            // A cloud's task must name itself, and may not point at this gateway's own files.
            TaskSource::Cloud => task_from_cloud(document),
        };
        let task = match read {
            Ok(task) => task,
            Err(error) => {
                return self.report(now, None, Event::Refused { reason: format!("task {stem}: {error}") });
            }
        };
        let record = RecordId(task.id.record_id());
        if self.finished.holds(&record) {
            let is_news = self.finished.seen(record);
            // A file is told when it is new or changed, a cloud's task whenever it is asked for.
            if is_news || source == TaskSource::File {
                let outcome =
                    self.finished.outcome(&record).unwrap_or("how is not known any more").to_owned();
                self.report(now, Some(task.id), Event::AlreadyOver { outcome });
            }
            return;
        }
        if task.status == TaskStatus::DeleteWaiting {
            return self.cancel(now, scheduler, &task.id);
        }
        if source == TaskSource::Cloud && !self.open_tasks.contains_key(&task.id) {
            // A control plane's word counts when nothing of the task was seen armed here.
            match &task.status {
                TaskStatus::FuotaDone => return,
                TaskStatus::Unknown(status) => {
                    let text =
                        format!("Status {status:?} is unknown to this version: the task is left alone");
                    return self.report(now, Some(task.id.clone()), Event::Warning { text });
                }
                _ => {}
            }
        }
        if let Some(open_task) = self.open_tasks.get_mut(&task.id) {
            open_task.is_held = false;
            open_task.waiting.take_if(|reason| reason == HELD);
        }
        let is_full = self.open_tasks.len() >= MAX_ORDERS;
        match self.open_tasks.get_mut(&task.id) {
            Some(open_task) if open_task.task.same_order(&task) => {
                open_task.task = task;
                let id = open_task.task.id.clone();
                match open_task.disagreement() {
                    Some(reason) => self.refuse(now, &id, reason),
                    None => self.settle_begin(now, &id),
                }
            }
            Some(open_task) if open_task.has_begun() => {
                let reason =
                    "the task changed after its first frame was sent: cancel it and order anew".to_owned();
                let id = task.id;
                self.report(now, Some(id), Event::Refused { reason });
            }
            _ if !self.finished.has_room() => {
                let reason = "too many finished tasks are still ordered: remove some of them".to_owned();
                self.report(now, Some(task.id), Event::Refused { reason });
            }
            _ if is_full => {
                let reason = format!("{MAX_ORDERS} tasks are open already: remove finished ones");
                self.report(now, Some(task.id), Event::Refused { reason });
            }
            _ => {
                for text in task.warnings.clone() {
                    self.report(now, Some(task.id.clone()), Event::Warning { text });
                }
                self.begin_order(task, document, stem, source, None);
            }
        }
    }

    /// The task's file is not there for the moment: no frame of it until [`Broadcaster::task`] sees its document again.
    pub fn hold(&mut self, now: Now, id: &TaskId) {
        let Some(open_task) = self.open_tasks.get_mut(id) else { return };
        open_task.is_held = true;
        self.waiting(now, id, HELD.to_owned());
    }

    /// The task is withdrawn: not one more frame of it.
    pub fn cancel(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId) {
        let Some(open_task) = self.open_tasks.get(id) else {
            return self.finished.gone(&RecordId(id.record_id()));
        };
        let sent = open_task.progress().map_or(0, |progress| progress.sent);
        self.finish(now, scheduler, &id.clone(), Outcome::Cancelled { sent });
    }

    /// The task does not begin any more; one whose first frame was sent goes on. One that was taken up after a
    /// restart and is not armed again may be either, and is left until it is.
    pub fn withdraw(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId) {
        let may_have_begun = |open_task: &OpenTask| {
            open_task.has_begun() || (open_task.resumed.is_some() && open_task.campaign().is_none())
        };
        if !self.open_tasks.get(id).is_some_and(may_have_begun) {
            self.cancel(now, scheduler, id);
        }
    }

    /// What cannot be kept costs the task that needed it; nothing else is touched.
    pub(super) fn not_kept(&mut self, now: Now, save: u64, reason: String) {
        let settling = self.open_tasks.iter().find(|(_, open_task)| open_task.awaits_save(save));
        match settling.map(|(id, _)| id.clone()) {
            Some(id) => self.refuse(now, &id, reason),
            None => self.report(now, None, Event::Warning { text: reason }),
        }
    }

    /// The disk is full: a task that needs room waits for it.
    pub(super) fn put_off(&mut self, now: Now, save: u64, reason: String) {
        let Some((id, open_task)) =
            self.open_tasks.iter_mut().find(|(_, open_task)| open_task.awaits_save(save))
        else {
            return self.report(now, None, Event::Warning { text: reason });
        };
        open_task.stage = Stage::Parked;
        open_task.not_before = Some(now.mono.plus_us(FULL_US));
        let id = id.clone();
        self.waiting(now, &id, format!("room on the disk: {reason}"));
        self.wake_by(Some(now.mono));
    }

    pub(super) fn restore_record(&mut self, now: Now, record: RecordId, bytes: &[u8]) {
        let saved = match Record::from_bytes(bytes) {
            Ok(saved) => saved,
            Err(reason) => {
                return self.report(now, None, Event::Warning { text: format!("a task record: {reason}") });
            }
        };
        match saved.state {
            RecordState::Over { order, outcome } => {
                self.finished.restore(record, order);
                self.finished.set_outcome(record, outcome);
            }
            // Its end found no room on the disk, or the record is an old one: the list of ends is right.
            RecordState::Armed if self.finished.holds(&record) => {}
            RecordState::Armed => match task_from_file(saved.document.as_bytes(), &saved.stem) {
                Ok(task) => {
                    let (document, stem) = (saved.document.clone(), saved.stem.clone());
                    self.begin_order(task, document.as_bytes(), &stem, saved.source, Some(saved));
                }
                Err(error) => {
                    self.report(
                        now,
                        None,
                        Event::Refused { reason: format!("task {}: {error}", saved.stem) },
                    );
                }
            },
        }
    }

    fn begin_order(
        &mut self,
        task: Task,
        document: &[u8],
        stem: &str,
        source: TaskSource,
        resumed: Option<Record>,
    ) {
        let document = String::from_utf8_lossy(document).into_owned();
        // Behind all that are open; a resumed one keeps its own number.
        let arrival =
            self.open_tasks.values().map(|open_task| open_task.arrival.saturating_add(1)).max().unwrap_or(0);
        let open_task = OpenTask::new(task, document, stem.to_owned(), source, resumed, arrival);
        self.open_tasks.insert(open_task.task.id.clone(), open_task);
    }

    /// The order cannot be carried out. It is forgotten, so a corrected document is taken as a new one.
    pub(super) fn refuse(&mut self, now: Now, id: &TaskId, reason: String) {
        self.open_tasks.remove(id);
        self.report(now, Some(id.clone()), Event::Refused { reason });
    }
}
