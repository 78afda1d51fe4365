//! Orders that come over the control socket: taken in pieces, judged, kept under the state folder until they are over.
//!
//! The disk is touched on blocking threads. The driver is asked how tasks stand, and told of an order as of a
//! file in the task folder.

use super::ask::Ask;
use super::ask::Standing;
use super::order_request::AboutOrder;
use super::order_request::OrderRequest;
use super::refusal::Refusal;
use crate::broadcast::Foreseen;
use crate::broadcast::Judge;
use crate::broadcast::KnownImage;
use crate::broadcast::TaskSource;
use crate::cloud::task_from_file;
use crate::daemon::fact::Fact;
use crate::daemon::files::FolderFiles;
use crate::daemon::folder::read_regular;
use crate::daemon::state_folder::free_bytes;
use crate::image::MAX_IMAGE_BYTES;
use crate::json::shown_text;
use crate::store::OrderError;
use crate::store::OrderFolder;
use crate::store::PIECE_BYTES_MAX;
use crate::task::ImageRef;
use crate::task::Task;
use crate::task::TaskId;
use crate::time::GpsTime;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// The folder of the orders, within the state folder.
const FOLDER: &str = "orders";

type Folder = OrderFolder<FolderFiles>;

/// The orders of the control socket.
pub struct Orders {
    dir: PathBuf,
    folder: Arc<Mutex<Folder>>,
    judge: Arc<Judge>,
    /// Names of all groups, and whether their devices decide when a task without a start begins.
    groups: BTreeMap<String, bool>,
    facts: mpsc::Sender<Fact>,
    asks: mpsc::Sender<Ask>,
}

impl Orders {
    /// The orders that are kept in `state_dir`. Whatever is no whole order there is removed.
    ///
    /// # Errors
    /// One line: the folder cannot be used.
    pub fn open(
        state_dir: &Path,
        judge: Judge,
        groups: BTreeMap<String, bool>,
        facts: mpsc::Sender<Fact>,
        asks: mpsc::Sender<Ask>,
    ) -> Result<Orders, String> {
        let dir = folder_of(state_dir);
        let opened = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        let files = opened.and_then(|()| FolderFiles::open(&dir)).map_err(|error| error.to_string());
        let folder = files.and_then(|files| OrderFolder::open(files).map_err(|error| error.to_string()));
        let folder = folder.map_err(|error| {
            format!("{}: {error}: no order is taken here; the task folder takes them", dir.display())
        })?;
        let (folder, judge) = (Arc::new(Mutex::new(folder)), Arc::new(judge));
        Ok(Orders { dir, folder, judge, groups, facts, asks })
    }

    /// Carries out one request.
    ///
    /// # Errors
    /// Why it is not carried out.
    pub async fn take(&self, request: OrderRequest) -> Result<Value, Refusal> {
        let OrderRequest { name, what } = request;
        match what {
            AboutOrder::Begin { bytes, digest } => {
                self.is_new(&name, self.ids_of(&name)).await?;
                let free = free_bytes(&self.dir);
                let order = name.clone();
                let have =
                    self.on_disk(move |folder| folder.begin(order.as_str(), bytes, digest, free)).await?;
                let image = self.image_of(&name).display().to_string();
                Ok(json!({ "have": have, "image": image, "piece-max": PIECE_BYTES_MAX }))
            }
            AboutOrder::Piece { offset, piece } => {
                let have = self.on_disk(move |folder| folder.piece(name.as_str(), offset, &piece)).await?;
                Ok(json!({ "have": have }))
            }
            AboutOrder::Commit(document) => self.commit(name, document).await,
            AboutOrder::Cancel => {
                let order = name.clone();
                if !self.on_disk(move |folder| Ok(folder.remove(order.as_str())?)).await? {
                    let why = format!(
                        "{name} is no order that came by this way: `fuotad tasks` has all; `fuotad cancel` ends one of the task folder"
                    );
                    return Err(Refusal::new("unknown-order", why));
                }
                self.tell(Fact::Gone(name.clone())).await?;
                Ok(json!({ "cancelled": name.as_str() }))
            }
        }
    }

