//! The conversation with one packet forwarder.

use std::net::SocketAddr;

use crate::radio::Emission;
use crate::time::Instant;
use crate::time::Tmst;

use super::counter::Counter;
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

/// Our side of the conversation with one packet forwarder.
///
/// After every call take [`Link::poll`] until it is empty; call [`Link::time`] at [`Link::wake_at`]. A PUSH_DATA or
/// PULL_DATA with a good header is acknowledged at once, whatever else is in it, except as
/// [`Link::hold_push_acks`] says.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    gateway: Option<GatewayId>,
    pull_path: Option<PullPath>,
    counter: Counter,
    counter_is_known: bool,
    transmitter: Transmitter,
    stat: Option<Stat>,
    counts: Counts,
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
            counter: Counter::default(),
            counter_is_known: false,
            transmitter: Transmitter::new(seed),
            stat: None,
            counts: Counts::default(),
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
                self.counts.pushes += 1;
                if !self.holds_push_acks {
                    self.answer(from, packet::push_ack(header));
                }
                is_ours = self.push_data(now, from, header, json);
            }
            Ok(Datagram::PullData { header }) => {
                self.counts.pulls += 1;
                self.answer(from, packet::pull_ack(header));
                self.pull_data(now, from, header);
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
        let lent = Lent { settings: &self.settings, counter: &self.counter, outbox: &mut self.outbox };
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

    /// The counter's value at `instant`, while it is known.
    pub fn tmst_at(&self, now: Instant, instant: Instant) -> Option<Tmst> {
        self.counter.at(now, instant).map(|at| at.tmst())
    }

    /// When the counter will show (or showed) `tmst`, while it is known.
    pub fn instant_of(&self, now: Instant, tmst: Tmst) -> Option<Instant> {
        self.counter.instant_of(now, tmst, now)
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
        if self.counter_is_known && self.counter.error_us(now).is_none() {
            self.lost(CounterLoss::Aged);
        }
        let is_online = self.is_online();
        self.is_answering &= !self.transmitter.time(now, is_online, &self.counter, &mut self.outbox);
    }

    /// When [`Link::time`] wants to be called next, if nothing happens before.
    pub fn wake_at(&self) -> Option<Instant> {
        let offline = self.online_path().as_ref().map(PullPath::deadline);
        let aged = self.counter_is_known.then(|| self.counter.useless_at()).flatten();
        [self.transmitter.wake_at(), offline, aged].into_iter().flatten().min()
    }

    /// The next wish, in the order in which they arose.
    pub fn poll(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    /// How emissions should be handed over as things stand; `is_shared`: a network server uses the same radio.
    pub fn pace(&self, now: Instant, is_shared: bool) -> Pace {
        match self.counter.error_us(now) {
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

    /// The link at a glance.
    pub fn state(&self, now: Instant) -> LinkState {
        LinkState {
            gateway: self.gateway,
            online: self.online_path().map(|path| path.to),
            pull_address: self.gateway.zip(self.online_path()).map(|(gateway, path)| PullAddress {
                gateway,
                address: path.to,
                version: path.version,
            }),
            counter: self.counter.error_us(now).map(|error_us| CounterEstimate { error_us }),
            stat: self.stat,
            counts: self.counts,
        }
    }

    /// Whether it is of our gateway.
    fn push_data(&mut self, now: Instant, from: SocketAddr, header: Header, json: &[u8]) -> bool {
        let is_its_host = self.online_path().is_none_or(|path| path.to.ip() == from.ip());
        if !self.is_ours(header.gateway) || !is_its_host {
            self.counts.foreign += 1;
            return false;
        }
        self.is_answering = true;
        let Some(push_data) = PushData::read(json) else {
            self.malformed(MalformedKind::Json);
            return true;
        };
        for packet in &push_data.rxpk {
            self.uplink(now, packet);
        }
        if let Some(stat) = push_data.stat {
            self.stat = Some(stat);
            self.outbox.tell(Event::Stat(stat));
            if let Some(dropped) = stat.txnb.and_then(|txnb| self.transmitter.stat(now, txnb)) {
                self.counts.silently_dropped += u64::from(dropped.frames);
                self.outbox.tell(Event::SilentlyDropped(dropped));
            }
        }
        true
    }

    fn uplink(&mut self, now: Instant, packet: &Rxpk) {
        // Without a timestamp it neither teaches nor has a place in time.
        let Some(tmst) = packet.tmst.map(Tmst) else { return };
        if let Heard::Restarted { by_us } = self.counter.hear(now, tmst) {
            self.transmitter.restarted();
            self.lost(CounterLoss::Jumped { by_us });
        }
        if !self.counter_is_known
            && let Some(error_us) = self.counter.error_us(now)
        {
            self.counter_is_known = true;
            self.outbox.tell(Event::CounterKnown { error_us });
        }
        self.outbox.tell(Event::Uplink(Uplink {
            received: now,
            ended: self.counter.instant_of(now, tmst, now).unwrap_or(now),
            tmst,
            gps_ms: packet.gps_ms,
            frequency_hz: packet.frequency_hz,
            size: packet.size,
            first_byte: packet.first_byte,
            dev_addr: packet.dev_addr,
            crc_ok: packet.crc_ok,
        }));
    }

    fn pull_data(&mut self, now: Instant, from: SocketAddr, header: Header) {
        // Whoever was adopted first and is silent may have been a mistake; a configured gateway never is.
        let is_free = self.settings.gateway.is_none() && self.online_path().is_none();
        if is_free {
            self.gateway = Some(header.gateway);
        } else if !self.is_ours(header.gateway) {
            self.counts.foreign += 1;
            return;
        }
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
            self.counter.forget();
            self.transmitter.restarted();
            self.lost(CounterLoss::NewSource);
        }
    }

    fn tx_ack(&mut self, now: Instant, from: SocketAddr, header: Header, body: &[u8]) {
        let token = header.token;
        let remembered = self.remembered().map(|last| last.gateway);
        let is_ours = [self.gateway, remembered].contains(&Some(header.gateway));
        let lent = Lent { settings: &self.settings, counter: &self.counter, outbox: &mut self.outbox };
        let answered = match is_ours {
            true => {
                self.is_answering = true;
                self.transmitter.tx_ack(now, from, token, body, lent)
            }
            false => Answered::Unknown,
        };
        match answered {
            Answered::Yes => {}
            Answered::BadBody => self.malformed(MalformedKind::TxAckBody { token }),
            Answered::Unknown => {
                self.counts.unknown_acks += 1;
                self.outbox.tell(Event::Malformed { kind: MalformedKind::UnknownAck { token } });
            }
            Answered::WrongCounter => {
                self.counter.forget();
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

    fn is_ours(&mut self, gateway: GatewayId) -> bool {
        *self.gateway.get_or_insert(gateway) == gateway
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
