//! What is handed to the forwarder: our emissions with their copies and verdicts, network servers' downlinks, and the
//! tokens of both.

use std::net::SocketAddr;

use crate::radio::Dbm;
use crate::radio::Emission;
use crate::time::ConcentratorTime;
use crate::time::Instant;

use super::boards::Boards;
use super::counter::Counter;
use super::error::NotSent;
use super::event::EmissionId;
use super::event::Event;
use super::event::Refusal;
use super::event::Verdict;
use super::in_flight::IN_FLIGHT_MAX;
use super::in_flight::InFlight;
use super::in_flight::PENDING_ACKS_MAX;
use super::in_flight::PendingAck;
use super::outbox::Outbox;
use super::packet;
use super::pull_path::PullPath;
use super::server_downlinks::ServerDownlinks;
use super::server_downlinks::Slot;
use super::settings::Settings;
use super::timing::ACK_US;
use super::timing::COPY_LEAD_US;
use super::timing::GAP_US;
use super::timing::IMMEDIATE_LEAD_US;
use super::timing::IMMEDIATE_SLACK_US;
use super::timing::LEAD_LAST_US;
use super::timing::LEAD_MAX_US;
use super::tokens::Tokens;
use super::tx_ack::TxAck;
use super::txnb_audit::Accounted;
use super::txnb_audit::TxnbAudit;
use super::txpk::TxPk;

/// What a TX_ACK turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// It answered an emission or a server's downlink.
    Yes,
    /// It shows that the counter we believed in is not the forwarder's.
    WrongCounter,
    /// Its body cannot be read: it answers nothing.
    BadBody,
    /// Nobody waits for it.
    Unknown,
}

/// What the link lends for a call.
pub(super) struct Lent<'a> {
    pub settings: &'a Settings,
    pub boards: &'a Boards,
    pub outbox: &'a mut Outbox,
}

/// Everything that was handed over and is not yet over.
#[derive(Debug)]
pub(super) struct Transmitter {
    tokens: Tokens,
    pending: Vec<PendingAck>,
    in_flight: InFlight,
    server_downlinks: ServerDownlinks,
    /// End of the latest emission by timestamp: on our clock and on the counter.
    latest: Option<(Instant, ConcentratorTime)>,
    audit: TxnbAudit,
}

impl Transmitter {
    pub fn new(seed: u64) -> Self {
        Transmitter {
            tokens: Tokens::new(seed),
            pending: Vec::new(),
            in_flight: InFlight::default(),
            server_downlinks: ServerDownlinks::default(),
            latest: None,
            audit: TxnbAudit::default(),
        }
    }

    /// Hands an emission over: see [`super::Link::send`].
    pub fn send(
        &mut self,
        now: Instant,
        id: EmissionId,
        emission: &Emission,
        to: SocketAddr,
        lent: Lent<'_>,
    ) -> Result<(), NotSent> {
        let Lent { settings, boards, outbox } = lent;
        let counter = boards.ours();
        let by_counter = counter.at(now, emission.start);
        is_in_time(now, emission.start, by_counter.is_some())?;
        self.has_room(now, emission.start, by_counter.is_none(), outbox.is_full())?;
        let (start, at) = match by_counter {
            Some(at) => self.in_step(emission.start, at),
            None => (now.plus_us(IMMEDIATE_LEAD_US), None),
        };
        let txpk = TxPk::new(settings, emission, at.map(ConcentratorTime::tmst), boards.name())?;
        let airtime_us = emission.airtime_us();
        let end = start.plus_us(airtime_us);
        if let Some(at) = at {
            self.latest = Some((end, ConcentratorTime { us: at.us.saturating_add(airtime_us), ..at }));
        }
        let token = self.tokens.next();
        let bytes = txpk.datagram(token);
        self.in_flight.add(id, start, end, at.is_none());
        let deadline = now.plus_us(ACK_US);
        let (copy_token, first_refused) = (None, false);
        // Whoever waits stands there before the datagram leaves: on loopback the answer takes microseconds.
        self.pending.push(PendingAck { id, token, copy_token, first_refused, to, txpk, start, at, deadline });
        outbox.datagram(to, bytes);
        Ok(())
    }

