//! Uplinks of devices that belong to nobody here: they teach the concentrator's counter, and nobody answers them.

use super::concentrator::Reception;
use super::random::Random;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::radio::UplinkRate;
use crate::time::Instant;

const UPLINK_PHY: [u8; 24] = [0x40; 24];
/// Prime to the number of uplinks after which the mix repeats.
const STRIDE: u64 = 37;

/// How long it is until the next one ends, microseconds; `None` where there are none.
pub(super) fn wait_us(per_hour: u32, rng: &mut Random) -> Option<u64> {
    let mean_us = 3_600_000_000_u64.checked_div(u64::from(per_hour))?;
    Some(rng.range(1, 2 * mean_us))
}

/// The data rate of uplink number `number`: each has its share of every `mix.weight()` uplinks.
pub(super) fn rate(mix: &UplinkMix, number: u64) -> Option<UplinkRate> {
    let mut at = number.wrapping_mul(STRIDE) % mix.weight().max(1);
    mix.rates().iter().copied().find(|rate| {
        let is_it = at < rate.weight;
        at = at.saturating_sub(rate.weight);
        is_it
    })
}

/// An uplink of one of our devices that ends at `now`.
pub(super) fn of_device(now: Instant, airtime_us: u64, phy_payload: &[u8]) -> Reception<'_> {
    Reception {
        start: now.minus_us(airtime_us),
        frequency_hz: 868_100_000,
        modulation: Modulation::LoRa { sf: 7, bw_hz: 125_000 },
        phy_payload,
        rssi: Dbm::from_whole(-90),
        snr_tenths_db: 70,
    }
}

/// An uplink that ends at `now`.
pub(super) fn reception(now: Instant, rate: UplinkRate) -> Reception<'static> {
    Reception {
        start: now.minus_us(rate.airtime_us),
        frequency_hz: 868_100_000,
        modulation: rate.modulation,
        phy_payload: &UPLINK_PHY,
        rssi: Dbm::from_whole(-90),
        snr_tenths_db: 70,
    }
}
