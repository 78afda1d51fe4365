//! Turns on the air: which campaign may send next, and the marks that cover what it sends.

use super::broadcaster::Broadcaster;
use super::broadcaster::Stopping;
use super::io::Output;
use super::marks::Coverage;
use super::marks::Marks;
use super::open_task::OpenTask;
use super::turn_rule::TurnRule;
use crate::campaign::Begin;
use crate::campaign::Campaign;
use crate::campaign::Handover;
use crate::campaign::Progress;
use crate::campaign::Step;
use crate::campaign::Turn;
use crate::lorawan::KeyFingerprint;
use crate::radio::MinuteLoad;
use crate::report::Event;
use crate::report::Outcome;
use crate::schedule::Scheduler;
use crate::store::CAMPAIGNS_MAX;
use crate::store::CampaignMark;
use crate::store::Change;
use crate::store::Mark;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What a group waits for that somebody else sends to.
const SECOND_SENDER: &str =
    "the end of somebody else's downlinks to this group: a network server sent to it in the last hour";

/// What a task waits for whose file was taken away a moment ago.
pub(super) const HELD: &str =
    "its file in the task folder: it is gone and cancels the task unless it comes back";

/// Campaigns that have begun and are not over, at most: a mark has room for so many.
const BEGUN_MAX: usize = 16;

/// What a campaign's turn means for those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// A frame or a mark is on its way: nobody else now.
    Nothing,
    /// It waits for the air of its sub-band; who is behind must not take it away.
    OtherSubBands,
    /// It needs time for itself.
    ItsPauses,
    /// Its devices do not listen, or it is over.
    Everything,
}

impl Broadcaster {
    /// Lets each campaign have its turn, the first in order first, until one of them uses it.
    pub(super) fn take_turns(&mut self, now: Now, scheduler: &mut Scheduler, handover: Handover) {
        let is_awaiting = |open_task: &OpenTask| open_task.campaign().is_some_and(Campaign::is_awaiting);
        if self.open_tasks.values().any(is_awaiting) {
            return;
        }
        // What missed its sessions waits for one that its devices are told, and not in anybody's way.
        let is_missed = |open_task: &OpenTask| {
            open_task.campaign().is_some_and(|campaign| campaign.calendar().is_missed(now))
        };
        let begun =
            self.open_tasks.iter().filter(|(_, open_task)| open_task.has_begun() && !is_missed(open_task));
        let mut owners: BTreeMap<KeyFingerprint, TaskId> =
            begun.filter_map(|(id, open_task)| Some((open_task.plan()?.key, id.clone()))).collect();
        let mut sub_bands_taken = BTreeSet::new();
        let mut ahead: Option<TaskId> = None;
        for id in self.in_order() {
            let Some(open_task) = self.open_tasks.get(&id) else { continue };
            let Some(campaign) = open_task.campaign() else { continue };
            let (key, sub_band) = (campaign.plan().key, campaign.plan().channel.sub_band);
            if open_task.is_held {
                self.waiting(now, &id, HELD.to_owned());
                continue;
            }
            // A key's counters only rise: one campaign after the other.
            let owner = match owners.get(&key) {
                Some(owner) => owner.clone(),
                None if is_missed(open_task) => id.clone(),
                None => owners.entry(key).or_insert_with(|| id.clone()).clone(),
            };
            let rival = match self.turn_rule {
                _ if owner != id => Some(owner),
                TurnRule::InOrder => ahead.clone(),
                TurnRule::Fairly => None,
            };
            if let Some(rival) = rival {
                if campaign.calendar().is_open(now) {
                    self.waiting(now, &id, format!("its turn: task {rival} has the air"));
                }
                self.rest(&id);
                continue;
            }
            if sub_bands_taken.contains(&sub_band) || !self.has_room(open_task) {
                self.rest(&id);
                continue;
            }
            match self.turn_of(now, scheduler, &id, handover) {
                Leaves::Nothing => return,
                Leaves::OtherSubBands => {
                    sub_bands_taken.insert(sub_band);
                    ahead.get_or_insert(id);
                }
                Leaves::ItsPauses => {
                    ahead.get_or_insert(id);
                }
                Leaves::Everything => {}
            }
        }
    }

