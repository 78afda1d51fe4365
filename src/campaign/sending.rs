//! What a campaign does at a given moment: its next frame, or what it waits for.

use super::calendar::Closed;
use super::campaign::Campaign;
use super::campaign::PATIENCE_MIN_US;
use super::group::REPEAT_DISTANCE_US;
use super::sequence::Position;
use super::step::Awaiting;
use super::step::Step;
use super::step::Transmit;
use super::step::Turn;
use crate::forwarder::timing::GAP_US;
use crate::radio::AirLimit;
use crate::radio::Emission;
use crate::report::Outcome;
use crate::report::Saving;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::schedule::Pattern;
use crate::schedule::Placement;
use crate::schedule::Refused;
use crate::schedule::Scheduler;
use crate::schedule::TxPolicy;
use crate::schedule::TxRequest;
use crate::time::Instant;
use crate::time::Now;

/// Beside network servers a frame comes at least each time that this many would have come without them. With what is
/// on the air by then a campaign keeps a tenth of its pace.
const FLOOR: u64 = 8;
/// The image is brought into memory so long before the devices listen, microseconds.
const IMAGE_AHEAD_US: u64 = 60_000_000;

impl Campaign {
    /// What to do at `now`.
    pub fn step(&mut self, now: Now, scheduler: &mut Scheduler, turn: Turn) -> Step {
        self.wait = None;
        let Turn { handover, covered, id, not_before } = turn;
        if self.awaiting.is_some() {
            return Step::Wait(None);
        }
        if let Some(step) = self.idle(now) {
            return step;
        }
        let Some((frame_no, position)) = self.progress.next_position(&self.plan) else {
            return Step::Wait(None);
        };
        let (opens, until) = match self.window(now) {
            Ok(window) => window,
            // The end is near.
            Err(Step::Missed) if self.is_made_up(position) => {
                self.wait = None;
                return Step::Shut(now.mono);
            }
            Err(step) => return step,
        };
        let lead_us = handover.lead_us.saturating_mul(self.setbacks.lead_factor());
        let wakes = |at: &Instant| Some(at.minus_us(lead_us)).filter(|wake| *wake > now.mono);
        let ahead_us = opens.map_or(0, |opens| opens.us_since(now.mono));
        self.wait = opens.filter(|_| ahead_us > lead_us).and_then(|opens| self.calendar.wait(opens));
        if self.wait.is_some() {
            self.due = None;
        }
        if ahead_us > IMAGE_AHEAD_US {
            self.image.let_go();
            return Step::Shut(now.mono.plus_us(ahead_us - IMAGE_AHEAD_US));
        }
        if !self.image.is_here() {
            self.wait = match self.image.refused() {
                Some((error, at)) => Some(Wait::until(WaitReason::OtherImage(error.to_owned()), at)),
                None => self.wait.take().or_else(|| Some(Wait::event(WaitReason::Image))),
            };
            return Step::NeedImage;
        }
        if let Some(wake) = opens.as_ref().and_then(wakes) {
            return Step::Shut(wake);
        }
        let paced = self.not_before_for(position);
        if let Some(wake) = paced.as_ref().and_then(wakes) {
            self.wait = self.pause_until(now.mono, wake);
            return Step::Wait(Some(wake));
        }
        let due = *self.due.get_or_insert([paced, opens].into_iter().flatten().max().unwrap_or(now.mono));
        let aim = [paced, opens, not_before].into_iter().flatten().max().unwrap_or(now.mono);
        let request = TxRequest {
            earliest: aim.max(now.mono.plus_us(handover.lead_min_us)),
            until,
            need_us: self.progress.sending_us(&self.plan),
            gap_us: handover.gap_us,
            lead_us,
            ..self.plan.request(self.group.policy)
        };
        let floor = due.plus_us(self.own_pace_us(position, scheduler).saturating_mul(FLOOR - 1));
        match scheduler.place_at_floor(now.mono, &request, floor) {
            Placement::At(start) if start.minus_us(lead_us) > now.mono => {
                self.wait = self.wait_for_air(now.mono, start, not_before, scheduler, &request);
                Step::WaitForAir(start.minus_us(lead_us))
            }
            Placement::At(_) if frame_no >= covered => {
                let is_late = self.is_late(now.mono);
                self.wait = is_late.then(|| Wait::event(WaitReason::Saving(Saving::Mark)));
                Step::NeedMark
            }
            Placement::At(start) => self.hand_over(frame_no, position, start, scheduler, &request, id),
            // What does not fit now may fit later in the session: a forecast changes, a frame is taken back.
            Placement::Refused(Refused::SessionOver { .. }) => {
                self.calendar.closes(now).map_or(Step::Wait(None), Step::Shut)
            }
            Placement::Refused(why) => Step::Over(Outcome::Aborted { reason: why.to_string() }),
        }
    }

