//! What the files of a state folder say, before anything is written.

use crate::lorawan::KeyFingerprint;
use crate::store::ended;
use crate::store::ended::ENDED;
use crate::store::ended::EndedTask;
use crate::store::enrolment::Enrolment;
use crate::store::error::StoreError;
use crate::store::error::damaged;
use crate::store::files::Files;
use crate::store::files::FilesErrorKind;
use crate::store::journal::Journal;
use crate::store::lives;
use crate::store::lives::LIVES;
use crate::store::mark::AFTER_LOSS;
use crate::store::mark::MARKS;
use crate::store::mark::Mark;
use crate::store::new_file::NEW;
use crate::store::range::FCNT_FIRST;
use crate::store::range::RangeState;
use crate::store::range::Reading;
use crate::store::range::Side;
use crate::store::record;
use crate::store::record::FleetRecord;
use crate::store::record::Kind;
use crate::store::record::RecordId;
use crate::store::record::Sealed;
use crate::store::record::TaskRecord;
use crate::store::report;
use crate::store::ring::Form;
use crate::time::GpsTime;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The most keys with a journal (128 KiB and two syncs at each start for each). More are refused.
pub const KEYS_MAX: usize = 64;

pub(super) const TASK: &str = "task-";
pub(super) const REPORT: &str = "report-";
pub(super) const KEY: &str = "key-";
pub(super) const FLEET: &str = "fleet-";

/// What was found at the start. From [`Store::open`](crate::store::Store::open) all of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The keys that are enrolled, or were used by a release from before enrolments. Under any other key
    /// nothing is ever sent.
    pub ranges: BTreeMap<KeyFingerprint, RangeState>,
    /// What is remembered of the enrolments.
    pub enrolments: BTreeMap<KeyFingerprint, Enrolment>,
    /// The newest mark that can be read.
    pub mark: Option<Mark>,
    /// The mark was made in this very boot: its monotonic clock goes on. Never so when nobody said which boot this is.
    pub is_same_boot: bool,
    /// A newer mark than `mark` may have been written and lost, by rot or by a cut while it was being written.
    pub mark_damaged: bool,
    /// The airtime of the last hour is not known to the full: marks are missing or damaged, or a key was enrolled
    /// after a loss. Every budget counts as spent at the start.
    pub ledger_lost: bool,
    /// All task records that can be read, by id.
    pub tasks: Vec<TaskRecord>,
    /// All records of devices that can be read, by id.
    pub fleets: Vec<FleetRecord>,
    /// The tasks that are over, as far as the list beside the records knows.
    pub ended: Vec<EndedTask>,
    /// Lives of the process before this one that were short, one after the other.
    pub short_lives: u32,
    /// What the operator should know, a line each.
    pub warnings: Vec<String>,
}

impl Recovered {
    /// The time that the last life of this boot believed, and the monotonic clock at it.
    pub fn believed(&self) -> Option<(Instant, GpsTime)> {
        let mark = self.mark.as_ref().filter(|_| self.is_same_boot)?;
        Some((Instant::from_us(mark.mono_us?), GpsTime::from_us(mark.gps_us?)))
    }
}

/// What was read, and what the store goes on with.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) recovered: Recovered,
    pub(super) names: Vec<String>,
    pub(super) journals: BTreeMap<KeyFingerprint, Journal>,
    pub(super) lost: BTreeMap<KeyFingerprint, String>,
    /// Marks were there and are gone.
    pub(super) marks_lost: bool,
    /// The boot in which the newest mark was made, where it says so.
    pub(super) mark_boot_id: Option<[u8; 16]>,
    /// The newest number of each ring; `None` where there is no file.
    pub(super) mark_seq: Option<u64>,
    pub(super) ended_seq: Option<u64>,
    pub(super) lives_seq: Option<u64>,
    pub(super) reports: BTreeMap<String, u64>,
}

/// Reads a state folder and writes nothing: for whoever plans, checks or enrols beside the service.
///
/// # Errors
/// The disk's, and [`StoreError::NewerFormat`]. Damage is no error.
pub fn read<F: Files>(files: &mut F) -> Result<Recovered, StoreError> {
    Ok(find(files)?.recovered)
}

