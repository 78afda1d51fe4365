//! `[[network-server]]`: whom the gateway's normal traffic is relayed to.

use super::error::ConfigError;
use super::error::Mistakes;
use crate::daemon::is_own;
use crate::daemon::own_address;
use crate::relay::RelaySettings;
use crate::relay::ServerSettings;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

/// More servers than this are a mistake.
const SERVERS_MAX: usize = 8;
/// The longest RECEIVE_DELAY1 that a device can be told (TS001-1.0.4 5.7), seconds.
const RX1_DELAY_MAX_S: u8 = 15;

/// `[[network-server]]`: a network server, as written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NetworkServer {
    /// Host and port of its Semtech UDP (GWMP) side: a name, an IPv4 address, or an IPv6 address in brackets.
    pub address: String,
    /// It gets uplinks and may not send.
    #[serde(default)]
    pub uplink_only: bool,
    /// Its downlinks over the law's limit are refused instead of charged and reported.
    #[serde(default)]
    pub enforce: bool,
    /// Seconds from an uplink to RX1 in this network, until its answers have told; The Things Stack: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx1_delay_s: Option<u8>,
    /// Its devices' addresses begin with these bits, like `26011000/20`; their receive windows are kept free.
    /// Empty: learned from its answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dev_addr_prefixes: Vec<String>,
}

/// The relay's settings from these servers.
///
/// # Errors
/// An address without host or port, or twice; a delay that no device can be told; no prefix.
pub fn relay(servers: &[NetworkServer], listen: SocketAddr) -> Result<RelaySettings, ConfigError> {
    if servers.len() > SERVERS_MAX {
        let message = format!("{} are too many: at most {SERVERS_MAX}", servers.len());
        return Err(ConfigError::value("network-server", message));
    }
    let mut mistakes = Mistakes::default();
    let mut relay = RelaySettings::default();
    let mut addresses = BTreeSet::new();
    for (index, server) in servers.iter().enumerate() {
        let mut wrong = |key: &str, message: String| {
            mistakes.add(ConfigError::value(format!("network-server[{index}].{key}"), message));
        };
        if let Err(message) = host_and_port(&server.address) {
            wrong("address", message);
        }
        if let Some(own) = known_addresses(&server.address).into_iter().find(|known| is_own(listen, *known)) {
            wrong("address", own_address(&server.address, own));
        }
        if !addresses.insert(&server.address) {
            wrong("address", format!("{} is there twice: leave one out", server.address));
        }
        if let Some(delay_s) = server.rx1_delay_s {
            if !(1..=RX1_DELAY_MAX_S).contains(&delay_s) {
                wrong("rx1-delay-s", format!("{delay_s} is outside 1 to {RX1_DELAY_MAX_S}, in seconds"));
            }
            relay.rx1_delay_s = delay_s;
        }
        for (place, prefix) in server.dev_addr_prefixes.iter().enumerate() {
            match prefix.parse() {
                Ok(prefix) => relay.dev_addr_prefixes.push(prefix),
                Err(message) => wrong(&format!("dev-addr-prefixes[{place}]"), message),
            }
        }
        relay.servers.push(ServerSettings {
            name: server.address.clone(),
            is_uplink_only: server.uplink_only,
            is_enforced: server.enforce,
        });
    }
    mistakes.or(Some(relay))
}

/// The addresses that need no look-up: a literal one's, and those that `localhost` has everywhere (RFC 6761 6.3).
fn known_addresses(address: &str) -> Vec<SocketAddr> {
    match address.parse() {
        Ok(literal) => vec![literal],
        Err(_) => {
            match address.rsplit_once(':').map(|(host, port)| (host.trim_end_matches('.'), port.parse())) {
                Some((host, Ok(port))) if host.eq_ignore_ascii_case("localhost") => {
                    vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
                }
                _ => Vec::new(),
            }
        }
    }
}

/// Whether this is a host with a port.
///
/// # Errors
/// What it is, and what to write instead.
pub fn host_and_port(address: &str) -> Result<(), String> {
    let wrong =
        || format!("{address:?} is no host with a port, like lns.example.org:1700 or [2001:db8::1]:1700");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', '/', '@']) && !host.contains(char::is_whitespace),
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_host && is_port { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str) -> NetworkServer {
        NetworkServer {
            address: address.to_owned(),
            uplink_only: false,
            enforce: false,
            rx1_delay_s: None,
            dev_addr_prefixes: Vec::new(),
        }
    }

    fn listen() -> SocketAddr {
        "127.0.0.1:1700".parse().unwrap()
    }

    #[test]
    fn names_and_addresses_of_both_families_are_taken() {
        for address in ["lns.example.org:1700", "192.0.2.7:1700", "[2001:db8::1]:1700"] {
            assert_eq!(relay(&[server(address)], listen()).unwrap().servers[0].name, address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_key() {
        let wrong =
            ["", "lns", ":1700", "lns:", "lns:0", "lns:70000", "2001:db8::1:1700", "udp://lns:1700", "[x]:1"];
        for address in wrong {
            let error = relay(&[server("a:1"), server(address)], listen()).unwrap_err().to_string();
            assert!(error.contains("network-server[1].address"), "{address}: {error}");
        }
    }

    #[test]
    fn a_server_that_is_ourselves_or_there_twice_is_refused() {
        for ours in ["127.0.0.1:1700", "localhost:1700", "LocalHost.:1700", "0.0.0.0:1700"] {
            let refused = relay(&[server(ours)], listen()).unwrap_err().to_string();
            assert!(
                refused.contains("network-server[0].address") && refused.contains("we listen"),
                "{refused}"
            );
        }
        let any = "0.0.0.0:1700".parse().unwrap();
        assert!(relay(&[server("127.0.0.1:1700")], any).is_err());
        assert!(relay(&[server("localhost:1710")], any).is_ok());
        let twice = relay(&[server("a:1"), server("a:1")], listen()).unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
    }

    #[test]
    fn a_delay_that_no_device_can_be_told_is_refused() {
        for delay_s in [0, 16] {
            let late = NetworkServer { rx1_delay_s: Some(delay_s), ..server("a:1") };
            let error = relay(&[late], listen()).unwrap_err().to_string();
            assert!(error.contains("rx1-delay-s") && error.contains("1 to 15"), "{error}");
        }
    }
}
