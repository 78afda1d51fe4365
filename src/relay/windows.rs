//! In which moments a network server may yet want to answer a device.

use super::settings::DevAddrPrefix;
use super::settings::RelaySettings;
use crate::forwarder::Uplink;
use crate::time::Instant;
use std::collections::BTreeMap;

/// From a join request to its two windows (RP002-1.0.4 JOIN_ACCEPT_DELAY1 and one second more), microseconds.
const JOIN_US: [u64; 2] = [5_000_000, 6_000_000];
/// RX1 comes this long after an uplink where nobody says otherwise (RP002-1.0.4 RECEIVE_DELAY1), seconds.
const RX1_DELAY_S: u8 = 1;
/// The longest delay that can be told to a device (TS001-1.0.4 5.7), and RX2 one second later.
const DELAY_MAX_S: u64 = 16;
/// An answer that starts this close to a whole second after an uplink belongs to it, microseconds.
const DELAY_SLACK_US: u64 = 20_000;
/// After so many answers the delays that were seen are the delays there are.
const LEARNED: u32 = 8;
/// A device that sent so many uplinks and was never answered belongs to somebody else.
const FOREIGN: u8 = 16;
/// Devices that are remembered, at most.
const DEVICES_MAX: usize = 4096;
/// When there are too many, those that were not heard for this long are forgotten, microseconds.
const FORGET_US: u64 = 3_600_000_000;
/// The message types of a join request, a rejoin request and data uplinks (TS001-1.0.4 4.2.1).
const JOIN_REQUEST: u8 = 0;
const REJOIN_REQUEST: u8 = 6;
const DATA_UP: [u8; 2] = [2, 4];

/// What is known of the devices and their servers.
#[derive(Debug)]
pub(super) struct Windows {
    rx1_delay_s: u8,
    prefixes: Vec<DevAddrPrefix>,
    devices: BTreeMap<u32, Device>,
    /// Bit n: an answer came n seconds after an uplink.
    delays: u32,
    answers: u32,
}

/// What is known of one device.
#[derive(Clone, Copy, Debug)]
struct Device {
    /// The end of its last uplink.
    ended: Instant,
    /// Its uplinks, as far as they matter.
    uplinks: u8,
    is_answered: bool,
}

impl Windows {
    pub fn new(settings: &RelaySettings) -> Self {
        let rx1_delay_s = if settings.rx1_delay_s == 0 { RX1_DELAY_S } else { settings.rx1_delay_s };
        Windows {
            rx1_delay_s,
            prefixes: settings.dev_addr_prefixes.clone(),
            devices: BTreeMap::new(),
            delays: 0,
            answers: 0,
        }
    }

