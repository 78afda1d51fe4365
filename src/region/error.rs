//! Errors of a region: each names the number refused and the way out.

use crate::radio::Dbm;
use crate::region::rf_region::RfRegion;

/// A name, data rate, frequency or power that a region does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The text is no name of an RfRegion.
    #[error("`{name}` is no RfRegion; there are {known}")]
    UnknownRegion {
        /// The text as it came, cut after [`RegionError::MAX_QUOTED`] characters.
        name: String,
        /// The names of all regions, as a list.
        known: String,
    },
    /// The region is withdrawn, and nobody insisted on it.
    #[error("region {region} is withdrawn: {reason}")]
    Withdrawn {
        /// The region asked for.
        region: RfRegion,
        /// Date of the withdrawal, and where it is written.
        reason: &'static str,
    },
    /// The data rate exists, but not for downlinks.
    #[error("{region} DR{dr} is not for downlinks: {reason}; downlinks have DR {downlink}")]
    UplinkOnly {
        /// Region whose data rates were searched.
        region: RfRegion,
        /// The data rate asked for.
        dr: u8,
        /// Kind of the data rate, instead of a downlink's.
        reason: &'static str,
        /// The region's downlink data rates, as a list.
        downlink: String,
    },
    /// The region defines no data rate of this number.
    #[error("{region} has no DR{dr}; downlinks have DR {downlink}")]
    UnknownDataRate {
        /// Region whose data rates were searched.
        region: RfRegion,
        /// The data rate asked for.
        dr: u8,
        /// The region's downlink data rates, as a list.
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
        /// Occupied bandwidth of the modulation, in Hz.
        bandwidth_hz: u32,
        /// The nearest centre frequency that is legal, in Hz.
        nearest_hz: u32,
        /// Label of the sub-band around `nearest_hz`.
        label: &'static str,
        /// Lower border of that sub-band in Hz.
        min_hz: u32,
        /// Upper border of that sub-band in Hz.
        max_hz: u32,
        /// Document and clause that set the borders.
        clause: &'static str,
    },
    /// No permitted sub-band is wider than the occupied bandwidth.
    #[error(
        "{bandwidth_hz} Hz of occupied bandwidth fits strictly inside none of the sub-bands {labels}; \
         take a narrower data rate"
    )]
    TooWide {
        /// Occupied bandwidth of the modulation, in Hz.
        bandwidth_hz: u32,
        /// Labels of the sub-bands that were tried, as a list.
        labels: String,
    },
    /// The frequency is none of the fixed downlink channels on which devices listen.
    #[error(
        "{frequency_hz} Hz is no downlink channel of {region}; the nearest is {nearest_hz} Hz ({clause})"
    )]
    OffRaster {
        /// Region whose downlink channels were searched.
        region: RfRegion,
        /// The centre frequency asked for, in Hz.
        frequency_hz: u32,
        /// The nearest downlink channel, in Hz.
        nearest_hz: u32,
        /// Document and clause that set the channels.
        clause: &'static str,
    },
    /// The power is above the sub-band's limit of EIRP.
    #[error(
        "{eirp} dBm EIRP at {frequency_hz} Hz is too much: \
         sub-band {label} allows {max_eirp} dBm EIRP ({clause})"
    )]
    TooMuchPower {
        /// The power asked for, EIRP.
        eirp: Dbm,
        /// The sub-band's limit of EIRP.
        max_eirp: Dbm,
        /// The centre frequency in Hz.
        frequency_hz: u32,
        /// Label of the sub-band that sets the limit.
        label: &'static str,
        /// Document and clause that set the limit.
        clause: &'static str,
    },
    /// The power into the antenna is above the sub-band's limit of conducted power.
    #[error(
        "{eirp} dBm EIRP with {gain} dBi of antenna is {conducted} dBm conducted: \
         sub-band {label} allows {limit} dBm conducted ({clause})"
    )]
    TooMuchConducted {
        /// Power that would enter the antenna: EIRP less gain.
        conducted: Dbm,
        /// The sub-band's limit of conducted power.
        limit: Dbm,
        /// The power asked for, EIRP.
        eirp: Dbm,
        /// Gain of the antenna less cable, in dBi.
        gain: Dbm,
        /// Label of the sub-band that sets the limit.
        label: &'static str,
        /// Document and clause that set the limit.
        clause: &'static str,
    },
    /// The occupied bandwidth is above the sub-band's limit, wherever in the sub-band.
    #[error(
        "{bandwidth_hz} Hz of occupied bandwidth is too wide: sub-band {label} allows {limit_hz} Hz ({clause}); \
         take a narrower data rate"
    )]
    WiderThanAllowed {
        /// Occupied bandwidth of the modulation, in Hz.
        bandwidth_hz: u32,
        /// The sub-band's limit of occupied bandwidth, in Hz.
        limit_hz: u32,
        /// Label of the sub-band that sets the limit.
        label: &'static str,
        /// Document and clause that set the limit.
        clause: &'static str,
    },
    /// The sub-band is open only to transmitters that listen before they talk.
    #[error(
        "sub-band {label} of {region} may be used only by a transmitter that finds the channel below {threshold} dBm \
         for {sense_us} us before it sends ({clause}); a plain packet forwarder cannot; sub-bands without: {others}"
    )]
    MustListen {
        /// Region to which the sub-band belongs.
        region: RfRegion,
        /// Label of the sub-band that requires it.
        label: &'static str,
        /// Time for which the channel must be free, in microseconds.
        sense_us: u64,
        /// Received power below which the channel counts as free.
        threshold: Dbm,
        /// Document and clause that require it.
        clause: &'static str,
        /// Labels of the sub-bands that do not require it, as a list.
        others: String,
    },
    /// The longest legal transmission is too short for a fragment of one byte.
    #[error(
        "{region} DR{dr} carries no fragment in the {limit_us} us that one transmission may last ({clause}); \
         these do: DR {others}"
    )]
    NothingFits {
        /// Region to which the data rate belongs.
        region: RfRegion,
        /// The data rate asked for.
        dr: u8,
        /// The longest legal transmission, in microseconds.
        limit_us: u64,
        /// Document and clause that set the limit.
        clause: &'static str,
        /// The data rates that carry a fragment, as a list.
        others: String,
    },
    /// The region has no sub-band with this label.
    #[error("{region} has no sub-band `{label}`; there are {known}")]
    UnknownSubBand {
        /// Region whose sub-bands were searched.
        region: RfRegion,
        /// The label as it came, cut after [`RegionError::MAX_QUOTED`] characters.
        label: String,
        /// The labels of all sub-bands, as a list.
        known: String,
    },
}

impl RegionError {
    /// Longest quotation of a foreign text, in characters.
    pub const MAX_QUOTED: usize = 32;
}

pub(super) fn quoted(text: &str) -> String {
    text.chars().take(RegionError::MAX_QUOTED).collect()
}

pub(super) fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
