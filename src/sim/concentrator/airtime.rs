//! Time on air of whatever the forwarder was asked to send, with all its flags. The room `radio` knows proper
//! LoRaWAN downlinks only; this one must time a forgotten `ncrc` or a preamble of 6 as well, and it is worked
//! out a second time so that the two can be compared.

use crate::radio::Modulation;
use crate::sim::concentrator::frame::Frame;

/// Symbols from this length on are sent with low data rate optimisation.
const SLOW_SYMBOL_US: u64 = 16_384;

/// FSK sync word and length byte; the CRC is two more.
const FSK_FRAMING: u64 = 4;

/// What the frame takes on the air, in microseconds. Low data rate optimisation by the symbol's
/// length, as the chip has it.
pub(super) fn on_air_us(frame: &Frame) -> u64 {
    match frame.modulation {
        Modulation::LoRa { sf, bw_hz } => lora_us(frame, sf, bw_hz, symbol_us(sf, bw_hz) >= SLOW_SYMBOL_US),
        Modulation::Gfsk { bit_rate_bps } => fsk_bits(frame) * 1_000_000 / u64::from(bit_rate_bps.max(1)),
    }
}

/// What the forwarder reserves for the frame, in microseconds: whole milliseconds by its own formula, which
/// has the optimisation on at SF11 and SF12 whatever the bandwidth, rounds LoRa to the nearest and FSK up.
pub(super) fn reserved_us(frame: &Frame) -> u64 {
    let ms = match frame.modulation {
        Modulation::LoRa { sf, bw_hz } => (lora_us(frame, sf, bw_hz, sf >= 11) + 500) / 1000,
        Modulation::Gfsk { bit_rate_bps } => fsk_bits(frame) * 1000 / u64::from(bit_rate_bps.max(1)) + 1,
    };
    ms * 1000
}

fn symbol_us(sf: u8, bw_hz: u32) -> u64 {
    (1_000_000 << sf) / u64::from(bw_hz.max(1))
}

fn fsk_bits(frame: &Frame) -> u64 {
    let crc = if frame.crc { 2 } else { 0 };
    8 * (u64::from(frame.preamble_symbols) + FSK_FRAMING + u64::from(frame.size) + crc)
}

/// AN1200.13 for SF7..SF12, SX1302 for SF5 and SF6.
fn lora_us(frame: &Frame, sf: u8, bw_hz: u32, optimised: bool) -> u64 {
    let sf_bits = i64::from(sf);
    // The forwarder's formula takes the size as one byte.
    let mut bits = 8 * i64::from(frame.size as u8) - 4 * sf_bits;
    bits += if frame.crc { 16 } else { 0 };
    bits += if frame.implicit_header { 0 } else { 20 };
    bits += if sf >= 7 { 8 } else { 0 };
    let block = 4 * if optimised && sf >= 7 { sf_bits - 2 } else { sf_bits };
    let blocks = (bits.max(0) as u64).div_ceil(block as u64);
    let symbols = u64::from(frame.preamble_symbols) + 8 + blocks * (u64::from(frame.coding_rate) + 4);
    let quarter_symbols = 4 * symbols + if sf >= 7 { 17 } else { 25 };
    quarter_symbols * (250_000 << sf) / u64::from(bw_hz.max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::radio::downlink_airtime_us;

    fn frame(modulation: Modulation, size: u16) -> Frame {
        Frame {
            frequency_hz: 869_525_000,
            modulation,
            coding_rate: 1,
            deviation_khz: 25,
            preamble_symbols: 8,
            inverted_iq: true,
            crc: false,
            implicit_header: false,
            size,
            phy_payload: vec![0; usize::from(size)],
            is_swallowed: false,
        }
    }

    #[test]
    fn time_on_air_is_what_other_peoples_programs_computed() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/vectors/airtime_vectors.json")).unwrap();
        let mut compared = 0;
        for vector in vectors["vectors"].as_array().unwrap() {
            let number = |key: &str| vector[key].as_u64().unwrap();
            if vector["modulation"] != "LORA" {
                continue;
            }
            let (sf, bw_hz) = (number("sf") as u8, number("bw_hz") as u32);
            if vector["ldro"].as_bool().unwrap() != (symbol_us(sf, bw_hz) >= SLOW_SYMBOL_US) {
                continue;
            }
            let mut frame = frame(Modulation::LoRa { sf, bw_hz }, number("payload_len") as u16);
            frame.coding_rate = number("cr") as u8;
            frame.preamble_symbols = number("preamble_symbols") as u16;
            frame.crc = vector["crc"].as_bool().unwrap();
            frame.implicit_header = !vector["explicit_header"].as_bool().unwrap();
            assert_eq!(on_air_us(&frame), number("expected_us"), "{vector}");
            if let Some(ms) = vector["ms_sx1302_hal"].as_u64() {
                assert_eq!(reserved_us(&frame), ms * 1000, "{vector}");
            }
            compared += 1;
        }
        assert!(compared > 70, "{compared}");
    }

    #[test]
    fn a_proper_downlink_takes_what_the_room_radio_says() {
        for sf in 7..=12 {
            for bw_hz in [125_000, 500_000] {
                for size in [13, 64, 115, 255] {
                    let modulation = Modulation::LoRa { sf, bw_hz };
                    let ours = on_air_us(&frame(modulation, size));
                    assert_eq!(ours, downlink_airtime_us(modulation, usize::from(size)));
                }
            }
        }
    }

    #[test]
    fn fsk_of_255_bytes_takes_42_56_ms_and_reserves_43() {
        let mut frame = frame(Modulation::Gfsk { bit_rate_bps: 50_000 }, 255);
        frame.preamble_symbols = 5;
        frame.crc = true;
        assert_eq!((on_air_us(&frame), reserved_us(&frame)), (42_560, 43_000));
    }

    #[test]
    fn at_sf12_and_500_khz_more_is_reserved_than_sent() {
        let frame = frame(Modulation::LoRa { sf: 12, bw_hz: 500_000 }, 66);
        assert_eq!((on_air_us(&frame), reserved_us(&frame)), (616_448, 698_000));
    }
}
