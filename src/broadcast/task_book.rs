//! The book of tasks: those that are open, those that are over, and the counters of their keys. A task's way in and
//! out: its document, its withdrawal, and what a former run left of it.

use super::finished_tasks::FinishedTasks;
use super::finished_tasks::UNKNOWN;
use super::io::TaskSource;
use super::judge;
use super::key_ranges::KeyRanges;
use super::open_task::OpenTask;
use super::open_task::OpenTasks;
use super::outbox::Outbox;
use super::pauses::Pauses;
use super::record::Record;
use super::record::RecordState;
use super::site::Site;
use crate::answers::Expected;
use crate::campaign::Campaign;
use crate::cloud::task_from_cloud;
use crate::cloud::task_from_file;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::store::CampaignMark;
use crate::store::Change;
use crate::store::RecordId;
use crate::store::Recovered;
use crate::store::TaskRecord;
use crate::task::Task;
use crate::task::TaskId;
use crate::task::TaskStatus;
use crate::time::Now;
use std::collections::BTreeMap;

/// A full disk is tried again after this, microseconds.
const FULL_US: u64 = 30_000_000;
/// What every task waits for on its way is told after this, microseconds.
const USUAL_US: u64 = 10_000_000;
/// Tasks that are not over, at most.
const MAX_ORDERS: usize = 64;

/// All tasks of the radio. No Debug: campaigns hold keys.
pub struct TaskBook {
    site: Site,
    open: OpenTasks,
    finished: FinishedTasks,
    ranges: KeyRanges,
    pauses: Pauses,
    /// Where the last mark left the campaigns that are not armed again yet.
    resumable: BTreeMap<RecordId, CampaignMark>,
}

impl TaskBook {
    /// A book with what survived the last run; campaigns that were armed ask for their images again.
    pub fn new(site: Site, recovered: Recovered, now: Now, outbox: &mut Outbox) -> Self {
        let campaigns = recovered.mark.into_iter().flat_map(|mark| mark.campaigns);
        let mut book = TaskBook {
            site,
            open: BTreeMap::new(),
            finished: FinishedTasks::default(),
            ranges: KeyRanges::new(recovered.ranges),
            pauses: Pauses::restore(&recovered.fleets),
            resumable: campaigns.map(|marked| (marked.task, marked)).collect(),
        };
        for ended in &recovered.ended {
            book.finished.restore(ended.task, ended.order);
        }
        for record in recovered.tasks {
            book.restore(now, record.id, &record.bytes, outbox);
        }
        // What one of the two places has lost it gets back from the other.
        if book.finished.list() != recovered.ended {
            outbox.save(Change::Ended(book.finished.list()));
        }
        book
    }

    fn restore(&mut self, now: Now, record: RecordId, bytes: &[u8], outbox: &mut Outbox) {
        let saved = match Record::from_bytes(bytes) {
            Ok(saved) => saved,
            Err(reason) => {
                let text = format!("a task record: {reason}");
                return outbox.report(now, None, Event::Warning { text });
            }
        };
        match saved.state {
            RecordState::Over { order, outcome } => {
                self.finished.restore(record, order);
                self.finished.set_outcome(record, outcome);
            }
            // Its end found no room on the disk, or the record is an old one: the list of ends is right.
            RecordState::Armed if self.finished.holds(&record) => {}
            RecordState::Armed => {
                let read = task_from_file(saved.document.as_bytes(), &saved.stem);
                match read.and_then(|task| task.for_group(&saved.group)) {
                    Ok(task) => {
                        let (document, stem) = (saved.document.clone(), saved.stem.clone());
                        self.enter(task, document.as_bytes(), &stem, saved.source, Some(saved));
                    }
                    Err(error) => {
                        let reason = format!("task {}: {error}", saved.stem);
                        outbox.report(now, None, Event::Refused { reason });
                    }
                }
            }
        }
    }

    /// A task document arrived, or arrived again. `stem` is its id where it has none. The task that it cancels, if
    /// that is what it says.
    pub fn take_in(
        &mut self,
        now: Now,
        document: &[u8],
        stem: &str,
        source: TaskSource,
        outbox: &mut Outbox,
    ) -> Option<TaskId> {
        let read = match source {
            TaskSource::File => task_from_file(document, stem),
            // A cloud's task must name itself, and may not point at this gateway's own files.
            TaskSource::Cloud => task_from_cloud(document),
        };
        match read {
            Ok(task) if self.over_as(&task).is_none() && task.status == TaskStatus::Deleting => {
                return Some(task.id);
            }
            Ok(task) => match task.per_group() {
                Ok(tasks) => self.take_all(now, tasks, document, stem, source, outbox),
                Err(error) => outbox.report(now, None, Event::Refused { reason: error.to_string() }),
            },
            Err(error) => {
                let reason = error.to_string();
                // The name of its file tells which one it is; without one the text must.
                match TaskId::new(stem) {
                    Ok(id) => outbox.report(now, Some(&id), Event::Refused { reason }),
                    Err(_) => {
                        let reason = format!("task {stem:?}: {reason}");
                        outbox.report(now, None, Event::Refused { reason });
                    }
                }
            }
        }
        None
    }

