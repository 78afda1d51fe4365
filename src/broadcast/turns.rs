//! Turns on the air: which campaign may send next, and who has to be silent.

use super::io::Output;
use super::marks::Marks;
use super::open_task::HELD;
use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::queue;
use super::task_book::TaskBook;
use super::turn_rule::TurnRule;
use crate::campaign::Campaign;
use crate::campaign::DUTY_PAUSE_US;
use crate::campaign::Handover;
use crate::campaign::Refusal;
use crate::campaign::Step;
use crate::campaign::Transmit;
use crate::campaign::Turn;
use crate::campaign::Verdict;
use crate::region::SubBandIndex;
use crate::report::Event;
use crate::report::Outcome;
use crate::schedule::Scheduler;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// A group pauses for this long after somebody else sent to it, microseconds.
const PAUSE_US: u64 = 3_600_000_000;

/// What a group waits for that somebody else sends to.
const SECOND_SENDER: &str =
    "the end of somebody else's downlinks to this group: a network server sent to it in the last hour";

/// What is known of the turns on the one radio.
#[derive(Debug)]
pub struct Turns {
    marks: Marks,
    /// Whose frame was handed over last.
    last: Option<TaskId>,
    /// The common pace: nothing of ours starts in the sub-band before this.
    free_at: BTreeMap<SubBandIndex, Instant>,
    next_emission: u64,
    /// Groups that somebody else sends to, and until when that keeps us silent.
    paused: BTreeMap<u32, Instant>,
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

    fn waiting(&mut self, id: &TaskId, reason: String) {
        self.book.waiting(self.now, id, reason, self.outbox);
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
            last: None,
            free_at: BTreeMap::new(),
            next_emission: 1,
            paused: BTreeMap::new(),
        }
    }
}

impl Turns {
    /// Lets each campaign have its turn, the first in order first, until one of them uses it.
    pub fn take(&mut self, lent: &mut Lent<'_>, handover: Handover) {
        if queue::is_awaiting(lent.book.open()) {
            return;
        }
        let (now, rule) = (lent.now, lent.book.site().turn_rule());
        let mut owners = queue::owners(now, lent.book.open());
        let mut sub_bands_taken = BTreeSet::new();
        let mut ahead: Option<TaskId> = None;
        for id in queue::in_order(rule, lent.book.open()) {
            let Some(open_task) = lent.book.get(&id) else { continue };
            let Some(campaign) = open_task.campaign() else { continue };
            let (key, sub_band) = (campaign.plan().key, campaign.plan().channel.sub_band);
            if open_task.is_held() {
                lent.waiting(&id, HELD.to_owned());
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
                if campaign.calendar().is_open(now) {
                    lent.waiting(&id, format!("its turn: task {rival} has the air"));
                }
                lent.rest(&id);
                continue;
            }
            if sub_bands_taken.contains(&sub_band) || !queue::has_room(lent.book.open(), open_task) {
                lent.rest(&id);
                continue;
            }
            match self.turn_of(lent, &id, handover) {
                Leaves::Nothing => return,
                Leaves::OtherSubBands => {
                    sub_bands_taken.insert(sub_band);
                    ahead.get_or_insert(id);
                }
                Leaves::ItsPauses => {
                    ahead.get_or_insert(id);
                }
                Leaves::Everything => {}
            }
        }
    }

    fn turn_of(&mut self, lent: &mut Lent<'_>, id: &TaskId, handover: Handover) -> Leaves {
        let Some(campaign) = lent.book.campaign_mut(id) else { return Leaves::Everything };
        let mc_addr = campaign.plan().mc_addr.as_u32();
        if let Some(&until) = self.paused.get(&mc_addr).filter(|until| **until > lent.now.mono) {
            lent.outbox.wake_by(Some(until));
            lent.waiting(id, SECOND_SENDER.to_owned());
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
        if !matches!(step, Step::Blocked(_) | Step::Missed(_) | Step::NeedImage)
            && let Some(open_task) = lent.book.get_mut(id)
        {
            open_task.go_on();
        }
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
            Step::Blocked(reason) => lent.waiting(id, reason.to_owned()),
            Step::Over(outcome) => self.finish(lent, id, outcome),
            Step::Missed(ended) => missed(lent, id, ended),
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
        if let Verdict::Refused(Refusal::DutyCycle(_)) = verdict {
            self.free_at.insert(plan.channel.sub_band, lent.now.mono.plus_us(DUTY_PAUSE_US));
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
                plan.mc_addr.as_u32() == mc_addr && (plan.base..plan.end).contains(&u32::from(fcnt))
            })
        };
        let used = lent.book.open().iter().find(|(_, open_task)| has_its_counter(open_task));
        if let Some(id) = used.map(|(id, _)| id.clone()) {
            let reason =
                format!("a network server used frame counter {fcnt} of this campaign for other bytes");
            self.finish(lent, &id, Outcome::Aborted { reason });
        }
    }

    /// Frames of the campaign on the air never reached the radio: so many fresh coded fragments make up for them.
    pub fn make_up(&self, book: &mut TaskBook, frames: u32) -> u32 {
        let last = self.last.as_ref().and_then(|id| book.campaign_mut(id));
        last.map_or(0, |campaign| campaign.make_up(frames))
    }

    /// The task is over, and whatever it held on the air is free.
    pub fn finish(&mut self, lent: &mut Lent<'_>, id: &TaskId, outcome: Outcome) {
        if !lent.book.close(id, &outcome, lent.outbox) {
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

/// Frames are left and no session is: the operator is told, once.
fn missed(lent: &mut Lent<'_>, id: &TaskId, ended: Option<GpsTime>) {
    let Some(open_task) = lent.book.get(id) else { return };
    let Some(campaign) = open_task.campaign() else { return };
    let (left, planned) = campaign.left();
    let ended = ended.map_or(String::new(), |ended| format!(" (the last ended {})", rfc3339_from_gps(ended)));
    let reason = format!(
        "a session that its devices were told{ended}: {left} of {planned} frames are left; give the task a later StartTime and tell the devices (`fuotad plan --setup`)"
    );
    if open_task.waiting() != Some(reason.as_str()) {
        let group = campaign.plan().group.clone();
        lent.report(Some(id), Event::SessionsMissed { group, left, planned });
    }
    lent.waiting(id, reason);
}