/// The reports of a state folder: name and text of each that can be read.
///
/// # Errors
/// [`StoreError::Files`] when the disk fails.
pub fn read_reports<F: Files>(files: &mut F) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut reports = Vec::new();
    for name in files.list()?.into_iter().filter(|name| name.starts_with(REPORT) && !name.ends_with(NEW)) {
        if let Sealed::Whole { bytes, .. } = report::open(whole(files, &name)?.unwrap_or_default()) {
            reports.push((name, bytes));
        }
    }
    Ok(reports)
}

pub(super) fn find<F: Files>(files: &mut F) -> Result<Found, StoreError> {
    let mut found = Found { names: files.list()?, ..Found::default() };
    found.names.sort();
    found.read_records(files)?;
    found.read_keys(files)?;
    found.read_rings(files)?;
    Ok(found)
}

impl Found {
    fn read_keys<F: Files>(&mut self, files: &mut F) -> Result<(), StoreError> {
        let journals = self.names.iter().filter_map(|name| journal_key(name));
        let keys: BTreeSet<KeyFingerprint> =
            journals.chain(self.recovered.enrolments.keys().copied()).collect();
        for (index, key) in keys.into_iter().enumerate() {
            let state = match read_journal(files, key, index)? {
                Ok(mut journal) => {
                    let damaged = journal.damaged_slots();
                    if damaged > 0 {
                        self.warn(format!("journal {key}: {damaged} of 32 slots unreadable"));
                    }
                    if let Some(enrolment) = self.recovered.enrolments.get(&key) {
                        journal.raise(enrolment.first_fcnt);
                    }
                    let state = journal.state();
                    self.journals.insert(key, journal);
                    state
                }
                Err(reason) => {
                    self.warn(format!("journal {key}: counter lost: {reason}"));
                    self.lost.insert(key, reason.clone());
                    Some(RangeState::Lost(reason))
                }
            };
            self.recovered.ranges.extend(state.map(|state| (key, state)));
        }
        Ok(())
    }

    fn read_rings<F: Files>(&mut self, files: &mut F) -> Result<(), StoreError> {
        if let Some(reading) = ring(files, MARKS, Mark::decode)? {
            if reading.is_damaged {
                self.warn(
                    "marks: the newest mark is unreadable: the whole duty budget counts as spent".to_owned(),
                );
            }
            let (mark, boot_id) = reading.newest.unzip();
            self.recovered.mark = mark;
            self.mark_boot_id = boot_id.flatten();
            self.recovered.mark_damaged = reading.is_damaged;
            self.mark_seq = Some(reading.seq);
            self.marks_lost = reading.made_with & AFTER_LOSS != 0;
        }
        let is_used = self.journals.values().any(Journal::is_used) || !self.lost.is_empty();
        let after_loss = self.recovered.enrolments.values().any(|enrolment| enrolment.after_loss);
        // A ring that never held a mark says that nothing was sent yet, unless it was made in place of another.
        self.marks_lost = match (self.mark_seq, &self.recovered.mark) {
            (_, Some(_)) => false,
            (Some(_), None) => self.marks_lost || after_loss,
            (None, None) => is_used || after_loss,
        };
        self.recovered.ledger_lost = self.recovered.mark_damaged || self.marks_lost;
        if let Some(reading) = ring(files, ENDED, |_, payload| ended::decode(payload))? {
            self.recovered.ended = reading.newest.unwrap_or_default();
            self.ended_seq = Some(reading.seq);
        }
        if let Some(reading) = ring(files, LIVES, |_, payload| lives::decode(payload))? {
            self.recovered.short_lives = reading.newest.unwrap_or_default();
            self.lives_seq = Some(reading.seq);
        }
        Ok(())
    }

    fn read_records<F: Files>(&mut self, files: &mut F) -> Result<(), StoreError> {
        for name in self.names.clone() {
            let Some(kind) = kind_of(&name) else { continue };
            let file = whole(files, &name)?.unwrap_or_default();
            let sealed = match kind {
                Kind::Report => report::open(file),
                kind => record::open(kind, file),
            };
            match (kind, sealed) {
                (_, Sealed::Newer(found)) => return Err(StoreError::NewerFormat { name, found }),
                (Kind::Task, Sealed::Whole { id, bytes, .. }) if name == task_name(id) => {
                    self.recovered.tasks.push(TaskRecord { id, bytes });
                }
                (Kind::Fleet, Sealed::Whole { id, bytes, .. }) if name == fleet_name(id) => {
                    self.recovered.fleets.push(FleetRecord { id, bytes });
                }
                (Kind::Key, sealed) => self.enrolment(&name, sealed),
                (Kind::Report, Sealed::Whole { seq, .. }) => {
                    self.reports.insert(name, seq);
                }
                (kind, _) => {
                    self.warn(damaged(&name));
                    if kind == Kind::Report {
                        self.reports.insert(name, 0);
                    }
                }
            }
        }
        Ok(())
    }

