//! A packet between datagram and antenna, as queued and as transmitted.

use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::time::Instant;

/// Bytes the radio can send; more is acknowledged and then refused by the driver.
pub(super) const PHY_PAYLOAD_MAX: u16 = 255;

/// Bit rates and deviations the driver takes for FSK.
const FSK_BIT_RATES: core::ops::RangeInclusive<u32> = 500..=250_000;
const FSK_DEVIATIONS_KHZ: core::ops::RangeInclusive<u8> = 1..=200;

/// A packet as the forwarder queues it: whatever the JSON said, sensible or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) frequency_hz: u32,
    pub(super) modulation: Modulation,
    /// Coding rate, 1..=4 for 4/5..4/8.
    pub(super) coding_rate: u8,
    /// Frequency deviation in kHz, for FSK only.
    pub(super) deviation_khz: u8,
    /// Symbols of LoRa, bytes of FSK.
    pub(super) preamble_symbols: u16,
    pub(super) inverted_iq: bool,
    pub(super) crc: bool,
    pub(super) implicit_header: bool,
    /// What `size` said; the payload was cut or filled with zeros to it.
    pub(super) size: u16,
    pub(super) phy_payload: Vec<u8>,
    /// The driver refuses it, whatever it is.
    pub(super) is_swallowed: bool,
}

impl Frame {
    /// Whether the driver takes it. What it refuses was acknowledged long before.
    pub(super) fn is_radiatable(&self) -> bool {
        let is_modulation_good = match self.modulation {
            Modulation::LoRa { .. } => true,
            Modulation::Gfsk { bit_rate_bps } => {
                FSK_BIT_RATES.contains(&bit_rate_bps) && FSK_DEVIATIONS_KHZ.contains(&self.deviation_khz)
            }
        };
        !self.is_swallowed && is_modulation_good && self.size <= PHY_PAYLOAD_MAX
    }
}

/// A transmission: one packet that left the antenna.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmission {
    /// First instant of the preamble.
    pub start: Instant,
    /// Time on air in microseconds, with all the flags it was sent with.
    pub airtime_us: u64,
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// How it was modulated.
    pub modulation: Modulation,
    /// What the antenna radiates: the conducted power of the gain table's entry plus the real antenna gain.
    pub eirp: Dbm,
    /// The bytes as radiated.
    pub phy_payload: Vec<u8>,
    /// LoRa polarity: inverted for downlinks.
    pub inverted_iq: bool,
    /// Whether a physical layer CRC follows; LoRaWAN downlinks have none.
    pub crc: bool,
    /// Preamble in symbols (FSK: bytes).
    pub preamble_symbols: u16,
}

impl Transmission {
    /// The first instant after it.
    pub fn end(&self) -> Instant {
        self.start.plus_us(self.airtime_us)
    }
}
