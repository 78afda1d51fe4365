//! Time on air in exact whole microseconds: AN1200.13 for SF7 to SF12, the SX126x data sheet 6.1.4 for SF5 and SF6.
//!
//! No floats and no milliseconds: at 125, 250 and 500 kHz every LoRa airtime is a whole number of
//! microseconds, and so is every GFSK airtime at 50 kbit/s.

use crate::radio::modulation::LORA_BANDWIDTHS_HZ;
use crate::radio::modulation::Modulation;
use crate::radio::modulation::SPREADING_FACTORS;

/// The longest PHYPayload a LoRa or LoRaWAN GFSK length field can say, in bytes.
pub const MAX_PHY_LEN: usize = 255;

/// What the infallible functions answer for a packet that no radio can send: 12.7 days, longer than any
/// window of any law and small enough to be added up without care.
pub const NOT_SENDABLE_US: u64 = 1 << 40;

/// Bytes of the GFSK preamble (RP002-1.0.4, FSK).
const GFSK_PREAMBLE_BYTES: u16 = 5;

/// The properties of a LoRa packet that decide its time on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoRaPacket {
    /// Spreading factor, 5 to 12.
    pub sf: u8,
    /// Bandwidth in Hz: 125000, 250000 or 500000.
    pub bw_hz: u32,
    /// Coding rate, 1 to 4 for 4/5 to 4/8.
    pub cr: u8,
    /// Preamble in symbols, without the 4.25 (SF5, SF6: 6.25) that the modem adds.
    pub preamble_symbols: u16,
    /// Whether the packet says its own length (all data frames do, class B beacons do not).
    pub explicit_header: bool,
    /// Whether a CRC of the payload follows (LoRaWAN: uplinks only).
    pub crc: bool,
    /// Low data rate optimisation; `None` follows the rule: on when a symbol lasts at least 16.384 ms.
    /// SF5 and SF6 know none.
    pub low_data_rate: Option<bool>,
    /// Bytes of the PHYPayload, 0 to 255.
    pub phy_len: usize,
}

/// A packet that the concentrator (SX1302) cannot send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AirtimeError {
    /// The spreading factor is not 5 to 12.
    #[error("spreading factor {0} does not exist: 5 to 12")]
    SpreadingFactor(u8),
    /// The bandwidth, in Hz, is not 125000, 250000 or 500000.
    #[error("LoRa bandwidth {0} Hz is not sent here: 125000, 250000 or 500000")]
    Bandwidth(u32),
    /// The coding rate 4/(4 + n) has an n that is not 1 to 4.
    #[error("coding rate 4/(4 + {0}) does not exist: 1 to 4")]
    CodingRate(u8),
    /// The PHYPayload has more than [`MAX_PHY_LEN`] bytes.
    #[error("a PHYPayload of {0} bytes is too long: at most {MAX_PHY_LEN}")]
    PhyLen(usize),
    /// The GFSK bit rate is zero.
    #[error("a GFSK bit rate of 0 bit/s sends nothing")]
    BitRate,
}

/// Time on air of a LoRa packet in microseconds, exact.
///
/// # Errors
/// A spreading factor, bandwidth, coding rate or length that an SX1302 does not have.
pub fn lora_airtime_us(packet: &LoRaPacket) -> Result<u64, AirtimeError> {
    if !SPREADING_FACTORS.contains(&packet.sf) {
        return Err(AirtimeError::SpreadingFactor(packet.sf));
    }
    if !LORA_BANDWIDTHS_HZ.contains(&packet.bw_hz) {
        return Err(AirtimeError::Bandwidth(packet.bw_hz));
    }
    if !(1..=4).contains(&packet.cr) {
        return Err(AirtimeError::CodingRate(packet.cr));
    }
    let phy_bits = 8 * check_phy_len(packet.phy_len)?;

    let sf = u64::from(packet.sf);
    let is_short = sf < 7;
    let low_data_rate = packet.low_data_rate.unwrap_or(symbol_is_slow(packet.sf, packet.bw_hz));
    let header_bits = if packet.explicit_header { 20 } else { 0 };
    let crc_bits = if packet.crc { 16 } else { 0 };
    // The first eight symbols carry 4 SF bits of the packet, from SF7 on 8 fewer.
    let carried_bits = if is_short { 4 * sf } else { 4 * sf - 8 };
    let bits_left = (phy_bits + crc_bits + header_bits).saturating_sub(carried_bits);
    let bits_per_block = if low_data_rate && !is_short { 4 * (sf - 2) } else { 4 * sf };
    let payload_symbols = 8 + bits_left.div_ceil(bits_per_block) * u64::from(packet.cr + 4);

    let quarter_symbols =
        4 * (u64::from(packet.preamble_symbols) + payload_symbols) + if is_short { 25 } else { 17 };
    // A quarter of a symbol lasts 2^SF x 250000 / BW us: whole for the three bandwidths and SF5 up.
    Ok((quarter_symbols << packet.sf) * 250_000 / u64::from(packet.bw_hz))
}

