//! How a fleet proves the root keys of a batch before its devices are told the campaign's session.
//!
//! Devices become canaries at their own uplinks, so that the session's command still goes into the window of that uplink.
//! They are asked twice at most in a session; an answer proves the batch, and silence is weighed when the session is over.

use super::batch::Batch;
use super::device::Device;
use super::due::Context;
use super::due::Hold;
use super::due::LEAD_MIN_S;
use super::due::LEAVES_LATE_US;
use super::fleet::Fleet;
use super::fleet::Output;
use super::question::Question;
use super::records;
use super::setup::Setup;
use super::setup::Window;
use super::standing::Standing;
use super::state::DeviceState;
use super::trial::CANARIES_MAX;
use super::trial::QUESTIONS;
use super::trial::Trial;
use super::trial::TrialSession;
use super::view::state;
use crate::lns::Dialect;
use crate::lorawan::Eui64;
use crate::store::FleetRecord;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

/// The first session begins so soon after its first canary was found, microseconds: a quick server tells it in time.
const FIRST_LEAD_US: u64 = 60_000_000;
/// Later ones are told so many of the canary's usual distances of uplinks beforehand, in halves, and not less.
const HALF_INTERVALS: u64 = 5;
const LEAD_MIN_US: u64 = 120_000_000;
/// An answer needs so long from its device through the network server to us, microseconds.
const ON_ITS_WAY_US: u64 = 10_000_000;
/// A question and its handing over to the forwarder take less, microseconds.
const QUESTION_US: u64 = 5_000_000;
/// Who sends so many times as often as a device is the better canary.
const MUCH_OFTENER: u32 = 2;
/// The longest session is 2^15 s (TS005-1.0.0 3.5).
const EXPONENT_MAX: u8 = 15;

/// So many devices of a batch get ready to be canaries.
const CANDIDATES_MAX: usize = 2 * CANARIES_MAX;

/// How long answers to a question take with this BlockAckDelay, on their way included, microseconds.
fn answers_us(block_ack_delay: u8) -> u64 {
    (16_000_000 << block_ack_delay) + ON_ITS_WAY_US
}

/// TimeOut of the shortest session that has room for a question, its answers, and another question.
fn trial_exponent(guard_us: u64, block_ack_delay: u8) -> u8 {
    let needed_us = 2 * guard_us + answers_us(block_ack_delay) + 2 * QUESTION_US;
    (0..EXPONENT_MAX).find(|exponent| 1_000_000 << exponent >= needed_us).unwrap_or(EXPONENT_MAX)
}

impl Fleet {
    /// Whether batches are to be proved before they are told the session of this setup.
    fn asks_for_proof(&self) -> bool {
        let is_fit =
            |setup: &Setup| !setup.channel.is_always && self.proofs.next_fcnt < setup.canary_fcnts.end;
        self.shared.rules.canaries > 0
            && !self.shared.is_begun
            && self.shared.setup.as_ref().is_some_and(is_fit)
    }

    /// What is told changed: trials of another setup are over.
    pub(super) fn begin_trials(&mut self) {
        self.released.clear();
        if let Some(setup) = self.shared.setup.as_ref() {
            self.proofs.begin(setup.digest());
            self.proofs.next_fcnt = self.proofs.next_fcnt.max(setup.canary_fcnts.start);
        }
        self.stand();
    }

    /// Settles how every device stands to its proof.
    pub(super) fn stand(&mut self) {
        let is_asked = self.asks_for_proof();
        let setup = self.shared.setup.as_ref();
        for device in &mut self.devices {
            let batch = device.member.batch;
            let is_for = setup.is_none_or(|setup| setup.is_for(device.member.dev_eui));
            device.standing = if !is_asked || !is_for || self.proofs.has(batch) {
                Standing::Free
            } else {
                let trial = self.proofs.trials.get(&batch);
                let session = trial.and_then(|trial| trial.session_of(device.member.dev_eui));
                match (trial, session) {
                    (Some(Trial { is_doubted: true, .. }), _) => Standing::Doubted,
                    (_, Some(session)) => Standing::Canary(session.window),
                    _ if self.released.contains(&batch) => Standing::Released,
                    _ => Standing::Waits,
                }
            };
        }
        self.is_gate_due = true;
    }

