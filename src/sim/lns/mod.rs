//! The application side of a network server, its broker, and devices behind it that are set up through it.
//!
//! [`LnsWorld`] drives a [`Fleet`](crate::fleet::Fleet) with its store on a simulated disk: meters send uplinks as
//! rarely as meters do, the server keeps a queue for each and fills Class A windows, the broker drops, doubles and
//! reorders, and a referee reads every command for itself. `Field` is the same side in a world with a radio.

mod agenda;
mod air;
mod air_side;
mod app_server;
mod broker;
mod desk;
mod documents;
mod field;
mod law;
mod meter;
mod process;
mod questions;
mod referee;
mod script;
mod summary;
mod world;

pub(super) use field::Field;
pub use field::FieldCommand;
pub(super) use field::FieldEffect;
pub(super) use field::FieldEvent;
pub use field::FieldSummary;
pub use script::BrokerScript;
pub use script::FieldDevice;
pub use script::FieldScript;
pub use script::LnsScript;
pub use script::MeterScript;
pub use script::Rx2Script;
pub use summary::LnsSummary;
pub use summary::MeterResult;
pub use world::LnsWorld;
