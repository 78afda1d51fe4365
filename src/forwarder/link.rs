//! The conversation with one packet forwarder.

use std::net::SocketAddr;

use crate::radio::Dbm;
use crate::radio::Emission;
use crate::time::Instant;
use crate::time::Tmst;

use super::boards::Boards;
use super::counter::Heard;
use super::error::NotSent;
use super::event::CounterEstimate;
use super::event::CounterLoss;
use super::event::Counts;
use super::event::EmissionId;
use super::event::Event;
use super::event::LinkState;
use super::event::MalformedKind;
use super::event::Output;
use super::event::Pace;
use super::event::Uplink;
use super::obstacle::Obstacle;
use super::other_senders::OtherSender;
use super::other_senders::OtherSenders;
use super::outbox::Outbox;
use super::packet;
use super::packet::Datagram;
use super::packet::Header;
use super::pull_path::Keepalive;
use super::pull_path::PullPath;
use super::rxpk::PushData;
use super::rxpk::Rxpk;
use super::rxpk::Stat;
use super::server_downlinks::Slot;
use super::settings::GatewayId;
use super::settings::PullAddress;
use super::settings::Settings;
use super::timing;
use super::transmitter::Answered;
use super::transmitter::Lent;
use super::transmitter::Transmitter;
use super::txnb_audit::Accounted;

/// Our side of the conversation with one packet forwarder.
///
/// After every call take [`Link::poll`] until it is empty; call [`Link::time`] at [`Link::wake_at`]. A PUSH_DATA or
/// PULL_DATA of our gateway is acknowledged at once, whatever else is in it, except as [`Link::hold_push_acks`] says;
/// those of others are not: what is not served must not look as if it were.
///
/// ```
/// use fuotad::forwarder::{EmissionId, Link, Output, Settings};
/// use fuotad::radio::{Dbm, Emission, Modulation};
/// use fuotad::time::Instant;
///
/// let mut link = Link::new(Settings::default(), 1);
/// let pull_data = [2, 0, 7, 2, 0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
/// link.datagram(Instant::ZERO, ([127, 0, 0, 1], 40_001).into(), &pull_data);
/// let emission = Emission {
///     start: Instant::from_us(90_000),
///     frequency_hz: 869_525_000,
///     modulation: Modulation::LoRa { sf: 9, bw_hz: 125_000 },
///     eirp: Dbm::from_whole(27),
///     phy_payload: vec![0x60; 20],
/// };
/// link.send(Instant::ZERO, EmissionId(1), &emission)?;
/// let mut kinds = Vec::new();
/// while let Some(output) = link.poll() {
///     if let Output::Datagram { bytes, .. } = output {
///         kinds.push(bytes[3]);
///     }
/// }
/// assert_eq!(kinds, [4, 3], "PULL_ACK and PULL_RESP");
/// # Ok::<(), fuotad::forwarder::NotSent>(())
/// ```
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    gateway: Option<GatewayId>,
    pull_path: Option<PullPath>,
    boards: Boards,
    counter_is_known: bool,
    transmitter: Transmitter,
    stat: Option<Stat>,
    /// When something of our gateway came last.
    heard: Instant,
    counts: Counts,
    others: OtherSenders,
    outbox: Outbox,
    is_answering: bool,
    holds_push_acks: bool,
}

