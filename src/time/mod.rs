//! Four clocks, four types: the process' own [`Instant`], [`GpsTime`], the concentrator's wrapping [`Tmst`]
//! and its unrolled [`ConcentratorTime`]. They do not mix by accident:
//!
//! ```compile_fail
//! use fuotad::time::{GpsTime, Instant};
//! let _ = Instant::from_us(1) < GpsTime::from_us(1);
//! ```
//!
//! This room reads no clock. The daemon or the simulation reads the clocks and passes [`Now`] as an
//! argument. [`WallClock`] decides here how far a wall clock is believed, so that the simulated world and
//! the real one decide alike:
//!
//! ```text
//! monotonic clock ─┐
//! wall clock ──────┼─► WallClock ─► GpsTime, or None
//! Evidence ────────┤       └──────► Distrust: why the wall clock is not followed
//! GPS receiver ────┘
//! ```

mod distrust;
mod evidence;
mod gps_line;
mod gps_time;
mod instant;
mod receiver;
#[cfg(test)]
mod tests;
mod wall_clock;

pub use distrust::ClockTrust;
pub use distrust::Distrust;
pub use evidence::Evidence;
pub use evidence::Stamp;
pub use gps_line::ClockDispute;
pub use gps_line::GpsLine;
pub use gps_time::GpsTime;
pub use instant::ConcentratorTime;
pub use instant::Instant;
pub use instant::Now;
pub use instant::Tmst;
pub use wall_clock::WallClock;
