//! The store itself: opening and recovering it, and one change at a time.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use thiserror::Error;

use crate::lorawan::KeyFingerprint;
use crate::store::files::Files;
use crate::store::files::FilesError;
use crate::store::files::FilesErrorKind;
use crate::store::journal::Journal;
use crate::store::journal::is_legal;
use crate::store::mark::CAMPAIGNS_MAX;
use crate::store::mark::MARKS;
use crate::store::mark::Mark;
use crate::store::mark::MarkReading;
use crate::store::mark::empty_ring;
use crate::store::range::RangeState;
use crate::store::range::Reading;
use crate::store::range::Reservation;
use crate::store::range::SLOT_BYTES;
use crate::store::range::SLOTS;
use crate::store::range::Side;
use crate::store::record;
use crate::store::record::Closed;
use crate::store::record::Kind;
use crate::store::record::REPORT_BYTES_MAX;
use crate::store::record::RecordId;
use crate::store::record::TASK_BYTES_MAX;
use crate::store::record::TaskRecord;

/// The most keys with a journal (128 KiB and two syncs at each start for each). More are refused.
pub const KEYS_MAX: usize = 64;

/// The most task records. More are refused.
pub const TASKS_MAX: usize = 256;

/// The most reports; the oldest makes room.
pub const REPORTS_MAX: usize = 64;

const NEW: &str = ".new";
const TASK: &str = "task-";
const REPORT: &str = "report-";
const REPORT_NAME_BYTES_MAX: usize = 64;

/// Something to be remembered. It is durable when [`Store::apply`] has returned `Ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Counters, before the first of them is used.
    Reserve(Reservation),
    /// Progress and spent airtime.
    Mark(Mark),
    /// A task, new or changed.
    Task(TaskRecord),
    /// A task that need not be known any longer; one that is not known is no error.
    ForgetTask(RecordId),
    /// A report under a name of at most 64 letters, digits, `-` and `_`; one of the same name is replaced.
    Report {
        /// The name, without the prefix it gets on disk.
        name: String,
        /// At most [`REPORT_BYTES_MAX`](crate::store::REPORT_BYTES_MAX).
        bytes: Vec<u8>,
    },
}

/// What was found at the start. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The keys whose counters were ever reserved. A key that is missing here is new.
    pub ranges: BTreeMap<KeyFingerprint, RangeState>,
    /// The newest mark that can be read.
    pub mark: Option<Mark>,
    /// A newer mark than `mark` may have been written and lost, by rot or by a cut while it was being written:
    /// `mark` holds all that was relied on only if it was such a cut.
    pub mark_damaged: bool,
    /// All task records that can be read, by id.
    pub tasks: Vec<TaskRecord>,
    /// What the operator should know, a line each.
    pub warnings: Vec<String>,
}

/// Why a change was not made durable, or the store not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk failed. The store is halted from here on.
    #[error("{0}; nothing more is stored, check the disk and restart")]
    Files(#[from] FilesError),
    /// There was no room for a new file. Nothing changed, and counters and marks, which need no room, go on.
    #[error("{0}; make room and try again")]
    NoSpace(FilesError),
    /// An earlier failure, given here, ended all storing: what a failed sync has lost cannot be known.
    #[error("storing has ended after: {0}; check the disk and restart")]
    Halted(FilesError),
    /// A file was written by a later release.
    #[error("{} has format {found}, this release knows 1: use the release that wrote it", .name.escape_debug())]
    NewerFormat {
        /// The file.
        name: String,
        /// Its format version.
        found: u16,
    },
    /// Refused: the counters wanted overlap those of another plan.
    #[error("FCnt {base} is spent, {next_free} is the first free one: plan from there or take a new key")]
    CounterUsed {
        /// The first FCnt wanted.
        base: u32,
        /// The first free one.
        next_free: u32,
    },
    /// Refused: a newer reservation may be lost, so only the last known plan may go on.
    #[error(
        "{unreadable} journal slots of key {key} are lost in both files, only its last plan may go on: take a new key"
    )]
    CounterDamaged {
        /// The key.
        key: KeyFingerprint,
        /// Slot numbers unreadable in both files.
        unreadable: u32,
    },
    /// Refused: nothing is known about the key's counters.
    #[error("the counter of key {key} is lost: {reason}")]
    CounterLost {
        /// The key.
        key: KeyFingerprint,
        /// Why, and the way out.
        reason: String,
    },
    /// A reservation outside of 2..=65 534, or an empty one.
    #[error("FCnt {base}..{next_free} is not within 2..65535")]
    IllegalRange {
        /// The first FCnt wanted.
        base: u32,
        /// The first FCnt beyond.
        next_free: u32,
    },
    /// Something exceeds its bound.
    #[error("{count} {what}, at most {limit} are kept")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// A report's name that would not be a safe file name.
    #[error("a report's name has 1 to 64 letters, digits, - and _, not {0:?}")]
    ReportName(String),
}