    /// The tasks of one document, one for each of its groups.
    fn take_all(
        &mut self,
        now: Now,
        tasks: Vec<Task>,
        document: &[u8],
        stem: &str,
        source: TaskSource,
        outbox: &mut Outbox,
    ) {
        // What the document orders no more, now that it names other groups.
        let is_stray = |(id, open_task): &(&TaskId, &OpenTask)| {
            let is_of_it = |task: &Task| task.document_id == open_task.task().document_id;
            tasks.iter().any(is_of_it) && tasks.iter().all(|task| task.id != **id)
        };
        let strays: Vec<TaskId> = self.open.iter().filter(is_stray).map(|(id, _)| id.clone()).collect();
        if let Some(begun) = strays.iter().find(|id| self.open[*id].may_have_begun()) {
            let reason =
                "the order names other groups after its first frame was sent: cancel it and order anew";
            return outbox.report(now, Some(begun), Event::Refused { reason: reason.to_owned() });
        }
        for id in strays {
            self.refuse(now, &id, "the order does not name its group any more".to_owned(), outbox);
        }
        for task in tasks {
            if let Some(record) = self.over_as(&task) {
                self.recall(now, &task, record, source, outbox);
            } else if !self.is_left_alone(now, &task, source, outbox) {
                self.order(now, task, document, stem, source, outbox);
            }
        }
    }

    /// The record under which a task is over. The same document may have named more groups, or fewer, when it was.
    fn over_as(&self, task: &Task) -> Option<RecordId> {
        let among_several = task.groups.first().and_then(|group| task.document_id.of_group(group).ok());
        let ids = [Some(task.id.clone()), Some(task.document_id.clone()), among_several];
        let mut records = ids.iter().flatten().map(|id| RecordId(id.record_id()));
        records.find(|record| self.finished.holds(record))
    }

    /// A task that is over was seen again.
    fn recall(&mut self, now: Now, task: &Task, record: RecordId, source: TaskSource, outbox: &mut Outbox) {
        let is_news = self.finished.seen(record);
        // A file is told when it is new or changed, a cloud's task whenever it is asked for.
        if is_news || source == TaskSource::File {
            let outcome = self.finished.outcome(&record).unwrap_or(UNKNOWN).to_owned();
            self.finished.ordered_again(task.id.clone(), record);
            outbox.report(now, Some(&task.id), Event::AlreadyOver { outcome });
        }
    }

    /// A control plane's word counts when nothing of the task was seen armed here.
    fn is_left_alone(&self, now: Now, task: &Task, source: TaskSource, outbox: &mut Outbox) -> bool {
        if source != TaskSource::Cloud || self.open.contains_key(&task.id) {
            return false;
        }
        let Some(text) = judge::left_alone(task, source) else { return false };
        if matches!(task.status, TaskStatus::Unknown(_)) {
            outbox.report(now, Some(&task.id), Event::Warning { text });
        }
        true
    }

    /// An order that may be carried out: a new one, one that is known, or one that was changed.
    fn order(
        &mut self,
        now: Now,
        task: Task,
        document: &[u8],
        stem: &str,
        source: TaskSource,
        outbox: &mut Outbox,
    ) {
        let id = task.id.clone();
        let is_full = self.open.len() >= MAX_ORDERS;
        if let Some(open_task) = self.open.get_mut(&id) {
            open_task.release(now.mono);
        }
        let refused = match self.open.get_mut(&id) {
            Some(open_task) if open_task.task().same_order(&task) => {
                open_task.see_order(task);
                return match open_task.disagreement() {
                    Some(reason) => self.refuse(now, &id, reason, outbox),
                    None => self.settle_begin(now, &id, outbox),
                };
            }
            Some(open_task) if open_task.has_begun() => {
                "the task changed after its first frame was sent: cancel it and order anew".to_owned()
            }
            _ if !self.finished.has_room() => {
                "too many finished tasks are still ordered: remove some of them".to_owned()
            }
            _ if is_full => format!("{MAX_ORDERS} tasks are open already: remove finished ones"),
            _ => {
                for text in judge::of_document(&self.site, &task, source) {
                    outbox.report(now, Some(&id), Event::Warning { text });
                }
                return match judge::check_document(&self.site, &task, source, false) {
                    Ok(_) => self.enter(task, document, stem, source, None),
                    Err(reason) => self.refuse(now, &id, reason, outbox),
                };
            }
        };
        outbox.report(now, Some(&id), Event::Refused { reason: refused });
    }

