//! One task being carried out: which frame is next, when it may go, and what the forwarder's word means for it.

use super::calendar::Calendar;
use super::fcnt_guard::FcntGuard;
use super::frames::Frames;
use super::group::Group;
use super::held_image::HeldImage;
use super::plan::Plan;
use super::sequence::Position;
use super::setbacks::Setbacks;
use super::state::CampaignState;
use super::step::Awaiting;
use super::step::Ending;
use super::step::Progress;
use super::step::Refusal;
use super::step::Verdict;
use super::time_left::left_us;
use super::unsettled::Unsettled;
use crate::answers::Sent;
use crate::image::Digest;
use crate::image::Image;
use crate::report::Outcome;
use crate::report::Wait;
use crate::schedule::Scheduler;
use crate::time::Instant;
use crate::time::Now;

/// Shorter waits are nobody's business, longer ones are always told, microseconds.
pub(super) const PATIENCE_MIN_US: u64 = 1_000_000;
const PATIENCE_MAX_US: u64 = 10_000_000;
/// A former run handed its last frame over at most this long before its start, microseconds.
const HELD_US: u64 = 400_000;

/// A planned task with its image, being sent. No Debug: the group holds keys.
pub struct Campaign {
    pub(super) plan: Plan,
    pub(super) group: Group,
    pub(super) image: HeldImage,
    pub(super) frames: Frames,
    pub(super) fcnt_guard: FcntGuard,
    pub(super) calendar: Calendar,
    pub(super) progress: Progress,
    pub(super) awaiting: Option<Awaiting>,
    /// Frames that were acknowledged and that no report spoke of yet.
    pub(super) unsettled: Unsettled,
    /// The next frame starts at this or later, by our own spacing.
    pub(super) not_before: Option<Instant>,
    pub(super) last_end: Option<Instant>,
    pub(super) setbacks: Setbacks,
    /// When the next frame would have been handed over by the campaign's own pace.
    pub(super) due: Option<Instant>,
    /// Why the next frame is not sent now.
    pub(super) wait: Option<Wait>,
    /// Its devices answer: it goes on as it is told until it is told that nothing follows.
    pub(super) is_followed: bool,
    /// What was sent of its fragmentation session.
    pub(super) sent: Sent,
    /// No question goes into a frame below this: a former run may have sent that one.
    pub(super) ask_from: u32,
    /// Until when answers to its newest question come in.
    pub(super) answers_until: Option<Instant>,
}

impl Campaign {
    /// A campaign that starts at its first frame, or goes on at its progress after a restart at that instant.
    pub fn new(plan: Plan, group: Group, image: Image, resumed: Option<(Progress, Instant)>) -> Self {
        let resumed = resumed.map(|(progress, now)| (progress.resumed(&plan), now));
        // What the forwarder still holds from before the restart is not known, and a frame without a timestamp
        // handed over beside it may be swallowed: let it run dry, then keep the pace.
        let pause_us = plan.pace_uncoded.spacing_us.max(HELD_US + plan.queue_slot_us);
        let not_before = resumed.map(|(_, now)| now.plus_us(pause_us));
        let begin = Progress { next_frame: plan.from, ..Progress::default() };
        let progress = resumed.map_or(begin, |(progress, _)| progress);
        let answers = group.answer_window.is_some() || group.sessions.further;
        let sent = progress.fragments_sent(&plan);
        let ask_from = if resumed.is_some() { progress.next_frame + plan.frames_of_a_mark() } else { 0 };
        Campaign {
            frames: Frames::new(&plan),
            plan,
            calendar: Calendar::new(group.guard_us),
            group,
            image: HeldImage::new(image),
            fcnt_guard: FcntGuard::default(),
            progress,
            awaiting: None,
            unsettled: Unsettled::default(),
            not_before,
            last_end: None,
            setbacks: Setbacks::default(),
            due: None,
            wait: None,
            is_followed: answers,
            sent,
            ask_from,
            answers_until: None,
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
    pub fn refuse_image(&mut self, now: Instant, error: String) {
        self.image.refuse(now, error);
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
        self.due = None;
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
        self.progress.next_frame > self.plan.from || self.awaiting.is_some()
    }

    /// The campaign at a glance. Its time left is looked for on a copy of `scheduler`, where there is one.
    pub fn state(&self, now: Now, scheduler: Option<&Scheduler>) -> CampaignState {
        let (plan, progress, calendar) = (&self.plan, self.progress, &self.calendar);
        let policy = self.group.policy;
        let left_us = scheduler.and_then(|scheduler| {
            left_us(plan, progress, calendar, policy, self.not_before, (now, scheduler))
        });
        CampaignState::new(plan, progress, calendar, left_us)
    }

    /// Whether a verdict is outstanding.
    pub fn is_awaiting(&self) -> bool {
        self.awaiting.is_some()
    }

    /// The frame that waits for its verdict.
    pub fn awaited_frame(&self) -> Option<u32> {
        self.awaiting.as_ref().map(|awaiting| awaiting.frame_no)
    }

    /// Why the last [`Campaign::step`] sent no frame, unless that is only the distance between two frames.
    pub fn wait(&self) -> Option<&Wait> {
        self.wait.as_ref()
    }

    /// Whether its next frame is later than three of its distances, or than ten seconds.
    pub fn is_late(&self, now: Instant) -> bool {
        self.due.or(self.not_before).is_none_or(|due| now.us_since(due) > self.patience_us())
    }

    /// A wait that is longer than this is told, microseconds.
    pub(super) fn patience_us(&self) -> u64 {
        self.plan.pace_uncoded.spacing_us.saturating_mul(3).clamp(PATIENCE_MIN_US, PATIENCE_MAX_US)
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
        if self.has_begun() { self.progress.sending_us(&self.plan) } else { self.plan.duration_us() }
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
                self.setbacks = Setbacks::default();
                self.progress.account.sent += 1;
                self.note_sent(frame_no);
                self.unsettled.add(*start);
                self.move_past(frame_no, *start);
            }
            // The same bytes again cost devices nothing: nobody accepted a higher counter in the meantime.
            Verdict::Silent if self.setbacks.silence() => self.not_before = Some(now),
            Verdict::Silent => {
                // Counted as sent for counter and ledger; a fresh coded fragment makes up for it.
                self.progress.account.unanswered += 1;
                self.note_sent(frame_no);
                self.progress.make_up(&self.plan, 1);
                self.move_past(frame_no, now);
                if let Some(rest_us) = self.setbacks.failure() {
                    self.not_before = Some(now.plus_us(rest_us));
                }
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
                let again_us = self.setbacks.refusal(frame_no, refusal, self.plan.queue_slot_us);
                self.not_before = Some(now.plus_us(again_us));
            }
        }
        Some((frame_no, None))
    }

