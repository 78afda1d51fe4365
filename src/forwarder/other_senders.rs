//! Who else sends to our port: gateways that are not ours, and hosts that use our gateway's name. They are neither
//! acknowledged nor relayed.

use super::settings::GatewayId;
use crate::time::Instant;
use std::net::SocketAddr;

/// Senders that are kept; what others send is counted and no more.
const SENDERS_MAX: usize = 8;
/// A sender that was not heard for this long makes room for another, microseconds.
const FORGET_US: u64 = 600_000_000;
/// A sender is told once in this time, microseconds.
const TELL_EVERY_US: u64 = 3_600_000_000;

/// One that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherSender {
    /// EUI in its datagrams.
    pub gateway: GatewayId,
    /// Where its latest datagram came from.
    pub from: SocketAddr,
    /// PUSH_DATA and PULL_DATA that came from there in its name.
    pub datagrams: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    sender: OtherSender,
    heard: Instant,
    told: Instant,
}

/// The latest of them, at most [`SENDERS_MAX`].
#[derive(Debug, Default)]
pub(super) struct OtherSenders {
    list: Vec<Known>,
}

impl OtherSenders {
    /// Takes note of a datagram that was not served; gives its sender where the operator should be told.
    pub fn heard(&mut self, now: Instant, gateway: GatewayId, from: SocketAddr) -> Option<OtherSender> {
        let is_it =
            |known: &&mut Known| known.sender.gateway == gateway && known.sender.from.ip() == from.ip();
        if let Some(known) = self.list.iter_mut().find(is_it) {
            known.sender = OtherSender { gateway, from, datagrams: known.sender.datagrams.saturating_add(1) };
            known.heard = now;
            let is_news = now.us_since(known.told) >= TELL_EVERY_US;
            known.told = if is_news { now } else { known.told };
            return is_news.then_some(known.sender);
        }
        if self.list.len() >= SENDERS_MAX {
            let quiet = self.list.iter().position(|known| now.us_since(known.heard) >= FORGET_US)?;
            self.list.remove(quiet);
        }
        let sender = OtherSender { gateway, from, datagrams: 1 };
        self.list.push(Known { sender, heard: now, told: now });
        Some(sender)
    }

    /// Its datagrams are served from now on.
    pub fn is_served(&mut self, gateway: GatewayId, from: SocketAddr) {
        self.list.retain(|known| known.sender.gateway != gateway || known.sender.from.ip() != from.ip());
    }

    /// In the order in which they were first heard.
    pub fn iter(&self) -> impl Iterator<Item = OtherSender> {
        self.list.iter().map(|known| known.sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    fn host(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], port))
    }

    #[test]
    fn a_sender_is_told_once_an_hour_whatever_port_it_uses() {
        let mut senders = OtherSenders::default();
        let told =
            (0..7200).filter(|s| senders.heard(at(*s), GatewayId([9; 8]), host(1, *s as u16)).is_some());
        assert_eq!(told.collect::<Vec<_>>(), [0, 3600]);
        let sender = OtherSender { gateway: GatewayId([9; 8]), from: host(1, 7199), datagrams: 7200 };
        assert_eq!(senders.iter().collect::<Vec<_>>(), [sender]);
    }

    #[test]
    fn eight_are_kept_and_one_that_fell_silent_makes_room() {
        let mut senders = OtherSenders::default();
        let told =
            (0..200).filter(|n| senders.heard(at(0), GatewayId([*n; 8]), host(1, 1)).is_some()).count();
        assert_eq!((told, senders.iter().count()), (8, 8));
        senders.heard(at(599), GatewayId([3; 8]), host(1, 1));
        assert_eq!(senders.heard(at(599), GatewayId([77; 8]), host(1, 1)), None);
        assert!(senders.heard(at(600), GatewayId([77; 8]), host(1, 1)).is_some());
        senders.is_served(GatewayId([77; 8]), host(1, 5));
        assert_eq!(senders.iter().count(), 7);
    }
}
