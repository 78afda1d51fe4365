//! What of a plan is still to be sent.

use super::plan::Plan;
use super::sequence::Position;
use super::step::FollowUp;
use super::step::Progress;
use crate::answers::Sent;
use crate::report::Account;

/// Coded numbers that the way to a question may skip.
const QUESTIONS_ROOM: u32 = 64;

impl Progress {
    /// Where a former run left the plan. A mark is only bytes from a disk: it leads no further than the plan.
    pub fn resumed(self, plan: &Plan) -> Progress {
        let next_frame = self.next_frame.min(plan.end - plan.base).max(plan.from);
        let extra_coded = self.account.extra_coded.min(u32::from(plan.top_up));
        let before = (plan.from..next_frame).filter(|frame_no| is_sent(plan, *frame_no)).count();
        let sent = u32::try_from(before).unwrap_or(u32::MAX);
        let account = Account { sent, earlier: sent, extra_coded, ..Account::default() };
        Progress { next_frame, account, ..Progress::default() }
    }

    /// The next frame to send and what it carries; `None` when all are sent.
    pub fn next_position(&self, plan: &Plan) -> Option<(u32, Position)> {
        let sequence = plan.sequence();
        let wanted = self.coded_wanted(plan);
        let mut frame_no = self.next_frame;
        loop {
            match sequence.position(frame_no) {
                position if self.question == Some(frame_no) => return Some((frame_no, position)),
                _ if !is_sent(plan, frame_no) => frame_no += 1,
                Position::Coded(r) if u32::from(r) > wanted => return None,
                position => return Some((frame_no, position)),
            }
        }
    }

    /// The number of the last coded fragment that is to be sent.
    fn coded_wanted(&self, plan: &Plan) -> u32 {
        u32::from(plan.coded) + self.account.extra_coded + self.follow_up
    }

    /// What else is to be sent, now that everything was; whether there are numbers and counters for it.
    pub fn follow(&mut self, plan: &Plan, follow_up: FollowUp, ask_from: u32) -> bool {
        let sequence = plan.sequence();
        match follow_up {
            FollowUp::Send(fragments) => {
                // A question that a session had no time for is put after these.
                self.question = None;
                let wanted = sequence.coded_from(self.next_frame) - 1 + u32::from(fragments);
                self.follow_up += wanted.saturating_sub(self.coded_wanted(plan));
                self.room(plan) >= fragments
            }
            FollowUp::Ask(whom) => {
                let question = sequence.question(self.next_frame.max(ask_from), whom);
                self.question = Some(question).filter(|question| plan.base + question < plan.end);
                // The counters up to it are skipped: a mark covers the next ones only.
                self.next_frame = self.question.unwrap_or(self.next_frame);
                self.question.is_some()
            }
        }
    }

    /// What a former run sent of the fragmentation session, at most: frames that were skipped count, too.
    pub fn fragments_sent(&self, plan: &Plan) -> Sent {
        let positions = (0..self.next_frame).rev().map(|frame_no| plan.sequence().position(frame_no));
        let last = positions.into_iter().find(|position| !matches!(position, Position::Control));
        let last_n = last.map_or(0, |position| position.fragment(plan.layout.nb_frag()));
        Sent { last_n, frames: self.account.sent }
    }

    /// Coded fragments that there are numbers and counters for, besides a question or two.
    pub fn room(&self, plan: &Plan) -> u16 {
        let last = u32::from(plan.coded) + u32::from(plan.top_up);
        let next = plan.sequence().coded_from(self.next_frame);
        (last + 1).saturating_sub(next + QUESTIONS_ROOM).min(u32::from(u16::MAX)) as u16
    }

    /// Uncoded frames (with their repeats) and coded ones that are still to be sent.
    pub fn frames_left(&self, plan: &Plan) -> (u32, u32) {
        let nb_frag = u32::from(plan.layout.nb_frag());
        let wanted = self.coded_wanted(plan);
        match self.next_position(plan) {
            None => (0, 0),
            Some((_, Position::Uncoded(n))) => (nb_frag + 1 - u32::from(n) + u32::from(plan.repeats), wanted),
            Some((_, Position::Repeat(repeat))) => (u32::from(plan.repeats) + 1 - u32::from(repeat), wanted),
            Some((_, Position::Coded(r))) => (0, wanted + 1 - u32::from(r)),
            Some((_, Position::Control)) => (0, 1),
        }
    }

    /// Time that the frames left take at the plan's pace, microseconds.
    pub fn sending_us(&self, plan: &Plan) -> u64 {
        let (uncoded, coded) = self.frames_left(plan);
        u64::from(uncoded) * plan.pace_uncoded.spacing_us + u64::from(coded) * plan.pace_coded.spacing_us
    }

    /// What became of the frames; a coded fragment that was not sent made up for nothing.
    pub fn sent_of(&self, plan: &Plan) -> Account {
        let (_, left) = self.frames_left(plan);
        Account { extra_coded: self.account.extra_coded.saturating_sub(left), ..self.account }
    }

    /// More coded fragments than planned, as far as there are counters for them: how many.
    pub fn make_up(&mut self, plan: &Plan, frames: u32) -> u32 {
        let made_up = &mut self.account.extra_coded;
        let extra_coded = made_up.saturating_add(frames).min(u32::from(plan.top_up));
        extra_coded - core::mem::replace(made_up, extra_coded)
    }
}

/// Whether frame number `frame_no` is sent at all; the others are skipped counters.
fn is_sent(plan: &Plan, frame_no: u32) -> bool {
    match plan.sequence().position(frame_no) {
        Position::Repeat(repeat) => repeat <= plan.repeats,
        Position::Control => false,
        Position::Uncoded(_) | Position::Coded(_) => true,
    }
}
