//! What a region is made of, and whether a transmission fits into it.

use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::region::RegionError;
use crate::region::RfRegion;
use crate::region::error::list;
use crate::region::error::quoted;

/// MACPayload bytes that are not FRMPayload: FHDR without FOpts (7) and FPort (TS001-1.0.4 4.3).
const MAC_OVERHEAD: usize = 8;

/// Bytes before the fragment in a DataFragment: command, index and session (TS004-1.0.0, DataFragment).
const FRAGMENT_OVERHEAD: usize = 3;

/// Steps in which LoRaWAN commands name frequencies (TS005-1.0.0 3.5, DlFrequ), in Hz.
const FREQUENCY_STEP_HZ: u32 = 100;

/// `duty_ppm` of a sub-band without a duty cycle limit.
pub(super) const NO_DUTY_LIMIT: u32 = 1_000_000;

/// One hour, the window of every duty cycle so far, in microseconds.
pub(super) const HOUR_US: u64 = 3_600_000_000;

/// A region: what its devices hear (RP002) and what its law allows.
#[derive(Debug)]
pub struct Parameters {
    /// The region's name in the API.
    pub region: RfRegion,
    /// The region's name in RP002.
    pub rp_name: &'static str,
    /// Lower end of the band in Hz.
    pub freq_min_hz: u32,
    /// Upper end of the band in Hz.
    pub freq_max_hz: u32,
    /// Every data rate a downlink may have, ascending.
    pub data_rates: &'static [DataRate],
    /// Data rates that exist for uplinks only, ascending.
    pub uplink_only: &'static [UplinkOnly],
    /// The fixed downlink channels, where a region has them.
    pub downlink_raster: Option<Raster>,
    /// Sub-bands of the law by ascending lower border; those that need no opt-in do not overlap.
    pub sub_bands: &'static [SubBand],
    /// Where devices listen by default.
    pub rx2: Rx2,
    /// Beacon and ping slot defaults.
    pub class_b: ClassB,
    /// The longest downlink in microseconds while DownlinkDwellTime is on (TS001-1.0.4, TxParamSetupReq).
    pub dwell_downlink_us: Option<u64>,
}

/// One downlink data rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRate {
    /// Its number.
    pub dr: u8,
    /// How it is sent.
    pub modulation: Modulation,
    /// M of RP002: the longest MACPayload in bytes, for a device that is not behind a repeater.
    pub max_mac_payload: usize,
    /// M while DownlinkDwellTime is on, 0 when nothing fits; `None` in a region without downlink dwell time.
    pub max_mac_payload_dwell: Option<usize>,
    /// The revision of RP002 that brought it, when that is later than 1.0.3: few devices have it.
    pub since: Option<&'static str>,
}

/// A data rate that devices send with and never hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkOnly {
    /// Its number.
    pub dr: u8,
    /// What it is.
    pub reason: &'static str,
}

/// Equally spaced downlink channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Centre of the first channel in Hz.
    pub first_hz: u32,
    /// From centre to centre in Hz.
    pub step_hz: u32,
    /// How many channels.
    pub count: u32,
    /// Where this is written.
    pub clause: &'static str,
}

/// A stretch of spectrum with its own limits of law, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubBand {
    /// The law's own name for it; several stretches may share one.
    pub label: &'static str,
    /// Lower border in Hz, inside.
    pub min_hz: u32,
    /// Upper border in Hz, outside.
    pub max_hz: u32,
    /// Share of every sliding window that one transmitter may send, in millionths; 1000000 is no limit.
    pub duty_ppm: u32,
    /// The window in microseconds.
    pub window_us: u64,
    /// The most that may leave the antenna, EIRP (ERP + 2.15 dB).
    pub max_eirp: Dbm,
    /// What we send when nobody says otherwise, EIRP.
    pub default_eirp: Dbm,
    /// The longest single transmission in microseconds, where the law has one.
    pub max_tx_us: Option<u64>,
    /// Used only when the operator names it: overlaps a default one, or needs equipment or a country for it.
    pub needs_opt_in: bool,
    /// Where this is written.
    pub clause: &'static str,
}

/// The second receive window, and the permanent one of Class C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rx2 {
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// Data rate.
    pub dr: u8,
}

/// Defaults of Class B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassB {
    /// Centre frequencies of the beacon in Hz; more than one: it hops.
    pub beacon_frequencies_hz: &'static [u32],
    /// Data rate of the beacon.
    pub beacon_dr: u8,
    /// Length of the beacon in bytes.
    pub beacon_bytes: usize,
    /// Centre frequencies of the ping slots in Hz; more than one: they hop.
    pub ping_slot_frequencies_hz: &'static [u32],
    /// Data rate of the ping slots.
    pub ping_slot_dr: u8,
}

