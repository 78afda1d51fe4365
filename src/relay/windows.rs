//! In which moments a network server may yet want to answer a device.

use super::DevAddrPrefix;
use super::RelaySettings;
use crate::forwarder::Uplink;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

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
/// Devices that are remembered, at most.
const DEVICES_MAX: usize = 4096;
/// The message types of a join request, a rejoin request and data uplinks (TS001-1.0.4 4.2.1).
const JOIN_REQUEST: u8 = 0;
const REJOIN_REQUEST: u8 = 6;
const DATA_UP: [u8; 2] = [2, 4];

/// What is known of the devices and their servers.
#[derive(Debug)]
pub(super) struct Windows {
    rx1_delay_s: u8,
    prefixes: Vec<DevAddrPrefix>,
    /// The end of each device's last uplink, while an answer may come.
    uplinks: BTreeMap<u32, Instant>,
    answered: BTreeSet<u32>,
    /// Bit n: an answer came n seconds after an uplink.
    delays: u32,
    answers: u32,
}

impl Windows {
    pub fn new(settings: &RelaySettings) -> Self {
        let rx1_delay_s = if settings.rx1_delay_s == 0 { RX1_DELAY_S } else { settings.rx1_delay_s };
        Windows {
            rx1_delay_s,
            prefixes: settings.dev_addr_prefixes.clone(),
            uplinks: BTreeMap::new(),
            answered: BTreeSet::new(),
            delays: 0,
            answers: 0,
        }
    }

    /// The windows that this uplink opens at its device, as far as a server may use them: for joins, and for
    /// devices that were answered before; until any was, for all.
    pub fn opened_by(&mut self, uplink: &Uplink) -> Vec<Instant> {
        let at = |us: u64| uplink.ended.plus_us(us);
        match (uplink.first_byte.map(|mhdr| mhdr >> 5), uplink.dev_addr) {
            (Some(JOIN_REQUEST | REJOIN_REQUEST), _) => JOIN_US.map(at).to_vec(),
            (Some(kind), Some(dev_addr)) if DATA_UP.contains(&kind) => {
                self.remember(dev_addr, uplink.ended);
                let is_served = match self.prefixes.as_slice() {
                    [] => self.answered.is_empty() || self.answered.contains(&dev_addr),
                    prefixes => prefixes.iter().any(|prefix| prefix.contains(dev_addr)),
                };
                if is_served { self.delays_us().map(at).collect() } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }

    /// A server answers this device.
    pub fn answered(&mut self, dev_addr: u32, start: Instant) {
        if self.answered.len() < DEVICES_MAX {
            self.answered.insert(dev_addr);
        }
        let Some(after_us) = self.uplinks.get(&dev_addr).map(|ended| start.us_since(*ended)) else { return };
        let delay_s = (after_us + DELAY_SLACK_US) / 1_000_000;
        let is_whole = (after_us + DELAY_SLACK_US) % 1_000_000 <= 2 * DELAY_SLACK_US;
        if is_whole && (1..=DELAY_MAX_S).contains(&delay_s) {
            self.delays |= 1 << delay_s;
            self.answers = self.answers.saturating_add(1);
        }
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

    fn remember(&mut self, dev_addr: u32, ended: Instant) {
        if self.uplinks.len() >= DEVICES_MAX {
            let old = ended.minus_us((DELAY_MAX_S + 1) * 1_000_000);
            self.uplinks.retain(|_, ended| *ended > old);
        }
        if self.uplinks.len() < DEVICES_MAX || self.uplinks.contains_key(&dev_addr) {
            self.uplinks.insert(dev_addr, ended);
        }
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
    fn until_a_server_has_answered_somebody_all_devices_are_protected_and_then_only_those() {
        let mut windows = windows(0, &[]);
        assert_eq!(seconds(&mut windows, uplink(0x40, 7, 0)), [1, 2]);
        windows.answered(8, Instant::from_us(0));
        assert_eq!(seconds(&mut windows, uplink(0x40, 7, 10)), [0; 0]);
        assert_eq!(seconds(&mut windows, uplink(0x80, 8, 10)), [1, 2]);
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
        assert!(windows.uplinks.len() <= DEVICES_MAX && windows.answered.len() <= DEVICES_MAX);
    }
}
