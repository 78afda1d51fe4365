//! The store on a thread of its own: a sync takes 5 ms on a good day and seconds on a bad card,
//! and the radio waits for neither.

use super::error::StartError;
use super::files::FolderFiles;
use crate::broadcast::NotSaved;
use crate::store::Change;
use crate::store::Store;
use crate::task::TaskId;
use std::thread;
use tokio::sync::mpsc;

/// Changes that may wait for the disk. The engine has at most a handful per open task on their way; so many
/// means that the disk does not answer any more.
const WAITING_MAX: usize = 256;

/// Who is told that a change is stored.
#[derive(Debug)]
enum For {
    /// The engine, under the number of its wish.
    Save(u64),
    /// Whoever keeps the order of this task, which is over.
    Report(TaskId, mpsc::Sender<TaskId>),
    /// A report that was written before, with more in it.
    Amended,
}

/// The driver's end of the store.
#[derive(Debug)]
pub struct StoreThread {
    changes: mpsc::Sender<(For, Change)>,
    answers: mpsc::Receiver<(u64, Result<(), NotSaved>)>,
}

impl StoreThread {
    /// Gives `store` a thread, which ends when the keeper is dropped and all its changes are stored. Without a store
    /// nothing is ever kept, and whoever asks is told.
    ///
    /// # Errors
    /// [`StartError::System`] when no thread can be had.
    pub fn start(store: Option<Store<FolderFiles>>) -> Result<StoreThread, StartError> {
        let (changes, waiting) = mpsc::channel(WAITING_MAX);
        let (tell, answers) = mpsc::channel(WAITING_MAX);
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || keep(store, waiting, &tell))
            .map_err(|error| StartError::System { what: "a thread", error })?;
        Ok(StoreThread { changes, answers })
    }

    /// Has `change` stored; the answer comes back under `save`.
    ///
    /// # Errors
    /// When it cannot even be queued: nothing more can be promised then.
    pub fn save(&self, save: u64, change: Change) -> Result<(), NotSaved> {
        self.changes.try_send((For::Save(save), change)).map_err(|_| {
            NotSaved::Broken(format!("the disk has not answered {WAITING_MAX} times: check it and restart"))
        })
    }

    /// Has a report of the daemon's own stored, after which `task` is told to be over.
    pub fn note(&self, change: Change, task: TaskId, over: mpsc::Sender<TaskId>) {
        if self.changes.try_send((For::Report(task, over), change)).is_err() {
            tracing::warn!("a report was not written: the disk does not answer");
        }
    }

    /// Has a report stored that was stored before, with more in it.
    pub fn amend(&self, change: Change) {
        if self.changes.try_send((For::Amended, change)).is_err() {
            tracing::warn!("a report was not written: the disk does not answer");
        }
    }

    /// The next answer; `None` when the thread is gone.
    pub async fn answer(&mut self) -> Option<(u64, Result<(), NotSaved>)> {
        self.answers.recv().await
    }

    /// Waits until everything is stored.
    pub async fn close(self) {
        let StoreThread { changes, mut answers } = self;
        drop(changes);
        while answers.recv().await.is_some() {}
    }
}

fn keep(
    mut store: Option<Store<FolderFiles>>,
    mut waiting: mpsc::Receiver<(For, Change)>,
    tell: &mpsc::Sender<(u64, Result<(), NotSaved>)>,
) {
    while let Some((whom, change)) = waiting.blocking_recv() {
        let result = store.as_mut().map(|store| store.apply(&change));
        match (whom, result) {
            (For::Save(save), result) => {
                let answer = match result {
                    Some(result) => result.map_err(|error| NotSaved::from(&error)),
                    None => Err(NotSaved::Broken("the state folder cannot be used".to_owned())),
                };
                if tell.blocking_send((save, answer)).is_err() {
                    return;
                }
            }
            // Whoever is not told now finds at the next start that it is over.
            (For::Report(task, over), Some(Ok(()))) => drop(over.try_send(task)),
            (For::Report(..) | For::Amended, None) | (For::Amended, Some(Ok(()))) => {}
            (For::Report(..) | For::Amended, Some(Err(error))) => {
                tracing::warn!(%error, "a report was not written")
            }
        }
    }
}
