//! The application side of a network server in a world with a radio: the uplinks of the devices behind it, their queues
//! and windows, and the referee of set-ups. The devices themselves belong to the world.

use super::air::airtime_us;
use super::app_server::AppServer;
use super::app_server::Item;
use super::broker::Broker;
use super::documents::Documents;
use super::documents::Published;
use super::documents::Uplink;
use super::referee::Asked;
use super::referee::Referee;
use super::script::BrokerScript;
use super::script::FieldDevice;
use super::script::FieldScript;
use crate::lns::Audience;
use crate::lns::Event;
use crate::lns::EventKind;
use crate::lns::Heard;
use crate::lns::Listener;
use crate::lns::Push;
use crate::lns::Topics;
use crate::lorawan::Eui64;
use crate::lorawan::McAddr;
use crate::sim::ether::Ether;
use crate::sim::ether::Uplink as OnAir;
use crate::sim::random::Random;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// The spreading factor of all uplinks and answers, and the channel of EU868 that they are told to come in.
const SF: u8 = 7;
const CHANNEL_HZ: u32 = 868_100_000;
/// Channels that uplinks of devices which share the air are spread over.
const AIR_CHANNELS: u64 = 3;
/// FRMPayload that fits at this spreading factor, bytes.
const MAX_LEN: usize = 222;
/// FPort and payload of what a device sends by itself.
const METER_PORT: u8 = 2;
const METER_DATA: [u8; 12] = [0x2a; 12];
/// The server tells of an uplink so long after its end, and takes an item for its window so long after that,
/// microseconds.
const DEDUPLICATION_US: u64 = 200_000;
const FILL_AFTER_US: u64 = 100_000;
/// RX1 opens so long after the window was filled, microseconds.
const RX1_AFTER_US: u64 = 700_000;
/// An answer needs so long at least and at most, microseconds.
const ANSWER_US: (u64, u64) = (1_200_000, 3_000_000);

/// What happens at a server and to its devices; those are counted as in the script.
pub(in crate::sim) struct FieldEvent(Kind);

enum Kind {
    Uplink(usize),
    Answer(usize, u8, Vec<u8>),
    UplinkEnds(usize, u8, Vec<u8>, Option<OnAir>),
    Fill(usize),
    Downlink(usize, Item),
    ToGateway(Published, Vec<Asked>),
    ToServer(Published),
}

/// What the server does to the world.
pub(in crate::sim) enum FieldEffect {
    /// Something will happen after so many microseconds.
    Later(u64, FieldEvent),
    /// A frame with so many bytes of payload was on the air for so many microseconds.
    Uplink(usize, u64),
    /// It tells something of a device.
    Tells(Event),
    /// A device is told a session of a group: from when on, and its TimeOut.
    Opens { mc_addr: McAddr, start: GpsTime, exponent: u8 },
    /// A device gets a downlink: its place among the world's devices, and ours.
    Commands { device: usize, place: usize, f_port: u8, payload: Vec<u8> },
}

/// A server with its devices.
pub(in crate::sim) struct Field {
    script: FieldScript,
    documents: Documents,
    listener: Option<Listener>,
    server: AppServer,
    to_gateway: Broker,
    to_server: Broker,
    referee: Referee,
    random: Random,
    /// The air of the devices, where they share it.
    ether: Ether,
    /// Where each device is in the script.
    places: BTreeMap<String, usize>,
    f_cnts: Vec<u32>,
    commands: Vec<FieldCommand>,
    /// The ids of all items that came.
    published: BTreeSet<String>,
    effects: VecDeque<FieldEffect>,
}

/// What came of the set-ups through one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSummary {
    /// Devices behind the server.
    pub devices: usize,
    /// Commands that were queued for them.
    pub downlinks: u64,
    /// Commands that somebody would have queued who knows beforehand what is lost.
    pub oracle: u64,
    /// These commands, in the order in which they were queued.
    pub commands: Vec<FieldCommand>,
    /// What the referee of set-ups found wrong.
    pub breaches: Vec<String>,
}

/// A command that was queued for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldCommand {
    /// When it came to the server.
    pub at: Instant,
    /// DevEUI of the device.
    pub dev_eui: Eui64,
    /// FPort of the downlink.
    pub f_port: u8,
    /// Its FRMPayload.
    pub payload: Vec<u8>,
}

impl Field {
    pub(in crate::sim) fn new(script: FieldScript, random: &mut Random) -> Field {
        let documents = Documents(script.dialect);
        let topics = Topics::new(script.dialect, "", vec![documents.application().to_owned()]).ok();
        let audience = || Audience::new(script.devices.iter().map(|device| (device.dev_eui, None)));
        let mut broker = |label| Broker::new(BrokerScript::default(), random.split(label));
        let (to_gateway, to_server) = (broker(1), broker(2));
        let mut field = Field {
            documents,
            listener: topics.map(|topics| Listener::new(topics, audience())),
            server: AppServer::new(documents),
            to_gateway,
            to_server,
            referee: Referee::default(),
            random: random.split(3),
            ether: Ether::default(),
            places: script.devices.iter().map(|device| device.dev_eui.to_string()).zip(0..).collect(),
            f_cnts: vec![0; script.devices.len()],
            commands: Vec::new(),
            published: BTreeSet::new(),
            effects: VecDeque::new(),
            script,
        };
        for place in 0..field.f_cnts.len() {
            let first_us = field.random.below(field.script.devices[place].interval_us.max(1));
            field.later(first_us, Kind::Uplink(place));
        }
        field
    }

