//! The devices of a network server: they send uplinks at seeded random times and listen in RX1 and RX2.

use std::collections::VecDeque;

use crate::radio::Dbm;
use crate::radio::LoRaPacket;
use crate::radio::Modulation;
use crate::radio::gfsk_airtime_us;
use crate::radio::lora_airtime_us;
use crate::sim::concentrator::Reception;
use crate::sim::concentrator::Transmission;
use crate::sim::random::Random;
use crate::sim::server::downlink;
use crate::sim::server::settings::TrafficSettings;
use crate::sim::server::tally::TrafficCounts;
use crate::sim::server::windows::Window;
use crate::time::Instant;

/// A device hears a downlink that begins so far from its window's start at most, microseconds: its clock, the
/// counter's drift over 16 s and the preamble's first symbols.
const EARS_US: u64 = 3_000;
/// Uplinks whose windows are remembered; more cannot be open within 16 s.
const REMEMBERED: usize = 1024;
/// The last window closes so long after the uplink, microseconds.
const FORGET_US: u64 = 20_000_000;
const HOUR_US: u64 = 3_600_000_000;

/// Symbols of LoRa preamble, bytes of GFSK preamble.
const PREAMBLE: u16 = 8;
const GFSK_PREAMBLE: u16 = 5;

/// An uplink that a gateway may hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// First instant of its preamble.
    pub start: Instant,
    /// First instant after it.
    pub end: Instant,
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// Modulation of the uplink.
    pub modulation: Modulation,
    /// The PHYPayload of the uplink.
    pub phy_payload: Vec<u8>,
    /// Received power at the gateway.
    pub rssi: Dbm,
    /// Signal-to-noise ratio at the gateway in tenths of a dB.
    pub snr_tenths_db: i32,
}

/// Devices in virtual time; see the room for how a world drives them.
#[derive(Clone, Debug)]
pub struct Traffic {
    settings: TrafficSettings,
    random: Random,
    data_at: Option<Instant>,
    join_at: Option<Instant>,
    fcnt: u16,
    dev_nonce: u16,
    listening: VecDeque<Listening>,
    counts: TrafficCounts,
}

/// A device after its uplink.
#[derive(Clone, Debug)]
struct Listening {
    since: Instant,
    /// `None`: it awaits a join-accept.
    dev_addr: Option<u32>,
    is_awaited: bool,
    windows: [Window; 2],
}

impl Uplink {
    /// As a concentrator hears it.
    pub fn reception(&self) -> Reception<'_> {
        Reception {
            start: self.start,
            frequency_hz: self.frequency_hz,
            modulation: self.modulation,
            phy_payload: &self.phy_payload,
            rssi: self.rssi,
            snr_tenths_db: self.snr_tenths_db,
        }
    }
}

impl Traffic {
    /// Devices that begin to talk some time after `now`.
    pub fn new(settings: TrafficSettings, random: Random, now: Instant) -> Self {
        let mut traffic = Traffic {
            settings,
            random,
            data_at: None,
            join_at: None,
            fcnt: 0,
            dev_nonce: 0,
            listening: VecDeque::new(),
            counts: TrafficCounts::default(),
        };
        traffic.data_at = traffic.next(now, traffic.settings.uplinks_per_hour);
        traffic.join_at = traffic.next(now, traffic.settings.joins_per_hour);
        traffic
    }

    /// When the next uplink ends.
    pub fn next_at(&self) -> Option<Instant> {
        self.data_at.into_iter().chain(self.join_at).min()
    }

    /// The uplink that ends by `now`, if there is one; to be asked until there is none.
    pub fn take(&mut self, now: Instant) -> Option<Uplink> {
        let end = self.next_at().filter(|at| *at <= now)?;
        let is_join = self.join_at == Some(end);
        let (phy_payload, dev_addr, is_awaited) = if is_join {
            self.join_at = self.next(end, self.settings.joins_per_hour);
            (self.join_request(), None, true)
        } else {
            self.data_at = self.next(end, self.settings.uplinks_per_hour);
            let (phy_payload, dev_addr, is_confirmed) = self.data_frame()?;
            (phy_payload, Some(dev_addr), is_confirmed)
        };
        let (frequency_hz, modulation) = self.channel()?;
        let windows = self.settings.windows.after(is_join, frequency_hz, modulation);
        self.listen(Listening { since: end, dev_addr, is_awaited, windows });
        let rssi_dbm = self.random.range(0, 60) as i32 - 120;
        Some(Uplink {
            start: end.minus_us(uplink_airtime_us(modulation, phy_payload.len())),
            end,
            frequency_hz,
            modulation,
            phy_payload,
            rssi: Dbm::from_whole(rssi_dbm),
            snr_tenths_db: (rssi_dbm + 113).min(10) * 10,
        })
    }

