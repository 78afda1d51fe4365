//! AU915-928: RP002-1.0.5 3.8, under the Australian LIPD class licence (Brazil and others: the same channels).

use crate::radio::Dbm;
use crate::region::data_rate::LR_FHSS;
use crate::region::data_rate::UPLINK_125_KHZ;
use crate::region::data_rate::US915_LIKE;
use crate::region::data_rate::UplinkOnly;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::NO_DUTY_LIMIT;
use crate::region::sub_band::SubBand;
use crate::region::us915::CLASS_B;
use crate::region::us915::downlink_raster;

/// AU915. Its downlinks are those of US915.
pub(super) const AU915: Parameters = Parameters {
    region: RfRegion::Au915,
    rp_name: "AU915-928",
    withdrawn: None,
    freq_min_hz: 915_000_000,
    freq_max_hz: 928_000_000,
    centres_hz: (915_000_000, 928_000_000),
    data_rates: US915_LIKE,
    uplink_only: &[
        UplinkOnly { dr: 1, reason: UPLINK_125_KHZ },
        UplinkOnly { dr: 2, reason: UPLINK_125_KHZ },
        UplinkOnly { dr: 3, reason: UPLINK_125_KHZ },
        UplinkOnly { dr: 4, reason: UPLINK_125_KHZ },
        UplinkOnly { dr: 5, reason: UPLINK_125_KHZ },
        UplinkOnly {
            dr: 6,
            reason: "the 500 kHz rate of the uplink channels; as a downlink SF8 at 500 kHz is DR12",
        },
        UplinkOnly { dr: 7, reason: LR_FHSS },
    ],
    downlink_raster: downlink_raster("RP002-1.0.5 3.8: 923.3 to 927.5 MHz in steps of 600 kHz"),
    // 1 W EIRP, digital modulation of at least 500 kHz. The default is what one network server sends.
    sub_bands: &[SubBand {
        default_eirp: Dbm::from_whole(27),
        ..SubBand::hourly(
            "AU",
            915_000_000,
            928_000_000,
            NO_DUTY_LIMIT,
            Dbm::from_whole(30),
            "LIPD class licence 2015, 915-928 MHz: 1 W EIRP",
        )
    }],
    // RP002-1.0.5 3.8, receive windows.
    rx2: Rx2 { frequency_hz: 923_300_000, dr: 8 },
    class_b: CLASS_B,
    // TxParamSetupReq exists here but changes the sizes of uplinks only.
    dwell_downlink_us: None,
};