    /// The place of each of its devices among the world's.
    pub(in crate::sim) fn devices(&self) -> impl Iterator<Item = usize> {
        self.script.devices.iter().map(|device| device.device)
    }

    /// The DevEUI of each of its devices, and its place among the world's.
    pub(in crate::sim) fn dev_euis(&self) -> impl Iterator<Item = (Eui64, usize)> {
        self.script.devices.iter().map(|device| (device.dev_eui, device.device))
    }

    /// What it does next; to be asked after every call until there is nothing.
    pub(in crate::sim) fn poll(&mut self) -> Option<FieldEffect> {
        self.effects.pop_front()
    }

    pub(in crate::sim) fn happen(&mut self, now: Now, event: FieldEvent) {
        match event.0 {
            Kind::Uplink(place) => {
                let interval_us = self.script.devices[place].interval_us;
                let next_us = interval_us - interval_us / 40 + self.random.below(interval_us / 20 + 1);
                self.later(next_us, Kind::Uplink(place));
                self.send(now, place, METER_PORT, METER_DATA.to_vec());
            }
            Kind::Answer(place, f_port, data) => self.send(now, place, f_port, data),
            Kind::UplinkEnds(place, f_port, data, on_air) => {
                let is_heard = on_air.is_none_or(|on_air| self.ether.is_heard(on_air));
                self.uplink(now, place, (f_port, &data), is_heard);
            }
            Kind::Fill(place) => self.fill(now, place),
            Kind::Downlink(place, item) => self.downlink(now, place, item),
            Kind::ToGateway((topic, payload), good) => self.tell(&topic, &payload, good),
            Kind::ToServer((topic, payload)) => self.take(now, &topic, &payload),
        }
    }

    /// The gateway publishes a downlink.
    pub(in crate::sim) fn publish(&mut self, now: Now, push: &Push) {
        let Some(listener) = &self.listener else { return };
        let published =
            (listener.topics().push(&push.device), push.document(self.script.dialect).into_bytes());
        let dev_eui = push.device.dev_eui.to_string();
        self.referee.published(&dev_eui, push.f_port, &push.payload, false, gps_s(now));
        for at_us in self.to_server.arrivals(us(now)) {
            self.later(at_us - us(now), Kind::ToServer(published.clone()));
        }
    }

    /// What a device answers to the downlink that it got.
    pub(in crate::sim) fn answered(&mut self, place: usize, answers: Vec<(u8, Vec<u8>)>) {
        for (f_port, data) in answers {
            // Where the air is shared nothing comes between those that answer at the same time.
            let spread_us = self.random.range(ANSWER_US.0, ANSWER_US.1);
            let after_us = if self.script.is_air_shared { ANSWER_US.0 } else { spread_us };
            self.later(after_us, Kind::Answer(place, f_port, data));
        }
    }

    /// The first fragment was sent.
    pub(in crate::sim) fn begin(&mut self) {
        self.referee.begin();
    }

    /// What was told so far is on the gateway's disk.
    pub(in crate::sim) fn kept(&mut self) {
        let fresh = self.referee.fresh();
        self.referee.kept(fresh);
    }

    /// The gateway's process died: what was not on its disk is not known to the next one.
    pub(in crate::sim) fn died(&mut self) {
        self.referee.died();
    }

    pub(in crate::sim) fn summary(&self) -> FieldSummary {
        FieldSummary {
            devices: self.script.devices.len(),
            downlinks: self.commands.len() as u64,
            commands: self.commands.clone(),
            oracle: self.referee.oracle(),
            breaches: self.referee.breaches().to_vec(),
        }
    }

    fn later(&mut self, after_us: u64, kind: Kind) {
        self.effects.push_back(FieldEffect::Later(after_us, FieldEvent(kind)));
    }

    fn send(&mut self, now: Now, place: usize, f_port: u8, data: Vec<u8>) {
        let airtime_us = airtime_us(SF, data.len());
        let on_air = self.script.is_air_shared.then(|| {
            let channel = self.random.below(AIR_CHANNELS) as u8;
            let rssi_dbm = -(self.random.range(60, 125) as i32);
            OnAir { start_us: us(now), airtime_us, channel, sf: SF, rssi_dbm }
        });
        on_air.into_iter().for_each(|on_air| self.ether.begin(on_air));
        self.later(airtime_us, Kind::UplinkEnds(place, f_port, data, on_air));
    }

    fn is_lost(&mut self, place: usize) -> bool {
        self.random.chance_ppm(self.script.devices[place].loss_ppm)
    }

