//! Our side of the conversation with one Semtech packet forwarder: GWMP, as written down in its PROTOCOL.TXT.
//! We are the forwarder's server.
//!
//! [`Link`] takes the datagrams that came in and the emissions that shall go out, and gives datagrams and
//! [`Event`]s. After every call, take [`Link::poll`] until it is empty; call [`Link::time`] at
//! [`Link::wake_at`].
//!
//! | file | what it knows |
//! |---|---|
//! | `packet` | the 4 and 12 byte headers (PROTOCOL.TXT 3 and 5) |
//! | `rxpk` | a tolerant look into PUSH_DATA |
//! | `txpk` | the PULL_RESP we write, strictly |
//! | `tx_ack` | what the forwarder answers to it |
//! | `boards` | the boards of the forwarder and their counters |
//! | `counter` | the concentrator's microsecond counter, learned from uplinks |
//! | `in_flight` | emissions whose TX_ACK is awaited, and what is on the air |
//! | `server_downlinks` | network servers' downlinks whose TX_ACK is awaited |
//! | `txnb_audit` | what the forwarder accepted against what it gave to its radio |
//! | `transmitter` | all that is handed over: tokens, copies, verdicts |
//! | `pull_path` | where downlinks go |
//! | `obstacle` | why nothing of ours can be handed over |
//! | `other_senders` | who else sends here and is not served |
//! | `timing` | the forwarder's distances, with where they were measured |
//! | `link` | the conversation |
//! | `downlink` | a network server's `txpk`, checked |
//! | `repeated_name` | what the forwarder's JSON parser refuses |
//! | `server_link` | the other direction: we are the gateway of each network server |
//!
//! The room must not know what a payload means, what a campaign is, or what the law says. Datagrams are only
//! looked at: whoever relays them further has the bytes as they came.

mod boards;
mod counter;
mod downlink;
mod error;
mod event;
mod in_flight;
mod link;
mod obstacle;
mod other_senders;
mod outbox;
mod packet;
mod pull_path;
mod repeated_name;
mod rxpk;
mod server_downlinks;
mod server_link;
mod settings;
#[cfg(test)]
mod tests;
pub mod timing;
mod tokens;
mod transmitter;
mod tx_ack;
mod txnb_audit;
mod txpk;

pub use downlink::BadDownlink;
pub use downlink::Downlink;
pub use downlink::Timing;
pub use error::Invalid;
pub use error::NotSent;
pub use event::CounterEstimate;
pub use event::CounterLoss;
pub use event::Counts;
pub use event::EmissionId;
pub use event::Event;
pub use event::LinkState;
pub use event::MalformedKind;
pub use event::Output;
pub use event::Pace;
pub use event::Refusal;
pub use event::Uplink;
pub use event::Verdict;
pub use link::Link;
pub use obstacle::Obstacle;
pub use other_senders::OtherSender;
pub use rxpk::Stat;
pub use server_downlinks::Slot;
pub use server_link::ServerCounts;
pub use server_link::ServerLink;
pub use server_link::ServerLinkOutput;
pub use settings::GatewayId;
pub use settings::PullAddress;
pub use settings::Settings;
pub use txnb_audit::Accounted;
