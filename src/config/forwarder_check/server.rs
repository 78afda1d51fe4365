//! Where the forwarder sends: it must be us, and nobody else.

use super::finding::Findings;
use crate::config::forwarder_file::Dialect;
use crate::config::forwarder_file::Gateway;
use crate::config::forwarder_file::Given;
use crate::config::forwarder_file::Server;
use std::net::IpAddr;
use std::net::SocketAddr;

/// What Semtech's forwarder assumes.
const ADDRESS_DEFAULT: &str = "127.0.0.1";
const PORT_UP_DEFAULT: i64 = 1780;
const PORT_DOWN_DEFAULT: i64 = 1782;
/// A server's address as the forwarder keeps it, without the terminator.
const ADDRESS_MAX: usize = 63;

const WHY: &str = "fuotad is the forwarder's one server and passes everything on to the network server";

pub(super) fn check(
    gateway: &Gateway,
    listen: SocketAddr,
    dialect: Option<Dialect>,
    findings: &mut Findings,
) {
    let list = gateway.servers.as_ref();
    let reads_list = match (dialect, list) {
        (_, None) | (Some(Dialect::Semtech), _) => false,
        (Some(_), Some(_)) => true,
        (None, Some(_)) => {
            let why = "mp_pkt_fwd, poly_pkt_fwd and Dragino's forwarder read this list and nothing else, Semtech's does not read it: both are held against fuotad until --dialect says which it is";
            findings.note("gateway_conf.servers", "a list", "--dialect semtech, mp, poly or dragino", why);
            if gateway.server.address != Given::Absent {
                one("gateway_conf.", &gateway.server, listen, findings);
            }
            true
        }
    };
    if !reads_list {
        if list.is_some() {
            let why = "Semtech's forwarder does not read this list";
            findings.note("gateway_conf.servers", "a list", "none", why);
        }
        return one("gateway_conf.", &gateway.server, listen, findings);
    }
    let entries = list.map_or(&[][..], Vec::as_slice);
    let used: Vec<usize> = (0..entries.len()).filter(|n| entries[*n].is_used()).collect();
    let key = "gateway_conf.servers";
    match used.as_slice() {
        [] => {
            let why = "mp_pkt_fwd, poly_pkt_fwd and Dragino's forwarder read this list and nothing else";
            findings.must(key, "no entry with an address and two ports that is enabled", "one: fuotad", why);
        }
        [only] => one(&format!("{key}[{only}]."), &entries[*only], listen, findings),
        many => {
            for n in many {
                let entry = &entries[*n];
                if leads_here(entry, listen) {
                    continue;
                }
                let why = "a second server sends over the same radio, and fuotad does not know when; it belongs behind fuotad, in [[network-server]]";
                findings.must(
                    format!("{key}[{n}].serv_enabled"),
                    format!("{} beside others", entry.address),
                    "false",
                    why,
                );
            }
            let here: Vec<usize> =
                many.iter().copied().filter(|n| leads_here(&entries[*n], listen)).collect();
            match here.as_slice() {
                [] => findings.must(key, "no entry that leads here", "one: fuotad", WHY),
                [_] => {}
                [_, twice @ ..] => {
                    for n in twice {
                        let why = "fuotad would get everything twice";
                        findings.must(
                            format!("{key}[{n}].serv_enabled"),
                            "a second entry that leads here",
                            "false",
                            why,
                        );
                    }
                }
            }
        }
    }
}

fn leads_here(server: &Server, listen: SocketAddr) -> bool {
    let mut findings = Findings::default();
    one("", server, listen, &mut findings);
    findings.is_good()
}

fn one(prefix: &str, server: &Server, listen: SocketAddr, findings: &mut Findings) {
    address(prefix, server, listen, findings);
    let ports = [
        ("serv_port_up", &server.port_up, PORT_UP_DEFAULT),
        ("serv_port_down", &server.port_down, PORT_DOWN_DEFAULT),
    ];
    for (key, port, default) in ports {
        if port.or(default, 0) != i64::from(listen.port()) {
            let found = match port {
                Given::Absent => format!("absent: {default}"),
                Given::Odd(found) => format!("{found}, which the forwarder reads as another port"),
                Given::Is(port) => port.to_string(),
            };
            findings.must(format!("{prefix}{key}"), found, listen.port(), WHY);
        }
    }
}

fn address(prefix: &str, server: &Server, listen: SocketAddr, findings: &mut Findings) {
    let key = format!("{prefix}server_address");
    let wanted =
        if listen.ip().is_unspecified() { ADDRESS_DEFAULT.to_owned() } else { listen.ip().to_string() };
    if listen.is_ipv6() && !listen.ip().is_unspecified() {
        let why = "the forwarder speaks IPv4 only, and fuotad listens on IPv6: change [forwarder] listen";
        return findings.must(key, &server.address, "an IPv4 address", why);
    }
    let name = match &server.address {
        Given::Is(name) => name.as_str(),
        // Both leave the forwarder's default.
        Given::Absent | Given::Odd(_) => {
            let default = IpAddr::from([127, 0, 0, 1]);
            return if listen.ip() == default || listen.ip().is_unspecified() {
                findings.note(
                    key,
                    &server.address,
                    wanted,
                    "the forwarder's default is 127.0.0.1: better say it",
                );
            } else {
                findings.must(key, &server.address, wanted, WHY);
            };
        }
    };
    if name.len() > ADDRESS_MAX {
        return findings.must(
            key,
            name,
            wanted,
            format!("the forwarder keeps {ADDRESS_MAX} characters of it"),
        );
    }
    match if name == "localhost" { Ok(IpAddr::from([127, 0, 0, 1])) } else { name.parse() } {
        Ok(address) if address == listen.ip() => {}
        Ok(address) if listen.ip().is_unspecified() && address.is_loopback() => {}
        // A name or an address of this machine may lead here, unless only loopback is listened on.
        Ok(address) if listen.ip().is_unspecified() && !address.is_unspecified() => {
            findings.note(key, name, wanted, format!("{WHY}: it must be this machine's address"));
        }
        Err(_) if !listen.ip().is_loopback() => {
            findings.note(key, name, wanted, format!("{WHY}: the name must lead to this machine"));
        }
        _ => findings.must(key, name, wanted, WHY),
    }
}
