//! The numbers of one campaign as plain data, for status pages. Nothing here is acted upon.

use super::calendar::Calendar;
use super::plan::Plan;
use super::step::Progress;
use crate::region::Channel;
use crate::time::GpsTime;

/// The numbers of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignState {
    /// The name of the group.
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
    /// Every session that the devices are told: its start and end, and the frames that are planned for it where the plan
    /// is still about the same sessions.
    pub sessions: Vec<(GpsTime, GpsTime, Option<u32>)>,
    /// Uncoded fragments of the image.
    pub fragments: u32,
    /// When the last frame will be over, microseconds from now; `None` while no start is known.
    pub left_us: Option<u64>,
}

impl CampaignState {
    /// Those of a plan that is so far.
    pub fn new(plan: &Plan, progress: Progress, calendar: &Calendar, left_us: Option<u64>) -> Self {
        let (uncoded, coded) = progress.frames_left(plan);
        let frames = plan.frames() + progress.account.extra_coded;
        let told = calendar.begin().sessions();
        let of_plan = |at: usize| plan.bursts.get(at).filter(|_| plan.bursts.len() == told.len());
        let planned = |at: usize| of_plan(at).and_then(|burst| u32::try_from(burst.frames).ok());
        let sessions = told.iter().enumerate();
        let sessions = sessions.map(|(at, session)| (session.start, session.end(), planned(at))).collect();
        CampaignState {
            group: plan.group.clone(),
            channel: plan.channel,
            frames,
            frames_done: frames.saturating_sub(uncoded + coded),
            progress,
            airtime_us: plan.airtime_us,
            spacing_us: plan.pace_uncoded.spacing_us,
            session: calendar.session().map(|session| (session.start, session.end())),
            sessions,
            fragments: plan.layout.nb_frag().into(),
            left_us,
        }
    }
}
