//! The server as a machine in virtual time.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use semtech_udp::Packet;
use semtech_udp::Up;
use semtech_udp::pull_ack;
use semtech_udp::push_ack;
use semtech_udp::push_data::RxPk;
use semtech_udp::tx_ack;
use serde_json::Value;

use crate::radio::Modulation;
use crate::sim::random::Random;
use crate::sim::server::downlink;
use crate::sim::server::downlink::Try;
use crate::sim::server::downlink::When;
use crate::sim::server::settings::Manner;
use crate::sim::server::settings::Multicast;
use crate::sim::server::settings::ServerSettings;
use crate::sim::server::tally::ServerCounts;
use crate::sim::server::tally::Tally;
use crate::time::Instant;

/// A TX_ACK is awaited so long.
const ACK_WAIT_US: u64 = 2_000_000;
/// The Things Stack sends Class C so far ahead of the counter's present value.
const CLASS_C_AHEAD_US: u32 = 530_000;
/// Downlinks under way at most, and datagrams that wait to be taken; what is beyond is lost.
const UNDER_WAY_MAX: usize = 1024;
const OUTPUTS_MAX: usize = 1024;
/// Bytes before the JSON of a PUSH_DATA or TX_ACK.
const HEADER: usize = 12;
/// Bytes of an acknowledgement.
const ACK: usize = 4;

const HOUR_US: u64 = 3_600_000_000;

/// A network server in virtual time; see the room for how a world drives it.
#[derive(Clone, Debug)]
pub struct Server {
    settings: ServerSettings,
    random: Random,
    /// PULL_DATA was seen: there is a way for PULL_RESP.
    has_way: bool,
    token: u16,
    /// The gateway's counter in the newest uplink, and when that came.
    counter: Option<(Instant, u32)>,
    fcnts: BTreeMap<u32, u16>,
    plans: BTreeMap<(Instant, u64), Plan>,
    next_plan: u64,
    awaited: BTreeMap<u16, Downlink>,
    outputs: VecDeque<Vec<u8>>,
    counts: ServerCounts,
}

/// What the server will do.
#[derive(Clone, Debug)]
enum Plan {
    Answer(Downlink),
    ClassC,
    Multicast,
    GiveUpOn(u16),
}

/// A downlink and the ways that are left to it.
#[derive(Clone, Debug)]
struct Downlink {
    kind: Kind,
    phy_payload: Vec<u8>,
    tries: VecDeque<Try>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Answer,
    ClassC,
    Multicast,
}

impl Server {
    /// A server that knows no gateway yet.
    pub fn new(settings: ServerSettings, random: Random, now: Instant) -> Self {
        let mut server = Server {
            settings,
            random,
            has_way: false,
            token: 0,
            counter: None,
            fcnts: BTreeMap::new(),
            plans: BTreeMap::new(),
            next_plan: 0,
            awaited: BTreeMap::new(),
            outputs: VecDeque::new(),
            counts: ServerCounts::default(),
        };
        server.plan_class_c(now);
        server.plan_multicast(now);
        server
    }

    /// A datagram from the gateway: PUSH_DATA, PULL_DATA or TX_ACK; anything else is counted and forgotten.
    pub fn datagram(&mut self, now: Instant, bytes: &[u8]) {
        self.wake(now);
        match bytes {
            [2, high, low, 0, ..] if bytes.len() >= HEADER => {
                let random_token = u16::from_be_bytes([*high, *low]);
                self.counts.push_data += 1;
                self.output(downlink::serialize(&push_ack::Packet { random_token }, ACK));
                self.push_data(now, bytes);
            }
            [2, high, low, 2, ..] if bytes.len() >= HEADER => {
                let random_token = u16::from_be_bytes([*high, *low]);
                self.counts.pull_data += 1;
                self.has_way = true;
                self.output(downlink::serialize(&pull_ack::Packet { random_token }, ACK));
            }
            [2, high, low, 5, ..] if bytes.len() >= HEADER => {
                self.tx_ack(now, u16::from_be_bytes([*high, *low]), bytes);
            }
            _ => self.counts.unread += 1,
        }
    }

