//! A task's way in: from its document to a campaign whose counters are reserved. Each step is durable before
//! the next: record, then counters, then the first mark, then the air.

use super::Broadcaster;
use super::Fetch;
use super::Group;
use super::Keep;
use super::KeyRange;
use super::Plan;
use super::Record;
use super::RecordState;
use super::SignatureWish;
use super::TaskSource;
use super::Want;
use super::agreement;
use super::air::HELD;
use super::arming::Doubt;
use super::arming::begin_of;
use super::arming::first_free;
use super::arming::group_of;
use super::arming::is_reserved;
use super::arming::session_warnings;
use super::arming::signature_wish;
use super::arming::vouch;
use super::campaign::Campaign;
use super::order::Order;
use super::order::Stage;
use super::record::Proof;
use super::step::Begin;
use super::step::Progress;
use super::twin::Twin;
use crate::image::Image;
use crate::report::Event;
use crate::report::Outcome;
use crate::signing::Evidence;
use crate::signing::Trust;
use crate::task::FuotaTaskJson;
use crate::task::Task;
use crate::task::TaskId;
use crate::task::TaskStatus;
use crate::time::Now;

/// Tasks that are not over, at most.
const MAX_ORDERS: usize = 64;

impl Broadcaster {
    /// A task document arrived, or arrived again. `stem` is its id where it has none.
    pub fn task(&mut self, now: Now, document: &[u8], stem: &str, source: TaskSource) {
        let read = match source {
            TaskSource::File => Task::from_json(document, stem),
            // A cloud's task must name itself, and may not point at this gateway's own files.
            TaskSource::Cloud => FuotaTaskJson::from_slice(document).and_then(Task::from_cloud),
        };
        let task = match read {
            Ok(task) => task,
            Err(error) => {
                return self.report(now, None, Event::Refused { reason: format!("task {stem}: {error}") });
            }
        };
        let record = task.id.record_id();
        if self.history.holds(&record) {
            return self.history.seen(record);
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
        if let Some(order) = self.orders.get_mut(&task.id) {
            order.is_held = false;
            order.waiting.take_if(|reason| reason == HELD);
        }
        let is_full = self.orders.len() >= MAX_ORDERS;
        match self.orders.get_mut(&task.id) {
            Some(order) if order.task.same_order(&task) => {
                order.task = task;
                let id = order.task.id.clone();
                match order.disagreement() {
                    Some(reason) => self.refuse(now, &id, reason),
                    None => self.settle_begin(now, &id),
                }
            }
            Some(order) if order.has_begun() => {
                let reason =
                    "the task changed after its first frame was sent: cancel it and order anew".to_owned();
                let id = task.id;
                self.report(now, Some(id), Event::Refused { reason });
            }
            _ if !self.history.has_room() => {
                let reason = "too many finished tasks are still ordered: remove some of them".to_owned();
                self.report(now, Some(task.id), Event::Refused { reason });
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

    /// The task's file is not there for the moment: no frame of it until [`Broadcaster::task`] sees its document again.
    pub fn hold(&mut self, now: Now, id: &TaskId) {
        let Some(order) = self.orders.get_mut(id) else { return };
        order.is_held = true;
        self.waiting(now, id, HELD.to_owned());
    }

    /// The task is withdrawn: not one more frame of it.
    pub fn cancel(&mut self, now: Now, id: &TaskId) {
        let Some(order) = self.orders.get(id) else {
            return self.history.gone(&id.record_id());
        };
        let sent = order.progress().map_or(0, |progress| progress.sent);
        self.finish(now, &id.clone(), Outcome::Cancelled { sent });
    }

    /// The task does not begin any more; one whose first frame was sent goes on. One that was taken up after a
    /// restart and is not armed again may be either, and is left until it is.
    pub fn withdraw(&mut self, now: Now, id: &TaskId) {
        let may_have_begun =
            |order: &Order| order.has_begun() || (order.resumed.is_some() && order.campaign().is_none());
        if !self.orders.get(id).is_some_and(may_have_begun) {
            self.cancel(now, id);
        }
    }

    /// The bytes that [`Want::Fetch`] asked for, and what vouches for them.
    pub fn image(&mut self, now: Now, id: &TaskId, bytes: Vec<u8>, evidence: Option<Evidence>) {
        if let Err(reason) = self.plan(now, id, bytes, evidence) {
            self.refuse(now, id, reason);
        }
    }

    /// Looks again at signatures that waited for the clock, now that it is trusted.
    pub(super) fn check_unclocked(&mut self, now: Now) {
        if now.gps.is_none() {
            return;
        }
        let waiting = self.orders.iter().filter(|(_, order)| order.is_unclocked());
        let ids: Vec<TaskId> = waiting.map(|(id, _)| id.clone()).collect();
        for id in ids {
            let Some(order) = self.orders.get_mut(&id) else { continue };
            order.waiting = None;
            if let Stage::Unclocked { bytes, evidence } = std::mem::replace(&mut order.stage, Stage::Fetching)
            {
                self.image(now, &id, bytes, evidence);
            }
        }
    }

    /// The image cannot be had.
    pub fn image_failed(&mut self, now: Now, id: &TaskId, reason: &str) {
        self.refuse(now, id, format!("no image: {reason}"));
    }

    /// What cannot be kept costs the order that needed it; nothing else is touched.
    pub(super) fn not_kept(&mut self, now: Now, save: u64, reason: String) {
        let settling = self.orders.iter().find(|(_, order)| order.awaits_save(save));
        match settling.map(|(id, _)| id.clone()) {
            Some(id) => self.refuse(now, &id, reason),
            None => self.report(now, None, Event::Warning { text: reason }),
        }
    }

    pub(super) fn restore_record(&mut self, now: Now, record: [u8; 16], bytes: &[u8]) {
        let record_or = Record::from_bytes(bytes);
        let saved = match record_or {
            Ok(saved) => saved,
            Err(reason) => {
                return self.report(now, None, Event::Warning { text: format!("a task record: {reason}") });
            }
        };
        match saved.state {
            RecordState::Over { order, .. } => self.history.restore(record, order),
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
        let recorded = resumed.as_ref().and_then(|record| record.digest.parse().ok());
        let group = group_of(&task, resumed.as_ref(), &self.groups).ok().filter(|_| resumed.is_none());
        let wish = |group: &Group| signature_wish(&task, group, self.trust(&task.id, group));
        self.wants.push_back(Want::Fetch(Fetch {
            task: task.id.clone(),
            image: task.image.clone(),
            digest: recorded.or(task.sha256),
            signature: group.map_or(SignatureWish::No, wish),
        }));
        let document = String::from_utf8_lossy(document).into_owned();
        // Behind all that are open; a resumed one keeps its own number.
        let number = self.orders.values().map(|order| order.number + 1).max().unwrap_or(0);
        let order = Order::new(task, document, stem.to_owned(), source, resumed, number);
        self.orders.insert(order.task.id.clone(), order);
    }

    /// Verifies the image, plans, and begins to decode the plan's frames, unless that was done before.
    fn plan(
        &mut self,
        now: Now,
        id: &TaskId,
        bytes: Vec<u8>,
        evidence: Option<Evidence>,
    ) -> Result<(), String> {
        let Some(order) = self.orders.get(id).filter(|order| matches!(order.stage, Stage::Fetching)) else {
            return Ok(());
        };
        let group = group_of(&order.task, order.resumed.as_ref(), &self.groups)?.clone();
        agreement::check(&order.task, &group)?;
        let trust = self.trust(id, &group);
        let (expected, signed) = match vouch(order, &group, trust, &bytes, evidence.as_ref(), now.gps) {
            Ok(vouched) => vouched,
            Err(Doubt::Refused(reason)) => return Err(reason),
            Err(Doubt::NoClock(error)) => {
                if let Some(order) = self.orders.get_mut(id) {
                    order.stage = Stage::Unclocked { bytes, evidence };
                }
                self.waiting(now, id, error.to_string());
                return Ok(());
            }
        };
        let image = Image::verify(bytes, expected).map_err(|error| error.to_string())?;
        let range = self.ranges.get(&group.keys.fingerprint());
        let base = match &order.resumed {
            Some(record) => record.base,
            None => first_free(range, &group)?.max(self.planned_to(&group)),
        };
        let plan = Plan::new(&order.task, &group, &image, self.region, &self.scheduler, base)
            .map_err(|error| error.to_string())?;
        let is_reserved = is_reserved(range, &plan)?;
        let begin = begin_of(&order.task, order.source, &group, &plan)?;
        if order.resumed.is_none() {
            self.admit(now, id, &plan, &begin)?;
        }
        let Some(order) = self.orders.get(id) else { return Ok(()) };
        let is_proven = order.proof.is_some_and(|proof| proof.plan_hash == plan.hash);
        let twin = Box::new(Twin::new(&plan));
        if let Some(order) = self.orders.get_mut(id) {
            order.signed = signed;
            order.stage = Stage::Decoding { twin, plan, group, image, is_reserved };
        }
        if is_proven { self.write_down(now, id) } else { Ok(()) }
    }

    /// One past the last counter of the group's key that an open order is planned to use.
    fn planned_to(&self, group: &Group) -> u32 {
        let key = group.keys.fingerprint();
        let plans = self.orders.values().filter_map(Order::plan).filter(|plan| plan.key == key);
        plans.map(|plan| plan.end).max().unwrap_or(0)
    }

    /// Decodes some more frames of the first plan that is not proven yet.
    pub(super) fn prove(&mut self, now: Now) {
        let decoding = |(_, order): &(&TaskId, &mut Order)| matches!(order.stage, Stage::Decoding { .. });
        let Some((id, order)) = self.orders.iter_mut().find(decoding) else { return };
        let Stage::Decoding { twin, plan, group, image, .. } = &mut order.stage else { return };
        let (id, step) = (id.clone(), twin.step(plan, group, image));
        let result = match step {
            Ok(None) => Ok(()),
            Ok(Some(decoded)) => {
                order.proof = Some(Proof { plan_hash: plan.hash, decoded });
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
        let Some(order) = self.orders.get_mut(id) else { return Ok(()) };
        let (plan, group, image, is_reserved) = match std::mem::replace(&mut order.stage, Stage::Fetching) {
            Stage::Decoding { plan, group, image, is_reserved, .. } => (plan, group, image, is_reserved),
            other => {
                order.stage = other;
                return Ok(());
            }
        };
        let begin = begin_of(&order.task, order.source, &group, &plan)?;
        let record = Record::armed(order, group.name.clone(), image.digest(), plan.base);
        let decoded = order.proof.map(|proof| proof.decoded).unwrap_or_default();
        let mut planned = plan.planned(begin.sessions(), decoded);
        planned.warnings.extend(session_warnings(&group, &begin, now.gps));
        planned.warnings.extend(agreement::warnings(&order.task, &group));
        order.stage = Stage::Recording { save, plan, group, image, is_reserved };
        self.wants
            .push_back(Want::Save(save, Keep::Record { record: id.record_id(), bytes: record.to_bytes() }));
        self.report(now, Some(id.clone()), Event::Planned(planned));
        Ok(())
    }

    /// One more step of a plan is durable.
    pub(super) fn settled(&mut self, now: Now, id: &TaskId) {
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
        let Some(order) = self.orders.get(id) else { return };
        let Some(campaign) = order.campaign() else { return };
        let begin = match begin_of(&order.task, order.source, campaign.group(), campaign.plan()) {
            Ok(begin) => begin,
            Err(reason) => return self.refuse(now, id, reason),
        };
        let is_moved =
            *campaign.calendar().begin() != Begin::Unknown && !campaign.calendar().begins_as(&begin);
        if is_moved && !order.has_begun() {
            let plan = campaign.plan().clone();
            if let Err(reason) = self.admit(now, id, &plan, &begin) {
                return self.refuse(now, id, reason);
            }
        }
        if let Some(campaign) = self.orders.get_mut(id).and_then(Order::campaign_mut) {
            campaign.calendar_mut().set_begin(begin);
        }
    }

    /// Whose signatures count for a task: its own trust, or its group's.
    fn trust<'a>(&'a self, id: &TaskId, group: &'a Group) -> &'a Trust {
        self.trust_by_task.get(id.as_str()).unwrap_or(&group.trust)
    }

    /// The order cannot be carried out. It is forgotten, so a corrected document is taken as a new one.
    pub(super) fn refuse(&mut self, now: Now, id: &TaskId, reason: String) {
        self.orders.remove(id);
        self.report(now, Some(id.clone()), Event::Refused { reason });
    }
}
