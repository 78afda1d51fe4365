//! `fuotad`: LoRaWAN multicast firmware broadcasting from the gateway itself.
//!
//! The house has floors; a room imports rooms on lower floors only (`tests/architecture.rs` keeps it so):
//!
//! ```text
//! 10  main
//!  9  cli/                         the command line
//!  8  config    plan
//!  7  daemon/ (the real world)     sim/ (the simulated world)      the two never meet
//!  6  engine                       the front door of everything pure
//!  5  broadcast/   relay/          campaigns; network servers
//!  4  schedule/    report          when a frame may go out; what happened
//!  3  region/  forwarder/  store/  the law; PROTOCOL.TXT; what must survive a power cut
//!  2  radio/   odds/   task  signing/   modulation and airtime; who completes; the order; signatures
//!  1  time  image  fragment/  lorawan/
//! ```
//!
//! Nothing below `daemon/` and `cli/` knows a clock, a file, a socket, a thread or randomness: time is an
//! argument, facts come in and wishes go out.

pub mod broadcast;
#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod engine;
pub mod forwarder;
pub mod fragment;
pub mod image;
pub mod lorawan;
pub mod odds;
pub mod plan;
pub mod radio;
pub mod region;
pub mod relay;
pub mod report;
pub mod schedule;
pub mod signing;
pub mod sim;
pub mod store;
pub mod task;
pub mod time;
