//! From an image to an armed campaign. Each step is durable before the next: record, then counters, then the first
//! mark, then the air. One task at a time is planned and checked, so counters are given away in the order of
//! planning.

use super::arming::ProvenanceError;
use super::arming::begin_of;
use super::arming::check_provenance;
use super::arming::first_free;
use super::arming::group_of;
use super::arming::session_warnings;
use super::broadcaster::Broadcaster;
use super::open_task::OpenTask;
use super::open_task::Prepared;
use super::open_task::Stage;
use super::record::Proof;
use crate::campaign::Begin;
use crate::campaign::Campaign;
use crate::campaign::Group;
use crate::campaign::Plan;
use crate::campaign::Preflight;
use crate::campaign::Progress;
use crate::campaign::agreement;
use crate::image::Image;
use crate::lorawan::KeyFingerprint;
use crate::report::Event;
use crate::schedule::Scheduler;
use crate::signing::SigningTrust;
use crate::store::Change;
use crate::store::RangeState;
use crate::store::RecordId;
use crate::store::Reservation;
use crate::store::TaskRecord;
use crate::task::TaskId;
use crate::time::Now;

impl Broadcaster {
    /// Verifies the image, plans, and begins to decode the plan's frames, unless that was done before.
    pub(super) fn plan(
        &mut self,
        now: Now,
        scheduler: &Scheduler,
        id: &TaskId,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        let Some(open_task) = self.open_tasks.get(id) else { return Ok(()) };
        let group = group_of(&open_task.task, open_task.resumed.as_ref(), &self.groups)?.clone();
        agreement::check(&open_task.task, &group)?;
        let vouched = check_provenance(
            open_task,
            &group,
            self.trust(id, &group),
            &bytes,
            open_task.delivered.as_ref(),
            now.gps,
        );
        let (expected, signed) = match vouched {
            Ok(vouched) => vouched,
            Err(ProvenanceError::Refused(reason)) => return Err(reason),
            Err(ProvenanceError::NoClock(error)) => {
                if let Some(open_task) = self.open_tasks.get_mut(id) {
                    open_task.stage = Stage::AwaitingClock;
                }
                self.waiting(now, id, error.to_string());
                return Ok(());
            }
        };
        let image = Image::verify(bytes, expected).map_err(|error| error.to_string())?;
        let found = self.reserved_plan(scheduler, open_task, &group, &image)?;
        let is_reserved = found.is_some();
        let plan = match found {
            Some(plan) => plan,
            // A new task, or one whose counters were never reserved: nothing of it was sent.
            None => {
                let base = first_free(self.ranges.get(&group.keys.fingerprint()), &group)?;
                self.plan_from(scheduler, open_task, &group, &image, base.max(self.planned_to(&group)))?
            }
        };
        let begin = begin_of(&open_task.task, open_task.source, &group, &plan)?;
        if !open_task.is_admitted && !is_reserved {
            self.admit(now, id, &plan, &begin)?;
        }
        let Some(open_task) = self.open_tasks.get_mut(id) else { return Ok(()) };
        open_task.is_admitted = true;
        let is_proven = open_task.proof.is_some_and(|proof| proof.plan_hash == plan.hash);
        open_task.signed = signed;
        let preflight = Box::new(Preflight::new(&plan));
        open_task.stage = Stage::Checking(preflight, Box::new(Prepared { plan, group, image, is_reserved }));
        if is_proven { self.write_down(now, id) } else { Ok(()) }
    }

    fn plan_from(
        &self,
        scheduler: &Scheduler,
        open_task: &OpenTask,
        group: &Group,
        image: &Image,
        base: u32,
    ) -> Result<Plan, String> {
        let plan = Plan::new(&open_task.task, group, image, self.region, scheduler, base);
        plan.map_err(|error| error.to_string())
    }

    /// The plan of this task for which the journal holds counters, if it does: it goes on, whatever else was reserved
    /// since.
    fn reserved_plan(
        &self,
        scheduler: &Scheduler,
        open_task: &OpenTask,
        group: &Group,
        image: &Image,
    ) -> Result<Option<Plan>, String> {
        let held = self.ranges.get(&group.keys.fingerprint()).and_then(RangeState::counters);
        let record = open_task.record_id();
        let recorded = open_task.resumed.as_ref().map(|record| record.base);
        let may_be_ours = |held: &&Reservation| held.task == record || recorded == Some(held.base);
        let has_begun = self.resumable.get(&record).is_some_and(|marked| marked.next_frame > 0);
        let all = held.iter().flat_map(|counters| &counters.reservations);
        for held in all.rev().filter(may_be_ours) {
            if !has_begun && self.is_passed(&held.key, held.base) {
                continue;
            }
            let plan = self.plan_from(scheduler, open_task, group, image, held.base);
            if let Ok(plan) = plan
                && plan.hash == held.plan_hash
            {
                return Ok(Some(plan));
            }
        }
        Ok(None)
    }

