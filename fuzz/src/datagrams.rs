//! GWMP in both directions: what a packet forwarder sends to its [`Link`], what network servers send to [`ServerLink`],
//! and the downlinks that go from the one to the other.

use super::feed::Feed;
use super::feed::first_json;
use fuotad::forwarder::Downlink;
use fuotad::forwarder::EmissionId;
use fuotad::forwarder::Event;
use fuotad::forwarder::GatewayId;
use fuotad::forwarder::Link;
use fuotad::forwarder::Output;
use fuotad::forwarder::ServerLink;
use fuotad::forwarder::ServerLinkOutput;
use fuotad::forwarder::Settings;
use fuotad::forwarder::Slot;
use fuotad::forwarder::Timing;
use fuotad::radio::Dbm;
use fuotad::radio::Emission;
use fuotad::radio::Modulation;
use fuotad::time::Instant;
use fuotad::time::Tmst;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

const GATEWAYS: [GatewayId; 2] = [GatewayId([1, 2, 3, 4, 5, 6, 7, 8]), GatewayId([0; 8])];
/// The last one is not admitted where hosts are named.
const HOSTS: [SocketAddr; 3] =
    [host([127, 0, 0, 1], 40_000), host([10, 0, 0, 1], 40_000), host([10, 0, 0, 2], 1)];
const SERVERS: usize = 2;
/// So many facts in one conversation at most.
const FACTS_MAX: usize = 512;
/// More wishes than this after one fact are not the answer to it.
const WISHES_MAX: usize = 1024;
/// In a minute every emission has its verdict.
const LONG_US: u64 = 60_000_000;
const PUSH_DATA: u8 = 0;
const PUSH_ACK: u8 = 1;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const PULL_ACK: u8 = 4;
const TX_ACK: u8 = 5;

const fn host(address: [u8; 4], port: u16) -> SocketAddr {
    let [a, b, c, d] = address;
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port)
}

/// Reads `data` as a downlink's JSON, and as a conversation.
pub fn run(data: &[u8]) {
    downlink(data);
    let mut feed = Feed::new(data);
    let mut talk = Talk::new(&mut feed);
    for _ in 0..FACTS_MAX {
        if feed.is_empty() {
            break;
        }
        talk.fact(&mut feed);
    }
    talk.end();
}

/// A network server's downlink that is good stays good and the same when it gets its place in time.
fn downlink(json: &[u8]) -> Option<Downlink> {
    let downlink = Downlink::read(json).ok()?;
    let at = Tmst(0x1234_5678);
    let again = Downlink::read(&downlink.json_at(at));
    let Ok(again) = again else { panic!("a good downlink stays good at another time: {again:?}") };
    assert_eq!(again.timing, Timing::At(at), "it has the time that it was given");
    let radio = |downlink: &Downlink| {
        let Downlink { frequency_hz, modulation, airtime_us, queue_slot_us, header, .. } = downlink.clone();
        (frequency_hz, modulation, airtime_us, queue_slot_us, header)
    };
    assert_eq!(radio(&again), radio(&downlink), "and nothing else about it changes");
    Some(downlink)
}

struct Talk {
    now: Instant,
    link: Link,
    north: ServerLink,
    settings: Settings,
    next_id: u64,
    /// Emissions that have no verdict yet.
    awaited: BTreeSet<u64>,
    /// Servers' downlinks that have no answer yet.
    relayed: BTreeSet<u64>,
    /// Tokens of PULL_RESPs that were not answered, and where they went to.
    asked: VecDeque<(SocketAddr, [u8; 2])>,
    /// Whoever asked for downlinks.
    pullers: BTreeSet<SocketAddr>,
}

impl Talk {
    fn new(feed: &mut Feed<'_>) -> Talk {
        let flags = feed.u8();
        let settings = Settings {
            gateway: (flags & 1 != 0).then_some(GATEWAYS[0]),
            rf_chain: flags >> 1 & 3,
            antenna_gain: Dbm::from_whole(i32::from(flags >> 3 & 3)),
            forwarder_antenna_gain: Dbm::from_whole(i32::from(flags >> 5 & 1)),
            allow: if flags & 0x40 != 0 { vec![HOSTS[1].ip()] } else { Vec::new() },
            last_pull: None,
        };
        let seed = u64::from(flags);
        Talk {
            now: Instant::ZERO,
            link: Link::new(settings.clone(), seed),
            north: ServerLink::new(&[false, true], settings.gateway, seed, Instant::ZERO),
            settings,
            next_id: 1,
            awaited: BTreeSet::new(),
            relayed: BTreeSet::new(),
            asked: VecDeque::new(),
            pullers: BTreeSet::new(),
        }
    }

