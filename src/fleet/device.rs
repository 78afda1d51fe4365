//! One device's dialogue: what its events mean for it.

use super::airtime_share::Place;
use super::answer::answers;
use super::command::Material;
use super::command::session_mic;
use super::counted::Order;
use super::due::Context;
use super::due::Due;
use super::due::Hold;
use super::due::LEAD_MIN_S;
use super::member::Member;
use super::progress::Asked;
use super::progress::Progress;
use super::progress::Stop;
use super::queue_item::QueueItem;
use super::standing::Standing;
use super::state::Refusal;
use super::step::Step;
use crate::lns::Address;
use crate::lns::Dialect;
use crate::lns::FailureCode;
use crate::lns::ItemId;
use crate::lns::Up;
use crate::lorawan::PackageVersion;
use crate::lorawan::ts003;
use crate::lorawan::ts005;
use crate::radio::Modulation;
use crate::time::GpsTime;
use crate::time::Instant;

/// So many unanswered clock checks mean that the device has no TS003: the session's answer tells its clock, too.
const CLOCK_TRIES_MAX: u8 = 2;
/// After so many tries a command is asked less and less often.
const TRIES_IN_A_ROW: u8 = 4;
const SKIP_EXPONENT_MAX: u8 = 4;

/// The slowest data rate, for an uplink that does not tell its own.
const SLOWEST: Modulation = Modulation::LoRa { sf: 12, bw_hz: 125_000 };

/// One device and its dialogue. No Debug: its member holds key material.
pub(super) struct Device {
    pub(super) member: Member,
    pub(super) progress: Progress,
    /// Where it is found, as the newest event told.
    pub(super) address: Option<Address>,
    /// Modulation and frequency (Hz) of the newest uplink.
    pub(super) modulation: Option<Modulation>,
    pub(super) frequency_hz: Option<u32>,
    pub(super) item: QueueItem,
    /// Uplinks to pass before the next try.
    pub(super) skip: u8,
    /// What AppTimeAns will say: seconds and token.
    pub(super) correction: Option<(i32, u8)>,
    /// Its newest uplink asks for the time, which we answer.
    pub(super) has_asked_time: bool,
    /// Questions to it alone what it holds that are allowed since it was set up.
    pub(super) questions_allowed: u8,
    /// It reported its data block, and waits for an acknowledgement.
    pub(super) owes_ack: bool,
    /// How it stands to the proof of its root key.
    pub(super) standing: Standing,
    /// When it answered a question under the group's key, until the fleet has looked at it.
    pub(super) answered_question: Option<GpsTime>,
    /// The modulation that was too slow for a command.
    too_long_at: Option<Modulation>,
}

impl Device {
    pub(super) fn new(member: Member, progress: Progress) -> Device {
        Device {
            member,
            progress,
            address: None,
            modulation: None,
            frequency_hz: None,
            item: QueueItem::default(),
            skip: 0,
            correction: None,
            has_asked_time: false,
            questions_allowed: 0,
            owes_ack: false,
            standing: Standing::default(),
            answered_question: None,
            too_long_at: None,
        }
    }

    /// The dialogue of another setup begins.
    pub(super) fn begin(&mut self, setup: [u8; 8], kept: Option<[u8; 8]>) {
        self.progress.begin(setup, kept);
        self.correction = None;
        self.skip = 0;
    }

    /// An uplink that ended at `ended`; whether it is the newest, so that a command may follow it.
    pub(super) fn up(&mut self, context: &Context<'_>, up: &Up, ended: Instant) -> bool {
        let order = self.progress.counted.count(up.f_cnt);
        if order == Order::Copy {
            return false;
        }
        let ended = context.now.gps_at(ended);
        if order == Order::Newest {
            let session = context.setup.map(|setup| setup.channel.modulation);
            let gps_s = ended.map_or(0, GpsTime::session_time);
            let is_answer = [ts003::FPORT, ts005::FPORT, context.frag_fport].contains(&up.f_port);
            self.progress.habits.hear(up, context.rules.gateway_eui, session, gps_s, is_answer);
            (self.modulation, self.frequency_hz) = (up.modulation, up.frequency_hz);
            self.has_asked_time = false;
        }
        if up.via_relay && self.progress.stop.is_none() {
            self.progress.stop = Some(Stop::Refused(Refusal::Relay));
        }
        let known = PackageVersion::from_number(self.progress.ts004);
        let of_group = context.setup.map(|setup| setup.channel.ts004_version);
        let version = known.or(of_group).unwrap_or(PackageVersion::V1);
        for answer in answers(up, context.frag_fport, version) {
            self.answer(context, answer, ended);
        }
        if order == Order::Newest {
            self.unanswered(context);
        }
        order == Order::Newest
    }

