//! Regions: the radio parameters that devices know from RP002, and the limits of law for a gateway.
//!
//! One struct type, [`Parameters`], and one `const` table per RfRegion, each number with its clause. Limits of
//! law ([`SubBand`]) are tables of their own, because several regions share one law. Behaviour exists once,
//! in [`Parameters::check_under`]. This room knows no tasks, no schedules and no configuration: whoever
//! configures may narrow these limits, never widen them. A national rule that is wider than the region's
//! default is a sub-band of its own, used only under [`Terms`] that name it.
//! ```
//! use fuotad::radio::Dbm;
//! use fuotad::region::{RfRegion, parameters};
//!
//! let eu868 = parameters(RfRegion::Eu868)?;
//! let channel = eu868.check(869_525_000, 3, Dbm::from_whole(27))?;
//! let sub_band = eu868.sub_band(channel.sub_band);
//! assert_eq!(sub_band.map(|sub_band| sub_band.label), Some("P"));
//! // The same power is too much half a megahertz above the uplinks.
//! let error = eu868.check(868_300_000, 3, Dbm::from_whole(27)).unwrap_err();
//! assert!(error.to_string().contains("dBm"), "{error}");
//! # Ok::<(), fuotad::region::RegionError>(())
//! ```

mod as923;
mod au915;
mod cn470;
mod cn779;
mod data_rate;
mod error;
mod etsi;
mod eu433;
mod eu868;
mod in865;
mod kr920;
mod lookup;
mod parameters;
mod rf_region;
mod ru864;
mod sub_band;
mod uplinks;
mod us915;

#[cfg(test)]
mod tests;

pub use data_rate::DataRate;
pub use data_rate::UplinkOnly;
pub use error::RegionError;
pub use lookup::Note;
pub use lookup::parameters;
pub use lookup::parameters_even_withdrawn;
pub use lookup::unknown_law;
pub use parameters::Channel;
pub use parameters::ClassB;
pub use parameters::Parameters;
pub use parameters::Raster;
pub use parameters::Rx2;
pub use rf_region::RfRegion;
pub use sub_band::Listen;
pub use sub_band::SubBand;
pub use sub_band::SubBandIndex;
pub use sub_band::Terms;
