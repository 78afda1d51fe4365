//! End devices as their stacks really behave, written from what was read and run of LoRaMac-node and LoRa
//! Basics Modem (LBM) and read of lora-rs, and an ideal one that does what the documents say.
//!
//! A device is set up by the commands of TS003, TS004 and TS005 as a network server would queue them
//! ([`Device::unicast`]); one that was not told a Class C session hears nothing. What a stack does
//! differently is a line of the table in `stack.rs`. The frames it hears ([`Device::hear`]) go through its
//! counter rules, the MIC, TS004 and a real decoder, so what it holds in the end is what a device would hold.
//!
//! Not modelled: Class B, TS006, the join, clock drift between two settings of the clock, RX1 and RX2 windows
//! that interrupt Class C, and two Class C groups at a time on different channels.

mod block;
mod clock;
mod end_device;
mod fragments;
mod group;
mod groups;
mod payload;
mod settings;
mod stack;
mod status;

#[cfg(test)]
mod dialogues;
#[cfg(test)]
mod tests;

pub use end_device::Device;
pub use settings::Settings;
pub use stack::Stack;
pub use stack::UnknownStack;
pub use status::State;
pub use status::Status;
