//! The uplinks that a gateway of a region usually hears, where nobody has counted them yet.

use super::parameters::Parameters;
use super::rf_region::RfRegion;
use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::radio::UplinkRate;
use crate::radio::uplink_airtime_us;

/// PHYPayload of an uplink, bytes: 11 of payload, as many as SF10 carries where the dwell time is 400 ms.
const PHY_LEN: usize = 24;
/// Spreading factors and their shares under adaptive data rate, per cent: an estimate that what is heard replaces.
const ALL: [(u8, u64); 6] = [(7, 60), (8, 14), (9, 9), (10, 7), (11, 4), (12, 6)];
/// The same where the dwell time of uplinks ends at SF10 (RP002-1.0.4 2.5, 2.8, 2.9).
const TO_SF10: [(u8, u64); 4] = [(7, 60), (8, 14), (9, 9), (10, 17)];

impl Parameters {
    /// Uplink channels that devices usually have: the eight of a gateway where the plan fixes them, else those with which
    /// every device joins (RP002-1.0.4 2).
    pub fn usual_channels(&self) -> u64 {
        match self.region {
            RfRegion::Us915 | RfRegion::Au915 | RfRegion::Cn470 => 8,
            _ => 3,
        }
    }

    /// The usual uplinks of the region, an estimate.
    pub fn usual_uplinks(&self) -> UplinkMix {
        use RfRegion::As923_1;
        use RfRegion::As923_2;
        use RfRegion::As923_3;
        use RfRegion::As923_4;
        use RfRegion::Au915;
        use RfRegion::Us915;
        let shares: &[(u8, u64)] = match self.region {
            Us915 | Au915 | As923_1 | As923_2 | As923_3 | As923_4 => &TO_SF10,
            _ => &ALL,
        };
        UplinkMix::new(shares.iter().map(|(sf, weight)| {
            let modulation = Modulation::LoRa { sf: *sf, bw_hz: 125_000 };
            UplinkRate { modulation, airtime_us: uplink_airtime_us(modulation, PHY_LEN), weight: *weight }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::lookup::parameters;

    #[test]
    fn no_usual_uplink_is_longer_than_the_dwell_time_of_its_region() {
        let slowest_us = |region| parameters(region).unwrap().usual_uplinks().slowest_us();
        assert!((1_400_000..1_700_000).contains(&slowest_us(RfRegion::Eu868)));
        for region in [RfRegion::Us915, RfRegion::Au915, RfRegion::As923_2] {
            assert!(slowest_us(region) <= 400_000, "{region}");
        }
    }
}
