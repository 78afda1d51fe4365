//! Turns on the air: which campaign may send next, and who has to be silent.

use super::io::Output;
use super::marks::Marks;
use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::questions::Ask;
use super::questions::Means;
use super::questions::Questions;
use super::queue;
use super::task_book::TaskBook;
use super::turn_rule::TurnRule;
use crate::campaign::Campaign;
use crate::campaign::Ending;
use crate::campaign::Handover;
use crate::campaign::Step;
use crate::campaign::Transmit;
use crate::campaign::Turn;
use crate::campaign::Verdict;
use crate::fleet::Question;
use crate::forwarder::Accounted;
use crate::region::SubBandIndex;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::schedule::Scheduler;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;

/// A group pauses for this long after somebody else sent to it, microseconds.
const PAUSE_US: u64 = 3_600_000_000;

/// What is known of the turns on the one radio.
#[derive(Debug)]
pub struct Turns {
    marks: Marks,
    questions: Questions,
    /// Whose frame was handed over last.
    last: Option<TaskId>,
    /// The common pace: nothing of ours starts in the sub-band before this.
    free_at: BTreeMap<SubBandIndex, Instant>,
    next_emission: u64,
    /// Groups that somebody else sends to, and until when that keeps us silent.
    paused: BTreeMap<u32, Instant>,
    /// The forwarder's reporting interval, microseconds, once it is learned.
    report_interval_us: Option<u64>,
}

/// What a turn is lent: the time, the radio's scheduler, the tasks, and where wishes go.
pub struct Lent<'a> {
    now: Now,
    scheduler: &'a mut Scheduler,
    book: &'a mut TaskBook,
    outbox: &'a mut Outbox,
}

impl<'a> Lent<'a> {
    /// Lends them for one call.
    pub fn new(
        now: Now,
        scheduler: &'a mut Scheduler,
        book: &'a mut TaskBook,
        outbox: &'a mut Outbox,
    ) -> Self {
        Lent { now, scheduler, book, outbox }
    }

    fn report(&mut self, id: Option<&TaskId>, event: Event) {
        self.outbox.report(self.now, id, event);
    }

    fn waiting(&mut self, id: &TaskId, wait: Wait) {
        self.book.waiting(self.now, id, wait, self.outbox);
    }

    /// What the campaign waits for after its step, if it waits for anything.
    fn note_wait(&mut self, id: &TaskId) {
        let Some(open_task) = self.book.get_mut(id) else { return };
        match open_task.campaign().and_then(Campaign::wait).cloned() {
            Some(wait) => self.waiting(id, wait),
            None => open_task.go_on(self.now.mono),
        }
    }

    fn rest(&mut self, id: &TaskId) {
        if let Some(campaign) = self.book.campaign_mut(id) {
            campaign.rest();
        }
    }
}

/// What a campaign's turn means for those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// A frame or a mark is on its way: nobody else now.
    Nothing,
    /// It waits for the air of its sub-band; who is behind must not take it away.
    OtherSubBands,
    /// It needs time for itself.
    ItsPauses,
    /// Its devices do not listen, or it is over.
    Everything,
}

impl Default for Turns {
    fn default() -> Self {
        Turns {
            marks: Marks::default(),
            questions: Questions::default(),
            last: None,
            free_at: BTreeMap::new(),
            next_emission: 1,
            paused: BTreeMap::new(),
            report_interval_us: None,
        }
    }
}

impl Turns {
    /// Lets each campaign have its turn, the first in order first, until one of them uses it.
    pub fn take(&mut self, lent: &mut Lent<'_>, handover: Handover) {
        if queue::is_awaiting(lent.book.open()) || self.questions.is_awaiting() || self.ask(lent, handover) {
            return;
        }
        let (now, rule) = (lent.now, lent.book.site().turn_rule());
        let mut owners = queue::owners(now, lent.book.open());
        let mut sub_bands_taken = BTreeMap::new();
        let mut ahead: Option<TaskId> = None;
        for id in queue::in_order(rule, lent.book.open()) {
            let Some(open_task) = lent.book.get(&id) else { continue };
            let Some(campaign) = open_task.campaign().filter(|campaign| !campaign.has_sent_all(now)) else {
                continue;
            };
            let (key, sub_band) = (campaign.plan().key, campaign.plan().channel.sub_band);
            if open_task.is_held() {
                lent.waiting(&id, Wait::event(WaitReason::File));
                continue;
            }
            if lent.book.is_paused(&id) {
                lent.waiting(&id, Wait::event(WaitReason::Paused));
                lent.rest(&id);
                continue;
            }
            // A key's counters only rise: one campaign after the other.
            let owner = match owners.get(&key) {
                Some(owner) => owner.clone(),
                None if queue::is_missed(now, open_task) => id.clone(),
                None => owners.entry(key).or_insert_with(|| id.clone()).clone(),
            };
            let rival = match rule {
                _ if owner != id => Some(owner),
                TurnRule::InOrder => ahead.clone(),
                TurnRule::Fairly => None,
            };
            if let Some(rival) = rival {
                lent.waiting(&id, turn_of_another(lent.now, campaign, rival));
                lent.rest(&id);
                continue;
            }
            if let Some(begun) = queue::full(lent.book.open(), open_task) {
                lent.waiting(&id, Wait::event(WaitReason::Campaigns(begun)));
                lent.rest(&id);
                continue;
            }
            if let Some(rival) = sub_bands_taken.get(&sub_band) {
                if campaign.is_late(now.mono) {
                    lent.waiting(&id, turn_of_another(lent.now, campaign, TaskId::clone(rival)));
                }
                lent.rest(&id);
                continue;
            }
            match self.turn_of(lent, &id, handover) {
                Leaves::Nothing => return,
                Leaves::OtherSubBands => {
                    sub_bands_taken.insert(sub_band, id.clone());
                    ahead.get_or_insert(id);
                }
                Leaves::ItsPauses => {
                    ahead.get_or_insert(id);
                }
                Leaves::Everything => {}
            }
        }
    }

