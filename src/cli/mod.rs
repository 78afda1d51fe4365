//! The command line: reads the files it was given, prints, and exits by `sysexits.h`.

mod args;
mod check;
mod check_forwarder;
mod devices;
mod enrol;
mod exit;
mod files;
mod group;
mod inspect;
mod online;
mod orders;
mod plan;
mod prepare;
mod run;
mod service;
mod service_user;
mod simulate;
mod status;
mod table;
mod verify;

pub use exit::Failure;
pub use exit::warn;
pub use run::run;
pub use service::Start;
pub use service::prepare;