    fn enter(
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
            self.open.values().map(|open_task| open_task.arrival().saturating_add(1)).max().unwrap_or(0);
        let id = task.id.clone();
        self.open.insert(id, OpenTask::new(task, document, stem.to_owned(), source, resumed, arrival));
    }

    /// The task's file is not there for the moment: no frame of it until [`TaskBook::take_in`] sees its document again.
    pub fn hold(&mut self, now: Now, id: &TaskId, outbox: &mut Outbox) {
        for id in self.of_document(id) {
            if let Some(open_task) = self.open.get_mut(&id) {
                open_task.hold();
                self.waiting(now, &id, Wait::event(WaitReason::File), outbox);
            }
        }
    }

    /// The open tasks of the document `id`, or the one that has this id itself.
    pub fn of_document(&self, id: &TaskId) -> Vec<TaskId> {
        let is_meant =
            |(own, open_task): &(&TaskId, &OpenTask)| *own == id || open_task.task().document_id == *id;
        self.open.iter().filter(is_meant).map(|(own, _)| own.clone()).collect()
    }

    /// The finished tasks of the document are not at their source any more.
    pub fn gone(&mut self, id: &TaskId) {
        self.finished.gone(&RecordId(id.record_id()));
        for group in self.site.groups() {
            if let Ok(id) = id.of_group(&group.name) {
                self.finished.gone(&RecordId(id.record_id()));
            }
        }
    }

    /// The order cannot be carried out. It is forgotten, so a corrected document is taken as a new one.
    pub fn refuse(&mut self, now: Now, id: &TaskId, reason: String, outbox: &mut Outbox) {
        self.open.remove(id);
        if self.pauses.remove(&RecordId(id.record_id())) {
            self.save_pauses(outbox);
        }
        outbox.report(now, Some(id), Event::Refused { reason });
    }

    /// The task waits for this; told when it is news, and what every task waits for on its way when it takes long.
    pub fn waiting(&mut self, now: Now, id: &TaskId, wait: Wait, outbox: &mut Outbox) {
        let is_paused = self.is_paused(id);
        let Some(open_task) = self.open.get_mut(id) else { return };
        // Whatever else keeps it: it does not go on before it is resumed.
        let wait = if is_paused { Wait::event(WaitReason::Paused) } else { wait };
        let reason = wait.sentence(now);
        let quiet_us = if wait.reason.is_usual() { USUAL_US } else { 0 };
        if open_task.wait_for(now.mono, wait, quiet_us) {
            outbox.report(now, Some(id), Event::Waiting { reason });
        }
    }

    /// What tasks wait for that are on their way to be armed.
    pub fn note_stages(&mut self, now: Now, outbox: &mut Outbox) {
        let stage_wait = |(id, open_task): (&TaskId, &OpenTask)| {
            let paused = self.is_paused(id).then_some(WaitReason::Paused);
            Some((id.clone(), paused.or_else(|| open_task.stage_wait(now.mono))?))
        };
        let reasons = self.open.iter().filter_map(stage_wait);
        for (id, reason) in reasons.collect::<Vec<_>>() {
            self.waiting(now, &id, Wait::event(reason), outbox);
        }
    }

    /// The task is over; whether it was open.
    pub fn close(&mut self, now: Now, id: &TaskId, outcome: &Outcome, outbox: &mut Outbox) -> bool {
        let Some(open_task) = self.open.remove(id) else { return false };
        let waits = open_task.wait_totals(now.mono);
        if !waits.is_empty() {
            outbox.report(now, Some(id), Event::Waited { waits });
        }
        self.resumable.remove(&open_task.record_id());
        if self.pauses.remove(&open_task.record_id()) {
            self.save_pauses(outbox);
        }
        if let Some(record) = open_task.record(outcome, self.finished.next()) {
            let id = open_task.record_id();
            self.finished.add(id);
            self.finished.set_outcome(id, outcome.to_string());
            let forgotten: Vec<RecordId> = std::iter::from_fn(|| self.finished.forget()).collect();
            // The list first: it needs no room on a full disk.
            self.save_ended(outbox);
            outbox.save(Change::Task(TaskRecord { id, bytes: record.to_bytes() }));
            for record in forgotten {
                outbox.save(Change::ForgetTask(record));
            }
        }
        true
    }

