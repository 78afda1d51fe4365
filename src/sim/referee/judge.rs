//! The referee and its verdict.

use std::collections::BTreeMap;

use sha2::Digest;
use sha2::Sha256;

use crate::radio::AirtimeError;
use crate::radio::LoRaPacket;
use crate::radio::Modulation;
use crate::radio::gfsk_airtime_us;
use crate::radio::lora_airtime_us;
use crate::region::Parameters;
use crate::region::SubBand;
use crate::sim::concentrator::Transmission;
use crate::sim::referee::band::Band;
use crate::sim::referee::breach::Breach;
use crate::sim::referee::breach::Breaches;
use crate::sim::referee::group::Group;
use crate::sim::referee::group::Header;
use crate::time::Instant;

/// Different images of one device that are looked at.
const IMAGES_MAX: usize = 8;

/// MHDR and MIC, which M of RP002 does not count.
const AROUND_MAC_PAYLOAD: usize = 5;

/// Watches one transmitter over all its power cycles.
///
/// Every frame costs the same however long the world lasts; memory is bounded by the frames of one window, the
/// counters of the groups and the devices.
#[derive(Debug)]
pub struct Referee {
    region: &'static Parameters,
    bands: Vec<Band>,
    groups: BTreeMap<u32, Group>,
    completions: BTreeMap<String, Vec<Completion>>,
    breaches: Breaches,
    /// A network server sends through the same transmitter, in forms of its own.
    is_shared: bool,
    frames: u64,
    repeated_frames: u64,
    max_repeated_in_a_row: u64,
    first: Option<Instant>,
    last_start: Option<Instant>,
    /// Start and end of the transmission that ends last.
    last: Option<(Instant, Instant)>,
}

/// What the referee has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The first 100 breaches, in the order in which they were seen.
    pub breaches: Vec<Breach>,
    /// Number of all breaches, kept or not.
    pub breach_count: u64,
    /// Transmissions of any kind.
    pub frames: u64,
    /// Group frames that had been on the air before, byte for byte.
    pub repeated_frames: u64,
    /// The most of them that followed each other in one group and one power cycle.
    pub max_repeated_in_a_row: u64,
    /// The default sub-bands of the region, by ascending frequency, then those that a group names.
    pub bands: Vec<BandAir>,
    /// When the first transmission began.
    pub first: Option<Instant>,
    /// When the last transmission ended.
    pub last_end: Option<Instant>,
    /// Devices that said complete and hold the image.
    pub devices_complete: usize,
}

/// What one sub-band carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BandAir {
    /// The law's name of the sub-band.
    pub label: &'static str,
    /// Time on air altogether, in microseconds.
    pub airtime_us: u64,
    /// Time on air in the fullest window, in microseconds.
    pub worst_window_us: u64,
    /// The most that any window may hold, in microseconds; `None` without a duty cycle.
    pub budget_us: Option<u64>,
}

#[derive(Debug)]
struct Completion {
    at: Instant,
    image_bytes: usize,
    digest: [u8; 32],
}

impl Verdict {
    /// Whether no rule was broken.
    pub fn is_content(&self) -> bool {
        self.breach_count == 0
    }
}

impl Referee {
    /// A referee who has seen nothing yet, under the law of this region.
    pub fn new(region: &'static Parameters) -> Referee {
        Referee {
            region,
            bands: region.sub_bands.iter().filter(|band| !band.needs_opt_in).map(Band::new).collect(),
            groups: BTreeMap::new(),
            completions: BTreeMap::new(),
            breaches: Breaches::default(),
            is_shared: false,
            frames: 0,
            repeated_frames: 0,
            max_repeated_in_a_row: 0,
            first: None,
            last_start: None,
            last: None,
        }
    }

    /// Puts a multicast address under test: headers, counters and sessions of its frames are judged.
    pub fn group(&mut self, mc_addr: u32) {
        self.groups.entry(mc_addr).or_default();
    }

