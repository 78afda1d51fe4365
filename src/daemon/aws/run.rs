//! Polling and downloads, side by side.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;

use super::client::Clients;
use super::fetch::FetchContext;
use super::fetch::fetch;
use super::image_cache::ImageCache;
use super::poll::poll;
use super::settings::Settings;
use crate::daemon::fact::Fact;
use crate::daemon::fact::FetchOrder;
use crate::daemon::fact::Fetched;
use crate::daemon::fact::ImageWish;
use crate::daemon::fact::WISHES_MAX;
use crate::task::TaskId;

/// Downloads at once; further ones wait. Each holds at most one image.
const MAX_DOWNLOADS: usize = 8;

/// The cloud side of the daemon: tells `facts` what becomes of the tasks in `settings`, and brings the images
/// that `wishes` asks for. A second request for a task replaces the first; a task that is gone or over stops its
/// download. The image of a task that is not over stays on this gateway's disk. Ends when `stop` does, or when nobody receives the facts any more. Nothing that AWS does or fails to
/// do ends it.
pub async fn run(
    settings: Settings,
    facts: mpsc::Sender<Fact>,
    wishes: mpsc::Receiver<ImageWish>,
    stop: impl Future<Output = ()>,
) {
    let work = async {
        let clients = match Clients::new(&settings).await {
            Ok(clients) => clients,
            Err(error) => {
                tracing::error!("TLS cannot be set up: {error}; the cloud is not asked");
                return std::future::pending().await;
            }
        };
        let (over, gone) = mpsc::channel(MAX_DOWNLOADS);
        tokio::select! {
            _ = poll(&clients, &settings, &facts, &over) => {}
            () = download(&clients, context(&clients, &settings), &facts, wishes, gone) => {}
        }
    };
    tokio::select! {
        biased;
        () = stop => {}
        () = work => {}
    }
}

/// What downloads are made with. Without its folder a gateway downloads, and keeps nothing.
fn context(clients: &Clients, settings: &Settings) -> FetchContext {
    let cache = settings.images_dir.as_deref().and_then(|dir| {
        let opened = ImageCache::open(dir);
        opened.map_err(|error| tracing::warn!("{}: {error}: no image is kept", dir.display())).ok()
    });
    let settings = Arc::new(settings.clone());
    FetchContext { s3: clients.aws.clone(), web: clients.http.clone(), settings, cache }
}

/// Downloads that run, and those that wait for their turn.
#[derive(Default)]
struct Downloads {
    running: JoinSet<()>,
    handles: BTreeMap<TaskId, AbortHandle>,
    /// One for each task, at most.
    waiting: VecDeque<FetchOrder>,
}

/// Runs downloads for ever. Dropping it aborts them.
async fn download(
    clients: &Clients,
    context: FetchContext,
    facts: &mpsc::Sender<Fact>,
    mut wishes: mpsc::Receiver<ImageWish>,
    mut gone: mpsc::Receiver<TaskId>,
) {
    let mut downloads = Downloads::default();
    loop {
        // What is wished is known as a whole before any of it begins: after a restart a new image must not push an old
        // one out of the cache that is asked for behind it.
        while downloads.has_room()
            && let Ok(wish) = wishes.try_recv()
        {
            downloads.take(wish, &context);
        }
        downloads.start(clients, &context, facts);
        let Downloads { running, waiting, .. } = &mut downloads;
        tokio::select! {
            Some(wish) = wishes.recv(), if waiting.len() < WISHES_MAX => downloads.take(wish, &context),
            Some(id) = gone.recv() => downloads.stop(&id),
            Some(_) = running.join_next() => {}
            else => std::future::pending().await,
        }
    }
}

impl Downloads {
    fn has_room(&self) -> bool {
        self.waiting.len() < WISHES_MAX
    }

    fn take(&mut self, wish: ImageWish, context: &FetchContext) {
        let needed = context.cache.as_ref().map(ImageCache::needed);
        match wish {
            ImageWish::Fetch(order) => {
                self.stop(&order.task);
                if let Some(needed) = needed {
                    needed.need(&order.task, order.digest);
                }
                self.waiting.push_back(order);
            }
            ImageWish::Over(task) => {
                self.stop(&task);
                if let Some(needed) = needed {
                    needed.over(&task);
                }
                tracing::debug!("image of task {task}: not needed any more");
            }
        }
    }

    /// Begins as many as may run at once.
    fn start(&mut self, clients: &Clients, context: &FetchContext, facts: &mpsc::Sender<Fact>) {
        self.handles.retain(|_, handle| !handle.is_finished());
        while self.running.len() < MAX_DOWNLOADS
            && let Some(order) = self.waiting.pop_front()
        {
            let s3 = clients.for_image(&context.settings, &order.image);
            let (context, facts) = (FetchContext { s3, ..context.clone() }, facts.clone());
            let (id, task) = (order.task.clone(), order.task.clone());
            let handle = self.running.spawn(async move {
                let fetched = match fetch(&context, &order, &facts).await {
                    Ok((bytes, evidence)) => Fetched::Image(bytes, evidence),
                    Err(reason) => Fetched::Failed(reason),
                };
                // Nobody there: the daemon stops.
                let _ = facts.send(Fact::Image(task, fetched)).await;
            });
            self.handles.insert(id, handle);
        }
    }

    /// Nothing more is fetched for the task.
    fn stop(&mut self, task: &TaskId) {
        self.waiting.retain(|order| order.task != *task);
        if let Some(handle) = self.handles.remove(task) {
            handle.abort();
        }
    }
}
