//! A task's way in: from its document to a campaign whose counters are reserved. Each step is durable before
//! the next: record, then counters, then the first mark, then the air.

use super::Broadcaster;
use super::Keep;
use super::KeyRange;
use super::Plan;
use super::Record;
use super::RecordState;
use super::TaskSource;
use super::Want;
use super::agreement;
use super::arming::begin_of;
use super::arming::expected_digest;
use super::arming::first_free;
use super::arming::group_of;
use super::arming::is_reserved;
use super::campaign::Campaign;
use super::order::Order;
use super::order::Stage;
use super::step::Progress;
use crate::image::Image;
use crate::report::Event;
use crate::report::Outcome;
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
        agreement::check(&order.task, &group)?;
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
        let mut planned = plan.planned(begin.sessions());
        planned.warnings.extend(agreement::warnings(&order.task, &group));
        let save = self.save(Keep::Record { record: id.record_id(), bytes: record.to_bytes() });
        if let Some(order) = self.orders.get_mut(id) {
            order.stage = Stage::Recording { save, plan, group, image, is_reserved };
        }
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
        let Some(order) = self.orders.get_mut(id) else { return };
        let Stage::Running(campaign) = &mut order.stage else { return };
        match begin_of(&order.task, order.source, campaign.group(), campaign.plan()) {
            Ok(begin) => campaign.set_begin(begin),
            Err(reason) => self.refuse(now, id, reason),
        }
    }

    /// The order cannot be carried out. It is forgotten, so a corrected document is taken as a new one.
    pub(super) fn refuse(&mut self, now: Now, id: &TaskId, reason: String) {
        self.orders.remove(id);
        self.report(now, Some(id.clone()), Event::Refused { reason });
    }
}
