//! The other direction: for each network server we are the gateway (PROTOCOL.TXT 3 to 5, from the gateway's side).
//! Uplinks go to every server with their bytes as they came; each server gets keepalives of our own, so its
//! downlinks find us whatever the forwarder does.

use super::packet;
use super::settings::GatewayId;
use super::tokens::Tokens;
use crate::time::Instant;
use std::collections::VecDeque;

/// Our keepalive to a server, microseconds: what the forwarder's own configuration ships with.
const KEEPALIVE_US: u64 = 10_000_000;
/// A server that left this many keepalives unanswered is called silent.
const UNANSWERED: u32 = 3;
/// Longer downlinks would be cut by the forwarder's buffer.
pub const DOWNLINK_MAX: usize = 999;
/// Wishes that may wait; uplinks beyond are dropped and counted.
const OUTPUTS_MAX: usize = 512;

/// Downlinks that a server may ask for in a second, and at once: more than any radio sends.
const ASKS_MAX: u32 = 100;

/// What the link to the servers asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerLinkOutput {
    /// Send this to a server, from the socket that is its gateway.
    Datagram {
        /// Which server, in the order of the configuration.
        server: usize,
        /// The datagram's bytes, header included.
        bytes: Vec<u8>,
    },
    /// A server wants something sent.
    Downlink {
        /// The server's number, in the order of the configuration.
        server: usize,
        /// Its token, for [`ServerLink::answer`].
        token: u16,
        /// The JSON of its PULL_RESP.
        json: Vec<u8>,
    },
    /// A server left three keepalives unanswered.
    Silent {
        /// The server's number, in the order of the configuration.
        server: usize,
    },
    /// A server that was silent answers again.
    Back {
        /// The server's number, in the order of the configuration.
        server: usize,
    },
}

/// What passed between us and one server since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCounts {
    /// Uplink datagrams relayed to the server.
    pub pushed: u64,
    /// Uplinks in them whose CRC is good; reports of the forwarder are none.
    pub uplinks: u64,
    /// Of the datagrams, acknowledged by the server.
    pub push_acked: u64,
    /// Downlinks it asked for.
    pub asked: u64,
    /// Of these, dropped without an answer: more than 100 in a second.
    pub flooded: u64,
    /// Uplink datagrams dropped because nobody took our wishes.
    pub dropped: u64,
    /// Keepalives since it last answered one.
    pub unanswered: u32,
}

impl ServerCounts {
    /// Whether the server answers its keepalives.
    pub fn is_online(&self) -> bool {
        self.unanswered <= UNANSWERED
    }
}

#[derive(Debug)]
struct Server {
    is_uplink_only: bool,
    keepalive_at: Instant,
    /// Downlinks that it may still ask for, and since when that number holds.
    asks: (u32, Instant),
    /// It got the newest PUSH_DATA.
    has_newest: bool,
    counts: ServerCounts,
}

/// The links to all network servers.
#[derive(Debug)]
pub struct ServerLink {
    gateway: Option<GatewayId>,
    /// The version of the protocol that the forwarder speaks, and so we do for it.
    version: u8,
    servers: Vec<Server>,
    tokens: Tokens,
    outputs: VecDeque<ServerLinkOutput>,
}

impl ServerLink {
    /// One entry per server: whether it gets uplinks only.
    pub fn new(uplink_only: &[bool], gateway: Option<GatewayId>, seed: u64, now: Instant) -> Self {
        let server = |is_uplink_only: &bool| Server {
            is_uplink_only: *is_uplink_only,
            keepalive_at: now,
            asks: (ASKS_MAX, now),
            has_newest: false,
            counts: ServerCounts::default(),
        };
        let servers = uplink_only.iter().map(server).collect();
        ServerLink {
            gateway,
            version: packet::VERSION_NEWEST,
            servers,
            tokens: Tokens::new(seed),
            outputs: VecDeque::new(),
        }
    }

    /// Which gateway we are, once the forwarder has said it, and in which version of the protocol.
    pub fn adopt(&mut self, gateway: GatewayId, version: u8) {
        self.gateway = Some(gateway);
        self.version = version;
    }

