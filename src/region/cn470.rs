//! CN470-510: RP002-1.0.5 3.9, under MIIT notice 52 of 2019.
//!
//! The table covers the channel plans of RP002 (20A, 20B, 26A, 26B). A network uses one of them, and each has
//! another RX2, so an operator has to ask the network which one it uses.

use crate::radio::Dbm;
use crate::region::data_rate::DR4;
use crate::region::data_rate::DR5;
use crate::region::data_rate::DR7;
use crate::region::data_rate::DataRate;
use crate::region::data_rate::UplinkOnly;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::NO_DUTY_LIMIT;
use crate::region::sub_band::SubBand;

/// Text of [`Note::Cn470HasPlans`](crate::region::Note) (RP002-1.0.5 3.9.7; before RP002: RP V1.0.2).
pub(super) const RX2_BY_PLAN: &str = "CN470 has several channel plans with an RX2 each: 20A 486.9 MHz (devices that joined by \
     radio: 485.3, 486.9, 488.5, 490.1, 491.7, 493.3, 494.9 or 496.5), 20B 478.3 or 498.3, 26A 492.5, 26B 502.5, all DR1; \
     before RP002 505.3 at DR0: ask the network which it uses and set frequency-hz";

/// Block of eight channels, 200 kHz apart, of the first join channel of plan 20A.
const BEACON_CHANNELS_HZ: &[u32] =
    &[483_900_000, 484_100_000, 484_300_000, 484_500_000, 484_700_000, 484_900_000, 485_100_000, 485_300_000];

/// CN470-510: China (RP002-1.0.5 3.9).
pub(super) const CN470: Parameters = Parameters {
    region: RfRegion::Cn470,
    rp_name: "CN470-510",
    withdrawn: None,
    freq_min_hz: 470_000_000,
    freq_max_hz: 510_000_000,
    centres_hz: (470_000_000, 510_000_000),
    // RP002-1.0.5 3.9: sizes that keep every frame below 1 s. One network server has M = 172 for DR3; 192
    // last 984 ms.
    data_rates: &[
        DataRate::lora(1, 11, 125_000, 31),
        DataRate::lora(2, 10, 125_000, 94),
        DataRate::lora(3, 9, 125_000, 192),
        DR4,
        DR5,
        // Wider than the 200 kHz of the law below: it has a table row, but no place.
        DataRate::lora(6, 7, 500_000, 250),
        DR7,
    ],
    uplink_only: &[UplinkOnly {
        dr: 0,
        reason: "SF12 cannot keep below the 1 s that one transmission may last (RP002-1.0.5 3.9)",
    }],
    downlink_raster: None,
    // Civil metering in small areas only. 50 mW ERP.
    sub_bands: &[SubBand {
        max_tx_us: Some(1_000_000),
        max_bandwidth_hz: Some(200_000),
        ..SubBand::hourly(
            "CN",
            470_000_000,
            510_000_000,
            NO_DUTY_LIMIT,
            Dbm::from_centi(1700 + 215),
            "MIIT notice 52 of 2019: 50 mW ERP, 1 s, 200 kHz",
        )
    }],
    // RP002-1.0.5 3.9.7, plan 20A, devices activated by personalisation.
    rx2: Rx2 { frequency_hz: 486_900_000, dr: 1 },
    // RP002-1.0.5 3.9, Class B beacon, plan 20A: both hop.
    class_b: ClassB {
        beacon_frequencies_hz: BEACON_CHANNELS_HZ,
        beacon_dr: 2,
        beacon_bytes: 19,
        ping_slot_frequencies_hz: BEACON_CHANNELS_HZ,
        ping_slot_dr: 2,
    },
    // RP002-1.0.5 3.9: this region has no TxParamSetupReq, so no dwell time to switch.
    dwell_downlink_us: None,
};
