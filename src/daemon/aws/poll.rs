//! Looks at each order again and again and tells what changed.

use tokio::sync::mpsc;

use super::client::Clients;
use super::error::AwsError;
use super::fuota::Fuota;
use super::network::returned;
use super::ota::Ota;
use super::pages::fuota_tasks;
use super::poll_result::PollResult;
use super::settings::Settings;
use super::timeouts::Backoff;
use super::timeouts::jittered;
use super::timeouts::random;
use crate::broadcast::TaskSource;
use crate::daemon::fact::Fact;
use crate::task::TaskId;

/// A task that this process never saw may be known from before a restart. A second look makes sure.
const LOOKS_BEFORE_GONE: u32 = 2;
/// Orders that are looked at: each costs calls that a whole account shares.
const MAX_WATCHED: usize = 64;

/// The receiver of facts is gone: the daemon stops.
#[derive(Debug)]
pub(super) struct Closed;

/// Where an order stands, for the log: a line is written when this changes.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Told(String),
    Waiting(String),
    Refused(String),
    Withdrawn(String),
    Gone,
    Unsure(AwsError),
}

/// Whose order it is.
#[derive(Debug)]
enum Kind {
    Fuota(Fuota),
    Ota(Ota),
}

/// One order and what was told of it.
struct Watched {
    id: TaskId,
    kind: Kind,
    told: Option<Vec<u8>>,
    missing: u32,
    state: Option<State>,
}

/// All orders that are polled, with what they share.
struct Watch<'a> {
    clients: &'a Clients,
    settings: &'a Settings,
    watched: Vec<Watched>,
    /// The last error of the account's list.
    listing: Option<AwsError>,
    is_full: bool,
}

/// Polls until the receiver of facts is gone. `over` is told of tasks whose download is pointless.
pub(super) async fn poll(
    clients: &Clients,
    settings: &Settings,
    facts: &mpsc::Sender<Fact>,
    over: &mpsc::Sender<TaskId>,
) -> Result<(), Closed> {
    let mut watch = Watch::new(clients, settings);
    let mut backoff = Backoff::new(settings.timeouts.poll_first, settings.timeouts.longest);
    loop {
        let wait = jittered(settings.poll, random());
        if watch.round(facts, over).await? {
            backoff.reset();
            tokio::time::sleep(wait).await;
            continue;
        }
        // Never more often than when all is well, except when the way out has just come back.
        let wait = wait.max(backoff.next(random()));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = returned(settings.routes, settings.timeouts.network) => {
                tracing::info!("there is another way out: the cloud is asked again");
                backoff.reset();
            }
        }
    }
}

impl Watch<'_> {
    fn new<'a>(clients: &'a Clients, settings: &'a Settings) -> Watch<'a> {
        let fuota =
            settings.fuota_tasks.iter().filter_map(|id| Watched::new(id, Kind::Fuota(Fuota::default())));
        let ota = settings.ota_updates.iter().filter_map(|id| Watched::new(id, Kind::Ota(Ota::default())));
        let watched = fuota.chain(ota).collect();
        Watch { clients, settings, watched, listing: None, is_full: false }
    }

    /// One look at everything; whether all went well, or at least as well as trouble with one order allows.
    async fn round(
        &mut self,
        facts: &mpsc::Sender<Fact>,
        over: &mpsc::Sender<TaskId>,
    ) -> Result<bool, Closed> {
        if self.settings.all && !self.discover().await {
            return Ok(false);
        }
        for order in &mut self.watched {
            match order.look(self.clients, self.settings).await {
                Ok(result) => {
                    let is_over = matches!(result, PollResult::Document { is_over: true, .. });
                    if let Some(fact) = order.tell(result, self.settings) {
                        if is_over || matches!(fact, Fact::Gone(_)) {
                            over.send(order.id.clone()).await.map_err(|_| Closed)?;
                        }
                        facts.send(fact).await.map_err(|_| Closed)?;
                    }
                }
                Err(error) => {
                    let is_general = error.is_general();
                    if error.is_about_credentials() {
                        self.clients.credentials.forget().await;
                    }
                    order.enter(State::Unsure(error));
                    if is_general {
                        return Ok(false);
                    }
                }
            }
        }
        self.watched.retain(|order| !order.is_forgotten());
        Ok(true)
    }

    /// Adds the tasks of the account that are new. Without the right to list them the named ones are looked at.
    async fn discover(&mut self) -> bool {
        let ids = match fuota_tasks(&self.clients.aws).await {
            Ok(ids) => ids,
            Err(error) => {
                let is_general = error.is_general();
                if !self.listing.as_ref().is_some_and(|before| before.is_like(&error)) {
                    tracing::warn!("the account's FUOTA tasks: {error}");
                }
                self.listing = Some(error);
                return !is_general;
            }
        };
        self.listing = None;
        for id in ids {
            if self.watched.iter().any(|order| order.id.as_str() == id) {
                continue;
            }
            if self.watched.len() >= MAX_WATCHED {
                if !self.is_full {
                    tracing::warn!(
                        "more than {MAX_WATCHED} tasks: {id} and those after it are not looked at"
                    );
                }
                self.is_full = true;
                break;
            }
            self.watched.extend(Watched::new(&id, Kind::Fuota(Fuota::discovered())));
        }
        true
    }
}

