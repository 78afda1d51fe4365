//! US902-928: RP002-1.0.5 3.5, under FCC 47 CFR 15.247 (Canada: RSS-247).

use crate::radio::Dbm;
use crate::region::data_rate::LR_FHSS;
use crate::region::data_rate::UPLINK_125_KHZ;
use crate::region::data_rate::US915_LIKE;
use crate::region::data_rate::UplinkOnly;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Raster;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::NO_DUTY_LIMIT;
use crate::region::sub_band::SubBand;

/// The eight downlink channels of US915 and AU915 (RP002-1.0.5 3.5 and 3.8, channel frequencies): 500 kHz
/// wide, 600 kHz apart.
pub(super) const DOWNLINK_CHANNELS_HZ: &[u32] =
    &[923_300_000, 923_900_000, 924_500_000, 925_100_000, 925_700_000, 926_300_000, 926_900_000, 927_500_000];

/// The eight downlink channels as a [`Raster`], with the `clause` that sets them.
pub(super) const fn downlink_raster(clause: &'static str) -> Option<Raster> {
    Some(Raster { first_hz: 923_300_000, step_hz: 600_000, count: 8, clause })
}

/// Class B of US915 and AU915 (RP002-1.0.5 3.5 and 3.8, Class B beacon). Both hop: the beacon is on channel
/// floor(beacon time in s / 128) mod 8, the ping slots on that plus the address.
pub(super) const CLASS_B: ClassB = ClassB {
    beacon_frequencies_hz: DOWNLINK_CHANNELS_HZ,
    beacon_dr: 8,
    beacon_bytes: 23,
    ping_slot_frequencies_hz: DOWNLINK_CHANNELS_HZ,
    ping_slot_dr: 8,
};

/// US902-928: North America, 902-928 MHz (RP002-1.0.5 3.5).
pub(super) const US915: Parameters = Parameters {
    region: RfRegion::Us915,
    rp_name: "US902-928",
    withdrawn: None,
    freq_min_hz: 902_000_000,
    freq_max_hz: 928_000_000,
    centres_hz: (902_000_000, 928_000_000),
    data_rates: US915_LIKE,
    uplink_only: &[
        UplinkOnly { dr: 1, reason: UPLINK_125_KHZ },
        UplinkOnly { dr: 2, reason: UPLINK_125_KHZ },
        UplinkOnly { dr: 3, reason: UPLINK_125_KHZ },
        UplinkOnly {
            dr: 4,
            reason: "the 500 kHz rate of the uplink channels; as a downlink SF8 at 500 kHz is DR12",
        },
        UplinkOnly { dr: 5, reason: LR_FHSS },
        UplinkOnly { dr: 6, reason: LR_FHSS },
        UplinkOnly { dr: 7, reason: "an uplink rate, new in RP002-1.0.5" },
    ],
    downlink_raster: downlink_raster("RP002-1.0.5 3.5: 923.3 to 927.5 MHz in steps of 600 kHz"),
    // 500 kHz of LoRa is digital modulation (DTS): no dwell time, no duty cycle. 36 dBm EIRP is 30 dBm
    // conducted with an antenna of 6 dBi, 15.247(b)(3) and (b)(4). The density limit of 8 dBm in 3 kHz,
    // 15.247(e), bites first, near 26 dBm conducted: hence the default, also that of RP V1.0.2.
    sub_bands: &[SubBand {
        default_eirp: Dbm::from_whole(26),
        max_conducted: Some(Dbm::from_whole(30)),
        ..SubBand::hourly(
            "DTS",
            923_000_000,
            928_000_000,
            NO_DUTY_LIMIT,
            Dbm::from_whole(36),
            "FCC 47 CFR 15.247(b)",
        )
    }],
    // RP002-1.0.5 3.5, receive windows.
    rx2: Rx2 { frequency_hz: 923_300_000, dr: 8 },
    class_b: CLASS_B,
    // The 400 ms of 15.247(a)(1) bind frequency hoppers: uplinks of 125 kHz.
    dwell_downlink_us: None,
};
