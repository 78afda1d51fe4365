//! The shared concentrator: network servers' downlinks pass through us, and go first.
//!
//! This room joins the forwarder's two sides with the table of what is on the air. A server's downlink is never
//! delayed for one of ours that is still here; one that meets a frame of ours which the forwarder already has is
//! refused at once with COLLISION_PACKET, because the forwarder would say "queued" and drop it. Windows in
//! which a server may yet answer a device (RX1, RX2, joins) are kept free until it is too late to claim them.

use crate::forwarder::BadDownlink;
use crate::forwarder::Downlink;
use crate::forwarder::EmissionId;
use crate::forwarder::GatewayId;
use crate::forwarder::Link;
use crate::forwarder::North;
use crate::forwarder::NorthOutput;
use crate::forwarder::ServerCounts;
use crate::forwarder::Slot;
use crate::forwarder::Timing;
use crate::forwarder::Uplink;
use crate::region::Parameters;
use crate::schedule::Protected;
use crate::schedule::Scheduler;
use crate::schedule::Ticket;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// The forwarder takes nothing later than this before its start (measured bound 43 ms), microseconds: a window
/// that nobody has claimed by then is free.
const CLAIM_US: u64 = 43_000;
/// Free time that the forwarder needs between two frames, microseconds.
const GAP_US: u64 = 45_000;
/// An immediate downlink goes out this long after it came, where the air is free, microseconds.
const IMMEDIATE_US: u64 = 80_000;
/// Devices' first and second receive windows after an uplink, and after a join request (RP002 RECEIVE_DELAY1,
/// JOIN_ACCEPT_DELAY1 and one second more), microseconds.
const DATA_WINDOWS_US: [u64; 2] = [1_000_000, 2_000_000];
const JOIN_WINDOWS_US: [u64; 2] = [5_000_000, 6_000_000];
/// Device addresses that are remembered as answered, at most.
const ANSWERED_MAX: usize = 4096;
/// Downlinks that wait for an immediate frame to leave the air, at most.
const WAITING_MAX: usize = 8;
/// Downlinks of servers are numbered above those of campaigns.
const FIRST_ID: u64 = 1 << 63;

const COLLISION: &[u8] = br#"{"txpk_ack":{"error":"COLLISION_PACKET"}}"#;
const UNKNOWN: &[u8] = br#"{"txpk_ack":{"error":"UNKNOWN"}}"#;

/// What the relay wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayOutput {
    /// Send this to a network server.
    Datagram {
        /// Which server.
        server: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A server sends to one of our multicast addresses: two senders of one key.
    SecondSender {
        /// The address.
        mc_addr: u32,
    },
}

/// The relay's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    /// Downlinks of servers that the forwarder was given.
    pub passed: u64,
    /// Refused because a frame of ours was in the way already.
    pub collided: u64,
    /// Refused because the forwarder would have choked on them.
    pub malformed: u64,
    /// Refused by the forwarder.
    pub refused: u64,
    /// Airtime of servers' downlinks, microseconds.
    pub airtime_us: u64,
}

/// A downlink that the forwarder has.
#[derive(Debug)]
struct Claim {
    server: usize,
    token: u16,
    ticket: Option<Ticket>,
}

/// The relay between one forwarder and its network servers.
#[derive(Debug)]
pub struct Relay {
    north: North,
    region: &'static Parameters,
    /// Our groups' addresses: nobody else may send to them.
    multicast: BTreeSet<u32>,
    claims: BTreeMap<u64, Claim>,
    waiting: VecDeque<(usize, u16, Downlink)>,
    answered: BTreeSet<u32>,
    next_id: u64,
    counts: RelayCounts,
    outputs: VecDeque<RelayOutput>,
}

