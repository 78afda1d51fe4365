//! What the broadcaster knows, for whoever asks. Nothing changes here.

use super::Broadcaster;
use crate::broadcast::arming::first_free;
use crate::broadcast::open_task::OpenTask;
use crate::broadcast::stage::Stage;
use crate::broadcast::stage::Step;
use crate::broadcast::state::Phase;
use crate::broadcast::state::TaskState;
use crate::campaign::Group;
use crate::campaign::Pause;
use crate::campaign::Progress;
use crate::campaign::Session;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::schedule::Scheduler;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;

impl Broadcaster {
    /// Whether the operator paused the task.
    pub fn is_paused(&self, task: &TaskId) -> bool {
        self.book.is_paused(task)
    }

    /// Whether nothing of the task goes on for now: the operator paused it, or its file is not there.
    pub fn is_put_off(&self, task: &TaskId) -> bool {
        self.is_paused(task) || self.book.get(task).is_some_and(OpenTask::is_held)
    }

    /// When [`Broadcaster::advance`] wants to be called again.
    pub fn wake_at(&self) -> Option<Instant> {
        self.outbox.wake_at()
    }

    /// Whether now is inside a session that the devices of an armed campaign were told.
    pub fn is_in_session(&self, now: Now) -> bool {
        let Some(gps) = now.gps else { return false };
        let is_inside = |session: &Session| (session.start..session.end()).contains(&gps);
        let campaigns = self.book.open().values().filter_map(OpenTask::campaign);
        campaigns.flat_map(|campaign| campaign.calendar().begin().sessions()).any(is_inside)
    }

    /// Where an armed campaign stands while it waits for what follows; `None` for any other.
    pub fn pause(&self, now: Now, task: &TaskId) -> Option<Pause> {
        // Of a file that is missing nobody knows whether it is still ordered.
        let is_settled = |open_task: &&OpenTask| !open_task.is_extending() && !open_task.is_held();
        let open_task = self.book.get(task).filter(is_settled)?;
        open_task.campaign()?.pause(now)
    }

    /// The tasks whose campaigns wait for what follows.
    pub fn paused(&self, now: Now) -> Vec<TaskId> {
        let is_paused = |id: &&TaskId| self.pause(now, id).is_some();
        self.book.open().keys().filter(is_paused).cloned().collect()
    }

    /// The sessions of an armed campaign; `None` for another task.
    pub fn sessions(&self, task: &TaskId) -> Option<&[Session]> {
        Some(self.book.campaign(task)?.calendar().begin().sessions())
    }

    /// How far each task that is not over is; `None` while it is not planned.
    pub fn progress(&self) -> impl Iterator<Item = (&TaskId, Option<Progress>)> {
        self.book.open().iter().map(|(id, open_task)| (id, open_task.progress()))
    }

    /// How each task that is not over stands.
    pub fn tasks<'a>(
        &'a self,
        now: Now,
        scheduler: Option<&'a Scheduler>,
    ) -> impl Iterator<Item = TaskState> + 'a {
        self.book.open().iter().map(move |(id, open_task)| {
            let wait = self.wait(now, open_task);
            TaskState {
                task: id.clone(),
                source: open_task.source(),
                phase: self.phase(id, open_task),
                waiting: wait.as_ref().map(|(wait, _)| wait.sentence(now)),
                wait,
                campaign: open_task.campaign().map(|campaign| campaign.state(now, scheduler)),
            }
        })
    }

    /// What a task waits for, and for how long it has, microseconds.
    fn wait(&self, now: Now, open_task: &OpenTask) -> Option<(Wait, u64)> {
        if let Some(reason) = &self.halted {
            return Some((Wait::event(WaitReason::Halted(reason.clone())), 0));
        }
        let noted = open_task.waiting().map(|(wait, since)| (wait.clone(), now.mono.us_since(since)));
        let answer = || {
            let frame_no = open_task.campaign()?.awaited_frame()?;
            Some((Wait::event(WaitReason::Answer { frame_no }), 0))
        };
        noted.or_else(answer)
    }

    /// Whether the task ran and is over, as far as that is remembered.
    pub fn is_over(&self, task: &TaskId) -> bool {
        self.book.is_over(&RecordId(task.record_id()))
    }

    /// The groups whose counters cannot be used, as before their keys are enrolled, and the way out of each: one line.
    pub fn unusable_groups(&self) -> impl Iterator<Item = (&str, String)> {
        let why = |group: &Group| first_free(self.book.ranges().of(&group.keys.fingerprint()), group).err();
        self.book.site().groups().iter().filter_map(move |group| Some((group.name.as_str(), why(group)?)))
    }

    /// Finished tasks that are ordered again, which does nothing, and how each ended.
    pub fn ordered_again(&self) -> impl Iterator<Item = (&TaskId, &str)> {
        self.book.ordered_again()
    }

    /// Why nothing is sent any more, after storage failed.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    fn phase(&self, id: &TaskId, open_task: &OpenTask) -> Phase {
        if self.halted.is_some() {
            return Phase::Blocked;
        }
        match open_task.stage() {
            Stage::Parked if is_waiting_for_more(open_task) => Phase::Blocked,
            Stage::Parked | Stage::Fetching => Phase::Fetching,
            Stage::AwaitingClock => Phase::Blocked,
            Stage::Planned(_, Step::Checking(_)) => Phase::Decoding,
            Stage::Planned(_, Step::Recording(_) | Step::Reserving(_)) => Phase::Saving,
            Stage::Running(_) if open_task.waiting().is_some() => Phase::Blocked,
            Stage::Running(_) if self.turns.is_on_air(id) => Phase::Sending,
            Stage::Running(_) => Phase::Armed,
        }
    }
}

/// Whether a task that has not asked for its image yet waits for something else.
fn is_waiting_for_more(open_task: &OpenTask) -> bool {
    open_task.waiting().is_some_and(|(wait, _)| wait.reason != WaitReason::Image)
}
