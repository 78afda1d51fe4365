//! The way of a server's downlink through us, and of the forwarder's answer back.

use super::counts::RelayCounts;
use super::groups::Groups;
use super::groups::Sender;
use super::refusals::Refusals;
use super::settings::RelaySettings;
use super::settings::ServerSettings;
use super::windows::Windows;
use crate::forwarder::Downlink;
use crate::forwarder::EmissionId;
use crate::forwarder::GatewayId;
use crate::forwarder::Link;
use crate::forwarder::NotSent;
use crate::forwarder::ServerCounts;
use crate::forwarder::ServerLink;
use crate::forwarder::ServerLinkOutput;
use crate::forwarder::Slot;
use crate::forwarder::Timing;
use crate::forwarder::Uplink;
use crate::forwarder::timing::GAP_US;
use crate::forwarder::timing::IMMEDIATE_LEAD_US;
use crate::forwarder::timing::LATEST_US;
use crate::forwarder::timing::LEAD_SHARED_US;
use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::region::Parameters;
use crate::region::SubBand;
use crate::report::Event;
use crate::schedule::BandUse;
use crate::schedule::Booking;
use crate::schedule::Origin;
use crate::schedule::RxWindow;
use crate::schedule::Scheduler;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// Downlinks that wait for an immediate frame to leave the air, at most.
const WAITING_MAX: usize = 8;
/// Downlinks whose TX_ACK is owed to a server, at most.
const CLAIMS_MAX: usize = 1024;
/// Downlinks of servers are numbered above those of campaigns.
const FIRST_ID: u64 = 1 << 63;
/// A server that breaks the law is named once in this time, microseconds.
const TELL_EVERY_US: u64 = 3_600_000_000;

const COLLISION: &[u8] = br#"{"txpk_ack":{"error":"COLLISION_PACKET"}}"#;
const TX_FREQ: &[u8] = br#"{"txpk_ack":{"error":"TX_FREQ"}}"#;
const TX_POWER: &[u8] = br#"{"txpk_ack":{"error":"TX_POWER"}}"#;
const UNKNOWN: &[u8] = br#"{"txpk_ack":{"error":"UNKNOWN"}}"#;

/// What the relay wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayOutput {
    /// Send this to a network server.
    Datagram {
        /// The server's number, in the order of the settings.
        server: usize,
        /// The datagram's bytes, header included.
        bytes: Vec<u8>,
    },
    /// A server sends to one of our multicast addresses: two senders of one key.
    SecondSender {
        /// The multicast address that it sent to.
        mc_addr: u32,
        /// The lower half of the frame counter it used.
        fcnt: u16,
    },
    /// The operator should know this event.
    Report(Box<Event>),
}

/// A downlink that a server asks for.
#[derive(Debug)]
struct Request {
    server: usize,
    token: u16,
    /// The JSON as it came.
    json: Vec<u8>,
    downlink: Downlink,
}

/// A downlink that the forwarder has.
#[derive(Debug)]
struct PendingDownlink {
    server: usize,
    token: u16,
    airtime_us: u64,
    booking: Booking,
}

/// The relay between one forwarder and its network servers.
#[derive(Debug)]
pub struct Relay {
    settings: RelaySettings,
    link: ServerLink,
    region: &'static Parameters,
    groups: Groups,
    windows: Windows,
    claims: BTreeMap<u64, PendingDownlink>,
    waiting: VecDeque<Request>,
    /// GPS milliseconds and the moment they belong to, as the forwarder said last.
    gps: Option<(u64, Instant)>,
    /// When a breach in a sub-band was told last.
    told: BTreeMap<u8, Instant>,
    refusals: Refusals,
    next_id: u64,
    counts: RelayCounts,
    outputs: VecDeque<RelayOutput>,
}