    /// The pace that it keeps by itself in the long run, microseconds: a burst waits for its share and for open ears.
    fn own_pace_us(&self, position: Position, scheduler: &Scheduler) -> u64 {
        let policy = TxPolicy { pattern: Pattern::Even, ..self.group.policy };
        let even = scheduler.pace(self.plan.channel, self.plan.airtime_us, GAP_US, policy);
        even.map_or(0, |pace| pace.spacing_us).max(self.spacing_us(position))
    }

    /// The distance from a frame to the next, microseconds.
    pub(super) fn spacing_us(&self, position: Position) -> u64 {
        match position {
            Position::Coded(_) => self.plan.pace_coded.spacing_us,
            _ => self.plan.pace_uncoded.spacing_us,
        }
    }

    /// The pause that the forwarder made necessary, if there is one.
    fn pause_until(&self, now: Instant, wake: Instant) -> Option<Wait> {
        let reason = self.setbacks.pause().cloned()?;
        let is_told = wake.us_since(now) > PATIENCE_MIN_US || self.is_late(now);
        is_told.then(|| Wait::until(reason, wake))
    }

    /// Which limit of the air the frame at `start` waits for, once that is longer than usual.
    fn wait_for_air(
        &self,
        now: Instant,
        start: Instant,
        common: Option<Instant>,
        scheduler: &mut Scheduler,
        request: &TxRequest,
    ) -> Option<Wait> {
        if self.due.is_none_or(|due| start.us_since(due) <= self.patience_us()) {
            return None;
        }
        // What several campaigns share is asked before the radio is.
        let spacing = || AirLimit::Spacing { sub_band: scheduler.label(request.channel.sub_band) };
        let limit = match common.filter(|common| *common >= start) {
            Some(_) => spacing(),
            None => scheduler.limit(now, request).unwrap_or(AirLimit::Busy),
        };
        Some(Wait::until(WaitReason::Air(limit), start))
    }

    /// A frame went out: it counts for what devices may have heard.
    pub(super) fn note_sent(&mut self, frame_no: u32) {
        match self.plan.sequence().position(frame_no) {
            Position::Control => {}
            position => self.sent = self.sent.and(position.fragment(self.plan.layout.nb_frag())),
        }
    }

    pub(super) fn move_past(&mut self, frame_no: u32, start: Instant) {
        self.progress.question = self.progress.question.filter(|question| *question > frame_no);
        let spacing_us = self.spacing_us(self.plan.sequence().position(frame_no));
        self.progress.next_frame = frame_no + 1;
        self.due = None;
        self.not_before = Some(start.plus_us(spacing_us));
        self.last_end = Some(start.plus_us(self.plan.airtime_us));
    }

    fn not_before_for(&self, position: Position) -> Option<Instant> {
        let apart = match position {
            Position::Repeat(1) => self.last_end.map(|end| end.plus_us(REPEAT_DISTANCE_US)),
            _ => None,
        };
        self.not_before.max(apart)
    }

    /// From when to when the devices listen; or why there is nothing to do.
    pub(super) fn window(&mut self, now: Now) -> Result<(Option<Instant>, Option<Instant>), Step> {
        self.calendar.window(now).map_err(|closed| {
            self.image.let_go();
            match closed {
                Closed::Blocked(reason) => {
                    self.wait = Some(Wait::event(reason));
                    Step::Blocked
                }
                Closed::Missed(ended) => {
                    let (left, planned) = self.left();
                    self.wait = Some(Wait::event(WaitReason::Missed { ended, left, planned }));
                    Step::Missed
                }
            }
        })
    }

    fn hand_over(
        &mut self,
        frame_no: u32,
        position: Position,
        start: Instant,
        scheduler: &mut Scheduler,
        request: &TxRequest,
        id: u64,
    ) -> Step {
        let fcnt = self.plan.base + frame_no;
        let phy_payload = match self.frame(frame_no, position) {
            Ok(phy_payload) => phy_payload,
            Err(reason) => return Step::Over(Outcome::Aborted { reason }),
        };
        let booking = scheduler.commit(start, request);
        self.awaiting = Some(Awaiting { id, frame_no, booking });
        let emission = Emission {
            start,
            frequency_hz: self.plan.channel.frequency_hz,
            modulation: self.plan.channel.modulation,
            eirp: self.group.eirp,
            phy_payload,
        };
        Step::Transmit(Box::new(Transmit { id, frame_no, fcnt, emission }))
    }

    /// The bytes of frame `frame_no`, after a last look at what its counter carried before.
    fn frame(&mut self, frame_no: u32, position: Position) -> Result<Vec<u8>, String> {
        let image =
            self.image.bytes().ok_or("its image is not in memory: this must not happen, please report it")?;
        let frame = self.frames.frame(&self.plan, &self.group, image, frame_no, position)?;
        let fcnt = self.plan.base + frame_no;
        if self.fcnt_guard.admits(fcnt, &frame) {
            Ok(frame)
        } else {
            Err(format!(
                "frame counter {fcnt} already carried other bytes: this must not happen, please report it"
            ))
        }
    }
}
