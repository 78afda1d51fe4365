//! One task being carried out: which frame is next, when it may go, and what the forwarder's word means for it.

use super::calendar::Calendar;
use super::calendar::Closed;
use super::fcnt_guard::FcntGuard;
use super::frames::Frames;
use super::group::Group;
use super::group::REPEAT_DISTANCE_US;
use super::held_image::HeldImage;
use super::plan::Plan;
use super::sequence::Position;
use super::state::CampaignState;
use super::step::Progress;
use super::step::Refusal;
use super::step::Step;
use super::step::Transmit;
use super::step::Turn;
use super::step::Verdict;
use crate::forwarder::timing::GAP_US;
use crate::image::Digest;
use crate::image::Image;
use crate::radio::Emission;
use crate::report::Outcome;
use crate::schedule::Booking;
use crate::schedule::Placement;
use crate::schedule::Refused;
use crate::schedule::Scheduler;
use crate::schedule::TxRequest;
use crate::time::Instant;
use crate::time::Now;

/// So many refusals or silences in a row, and the campaign rests for [`REST_US`].
const PATIENCE: u32 = 20;
/// So often a frame goes out, the forwarder being heard each time and answering none of them; then it counts as sent.
const SILENCES_MAX: u32 = 5;
/// How long a campaign rests when the forwarder does not cooperate, microseconds.
const REST_US: u64 = 60_000_000;

/// The image is brought into memory so long before the devices listen, microseconds.
const IMAGE_AHEAD_US: u64 = 60_000_000;

/// So many frames are placed ahead of their time to tell when the last will be over.
const LOOK_AHEAD_MAX: u32 = 2048;

/// How long a sub-band rests that the forwarder calls spent, microseconds.
pub const DUTY_PAUSE_US: u64 = 10_000_000;

/// A former run handed its last frame over at most this long before its start, microseconds.
const HELD_US: u64 = 400_000;

/// A frame that waits for its verdict.
#[derive(Clone, Debug)]
struct Awaiting {
    id: u64,
    frame_no: u32,
    booking: Booking,
}

/// A planned task with its image, being sent. No Debug: the group holds keys.
pub struct Campaign {
    plan: Plan,
    group: Group,
    image: HeldImage,
    frames: Frames,
    fcnt_guard: FcntGuard,
    calendar: Calendar,
    progress: Progress,
    awaiting: Option<Awaiting>,
    /// The next frame starts at this or later, by our own spacing.
    not_before: Option<Instant>,
    last_end: Option<Instant>,
    consecutive_failures: u32,
    consecutive_late: u32,
    /// How often the next frame was handed over without an answer.
    silences: u32,
    /// It rests because the forwarder did not cooperate.
    is_resting: bool,
}

impl Campaign {
    /// A campaign that starts at its first frame, or goes on at its progress after a restart at that instant.
    pub fn new(plan: Plan, group: Group, image: Image, resumed: Option<(Progress, Instant)>) -> Self {
        let resumed = resumed.map(|(progress, now)| {
            // A mark is only bytes from a disk: it leads no further than the plan.
            let next_frame = progress.next_frame.min(plan.end - plan.base);
            let extra_coded = progress.extra_coded.min(u32::from(plan.top_up));
            let progress = Progress { next_frame, extra_coded, ..progress };
            let before = (0..progress.next_frame).filter(|frame_no| is_sent(&plan, *frame_no)).count();
            (Progress { sent: u32::try_from(before).unwrap_or(u32::MAX), ..progress }, now)
        });
        // What the forwarder still holds from before the restart is not known, and a frame without a timestamp
        // handed over beside it may be swallowed: let it run dry, then keep the pace.
        let pause_us = plan.pace_uncoded.spacing_us.max(HELD_US + plan.queue_slot_us);
        let not_before = resumed.map(|(_, now)| now.plus_us(pause_us));
        Campaign {
            frames: Frames::new(&plan),
            plan,
            calendar: Calendar::new(group.guard_us),
            group,
            image: HeldImage::new(image),
            fcnt_guard: FcntGuard::default(),
            progress: resumed.map_or(Progress::default(), |(progress, _)| progress),
            awaiting: None,
            not_before,
            last_end: None,
            consecutive_failures: 0,
            consecutive_late: 0,
            silences: 0,
            is_resting: false,
        }
    }

    /// The plan it follows.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The group it is sent to.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The digest of its image.
    pub fn digest(&self) -> Digest {
        self.image.digest()
    }

    /// Takes the image that was fetched.
    pub fn hold_image(&mut self, image: Image) {
        self.image.hold(image);
    }

