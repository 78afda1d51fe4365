//! When the last frame of a campaign will be over: each frame that is left is placed as it will be.

use super::calendar::Calendar;
use super::plan::Plan;
use super::step::Progress;
use crate::schedule::Placement;
use crate::schedule::Refused;
use crate::schedule::Scheduler;
use crate::schedule::TxPolicy;
use crate::schedule::TxRequest;
use crate::time::Instant;
use crate::time::Now;

/// So many frames are placed ahead of their time; those beyond go on at the same pace.
const LOOK_AHEAD_MAX: u32 = 2048;

/// Microseconds until the last frame is over if the network servers go on as they do, the next frame not starting before
/// `not_before`. `None` while no start is known, or when the sessions are too short.
pub fn left_us(
    plan: &Plan,
    progress: Progress,
    calendar: &Calendar,
    policy: TxPolicy,
    not_before: Option<Instant>,
    (now, scheduler): (Now, &Scheduler),
) -> Option<u64> {
    let mut ahead = scheduler.foreseen(now.mono);
    let mut windows = calendar.windows(now)?.into_iter();
    let (opens, mut until) = windows.next()?;
    let (uncoded, coded) = progress.frames_left(plan);
    let frames = uncoded + coded;
    let mut at = not_before.unwrap_or(opens).max(opens).max(now.mono);
    let mut end = now.mono;
    let mut placed = 0;
    while placed < frames.min(LOOK_AHEAD_MAX) {
        let need_us = progress.sending_us(plan);
        let request = TxRequest { earliest: at, until, need_us, ..plan.request(policy) };
        match ahead.place(now.mono, &request) {
            Placement::At(start) => {
                ahead.commit(start, &request);
                placed += 1;
                let pace = if placed < uncoded { plan.pace_uncoded } else { plan.pace_coded };
                at = start.plus_us(pace.spacing_us);
                end = start.plus_us(plan.airtime_us);
            }
            Placement::Refused(Refused::SessionOver { .. }) => {
                let (opens, closes) = windows.next()?;
                (at, until) = (at.max(opens), closes);
            }
            Placement::Refused(_) => return None,
        }
    }
    let left_us = end.us_since(now.mono);
    Some(if frames > placed { left_us / u64::from(placed.max(1)) * u64::from(frames) } else { left_us })
}
