//! From an image to an armed campaign. Each step is durable before the next: record, then counters, then the first
//! mark, then the air. One task at a time is planned and checked, so counters are given away in the order of
//! planning.

use super::arming::Late;
use super::arming::ProvenanceError;
use super::arming::begin_of;
use super::arming::check_finish;
use super::arming::check_provenance;
use super::arming::first_free;
use super::arming::lateness;
use super::arming::session_warnings;
use super::judge::check_form;
use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::stage::Prepared;
use super::stage::Stage;
use super::stage::Step;
use super::task_book::TaskBook;
use crate::answers::crc32;
use crate::campaign::Begin;
use crate::campaign::CANARY_FCNTS;
use crate::campaign::Group;
use crate::campaign::Plan;
use crate::campaign::Progress;
use crate::campaign::agreement;
use crate::image::Image;
use crate::lorawan::KeyFingerprint;
use crate::report::Account;
use crate::report::ClockNeed;
use crate::report::Event;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::schedule::Scheduler;
use crate::store::Change;
use crate::store::RecordId;
use crate::store::Reservation;
use crate::store::TaskRecord;
use crate::task::TaskId;
use crate::time::Now;
use std::sync::Arc;

impl TaskBook {
    /// Verifies the image, plans, and begins to decode the plan's frames, unless that was done before.
    ///
    /// # Errors
    /// One line: why the order cannot be carried out.
    pub fn plan(
        &mut self,
        now: Now,
        scheduler: &Scheduler,
        id: &TaskId,
        bytes: Vec<u8>,
        outbox: &mut Outbox,
    ) -> Result<(), String> {
        let Some(open_task) = self.get(id) else { return Ok(()) };
        let mut group = self.site().group_of_open(open_task)?.clone();
        if let Some(record) = open_task.resumed() {
            group.redundancy = record.redundancy();
        }
        agreement::check(open_task.task(), &group)?;
        let trust = self.site().trust(open_task.task(), &group);
        let (expected, signed) = match check_provenance(open_task, &group, trust, &bytes, now.gps) {
            Ok(vouched) => vouched,
            Err(ProvenanceError::Refused(reason)) => return Err(reason),
            Err(ProvenanceError::NoClock(error)) => {
                if let Some(open_task) = self.get_mut(id) {
                    open_task.await_clock();
                }
                let need = ClockNeed::Certificate(error.to_string());
                self.waiting(now, id, Wait::event(WaitReason::Clock { need, dispute: None }), outbox);
                return Ok(());
            }
        };
        let image = Image::verify(bytes, expected).map_err(|error| error.to_string())?;
        // What was armed in a former life was judged then.
        if open_task.resumed().is_none() {
            check_form(image.bytes(), &group)?;
        }
        let found = self.reserved_plan(scheduler, open_task, &group, &image);
        let is_reserved = found.is_some();
        let mut plan = match found {
            Some(plan) => plan,
            // A new task, or one whose counters were never reserved: nothing of it was sent.
            None => {
                let base = first_free(self.ranges().of(&group.keys.fingerprint()), &group)?;
                self.plan_from(scheduler, open_task, &group, &image, base.max(self.planned_to(&group)))?
            }
        };
        let mut begin = begin_of(open_task, &group, &plan)?;
        if !open_task.is_admitted() && !is_reserved {
            check_finish(open_task.task(), &plan, &begin, now.gps)?;
            if let Some(other) = self.undecided(now, id, &plan, &begin) {
                let (group, other) = (plan.group, other.clone());
                let need = ClockNeed::Order { group, other };
                if let Some(open_task) = self.get_mut(id) {
                    open_task.await_clock();
                }
                self.waiting(now, id, Wait::event(WaitReason::Clock { need, dispute: None }), outbox);
                return Ok(());
            }
            // Beside others a longer session may do where the shortest one does not.
            while let Err(why) = self.admit(now, id, &plan, &begin, outbox) {
                if open_task.task().session_timeout_exponent.is_some() || !plan.lengthen(&group, image.len())
                {
                    return Err(why);
                }
                begin = begin_of(open_task, &group, &plan)?;
                check_finish(open_task.task(), &plan, &begin, now.gps)?;
            }
        }
        let Some(open_task) = self.get_mut(id) else { return Ok(()) };
        let is_proven = open_task.check(Prepared { plan, group, image, is_reserved }, signed);
        if is_proven { self.write_down(now, id, outbox) } else { Ok(()) }
    }