    fn fact(&mut self, feed: &mut Feed<'_>) {
        match feed.u8() % 16 {
            0 => self.pass(u64::from(feed.u32())),
            1 => self.pass(u64::from(feed.u16())),
            2 => {
                let now = self.now;
                let wake = self.link.wake_at().into_iter().chain(self.north.wake_at()).min();
                self.pass(wake.map_or(0, |wake| wake.us_since(now)));
            }
            3 => {
                let from = *feed.pick(&HOSTS);
                self.datagram(from, feed.chunk());
            }
            4 => self.pushed_or_pulled(feed, PUSH_DATA),
            5 | 6 => self.pushed_or_pulled(feed, PULL_DATA),
            7 => self.pushed_or_pulled(feed, TX_ACK),
            8 => self.uplink(feed),
            9 | 10 => self.answer(feed),
            11 | 12 => self.send(feed),
            13 => self.asked_by_server(feed),
            14 => {
                let server = usize::from(feed.u8()) % (SERVERS + 1);
                self.north.datagram(server, feed.chunk());
                self.listen();
            }
            _ => {
                let (server, body) = (usize::from(feed.u8()) % SERVERS, feed.chunk());
                self.north.answer(server, feed.u16(), body);
                self.listen();
            }
        }
    }

    fn pass(&mut self, us: u64) {
        self.now = self.now.plus_us(us);
        self.link.time(self.now);
        self.north.time(self.now);
        self.listen();
    }

    fn pushed_or_pulled(&mut self, feed: &mut Feed<'_>, identifier: u8) {
        let from = *feed.pick(&HOSTS);
        let gateway = *feed.pick(&GATEWAYS);
        let [version, high, low] = feed.array();
        let body = if identifier == PULL_DATA { &[][..] } else { feed.chunk() };
        let header = [version % 4, high, low, identifier];
        self.datagram(from, &[&header, &gateway.0[..], body].concat());
    }

