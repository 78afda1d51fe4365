//! What happened, for whoever ordered it. A report comes before a log line: the daemon prints reports, the
//! simulation counts them, tests assert them.

mod account;
mod event;
mod planned;

pub use account::Account;
pub use event::Event;
pub use event::Outcome;
pub use event::Report;
pub use event::Severity;
pub use planned::Decoded;
pub use planned::Planned;
