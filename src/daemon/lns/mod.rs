//! The hand of the room `lns`: one MQTT 3.1.1 connection for each network server.
//!
//! All connections live on a thread of their own, so neither a TLS handshake nor 50 000 devices of others ever delay
//! the radio. Events come back through a bounded mailbox in which the least important makes room; downlinks go out
//! through a bounded channel, and those that find no connection are dropped and counted: whoever waits for their
//! answers asks again, and an old command is worse than none.
#![cfg_attr(not(feature = "lns"), allow(dead_code, reason = "nothing is connected without the feature"))]

mod board;
#[cfg(feature = "lns")]
mod connection;
#[cfg(feature = "lns")]
mod link;
mod links;
mod mailbox;
mod settings;
#[cfg(feature = "lns")]
mod trouble;

pub use links::LnsLinks;
pub use settings::LnsSettings;
pub use settings::LnsTls;
pub use settings::SILENT_AFTER;
