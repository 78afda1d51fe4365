//! Where we are: what RP002 lets a device hear, and what the law lets a gateway say.
//!
//! One struct type, [`Parameters`], and one `const` table per RfRegion, each number with its clause. Limits of
//! law ([`SubBand`]) are tables of their own, because several regions share one law. Behaviour exists once,
//! in [`Parameters::check`]. This room knows no tasks, no schedules and no configuration: whoever configures
//! may narrow these limits, never widen them.
//!
//! Complete are EU868 and US915; the others are refused by name.

mod error;
mod etsi;
mod eu868;
mod parameters;
mod rf_region;
mod us915;

#[cfg(test)]
mod tests;

pub use error::RegionError;
pub use parameters::Channel;
pub use parameters::ClassB;
pub use parameters::DataRate;
pub use parameters::Parameters;
pub use parameters::Raster;
pub use parameters::Rx2;
pub use parameters::SubBand;
pub use parameters::SubBandIndex;
pub use parameters::UplinkOnly;
pub use rf_region::Note;
pub use rf_region::RfRegion;
pub use rf_region::parameters;
