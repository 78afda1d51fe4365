//! One task on its way from a document to a running campaign.

use super::io::TaskSource;
use super::record;
use super::record::Proof;
use super::record::Record;
use super::record::RecordState;
use super::stage::Prepared;
use super::stage::Signed;
use super::stage::Stage;
use super::stage::Step;
use super::waits::Waits;
use crate::campaign::Begin;
use crate::campaign::Campaign;
use crate::campaign::Plan;
use crate::campaign::Preflight;
use crate::campaign::Progress;
use crate::campaign::Session;
use crate::campaign::agreement;
use crate::image::Digest;
use crate::report::Decoded;
use crate::report::Outcome;
use crate::report::Saving;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::report::WaitTotal;
use crate::signing::Evidence;
use crate::store::RecordId;
use crate::task::Task;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;

/// All tasks that are not over, by their ids.
pub type OpenTasks = BTreeMap<TaskId, OpenTask>;

/// A task that is not over.
pub struct OpenTask {
    /// What was ordered, as last seen.
    task: Task,
    /// The document as first received.
    document: String,
    /// Name of its source.
    stem: String,
    source: TaskSource,
    /// What a former run left.
    resumed: Option<Record>,
    /// The signature that came with its image.
    delivered: Option<Evidence>,
    /// The signature that vouches for its image, once it was checked.
    signed: Option<Signed>,
    is_fetched: bool,
    /// Its image is not asked for before this: something must change first.
    not_before: Option<Instant>,
    is_admitted: bool,
    /// When it begins where the order does not say so.
    given_start: Option<GpsTime>,
    stage: Stage,
    arrival: u64,
    served: u64,
    /// What came of decoding its frames, and for which plan.
    proof: Option<Proof>,
    waits: Waits,
    is_held: bool,
    /// Its end is remembered although nothing of it was recorded: its source may go on ordering it.
    is_end_kept: bool,
    /// Sessions that were added to those of its plan in this life.
    further: Vec<Session>,
    /// One more that is on its way to the disk, and its save.
    extending: Option<(u64, Session)>,
}

impl OpenTask {
    /// When it begins where the order does not say so.
    pub fn given_start(&self) -> Option<GpsTime> {
        self.given_start
    }

    /// It begins then, unless the order says when.
    pub fn give_start(&mut self, start: GpsTime) {
        self.given_start = Some(start);
    }

    /// Whether its start was decided although the order says none.
    pub fn has_given_start(&self) -> bool {
        self.given_start.is_some()
    }

    /// A task that has just arrived; `resumed` is what a former run left of it.
    pub fn new(
        task: Task,
        document: String,
        stem: String,
        source: TaskSource,
        resumed: Option<Record>,
        arrival: u64,
    ) -> Self {
        let arrival = resumed.as_ref().map_or(arrival, |record| record.number);
        let proof = resumed.as_ref().and_then(|record| record.proof);
        OpenTask {
            is_admitted: resumed.is_some(),
            given_start: None,
            task,
            document,
            stem,
            source,
            resumed,
            delivered: None,
            signed: None,
            is_fetched: false,
            not_before: None,
            stage: Stage::Parked,
            proof,
            arrival,
            served: 0,
            waits: Waits::default(),
            is_held: false,
            is_end_kept: false,
            further: Vec::new(),
            extending: None,
        }
    }

    /// What was ordered, as last seen.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The same order was seen again, perhaps with another start or status.
    pub fn see_order(&mut self, task: Task) {
        self.task = task;
    }

    /// The store's name for it.
    pub fn record_id(&self) -> RecordId {
        RecordId(self.task.id.record_id())
    }

    /// Where it came from.
    pub fn source(&self) -> TaskSource {
        self.source
    }

    /// What a former run left of it.
    pub fn resumed(&self) -> Option<&Record> {
        self.resumed.as_ref()
    }

    /// The signature that came with its image.
    pub fn delivered(&self) -> Option<&Evidence> {
        self.delivered.as_ref()
    }

    /// Its image came, perhaps with a signature; one that came before is kept.
    pub fn deliver(&mut self, evidence: Option<Evidence>) {
        self.delivered = evidence.or(self.delivered.take());
    }

    /// Its place in the order of arrival of all tasks; `number` in its [`Record`].
    pub fn arrival(&self) -> u64 {
        self.arrival
    }

    /// The emission it sent last; 0 before.
    pub fn served(&self) -> u64 {
        self.served
    }

    /// It sends this emission.
    pub fn serve(&mut self, emission: u64) {
        self.served = emission;
    }

    /// What it waits for, and since when.
    pub fn waiting(&self) -> Option<(&Wait, Instant)> {
        self.waits.current()
    }

    /// It waits for this; whether that is to be told, which it is once it lasted for `quiet_us` microseconds.
    pub fn wait_for(&mut self, now: Instant, wait: Wait, quiet_us: u64) -> bool {
        self.waits.begin(now, wait, quiet_us)
    }

    /// It waits for nothing any more.
    pub fn go_on(&mut self, now: Instant) {
        self.waits.end(now);
    }

