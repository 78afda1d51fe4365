//! Class B beacons as the forwarder makes them (`beacon_period`, EU868's form: TS001-1.0.4 13.1, RP002-1.0.4).

use crate::radio::Modulation;
use crate::sim::concentrator::frame::Frame;

/// Beacons kept in the queue.
pub(super) const QUEUED: usize = 3;

/// The frame of the beacon at `gps_s`: 17 bytes at SF9, implicit header, no CRC, not inverted.
pub(super) fn frame(gps_s: u64, frequency_hz: u32) -> Frame {
    let mut phy_payload = vec![0; 2];
    phy_payload.extend((gps_s as u32).to_le_bytes());
    phy_payload.resize(17, 0);
    Frame {
        frequency_hz,
        modulation: Modulation::LoRa { sf: 9, bw_hz: 125_000 },
        coding_rate: 1,
        deviation_khz: 0,
        preamble_symbols: 10,
        inverted_iq: false,
        crc: false,
        implicit_header: true,
        size: 17,
        phy_payload,
    }
}