    /// A Class C session of a group under test was announced to its devices (TS005-1.0.0 3.5).
    pub fn session(&mut self, mc_addr: u32, start: Instant, end: Instant) {
        self.groups.entry(mc_addr).or_default().announce(start, end, self.last_start);
    }

    /// The devices of this group under test listen all the time.
    pub fn always(&mut self, mc_addr: u32) {
        self.groups.entry(mc_addr).or_default().listen_always();
    }

    /// The operator named a sub-band for this group under test, which may need opt-in, and says whether its
    /// devices have DownlinkDwellTime on. The group's frames are judged by that sub-band alone.
    pub fn terms(&mut self, mc_addr: u32, sub_band: Option<&str>, downlink_dwell: bool) {
        let named: Vec<&'static SubBand> =
            self.region.sub_bands.iter().filter(|band| Some(band.label) == sub_band).collect();
        for sub_band in &named {
            if self.bands.iter().all(|band| band.sub_band != *sub_band) {
                self.bands.push(Band::new(sub_band));
            }
        }
        let group = self.groups.entry(mc_addr).or_default();
        group.sub_band = named.first().map(|sub_band| sub_band.label);
        group.downlink_dwell = downlink_dwell;
    }

    /// A network server uses the same transmitter: its frames have to keep the law, and only frames to groups
    /// under test the form that devices listen for.
    pub fn share(&mut self) {
        self.is_shared = true;
    }

    /// The transmitter lost its power: counters may fall once, to bytes that were sent before.
    pub fn power_cycle(&mut self) {
        self.groups.values_mut().for_each(Group::power_cycle);
    }

    /// Judges what is on the air. To be called in order of start.
    pub fn on_air(&mut self, transmission: &Transmission) {
        let at = transmission.start;
        self.frames += 1;
        self.first = self.first.or(Some(at));
        if let Some(later) = self.last_start.filter(|&last_start| at < last_start) {
            self.breaches.add(Breach::OutOfOrder { at, later });
        }
        self.last_start = self.last_start.max(Some(at));

        let airtime_us = self.judge_airtime(transmission);
        let end = at.plus_us(airtime_us);
        self.judge_overlap(at, end);
        self.judge_form(transmission);
        self.judge_place(transmission, airtime_us, end);
        self.judge_group(transmission, end);
    }

    /// A device says that its image is complete, and holds these bytes.
    pub fn device_complete(&mut self, device: &str, at: Instant, image: &[u8]) {
        let digest = Sha256::digest(image).into();
        let images = self.completions.entry(device.to_owned()).or_default();
        // As many images as a world has tasks, and some that are wrong: more would say nothing new.
        if images.len() < IMAGES_MAX && images.iter().all(|known| known.digest != digest) {
            images.push(Completion { at, image_bytes: image.len(), digest });
        }
    }

    /// The verdict so far, when every complete device must hold this image bit for bit.
    pub fn verdict(&self, expected_image: &[u8]) -> Verdict {
        self.verdict_of(&[expected_image])
    }

    /// The same when each complete device must hold one of these, and nothing else, bit for bit.
    pub fn verdict_of(&self, expected: &[&[u8]]) -> Verdict {
        let digests: Vec<[u8; 32]> = expected.iter().map(|image| Sha256::digest(image).into()).collect();
        let mut breaches = self.breaches.clone();
        let mut devices_complete = 0;
        for (device, images) in &self.completions {
            devices_complete += usize::from(images.iter().all(|image| digests.contains(&image.digest)));
            for wrong in images.iter().filter(|image| !digests.contains(&image.digest)) {
                breaches.add(Breach::WrongImage {
                    at: wrong.at,
                    device: device.clone(),
                    image_bytes: wrong.image_bytes,
                    expected_bytes: expected.first().map_or(0, |image| image.len()),
                });
            }
        }
        Verdict {
            breaches: breaches.first,
            breach_count: breaches.count,
            frames: self.frames,
            repeated_frames: self.repeated_frames,
            max_repeated_in_a_row: self.max_repeated_in_a_row,
            bands: self.bands.iter().map(air_of).collect(),
            first: self.first,
            last_end: self.last.map(|(_, end)| end),
            devices_complete,
        }
    }

