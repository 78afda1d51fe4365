//! What happened, for whoever ordered it. A report comes before a log line: the daemon prints reports, the
//! simulation counts them, tests assert them.

mod account;
mod event;
mod planned;
mod wait;

pub use account::Account;
pub use event::Event;
pub use event::Outcome;
pub use event::Report;
pub use event::Severity;
pub use planned::Decoded;
pub use planned::Lean;
pub use planned::Planned;
pub use wait::ClockNeed;
pub use wait::RefusalCause;
pub use wait::Refused;
pub use wait::Saving;
pub use wait::Wait;
pub use wait::WaitReason;
pub use wait::WaitTotal;
pub use wait::disputed;