impl Link {
    /// A link that has heard nothing yet. `seed` decides the order of its tokens.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Link {
            gateway: settings.gateway,
            settings,
            pull_path: None,
            boards: Boards::default(),
            counter_is_known: false,
            transmitter: Transmitter::new(seed),
            stat: None,
            heard: Instant::ZERO,
            counts: Counts::default(),
            others: OtherSenders::default(),
            outbox: Outbox::default(),
            is_answering: true,
            holds_push_acks: false,
        }
    }

    /// Takes one datagram that was received from `from` at `now`. `now` should be the time of its arrival, not of
    /// its turn: the counter is learned from it.
    ///
    /// Answers whether it is a PUSH_DATA of our gateway, which network servers may want as it is.
    pub fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        if self.outbox.is_full() {
            self.counts.dropped += 1;
            return false;
        }
        if !self.settings.admits(from.ip()) {
            self.counts.foreign += 1;
            return false;
        }
        let mut is_ours = false;
        match Datagram::read(bytes) {
            Ok(Datagram::PushData { header, json }) => {
                is_ours = self.serves_push(from, header.gateway);
                if is_ours {
                    self.counts.pushes += 1;
                    if !self.holds_push_acks {
                        self.answer(from, packet::push_ack(header));
                    }
                    self.push_data(now, json);
                    self.heard = now;
                } else {
                    self.not_served(now, from, header.gateway);
                }
            }
            Ok(Datagram::PullData { header }) => {
                if self.serves_pull(from, header.gateway) {
                    self.counts.pulls += 1;
                    self.answer(from, packet::pull_ack(header));
                    self.pull_data(now, from, header);
                    self.heard = now;
                } else {
                    self.not_served(now, from, header.gateway);
                }
            }
            Ok(Datagram::TxAck { header, body }) => self.tx_ack(now, from, header, body),
            Err(kind) => self.malformed(kind),
        }
        self.time(now);
        is_ours
    }

    /// Whether a PUSH_DATA is left without its ack from now on: what cannot be placed is not acknowledged.
    pub fn hold_push_acks(&mut self, is_held: bool) {
        self.holds_push_acks = is_held;
    }

    /// Hands an emission to the forwarder: by timestamp while the counter is known, else at once, which then is
    /// on the air 80 ms later. Exactly one [`Event::Verdict`] with this `id` follows.
    ///
    /// # Errors
    /// [`NotSent`]: nothing was sent, and no verdict follows.
    pub fn send(&mut self, now: Instant, id: EmissionId, emission: &Emission) -> Result<(), NotSent> {
        let path = self.online_path().ok_or(NotSent::Offline)?;
        if !path.has_acks() {
            return Err(NotSent::ProtocolV1);
        }
        let lent = Lent { settings: &self.settings, boards: &self.boards, outbox: &mut self.outbox };
        self.transmitter.send(now, id, emission, path.to, lent)
    }

    /// Passes a server's downlink on with a token of our own; to where the forwarder was in the last life of the process,
    /// while it was not heard in this one. [`Event::Answered`] with this `id` follows when the
    /// forwarder answers; `false`: it speaks version 1 of the protocol and never will.
    ///
    /// # Errors
    /// [`NotSent`]: it was not passed on, and no event follows.
    pub fn relay(
        &mut self,
        now: Instant,
        id: EmissionId,
        json: &[u8],
        slot: Option<Slot>,
    ) -> Result<bool, NotSent> {
        let remembered = || self.remembered().map(PullPath::remembered);
        let path = self.online_path().or_else(remembered).ok_or(NotSent::Offline)?;
        self.transmitter.relay(now, id, json, slot, &path, &mut self.outbox)
    }

    /// What the counter of a server's `board` shows at `instant`, while it is known.
    pub fn tmst_at(&self, now: Instant, board: Option<u32>, instant: Instant) -> Option<Tmst> {
        self.boards.counter_of(board)?.at(now, instant).map(|at| at.tmst())
    }

    /// When the counter of a server's `board` will show (or showed) `tmst`, while it is known.
    pub fn instant_of(&self, now: Instant, board: Option<u32>, tmst: Tmst) -> Option<Instant> {
        self.boards.counter_of(board)?.instant_of(now, tmst, now)
    }

    /// What leaves the antenna when the forwarder is asked for `powe`, EIRP.
    pub fn eirp(&self, powe: Dbm) -> Dbm {
        self.settings.eirp(powe)
    }

    /// When the last frame that went out as "immediate" is off the air, if one is on it.
    pub fn immediate_until(&self, now: Instant) -> Option<Instant> {
        self.transmitter.immediate_until(now)
    }

    /// Does what is due at `now`.
    pub fn time(&mut self, now: Instant) {
        if let Some(path) = self.pull_path.as_mut().filter(|path| path.is_online && path.deadline() <= now) {
            path.is_online = false;
            let silent_us = now.us_since(path.heard);
            self.outbox.tell(Event::Offline { silent_us });
        }
        if self.counter_is_known && self.boards.ours().error_us(now).is_none() {
            self.lost(CounterLoss::Aged);
        }
        let is_online = self.is_online();
        self.is_answering &= !self.transmitter.time(now, is_online, self.boards.ours(), &mut self.outbox);
    }

    /// When [`Link::time`] wants to be called next, if nothing happens before.
    pub fn wake_at(&self) -> Option<Instant> {
        let offline = self.online_path().as_ref().map(PullPath::deadline);
        let aged = self.counter_is_known.then(|| self.boards.ours().useless_at()).flatten();
        [self.transmitter.wake_at(), offline, aged].into_iter().flatten().min()
    }

    /// The next wish, in the order in which they arose.
    pub fn poll(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    /// How emissions should be handed over as things stand; `is_shared`: a network server uses the same radio.
    pub fn pace(&self, now: Instant, is_shared: bool) -> Pace {
        match self.boards.ours().error_us(now) {
            Some(_) if is_shared => Pace {
                lead_us: timing::LEAD_SHARED_US,
                lead_min_us: timing::LEAD_SHARED_US,
                gap_us: timing::GAP_US,
            },
            Some(_) => {
                Pace { lead_us: timing::LEAD_US, lead_min_us: timing::LEAD_MIN_US, gap_us: timing::GAP_US }
            }
            None => Pace {
                lead_us: timing::IMMEDIATE_LEAD_US,
                lead_min_us: timing::IMMEDIATE_LEAD_US,
                // The next is handed over only when the one before is off the air, which may be a slack later
                // than planned.
                gap_us: timing::IMMEDIATE_HOLD_US + timing::IMMEDIATE_LEAD_US + timing::IMMEDIATE_SLACK_US,
            },
        }
    }

    /// Whether the forwarder's keepalives arrive.
    pub fn is_online(&self) -> bool {
        self.online_path().is_some()
    }

    /// Whether anything came from the forwarder since it left an emission of ours and its copy unanswered. While it did
    /// not, the next emission would go where the last one went.
    pub fn is_answering(&self) -> bool {
        self.is_answering
    }

    /// Why no emission can be handed over at the moment, if there is a reason.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match (&self.pull_path, self.online_path()) {
            (_, Some(path)) if !path.has_acks() => Some(Obstacle::Version1),
            (_, Some(_)) => (!self.is_answering()).then_some(Obstacle::Unanswered),
            (Some(_), None) => Some(Obstacle::Silent),
            (None, None) if self.counts.pushes > 0 => Some(Obstacle::NoPullData),
            (None, None) => Some(Obstacle::NotHeard),
        }
    }

    /// Who else sends here and is not served, at most eight.
    pub fn other_senders(&self) -> impl Iterator<Item = OtherSender> {
        self.others.iter()
    }

    /// The link at a glance.
    pub fn state(&self, now: Instant) -> LinkState {
        LinkState {
            gateway: self.gateway,
            online: self.online_path().map(|path| path.to),
            obstacle: self.obstacle(),
            pull_address: self.gateway.zip(self.online_path()).map(|(gateway, path)| PullAddress {
                gateway,
                address: path.to,
                version: path.version,
            }),
            counter: self.boards.ours().error_us(now).map(|error_us| CounterEstimate { error_us }),
            stat: self.stat,
            counts: self.counts,
        }
    }

    /// Whether a PUSH_DATA is of our gateway and its host. The first gateway heard is adopted.
    fn serves_push(&mut self, from: SocketAddr, gateway: GatewayId) -> bool {
        let is_its_host = self.online_path().is_none_or(|path| path.to.ip() == from.ip());
        *self.gateway.get_or_insert(gateway) == gateway && is_its_host
    }

    /// Whether a PULL_DATA is of our gateway. Whoever was adopted first and is silent may have been a mistake; a
    /// configured gateway never is.
    fn serves_pull(&mut self, from: SocketAddr, gateway: GatewayId) -> bool {
        match self.online_path() {
            Some(path) if !from.ip().is_loopback() && path.to.ip() != from.ip() => return false,
            None if self.settings.gateway.is_none() => self.adopt(gateway),
            _ => {}
        }
        *self.gateway.get_or_insert(gateway) == gateway
    }

    fn adopt(&mut self, gateway: GatewayId) {
        let before = self.gateway.replace(gateway);
        if before.is_some_and(|before| before != gateway) {
            self.boards.forget();
            self.restarted();
            self.lost(CounterLoss::OtherGateway);
        }
    }

    fn not_served(&mut self, now: Instant, from: SocketAddr, gateway: GatewayId) {
        self.counts.foreign += 1;
        if let Some(sender) = self.others.heard(now, gateway, from) {
            let (served, is_configured) = (self.gateway, self.settings.gateway.is_some());
            self.outbox.tell(Event::OtherSender { sender, served, is_configured });
        }
    }

    fn push_data(&mut self, now: Instant, json: &[u8]) {
        self.is_answering = true;
        let Some(push_data) = PushData::read(json) else { return self.malformed(MalformedKind::Json) };
        for packet in &push_data.rxpk {
            self.counts.uplinks += u64::from(packet.crc_ok);
            self.uplink(now, packet);
        }
        if let Some(stat) = push_data.stat {
            self.stat = Some(stat);
            self.outbox.tell(Event::Stat(stat));
            let accounted = self.transmitter.stat(now, stat.txnb);
            self.account(accounted);
        }
    }

    fn account(&mut self, accounted: Accounted) {
        self.counts.silently_dropped += u64::from(accounted.dropped);
        self.outbox.tell(Event::Accounted(accounted));
    }

    /// Another process is the forwarder now, or another counter is its.
    fn restarted(&mut self) {
        for accounted in self.transmitter.restarted(self.heard).into_iter().flatten() {
            self.account(accounted);
        }
    }

    fn uplink(&mut self, now: Instant, packet: &Rxpk) {
        // Without a timestamp it neither teaches nor has a place in time.
        let Some(tmst) = packet.tmst.map(Tmst) else { return };
        let (heard, is_ours) = self.boards.hear(now, packet.board, tmst);
        if let Heard::Restarted { by_us } = heard {
            self.restarted();
            if is_ours {
                self.lost(CounterLoss::Jumped { by_us });
            }
        }
        if !self.counter_is_known
            && let Some(error_us) = self.boards.ours().error_us(now)
        {
            self.counter_is_known = true;
            self.outbox.tell(Event::CounterKnown { error_us });
        }
        self.outbox.tell(Event::Uplink(Uplink {
            received: now,
            ended: self.instant_of(now, packet.board, tmst).unwrap_or(now),
            tmst,
            gps_ms: packet.gps_ms,
            frequency_hz: packet.frequency_hz,
            modulation: packet.modulation,
            size: packet.size,
            first_byte: packet.first_byte,
            dev_addr: packet.dev_addr,
            crc_ok: packet.crc_ok,
        }));
    }

    fn pull_data(&mut self, now: Instant, from: SocketAddr, header: Header) {
        self.others.is_served(header.gateway, from);
        self.is_answering = true;
        let keepalive = PullPath::keepalive(&mut self.pull_path, now, from, header.version);
        match keepalive {
            Keepalive::Known => {}
            Keepalive::Stolen => self.counts.foreign += 1,
            Keepalive::Back | Keepalive::Moved => {
                self.outbox.tell(Event::Online { gateway: header.gateway, from, version: header.version });
            }
        }
        if keepalive == Keepalive::Moved {
            self.boards.forget();
            self.restarted();
            self.lost(CounterLoss::NewSource);
        }
    }

    fn tx_ack(&mut self, now: Instant, from: SocketAddr, header: Header, body: &[u8]) {
        let token = header.token;
        let remembered = self.remembered().map(|last| last.gateway);
        let is_ours = [self.gateway, remembered].contains(&Some(header.gateway));
        let lent = Lent { settings: &self.settings, boards: &self.boards, outbox: &mut self.outbox };
        let answered = match is_ours {
            true => {
                self.is_answering = true;
                self.transmitter.tx_ack(now, from, token, body, lent)
            }
            false => Answered::Unknown,
        };
        match answered {
            Answered::Yes => self.heard = now,
            Answered::BadBody => self.malformed(MalformedKind::TxAckBody { token }),
            Answered::Unknown => {
                self.counts.unknown_acks += 1;
                self.outbox.tell(Event::Malformed { kind: MalformedKind::UnknownAck { token } });
            }
            Answered::WrongCounter => {
                self.boards.forget();
                self.lost(CounterLoss::TooEarly);
            }
        }
    }

    /// Where the forwarder was in the last life, until it asks for downlinks in this one.
    fn remembered(&self) -> Option<PullAddress> {
        self.settings.remembered().filter(|_| self.pull_path.is_none())
    }

    fn online_path(&self) -> Option<PullPath> {
        self.pull_path.filter(|path| path.is_online)
    }

    fn answer(&mut self, to: SocketAddr, ack: [u8; 4]) {
        self.outbox.datagram(to, ack.to_vec());
    }

    fn lost(&mut self, why: CounterLoss) {
        if self.counter_is_known {
            self.counter_is_known = false;
            self.outbox.tell(Event::CounterLost { why });
        }
    }

    fn malformed(&mut self, kind: MalformedKind) {
        self.counts.malformed += 1;
        self.outbox.tell(Event::Malformed { kind });
    }
}