    /// The question is put to canaries before the task's campaign begins.
    pub fn put(&mut self, task: TaskId, question: Question) {
        self.questions.push(task, question);
    }

    /// Puts a question to canaries if it is time for one; whether it, or its mark, is on its way.
    fn ask(&mut self, lent: &mut Lent<'_>, handover: Handover) -> bool {
        let is_to_begin =
            |task: &TaskId| lent.book.campaign(task).is_some_and(|campaign| !campaign.has_begun());
        let (next, late) = self.questions.next(lent.now, is_to_begin);
        let late = late.into_iter().filter(|task| is_to_begin(task) && next.as_ref() != Some(task));
        for task in late.collect::<Vec<_>>() {
            self.uncover(lent, &task);
        }
        let Some((id, campaign)) = next.as_ref().and_then(|id| Some((id, lent.book.campaign(id)?))) else {
            return false;
        };
        let (sub_band, mc_addr) = (campaign.plan().channel.sub_band, campaign.plan().mc_addr.as_u32());
        let means = Means {
            campaign,
            handover,
            is_covered: self.marks.covered(id) > 0,
            id: self.next_emission,
            not_before: self.free_at.get(&sub_band).max(self.paused.get(&mc_addr)).copied(),
        };
        match self.questions.ask(lent.now, lent.scheduler, means) {
            Ok(Ask::Wait(until)) => lent.outbox.wake_by(until),
            Ok(Ask::NeedMark(task)) => {
                self.marks.hold(&task);
                if !self.marks.is_pending_for(&task) {
                    self.mark(lent);
                }
                return true;
            }
            Ok(Ask::Transmit(transmit)) => {
                self.next_emission += 1;
                lent.outbox.push(Output::Transmit(transmit));
                return true;
            }
            Err(reason) => {
                lent.report(Some(id), Event::Warning { text: format!("canaries are not asked: {reason}") });
                self.questions.drop_first();
            }
        }
        false
    }

    /// No frame of the task is to go out for now: the next mark covers none.
    fn uncover(&mut self, lent: &mut Lent<'_>, id: &TaskId) {
        if self.marks.release(id) {
            self.mark(lent);
        }
    }

    fn turn_of(&mut self, lent: &mut Lent<'_>, id: &TaskId, handover: Handover) -> Leaves {
        let Some(campaign) = lent.book.campaign_mut(id) else { return Leaves::Everything };
        let mc_addr = campaign.plan().mc_addr.as_u32();
        if let Some(&until) = self.paused.get(&mc_addr).filter(|until| **until > lent.now.mono) {
            lent.outbox.wake_by(Some(until));
            lent.waiting(id, Wait::until(WaitReason::SecondSender, until));
            return Leaves::Everything;
        }
        let had_begun = campaign.has_begun();
        let turn = Turn {
            handover,
            covered: self.marks.covered(id),
            id: self.next_emission,
            not_before: self.free_at.get(&campaign.plan().channel.sub_band).copied(),
        };
        let step = campaign.step(lent.now, lent.scheduler, turn);
        if matches!(step, Step::Missed) {
            missed(lent, id);
        }
        lent.note_wait(id);
        match step {
            Step::Transmit(transmit) => {
                self.hand_over(lent, id, transmit);
                if !had_begun {
                    lent.report(Some(id), Event::Began);
                    self.end_missed(lent, id);
                }
                return Leaves::Nothing;
            }
            Step::NeedMark => {
                self.marks.hold(id);
                if !self.marks.is_pending_for(id) {
                    self.mark(lent);
                }
                return Leaves::Nothing;
            }
            Step::Wait(at) => {
                lent.outbox.wake_by(at);
                return Leaves::ItsPauses;
            }
            Step::WaitForAir(at) => {
                lent.outbox.wake_by(Some(at));
                return Leaves::OtherSubBands;
            }
            Step::Shut(at) => lent.outbox.wake_by(Some(at)),
            Step::Blocked | Step::Missed => {}
            Step::Over(outcome) => self.finish(lent, id, outcome),
            Step::NeedImage => lent.book.ask_again(lent.now, id, lent.outbox),
        }
        Leaves::Everything
    }

