//! All campaigns that share one radio: from the task's arrival to its end, one on the air at a time.

use super::Group;
use super::Handover;
use super::Keep;
use super::KeyRange;
use super::MarkedCampaign;
use super::NotSaved;
use super::Phase;
use super::Restored;
use super::TaskState;
use super::Verdict;
use super::Want;
use super::campaign::Campaign;
use super::history::History;
use super::marks::Marks;
use super::order::Order;
use super::order::Stage;
use super::step::Progress;
use super::step::Step;
use crate::lorawan::KeyFingerprint;
use crate::region::Parameters;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Report;
use crate::schedule::BandUse;
use crate::schedule::MinuteLoad;
use crate::schedule::Scheduler;
use crate::signing::Trust;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// All campaigns of one radio.
pub struct Broadcaster {
    pub(super) region: &'static Parameters,
    pub(super) groups: Vec<Group>,
    /// Whose signatures count for single tasks, by their ids, instead of the group's trust.
    pub(super) trust_by_task: BTreeMap<String, Trust>,
    pub(super) scheduler: Scheduler,
    pub(super) ranges: BTreeMap<KeyFingerprint, KeyRange>,
    pub(super) orders: BTreeMap<TaskId, Order>,
    pub(super) history: History,
    pub(super) resumable: BTreeMap<[u8; 16], MarkedCampaign>,
    /// The campaign that has the air.
    active: Option<TaskId>,
    marks: Marks,
    next_save: u64,
    next_emission: u64,
    halted: Option<String>,
    stopping: Stopping,
    wake_at: Option<Instant>,
    pub(super) wants: VecDeque<Want>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    Asked,
    Saving(u64),
    Done,
}

impl Broadcaster {
    /// A broadcaster with what survived the last run; campaigns that were armed ask for their images again.
    pub fn new(
        region: &'static Parameters,
        groups: Vec<Group>,
        trust_by_task: BTreeMap<String, Trust>,
        reserve_ppm: u32,
        restored: Restored,
        now: Now,
    ) -> Self {
        let mut scheduler = Scheduler::new(region.sub_bands, reserve_ppm);
        if let Some((elapsed_us, minutes)) = &restored.ledger {
            scheduler.restore(now.mono, *elapsed_us, minutes);
        }
        if restored.ledger_lost {
            scheduler.assume_spent(now.mono);
        }
        let mut broadcaster = Broadcaster {
            region,
            groups,
            trust_by_task,
            scheduler,
            ranges: restored.ranges,
            orders: BTreeMap::new(),
            history: History::default(),
            resumable: restored.campaigns.into_iter().map(|marked| (marked.record, marked)).collect(),
            active: None,
            marks: Marks::default(),
            next_save: 1,
            next_emission: 1,
            halted: None,
            stopping: Stopping::No,
            wake_at: None,
            wants: VecDeque::new(),
        };
        for (record, bytes) in restored.records {
            broadcaster.restore_record(now, record, &bytes);
        }
        broadcaster
    }

    /// The answer to [`Want::Save`].
    pub fn saved(&mut self, now: Now, save: u64, result: Result<(), NotSaved>) {
        match result {
            Ok(()) => {}
            Err(NotSaved::Refused(reason)) => return self.not_kept(now, save, reason),
            Err(NotSaved::Broken(reason)) => return self.halt(now, reason),
        }
        if self.stopping == Stopping::Saving(save) {
            self.stopping = Stopping::Done;
            self.wants.push_back(Want::Stopped);
        }
        if self.marks.saved(save) {
            return;
        }
        let settling = self.orders.iter().find(|(_, order)| order.awaits_save(save));
        if let Some(id) = settling.map(|(id, _)| id.clone()) {
            self.settled(now, &id);
        }
    }

    /// The forwarder's word on a frame.
    pub fn verdict(&mut self, now: Now, emission: u64, verdict: &Verdict) {
        let Some(id) = self.active.clone() else { return };
        let Some(campaign) = self.orders.get_mut(&id).and_then(Order::campaign_mut) else { return };
        let Some((k, end)) = campaign.verdict(now.mono, emission, verdict, &mut self.scheduler) else {
            return;
        };
        let fcnt = campaign.plan().base + k;
        let event = match verdict {
            Verdict::Queued { start } => Event::Sent { k, fcnt, start: *start },
            Verdict::Silent => Event::Unconfirmed { k },
            Verdict::Refused(refusal) => Event::Refusal { k, error: format!("{refusal:?}") },
        };
        self.report(now, Some(id.clone()), event);
        if let Some(outcome) = end {
            self.finish(now, &id, outcome);
        }
    }

