//! An end device, with everything it was told and heard.

use crate::fragment::DataFragment;
use crate::fragment::Ts004Version;
use crate::lorawan::FRAME_OVERHEAD;
use crate::lorawan::McAddr;
use crate::lorawan::PackageVersion;
use crate::lorawan::ts004;
use crate::lorawan::ts005::MAX_GROUPS;
use crate::sim::concentrator::Transmission;
use crate::sim::device::block::Block;
use crate::sim::device::block::Outcome;
use crate::sim::device::group::Group;
use crate::sim::device::group::Stage;
use crate::sim::device::settings::Settings;
use crate::sim::device::stack::Rules;
use crate::sim::device::status::State;
use crate::sim::device::status::Status;
use crate::sim::random::Random;
use crate::time::Instant;
use crate::time::Now;

/// Most uplinks of its own accord that a device keeps; more are forgotten.
const MAX_REPORTS: usize = 4;

/// BlockAckDelay 0 stands for 2^4 seconds.
const BLOCK_ACK_BASE_US: u64 = 16_000_000;

/// One end device. Time may only go forward from call to call.
#[derive(Clone, Debug)]
pub struct Device {
    pub(super) settings: Settings,
    pub(super) groups: [Option<Group>; MAX_GROUPS],
    pub(super) block: Option<Block>,
    /// By FragIndex (TS004-2.0.0 3.3).
    pub(super) session_cnt_prev: [Option<u16>; 4],
    pub(super) deaf_until: Option<Instant>,
    pub(super) dropped: u32,
    pub(super) reports: Vec<Report>,
    /// Microseconds ahead of GPS time.
    pub(super) clock_error_us: i64,
    pub(super) time_token: u8,
    pub(super) time_out_of_group_0: u8,
    /// Class C time with groups that are no more, microseconds.
    pub(super) listened_us: u64,
    pub(super) listened_until_complete_us: Option<u64>,
    /// When the first group was set up: a permanent Class C device listens since then.
    pub(super) permanent_since: Option<Instant>,
    missed_deaf: u32,
    refusals: Vec<(Command, String)>,
    random: Random,
}

/// An uplink that a device will send of its own accord.
#[derive(Clone, Debug)]
pub(super) struct Report {
    due: Instant,
    bytes: Vec<u8>,
    times_left: u8,
    /// The FragIndex whose completion it reports.
    pub block: Option<u8>,
}

impl Report {
    /// To be sent once.
    pub(super) fn once(bytes: Vec<u8>) -> Report {
        Report { due: Instant::ZERO, bytes, times_left: 1, block: None }
    }

    /// That the block with this FragIndex is there, until the server has heard it, at most `times`.
    pub(super) fn of_block(frag_index: u8, bytes: Vec<u8>, times: u8) -> Report {
        Report { due: Instant::ZERO, bytes, times_left: times, block: Some(frag_index) }
    }
}

/// How a payload came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Unicast,
    /// From the group with this McGroupID.
    Multicast(u8),
}

/// A command that a device can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    McGroupSetup,
    McClassCSession,
    FragSessionSetup,
}

impl Device {
    /// A device that was told nothing yet. `random` decides when it sends reports of its own accord.
    pub fn new(settings: Settings, random: Random) -> Device {
        Device {
            clock_error_us: settings.clock_error_us,
            settings,
            groups: [const { None }; MAX_GROUPS],
            block: None,
            session_cnt_prev: [None; 4],
            deaf_until: None,
            dropped: 0,
            reports: Vec::new(),
            time_token: 0,
            time_out_of_group_0: 0,
            listened_us: 0,
            listened_until_complete_us: None,
            permanent_since: None,
            missed_deaf: 0,
            refusals: Vec::new(),
            random,
        }
    }

    /// The settings that the device was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A Class A downlink with the FRMPayload `payload`; the answers as (FPort, FRMPayload) of uplinks. The
    /// answers to several commands come in one uplink, as stacks send them. Ports are the packages' defaults;
    /// on others nothing happens.
    ///
    /// Real stacks delay their answer to FragSessionStatusReq by up to 2^(BlockAckDelay + 4) s even when asked
    /// alone; here it comes at once.
    pub fn unicast(&mut self, now: Now, fport: u8, payload: &[u8]) -> Vec<(u8, Vec<u8>)> {
        self.settle(now.mono);
        let answers = self.application(now, fport, payload, Source::Unicast);
        if answers.is_empty() { Vec::new() } else { vec![(fport, answers)] }
    }

