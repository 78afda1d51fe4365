//! Images that lie on the local disk.
//!
//! An image that is not there yet is no reason to forget its task: a medium may be mounted late, a copy may
//! still run. It is looked for again, and the operator is told what is missing.

use super::fact::Fetched;
use super::folder::read_regular;
use super::io_words::file_words;
use crate::image::MAX_IMAGE_BYTES;
use crate::task::TaskId;
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How long until a missing image is looked for again.
const AGAIN: Duration = Duration::from_secs(5);
/// Answers that may wait for the driver, and images that are read at a time: they are large.
const ANSWERS_MAX: usize = 1;

/// An answer to a fetch, by the fetch's number.
type Answer = (u64, TaskId, Fetched);

/// Fetches that are under way, one per task.
#[derive(Debug)]
pub struct Images {
    next: u64,
    running: BTreeMap<TaskId, (u64, AbortHandle)>,
    /// Whoever reads an image holds it until the driver has taken it.
    reading: Arc<Semaphore>,
    tell: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
}

impl Images {
    /// An empty set of fetches.
    pub fn new() -> Self {
        let (tell, answers) = mpsc::channel(ANSWERS_MAX);
        Images {
            next: 0,
            running: BTreeMap::new(),
            reading: Arc::new(Semaphore::new(ANSWERS_MAX)),
            tell,
            answers,
        }
    }

    /// Begins to fetch the file at `path` for `task`, instead of whatever was fetched for it before.
    pub fn fetch(&mut self, task: TaskId, path: String) {
        self.forget(&task);
        self.next += 1;
        let (number, tell, id) = (self.next, self.tell.clone(), task.clone());
        let reading = Arc::clone(&self.reading);
        let fetch = tokio::spawn(async move {
            let mut told = None;
            loop {
                let file = path.clone();
                let Ok(permit) = reading.acquire().await else { return };
                let read = tokio::task::spawn_blocking(move || read(&file)).await;
                let trouble = match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
                    Ok(bytes) => {
                        let _ = tell.send((number, id, Fetched::Image(bytes, None))).await;
                        return;
                    }
                    Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                        let _ = tell.send((number, id, Fetched::Failed(format!("{path}: {error}")))).await;
                        return;
                    }
                    Err(error) => format!("the image {path}: {}", file_words(Path::new(&path), &error)),
                };
                drop(permit);
                if told.as_ref() != Some(&trouble) {
                    told = Some(trouble.clone());
                    let _ = tell.send((number, id.clone(), Fetched::Missing(trouble))).await;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
        self.running.insert(task, (number, fetch.abort_handle()));
    }

    /// Nobody wants the image of `task` any more.
    pub fn forget(&mut self, task: &TaskId) {
        if let Some((_, fetch)) = self.running.remove(task) {
            fetch.abort();
        }
    }

    /// The next answer to a fetch that is still wanted. An answer that was on its way when its task changed
    /// is not for the new task.
    pub async fn answer(&mut self) -> (TaskId, Fetched) {
        loop {
            // Never `None`: one sender is ours.
            let Some((number, task, fetched)) = self.answers.recv().await else {
                std::future::pending().await
            };
            if self.running.get(&task).is_some_and(|(wanted, _)| *wanted == number) {
                if !matches!(fetched, Fetched::Missing(_)) {
                    self.running.remove(&task);
                }
                return (task, fetched);
            }
        }
    }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    read_regular(&file, MAX_IMAGE_BYTES)
}
