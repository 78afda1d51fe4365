//! `fuotad`: LoRaWAN multicast firmware broadcasting from the gateway itself.
//!
//! The house has floors; a room imports rooms on lower floors only (`tests/architecture.rs` keeps it so):
//!
//! ```text
//! 11  main
//! 10  cli/                            the command line
//!  9  config/   plan/                 the TOML file; the timetable
//!  8  daemon/   sim/                  the real world; the simulated world: the two never meet
//!  7  engine/                         the front door of everything pure
//!  6  broadcast/                      all campaigns on one radio: tasks, turns, marks
//!  5  campaign/   fleet/   relay/     one task on one group; its devices made ready; network servers on the radio
//!  4  schedule/   report              when a frame may go out; what happened
//!  3  region/   forwarder/   store/   cloud/   lns/   answers/   the law; PROTOCOL.TXT; what must survive a power
//!                                     cut; AWS's documents; the application side of network servers; what devices hold
//!  2  radio/   odds/   signing/   task/   modulation and airtime; who completes; who vouches; what was ordered
//!  1  time/   image   json   fragment/   lorawan/
//! ```
//!
//! Nothing below `daemon/` and `cli/` knows a clock, a file, a socket, a thread or randomness: time is an
//! argument, facts come in and wishes go out.

pub mod answers;
pub mod broadcast;
pub mod campaign;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod cloud;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod engine;
pub mod fleet;
pub mod forwarder;
pub mod fragment;
pub mod image;
pub mod json;
pub mod lns;
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
