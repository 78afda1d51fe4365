//! All campaigns that share one radio, from the task's arrival to its end.

mod views;

use super::breaker::Breaker;
use super::io::NotSaved;
use super::io::Output;
use super::io::TaskSource;
use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::queue;
use super::site::Means;
use super::site::Site;
use super::task_book::TaskBook;
use super::turn_rule::TurnRule;
use super::turns::Lent;
use super::turns::Turns;
use super::verbs::Done;
use super::verbs::Verb;
use super::verbs::VerbError;
use crate::answers::Expected;
use crate::campaign::Campaign;
use crate::campaign::FollowUp;
use crate::campaign::Group;
use crate::campaign::Handover;
use crate::campaign::Session;
use crate::campaign::Verdict;
use crate::fleet::Question;
use crate::forwarder::Accounted;
use crate::forwarder::Obstacle;
use crate::region::Parameters;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::schedule::Scheduler;
use crate::signing::Evidence;
use crate::signing::SigningTrust;
use crate::store::Change;
use crate::store::Recovered;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;

/// All campaigns of one radio. Its scheduler belongs to the engine and is lent for each call.
pub struct Broadcaster {
    book: TaskBook,
    turns: Turns,
    outbox: Outbox,
    breaker: Breaker,
    short_lives: u32,
    halted: Option<String>,
    stopping: Stopping,
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
        turn_rule: TurnRule,
        trust_by_task: BTreeMap<String, SigningTrust>,
        means: Means,
        recovered: Recovered,
        now: Now,
    ) -> Self {
        let short_lives = recovered.short_lives;
        let mut outbox = Outbox::default();
        let site = Site::new(region, groups, turn_rule, trust_by_task, means);
        Broadcaster {
            book: TaskBook::new(site, recovered, now, &mut outbox),
            turns: Turns::default(),
            outbox,
            breaker: Breaker::new(short_lives, 0, now.mono),
            short_lives,
            halted: None,
            stopping: Stopping::No,
        }
    }

    /// A process that keeps dying rests for `rest_us` before it broadcasts again.
    pub fn rest_after_crashes(&mut self, now: Now, rest_us: u64) {
        self.breaker = Breaker::new(self.short_lives, rest_us, now.mono);
        if let Some(text) = self.breaker.story() {
            self.outbox.report(now, None, Event::Warning { text });
        }
    }

    /// A task document arrived, or arrived again. `stem` is its id where it has none.
    pub fn task(
        &mut self,
        now: Now,
        scheduler: &mut Scheduler,
        document: &[u8],
        stem: &str,
        source: TaskSource,
    ) {
        if let Some(id) = self.book.take_in(now, document, stem, source, &mut self.outbox) {
            self.cancel(now, scheduler, &id);
        }
    }

    /// The task's file is not there for the moment: no frame of it until [`Broadcaster::task`] sees its document again.
    pub fn hold(&mut self, now: Now, id: &TaskId) {
        self.book.hold(now, id, &mut self.outbox);
    }

    /// The task is withdrawn: not one more frame of it.
    pub fn cancel(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId) {
        // Of a document for several groups some may be over.
        self.book.gone(id);
        for id in self.book.of_document(id) {
            let progress = self.book.get(&id).and_then(OpenTask::progress);
            let sent = progress.map_or(0, |progress| progress.account.sent);
            self.finish(now, scheduler, &id, Outcome::Cancelled { sent });
        }
    }

    /// An operator's word on the task of this id, or on all of this document.
    ///
    /// # Errors
    /// Why nothing changes.
    pub fn command(
        &mut self,
        now: Now,
        scheduler: &mut Scheduler,
        verb: Verb,
        id: &TaskId,
    ) -> Result<Done, VerbError> {
        if let Some(reason) = &self.halted {
            return Err(VerbError::Halted(reason.clone()));
        }
        let tasks = self.book.meant(id)?;
        let done = self.book.done(now, tasks.clone());
        let (tasks, none) = match verb {
            Verb::Pause => (self.book.pause(now, &tasks, &mut self.outbox), VerbError::IsPaused(id.clone())),
            Verb::Resume => (self.book.resume(now, &tasks), VerbError::NotPaused(id.clone())),
            Verb::Cancel => {
                for id in &tasks {
                    let Some(open_task) = self.book.get_mut(id) else { continue };
                    open_task.keep_end();
                    let sent = open_task.progress().map_or(0, |progress| progress.account.sent);
                    self.finish(now, scheduler, id, Outcome::Cancelled { sent });
                }
                // Its answer comes when all that the end leaves on the disk is there, reports included.
                let save = self.book.save_ended(&mut self.outbox);
                return Ok(Done { save, ..done });
            }
        };
        if tasks.is_empty() {
            return Err(none);
        }
        let save = self.book.save_pauses(&mut self.outbox);
        self.outbox.wake_by(Some(now.mono));
        Ok(Done { tasks, save, ..done })
    }

    /// The task does not begin any more; one whose first frame was sent goes on. One that was taken up after a
    /// restart and is not armed again may be either, and is left until it is.
    pub fn withdraw(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId) {
        let tasks = self.book.of_document(id);
        for id in &tasks {
            if !self.book.get(id).is_some_and(OpenTask::may_have_begun) {
                self.cancel(now, scheduler, id);
            }
        }
        if tasks.is_empty() {
            self.book.gone(id);
        }
    }

    /// The bytes that [`Output::Fetch`] asked for, and what vouches for them.
    pub fn image(
        &mut self,
        now: Now,
        scheduler: &Scheduler,
        id: &TaskId,
        bytes: Vec<u8>,
        evidence: Option<Evidence>,
    ) {
        if let Some(open_task) = self.book.get_mut(id) {
            open_task.deliver(evidence);
        }
        let is_resting = self.breaker.wait(now.mono).is_some();
        self.book.image(now, scheduler, id, bytes, is_resting, &mut self.outbox);
    }

    /// The image cannot be had.
    pub fn image_failed(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId, reason: &str) {
        let reason = format!("no image: {reason}");
        // What was armed and cannot be sent any more is over, and is not planned anew by itself.
        match self.book.campaign(id) {
            Some(_) => self.finish(now, scheduler, id, Outcome::Aborted { reason }),
            None => self.book.refuse(now, id, reason, &mut self.outbox),
        }
    }

    /// The answer to [`Output::Save`].
    pub fn saved(&mut self, now: Now, save: u64, result: Result<(), NotSaved>) {
        let is_kept = result.is_ok();
        match result {
            Ok(()) => {}
            Err(NotSaved::NoRoom(reason)) => self.book.put_off(now, save, reason, &mut self.outbox),
            Err(NotSaved::Refused(reason)) => self.book.not_kept(now, save, reason, &mut self.outbox),
            Err(NotSaved::Broken(reason)) => self.halt(now, reason),
        }
        if self.stopping == Stopping::Saving(save) {
            // Kept or not: nothing is stored after it.
            self.stopped();
        }
        self.book.extended(now, save, is_kept, &mut self.outbox);
        if self.turns.answered(save, is_kept) || !is_kept {
            return;
        }
        if let Some(id) = self.book.awaiting(save) {
            self.book.settled(now, &id, &mut self.outbox);
        }
    }

    /// The forwarder's word on a frame.
    pub fn verdict(&mut self, now: Now, scheduler: &mut Scheduler, emission: u64, verdict: &Verdict) {
        let (turns, mut lent) = self.lend(now, scheduler);
        turns.verdict(&mut lent, emission, verdict);
    }

    /// The campaign on the air must not go on.
    pub fn abort(&mut self, now: Now, scheduler: &mut Scheduler, reason: String) {
        let (turns, mut lent) = self.lend(now, scheduler);
        turns.abort(&mut lent, reason);
    }

    /// Somebody else sends to one of our groups: two senders of one key. The group pauses for an hour; a campaign whose
    /// own counters were used is over.
    pub fn second_sender(&mut self, now: Now, scheduler: &mut Scheduler, mc_addr: u32, fcnt: u16) {
        let (turns, mut lent) = self.lend(now, scheduler);
        turns.second_sender(&mut lent, mc_addr, fcnt);
    }

    /// The forwarder told, or will never tell, what became of frames; how many coded fragments more that makes.
    pub fn settle(&mut self, accounted: &Accounted) -> u32 {
        self.turns.settle(&mut self.book, accounted)
    }

    /// Does what is due. `handover` is how frames are handed over now, or what is waited for while they cannot be.
    pub fn advance(&mut self, now: Now, scheduler: &mut Scheduler, handover: Result<Handover, Obstacle>) {
        self.outbox.woken();
        if self.halted.is_some() || self.stopping != Stopping::No {
            return self.wind_down(now, scheduler);
        }
        if self.breaker.has_lived(now.mono) {
            self.outbox.save(Change::Lived);
        }
        self.outbox.wake_by(self.breaker.wake_at(now.mono));
        if let Some(wait) = self.breaker.wait(now.mono) {
            return self.all_wait(now, &wait, |_| true);
        }
        self.book.plan_passed_anew(now, &mut self.outbox);
        self.book.ask_for_images(now, &mut self.outbox);
        self.book.prove(now, &mut self.outbox);
        let (turns, mut lent) = self.lend(now, scheduler);
        turns.end(&mut lent);
        self.book.note_stages(now, &mut self.outbox);
        let handover = match handover {
            Ok(handover) => handover,
            Err(obstacle) => {
                self.book.campaigns_mut().for_each(Campaign::rest);
                let wait = Wait::event(WaitReason::Forwarder(obstacle));
                let has_frames = |campaign: &Campaign| !campaign.has_sent_all(now);
                return self.all_wait(now, &wait, |open_task| open_task.campaign().is_some_and(has_frames));
            }
        };
        let (turns, mut lent) = self.lend(now, scheduler);
        turns.take(&mut lent, handover);
        turns.renew_mark(&mut lent);
    }

    /// The forwarder was started anew, or is heard after a silence.
    pub fn forwarder_is_back(&mut self) {
        self.book.campaigns_mut().for_each(Campaign::end_rest);
    }

    /// The time is another one than it was believed to be: the next mark says so, now.
    pub fn mark_time(&mut self, now: Now, scheduler: &mut Scheduler) {
        if self.halted.is_none() && self.stopping == Stopping::No {
            let (turns, mut lent) = self.lend(now, scheduler);
            turns.mark(&mut lent);
        }
    }

    /// No new frame from now on; [`Output::Stopped`] follows when the last mark is durable.
    pub fn stop(&mut self) {
        if self.stopping == Stopping::No {
            self.stopping = Stopping::Asked;
            self.turns.close();
        }
    }

    /// Nothing can be promised any more, so nothing is sent any more.
    pub fn halt(&mut self, now: Now, reason: String) {
        if self.halted.is_none() {
            self.outbox.report(now, None, Event::Halted { reason: reason.clone() });
        }
        self.halted = Some(reason);
    }

    /// The next thing it wants done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outbox.poll()
    }

    /// A task without a start of its own begins then.
    pub fn give_start(&mut self, now: Now, id: &TaskId, start: GpsTime) {
        if let Some(open_task) = self.book.get_mut(id) {
            open_task.give_start(start);
            self.book.settle_begin(now, id, &mut self.outbox);
        }
    }

    /// The task is over before its first frame, for this reason.
    pub fn give_up(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId, reason: String) {
        self.finish(now, scheduler, id, Outcome::Aborted { reason });
    }

    /// Canaries are asked this before the task's campaign begins.
    pub fn ask(&mut self, task: TaskId, question: Question) {
        self.turns.put(task, question);
    }

    /// A campaign in sessions gets one more at `start` or later, for what is left of it and at least `fragments` coded
    /// fragments, once that is durable; `None` where there can be none.
    pub fn extend(
        &mut self,
        now: Now,
        scheduler: &Scheduler,
        task: &TaskId,
        start: GpsTime,
        fragments: u16,
    ) -> Option<Session> {
        self.book.extend(now, scheduler, task, start, fragments, &mut self.outbox)
    }

    /// This is expected of the devices of a group: its next campaign is planned by it, where it is sent to leanly.
    pub fn expect(&mut self, group: &str, expected: Expected) {
        self.book.expect(group, expected);
    }

    /// The campaign sends this after everything else; whether there are numbers and counters for it.
    pub fn follow(&mut self, task: &TaskId, follow_up: FollowUp) -> bool {
        self.book.campaign_mut(task).is_some_and(|campaign| campaign.follow(follow_up))
    }

    /// Answers to the campaign's question come in until then.
    pub fn await_answers(&mut self, task: &TaskId, until: Instant) {
        if let Some(campaign) = self.book.campaign_mut(task) {
            campaign.await_answers(until);
        }
    }

    /// Nothing follows any more.
    pub fn end_follow_up(&mut self, task: &TaskId) {
        if let Some(campaign) = self.book.campaign_mut(task) {
            campaign.end_follow_up();
        }
    }

    /// The turns, and what they are lent for one call.
    fn lend<'a>(&'a mut self, now: Now, scheduler: &'a mut Scheduler) -> (&'a mut Turns, Lent<'a>) {
        (&mut self.turns, Lent::new(now, scheduler, &mut self.book, &mut self.outbox))
    }

    fn finish(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId, outcome: Outcome) {
        let (turns, mut lent) = self.lend(now, scheduler);
        turns.finish(&mut lent, id, outcome);
    }

    /// Those of the tasks wait for the same.
    fn all_wait(&mut self, now: Now, wait: &Wait, which: impl Fn(&OpenTask) -> bool) {
        let waiting = self.book.open().iter().filter(|(_, open_task)| which(open_task));
        let ids: Vec<TaskId> = waiting.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.book.waiting(now, &id, wait.clone(), &mut self.outbox);
        }
    }

    fn wind_down(&mut self, now: Now, scheduler: &mut Scheduler) {
        if self.stopping != Stopping::Asked || queue::is_awaiting(self.book.open()) {
            return;
        }
        if self.halted.is_some() {
            return self.stopped();
        }
        // Whoever stops in order did not live too short.
        self.outbox.save(Change::Lived);
        let (turns, mut lent) = self.lend(now, scheduler);
        let save = turns.mark(&mut lent);
        self.stopping = Stopping::Saving(save);
    }

    fn stopped(&mut self) {
        self.stopping = Stopping::Done;
        self.outbox.push(Output::Stopped);
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
        let mut broadcaster = Broadcaster::new(
            region,
            Vec::new(),
            turn_rule,
            trust,
            Means::default(),
            Recovered::default(),
            now,
        );
        let scheduler = &mut Scheduler::new(region.sub_bands, 0);
        broadcaster.stop();
        broadcaster.advance(now, scheduler, Err(Obstacle::NotHeard));
        let is_mark = |want: &Output| matches!(want, Output::Save(_, Change::Mark(Mark { clean: true, .. })));
        let Some(Output::Save(save, _)) = std::iter::from_fn(|| broadcaster.poll()).find(is_mark) else {
            panic!("an orderly stop makes a mark")
        };
        broadcaster.saved(now, save, answer);
        broadcaster.advance(now, scheduler, Err(Obstacle::NotHeard));
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
