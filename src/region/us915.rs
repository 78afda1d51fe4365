//! US902-928: RP002-1.0.5 3.5, under FCC 47 CFR 15.247 (Canada: RSS-247).

use crate::radio::Dbm;
use crate::region::ClassB;
use crate::region::DataRate;
use crate::region::Parameters;
use crate::region::Raster;
use crate::region::RfRegion;
use crate::region::Rx2;
use crate::region::SubBand;
use crate::region::UplinkOnly;
use crate::region::parameters::HOUR_US;
use crate::region::parameters::NO_DUTY_LIMIT;

/// The eight downlink channels (RP002-1.0.5 3.5, channel frequencies): 500 kHz wide, 600 kHz apart.
const DOWNLINK_CHANNELS_HZ: &[u32] =
    &[923_300_000, 923_900_000, 924_500_000, 925_100_000, 925_700_000, 926_300_000, 926_900_000, 927_500_000];

const UPLINK_125_KHZ: &str = "a 125 kHz rate of the uplink channels";
const LR_FHSS: &str = "LR-FHSS, which devices only send";

/// US915.
pub(super) const US915: Parameters = Parameters {
    region: RfRegion::Us915,
    rp_name: "US902-928",
    freq_min_hz: 902_000_000,
    freq_max_hz: 928_000_000,
    // RP002-1.0.5 3.5, data rates and maximum payload size; unless marked the same since 1.0.3. DR0 and DR8
    // mean other things in uplinks.
    data_rates: &[
        DataRate::lora(0, 5, 500_000, 250).since("RP002-1.0.5"),
        DataRate::lora(8, 12, 500_000, 61),
        DataRate::lora(9, 11, 500_000, 137),
        DataRate::lora(10, 10, 500_000, 250),
        DataRate::lora(11, 9, 500_000, 250),
        DataRate::lora(12, 8, 500_000, 250),
        DataRate::lora(13, 7, 500_000, 250),
        DataRate::lora(14, 6, 500_000, 250).since("RP002-1.0.5"),
    ],
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
    downlink_raster: Some(Raster {
        first_hz: 923_300_000,
        step_hz: 600_000,
        count: 8,
        clause: "RP002-1.0.5 3.5: 923.3 to 927.5 MHz in steps of 600 kHz",
    }),
    // 500 kHz of LoRa is digital modulation (DTS): no dwell time, no duty cycle. 36 dBm EIRP is 30 dBm
    // conducted with an antenna of 6 dBi, 15.247(b)(3) and (b)(4). The density limit of 8 dBm in 3 kHz,
    // 15.247(e), bites first, near 26 dBm conducted: hence the default, also that of RP V1.0.2.
    sub_bands: &[SubBand {
        label: "DTS",
        min_hz: 923_000_000,
        max_hz: 928_000_000,
        duty_ppm: NO_DUTY_LIMIT,
        window_us: HOUR_US,
        max_eirp: Dbm::from_whole(36),
        default_eirp: Dbm::from_whole(26),
        max_tx_us: None,
        needs_opt_in: false,
        clause: "FCC 47 CFR 15.247(b)",
    }],
    // RP002-1.0.5 3.5, receive windows.
    rx2: Rx2 { frequency_hz: 923_300_000, dr: 8 },
    // RP002-1.0.5 3.5, Class B beacon. The beacon hops: channel = floor(beacon time in s / 128) mod 8.
    class_b: ClassB {
        beacon_frequencies_hz: DOWNLINK_CHANNELS_HZ,
        beacon_dr: 8,
        beacon_bytes: 23,
        ping_slot_frequencies_hz: DOWNLINK_CHANNELS_HZ,
        ping_slot_dr: 8,
    },
    // The 400 ms of 15.247(a)(1) bind frequency hoppers: uplinks of 125 kHz.
    dwell_downlink_us: None,
};