/// The place of a sub-band in [`Parameters::sub_bands`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubBandIndex(pub u8);

/// A frequency and data rate that were checked, with the sub-band whose budget they use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// Data rate.
    pub dr: u8,
    /// What the data rate is.
    pub modulation: Modulation,
    /// Whose budget is used.
    pub sub_band: SubBandIndex,
}

impl DataRate {
    /// N of RP002: the longest FRMPayload in bytes with a port and without FOpts.
    pub const fn max_payload(&self) -> usize {
        self.max_mac_payload.saturating_sub(MAC_OVERHEAD)
    }

    /// The largest fragment in bytes that a TS004 DataFragment can carry.
    pub const fn max_fragment_size(&self) -> usize {
        self.max_payload().saturating_sub(FRAGMENT_OVERHEAD)
    }

    /// A row of a table without dwell time.
    pub(super) const fn lora(dr: u8, sf: u8, bw_hz: u32, max_mac_payload: usize) -> Self {
        let modulation = Modulation::LoRa { sf, bw_hz };
        DataRate { dr, modulation, max_mac_payload, max_mac_payload_dwell: None, since: None }
    }

    pub(super) const fn since(self, revision: &'static str) -> Self {
        DataRate { since: Some(revision), ..self }
    }
}

impl SubBand {
    /// The centre frequency nearest to the one asked for that keeps the occupied bandwidth strictly inside,
    /// in steps of 100 Hz; itself when it does. `None` when the sub-band is too narrow.
    fn nearest_centre_hz(&self, frequency_hz: u32, bandwidth_hz: u32) -> Option<u32> {
        let half_hz = bandwidth_hz.div_ceil(2);
        let lowest_hz = self.min_hz.checked_add(half_hz)?.checked_add(1)?;
        let highest_hz = self.max_hz.checked_sub(half_hz)?.checked_sub(1)?;
        if (lowest_hz..=highest_hz).contains(&frequency_hz) {
            return Some(frequency_hz);
        }
        let lowest_hz = lowest_hz.next_multiple_of(FREQUENCY_STEP_HZ);
        let highest_hz = highest_hz / FREQUENCY_STEP_HZ * FREQUENCY_STEP_HZ;
        (lowest_hz <= highest_hz).then(|| frequency_hz.clamp(lowest_hz, highest_hz))
    }
}

impl Raster {
    /// The channel nearest to a frequency, its centre in Hz.
    fn nearest_hz(&self, frequency_hz: u32) -> u32 {
        let steps = (frequency_hz.saturating_sub(self.first_hz) + self.step_hz / 2) / self.step_hz;
        self.first_hz + steps.min(self.count - 1) * self.step_hz
    }
}