    /// What it sends of its own accord and is due by now, as (FPort, FRMPayload); to be asked until `None`:
    /// FragDataBlockReceivedReq (TS004-2.0.0 3.5) and answers to what was asked by multicast.
    pub fn take_uplink(&mut self, now: Now) -> Option<(u8, Vec<u8>)> {
        let index = self.reports.iter().position(|report| report.due <= now.mono)?;
        let mut report = self.reports.remove(index);
        let bytes = report.bytes.clone();
        report.times_left = report.times_left.saturating_sub(1);
        if report.times_left > 0 {
            self.report_later(now.mono, report);
        }
        Some((ts004::FPORT, bytes))
    }

    /// When it will send something of its own accord, if it will.
    pub fn report_due(&self) -> Option<Instant> {
        self.reports.iter().map(|report| report.due).min()
    }

    /// A frame that the air did not lose, at its end.
    pub fn hear(&mut self, now: Now, transmission: &Transmission) {
        // The address first: most of what is on the air is for others.
        let Some(id) = self.group_of(&transmission.phy_payload) else { return };
        self.settle(transmission.start);
        if !self.listens(id, now.mono, transmission) {
            return;
        }
        if self.is_idle_fragment(transmission.phy_payload.len()) {
            return;
        }
        if self.deaf_until.is_some_and(|until| transmission.start < until) {
            self.missed_deaf += 1;
            return;
        }
        let rules = self.rules();
        let phy = &transmission.phy_payload;
        let opened = self.groups[id].as_mut().and_then(|group| group.open(rules, now.mono, phy));
        let Some(opened) = opened else {
            self.dropped += 1;
            return;
        };
        let source = Source::Multicast(id as u8);
        let answers = self.application(now, opened.fport, &opened.payload, source);
        if !answers.is_empty() {
            self.report_later(now.mono, Report::once(answers));
        }
    }

    /// The device's progress in its campaign at `now`.
    pub fn status(&self, now: Now) -> Status {
        let block = self.block.as_ref();
        Status {
            state: self.state(now.mono),
            heard: block.map_or(0, |block| block.heard),
            lost_uncoded: block.map_or(0, Block::lost_uncoded),
            missed_deaf: self.missed_deaf,
            dropped: self.dropped,
            coded_used: block.map_or(0, Block::coded_used),
            listening_us: self.listening_us(now),
            first_heard: block.and_then(|block| block.first_heard),
            last_heard: block.and_then(|block| block.last_heard),
        }
    }

    /// The image, once complete (and, in version 2, right by its MIC).
    pub fn image(&self) -> Option<&[u8]> {
        self.block.as_ref().and_then(Block::image)
    }

    /// Class C time until now, microseconds: of every session from its start until the image is complete or the
    /// session ends; with permanent Class C since the first group was set up.
    pub fn listening_us(&self, now: Now) -> u64 {
        self.listened_until_complete_us.unwrap_or_else(|| self.class_c_us(now.mono))
    }