    async fn commit(&self, name: TaskId, document: Vec<u8>) -> Result<Value, Refusal> {
        let tasks = self.tasks(&name, &document)?;
        let Standing { others, gps, unusable, .. } = self.is_new(&name, self.ids_of(&name)).await?;
        let (order, kept) = (name.clone(), document.clone());
        let (judge, groups) = (Arc::clone(&self.judge), self.groups.clone());
        let part = self.dir.join(format!("{name}.part"));
        let warnings = self
            .on_disk(move |folder| {
                folder.check(order.as_str())?;
                let judged = read(&part)
                    .map_err(|error| error.to_string())
                    .and_then(|image| judged(&judge, &tasks, &image, gps, &groups));
                let judged =
                    judged.and_then(|warnings| usable(&tasks, &groups, &unusable).map(|()| warnings));
                match judged {
                    Ok(warnings) => folder.keep(order.as_str(), &kept).map(|()| Ok(warnings)),
                    Err(why) => {
                        folder.remove(order.as_str())?;
                        Ok(Err(Refusal::new("refused", why)))
                    }
                }
            })
            .await??;
        self.tell(told(&name, document)).await?;
        let ahead: Vec<&str> = others.iter().map(TaskId::as_str).collect();
        Ok(json!({ "ordered": name.as_str(), "ahead": ahead, "warnings": warnings }))
    }

    /// The tasks of a document: it is this order's, and its image is the one that came with it.
    fn tasks(&self, name: &TaskId, document: &[u8]) -> Result<Vec<Task>, Refusal> {
        let refused = |why: String| Refusal::new("refused", why);
        let task = task_from_file(document, name.as_str()).map_err(|error| refused(error.to_string()))?;
        if task.document_id != *name {
            let (found, name) = (shown_text(task.document_id.as_str()), name.as_str());
            return Err(refused(format!("the task's Id is {found}: leave it out or write {name:?}")));
        }
        let image = self.image_of(name).display().to_string();
        if task.image != ImageRef::File(image.clone()) {
            return Err(refused(format!("FirmwareUpdateImage: write \"file://{image}\"")));
        }
        task.per_group().map_err(|error| refused(error.to_string()))
    }

    /// Tells the driver what is kept from an earlier life, and of `known` orders what is not; then removes each order
    /// that is `over` and whose report is kept.
    pub async fn upkeep(&self, known: Vec<String>, mut over: mpsc::Receiver<TaskId>) {
        let names = self.on_disk(|folder| Ok(folder.names().map(str::to_owned).collect::<Vec<_>>())).await;
        let names = names.unwrap_or_default();
        for lost in known.iter().filter(|known| !names.contains(known)) {
            if let Ok(id) = TaskId::new(lost) {
                let _ = self.tell(Fact::Gone(id)).await;
            }
        }
        for name in names {
            if !self.is_done(&name).await {
                let of = name.clone();
                let document = self.on_disk(move |folder| Ok(folder.document(&of)?)).await;
                if let (Ok(Some(document)), Ok(id)) = (document, TaskId::new(&name)) {
                    let _ = self.tell(told(&id, document)).await;
                }
            }
        }
        while let Some(task) = over.recv().await {
            let campaign = task.as_str();
            let name = campaign.rsplit_once('@').map_or(campaign, |(name, _)| name).to_owned();
            self.is_done(&name).await;
        }
    }

    /// Whether every task of the order is over; then nothing of it is kept any more.
    async fn is_done(&self, name: &str) -> bool {
        let of = name.to_owned();
        let Ok(Some(document)) = self.on_disk(move |folder| Ok(folder.document(&of)?)).await else {
            return false;
        };
        let tasks = task_from_file(&document, name).and_then(Task::per_group).unwrap_or_default();
        let ids: Vec<TaskId> = tasks.into_iter().map(|task| task.id).collect();
        let Ok(standing) = self.standing(ids.clone()).await else { return false };
        if ids.is_empty() || standing.over.len() < ids.len() {
            return false;
        }
        let of = name.to_owned();
        match self.on_disk(move |folder| Ok(folder.remove(&of)?)).await {
            Ok(_) => tracing::info!(task = name, "order {name} is over: its image is removed"),
            Err(refusal) => tracing::warn!(task = name, "order {name} is over: {}", refusal.message),
        }
        true
    }

    /// How it stands, unless one of these tasks is known.
    async fn is_new(&self, name: &TaskId, ids: Vec<TaskId>) -> Result<Standing, Refusal> {
        let standing = self.standing(ids).await?;
        if !standing.over.is_empty() {
            let why = format!(
                "{name} was ordered before and is over (`fuotad history`): another --name sends it again"
            );
            return Err(Refusal::new("already-over", why));
        }
        if !standing.open.is_empty() {
            return Err(refused(&OrderError::Known(name.to_string())));
        }
        Ok(standing)
    }

