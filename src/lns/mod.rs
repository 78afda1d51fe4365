//! The application side of network servers: what a broker tells of our devices, and what is queued for them.
//!
//! Two dialects are spoken, ChirpStack v4 and The Things Stack v3, both in JSON over MQTT topics; a third has its
//! place beside them. The room knows bytes and topics and no connection: `daemon/lns` carries them, `sim` doubles
//! the servers. It judges a topic before it parses a payload, because an application may have 50 000 other devices.
//!
//! The daemon is an application among others: it queues single unconfirmed downlinks, never empties or replaces a
//! queue, and knows its own items again by their [`ItemId`].

mod audience;
mod chirpstack;
mod dialect;
mod document;
mod event;
mod item_id;
mod listener;
mod push;
mod read_error;
mod the_things_stack;
mod topics;

pub use audience::Audience;
pub use dialect::Dialect;
pub use dialect::UnknownDialect;
pub use event::Address;
pub use event::Event;
pub use event::EventKind;
pub use event::FailureCode;
pub use event::LogLevel;
pub use event::Reception;
pub use event::Up;
pub use item_id::ItemId;
pub use listener::Heard;
pub use listener::Listener;
pub use push::Push;
pub use read_error::MAX_DOCUMENT_BYTES;
pub use read_error::ReadError;
pub use topics::TopicError;
pub use topics::Topics;