    pub(super) fn rules(&self) -> &'static Rules {
        self.settings.stack.rules()
    }

    pub(super) fn package_version(&self) -> PackageVersion {
        match self.settings.ts004_version {
            Ts004Version::V1 => PackageVersion::V1,
            Ts004Version::V2 => PackageVersion::V2,
        }
    }

    pub(super) fn class_c_us(&self, at: Instant) -> u64 {
        if self.settings.permanent_class_c.is_some() {
            return self.permanent_since.map_or(0, |since| at.us_since(since));
        }
        let of_group = |group: &Group| {
            let mut timetable = group.timetable;
            timetable.settle(at);
            timetable.listening_us(at)
        };
        self.listened_us + self.groups.iter().flatten().map(of_group).sum::<u64>()
    }

    pub(super) fn refuse(&mut self, command: Command, why: String) {
        self.accept(command);
        self.refusals.push((command, format!("{command:?}: {why}")));
    }

    /// Forgets an earlier refusal of the kind.
    pub(super) fn accept(&mut self, command: Command) {
        self.refusals.retain(|(refused, _)| *refused != command);
    }

    /// Sends it at a random time within BlockAckDelay (TS004-1.0.0 3.2).
    pub(super) fn report_later(&mut self, at: Instant, report: Report) {
        let exponent = self.block.as_ref().map_or(0, |block| block.setup.block_ack_delay);
        let base_us = if self.rules().delays_in_ms { BLOCK_ACK_BASE_US / 1000 } else { BLOCK_ACK_BASE_US };
        let due = at.plus_us(self.random.below(base_us << exponent));
        if self.reports.len() < MAX_REPORTS {
            self.reports.push(Report { due, ..report });
        }
    }

    fn settle(&mut self, at: Instant) {
        let rules = self.rules();
        for group in self.groups.iter_mut().flatten() {
            group.settle(rules, at);
        }
    }

    /// The McGroupID of the group a frame is addressed to.
    fn group_of(&self, phy: &[u8]) -> Option<usize> {
        let &[_, a, b, c, d, ..] = phy else { return None };
        let mc_addr = McAddr::new(u32::from_le_bytes([a, b, c, d]));
        self.groups.iter().position(|group| group.as_ref().is_some_and(|group| group.mc_addr == mc_addr))
    }

    /// Whether the radio is on the frame's channel from its first symbol to its last.
    fn listens(&self, id: usize, end: Instant, frame: &Transmission) -> bool {
        let running = self.groups[id].as_ref().and_then(|group| group.timetable.running());
        let place = match running {
            Some(session) if frame.start < session.start || end > session.end => None,
            Some(session) => Some(session.place),
            None => self.permanent_place(),
        };
        place.is_some_and(|place| {
            frame.inverted_iq
                && frame.frequency_hz == place.frequency_hz
                && frame.modulation == place.modulation
                && frame.phy_payload.len() <= place.max_phy_len
        })
    }

    /// Once its block is over, fragments are not worth a MIC: to open one would change nothing but the counter,
    /// which takes its next step from any earlier value of the same 65536.
    fn is_idle_fragment(&self, phy_len: usize) -> bool {
        self.block.as_ref().is_some_and(|block| {
            let fragment_len = DataFragment::HEADER_LEN + usize::from(block.setup.frag_size);
            block.outcome.is_some() && phy_len == FRAME_OVERHEAD + fragment_len
        })
    }

    fn state(&self, at: Instant) -> State {
        let missing = match &self.block {
            None => None,
            Some(block) => match &block.outcome {
                Some(Outcome::Complete { at }) => return State::Complete { at: *at },
                Some(Outcome::WrongMic) => {
                    return State::Failed {
                        why: "complete, but the MIC of the data block is wrong".to_owned(),
                    };
                }
                Some(Outcome::OverCap { lost, cap }) => {
                    let over_cap = self.rules().over_cap;
                    let why = format!("lost {lost} uncoded fragments, can solve for {cap}: {over_cap}");
                    return State::Failed { why };
                }
                None => Some(block.missing()),
            },
        };
        if let Some((_, what)) = self.refusals.first() {
            return State::Refused { what: what.clone() };
        }
        let stages: Vec<Stage> = self.groups.iter().flatten().map(|group| stage_at(group, at)).collect();
        let Some(missing) = missing else {
            return if stages.is_empty() { State::Idle } else { State::NotToldSession };
        };
        let is_permanent = self.settings.permanent_class_c.is_some() && !stages.is_empty();
        if is_permanent || stages.contains(&Stage::Running) {
            State::Listening
        } else if stages.contains(&Stage::Waiting) {
            State::Waiting
        } else if stages.contains(&Stage::Over) {
            State::Failed { why: format!("its Class C session ended with {missing} fragments missing") }
        } else {
            State::NotToldSession
        }
    }
}

fn stage_at(group: &Group, at: Instant) -> Stage {
    let mut timetable = group.timetable;
    timetable.settle(at);
    timetable.stage()
}
