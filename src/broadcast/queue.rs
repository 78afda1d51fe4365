//! The order in which armed campaigns are asked for a frame.

use super::open_task::OpenTask;
use super::open_task::OpenTasks;
use super::turn_rule::TurnRule;
use crate::campaign::Begin;
use crate::campaign::Campaign;
use crate::lorawan::KeyFingerprint;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Now;
use std::collections::BTreeMap;

/// Campaigns that have begun and are not over, at most: a mark has room for so many.
const BEGUN_MAX: usize = 16;

/// Campaigns in the order in which they are asked.
pub fn in_order(rule: TurnRule, open_tasks: &OpenTasks) -> Vec<TaskId> {
    let rank = |(id, open_task): (&TaskId, &OpenTask)| {
        let campaign = open_task.campaign()?;
        let begins = match campaign.calendar().begin() {
            Begin::AtOnce => None,
            Begin::At(start) => Some(*start),
            Begin::Sessions(sessions) => sessions.first().map(|session| session.start),
            Begin::Unknown => Some(GpsTime::from_us(u64::MAX)),
        };
        let served = match rule {
            TurnRule::InOrder => u64::from(!campaign.has_begun()),
            TurnRule::Fairly => open_task.served(),
        };
        Some(((served, begins, open_task.arrival()), id.clone()))
    };
    let mut ranked: Vec<_> = open_tasks.iter().filter_map(rank).collect();
    ranked.sort();
    ranked.into_iter().map(|(_, id)| id).collect()
}

/// Whose campaign each key's counters rise for: the one that has begun. What missed its sessions waits for one that
/// its devices are told, and not in anybody's way.
pub fn owners(now: Now, open_tasks: &OpenTasks) -> BTreeMap<KeyFingerprint, TaskId> {
    let begun =
        open_tasks.iter().filter(|(_, open_task)| open_task.has_begun() && !is_missed(now, open_task));
    begun.filter_map(|(id, open_task)| Some((open_task.plan()?.key, id.clone()))).collect()
}

/// Whether frames are left and no session that its devices were told is.
pub fn is_missed(now: Now, open_task: &OpenTask) -> bool {
    open_task.campaign().is_some_and(|campaign| campaign.calendar().is_missed(now))
}

/// How many campaigns have begun, where this one did not and no other may.
pub fn full(open_tasks: &OpenTasks, open_task: &OpenTask) -> Option<usize> {
    let begun = open_tasks.values().filter(|open_task| open_task.has_begun()).count();
    (!open_task.has_begun() && begun >= BEGUN_MAX).then_some(begun)
}

/// Whether a frame is with the forwarder and its answer is not there.
pub fn is_awaiting(open_tasks: &OpenTasks) -> bool {
    open_tasks.values().filter_map(OpenTask::campaign).any(Campaign::is_awaiting)
}
