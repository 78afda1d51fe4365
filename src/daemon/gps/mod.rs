//! GPS time from a receiver of our own: `[gps] tty`.
//!
//! ```text
//! tty ─► reader ─► nmea ─► Word ─► clock
//!          └─► holder: is the tty somebody else's?
//! ```
//!
//! On most gateways the packet forwarder owns the only receiver, and tells GPS time with every uplink (`tmms`): then
//! there is nothing to configure here. This is for a receiver that the forwarder does not have. Its time is one more
//! witness for the clock, never more: the service goes on without it, and without the tty.

mod holder;
mod nmea;
mod reader;

pub use reader::start;
