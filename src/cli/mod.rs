//! The command line: reads the files it was given, prints, and exits by `sysexits.h`.

mod args;
mod check;
mod check_forwarder;
mod devices;
mod devices_text;
mod doctor;
mod enrol;
mod exit;
mod files;
mod group;
mod history;
mod init;
mod inspect;
mod online;
mod operator_args;
mod order;
mod orders;
mod picture;
mod plan;
mod port_holder;
mod prepare;
mod rehearse;
mod run;
mod service;
mod service_user;
mod simulate;
mod status;
mod table;
mod tasks;
mod verify;

pub use args::Cli;
pub use exit::Failure;
pub use exit::warn;
pub use run::run;
pub use service::Start;
pub use service::prepare;
