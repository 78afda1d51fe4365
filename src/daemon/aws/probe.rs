//! `fuotad check --online`: one look at everything that the service would ask for, without a radio or a task begun.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::client::Clients;
use super::error::AwsError;
use super::error::printable;
use super::fuota::Fuota;
use super::operation::GET_CALLER_IDENTITY;
use super::operation::HEAD_OBJECT;
use super::ota::Ota;
use super::pages::fuota_tasks;
use super::poll_result::PollResult;
use super::refusal::CallError;
use super::settings::Settings;
use super::source::SIGNATURE_ENDING;
use super::source::head_object;
use super::source::in_metadata;
use super::source::size;
use super::sts::arn_in;
use super::sts::caller_identity;
use crate::broadcast::Foreseen;
use crate::broadcast::Judge;
use crate::broadcast::Judgement;
use crate::broadcast::KnownImage;
use crate::broadcast::TaskSource;
use crate::cloud::task_from_cloud;
use crate::daemon::clock::wall_clock;
use crate::signing::Evidence;
use crate::task::ImageRef;
use crate::task::Task;

/// STS believes a signature for 5 minutes; a clock that is nearly so wrong will be soon.
const CLOCK_OFF_MAX_S: u64 = 240;
/// So many tasks of an account are looked at.
const MAX_TASKS: usize = 64;

const NO_SIGNATURE: &str = "no signature beside the object (KEY.sig), in its metadata or in the order";
const NO_SIGNER: &str = "it is signed, and nobody is trusted to sign: name the signer's certificate in [group.signing], \
                         [aws.task.signing] or [ota.\"ID\".signing], or give its sha256";
const NOTHING_VOUCHES: &str = "nothing vouches for the image: give its sha256 in [[aws.task]] or [ota.\"ID\"], or sign it \
                               and name the signer's certificate in [group.signing], or set unsigned = \"accept\" on its group";

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A campaign can rely on it.
    Good,
    /// It may do: what it depends on is said.
    Unsure,
    /// It will not: what failed, and what to do.
    Bad,
}

/// What one look at something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// At what: `credentials`, `clock`, `tasks`, or what belongs to an order, as `task 6d2f…`.
    pub what: String,
    /// Good, unsure or bad.
    pub verdict: Verdict,
    /// One line for the operator, with the way out where it is bad.
    pub text: String,
}

/// What the configuration says about who vouches for images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// The names of groups that take images which nothing vouches for.
    pub accepting: BTreeSet<String>,
    /// The names of groups with signers that are trusted.
    pub trusting: BTreeSet<String>,
    /// The ids of tasks and updates with signers of their own.
    pub trusting_orders: BTreeSet<String>,
}

/// Looks at credentials, clock, and each order with its image and what vouches for that.
pub async fn probe(settings: &Settings, anchors: &Anchors, judge: &Judge) -> Vec<Finding> {
    let clients = match Clients::new(settings).await {
        Ok(clients) => clients,
        Err(error) => {
            let text = format!("TLS cannot be set up: {error}");
            return vec![Finding { what: "credentials".to_owned(), verdict: Verdict::Bad, text }];
        }
    };
    let mut probe = Probe { clients, settings, anchors, judge, findings: Vec::new() };
    if probe.identity().await {
        probe.orders().await;
    }
    probe.findings
}

struct Probe<'a> {
    clients: Clients,
    settings: &'a Settings,
    anchors: &'a Anchors,
    judge: &'a Judge,
    findings: Vec<Finding>,
}

