//! How things stand, as plain data for status pages. Nothing here is acted upon.

use super::io::TaskSource;
use crate::campaign::CampaignState;
use crate::report::Wait;
use crate::task::TaskId;

/// How one task that is not over stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskState {
    /// Id of the task.
    pub task: TaskId,
    /// Where it came from.
    pub source: TaskSource,
    /// How far it is.
    pub phase: Phase,
    /// What it waits for, in one sentence.
    pub waiting: Option<String>,
    /// The same with its numbers, and for how long it has waited, microseconds.
    pub wait: Option<(Wait, u64)>,
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
    /// It cannot send now: see [`TaskState::waiting`].
    Blocked,
    /// Its first frame is next, and nothing is in the way.
    Armed,
    /// A frame of it was sent, and others follow.
    Sending,
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
