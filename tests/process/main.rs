//! The real process: its command line, its life as a service, and what it reads of a packet forwarder and a receiver.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]
#![expect(clippy::disallowed_methods, reason = "a test of the real world touches it")]

#[path = "../support/mod.rs"]
mod support;

mod activation;
mod cli;
mod control;
mod daemon;
#[cfg(feature = "lns")]
mod fleet;
#[cfg(feature = "lns")]
mod flood;
mod forwarder_file;
#[cfg(feature = "lns")]
mod from_a_list;
#[cfg(feature = "gps")]
mod gps;
mod init;
#[cfg(feature = "lns")]
mod lns;
mod order;
mod relay_only;
#[cfg(feature = "lns")]
mod rerun;
mod terminal;
mod verbs;
#[cfg(feature = "web")]
mod web;