    fn plan_from(
        &self,
        scheduler: &Scheduler,
        open_task: &OpenTask,
        group: &Group,
        image: &Image,
        base: u32,
    ) -> Result<Plan, String> {
        let plan = Plan::new(open_task.task(), group, image, self.site().region(), scheduler, base);
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
    ) -> Option<Plan> {
        // Earlier releases, and other settings, kept no counters for canaries.
        let other_fcnts = if group.canary_fcnts == 0 { CANARY_FCNTS } else { 0 };
        let other = Group { canary_fcnts: other_fcnts, ..group.clone() };
        let record = open_task.record_id();
        let recorded = open_task.resumed().map(|record| record.base);
        let may_be_ours = |held: &&Reservation| {
            held.task == record || recorded.is_some_and(|base| (held.base..held.next_free).contains(&base))
        };
        let has_begun = self.had_begun(&record);
        let all = self.ranges().reservations(&group.keys.fingerprint()).iter();
        for held in all.rev().filter(may_be_ours) {
            if !has_begun && self.is_passed(&held.key, held.base) {
                continue;
            }
            let plan = |group| self.plan_from(scheduler, open_task, group, image, held.base).ok();
            let is_it = |plan: &Plan| plan.hash == held.plan_hash;
            if let Some(plan) = plan(group).filter(is_it).or_else(|| plan(&other).filter(is_it)) {
                return Some(plan);
            }
        }
        None
    }

    /// Whether a former run sent a frame of the campaign, which is not armed again yet.
    fn had_begun(&self, record: &RecordId) -> bool {
        self.resumable().get(record).is_some_and(|marked| marked.next_frame > 0)
    }

    /// Whether a campaign with higher counters of the key has begun or is over: its devices take none below any more.
    fn is_passed(&self, key: &KeyFingerprint, base: u32) -> bool {
        let mut above = self.ranges().reservations(key).iter().filter(|held| held.base > base);
        above.any(|held| {
            let is_begun = |open_task: &OpenTask| {
                open_task.has_begun() && open_task.plan().is_some_and(|plan| plan.hash == held.plan_hash)
            };
            self.is_over(&held.task) || self.had_begun(&held.task) || self.open().values().any(is_begun)
        })
    }

    /// Armed campaigns whose counters were passed before their first frame: they are planned anew.
    pub fn plan_passed_anew(&mut self, now: Now, outbox: &mut Outbox) {
        let is_passed = |open_task: &OpenTask| {
            let campaign = open_task.campaign().filter(|campaign| !campaign.has_begun());
            campaign
                .is_some_and(|campaign| self.is_passed(&campaign.plan().key, campaign.plan().first_fcnt()))
        };
        let passed = self.open().iter().filter(|(_, open_task)| is_passed(open_task));
        let ids: Vec<TaskId> = passed.map(|(id, _)| id.clone()).collect();
        for id in ids {
            if let Some(open_task) = self.get_mut(&id) {
                open_task.park();
                outbox.wake_by(Some(now.mono));
            }
        }
    }

    /// One past the last counter of the group's key that an open task is planned to use.
    fn planned_to(&self, group: &Group) -> u32 {
        let key = group.keys.fingerprint();
        let plans = self.open().values().filter_map(OpenTask::plan).filter(|plan| plan.key == key);
        plans.map(|plan| plan.end).max().unwrap_or(0)
    }

