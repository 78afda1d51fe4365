//! The world of meters: a fleet, its disk, the broker, the server, the air.

use super::agenda::Agenda;
use super::agenda::Event;
use super::air::Air;
use super::app_server::AppServer;
use super::app_server::Item;
use super::broker::Broker;
use super::desk::prepared;
use super::documents::Documents;
use super::documents::Published;
use super::meter::Meter;
use super::process::Process;
use super::referee::Asked;
use super::referee::Referee;
use super::script::LnsScript;
use super::summary::LnsSummary;
use super::summary::MeterResult;
use crate::fleet::DeviceState;
use crate::fleet::Fleet;
use crate::fleet::Output;
use crate::fleet::Window;
use crate::lns::Heard;
use crate::lorawan::Eui64;
use crate::lorawan::McSessionKeys;
use crate::lorawan::Secret;
use crate::region::Parameters;
use crate::sim::device;
use crate::sim::disk::Disk;
use crate::sim::random::Random;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// GPS time at the beginning of every world, microseconds.
pub(super) const GPS_START_US: u64 = 1_400_000_000_000_000;
/// The server waits so long for copies of an uplink before it tells of it, microseconds.
pub(super) const DEDUPLICATION_US: u64 = 200_000;
/// So long after that it takes an item for the window, microseconds.
pub(super) const FILL_AFTER_US: u64 = 100_000;
/// A save needs so long at least and at most, microseconds.
const SAVE_US: (u64, u64) = (3_000, 25_000);
/// Sessions that the fleet decides the start of last 2^9 s.
const DECIDED_EXPONENT: u8 = 9;
/// FPort of what a meter sends by itself.
const METER_PORT: u8 = 2;
/// A fleet among its meters.
pub struct LnsWorld {
    pub(super) script: LnsScript,
    pub(super) documents: Documents,
    pub(super) keys: McSessionKeys,
    /// McClassCSessionReq that was queued for each meter.
    pub(super) session_commands: Vec<u32>,
    /// When the fleet wants to be called again, at the earliest.
    pub(super) wakes_us: Option<u64>,
    /// Starts of all sessions that the fleet told somebody.
    pub(super) sessions: BTreeSet<GpsTime>,
    /// Counters that questions to canaries were put with.
    pub(super) asked_fcnts: BTreeSet<u32>,
    pub(super) agenda: Agenda,
    pub(super) random: Random,
    pub(super) meters: Vec<Meter>,
    /// Where each device is among the meters.
    pub(super) places: BTreeMap<Eui64, usize>,
    /// The ids of all items that came.
    pub(super) published: BTreeSet<String>,
    /// The device of the last event that the fleet was told.
    pub(super) touched: Option<Eui64>,
    pub(super) process: Process,
    pub(super) server: AppServer,
    pub(super) to_gateway: Broker,
    pub(super) to_server: Broker,
    pub(super) air: Air,
    pub(super) referee: Referee,
    pub(super) told_at_s: Vec<Option<u64>>,
    pub(super) downlinks: Vec<u32>,
    pub(super) summary: LnsSummary,
    pub(super) is_begun: bool,
    /// The sessions that the fleet decided the start of: a later life must decide the same.
    pub(super) decided: Vec<Window>,
}

