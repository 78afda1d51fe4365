//! EU433: RP002-1.0.5 3.7, under EN 300 220.

use crate::region::data_rate::EU868_LIKE;
use crate::region::etsi::EN_300_220_433;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;

/// EU433: Europe, 433 MHz (RP002-1.0.5 3.7).
pub(super) const EU433: Parameters = Parameters {
    region: RfRegion::Eu433,
    rp_name: "EU433",
    withdrawn: None,
    freq_min_hz: 433_050_000,
    freq_max_hz: 434_790_000,
    // RP002-1.0.5 3.7, channel frequencies: devices take centres in this range only.
    centres_hz: (433_175_000, 434_665_000),
    data_rates: EU868_LIKE,
    uplink_only: &[],
    downlink_raster: None,
    sub_bands: EN_300_220_433,
    // RP002-1.0.5 3.7, receive windows.
    rx2: Rx2 { frequency_hz: 434_665_000, dr: 0 },
    // RP002-1.0.5 3.7, Class B beacon. One network server has 434.655 MHz: two digits swapped.
    class_b: ClassB {
        beacon_frequencies_hz: &[434_665_000],
        beacon_dr: 3,
        beacon_bytes: 17,
        ping_slot_frequencies_hz: &[434_665_000],
        ping_slot_dr: 3,
    },
    // RP002-1.0.5 3.7: this region has no TxParamSetupReq, so no dwell time to switch.
    dwell_downlink_us: None,
};
