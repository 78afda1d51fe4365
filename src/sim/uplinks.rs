//! Uplinks of devices that belong to nobody here: they teach the concentrator's counter, and nobody answers them.

use super::concentrator::Reception;
use super::random::Random;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::time::Instant;

/// Airtime and form of such an uplink.
const UPLINK_US: u64 = 61_696;
const UPLINK_PHY: [u8; 23] = [0x40; 23];

/// How long it is until the next one ends, microseconds; `None` where there are none.
pub(super) fn wait_us(per_hour: u32, rng: &mut Random) -> Option<u64> {
    let mean_us = 3_600_000_000_u64.checked_div(u64::from(per_hour))?;
    Some(rng.range(1, 2 * mean_us))
}

/// An uplink that ends at `now`.
pub(super) fn reception(now: Instant) -> Reception<'static> {
    Reception {
        start: now.minus_us(UPLINK_US),
        frequency_hz: 868_100_000,
        modulation: Modulation::LoRa { sf: 7, bw_hz: 125_000 },
        phy_payload: &UPLINK_PHY,
        rssi: Dbm::from_whole(-90),
        snr_tenths_db: 70,
    }
}