    /// The newest uplink was taken in; a command that it did not answer is asked again once it is known to have gone.
    fn unanswered(&mut self, context: &Context<'_>) {
        self.skip = self.skip.saturating_sub(1);
        let asked = self.progress.asked;
        let expires_s = asked.map_or(0, |asked| asked.expires_s).saturating_add(LEAD_MIN_S as u32);
        let may_wait = match context.rules.dialect {
            Dialect::ChirpStack => context.now.gps.is_some_and(|gps| gps.session_time() <= expires_s),
            Dialect::TheThingsStack => false,
        };
        if !self.item.uplink(asked.is_some(), may_wait) {
            return;
        }
        self.progress.asked = None;
        let is_check = asked.is_some_and(|asked| asked.step == Step::ClockCheck);
        if is_check && self.progress.tries >= CLOCK_TRIES_MAX {
            self.well(Step::ClockCheck);
        }
    }

    /// An item left the queue for the radio.
    pub(super) fn sent(&mut self, context: &Context<'_>, item: Option<ItemId>, ours: Option<ItemId>) {
        let Some(asked) = self.progress.asked.filter(|_| item.is_some() && item == ours) else {
            self.item.other_sent(item.is_none());
            return;
        };
        if self.item.send(context.now.mono) {
            self.progress.asked = None;
        } else if asked.step == Step::BlockAns {
            self.settle(Step::BlockAns);
        } else if asked.step == Step::SetClock {
            self.correction = None;
            self.well(Step::SetClock);
            self.progress.is_clock_doubted = false;
        }
    }

    /// An item was put into the queue.
    pub(super) fn queued(&mut self, item: Option<ItemId>) {
        if item.is_none() {
            self.item.foreign_queued();
        }
    }

    /// The server gave an item up.
    pub(super) fn failed(&mut self, item: Option<ItemId>, ours: Option<ItemId>, code: &FailureCode) {
        // A server that does not say which item it was means the one that it was about to send.
        if item.is_some() && item != ours {
            return;
        }
        match code {
            // The item waits for the next uplink.
            FailureCode::Gateway => return self.item.stay(),
            FailureCode::TooLong => self.too_long_at = self.modulation,
            FailureCode::Expired | FailureCode::NoSession | FailureCode::Other(_) => {}
        }
        self.progress.asked = None;
    }

    /// The device joined: it was restarted, and lost what its stack keeps in RAM.
    pub(super) fn joined(&mut self, context: &Context<'_>) {
        self.progress.counted.newest = None;
        self.correction = None;
        if context.is_begun && self.progress.has_done(Step::FragSession) && self.progress.stop.is_none() {
            self.progress.stop = Some(Stop::LostState);
        }
        let of_group = if context.rules.forgets_group { 0 } else { Step::McGroup.bit() };
        self.progress.done &= Step::FragVersion.bit() | of_group;
        self.progress.holds = [0; 8];
        self.progress.session_told = 0;
        self.progress.session_asked = 0;
        (self.progress.tries, self.skip) = (0, 0);
    }

    /// The command that is due now.
    ///
    /// # Errors
    /// Why no command is due.
    pub(super) fn next(&self, context: &Context<'_>) -> Result<Step, Hold> {
        let step = self.step(context)?;
        if context.is_put_off && self.aside(context).is_none() {
            return Err(Hold::PutOff);
        }
        if self.progress.asked.is_some() {
            return Err(Hold::OurItem);
        }
        if self.item.waits_for_foreign() {
            return Err(Hold::ForeignItem);
        }
        if !self.progress.habits.is_in_reach() {
            return Err(Hold::Reach);
        }
        if self.skip > 0 {
            return Err(Hold::Unanswered);
        }
        if self.too_long_at.is_some() && self.too_long_at == self.modulation {
            return Err(Hold::TooLong);
        }
        Ok(step)
    }