impl Relay {
    /// A relay that has heard nothing yet. `multicast` are the groups that only we may send to.
    pub fn new(
        settings: RelaySettings,
        region: &'static Parameters,
        multicast: Vec<(McAddr, McSessionKeys)>,
        gateway: Option<GatewayId>,
        seed: u64,
        now: Instant,
    ) -> Self {
        let uplink_only: Vec<bool> = settings.servers.iter().map(|server| server.is_uplink_only).collect();
        Relay {
            link: ServerLink::new(&uplink_only, gateway, seed.rotate_left(17), now),
            windows: Windows::new(&settings),
            settings,
            region,
            groups: Groups::new(multicast),
            claims: BTreeMap::new(),
            waiting: VecDeque::new(),
            gps: None,
            told: BTreeMap::new(),
            refusals: Refusals::default(),
            next_id: FIRST_ID,
            counts: RelayCounts::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Whether a server may want to send.
    pub fn is_shared(&self) -> bool {
        self.settings.servers.iter().any(|server| !server.is_uplink_only)
    }

    /// The forwarder said which gateway it is, and which version of the protocol it speaks.
    pub fn adopt(&mut self, gateway: GatewayId, version: u8) {
        self.link.adopt(gateway, version);
    }

    /// What frames this long mean for the servers' answers, if it is worth a warning.
    pub fn warning(&self, airtime_us: u64) -> Option<String> {
        let rx1_us = self.windows.rx1_us();
        let is_long = airtime_us + LEAD_SHARED_US + GAP_US + LATEST_US > rx1_us;
        (self.is_shared() && is_long).then(|| {
            format!(
                "frames of {} ms can be in the way when a network server answers in RX1, {} s after an uplink: such an answer is refused with COLLISION_PACKET and counted; a faster data rate or a longer RX1 delay in the network avoids it",
                airtime_us / 1000,
                rx1_us / 1_000_000
            )
        })
    }

    /// A PUSH_DATA of our gateway: to every server, byte for byte.
    pub fn push_data(&mut self, bytes: &[u8]) {
        self.link.uplink(bytes);
    }

    /// Keeps the windows free in which a server may answer this uplink.
    pub fn heard(&mut self, uplink: &Uplink, scheduler: &mut Scheduler) {
        if let Some(gps_ms) = uplink.gps_ms {
            self.gps = Some((gps_ms, uplink.ended));
        }
        if uplink.crc_ok {
            self.link.holds_uplink();
        }
        if !self.is_shared() || !uplink.crc_ok {
            return;
        }
        for start in self.windows.opened_by(uplink) {
            scheduler.protect(RxWindow { start, claimable_until: start.minus_us(LATEST_US) });
        }
    }

    /// A datagram from a network server.
    pub fn from_server(&mut self, server: usize, bytes: &[u8]) {
        self.link.datagram(server, bytes);
    }

    /// Does what is due: keepalives, and downlinks on their way to the forwarder.
    pub fn settle(&mut self, now: Instant, link: &mut Link, scheduler: &mut Scheduler) {
        self.link.time(now);
        for _ in 0..self.waiting.len() {
            if let Some(request) = self.waiting.pop_front() {
                self.pass(now, request, link, scheduler);
            }
        }
        while let Some(output) = self.link.poll() {
            match output {
                ServerLinkOutput::Datagram { server, bytes } => {
                    self.outputs.push_back(RelayOutput::Datagram { server, bytes });
                }
                ServerLinkOutput::Downlink { server, token, json } => match Downlink::read(&json) {
                    Ok(downlink) => {
                        let request = Request { server, token, json, downlink };
                        self.pass(now, request, link, scheduler);
                    }
                    Err(bad) => {
                        self.counts.malformed += 1;
                        self.refuse(now, server, bad.reason(), || bad.to_string());
                        self.link.answer(server, token, UNKNOWN);
                    }
                },
                ServerLinkOutput::Silent { server } => {
                    self.tell(Event::ServerSilent { server: self.name(server) })
                }
                ServerLinkOutput::Back { server } => {
                    self.tell(Event::ServerAnswers { server: self.name(server) })
                }
            }
        }
    }

    /// The forwarder's word on a server's downlink.
    pub fn answered(&mut self, id: EmissionId, body: &[u8], is_refused: bool, scheduler: &mut Scheduler) {
        let Some(claim) = self.claims.remove(&id.0) else { return };
        if is_refused {
            self.counts.refused += 1;
            self.counts.airtime_us -= claim.airtime_us;
            scheduler.refund(claim.booking);
        }
        self.link.answer(claim.server, claim.token, body);
    }

    /// When [`Relay::settle`] wants to be called.
    pub fn wake_at(&self, now: Instant, link: &Link) -> Option<Instant> {
        let waiting = (!self.waiting.is_empty()).then(|| link.immediate_until(now).unwrap_or(now));
        self.link.wake_at().into_iter().chain(waiting).min()
    }

    /// The next wish; `None` when all were taken.
    pub fn poll(&mut self) -> Option<RelayOutput> {
        self.outputs.pop_front()
    }

    /// The numbers of relayed downlinks since the start.
    pub fn counts(&self) -> RelayCounts {
        self.counts
    }

    /// How often we refused a downlink, by reason: a member's name, or what is wrong as a whole.
    pub fn refusals(&self) -> &BTreeMap<&'static str, u64> {
        self.refusals.counts()
    }

    /// Each server's name and figures.
    pub fn servers(&self) -> impl Iterator<Item = (&ServerSettings, ServerCounts)> {
        self.settings.servers.iter().zip(self.link.counts())
    }

    fn pass(&mut self, now: Instant, request: Request, link: &mut Link, scheduler: &mut Scheduler) {
        let Request { server, token, ref downlink, .. } = request;
        let is_immediate = downlink.timing == Timing::Immediate;
        // Two immediate frames at a time: the forwarder would lose one of them without a word.
        let by_counter = link.tmst_at(now, downlink.board, now).is_some();
        if is_immediate && !by_counter && link.immediate_until(now).is_some() {
            if self.waiting.len() < WAITING_MAX {
                self.waiting.push_back(request);
            } else {
                self.collided(server, token, Origin::Others);
            }
            return;
        }
        if self.settings.servers.get(server).is_some_and(|server| server.is_enforced)
            && let Err((reason, text, answer)) = self.is_admitted(downlink, link)
        {
            self.counts.unlawful += 1;
            self.refuse(now, server, reason, || text);
            return self.link.answer(server, token, answer);
        }
        let start = self.start_of(now, downlink, link, scheduler);
        let in_the_way = start.filter(|_| !is_immediate);
        let in_the_way =
            in_the_way.and_then(|start| scheduler.taken_by(start, downlink.queue_slot_us, GAP_US));
        if let Some(origin) = in_the_way {
            return self.collided(server, token, origin);
        }
        let sub_band = self.region.sub_band_of(downlink.frequency_hz, downlink.modulation).ok();
        let sub_band = sub_band.map(|sub_band| sub_band.0);
        // Where nobody knows when it goes out, now is as good as any moment for the ledger, and nothing is kept free.
        let (at, queue_slot_us) = start.map_or((now, 0), |start| (start, downlink.queue_slot_us));
        let is_lawful = sub_band.is_none_or(|band| scheduler.is_lawful(band, at, downlink.airtime_us));
        if !is_lawful && self.settings.servers.get(server).is_some_and(|server| server.is_enforced) {
            self.counts.unlawful += 1;
            return self.link.answer(server, token, COLLISION);
        }
        let id = self.next_id;
        self.next_id += 1;
        let at_tmst =
            start.filter(|_| is_immediate).and_then(|start| link.tmst_at(now, downlink.board, start));
        let slot = start.map(|start| Slot {
            start,
            airtime_us: downlink.airtime_us,
            is_immediate: is_immediate && at_tmst.is_none(),
        });
        let sent = match at_tmst {
            Some(tmst) => link.relay(now, EmissionId(id), &downlink.json_at(tmst), slot),
            None => link.relay(now, EmissionId(id), &request.json, slot),
        };
        let is_answered = match sent {
            Ok(is_answered) => is_answered,
            // A hundred wait for their answers: the forwarder's own queue is shorter.
            Err(NotSent::Busy { .. }) => return self.collided(server, token, Origin::Others),
            // Without a forwarder we are a gateway whose radio is gone, which says nothing.
            Err(_) => return,
        };
        let airtime_us = downlink.airtime_us;
        let booking = scheduler.enter_other(now, sub_band, at, airtime_us, queue_slot_us);
        self.counts.passed += 1;
        self.counts.airtime_us += airtime_us;
        if !is_lawful {
            self.breach(
                now,
                server,
                sub_band,
                downlink.airtime_us,
                scheduler.bands(at.plus_us(downlink.airtime_us)),
            );
        }
        if let Some((dev_addr, fcnt)) = downlink.header {
            self.sent_to(server, dev_addr, fcnt, &downlink.phy_payload, at);
        }
        if is_answered {
            self.claims.insert(id, PendingDownlink { server, token, airtime_us, booking });
            while self.claims.len() > CLAIMS_MAX {
                self.claims.pop_first();
            }
        }
    }

    /// A data frame of a server was passed: it answers a device, or it goes to a group of ours.
    fn sent_to(&mut self, server: usize, dev_addr: u32, fcnt: u16, phy_payload: &[u8], at: Instant) {
        match self.groups.sender(dev_addr, phy_payload) {
            Sender::NoGroup => self.windows.answered(dev_addr, at),
            Sender::HasKey => self.outputs.push_back(RelayOutput::SecondSender { mc_addr: dev_addr, fcnt }),
            Sender::HasNoKey { is_news } => {
                self.counts.wrong_mic += 1;
                if is_news {
                    self.tell(Event::WrongMic { server: self.name(server), mc_addr: dev_addr, fcnt });
                }
            }
        }
    }

    /// Whether the region has this frequency and allows this power: else the reason, the sentence and the answer.
    fn is_admitted(
        &self,
        downlink: &Downlink,
        link: &Link,
    ) -> Result<(), (&'static str, String, &'static [u8])> {
        let frequency_hz = downlink.frequency_hz;
        let by_default = self.region.sub_band_of(frequency_hz, downlink.modulation).ok();
        let by_default = by_default.and_then(|index| self.region.sub_band(index));
        // Where a national sub-band is used, the operator has named it.
        let is_there = |band: &&SubBand| (band.min_hz..band.max_hz).contains(&frequency_hz);
        let named = self.region.sub_bands.iter().filter(is_there).max_by_key(|band| band.max_eirp);
        let mhz = f64::from(frequency_hz) / 1e6;
        let Some(band) = by_default.or(named) else {
            let text = format!("freq {mhz} is in no sub-band of {}", self.region.region);
            return Err(("frequency", text, TX_FREQ));
        };
        let eirp = link.eirp(downlink.power);
        if eirp > band.max_eirp {
            let text = format!(
                "powe {} is {eirp} dBm EIRP at {mhz} MHz, and sub-band {} allows {} dBm ({})",
                downlink.power, band.label, band.max_eirp, band.clause
            );
            return Err(("power", text, TX_POWER));
        }
        Ok(())
    }

    /// Counts a refusal of ours and tells it, if it is news.
    fn refuse(&mut self, now: Instant, server: usize, reason: &'static str, text: impl FnOnce() -> String) {
        if self.refusals.add(now, server, reason) {
            self.tell(Event::DownlinkRefused { server: self.name(server), reason: text() });
        }
    }

    /// When a downlink goes on the air, as far as that can be known.
    fn start_of(
        &self,
        now: Instant,
        downlink: &Downlink,
        link: &Link,
        scheduler: &Scheduler,
    ) -> Option<Instant> {
        match downlink.timing {
            Timing::Immediate => {
                Some(scheduler.first_gap(now.plus_us(IMMEDIATE_LEAD_US), downlink.queue_slot_us, GAP_US))
            }
            Timing::At(tmst) => link.instant_of(now, downlink.board, tmst),
            Timing::Gps(wanted_ms) => {
                let (gps_ms, at) = self.gps?;
                let ahead_us = i64::try_from(wanted_ms).ok()?.checked_sub(i64::try_from(gps_ms).ok()?)?;
                Some(Instant::from_us(at.as_us().checked_add(ahead_us.checked_mul(1000)?)?))
            }
        }
    }

    fn collided(&mut self, server: usize, token: u16, origin: Origin) {
        match origin {
            Origin::Ours => self.counts.collided += 1,
            Origin::Others => self.counts.overlapped += 1,
        }
        self.link.answer(server, token, COLLISION);
    }

    /// The law's limit was broken by a server that we do not stop: it is told who did it.
    fn breach(
        &mut self,
        now: Instant,
        server: usize,
        sub_band: Option<u8>,
        airtime_us: u64,
        used: Vec<BandUse>,
    ) {
        self.counts.breaches += 1;
        let Some(band) =
            sub_band.and_then(|band| self.region.sub_bands.get(usize::from(band)).zip(Some(band)))
        else {
            return;
        };
        let is_news = self.told.get(&band.1).is_none_or(|told| now.us_since(*told) >= TELL_EVERY_US);
        if is_news {
            self.told.insert(band.1, now);
            let used = used.iter().find(|used| used.sub_band == band.1);
            self.tell(Event::ServerBreach {
                server: self.name(server),
                sub_band: band.0.label,
                airtime_us,
                used_us: used.map_or(airtime_us, |used| used.total_us),
                budget_us: used.and_then(|used| used.budget_us),
            });
        }
    }

    fn name(&self, server: usize) -> String {
        self.settings.servers.get(server).map_or(String::new(), |server| server.name.clone())
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(RelayOutput::Report(Box::new(event)));
    }
}