    /// Whether a campaign with higher counters of the key has begun or is over: its devices take none below any more.
    fn is_passed(&self, key: &KeyFingerprint, base: u32) -> bool {
        let held = self.ranges.get(key).and_then(RangeState::counters);
        let mut above =
            held.into_iter().flat_map(|counters| &counters.reservations).filter(|held| held.base > base);
        above.any(|held| {
            let is_begun = |open_task: &OpenTask| {
                open_task.has_begun() && open_task.plan().is_some_and(|plan| plan.hash == held.plan_hash)
            };
            self.finished.holds(&held.task)
                || self.resumable.get(&held.task).is_some_and(|marked| marked.next_frame > 0)
                || self.open_tasks.values().any(is_begun)
        })
    }

    /// Armed campaigns whose counters were passed before their first frame: they are planned anew.
    pub(super) fn plan_passed_anew(&mut self, now: Now) {
        let is_passed = |open_task: &OpenTask| {
            let campaign = open_task.campaign().filter(|campaign| !campaign.has_begun());
            campaign.is_some_and(|campaign| self.is_passed(&campaign.plan().key, campaign.plan().base))
        };
        let passed = self.open_tasks.iter().filter(|(_, open_task)| is_passed(open_task));
        let ids: Vec<TaskId> = passed.map(|(id, _)| id.clone()).collect();
        for id in ids {
            if let Some(open_task) = self.open_tasks.get_mut(&id) {
                open_task.stage = Stage::Parked;
                self.wake_by(Some(now.mono));
            }
        }
    }

    /// One past the last counter of the group's key that an open task is planned to use.
    fn planned_to(&self, group: &Group) -> u32 {
        let key = group.keys.fingerprint();
        let plans = self.open_tasks.values().filter_map(OpenTask::plan).filter(|plan| plan.key == key);
        plans.map(|plan| plan.end).max().unwrap_or(0)
    }

