//! What the devices of a campaign answer when they are asked how much they miss, and how much more is to be sent.
//!
//! Stacks fill FragSessionStatusAns in ways of their own (TS004-1.0.0 3.2), so the same numbers are a proof from one
//! and a hint from another. Silence is never taken for an image.
//!
//! * [`Habit`]: how a stack counts. [`Session`]: the fragmentation session that is asked about.
//! * [`Roll`]: every device of a group and what it [holds](Holding), by its newest answer that can be believed.
//! * [`AnswerWindow`]: how long answers are spread, and how many of them are heard.
//! * [`Learned`]: what that tells of the frames that the group loses, and of what its next campaign needs.
//! * [`Rounds`]: fragments, then a question, then its answers, until nobody who listens misses anything.
//!
//! The room sees the bytes of uplinks and counts fragments; it knows no campaign, no network server and no clock.

mod bytes;
mod crc32;
mod habit;
mod holding;
mod learned;
mod lost;
mod member;
mod reading;
mod roll;
mod rounds;
mod session;
#[cfg(test)]
mod tests;
mod window;

pub use crc32::crc32;
pub use habit::Habit;
pub use holding::Failure;
pub use holding::Holding;
pub use holding::Holdings;
pub use learned::Expected;
pub use learned::Learned;
pub use lost::CampaignLoss;
pub use roll::Disbelief;
pub use roll::Roll;
pub use rounds::End;
pub use rounds::GiveUp;
pub use rounds::Next;
pub use rounds::Rounds;
pub use session::Sent;
pub use session::Session;
pub use session::Whom;
pub use window::AnswerWindow;
