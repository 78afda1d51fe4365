//! The files of the folder as they were seen last, compared with what lies there now.

use super::listing;
use super::listing::Identity;
use super::listing::Listing;
use super::listing::Stamp;
use crate::broadcast::TaskSource;
use crate::cloud::task_from_file;
use crate::daemon::fact::Fact;
use crate::daemon::io_words;
use crate::image::Digest;
use crate::task::TaskError;
use crate::task::TaskId;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Files that are looked at.
pub(super) const FILES_MAX: usize = 256;
/// Missing for so long, a file is gone: an editor replaces a file in two steps. Unchanged for so long, a file is not
/// being written any more.
pub(super) const STILL: Duration = Duration::from_millis(400);

/// The folder as it was seen last.
#[derive(Debug, Default)]
pub struct TaskFolder {
    path: PathBuf,
    files: BTreeMap<String, Known>,
    /// Tasks that a former run took from here and whose file was not seen yet.
    orphans: BTreeMap<TaskId, Orphan>,
    /// Tasks that were told to be missing: their document is told again when it is seen.
    held: BTreeSet<TaskId>,
    /// What was complained of and is still so.
    is_unreadable: bool,
    is_crowded: bool,
    is_open: bool,
}

/// What one scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// News for the driver.
    pub facts: Vec<Fact>,
    /// What is wrong, a line each, once.
    pub complaints: Vec<String>,
    /// Something is missing, or may still be written: another look is due soon.
    pub is_restless: bool,
    /// Which folder was looked into; `None`: there is none.
    pub(super) identity: Option<Identity>,
}

/// A file that has a place.
#[derive(Clone, Debug, Default)]
struct Known {
    /// `None`: it has to be read.
    stamp: Option<Stamp>,
    /// When the file was seen with this stamp first.
    since: Duration,
    /// It stood still for a while: it is read again only when its stamp changes.
    is_settled: bool,
    /// The document that was told last.
    told: Option<Digest>,
    /// The task that it names, or named before it became something else.
    task: Option<TaskId>,
    /// Since when it is missing.
    missing: Option<Duration>,
    /// It holds news that is not taken from a folder that is open to everybody.
    is_untaken: bool,
}

/// A task of a former run.
#[derive(Debug)]
struct Orphan {
    /// The name of its file then, without the ending.
    stem: String,
    missing: Option<Duration>,
}

/// What a scan has found so far; facts are told in this order.
#[derive(Debug, Default)]
struct Findings {
    gone: BTreeSet<TaskId>,
    missing: BTreeSet<TaskId>,
    told: Vec<Fact>,
    complaints: Vec<String>,
}

