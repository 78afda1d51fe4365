//! When a frame may go out: the law of the sub-band, the share that campaigns may take of it, and the time a
//! gateway may be deaf because it sends.
//!
//! This room schedules emissions. It knows frequency, airtime and windows of time; it never learns what is
//! inside an emission, who asked for it, or how it reaches the radio. A refusal is a value with its numbers.
//!
//! * [`AirtimeWindow`]: a sliding window over what was sent, exact to the microsecond (EN 300 220-1 5.4: duty cycle
//!   is the airtime in ANY observation period, so later windows count as much as the one that ends now).
//! * [`Ledger`]: one such window per sub-band for the whole transmitter, ours and the network server's.
//! * [`Hearing`]: the promise of what is heard of uplinks, and what each frame costs of it.
//! * [`Scheduler`]: the arbiter of the one radio: conflicts, ledger, deafness.
//! ```
//! use fuotad::radio::Dbm;
//! use fuotad::region::{RfRegion, parameters};
//! use fuotad::schedule::{Pattern, Placement, Scheduler, TxPolicy, TxRequest};
//! use fuotad::time::Instant;
//!
//! let eu868 = parameters(RfRegion::Eu868)?;
//! let mut scheduler = Scheduler::new(eu868.sub_bands, 0);
//! let request = TxRequest {
//!     channel: eu868.check(869_525_000, 0, Dbm::from_whole(27))?,
//!     airtime_us: 2_000_000,
//!     queue_slot_us: 2_000_000,
//!     earliest: Instant::ZERO,
//!     until: None,
//!     need_us: 0,
//!     gap_us: 100_000,
//!     lead_us: 0,
//!     open_us: 0,
//!     policy: TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 1_000_000, pattern: Pattern::Burst },
//! };
//! let mut starts = Vec::new();
//! while let Placement::At(start) = scheduler.place(Instant::ZERO, &request)
//!     && starts.len() < 181
//! {
//!     scheduler.commit(start, &request);
//!     starts.push(start);
//! }
//! // A tenth of the hour is spent after 180 frames of 2 s. One more comes when the first
//! // is an hour old.
//! assert!(starts[179] < Instant::from_us(450_000_000));
//! assert!(starts[180] >= Instant::from_us(3_600_000_000));
//! # Ok::<(), fuotad::region::RegionError>(())
//! ```

mod airtime_window;
mod heard_uplinks;
mod hearing;
mod ledger;
mod promises;
mod scheduler;
mod server_demand;
mod spacing;

pub use airtime_window::AirtimeWindow;
pub use airtime_window::Load;
pub use airtime_window::Origin;
pub use hearing::Hearing;
pub use hearing::Kept;
pub use hearing::Train;
pub use ledger::BandUse;
pub use ledger::Ledger;
pub use promises::CONFIRMED_FAILED_PPM;
pub use promises::JOIN_DUTY;
pub use promises::JOIN_WITHIN_US;
pub use promises::JOINS_FAILED_PPM;
pub use promises::TRIES;
pub use promises::join_us;
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
