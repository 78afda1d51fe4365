//! The stages of a task: each of them but the last ends in something durable.

use crate::campaign::Campaign;
use crate::campaign::Group;
use crate::campaign::Plan;
use crate::campaign::Preflight;
use crate::image::Image;
use crate::signing::Evidence;

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
    /// The image is there; whether its signer's certificate is valid, or its group free, is known when the clock is.
    AwaitingClock,
    /// It is planned, and this step of its plan is being taken.
    Planned(Box<Prepared>, Step),
    /// Armed or on the air.
    Running(Box<Campaign>),
}

/// A step from a plan to an armed campaign.
pub enum Step {
    /// The frames are being decoded.
    Checking(Box<Preflight>),
    /// The record is on its way to the disk, as this save.
    Recording(u64),
    /// The counters are on their way to the disk, as this save.
    Reserving(u64),
}
