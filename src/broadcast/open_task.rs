//! One task on its way from a document to a running campaign.

use super::io::TaskSource;
use super::record;
use super::record::Proof;
use super::record::Record;
use super::record::RecordState;
use crate::campaign::Campaign;
use crate::campaign::Group;
use crate::campaign::Plan;
use crate::campaign::Preflight;
use crate::campaign::Progress;
use crate::campaign::agreement;
use crate::image::Digest;
use crate::image::Image;
use crate::report::Outcome;
use crate::signing::Evidence;
use crate::store::RecordId;
use crate::task::Task;
use crate::time::Instant;

/// A task that is not over.
pub struct OpenTask {
    /// What was ordered, as last seen.
    pub task: Task,
    /// The document as first received.
    pub document: String,
    /// Name of its source.
    pub stem: String,
    /// Where it came from.
    pub source: TaskSource,
    /// What a former run left.
    pub resumed: Option<Record>,
    /// The signature that came with its image.
    pub delivered: Option<Evidence>,
    /// The signature that vouches for its image, once it was checked.
    pub signed: Option<Signed>,
    /// Its image was brought once: it lies on the disk, and is asked for again when it is needed.
    pub is_fetched: bool,
    /// Its image is not asked for before this: something must change first.
    pub not_before: Option<Instant>,
    /// It was found to fit in beside those planned before it.
    pub is_admitted: bool,
    /// How far it is.
    pub stage: Stage,
    /// Its place in the order of arrival of all tasks; `number` in its [`Record`].
    pub arrival: u64,
    /// The emission it sent last; 0 before.
    pub served: u64,
    /// What came of decoding its frames, and for which plan.
    pub proof: Option<Proof>,
    /// What was last reported to be waited for.
    pub waiting: Option<String>,
    /// Its file is not there for the moment: no frame of it until its document is seen again.
    pub is_held: bool,
}

/// A signature that was good.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Signature and certificates, as they came.
    pub evidence: Evidence,
    /// When it was checked, Unix time, microseconds; `None` where the time did not matter.
    pub checked_unix_us: Option<i64>,
}

/// A campaign that is planned and not armed yet.
pub struct Prepared {
    /// Layout, counters, channel and pace of the campaign.
    pub plan: Plan,
    /// Group that it is sent to, with its keys.
    pub group: Group,
    /// Image whose digest was verified.
    pub image: Image,
    /// Whether the journal holds its counters already: a former run reserved them.
    pub is_reserved: bool,
}

/// How far an open task is.
#[derive(Default)]
pub enum Stage {
    /// Its image is not asked for yet.
    #[default]
    Parked,
    /// The image is being fetched.
    Fetching,
    /// The image is there; whether its signer's certificate is valid is known when the clock is.
    AwaitingClock,
    /// The frames are being decoded.
    Checking(Box<Preflight>, Box<Prepared>),
    /// The record is on its way to the disk, as this save.
    Recording(u64, Box<Prepared>),
    /// The counters are on their way to the disk, as this save.
    Reserving(u64, Box<Prepared>),
    /// Armed or on the air.
    Running(Box<Campaign>),
}

impl OpenTask {
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
            waiting: None,
            is_held: false,
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
            Stage::Checking(_, prepared) | Stage::Recording(_, prepared) | Stage::Reserving(_, prepared) => {
                Some(&prepared.plan)
            }
            Stage::Running(campaign) => Some(campaign.plan()),
        }
    }

    /// Whether its frames are being decoded.
    pub fn is_checking(&self) -> bool {
        matches!(self.stage, Stage::Checking(..))
    }

    /// How far its campaign is.
    pub fn progress(&self) -> Option<Progress> {
        self.campaign().map(Campaign::progress)
    }

    /// Whether a frame of it was ever handed over.
    pub fn has_begun(&self) -> bool {
        self.campaign().is_some_and(Campaign::has_begun)
    }

    /// Whether its signature waits for the clock.
    pub fn is_unclocked(&self) -> bool {
        matches!(self.stage, Stage::AwaitingClock)
    }

    /// Why it must not begin, as the cloud's word on its group is now; what has begun goes on.
    pub fn disagreement(&self) -> Option<String> {
        let campaign = self.campaign().filter(|campaign| !campaign.has_begun())?;
        agreement::check(&self.task, campaign.group()).err()
    }

    /// Whether it waits for this save.
    pub fn awaits_save(&self, id: u64) -> bool {
        matches!(&self.stage, Stage::Recording(save, _) | Stage::Reserving(save, _) if *save == id)
    }

    /// The record of its campaign, which is about to be armed.
    pub fn armed_record(&self, plan: &Plan, digest: Digest) -> Record {
        let signed = self.signed.clone();
        Record {
            version: record::VERSION,
            document: self.document.clone(),
            stem: self.stem.clone(),
            source: self.source,
            group: plan.group.clone(),
            digest: digest.to_string(),
            checked_unix_us: signed.as_ref().and_then(|signed| signed.checked_unix_us),
            evidence: signed.map(|signed| signed.evidence),
            base: plan.base,
            key: plan.key.to_string(),
            number: self.arrival,
            proof: self.proof,
            state: RecordState::Armed,
        }
    }

    /// The record that says how it ended, as the `number`-th task; `None` when it was never recorded.
    pub fn record(&self, outcome: &Outcome, number: u64) -> Option<Record> {
        let (plan, digest) = match &self.stage {
            Stage::Parked | Stage::Fetching | Stage::AwaitingClock | Stage::Checking(..) => {
                return self.resumed.clone().map(|record| record.over(outcome, number));
            }
            Stage::Recording(_, prepared) | Stage::Reserving(_, prepared) => {
                (&prepared.plan, prepared.image.digest())
            }
            Stage::Running(campaign) => (campaign.plan(), campaign.digest()),
        };
        Some(self.armed_record(plan, digest).over(outcome, number))
    }

    /// The store's name for it.
    pub fn record_id(&self) -> RecordId {
        RecordId(self.task.id.record_id())
    }
}