impl Relay {
    /// A relay to servers of which some get uplinks only.
    pub fn new(
        region: &'static Parameters,
        uplink_only: &[bool],
        multicast: BTreeSet<u32>,
        gateway: Option<GatewayId>,
        seed: u64,
        now: Instant,
    ) -> Self {
        Relay {
            north: North::new(uplink_only, gateway, seed.rotate_left(17), now),
            region,
            multicast,
            claims: BTreeMap::new(),
            waiting: VecDeque::new(),
            answered: BTreeSet::new(),
            next_id: FIRST_ID,
            counts: RelayCounts::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Whether there is anybody to relay to.
    pub fn is_idle(&self) -> bool {
        self.north.is_empty()
    }

    /// The forwarder said which gateway it is.
    pub fn adopt(&mut self, gateway: GatewayId) {
        self.north.adopt(gateway);
    }

    /// A PUSH_DATA of our gateway: to every server, byte for byte.
    pub fn push_data(&mut self, bytes: &[u8]) {
        self.north.uplink(bytes);
    }

    /// Keeps the windows free in which a server may answer this uplink: for joins, and for devices that were
    /// answered before; until any was, for all.
    pub fn heard(&mut self, uplink: &Uplink, scheduler: &mut Scheduler) {
        if self.is_idle() || !uplink.crc_ok {
            return;
        }
        let windows_us = match (uplink.first_byte.map(|mhdr| mhdr >> 5), uplink.dev_addr) {
            (Some(0 | 6), _) => JOIN_WINDOWS_US,
            (Some(2 | 4), Some(dev_addr))
                if self.answered.is_empty() || self.answered.contains(&dev_addr) =>
            {
                DATA_WINDOWS_US
            }
            _ => return,
        };
        for window_us in windows_us {
            let start = uplink.ended.plus_us(window_us);
            scheduler.protect(Protected { start, claimable_until: start.minus_us(CLAIM_US) });
        }
    }

    /// A datagram from a network server.
    pub fn from_server(&mut self, server: usize, bytes: &[u8]) {
        self.north.datagram(server, bytes);
    }

    /// Does what is due: keepalives, and downlinks on their way to the forwarder.
    pub fn settle(&mut self, now: Instant, link: &mut Link, scheduler: &mut Scheduler) {
        self.north.time(now);
        for _ in 0..self.waiting.len() {
            if let Some((server, token, downlink)) = self.waiting.pop_front() {
                self.pass(now, server, token, downlink, &[], link, scheduler);
            }
        }
        while let Some(output) = self.north.poll() {
            match output {
                NorthOutput::Datagram { server, bytes } => {
                    self.outputs.push_back(RelayOutput::Datagram { server, bytes });
                }
                NorthOutput::Downlink { server, token, json } => match Downlink::read(&json) {
                    Ok(downlink) => self.pass(now, server, token, downlink, &json, link, scheduler),
                    Err(bad) => self.malformed(server, token, bad),
                },
            }
        }
    }

    /// The forwarder's word on a server's downlink.
    pub fn answered(&mut self, id: EmissionId, body: &[u8], is_refused: bool, scheduler: &mut Scheduler) {
        let Some(claim) = self.claims.remove(&id.0) else { return };
        if is_refused {
            self.counts.refused += 1;
            if let Some(ticket) = claim.ticket {
                scheduler.refund(ticket);
            }
        }
        self.north.answer(claim.server, claim.token, body);
    }

    /// When [`Relay::settle`] wants to be called.
    pub fn wake_at(&self, now: Instant, link: &Link) -> Option<Instant> {
        let waiting = (!self.waiting.is_empty()).then(|| link.immediate_until(now).unwrap_or(now));
        self.north.wake_at().into_iter().chain(waiting).min()
    }

    /// The next wish.
    pub fn poll(&mut self) -> Option<RelayOutput> {
        self.outputs.pop_front()
    }

    /// What was relayed.
    pub fn counts(&self) -> RelayCounts {
        self.counts
    }

    /// Each server's figures.
    pub fn servers(&self) -> Vec<ServerCounts> {
        self.north.counts()
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a downlink, who asked, and the two tables it goes through"
    )]
    fn pass(
        &mut self,
        now: Instant,
        server: usize,
        token: u16,
        downlink: Downlink,
        json: &[u8],
        link: &mut Link,
        scheduler: &mut Scheduler,
    ) {
        if let Some(mc_addr) = downlink.dev_addr.filter(|address| self.multicast.contains(address)) {
            self.outputs.push_back(RelayOutput::SecondSender { mc_addr });
        }
        let is_immediate = downlink.timing == Timing::Immediate;
        if is_immediate && link.tmst_at(now, now).is_none() {
            // Two immediate frames at a time: the forwarder would lose one of them without a word.
            if link.immediate_until(now).is_some() {
                if self.waiting.len() < WAITING_MAX {
                    self.waiting.push_back((server, token, downlink));
                } else {
                    self.collided(server, token);
                }
                return;
            }
        }
        let start = match downlink.timing {
            Timing::Immediate => {
                Some(scheduler.first_gap(now.plus_us(IMMEDIATE_US), downlink.hold_us, GAP_US))
            }
            Timing::At(tmst) => link.instant_of(now, tmst),
            Timing::Gps => None,
        };
        if let Some(start) = start.filter(|_| !is_immediate)
            && scheduler.is_taken(start, downlink.hold_us, GAP_US)
        {
            return self.collided(server, token);
        }
        let (airtime_us, hold_us, dev_addr) = (downlink.airtime_us, downlink.hold_us, downlink.dev_addr);
        let sub_band = self.region.sub_band_of(downlink.frequency_hz, downlink.modulation).ok();
        let at = start.filter(|_| is_immediate).and_then(|start| link.tmst_at(now, start));
        let json = match at {
            Some(at) => downlink.json_at(at),
            None if json.is_empty() => downlink.json_as_it_came(),
            None => json.to_vec(),
        };
        let id = self.next_id;
        self.next_id += 1;
        let is_immediate = is_immediate && at.is_none();
        let slot = start.map(|start| Slot { start, airtime_us, is_immediate });
        if link.relay(now, EmissionId(id), &json, slot).is_err() {
            // Offline or more than a queue full: as a gateway without a radio, we say nothing.
            return;
        }
        let ticket = start.map(|start| {
            let band = sub_band.map(|sub_band| sub_band.0);
            scheduler.enter_other(band, start, airtime_us, hold_us)
        });
        self.counts.passed += 1;
        self.counts.airtime_us += airtime_us;
        if let Some(dev_addr) = dev_addr.filter(|_| self.answered.len() < ANSWERED_MAX) {
            self.answered.insert(dev_addr);
        }
        self.claims.insert(id, Claim { server, token, ticket });
        while self.claims.len() > ANSWERED_MAX {
            self.claims.pop_first();
        }
    }

    fn collided(&mut self, server: usize, token: u16) {
        self.counts.collided += 1;
        self.north.answer(server, token, COLLISION);
    }

    fn malformed(&mut self, server: usize, token: u16, _bad: BadDownlink) {
        self.counts.malformed += 1;
        self.north.answer(server, token, UNKNOWN);
    }
}
