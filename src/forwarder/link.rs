//! The conversation with one packet forwarder.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::radio::Dbm;
use crate::radio::Emission;
use crate::time::ConcentratorTime;
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
use super::event::Refusal;
use super::event::Uplink;
use super::event::Verdict;
use super::outstanding::HOLD_US;
use super::outstanding::InFlight;
use super::outstanding::MAX_AWAITED;
use super::outstanding::MAX_HANDED_OVER;
use super::outstanding::PendingAck;
use super::packet;
use super::packet::Datagram;
use super::packet::Header;
use super::pull_path::Keepalive;
use super::pull_path::PullPath;
use super::rxpk::PushData;
use super::rxpk::Rxpk;
use super::rxpk::Stat;
use super::server_downlink::ServerDownlink;
use super::settings::GatewayId;
use super::settings::Settings;
use super::tokens::Tokens;
use super::tx_ack::TxAck;
use super::txnb_audit::TxnbAudit;
use super::txpk::TxPk;

/// How long a TX_ACK may take; real ones take 0.2 ms, 60 ms when the forwarder's bus is busy.
const ANSWER_US: u64 = 200_000;

/// A copy is sent only while the start is further away than this.
const REPEAT_LEAD_US: u64 = 60_000;

/// The forwarder's own lead for packets without a timestamp.
const IMMEDIATE_LEAD_US: u64 = 80_000;

/// How far the start of one without a timestamp may be from that lead.
const IMMEDIATE_SLACK_US: u64 = 20_000;

/// With a timestamp: in good time, so that a lost answer leaves room for a copy.
const LEAD_US: u64 = 350_000;

/// With a timestamp: the forwarder wants 43 ms, the network and a busy bus the rest.
const LEAD_MIN_US: u64 = 150_000;

/// With a timestamp and a network server, whose downlinks come late and go first: as late as it can be.
const LEAD_SHARED_US: u64 = 100_000;

/// With a timestamp: later than this nothing is handed over.
const LEAD_LAST_US: u64 = 80_000;

/// With a timestamp: beyond this the counter's drift would show.
const LEAD_MAX_US: u64 = 60_000_000;

/// Between two packets with a timestamp; the forwarder wants 43 ms.
const GAP_US: u64 = 45_000;

/// Outputs that may wait. When nobody takes them, datagrams are dropped unread.
const MAX_OUTPUTS: usize = 256;

/// Our side of the conversation with one packet forwarder.
///
/// After every call take [`Link::poll`] until it is empty; call [`Link::time`] at [`Link::wake_at`]. A PUSH_DATA or
/// PULL_DATA with a good header is acknowledged at once, whatever else is in it.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    pub(super) tokens: Tokens,
    gateway: Option<GatewayId>,
    down: Option<PullPath>,
    pub(super) counter: Counter,
    counter_is_known: bool,
    awaited: Vec<PendingAck>,
    pub(super) handed_over: InFlight,
    pub(super) relayed: Vec<ServerDownlink>,
    /// Start and end of the latest emission by timestamp: on our clock, and its end on the counter.
    latest: Option<(Instant, ConcentratorTime)>,
    stat: Option<Stat>,
    pub(super) tally: TxnbAudit,
    counts: Counts,
    pub(super) outputs: VecDeque<Output>,
}

impl Link {
    /// A link that has heard nothing yet. `seed` decides the order of its tokens.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Link {
            gateway: settings.gateway,
            settings,
            tokens: Tokens::new(seed),
            down: None,
            counter: Counter::default(),
            counter_is_known: false,
            awaited: Vec::new(),
            handed_over: InFlight::default(),
            relayed: Vec::new(),
            latest: None,
            stat: None,
            tally: TxnbAudit::default(),
            counts: Counts::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Where downlinks go and in which version of the protocol, while the forwarder is online.
    pub(super) fn downlink_to(&self) -> Option<(SocketAddr, u8)> {
        self.down.filter(|down| down.is_online).map(|down| (down.to, down.version))
    }