    /// The campaign of `id` begins. Another one of its group that had begun and missed its sessions is over: a key's
    /// counters only rise.
    fn end_missed(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId) {
        let Some(key) = self.open_tasks.get(id).and_then(OpenTask::plan).map(|plan| plan.key) else { return };
        let is_missed = |open_task: &OpenTask| {
            let campaign =
                open_task.campaign().filter(|campaign| campaign.has_begun() && campaign.plan().key == key);
            campaign.is_some_and(|campaign| campaign.calendar().is_missed(now))
        };
        let missed = self.open_tasks.iter().filter(|(_, open_task)| is_missed(open_task));
        let over: Vec<(TaskId, Outcome)> = missed
            .filter_map(|(id, open_task)| Some((id.clone(), open_task.campaign()?.out_of_session())))
            .collect();
        for (id, outcome) in over {
            self.finish(now, scheduler, &id, outcome);
        }
    }

    fn rest(&mut self, id: &TaskId) {
        if let Some(campaign) = self.open_tasks.get_mut(id).and_then(OpenTask::campaign_mut) {
            campaign.rest();
        }
    }

    /// Campaigns in the order in which they are asked.
    fn in_order(&self) -> Vec<TaskId> {
        let rank = |(id, open_task): (&TaskId, &OpenTask)| {
            let campaign = open_task.campaign()?;
            let begins = match campaign.calendar().begin() {
                Begin::AtOnce => None,
                Begin::At(start) => Some(*start),
                Begin::Sessions(sessions) => sessions.first().map(|session| session.start),
                Begin::Unknown => Some(GpsTime::from_us(u64::MAX)),
            };
            let served = match self.turn_rule {
                TurnRule::InOrder => u64::from(!campaign.has_begun()),
                TurnRule::Fairly => open_task.served,
            };
            Some(((served, begins, open_task.arrival), id.clone()))
        };
        let mut ranked: Vec<_> = self.open_tasks.iter().filter_map(rank).collect();
        ranked.sort();
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    fn has_room(&self, open_task: &OpenTask) -> bool {
        open_task.has_begun()
            || self.open_tasks.values().filter(|open_task| open_task.has_begun()).count() < BEGUN_MAX
    }

    fn turn_of(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId, handover: Handover) -> Leaves {
        let Some(campaign) = self.open_tasks.get_mut(id).and_then(OpenTask::campaign_mut) else {
            return Leaves::Everything;
        };
        let pause = self.paused.get(&campaign.plan().mc_addr.as_u32()).filter(|until| **until > now.mono);
        if let Some(&until) = pause {
            self.wake_by(Some(until));
            self.waiting(now, id, SECOND_SENDER.to_owned());
            return Leaves::Everything;
        }
        let had_begun = campaign.has_begun();
        let turn = Turn {
            handover,
            covered: self.marks.covered(id),
            id: self.turns.next_emission,
            not_before: self.turns.free_at.get(&campaign.plan().channel.sub_band).copied(),
        };
        let step = campaign.step(now, scheduler, turn);
        if !matches!(step, Step::Blocked(_) | Step::Missed(_) | Step::NeedImage)
            && let Some(open_task) = self.open_tasks.get_mut(id)
        {
            open_task.waiting = None;
        }
        match step {
            Step::Transmit(transmit) => {
                if let Some(open_task) = self.open_tasks.get_mut(id) {
                    open_task.served = turn.id;
                }
                self.turns.next_emission += 1;
                self.turns.last = Some(id.clone());
                self.outputs.push_back(Output::Transmit(transmit));
                if !had_begun {
                    self.report(now, Some(id.clone()), Event::Began);
                    self.end_missed(now, scheduler, id);
                }
                Leaves::Nothing
            }
            Step::Wait(at) => {
                self.wake_by(at);
                Leaves::ItsPauses
            }
            Step::WaitForAir(at) => {
                self.wake_by(Some(at));
                Leaves::OtherSubBands
            }
            Step::Shut(at) => {
                self.wake_by(Some(at));
                Leaves::Everything
            }
            Step::Blocked(reason) => {
                self.waiting(now, id, reason.to_owned());
                Leaves::Everything
            }
            Step::NeedMark => {
                self.turns.holders.insert(id.clone());
                if !self.marks.is_pending_for(id) {
                    self.mark(now, scheduler);
                }
                Leaves::Nothing
            }
            Step::Over(outcome) => {
                self.finish(now, scheduler, id, outcome);
                Leaves::Everything
            }
            Step::Missed(ended) => {
                self.missed(now, id, ended);
                Leaves::Everything
            }
            Step::NeedImage => {
                self.ask_again(now, id);
                Leaves::Everything
            }
        }
    }

    /// Frames are left and no session is: the operator is told, once.
    fn missed(&mut self, now: Now, id: &TaskId, ended: Option<GpsTime>) {
        let Some(campaign) = self.open_tasks.get(id).and_then(OpenTask::campaign) else { return };
        let (left, planned) = campaign.left();
        let group = campaign.plan().group.clone();
        let ended =
            ended.map_or(String::new(), |ended| format!(" (the last ended {})", rfc3339_from_gps(ended)));
        let reason = format!(
            "a session that its devices were told{ended}: {left} of {planned} frames are left; give the task a later StartTime and tell the devices (`fuotad plan --setup`)"
        );
        if self.open_tasks.get(id).is_some_and(|open_task| open_task.waiting.as_ref() != Some(&reason)) {
            self.report(now, Some(id.clone()), Event::SessionsMissed { group, left, planned });
        }
        self.waiting(now, id, reason);
    }

    pub(super) fn renew_old_mark(&mut self, now: Now, scheduler: &mut Scheduler) {
        match self.marks.due_at(self.next_numbers()) {
            Some(due) if due <= now.mono => {
                self.mark(now, scheduler);
            }
            due => self.wake_by(due),
        }
    }

    /// The sum of the next frame numbers of all on the air.
    fn next_numbers(&self) -> u64 {
        let next = |id: &TaskId| self.open_tasks.get(id).and_then(OpenTask::progress);
        self.turns.holders.iter().filter_map(next).map(|progress| u64::from(progress.next_frame)).sum()
    }

    /// Writes a mark that covers the next frames of the campaigns on the air.
    pub(super) fn mark(&mut self, now: Now, scheduler: &Scheduler) -> u64 {
        let mut minutes = scheduler.minutes(now.mono);
        let mut covers = Coverage::new();
        let holders: Vec<TaskId> = match self.stopping {
            Stopping::No => self.turns.holders.iter().cloned().collect(),
            _ => Vec::new(),
        };
        for id in holders {
            let Some(campaign) = self.open_tasks.get(&id).and_then(OpenTask::campaign) else { continue };
            let (plan, next_frame) = (campaign.plan(), campaign.progress().next_frame);
            let spacing_us = plan.pace_uncoded.spacing_us.min(plan.pace_coded.spacing_us);
            let frames = Marks::frames(spacing_us);
            // Nobody's in particular: the law counts it after a power cut, our share does not.
            let total_us = u64::from(frames).saturating_mul(plan.airtime_us);
            minutes.push(MinuteLoad {
                sub_band: plan.channel.sub_band.0,
                age_min: 0,
                ours_us: 0,
                total_us: u32::try_from(total_us).unwrap_or(u32::MAX),
            });
            covers.insert(id, next_frame.saturating_add(frames));
        }
        let marked = |open_task: &OpenTask| {
            let Progress { next_frame, extra_coded, .. } =
                open_task.progress().filter(|_| open_task.has_begun())?;
            Some(CampaignMark { task: open_task.record_id(), next_frame, extra_coded })
        };
        // What is not armed again yet is still where the last mark left it.
        let waiting = self.resumable.values().copied();
        let campaigns =
            self.open_tasks.values().filter_map(marked).chain(waiting).take(CAMPAIGNS_MAX).collect();
        let gps_us = now.gps.map(GpsTime::as_us);
        let mono_us = Some(now.mono.as_us());
        let mark = Mark { clean: covers.is_empty(), gps_us, mono_us, campaigns, ledger: minutes };
        let save = self.save(Change::Mark(mark));
        self.marks.begin(save, now.mono, self.next_numbers(), covers);
        save
    }
}