    /// The device sent just now: it becomes a canary of its batch if one is wanted.
    pub(super) fn volunteer(&mut self, now: Now, index: usize) {
        let (device, context) = (&self.devices[index], self.shared.context(now));
        let (Some(gps), Some(setup)) = (now.gps, context.setup) else { return };
        if device.standing != Standing::Waits || device.next(&context) != Err(Hold::Unproved) {
            return;
        }
        let (batch, dev_eui) = (device.member.batch, device.member.dev_eui);
        let trial = self.proofs.trials.get(&batch);
        let has_session = trial.is_some_and(|trial| trial.session.is_some());
        let shortest = trial_exponent(setup.channel.guard_us, setup.block_ack_delay_of(true));
        let earliest_end = gps.plus_us(FIRST_LEAD_US + (1_000_000 << shortest));
        if !has_session && !is_room(setup, earliest_end, 0) {
            self.released.insert(batch);
            return self.stand();
        }
        let is_ready = device.progress.is_candidate || self.candidates(&context, batch) == 0;
        if !is_ready
            || trial.is_some_and(|trial| trial.has_failed(dev_eui))
            || !self.is_among_the_fastest(&context, index)
        {
            return;
        }
        let block_ack_delay = setup.block_ack_delay_of(device.progress.is_candidate);
        let session = trial.and_then(|trial| trial.session.as_ref());
        let window = match session {
            Some(session) => Some(session.window).filter(|window| {
                let is_in_time = window.start > gps.plus_us(2 * LEAD_MIN_S * 1_000_000);
                is_in_time
                    && block_ack_delay <= session.block_ack_delay
                    && session.canaries.len() < usize::from(self.shared.rules.canaries)
            }),
            None => {
                let lapses = trial.map_or(0, |trial| trial.lapses);
                let interval_s = device.progress.habits.interval_s();
                let exponent = trial_exponent(setup.channel.guard_us, block_ack_delay);
                self.trial_window(setup, gps, lapses, interval_s, exponent)
            }
        };
        let Some(window) = window else { return };
        let trial = self.proofs.trials.entry(batch).or_default();
        let begin =
            || TrialSession { window, canaries: Vec::new(), block_ack_delay, questions: 0, asked: None };
        trial.session.get_or_insert_with(begin).canaries.push(dev_eui);
        self.devices[index].standing = Standing::Canary(window);
        self.keep_proofs();
    }

    /// Whether the device, which is about to get its fragmentation session, is to be ready to be a canary.
    pub(super) fn is_candidate(&self, now: Now, index: usize) -> bool {
        let (device, context) = (&self.devices[index], self.shared.context(now));
        device.standing == Standing::Waits
            && self.candidates(&context, device.member.batch) < CANDIDATES_MAX
            && self.is_among_the_fastest(&context, index)
    }

    /// The devices of a batch that are ready to be canaries, or will be.
    fn candidates(&self, context: &Context<'_>, batch: Batch) -> usize {
        let trial = self.proofs.trials.get(&batch);
        let of_batch = self.devices.iter().filter(|device| device.member.batch == batch);
        let able = of_batch.filter(|device| {
            device.progress.is_candidate
                && !trial.is_some_and(|trial| trial.has_failed(device.member.dev_eui))
                && is_able(state(device, context))
        });
        able.count()
    }

    /// Whether no canary's worth of the batch's other devices sends much oftener.
    fn is_among_the_fastest(&self, context: &Context<'_>, index: usize) -> bool {
        let batch = self.devices[index].member.batch;
        let interval_s = self.devices[index].progress.habits.interval_s();
        let trial = self.proofs.trials.get(&batch);
        let oftener = self.devices.iter().filter(|other| {
            other.member.batch == batch
                && other.progress.habits.interval_s().saturating_mul(MUCH_OFTENER) <= interval_s
                && !trial.is_some_and(|trial| trial.has_failed(other.member.dev_eui))
                && is_able(state(other, context))
        });
        oftener.take(CANARIES_MAX).count() < CANARIES_MAX
    }

    /// The next session for canaries, if there is time for one before the campaign's.
    fn trial_window(
        &self,
        setup: &Setup,
        gps: GpsTime,
        lapses: u8,
        interval_s: u32,
        exponent: u8,
    ) -> Option<Window> {
        // Where all answer at once, two batches are not asked at once either.
        let is_alone = self.shared.rules.canaries == 1;
        if is_alone && self.proofs.trials.values().any(|trial| trial.session.is_some()) {
            return None;
        }
        let interval_us = u64::from(interval_s) * 1_000_000;
        let by_interval_us = (interval_us * HALF_INTERVALS / 2).max(LEAD_MIN_US);
        let lead_us = match self.shared.rules.dialect {
            _ if lapses > 0 => by_interval_us,
            Dialect::ChirpStack => FIRST_LEAD_US,
            // What does not expire may go one uplink later, and others are to join.
            Dialect::TheThingsStack => FIRST_LEAD_US + interval_us * 3 / 2,
        };
        let start_us = gps.plus_us(lead_us).as_us().next_multiple_of(1_000_000);
        let window = Window { start: GpsTime::from_us(start_us), exponent };
        is_room(setup, window.end(), 2 * interval_us).then_some(window)
    }