    /// A downlink of the gateway: counted when one of the devices listens for it there and then.
    /// `true` when one did.
    pub fn hear(&mut self, transmission: &Transmission) -> bool {
        let Some(&mhdr) = transmission.phy_payload.first() else { return false };
        let dev_addr = transmission.phy_payload.get(1..5).and_then(|bytes| bytes.try_into().ok());
        let dev_addr = dev_addr.map(u32::from_le_bytes).filter(|_| mhdr != downlink::JOIN_ACCEPT);
        let heard = |listening: &Listening| {
            let is_its = listening.dev_addr == dev_addr && transmission.inverted_iq;
            let window = |window: &Window| is_in(transmission, listening.since, window);
            listening.windows.iter().position(window).filter(|_| is_its)
        };
        let found = self.listening.iter().enumerate().find_map(|(n, one)| Some((n, heard(one)?)));
        let Some((which, window)) = found else { return false };
        let listening = self.listening.remove(which).expect("the position was found just now");
        self.counts.awaited += u64::from(listening.is_awaited);
        match window {
            0 => self.counts.rx1 += 1,
            _ => self.counts.rx2 += 1,
        }
        true
    }

    /// What happened so far.
    pub fn counts(&self) -> TrafficCounts {
        self.counts
    }

    fn next(&mut self, now: Instant, per_hour: u32) -> Option<Instant> {
        let mean_us = HOUR_US.checked_div(u64::from(per_hour))?;
        Some(now.plus_us(self.random.exponential(mean_us).max(1)))
    }

    fn listen(&mut self, listening: Listening) {
        while self.listening.front().is_some_and(|old| listening.since.us_since(old.since) > FORGET_US)
            || self.listening.len() >= REMEMBERED
        {
            self.listening.pop_front();
        }
        self.listening.push_back(listening);
    }

    /// The next join-request (TS001-1.0.4 6.2.5).
    fn join_request(&mut self) -> Vec<u8> {
        self.counts.joins += 1;
        self.dev_nonce = self.dev_nonce.wrapping_add(1);
        let mut frame = vec![downlink::JOIN_REQUEST];
        frame.extend(self.settings.join_eui.to_le_bytes());
        frame.extend((self.random.next_u64() | 1).to_le_bytes());
        frame.extend(self.dev_nonce.to_le_bytes());
        frame.extend(self.mic());
        frame
    }

    /// TS001-1.0.4 4: the frame, its DevAddr, whether it is confirmed.
    fn data_frame(&mut self) -> Option<(Vec<u8>, u32, bool)> {
        let which = self.random.below(self.settings.devices.len() as u64) as usize;
        let &dev_addr = self.settings.devices.get(which)?;
        let is_confirmed = self.random.chance_ppm(self.settings.confirmed_ppm);
        let (least, most) = self.settings.payload_bytes;
        let payload = self.random.range(u64::from(least.min(222)), u64::from(most.min(222)));
        self.counts.uplinks += 1;
        self.counts.confirmed += u64::from(is_confirmed);
        self.fcnt = self.fcnt.wrapping_add(1);
        let mut frame = vec![if is_confirmed { downlink::CONFIRMED_UP } else { downlink::UNCONFIRMED_UP }];
        frame.extend(dev_addr.to_le_bytes());
        frame.push(0x80);
        frame.extend(self.fcnt.to_le_bytes());
        frame.push(1);
        frame.extend((0..payload).map(|_| self.random.next_u64() as u8));
        frame.extend(self.mic());
        Some((frame, dev_addr, is_confirmed))
    }

    fn mic(&mut self) -> [u8; 4] {
        (self.random.next_u64() as u32).to_le_bytes()
    }

    fn channel(&mut self) -> Option<(u32, Modulation)> {
        let which = self.random.below(self.settings.channels.len() as u64) as usize;
        let (&frequency_hz, rates) = self.settings.channels.iter().nth(which)?;
        let rate = self.random.below(rates.len() as u64) as usize;
        Some((frequency_hz, *rates.get(rate)?))
    }
}

fn is_in(transmission: &Transmission, since: Instant, window: &Window) -> bool {
    let off_us = transmission.start.as_us().abs_diff(since.plus_us(window.after_us).as_us());
    off_us <= EARS_US
        && transmission.frequency_hz == window.frequency_hz
        && transmission.modulation == window.modulation
}

/// An uplink has a CRC. What cannot be sent takes no time.
fn uplink_airtime_us(modulation: Modulation, phy_len: usize) -> u64 {
    match modulation {
        Modulation::LoRa { sf, bw_hz } => lora_airtime_us(&LoRaPacket {
            sf,
            bw_hz,
            cr: 1,
            preamble_symbols: PREAMBLE,
            explicit_header: true,
            crc: true,
            low_data_rate: None,
            phy_len,
        })
        .unwrap_or(0),
        Modulation::Gfsk { bit_rate_bps } => {
            gfsk_airtime_us(bit_rate_bps, GFSK_PREAMBLE, phy_len, true).unwrap_or(0)
        }
    }
}
