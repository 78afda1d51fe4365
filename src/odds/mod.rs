//! How likely a device is to hold the whole image when a campaign is over.
//!
//! A device that loses each frame with one probability, independently, misses L uncoded fragments and hears C coded
//! ones. Both numbers have binomial distributions, which are summed, not drawn. Whether the coded ones mend the
//! losses depends on the parity lines that the devices really compute: TS004-1.0.0 and TS004-2.0.0 draw different
//! ones, and the few lines of a small redundancy leave some sets of losses open that random lines would close. That
//! part is sampled from the true lines with a fixed seed, so the same question always has the same answer; above
//! [`SAMPLED_LOSSES_MAX`] losses true lines are as good as random ones, and the formula for these is used.
//!
//! This room knows the code ([`crate::fragment`]) and nothing of frames, time or law.

mod binomial;
mod completion;
mod lines;
mod remaining;
mod search;

pub use completion::Odds;
pub use completion::Receiver;
pub use completion::completes_by_formula;
pub use lines::SAMPLED_LOSSES_MAX;
pub use remaining::coded_to_complete;