    fn hand_over(&mut self, lent: &mut Lent<'_>, id: &TaskId, transmit: Box<Transmit>) {
        if let Some(open_task) = lent.book.get_mut(id) {
            open_task.serve(self.next_emission);
        }
        self.next_emission += 1;
        self.last = Some(id.clone());
        lent.outbox.push(Output::Transmit(transmit));
    }

    /// The campaign of `id` begins. Another one of its group that had begun and missed its sessions is over: a key's
    /// counters only rise.
    fn end_missed(&mut self, lent: &mut Lent<'_>, id: &TaskId) {
        let Some(key) = lent.book.get(id).and_then(OpenTask::plan).map(|plan| plan.key) else { return };
        let campaigns =
            lent.book.open().iter().filter_map(|(id, open_task)| Some((id, open_task.campaign()?)));
        let missed = campaigns.filter(|(_, campaign)| {
            campaign.has_begun() && campaign.plan().key == key && campaign.calendar().is_missed(lent.now)
        });
        let over: Vec<(TaskId, Outcome)> =
            missed.map(|(id, campaign)| (id.clone(), campaign.out_of_session())).collect();
        for (id, outcome) in over {
            self.finish(lent, &id, outcome);
        }
    }

    /// The forwarder's word on a frame.
    pub fn verdict(&mut self, lent: &mut Lent<'_>, emission: u64, verdict: &Verdict) {
        if let Some(put) = self.questions.verdict(lent.now.mono, emission, verdict, lent.scheduler) {
            if let Some(put) = put {
                lent.report(Some(&put.task), Event::CanariesAsked { fcnt: put.fcnt, end: put.end });
                // What it took of the air is in the ledger, and the campaign's frames want a mark of their own.
                self.uncover(lent, &put.task);
            }
            return;
        }
        let Some(id) = self.last.clone() else { return };
        let Some(campaign) = lent.book.campaign_mut(&id) else { return };
        let Some((frame_no, end)) = campaign.verdict(lent.now.mono, emission, verdict, lent.scheduler) else {
            return;
        };
        let plan = campaign.plan();
        let fcnt = plan.base + frame_no;
        if let Verdict::Queued { start } = verdict {
            self.free_at.insert(plan.channel.sub_band, start.plus_us(plan.min_spacing_us));
        }
        let event = match verdict {
            Verdict::Queued { start } => Event::Sent { frame_no, fcnt, start: *start },
            Verdict::Silent if campaign.progress().next_frame <= frame_no => Event::Unanswered { frame_no },
            Verdict::Silent => Event::Unconfirmed { frame_no },
            Verdict::Refused(refusal) => Event::Refusal { frame_no, error: refusal.to_string() },
        };
        lent.report(Some(&id), event);
        // The next life goes on behind this frame, however short this one is.
        if matches!(verdict, Verdict::Queued { .. }) && self.marks.wants_first() {
            self.mark(lent);
        }
        if let Some(outcome) = end {
            self.finish(lent, &id, outcome);
        }
    }

    /// The campaign on the air must not go on.
    pub fn abort(&mut self, lent: &mut Lent<'_>, reason: String) {
        if let Some(id) = self.last.clone() {
            self.finish(lent, &id, Outcome::Aborted { reason });
        }
    }

    /// Somebody else sends to one of our groups: two senders of one key. The group pauses until that has not been
    /// seen for an hour; a campaign whose own counters were used cannot go on at all.
    pub fn second_sender(&mut self, lent: &mut Lent<'_>, mc_addr: u32, fcnt: u16) {
        lent.report(None, Event::SecondSender { mc_addr, fcnt });
        self.paused.insert(mc_addr, lent.now.mono.plus_us(PAUSE_US));
        let has_its_counter = |open_task: &OpenTask| {
            open_task.campaign().map(Campaign::plan).is_some_and(|plan| {
                let fcnts = plan.canary_fcnts().start..plan.end;
                plan.mc_addr.as_u32() == mc_addr && fcnts.contains(&u32::from(fcnt))
            })
        };
        let used = lent.book.open().iter().find(|(_, open_task)| has_its_counter(open_task));
        if let Some(id) = used.map(|(id, _)| id.clone()) {
            let reason =
                format!("a network server used frame counter {fcnt} of this campaign for other bytes");
            self.finish(lent, &id, Outcome::Aborted { reason });
        }
    }

