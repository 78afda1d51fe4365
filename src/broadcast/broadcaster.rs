//! All campaigns that share one radio: from the task's arrival to its end, one on the air at a time.

use super::Group;
use super::Handover;
use super::Keep;
use super::KeyRange;
use super::MarkedCampaign;
use super::NotSaved;
use super::Phase;
use super::Plan;
use super::Record;
use super::RecordState;
use super::Restored;
use super::TaskSource;
use super::TaskState;
use super::Verdict;
use super::Want;
use super::arming::begin_of;
use super::arming::expected_digest;
use super::arming::first_free;
use super::arming::group_of;
use super::arming::is_reserved;
use super::campaign::Campaign;
use super::campaign::Progress;
use super::campaign::Step;
use super::marks::Marks;
use super::order::Order;
use super::order::Stage;
use crate::image::Image;
use crate::lorawan::KeyFingerprint;
use crate::region::Parameters;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Report;
use crate::schedule::BandUse;
use crate::schedule::MinuteLoad;
use crate::schedule::Scheduler;
use crate::task::Task;
use crate::task::TaskId;
use crate::task::TaskStatus;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// Tasks that are not over, at most.
const MAX_ORDERS: usize = 64;

/// All campaigns of one radio.
pub struct Broadcaster {
    region: &'static Parameters,
    groups: Vec<Group>,
    scheduler: Scheduler,
    ranges: BTreeMap<KeyFingerprint, KeyRange>,
    orders: BTreeMap<TaskId, Order>,
    finished: BTreeSet<[u8; 16]>,
    resumable: BTreeMap<[u8; 16], MarkedCampaign>,
    /// The campaign that has the air.
    active: Option<TaskId>,
    marks: Marks,
    next_save: u64,
    next_emission: u64,
    halted: Option<String>,
    stopping: Stopping,
    wake_at: Option<Instant>,
    wants: VecDeque<Want>,
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
            scheduler,
            ranges: restored.ranges,
            orders: BTreeMap::new(),
            finished: BTreeSet::new(),
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

    /// A task document arrived, or arrived again. `stem` is its id where it has none.
    pub fn task(&mut self, now: Now, document: &[u8], stem: &str, source: TaskSource) {
        let task = match Task::from_json(document, stem) {
            Ok(task) => task,
            Err(error) => {
                return self.report(now, None, Event::Refused { reason: format!("task {stem}: {error}") });
            }
        };
        if self.finished.contains(&task.id.record_id()) {
            return;
        }
        if task.status == TaskStatus::DeleteWaiting {
            return self.cancel(now, &task.id);
        }
        if source == TaskSource::Cloud && !self.orders.contains_key(&task.id) {
            // A control plane's word counts when nothing of the task was seen armed here.
            match &task.status {
                TaskStatus::FuotaDone => return,
                TaskStatus::Unknown(status) => {
                    let text =
                        format!("Status {status:?} is unknown to this version: the task is left alone");
                    return self.report(now, Some(task.id.clone()), Event::Warning { text });
                }
                _ => {}
            }
        }
        let is_full = self.orders.len() >= MAX_ORDERS;
        match self.orders.get_mut(&task.id) {
            Some(order) if order.task.same_order(&task) => {
                order.task = task;
                let id = order.task.id.clone();
                self.settle_begin(now, &id);
            }
            Some(order) if order.has_begun() => {
                let reason =
                    "the task changed after its first frame was sent: cancel it and order anew".to_owned();
                let id = task.id;
                self.report(now, Some(id), Event::Refused { reason });
            }
            _ if is_full => {
                let reason = format!("{MAX_ORDERS} tasks are open already: remove finished ones");
                self.report(now, Some(task.id), Event::Refused { reason });
            }
            _ => {
                for text in task.warnings.clone() {
                    self.report(now, Some(task.id.clone()), Event::Warning { text });
                }
                self.begin_order(task, document, stem, source, None);
            }
        }
    }

    /// The task is withdrawn: not one more frame of it.
    pub fn cancel(&mut self, now: Now, id: &TaskId) {
        let Some(order) = self.orders.get(id) else { return };
        let sent = order.progress().map_or(0, |progress| progress.sent);
        self.finish(now, &id.clone(), Outcome::Cancelled { sent });
    }