    /// An uplink whose counter follows our own clock, more or less.
    fn uplink(&mut self, feed: &mut Feed<'_>) {
        let tmst = (self.now.as_us() as u64).wrapping_add(u64::from(feed.u16())) as u32;
        let json =
            format!(r#"{{"rxpk":[{{"tmst":{tmst},"freq":868.1,"stat":1,"size":14,"data":"QAEAASYA"}}]}}"#);
        let bytes = [&[2, 0, 0, PUSH_DATA], &GATEWAYS[0].0[..], json.as_bytes()].concat();
        self.datagram(*feed.pick(&HOSTS), &bytes);
    }

    /// The forwarder's word on the oldest downlink that it did not answer yet.
    fn answer(&mut self, feed: &mut Feed<'_>) {
        let said = *feed.pick(&["", "NONE", "TOO_LATE", "TOO_EARLY", "COLLISION_PACKET", "TX_FREQ", "odd"]);
        let warned = feed.u8();
        let body = match (said, warned) {
            ("", _) => String::new(),
            (_, 200..) => {
                format!(r#"{{"txpk_ack":{{"warn":"TX_POWER","value":{}}}}}"#, i32::from(warned) - 220)
            }
            (error, _) => format!(r#"{{"txpk_ack":{{"error":"{error}"}}}}"#),
        };
        let Some((from, [high, low])) = self.asked.pop_front() else { return };
        let bytes = [&[2, high, low, TX_ACK], &GATEWAYS[0].0[..], body.as_bytes()].concat();
        self.datagram(from, &bytes);
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        let is_admitted = self.settings.allow.is_empty()
            || from.ip().is_loopback()
            || self.settings.allow.contains(&from.ip());
        let wants = match bytes {
            [version @ 1..=2, high, low, PUSH_DATA, rest @ ..] if rest.len() >= 8 => {
                Some([*version, *high, *low, PUSH_ACK])
            }
            [version @ 1..=2, high, low, PULL_DATA, rest @ ..] if rest.len() >= 8 => {
                self.pullers.extend(Some(from).filter(|_| is_admitted));
                Some([*version, *high, *low, PULL_ACK])
            }
            _ => None,
        };
        let wants = wants.filter(|ack| is_admitted && self.is_served(from, ack[3], bytes));
        let is_ours = self.link.datagram(self.now, from, bytes);
        assert!(!is_ours || wants.is_some_and(|ack| ack[3] == PUSH_ACK), "servers get PUSH_DATA only");
        if is_ours {
            self.north.uplink(bytes);
        }
        let acks = self.listen();
        let own = acks.into_iter().filter(|(to, _)| *to == from).map(|(_, ack)| ack).collect::<Vec<_>>();
        assert_eq!(own, wants.into_iter().collect::<Vec<_>>(), "what is served is acknowledged, and once");
    }

    /// Whether a good header is of the gateway that is served, as things stand before it is heard.
    fn is_served(&self, from: SocketAddr, ack: u8, bytes: &[u8]) -> bool {
        let state = self.link.state(self.now);
        let is_its_host = state.online.is_none_or(|to| to.ip() == from.ip());
        let is_its_name = state.gateway.is_none_or(|gateway| bytes[4..12] == gateway.0);
        if ack == PUSH_ACK {
            return is_its_host && is_its_name;
        }
        let is_free = state.online.is_none() && self.settings.gateway.is_none();
        (is_its_host || from.ip().is_loopback()) && (is_its_name || is_free)
    }

    fn send(&mut self, feed: &mut Feed<'_>) {
        let lead_us = *feed.pick(&[80_000, 81_000, 350_000, 150_000, 60_000, 1_000_000, 0]);
        let emission = Emission {
            start: self.now.plus_us(lead_us + u64::from(feed.u16() / 16)),
            frequency_hz: 869_525_000 + u32::from(feed.u8() / 64),
            modulation: *feed.pick(&[
                Modulation::LoRa { sf: 7, bw_hz: 125_000 },
                Modulation::LoRa { sf: 12, bw_hz: 500_000 },
                Modulation::Gfsk { bit_rate_bps: 50_000 },
                Modulation::LoRa { sf: 4, bw_hz: 1 },
            ]),
            eirp: Dbm::from_whole(i32::from(feed.u8() as i8)),
            phy_payload: vec![0x60; usize::from(feed.u8())],
        };
        let id = self.next_id;
        if self.link.send(self.now, EmissionId(id), &emission).is_ok() {
            assert!(self.link.is_online(), "nothing is sent to a forwarder that is away");
            self.awaited.insert(id);
        }
        self.next_id += 1;
        self.listen();
    }

    /// A downlink that a network server could send, when it is heard out.
    fn asked_by_server(&mut self, feed: &mut Feed<'_>) {
        let size = 1 + usize::from(feed.u8() % 48) / 3 * 3;
        let data = "AAAA".repeat(size / 3) + "AA";
        let time = match feed.u8() % 4 {
            0 => r#""imme":true"#.to_owned(),
            1 => format!(r#""tmst":{}"#, feed.u32()),
            2 => format!(r#""tmms":{}"#, feed.u64()),
            _ => String::from_utf8_lossy(feed.chunk()).into_owned(),
        };
        let json = format!(
            r#"{{"txpk":{{{time},"freq":869.525,"rfch":0,"modu":"LORA","datr":"SF9BW125","codr":"4/5","size":{size},"data":"{data}"}}}}"#
        );
        self.north.datagram(0, &[&[2, feed.u8(), feed.u8(), PULL_RESP], json.as_bytes()].concat());
        self.listen();
    }

    /// Takes all wishes; the acknowledgements among them.
    fn listen(&mut self) -> Vec<(SocketAddr, [u8; 4])> {
        let mut acks = Vec::new();
        let mut wishes = 0;
        while let Some(output) = self.link.poll() {
            wishes += 1;
            match output {
                Output::Datagram { to, bytes } => self.sent(to, &bytes, &mut acks),
                Output::Event(event) => self.event(event),
            }
        }
        while let Some(output) = self.north.poll() {
            wishes += 1;
            if let ServerLinkOutput::Downlink { json, .. } = output {
                self.relay(&json);
            }
            while let Some(output) = self.link.poll() {
                match output {
                    Output::Datagram { to, bytes } => self.sent(to, &bytes, &mut acks),
                    Output::Event(event) => self.event(event),
                }
            }
        }
        assert!(wishes <= WISHES_MAX, "a fact has so many consequences at most");
        acks
    }

    fn sent(&mut self, to: SocketAddr, bytes: &[u8], acks: &mut Vec<(SocketAddr, [u8; 4])>) {
        match bytes {
            &[version, high, low, identifier @ (PUSH_ACK | PULL_ACK)] => {
                acks.push((to, [version, high, low, identifier]));
            }
            [1 | 2, high, low, PULL_RESP, json @ ..] => {
                assert!(self.pullers.contains(&to), "downlinks go to whoever asked for them");
                assert!(bytes.len() <= 999, "the forwarder's buffer holds it");
                let json = first_json(json);
                assert!(json["txpk"].is_object(), "a PULL_RESP is JSON with a txpk");
                self.asked.push_back((to, [*high, *low]));
                if self.asked.len() > 64 {
                    self.asked.pop_front();
                }
            }
            _ => panic!("a forwarder gets acknowledgements and downlinks only: {bytes:?}"),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Verdict { id, .. } => {
                assert!(self.awaited.remove(&id.0), "each emission that was sent has one verdict");
            }
            Event::Answered { id, .. } => {
                assert!(self.relayed.remove(&id.0), "each downlink that was relayed has one answer");
            }
            Event::Online { gateway, version, .. } => self.north.adopt(gateway, version),
            _ => {}
        }
    }

    fn relay(&mut self, json: &[u8]) {
        let Some(downlink) = downlink(json) else { return };
        let id = self.next_id;
        self.next_id += 1;
        let slot = Slot {
            start: self.now.plus_us(100_000),
            airtime_us: downlink.airtime_us,
            is_immediate: downlink.timing == Timing::Immediate,
        };
        if self.link.relay(self.now, EmissionId(id), json, Some(slot)) == Ok(true) {
            self.relayed.insert(id);
        }
    }

    /// Nobody answers any more.
    fn end(&mut self) {
        for _ in 0..8 {
            self.pass(LONG_US);
        }
        assert!(self.awaited.is_empty(), "silence is a verdict in the end");
        let state = self.link.state(self.now);
        assert!(state.online.is_none() && !self.link.is_online(), "whoever is silent so long is away");
    }
}
