//! What a region refuses, with the number and the way out.

use crate::radio::Dbm;
use crate::region::rf_region::RfRegion;

/// A name, data rate, frequency or power that a region does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// No RfRegion has this name.
    #[error("`{name}` is no RfRegion; there are {known}")]
    UnknownRegion {
        /// The name as it came, cut after [`RegionError::MAX_QUOTED`] characters.
        name: String,
        /// All names there are.
        known: String,
    },
    /// The region is withdrawn.
    #[error("region {region} is withdrawn: {reason}")]
    Withdrawn {
        /// The region asked for.
        region: RfRegion,
        /// Since when, and where this is written.
        reason: &'static str,
    },
    /// No downlink has this data rate.
    #[error("{region} DR{dr} is not for downlinks: {reason}; downlinks have DR {downlink}")]
    UplinkOnly {
        /// The region.
        region: RfRegion,
        /// The data rate asked for.
        dr: u8,
        /// What the data rate is instead.
        reason: &'static str,
        /// The data rates there are, as a list.
        downlink: String,
    },
    /// The region defines no such data rate.
    #[error("{region} has no DR{dr}; downlinks have DR {downlink}")]
    UnknownDataRate {
        /// The region.
        region: RfRegion,
        /// The data rate asked for.
        dr: u8,
        /// The data rates there are, as a list.
        downlink: String,
    },
    /// The occupied bandwidth is not strictly inside one sub-band.
    #[error(
        "{frequency_hz} Hz with {bandwidth_hz} Hz of occupied bandwidth is not strictly inside one sub-band; \
         the nearest legal centre is {nearest_hz} Hz in {label} ({min_hz}-{max_hz} Hz, {clause})"
    )]
    OutsideSubBands {
        /// The centre frequency asked for, in Hz.
        frequency_hz: u32,
        /// What the modulation occupies around it, in Hz.
        bandwidth_hz: u32,
        /// The nearest centre frequency that would do, in Hz.
        nearest_hz: u32,
        /// The sub-band of that one.
        label: &'static str,
        /// Its lower border in Hz.
        min_hz: u32,
        /// Its upper border in Hz.
        max_hz: u32,
        /// Where its borders are written.
        clause: &'static str,
    },
    /// No sub-band that may be used is wider than the occupied bandwidth.
    #[error(
        "{bandwidth_hz} Hz of occupied bandwidth fits strictly inside none of the sub-bands {labels}; \
         take a narrower data rate"
    )]
    TooWide {
        /// What the modulation occupies, in Hz.
        bandwidth_hz: u32,
        /// The sub-bands that were tried.
        labels: String,
    },
    /// Devices listen on fixed downlink channels, and this is none.
    #[error(
        "{frequency_hz} Hz is no downlink channel of {region}; the nearest is {nearest_hz} Hz ({clause})"
    )]
    OffRaster {
        /// The region.
        region: RfRegion,
        /// The centre frequency asked for, in Hz.
        frequency_hz: u32,
        /// The nearest downlink channel, in Hz.
        nearest_hz: u32,
        /// Where the channels are written.
        clause: &'static str,
    },
    /// More power than the sub-band allows.
    #[error(
        "{eirp} dBm EIRP at {frequency_hz} Hz is too much: \
         sub-band {label} allows {max_eirp} dBm EIRP ({clause})"
    )]
    TooMuchPower {
        /// The power asked for.
        eirp: Dbm,
        /// The limit.
        max_eirp: Dbm,
        /// The centre frequency in Hz.
        frequency_hz: u32,
        /// The sub-band that sets the limit.
        label: &'static str,
        /// Where the limit is written.
        clause: &'static str,
    },
    /// More power into the antenna than the sub-band allows.
    #[error(
        "{eirp} dBm EIRP with {gain} dBi of antenna is {conducted} dBm conducted: \
         sub-band {label} allows {limit} dBm conducted ({clause})"
    )]
    TooMuchConducted {
        /// What would enter the antenna.
        conducted: Dbm,
        /// The limit.
        limit: Dbm,
        /// The power asked for.
        eirp: Dbm,
        /// Gain of the antenna.
        gain: Dbm,
        /// The sub-band that sets the limit.
        label: &'static str,
        /// Where the limit is written.
        clause: &'static str,
    },
    /// The sub-band allows only narrower transmissions, wherever in it.
    #[error(
        "{bandwidth_hz} Hz of occupied bandwidth is too wide: sub-band {label} allows {limit_hz} Hz ({clause}); \
         take a narrower data rate"
    )]
    WiderThanAllowed {
        /// What the modulation occupies, in Hz.
        bandwidth_hz: u32,
        /// The limit in Hz.
        limit_hz: u32,
        /// The sub-band that sets the limit.
        label: &'static str,
        /// Where the limit is written.
        clause: &'static str,
    },
    /// The sub-band wants a transmitter that listens before it talks.
    #[error(
        "sub-band {label} of {region} may be used only by a transmitter that finds the channel below {threshold} dBm \
         for {sense_us} us before it sends ({clause}); a plain packet forwarder cannot; sub-bands without: {others}"
    )]
    MustListen {
        /// The region.
        region: RfRegion,
        /// The sub-band.
        label: &'static str,
        /// How long the channel must be free, in microseconds.
        sense_us: u64,
        /// Below this it is free.
        threshold: Dbm,
        /// Where this is written.
        clause: &'static str,
        /// The labels of sub-bands that can do without.
        others: String,
    },
    /// The longest transmission is over before a fragment of one byte is.
    #[error(
        "{region} DR{dr} carries no fragment in the {limit_us} us that one transmission may last ({clause}); \
         these do: DR {others}"
    )]
    NothingFits {
        /// The region.
        region: RfRegion,
        /// The data rate asked for.
        dr: u8,
        /// The longest transmission, in microseconds.
        limit_us: u64,
        /// Where the limit is written.
        clause: &'static str,
        /// The data rates that carry one, as a list.
        others: String,
    },
    /// The region has no sub-band with this label.
    #[error("{region} has no sub-band `{label}`; there are {known}")]
    UnknownSubBand {
        /// The region.
        region: RfRegion,
        /// The label as it came, cut after [`RegionError::MAX_QUOTED`] characters.
        label: String,
        /// All labels there are.
        known: String,
    },
}

impl RegionError {
    /// So much of a foreign text is quoted, in characters.
    pub const MAX_QUOTED: usize = 32;
}

pub(super) fn quoted(text: &str) -> String {
    text.chars().take(RegionError::MAX_QUOTED).collect()
}

pub(super) fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
