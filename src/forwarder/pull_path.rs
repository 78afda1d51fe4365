//! Where downlinks go: the source of the gateway's PULL_DATA (PROTOCOL.TXT 5.2), and when that may change.

use super::packet::VERSION_NEWEST;
use super::settings::PullAddress;
use crate::time::Instant;
use std::net::SocketAddr;

/// Keepalive interval before it is learned, and the longest that is believed, microseconds.
const KEEPALIVE_MAX_US: u64 = 35_000_000;

/// Shorter spacings are not keepalives, microseconds.
const KEEPALIVE_MIN_US: u64 = 1_000_000;

/// The address that PULL_DATA came from last, and how regularly.
#[derive(Clone, Copy, Debug)]
pub(super) struct PullPath {
    pub to: SocketAddr,
    pub version: u8,
    pub heard: Instant,
    pub is_online: bool,
    interval_us: Option<u64>,
}

/// What a keepalive changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keepalive {
    /// The address we know.
    Known,
    /// The first one, or the first after a silence, from the address we know.
    Back,
    /// A new address: the forwarder was started anew.
    Moved,
    /// A new address while the known one is alive: somebody who would like our downlinks.
    Stolen,
}

impl PullPath {
    /// The path of an earlier life of the process: nothing was heard on it yet.
    pub fn remembered(last: PullAddress) -> PullPath {
        let PullAddress { address, version, .. } = last;
        PullPath { to: address, version, heard: Instant::ZERO, is_online: false, interval_us: None }
    }

    /// Whether downlinks sent there are answered by a TX_ACK: from version 2 of the protocol on.
    pub fn has_acks(&self) -> bool {
        self.version >= VERSION_NEWEST
    }

    /// Takes a keepalive in. A forwarder that restarts gets a new port: on the loopback interface it is believed at
    /// once. From the network, where a source address proves nothing, the known address has to miss three
    /// keepalives first.
    pub fn keepalive(known: &mut Option<PullPath>, now: Instant, from: SocketAddr, version: u8) -> Keepalive {
        let Some(path) = known.as_mut() else {
            *known = Some(PullPath { to: from, version, heard: now, is_online: true, interval_us: None });
            return Keepalive::Back;
        };
        if path.to != from {
            if path.is_online && !from.ip().is_loopback() {
                return Keepalive::Stolen;
            }
            *path = PullPath { to: from, version, heard: now, is_online: true, interval_us: None };
            return Keepalive::Moved;
        }
        let was_online = path.is_online;
        let spacing_us = now.us_since(path.heard);
        if was_online && spacing_us >= KEEPALIVE_MIN_US {
            // The longest of late; one lost keepalive is forgotten after some more.
            let faded_us = path.interval_us.map_or(0, |interval_us| interval_us - interval_us / 8);
            path.interval_us = Some(spacing_us.min(KEEPALIVE_MAX_US).max(faded_us));
        }
        *path = PullPath { version, heard: now, is_online: true, ..*path };
        if was_online { Keepalive::Known } else { Keepalive::Back }
    }

    /// Three keepalives are missing, and half a one for those that are merely late.
    pub fn deadline(&self) -> Instant {
        self.heard.plus_us(self.interval_us.unwrap_or(KEEPALIVE_MAX_US) * 7 / 2)
    }
}