    /// Whether there is any server.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Relays a PUSH_DATA of our gateway, byte for byte, its token included: the server's ack is for us.
    pub fn uplink(&mut self, bytes: &[u8]) {
        for (server, state) in self.servers.iter_mut().enumerate() {
            state.has_newest = self.outputs.len() < OUTPUTS_MAX;
            if !state.has_newest {
                state.counts.dropped += 1;
                continue;
            }
            state.counts.pushed += 1;
            self.outputs.push_back(ServerLinkOutput::Datagram { server, bytes: bytes.to_vec() });
        }
    }

    /// The newest PUSH_DATA holds an uplink whose CRC is good.
    pub fn holds_uplink(&mut self) {
        for state in &mut self.servers {
            state.counts.uplinks += u64::from(state.has_newest);
        }
    }

    /// Takes a datagram from a server. Odd ones are ignored.
    pub fn datagram(&mut self, server: usize, bytes: &[u8]) {
        let Some(state) = self.servers.get_mut(server) else { return };
        match packet::Answer::read(bytes) {
            Some(packet::Answer::PushAck) => state.counts.push_acked += 1,
            Some(packet::Answer::PullAck) => {
                if !state.counts.is_online() {
                    self.outputs.push_back(ServerLinkOutput::Back { server });
                }
                state.counts.unanswered = 0;
            }
            Some(packet::Answer::PullResp { token, json }) if !state.is_uplink_only => {
                state.counts.asked += 1;
                let Some(left) = state.asks.0.checked_sub(1) else {
                    state.counts.flooded += 1;
                    return;
                };
                state.asks.0 = left;
                if self.outputs.len() < OUTPUTS_MAX {
                    self.outputs.push_back(ServerLinkOutput::Downlink { server, token, json: json.to_vec() });
                }
            }
            _ => {}
        }
    }

    /// The forwarder's or our own word on a server's downlink; `body` is the JSON of a TX_ACK or empty.
    pub fn answer(&mut self, server: usize, token: u16, body: &[u8]) {
        let Some(gateway) = self.gateway.filter(|_| self.version >= packet::VERSION_NEWEST) else { return };
        let bytes = packet::tx_ack(token, gateway, body);
        self.outputs.push_back(ServerLinkOutput::Datagram { server, bytes });
    }

    /// Sends the keepalives that are due, and lets servers ask again.
    pub fn time(&mut self, now: Instant) {
        for state in &mut self.servers {
            let us_each = u64::from(1_000_000 / ASKS_MAX);
            let more = now.us_since(state.asks.1) / us_each;
            state.asks.0 = ASKS_MAX.min(state.asks.0.saturating_add(u32::try_from(more).unwrap_or(ASKS_MAX)));
            state.asks.1 = state.asks.1.plus_us(more.saturating_mul(us_each));
        }
        let Some(gateway) = self.gateway else { return };
        for (server, state) in self.servers.iter_mut().enumerate() {
            if state.is_uplink_only || state.keepalive_at > now {
                continue;
            }
            state.keepalive_at = now.plus_us(KEEPALIVE_US);
            let was_online = state.counts.is_online();
            state.counts.unanswered = state.counts.unanswered.saturating_add(1);
            if was_online && !state.counts.is_online() {
                self.outputs.push_back(ServerLinkOutput::Silent { server });
            }
            let bytes = packet::pull_data(self.version, self.tokens.next(), gateway).to_vec();
            self.outputs.push_back(ServerLinkOutput::Datagram { server, bytes });
        }
    }

    /// When [`ServerLink::time`] wants to be called.
    pub fn wake_at(&self) -> Option<Instant> {
        self.gateway?;
        self.servers.iter().filter(|server| !server.is_uplink_only).map(|server| server.keepalive_at).min()
    }

    /// The next wish; `None` when all were taken.
    pub fn poll(&mut self) -> Option<ServerLinkOutput> {
        self.outputs.pop_front()
    }

