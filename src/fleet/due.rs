//! Which command of a dialogue is due, and what keeps it back.

use super::progress::Progress;
use super::rules::FleetRules;
use super::setup::Setup;
use super::setup::Window;
use super::standing::Standing;
use super::step::Step;
use crate::lns::Dialect;
use crate::lorawan::Eui64;
use crate::lorawan::PackageVersion;
use crate::time::GpsTime;
use crate::time::Now;

/// An item lives at least and at most so long in a queue, seconds.
const LIFETIME_S: core::ops::RangeInclusive<u32> = 300..=172_800;
/// A command for a session is useless so shortly before its start, seconds.
pub(super) const LEAD_MIN_S: u64 = 20;
/// A device with so many uplinks in the lead of a session waits for it.
const CHANCES: u64 = 4;
/// With no more uplinks before a session that has a fixed start a device is told it although its batch is not proved.
const LAST_CHANCES: u64 = 3;
/// A device may leave a session so late, microseconds.
pub(super) const LEAVES_LATE_US: u64 = 30_000_000;
/// The bytes of version 1 are tried so often behind the question for the version. A device of version 2 finds its
/// command too short and answers the question alone, or nothing: then it is asked for the version alone.
const GUESSES_MAX: u8 = 2;

/// What a dialogue looks at besides its device.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) now: Now,
    pub(super) setup: Option<&'a Setup>,
    pub(super) rules: &'a FleetRules,
    pub(super) frag_fport: u8,
    /// The campaign's first fragment was sent.
    pub(super) is_begun: bool,
    /// Fragments of the key were sent, in this campaign or one that is over.
    pub(super) has_sent: bool,
    /// Versions are asked although nothing is to be set up.
    pub(super) is_survey: bool,
    /// Nothing more of the campaign is told for now.
    pub(super) is_put_off: bool,
}

impl<'a> Context<'a> {
    /// Whether no session is to come: no campaign is set up, or it was sent in all its sessions and no device is in one.
    pub(super) fn is_quiet(&self) -> bool {
        let Some(setup) = self.setup else { return true };
        let is_over =
            |gps: GpsTime| setup.windows.iter().all(|window| window.end().plus_us(LEAVES_LATE_US) <= gps);
        self.is_begun && !setup.windows.is_empty() && self.now.gps.is_some_and(is_over)
    }

    /// Whether what is set up is for other devices only.
    pub(super) fn is_left_out(&self, dev_eui: Eui64) -> bool {
        self.setup.is_some_and(|setup| !setup.is_for(dev_eui))
    }

    /// What the device's dialogue looks at: for one that is left out there is no campaign.
    pub(super) fn of(self, dev_eui: Eui64) -> Context<'a> {
        match self.is_left_out(dev_eui) {
            true => Context { setup: None, is_begun: false, is_put_off: false, ..self },
            false => self,
        }
    }
}

/// What a batch without a proof is held back for, and what else it may be.
const DOUBTED: &str = "root keys are probably wrong: no canary of its batch answered a question under the group's key; it may also be the session's frequency or data rate, a McAddr that another device has, devices that are not Class C, or their clocks: prepare the list anew with the right keys, or mend that and say `fuotad devices retry`";

/// Why no command goes to a device now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Everything was told and answered.
    Done,
    /// No campaign is to be set up.
    NoSetup,
    /// The dialogue is over.
    Stopped,
    /// The campaign is put off.
    PutOff,
    /// An item of ours waits in the queue.
    OurItem,
    /// Items of others wait in the queue.
    ForeignItem,
    /// This gateway does not hear the device well enough.
    Reach,
    /// The device left many commands unanswered: it is asked at a later uplink.
    Unanswered,
    /// The command is longer than the device's present data rate allows.
    TooLong,
    /// The first fragment was sent before the device was told.
    Begun,
    /// Only coded fragments are sent, and it does not hold their fragmentation session.
    NotHeld,
    /// The device is in a session.
    InSession,
    /// Our own clock is not trusted.
    NoClock,
    /// The start of the session is not known yet.
    NoStart,
    /// The start is further ahead than a device keeps a session, and it sends often enough to be told later.
    Far,
    /// The start is so near that the command might come late.
    TooLate,
    /// The root keys of its batch are still to be proved.
    Unproved,
    /// It is told the short session in which its batch is proved.
    Canary,
    /// The root keys of its batch are probably wrong.
    Doubted,
}

impl Hold {
    /// One line for people.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Hold::Done => "everything was told",
            Hold::NoSetup => "no campaign is to be set up",
            Hold::Stopped => "the dialogue is over",
            Hold::PutOff => "its task is paused (`fuotad resume`), or its file is not there",
            Hold::OurItem => "a command of ours waits in its queue",
            Hold::ForeignItem => "downlinks of another application wait in its queue",
            Hold::Reach => "this gateway does not hear it well enough",
            Hold::Unanswered => "it left many commands unanswered and is asked at a later uplink",
            Hold::TooLong => "the command is too long for its present data rate",
            Hold::Begun => "the first fragment was sent before it was told",
            Hold::NotHeld => {
                "coded fragments alone are sent, and it does not hold their session: it needs the whole image (`fuotad rerun --whole`)"
            }
            Hold::InSession => "it is in a session",
            Hold::NoClock => "this gateway's clock is not trusted",
            Hold::NoStart => "the start of its session is not known yet",
            Hold::Far => "its session is told nearer to the start",
            Hold::TooLate => "the start is too near",
            Hold::Unproved => "a canary of its batch is asked under the group's key first",
            Hold::Canary => "it is a canary: in a short session it is asked under the group's key",
            Hold::Doubted => DOUBTED,
        }
    }
}