    /// Decodes some more frames of the plan that is being checked.
    pub(super) fn prove(&mut self, now: Now) {
        let Some((id, open_task)) = self.open_tasks.iter_mut().find(|(_, open_task)| open_task.is_checking())
        else {
            return;
        };
        let Stage::Checking(preflight, prepared) = &mut open_task.stage else { return };
        let (id, step) = (id.clone(), preflight.step(&prepared.plan, &prepared.group, &prepared.image));
        let result = match step {
            Ok(None) => Ok(()),
            Ok(Some(decoded)) => {
                open_task.proof = Some(Proof { plan_hash: prepared.plan.hash, decoded });
                if !decoded.is_complete {
                    let text = format!("decoding the frames beforehand: {decoded}");
                    self.report(now, Some(id.clone()), Event::Warning { text });
                }
                self.write_down(now, &id)
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = result {
            self.refuse(now, &id, reason);
        }
        self.wake_by(Some(now.mono));
    }

    /// The plan holds what it promises: begins to make it durable.
    fn write_down(&mut self, now: Now, id: &TaskId) -> Result<(), String> {
        let save = self.next_save();
        let Some(open_task) = self.open_tasks.get_mut(id) else { return Ok(()) };
        let Stage::Checking(_, prepared) = std::mem::take(&mut open_task.stage) else { return Ok(()) };
        let Prepared { plan, group, image, .. } = &*prepared;
        let begin = begin_of(&open_task.task, open_task.source, group, plan)?;
        let record = open_task.armed_record(plan, image.digest());
        let decoded = open_task.proof.map(|proof| proof.decoded).unwrap_or_default();
        let mut planned = plan.planned(begin.sessions(), decoded);
        planned.warnings.extend(session_warnings(group, &begin, now.gps));
        planned.warnings.extend(agreement::warnings(&open_task.task, group));
        let change = Change::Task(TaskRecord { id: open_task.record_id(), bytes: record.to_bytes() });
        open_task.stage = Stage::Recording(save, prepared);
        self.save_as(save, change);
        self.report(now, Some(id.clone()), Event::Planned(planned));
        Ok(())
    }

    /// One more step of a plan is durable.
    pub(super) fn settled(&mut self, now: Now, id: &TaskId) {
        let Some(open_task) = self.open_tasks.get_mut(id) else { return };
        match std::mem::take(&mut open_task.stage) {
            Stage::Recording(_, prepared) if !prepared.is_reserved => self.reserve(now, id, prepared),
            Stage::Recording(_, prepared) | Stage::Reserving(_, prepared) => self.arm(now, id, *prepared),
            other => open_task.stage = other,
        }
    }

    /// Reserves the counters of a plan, and lets go of those whose plans are over.
    fn reserve(&mut self, now: Now, id: &TaskId, prepared: Box<Prepared>) {
        let plan = &prepared.plan;
        let wanted = Reservation {
            key: plan.key,
            mc_addr: plan.mc_addr.as_u32(),
            base: plan.base,
            next_free: plan.end,
            plan_hash: plan.hash,
            task: RecordId(id.record_id()),
        };
        let over = self.let_go(&plan.key);
        let counters = match self.ranges.get(&plan.key) {
            Some(RangeState::Intact(counters)) => counters.with(&wanted, &over),
            _ => return self.refuse(now, id, "the group's counters were lost meanwhile".to_owned()),
        };
        match counters {
            Ok(Some(counters)) => drop(self.ranges.insert(plan.key, RangeState::Intact(counters))),
            Ok(None) => {}
            Err(error) => return self.refuse(now, id, error.to_string()),
        }
        let save = self.save(Change::Reserve { wanted, over });
        if let Some(open_task) = self.open_tasks.get_mut(id) {
            open_task.stage = Stage::Reserving(save, prepared);
        }
    }

    /// The plans of a key that hold counters and need them no longer: their tasks are over. When the journal is full,
    /// those that no open task knows as well: what is still ordered was planned before this one.
    fn let_go(&self, key: &KeyFingerprint) -> Vec<[u8; 32]> {
        let Some(counters) = self.ranges.get(key).and_then(RangeState::counters) else { return Vec::new() };
        let is_full = counters.reservations.len() >= crate::store::RESERVATIONS_MAX;
        let is_open = |held: &Reservation| {
            let is_its = |open_task: &OpenTask| match open_task.plan() {
                Some(plan) => plan.hash == held.plan_hash,
                None => open_task.record_id() == held.task,
            };
            self.open_tasks.values().any(is_its)
        };
        let is_over = |held: &&Reservation| self.finished.holds(&held.task) || (is_full && !is_open(held));
        counters.reservations.iter().filter(is_over).map(|held| held.plan_hash).collect()
    }

    /// Record and counters are durable: the campaign may begin, or goes on where a former run left it.
    fn arm(&mut self, now: Now, id: &TaskId, prepared: Prepared) {
        let Prepared { plan, group, image, is_reserved } = prepared;
        // What was planned anew begins anew.
        let marked = self.resumable.remove(&RecordId(id.record_id())).filter(|_| is_reserved);
        let progress = marked.map(|marked| Progress {
            next_frame: marked.next_frame,
            extra_coded: marked.extra_coded,
            ..Progress::default()
        });
        let Some(open_task) = self.open_tasks.get_mut(id) else { return };
        // Without a mark the former run may still have handed frames over, just before it ended.
        let is_resumed = is_reserved || open_task.resumed.is_some();
        let resumed = is_resumed.then(|| (progress.unwrap_or_default(), now.mono));
        let campaign = Campaign::new(plan, group, image, resumed);
        open_task.stage = Stage::Running(Box::new(campaign));
        if let Some(progress) = progress {
            self.report(now, Some(id.clone()), Event::Resumed { frame_no: progress.next_frame });
        }
        self.settle_begin(now, id);
    }

    /// Gives a campaign its start, now that it is known or has changed.
    pub(super) fn settle_begin(&mut self, now: Now, id: &TaskId) {
        let Some(open_task) = self.open_tasks.get(id) else { return };
        let Some(campaign) = open_task.campaign() else { return };
        let begin = match begin_of(&open_task.task, open_task.source, campaign.group(), campaign.plan()) {
            Ok(begin) => begin,
            Err(reason) => return self.refuse(now, id, reason),
        };
        let before = campaign.calendar().begin();
        let is_moved = *before != Begin::Unknown && *before != begin;
        let group = campaign.plan().group.clone();
        if is_moved && !open_task.has_begun() {
            let plan = campaign.plan().clone();
            if let Err(reason) = self.admit(now, id, &plan, &begin) {
                return self.refuse(now, id, reason);
            }
        }
        if is_moved && !begin.sessions().is_empty() {
            let sessions = begin.sessions().iter().map(|session| (session.start, session.exponent)).collect();
            self.report(now, Some(id.clone()), Event::SessionsMoved { group, sessions });
        }
        if let Some(campaign) = self.open_tasks.get_mut(id).and_then(OpenTask::campaign_mut) {
            campaign.calendar_mut().set_begin(begin);
        }
    }

    /// Whose signatures count for a task: its own trust, or its group's.
    pub(super) fn trust<'a>(&'a self, id: &TaskId, group: &'a Group) -> &'a SigningTrust {
        self.trust_by_task.get(id.as_str()).unwrap_or(&group.trust)
    }
}