    /// A canary, or who was one, answered a question under the group's key: its batch is proved.
    pub(super) fn heard(&mut self, index: usize) {
        let Some(at) = self.devices[index].answered_question.take() else { return };
        let device = &self.devices[index];
        let (batch, dev_eui) = (device.member.batch, device.member.dev_eui);
        let Some(trial) = self.proofs.trials.get(&batch) else { return };
        let guard_us = self.shared.setup.as_ref().map_or(0, |setup| setup.channel.guard_us);
        let is_asked_now = trial.session_of(dev_eui).is_some_and(|session| {
            let asked = session.asked.unwrap_or(session.window.start.plus_us(guard_us));
            session.questions > 0 && at >= asked
        });
        if is_asked_now || trial.unanswered.contains_key(&dev_eui) {
            self.devices[index].progress.is_proved = true;
            self.change(index);
            self.prove(batch);
        }
    }

    /// These devices answered what a campaign sent under the group's key: their batches are proved, too.
    pub fn have_answered(&mut self, devices: impl Iterator<Item = Eui64>) {
        for dev_eui in devices {
            let Some(index) = self.by_eui.get(&dev_eui).copied() else { continue };
            let device = &mut self.devices[index];
            let batch = device.member.batch;
            if !core::mem::replace(&mut device.progress.is_proved, true) {
                self.change(index);
            }
            if self.shared.rules.canaries > 0 && !self.proofs.has(batch) {
                self.prove(batch);
            }
        }
    }

    fn prove(&mut self, batch: Batch) {
        self.proofs.prove(batch);
        self.stand();
        self.keep_proofs();
    }

    /// The trial of the device's batch begins anew.
    pub(super) fn try_again(&mut self, index: usize) {
        if self.proofs.trials.remove(&self.devices[index].member.batch).is_some() {
            self.stand();
            self.keep_proofs();
        }
    }

    /// The question with this counter is over on the air at that time.
    pub fn asked(&mut self, fcnt: u32, ended: GpsTime) {
        let Some(batch) = self.questions.remove(&fcnt) else { return };
        let session = self.proofs.trials.get_mut(&batch).and_then(|trial| trial.session.as_mut());
        if let Some(session) = session {
            session.asked = Some(ended);
            self.keep_proofs();
        }
    }

    /// Lets the trials go on; whoever is asked, is so once the counter is on disk.
    pub(super) fn advance_trials(&mut self, now: Now) {
        let (Some(gps), Some(setup)) = (now.gps, self.shared.setup.as_ref()) else { return };
        let guard_us = setup.channel.guard_us;
        let due = |(_, trial): &(&Batch, &Trial)| {
            trial.session.as_ref().is_some_and(|session| session.due(guard_us) <= gps)
        };
        let batches: Vec<Batch> = self.proofs.trials.iter().filter(due).map(|(batch, _)| *batch).collect();
        for batch in batches {
            self.advance_trial(gps, batch, guard_us);
        }
    }

    fn advance_trial(&mut self, gps: GpsTime, batch: Batch, guard_us: u64) {
        let end = self.shared.setup.as_ref().map_or(0, |setup| setup.canary_fcnts.end);
        let Some(trial) = self.proofs.trials.get_mut(&batch) else { return };
        let Some(session) = &mut trial.session else { return };
        let start_s = session.window.start.session_time();
        let told = |dev_eui: &&Eui64| {
            let device = self.by_eui.get(*dev_eui).map(|index| &self.devices[*index]);
            device.is_some_and(|device| device.progress.session_told == start_s)
        };
        let told: Vec<Eui64> = session.canaries.iter().filter(told).copied().collect();
        if session.asked.is_some() {
            told.iter().for_each(|dev_eui| *trial.unanswered.entry(*dev_eui).or_default() += 1);
        }
        let is_first = session.questions == 0;
        let closes = GpsTime::from_us(session.window.end().as_us().saturating_sub(guard_us));
        let is_open = gps.plus_us(QUESTION_US) < closes && (is_first || session.asked.is_some());
        if is_open && session.questions < QUESTIONS && !told.is_empty() && self.proofs.next_fcnt < end {
            session.questions += 1;
            session.asked = None;
            let opens = session.window.start.plus_us(guard_us).max(gps);
            let question = Question { fcnt: self.proofs.next_fcnt, opens, closes };
            self.proofs.next_fcnt += 1;
            self.questions.insert(question.fcnt, batch);
            self.keep_proofs();
            self.unsaved_questions.push((self.proof_saves.0, question));
            return;
        }
        if session.asked.is_none() {
            trial.lapses = trial.lapses.saturating_add(1);
        }
        trial.session = None;
        self.questions.retain(|_, of| *of != batch);
        self.stand();
        self.keep_proofs();
    }