    /// What all its waits came to.
    pub fn wait_totals(&self, now: Instant) -> Vec<WaitTotal> {
        self.waits.totals(now)
    }

    /// What its stage waits for, before it is armed.
    pub fn stage_wait(&self, now: Instant) -> Option<WaitReason> {
        match &self.stage {
            // What was put off or is held says so itself.
            Stage::Parked if self.is_held || self.not_before.is_some_and(|at| at > now) => None,
            Stage::Parked | Stage::Fetching => Some(WaitReason::Image),
            Stage::AwaitingClock | Stage::Running(_) => None,
            Stage::Planned(_, Step::Checking(_)) => Some(WaitReason::Proof),
            Stage::Planned(_, Step::Recording(_)) => Some(WaitReason::Saving(Saving::Record)),
            Stage::Planned(_, Step::Reserving(_)) => Some(WaitReason::Saving(Saving::Counters)),
        }
    }

    /// Whether its file is not there for the moment: no frame of it until its document is seen again.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Its file is not there for the moment.
    pub fn hold(&mut self) {
        self.is_held = true;
    }

    /// Its document is seen again.
    pub fn release(&mut self, now: Instant) {
        self.is_held = false;
        if self.waiting().is_some_and(|(wait, _)| wait.reason == WaitReason::File) {
            self.go_on(now);
        }
    }

    /// The sessions that were added to those of its plan in this life.
    pub fn further(&self) -> &[Session] {
        &self.further
    }

    /// Whether one more session is on its way to the disk.
    pub fn is_extending(&self) -> bool {
        self.extending.is_some()
    }

    /// One more session is on its way to the disk with this save.
    pub fn extend(&mut self, save: u64, session: Session) {
        self.extending = Some((save, session));
    }

    /// The save was answered; whether it was that of one more session, which there is now if it is kept.
    pub fn extended(&mut self, save: u64, is_kept: bool) -> bool {
        let Some((_, session)) = self.extending.take_if(|(its, _)| *its == save) else { return false };
        self.further.extend(Some(session).filter(|_| is_kept));
        true
    }

    /// Its end is to be remembered although nothing of it was recorded.
    pub fn keep_end(&mut self) {
        self.is_end_kept = true;
    }

    /// Whether it was found to fit in beside those planned before it.
    pub fn is_admitted(&self) -> bool {
        self.is_admitted
    }

    /// Whether its image was brought once: it lies on the disk, and is asked for again when it is needed.
    pub fn is_fetched(&self) -> bool {
        self.is_fetched
    }

    /// From when on its image is wanted; `None` while it is not.
    pub fn image_due(&self, now: Now) -> Option<Instant> {
        let is_wanted = match self.stage {
            Stage::Parked => true,
            // The signature's certificate is judged as soon as the clock is trusted.
            Stage::AwaitingClock => now.gps.is_some(),
            _ => false,
        };
        is_wanted.then(|| self.not_before.unwrap_or(now.mono))
    }

    /// How far it is.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// It begins anew: its image is asked for when there is time.
    pub fn park(&mut self) {
        self.stage = Stage::Parked;
    }

    /// It begins anew, and not before this.
    pub fn put_off(&mut self, until: Instant) {
        self.park();
        self.not_before = Some(until);
    }

    /// Its image is asked for.
    pub fn fetch(&mut self) {
        self.stage = Stage::Fetching;
    }

    /// The image that was asked for is there.
    pub fn fetched(&mut self) {
        self.is_fetched = true;
    }

    /// Whether its signer's certificate is valid, or its group free, is known when the clock is.
    pub fn await_clock(&mut self) {
        self.stage = Stage::AwaitingClock;
    }

    /// It is planned, fits in, and its frames are to be decoded; whether that was done before for the same plan.
    pub fn check(&mut self, prepared: Prepared, signed: Option<Signed>) -> bool {
        self.is_admitted = true;
        self.signed = signed;
        let is_proven = self.proof.is_some_and(|proof| proof.plan_hash == prepared.plan.hash);
        let preflight = Box::new(Preflight::new(&prepared.plan));
        self.stage = Stage::Planned(Box::new(prepared), Step::Checking(preflight));
        is_proven
    }

    /// Decodes some more frames; what came of it when that was all.
    ///
    /// # Errors
    /// One line: a frame is not what it should be.
    pub fn check_on(&mut self) -> Result<Option<Decoded>, String> {
        let Stage::Planned(prepared, Step::Checking(preflight)) = &mut self.stage else { return Ok(None) };
        let decoded = preflight.step(&prepared.plan, &prepared.group, &prepared.image)?;
        if let Some(decoded) = decoded {
            self.proof = Some(Proof { plan_hash: prepared.plan.hash, decoded });
        }
        Ok(decoded)
    }

    /// What came of decoding its frames.
    pub fn decoded(&self) -> Decoded {
        self.proof.map(|proof| proof.decoded).unwrap_or_default()
    }

    /// A step of its plan is on its way to the disk.
    pub fn begin_step(&mut self, next: Step) {
        if let Stage::Planned(_, step) = &mut self.stage {
            *step = next;
        }
    }