impl TaskFolder {
    /// A folder of which nothing was seen yet. `known` are the tasks that a former run took from it, each with the name
    /// of its file then, without the ending.
    pub fn new(path: PathBuf, known: impl IntoIterator<Item = (TaskId, String)>) -> Self {
        let orphans = known.into_iter().map(|(task, stem)| (task, Orphan { stem, missing: None })).collect();
        TaskFolder { path, orphans, ..TaskFolder::default() }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The task that each file names.
    pub fn tasks(&self) -> BTreeMap<String, TaskId> {
        let named = self.files.iter().filter_map(|(name, known)| Some((name.clone(), known.task.clone()?)));
        named.collect()
    }

    /// Looks at everything. `now` is the time since the daemon began, which no clock moves.
    pub fn scan(&mut self, now: Duration) -> Scan {
        let mut findings = Findings::default();
        let stems: BTreeSet<&str> = self.orphans.values().map(|orphan| orphan.stem.as_str()).collect();
        let listed = listing::list(
            &self.path,
            FILES_MAX,
            |name| self.files.contains_key(name),
            |name| stems.contains(listing::stem_of(name)),
        );
        let Listing { mut names, left_out, identity, is_open } = match listed {
            Ok(listing) => listing,
            Err(error) => return self.unreadable(&error),
        };
        self.is_unreadable = false;
        self.complain(left_out, is_open, &mut findings);
        // A file that went while it was looked at is missing.
        names.retain(|name| self.look(name, now, &mut findings));
        self.miss(&names, now, left_out > 0, &mut findings);
        let is_restless = self.is_restless(left_out > 0);
        let Findings { gone, missing, told, complaints } = findings;
        let facts = gone.into_iter().map(Fact::Gone).chain(missing.into_iter().map(Fact::Missing));
        Scan { facts: facts.chain(told).collect(), complaints, is_restless, identity: Some(identity) }
    }

    /// The file `name` was taken away at `now`, as the system says. The task that waits for it from now on; `None`: no
    /// task, or one that waits already.
    pub fn vanish(&mut self, name: &str, now: Duration) -> Option<TaskId> {
        let known = self.files.get_mut(name)?;
        known.missing.get_or_insert(now);
        let task = known.task.clone()?;
        self.held.insert(task.clone()).then_some(task)
    }

    fn unreadable(&mut self, error: &io::Error) -> Scan {
        let text = format!("the task folder {} cannot be read: {}", self.path.display(), io_words(error));
        let complaints = if self.is_unreadable { Vec::new() } else { vec![text] };
        self.is_unreadable = true;
        Scan { complaints, ..Scan::default() }
    }

    /// Says once what is wrong with the folder as a whole.
    fn complain(&mut self, left_out: usize, is_open: bool, findings: &mut Findings) {
        if left_out > 0 && !self.is_crowded {
            findings.complaints.push(format!(
                "the task folder holds {} tasks, and {FILES_MAX} of them have their place: {left_out} are not looked at; remove finished ones",
                FILES_MAX + left_out
            ));
        }
        self.is_crowded = left_out > 0;
        if is_open && !self.is_open {
            let path = self.path.display();
            findings.complaints.push(format!(
                "the task folder {path} is writable by everybody on this machine, so anybody can order or cancel here: no new or changed task is taken from it until `chmod o-w {path}`; what runs goes on"
            ));
        }
        if !is_open {
            for known in self.files.values_mut().filter(|known| known.is_untaken) {
                known.stamp = None;
            }
        }
        self.is_open = is_open;
    }

    /// Looks at one file; whether it is there.
    fn look(&mut self, name: &str, now: Duration, findings: &mut Findings) -> bool {
        let path = self.path.join(name);
        let stamp = match listing::stamp(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            stamp => stamp.unwrap_or_default(),
        };
        let mut known = self.files.get(name).cloned().unwrap_or_else(|| self.adopted(name));
        known.missing = None;
        let is_same = known.stamp == Some(stamp);
        let is_held = known.task.as_ref().is_some_and(|task| self.held.contains(task));
        if is_same && known.is_settled && !is_held {
            self.files.insert(name.to_owned(), known);
            return true;
        }
        let stood_still = is_same && now.saturating_sub(known.since) >= STILL;
        let settles = stood_still && !known.is_settled;
        if !is_same {
            (known.stamp, known.since) = (Some(stamp), now);
        }
        known.is_settled = stood_still || is_same && known.is_settled;
        match listing::read(&path) {
            Ok(bytes) => self.judge(name, bytes, &mut known, settles, findings),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.files.insert(name.to_owned(), known);
                return false;
            }
            Err(error) if settles => findings.complaints.push(self.about(name, &error)),
            Err(_) => {}
        }
        self.files.insert(name.to_owned(), known);
        true
    }

    /// A file that is new here. If a former run took a task from a file of this name it is that file, even when
    /// nothing can be read in it.
    fn adopted(&mut self, name: &str) -> Known {
        let stem = listing::stem_of(name);
        let orphan = self.orphans.iter().find(|(_, orphan)| orphan.stem == stem);
        let task = orphan.map(|(task, _)| task.clone());
        if let Some(task) = &task {
            self.orphans.remove(task);
        }
        Known { task, ..Known::default() }
    }

