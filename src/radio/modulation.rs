//! LoRa and GFSK modulations, and their names in the packet forwarder's protocol.

use core::fmt;
use core::str::FromStr;

/// Spreading factors a LoRa modem has (SX126x and SX1302 data sheets).
pub(super) const SPREADING_FACTORS: core::ops::RangeInclusive<u8> = 5..=12;

/// LoRa bandwidths that RP002 uses below 1 GHz, and the only ones an SX1302 sends.
pub(super) const LORA_BANDWIDTHS_HZ: [u32; 3] = [125_000, 250_000, 500_000];

/// Frequency deviation of LoRaWAN's GFSK (RP002-1.0.4, FSK: 50 kbit/s with 25 kHz).
const GFSK_DEVIATION_HZ: u32 = 25_000;

/// A modulation with its speed. Ordered by kind, then by its fields: an order for maps, not for robustness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Modulation {
    /// LoRa with spreading factor and bandwidth (RP002, physical layer).
    LoRa {
        /// Spreading factor, 5 to 12.
        sf: u8,
        /// Bandwidth in Hz: 125000, 250000 or 500000.
        bw_hz: u32,
    },
    /// Gaussian frequency shift keying (FSK of RP002).
    Gfsk {
        /// Bit rate in bit/s; LoRaWAN uses 50000.
        bit_rate_bps: u32,
    },
}

impl Modulation {
    /// The width of the spectrum in Hz around the centre frequency that the law wants inside a sub-band.
    ///
    /// LoRa: its bandwidth. GFSK: Carson's rule, twice the deviation (25 kHz) plus the bit rate: 100
    /// kHz at 50 kbit/s.
    pub const fn occupied_bandwidth_hz(self) -> u32 {
        match self {
            Modulation::LoRa { bw_hz, .. } => bw_hz,
            Modulation::Gfsk { bit_rate_bps } => bit_rate_bps.saturating_add(2 * GFSK_DEVIATION_HZ),
        }
    }
}

/// Writes the `datr` of PROTOCOL.TXT 4 and 6: `SF9BW125`, or the bits a second of GFSK, `50000`.
impl fmt::Display for Modulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Modulation::LoRa { sf, bw_hz } => write!(f, "SF{sf}BW{}", bw_hz / 1000),
            Modulation::Gfsk { bit_rate_bps } => write!(f, "{bit_rate_bps}"),
        }
    }
}

/// A `datr` that names no modulation of an SX1302.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{datr}` is no data rate: SF5..SF12 with BW125, BW250 or BW500, like `SF9BW125`, \
     or bits a second of GFSK, like `50000`"
)]
pub struct UnknownDatr {
    /// The text as it came, cut after [`UnknownDatr::MAX_QUOTED`] characters.
    pub datr: String,
}

impl UnknownDatr {
    /// Longest quotation of a foreign text, in characters.
    pub const MAX_QUOTED: usize = 32;
}

/// Reads exactly what [`Display`](fmt::Display) writes: no spaces, no leading zeros, no lower case.
impl FromStr for Modulation {
    type Err = UnknownDatr;

    fn from_str(datr: &str) -> Result<Self, UnknownDatr> {
        parse(datr)
            .filter(|modulation| modulation.to_string() == datr)
            .ok_or_else(|| UnknownDatr { datr: datr.chars().take(UnknownDatr::MAX_QUOTED).collect() })
    }
}

fn parse(datr: &str) -> Option<Modulation> {
    let Some(lora) = datr.strip_prefix("SF") else {
        let bit_rate_bps = datr.parse().ok().filter(|&bps| bps > 0)?;
        return Some(Modulation::Gfsk { bit_rate_bps });
    };
    let (sf, bw_khz) = lora.split_once("BW")?;
    let sf = sf.parse().ok().filter(|sf| SPREADING_FACTORS.contains(sf))?;
    let bw_hz = bw_khz.parse::<u32>().ok()?.checked_mul(1000)?;
    LORA_BANDWIDTHS_HZ.contains(&bw_hz).then_some(Modulation::LoRa { sf, bw_hz })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_modulation_reads_back_what_it_writes() {
        for bw_hz in LORA_BANDWIDTHS_HZ {
            for sf in SPREADING_FACTORS {
                let modulation = Modulation::LoRa { sf, bw_hz };
                assert_eq!(modulation.to_string().parse(), Ok(modulation));
            }
        }
        assert_eq!("SF9BW125".parse(), Ok(Modulation::LoRa { sf: 9, bw_hz: 125_000 }));
        assert_eq!("50000".parse(), Ok(Modulation::Gfsk { bit_rate_bps: 50_000 }));
    }

    #[test]
    fn a_datr_that_no_radio_has_is_refused() {
        let bad = [
            "",
            "SF",
            "SF9",
            "BW125",
            "SF4BW125",
            "SF13BW125",
            "SF9BW126",
            "SF9BW0",
            "SF09BW125",
            "SF+9BW125",
            "sf9bw125",
            " SF9BW125",
            "SF9BW125 ",
            "0",
            "-1",
            "+50000",
            "050000",
            "4294967296",
            "SF9BW4294968",
        ];
        for datr in bad {
            assert_eq!(datr.parse::<Modulation>(), Err(UnknownDatr { datr: datr.to_owned() }));
        }
        let long = "x".repeat(5000).parse::<Modulation>().unwrap_err();
        assert_eq!(long.datr.len(), UnknownDatr::MAX_QUOTED);
    }

    #[test]
    fn gfsk_at_50_kbit_occupies_100_khz() {
        assert_eq!(Modulation::Gfsk { bit_rate_bps: 50_000 }.occupied_bandwidth_hz(), 100_000);
        assert_eq!(Modulation::LoRa { sf: 7, bw_hz: 250_000 }.occupied_bandwidth_hz(), 250_000);
    }
}
