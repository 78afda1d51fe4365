//! The gateway dies, loses files, rots, runs full and has its clock moved, with one task and with many on several
//! groups. It comes back; no frame counter of a key ever carries two payloads, no campaign is lost through a restart,
//! and the law holds.

mod clock_steps;
mod files;
mod lives;
mod many;
mod single;
mod spoiled;