    /// Decodes some more frames of the plan that is being checked.
    pub fn prove(&mut self, now: Now, outbox: &mut Outbox) {
        let checked = self.open().iter().find(|(_, open_task)| open_task.is_checking());
        let Some(id) = checked.map(|(id, _)| id.clone()) else { return };
        let Some(open_task) = self.get_mut(&id) else { return };
        let result = match open_task.check_on() {
            Ok(None) => Ok(()),
            Ok(Some(decoded)) => {
                if !decoded.is_complete {
                    let text = format!("decoding the frames beforehand: {decoded}");
                    outbox.report(now, Some(&id), Event::Warning { text });
                }
                self.write_down(now, &id, outbox)
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = result {
            self.refuse(now, &id, reason, outbox);
        }
        outbox.wake_by(Some(now.mono));
    }

    /// The plan holds what it promises: begins to make it durable.
    fn write_down(&mut self, now: Now, id: &TaskId, outbox: &mut Outbox) -> Result<(), String> {
        let Some(open_task) = self.get_mut(id) else { return Ok(()) };
        let Some(Prepared { plan, group, image, .. }) = open_task.prepared() else { return Ok(()) };
        let begin = begin_of(open_task, group, plan)?;
        let bytes = open_task.armed_record(plan, &begin, image.digest()).to_bytes();
        let mut planned = plan.planned(begin.sessions(), open_task.decoded());
        planned.sha256 = Some(image.digest());
        planned.only = open_task.task().devices.clone().map(Arc::new);
        planned.crc32 = Some(crc32(image.bytes()));
        planned.warnings.extend(session_warnings(group, &begin, now.gps));
        planned.warnings.extend(agreement::warnings(open_task.task(), group));
        if open_task.resumed().is_none() {
            planned.warnings.extend(check_form(image.bytes(), group).unwrap_or_default());
            if let Late::Begun(text) | Late::Missed(text, _) = lateness(group, &begin, now.gps) {
                planned.warnings.push(text);
            }
        }
        let save = outbox.save(Change::Task(TaskRecord { id: open_task.record_id(), bytes }));
        open_task.begin_step(Step::Recording(save));
        outbox.report(now, Some(id), Event::Planned(Box::new(planned)));
        Ok(())
    }

    /// One more step of a plan is durable.
    pub fn settled(&mut self, now: Now, id: &TaskId, outbox: &mut Outbox) {
        let Some(Stage::Planned(prepared, step)) = self.get(id).map(OpenTask::stage) else { return };
        match step {
            Step::Checking(_) => {}
            Step::Recording(_) if !prepared.is_reserved => self.reserve(now, id, outbox),
            Step::Recording(_) | Step::Reserving(_) => self.arm(now, id, outbox),
        }
    }

    /// Reserves the counters of a plan, and lets go of those whose plans are over.
    fn reserve(&mut self, now: Now, id: &TaskId, outbox: &mut Outbox) {
        let Some(plan) = self.get(id).and_then(OpenTask::plan) else { return };
        let wanted = Reservation {
            key: plan.key,
            mc_addr: plan.mc_addr.as_u32(),
            base: plan.canary_fcnts().start,
            next_free: plan.end,
            plan_hash: plan.hash,
            task: RecordId(id.record_id()),
        };
        let over = self.let_go(&wanted);
        if let Err(reason) = self.ranges_mut().reserve(&wanted, &over) {
            return self.refuse(now, id, reason, outbox);
        }
        let save = outbox.save(Change::Reserve { wanted, over });
        if let Some(open_task) = self.get_mut(id) {
            open_task.begin_step(Step::Reserving(save));
        }
    }

    /// The plans of the wanted key that hold counters and need them no longer: their tasks are over. When the journal
    /// is full, those that no open task knows as well: what is still ordered was planned before this one. The task
    /// that wants more keeps whatever it holds.
    fn let_go(&self, wanted: &Reservation) -> Vec<[u8; 32]> {
        let held = self.ranges().reservations(&wanted.key);
        let is_full = held.len() >= crate::store::RESERVATIONS_MAX;
        let is_open = |held: &Reservation| {
            let is_its = |open_task: &OpenTask| match open_task.plan() {
                Some(plan) if open_task.record_id() != wanted.task => plan.hash == held.plan_hash,
                _ => open_task.record_id() == held.task,
            };
            self.open().values().any(is_its)
        };
        let is_over = |held: &&Reservation| self.is_over(&held.task) || (is_full && !is_open(held));
        held.iter().filter(is_over).map(|held| held.plan_hash).collect()
    }

    /// Record and counters are durable: the campaign may begin, or goes on where a former run left it.
    fn arm(&mut self, now: Now, id: &TaskId, outbox: &mut Outbox) {
        let marked = self.take_mark(&RecordId(id.record_id()));
        let Some(open_task) = self.get_mut(id) else { return };
        // What was planned anew begins anew.
        let marked = marked.filter(|_| open_task.prepared().is_some_and(|prepared| prepared.is_reserved));
        let progress = marked.map(|marked| Progress {
            next_frame: marked.next_frame,
            account: Account { extra_coded: marked.extra_coded, ..Account::default() },
            ..Progress::default()
        });
        open_task.arm(progress, now.mono);
        if let Some(progress) = progress {
            outbox.report(now, Some(id), Event::Resumed { frame_no: progress.next_frame });
        }
        self.settle_begin(now, id, outbox);
    }

    /// Gives a campaign its start, now that it is known or has changed.
    pub fn settle_begin(&mut self, now: Now, id: &TaskId, outbox: &mut Outbox) {
        let Some(open_task) = self.get(id) else { return };
        let Some(campaign) = open_task.campaign() else { return };
        let begin = match begin_of(open_task, campaign.group(), campaign.plan()) {
            Ok(begin) => begin,
            Err(reason) => return self.refuse(now, id, reason, outbox),
        };
        let before = campaign.calendar().begin();
        let is_longer = !before.sessions().is_empty() && begin.sessions().starts_with(before.sessions());
        let is_moved = *before != Begin::Unknown && *before != begin && !is_longer;
        if is_moved
            && !open_task.has_begun()
            && let Err(reason) = self.admit(now, id, campaign.plan(), &begin, outbox)
        {
            return self.refuse(now, id, reason, outbox);
        }
        let is_decided = *before == Begin::Unknown && begin != Begin::Unknown && open_task.has_given_start();
        let group = campaign.plan().group.clone();
        let sessions = begin.sessions().iter().map(|session| (session.start, session.exponent)).collect();
        if is_moved && !begin.sessions().is_empty() {
            outbox.report(now, Some(id), Event::SessionsMoved { group, sessions });
        } else if is_decided {
            outbox.report(now, Some(id), Event::StartDecided { group, sessions });
        }
        if let Some(campaign) = self.campaign_mut(id) {
            campaign.calendar_mut().set_begin(begin);
        }
    }
}