    /// Doubts the keys of batches whose canaries were silent, where no other device could still answer.
    pub(super) fn weigh_trials(&mut self, now: Now) {
        let context = self.shared.context(now);
        let is_silent = |(batch, trial): &(&Batch, &Trial)| {
            let failed = trial.failed().count();
            let others = || {
                let of_batch = self.devices.iter().filter(|device| device.member.batch == **batch);
                let others = of_batch.filter(|device| !trial.has_failed(device.member.dev_eui));
                others.filter(|device| is_able(state(device, &context))).count()
            };
            trial.session.is_none()
                && !trial.is_doubted
                && failed > 0
                && (failed >= CANARIES_MAX || others() == 0)
        };
        let silent: Vec<Batch> =
            self.proofs.trials.iter().filter(is_silent).map(|(batch, _)| *batch).collect();
        for batch in silent {
            let Some(trial) = self.proofs.trials.get_mut(&batch) else { continue };
            trial.is_doubted = true;
            let canaries = trial.failed().filter_map(|dev_eui| self.by_eui.get(&dev_eui));
            let names = canaries.map(|index| self.devices[*index].member.name.clone()).collect();
            let setup = self.shared.setup.as_ref();
            let is_for = |device: &&Device| setup.is_none_or(|setup| setup.is_for(device.member.dev_eui));
            let of_batch = self.devices.iter().filter(|device| device.member.batch == batch);
            let devices = of_batch.filter(is_for).count();
            self.outputs.push_back(Output::KeysDoubted { canaries: names, devices });
            self.stand();
            self.keep_proofs();
        }
    }

    /// Whether the root keys of some devices are doubted.
    pub fn is_doubted(&self) -> bool {
        self.proofs.trials.values().any(|trial| trial.is_doubted)
    }

    /// When [`Fleet::advance_trials`] wants to be called again.
    pub(super) fn trials_wake_at(&self, now: Now) -> Option<Instant> {
        let setup = self.shared.setup.as_ref()?;
        let due = |session: &TrialSession| session.due(setup.channel.guard_us);
        let sessions = self.proofs.trials.values().filter_map(|trial| trial.session.as_ref());
        sessions.map(due).min().and_then(|due| now.instant_of(due)).filter(|due| *due > now.mono)
    }

    fn keep_proofs(&mut self) {
        self.proof_saves.0 += 1;
        let id = records::id(self.key, records::PROOFS);
        let bytes = self.proofs.to_bytes(self.key);
        self.outputs.push_back(Output::Save(FleetRecord { id, bytes }));
    }

    /// A record of proofs is durable, or not: questions whose counters it holds may go.
    pub(super) fn proofs_saved(&mut self, is_durable: bool) {
        self.proof_saves.1 += 1;
        if is_durable {
            let saved = self.proof_saves.1;
            let ready = self.unsaved_questions.extract_if(.., |(save, _)| *save <= saved);
            self.outputs.extend(ready.map(|(_, question)| Output::Ask(question)));
        }
    }
}

impl TrialSession {
    /// When something is to be done about it.
    fn due(&self, guard_us: u64) -> GpsTime {
        match self.asked {
            _ if self.questions == 0 => self.window.start,
            Some(asked) => asked.plus_us(answers_us(self.block_ack_delay)),
            // Whether it was asked is known by then.
            None => self.window.end().plus_us(guard_us),
        }
    }
}

/// Whether a canary that leaves its session by `end` can be told the campaign's, which takes it so long.
fn is_room(setup: &Setup, end: GpsTime, telling_us: u64) -> bool {
    let told_by = end.plus_us(LEAVES_LATE_US + telling_us + 2 * LEAD_MIN_S * 1_000_000);
    setup.windows.first().is_none_or(|first| told_by < first.start)
}

/// Whether a device in this state may still become a canary.
fn is_able(state: DeviceState) -> bool {
    matches!(state, DeviceState::Initial | DeviceState::Asked(_) | DeviceState::Told | DeviceState::Proved)
}
