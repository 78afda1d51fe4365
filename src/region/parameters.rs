//! Parameters of a region, and the check of a transmission against them.

use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;
use crate::region::data_rate::DataRate;
use crate::region::data_rate::FRAGMENT_OVERHEAD;
use crate::region::data_rate::UplinkOnly;
use crate::region::error::RegionError;
use crate::region::error::list;
use crate::region::error::quoted;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::SubBand;
use crate::region::sub_band::SubBandIndex;
use crate::region::sub_band::Terms;

/// Step in which LoRaWAN commands state frequencies (TS005-1.0.0 3.5, DlFrequ), in Hz.
const FREQUENCY_STEP_HZ: u32 = 100;

/// PHYPayload bytes that are not FRMPayload: MHDR, FHDR without FOpts, FPort and MIC (TS001-1.0.4 4).
const PHY_OVERHEAD: usize = 13;

/// A region: the channels and data rates of its devices (RP002), and the limits of its law.
#[derive(Debug)]
pub struct Parameters {
    /// The region, by the name of the AWS API.
    pub region: RfRegion,
    /// Name of the region in RP002.
    pub rp_name: &'static str,
    /// Why the region is withdrawn, with dates; `None` for one in force.
    pub withdrawn: Option<&'static str>,
    /// Lower end of the band in Hz.
    pub freq_min_hz: u32,
    /// Upper end of the band in Hz.
    pub freq_max_hz: u32,
    /// The lowest and the highest centre frequency that devices accept, in Hz.
    pub centres_hz: (u32, u32),
    /// Every data rate of downlinks, ascending.
    pub data_rates: &'static [DataRate],
    /// Data rates that no downlink uses, ascending.
    pub uplink_only: &'static [UplinkOnly],
    /// The fixed downlink channels; `None` where the region has none.
    pub downlink_raster: Option<Raster>,
    /// Sub-bands of the law by ascending lower border; those that need no opt-in do not overlap.
    pub sub_bands: &'static [SubBand],
    /// The default channel of RX2 and of Class C.
    pub rx2: Rx2,
    /// The default beacon and ping slots.
    pub class_b: ClassB,
    /// The longest downlink in microseconds while DownlinkDwellTime is on (TS001-1.0.4, TxParamSetupReq).
    pub dwell_downlink_us: Option<u64>,
}

/// Equally spaced downlink channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Centre of the first channel in Hz.
    pub first_hz: u32,
    /// Distance between the centres of neighbouring channels, in Hz.
    pub step_hz: u32,
    /// Number of channels, ascending from `first_hz`.
    pub count: u32,
    /// Document and clause that set the channels.
    pub clause: &'static str,
}

/// The second receive window, which Class C keeps open all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rx2 {
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// Number of its data rate in the region's table.
    pub dr: u8,
}

/// Default parameters of Class B (RP002, Class B beacon).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassB {
    /// Centre frequencies of the beacon in Hz; with more than one, the beacon hops.
    pub beacon_frequencies_hz: &'static [u32],
    /// Data rate of the beacon.
    pub beacon_dr: u8,
    /// Length of the beacon in bytes.
    pub beacon_bytes: usize,
    /// Centre frequencies of the ping slots in Hz; with more than one, they hop.
    pub ping_slot_frequencies_hz: &'static [u32],
    /// Data rate of the ping slots.
    pub ping_slot_dr: u8,
}

/// A checked frequency and data rate, with the sub-band whose duty budget they use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// Number of the data rate in the region's table.
    pub dr: u8,
    /// Modulation of the data rate.
    pub modulation: Modulation,
    /// The sub-band whose duty budget is used.
    pub sub_band: SubBandIndex,
}

impl Raster {
    /// The channel nearest to a frequency, its centre in Hz.
    fn nearest_hz(&self, frequency_hz: u32) -> u32 {
        let steps = (frequency_hz.saturating_sub(self.first_hz) + self.step_hz / 2) / self.step_hz;
        self.first_hz + steps.min(self.count - 1) * self.step_hz
    }
}

impl Parameters {
    /// The downlink data rate with the number `dr`.
    ///
    /// # Errors
    /// [`RegionError::UplinkOnly`] or [`RegionError::UnknownDataRate`] when no downlink has it; each
    /// lists those that exist.
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

