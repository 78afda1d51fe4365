//! The opened store: one change at a time.

use crate::lorawan::KeyFingerprint;
use crate::store::ended;
use crate::store::ended::ENDED;
use crate::store::ended::ENDED_MAX;
use crate::store::ended::EndedTask;
use crate::store::enrolment::Enrolment;
use crate::store::error::StoreError;
use crate::store::error::within;
use crate::store::files::Files;
use crate::store::files::FilesError;
use crate::store::journal::Journal;
use crate::store::journal::is_legal;
use crate::store::lives;
use crate::store::lives::LIVES;
use crate::store::mark::AFTER_LOSS;
use crate::store::mark::CAMPAIGNS_MAX;
use crate::store::mark::MARKS;
use crate::store::mark::Mark;
use crate::store::new_file::NEW;
use crate::store::new_file::remove;
use crate::store::new_file::replace;
use crate::store::range::Reservation;
use crate::store::record;
use crate::store::record::FLEET_BYTES_MAX;
use crate::store::record::FleetRecord;
use crate::store::record::Kind;
use crate::store::record::RecordId;
use crate::store::record::TASK_BYTES_MAX;
use crate::store::record::TaskRecord;
use crate::store::recovery;
use crate::store::recovery::Found;
use crate::store::recovery::REPORT;
use crate::store::recovery::Recovered;
use crate::store::recovery::fleet_name;
use crate::store::recovery::is_ours;
use crate::store::recovery::key_name;
use crate::store::recovery::task_name;
use crate::store::report;
use crate::store::report::REPORT_BYTES_MAX;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The most task records. More are refused.
pub const TASKS_MAX: usize = 256;

/// The most records of devices, with 64 devices each. More are refused.
pub const FLEETS_MAX: usize = 256;

/// The most reports; the oldest makes room.
pub const REPORTS_MAX: usize = 64;

const REPORT_NAME_BYTES_MAX: usize = 64;

/// Something to be remembered. It is durable when [`Store::apply`] has returned `Ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Counters, before the first of them is used.
    Reserve {
        /// The key, the range of counters and the plan.
        wanted: Reservation,
        /// Plans (by their hashes) of the same key that are over: their counters need not be held any longer.
        over: Vec<[u8; 32]>,
    },
    /// Progress and spent airtime.
    Mark(Mark),
    /// A task, new or changed.
    Task(TaskRecord),
    /// A task that need not be known any longer; one that is not known is no error.
    ForgetTask(RecordId),
    /// The dialogues with some devices, new or changed.
    Fleet(FleetRecord),
    /// A record of devices that need not be known any longer; one that is not known is no error.
    ForgetFleet(RecordId),
    /// All tasks that are over, at most [`ENDED_MAX`]. This needs no room on the disk.
    Ended(Vec<EndedTask>),
    /// This life of the process is not a short one.
    Lived,
    /// A report under a name of at most 64 letters, digits, `-` and `_`; one of the same name is replaced.
    Report {
        /// The name, without the prefix it gets on disk.
        name: String,
        /// Members of the report, as a file at most [`REPORT_BYTES_MAX`](crate::store::REPORT_BYTES_MAX) bytes;
        /// `sequence` and `crc32c` are the store's own.
        report: Map<String, Value>,
    },
}

/// The opened store. Changes are applied one by one; each returns when it is durable.
#[derive(Debug)]
pub struct Store<F: Files> {
    files: F,
    boot_id: [u8; 16],
    journals: BTreeMap<KeyFingerprint, Journal>,
    lost: BTreeMap<KeyFingerprint, String>,
    mark_seq: u64,
    ended_seq: u64,
    lives_seq: u64,
    tasks: BTreeSet<RecordId>,
    fleets: BTreeSet<RecordId>,
    reports: BTreeMap<String, u64>,
    halted: Option<FilesError>,
}

