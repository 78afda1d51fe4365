//! The simulated world: doubles of everything `fuotad` meets, in virtual time, from one seed. No clock, no
//! socket, no file; the same seed gives the same world, microsecond for microsecond.
//!
//! The doubles are independent readings of their originals: [`concentrator`] shares no code with the room
//! that speaks to packet forwarders, so that the one judges the other.

pub mod air;
pub mod concentrator;
pub mod device;
pub mod disk;
pub mod ether;
mod event;
pub mod faulty_link;
mod gateway;
mod listeners;
pub mod lns;
mod meddling;
mod network;
mod operator;
pub mod random;
pub mod referee;
mod results;
mod script;
pub mod server;
mod spoiled;
mod summary;
mod uplinks;
mod wall;
mod world;

pub use air::Loss;
pub use network::NetworkCounts;
pub use referee::BandAir;
pub use results::GroupResult;
pub use script::ClockTrouble;
pub use script::DeviceScript;
pub use script::Fault;
pub use script::Meddling;
pub use script::NetworkScript;
pub use script::Script;
pub use script::TaskScript;
pub use script::UnsyncedPages;
pub use script::VerbScript;
pub use spoiled::Spoil;
pub use summary::DeviceResult;
pub use summary::SentFrame;
pub use summary::Summary;
pub use world::Tamper;
pub use world::World;
