//! Time on air against the answers of other people's programs (`vectors/airtime_vectors.json`: each value
//! computed by an exact formula and confirmed by the compiled code bases named in it).

use fuotad::radio::LoRaPacket;
use fuotad::radio::Modulation;
use fuotad::radio::downlink_airtime_us;
use fuotad::radio::forwarder_airtime_us;
use fuotad::radio::gfsk_airtime_us;
use fuotad::radio::lora_airtime_us;
use serde_json::Value;

fn vectors() -> Vec<Value> {
    let text = include_str!("../vectors/airtime_vectors.json");
    let mut file: Value = serde_json::from_str(text).expect("the vectors are JSON");
    let Value::Array(vectors) = file["vectors"].take() else { panic!("no vectors") };
    assert_eq!(vectors.len(), 84);
    vectors
}

fn number<T: TryFrom<u64>>(vector: &Value, key: &str) -> T {
    let number = vector[key].as_u64().unwrap_or_else(|| panic!("no {key} in {vector}"));
    T::try_from(number).unwrap_or_else(|_| panic!("{key} too large in {vector}"))
}

fn flag(vector: &Value, key: &str) -> bool {
    vector[key].as_bool().unwrap_or_else(|| panic!("no {key} in {vector}"))
}

fn lora(vector: &Value) -> Option<LoRaPacket> {
    (vector["modulation"] == "LORA").then(|| LoRaPacket {
        sf: number(vector, "sf"),
        bw_hz: number(vector, "bw_hz"),
        cr: number(vector, "cr"),
        preamble_symbols: number(vector, "preamble_symbols"),
        explicit_header: flag(vector, "explicit_header"),
        crc: flag(vector, "crc"),
        low_data_rate: Some(flag(vector, "ldro")),
        phy_len: number(vector, "payload_len"),
    })
}

/// The vectors that are LoRaWAN downlinks as we send them.
fn downlinks() -> Vec<(Modulation, usize, Value)> {
    let mut downlinks = Vec::new();
    for vector in vectors() {
        if let Some(packet) = lora(&vector) {
            let preamble_symbols = if packet.sf < 7 { 12 } else { 8 };
            let is_forced = (93..=96).contains(&number::<u64>(&vector, "id"));
            let is_ours = packet.cr == 1 && packet.explicit_header && !packet.crc && !is_forced;
            if is_ours && packet.preamble_symbols == preamble_symbols {
                downlinks.push((
                    Modulation::LoRa { sf: packet.sf, bw_hz: packet.bw_hz },
                    packet.phy_len,
                    vector,
                ));
            }
        } else if flag(&vector, "crc") && vector["preamble_bytes"] == 5 {
            let modulation = Modulation::Gfsk { bit_rate_bps: number(&vector, "bitrate") };
            downlinks.push((modulation, number(&vector, "payload_len"), vector));
        }
    }
    assert!(downlinks.len() > 40, "only {}", downlinks.len());
    downlinks
}

#[test]
fn every_vector_lasts_exactly_as_long_as_other_programs_say() {
    for vector in vectors() {
        let airtime_us = match lora(&vector) {
            Some(packet) => lora_airtime_us(&packet),
            None => gfsk_airtime_us(
                number(&vector, "bitrate"),
                number(&vector, "preamble_bytes"),
                number(&vector, "payload_len"),
                flag(&vector, "crc"),
            ),
        };
        assert_eq!(airtime_us, Ok(number(&vector, "expected_us")), "{vector}");
    }
}

#[test]
fn the_natural_rule_of_low_data_rate_optimisation_gives_the_same() {
    for vector in vectors() {
        let is_forced = (93..=96).contains(&number::<u64>(&vector, "id"));
        if let Some(packet) = lora(&vector).filter(|_| !is_forced) {
            let natural = lora_airtime_us(&LoRaPacket { low_data_rate: None, ..packet });
            assert_eq!(natural, Ok(number(&vector, "expected_us")), "{vector}");
        }
    }
}

#[test]
fn a_downlink_needs_only_its_modulation_and_length() {
    for (modulation, phy_len, vector) in downlinks() {
        assert_eq!(
            downlink_airtime_us(modulation, phy_len),
            number::<u64>(&vector, "expected_us"),
            "{vector}"
        );
    }
}

#[test]
fn the_forwarder_never_reserves_more_than_we_believe() {
    for (modulation, phy_len, vector) in downlinks() {
        let believed_us = forwarder_airtime_us(modulation, phy_len);
        let reserved_us = 1000 * number::<u64>(&vector, "ms_sx1302_hal");
        assert!(believed_us >= reserved_us, "{believed_us} us for {vector}");
        assert!(believed_us - reserved_us <= 1000, "{believed_us} us for {vector}");
        assert!(believed_us >= downlink_airtime_us(modulation, phy_len), "{vector}");
    }
}

#[test]
fn the_check_values_of_the_regions_data_rates_hold() {
    // Data rate, PHYPayload bytes, exact us, ms that the packet forwarder reserves.
    let rows = [
        ("EU868 DR0", "SF12BW125", 64, 2_793_472, 2793),
        ("EU868 DR2", "SF10BW125", 64, 698_368, 698),
        ("EU868 DR3", "SF9BW125", 128, 676_864, 677),
        ("EU868 DR4", "SF8BW125", 255, 696_832, 697),
        ("EU868 DR5", "SF7BW125", 255, 394_496, 394),
        ("EU868 DR6", "SF7BW250", 255, 197_248, 197),
        ("EU868 DR7", "50000", 255, 42_560, 43),
        ("US915 DR8", "SF12BW500", 66, 616_448, 698),
        ("US915 DR9", "SF11BW500", 142, 615_424, 738),
        ("US915 DR13", "SF7BW500", 255, 98_624, 99),
        ("AS923 DR2, dwell", "SF10BW125", 24, 370_688, 371),
        ("AS923 DR4, dwell", "SF8BW125", 138, 399_872, 400),
        ("CN470 DR3", "SF9BW125", 197, 984_064, 984),
    ];
    for (name, datr, phy_len, exact_us, reserved_ms) in rows {
        let modulation: Modulation = datr.parse().unwrap();
        assert_eq!(downlink_airtime_us(modulation, phy_len), exact_us, "{name}");
        let believed_us = forwarder_airtime_us(modulation, phy_len);
        assert!(
            (reserved_ms * 1000..=reserved_ms * 1000 + 1000).contains(&believed_us),
            "{name}: {believed_us}"
        );
    }
}
