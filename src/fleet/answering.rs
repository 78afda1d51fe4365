//! What a device's answers mean for its dialogue.

use super::answer::Answer;
use super::command::session_mic;
use super::device::Device;
use super::due::Context;
use super::due::near;
use super::judge::ClockVerdict;
use super::judge::TimedAnswer;
use super::progress::Stop;
use super::setup::Setup;
use super::state::Refusal;
use super::step::Step;
use crate::lorawan::PackageVersion;
use crate::lorawan::ts004::FragSessionSetupAns;
use crate::lorawan::ts005::McSessionAns;
use crate::time::GpsTime;

/// So many bad answers of one kind end a dialogue; stacks also answer badly when they are merely busy.
const BAD_ANSWERS_MAX: u8 = 3;
/// AppTimeReq that nobody asked for is so old at most when its uplink ends, microseconds.
const TIME_REQUEST_AGE_US: u64 = 5_000_000;
/// An answer whose command is not known to have gone may be so old, microseconds.
const ANSWER_AGE_US: u64 = 3_600_000_000;

impl Device {
    /// The step was answered: whatever of it still waits in the queue is waited for.
    pub(super) fn settle(&mut self, step: Step) {
        let is_asked = self.progress.asked.is_some_and(|asked| asked.step == step);
        if is_asked && self.item.answer(self.progress.tries > 1) {
            self.progress.asked = None;
        }
        (self.progress.tries, self.skip) = (0, 0);
    }

    pub(super) fn well(&mut self, step: Step) {
        self.settle(step);
        self.progress.done |= step.bit();
        if step == Step::ClockCheck {
            self.progress.is_clock_doubted = false;
        }
        // A clock that is right by its own answer may still be what the session's answers are bad for.
        if !matches!(step, Step::ClockCheck | Step::SetClock) {
            self.progress.bad_answers = 0;
        }
    }

    /// A bad answer that may be a better one next time; after some it is the last one.
    fn badly(&mut self, step: Step, refusal: Refusal) {
        self.settle(step);
        self.progress.bad_answers += 1;
        if self.progress.bad_answers >= BAD_ANSWERS_MAX {
            self.refuse(step, refusal);
        }
    }

    fn refuse(&mut self, step: Step, refusal: Refusal) {
        self.settle(step);
        self.progress.stop = Some(Stop::Refused(refusal));
    }

    pub(super) fn answer(&mut self, context: &Context<'_>, answer: Answer, ended: Option<GpsTime>) {
        let is_of_fragments = matches!(answer, Answer::Status { .. } | Answer::BlockReceived);
        if self.progress.stop.is_some() && !is_of_fragments {
            return;
        }
        let asked_for = |step: Step| self.progress.has_asked(step);
        let is_foreign = match answer {
            Answer::Foreign => true,
            Answer::McGroup { .. } => !asked_for(Step::McGroup),
            Answer::FragSession(_) => !asked_for(Step::FragSession),
            Answer::McSession(_) => !asked_for(Step::McSession),
            _ => false,
        };
        if is_foreign {
            self.progress.stop = Some(Stop::Conflict);
            return;
        }
        match answer {
            Answer::FragVersion(version) => self.frag_version(context, version),
            Answer::SetupVersion(version) => {
                self.progress.ts005 = version;
                if PackageVersion::from_number(version).is_none() {
                    self.refuse(Step::McGroup, Refusal::SetupVersion(version));
                }
            }
            Answer::ClockVersion(version) => self.progress.ts003 = version,
            Answer::McGroup { .. } if self.progress.has_done(Step::McGroup) => {}
            Answer::McGroup { id_error: false } => self.well(Step::McGroup),
            Answer::McGroup { id_error: true } => self.badly(Step::McGroup, Refusal::GroupId),
            Answer::FragSession(_) if self.progress.has_done(Step::FragSession) => {}
            Answer::FragSession(answer) => self.frag_session(context, answer),
            Answer::Time { device_time, token, wants_answer } => {
                self.time(context, device_time, token, wants_answer, ended);
            }
            Answer::McSession(answer) => self.mc_session(context, answer, ended),
            Answer::Status { has_received } => {
                self.progress.is_proved |= has_received && context.has_sent;
                match self.progress.asked {
                    Some(asked) if asked.step == Step::Status => self.settle(Step::Status),
                    // After a campaign a device is asked alone, without the key.
                    _ => self.answered_question = ended.filter(|_| context.setup.is_some()),
                }
            }
            Answer::BlockReceived => {
                self.progress.is_proved |= context.has_sent;
                self.owes_ack = self.progress.has_done(Step::FragSession);
            }
            Answer::Foreign => {}
        }
    }

    fn frag_version(&mut self, context: &Context<'_>, version: u8) {
        self.progress.ts004 = version;
        self.well(Step::FragVersion);
        let wanted = context.setup.map(|setup| setup.channel.ts004_version.number());
        let is_usable =
            wanted.map_or(PackageVersion::from_number(version).is_some(), |wanted| wanted == version);
        if !is_usable {
            self.refuse(Step::FragSession, Refusal::FragVersion(version));
        }
    }

