//! One more session for devices that miss something when those of the plan are over.
//!
//! It is in the task's record before a device is told of it, as the first ones were.

use super::outbox::Outbox;
use super::task_book::TaskBook;
use crate::campaign::Begin;
use crate::campaign::Session;
use crate::report::Event;
use crate::schedule::Scheduler;
use crate::store::Change;
use crate::store::TaskRecord;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Now;

impl TaskBook {
    /// Begins to add a session at `start` or later to a campaign in sessions, for what is left of it and at least `fragments`
    /// coded fragments; `None` where there can be none, or where it would end after the order's FinishBy.
    pub fn extend(
        &mut self,
        now: Now,
        scheduler: &Scheduler,
        id: &TaskId,
        start: GpsTime,
        fragments: u16,
        outbox: &mut Outbox,
    ) -> Option<Session> {
        let open_task = self.get_mut(id).filter(|open_task| !open_task.is_extending())?;
        let ordered = open_task.task().session_timeout_exponent;
        let campaign = open_task.campaign()?;
        let session = campaign.further_session(now, scheduler, start, fragments, ordered)?;
        if open_task.task().finish_by.is_some_and(|finish_by| session.end() > finish_by) {
            return None;
        }
        let told = campaign.calendar().begin().sessions();
        let sessions: Vec<Session> = told.iter().copied().chain([session]).collect();
        let record =
            open_task.armed_record(campaign.plan(), &Begin::Sessions(sessions), campaign.digest()).to_bytes();
        let save = outbox.save(Change::Task(TaskRecord { id: open_task.record_id(), bytes: record }));
        open_task.extend(save, session);
        Some(session)
    }

    /// A save was answered: a session whose record is durable is there from now on. Without the record there is none.
    pub fn extended(&mut self, now: Now, save: u64, is_kept: bool, outbox: &mut Outbox) {
        let its = self.open_mut().find_map(|(id, open_task)| {
            open_task
                .extended(save, is_kept)
                .then(|| (id.clone(), open_task.plan().map(|plan| plan.group.clone())))
        });
        let Some((id, Some(group))) = its else { return };
        if is_kept {
            self.settle_begin(now, &id, outbox);
        } else if let Some(campaign) = self.campaign_mut(&id) {
            campaign.end_follow_up();
            let text = format!("group {group}: no further session, because its record could not be written");
            outbox.report(now, Some(&id), Event::Warning { text });
        }
    }
}