    /// Its campaign may begin, or goes on where a mark of a former run left it.
    pub fn arm(&mut self, progress: Option<Progress>, now: Instant) {
        match std::mem::take(&mut self.stage) {
            Stage::Planned(prepared, _) => {
                let Prepared { plan, group, image, is_reserved } = *prepared;
                // Without a mark the former run may still have handed frames over, just before it ended.
                let is_resumed = is_reserved || self.resumed.is_some();
                let resumed = is_resumed.then(|| (progress.unwrap_or_default(), now));
                self.stage = Stage::Running(Box::new(Campaign::new(plan, group, image, resumed)));
            }
            other => self.stage = other,
        }
    }

    /// What its campaign is made of, while it is planned and not armed.
    pub fn prepared(&self) -> Option<&Prepared> {
        match &self.stage {
            Stage::Planned(prepared, _) => Some(prepared),
            _ => None,
        }
    }

    /// Its campaign, once it is armed.
    pub fn campaign(&self) -> Option<&Campaign> {
        match &self.stage {
            Stage::Running(campaign) => Some(campaign),
            _ => None,
        }
    }

    /// Its campaign, once it is armed.
    pub fn campaign_mut(&mut self) -> Option<&mut Campaign> {
        match &mut self.stage {
            Stage::Running(campaign) => Some(campaign),
            _ => None,
        }
    }

    /// Its plan, once there is one.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.stage {
            Stage::Parked | Stage::Fetching | Stage::AwaitingClock => None,
            Stage::Planned(prepared, _) => Some(&prepared.plan),
            Stage::Running(campaign) => Some(campaign.plan()),
        }
    }

    /// Whether its frames are being decoded.
    pub fn is_checking(&self) -> bool {
        matches!(self.stage, Stage::Planned(_, Step::Checking(_)))
    }

    /// How far its campaign is.
    pub fn progress(&self) -> Option<Progress> {
        self.campaign().map(Campaign::progress)
    }

    /// Whether a frame of it was ever handed over.
    pub fn has_begun(&self) -> bool {
        self.campaign().is_some_and(Campaign::has_begun)
    }

    /// Whether a frame of it was ever handed over, or may have been: one that was taken up after a restart and is not
    /// armed again does not know.
    pub fn may_have_begun(&self) -> bool {
        self.has_begun() || (self.resumed.is_some() && self.campaign().is_none())
    }

    /// Why it must not begin, as the cloud's word on its group is now; what has begun goes on.
    pub fn disagreement(&self) -> Option<String> {
        let campaign = self.campaign().filter(|campaign| !campaign.has_begun())?;
        agreement::check(&self.task, campaign.group()).err()
    }

    /// Whether it waits for this save.
    pub fn awaits_save(&self, id: u64) -> bool {
        matches!(&self.stage, Stage::Planned(_, Step::Recording(save) | Step::Reserving(save)) if *save == id)
    }

    /// The record of its campaign, which is about to be armed.
    pub fn armed_record(&self, plan: &Plan, begin: &Begin, digest: Digest) -> Record {
        let signed = self.signed.clone();
        let told = |session: &Session| (session.start.as_us(), session.exponent);
        Record {
            version: record::VERSION,
            document: self.document.clone(),
            stem: self.stem.clone(),
            source: self.source,
            group: plan.group.clone(),
            digest: digest.to_string(),
            checked_unix_us: signed.as_ref().and_then(|signed| signed.checked_unix_us),
            evidence: signed.map(|signed| signed.evidence),
            base: plan.first_fcnt(),
            key: plan.key.to_string(),
            number: self.arrival,
            sessions: begin.sessions().iter().map(told).collect(),
            coded: (plan.spared() > 0).then_some(plan.coded),
            proof: self.proof,
            state: RecordState::Armed,
        }
    }

    /// The record of a task that was never planned: it has used no counter of any group.
    fn bare_record(&self) -> Record {
        Record {
            version: record::VERSION,
            document: self.document.clone(),
            stem: self.stem.clone(),
            source: self.source,
            group: String::new(),
            digest: String::new(),
            checked_unix_us: None,
            evidence: None,
            base: 0,
            key: String::new(),
            number: self.arrival,
            sessions: Vec::new(),
            coded: None,
            proof: None,
            state: RecordState::Armed,
        }
    }

    /// The record that says how it ended, as the `number`-th task; `None` when it was never recorded and
    /// nobody asked for its end to be kept.
    pub fn record(&self, outcome: &Outcome, number: u64) -> Option<Record> {
        let (plan, digest) = match &self.stage {
            Stage::Parked | Stage::Fetching | Stage::AwaitingClock | Stage::Planned(_, Step::Checking(_)) => {
                let bare = || self.is_end_kept.then(|| self.bare_record());
                return self.resumed.clone().or_else(bare).map(|record| record.over(outcome, number));
            }
            Stage::Planned(prepared, _) => (&prepared.plan, prepared.image.digest()),
            Stage::Running(campaign) => (campaign.plan(), campaign.digest()),
        };
        Some(self.armed_record(plan, &Begin::Unknown, digest).over(outcome, number))
    }
}