impl Parameters {
    /// A downlink data rate by number.
    ///
    /// # Errors
    /// [`RegionError::UplinkOnly`] or [`RegionError::UnknownDataRate`], with the numbers there are.
    pub fn data_rate(&self, dr: u8) -> Result<&'static DataRate, RegionError> {
        if let Some(data_rate) = self.data_rates.iter().find(|data_rate| data_rate.dr == dr) {
            return Ok(data_rate);
        }
        let region = self.region;
        let downlink = list(self.data_rates.iter().map(|data_rate| data_rate.dr));
        Err(match self.uplink_only.iter().find(|uplink| uplink.dr == dr) {
            Some(uplink) => RegionError::UplinkOnly { region, dr, reason: uplink.reason, downlink },
            None => RegionError::UnknownDataRate { region, dr, downlink },
        })
    }

    /// A sub-band by its place; `None` for a place of another region.
    pub fn sub_band(&self, index: SubBandIndex) -> Option<&'static SubBand> {
        self.sub_bands.get(usize::from(index.0))
    }

    /// The default sub-band that holds a transmission: the whole occupied bandwidth, strictly; an edge that
    /// equals a border is outside.
    ///
    /// # Errors
    /// [`RegionError::OutsideSubBands`] with the nearest centre frequency that would do, or
    /// [`RegionError::TooWide`].
    pub fn sub_band_of(
        &self,
        frequency_hz: u32,
        modulation: Modulation,
    ) -> Result<SubBandIndex, RegionError> {
        self.fit(frequency_hz, modulation, |sub_band| !sub_band.needs_opt_in)
    }

    /// Whether devices can hear and the law allows `eirp` at this frequency and data rate, in the default
    /// sub-bands.
    ///
    /// # Errors
    /// The first that fails of: data rate, downlink channel, sub-band, power.
    pub fn check(&self, frequency_hz: u32, dr: u8, eirp: Dbm) -> Result<Channel, RegionError> {
        self.check_where(frequency_hz, dr, eirp, |sub_band| !sub_band.needs_opt_in)
    }

    /// As [`check`](Self::check), but only in the sub-bands with this label, which may need opt-in: naming
    /// the label is the opt-in.
    ///
    /// # Errors
    /// As [`check`](Self::check), and [`RegionError::UnknownSubBand`].
    pub fn check_in(
        &self,
        label: &str,
        frequency_hz: u32,
        dr: u8,
        eirp: Dbm,
    ) -> Result<Channel, RegionError> {
        if !self.sub_bands.iter().any(|sub_band| sub_band.label == label) {
            let mut labels: Vec<&str> = self.sub_bands.iter().map(|sub_band| sub_band.label).collect();
            labels.sort_unstable();
            labels.dedup();
            let known = list(labels.iter());
            return Err(RegionError::UnknownSubBand { region: self.region, label: quoted(label), known });
        }
        self.check_where(frequency_hz, dr, eirp, |sub_band| sub_band.label == label)
    }

    /// What we send at this frequency when nobody says otherwise, EIRP. Outside the default sub-bands, where
    /// nothing is sent, the region's smallest default.
    pub fn default_eirp(&self, frequency_hz: u32) -> Dbm {
        let defaults = || self.sub_bands.iter().filter(|sub_band| !sub_band.needs_opt_in);
        defaults()
            .find(|sub_band| (sub_band.min_hz..sub_band.max_hz).contains(&frequency_hz))
            .map(|sub_band| sub_band.default_eirp)
            .or_else(|| defaults().map(|sub_band| sub_band.default_eirp).min())
            .unwrap_or_default()
    }

    fn check_where(
        &self,
        frequency_hz: u32,
        dr: u8,
        eirp: Dbm,
        may_use: impl Fn(&SubBand) -> bool,
    ) -> Result<Channel, RegionError> {
        let modulation = self.data_rate(dr)?.modulation;
        self.check_raster(frequency_hz)?;
        let index = self.fit(frequency_hz, modulation, may_use)?;
        let sub_band = &self.sub_bands[usize::from(index.0)];
        if eirp > sub_band.max_eirp {
            let SubBand { label, max_eirp, clause, .. } = *sub_band;
            return Err(RegionError::TooMuchPower { eirp, max_eirp, frequency_hz, label, clause });
        }
        Ok(Channel { frequency_hz, dr, modulation, sub_band: index })
    }

    fn check_raster(&self, frequency_hz: u32) -> Result<(), RegionError> {
        let Some(raster) = self.downlink_raster else { return Ok(()) };
        let nearest_hz = raster.nearest_hz(frequency_hz);
        if nearest_hz == frequency_hz {
            return Ok(());
        }
        Err(RegionError::OffRaster { region: self.region, frequency_hz, nearest_hz, clause: raster.clause })
    }

    fn fit(
        &self,
        frequency_hz: u32,
        modulation: Modulation,
        may_use: impl Fn(&SubBand) -> bool,
    ) -> Result<SubBandIndex, RegionError> {
        let bandwidth_hz = modulation.occupied_bandwidth_hz();
        let nearest = (0_u8..)
            .zip(self.sub_bands)
            .filter(|(_, sub_band)| may_use(sub_band))
            .filter_map(|(index, sub_band)| {
                let nearest_hz = sub_band.nearest_centre_hz(frequency_hz, bandwidth_hz)?;
                Some((nearest_hz, SubBandIndex(index), sub_band))
            })
            .min_by_key(|(nearest_hz, ..)| nearest_hz.abs_diff(frequency_hz));
        match nearest {
            Some((nearest_hz, index, _)) if nearest_hz == frequency_hz => Ok(index),
            Some((nearest_hz, _, sub_band)) => {
                let SubBand { label, min_hz, max_hz, clause, .. } = *sub_band;
                Err(RegionError::OutsideSubBands {
                    frequency_hz,
                    bandwidth_hz,
                    nearest_hz,
                    label,
                    min_hz,
                    max_hz,
                    clause,
                })
            }
            None => {
                let tried = self.sub_bands.iter().filter(|sub_band| may_use(sub_band));
                let labels = list(tried.map(|sub_band| sub_band.label));
                Err(RegionError::TooWide { bandwidth_hz, labels })
            }
        }
    }
}
