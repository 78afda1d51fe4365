//! EU863-870: RP002-1.0.5 3.4, under EN 300 220.

use crate::region::data_rate::EU868_LIKE;
use crate::region::data_rate::LR_FHSS;
use crate::region::data_rate::UplinkOnly;
use crate::region::etsi::EN_300_220_863_870;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;

/// EU863-870: Europe, 863-870 MHz (RP002-1.0.5 3.4).
pub(super) const EU868: Parameters = Parameters {
    region: RfRegion::Eu868,
    rp_name: "EU863-870",
    withdrawn: None,
    freq_min_hz: 863_000_000,
    freq_max_hz: 870_000_000,
    centres_hz: (863_000_000, 870_000_000),
    data_rates: EU868_LIKE,
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
    // RP002-1.0.5 3.4: this region has no TxParamSetupReq, so no dwell time to switch.
    dwell_downlink_us: None,
};