    /// What cannot be kept costs the task that needed it; nothing else is touched.
    pub fn not_kept(&mut self, now: Now, save: u64, reason: String, outbox: &mut Outbox) {
        match self.awaiting(save) {
            Some(id) => self.refuse(now, &id, reason, outbox),
            None => outbox.report(now, None, Event::Warning { text: reason }),
        }
    }

    /// The disk is full: a task that needs room waits for it.
    pub fn put_off(&mut self, now: Now, save: u64, reason: String, outbox: &mut Outbox) {
        let Some(id) = self.awaiting(save) else {
            return outbox.report(now, None, Event::Warning { text: reason });
        };
        let again_at = now.mono.plus_us(FULL_US);
        if let Some(open_task) = self.open.get_mut(&id) {
            open_task.put_off(again_at);
        }
        self.waiting(now, &id, Wait::until(WaitReason::DiskFull(reason), again_at), outbox);
        outbox.wake_by(Some(now.mono));
    }

    /// The task that waits for this save.
    pub fn awaiting(&self, save: u64) -> Option<TaskId> {
        let settling = self.open.iter().find(|(_, open_task)| open_task.awaits_save(save));
        settling.map(|(id, _)| id.clone())
    }

    /// What the configuration says of radio, groups and trust.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// This is expected of the devices of a group from its next plan on.
    pub fn expect(&mut self, group: &str, expected: Expected) {
        self.site.expect(group, expected);
    }

    /// The tasks that are not over.
    pub fn open(&self) -> &OpenTasks {
        &self.open
    }

    /// The tasks that are not over, to change them.
    pub fn open_mut(&mut self) -> impl Iterator<Item = (&TaskId, &mut OpenTask)> {
        self.open.iter_mut()
    }

    /// One task that is not over.
    pub fn get(&self, id: &TaskId) -> Option<&OpenTask> {
        self.open.get(id)
    }

    /// One task that is not over.
    pub fn get_mut(&mut self, id: &TaskId) -> Option<&mut OpenTask> {
        self.open.get_mut(id)
    }

    /// The campaign of a task, once it is armed.
    pub fn campaign(&self, id: &TaskId) -> Option<&Campaign> {
        self.get(id).and_then(OpenTask::campaign)
    }

    /// The campaign of a task, once it is armed.
    pub fn campaign_mut(&mut self, id: &TaskId) -> Option<&mut Campaign> {
        self.get_mut(id).and_then(OpenTask::campaign_mut)
    }

    /// All campaigns that are armed.
    pub fn campaigns_mut(&mut self) -> impl Iterator<Item = &mut Campaign> {
        self.open.values_mut().filter_map(OpenTask::campaign_mut)
    }

    /// Finished tasks that are ordered again, which does nothing, and how each ended.
    pub fn ordered_again(&self) -> impl Iterator<Item = (&TaskId, &str)> {
        self.finished.again()
    }

    /// Makes durable once more which tasks are over; the save.
    pub fn save_ended(&self, outbox: &mut Outbox) -> u64 {
        outbox.save(Change::Ended(self.finished.list()))
    }

    /// How the task of this id ended, or one of its document, as far as that is remembered.
    pub fn how_it_ended(&self, id: &TaskId) -> Option<String> {
        let groups = self.site.groups().iter().filter_map(|group| id.of_group(&group.name).ok());
        let mut records = groups.chain([id.clone()]).map(|id| RecordId(id.record_id()));
        let record = records.find(|record| self.finished.holds(record))?;
        Some(self.finished.outcome(&record).unwrap_or(UNKNOWN).to_owned())
    }

    /// The tasks that the operator paused.
    pub fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// The tasks that the operator paused, to change them.
    pub fn pauses_mut(&mut self) -> &mut Pauses {
        &mut self.pauses
    }

    /// Whether the task is over.
    pub fn is_over(&self, record: &RecordId) -> bool {
        self.finished.holds(record)
    }

    /// The counters of the keys.
    pub fn ranges(&self) -> &KeyRanges {
        &self.ranges
    }

    /// The counters of the keys, to give some away.
    pub fn ranges_mut(&mut self) -> &mut KeyRanges {
        &mut self.ranges
    }

    /// Where the last mark left the campaigns that are not armed again yet.
    pub fn resumable(&self) -> &BTreeMap<RecordId, CampaignMark> {
        &self.resumable
    }

    /// Where the last mark left the campaign that is armed again now.
    pub fn take_mark(&mut self, record: &RecordId) -> Option<CampaignMark> {
        self.resumable.remove(record)
    }
}