impl LnsWorld {
    /// The world of `script` in `region`, before its first event. The devices' keys come from its seed; `image` is what
    /// MICs are prepared of.
    pub fn new(script: LnsScript, region: &'static Parameters, image: &[u8]) -> LnsWorld {
        let mut random = Random::new(script.seed);
        let documents = Documents(script.rules.dialect);
        let mc_key = Secret::from_bytes([0x77; 16]);
        let keys = McSessionKeys::derive(&mc_key, script.setup.channel.mc_addr);
        let key = keys.fingerprint();
        let (meters, members) = prepared(&script, region, &mc_key, image, &mut random);
        let mut world = LnsWorld {
            documents,
            keys,
            asked_fcnts: BTreeSet::new(),
            sessions: BTreeSet::new(),
            session_commands: vec![0; meters.len()],
            wakes_us: None,
            agenda: Agenda::default(),
            told_at_s: vec![None; meters.len()],
            downlinks: vec![0; meters.len()],
            meters,
            places: members.iter().map(|member| member.dev_eui).zip(0..).collect(),
            published: BTreeSet::new(),
            touched: None,
            process: Process::new(script.rules.clone(), members, key),
            server: AppServer::new(documents),
            to_gateway: Broker::new(script.broker, random.split(1 << 32)),
            to_server: Broker::new(script.broker, random.split(2 << 32)),
            air: Air::new(script.has_law, script.rx2),
            referee: Referee::default(),
            summary: LnsSummary::default(),
            is_begun: false,
            decided: Vec::new(),
            random,
            script,
        };
        let mut disk = Disk::new();
        if let Some(operation) = world.script.cut_at {
            disk.crash_after(operation);
        }
        let LnsWorld { process, script, random, .. } = &mut world;
        process.start(disk, &script.setup, false, random);
        for index in 0..world.meters.len() {
            let interval_us = world.meters[index].script.interval_s * 1_000_000;
            let first_us = world.random.below(interval_us);
            world.agenda.later(first_us, Event::Uplink(index));
            if let Some(at_s) = world.meters[index].script.rejoins_at_s {
                world.agenda.later(at_s * 1_000_000, Event::Rejoin(index));
            }
        }
        world
    }

    /// GPS time at the second `s` of every world.
    pub fn gps(s: u64) -> GpsTime {
        GpsTime::from_us(GPS_START_US + s * 1_000_000)
    }

    /// Lets the world run until its second `s`.
    pub fn run_until(&mut self, s: u64) {
        while let Some(event) = self.agenda.next(s * 1_000_000) {
            self.happen(event);
            self.drain();
        }
    }

    /// The campaign begins to send: meters with the right key, group and session hear it, and say so when they are
    /// asked by multicast, with their next uplinks.
    pub fn begin(&mut self) {
        self.is_begun = true;
        self.referee.begin();
        if let Some((fleet, _)) = &mut self.process.fleet {
            fleet.begin();
        }
        for index in 0..self.meters.len() {
            if self.is_ready(index) {
                let version = self.meters[index].script.is_v2;
                let status = if version { vec![0x01, 0, 9, 0, 0] } else { vec![0x01, 9, 0, 0, 0] };
                self.meters[index].late.push((201, status));
            }
        }
    }

    /// The campaign has these sessions now.
    pub fn move_windows(&mut self, windows: Vec<Window>) {
        self.script.setup.windows.clone_from(&windows);
        self.referee.tell_again();
        if let Some((fleet, _)) = &mut self.process.fleet {
            fleet.move_windows(windows);
        }
    }

    /// The fleet, unless its process is away.
    pub fn fleet(&mut self) -> Option<&mut Fleet> {
        self.process.fleet.as_mut().map(|(fleet, _)| fleet)
    }

    /// What became of everything so far.
    pub fn summary(&mut self) -> LnsSummary {
        let now = self.now();
        let mut summary = self.summary.clone();
        summary.breaches = self.referee.breaches().to_vec();
        summary.oracle = self.referee.oracle();
        summary.disk_operations = self.process.disk_operations();
        let states: Vec<(DeviceState, String)> = match &self.process.fleet {
            Some((fleet, _)) => fleet.devices(now).map(|view| (view.state, view.reason)).collect(),
            None => vec![(DeviceState::Initial, String::new()); self.meters.len()],
        };
        for (index, (state, reason)) in states.into_iter().enumerate() {
            summary.meters.push(MeterResult {
                state,
                reason,
                told_at_s: self.told_at_s[index],
                is_ready: self.is_ready(index),
                downlinks: self.downlinks[index],
                session_commands: self.session_commands[index],
            });
        }
        summary
    }

    /// Bytes that the fleet's disk was written.
    pub fn written_bytes(&self) -> u64 {
        self.process.written_bytes()
    }