    /// An enrolment that cannot be read still says by its name that the key was enrolled.
    fn enrolment(&mut self, name: &str, sealed: Sealed) {
        let key: Option<KeyFingerprint> = name.strip_prefix(KEY).and_then(|key| key.parse().ok());
        let Some(key) = key.filter(|key| name == key_name(*key)) else { return };
        let enrolment = match sealed {
            Sealed::Whole { id, bytes, .. } if id.0 == *key.as_bytes() => Enrolment::from_bytes(&bytes),
            _ => None,
        };
        if enrolment.is_none() {
            self.warn(damaged(name));
        }
        self.recovered.enrolments.insert(key, enrolment.unwrap_or(Enrolment::of_journal(FCNT_FIRST)));
    }

    fn warn(&mut self, warning: String) {
        self.recovered.warnings.push(warning);
    }
}

fn read_journal<F: Files>(
    files: &mut F,
    key: KeyFingerprint,
    index: usize,
) -> Result<Result<Journal, String>, StoreError> {
    if index >= KEYS_MAX {
        return Ok(Err(format!("more than {KEYS_MAX} keys; remove journals of keys that are gone")));
    }
    let a = whole(files, &Side::A.file_name(key))?;
    let b = whole(files, &Side::B.file_name(key))?;
    let is_missing = [a.is_none(), b.is_none()];
    if is_missing == [true; 2] {
        return Ok(Err("the key is enrolled, but its journal is gone".to_owned()));
    }
    let reading = Reading::of(key, [&a.unwrap_or_default(), &b.unwrap_or_default()]);
    match reading.newer_version {
        Some(found) => Err(StoreError::NewerFormat { name: Side::A.file_name(key), found }),
        None => Ok(Journal::recover(&reading, is_missing)),
    }
}

fn ring<F: Files, T>(
    files: &mut F,
    form: Form,
    decode: impl Fn(u8, &[u8]) -> Option<T>,
) -> Result<Option<crate::store::ring::Reading<T>>, StoreError> {
    let Some(file) = whole(files, form.name)? else { return Ok(None) };
    let reading = form.read(&file, decode);
    match reading.newer_version {
        Some(found) => Err(StoreError::NewerFormat { name: form.name.to_owned(), found }),
        None => Ok(Some(reading)),
    }
}

/// A file that is longer than any of ours is damaged, not a failing disk.
fn whole<F: Files>(files: &mut F, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    match files.read(name) {
        Err(error) if error.kind == FilesErrorKind::TooLarge => Ok(Some(Vec::new())),
        read => Ok(read?),
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    let kinds = [(TASK, Kind::Task), (REPORT, Kind::Report), (KEY, Kind::Key), (FLEET, Kind::Fleet)];
    let kind = kinds.into_iter().find(|(prefix, _)| name.starts_with(prefix));
    kind.filter(|_| !name.ends_with(NEW)).map(|(_, kind)| kind)
}

pub(super) fn task_name(id: RecordId) -> String {
    format!("{TASK}{id}")
}

pub(super) fn fleet_name(id: RecordId) -> String {
    format!("{FLEET}{id}")
}

pub(super) fn key_name(key: KeyFingerprint) -> String {
    format!("{KEY}{key}")
}

/// Whether the store makes files of this name; it leaves all others in the directory alone.
pub(super) fn is_ours(name: &str) -> bool {
    [MARKS, ENDED, LIVES].iter().any(|form| form.name == name)
        || kind_of(name).is_some()
        || journal_key(name).is_some()
}

/// The key of a journal file's name, if it is one exactly as we write them.
fn journal_key(name: &str) -> Option<KeyFingerprint> {
    let stem = name.strip_suffix(".a").or_else(|| name.strip_suffix(".b"))?;
    let key: KeyFingerprint = stem.parse().ok()?;
    (key.to_string() == stem).then_some(key)
}
