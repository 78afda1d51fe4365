//! Downlinks of network servers on their way through the link: our own token towards the forwarder, the server's
//! on the way back.

use super::error::NotSent;
use super::event::EmissionId;
use super::event::Event;
use super::event::Output;
use super::link::Link;
use super::packet;
use super::server_downlink::ServerDownlink;
use super::server_downlink::Slot;
use super::tx_ack::TxAck;
use crate::time::Instant;
use crate::time::Tmst;
use std::net::SocketAddr;

/// Downlinks of servers whose TX_ACK is awaited, at most: what a forwarder's socket holds for certain (measured: 166).
const RELAYED_MAX: usize = 100;
/// A forwarder answers within milliseconds; this is for one whose bus is held, microseconds.
const ANSWER_US: u64 = 2_000_000;

impl Link {
    /// Passes a server's downlink on with a token of our own. [`Event::Answered`] with this `id` follows when the
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
        let (to, version) = self.downlink_to().ok_or(NotSent::Offline)?;
        if self.relayed.len() >= RELAYED_MAX {
            let free_at = self.relayed.iter().map(|relayed| relayed.deadline).min().unwrap_or(now);
            return Err(NotSent::Busy { outstanding: self.relayed.len(), free_at });
        }
        if let Some(slot) = slot {
            let end = slot.start.plus_us(slot.airtime_us);
            self.handed_over.add(id, slot.start, end, slot.is_immediate);
        }
        let has_acks = version >= packet::VERSION_NEWEST;
        let header = if has_acks {
            let (token, start) = (self.tokens.next(), slot.map(|slot| slot.start));
            self.relayed.push(ServerDownlink { id, token, to, deadline: now.plus_us(ANSWER_US), start });
            packet::pull_resp(version, token)
        } else {
            packet::pull_resp(version, 0)
        };
        self.outputs.push_back(Output::Datagram { to, bytes: [&header[..], json].concat() });
        Ok(has_acks)
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
        self.handed_over.immediate_before(now)
    }

    /// Takes a TX_ACK if it answers a server's downlink; whether it did.
    pub(super) fn answered(&mut self, from: SocketAddr, token: u16, body: &[u8]) -> bool {
        let position = self.relayed.iter().position(|relayed| relayed.to == from && relayed.token == token);
        let Some(relayed) = position.map(|index| self.relayed.swap_remove(index)) else { return false };
        let is_refused = TxAck::read(body).is_some_and(|ack| ack.answer.is_err());
        if is_refused {
            self.handed_over.remove(relayed.id);
        } else if let Some(start) = relayed.start {
            self.tally.accepted(start, false);
        }
        let body = body.to_vec();
        self.outputs.push_back(Output::Event(Event::Answered { id: relayed.id, body, is_refused }));
        true
    }

    /// Forgets downlinks that were never answered: whoever asked for them hears nothing either.
    pub(super) fn forget_unanswered(&mut self, now: Instant) {
        self.relayed.retain(|relayed| relayed.deadline > now);
    }

    /// When the next of them is forgotten.
    pub(super) fn unanswered_at(&self) -> Option<Instant> {
        self.relayed.iter().map(|relayed| relayed.deadline).min()
    }
}
