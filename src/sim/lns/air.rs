//! The air around the gateway: its channels, what it sends, and the law that it keeps.

use super::law::Law;
use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;

/// The uplink channels: three in 868.0 to 868.6 MHz, the others below.
pub(super) const CHANNELS_HZ: [u32; 8] =
    [868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000];
/// RX1 opens so long after the uplink, microseconds.
const RX1_US: u64 = 1_000_000;
/// A transmission is remembered for so long, microseconds.
const REMEMBERED_US: u64 = 60_000_000;
/// A LoRaWAN frame around a payload, bytes.
const FRAME_BYTES: usize = 13;

/// Airtime of a frame with this payload, microseconds.
pub(super) fn airtime_us(sf: u8, payload_len: usize) -> u64 {
    downlink_airtime_us(Modulation::LoRa { sf, bw_hz: 125_000 }, payload_len + FRAME_BYTES)
}

/// What the gateway sends, and what it may.
pub(super) struct Air {
    /// `None` where there is no law.
    law: Option<Law>,
    /// When the gateway sent, microseconds.
    on_air: Vec<(u64, u64)>,
}

impl Air {
    pub(super) fn new(has_law: bool) -> Air {
        Air { law: has_law.then(Law::default), on_air: Vec::new() }
    }

    /// Whether the gateway sends at any time between the two.
    pub(super) fn is_busy(&self, from_us: u64, to_us: u64) -> bool {
        self.on_air.iter().any(|(began_us, ended_us)| *began_us < to_us && from_us < *ended_us)
    }

    /// Sends in RX1 behind an uplink that ended at `ended_us`; the end of the downlink, or `None` when the gateway is
    /// busy or the law forbids it.
    pub(super) fn send(&mut self, ended_us: u64, channel: usize, airtime_us: u64) -> Option<u64> {
        let starts_us = ended_us + RX1_US;
        let ends_us = starts_us + airtime_us;
        let sub_band = usize::from(CHANNELS_HZ[channel] < 868_000_000);
        if self.is_busy(starts_us, ends_us)
            || self.law.as_mut().is_some_and(|law| !law.book(sub_band, starts_us, airtime_us))
        {
            return None;
        }
        self.on_air.retain(|(_, to_us)| *to_us + REMEMBERED_US > ended_us);
        self.on_air.push((starts_us, ends_us));
        Some(ends_us)
    }
}
