//! The task folder: what is in it is ordered, what was taken out of it is cancelled.
//!
//! Only regular files are read; links are not followed, so that nobody who may write here can point the daemon
//! at a file it should not read. A file that cannot be read or is no task is told once and disturbs nobody.

use super::Fact;
use crate::broadcast::TaskSource;
use crate::task::MAX_TASK_BYTES;
use crate::task::Task;
use crate::task::TaskId;
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::fs::File;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// Files that are looked at, in the order of their names.
const FILES_MAX: usize = 256;
/// Missing in so many scans in a row, a file is gone: an editor replaces a file in two steps.
const GONE_AFTER: u8 = 2;
const ENDING: &str = ".json";

/// The folder as it was seen last.
#[derive(Debug)]
pub struct TaskFolder {
    path: PathBuf,
    seen: BTreeMap<String, Seen>,
    /// Tasks that a former run took from here, not seen again yet, and in how many scans.
    orphans: BTreeMap<TaskId, u8>,
    /// What was complained of and is still so.
    is_unreadable: bool,
    is_crowded: bool,
}

/// What one scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// News for the driver.
    pub facts: Vec<Fact>,
    /// What is wrong, a line each, once.
    pub complaints: Vec<String>,
}

#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    /// The same stamp was seen twice: the file is not being written any more.
    is_settled: bool,
    bytes: Option<Vec<u8>>,
    task: Option<TaskId>,
    missing: u8,
}

/// A file that changes, changes one of these.
type Stamp = (u64, u64, i64, i64, i64, i64);

impl TaskFolder {
    /// A folder of which nothing was seen yet. `known` are the tasks that a former run took from it.
    pub fn new(path: PathBuf, known: impl IntoIterator<Item = TaskId>) -> Self {
        let orphans = known.into_iter().map(|task| (task, 0)).collect();
        TaskFolder { path, seen: BTreeMap::new(), orphans, is_unreadable: false, is_crowded: false }
    }

    /// Looks at everything.
    pub fn scan(&mut self) -> Scan {
        let mut scan = Scan::default();
        let names = match self.names(&mut scan) {
            Ok(names) => names,
            Err(error) => {
                // An unreadable folder says nothing about its tasks.
                if !self.is_unreadable {
                    let text = format!("the task folder {} cannot be read: {error}", self.path.display());
                    scan.complaints.push(text);
                }
                self.is_unreadable = true;
                return scan;
            }
        };
        self.is_unreadable = false;
        for name in &names {
            self.look(name, &mut scan);
        }
        self.miss(&names, &mut scan);
        scan
    }

