//! How things stand, as plain data for status pages. Nothing here is acted upon.

use super::Progress;
use super::TaskSource;
use crate::region::Channel;
use crate::task::TaskId;
use crate::time::GpsTime;

/// How one task that is not over stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskState {
    /// Which task.
    pub task: TaskId,
    /// Where it came from.
    pub source: TaskSource,
    /// How far it is.
    pub phase: Phase,
    /// What it waits for, where that is not its turn or its time.
    pub waiting: Option<String>,
    /// Its campaign, once the plan is durable.
    pub campaign: Option<CampaignState>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its image is on its way.
    Fetching,
    /// Its frames are being decoded, to see that the image comes out.
    Decoding,
    /// Its plan and its counters are being written down.
    Saving,
    /// Something is missing: see [`TaskState::waiting`].
    Blocked,
    /// Ready; its start or its turn is still to come.
    Armed,
    /// On the air.
    Sending,
}

/// The numbers of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignState {
    /// The group's name.
    pub group: String,
    /// Where it is sent.
    pub channel: Channel,
    /// Frames the task asks for, with those that make up for lost ones.
    pub frames: u32,
    /// How many of them are behind us.
    pub frames_done: u32,
    /// What the forwarder said to them in this run.
    pub progress: Progress,
    /// Airtime of one frame, microseconds.
    pub airtime_us: u64,
    /// Start-to-start distance of uncoded frames, microseconds.
    pub spacing_us: u64,
    /// The session that runs or comes next: its start and end. `None` when devices always listen.
    pub session: Option<(GpsTime, GpsTime)>,
    /// When the last frame will be over at this pace, microseconds from now; `None` while no start is known.
    pub left_us: Option<u64>,
}

impl Phase {
    /// One word for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Fetching => "fetching",
            Phase::Decoding => "decoding",
            Phase::Saving => "saving",
            Phase::Blocked => "waiting",
            Phase::Armed => "armed",
            Phase::Sending => "sending",
        }
    }
}
