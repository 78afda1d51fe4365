//! Looks at each FUOTA task again and again and tells what changed.

use aws_sdk_iotwireless::Client;
use tokio::sync::mpsc;

use super::Settings;
use super::document::document;
use super::groups::Audience;
use super::groups::audience;
use super::patience::Backoff;
use super::patience::jittered;
use super::patience::random;
use super::trouble::Trouble;
use crate::broadcast::TaskSource;
use crate::daemon::Fact;
use crate::task::FuotadJson;
use crate::task::Task;
use crate::task::TaskId;
use crate::task::TaskStatus;

const GET: &str = "iotwireless:GetFuotaTask";

/// A task that this process never saw may be known from before a restart. A second look makes sure.
const LOOKS_BEFORE_GONE: u32 = 2;

/// The receiver of facts is gone: the daemon stops.
#[derive(Debug)]
pub(super) struct Closed;

/// Where a task stands, for the log: a line is written when this changes.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Told(TaskStatus),
    Refused(String),
    Gone,
    Unsure(Trouble),
}

/// One task and what was told of it.
struct Watched {
    id: TaskId,
    told: Option<Vec<u8>>,
    missing: u32,
    audience: Option<(TaskStatus, Audience)>,
    state: Option<State>,
}

/// Polls until the receiver of facts is gone. `over` is told of tasks whose download is pointless.
pub(super) async fn poll(
    client: &Client,
    settings: &Settings,
    facts: &mpsc::Sender<Fact>,
    over: &mpsc::Sender<TaskId>,
) -> Result<(), Closed> {
    let mut watched: Vec<Watched> = settings.fuota_tasks.iter().filter_map(|id| Watched::new(id)).collect();
    let mut backoff = Backoff::new(settings.patience.poll_first, settings.patience.longest);
    loop {
        let mut wait = jittered(settings.poll, random());
        let mut is_well = true;
        for task in &mut watched {
            match task.look(client, settings).await {
                Ok(news) => {
                    if let Some(fact) = task.tell(news) {
                        if matches!(fact, Fact::Gone(_)) || task.is_being_deleted() {
                            over.send(task.id.clone()).await.map_err(|_| Closed)?;
                        }
                        facts.send(fact).await.map_err(|_| Closed)?;
                    }
                }
                Err(trouble) => {
                    is_well &= !trouble.is_general();
                    task.enter(State::Unsure(trouble));
                    if !is_well {
                        break;
                    }
                }
            }
        }
        if is_well {
            backoff.reset();
        } else {
            // Never more often than when all is well.
            wait = wait.max(backoff.next(random()));
        }
        tokio::time::sleep(wait).await;
    }
}

/// What a look at a task showed.
enum News {
    Document { bytes: Vec<u8>, status: TaskStatus },
    Refused { reason: String, is_over: bool },
    NotFound,
}

impl Watched {
    fn new(id: &str) -> Option<Watched> {
        match TaskId::new(id) {
            Ok(id) => Some(Watched { id, told: None, missing: 0, audience: None, state: None }),
            Err(error) => {
                tracing::warn!("aws.fuota-tasks: {error}");
                None
            }
        }
    }

    async fn look(&mut self, client: &Client, settings: &Settings) -> Result<News, Trouble> {
        let id = self.id.clone();
        let id = id.as_str();
        let answer = match client.get_fuota_task().id(id).send().await.map_err(|e| Trouble::of(GET, &e)) {
            Ok(answer) => answer,
            Err(Trouble::NotFound { .. }) => return Ok(News::NotFound),
            Err(trouble) => return Err(trouble),
        };
        if answer.id().is_some_and(|theirs| theirs != id) {
            return Err(Trouble::Unreadable { action: GET, why: "it is about another task" });
        }
        let status = TaskStatus::from_aws(answer.status().map_or("Pending", |status| status.as_str()));
        let is_over = status == TaskStatus::DeleteWaiting;
        let mut fuotad = settings.overlays.get(id).cloned().unwrap_or_default();
        if !is_over {
            match self.audience(client, settings, &status).await? {
                Audience::Ours(groups) => fuotad.multicast_groups = Some(groups),
                Audience::Unnamed => {}
                Audience::Refused(reason) => return Ok(News::Refused { reason, is_over }),
            }
        }
        let fuotad = (fuotad != FuotadJson::default()).then_some(fuotad);
        let json = document(id, &answer, fuotad);
        let bytes = serde_json::to_vec(&json)
            .map_err(|_| Trouble::Unreadable { action: GET, why: "it does not go into a document" })?;
        // Asked here because only here it is certain that no file of this gateway may be named.
        Ok(match Task::from_cloud(json) {
            Ok(_) => News::Document { bytes, status },
            Err(error) => News::Refused { reason: error.to_string(), is_over },
        })
    }

    /// The groups can change while a task is `Pending` only.
    async fn audience(
        &mut self,
        client: &Client,
        settings: &Settings,
        status: &TaskStatus,
    ) -> Result<Audience, Trouble> {
        if let Some((asked_at, audience)) = &self.audience
            && asked_at == status
            && *status != TaskStatus::Pending
            && !matches!(audience, Audience::Refused(_))
        {
            return Ok(audience.clone());
        }
        let audience = audience(client, settings, self.id.as_str()).await?;
        self.audience = Some((status.clone(), audience.clone()));
        Ok(audience)
    }

    /// The fact in `news`, if it is one.
    fn tell(&mut self, news: News) -> Option<Fact> {
        match news {
            News::Document { bytes, status } => {
                self.missing = 0;
                self.enter(State::Told(status));
                if self.told.as_ref() == Some(&bytes) {
                    return None;
                }
                self.told = Some(bytes.clone());
                let stem = self.id.as_str().to_owned();
                Some(Fact::Task { document: bytes, stem, source: TaskSource::Cloud })
            }
            News::Refused { reason, is_over } => {
                self.missing = 0;
                self.enter(State::Refused(reason));
                (is_over && self.told.take().is_some()).then(|| Fact::Gone(self.id.clone()))
            }
            News::NotFound => {
                let was_told = self.told.take().is_some();
                // Once told that it is gone, the count is past the mark.
                self.missing = if was_told { LOOKS_BEFORE_GONE } else { self.missing.saturating_add(1) };
                self.enter(State::Gone);
                (self.missing == LOOKS_BEFORE_GONE).then(|| Fact::Gone(self.id.clone()))
            }
        }
    }

    fn is_being_deleted(&self) -> bool {
        self.state == Some(State::Told(TaskStatus::DeleteWaiting))
    }

    /// Notes where the task stands, with a line in the log if that is new.
    fn enter(&mut self, state: State) {
        let is_same = match (&self.state, &state) {
            (Some(State::Unsure(before)), State::Unsure(now)) => before.is_like(now),
            (before, now) => before.as_ref() == Some(now),
        };
        if is_same {
            return;
        }
        let id = &self.id;
        match &state {
            State::Told(status) => tracing::info!("FUOTA task {id}: {status}"),
            State::Refused(reason) => tracing::warn!("FUOTA task {id}: not taken: {reason}"),
            State::Gone => tracing::warn!("FUOTA task {id}: not found in this region and account"),
            State::Unsure(trouble) => {
                tracing::warn!("FUOTA task {id}: {trouble}; what runs here goes on")
            }
        }
        self.state = Some(state);
    }
}
