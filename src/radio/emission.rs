//! An emission: one transmission of the gateway with its time, channel and power.

use crate::radio::airtime::downlink_airtime_us;
use crate::radio::modulation::Modulation;
use crate::radio::power::Dbm;
use crate::time::Instant;

/// A LoRaWAN downlink with its place in time and spectrum. A scheduler places it, a referee judges it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// Instant at which the preamble begins.
    pub start: Instant,
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// Modulation with its speed.
    pub modulation: Modulation,
    /// Power radiated by the antenna, in dBm EIRP.
    pub eirp: Dbm,
    /// The LoRaWAN frame, 1 to 255 bytes (MHDR to MIC).
    pub phy_payload: Vec<u8>,
}

impl Emission {
    /// Time on air in microseconds, exact.
    pub fn airtime_us(&self) -> u64 {
        downlink_airtime_us(self.modulation, self.phy_payload.len())
    }

    /// The first instant after the emission.
    pub fn end(&self) -> Instant {
        self.start.plus_us(self.airtime_us())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emission_ends_when_its_last_symbol_does() {
        let emission = Emission {
            start: Instant::from_us(-1_000_000),
            frequency_hz: 869_525_000,
            modulation: Modulation::LoRa { sf: 12, bw_hz: 125_000 },
            eirp: Dbm::from_whole(27),
            phy_payload: vec![0; 64],
        };
        assert_eq!(emission.airtime_us(), 2_793_472);
        assert_eq!(emission.end(), Instant::from_us(1_793_472));
    }
}