/// Time on air of a GFSK packet in microseconds: preamble, 3 bytes sync word, 1 byte length, payload, 2 bytes
/// CRC. Exact at 50 kbit/s, else rounded up.
///
/// # Errors
/// A bit rate of zero, or more than 255 bytes.
pub fn gfsk_airtime_us(
    bit_rate_bps: u32,
    preamble_bytes: u16,
    phy_len: usize,
    crc: bool,
) -> Result<u64, AirtimeError> {
    if bit_rate_bps == 0 {
        return Err(AirtimeError::BitRate);
    }
    let bytes = u64::from(preamble_bytes) + 3 + 1 + check_phy_len(phy_len)? + if crc { 2 } else { 0 };
    Ok((8_000_000 * bytes).div_ceil(u64::from(bit_rate_bps)))
}

/// Time on air in microseconds of a LoRaWAN downlink of `phy_len` bytes (PHYPayload), exact.
///
/// RP002-1.0.4, physical layer, and TS001-1.0.4: LoRa with explicit header, coding rate 4/5, no CRC, a
/// preamble of 8 symbols (12 at SF5 and SF6); GFSK with 5 bytes of preamble and CRC. What cannot be sent
/// at all lasts [`NOT_SENDABLE_US`].
pub fn downlink_airtime_us(modulation: Modulation, phy_len: usize) -> u64 {
    match modulation {
        Modulation::LoRa { sf, bw_hz } => lora_airtime_us(&downlink(sf, bw_hz, phy_len)),
        Modulation::Gfsk { bit_rate_bps } => {
            gfsk_airtime_us(bit_rate_bps, GFSK_PREAMBLE_BYTES, phy_len, true)
        }
    }
    .unwrap_or(NOT_SENDABLE_US)
}

/// Time on air in microseconds of a LoRaWAN uplink of `phy_len` bytes: as [`downlink_airtime_us`], with a CRC.
pub fn uplink_airtime_us(modulation: Modulation, phy_len: usize) -> u64 {
    match modulation {
        Modulation::LoRa { sf, bw_hz } => {
            let packet = LoRaPacket { crc: true, ..downlink(sf, bw_hz, phy_len) };
            lora_airtime_us(&packet).unwrap_or(NOT_SENDABLE_US)
        }
        Modulation::Gfsk { .. } => downlink_airtime_us(modulation, phy_len),
    }
}

/// How long a Semtech packet forwarder keeps the radio reserved for a downlink, in microseconds:
/// never less than [`downlink_airtime_us`].
///
/// Its queue counts low data rate optimisation for every SF11 and SF12 whatever the bandwidth (at 500 kHz up
/// to 123 ms too much), rounds LoRa to whole milliseconds (here: up) and answers GFSK in milliseconds
/// truncated, plus one. Use it as the gap to the next frame; charge duty with the exact value.
pub fn forwarder_airtime_us(modulation: Modulation, phy_len: usize) -> u64 {
    match modulation {
        Modulation::LoRa { sf, bw_hz } => {
            let low_data_rate = (sf >= 11).then_some(true);
            lora_airtime_us(&LoRaPacket { low_data_rate, ..downlink(sf, bw_hz, phy_len) })
                .map(|airtime_us| airtime_us.next_multiple_of(1000))
        }
        Modulation::Gfsk { bit_rate_bps } => {
            gfsk_airtime_us(bit_rate_bps, GFSK_PREAMBLE_BYTES, phy_len, true)
                .map(|airtime_us| airtime_us / 1000 * 1000 + 1000)
        }
    }
    .unwrap_or(NOT_SENDABLE_US)
}