    /// The time on air to judge with: the longer of what was said and what must be.
    fn judge_airtime(&mut self, transmission: &Transmission) -> u64 {
        let &Transmission { start: at, airtime_us: said_us, modulation, .. } = transmission;
        let phy_len = transmission.phy_payload.len();
        match airtime_us(transmission) {
            Ok(airtime_us) => {
                if airtime_us != said_us {
                    self.breaches.add(Breach::Airtime { at, said_us, airtime_us, modulation, phy_len });
                }
                airtime_us.max(said_us)
            }
            Err(reason) => {
                self.breaches.add(Breach::NotSendable { at, modulation, phy_len, reason });
                said_us
            }
        }
    }

    fn judge_overlap(&mut self, at: Instant, end: Instant) {
        if let Some((other, until)) = self.last.filter(|&(_, until)| at < until) {
            self.breaches.add(Breach::Overlap { at, other, until });
        }
        if self.last.is_none_or(|(_, until)| until < end) {
            self.last = Some((at, end));
        }
    }

    /// TS001-1.0.4 and RP002-1.0.4, physical layer: what a device listens for.
    fn judge_form(&mut self, transmission: &Transmission) {
        let &Transmission { start: at, modulation, inverted_iq, crc, preamble_symbols: preamble, .. } =
            transmission;
        let Parameters { region, rp_name, data_rates, .. } = *self.region;
        if self.is_shared && self.group_of(transmission).is_none() {
            return;
        }
        let is_lora = matches!(modulation, Modulation::LoRa { .. });
        if is_lora && !inverted_iq {
            self.breaches.add(Breach::Polarity { at });
        }
        if is_lora == crc {
            self.breaches.add(Breach::Crc { at, crc, modulation });
        }
        let expected = match modulation {
            Modulation::LoRa { sf: 5 | 6, .. } => 12,
            Modulation::LoRa { .. } => 8,
            Modulation::Gfsk { .. } => 5,
        };
        if preamble != expected {
            self.breaches.add(Breach::Preamble { at, preamble, expected, modulation });
        }
        let phy_len = transmission.phy_payload.len();
        let dwell = self.group_of(transmission).is_some_and(|group| group.downlink_dwell);
        match data_rates.iter().find(|data_rate| data_rate.modulation == modulation) {
            None => self.breaches.add(Breach::DataRate { at, modulation, region, rp_name }),
            Some(data_rate) => {
                let max_mac_payload = match data_rate.max_mac_payload_dwell {
                    Some(with_dwell) if dwell => with_dwell,
                    _ => data_rate.max_mac_payload,
                };
                let max_phy_len = max_mac_payload + AROUND_MAC_PAYLOAD;
                if phy_len > max_phy_len {
                    self.breaches.add(Breach::TooLong {
                        at,
                        phy_len,
                        max_phy_len,
                        modulation,
                        region,
                        rp_name,
                    });
                }
            }
        }
    }