impl<F: Files> Store<F> {
    /// Reads everything, then makes durable what it read: when this returns `Ok`, `Recovered` may be relied on.
    /// `boot_id` goes into every range record, for whoever has to understand a journal later.
    ///
    /// # Errors
    /// [`StoreError::Files`] and [`StoreError::NoSpace`] (first start only) from the disk,
    /// [`StoreError::NewerFormat`] before anything was changed. Damage is no error.
    pub fn open(mut files: F, boot_id: [u8; 16]) -> Result<(Store<F>, Recovered), StoreError> {
        let Found {
            mut recovered,
            names,
            journals,
            lost,
            marks_lost,
            mark_boot_id,
            mark_seq,
            ended_seq,
            lives_seq,
            reports,
        } = recovery::find(&mut files)?;
        recovered.is_same_boot = mark_boot_id == Some(boot_id);
        let mut store = Store {
            files,
            boot_id,
            journals,
            lost,
            mark_seq: mark_seq.unwrap_or(0),
            ended_seq: ended_seq.unwrap_or(0),
            lives_seq: lives_seq.unwrap_or(0),
            tasks: recovered.tasks.iter().map(|task| task.id).collect(),
            fleets: recovered.fleets.iter().map(|fleet| fleet.id).collect(),
            reports,
            halted: None,
        };
        store.settle(&names, [mark_seq, ended_seq, lives_seq], marks_lost)?;
        store.enrol_used(&mut recovered)?;
        // This life is short until it has shown that it is not.
        store.count_lives(recovered.short_lives.saturating_add(1))?;
        Ok((store, recovered))
    }

