//! IN865-867: RP002-1.0.5 3.12, under G.S.R. 168(E) of 2005.

use crate::radio::Dbm;
use crate::region::data_rate::DR0;
use crate::region::data_rate::DR1;
use crate::region::data_rate::DR2;
use crate::region::data_rate::DR3;
use crate::region::data_rate::DR4;
use crate::region::data_rate::DR5;
use crate::region::data_rate::DR7;
use crate::region::data_rate::DR12;
use crate::region::data_rate::DR13;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::NO_DUTY_LIMIT;
use crate::region::sub_band::SubBand;

/// IN865-867: India, 865-867 MHz (RP002-1.0.5 3.12).
pub(super) const IN865: Parameters = Parameters {
    region: RfRegion::In865,
    rp_name: "IN865-867",
    withdrawn: None,
    freq_min_hz: 865_000_000,
    freq_max_hz: 867_000_000,
    centres_hz: (865_000_000, 867_000_000),
    // RP002-1.0.5 3.12: there is no DR6.
    data_rates: &[DR0, DR1, DR2, DR3, DR4, DR5, DR7, DR12, DR13],
    uplink_only: &[],
    downlink_raster: None,
    // 1 W conducted, 200 kHz. The law allows 4 W ERP; the limit of RP002-1.0.5 is lower, and the default is
    // what one network server sends.
    sub_bands: &[SubBand {
        default_eirp: Dbm::from_whole(27),
        max_conducted: Some(Dbm::from_whole(30)),
        max_bandwidth_hz: Some(200_000),
        ..SubBand::hourly(
            "IN",
            865_000_000,
            867_000_000,
            NO_DUTY_LIMIT,
            Dbm::from_centi(2920),
            "G.S.R. 168(E) of 2005; RP002-1.0.5 3.12: 29.2 dBm EIRP",
        )
    }],
    // RP002-1.0.5 3.12, receive windows.
    rx2: Rx2 { frequency_hz: 866_550_000, dr: 2 },
    // RP002-1.0.5 3.12, Class B beacon: SF8 here, SF9 elsewhere. One network server has 866.5 MHz.
    class_b: ClassB {
        beacon_frequencies_hz: &[866_550_000],
        beacon_dr: 4,
        beacon_bytes: 19,
        ping_slot_frequencies_hz: &[866_550_000],
        ping_slot_dr: 4,
    },
    // RP002-1.0.5 3.12: this region has no TxParamSetupReq, so no dwell time to switch.
    dwell_downlink_us: None,
};