impl Probe<'_> {
    fn find(&mut self, what: impl Into<String>, verdict: Verdict, text: impl Into<String>) {
        self.findings.push(Finding { what: what.into(), verdict, text: text.into() });
    }

    /// Whether it makes sense to go on. The call needs no right, so what it fails for is the credentials, the clock
    /// or the way.
    async fn identity(&mut self) -> bool {
        let sent = self.clients.aws.try_send(caller_identity(&GET_CALLER_IDENTITY)).await;
        let headers = match &sent {
            Ok(answer) => Some(&answer.headers),
            Err(error) => error.raw_response().map(|response| response.headers()),
        };
        let ahead_s = headers.and_then(|headers| ahead_s(headers.get("date")?));
        let sent = sent.map_err(|error| AwsError::of(GET_CALLER_IDENTITY.action, &error));
        let (verdict, text, goes_on) = match &sent {
            Ok(identity) => {
                let arn = printable(arn_in(identity).as_deref().unwrap_or("without a name"));
                (Verdict::Good, format!("AWS knows them as {arn}"), true)
            }
            Err(error @ AwsError::Clock { .. }) => (Verdict::Unsure, error.to_string(), true),
            Err(error @ AwsError::Credentials { .. }) => (Verdict::Bad, error.to_string(), false),
            Err(error) => (Verdict::Unsure, format!("not checked: {error}"), true),
        };
        self.find("credentials", verdict, text);
        match ahead_s {
            Some(ahead_s) if ahead_s.unsigned_abs() > CLOCK_OFF_MAX_S => {
                let (how, off_s) = (if ahead_s > 0 { "behind" } else { "ahead of" }, ahead_s.unsigned_abs());
                let text = format!("{off_s} s {how} AWS: set it (NTP or GPS), signatures are not believed");
                self.find("clock", Verdict::Bad, text);
            }
            Some(ahead_s) => {
                self.find("clock", Verdict::Good, format!("{} s from AWS's", ahead_s.unsigned_abs()));
            }
            None => self.find("clock", Verdict::Unsure, "no answer of AWS to compare it with"),
        }
        goes_on
    }

    async fn orders(&mut self) {
        let mut fuota: Vec<(String, bool)> =
            self.settings.fuota_tasks.iter().map(|id| (id.clone(), false)).collect();
        if self.settings.all {
            match fuota_tasks(&self.clients.aws).await {
                Ok(ids) => {
                    let text = format!("{} FUOTA tasks in this account and region", ids.len());
                    self.find("tasks", Verdict::Good, text);
                    let is_new = |id: &String| !self.settings.fuota_tasks.contains(id);
                    fuota.extend(ids.into_iter().filter(is_new).take(MAX_TASKS).map(|id| (id, true)));
                }
                Err(error) => self.find("tasks", Verdict::Bad, error.to_string()),
            }
        }
        for (id, is_discovered) in fuota {
            let mut look = if is_discovered { Fuota::discovered() } else { Fuota::default() };
            let result = look.look(&self.clients.aws, self.settings, &id).await;
            // A task of the account that is for others is no fault of this configuration.
            let refused = if is_discovered { Verdict::Unsure } else { Verdict::Bad };
            self.order(&format!("task {}", printable(&id)), result, refused).await;
        }
        for id in &self.settings.ota_updates {
            let result = Ota::default().look(&self.clients.aws, self.settings, id).await;
            self.order(&format!("update {}", printable(id)), result, Verdict::Bad).await;
        }
    }

    async fn order(&mut self, what: &str, result: Result<PollResult, AwsError>, refused: Verdict) {
        match result {
            Ok(PollResult::Document { bytes, status, .. }) => {
                self.find(what, Verdict::Good, status);
                if let Ok(task) = task_from_cloud(&bytes) {
                    let (length, in_metadata) = self.object(what, &task.image).await;
                    self.anchor(what, &task, in_metadata).await;
                    self.campaigns(what, task, length);
                }
            }
            Ok(PollResult::Waiting(status)) => self.find(what, Verdict::Unsure, status),
            Ok(PollResult::Withdrawn(status)) => {
                self.find(what, Verdict::Bad, format!("{status}: it does not begin"))
            }
            Ok(PollResult::Refused { reason, .. }) => self.find(what, refused, reason),
            Ok(PollResult::NotFound) => {
                self.find(what, Verdict::Bad, "not found: check the id, the region and the account");
            }
            Err(error) => self.find(what, Verdict::Bad, error.to_string()),
        }
    }

    /// What the service would make of the order, now: a campaign for each of its groups.
    fn campaigns(&mut self, what: &str, task: Task, length: Option<usize>) {
        let tasks = match task.per_group() {
            Ok(tasks) => tasks,
            Err(error) => return self.find(what, Verdict::Bad, error.to_string()),
        };
        let image = length.map_or(KnownImage::Named, KnownImage::Length);
        for task in tasks {
            let group =
                if task.id == task.document_id { String::new() } else { format!(" {}", task.groups[0]) };
            let what = format!("{what}: campaign{group}");
            let Judgement { warnings, outcome } =
                self.judge.judge(&task, TaskSource::Cloud, image, wall_clock());
            for warning in warnings {
                self.find(&what, Verdict::Unsure, warning);
            }
            let verdict = match outcome {
                Foreseen::Sent(_) => Verdict::Good,
                Foreseen::Waits(_) | Foreseen::LeftAlone(_) => Verdict::Unsure,
                Foreseen::Refused(_) => Verdict::Bad,
            };
            self.find(what, verdict, outcome.to_string());
        }
    }

    /// Whether the image is there: its length in bytes, and the signature in its metadata.
    async fn object(&mut self, what: &str, image: &ImageRef) -> (Option<usize>, Option<Evidence>) {
        let what = format!("{what}: object");
        let ImageRef::S3 { bucket, key, version, .. } = image else {
            self.find(what, Verdict::Unsure, format!("{image}: fetched when it is needed"));
            return (None, None);
        };
        let (mut length, mut signature) = (None, None);
        let caller = self.clients.for_image(self.settings, image);
        let head = caller.try_send(head_object(bucket, key, version.as_deref())).await;
        let (verdict, text) = match head {
            Ok(head) => {
                signature = in_metadata("the object's metadata", &head);
                let bytes = size(&head);
                length = Some(bytes).filter(|bytes| (1..=self.settings.max_image_bytes).contains(bytes));
                let max = self.settings.max_image_bytes;
                let fits = (1..=max).contains(&bytes);
                let verdict = if fits { Verdict::Good } else { Verdict::Bad };
                let hint = if fits {
                    String::new()
                } else {
                    format!(", which is not 1 to {max}; see aws.max-image-bytes")
                };
                (verdict, format!("{image}: {bytes} bytes{hint}"))
            }
            Err(error) => match region_of(&error) {
                Some(region) => {
                    (Verdict::Unsure, format!("{image}: its bucket is in {region}; it is fetched from there"))
                }
                None => {
                    let hint = "S3 says so of a missing object, too, unless s3:ListBucket is allowed";
                    let error = AwsError::of(HEAD_OBJECT.action, &error);
                    let is_denied = matches!(error, AwsError::Denied { .. });
                    let hint = if is_denied { format!(" ({hint})") } else { String::new() };
                    (Verdict::Bad, format!("{image}: {error}{hint}"))
                }
            },
        };
        self.find(what, verdict, text);
        (length, signature)
    }

    /// What vouches for the image. Signatures are not judged here: that needs the image, and is done before a
    /// campaign is armed.
    async fn anchor(&mut self, what: &str, task: &Task, in_metadata: Option<Evidence>) {
        let what = format!("{what}: anchor");
        let is_trusting =
            self.anchors.trusting_orders.contains(task.id.as_str()) || is_for(&self.anchors.trusting, task);
        let is_accepted = is_for(&self.anchors.accepting, task);
        let digest = task.sha256.map(|digest| format!("SHA-256 {digest}"));
        let signed = if is_trusting { self.signed(task, in_metadata).await } else { None };
        let (verdict, text) = match (signed, digest) {
            (Some(signed), digest) => {
                let and = digest.map(|digest| format!(", and {digest}")).unwrap_or_default();
                (Verdict::Good, format!("{signed}, which must be good{and}"))
            }
            (None, Some(digest)) => (Verdict::Good, digest),
            (None, None) if is_accepted => {
                (Verdict::Unsure, "nothing: its group has unsigned = \"accept\"".to_owned())
            }
            (None, None) if is_trusting => (Verdict::Unsure, format!("{NO_SIGNATURE}: it is waited for")),
            (None, None) if task.signature.is_present() => (Verdict::Bad, NO_SIGNER.to_owned()),
            (None, None) => (Verdict::Bad, NOTHING_VOUCHES.to_owned()),
        };
        self.find(what, verdict, text);
    }

    /// Which signature would be judged: that of the order, of the object's metadata, or beside the object.
    async fn signed(&self, task: &Task, in_metadata: Option<Evidence>) -> Option<String> {
        let material = &task.signature;
        if let Some(enclosed) = &material.enclosed
            && (!material.is_signed_object || in_metadata.is_none())
        {
            return Some(format!("the signature in {} of the update", enclosed.origin));
        }
        if let Some(evidence) = in_metadata {
            return Some(format!("the signature in {}", evidence.origin));
        }
        if material.is_signed_object {
            return Some("what the update's signing job made".to_owned());
        }
        let ImageRef::S3 { bucket, key, .. } = &task.image else { return None };
        let key = format!("{key}{SIGNATURE_ENDING}");
        let caller = self.clients.for_image(self.settings, &task.image);
        caller.send(head_object(bucket, &key, None)).await.ok()?;
        Some(format!("the signature s3://{bucket}/{key}"))
    }
}

/// Whether all groups of a task are among `names`; a task without a group is for the only one.
fn is_for(names: &BTreeSet<String>, task: &Task) -> bool {
    if task.groups.is_empty() {
        names.len() == 1
    } else {
        task.groups.iter().all(|name| names.contains(name))
    }
}

/// The region that S3 sends us to.
fn region_of(error: &CallError) -> Option<String> {
    let raw = error.raw_response().filter(|raw| matches!(raw.status().as_u16(), 301 | 307 | 400))?;
    raw.headers().get("x-amz-bucket-region").map(printable)
}

/// How far the clock of an answer with this `Date` is ahead of ours, seconds.
fn ahead_s(date: &str) -> Option<i64> {
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second();
    let ours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(theirs - i64::try_from(ours).ok()?)
}
