//! When a frame may go out: the law of the sub-band, the share that campaigns may take of it, and the time a
//! gateway may be deaf because it sends.
//!
//! This room schedules emissions. It knows frequency, airtime and windows of time; it never learns what is
//! inside an emission, who asked for it, or how it reaches the radio. A refusal is a value with its numbers.
//!
//! * [`AirtimeWindow`]: a sliding window over what was sent, exact to the microsecond (EN 300 220-1 5.4: duty cycle
//!   is the airtime in ANY observation period, so later windows count as much as the one that ends now).
//! * [`Ledger`]: one such window per sub-band for the whole transmitter, ours and the network server's.
//! * [`Scheduler`]: the arbiter of the one radio: conflicts, ledger, deafness.

mod airtime_window;
mod ledger;
mod scheduler;
mod server_demand;
mod spacing;

pub use airtime_window::AirtimeWindow;
pub use airtime_window::Load;
pub use airtime_window::Origin;
pub use ledger::BandUse;
pub use ledger::Ledger;
pub use scheduler::Booking;
pub use scheduler::Placement;
pub use scheduler::Refused;
pub use scheduler::RxWindow;
pub use scheduler::Scheduler;
pub use scheduler::TxRequest;
pub use spacing::Pace;
pub use spacing::PaceLimit;
pub use spacing::Pattern;
pub use spacing::TxPolicy;
pub use spacing::even_spacing_us;
