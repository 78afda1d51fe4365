//! RU864-870: RP002-1.0.5 3.13, under the decision 18-46-03-1 of the Russian State Commission for Radio
//! Frequencies (GKRCh). Network servers spread 1 % over all of it; the decision has three sub-bands and gaps.

use crate::radio::Dbm;
use crate::region::data_rate::EU868_LIKE;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::SubBand;

const CLAUSE: &str = "GKRCh decision 18-46-03-1 of 2018-09-11, annex 12";

/// EIRP of 14 dBm (25 mW) ERP.
const ERP_14_DBM: Dbm = Dbm::from_centi(1400 + 215);
/// EIRP of 20 dBm (100 mW) ERP.
const ERP_20_DBM: Dbm = Dbm::from_centi(2000 + 215);

/// RU864-870: Russia, 864-870 MHz (RP002-1.0.5 3.13).
pub(super) const RU864: Parameters = Parameters {
    region: RfRegion::Ru864,
    rp_name: "RU864-870",
    withdrawn: None,
    freq_min_hz: 864_000_000,
    freq_max_hz: 870_000_000,
    centres_hz: (864_000_000, 870_000_000),
    data_rates: EU868_LIKE,
    uplink_only: &[],
    downlink_raster: None,
    sub_bands: &[
        SubBand::hourly("864", 864_000_000, 865_000_000, 1_000, ERP_14_DBM, CLAUSE),
        // The density limit of 1 W in 1 MHz cannot bite: 25 mW in 125 kHz are 200 mW.
        SubBand::hourly("866", 866_000_000, 868_000_000, 10_000, ERP_14_DBM, CLAUSE),
        // RX2, ping slots and both default channels. The default power is what network servers send.
        SubBand {
            default_eirp: ERP_14_DBM,
            ..SubBand::hourly("868.7", 868_700_000, 869_200_000, 100_000, ERP_20_DBM, CLAUSE)
        },
    ],
    // RP002-1.0.5 3.13, receive windows.
    rx2: Rx2 { frequency_hz: 869_100_000, dr: 0 },
    // RP002-1.0.5 3.13, Class B beacon.
    class_b: ClassB {
        beacon_frequencies_hz: &[869_100_000],
        beacon_dr: 3,
        beacon_bytes: 17,
        ping_slot_frequencies_hz: &[868_900_000],
        ping_slot_dr: 3,
    },
    // RP002-1.0.5 3.13: this region has no TxParamSetupReq, so no dwell time to switch.
    dwell_downlink_us: None,
};
