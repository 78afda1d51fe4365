//! All campaigns that share one radio, from the task's arrival to its end.

use super::breaker::Breaker;
use super::finished_tasks::FinishedTasks;
use super::io::NotSaved;
use super::io::Output;
use super::marks::Marks;
use super::open_task::OpenTask;
use super::open_task::Stage;
use super::state::Phase;
use super::state::TaskState;
use super::turn_rule::TurnRule;
use super::turns::Turns;
use crate::campaign::Campaign;
use crate::campaign::Group;
use crate::campaign::Handover;
use crate::campaign::Progress;
use crate::campaign::Session;
use crate::campaign::Verdict;
use crate::lorawan::KeyFingerprint;
use crate::region::Parameters;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Report;
use crate::schedule::Scheduler;
use crate::signing::SigningTrust;
use crate::store::CampaignMark;
use crate::store::Change;
use crate::store::RangeState;
use crate::store::RecordId;
use crate::store::Recovered;
use crate::store::TaskRecord;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// A group pauses for this long after somebody else sent to it, microseconds.
const PAUSE_US: u64 = 3_600_000_000;

/// All campaigns of one radio.
pub struct Broadcaster {
    pub(super) region: &'static Parameters,
    pub(super) groups: Vec<Group>,
    /// Whose signatures count for single tasks, by their ids, instead of the group's trust.
    pub(super) trust_by_task: BTreeMap<String, SigningTrust>,
    pub(super) ranges: BTreeMap<KeyFingerprint, RangeState>,
    pub(super) open_tasks: BTreeMap<TaskId, OpenTask>,
    pub(super) finished: FinishedTasks,
    pub(super) resumable: BTreeMap<RecordId, CampaignMark>,
    pub(super) turn_rule: TurnRule,
    pub(super) turns: Turns,
    pub(super) marks: Marks,
    breaker: Breaker,
    short_lives: u32,
    next_save: u64,
    halted: Option<String>,
    pub(super) stopping: Stopping,
    /// Groups that somebody else sends to, and until when that keeps us silent.
    pub(super) paused: BTreeMap<u32, Instant>,
    wake_at: Option<Instant>,
    pub(super) outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
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
        turn_rule: TurnRule,
        trust_by_task: BTreeMap<String, SigningTrust>,
        recovered: Recovered,
        now: Now,
    ) -> Self {
        let campaigns = recovered.mark.into_iter().flat_map(|mark| mark.campaigns);
        let mut broadcaster = Broadcaster {
            region,
            groups,
            trust_by_task,
            ranges: recovered.ranges,
            open_tasks: BTreeMap::new(),
            finished: FinishedTasks::default(),
            resumable: campaigns.map(|marked| (marked.task, marked)).collect(),
            turn_rule,
            turns: Turns::default(),
            marks: Marks::default(),
            breaker: Breaker::new(recovered.short_lives, 0, now.mono),
            short_lives: recovered.short_lives,
            next_save: 1,
            halted: None,
            stopping: Stopping::No,
            paused: BTreeMap::new(),
            wake_at: None,
            outputs: VecDeque::new(),
        };
        for ended in &recovered.ended {
            broadcaster.finished.restore(ended.task, ended.order);
        }
        for record in recovered.tasks {
            broadcaster.restore_record(now, record.id, &record.bytes);
        }
        // What one of the two places has lost it gets back from the other.
        if broadcaster.finished.list() != recovered.ended {
            broadcaster.save(Change::Ended(broadcaster.finished.list()));
        }
        broadcaster
    }

    /// A process that keeps dying rests for `rest_us` before it broadcasts again.
    pub fn rest_after_crashes(&mut self, now: Now, rest_us: u64) {
        self.breaker = Breaker::new(self.short_lives, rest_us, now.mono);
        if let Some(text) = self.breaker.story() {
            self.report(now, None, Event::Warning { text });
        }
    }

    /// The answer to [`Output::Save`].
    pub fn saved(&mut self, now: Now, save: u64, result: Result<(), NotSaved>) {
        let is_kept = result.is_ok();
        match result {
            Ok(()) => {}
            Err(NotSaved::NoRoom(reason)) => self.put_off(now, save, reason),
            Err(NotSaved::Refused(reason)) => self.not_kept(now, save, reason),
            Err(NotSaved::Broken(reason)) => self.halt(now, reason),
        }
        if self.stopping == Stopping::Saving(save) {
            // Kept or not: nothing is stored after it.
            self.stopping = Stopping::Done;
            self.outputs.push_back(Output::Stopped);
        }
        if self.marks.answered(save, is_kept) || !is_kept {
            return;
        }
        let settling = self.open_tasks.iter().find(|(_, open_task)| open_task.awaits_save(save));
        if let Some(id) = settling.map(|(id, _)| id.clone()) {
            self.settled(now, &id);
        }
    }

    /// The forwarder's word on a frame.
    pub fn verdict(&mut self, now: Now, scheduler: &mut Scheduler, emission: u64, verdict: &Verdict) {
        let Some(id) = self.turns.last.clone() else { return };
        let Some(campaign) = self.open_tasks.get_mut(&id).and_then(OpenTask::campaign_mut) else { return };
        let Some((frame_no, end)) = campaign.verdict(now.mono, emission, verdict, scheduler) else {
            return;
        };
        let plan = campaign.plan();
        let fcnt = plan.base + frame_no;
        if let Verdict::Queued { start } = verdict {
            self.turns.pace(plan.channel.sub_band, start.plus_us(plan.min_spacing_us));
        }
        let event = match verdict {
            Verdict::Queued { start } => Event::Sent { frame_no, fcnt, start: *start },
            Verdict::Silent if campaign.progress().next_frame <= frame_no => Event::Unanswered { frame_no },
            Verdict::Silent => Event::Unconfirmed { frame_no },
            Verdict::Refused(refusal) => Event::Refusal { frame_no, error: format!("{refusal:?}") },
        };
        self.report(now, Some(id.clone()), event);
        // The next life goes on behind this frame, however short this one is.
        if matches!(verdict, Verdict::Queued { .. })
            && self.stopping == Stopping::No
            && self.marks.wants_first()
        {
            self.mark(now, scheduler);
        }
        if let Some(outcome) = end {
            self.finish(now, scheduler, &id, outcome);
        }
    }

    /// The campaign on the air must not go on.
    pub fn abort(&mut self, now: Now, scheduler: &mut Scheduler, reason: String) {
        if let Some(id) = self.turns.last.clone() {
            self.finish(now, scheduler, &id, Outcome::Aborted { reason });
        }
    }

    /// Does what is due. `handover` is how frames are handed over now, or what is waited for while they cannot be.
    pub fn advance(&mut self, now: Now, scheduler: &mut Scheduler, handover: Result<Handover, &str>) {
        self.wake_at = None;
        if self.halted.is_some() || self.stopping != Stopping::No {
            return self.wind_down(now, scheduler);
        }
        if self.breaker.has_lived(now.mono) {
            self.save(Change::Lived);
        }
        self.wake_by(self.breaker.wake_at(now.mono));
        if let Some(reason) = self.breaker.reason(now.mono) {
            let ids: Vec<TaskId> = self.open_tasks.keys().cloned().collect();
            return ids.iter().for_each(|id| self.waiting(now, id, reason.clone()));
        }
        self.plan_passed_anew(now);
        self.ask_for_images(now);
        self.prove(now);
        let handover = match handover {
            Ok(handover) => handover,
            Err(reason) => return self.without_forwarder(now, reason),
        };
        self.take_turns(now, scheduler, handover);
        self.renew_old_mark(now, scheduler);
    }

    /// The forwarder was started anew, or is heard after a silence.
    pub fn forwarder_is_back(&mut self) {
        self.open_tasks.values_mut().filter_map(OpenTask::campaign_mut).for_each(Campaign::end_rest);
    }

    /// Nothing can be handed over now.
    fn without_forwarder(&mut self, now: Now, reason: &str) {
        self.open_tasks.values_mut().filter_map(OpenTask::campaign_mut).for_each(Campaign::rest);
        // What waits for the clock says so.
        let clocked = self.open_tasks.iter().filter(|(_, open_task)| !open_task.is_unclocked());
        let ids: Vec<TaskId> = clocked.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.waiting(now, &id, reason.to_owned());
        }
    }

    /// No new frame from now on; [`Output::Stopped`] follows when the last mark is durable.
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
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Somebody else sends to one of our groups: two senders of one key. The group pauses until that has not been
    /// seen for an hour; a campaign whose own counters were used cannot go on at all.
    pub fn second_sender(&mut self, now: Now, scheduler: &mut Scheduler, mc_addr: u32, fcnt: u16) {
        self.report(now, None, Event::SecondSender { mc_addr, fcnt });
        self.paused.insert(mc_addr, now.mono.plus_us(PAUSE_US));
        let has_its_counter = |open_task: &OpenTask| {
            open_task.campaign().map(Campaign::plan).is_some_and(|plan| {
                plan.mc_addr.as_u32() == mc_addr && (plan.base..plan.end).contains(&u32::from(fcnt))
            })
        };
        let id = self
            .open_tasks
            .iter()
            .find(|(_, open_task)| has_its_counter(open_task))
            .map(|(id, _)| id.clone());
        if let Some(id) = id {
            let reason =
                format!("a network server used frame counter {fcnt} of this campaign for other bytes");
            self.finish(now, scheduler, &id, Outcome::Aborted { reason });
        }
    }

    /// Frames of the campaign on the air never reached the radio: so many fresh coded fragments make up for them.
    pub fn make_up(&mut self, frames: u32) -> u32 {
        let last = self.turns.last.as_ref().and_then(|id| self.open_tasks.get_mut(id));
        last.and_then(OpenTask::campaign_mut).map_or(0, |campaign| campaign.make_up(frames))
    }

    /// How far each task that is not over is; `None` while it is not planned.
    pub fn progress(&self) -> impl Iterator<Item = (&TaskId, Option<Progress>)> {
        self.open_tasks.iter().map(|(id, open_task)| (id, open_task.progress()))
    }

    /// How each task that is not over stands.
    pub fn tasks(&self, now: Now) -> impl Iterator<Item = TaskState> {
        self.open_tasks.iter().map(move |(id, open_task)| TaskState {
            task: id.clone(),
            source: open_task.source,
            phase: self.phase(id, open_task),
            waiting: open_task.waiting.clone(),
            campaign: open_task.campaign().map(|campaign| campaign.state(now)),
        })
    }

    /// Why nothing is sent any more, after storage failed.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    fn phase(&self, id: &TaskId, open_task: &OpenTask) -> Phase {
        if self.halted.is_some() {
            return Phase::Blocked;
        }
        match &open_task.stage {
            Stage::Parked if open_task.waiting.is_some() => Phase::Blocked,
            Stage::Parked | Stage::Fetching => Phase::Fetching,
            Stage::Checking(..) => Phase::Decoding,
            Stage::AwaitingClock => Phase::Blocked,
            Stage::Recording(..) | Stage::Reserving(..) => Phase::Saving,
            Stage::Running(_) if open_task.waiting.is_some() => Phase::Blocked,
            Stage::Running(_) if self.turns.holders.contains(id) => Phase::Sending,
            Stage::Running(_) => Phase::Armed,
        }
    }

    /// Nothing can be promised any more, so nothing is sent any more.
    pub fn halt(&mut self, now: Now, reason: String) {
        if self.halted.is_none() {
            self.report(now, None, Event::Halted { reason: reason.clone() });
        }
        self.halted = Some(reason);
    }

    fn wind_down(&mut self, now: Now, scheduler: &mut Scheduler) {
        let is_awaiting =
            self.open_tasks.values().any(|open_task| open_task.campaign().is_some_and(Campaign::is_awaiting));
        if self.stopping != Stopping::Asked || is_awaiting {
            return;
        }
        if self.halted.is_some() {
            self.stopping = Stopping::Done;
            self.outputs.push_back(Output::Stopped);
        } else {
            // Whoever stops in order did not live too short.
            self.save(Change::Lived);
            self.stopping = Stopping::Saving(self.mark(now, scheduler));
        }
    }

    pub(super) fn finish(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId, outcome: Outcome) {
        let Some(open_task) = self.open_tasks.remove(id) else { return };
        self.resumable.remove(&open_task.record_id());
        if let Some(record) = open_task.record(&outcome, self.finished.next()) {
            let id = open_task.record_id();
            self.finished.add(id);
            self.finished.set_outcome(id, outcome.to_string());
            let forgotten: Vec<RecordId> = std::iter::from_fn(|| self.finished.forget()).collect();
            // The list first: it needs no room on a full disk.
            self.save(Change::Ended(self.finished.list()));
            self.save(Change::Task(TaskRecord { id, bytes: record.to_bytes() }));
            for record in forgotten {
                self.save(Change::ForgetTask(record));
            }
        }
        if self.turns.holders.remove(id) && self.stopping == Stopping::No {
            self.mark(now, scheduler);
        }
        self.report(now, Some(id.clone()), Event::Over(outcome));
        self.wake_by(Some(now.mono));
    }

    pub(super) fn waiting(&mut self, now: Now, id: &TaskId, reason: String) {
        let Some(open_task) = self.open_tasks.get_mut(id) else { return };
        if open_task.waiting.as_ref() != Some(&reason) {
            open_task.waiting = Some(reason.clone());
            self.report(now, Some(id.clone()), Event::Waiting { reason });
        }
    }

    pub(super) fn next_save(&mut self) -> u64 {
        self.next_save += 1;
        self.next_save - 1
    }

    pub(super) fn save(&mut self, change: Change) -> u64 {
        let save = self.next_save();
        self.save_as(save, change);
        save
    }

    pub(super) fn save_as(&mut self, save: u64, change: Change) {
        self.outputs.push_back(Output::Save(save, change));
    }

    /// The time is another one than it was believed to be: the next mark says so, now.
    pub fn mark_time(&mut self, now: Now, scheduler: &mut Scheduler) {
        if self.halted.is_none() && self.stopping == Stopping::No {
            self.mark(now, scheduler);
        }
    }

    /// Whether nothing is planned or sent for now, because the process kept dying.
    pub(super) fn is_resting(&self, now: Now) -> bool {
        self.breaker.reason(now.mono).is_some()
    }

    /// Whether now is inside a session that the devices of an armed campaign were told.
    pub fn is_in_session(&self, now: Now) -> bool {
        let Some(gps) = now.gps else { return false };
        let is_inside = |session: &Session| (session.start..session.end()).contains(&gps);
        let campaigns = self.open_tasks.values().filter_map(OpenTask::campaign);
        campaigns.flat_map(|campaign| campaign.calendar().begin().sessions()).any(is_inside)
    }

    pub(super) fn report(&mut self, now: Now, task: Option<TaskId>, event: Event) {
        self.outputs.push_back(Output::Report(Report { at: now.mono, task, event }));
    }

    pub(super) fn wake_by(&mut self, at: Option<Instant>) {
        self.wake_at = match (self.wake_at, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::RfRegion;
    use crate::region::parameters;
    use crate::store::Mark;

    /// What is wished when the mark of an orderly stop was answered so.
    fn stopped_with(answer: Result<(), NotSaved>) -> Vec<Output> {
        let region = parameters(RfRegion::Eu868).unwrap();
        let now = Now { mono: Instant::ZERO, gps: None };
        let (turn_rule, trust) = (TurnRule::default(), BTreeMap::new());
        let mut broadcaster =
            Broadcaster::new(region, Vec::new(), turn_rule, trust, Recovered::default(), now);
        let scheduler = &mut Scheduler::new(region.sub_bands, 0);
        broadcaster.stop();
        broadcaster.advance(now, scheduler, Err("a forwarder"));
        let is_mark = |want: &Output| matches!(want, Output::Save(_, Change::Mark(Mark { clean: true, .. })));
        let Some(Output::Save(save, _)) = std::iter::from_fn(|| broadcaster.poll()).find(is_mark) else {
            panic!("an orderly stop makes a mark")
        };
        broadcaster.saved(now, save, answer);
        broadcaster.advance(now, scheduler, Err("a forwarder"));
        std::iter::from_fn(|| broadcaster.poll()).collect()
    }

    #[test]
    fn a_stop_ends_with_the_answer_to_its_mark_whatever_that_is() {
        let why = || "the disk said so".to_owned();
        let answers = [NotSaved::NoRoom(why()), NotSaved::Refused(why()), NotSaved::Broken(why())];
        for answer in answers.map(Err).into_iter().chain([Ok(())]) {
            let wants = stopped_with(answer.clone());
            assert!(matches!(wants.last(), Some(Output::Stopped)), "{answer:?}: {wants:?}");
        }
    }
}
