//! Judges what was on the air: EN 300 220 and FCC 15.247 (through the tables of [`region`](crate::region)),
//! TS001-1.0.4, TS005-1.0.0, and the promises of this house about frame counters and images.
//!
//! The referee sees the air and the law, nothing else. It keeps its own windows, reads frame headers with its own
//! few lines, computes airtime anew, and must never learn what anyone intended: no ledger, no plan and no counter
//! journal may reach it. One referee watches one transmitter and one campaign's image, over all restarts.

mod band;
mod breach;
mod group;
mod judge;

#[cfg(test)]
mod tests;

pub use breach::Breach;
pub use judge::BandAir;
pub use judge::Referee;
pub use judge::Verdict;