    /// The campaign on the air must not go on.
    pub fn abort(&mut self, now: Now, reason: String) {
        if let Some(id) = self.active.clone() {
            self.finish(now, &id, Outcome::Aborted { reason });
        }
    }

    /// Does what is due. `handover` is how frames are handed over now; `None` while no forwarder is there.
    pub fn advance(&mut self, now: Now, handover: Option<Handover>) {
        self.wake_at = None;
        if self.halted.is_some() || self.stopping != Stopping::No {
            return self.wind_down(now);
        }
        self.check_unclocked(now);
        let Some(handover) = handover else {
            // What waits for the clock says so.
            let clocked = self.orders.iter().filter(|(_, order)| !order.is_unclocked());
            let ids: Vec<TaskId> = clocked.map(|(id, _)| id.clone()).collect();
            for id in ids {
                self.waiting(now, &id, "the packet forwarder: it has not been heard".to_owned());
            }
            return;
        };
        if let Some(id) = self.active.clone() {
            self.advance_one(now, &id, handover);
            self.renew_old_mark(now);
        } else {
            let ids: Vec<TaskId> = self.orders.keys().cloned().collect();
            for id in ids {
                if self.active.is_none() {
                    self.advance_one(now, &id, handover);
                }
            }
        }
    }

    /// No new frame from now on; [`Want::Stopped`] follows when the last mark is durable.
    pub fn stop(&mut self) {
        if self.stopping == Stopping::No {
            self.stopping = Stopping::Asked;
        }
    }

    /// When [`Broadcaster::advance`] wants to be called again.
    pub fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    /// The next thing it wants done.
    pub fn poll(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }

    /// Airtime in every sub-band with a limit.
    pub fn bands(&self, now: Instant) -> Vec<BandUse> {
        self.scheduler.bands(now)
    }

    /// How far each task that is not over is; `None` while it is not planned.
    pub fn progress(&self) -> impl Iterator<Item = (&TaskId, Option<Progress>)> {
        self.orders.iter().map(|(id, order)| (id, order.progress()))
    }

    /// How each task that is not over stands.
    pub fn tasks(&self, now: Now) -> impl Iterator<Item = TaskState> {
        self.orders.iter().map(move |(id, order)| TaskState {
            task: id.clone(),
            source: order.source,
            phase: self.phase(id, order),
            waiting: order.waiting.clone(),
            campaign: order.campaign().map(|campaign| campaign.state(now)),
        })
    }