    /// The forwarder told, or will never tell, what became of frames; how many coded fragments more that makes. Losses
    /// fall on the campaigns in proportion to their frames.
    pub fn settle(&mut self, book: &mut TaskBook, accounted: &Accounted) -> u32 {
        let Accounted { until, ours_dropped, is_told, interval_us, .. } = *accounted;
        self.report_interval_us = interval_us.or(self.report_interval_us);
        let mut frames: u32 = book.campaigns_mut().map(|campaign| campaign.unsettled(until)).sum();
        let mut dropped = ours_dropped.min(frames);
        let mut extra_coded = 0;
        for campaign in book.campaigns_mut() {
            let its = campaign.unsettled(until);
            let its_dropped = (u64::from(dropped) * u64::from(its)).div_ceil(u64::from(frames.max(1)));
            let its_dropped = u32::try_from(its_dropped).unwrap_or(u32::MAX);
            (frames, dropped) = (frames - its, dropped - its_dropped);
            extra_coded += campaign.settle(until, its_dropped, is_told);
        }
        extra_coded
    }

    /// Ends the campaigns that are accounted for, whether or not the forwarder is there.
    pub fn end(&mut self, lent: &mut Lent<'_>) {
        let campaigns =
            lent.book.open().iter().filter_map(|(id, open_task)| Some((id, open_task.campaign()?)));
        let ending = |(id, campaign): (&TaskId, &Campaign)| {
            (id.clone(), campaign.ending(lent.now, self.report_interval_us))
        };
        let endings: Vec<(TaskId, Ending)> = campaigns.map(ending).collect();
        for (id, ending) in endings {
            match ending {
                Ending::Sending => {}
                Ending::OnAir(until) => lent.outbox.wake_by(Some(until)),
                Ending::AwaitingReport(until, frames) => {
                    lent.outbox.wake_by(Some(until));
                    // Every campaign ends like this: no news.
                    if let Some(open_task) = lent.book.get_mut(&id) {
                        let wait = Wait::until(WaitReason::Report(frames), until);
                        open_task.wait_for(lent.now.mono, wait, u64::MAX);
                    }
                }
                Ending::Over(outcome) => self.finish(lent, &id, outcome),
            }
        }
    }

    /// The task is over, and whatever it held on the air is free.
    pub fn finish(&mut self, lent: &mut Lent<'_>, id: &TaskId, outcome: Outcome) {
        if !lent.book.close(lent.now, id, &outcome, lent.outbox) {
            return;
        }
        if self.marks.release(id) {
            self.mark(lent);
        }
        lent.report(Some(id), Event::Over(outcome));
        lent.outbox.wake_by(Some(lent.now.mono));
    }

    /// Writes a mark that covers the next frames of the campaigns on the air; its save.
    pub fn mark(&mut self, lent: &mut Lent<'_>) -> u64 {
        self.marks.write(lent.now, lent.scheduler, lent.book, lent.outbox)
    }

    /// Writes a mark when the last one is too old to stand.
    pub fn renew_mark(&mut self, lent: &mut Lent<'_>) {
        self.marks.renew(lent.now, lent.scheduler, lent.book, lent.outbox);
    }

    /// The answer to a save; whether it was a mark.
    pub fn answered(&mut self, save: u64, is_kept: bool) -> bool {
        self.marks.answered(save, is_kept)
    }

    /// Whether the campaign is on the air.
    pub fn is_on_air(&self, id: &TaskId) -> bool {
        self.marks.is_held(id)
    }

    /// No frame goes out any more.
    pub fn close(&mut self) {
        self.marks.close();
    }
}

/// A wait for another task, or for the start that comes before that matters.
fn turn_of_another(now: Now, campaign: &Campaign, rival: TaskId) -> Wait {
    let opens = campaign.calendar().opens(now).filter(|opens| *opens > now.mono);
    let own = opens.and_then(|opens| campaign.calendar().wait(opens));
    own.unwrap_or_else(|| Wait::event(WaitReason::Turn(rival)))
}

/// Frames are left and no session is: the operator is told, once.
fn missed(lent: &mut Lent<'_>, id: &TaskId) {
    let Some(open_task) = lent.book.get(id) else { return };
    let Some(campaign) = open_task.campaign() else { return };
    let is_told = |(wait, _): (&Wait, Instant)| matches!(wait.reason, WaitReason::Missed { .. });
    if !open_task.waiting().is_some_and(is_told) {
        let (left, planned) = campaign.left();
        let group = campaign.plan().group.clone();
        lent.report(Some(id), Event::SessionsMissed { group, left, planned });
    }
}
