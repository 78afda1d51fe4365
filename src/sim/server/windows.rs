//! When and where a Class A device listens after an uplink (TS001-1.0.4 3.3, RP002-1.0.4).

use crate::radio::Modulation;

/// JOIN_ACCEPT_DELAY1 of every region, microseconds (RP002-1.0.4 2.3).
const JOIN_DELAY_US: u64 = 5_000_000;
/// From RX1 to RX2, microseconds (TS001-1.0.4 3.3.2).
const RX2_AFTER_RX1_US: u64 = 1_000_000;
/// RX1 of the regions with 64 uplink channels: eight downlink channels of 500 kHz.
const PLAN64_DOWNLINK_HZ: u32 = 923_300_000;
const PLAN64_DOWNLINK_STEP_HZ: u32 = 600_000;
const PLAN64_DOWNLINKS: u32 = 8;
const PLAN64_UPLINK_STEP_HZ: u32 = 200_000;

/// Rule for the channel of RX1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rx1 {
    /// On the uplink's own frequency and data rate (RX1DROffset 0): EU868 and most others.
    AsUplink,
    /// On one of eight channels of 500 kHz by the number of the uplink's channel: US915, AU915.
    Plan64 {
        /// Centre of uplink channel 0 in Hz: 902300000 in US915, 915200000 in AU915.
        first_uplink_hz: u32,
    },
}

/// The downlink windows of every device of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// RECEIVE_DELAY1 in seconds, 1..=15 (RXTimingSetupReq); 0 counts as 1. RX2 is a second later.
    pub rx_delay_s: u8,
    /// Rule for the channel of RX1.
    pub rx1: Rx1,
    /// Frequency of RX2 in Hz.
    pub rx2_frequency_hz: u32,
    /// Data rate of RX2.
    pub rx2_modulation: Modulation,
}

/// A receive window of a Class A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From the end of the uplink to the start of the downlink, microseconds.
    pub after_us: u64,
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// Modulation that the device receives.
    pub modulation: Modulation,
}

/// EU868 with a RECEIVE_DELAY1 of one second.
impl Default for Windows {
    fn default() -> Self {
        Windows {
            rx_delay_s: 1,
            rx1: Rx1::AsUplink,
            rx2_frequency_hz: 869_525_000,
            rx2_modulation: Modulation::LoRa { sf: 12, bw_hz: 125_000 },
        }
    }
}

impl Windows {
    /// RX1 and RX2 after an uplink, or after a join-request.
    pub fn after(&self, is_join: bool, frequency_hz: u32, modulation: Modulation) -> [Window; 2] {
        let delay_us = u64::from(self.rx_delay_s.clamp(1, 15)) * 1_000_000;
        let rx1_us = if is_join { JOIN_DELAY_US } else { delay_us };
        let (rx1_frequency_hz, rx1_modulation) = self.rx1.place(frequency_hz, modulation);
        [
            Window { after_us: rx1_us, frequency_hz: rx1_frequency_hz, modulation: rx1_modulation },
            Window {
                after_us: rx1_us + RX2_AFTER_RX1_US,
                frequency_hz: self.rx2_frequency_hz,
                modulation: self.rx2_modulation,
            },
        ]
    }
}

impl Rx1 {
    fn place(self, frequency_hz: u32, modulation: Modulation) -> (u32, Modulation) {
        let Rx1::Plan64 { first_uplink_hz } = self else {
            return (frequency_hz, modulation);
        };
        // Uplinks of 500 kHz are numbered on from 64, one in eight channels of 125 kHz, half a step beside them.
        let steps = frequency_hz.saturating_sub(first_uplink_hz) / PLAN64_UPLINK_STEP_HZ;
        let (channel, sf) = match modulation {
            Modulation::LoRa { sf, bw_hz: 125_000 } => (steps, sf),
            Modulation::LoRa { sf, .. } => (steps / PLAN64_DOWNLINKS, sf.saturating_sub(1)),
            Modulation::Gfsk { .. } => (steps, 7),
        };
        let frequency_hz = PLAN64_DOWNLINK_HZ + channel % PLAN64_DOWNLINKS * PLAN64_DOWNLINK_STEP_HZ;
        (frequency_hz, Modulation::LoRa { sf, bw_hz: 500_000 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SF7: Modulation = Modulation::LoRa { sf: 7, bw_hz: 125_000 };

    fn delays_s(windows: Windows, is_join: bool) -> [u64; 2] {
        windows.after(is_join, 868_100_000, SF7).map(|window| window.after_us / 1_000_000)
    }

    #[test]
    fn rx2_is_a_second_after_rx1_and_joins_wait_five() {
        for (rx_delay_s, delays) in [(0, [1, 2]), (1, [1, 2]), (5, [5, 6]), (15, [15, 16]), (99, [15, 16])] {
            let windows = Windows { rx_delay_s, ..Windows::default() };
            assert_eq!(delays_s(windows, false), delays);
            assert_eq!(delays_s(windows, true), [5, 6]);
        }
    }

    #[test]
    fn in_eu868_rx1_is_where_the_uplink_was() {
        let [rx1, rx2] = Windows::default().after(false, 867_100_000, SF7);
        assert_eq!((rx1.frequency_hz, rx1.modulation), (867_100_000, SF7));
        assert_eq!(rx2.frequency_hz, 869_525_000);
    }

    #[test]
    fn in_us915_the_number_of_the_uplink_channel_chooses_one_of_eight() {
        let rx1 = Rx1::Plan64 { first_uplink_hz: 902_300_000 };
        let at = |frequency_hz, sf, bw_hz| rx1.place(frequency_hz, Modulation::LoRa { sf, bw_hz });
        let down = |sf| Modulation::LoRa { sf, bw_hz: 500_000 };
        assert_eq!(at(902_300_000, 10, 125_000), (923_300_000, down(10)));
        assert_eq!(at(903_700_000, 7, 125_000), (927_500_000, down(7)));
        assert_eq!(at(903_900_000, 7, 125_000), (923_300_000, down(7)));
        // DR4, channels 64 and 71.
        assert_eq!(at(903_000_000, 8, 500_000), (923_300_000, down(7)));
        assert_eq!(at(914_200_000, 8, 500_000), (927_500_000, down(7)));
    }
}