    /// Why nothing is sent any more, after storage failed.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    fn phase(&self, id: &TaskId, order: &Order) -> Phase {
        match &order.stage {
            Stage::Fetching => Phase::Fetching,
            Stage::Unclocked { .. } => Phase::Blocked,
            Stage::Recording { .. } | Stage::Reserving { .. } => Phase::Saving,
            Stage::Running(_) if self.halted.is_some() || order.waiting.is_some() => Phase::Blocked,
            Stage::Running(_) if self.active.as_ref() == Some(id) => Phase::Sending,
            Stage::Running(_) => Phase::Armed,
        }
    }

    /// Nothing can be promised any more, so nothing is sent any more.
    fn halt(&mut self, now: Now, reason: String) {
        if self.halted.is_none() {
            self.report(now, None, Event::Halted { reason: reason.clone() });
        }
        self.halted = Some(reason);
    }

    fn advance_one(&mut self, now: Now, id: &TaskId, handover: Handover) {
        let Some(campaign) = self.orders.get_mut(id).and_then(Order::campaign_mut) else { return };
        let is_active = self.active.as_ref() == Some(id);
        let covered = if is_active { self.marks.covered() } else { 0 };
        let had_begun = campaign.has_begun();
        let step = campaign.step(now, &mut self.scheduler, handover, covered, self.next_emission);
        if !matches!(step, Step::Blocked(_))
            && let Some(order) = self.orders.get_mut(id)
        {
            order.waiting = None;
        }
        match step {
            Step::Transmit(transmit) => {
                self.next_emission += 1;
                self.wants.push_back(Want::Transmit(transmit));
                if !had_begun {
                    self.report(now, Some(id.clone()), Event::Began);
                }
            }
            Step::Wait(at) => self.wake_by(at),
            Step::Blocked(reason) => self.waiting(now, id, reason.to_owned()),
            Step::NeedMark => {
                if !is_active {
                    self.active = Some(id.clone());
                    self.marks.reset();
                }
                if !self.marks.is_pending() {
                    self.mark(now);
                }
            }
            Step::Over(outcome) => self.finish(now, id, outcome),
        }
    }

    fn renew_old_mark(&mut self, now: Now) {
        let active = self.active.as_ref().and_then(|id| self.orders.get(id));
        let Some(progress) = active.and_then(Order::progress) else { return };
        match self.marks.due_at(progress.next_k) {
            Some(due) if due <= now.mono => {
                self.mark(now);
            }
            due => self.wake_by(due),
        }
    }

    /// Writes a mark that covers the next frames of the campaign on the air.
    fn mark(&mut self, now: Now) -> u64 {
        let mut minutes = self.scheduler.minutes(now.mono);
        let active = self.active.as_ref().and_then(|id| self.orders.get(id)).and_then(Order::campaign);
        let (next_k, covers) = match active.filter(|_| self.stopping == Stopping::No) {
            Some(campaign) => {
                let (plan, next_k) = (campaign.plan(), campaign.progress().next_k);
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
                (next_k, next_k.saturating_add(frames))
            }
            None => (0, 0),
        };
        let marked = |(id, order): (&TaskId, &Order)| {
            let progress = order.progress().filter(|_| order.has_begun())?;
            Some(MarkedCampaign {
                record: id.record_id(),
                next_k: progress.next_k,
                made_up: progress.made_up,
            })
        };
        let campaigns = self.orders.iter().filter_map(marked).collect();
        let save = self.save(Keep::Mark { clean: covers == 0, campaigns, minutes });
        self.marks.begin(save, now.mono, next_k, covers);
        save
    }

    fn wind_down(&mut self, now: Now) {
        let is_awaiting =
            self.orders.values().any(|order| order.campaign().is_some_and(Campaign::is_awaiting));
        if self.stopping != Stopping::Asked || is_awaiting {
            return;
        }
        if self.halted.is_some() {
            self.stopping = Stopping::Done;
            self.wants.push_back(Want::Stopped);
        } else {
            self.stopping = Stopping::Saving(self.mark(now));
        }
    }

    pub(super) fn finish(&mut self, now: Now, id: &TaskId, outcome: Outcome) {
        let Some(order) = self.orders.remove(id) else { return };
        if let Some(record) = order.record(&outcome, self.history.next()) {
            self.save(Keep::Record { record: id.record_id(), bytes: record.to_bytes() });
            self.history.add(id.record_id());
            while let Some(record) = self.history.forget() {
                self.save(Keep::Forget { record });
            }
        }
        if self.active.as_ref() == Some(id) {
            self.active = None;
            if self.stopping == Stopping::No {
                self.mark(now);
            }
        }
        self.report(now, Some(id.clone()), Event::Over(outcome));
        self.wake_by(Some(now.mono));
    }

    pub(super) fn waiting(&mut self, now: Now, id: &TaskId, reason: String) {
        let Some(order) = self.orders.get_mut(id) else { return };
        if order.waiting.as_ref() != Some(&reason) {
            order.waiting = Some(reason.clone());
            self.report(now, Some(id.clone()), Event::Waiting { reason });
        }
    }

    pub(super) fn save(&mut self, keep: Keep) -> u64 {
        let save = self.next_save;
        self.next_save += 1;
        self.wants.push_back(Want::Save(save, keep));
        save
    }

    pub(super) fn report(&mut self, now: Now, task: Option<TaskId>, event: Event) {
        self.wants.push_back(Want::Report(Report { at: now.mono, task, event }));
    }

    fn wake_by(&mut self, at: Option<Instant>) {
        self.wake_at = match (self.wake_at, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}