    fn names(&mut self, scan: &mut Scan) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| is_task_file(name)) else { continue };
            names.push(name.to_owned());
        }
        names.sort();
        let is_crowded = names.len() > FILES_MAX;
        if is_crowded && !self.is_crowded {
            scan.complaints.push(format!(
                "the task folder holds {} tasks: only the first {FILES_MAX} by name are looked at, remove finished ones",
                names.len()
            ));
        }
        self.is_crowded = is_crowded;
        names.truncate(FILES_MAX);
        Ok(names)
    }

    fn look(&mut self, name: &str, scan: &mut Scan) {
        let path = self.path.join(name);
        let stamp = std::fs::symlink_metadata(&path).map(|metadata| stamp(&metadata)).unwrap_or_default();
        if let Some(seen) = self.seen.get_mut(name) {
            seen.missing = 0;
            if seen.stamp == stamp && seen.is_settled {
                return;
            }
        }
        let is_settled = self.seen.get(name).is_some_and(|seen| seen.stamp == stamp);
        let before = self.seen.remove(name);
        let (bytes, task) = match read(&path) {
            Ok(bytes) => self.judge(name, &bytes, before.as_ref(), is_settled, scan),
            Err(error) => {
                if is_settled {
                    scan.complaints.push(format!("{}: {error}", path.display()));
                }
                (None, None)
            }
        };
        let missing = 0;
        self.seen.insert(name.to_owned(), Seen { stamp, is_settled, bytes, task, missing });
    }

    /// What the bytes of a file say; a malformed one is told when it stands still: it may be half written.
    fn judge(
        &mut self,
        name: &str,
        bytes: &[u8],
        before: Option<&Seen>,
        is_settled: bool,
        scan: &mut Scan,
    ) -> (Option<Vec<u8>>, Option<TaskId>) {
        let stem = name.strip_suffix(ENDING).unwrap_or(name).to_owned();
        let task = Task::from_json(bytes, &stem).map(|task| task.id).ok();
        let was = before.and_then(|before| before.task.clone());
        if before.is_some_and(|before| before.bytes.as_deref() == Some(bytes)) {
            return (Some(bytes.to_vec()), task);
        }
        if task.is_none() && !is_settled {
            return (None, was);
        }
        if let Some(gone) = was.filter(|was| task.as_ref().is_some_and(|task| task != was)) {
            scan.facts.push(Fact::Gone(gone));
        }
        if let Some(task) = &task {
            self.orphans.remove(task);
        }
        scan.facts.push(Fact::Task { document: bytes.to_vec(), stem, source: TaskSource::File });
        (Some(bytes.to_vec()), task)
    }

    fn miss(&mut self, names: &[String], scan: &mut Scan) {
        let mut gone = Vec::new();
        self.seen.retain(|name, seen| {
            if names.binary_search(name).is_ok() {
                return true;
            }
            seen.missing += 1;
            if seen.missing >= GONE_AFTER {
                gone.extend(seen.task.take());
            }
            seen.missing < GONE_AFTER
        });
        self.orphans.retain(|task, missing| {
            *missing += 1;
            if *missing >= GONE_AFTER {
                gone.push(task.clone());
            }
            *missing < GONE_AFTER
        });
        // The same task under another name is only a file that was renamed.
        gone.retain(|task| !self.seen.values().any(|seen| seen.task.as_ref() == Some(task)));
        scan.facts.extend(gone.into_iter().map(Fact::Gone));
    }
}

fn is_task_file(name: &str) -> bool {
    name.len() > ENDING.len() && name.ends_with(ENDING) && !name.starts_with('.')
}

fn stamp(metadata: &Metadata) -> Stamp {
    let (written, changed) =
        ((metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()));
    (metadata.ino(), metadata.len(), written.0, written.1, changed.0, changed.1)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            io::Error::other("it is a link: put the file itself here")
        }
        _ => error,
    })?;
    read_regular(&file, MAX_TASK_BYTES)
}

