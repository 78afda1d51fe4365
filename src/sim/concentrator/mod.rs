//! The double of a gateway's concentrator with Semtech's packet forwarder in front of it: `lora_pkt_fwd` of
//! sx1302_hal 2.1.0 with an SX1302, as it was measured on the wire.
//!
//! ```text
//! datagram ─► txpk ─► jit_queue ── 30-40 ms before the start ──► radio_chip ─► Transmission
//!                        └─► TX_ACK                                  └─► deaf while it sends
//! Reception ─► fetched up to 10 ms later ─► PUSH_DATA, one at a time until acknowledged
//! ```
//!
//! An accepting TX_ACK means *queued*. A packet may still be lost without a word: when it is handed over
//! while another is on the air, when a later one overwrites it while it is armed, when the driver refuses it.
//! [`Counts::swallowed`] tells the tests; a server never learns.
//!
//! Beacons, when the forwarder is told to send them, wait in the same queue; a bus that is held too long makes
//! the poll of the queue come too late. What else goes wrong over a span of time stands in [`Hazards`].
//!
//! It shares no code with our own side of the protocol. Not in it: the second RF chain, TX_ACK `UNKNOWN` (the
//! original has no way to it from a datagram), and comments in JSON.

mod airtime;
mod beacon;
mod board;
mod bus;
mod counter;
mod counts;
mod forwarder;
mod frame;
mod gps;
mod hazards;
mod jit_queue;
mod output;
mod push_thread;
mod radio_chip;
mod settings;
mod tokens;
mod txpk;
mod upstream;

#[cfg(test)]
mod hazard_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;

pub use counts::Counts;
pub use forwarder::Concentrator;
pub use frame::Transmission;
pub use hazards::Hazards;
pub use hazards::Span;
pub use output::Output;
pub use output::Socket;
pub use settings::SecondBoard;
pub use settings::Settings;
pub use upstream::Reception;
