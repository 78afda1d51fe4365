//! `fuotad init`: from a gateway with a packet forwarder to one that broadcasts, in one command.

mod command;
mod forwarder;
mod lns;
mod questions;
mod writing;

pub use command::run;