    fn uplink(&mut self, now: Now, place: usize, (f_port, data): (u8, &[u8]), is_heard: bool) {
        if self.script.devices[place].silent_from_us.is_some_and(|from_us| us(now) >= from_us) {
            return;
        }
        let f_cnt = self.f_cnts[place];
        self.f_cnts[place] += 1;
        if self.is_lost(place) || !is_heard {
            return;
        }
        self.effects.push_back(FieldEffect::Uplink(data.len(), airtime_us(SF, data.len())));
        let uplink = Uplink { f_cnt, f_port, data, sf: SF, frequency_hz: CHANNEL_HZ, is_heard_here: true };
        let (dev_eui, is_clock_right) = (self.dev_eui(place), self.script.devices[place].is_clock_right);
        let published = self.documents.up(&dev_eui, &uplink);
        self.referee.reached_server(&dev_eui, f_port, data, is_clock_right, gps_s(now));
        let good = Referee::good(f_port, data, is_clock_right);
        self.announce(now, DEDUPLICATION_US, published, good);
        self.later(DEDUPLICATION_US + FILL_AFTER_US, Kind::Fill(place));
    }

    fn fill(&mut self, now: Now, place: usize) {
        let dev_eui = self.dev_eui(place);
        let gps = now.gps.unwrap_or(GpsTime::from_us(0));
        let (item, told) = self.server.fill(&dev_eui, gps, MAX_LEN);
        told.into_iter().for_each(|told| self.announce(now, 0, told, Vec::new()));
        let Some(item) = item else { return };
        let after_us = RX1_AFTER_US + airtime_us(SF, item.down.payload.len());
        self.later(after_us, Kind::Downlink(place, item));
        if let Some(told) = self.server.sent(&dev_eui, CHANNEL_HZ, SF) {
            self.announce(now, 0, told, Vec::new());
        }
    }

    fn downlink(&mut self, now: Now, place: usize, item: Item) {
        if self.is_lost(place) {
            return;
        }
        let dev_eui = self.dev_eui(place);
        self.referee.delivered(&dev_eui, item.down.f_port, &item.down.payload, gps_s(now));
        let FieldDevice { device, mc_addr, .. } = self.script.devices[place];
        if let (200, [0x04, _, a, b, c, d, exponent, ..]) = (item.down.f_port, &item.down.payload[..]) {
            let start_s = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
            let start = GpsTime::from_us(start_s * 1_000_000);
            self.effects.push_back(FieldEffect::Opens { mc_addr, start, exponent: *exponent });
        }
        let (f_port, payload) = (item.down.f_port, item.down.payload);
        self.effects.push_back(FieldEffect::Commands { device, place, f_port, payload });
    }

    fn announce(&mut self, now: Now, after_us: u64, published: Published, good: Vec<Asked>) {
        for at_us in self.to_gateway.arrivals(us(now) + after_us) {
            self.later(at_us - us(now), Kind::ToGateway(published.clone(), good.clone()));
        }
    }

    fn tell(&mut self, topic: &str, payload: &[u8], good: Vec<Asked>) {
        let Some(listener) = &mut self.listener else { return };
        match listener.hear(topic, payload) {
            Ok(Heard::Event(event)) => {
                let dev_eui = event.device.dev_eui.to_string();
                if event.kind == EventKind::Join {
                    self.referee.joined(&dev_eui);
                }
                self.referee.told(&dev_eui, good);
                self.effects.push_back(FieldEffect::Tells(event));
            }
            // Until the first uplink nobody knows whose a device_id is.
            Ok(Heard::Foreign) => {}
            other => self.referee.note(format!("{topic}: {other:?}")),
        }
    }

    fn take(&mut self, now: Now, topic: &str, payload: &[u8]) {
        let down = match self.documents.read_down(topic, payload) {
            Ok(down) => down,
            Err(wrong) => return self.referee.note(wrong),
        };
        let dev_eui = down.dev_eui.parse().ok();
        let Some(dev_eui) = dev_eui.filter(|dev_eui: &Eui64| self.places.contains_key(&dev_eui.to_string()))
        else {
            return self.referee.note(format!("{topic}: no such device"));
        };
        // An id is taken once.
        let is_ours = self.published.insert(down.id.clone());
        if is_ours {
            self.referee.queued(&down.dev_eui, self.server.ours(&down.dev_eui));
            let (f_port, payload) = (down.f_port, down.payload.clone());
            self.commands.push(FieldCommand { at: now.mono, dev_eui, f_port, payload });
        }
        if let Some(told) = self.server.push(Item { down, is_ours }) {
            self.announce(now, 0, told, Vec::new());
        }
    }

    fn dev_eui(&self, place: usize) -> String {
        self.script.devices[place].dev_eui.to_string()
    }
}

fn us(now: Now) -> u64 {
    now.mono.us_since(Instant::ZERO)
}

fn gps_s(now: Now) -> u64 {
    now.gps.map_or(0, GpsTime::as_us) / 1_000_000
}