    /// Its image came and is another one: it may be asked for again later.
    pub fn refuse_image(&mut self, now: Instant) {
        self.image.refuse(now);
    }

    /// Notes that its image is being asked for.
    ///
    /// # Errors
    /// It is on its way, or may be asked for again at this instant.
    pub fn ask_for_image(&mut self, now: Instant) -> Result<(), Option<Instant>> {
        self.image.ask(now)
    }

    /// Somebody else has the air for now: an image that is not being sent need not be in memory.
    pub fn rest(&mut self) {
        if !self.has_begun() {
            self.image.let_go();
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether a frame of it was ever handed over, in this run or before.
    pub fn has_begun(&self) -> bool {
        self.progress.next_frame > 0 || self.awaiting.is_some()
    }

    /// The campaign at a glance.
    pub fn state(&self, now: Now, scheduler: &Scheduler) -> CampaignState {
        let plan = &self.plan;
        let (uncoded, coded) = self.frames_left();
        let frames = plan.frames() + self.progress.extra_coded;
        CampaignState {
            group: plan.group.clone(),
            channel: plan.channel,
            frames,
            frames_done: frames.saturating_sub(uncoded + coded),
            progress: self.progress,
            airtime_us: plan.airtime_us,
            spacing_us: plan.pace_uncoded.spacing_us,
            session: self.calendar.session().map(|session| (session.start, session.end())),
            left_us: self.left_us(now, scheduler),
        }
    }

    /// Time that the frames left take at the plan's pace, microseconds.
    fn sending_us(&self) -> u64 {
        let (uncoded, coded) = self.frames_left();
        u64::from(uncoded) * self.plan.pace_uncoded.spacing_us
            + u64::from(coded) * self.plan.pace_coded.spacing_us
    }

    /// When the last frame will be over, microseconds from now, if the network servers go on as they do: every frame
    /// that is left is placed as it will be. `None` while no start is known, or when the sessions are too short.
    fn left_us(&self, now: Now, scheduler: &Scheduler) -> Option<u64> {
        let mut ahead = scheduler.foreseen(now.mono);
        let mut windows = self.calendar.windows(now)?.into_iter();
        let (opens, mut until) = windows.next()?;
        let (uncoded, coded) = self.frames_left();
        let frames = uncoded + coded;
        let from = opens.max(now.mono);
        let mut at = self.not_before.map_or(from, |not_before| not_before.max(from));
        let mut end = self.last_end.map_or(from, |end| end.max(from));
        let mut placed = 0;
        while placed < frames.min(LOOK_AHEAD_MAX) {
            let request = TxRequest { earliest: at, until, ..self.request(now, GAP_US, 0) };
            match ahead.place(now.mono, &request) {
                Placement::At(start) => {
                    ahead.commit(start, &request);
                    placed += 1;
                    let pace = if placed < uncoded { self.plan.pace_uncoded } else { self.plan.pace_coded };
                    at = start.plus_us(pace.spacing_us);
                    end = start.plus_us(self.plan.airtime_us);
                }
                Placement::Refused(Refused::SessionOver { .. }) => {
                    let (opens, closes) = windows.next()?;
                    (at, until) = (at.max(opens), closes);
                }
                Placement::Refused(_) => return None,
            }
        }
        let left_us = end.us_since(now.mono);
        // What is beyond the look ahead goes on at its pace.
        Some(if frames > placed { left_us / u64::from(placed.max(1)) * u64::from(frames) } else { left_us })
    }

    /// What a frame asks of the radio, whatever its time.
    fn request(&self, now: Now, gap_us: u64, lead_us: u64) -> TxRequest {
        TxRequest {
            channel: self.plan.channel,
            airtime_us: self.plan.airtime_us,
            queue_slot_us: self.plan.queue_slot_us,
            earliest: now.mono,
            until: None,
            need_us: self.sending_us(),
            gap_us,
            lead_us,
            policy: self.group.policy,
        }
    }

    /// Uncoded frames (with their repeats) and coded ones that are still to be sent.
    fn frames_left(&self) -> (u32, u32) {
        let plan = &self.plan;
        let nb_frag = u32::from(plan.layout.nb_frag());
        let wanted = u32::from(plan.coded) + self.progress.extra_coded;
        match self.next_position() {
            None => (0, 0),
            Some((_, Position::Uncoded(n))) => (nb_frag + 1 - u32::from(n) + u32::from(plan.repeats), wanted),
            Some((_, Position::Repeat(repeat))) => (u32::from(plan.repeats) + 1 - u32::from(repeat), wanted),
            Some((_, Position::Coded(r))) => (0, wanted + 1 - u32::from(r)),
            Some((_, Position::Control)) => (0, wanted),
        }
    }

    /// Whether a verdict is outstanding.
    pub fn is_awaiting(&self) -> bool {
        self.awaiting.is_some()
    }

    /// When its devices listen.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// When its devices listen.
    pub fn calendar_mut(&mut self) -> &mut Calendar {
        &mut self.calendar
    }

    /// Time it still needs on the air, microseconds, when it has it alone.
    pub fn need_us(&self) -> u64 {
        if self.has_begun() { self.sending_us() } else { self.plan.duration_us() }
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Now, scheduler: &mut Scheduler, turn: Turn) -> Step {
        let Turn { handover, covered, id, not_before } = turn;
        if self.awaiting.is_some() {
            return Step::Wait(None);
        }
        let Some((frame_no, position)) = self.next_position() else {
            return match self.last_end {
                Some(end) if end > now.mono => Step::Wait(Some(end)),
                _ => Step::Over(Outcome::Complete {
                    sent: self.progress.sent,
                    unconfirmed: self.progress.unconfirmed,
                }),
            };
        };
        let (opens, until) = match self.window(now) {
            Ok(window) => window,
            Err(step) => return step,
        };
        let lead_us = handover.lead_us.saturating_mul(1 + u64::from(self.consecutive_late / 3).min(3));
        let wakes = |at: &Instant| Some(at.minus_us(lead_us)).filter(|wake| *wake > now.mono);
        let ahead_us = opens.map_or(0, |opens| opens.us_since(now.mono));
        if ahead_us > IMAGE_AHEAD_US {
            self.image.let_go();
            return Step::Shut(now.mono.plus_us(ahead_us - IMAGE_AHEAD_US));
        }
        if !self.image.is_here() {
            return Step::NeedImage;
        }
        if let Some(wake) = opens.as_ref().and_then(wakes) {
            return Step::Shut(wake);
        }
        let paced = self.not_before_for(position);
        if let Some(wake) = paced.as_ref().and_then(wakes) {
            return Step::Wait(Some(wake));
        }
        let aim = [paced, opens, not_before].into_iter().flatten().max().unwrap_or(now.mono);
        let earliest = aim.max(now.mono.plus_us(handover.lead_min_us));
        let request = TxRequest { earliest, until, ..self.request(now, handover.gap_us, lead_us) };
        match scheduler.place(now.mono, &request) {
            Placement::At(start) if start.minus_us(lead_us) > now.mono => {
                Step::WaitForAir(start.minus_us(lead_us))
            }
            Placement::At(_) if frame_no >= covered => Step::NeedMark,
            Placement::At(start) => self.hand_over(frame_no, position, start, scheduler, &request, id),
            // What does not fit now may fit later in the session: a forecast changes, a frame is taken back.
            Placement::Refused(Refused::SessionOver { .. }) => {
                self.calendar.closes(now).map_or(Step::Wait(None), Step::Shut)
            }
            Placement::Refused(why) => Step::Over(Outcome::Aborted { reason: why.to_string() }),
        }
    }

    /// The forwarder's word on frame `id`. `None` when the frame is not this campaign's; otherwise the frame
    /// number, and a reason to give up where there is one.
    pub fn verdict(
        &mut self,
        now: Instant,
        id: u64,
        verdict: &Verdict,
        scheduler: &mut Scheduler,
    ) -> Option<(u32, Option<Outcome>)> {
        let awaiting = self.awaiting.take_if(|awaiting| awaiting.id == id)?;
        let frame_no = awaiting.frame_no;
        match verdict {
            Verdict::Queued { start } => {
                self.consecutive_failures = 0;
                self.consecutive_late = 0;
                self.silences = 0;
                self.progress.sent += 1;
                self.move_past(frame_no, *start);
            }
            // The same bytes again cost devices nothing: nobody accepted a higher counter in the meantime.
            Verdict::Silent if self.silences + 1 < SILENCES_MAX => {
                self.silences += 1;
                self.not_before = Some(now);
            }
            Verdict::Silent => {
                self.silences = 0;
                // Counted as sent for counter and ledger; a fresh coded fragment makes up for it.
                self.progress.unconfirmed += 1;
                self.make_up(1);
                self.move_past(frame_no, now);
                self.be_patient(now);
            }
            Verdict::Refused(refusal) => {
                scheduler.refund(awaiting.booking);
                if let Refusal::Channel(word) = refusal {
                    let reason = format!(
                        "the forwarder refuses {} Hz or the power for good ({word}): compare its tx_freq and gain table with the group",
                        self.plan.channel.frequency_hz
                    );
                    return Some((frame_no, Some(Outcome::Aborted { reason })));
                }
                self.retry_later(now, refusal);
            }
        }
        Some((frame_no, None))
    }

    /// More coded fragments than planned, as far as there are counters for them: how many.
    pub fn make_up(&mut self, frames: u32) -> u32 {
        let extra_coded = (self.progress.extra_coded + frames).min(u32::from(self.plan.top_up));
        extra_coded - core::mem::replace(&mut self.progress.extra_coded, extra_coded)
    }

    fn retry_later(&mut self, now: Instant, refusal: &Refusal) {
        let again_us = match refusal {
            Refusal::TooLate => {
                self.consecutive_late += 1;
                200_000
            }
            Refusal::WrongCounter => 100_000,
            // It counts the law by itself, and more than we know of: nothing is wrong with it, the sub-band rests.
            Refusal::DutyCycle(_) => {
                self.not_before = Some(now.plus_us(DUTY_PAUSE_US));
                return;
            }
            Refusal::Beacon => 2_200_000,
            // The first time something is in the way; after that an unknown occupant or a full queue.
            Refusal::Collision if self.consecutive_failures == 0 => self.plan.queue_slot_us + GAP_US,
            Refusal::Collision => 1_500_000,
            Refusal::Channel(_) | Refusal::NotSent(_) | Refusal::Other(_) => 500_000,
        };
        self.not_before = Some(now.plus_us(again_us));
        self.be_patient(now);
    }

    fn be_patient(&mut self, now: Instant) {
        self.consecutive_failures += 1;
        self.is_resting = self.consecutive_failures.is_multiple_of(PATIENCE);
        if self.is_resting {
            self.not_before = Some(now.plus_us(REST_US));
        }
    }

    /// The forwarder was started anew or is heard again: what it did before says nothing any more, so a rest ends.
    pub fn end_rest(&mut self) {
        if core::mem::take(&mut self.is_resting) {
            self.consecutive_failures = 0;
            self.not_before = None;
        }
    }

    fn move_past(&mut self, frame_no: u32, start: Instant) {
        let pace = match self.plan.sequence().position(frame_no) {
            Position::Coded(_) => self.plan.pace_coded,
            _ => self.plan.pace_uncoded,
        };
        self.progress.next_frame = frame_no + 1;
        self.not_before = Some(start.plus_us(pace.spacing_us));
        self.last_end = Some(start.plus_us(self.plan.airtime_us));
    }

    /// The next frame to send and what it carries; `None` when all are sent.
    fn next_position(&self) -> Option<(u32, Position)> {
        let sequence = self.plan.sequence();
        let wanted = u32::from(self.plan.coded) + self.progress.extra_coded;
        let mut frame_no = self.progress.next_frame;
        loop {
            match sequence.position(frame_no) {
                _ if !is_sent(&self.plan, frame_no) => frame_no += 1,
                Position::Coded(r) if u32::from(r) > wanted => return None,
                position => return Some((frame_no, position)),
            }
        }
    }

    fn not_before_for(&self, position: Position) -> Option<Instant> {
        let apart = match position {
            Position::Repeat(1) => self.last_end.map(|end| end.plus_us(REPEAT_DISTANCE_US)),
            _ => None,
        };
        self.not_before.max(apart)
    }

    /// From when to when the devices listen; or why there is nothing to do.
    fn window(&mut self, now: Now) -> Result<(Option<Instant>, Option<Instant>), Step> {
        self.calendar.window(now).map_err(|closed| {
            self.image.let_go();
            match closed {
                Closed::Blocked(reason) => Step::Blocked(reason),
                Closed::Missed(ended) => Step::Missed(ended),
            }
        })
    }

    /// Frames that are left, of those planned.
    pub fn left(&self) -> (u32, u32) {
        let (uncoded, coded) = self.frames_left();
        (uncoded + coded, self.plan.frames() + self.progress.extra_coded)
    }

    /// How it ends when its sessions are over for good.
    pub fn out_of_session(&self) -> Outcome {
        Outcome::OutOfSession { sent: self.progress.sent, planned: self.plan.frames() }
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

/// Whether frame number `frame_no` is sent at all; the others are skipped counters.
fn is_sent(plan: &Plan, frame_no: u32) -> bool {
    match plan.sequence().position(frame_no) {
        Position::Repeat(repeat) => repeat <= plan.repeats,
        Position::Control => false,
        Position::Uncoded(_) | Position::Coded(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::group::DeviceProfile;
    use crate::campaign::group::Handover;
    use crate::campaign::group::SessionRule;
    use crate::campaign::listening::SessionLimits;
    use crate::campaign::step::Begin;
    use crate::cloud::task_from_file;
    use crate::fragment::Ts004Version;
    use crate::image::Digest;
    use crate::lorawan::McAddr;
    use crate::lorawan::McSessionKeys;
    use crate::lorawan::Secret;
    use crate::radio::Dbm;
    use crate::region::RfRegion;
    use crate::region::Terms;
    use crate::region::parameters;
    use crate::schedule::TxPolicy;
    use crate::signing::SigningTrust;

    fn group() -> Group {
        let mc_addr = McAddr::new(0x01c0_ffee);
        Group {
            name: "meters".to_owned(),
            mc_addr,
            keys: McSessionKeys::derive(&Secret::from_bytes([7; 16]), mc_addr),
            mc_key: None,
            first_fcnt: Some(2),
            ts004_version: Ts004Version::V1,
            fport: 201,
            session: SessionRule::Always,
            profile: DeviceProfile::default(),
            frequency_hz: 869_525_000,
            data_rate: 5,
            eirp: Dbm::from_whole(27),
            terms: Terms::default(),
            policy: TxPolicy::default(),
            accepts_unsigned: false,
            trust: SigningTrust::default(),
            sessions: SessionLimits::default(),
            guard_us: 10_000_000,
        }
    }

    #[test]
    fn a_rest_after_twenty_refusals_ends_with_the_forwarders_return() {
        let bytes = vec![7; 2000];
        let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
        let task = br#"{"FirmwareUpdateImage":"file:///i","RedundancyPercent":30,"FragmentSizeBytes":48,
            "Fuotad":{"Start":"at-once"}}"#;
        let task = task_from_file(task, "task").unwrap();
        let region = parameters(RfRegion::Eu868).unwrap();
        let mut scheduler = Scheduler::new(region.sub_bands, 0);
        let plan = Plan::new(&task, &group(), &image, region, &scheduler, 2).unwrap();
        let mut campaign = Campaign::new(plan, group(), image, None);
        campaign.calendar_mut().set_begin(Begin::AtOnce);
        let handover = Handover { lead_us: 350_000, lead_min_us: 150_000, gap_us: 45_000 };
        let turn = |id| Turn { handover, covered: u32::MAX, id, not_before: None };
        let at = |second: i64| Now { mono: Instant::from_us(second * 1_000_000), gps: None };
        for n in 0..20u32 {
            let step = campaign.step(at(i64::from(n) * 60), &mut scheduler, turn(u64::from(n)));
            assert!(matches!(step, Step::Transmit(_)), "{n}: {step:?}");
            let refused = Verdict::Refused(Refusal::Other("no".to_owned()));
            campaign.verdict(at(i64::from(n) * 60).mono, u64::from(n), &refused, &mut scheduler);
        }
        let back = at(19 * 60 + 2);
        let step = campaign.step(back, &mut scheduler, turn(20));
        assert!(
            matches!(step, Step::Wait(Some(until)) if until.us_since(back.mono) > 50_000_000),
            "{step:?}"
        );
        campaign.end_rest();
        let step = campaign.step(back, &mut scheduler, turn(20));
        assert!(matches!(step, Step::Transmit(_)), "{step:?}");
    }

    #[test]
    fn a_mark_leads_no_further_than_the_plan() {
        let bytes = vec![7; 200];
        let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
        let task = br#"{"FirmwareUpdateImage":"file:///i","RedundancyPercent":30,"FragmentSizeBytes":48}"#;
        let task = task_from_file(task, "task").unwrap();
        let region = parameters(RfRegion::Eu868).unwrap();
        let scheduler = Scheduler::new(region.sub_bands, 0);
        let plan = Plan::new(&task, &group(), &image, region, &scheduler, 2).unwrap();
        let (counters, top_up) = (plan.end - plan.base, u32::from(plan.top_up));
        let beyond = Progress { next_frame: u32::MAX, extra_coded: u32::MAX, ..Progress::default() };
        let campaign = Campaign::new(plan, group(), image, Some((beyond, Instant::ZERO)));
        let progress = campaign.progress();
        assert_eq!((progress.next_frame, progress.extra_coded), (counters, top_up));
        assert_eq!(campaign.frames_left(), (0, 0));
    }
}
