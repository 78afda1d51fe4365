//! The front door of everything pure: facts go in, wishes come out.
//!
//! After every [`Engine::handle`], call [`Engine::poll`] until it answers [`Output::WakeAt`]; only then handle
//! the next fact. The engine knows no clock, socket, file or randomness, so the simulated world and the
//! daemon drive the very same one.
//! Each `handle` does a bounded amount of work: at most one new emission per campaign.
//! ```
//! use fuotad::engine::{Engine, Input, Output, Settings};
//! use fuotad::region::{RfRegion, parameters};
//! use fuotad::time::{Instant, Now};
//!
//! let settings = Settings {
//!     region: parameters(RfRegion::Eu868)?,
//!     groups: Vec::new(),
//!     trust_by_task: Default::default(),
//!     means: Default::default(),
//!     turns: Default::default(),
//!     fleets: Vec::new(),
//!     forwarder: Default::default(),
//!     relay: Default::default(),
//!     kept: Default::default(),
//!     crash_rest_us: 0,
//! };
//! let at = |us| Now { mono: Instant::from_us(us), gps: None };
//! let mut engine = Engine::new(settings, Default::default(), 1, at(0));
//! // A packet forwarder's PULL_DATA comes in.
//! let pull_data = [2, 0, 7, 2, 0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
//! engine.handle(at(1000), Input::Datagram { from: ([127, 0, 0, 1], 40_001).into(), bytes: &pull_data });
//! let mut sent = Vec::new();
//! let wake_at = loop {
//!     match engine.poll() {
//!         Output::WakeAt(at) => break at,
//!         Output::Datagram { bytes, .. } => sent.push(bytes),
//!         other => println!("{other:?}"),
//!     }
//! };
//! assert_eq!(sent, [[2, 0, 7, 4]], "PULL_ACK");
//! assert!(wake_at.is_some(), "a forwarder that falls silent is noticed");
//! # Ok::<(), fuotad::region::RegionError>(())
//! ```

mod addresses;
mod answering;
mod clocks;
mod course;
mod fleets;
mod further;
mod group_loop;
mod io;
mod kept_results;
mod learned;
mod ledger;
mod loops;
mod machine;
mod rest;
mod session_clock;
#[cfg(test)]
mod tests;
mod verdict;

pub use answering::Answering;
pub use clocks::ClockState;
pub use course::Stage;
pub use io::FleetSettings;
pub use io::Input;
pub use io::Output;
pub use io::Settings;
pub use kept_results::KeptResults;
pub use learned::learned_id;
pub use learned::learned_of;
pub use machine::Engine;