    /// The sub-band at this place; `None` for a place of another region.
    pub fn sub_band(&self, index: SubBandIndex) -> Option<&'static SubBand> {
        self.sub_bands.get(usize::from(index.0))
    }

    /// The default sub-band that holds the whole occupied bandwidth strictly: an edge that equals
    /// a border is outside.
    ///
    /// # Errors
    /// [`RegionError::OutsideSubBands`] with the nearest legal centre frequency, or [`RegionError::TooWide`] when
    /// the bandwidth fits into no sub-band.
    pub fn sub_band_of(
        &self,
        frequency_hz: u32,
        modulation: Modulation,
    ) -> Result<SubBandIndex, RegionError> {
        self.fit(frequency_hz, modulation, &Terms::default())
    }

    /// [`check_under`](Self::check_under) the default [`Terms`]: in the sub-bands that need no opt-in, with a
    /// transmitter that cannot listen.
    ///
    /// # Errors
    /// The same errors as those of [`check_under`](Self::check_under).
    pub fn check(&self, frequency_hz: u32, dr: u8, eirp: Dbm) -> Result<Channel, RegionError> {
        self.check_under(&Terms::default(), frequency_hz, dr, eirp)
    }

    /// Checks that devices can hear `eirp` at this frequency and data rate, and that the law
    /// allows it under `terms`.
    ///
    /// # Errors
    /// The first that fails of: label of the sub-band, data rate, downlink channel, sub-band, occupied bandwidth,
    /// power, listen before talk.
    pub fn check_under(
        &self,
        terms: &Terms,
        frequency_hz: u32,
        dr: u8,
        eirp: Dbm,
    ) -> Result<Channel, RegionError> {
        if let Some(label) = &terms.sub_band
            && !self.sub_bands.iter().any(|sub_band| sub_band.label == label)
        {
            let known = self.labels(|_| true);
            return Err(RegionError::UnknownSubBand { region: self.region, label: quoted(label), known });
        }
        let modulation = self.data_rate(dr)?.modulation;
        self.check_raster(frequency_hz)?;
        let index = self.fit(frequency_hz, modulation, terms)?;
        self.check_law(&self.sub_bands[usize::from(index.0)], terms, frequency_hz, modulation, eirp)?;
        Ok(Channel { frequency_hz, dr, modulation, sub_band: index })
    }

    /// The default power at this frequency, EIRP. Outside the sub-bands that the terms admit, where nothing is sent,
    /// it is the smallest default of these.
    pub fn default_eirp(&self, terms: &Terms, frequency_hz: u32) -> Dbm {
        let admitted = || self.sub_bands.iter().filter(|sub_band| terms.admit(sub_band));
        admitted()
            .find(|sub_band| (sub_band.min_hz..sub_band.max_hz).contains(&frequency_hz))
            .map(|sub_band| sub_band.default_eirp)
            .or_else(|| admitted().map(|sub_band| sub_band.default_eirp).min())
            .unwrap_or_default()
    }

    /// The longest FRMPayload of a channel in bytes, by the table of payload sizes and the longest
    /// transmission of the sub-band.
    ///
    /// # Errors
    /// [`RegionError::NothingFits`] when the longest transmission is too short for a fragment of one byte.
    pub fn max_payload(&self, channel: &Channel, downlink_dwell: bool) -> Result<usize, RegionError> {
        let max_tx_us = self.sub_band(channel.sub_band).and_then(|sub_band| sub_band.max_tx_us);
        let longest = |data_rate: &DataRate| {
            let fits = |payload: &usize| {
                let airtime_us = downlink_airtime_us(data_rate.modulation, payload + PHY_OVERHEAD);
                max_tx_us.is_none_or(|limit_us| airtime_us <= limit_us)
            };
            let sizes = FRAGMENT_OVERHEAD + 1..=data_rate.max_payload(downlink_dwell);
            sizes.rev().find(fits)
        };
        longest(self.data_rate(channel.dr)?).ok_or_else(|| {
            let dwell_us = self.dwell_downlink_us.filter(|_| downlink_dwell);
            RegionError::NothingFits {
                region: self.region,
                dr: channel.dr,
                limit_us: max_tx_us.into_iter().chain(dwell_us).min().unwrap_or(0),
                clause: self.sub_band(channel.sub_band).map_or("", |sub_band| sub_band.clause),
                others: list(
                    self.data_rates.iter().filter(|rate| longest(rate).is_some()).map(|rate| rate.dr),
                ),
            }
        })
    }

    fn check_law(
        &self,
        sub_band: &SubBand,
        terms: &Terms,
        frequency_hz: u32,
        modulation: Modulation,
        eirp: Dbm,
    ) -> Result<(), RegionError> {
        let SubBand { label, max_eirp, clause, .. } = *sub_band;
        let bandwidth_hz = modulation.occupied_bandwidth_hz();
        if let Some(limit_hz) = sub_band.max_bandwidth_hz.filter(|&limit_hz| bandwidth_hz > limit_hz) {
            return Err(RegionError::WiderThanAllowed { bandwidth_hz, limit_hz, label, clause });
        }
        if eirp > max_eirp {
            return Err(RegionError::TooMuchPower { eirp, max_eirp, frequency_hz, label, clause });
        }
        if let (Some(limit), Some(gain)) = (sub_band.max_conducted, terms.antenna_gain)
            && eirp - gain > limit
        {
            let conducted = eirp - gain;
            return Err(RegionError::TooMuchConducted { conducted, limit, eirp, gain, label, clause });
        }
        match sub_band.listen.filter(|_| !terms.listens_before_talk) {
            Some(listen) => Err(RegionError::MustListen {
                region: self.region,
                label,
                sense_us: listen.sense_us,
                threshold: listen.threshold,
                clause,
                others: self.labels(|other| other.listen.is_none()),
            }),
            None => Ok(()),
        }
    }

    fn labels(&self, wanted: impl Fn(&SubBand) -> bool) -> String {
        let mut labels: Vec<&str> = self
            .sub_bands
            .iter()
            .filter(|sub_band| wanted(sub_band))
            .map(|sub_band| sub_band.label)
            .collect();
        labels.sort_unstable();
        labels.dedup();
        if labels.is_empty() { "none".to_owned() } else { list(labels.iter()) }
    }

    fn check_raster(&self, frequency_hz: u32) -> Result<(), RegionError> {
        let Some(raster) = self.downlink_raster else { return Ok(()) };
        let nearest_hz = raster.nearest_hz(frequency_hz);
        if nearest_hz == frequency_hz {
            return Ok(());
        }
        Err(RegionError::OffRaster { region: self.region, frequency_hz, nearest_hz, clause: raster.clause })
    }

    /// The centre frequency nearest to `frequency_hz` that keeps the occupied bandwidth strictly inside the sub-band
    /// and this region, in steps of 100 Hz; `frequency_hz` itself when it does. `None` when none does.
    fn nearest_centre_hz(&self, sub_band: &SubBand, frequency_hz: u32, bandwidth_hz: u32) -> Option<u32> {
        let half_hz = bandwidth_hz.div_ceil(2);
        let min_hz = sub_band.min_hz.max(self.freq_min_hz);
        let max_hz = sub_band.max_hz.min(self.freq_max_hz);
        let lowest_hz = min_hz.checked_add(half_hz)?.checked_add(1)?.max(self.centres_hz.0);
        let highest_hz = max_hz.checked_sub(half_hz)?.checked_sub(1)?.min(self.centres_hz.1);
        if (lowest_hz..=highest_hz).contains(&frequency_hz) {
            return Some(frequency_hz);
        }
        let lowest_hz = lowest_hz.next_multiple_of(FREQUENCY_STEP_HZ);
        let highest_hz = highest_hz / FREQUENCY_STEP_HZ * FREQUENCY_STEP_HZ;
        (lowest_hz <= highest_hz).then(|| frequency_hz.clamp(lowest_hz, highest_hz))
    }

    fn fit(
        &self,
        frequency_hz: u32,
        modulation: Modulation,
        terms: &Terms,
    ) -> Result<SubBandIndex, RegionError> {
        let bandwidth_hz = modulation.occupied_bandwidth_hz();
        let nearest = (0_u8..)
            .zip(self.sub_bands)
            .filter(|(_, sub_band)| terms.admit(sub_band))
            .filter_map(|(index, sub_band)| {
                let nearest_hz = self.nearest_centre_hz(sub_band, frequency_hz, bandwidth_hz)?;
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
                let labels = self.labels(|sub_band| terms.admit(sub_band));
                Err(RegionError::TooWide { bandwidth_hz, labels })
            }
        }
    }
}
