//! Polling and downloads, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;

use super::Settings;
use super::client::Clients;
use super::fetch::Tools;
use super::fetch::fetch;
use super::poll::poll;
use super::shelf::Shelf;
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
            () = download(&clients, tools(&clients, &settings), &facts, fetches, gone) => {}
        }
    };
    tokio::select! {
        biased;
        () = stop => {}
        () = work => {}
    }
}

/// What downloads are made with. Without its folder a gateway downloads, and keeps nothing.
fn tools(clients: &Clients, settings: &Settings) -> Tools {
    let shelf = settings.images_dir.as_deref().and_then(|dir| {
        let opened = Shelf::open(dir);
        opened.map_err(|error| tracing::warn!("{}: {error}: no image is kept", dir.display())).ok()
    });
    let settings = Arc::new(settings.clone());
    Tools { s3: clients.s3.clone(), web: clients.web.clone(), settings, shelf }
}

/// Runs downloads for ever. Dropping it aborts them.
async fn download(
    clients: &Clients,
    tools: Tools,
    facts: &mpsc::Sender<Fact>,
    mut fetches: mpsc::Receiver<FetchOrder>,
    mut gone: mpsc::Receiver<TaskId>,
) {
    let mut running = JoinSet::new();
    let mut handles: BTreeMap<TaskId, AbortHandle> = BTreeMap::new();
    loop {
        handles.retain(|_, handle| !handle.is_finished());
        tokio::select! {
            Some(order) = fetches.recv(), if running.len() < MAX_DOWNLOADS => {
                let s3 = clients.s3_for(&tools.settings, &order.image).await;
                let (tools, facts) = (Tools { s3, ..tools.clone() }, facts.clone());
                let (id, task) = (order.task.clone(), order.task.clone());
                let handle = running.spawn(async move {
                    let fact = match fetch(&tools, &order, &facts).await {
                        Ok((bytes, evidence)) => Fact::Image(task, bytes, evidence),
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