    /// What the bytes of a file say; a malformed one is told when it stands still: it may be half written.
    fn judge(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        known: &mut Known,
        settles: bool,
        findings: &mut Findings,
    ) {
        let (stem, digest) = (listing::stem_of(name), Digest::of(&bytes));
        let is_news = known.told != Some(digest);
        let task = task_from_file(&bytes, stem).map(|task| task.id);
        known.is_untaken = self.is_open && is_news;
        if known.is_untaken {
            // Which task of a former run it is may be learned, but not what is new about it.
            if let Ok(task) = task
                && self.orphans.remove(&task).is_some()
            {
                known.task = Some(task);
            }
            return;
        }
        match task {
            Ok(task) => {
                self.orphans.remove(&task);
                if let Some(was) = known.task.replace(task.clone()).filter(|was| *was != task) {
                    findings.gone.insert(was);
                }
                if self.held.remove(&task) || is_news {
                    known.told = Some(digest);
                    findings.told.push(told(bytes, stem));
                }
            }
            Err(error) if is_news && settles => {
                known.told = Some(digest);
                self.malformed(name, bytes, &error, findings);
            }
            Err(_) => {}
        }
    }

    /// The engine says what is wrong with a document, unless the name of its file is what is wrong.
    fn malformed(&self, name: &str, bytes: Vec<u8>, error: &TaskError, findings: &mut Findings) {
        let stem = listing::stem_of(name);
        if TaskId::new(stem).is_ok() {
            findings.told.push(told(bytes, stem));
        } else {
            findings.complaints.push(self.about(name, error));
        }
    }

    /// Looks for what is not there any more. While files are left out nothing is known of tasks whose file was not
    /// seen since the start: it may be one of those.
    fn miss(&mut self, names: &BTreeSet<String>, now: Duration, is_partial: bool, findings: &mut Findings) {
        let Findings { gone, missing, .. } = findings;
        self.files.retain(|name, known| {
            if names.contains(name) {
                return true;
            }
            let is_gone = now.saturating_sub(*known.missing.get_or_insert(now)) >= STILL;
            let found = if is_gone { &mut *gone } else { &mut *missing };
            found.extend(known.task.clone());
            !is_gone
        });
        self.orphans.retain(|task, orphan| {
            if is_partial {
                orphan.missing = None;
                return true;
            }
            let is_gone = now.saturating_sub(*orphan.missing.get_or_insert(now)) >= STILL;
            let found = if is_gone { &mut *gone } else { &mut *missing };
            found.insert(task.clone());
            !is_gone
        });
        // The same task under another name is only a file that was renamed.
        let there = self.files.iter().filter(|(name, _)| names.contains(*name));
        let there: BTreeSet<&TaskId> = there.filter_map(|(_, known)| known.task.as_ref()).collect();
        gone.retain(|task| !there.contains(task));
        missing
            .retain(|task| !there.contains(task) && !gone.contains(task) && self.held.insert(task.clone()));
        self.held.retain(|task| !gone.contains(task));
    }

    fn is_restless(&self, is_partial: bool) -> bool {
        let is_moving = |known: &Known| known.missing.is_some() || !known.is_settled;
        self.files.values().any(is_moving) || !is_partial && !self.orphans.is_empty()
    }

    fn about(&self, name: &str, what: &dyn std::fmt::Display) -> String {
        format!("{}/{}: {what}", self.path.display(), listing::shown(name))
    }
}

fn told(document: Vec<u8>, stem: &str) -> Fact {
    Fact::Task { document, stem: stem_told(stem), source: TaskSource::File }
}

/// The name as it is told: it goes into texts, so one that cannot be a task's id is told as it may be shown.
pub(super) fn stem_told(stem: &str) -> String {
    if TaskId::new(stem).is_ok() { stem.to_owned() } else { listing::shown(stem) }
}
