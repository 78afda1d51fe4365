//! `gateway_conf`: the forwarder's link to its server.

use super::given::Given;
use super::given::flag;
use super::given::text;
use super::given::whole;
use super::json::Json;

/// Servers that a forwarder with a list keeps at most.
const SERVERS_MAX: usize = 4;
const U32: core::ops::RangeInclusive<i64> = 0..=u32::MAX as i64;
const PORTS: core::ops::RangeInclusive<i64> = 0..=u16::MAX as i64;

/// What `gateway_conf` says. Later files win key by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gateway {
    /// `gateway_ID`: EUI of the gateway, hexadecimal.
    pub id: Given<String>,
    /// `server_address`, `serv_port_up`, `serv_port_down` of `gateway_conf` itself.
    pub server: Server,
    /// Entries of the list `servers`; `None` where there is none.
    pub servers: Option<Vec<Server>>,
    /// `keepalive_interval`: seconds between two PULL_DATA.
    pub keepalive_s: Given<i64>,
    /// `stat_interval`: seconds between two reports.
    pub stat_s: Given<i64>,
    /// `forward_crc_valid`: whether receptions with a good CRC are pushed.
    pub forwards_valid: Given<bool>,
    /// `gps_tty_path`: path of the GPS receiver's tty.
    pub gps_tty: Given<String>,
    /// `beacon_period`: seconds between two beacons, 0 for none.
    pub beacon_period_s: Given<i64>,
    /// `autoquit_threshold`: unanswered PULL_DATA after which the forwarder ends.
    pub autoquit: Given<i64>,
}

/// A server that the forwarder is told of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// `server_address`: host name or IPv4 address.
    pub address: Given<String>,
    /// `serv_port_up`: UDP port of PUSH_DATA.
    pub port_up: Given<i64>,
    /// `serv_port_down`: UDP port of PULL_DATA.
    pub port_down: Given<i64>,
    /// `serv_enabled`: only a plain `false` switches it off.
    pub enabled: Given<bool>,
}

impl Server {
    fn from_json(json: &Json) -> Server {
        Server {
            address: text(json, "server_address"),
            port_up: whole(json, "serv_port_up", PORTS),
            port_down: whole(json, "serv_port_down", PORTS),
            enabled: flag(json, "serv_enabled"),
        }
    }

    /// Whether an entry of the list is used: it has a name and two ports, and is not switched off.
    pub fn is_used(&self) -> bool {
        self.address.is().is_some()
            && self.port_up != Given::Absent
            && self.port_down != Given::Absent
            && self.enabled != Given::Is(false)
    }
}

impl Gateway {
    /// Servers of the list that a forwarder which reads it has.
    pub fn used_servers(&self) -> Vec<&Server> {
        self.servers.iter().flatten().filter(|server| server.is_used()).take(SERVERS_MAX).collect()
    }

    /// What a later file says wins; what it does not say stays.
    pub(super) fn overlay(&mut self, json: &Json) {
        let later = Gateway::from_json(json);
        over(&mut self.id, later.id);
        over(&mut self.server.address, later.server.address);
        over(&mut self.server.port_up, later.server.port_up);
        over(&mut self.server.port_down, later.server.port_down);
        self.servers = later.servers.or(self.servers.take());
        over(&mut self.keepalive_s, later.keepalive_s);
        over(&mut self.stat_s, later.stat_s);
        over(&mut self.forwards_valid, later.forwards_valid);
        over(&mut self.gps_tty, later.gps_tty);
        over(&mut self.beacon_period_s, later.beacon_period_s);
        over(&mut self.autoquit, later.autoquit);
    }

    fn from_json(json: &Json) -> Gateway {
        let servers = match json.get("servers") {
            Some(Json::List(entries)) => Some(entries.iter().map(Server::from_json).collect()),
            _ => None,
        };
        Gateway {
            id: text(json, "gateway_ID"),
            server: Server::from_json(json),
            servers,
            keepalive_s: whole(json, "keepalive_interval", i32::MIN.into()..=i32::MAX.into()),
            stat_s: whole(json, "stat_interval", U32),
            forwards_valid: flag(json, "forward_crc_valid"),
            gps_tty: text(json, "gps_tty_path"),
            beacon_period_s: whole(json, "beacon_period", U32),
            autoquit: whole(json, "autoquit_threshold", U32),
        }
    }
}

fn over<T>(under: &mut Given<T>, later: Given<T>) {
    if !matches!(later, Given::Absent) {
        *under = later;
    }
}