    /// Takes one datagram that was received from `from` at `now`. `now` should be the time of its arrival, not of
    /// its turn: the counter is learned from it.
    ///
    /// Answers whether it is a PUSH_DATA of our gateway, which network servers may want as it is.
    pub fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        if self.outputs.len() >= MAX_OUTPUTS {
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
                self.answer(from, packet::push_ack(header));
                is_ours = self.push_data(now, from, header, json);
            }
            Ok(Datagram::PullData { header }) => {
                self.counts.pulls += 1;
                self.answer(from, packet::pull_ack(header));
                self.pull_data(now, from, header);
            }
            Ok(Datagram::TxAck { header, body }) => self.tx_ack(now, from, header, body),
            Err(kind) => self.odd(kind),
        }
        self.time(now);
        is_ours
    }

    /// Hands an emission to the forwarder: by timestamp while the counter is known, else at once, which then is
    /// on the air 80 ms later. Exactly one [`Event::Verdict`] with this `id` follows.
    ///
    /// # Errors
    /// [`NotSent`]: nothing was sent, and no verdict follows.
    pub fn send(&mut self, now: Instant, id: EmissionId, emission: &Emission) -> Result<(), NotSent> {
        let down = self.down.filter(|down| down.is_online).ok_or(NotSent::Offline)?;
        if down.version < 2 {
            return Err(NotSent::ProtocolV1);
        }
        let by_counter = self.counter.at(now, emission.start);
        let lead_us = emission.start.us_since(now);
        let (needed_us, allowed_us) = match by_counter {
            Some(_) => (LEAD_LAST_US, LEAD_MAX_US),
            None => (IMMEDIATE_LEAD_US - IMMEDIATE_SLACK_US, IMMEDIATE_LEAD_US + IMMEDIATE_SLACK_US),
        };
        if lead_us < needed_us {
            return Err(NotSent::TooLate { lead_us, needed_us });
        }
        if lead_us > allowed_us {
            return Err(NotSent::TooEarly { lead_us, allowed_us });
        }
        self.has_room(now, emission.start, by_counter.is_none())?;
        let (start, at) = match by_counter {
            Some(at) => self.in_step(emission.start, at),
            None => (now.plus_us(IMMEDIATE_LEAD_US), None),
        };
        let txpk = TxPk::new(&self.settings, emission, at.map(ConcentratorTime::tmst))?;
        let airtime_us = emission.airtime_us();
        let end = start.plus_us(airtime_us);
        if let Some(at) = at {
            self.latest = Some((end, ConcentratorTime { us: at.us.saturating_add(airtime_us), ..at }));
        }
        let token = self.tokens.next();
        let bytes = txpk.datagram(token);
        self.handed_over.add(id, start, end, at.is_none());
        // Whoever waits stands there before the datagram leaves: on loopback the answer takes microseconds.
        let deadline = now.plus_us(ANSWER_US);
        let to = down.to;
        self.awaited.push(PendingAck {
            id,
            token,
            repeat: None,
            first_refused: false,
            to,
            txpk,
            start,
            at,
            deadline,
        });
        self.outputs.push_back(Output::Datagram { to, bytes });
        Ok(())
    }

    /// Does what is due at `now`.
    pub fn time(&mut self, now: Instant) {
        if let Some(down) = self.down.as_mut().filter(|down| down.is_online && down.deadline() <= now) {
            down.is_online = false;
            let silent_us = now.us_since(down.heard);
            self.tell(Event::Offline { silent_us });
        }
        if self.counter_is_known && self.counter.error_us(now).is_none() {
            self.lost(CounterLoss::Aged);
        }
        while let Some(index) = self.awaited.iter().position(|awaited| awaited.deadline <= now) {
            self.silence(now, index);
        }
        self.handed_over.tidy(now);
        self.forget_unanswered(now);
    }

    /// When [`Link::time`] wants to be called next, if nothing happens before.
    pub fn wake_at(&self) -> Option<Instant> {
        let answers = self.awaited.iter().map(|awaited| awaited.deadline);
        let offline = self.down.iter().filter(|down| down.is_online).map(PullPath::deadline);
        let aged = self.counter_is_known.then(|| self.counter.useless_at()).flatten();
        answers.chain(offline).chain(aged).chain(self.unanswered_at()).min()
    }

    /// The next wish, in the order in which they arose.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How emissions should be handed over as things stand; `is_shared`: a network server uses the same radio.
    pub fn pace(&self, now: Instant, is_shared: bool) -> Pace {
        match self.counter.error_us(now) {
            Some(_) if is_shared => {
                Pace { lead_us: LEAD_SHARED_US, lead_min_us: LEAD_SHARED_US, gap_us: GAP_US }
            }
            Some(_) => Pace { lead_us: LEAD_US, lead_min_us: LEAD_MIN_US, gap_us: GAP_US },
            None => Pace {
                lead_us: IMMEDIATE_LEAD_US,
                lead_min_us: IMMEDIATE_LEAD_US,
                // The next is handed over only when the one before is off the air, which may be a slack later
                // than planned.
                gap_us: HOLD_US + IMMEDIATE_LEAD_US + IMMEDIATE_SLACK_US,
            },
        }
    }

    /// Whether the forwarder's keepalives arrive.
    pub fn is_online(&self) -> bool {
        self.down.is_some_and(|down| down.is_online)
    }

    /// The link at a glance.
    pub fn state(&self, now: Instant) -> LinkState {
        LinkState {
            gateway: self.gateway,
            online: self.down.filter(|down| down.is_online).map(|down| down.to),
            counter: self.counter.error_us(now).map(|error_us| CounterEstimate { error_us }),
            stat: self.stat,
            counts: self.counts,
        }
    }

    /// Whether it is of our gateway.
    fn push_data(&mut self, now: Instant, from: SocketAddr, header: Header, json: &[u8]) -> bool {
        let is_its_host = self.down.is_none_or(|down| !down.is_online || down.to.ip() == from.ip());
        if !self.is_ours(header.gateway) || !is_its_host {
            self.counts.foreign += 1;
            return false;
        }
        let Some(look) = PushData::read(json) else {
            self.odd(MalformedKind::Json);
            return true;
        };
        for packet in &look.rxpk {
            self.uplink(now, packet);
        }
        if let Some(stat) = look.stat {
            self.stat = Some(stat);
            self.tell(Event::Stat(stat));
            if let Some(swallowed) = stat.txnb.and_then(|txnb| self.tally.stat(now, txnb)) {
                self.counts.swallowed += u64::from(swallowed.frames);
                self.tell(Event::SilentlyDropped(swallowed));
            }
        }
        true
    }

    fn uplink(&mut self, now: Instant, packet: &Rxpk) {
        // Without a timestamp it neither teaches nor has a place in time.
        let Some(tmst) = packet.tmst.map(Tmst) else { return };
        if let Heard::Restarted { by_us } = self.counter.hear(now, tmst) {
            self.tally.reset();
            self.lost(CounterLoss::Jumped { by_us });
        }
        if !self.counter_is_known
            && let Some(error_us) = self.counter.error_us(now)
        {
            self.counter_is_known = true;
            self.tell(Event::CounterKnown { error_us });
        }
        self.tell(Event::Uplink(Uplink {
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
        let is_free = self.settings.gateway.is_none() && self.down.is_none_or(|down| !down.is_online);
        if is_free {
            self.gateway = Some(header.gateway);
        } else if !self.is_ours(header.gateway) {
            self.counts.foreign += 1;
            return;
        }
        let keepalive = PullPath::keepalive(&mut self.down, now, from, header.version);
        match keepalive {
            Keepalive::Known => {}
            Keepalive::Stolen => self.counts.foreign += 1,
            Keepalive::Back | Keepalive::Moved => {
                self.tell(Event::Online { gateway: header.gateway, from, version: header.version });
            }
        }
        if keepalive == Keepalive::Moved {
            self.counter.forget();
            self.tally.reset();
            self.lost(CounterLoss::NewSource);
        }
    }

    fn tx_ack(&mut self, now: Instant, from: SocketAddr, header: Header, body: &[u8]) {
        let token = header.token;
        let is_this = |awaited: &PendingAck| {
            awaited.to == from && (awaited.token == token || awaited.repeat == Some(token))
        };
        let index = self.awaited.iter().position(is_this);
        let is_ours = self.gateway == Some(header.gateway);
        if is_ours && index.is_none() && self.answered(from, token, body) {
            return;
        }
        let Some(index) = index.filter(|_| is_ours) else {
            self.counts.unknown_acks += 1;
            self.tell(Event::Malformed { kind: MalformedKind::UnknownAck { token } });
            return;
        };
        let Some(ack) = TxAck::read(body) else {
            self.odd(MalformedKind::TxAckBody { token });
            return;
        };
        let Some(judged) = self.awaited[index].judge(token, ack.answer) else { return };
        let awaited = self.awaited.swap_remove(index);
        match judged {
            Ok(power) => self.queued(now, &awaited, power.flatten(), ack.tmst),
            Err(refusal) => self.refused(now, &awaited, refusal),
        }
    }

    fn queued(&mut self, now: Instant, awaited: &PendingAck, power: Option<Dbm>, departure: Option<Tmst>) {
        let id = awaited.id;
        let told = departure.and_then(|tmst| self.counter.instant_of(now, tmst, awaited.start));
        // A departure far from the plan is somebody else's counter.
        let told = told
            .filter(|told| told.us_since(awaited.start).max(awaited.start.us_since(*told)) <= LEAD_MAX_US);
        let start = told.unwrap_or(awaited.start);
        self.handed_over.moved(id, start);
        self.tally.accepted(start, true);
        self.tell(Event::Verdict { id, verdict: Verdict::Queued { start, power } });
        let asked = awaited.txpk.conducted(&self.settings);
        match power {
            Some(granted) if granted > asked => self.tell(Event::PowerExceeded { id, asked, granted }),
            Some(granted) if granted < asked => self.tell(Event::PowerReduced { id, asked, granted }),
            _ => {}
        }
    }

    fn refused(&mut self, now: Instant, awaited: &PendingAck, refusal: Refusal) {
        self.handed_over.remove(awaited.id);
        let was_ahead = awaited.start > now.plus_us(REPEAT_LEAD_US);
        let is_this_run = awaited.at.is_some_and(|at| at.session == self.counter.session());
        let is_model_wrong = refusal == Refusal::TooEarly && was_ahead && is_this_run;
        self.tell(Event::Verdict { id: awaited.id, verdict: Verdict::Refused(refusal) });
        if is_model_wrong {
            self.counter.forget();
            self.lost(CounterLoss::TooEarly);
        }
    }

    /// No answer came in time: one copy if that is harmless, else silence is the verdict.
    fn silence(&mut self, now: Instant, index: usize) {
        let is_online = self.down.is_some_and(|down| down.is_online);
        let session = self.counter.session();
        let awaited = &mut self.awaited[index];
        let is_this_run = awaited.at.is_some_and(|at| at.session == session);
        let is_ahead = awaited.start > now.plus_us(REPEAT_LEAD_US);
        if awaited.repeat.is_none() && is_this_run && is_ahead && is_online {
            let token = self.tokens.next();
            awaited.repeat = Some(token);
            awaited.deadline = now.plus_us(ANSWER_US);
            let (to, bytes) = (awaited.to, awaited.txpk.datagram(token));
            self.outputs.push_back(Output::Datagram { to, bytes });
        } else {
            let awaited = self.awaited.swap_remove(index);
            let verdict = Verdict::Silent { immediate: awaited.at.is_none() };
            self.tell(Event::Verdict { id: awaited.id, verdict });
        }
    }

    fn has_room(&self, now: Instant, start: Instant, immediate: bool) -> Result<(), NotSent> {
        let outstanding = self.handed_over.len();
        let busy = |free_at| Err(NotSent::Busy { outstanding, free_at });
        if self.awaited.len() >= MAX_AWAITED || self.outputs.len() >= MAX_OUTPUTS {
            return busy(self.awaited.iter().map(|awaited| awaited.deadline).min().unwrap_or(now));
        }
        if outstanding >= MAX_HANDED_OVER {
            return busy(self.handed_over.next_off().unwrap_or(now));
        }
        let in_the_way = match immediate {
            true => self.handed_over.all_off(now),
            false => self.handed_over.immediate_before(start),
        };
        in_the_way.map_or(Ok(()), busy)
    }

    /// The estimate of the counter may step back when a sample ages away. What was planned a gap apart stays so.
    fn in_step(&self, start: Instant, at: ConcentratorTime) -> (Instant, Option<ConcentratorTime>) {
        let back_us = match self.latest {
            Some((end, end_at)) if end_at.session == at.session && start >= end.plus_us(GAP_US) => {
                end_at.us.saturating_add(GAP_US).saturating_sub(at.us)
            }
            _ => 0,
        };
        (start.plus_us(back_us), Some(ConcentratorTime { us: at.us.saturating_add(back_us), ..at }))
    }

    fn is_ours(&mut self, gateway: GatewayId) -> bool {
        *self.gateway.get_or_insert(gateway) == gateway
    }

    fn answer(&mut self, to: SocketAddr, ack: [u8; 4]) {
        self.outputs.push_back(Output::Datagram { to, bytes: ack.to_vec() });
    }

    fn lost(&mut self, why: CounterLoss) {
        if self.counter_is_known {
            self.counter_is_known = false;
            self.tell(Event::CounterLost { why });
        }
    }

    fn odd(&mut self, kind: MalformedKind) {
        self.counts.odd += 1;
        self.tell(Event::Malformed { kind });
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