/// The opened store. Changes are applied one by one; each returns when it is durable.
#[derive(Debug)]
pub struct Store<F: Files> {
    files: F,
    boot_id: [u8; 16],
    journals: BTreeMap<KeyFingerprint, Journal>,
    lost: BTreeMap<KeyFingerprint, String>,
    mark_seq: u64,
    tasks: BTreeSet<RecordId>,
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
    pub fn open(files: F, boot_id: [u8; 16]) -> Result<(Store<F>, Recovered), StoreError> {
        let mut store = Store {
            files,
            boot_id,
            journals: BTreeMap::new(),
            lost: BTreeMap::new(),
            mark_seq: 0,
            tasks: BTreeSet::new(),
            reports: BTreeMap::new(),
            halted: None,
        };
        let mut names = store.files.list()?;
        names.sort();
        let mut recovered = Recovered::default();
        store.read_ranges(&names, &mut recovered)?;
        let has_marks = store.read_marks(&mut recovered)?;
        store.read_records(&names, &mut recovered)?;
        store.settle(&names, has_marks)?;
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
            Change::Reserve(wanted) => self.reserve(wanted),
            Change::Mark(mark) => self.mark(mark),
            Change::Task(task) => self.task(task),
            Change::ForgetTask(id) => self.forget_task(*id),
            Change::Report { name, bytes } => self.report(name, bytes),
        };
        if let Err(StoreError::Files(error)) = &done {
            self.halted = Some(error.clone());
        }
        done
    }

    /// The disk.
    pub fn files(&self) -> &F {
        &self.files
    }

    /// Closes the store.
    pub fn into_files(self) -> F {
        self.files
    }

    fn read_ranges(&mut self, names: &[String], recovered: &mut Recovered) -> Result<(), StoreError> {
        let keys: BTreeSet<KeyFingerprint> = names.iter().filter_map(|name| journal_key(name)).collect();
        for (index, key) in keys.into_iter().enumerate() {
            let found = self.read_journal(key, index)?;
            let state = match &found {
                Ok(journal) => journal.state(),
                Err(reason) => Some(RangeState::Lost(reason.clone())),
            };
            recovered.ranges.extend(state.map(|state| (key, state)));
            match found {
                Ok(journal) => {
                    let damaged = journal.damaged_slots();
                    if damaged > 0 {
                        recovered.warnings.push(format!("journal {key}: {damaged} of 32 slots unreadable"));
                    }
                    self.journals.insert(key, journal);
                }
                Err(reason) => {
                    recovered.warnings.push(format!("journal {key}: counter lost: {reason}"));
                    self.lost.insert(key, reason);
                }
            }
        }
        Ok(())
    }

    fn read_journal(
        &mut self,
        key: KeyFingerprint,
        index: usize,
    ) -> Result<Result<Journal, String>, StoreError> {
        if index >= KEYS_MAX {
            return Ok(Err(format!("more than {KEYS_MAX} keys; remove journals of keys that are gone")));
        }
        let a = self.read(&Side::A.file_name(key))?;
        let b = self.read(&Side::B.file_name(key))?;
        let is_missing = [a.is_none(), b.is_none()];
        let reading = Reading::of(key, [&a.unwrap_or_default(), &b.unwrap_or_default()]);
        match reading.newer_version {
            Some(found) => Err(StoreError::NewerFormat { name: Side::A.file_name(key), found }),
            None => Ok(Journal::recover(&reading, is_missing)),
        }
    }

    fn read_marks(&mut self, recovered: &mut Recovered) -> Result<bool, StoreError> {
        let Some(file) = self.read(MARKS)? else { return Ok(false) };
        let reading = MarkReading::of(&file);
        if let Some(found) = reading.newer_version {
            return Err(StoreError::NewerFormat { name: MARKS.to_owned(), found });
        }
        if reading.is_damaged {
            recovered.warnings.push("marks: the newest mark is unreadable".to_owned());
        }
        recovered.mark = reading.mark;
        recovered.mark_damaged = reading.is_damaged;
        self.mark_seq = reading.seq;
        Ok(true)
    }

    fn read_records(&mut self, names: &[String], recovered: &mut Recovered) -> Result<(), StoreError> {
        for name in names {
            let kind = match (name.ends_with(NEW), name.starts_with(TASK), name.starts_with(REPORT)) {
                (false, true, _) => Kind::Task,
                (false, _, true) => Kind::Report,
                _ => continue,
            };
            let closed = record::open(kind, self.read(name)?.unwrap_or_default());
            if let Closed::Newer(found) = closed {
                return Err(StoreError::NewerFormat { name: name.clone(), found });
            }
            match (kind, closed) {
                (Kind::Task, Closed::Whole { id, bytes, .. }) if *name == task_name(id) => {
                    self.tasks.insert(id);
                    recovered.tasks.push(TaskRecord { id, bytes });
                }
                (Kind::Report, Closed::Whole { seq, .. }) => {
                    self.reports.insert(name.clone(), seq);
                }
                (Kind::Report, _) => {
                    self.reports.insert(name.clone(), 0);
                    recovered.warnings.push(damaged(name));
                }
                (Kind::Task, _) => recovered.warnings.push(damaged(name)),
            }
        }
        Ok(())
    }

    /// The only part of a start that writes.
    fn settle(&mut self, names: &[String], has_marks: bool) -> Result<(), StoreError> {
        for name in names.iter().filter(|name| name.strip_suffix(NEW).is_some_and(is_ours)) {
            self.files.remove(name)?;
        }
        // A process that died may have left names that are not durable yet.
        self.files.sync_dir()?;
        for journal in self.journals.values_mut() {
            journal.level(&mut self.files, &self.boot_id)?;
        }
        if has_marks {
            self.files.sync(MARKS)?;
        } else {
            write_new(&mut self.files, MARKS, &empty_ring())?;
            adopt_new(&mut self.files, MARKS)?;
            self.files.sync_dir()?;
        }
        Ok(())
    }

    /// A file that is longer than any of ours is damaged, not a failing disk.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.files.read(name) {
            Err(error) if error.kind == FilesErrorKind::TooLarge => Ok(Some(Vec::new())),
            read => Ok(read?),
        }
    }

    fn reserve(&mut self, wanted: &Reservation) -> Result<(), StoreError> {
        let key = wanted.key;
        if !is_legal(wanted) {
            return Err(StoreError::IllegalRange { base: wanted.base, next_free: wanted.next_free });
        }
        if let Some(reason) = self.lost.get(&key) {
            return Err(StoreError::CounterLost { key, reason: reason.clone() });
        }
        if !self.journals.contains_key(&key) {
            within("keys", self.journals.len() + self.lost.len() + 1, KEYS_MAX)?;
            let journal = Journal::create(&mut self.files, key, &self.boot_id)?;
            self.journals.insert(key, journal);
        }
        let journal = self.journals.get_mut(&key).expect("it was there or has just been made");
        journal.reserve(&mut self.files, wanted, &self.boot_id)
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), StoreError> {
        within("campaigns in a mark", mark.campaigns.len(), CAMPAIGNS_MAX)?;
        self.mark_seq += 1;
        let slot = (self.mark_seq % SLOTS as u64) as usize;
        self.files.write_at(MARKS, (slot * SLOT_BYTES) as u64, &mark.page(slot, self.mark_seq))?;
        Ok(self.files.sync(MARKS)?)
    }

    fn task(&mut self, task: &TaskRecord) -> Result<(), StoreError> {
        within("bytes in a task record", task.bytes.len(), TASK_BYTES_MAX)?;
        if !self.tasks.contains(&task.id) {
            within("task records", self.tasks.len() + 1, TASKS_MAX)?;
        }
        self.replace(&task_name(task.id), &record::close(Kind::Task, task.id, 0, &task.bytes))?;
        self.tasks.insert(task.id);
        Ok(())
    }

    fn forget_task(&mut self, id: RecordId) -> Result<(), StoreError> {
        if self.tasks.remove(&id) {
            self.files.remove(&task_name(id))?;
            self.files.sync_dir()?;
        }
        Ok(())
    }

    fn report(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > REPORT_NAME_BYTES_MAX || !name.bytes().all(is_safe) {
            return Err(StoreError::ReportName(name.chars().take(REPORT_NAME_BYTES_MAX).collect()));
        }
        within("bytes in a report", bytes.len(), REPORT_BYTES_MAX)?;
        let seq = self.reports.values().max().map_or(1, |seq| seq.saturating_add(1));
        let file_name = format!("{REPORT}{name}");
        self.replace(&file_name, &record::close(Kind::Report, RecordId([0; 16]), seq, bytes))?;
        self.reports.insert(file_name, seq);
        while self.reports.len() > REPORTS_MAX {
            let oldest = self.reports.iter().min_by_key(|(_, seq)| **seq).map(|(name, _)| name.clone());
            let oldest = oldest.expect("more than none");
            self.files.remove(&oldest)?;
            self.reports.remove(&oldest);
        }
        Ok(())
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        write_new(&mut self.files, name, bytes)?;
        adopt_new(&mut self.files, name)?;
        Ok(self.files.sync_dir()?)
    }
}