    /// Makes one change durable.
    ///
    /// # Errors
    /// The refusals and bounds of [`StoreError`] change nothing. After [`StoreError::Files`] the store is halted
    /// and every later call answers [`StoreError::Halted`].
    pub fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        if let Some(first) = &self.halted {
            return Err(StoreError::Halted(first.clone()));
        }
        let done = match change {
            Change::Reserve { wanted, over } => self.reserve(wanted, over),
            Change::Mark(mark) => self.mark(mark),
            Change::Task(task) => self.task(task),
            Change::ForgetTask(id) => self.forget_task(*id),
            Change::Fleet(fleet) => self.fleet(fleet),
            Change::ForgetFleet(id) => self.forget_fleet(*id),
            Change::Ended(ended) => self.ended(ended),
            Change::Lived => self.count_lives(0),
            Change::Report { name, report } => self.report(name, report),
        };
        if let Err(StoreError::Files(error)) = &done {
            self.halted = Some(error.clone());
        }
        done
    }

    /// The disk on which the store writes.
    pub fn files(&self) -> &F {
        &self.files
    }

    /// Closes the store and returns its disk.
    pub fn into_files(self) -> F {
        self.files
    }

    /// What a start writes of what was there.
    fn settle(
        &mut self,
        names: &[String],
        seqs: [Option<u64>; 3],
        marks_lost: bool,
    ) -> Result<(), StoreError> {
        for name in names.iter().filter(|name| name.strip_suffix(NEW).is_some_and(is_ours)) {
            self.files.remove(name)?;
        }
        // A process that died may have left names that are not durable yet.
        self.files.sync_dir()?;
        for journal in self.journals.values_mut() {
            journal.level(&mut self.files, &self.boot_id)?;
        }
        let (no_ended, no_lives) = (ended::encode(&[]), lives::encode(0));
        let empty = [Mark::default().encode(&self.boot_id).1, no_ended, no_lives];
        for ((form, seq), payload) in [MARKS, ENDED, LIVES].into_iter().zip(seqs).zip(&empty) {
            match seq {
                Some(_) => self.files.sync(form.name)?,
                None => {
                    let is_in_place_of_another = marks_lost && form.name == MARKS.name;
                    form.create(
                        &mut self.files,
                        if is_in_place_of_another { AFTER_LOSS } else { 0 },
                        payload,
                    )?;
                }
            }
        }
        Ok(())
    }

    /// A journal from before enrolments counts as one; from now on it is missed when it is gone.
    fn enrol_used(&mut self, recovered: &mut Recovered) -> Result<(), StoreError> {
        for (key, journal) in &self.journals {
            let is_known = !recovered.ranges.contains_key(key) || recovered.enrolments.contains_key(key);
            if is_known {
                continue;
            }
            let enrolment = Enrolment::of_journal(journal.next_free());
            match replace(&mut self.files, &key_name(*key), &enrolment.to_file(*key)) {
                Ok(()) => drop(recovered.enrolments.insert(*key, enrolment)),
                // The next start tries again.
                Err(StoreError::NoSpace(error)) => recovered.warnings.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn reserve(&mut self, wanted: &Reservation, over: &[[u8; 32]]) -> Result<(), StoreError> {
        let key = wanted.key;
        if !is_legal(wanted) {
            return Err(StoreError::IllegalRange { base: wanted.base, next_free: wanted.next_free });
        }
        if let Some(reason) = self.lost.get(&key) {
            return Err(StoreError::CounterLost { key, reason: reason.clone() });
        }
        match self.journals.get_mut(&key).filter(|journal| journal.state().is_some()) {
            Some(journal) => journal.reserve(&mut self.files, wanted, over, &self.boot_id),
            None => Err(StoreError::NotEnrolled { key }),
        }
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), StoreError> {
        within("campaigns in a mark", mark.campaigns.len(), CAMPAIGNS_MAX)?;
        self.mark_seq += 1;
        let (flags, payload) = mark.encode(&self.boot_id);
        MARKS.write(&mut self.files, self.mark_seq, flags, &payload)
    }

    fn ended(&mut self, ended: &[EndedTask]) -> Result<(), StoreError> {
        within("tasks that are over", ended.len(), ENDED_MAX)?;
        self.ended_seq += 1;
        ENDED.write(&mut self.files, self.ended_seq, 0, &ended::encode(ended))
    }

    fn count_lives(&mut self, short: u32) -> Result<(), StoreError> {
        self.lives_seq += 1;
        LIVES.write(&mut self.files, self.lives_seq, 0, &lives::encode(short))
    }

    fn task(&mut self, task: &TaskRecord) -> Result<(), StoreError> {
        within("bytes in a task record", task.bytes.len(), TASK_BYTES_MAX)?;
        if !self.tasks.contains(&task.id) {
            within("task records", self.tasks.len() + 1, TASKS_MAX)?;
        }
        let file = record::close(Kind::Task, task.id, 0, &task.bytes);
        replace(&mut self.files, &task_name(task.id), &file)?;
        self.tasks.insert(task.id);
        Ok(())
    }

    fn forget_task(&mut self, id: RecordId) -> Result<(), StoreError> {
        if self.tasks.remove(&id) {
            remove(&mut self.files, &task_name(id))?;
            self.files.sync_dir()?;
        }
        Ok(())
    }

    fn fleet(&mut self, fleet: &FleetRecord) -> Result<(), StoreError> {
        within("bytes in a record of devices", fleet.bytes.len(), FLEET_BYTES_MAX)?;
        if !self.fleets.contains(&fleet.id) {
            within("records of devices", self.fleets.len() + 1, FLEETS_MAX)?;
        }
        let file = record::close(Kind::Fleet, fleet.id, 0, &fleet.bytes);
        replace(&mut self.files, &fleet_name(fleet.id), &file)?;
        self.fleets.insert(fleet.id);
        Ok(())
    }

    fn forget_fleet(&mut self, id: RecordId) -> Result<(), StoreError> {
        if self.fleets.remove(&id) {
            remove(&mut self.files, &fleet_name(id))?;
            self.files.sync_dir()?;
        }
        Ok(())
    }

    fn report(&mut self, name: &str, report: &Map<String, Value>) -> Result<(), StoreError> {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > REPORT_NAME_BYTES_MAX || !name.bytes().all(is_safe) {
            return Err(StoreError::ReportName(name.chars().take(REPORT_NAME_BYTES_MAX).collect()));
        }
        let seq = self.reports.values().max().map_or(1, |seq| seq.saturating_add(1));
        let file_name = format!("{REPORT}{name}");
        let file = report::close(report, seq);
        within("bytes in a report", file.len(), REPORT_BYTES_MAX)?;
        replace(&mut self.files, &file_name, &file)?;
        self.reports.insert(file_name, seq);
        while self.reports.len() > REPORTS_MAX {
            let oldest = self.reports.iter().min_by_key(|(_, seq)| **seq).map(|(name, _)| name.clone());
            let oldest = oldest.expect("more than none");
            remove(&mut self.files, &oldest)?;
            self.reports.remove(&oldest);
        }
        Ok(())
    }
}
