//! A campaign whose devices answer: it waits for what they ask for, between its frames and between its sessions.

use super::campaign::Campaign;
use super::group::SessionRule;
use super::plan::whole_second;
use super::session::MAX_EXPONENT;
use super::session::Session;
use super::step::FollowUp;
use super::step::Pause;
use super::step::Step;
use crate::forwarder::timing::GAP_US;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::schedule::Placement;
use crate::schedule::Scheduler;
use crate::schedule::TxRequest;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

/// A further session has room for so many questions.
const QUESTIONS: u64 = 3;
/// One frame in so many of a further session is expected to be made up for.
const MADE_UP_EACH: u64 = 50;

impl Campaign {
    /// Where it stands while it waits for what follows; `None` while it sends, and where nothing follows.
    pub fn pause(&self, now: Now) -> Option<Pause> {
        if !self.is_followed || !self.has_begun() || self.awaiting.is_some() {
            return None;
        }
        let is_shut = self.calendar.is_missed(now);
        let told = self.calendar.begin().sessions();
        let next = self.progress.next_position(&self.plan);
        (is_shut || next.is_none()).then(|| Pause {
            sent: self.sent,
            room: self.progress.room(&self.plan),
            spared: self.plan.spared(),
            airtime_us: self.plan.airtime_us,
            is_shut,
            opens: self.opens_later(now),
            further: (!told.is_empty()).then(|| told.len().saturating_sub(self.plan.bursts.len())),
            is_cut: next.is_some_and(|(_, position)| !self.is_made_up(position)),
            is_unasked: self.progress.question.is_some(),
            last_end: self.last_end,
        })
    }

    /// When its devices listen again, if they do not now and will.
    fn opens_later(&self, now: Now) -> Option<Instant> {
        if self.calendar.is_open(now) {
            return None;
        }
        let opens = self.calendar.begin().sessions().iter().map(|told| told.usable(self.group.guard_us).0);
        opens.filter_map(|opens| now.instant_of(opens)).find(|opens| *opens > now.mono)
    }

    /// Sends this after everything else; whether there are numbers and counters for it.
    pub fn follow(&mut self, follow_up: FollowUp) -> bool {
        self.progress.follow(&self.plan, follow_up, self.ask_from)
    }

    /// Answers to its question come in until then.
    pub fn await_answers(&mut self, until: Instant) {
        self.answers_until = Some(until);
    }

    /// Nothing follows any more.
    pub fn end_follow_up(&mut self) {
        self.is_followed = false;
    }

    /// What it does while nothing is left to be sent, or nobody listens any more and what follows is not decided.
    pub(super) fn idle(&mut self, now: Now) -> Option<Step> {
        let is_shut = self.is_followed && self.has_begun() && self.calendar.is_missed(now);
        if !is_shut && self.progress.next_position(&self.plan).is_some() {
            return None;
        }
        let until = self.answers_until.filter(|until| *until > now.mono);
        let wait = until.map(|until| Wait::until(WaitReason::DeviceAnswers, until));
        let opens = self.opens_later(now).filter(|_| !is_shut);
        if is_shut || opens.is_some() {
            self.image.let_go();
        }
        self.wait = wait.or_else(|| self.calendar.wait(opens?));
        Some(match opens.or(until.filter(|_| is_shut)) {
            Some(at) => Step::Shut(at),
            None if is_shut => Step::Blocked,
            None => Step::Wait(until),
        })
    }

    /// The session at `start`, or as soon after it as the law has room, that holds what is left and at least `fragments`
    /// coded fragments with their questions; of 2^`exponent` s where that is ordered. `None` where no session holds a frame.
    pub fn further_session(
        &self,
        now: Now,
        scheduler: &Scheduler,
        start: GpsTime,
        fragments: u16,
        exponent: Option<u8>,
    ) -> Option<Session> {
        let plan = &self.plan;
        let earliest = now.instant_of(start.plus_us(self.group.guard_us))?;
        let request = TxRequest { earliest, ..plan.request(self.group.policy) };
        let Placement::At(first) = scheduler.clone().place(now.mono, &request) else { return None };
        let start = whole_second(start.plus_us(first.us_since(earliest)));
        let (uncoded, coded) = self.progress.frames_left(plan);
        let frames = u64::from(uncoded) + u64::from(coded.max(u32::from(fragments)));
        let spacing_us = plan.pace_uncoded.spacing_us.max(plan.pace_coded.spacing_us);
        let sending_us = frames * spacing_us
            + scheduler.waits_us(plan.channel, plan.airtime_us, spacing_us, frames, self.group.policy);
        let question_us = plan.airtime_us + GAP_US + self.group.answer_window.map_or(0, |window| window.us());
        let needed_us = sending_us + sending_us / MADE_UP_EACH + QUESTIONS * question_us;
        let guards_us = 2 * self.group.guard_us;
        let ordered = match self.group.session {
            SessionRule::Windows { exponent: of_group, .. } => exponent.or(of_group),
            SessionRule::Always => return None,
        };
        let is_enough = |exponent: &u8| (1_000_000 << exponent) >= guards_us + needed_us;
        let chosen = ordered.or_else(|| (0..MAX_EXPONENT).find(is_enough)).unwrap_or(MAX_EXPONENT);
        let session = Session { start, exponent: chosen };
        (session.length_us() >= guards_us + plan.airtime_us).then_some(session)
    }
}
