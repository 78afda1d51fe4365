//! The double of a LoRaWAN network server behind the gateway, and of the devices that talk to it: the normal
//! traffic that a campaign must leave undisturbed.
//!
//! ```text
//! Traffic ── Uplink::reception ─► Concentrator::uplink ─► PUSH_DATA ─► (relay) ─► Server
//!    ▲                                                                             │ PULL_RESP
//!    └── Traffic::hear ◄── Transmission ◄── Concentrator ◄── (relay) ◄─────────────┘
//! ```
//!
//! [`Server`] speaks PROTOCOL.TXT version 2 as bytes and shares no code with the rooms that it talks to: what it
//! reads and writes goes through the codec of `semtech-udp`. It answers as one of two real servers would
//! ([`Manner`]) and counts what became of every answer. [`Traffic`] is the other end: it makes the uplinks and hears
//! an answer only where a Class A device listens, in RX1 or RX2 of its own uplink.
//!
//! How a world drives the two: [`Server::datagram`] with every datagram for the server, [`Server::wake`] at
//! [`Server::wake_at`], and after either [`Server::take`] until it is empty; an answer (`PUSH_ACK`, identifier 1)
//! belongs to the source of PUSH_DATA, everything else to the source of PULL_DATA. At [`Traffic::next_at`] call
//! [`Traffic::take`] and give [`Uplink::reception`] to the concentrator; give every transmission to [`Traffic::hear`].
//!
//! Not in it: deduplication, retransmission of what was not answered, MAC commands, and MICs that are right (but those of a
//! multicast whose keys it was given).

mod downlink;
mod network_server;
mod settings;
mod tally;
mod traffic;
mod windows;

#[cfg(test)]
mod tests;

pub use network_server::Server;
pub use settings::Manner;
pub use settings::Multicast;
pub use settings::ServerSettings;
pub use settings::TrafficSettings;
pub use tally::ServerCounts;
pub use tally::Tally;
pub use tally::TrafficCounts;
pub use traffic::Traffic;
pub use traffic::Uplink;
pub use windows::Rx1;
pub use windows::Window;
pub use windows::Windows;