    /// The order's own id, and that of its campaign for each group.
    fn ids_of(&self, name: &TaskId) -> Vec<TaskId> {
        let campaigns = self.groups.keys().filter_map(|group| name.of_group(group).ok());
        std::iter::once(name.clone()).chain(campaigns).collect()
    }

    async fn standing(&self, ids: Vec<TaskId>) -> Result<Standing, Refusal> {
        let (tell, answer) = oneshot::channel();
        self.asks.send(Ask::Standing(ids, tell)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())
    }

    async fn tell(&self, fact: Fact) -> Result<(), Refusal> {
        self.facts.send(fact).await.map_err(|_| ending())
    }

    /// Does something with the folder on a thread that may wait for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Folder) -> Result<T, OrderError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let folder = Arc::clone(&self.folder);
        let done = tokio::task::spawn_blocking(move || {
            // Whoever panicked left the folder as a power cut does.
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut folder)
        });
        let done = done.await.map_err(|_| ending())?;
        done.map_err(|error| refused(&error))
    }

    fn image_of(&self, name: &TaskId) -> PathBuf {
        self.dir.join(format!("{name}.bin"))
    }
}

/// Where orders are kept, as an absolute path: documents name their images there.
pub fn folder_of(state_dir: &Path) -> PathBuf {
    let dir = state_dir.join(FOLDER);
    std::path::absolute(&dir).unwrap_or(dir)
}

/// Whether the document of a recorded task came over the control socket.
pub fn is_of_socket(folder: &Path, document: &str, stem: &str) -> bool {
    let task = task_from_file(document.as_bytes(), stem);
    task.is_ok_and(|task| matches!(task.image, ImageRef::File(path) if Path::new(&path).starts_with(folder)))
}

/// Warnings of all tasks, or why one of them would not be sent.
fn judged(
    judge: &Judge,
    tasks: &[Task],
    image: &[u8],
    gps: Option<GpsTime>,
    groups: &BTreeMap<String, bool>,
) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for task in tasks {
        let group = task.groups.first().or_else(|| groups.keys().next());
        let is_of_devices = task.start.is_none() && group.and_then(|group| groups.get(group)) == Some(&true);
        let judgement = judge.judge(task, TaskSource::File, KnownImage::Bytes(image), gps);
        match judgement.outcome {
            Foreseen::Sent(_) => warnings.extend(judgement.warnings),
            Foreseen::Waits(_) if is_of_devices => warnings.extend(judgement.warnings),
            other => return Err(other.to_string()),
        }
    }
    Ok(warnings)
}

/// Whether something can be sent to the groups of all tasks.
fn usable(
    tasks: &[Task],
    groups: &BTreeMap<String, bool>,
    unusable: &BTreeMap<String, String>,
) -> Result<(), String> {
    let of_task = |task: &Task| task.groups.first().or_else(|| groups.keys().next()).cloned();
    let mut why = tasks.iter().filter_map(|task| unusable.get(&of_task(task)?));
    why.next().map_or(Ok(()), |why| Err(why.clone()))
}

fn told(name: &TaskId, document: Vec<u8>) -> Fact {
    Fact::Task { document, stem: name.as_str().to_owned(), source: TaskSource::File }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_regular(&File::open(path)?, MAX_IMAGE_BYTES)
}

fn ending() -> Refusal {
    Refusal::new("ending", "the service is just ending: try again when it is back")
}

fn refused(error: &OrderError) -> Refusal {
    Refusal::new(code(error), error.to_string())
}

fn code(error: &OrderError) -> &'static str {
    match error {
        OrderError::Known(_) => "already-ordered",
        OrderError::Size(_) => "wrong-size",
        OrderError::TooMany => "too-many-orders",
        OrderError::NoRoom { .. } => "no-room",
        OrderError::NotBegun(_) => "not-begun",
        OrderError::Offset { .. } | OrderError::Piece { .. } => "wrong-piece",
        OrderError::Incomplete { .. } => "incomplete",
        OrderError::Damaged { .. } => "damaged",
        OrderError::Files(_) => "disk",
    }
}