    /// Acknowledged frames that started until then and that no report spoke of yet.
    pub fn unsettled(&self, until: Instant) -> u32 {
        self.unsettled.count(until)
    }

    /// Those frames are spoken of: so many never reached the radio, and of the others it is told that they did, or
    /// nothing. How many coded fragments more there will be.
    pub fn settle(&mut self, until: Instant, not_radiated: u32, is_told: bool) -> u32 {
        let frames = self.unsettled.settle(until);
        let not_radiated = not_radiated.min(frames);
        let account = &mut self.progress.account;
        account.not_radiated += not_radiated;
        *(if is_told { &mut account.radiated } else { &mut account.unreported }) += frames - not_radiated;
        self.progress.make_up(&self.plan, not_radiated)
    }

    /// Whether nothing is left to be sent, as far as is known. What was ordered went out: its devices are not told one more
    /// session for what makes up for lost frames.
    pub fn has_sent_all(&self, now: Now) -> bool {
        let is_left = |(_, position)| !(self.is_made_up(position) && self.calendar.is_missed(now));
        let is_followed = self.is_followed && self.has_begun();
        self.awaiting.is_none()
            && !is_followed
            && !self.progress.next_position(&self.plan).is_some_and(is_left)
    }

    pub(super) fn is_made_up(&self, position: Position) -> bool {
        match position {
            Position::Coded(r) => r > self.plan.coded,
            Position::Control => true,
            Position::Uncoded(_) | Position::Repeat(_) => false,
        }
    }

    /// How near it is to its end, the forwarder reporting at that interval, microseconds.
    pub fn ending(&self, now: Now, report_interval_us: Option<u64>) -> Ending {
        if !self.has_sent_all(now) {
            return Ending::Sending;
        }
        let (account, now) = (self.progress.sent_of(&self.plan), now.mono);
        if let Some(end) = self.last_end.filter(|end| *end > now) {
            return Ending::OnAir(end);
        }
        match self.unsettled.until(report_interval_us) {
            Some(until) if until > now => Ending::AwaitingReport(until, account.pending()),
            _ => Ending::Over(Outcome::of(account)),
        }
    }

    /// The forwarder was started anew or is heard again: what it did before says nothing any more, so a rest ends.
    pub fn end_rest(&mut self) {
        if self.setbacks.end_rest() {
            self.not_before = None;
        }
    }

    /// Frames that are left, of those planned.
    pub fn left(&self) -> (u32, u32) {
        let (uncoded, coded) = self.progress.frames_left(&self.plan);
        (uncoded + coded, self.plan.frames() + self.progress.account.extra_coded)
    }

    /// How it ends when its sessions are over for good.
    pub fn out_of_session(&self) -> Outcome {
        Outcome::OutOfSession { sent: self.progress.account.sent, planned: self.plan.frames() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::group::Handover;
    use crate::campaign::step::Begin;
    use crate::campaign::step::Step;
    use crate::campaign::step::Turn;
    use crate::cloud::task_from_file;
    use crate::image::Digest;
    use crate::region::RfRegion;
    use crate::region::parameters;
    use crate::report::Account;

    #[test]
    fn a_rest_after_twenty_refusals_ends_with_the_forwarders_return() {
        let bytes = vec![7; 2000];
        let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
        let task = br#"{"FirmwareUpdateImage":"file:///i","RedundancyPercent":30,"FragmentSizeBytes":48,
            "Fuotad":{"Start":"at-once"}}"#;
        let task = task_from_file(task, "task").unwrap();
        let region = parameters(RfRegion::Eu868).unwrap();
        let mut scheduler = Scheduler::new(region.sub_bands, 0);
        let plan = Plan::new(&task, &Group::example(), &image, region, &scheduler, 2).unwrap();
        let mut campaign = Campaign::new(plan, Group::example(), image, None);
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
        let plan = Plan::new(&task, &Group::example(), &image, region, &scheduler, 2).unwrap();
        let (counters, top_up) = (plan.end - plan.base, u32::from(plan.top_up));
        let account = Account { extra_coded: u32::MAX, ..Account::default() };
        let beyond = Progress { next_frame: u32::MAX, account, ..Progress::default() };
        let campaign = Campaign::new(plan, Group::example(), image, Some((beyond, Instant::ZERO)));
        let progress = campaign.progress();
        assert_eq!((progress.next_frame, progress.account.extra_coded), (counters, top_up));
        assert_eq!(campaign.progress.frames_left(&campaign.plan), (0, 0));
    }
}