    fn frag_session(&mut self, context: &Context<'_>, answer: FragSessionSetupAns) {
        let refusal = match answer {
            _ if answer.is_accepted() => {
                self.progress.holds = context.setup.map_or([0; 8], Setup::frag_session);
                return self.well(Step::FragSession);
            }
            FragSessionSetupAns { encoding_unsupported: true, .. } => Refusal::FragAlgo,
            FragSessionSetupAns { not_enough_memory: true, .. } => Refusal::Memory,
            FragSessionSetupAns { frag_index_not_supported: true, .. } => Refusal::FragIndex,
            FragSessionSetupAns { wrong_descriptor: true, .. } => Refusal::Descriptor,
            _ => {
                // The next larger count, if one is prepared.
                self.settle(Step::FragSession);
                self.progress.ever_asked &= !Step::FragSession.bit();
                let setup = context.setup;
                if setup.is_some_and(|setup| session_mic(&self.member, &self.progress, setup).is_some()) {
                    return;
                }
                Refusal::SessionCnt
            }
        };
        self.refuse(Step::FragSession, refusal);
    }

    fn time(
        &mut self,
        context: &Context<'_>,
        device_time: u32,
        token: u8,
        wants: bool,
        ended: Option<GpsTime>,
    ) {
        let Some(ended) = ended else { return };
        let is_asked = self.progress.asked.is_some_and(|asked| asked.step == Step::ClockCheck);
        let asked_at = self.item.sent_at().filter(|_| is_asked).and_then(|at| context.now.gps_at(at));
        let recently = GpsTime::from_us(ended.as_us().saturating_sub(TIME_REQUEST_AGE_US));
        let timed = TimedAnswer { asked: asked_at.unwrap_or(recently), ended };
        let guard_us = context.setup.map_or(0, |setup| setup.channel.guard_us);
        let verdict = timed.device_time(device_time, guard_us);
        let is_right = verdict == ClockVerdict::Right;
        self.has_asked_time = context.rules.answers_time && wants;
        if context.rules.answers_time && (wants || !is_right) {
            let seconds = ended.session_time().wrapping_sub(device_time).cast_signed();
            self.correction = Some((if is_right { 0 } else { seconds }, token));
        }
        if is_right {
            self.well(Step::ClockCheck);
        } else if is_asked && !context.rules.answers_time {
            self.progress.is_clock_doubted = true;
            self.badly(Step::ClockCheck, Refusal::Clock);
        } else {
            self.settle(Step::ClockCheck);
        }
    }

    fn mc_session(&mut self, context: &Context<'_>, answer: McSessionAns, ended: Option<GpsTime>) {
        let is_busy = answer.dr_error && answer.freq_error && answer.mc_group_undefined;
        match answer {
            McSessionAns { time_to_start: Some(time_to_start), .. } => {
                self.session_accepted(context, time_to_start, ended);
            }
            _ if is_busy => self.badly(Step::McSession, Refusal::GroupUndefined),
            McSessionAns { dr_error: true, .. } => self.refuse(Step::McSession, Refusal::DataRate),
            McSessionAns { freq_error: true, .. } => self.refuse(Step::McSession, Refusal::Frequency),
            // So a wrong clock looks as well, on stacks that have no other bit for a start in the past.
            McSessionAns { mc_group_undefined: true, .. } => {
                self.progress.is_clock_doubted = true;
                self.badly(Step::McSession, Refusal::GroupUndefined);
            }
            _ => self.wrong_clock(),
        }
    }

    fn session_accepted(&mut self, context: &Context<'_>, time_to_start: u32, ended: Option<GpsTime>) {
        let (Some(ended), Some(setup)) = (ended, context.setup) else { return };
        let asked_at = self.item.since().and_then(|at| context.now.gps_at(at));
        let long_ago = GpsTime::from_us(ended.as_us().saturating_sub(ANSWER_AGE_US));
        let start = near(self.progress.session_asked, ended);
        let timed = TimedAnswer { asked: asked_at.unwrap_or(long_ago), ended };
        match timed.time_to_start(time_to_start, start, setup.channel.guard_us) {
            ClockVerdict::Right => {
                self.well(Step::McSession);
                self.progress.session_told = self.progress.session_asked;
                self.progress.exponent_told = self.progress.exponent_asked;
                self.progress.told_s = ended.session_time();
            }
            ClockVerdict::Wrong(_) | ClockVerdict::Unknown => self.wrong_clock(),
        }
    }

    /// The clock comes first.
    fn wrong_clock(&mut self) {
        self.progress.is_clock_doubted = true;
        self.progress.session_told = 0;
        self.badly(Step::McSession, Refusal::Clock);
    }
}