    /// Does what is due by `now`.
    pub fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.plans.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), plan) = entry.remove_entry();
            match plan {
                Plan::Answer(downlink) => self.send(at, downlink),
                Plan::ClassC => {
                    self.plan_class_c(at);
                    self.class_c(at);
                }
                Plan::Multicast => {
                    self.plan_multicast(at);
                    self.multicast(at);
                }
                Plan::GiveUpOn(token) => {
                    if let Some(downlink) = self.awaited.remove(&token) {
                        self.tally(downlink.kind).unanswered += 1;
                    }
                }
            }
        }
    }

    /// When [`Server::wake`] must be called next.
    pub fn wake_at(&self) -> Option<Instant> {
        self.plans.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next datagram to the gateway: PUSH_ACK to the source of PUSH_DATA, others to that of PULL_DATA.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.outputs.pop_front()
    }

    /// What happened so far.
    pub fn counts(&self) -> &ServerCounts {
        &self.counts
    }

    fn push_data(&mut self, now: Instant, bytes: &[u8]) {
        let data = match read(bytes) {
            Some(Up::PushData(packet)) => packet.data,
            _ => {
                self.counts.unread += 1;
                return;
            }
        };
        self.counts.stats += u64::from(data.stat.is_some());
        for rxpk in data.rxpk.unwrap_or_default() {
            self.counts.uplinks += 1;
            self.counter = Some((now, rxpk.timestamp()));
            self.uplink(now, &rxpk);
        }
    }

    fn uplink(&mut self, now: Instant, rxpk: &RxPk) {
        let Ok(modulation) = rxpk.datarate().to_string().parse::<Modulation>() else { return };
        let phy_payload = rxpk.data();
        let Some((answer, is_join)) = self.answer(phy_payload) else { return };
        let frequency_hz = (rxpk.frequency() * 1e6).round() as u32;
        let windows = self.settings.windows.after(is_join, frequency_hz, modulation);
        let tries = windows.map(|window| Try {
            when: When::Tmst(rxpk.timestamp().wrapping_add(window.after_us as u32)),
            frequency_hz: window.frequency_hz,
            modulation: window.modulation,
        });
        let tries_max = if self.settings.manner == Manner::ChirpStack { 2 } else { 1 };
        let tries = tries.into_iter().take(tries_max).collect();
        let downlink = Downlink { kind: Kind::Answer, phy_payload: answer, tries };
        self.counts.answers.due += 1;
        if self.plans.len() + self.awaited.len() >= UNDER_WAY_MAX {
            self.counts.answers.lost += 1;
        } else {
            self.plan(now.plus_us(self.settings.thinks_us), Plan::Answer(downlink));
        }
    }

    /// The frame that answers this one, and whether it is a join-accept; `None` when no answer is due.
    fn answer(&mut self, phy_payload: &[u8]) -> Option<(Vec<u8>, bool)> {
        let &mhdr = phy_payload.first()?;
        match mhdr {
            downlink::JOIN_REQUEST => {
                let join_eui = u64::from_le_bytes(phy_payload.get(1..9)?.try_into().ok()?);
                let is_ours = self.settings.join_euis.contains(&join_eui);
                is_ours.then(|| (downlink::join_accept(self.random.next_u64()), true))
            }
            downlink::UNCONFIRMED_UP | downlink::CONFIRMED_UP => {
                let dev_addr = u32::from_le_bytes(phy_payload.get(1..5)?.try_into().ok()?);
                let settings = &self.settings;
                if !settings.class_a.contains(&dev_addr) && !settings.class_c.contains(&dev_addr) {
                    return None;
                }
                let is_confirmed = mhdr == downlink::CONFIRMED_UP;
                // A number is drawn for every frame, so that a confirmed one changes nothing for the others.
                let is_lucky = self.random.chance_ppm(settings.answered_ppm);
                (is_confirmed || is_lucky).then(|| (self.frame(dev_addr, is_confirmed), false))
            }
            _ => None,
        }
    }

    fn frame(&mut self, dev_addr: u32, acks: bool) -> Vec<u8> {
        let fcnt = self.fcnts.entry(dev_addr).or_default();
        *fcnt = fcnt.wrapping_add(1);
        downlink::data_frame(dev_addr, *fcnt, acks, self.settings.payload_bytes)
    }

    fn plan_class_c(&mut self, now: Instant) {
        let per_hour = u64::from(self.settings.class_c_per_hour);
        if per_hour > 0 && !self.settings.class_c.is_empty() {
            let wait_us = self.random.exponential(HOUR_US / per_hour).max(1);
            self.plan(now.plus_us(wait_us), Plan::ClassC);
        }
    }

    fn plan_multicast(&mut self, now: Instant) {
        if let Some(multicast) = &self.settings.multicast {
            self.plan(now.plus_us(multicast.every_us.max(1)), Plan::Multicast);
        }
    }

    fn class_c(&mut self, now: Instant) {
        let which = self.random.below(self.settings.class_c.len() as u64) as usize;
        if let Some(&dev_addr) = self.settings.class_c.iter().nth(which) {
            let frame = self.frame(dev_addr, false);
            self.send_unasked(now, Kind::ClassC, frame);
        }
    }

    fn multicast(&mut self, now: Instant) {
        let Some(Multicast { dev_addr, keys, .. }) = self.settings.multicast.clone() else { return };
        let frame = self.frame(dev_addr, false);
        let fcnt = u32::from(self.fcnts.get(&dev_addr).copied().unwrap_or_default());
        let frame = keys.and_then(|keys| downlink::signed_frame(&keys, dev_addr, fcnt)).unwrap_or(frame);
        self.send_unasked(now, Kind::Multicast, frame);
    }

    /// A downlink that no uplink asked for, on RX2's channel.
    fn send_unasked(&mut self, now: Instant, kind: Kind, phy_payload: Vec<u8>) {
        let when = match self.settings.manner {
            Manner::ChirpStack => Some(When::Immediate),
            // Without an uplink the counter is not known, and nothing can be timed.
            Manner::TheThingsStack => self.counter.map(|(seen_at, tmst)| {
                When::Tmst(tmst.wrapping_add(now.us_since(seen_at) as u32).wrapping_add(CLASS_C_AHEAD_US))
            }),
        };
        let windows = self.settings.windows;
        let (frequency_hz, modulation) = (windows.rx2_frequency_hz, windows.rx2_modulation);
        let tries = when.map(|when| Try { when, frequency_hz, modulation }).into_iter().collect();
        self.tally(kind).due += 1;
        self.send(now, Downlink { kind, phy_payload, tries });
    }

    /// Sends it the next way that is left to it; without one it is lost.
    fn send(&mut self, now: Instant, mut downlink: Downlink) {
        let (manner, power_dbm) = (self.settings.manner, self.settings.power_dbm);
        while let Some(one) = downlink.tries.pop_front() {
            if !self.has_way || self.awaited.len() >= UNDER_WAY_MAX {
                break;
            }
            self.token = self.token.wrapping_add(1);
            let token = self.token;
            let Some(datagram) = downlink::pull_resp(token, manner, power_dbm, &one, &downlink.phy_payload)
            else {
                continue;
            };
            self.tally(downlink.kind).sent += 1;
            self.output(datagram);
            self.awaited.insert(token, downlink);
            self.plan(now.plus_us(ACK_WAIT_US), Plan::GiveUpOn(token));
            return;
        }
        self.tally(downlink.kind).lost += 1;
    }

    fn tx_ack(&mut self, now: Instant, token: u16, bytes: &[u8]) {
        let Some(downlink) = self.awaited.remove(&token) else {
            self.counts.strange_acks += 1;
            return;
        };
        self.plans.retain(|_, plan| !matches!(plan, Plan::GiveUpOn(given) if *given == token));
        let Some(error) = self.error(bytes) else {
            self.tally(downlink.kind).accepted += 1;
            return;
        };
        *self.counts.errors.entry(error).or_default() += 1;
        self.tally(downlink.kind).refused += 1;
        self.tally(downlink.kind).second_tries += u64::from(!downlink.tries.is_empty());
        self.send(now, downlink);
    }

    /// The error of a TX_ACK; `None` when it accepts.
    fn error(&mut self, bytes: &[u8]) -> Option<String> {
        let result = match read(bytes) {
            Some(Up::TxAck(packet)) => packet.get_result(),
            _ => return Some(by_hand(bytes).unwrap_or_else(|| "UNREADABLE".to_owned())),
        };
        match result {
            Err(tx_ack::Error::AdjustedTransmitPower(..)) => {
                self.counts.warned += 1;
                None
            }
            Err(error) => Some(error.to_string().trim_start_matches("TxAck::Error::").to_owned()),
            // The codec takes a word that it does not know for success.
            Ok(_) => by_hand(bytes),
        }
    }

    fn tally(&mut self, kind: Kind) -> &mut Tally {
        match kind {
            Kind::Answer => &mut self.counts.answers,
            Kind::ClassC => &mut self.counts.class_c,
            Kind::Multicast => &mut self.counts.multicast,
        }
    }

    fn plan(&mut self, at: Instant, plan: Plan) {
        self.next_plan += 1;
        self.plans.insert((at, self.next_plan), plan);
    }

    fn output(&mut self, datagram: Vec<u8>) {
        if self.outputs.len() < OUTPUTS_MAX {
            self.outputs.push_back(datagram);
        }
    }
}

/// What the codec makes of it. Kept from it is what makes it panic: text beyond ASCII, and a lone zero where the
/// JSON of a PUSH_DATA should begin.
fn read(bytes: &[u8]) -> Option<Up> {
    let text = bytes.get(HEADER..)?;
    let is_push = bytes[3] == 0;
    if !text.is_ascii() || (is_push && !text.starts_with(b"{")) {
        return None;
    }
    Packet::parse_uplink(bytes).ok()
}

/// `txpk_ack.error`, unless there is none or it says NONE.
fn by_hand(bytes: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(bytes.get(HEADER..)?).ok()?;
    let error = json["txpk_ack"]["error"].as_str()?;
    (!matches!(error, "" | "NONE")).then(|| error.chars().take(32).collect())
}