    /// Each server's figures, in the order of the configuration.
    pub fn counts(&self) -> Vec<ServerCounts> {
        self.servers.iter().map(|server| server.counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: GatewayId = GatewayId([0, 0x16, 0xC0, 1, 0xF1, 0x50, 8, 0x12]);

    fn link() -> ServerLink {
        ServerLink::new(&[false, true], Some(GATEWAY), 7, Instant::ZERO)
    }

    #[test]
    fn an_uplink_goes_to_every_server_byte_for_byte() {
        let mut link = link();
        let bytes = b"\x02\x12\x34\x00\x00\x16\xc0\x01\xf1\x50\x08\x12{\"rxpk\":[{\"strange\":1.5e3}]}";
        link.uplink(bytes);
        for server in 0..2 {
            assert_eq!(link.poll(), Some(ServerLinkOutput::Datagram { server, bytes: bytes.to_vec() }));
        }
        assert_eq!(link.poll(), None);
    }

    #[test]
    fn a_server_gets_keepalives_and_one_for_uplinks_only_gets_none() {
        let mut link = link();
        link.time(Instant::ZERO);
        let Some(ServerLinkOutput::Datagram { server: 0, bytes }) = link.poll() else {
            panic!("no keepalive")
        };
        assert_eq!((bytes.len(), bytes[0], bytes[3], &bytes[4..]), (12, 2, 2, &GATEWAY.0[..]));
        assert_eq!(link.poll(), None);
        assert_eq!(link.wake_at(), Some(Instant::from_us(10_000_000)));
    }

    #[test]
    fn a_server_that_does_not_answer_is_silent_until_it_does() {
        let mut link = link();
        for keepalive in 0..4 {
            link.time(Instant::from_us(keepalive * 10_000_000));
        }
        assert!(!link.counts()[0].is_online());
        link.datagram(0, &[2, 0, 0, 4]);
        assert!(link.counts()[0].is_online());
    }

    #[test]
    fn a_downlink_of_a_server_comes_with_its_token_and_is_answered_with_it() {
        let mut link = link();
        link.datagram(0, b"\x02\xab\xcd\x03{\"txpk\":{}}");
        let json = b"{\"txpk\":{}}".to_vec();
        assert_eq!(link.poll(), Some(ServerLinkOutput::Downlink { server: 0, token: 0xabcd, json }));
        link.answer(0, 0xabcd, b"");
        let Some(ServerLinkOutput::Datagram { server: 0, bytes }) = link.poll() else { panic!("no answer") };
        assert_eq!(bytes, [&[2, 0xab, 0xcd, 5], &GATEWAY.0[..]].concat());
        link.datagram(1, b"\x02\xab\xcd\x03{\"txpk\":{}}");
        assert_eq!(link.poll(), None, "the second server was configured for uplinks only");
    }

    #[test]
    fn a_server_may_ask_for_a_hundred_downlinks_a_second_and_one_flood_is_not_anothers() {
        let mut link = ServerLink::new(&[false, false], Some(GATEWAY), 7, Instant::ZERO);
        let mut passed = [0; 2];
        for ms in 0..10_000 {
            link.time(Instant::from_us(ms * 1000));
            for _ in 0..5 {
                link.datagram(0, b"\x02\xab\xcd\x03{\"txpk\":{}}");
            }
            if ms % 20 == 0 {
                link.datagram(1, b"\x02\xab\xcd\x03{\"txpk\":{}}");
            }
            while let Some(output) = link.poll() {
                if let ServerLinkOutput::Downlink { server, .. } = output {
                    passed[server] += 1;
                }
            }
        }
        let counts = link.counts();
        assert_eq!((passed, counts[0].asked), ([1099, 500], 50_000));
        assert_eq!((counts[0].flooded, counts[1].flooded), (50_000 - 1099, 0));
    }

    #[test]
    fn for_a_gateway_of_version_1_we_are_one_and_promise_no_answers() {
        let mut link = link();
        link.adopt(GATEWAY, 1);
        link.time(Instant::ZERO);
        let Some(ServerLinkOutput::Datagram { bytes, .. }) = link.poll() else { panic!("no keepalive") };
        assert_eq!(bytes[0], 1);
        link.answer(0, 7, b"");
        assert_eq!(link.poll(), None, "version 1 knows no TX_ACK");
    }

    #[test]
    fn wishes_that_nobody_takes_are_bounded() {
        let mut link = link();
        for _ in 0..10_000 {
            link.uplink(b"x");
        }
        assert!(link.outputs.len() <= OUTPUTS_MAX);
        assert!(link.counts()[0].dropped > 9_000);
    }
}