/// A device's progress in what surrounds it.
#[derive(Clone, Copy)]
pub(super) struct Due<'a> {
    pub(super) progress: &'a Progress,
    pub(super) standing: Standing,
    pub(super) context: &'a Context<'a>,
}

impl Due<'_> {
    /// The first step that is not done, as far as the campaign allows it now.
    pub(super) fn step(self, has_correction: bool) -> Result<Step, Hold> {
        let Due { progress, standing, context } = self;
        let Some(setup) = context.setup else {
            let is_asked = context.is_survey && !progress.has_done(Step::FragVersion);
            return if is_asked { Ok(Step::FragVersion) } else { Err(Hold::NoSetup) };
        };
        if setup.is_coded_only && !progress.has_done(Step::FragSession) {
            return Err(Hold::NotHeld);
        }
        let version = setup.channel.ts004_version;
        let is_version_known = progress.has_version(version);
        if !is_version_known && version == PackageVersion::V2 {
            return Ok(Step::FragVersion);
        }
        if context.now.gps.is_some_and(|gps| self.is_in_session(gps)) {
            return Err(Hold::InSession);
        }
        for step in [Step::McGroup, Step::FragSession] {
            if !progress.has_done(step) {
                let is_guess = step == Step::FragSession && !is_version_known;
                return match context.is_begun {
                    true => Err(Hold::Begun),
                    false if is_guess && progress.tries >= GUESSES_MAX => Ok(Step::FragVersion),
                    false => self.in_time(setup, step, |gps| window_to_tell(setup, gps)),
                };
            }
        }
        if !is_version_known {
            return Ok(Step::FragVersion);
        }
        if has_correction {
            return Ok(Step::SetClock);
        }
        if setup.channel.is_always {
            return Err(Hold::Done);
        }
        if setup.windows.is_empty() && standing == Standing::Free {
            return Err(Hold::NoStart);
        }
        let gps = context.now.gps.ok_or(Hold::NoClock)?;
        // Where nobody doubts the clock the answer to the session's command tells it.
        if progress.is_clock_doubted {
            return Ok(Step::ClockCheck);
        }
        match standing {
            Standing::Doubted => return Err(Hold::Doubted),
            Standing::Waits if !self.is_told_campaign() && !self.is_pressed(gps) => {
                return Err(Hold::Unproved);
            }
            _ => {}
        }
        let window = self.window().ok_or(Hold::TooLate)?;
        if self.has_told(window, gps, context.rules.max_lead_us) {
            let is_canary = matches!(standing, Standing::Canary(_));
            return Err(if is_canary { Hold::Canary } else { Hold::Done });
        }
        let max_lead_s = context.rules.max_lead_us / 1_000_000;
        let has_chances = CHANCES * u64::from(progress.habits.interval_s()) <= max_lead_s;
        if has_chances && window.start.us_since(gps) / 1_000_000 > max_lead_s {
            return Err(Hold::Far);
        }
        self.in_time(setup, Step::McSession, |_| Some(window))
    }

    /// The step, unless its item could still be in the queue when the session begins.
    fn in_time(
        self,
        setup: &Setup,
        step: Step,
        window: impl Fn(GpsTime) -> Option<Window>,
    ) -> Result<Step, Hold> {
        let is_open = setup.windows.is_empty() && step != Step::McSession;
        let Some(gps) = self.context.now.gps else {
            return if is_open { Ok(step) } else { Err(Hold::NoClock) };
        };
        if is_open {
            return Ok(step);
        }
        let window = window(gps).ok_or(Hold::TooLate)?;
        let left_s = window.start.us_since(gps) / 1_000_000;
        let needed_s = match self.context.rules.dialect {
            Dialect::ChirpStack => LEAD_MIN_S,
            // An item that misses this uplink's window goes in the next one's.
            Dialect::TheThingsStack => u64::from(self.progress.habits.interval_s()) * 5 / 4 + LEAD_MIN_S,
        };
        if left_s >= needed_s { Ok(step) } else { Err(Hold::TooLate) }
    }

    /// Whether the device confirmed this session, and not so long before its start that it is to be asked again.
    fn has_told(self, window: Window, gps: GpsTime, max_lead_us: u64) -> bool {
        let start_s = window.start.session_time();
        let max_lead_s = max_lead_us / 1_000_000;
        let lead_s = u64::from(start_s.saturating_sub(self.progress.told_s));
        let is_near = window.start.us_since(gps) / 1_000_000 <= max_lead_s;
        self.progress.session_told == start_s && !(lead_s > max_lead_s && is_near)
    }

    /// Whether the device may be in the session that it was told, confirmed or not, or is about to begin it.
    fn is_in_session(self, gps: GpsTime) -> bool {
        let progress = self.progress;
        let told = (progress.session_told, progress.exponent_told);
        let asked = (progress.session_asked, progress.exponent_asked);
        [told, asked].into_iter().filter(|(start_s, _)| *start_s != 0).any(|(start_s, exponent)| {
            let window = Window { start: near(start_s, gps), exponent };
            let begins = window.start.as_us().saturating_sub(2 * LEAD_MIN_S * 1_000_000);
            (begins..window.end().plus_us(LEAVES_LATE_US).as_us()).contains(&gps.as_us())
        })
    }

    /// When a device that is in a session of its own can have been told another one: at its next uplink, which must come
    /// early enough where nothing expires.
    pub(super) fn told_again_by(self, gps: GpsTime) -> Option<GpsTime> {
        let window =
            Window { start: near(self.progress.session_told, gps), exponent: self.progress.exponent_told };
        let is_in = self.progress.session_told != 0 && self.is_in_session(gps);
        let interval_us = u64::from(self.progress.habits.interval_s()) * 1_000_000;
        let spare_us = match self.context.rules.dialect {
            Dialect::ChirpStack => 0,
            Dialect::TheThingsStack => interval_us * 5 / 4,
        };
        let lead_us = interval_us + spare_us + 2 * LEAD_MIN_S * 1_000_000;
        is_in.then(|| window.end().plus_us(LEAVES_LATE_US + lead_us))
    }

    /// The session that is to be told next.
    pub(super) fn window(self) -> Option<Window> {
        let (setup, gps) = (self.context.setup?, self.context.now.gps?);
        match self.standing {
            Standing::Canary(window) => Some(window).filter(|window| window.start > earliest(gps)),
            _ => window_to_tell(setup, gps),
        }
    }

    /// Whether the campaign's session begins so soon that there is no time for a proof before it.
    pub(super) fn is_pressed(self, gps: GpsTime) -> bool {
        let window = self.context.setup.and_then(|setup| window_to_tell(setup, gps));
        let left_s = window.map(|window| window.start.us_since(gps) / 1_000_000);
        let chances_s = LAST_CHANCES * u64::from(self.progress.habits.interval_s()) + 2 * LEAD_MIN_S;
        left_s.is_some_and(|left_s| left_s < chances_s)
    }

    /// Whether the device confirmed a session of the campaign.
    fn is_told_campaign(self) -> bool {
        let told = self.progress.session_told;
        let is_window = |window: &Window| window.start.session_time() == told;
        self.context.setup.is_some_and(|setup| setup.windows.iter().any(is_window))
    }

    /// Whether all was told that can be told now: everything but a session without a start.
    pub(super) fn is_told(self) -> bool {
        let Some(setup) = self.context.setup else { return false };
        let needed = [Step::FragVersion, Step::McGroup, Step::FragSession];
        let is_set_up = needed.into_iter().all(|step| self.progress.has_done(step));
        let is_early = || match self.step(false) {
            Err(Hold::Far | Hold::NoStart) => true,
            // A canary's own session, while the campaign has no start.
            Err(Hold::InSession) => self.standing == Standing::Free && setup.windows.is_empty(),
            _ => false,
        };
        is_set_up && (setup.channel.is_always || self.is_told_campaign() || is_early())
    }

    /// GPS seconds at which the server drops the item of a command; `u32::MAX` where it never does.
    pub(super) fn expires_s(self, step: Step) -> u32 {
        let (Dialect::ChirpStack, Some(gps)) = (self.context.rules.dialect, self.context.now.gps) else {
            return u32::MAX;
        };
        let lifetime_s =
            (2 * self.progress.habits.interval_s()).clamp(*LIFETIME_S.start(), *LIFETIME_S.end());
        let expires_s = gps.session_time().saturating_add(lifetime_s);
        match (step, self.window()) {
            (Step::McGroup | Step::FragSession | Step::McSession, Some(window)) => {
                expires_s.min(window.start.session_time().saturating_sub(LEAD_MIN_S as u32 / 2))
            }
            _ => expires_s,
        }
    }
}

/// The first session whose command would still come in time.
fn window_to_tell(setup: &Setup, gps: GpsTime) -> Option<Window> {
    let earliest = earliest(gps);
    setup.windows.iter().find(|window| window.start > earliest).copied()
}

/// What starts later than this can still be told.
fn earliest(gps: GpsTime) -> GpsTime {
    gps.plus_us(LEAD_MIN_S * 1_000_000)
}

/// The GPS time with these seconds modulo 2^32 that is nearest to `gps`.
pub(super) fn near(session_time: u32, gps: GpsTime) -> GpsTime {
    let distance_s = i64::from(session_time.wrapping_sub(gps.session_time()).cast_signed());
    let whole_s = (gps.as_us() / 1_000_000).saturating_add_signed(distance_s);
    GpsTime::from_us(whole_s * 1_000_000)
}