fn downlink(sf: u8, bw_hz: u32, phy_len: usize) -> LoRaPacket {
    LoRaPacket {
        sf,
        bw_hz,
        cr: 1,
        preamble_symbols: if sf < 7 { 12 } else { 8 },
        explicit_header: true,
        crc: false,
        low_data_rate: None,
        phy_len,
    }
}

/// Whether a symbol lasts at least 16.384 ms: SF11 and SF12 at 125 kHz, SF12 at 250 kHz.
fn symbol_is_slow(sf: u8, bw_hz: u32) -> bool {
    1_000_000_u64 << sf >= 16_384 * u64::from(bw_hz)
}

fn check_phy_len(phy_len: usize) -> Result<u64, AirtimeError> {
    if phy_len > MAX_PHY_LEN { Err(AirtimeError::PhyLen(phy_len)) } else { Ok(phy_len as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: LoRaPacket = LoRaPacket {
        sf: 9,
        bw_hz: 125_000,
        cr: 1,
        preamble_symbols: 8,
        explicit_header: true,
        crc: false,
        low_data_rate: None,
        phy_len: 128,
    };

    #[test]
    fn what_no_radio_has_is_refused_by_name() {
        let refused = |packet| lora_airtime_us(&packet).unwrap_err();
        assert_eq!(refused(LoRaPacket { sf: 4, ..PACKET }), AirtimeError::SpreadingFactor(4));
        assert_eq!(refused(LoRaPacket { sf: 13, ..PACKET }), AirtimeError::SpreadingFactor(13));
        assert_eq!(refused(LoRaPacket { bw_hz: 0, ..PACKET }), AirtimeError::Bandwidth(0));
        assert_eq!(refused(LoRaPacket { cr: 0, ..PACKET }), AirtimeError::CodingRate(0));
        assert_eq!(refused(LoRaPacket { cr: 255, ..PACKET }), AirtimeError::CodingRate(255));
        assert_eq!(refused(LoRaPacket { phy_len: 256, ..PACKET }), AirtimeError::PhyLen(256));
        assert_eq!(gfsk_airtime_us(0, 5, 1, true), Err(AirtimeError::BitRate));
        assert_eq!(gfsk_airtime_us(50_000, 5, usize::MAX, true), Err(AirtimeError::PhyLen(usize::MAX)));
    }

    #[test]
    fn what_cannot_be_sent_never_fits_anywhere() {
        for (modulation, phy_len) in [
            (Modulation::LoRa { sf: 255, bw_hz: 125_000 }, 1),
            (Modulation::LoRa { sf: 7, bw_hz: 0 }, 1),
            (Modulation::LoRa { sf: 7, bw_hz: 125_000 }, 256),
            (Modulation::Gfsk { bit_rate_bps: 0 }, 1),
        ] {
            assert_eq!(downlink_airtime_us(modulation, phy_len), NOT_SENDABLE_US);
            assert_eq!(forwarder_airtime_us(modulation, phy_len), NOT_SENDABLE_US);
        }
    }

    #[test]
    fn low_data_rate_optimisation_follows_the_symbol_time() {
        let slow: Vec<(u8, u32)> = LORA_BANDWIDTHS_HZ
            .into_iter()
            .flat_map(|bw_hz| SPREADING_FACTORS.map(move |sf| (sf, bw_hz)))
            .filter(|&(sf, bw_hz)| symbol_is_slow(sf, bw_hz))
            .collect();
        assert_eq!(slow, [(11, 125_000), (12, 125_000), (12, 250_000)]);
    }

    #[test]
    fn the_longest_packet_does_not_overflow() {
        let longest =
            LoRaPacket { sf: 12, cr: 4, preamble_symbols: u16::MAX, crc: true, phy_len: 255, ..PACKET };
        assert_eq!(lora_airtime_us(&longest), Ok((4 * (65_535 + 8 + 51 * 8) + 17) * 8192));
        assert!(gfsk_airtime_us(1, u16::MAX, 255, true).is_ok_and(|us| us == 65_796 * 8_000_000));
    }
}
