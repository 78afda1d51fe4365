//! EU863-870: RP002-1.0.5 3.4, under EN 300 220.

use crate::radio::Modulation;
use crate::region::ClassB;
use crate::region::DataRate;
use crate::region::Parameters;
use crate::region::RfRegion;
use crate::region::Rx2;
use crate::region::UplinkOnly;
use crate::region::etsi::EN_300_220_863_870;

const LR_FHSS: &str = "LR-FHSS, which devices only send";

/// EU868.
pub(super) const EU868: Parameters = Parameters {
    region: RfRegion::Eu868,
    rp_name: "EU863-870",
    freq_min_hz: 863_000_000,
    freq_max_hz: 870_000_000,
    // RP002-1.0.5 3.4, data rates and maximum payload size; unless marked the same since 1.0.3. DR4 is 250
    // like its neighbours: one network server prints 230, which is the value behind a repeater.
    data_rates: &[
        DataRate::lora(0, 12, 125_000, 59),
        DataRate::lora(1, 11, 125_000, 59),
        DataRate::lora(2, 10, 125_000, 59),
        DataRate::lora(3, 9, 125_000, 123),
        DataRate::lora(4, 8, 125_000, 250),
        DataRate::lora(5, 7, 125_000, 250),
        DataRate::lora(6, 7, 250_000, 250),
        DataRate {
            dr: 7,
            modulation: Modulation::Gfsk { bit_rate_bps: 50_000 },
            max_mac_payload: 250,
            max_mac_payload_dwell: None,
            since: None,
        },
        DataRate::lora(12, 6, 125_000, 250).since("RP002-1.0.5"),
        DataRate::lora(13, 5, 125_000, 250).since("RP002-1.0.5"),
    ],
    uplink_only: &[
        UplinkOnly { dr: 8, reason: LR_FHSS },
        UplinkOnly { dr: 9, reason: LR_FHSS },
        UplinkOnly { dr: 10, reason: LR_FHSS },
        UplinkOnly { dr: 11, reason: LR_FHSS },
    ],
    // Channels are created by the network anywhere in the band.
    downlink_raster: None,
    sub_bands: EN_300_220_863_870,
    // RP002-1.0.5 3.4, receive windows.
    rx2: Rx2 { frequency_hz: 869_525_000, dr: 0 },
    // RP002-1.0.5 3.4, Class B beacon.
    class_b: ClassB {
        beacon_frequencies_hz: &[869_525_000],
        beacon_dr: 3,
        beacon_bytes: 17,
        ping_slot_frequencies_hz: &[869_525_000],
        ping_slot_dr: 3,
    },
    // RP002-1.0.5 3.4: TxParamSetupReq is not implemented here.
    dwell_downlink_us: None,
};
