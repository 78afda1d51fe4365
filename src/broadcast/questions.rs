//! Questions to canaries: single frames under a group's key, before its campaign begins.
//!
//! A question takes its place on the radio as every frame does, and no frame is handed over beside it. Its counter is
//! reserved with the campaign's and below them; whoever puts the question has written down that it is used.

use crate::campaign::Campaign;
use crate::campaign::Handover;
use crate::campaign::Transmit;
use crate::campaign::Verdict;
use crate::campaign::question_frame;
use crate::fleet::Question;
use crate::forwarder::timing::GAP_US;
use crate::radio::Emission;
use crate::radio::downlink_airtime_us;
use crate::radio::forwarder_airtime_us;
use crate::schedule::Booking;
use crate::schedule::Placement;
use crate::schedule::Scheduler;
use crate::schedule::TxRequest;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;

/// Bytes of FragSessionStatusReq in a frame.
const FRAME_BYTES: usize = 2 + crate::lorawan::FRAME_OVERHEAD;
/// What was refused, or has no place now, is tried again so much later, microseconds.
const AGAIN_US: u64 = 1_000_000;

/// A question that is with the forwarder.
#[derive(Debug)]
struct Awaiting {
    id: u64,
    booking: Booking,
}

/// Questions that wait for their time, the oldest first.
#[derive(Debug, Default)]
pub struct Questions {
    waiting: Vec<(TaskId, Question)>,
    /// The first of them waits for its verdict.
    awaiting: Option<Awaiting>,
    not_before: Option<Instant>,
}

/// What is to be done for a question now.
#[derive(Debug)]
pub enum Ask {
    /// Nothing is to be done before this.
    Wait(Option<Instant>),
    /// A mark that covers the task's frames is to be durable first.
    NeedMark(TaskId),
    /// Hand this over and bring the verdict back.
    Transmit(Box<Transmit>),
}

/// A question that was put.
#[derive(Debug)]
pub struct Put {
    /// Whose campaign it comes before.
    pub task: TaskId,
    /// Its frame counter, FCnt.
    pub fcnt: u32,
    /// When it is over on the air.
    pub end: Instant,
}

/// Whom a question is put for, and how.
pub struct Means<'a> {
    /// The campaign that it comes before.
    pub campaign: &'a Campaign,
    /// How frames are handed over now.
    pub handover: Handover,
    /// The task's frames are covered by a durable mark.
    pub is_covered: bool,
    /// The number that names its emission.
    pub id: u64,
    /// Nothing starts in its sub-band before this.
    pub not_before: Option<Instant>,
}

impl Questions {
    /// The question is put before the task's campaign.
    pub fn push(&mut self, task: TaskId, question: Question) {
        self.waiting.push((task, question));
    }

    /// Whether one is with the forwarder.
    pub fn is_awaiting(&self) -> bool {
        self.awaiting.is_some()
    }

    /// The task of the next question, with those of questions that came too late, which are dropped.
    pub fn next(&mut self, now: Now, is_open: impl Fn(&TaskId) -> bool) -> (Option<TaskId>, Vec<TaskId>) {
        let is_late = |task: &TaskId, question: &Question| {
            !is_open(task) || now.gps.is_some_and(|gps| gps > question.closes)
        };
        let late = self.waiting.extract_if(.., |(task, question)| is_late(task, question));
        let late = late.map(|(task, _)| task).collect();
        (self.waiting.first().map(|(task, _)| task.clone()), late)
    }

    /// Puts the first question, if it is time.
    ///
    /// # Errors
    /// One line: its frame cannot be made.
    pub fn ask(&mut self, now: Now, scheduler: &mut Scheduler, means: Means<'_>) -> Result<Ask, String> {
        let Some((task, question)) = self.waiting.first() else { return Ok(Ask::Wait(None)) };
        let times = now.instant_of(question.opens).zip(now.instant_of(question.closes));
        let Some((opens, closes)) = times else { return Ok(Ask::Wait(None)) };
        let Means { campaign, handover, is_covered, id, not_before } = means;
        let (plan, group) = (campaign.plan(), campaign.group());
        let earliest = [Some(now.mono.plus_us(handover.lead_min_us)), not_before, self.not_before];
        let request = TxRequest {
            airtime_us: downlink_airtime_us(plan.channel.modulation, FRAME_BYTES),
            queue_slot_us: forwarder_airtime_us(plan.channel.modulation, FRAME_BYTES),
            earliest: earliest.into_iter().flatten().fold(opens, Instant::max),
            until: Some(closes),
            gap_us: handover.gap_us.max(GAP_US),
            lead_us: handover.lead_us,
            ..plan.request(group.policy)
        };
        let start = match scheduler.place(now.mono, &request) {
            Placement::At(start) => start,
            Placement::Refused(_) => return Ok(Ask::Wait(Some(now.mono.plus_us(AGAIN_US)))),
        };
        // The mark is written beforehand: it takes its time.
        if !is_covered {
            return Ok(Ask::NeedMark(task.clone()));
        }
        let hand_over_at = start.minus_us(handover.lead_us);
        if hand_over_at > now.mono {
            return Ok(Ask::Wait(Some(hand_over_at)));
        }
        let emission = Emission {
            start,
            frequency_hz: plan.channel.frequency_hz,
            modulation: plan.channel.modulation,
            eirp: group.eirp,
            phy_payload: question_frame(plan, group, question.fcnt)?,
        };
        let booking = scheduler.commit(start, &request);
        self.awaiting = Some(Awaiting { id, booking });
        Ok(Ask::Transmit(Box::new(Transmit { id, frame_no: 0, fcnt: question.fcnt, emission })))
    }

    /// The first question cannot be put.
    pub fn drop_first(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.remove(0);
        }
    }

    /// The forwarder's word on a question; `None` if the emission is none. `Some(None)`: it was refused and is put again.
    pub fn verdict(
        &mut self,
        now: Instant,
        id: u64,
        verdict: &Verdict,
        scheduler: &mut Scheduler,
    ) -> Option<Option<Put>> {
        let awaiting = self.awaiting.take_if(|awaiting| awaiting.id == id)?;
        let start = match verdict {
            Verdict::Queued { start } => *start,
            Verdict::Silent => now,
            Verdict::Refused(_) => {
                scheduler.refund(awaiting.booking);
                self.not_before = Some(now.plus_us(AGAIN_US));
                return Some(None);
            }
        };
        let first = (!self.waiting.is_empty()).then(|| self.waiting.remove(0));
        Some(first.map(|(task, question)| {
            let end = start.plus_us(awaiting.booking.airtime_us());
            Put { task, fcnt: question.fcnt, end }
        }))
    }
}