    fn is_ready(&self, index: usize) -> bool {
        let meter = &self.meters[index];
        use device::State;
        let state = meter.device.status(self.now()).state;
        !meter.script.has_wrong_key
            && meter.script.is_in_reach
            && matches!(state, State::Waiting | State::Listening)
    }

    /// The time of the world now.
    pub fn now(&self) -> Now {
        let gps = Some(GpsTime::from_us(GPS_START_US + self.agenda.now_us));
        Now { mono: Instant::from_us(self.agenda.now_us as i64), gps }
    }

    pub(super) fn gps_s(&self) -> u64 {
        (GPS_START_US + self.agenda.now_us) / 1_000_000
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Uplink(index) => {
                let meter = &mut self.meters[index];
                let (f_port, data) =
                    if meter.late.is_empty() { (METER_PORT, vec![0x2a; 12]) } else { meter.late.remove(0) };
                let interval_us = meter.interval_us();
                let is_foreign = meter.random.chance_ppm(meter.script.foreign_ppm);
                self.agenda.later(interval_us, Event::Uplink(index));
                if is_foreign {
                    self.foreign(index);
                }
                self.uplink(index, f_port, data);
            }
            Event::Answer { meter, f_port, data } => self.uplink(meter, f_port, data),
            Event::UplinkEnd { meter, f_port, data, channel } => {
                self.uplink_end(meter, f_port, &data, channel)
            }
            Event::Fill { meter, channel, ended_us } => self.fill(meter, channel, ended_us),
            Event::Downlink { meter, item } => self.downlink(meter, &item),
            Event::ToGateway((topic, payload), good) => self.arrive(&topic, &payload, good),
            Event::ToServer((topic, payload)) => self.take(&topic, &payload),
            Event::Saved { life, id, is_durable, fresh } => {
                if let Some((fleet, _)) = self.process.fleet.as_mut().filter(|_| life == self.process.life) {
                    self.referee.kept(fresh);
                    fleet.saved(id, is_durable);
                }
            }
            Event::Wake => self.wakes_us = None,
            Event::Asked(question) => self.ask(&question),
            Event::Report(index) => self.report(index),
            Event::Rejoin(index) => {
                self.meters[index].restart();
                let dev_eui = self.meters[index].dev_eui.clone();
                self.referee.restarted(&dev_eui);
                let join = self.documents.join(&dev_eui);
                self.publish(join, Vec::new());
            }
            Event::Restart => {
                let LnsWorld { process, script, random, is_begun, .. } = self;
                process.restart(&script.setup, *is_begun, random);
            }
        }
    }

    pub(super) fn publish(&mut self, published: Published, good: Vec<Asked>) {
        for at_us in self.to_gateway.arrivals(self.agenda.now_us) {
            self.agenda.at(at_us, Event::ToGateway(published.clone(), good.clone()));
        }
    }

    fn arrive(&mut self, topic: &str, payload: &[u8], good: Vec<Asked>) {
        let now = self.now();
        let Some((fleet, listener)) = &mut self.process.fleet else { return };
        match listener.hear(topic, payload) {
            Ok(Heard::Event(event)) => {
                let dev_eui = event.device.dev_eui.to_string();
                if event.kind == crate::lns::EventKind::Join {
                    self.referee.joined(&dev_eui);
                }
                self.referee.told(&dev_eui, good);
                self.touched = Some(event.device.dev_eui);
                fleet.event(now, &event, None);
            }
            // Until the first uplink nobody knows whose a device_id is.
            Ok(Heard::Foreign) => {}
            other => self.referee.note(format!("{topic}: {other:?}")),
        }
    }

    fn take(&mut self, topic: &str, payload: &[u8]) {
        let down = match self.documents.read_down(topic, payload) {
            Ok(down) => down,
            Err(wrong) => return self.referee.note(wrong),
        };
        let place = down.dev_eui.parse().ok().and_then(|dev_eui: Eui64| self.places.get(&dev_eui));
        let Some(index) = place.copied() else {
            return self.referee.note(format!("{topic}: no such device"));
        };
        // What a broker doubles is no command of the fleet's.
        let is_ours = self.published.insert(down.id.clone());
        if is_ours {
            self.referee.queued(&down.dev_eui, self.server.ours(&down.dev_eui));
            self.downlinks[index] += 1;
            self.summary.downlinks += 1;
        }
        if let Some(told) = self.server.push(Item { down, is_ours }) {
            self.publish(told, Vec::new());
        }
    }

    /// Carries out what the fleet wishes, and sees who is told.
    fn drain(&mut self) {
        let Some((mut fleet, listener)) = self.process.fleet.take() else { return };
        let mut is_cut = false;
        fleet.advance(self.now());
        while let Some(output) = fleet.poll() {
            match output {
                Output::Push(push) => {
                    let document = push.document(self.script.rules.dialect).into_bytes();
                    let topic = listener.topics().push(&push.device);
                    let is_v2 = self.meters[self.places[&push.device.dev_eui]].script.is_v2;
                    let dev_eui = push.device.dev_eui.to_string();
                    if let (200, [0x04, _, a, b, c, d, ..]) = (push.f_port, &push.payload[..]) {
                        let start_s = u32::from_le_bytes([*a, *b, *c, *d]);
                        self.session_commands[self.places[&push.device.dev_eui]] += 1;
                        self.sessions.insert(GpsTime::from_us(u64::from(start_s) * 1_000_000));
                    }
                    let gps_s = self.gps_s();
                    self.referee.published(&dev_eui, push.f_port, &push.payload, is_v2, gps_s);
                    for at_us in self.to_server.arrivals(self.agenda.now_us) {
                        self.agenda.at(at_us, Event::ToServer((topic.clone(), document.clone())));
                    }
                }
                Output::Start(start) => {
                    let windows = vec![Window { start, exponent: DECIDED_EXPONENT }];
                    self.summary
                        .decided_starts_s
                        .push(start.as_us().saturating_sub(GPS_START_US) / 1_000_000);
                    self.summary.decided_starts_s.dedup();
                    self.decided.clone_from(&windows);
                    fleet.move_windows(windows);
                }
                Output::Ask(question) => self.put_question(&question),
                Output::KeysDoubted { .. } => self.summary.doubts += 1,
                Output::Unproved => self.summary.is_told_unproved = true,
                Output::TwoAnswerTime => self.summary.two_answer_time = true,
                Output::TooFewReady(_) => {
                    self.summary.is_given_up = true;
                    fleet.set_up(None);
                }
                Output::Save(record) => {
                    self.summary.saves += 1;
                    let (id, life) = (record.id, self.process.life);
                    // What devices answered is in the records of devices.
                    let is_of_devices = record.bytes.first() == Some(&1);
                    let fresh = if is_of_devices { self.referee.fresh() } else { Vec::new() };
                    is_cut |= !self.process.save(record);
                    let after_us = self.random.range(SAVE_US.0, SAVE_US.1);
                    self.agenda.later(after_us, Event::Saved { life, id, is_durable: true, fresh });
                }
            }
        }
        if is_cut {
            self.referee.died();
            self.agenda.later(self.script.away_s * 1_000_000, Event::Restart);
            return;
        }
        let (now, now_s) = (self.now(), self.agenda.now_us / 1_000_000);
        if let Some(view) = self.touched.take().and_then(|dev_eui| fleet.device(now, dev_eui))
            && matches!(view.state, DeviceState::Told | DeviceState::Proved)
        {
            self.told_at_s[self.places[&view.dev_eui]].get_or_insert(now_s);
        }
        if let Some(at) = fleet.wake_at(now) {
            let at_us = at.us_since(Instant::ZERO);
            if self.wakes_us.is_none_or(|wakes_us| wakes_us > at_us) {
                self.wakes_us = Some(at_us);
                self.agenda.at(at_us, Event::Wake);
            }
        }
        self.process.fleet = Some((fleet, listener));
    }
}