    /// Passes a server's downlink on under a token of our own: see [`super::Link::relay`].
    pub fn relay(
        &mut self,
        now: Instant,
        id: EmissionId,
        json: &[u8],
        slot: Option<Slot>,
        path: &PullPath,
        outbox: &mut Outbox,
    ) -> Result<bool, NotSent> {
        if self.server_downlinks.is_full() {
            let free_at = self.server_downlinks.next_deadline().unwrap_or(now);
            return Err(NotSent::Busy { outstanding: self.server_downlinks.len(), free_at });
        }
        if let Some(slot) = slot {
            let end = slot.start.plus_us(slot.airtime_us);
            self.in_flight.add(id, slot.start, end, slot.is_immediate);
        }
        let has_acks = path.has_acks();
        let token = if has_acks { self.tokens.next() } else { 0 };
        if has_acks {
            self.server_downlinks.add(now, id, token, path.to, slot.map(|slot| slot.start));
        }
        outbox.datagram(path.to, [&packet::pull_resp(path.version, token)[..], json].concat());
        Ok(has_acks)
    }

    /// Takes a TX_ACK of our gateway.
    pub fn tx_ack(
        &mut self,
        now: Instant,
        from: SocketAddr,
        token: u16,
        body: &[u8],
        lent: Lent<'_>,
    ) -> Answered {
        let Lent { settings, boards, outbox } = lent;
        let counter = boards.ours();
        let is_this = |pending: &PendingAck| {
            pending.to == from && (pending.token == token || pending.copy_token == Some(token))
        };
        let Some(index) = self.pending.iter().position(is_this) else {
            return self.server_answered(from, token, body, outbox);
        };
        let Some(ack) = TxAck::read(body) else { return Answered::BadBody };
        let Some(judged) = self.pending[index].judge(token, ack.answer) else { return Answered::Yes };
        let pending = self.pending.swap_remove(index);
        match judged {
            Ok(power) => {
                let departure = ack.tmst.and_then(|tmst| counter.instant_of(now, tmst, pending.start));
                self.queued(&pending, power.flatten(), departure, settings, outbox);
                Answered::Yes
            }
            Err(refusal) => self.refused(now, &pending, refusal, counter, outbox),
        }
    }

    /// Does what is due: copies, verdicts of silence, what is off the air. Whether there was a verdict of silence.
    pub fn time(&mut self, now: Instant, is_online: bool, counter: &Counter, outbox: &mut Outbox) -> bool {
        let mut is_silent = false;
        while let Some(index) = self.pending.iter().position(|pending| pending.deadline <= now) {
            is_silent |= self.silence(now, index, is_online, counter, outbox);
        }
        self.in_flight.tidy(now);
        self.server_downlinks.forget_unanswered(now);
        is_silent
    }

    /// When [`Transmitter::time`] wants to be called.
    pub fn wake_at(&self) -> Option<Instant> {
        let acks = self.pending.iter().map(|pending| pending.deadline);
        acks.chain(self.server_downlinks.next_deadline()).min()
    }

    /// When the last frame that went out as "immediate" is off the air, if one is on it.
    pub fn immediate_until(&self, now: Instant) -> Option<Instant> {
        self.in_flight.immediate_before(now)
    }

    /// The forwarder reports that it gave `txnb` frames to the radio since its last report.
    pub fn stat(&mut self, now: Instant, txnb: Option<u32>) -> Accounted {
        self.audit.stat(now, txnb)
    }

    /// The forwarder was started anew, and was heard before at that instant: its sums begin anew, too.
    pub fn restarted(&mut self, heard: Instant) -> Option<[Accounted; 2]> {
        self.audit.reset(heard)
    }

    /// Takes a TX_ACK if it answers a server's downlink.
    fn server_answered(
        &mut self,
        from: SocketAddr,
        token: u16,
        body: &[u8],
        outbox: &mut Outbox,
    ) -> Answered {
        let Some(downlink) = self.server_downlinks.take(from, token) else { return Answered::Unknown };
        let is_refused = TxAck::read(body).is_some_and(|ack| ack.answer.is_err());
        if is_refused {
            self.in_flight.remove(downlink.id);
        } else if let Some(start) = downlink.start {
            self.audit.accepted(start, false);
        }
        outbox.tell(Event::Answered { id: downlink.id, body: body.to_vec(), is_refused });
        Answered::Yes
    }