    /// The windows that this uplink opens at its device, as far as a server may use them: for joins, and for all
    /// devices but those that are known to be somebody else's.
    pub fn opened_by(&mut self, uplink: &Uplink) -> Vec<Instant> {
        let at = |us: u64| uplink.ended.plus_us(us);
        match (uplink.first_byte.map(|mhdr| mhdr >> 5), uplink.dev_addr) {
            (Some(JOIN_REQUEST | REJOIN_REQUEST), _) => JOIN_US.map(at).to_vec(),
            (Some(kind), Some(dev_addr)) if DATA_UP.contains(&kind) => {
                let may_be_ours = self.remember(dev_addr, uplink.ended);
                let is_served = match self.prefixes.as_slice() {
                    [] => may_be_ours,
                    prefixes => prefixes.iter().any(|prefix| prefix.contains(dev_addr)),
                };
                if is_served { self.delays_us().map(at).collect() } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }

    /// A server answers this device.
    pub fn answered(&mut self, dev_addr: u32, start: Instant) {
        let Some(device) = self.devices.get_mut(&dev_addr) else { return };
        device.is_answered = true;
        let after_us = start.us_since(device.ended);
        let delay_s = (after_us + DELAY_SLACK_US) / 1_000_000;
        let is_whole = (after_us + DELAY_SLACK_US) % 1_000_000 <= 2 * DELAY_SLACK_US;
        if is_whole && (1..=DELAY_MAX_S).contains(&delay_s) {
            self.delays |= 1 << delay_s;
            self.answers = self.answers.saturating_add(1);
        }
    }

    /// From an uplink to the first window, microseconds.
    pub fn rx1_us(&self) -> u64 {
        self.delays_us().next().unwrap_or(1_000_000)
    }

    /// RX1 and RX2, and what else was seen.
    fn delays_us(&self) -> impl Iterator<Item = u64> + use<> {
        let configured = 0b11 << self.rx1_delay_s;
        // A server that answers in RX1 today uses RX2 when RX1 is taken.
        let lowest = self.delays & self.delays.wrapping_neg();
        let seen = self.delays | lowest << 1;
        let delays = if self.answers >= LEARNED { seen } else { seen | configured };
        (1..=DELAY_MAX_S).filter(move |second| delays >> second & 1 == 1).map(|second| second * 1_000_000)
    }

    /// Whether a server may answer it, as far as is known.
    fn remember(&mut self, dev_addr: u32, ended: Instant) -> bool {
        if self.devices.len() >= DEVICES_MAX && !self.devices.contains_key(&dev_addr) {
            let old = ended.minus_us(FORGET_US);
            self.devices.retain(|_, device| device.ended > old);
            if self.devices.len() >= DEVICES_MAX {
                return true;
            }
        }
        let new = Device { ended, uplinks: 0, is_answered: false };
        let device = self.devices.entry(dev_addr).or_insert(new);
        device.ended = ended;
        device.uplinks = device.uplinks.saturating_add(1);
        device.is_answered || device.uplinks <= FOREIGN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tmst;

    fn uplink(mhdr: u8, dev_addr: u32, at_s: i64) -> Uplink {
        let ended = Instant::from_us(at_s * 1_000_000);
        Uplink {
            received: ended,
            ended,
            tmst: Tmst(0),
            gps_ms: None,
            frequency_hz: None,
            modulation: None,
            size: None,
            first_byte: Some(mhdr),
            dev_addr: Some(dev_addr),
            crc_ok: true,
        }
    }

    fn windows(rx1_delay_s: u8, prefixes: &[&str]) -> Windows {
        let dev_addr_prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        Windows::new(&RelaySettings { rx1_delay_s, dev_addr_prefixes, ..RelaySettings::default() })
    }

    fn seconds(windows: &mut Windows, uplink: Uplink) -> Vec<u64> {
        let opened = windows.opened_by(&uplink);
        opened.iter().map(|window| window.us_since(uplink.ended) / 1_000_000).collect()
    }

    #[test]
    fn a_join_request_opens_windows_after_five_and_six_seconds() {
        let mut windows = windows(1, &["26000000/8"]);
        assert_eq!(seconds(&mut windows, uplink(0x00, 7, 0)), [5, 6]);
        assert_eq!(seconds(&mut windows, uplink(0xC0, 7, 0)), [5, 6]);
        assert_eq!(seconds(&mut windows, uplink(0xE0, 7, 0)), [0; 0], "proprietary frames get no answer");
    }

    #[test]
    fn a_device_that_is_never_answered_is_somebody_elses_after_sixteen_uplinks() {
        let mut windows = windows(0, &[]);
        for second in 0..16 {
            assert_eq!(seconds(&mut windows, uplink(0x40, 7, second)), [1, 2]);
            assert_eq!(seconds(&mut windows, uplink(0x80, 8, second)), [1, 2]);
        }
        windows.answered(8, Instant::from_us(15_000_000));
        for second in 16..200 {
            assert_eq!(seconds(&mut windows, uplink(0x40, 7, second)), [0; 0]);
            assert_eq!(seconds(&mut windows, uplink(0x80, 8, second)), [1, 2]);
        }
    }

    #[test]
    fn prefixes_say_whose_windows_are_kept_free_whoever_was_answered() {
        let mut windows = windows(1, &["26000000/8", "01020300/24"]);
        windows.answered(0x7700_0000, Instant::from_us(0));
        assert_eq!(seconds(&mut windows, uplink(0x40, 0x2612_3456, 0)), [1, 2]);
        assert_eq!(seconds(&mut windows, uplink(0x40, 0x0102_03FF, 0)), [1, 2]);
        assert_eq!(seconds(&mut windows, uplink(0x40, 0x7700_0000, 0)), [0; 0]);
    }

    #[test]
    fn the_delay_of_the_answers_is_learned() {
        let mut windows = windows(1, &[]);
        for second in (0..8).map(|n| n * 20) {
            assert!(seconds(&mut windows, uplink(0x40, 7, second)).starts_with(&[1, 2]));
            windows.answered(7, Instant::from_us((second + 5) * 1_000_000 + 15));
        }
        assert_eq!(seconds(&mut windows, uplink(0x40, 7, 1000)), [5, 6]);
    }

    #[test]
    fn a_downlink_at_no_whole_second_teaches_no_delay() {
        let mut windows = windows(1, &[]);
        for second in (0..20).map(|n| n * 20) {
            seconds(&mut windows, uplink(0x40, 7, second));
            windows.answered(7, Instant::from_us(second * 1_000_000 + 3_530_000));
        }
        assert_eq!(seconds(&mut windows, uplink(0x40, 7, 1000)), [1, 2]);
    }

    #[test]
    fn the_devices_remembered_are_bounded() {
        let mut windows = windows(1, &[]);
        for n in 0..20_000 {
            windows.opened_by(&uplink(0x40, n, i64::from(n) / 1000));
            windows.answered(n, Instant::from_us(0));
        }
        assert!(windows.devices.len() <= DEVICES_MAX);
        assert_eq!(seconds(&mut windows, uplink(0x40, 30_000, 21)), [1, 2], "one too many is protected");
    }
}
