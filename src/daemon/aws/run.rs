//! Polling and downloads, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;

use super::Settings;
use super::client::Clients;
use super::fetch::fetch;
use super::poll::poll;
use crate::daemon::Fact;
use crate::daemon::FetchOrder;
use crate::task::TaskId;

/// Downloads at once; further ones wait. Each holds at most one image.
const MAX_DOWNLOADS: usize = 8;

/// The cloud side of the daemon: tells `facts` what becomes of the tasks in `settings`, and brings the images
/// that `fetches` asks for. A second request for a task replaces the first; a task that is gone stops its
/// download. Ends when `stop` does, or when nobody receives the facts any more. Nothing that AWS does or fails to
/// do ends it.
pub async fn run(
    settings: Settings,
    facts: mpsc::Sender<Fact>,
    fetches: mpsc::Receiver<FetchOrder>,
    stop: impl Future<Output = ()>,
) {
    let work = async {
        let clients = Clients::new(&settings).await;
        let (over, gone) = mpsc::channel(MAX_DOWNLOADS);
        tokio::select! {
            _ = poll(&clients, &settings, &facts, &over) => {}
            () = download(&clients, &settings, &facts, fetches, gone) => {}
        }
    };
    tokio::select! {
        biased;
        () = stop => {}
        () = work => {}
    }
}

/// Runs downloads for ever. Dropping it aborts them.
async fn download(
    clients: &Clients,
    settings: &Settings,
    facts: &mpsc::Sender<Fact>,
    mut fetches: mpsc::Receiver<FetchOrder>,
    mut gone: mpsc::Receiver<TaskId>,
) {
    let settings = Arc::new(settings.clone());
    let mut running = JoinSet::new();
    let mut handles: BTreeMap<TaskId, AbortHandle> = BTreeMap::new();
    loop {
        handles.retain(|_, handle| !handle.is_finished());
        tokio::select! {
            Some(FetchOrder { task: id, image }) = fetches.recv(), if running.len() < MAX_DOWNLOADS => {
                let s3 = clients.s3_for(&settings, &image).await;
                let (settings, facts) = (Arc::clone(&settings), facts.clone());
                let task = id.clone();
                let handle = running.spawn(async move {
                    let fact = match fetch(&s3, &settings, &task, &image).await {
                        Ok(bytes) => Fact::Image(task, bytes),
                        Err(reason) => Fact::ImageFailed(task, reason),
                    };
                    // Nobody there: the daemon stops.
                    let _ = facts.send(fact).await;
                });
                if let Some(older) = handles.insert(id, handle) {
                    older.abort();
                }
            }
            Some(id) = gone.recv() => {
                if let Some(handle) = handles.remove(&id) {
                    handle.abort();
                }
            }
            Some(_) = running.join_next() => {}
            else => std::future::pending().await,
        }
    }
}