    fn queued(
        &mut self,
        pending: &PendingAck,
        power: Option<Dbm>,
        departure: Option<Instant>,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        let id = pending.id;
        // A departure far from the plan is somebody else's counter.
        let distance_us = |at: &Instant| at.us_since(pending.start).max(pending.start.us_since(*at));
        let departure = departure.filter(|departure| distance_us(departure) <= LEAD_MAX_US);
        let start = departure.unwrap_or(pending.start);
        self.in_flight.moved(id, start);
        self.audit.accepted(start, true);
        outbox.tell(Event::Verdict { id, verdict: Verdict::Queued { start, power } });
        let asked = pending.txpk.conducted(settings);
        match power {
            Some(granted) if granted > asked => outbox.tell(Event::PowerExceeded { id, asked, granted }),
            Some(granted) if granted < asked => outbox.tell(Event::PowerReduced { id, asked, granted }),
            _ => {}
        }
    }

    fn refused(
        &mut self,
        now: Instant,
        pending: &PendingAck,
        refusal: Refusal,
        counter: &Counter,
        outbox: &mut Outbox,
    ) -> Answered {
        self.in_flight.remove(pending.id);
        let was_ahead = pending.start > now.plus_us(COPY_LEAD_US);
        let is_this_run = pending.at.is_some_and(|at| at.session == counter.session());
        let is_counter_wrong = refusal == Refusal::TooEarly && was_ahead && is_this_run;
        outbox.tell(Event::Verdict { id: pending.id, verdict: Verdict::Refused(refusal) });
        if is_counter_wrong { Answered::WrongCounter } else { Answered::Yes }
    }

    /// No answer came in time: one copy if that is harmless, else silence is the verdict; whether it is.
    fn silence(
        &mut self,
        now: Instant,
        index: usize,
        is_online: bool,
        counter: &Counter,
        outbox: &mut Outbox,
    ) -> bool {
        let pending = &mut self.pending[index];
        let is_this_run = pending.at.is_some_and(|at| at.session == counter.session());
        let is_ahead = pending.start > now.plus_us(COPY_LEAD_US);
        if pending.copy_token.is_none() && is_this_run && is_ahead && is_online {
            let token = self.tokens.next();
            pending.copy_token = Some(token);
            pending.deadline = now.plus_us(ACK_US);
            outbox.datagram(pending.to, pending.txpk.datagram(token));
            false
        } else {
            let pending = self.pending.swap_remove(index);
            let verdict = Verdict::Silent { immediate: pending.at.is_none() };
            outbox.tell(Event::Verdict { id: pending.id, verdict });
            true
        }
    }

    fn has_room(
        &self,
        now: Instant,
        start: Instant,
        is_immediate: bool,
        is_outbox_full: bool,
    ) -> Result<(), NotSent> {
        let outstanding = self.in_flight.len();
        let busy = |free_at| Err(NotSent::Busy { outstanding, free_at });
        if self.pending.len() >= PENDING_ACKS_MAX || is_outbox_full {
            return busy(self.pending.iter().map(|pending| pending.deadline).min().unwrap_or(now));
        }
        if outstanding >= IN_FLIGHT_MAX {
            return busy(self.in_flight.next_off().unwrap_or(now));
        }
        let in_the_way = match is_immediate {
            true => self.in_flight.all_off(now),
            false => self.in_flight.immediate_before(start),
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
}

/// Whether the forwarder's queue takes a start so far away.
fn is_in_time(now: Instant, start: Instant, by_counter: bool) -> Result<(), NotSent> {
    let lead_us = start.us_since(now);
    let (needed_us, allowed_us) = match by_counter {
        true => (LEAD_LAST_US, LEAD_MAX_US),
        false => (IMMEDIATE_LEAD_US - IMMEDIATE_SLACK_US, IMMEDIATE_LEAD_US + IMMEDIATE_SLACK_US),
    };
    if lead_us < needed_us {
        return Err(NotSent::TooLate { lead_us, needed_us });
    }
    if lead_us > allowed_us {
        return Err(NotSent::TooEarly { lead_us, allowed_us });
    }
    Ok(())
}