    /// The first step that is not done, as far as the campaign allows it now.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn step(&self, context: &Context<'_>) -> Result<Step, Hold> {
        if let Some(step) = self.aside(context) {
            return Ok(step);
        }
        if self.progress.stop.is_some() {
            return Err(Hold::Stopped);
        }
        self.due(context).step(self.correction.is_some())
    }

    /// Whether all was told that can be told now.
    pub(super) fn is_told(&self, context: &Context<'_>) -> bool {
        self.due(context).is_told()
    }

    pub(super) fn due<'a>(&'a self, context: &'a Context<'a>) -> Due<'a> {
        Due { progress: &self.progress, standing: self.standing, context }
    }

    /// What the bytes of the next command are made of.
    pub(super) fn material<'a>(&'a self, context: &'a Context<'a>) -> Material<'a> {
        Material {
            member: &self.member,
            progress: &self.progress,
            setup: context.setup,
            frag_fport: context.frag_fport,
            window: self.due(context).window(),
            correction: self.correction.unwrap_or_default(),
        }
    }

    /// The command goes into the queue. What happens here is on disk before it is published.
    pub(super) fn push(&mut self, context: &Context<'_>, step: Step) -> Asked {
        let (window, expires_s) = (self.due(context).window(), self.due(context).expires_s(step));
        let progress = &mut self.progress;
        let asked = Asked { step, item_no: progress.next_item_no, expires_s };
        if step == Step::FragSession && progress.ts004 == PackageVersion::V2.number() {
            let mic = context.setup.and_then(|setup| session_mic(&self.member, progress, setup));
            progress.session_cnt = mic.map(|(session_cnt, _)| session_cnt);
        }
        if step == Step::FragSession {
            // It may obey although its answer is lost.
            progress.holds = [0; 8];
        }
        self.owes_ack &= step != Step::BlockAns;
        if step == Step::Status {
            progress.questions = progress.questions.saturating_add(1);
            progress.question_s = context.now.gps.map_or(0, GpsTime::session_time);
        }
        if step == Step::McSession {
            progress.session_asked = window.map_or(0, |window| window.start.session_time());
            progress.exponent_asked = window.map_or(0, |window| window.exponent);
        }
        progress.next_item_no += 1;
        progress.ever_asked |= step.bit();
        progress.asked = Some(asked);
        progress.tries = progress.tries.saturating_add(1);
        let today = context.now.gps.map_or(0, day);
        progress.downlinks = if progress.day == today { progress.downlinks.saturating_add(1) } else { 1 };
        progress.day = today;
        if let Some(over) = progress.tries.checked_sub(TRIES_IN_A_ROW) {
            self.skip = 1 << over.min(SKIP_EXPONENT_MAX);
        }
        self.item.push(context.now.mono);
        asked
    }

    /// The command that an earlier life of ours was about to publish, and that this one may publish again: under the same
    /// number, which ChirpStack takes once.
    pub(super) fn orphan(&self, context: &Context<'_>) -> Option<Asked> {
        let asked = self.progress.asked.filter(|_| self.item.is_of_earlier_life())?;
        let is_in_time = context.now.gps.is_some_and(|gps| gps.session_time() < asked.expires_s);
        let window = self.due(context).window().map(|window| (window.start.session_time(), window.exponent));
        let is_same = match asked.step {
            Step::McSession => window == Some((self.progress.session_asked, self.progress.exponent_asked)),
            Step::SetClock | Step::BlockAns => false,
            _ => true,
        };
        (context.rules.dialect == Dialect::ChirpStack && is_in_time && is_same).then_some(asked)
    }

    /// The orphan goes into the queue.
    pub(super) fn push_again(&mut self, context: &Context<'_>) {
        self.item.push(context.now.mono);
    }

    /// Whether the push of this number is still wanted: its answer may have come while the record was written.
    pub(super) fn wants(&self, item_no: u32) -> bool {
        self.progress.asked.is_some_and(|asked| asked.item_no == item_no) && !self.item.is_answered()
    }

    /// The push was not published: it is as if nobody asked.
    pub(super) fn unpush(&mut self) {
        self.progress.asked = None;
        self.progress.tries = self.progress.tries.saturating_sub(1);
    }

    /// Whether its newest uplink asks for the time, which we answer.
    pub(super) fn has_asked_time(&self) -> bool {
        self.has_asked_time
    }

    /// Where the newest uplink was sent.
    pub(super) fn uplink_place(&self) -> Place {
        (self.frequency_hz, self.modulation.unwrap_or(SLOWEST))
    }

    /// Whether the day's downlinks of the device are spent.
    pub(super) fn is_day_spent(&self, context: &Context<'_>) -> bool {
        let today = context.now.gps.map_or(0, day);
        self.progress.day == today && self.progress.downlinks >= context.rules.max_downlinks_per_day
    }
}

fn day(gps: GpsTime) -> u16 {
    (gps.as_us() / 86_400_000_000) as u16
}
