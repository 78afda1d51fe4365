//! What of a plan is still to be sent.

use super::plan::Plan;
use super::sequence::Position;
use super::step::Progress;
use crate::report::Account;

impl Progress {
    /// Where a former run left the plan. A mark is only bytes from a disk: it leads no further than the plan.
    pub fn resumed(self, plan: &Plan) -> Progress {
        let next_frame = self.next_frame.min(plan.end - plan.base);
        let extra_coded = self.account.extra_coded.min(u32::from(plan.top_up));
        let before = (0..next_frame).filter(|frame_no| is_sent(plan, *frame_no)).count();
        let sent = u32::try_from(before).unwrap_or(u32::MAX);
        Progress { next_frame, account: Account { sent, earlier: sent, extra_coded, ..Account::default() } }
    }

    /// The next frame to send and what it carries; `None` when all are sent.
    pub fn next_position(&self, plan: &Plan) -> Option<(u32, Position)> {
        let sequence = plan.sequence();
        let wanted = u32::from(plan.coded) + self.account.extra_coded;
        let mut frame_no = self.next_frame;
        loop {
            match sequence.position(frame_no) {
                _ if !is_sent(plan, frame_no) => frame_no += 1,
                Position::Coded(r) if u32::from(r) > wanted => return None,
                position => return Some((frame_no, position)),
            }
        }
    }

    /// Uncoded frames (with their repeats) and coded ones that are still to be sent.
    pub fn frames_left(&self, plan: &Plan) -> (u32, u32) {
        let nb_frag = u32::from(plan.layout.nb_frag());
        let wanted = u32::from(plan.coded) + self.account.extra_coded;
        match self.next_position(plan) {
            None => (0, 0),
            Some((_, Position::Uncoded(n))) => (nb_frag + 1 - u32::from(n) + u32::from(plan.repeats), wanted),
            Some((_, Position::Repeat(repeat))) => (u32::from(plan.repeats) + 1 - u32::from(repeat), wanted),
            Some((_, Position::Coded(r))) => (0, wanted + 1 - u32::from(r)),
            Some((_, Position::Control)) => (0, wanted),
        }
    }

    /// Time that the frames left take at the plan's pace, microseconds.
    pub fn sending_us(&self, plan: &Plan) -> u64 {
        let (uncoded, coded) = self.frames_left(plan);
        u64::from(uncoded) * plan.pace_uncoded.spacing_us + u64::from(coded) * plan.pace_coded.spacing_us
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
