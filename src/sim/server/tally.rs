//! Counters of a network server and of its devices.

use std::collections::BTreeMap;

/// What became of downlinks of one kind. `due = accepted + lost + unanswered` and what is still on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Downlinks that the server wanted to send.
    pub due: u64,
    /// PULL_RESP sent, second tries included.
    pub sent: u64,
    /// Accepted: TX_ACK without an error, with or without a warning.
    pub accepted: u64,
    /// PULL_RESP that got a TX_ACK with an error.
    pub refused: u64,
    /// Tried again in RX2 after RX1 was refused.
    pub second_tries: u64,
    /// PULL_RESP without any TX_ACK within 2 s.
    pub unanswered: u64,
    /// Given up: refused wherever it could go, or no way to the gateway.
    pub lost: u64,
}

/// Counters of a network server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerCounts {
    /// PUSH_DATA that the server acknowledged.
    pub push_data: u64,
    /// PULL_DATA that the server acknowledged.
    pub pull_data: u64,
    /// Datagrams that are none of the protocol, or that `semtech-udp` cannot read.
    pub unread: u64,
    /// Receptions in PUSH_DATA, whoever sent them.
    pub uplinks: u64,
    /// `stat` reports in PUSH_DATA.
    pub stats: u64,
    /// TX_ACK that belong to nothing sent.
    pub strange_acks: u64,
    /// TX_ACK with the warning TX_POWER.
    pub warned: u64,
    /// TX_ACK errors by their word.
    pub errors: BTreeMap<String, u64>,
    /// Answers to Class A uplinks and join-requests.
    pub answers: Tally,
    /// Class C downlinks that no uplink asked for.
    pub class_c: Tally,
    /// Downlinks to the multicast address.
    pub multicast: Tally,
}

/// Counters of the devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Data uplinks sent, confirmed ones included.
    pub uplinks: u64,
    /// Confirmed uplinks among these.
    pub confirmed: u64,
    /// Join-requests that the devices sent.
    pub joins: u64,
    /// Answers heard in RX1.
    pub rx1: u64,
    /// Answers heard in RX2.
    pub rx2: u64,
    /// Answers to a confirmed uplink or a join-request among them.
    pub awaited: u64,
}
