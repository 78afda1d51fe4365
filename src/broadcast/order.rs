//! One task on its way from a document to a running campaign.

use super::Group;
use super::Plan;
use super::Record;
use super::TaskSource;
use super::agreement;
use super::campaign::Campaign;
use super::record::Proof;
use super::step::Progress;
use super::twin::Twin;
use crate::image::Image;
use crate::report::Outcome;
use crate::signing::Evidence;
use crate::task::Task;

/// A task that is not over.
pub struct Order {
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
    /// The signature that vouches for its image, once it was checked.
    pub signed: Option<Signed>,
    /// How far it is.
    pub stage: Stage,
    /// Which of all orders it is: the order of arrival.
    pub number: u64,
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
    /// As it came.
    pub evidence: Evidence,
    /// When it was checked, Unix time, microseconds; `None` where the time did not matter.
    pub checked_unix_us: Option<i64>,
}

/// How far an order is.
pub enum Stage {
    /// The image is being fetched.
    Fetching,
    /// The frames are being decoded.
    Decoding {
        /// How far that is.
        twin: Box<Twin>,
        /// The plan.
        plan: Plan,
        /// Its group.
        group: Group,
        /// Its image.
        image: Image,
        /// Whether the journal holds its counters already.
        is_reserved: bool,
    },
    /// The image is here; whether its signer's certificate is valid is known when the clock is.
    Unclocked {
        /// The image's bytes.
        bytes: Vec<u8>,
        /// What came with them.
        evidence: Option<Evidence>,
    },
    /// The record is on its way to the disk.
    Recording {
        /// Which save.
        save: u64,
        /// The plan.
        plan: Plan,
        /// Its group.
        group: Group,
        /// Its image.
        image: Image,
        /// Whether the journal holds its counters already.
        is_reserved: bool,
    },
    /// The counters are on their way to the disk.
    Reserving {
        /// Which save.
        save: u64,
        /// The plan.
        plan: Plan,
        /// Its group.
        group: Group,
        /// Its image.
        image: Image,
    },
    /// Armed or on the air.
    Running(Box<Campaign>),
}

impl Order {
    /// An order whose image is being fetched.
    pub fn new(
        task: Task,
        document: String,
        stem: String,
        source: TaskSource,
        resumed: Option<Record>,
        number: u64,
    ) -> Self {
        let number = resumed.as_ref().map_or(number, |record| record.number);
        let proof = resumed.as_ref().and_then(|record| record.proof);
        Order {
            task,
            document,
            stem,
            source,
            resumed,
            signed: None,
            stage: Stage::Fetching,
            proof,
            number,
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
            Stage::Fetching | Stage::Unclocked { .. } => None,
            Stage::Decoding { plan, .. } | Stage::Recording { plan, .. } | Stage::Reserving { plan, .. } => {
                Some(plan)
            }
            Stage::Running(campaign) => Some(campaign.plan()),
        }
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
        matches!(self.stage, Stage::Unclocked { .. })
    }

    /// Why it must not begin, as AWS's word on its group is now; what has begun goes on.
    pub fn disagreement(&self) -> Option<String> {
        let campaign = self.campaign().filter(|campaign| !campaign.has_begun())?;
        agreement::check(&self.task, campaign.group()).err()
    }

    /// Whether it waits for this save.
    pub fn awaits_save(&self, id: u64) -> bool {
        matches!(&self.stage, Stage::Recording { save, .. } | Stage::Reserving { save, .. } if *save == id)
    }

    /// The record that says how it ended, as the `number`-th task; `None` when it was never recorded.
    pub fn record(&self, outcome: &Outcome, number: u64) -> Option<Record> {
        let (plan, image) = match &self.stage {
            Stage::Fetching | Stage::Decoding { .. } | Stage::Unclocked { .. } => {
                return self.resumed.clone().map(|record| record.over(outcome, number));
            }
            Stage::Recording { plan, image, .. } | Stage::Reserving { plan, image, .. } => (plan, image),
            Stage::Running(campaign) => (campaign.plan(), campaign.image()),
        };
        Some(Record::armed(self, plan.group.clone(), image.digest(), plan.base).over(outcome, number))
    }
}
