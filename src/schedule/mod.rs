//! When a frame may go out: the law of the sub-band, the share that campaigns may take of it, and the time a
//! gateway may be deaf because it sends.
//!
//! This room schedules emissions. It knows frequency, airtime and windows of time; it never learns what is
//! inside an emission, who asked for it, or how it reaches the radio. A refusal is a value with its numbers.
//!
//! * [`Loads`]: a sliding window over what was sent, exact to the microsecond (EN 300 220-1 5.4: duty cycle
//!   is the airtime in ANY observation period, so later windows count as much as the one that ends now).
//! * [`Ledger`]: one such window per sub-band for the whole transmitter, ours and the network server's.
//! * [`Scheduler`]: the arbiter of the one radio: conflicts, ledger, deafness.

mod appetite;
mod ledger;
mod loads;
mod scheduler;
mod spacing;

pub use ledger::BandUse;
pub use ledger::Ledger;
pub use loads::Load;
pub use loads::Loads;
pub use loads::Whose;
pub use scheduler::Placement;
pub use scheduler::Protected;
pub use scheduler::Refused;
pub use scheduler::Scheduler;
pub use scheduler::Ticket;
pub use scheduler::Wish;
pub use spacing::Manners;
pub use spacing::Pace;
pub use spacing::PaceLimit;
pub use spacing::Pattern;
pub use spacing::even_spacing_us;