/// A durable file under a temporary name. A full disk harms nothing but this file.
pub(super) fn write_new<F: Files>(files: &mut F, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = format!("{name}{NEW}");
    let written = files.create(&temporary, bytes).and_then(|()| files.sync(&temporary));
    match written {
        Err(error) if error.kind == FilesErrorKind::NoSpace => {
            // If it cannot be removed now the next start does it.
            let _ = files.remove(&temporary);
            Err(StoreError::NoSpace(error))
        }
        other => Ok(other?),
    }
}

/// Gives a file made by [`write_new`] its name, not yet durably.
pub(super) fn adopt_new<F: Files>(files: &mut F, name: &str) -> Result<(), StoreError> {
    Ok(files.rename(&format!("{name}{NEW}"), name)?)
}

fn task_name(id: RecordId) -> String {
    format!("{TASK}{id}")
}

/// Names are whatever somebody left in the folder: shown, not obeyed.
fn damaged(name: &str) -> String {
    format!("{}: damaged, not read", name.escape_debug())
}

/// Whether the store makes files of this name; it leaves all others in the directory alone.
fn is_ours(name: &str) -> bool {
    name == MARKS || name.starts_with(TASK) || name.starts_with(REPORT) || journal_key(name).is_some()
}

/// The key of a journal file's name, if it is one exactly as we write them.
fn journal_key(name: &str) -> Option<KeyFingerprint> {
    let stem = name.strip_suffix(".a").or_else(|| name.strip_suffix(".b"))?;
    let key: KeyFingerprint = stem.parse().ok()?;
    (key.to_string() == stem).then_some(key)
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), StoreError> {
    if count <= limit { Ok(()) } else { Err(StoreError::TooMany { what, count, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_that_somebody_left_is_shown_and_not_obeyed() {
        let name = "report-\u{1b}[2J".to_owned();
        let newer = StoreError::NewerFormat { name: name.clone(), found: 2 };
        let kind = FilesErrorKind::Io;
        let failed = FilesError { operation: "read", name: name.clone(), kind, detail: "why".to_owned() };
        for line in [damaged(&name), newer.to_string(), failed.to_string()] {
            assert!(line.contains("report-\\u{1b}[2J") && !line.contains('\u{1b}'), "{line:?}");
        }
    }
}