    /// The bytes that [`Want::Fetch`] asked for.
    pub fn image(&mut self, now: Now, id: &TaskId, bytes: Vec<u8>) {
        if let Err(reason) = self.plan(now, id, bytes) {
            self.refuse(now, id, reason);
        }
    }

    /// The image cannot be had.
    pub fn image_failed(&mut self, now: Now, id: &TaskId, reason: &str) {
        self.refuse(now, id, format!("no image: {reason}"));
    }

    /// The answer to [`Want::Save`].
    pub fn saved(&mut self, now: Now, save: u64, result: Result<(), NotSaved>) {
        match result {
            Ok(()) => {}
            Err(NotSaved::NoSpace(reason)) => return self.no_space(now, save, reason),
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
        let Some(handover) = handover else {
            let ids: Vec<TaskId> = self.orders.keys().cloned().collect();
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
            Stage::Recording { .. } | Stage::Reserving { .. } => Phase::Saving,
            Stage::Running(_) if self.halted.is_some() || order.waiting.is_some() => Phase::Blocked,
            Stage::Running(_) if self.active.as_ref() == Some(id) => Phase::Sending,
            Stage::Running(_) => Phase::Armed,
        }
    }

    /// A full disk costs the order that could not be written down; what is preallocated is not touched by it.
    fn no_space(&mut self, now: Now, save: u64, reason: String) {
        let settling = self.orders.iter().find(|(_, order)| order.awaits_save(save));
        match settling.map(|(id, _)| id.clone()) {
            Some(id) => self.refuse(now, &id, format!("{reason}: free some space and order again")),
            None => self.report(now, None, Event::Warning { text: reason }),
        }
    }

    /// Nothing can be promised any more, so nothing is sent any more.
    fn halt(&mut self, now: Now, reason: String) {
        if self.halted.is_none() {
            self.report(now, None, Event::Halted { reason: reason.clone() });
        }
        self.halted = Some(reason);
    }

    fn restore_record(&mut self, now: Now, record: [u8; 16], bytes: &[u8]) {
        let record_or = Record::from_bytes(bytes);
        let saved = match record_or {
            Ok(saved) => saved,
            Err(reason) => {
                return self.report(now, None, Event::Warning { text: format!("a task record: {reason}") });
            }
        };
        match saved.state {
            RecordState::Over { .. } => {
                self.finished.insert(record);
            }
            RecordState::Armed => match Task::from_json(saved.document.as_bytes(), &saved.stem) {
                Ok(task) => {
                    let (document, stem) = (saved.document.clone(), saved.stem.clone());
                    self.begin_order(task, document.as_bytes(), &stem, saved.source, Some(saved));
                }
                Err(error) => {
                    self.report(
                        now,
                        None,
                        Event::Refused { reason: format!("task {}: {error}", saved.stem) },
                    );
                }
            },
        }
    }

    fn begin_order(
        &mut self,
        task: Task,
        document: &[u8],
        stem: &str,
        source: TaskSource,
        resumed: Option<Record>,
    ) {
        self.wants.push_back(Want::Fetch(task.id.clone(), task.image.clone()));
        let document = String::from_utf8_lossy(document).into_owned();
        self.orders.insert(task.id.clone(), Order::new(task, document, stem.to_owned(), source, resumed));
    }

    /// Verifies the image, plans, and begins to make the plan durable.
    fn plan(&mut self, now: Now, id: &TaskId, bytes: Vec<u8>) -> Result<(), String> {
        let Some(order) = self.orders.get(id).filter(|order| matches!(order.stage, Stage::Fetching)) else {
            return Ok(());
        };
        let group = group_of(&order.task, order.resumed.as_ref(), &self.groups)?.clone();
        let expected = expected_digest(order, &group, &bytes)?;
        let image = Image::verify(bytes, expected).map_err(|error| error.to_string())?;
        let range = self.ranges.get(&group.keys.fingerprint());
        let base = match &order.resumed {
            Some(record) => record.base,
            None => first_free(range, &group)?,
        };
        let plan = Plan::new(&order.task, &group, &image, self.region, &self.scheduler, base)
            .map_err(|error| error.to_string())?;
        let is_reserved = is_reserved(range, &plan)?;
        let begin = begin_of(&order.task, order.source, &group, &plan)?;
        let record = Record::armed(order, group.name.clone(), expected, plan.base);
        let planned = plan.planned(begin.sessions());
        let save = self.save(Keep::Record { record: id.record_id(), bytes: record.to_bytes() });
        if let Some(order) = self.orders.get_mut(id) {
            order.stage = Stage::Recording { save, plan, group, image, is_reserved };
        }
        self.report(now, Some(id.clone()), Event::Planned(planned));
        Ok(())
    }

    /// One more step of a plan is durable.
    fn settled(&mut self, now: Now, id: &TaskId) {
        let Some(order) = self.orders.get_mut(id) else { return };
        match std::mem::replace(&mut order.stage, Stage::Fetching) {
            Stage::Recording { plan, group, image, is_reserved: false, .. } => {
                let keep = Keep::Reserve {
                    key: plan.key,
                    mc_addr: plan.mc_addr.as_u32(),
                    base: plan.base,
                    end: plan.end,
                    plan_hash: plan.hash,
                };
                let range = KeyRange::Known {
                    base: plan.base,
                    next_free: plan.end,
                    plan_hash: plan.hash,
                    damaged: false,
                };
                self.ranges.insert(plan.key, range);
                let save = self.save(keep);
                if let Some(order) = self.orders.get_mut(id) {
                    order.stage = Stage::Reserving { save, plan, group, image };
                }
            }
            Stage::Recording { plan, group, image, is_reserved: true, .. }
            | Stage::Reserving { plan, group, image, .. } => {
                let marked = self.resumable.remove(&id.record_id()).filter(|_| order.resumed.is_some());
                let progress = marked.map(|marked| Progress {
                    next_k: marked.next_k,
                    made_up: marked.made_up,
                    ..Progress::default()
                });
                // Without a mark the former run may still have handed frames over, just before it ended.
                let is_resumed = order.resumed.is_some();
                let resumed = is_resumed.then(|| (progress.unwrap_or_default(), now.mono));
                let campaign = Campaign::new(plan, group, image, resumed);
                order.stage = Stage::Running(Box::new(campaign));
                if let Some(progress) = progress {
                    self.report(now, Some(id.clone()), Event::Resumed { k: progress.next_k });
                }
                self.settle_begin(now, id);
            }
            other => order.stage = other,
        }
    }

    /// Gives a campaign its start, now that it is known or has changed.
    fn settle_begin(&mut self, now: Now, id: &TaskId) {
        let Some(order) = self.orders.get_mut(id) else { return };
        let Stage::Running(campaign) = &mut order.stage else { return };
        match begin_of(&order.task, order.source, campaign.group(), campaign.plan()) {
            Ok(begin) => campaign.set_begin(begin),
            Err(reason) => self.refuse(now, id, reason),
        }
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

    fn finish(&mut self, now: Now, id: &TaskId, outcome: Outcome) {
        let Some(order) = self.orders.remove(id) else { return };
        if let Some(record) = order.record(&outcome) {
            self.save(Keep::Record { record: id.record_id(), bytes: record.to_bytes() });
            self.finished.insert(id.record_id());
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

    /// The order cannot be carried out. It is forgotten, so a corrected document is taken as a new one.
    fn refuse(&mut self, now: Now, id: &TaskId, reason: String) {
        self.orders.remove(id);
        self.report(now, Some(id.clone()), Event::Refused { reason });
    }

    fn waiting(&mut self, now: Now, id: &TaskId, reason: String) {
        let Some(order) = self.orders.get_mut(id) else { return };
        if order.waiting.as_ref() != Some(&reason) {
            order.waiting = Some(reason.clone());
            self.report(now, Some(id.clone()), Event::Waiting { reason });
        }
    }

    fn save(&mut self, keep: Keep) -> u64 {
        let save = self.next_save;
        self.next_save += 1;
        self.wants.push_back(Want::Save(save, keep));
        save
    }

    fn report(&mut self, now: Now, task: Option<TaskId>, event: Event) {
        self.wants.push_back(Want::Report(Report { at: now.mono, task, event }));
    }

    fn wake_by(&mut self, at: Option<Instant>) {
        self.wake_at = match (self.wake_at, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}
