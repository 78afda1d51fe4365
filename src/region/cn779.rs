//! CN779-787: RP002-1.0.3, a region that is withdrawn.

use crate::radio::Dbm;
use crate::region::data_rate::DR0;
use crate::region::data_rate::DR1;
use crate::region::data_rate::DR2;
use crate::region::data_rate::DR3;
use crate::region::data_rate::DR4;
use crate::region::data_rate::DR5;
use crate::region::data_rate::DR6;
use crate::region::data_rate::DR7;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::SubBand;

/// CN779-787: China, withdrawn (RP002-1.0.3).
pub(super) const CN779: Parameters = Parameters {
    region: RfRegion::Cn779,
    rp_name: "CN779-787",
    withdrawn: Some(
        "no production, import or installation after 2021-01-01 (RP002-1.0.3, CN779-787), and 698-787 MHz \
         ended for such devices on 2022-01-01 (MIIT notice 52 of 2019)",
    ),
    freq_min_hz: 779_000_000,
    freq_max_hz: 787_000_000,
    // RP002-1.0.3, CN779-787, channel frequencies: devices take centres in this range only.
    centres_hz: (779_500_000, 786_500_000),
    // RP002-1.0.3, CN779-787, data rates and maximum payload size.
    data_rates: &[DR0, DR1, DR2, DR3, DR4, DR5, DR6, DR7],
    uplink_only: &[],
    downlink_raster: None,
    sub_bands: &[SubBand::hourly(
        "CN779",
        779_000_000,
        787_000_000,
        10_000,
        Dbm::from_centi(1000 + 215),
        "RP V1.0.3 revision A, CN779-787: 10 mW ERP, below 1 %",
    )],
    // RP002-1.0.3, CN779-787, receive windows.
    rx2: Rx2 { frequency_hz: 786_000_000, dr: 0 },
    // RP002-1.0.3, CN779-787, Class B beacon.
    class_b: ClassB {
        beacon_frequencies_hz: &[785_000_000],
        beacon_dr: 3,
        beacon_bytes: 17,
        ping_slot_frequencies_hz: &[785_000_000],
        ping_slot_dr: 3,
    },
    dwell_downlink_us: None,
};