/// The bytes of a regular file of at most `limit` bytes.
pub(super) fn read_regular(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is over {limit} bytes"));
    if metadata.len() > limit as u64 {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_long()) } else { Ok(bytes) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder of its own for a test; every test has its own name.
    pub struct TempDir(PathBuf);

    impl TempDir {
        pub fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("fuotad-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            TempDir(path)
        }

        pub fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const TASK: &str = r#"{"Status":"Pending","FirmwareUpdateImage":"file:///images/image.bin"}"#;

    fn stems(scan: &Scan) -> Vec<String> {
        let name = |fact: &Fact| match fact {
            Fact::Task { stem, .. } => stem.clone(),
            Fact::Gone(task) => format!("-{task}"),
            other => format!("{other:?}"),
        };
        scan.facts.iter().map(name).collect()
    }

    #[test]
    fn a_task_is_told_when_it_comes_when_it_changes_and_when_it_is_gone_for_two_scans() {
        let dir = TempDir::new("folder");
        let mut folder = TaskFolder::new(dir.path().to_owned(), []);
        assert_eq!(stems(&folder.scan()), [""; 0]);
        let file = dir.path().join("a.json");
        std::fs::write(&file, TASK).unwrap();
        assert_eq!(stems(&folder.scan()), ["a"]);
        assert_eq!(stems(&folder.scan()), [""; 0]);
        assert_eq!(stems(&folder.scan()), [""; 0]);
        std::fs::write(&file, TASK.replace("Pending", "FuotaSession_Waiting")).unwrap();
        assert_eq!(stems(&folder.scan()), ["a"]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(stems(&folder.scan()), [""; 0]);
        assert_eq!(stems(&folder.scan()), ["-a"]);
        assert_eq!(stems(&folder.scan()), [""; 0]);
    }

    #[test]
    fn a_file_that_is_replaced_between_two_scans_is_not_gone() {
        let dir = TempDir::new("replaced");
        let file = dir.path().join("a.json");
        std::fs::write(&file, TASK).unwrap();
        let mut folder = TaskFolder::new(dir.path().to_owned(), []);
        folder.scan();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(stems(&folder.scan()), [""; 0]);
        std::fs::write(&file, TASK).unwrap();
        assert_eq!(stems(&folder.scan()), [""; 0]);
        std::fs::rename(&file, dir.path().join("b.json")).unwrap();
        folder.scan();
        // Without an Id in the document the name is the task: b is another one.
        assert_eq!(stems(&folder.scan()), ["-a"]);
    }

    #[test]
    fn a_task_of_a_former_run_whose_file_is_gone_is_gone() {
        let dir = TempDir::new("orphan");
        std::fs::write(dir.path().join("a.json"), TASK).unwrap();
        let known = ["a", "b"].map(|id| TaskId::new(id).unwrap());
        let mut folder = TaskFolder::new(dir.path().to_owned(), known);
        assert_eq!(stems(&folder.scan()), ["a"]);
        assert_eq!(stems(&folder.scan()), ["-b"]);
        let mut missing = TaskFolder::new(dir.path().join("none"), [TaskId::new("b").unwrap()]);
        let scans = [missing.scan(), missing.scan(), missing.scan()];
        assert!(scans.iter().all(|scan| scan.facts.is_empty()));
        assert_eq!(scans.map(|scan| scan.complaints.len()), [1, 0, 0]);
    }

    #[test]
    fn what_is_no_file_is_told_once_and_disturbs_nobody() {
        let dir = TempDir::new("odd");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("good.json"), TASK).unwrap();
        std::fs::write(path("long.json"), vec![b' '; MAX_TASK_BYTES + 1]).unwrap();
        std::fs::write(path(".hidden.json"), TASK).unwrap();
        std::fs::write(path("readme.txt"), TASK).unwrap();
        std::fs::create_dir(path("folder.json")).unwrap();
        std::os::unix::fs::symlink(path("good.json"), path("link.json")).unwrap();
        let mut folder = TaskFolder::new(dir.path().to_owned(), []);
        let scans: Vec<Scan> = (0..4).map(|_| folder.scan()).collect();
        assert_eq!(scans.iter().flat_map(stems).collect::<Vec<_>>(), ["good"]);
        let complaints: Vec<&String> = scans.iter().flat_map(|scan| &scan.complaints).collect();
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(complaints.iter().any(|text| text.ends_with("it is a link: put the file itself here")));
    }

    #[test]
    fn a_half_written_task_is_told_only_when_it_stays_so() {
        let dir = TempDir::new("half");
        let file = dir.path().join("a.json");
        std::fs::write(&file, &TASK[..20]).unwrap();
        let mut folder = TaskFolder::new(dir.path().to_owned(), []);
        assert_eq!(stems(&folder.scan()), [""; 0]);
        std::fs::write(&file, TASK).unwrap();
        assert_eq!(stems(&folder.scan()), ["a"]);
        std::fs::write(dir.path().join("b.json"), "{").unwrap();
        assert_eq!(stems(&folder.scan()), [""; 0]);
        // The engine says what is wrong with it, once.
        assert_eq!(stems(&folder.scan()), ["b"]);
        assert_eq!(stems(&folder.scan()), [""; 0]);
    }
}