impl Watched {
    fn new(id: &str, kind: Kind) -> Option<Watched> {
        match TaskId::new(id) {
            Ok(id) => Some(Watched { id, kind, told: None, missing: 0, state: None }),
            Err(error) => {
                tracing::warn!("a task of AWS: {error}");
                None
            }
        }
    }

    async fn look(&mut self, clients: &Clients, settings: &Settings) -> Result<PollResult, AwsError> {
        let id = self.id.as_str();
        match &mut self.kind {
            Kind::Fuota(fuota) => fuota.look(&clients.aws, settings, id).await,
            Kind::Ota(ota) => ota.look(&clients.aws, settings, id).await,
        }
    }

    /// The fact in `result`, if it is one.
    fn tell(&mut self, result: PollResult, settings: &Settings) -> Option<Fact> {
        if !matches!(result, PollResult::NotFound) {
            self.missing = 0;
        }
        match result {
            PollResult::Document { bytes, status, .. } => {
                self.enter(State::Told(status));
                if self.told.as_ref() == Some(&bytes) {
                    return None;
                }
                self.told = Some(bytes.clone());
                let stem = self.id.as_str().to_owned();
                Some(Fact::Task { document: bytes, stem, source: TaskSource::Cloud })
            }
            PollResult::Waiting(what) => {
                self.enter(State::Waiting(what));
                None
            }
            PollResult::Refused { reason, is_over } => {
                self.enter(State::Refused(reason));
                (is_over && self.told.take().is_some()).then(|| Fact::Gone(self.id.clone()))
            }
            PollResult::Withdrawn(status) => {
                self.enter(State::Withdrawn(status));
                self.told = None;
                Some(self.withdrawn(settings))
            }
            PollResult::NotFound => {
                let was_told = self.told.take().is_some();
                // Once told that it is gone, the count is past the mark.
                self.missing = if was_told { LOOKS_BEFORE_GONE } else { self.missing.saturating_add(1) };
                self.enter(State::Gone);
                match self.kind {
                    Kind::Fuota(_) => {
                        (self.missing == LOOKS_BEFORE_GONE).then(|| Fact::Gone(self.id.clone()))
                    }
                    Kind::Ota(_) => (self.missing >= LOOKS_BEFORE_GONE).then(|| self.withdrawn(settings)),
                }
            }
        }
    }

    /// An OTA update that is deleted does not begin any more; what is on the air goes on, unless the operator
    /// wants it to stop. Told at each look: whether it has begun may not be known yet after a restart.
    fn withdrawn(&self, settings: &Settings) -> Fact {
        let stops = settings.ota.get(self.id.as_str()).is_some_and(|ota| ota.stops_when_deleted);
        if stops { Fact::Gone(self.id.clone()) } else { Fact::Withdrawn(self.id.clone()) }
    }

    /// Whether a task that nobody named is gone, so that its place is free.
    fn is_forgotten(&self) -> bool {
        matches!(&self.kind, Kind::Fuota(fuota) if fuota.is_discovered) && self.missing >= LOOKS_BEFORE_GONE
    }

    /// Notes where the order stands, with a line in the log if that is new.
    fn enter(&mut self, state: State) {
        let is_same = match (&self.state, &state) {
            (Some(State::Unsure(before)), State::Unsure(now)) => before.is_like(now),
            (before, now) => before.as_ref() == Some(now),
        };
        if is_same {
            return;
        }
        let id = &self.id;
        let (what, is_discovered) = match &self.kind {
            Kind::Fuota(fuota) => ("FUOTA task", fuota.is_discovered),
            Kind::Ota(_) => ("OTA update", false),
        };
        match &state {
            State::Told(status) | State::Waiting(status) => tracing::info!("{what} {id}: {status}"),
            State::Withdrawn(status) => tracing::warn!("{what} {id}: {status}: it does not begin any more"),
            // An account may have many tasks that are for others.
            State::Refused(reason) if is_discovered => tracing::info!("{what} {id}: not taken: {reason}"),
            State::Refused(reason) => tracing::warn!("{what} {id}: not taken: {reason}"),
            State::Gone => tracing::warn!("{what} {id}: not found in this region and account"),
            State::Unsure(error) => {
                tracing::warn!("{what} {id}: {error}; what runs here goes on")
            }
        }
        self.state = Some(state);
    }
}