    /// The place in the spectrum and the limits that hold there.
    fn judge_place(&mut self, transmission: &Transmission, airtime_us: u64, end: Instant) {
        let &Transmission { start: at, frequency_hz, modulation, eirp, .. } = transmission;
        let Parameters { region, rp_name, freq_min_hz, freq_max_hz, downlink_raster, .. } = *self.region;
        let bandwidth_hz = modulation.occupied_bandwidth_hz();
        let half_hz = bandwidth_hz.div_ceil(2);
        if frequency_hz.saturating_sub(half_hz) < freq_min_hz
            || frequency_hz.saturating_add(half_hz) > freq_max_hz
        {
            let (min_hz, max_hz) = (freq_min_hz, freq_max_hz);
            self.breaches.add(Breach::OutsideRegion {
                at,
                frequency_hz,
                bandwidth_hz,
                region,
                rp_name,
                min_hz,
                max_hz,
            });
        }
        if let Some(raster) = downlink_raster {
            let steps_hz = frequency_hz.checked_sub(raster.first_hz);
            let is_channel =
                steps_hz.is_some_and(|hz| hz % raster.step_hz == 0 && hz / raster.step_hz < raster.count);
            if !is_channel {
                self.breaches.add(Breach::OffRaster { at, frequency_hz, region, clause: raster.clause });
            }
        }
        let named = self.group_of(transmission).and_then(|group| group.sub_band);
        let binds = |band: &Band| match named {
            Some(label) => band.sub_band.label == label,
            None => !band.sub_band.needs_opt_in,
        };
        let holds = |band: &&mut Band| binds(band) && band.holds(frequency_hz, bandwidth_hz);
        let Some(band) = self.bands.iter_mut().find(holds) else {
            let candidates = self.bands.iter().filter(|band| binds(band));
            if let Some(nearest) = candidates.min_by_key(|band| band.distance_hz(frequency_hz)) {
                let SubBand { label, min_hz, max_hz, clause, .. } = *nearest.sub_band;
                self.breaches.add(Breach::OutsideSubBands {
                    at,
                    frequency_hz,
                    bandwidth_hz,
                    label,
                    min_hz,
                    max_hz,
                    clause,
                });
            }
            return;
        };
        let SubBand { label, clause, max_eirp, max_tx_us, min_pause_us, window_us, .. } = *band.sub_band;
        if let Some(max_bandwidth_hz) = band.sub_band.max_bandwidth_hz.filter(|&limit| bandwidth_hz > limit) {
            self.breaches.add(Breach::TooWide { at, bandwidth_hz, max_bandwidth_hz, label, clause });
        }
        if eirp > max_eirp {
            self.breaches.add(Breach::Eirp { at, eirp, max_eirp, frequency_hz, label, clause });
        }
        if let Some(max_tx_us) = max_tx_us.filter(|&max_tx_us| airtime_us > max_tx_us) {
            self.breaches.add(Breach::Dwell { at, airtime_us, max_tx_us, label, clause });
        }
        if let Some(silence_us) = band.silence_us(at).filter(|&silence_us| silence_us < min_pause_us) {
            self.breaches.add(Breach::Pause { at, silence_us, min_pause_us, label, clause });
        }
        let used_us = band.window.add(at, end);
        if let Some(budget_us) = band.budget_us().filter(|&budget_us| used_us > budget_us) {
            self.breaches.add(Breach::Duty { at: end, used_us, window_us, budget_us, label, clause });
        }
    }

    /// The group under test that this is for.
    fn group_of(&self, transmission: &Transmission) -> Option<&Group> {
        self.groups.get(&Header::read(&transmission.phy_payload)?.address)
    }

    fn judge_group(&mut self, transmission: &Transmission, end: Instant) {
        let Some(header) = Header::read(&transmission.phy_payload) else { return };
        let Some(group) = self.groups.get_mut(&header.address) else { return };
        let repeated_in_a_row = group.judge(&header, transmission, end, &mut self.breaches);
        self.repeated_frames += u64::from(repeated_in_a_row > 0);
        self.max_repeated_in_a_row = self.max_repeated_in_a_row.max(repeated_in_a_row);
    }
}

fn air_of(band: &Band) -> BandAir {
    BandAir {
        label: band.sub_band.label,
        airtime_us: band.window.total_us(),
        worst_window_us: band.window.worst_us(),
        budget_us: band.budget_us(),
    }
}

/// What the bytes need, with explicit header and coding rate 4/5 as every LoRaWAN downlink has.
pub(super) fn airtime_us(transmission: &Transmission) -> Result<u64, AirtimeError> {
    let &Transmission { modulation, preamble_symbols, crc, .. } = transmission;
    let phy_len = transmission.phy_payload.len();
    match modulation {
        Modulation::LoRa { sf, bw_hz } => lora_airtime_us(&LoRaPacket {
            sf,
            bw_hz,
            cr: 1,
            preamble_symbols,
            explicit_header: true,
            crc,
            low_data_rate: None,
            phy_len,
        }),
        Modulation::Gfsk { bit_rate_bps } => gfsk_airtime_us(bit_rate_bps, preamble_symbols, phy_len, crc),
    }
}
