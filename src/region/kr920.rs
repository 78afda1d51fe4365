//! KR920-923: RP002-1.0.5 3.11, under the Korean rule for unlicensed stations: listen before talk.

use crate::radio::Dbm;
use crate::region::data_rate::DR0;
use crate::region::data_rate::DR1;
use crate::region::data_rate::DR2;
use crate::region::data_rate::DR3;
use crate::region::data_rate::DR4;
use crate::region::data_rate::DR5;
use crate::region::data_rate::DR12;
use crate::region::data_rate::DR13;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Raster;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::Listen;
use crate::region::sub_band::NO_DUTY_LIMIT;
use crate::region::sub_band::SubBand;

/// Power of a gateway, 23 dBm EIRP on all channels (RP002-1.0.5 3.11); devices send 10 dBm below 922 MHz, 14 above.
const GATEWAY: Dbm = Dbm::from_whole(23);

/// KR920-923: Korea, 920-923 MHz (RP002-1.0.5 3.11).
pub(super) const KR920: Parameters = Parameters {
    region: RfRegion::Kr920,
    rp_name: "KR920-923",
    withdrawn: None,
    // The outer borders of the first and the last channel, 200 kHz wide.
    freq_min_hz: 920_800_000,
    freq_max_hz: 923_400_000,
    centres_hz: (920_900_000, 923_300_000),
    // RP002-1.0.5 3.11: neither 250 kHz nor GFSK.
    data_rates: &[DR0, DR1, DR2, DR3, DR4, DR5, DR12, DR13],
    uplink_only: &[],
    downlink_raster: Some(Raster {
        first_hz: 920_900_000,
        step_hz: 200_000,
        count: 13,
        clause: "RP002-1.0.5 3.11: 920.9 to 923.3 MHz in steps of 200 kHz",
    }),
    sub_bands: &[
        // One frequency plan senses for 128 us: that is Japan's rule, not this one.
        SubBand {
            max_tx_us: Some(4_000_000),
            min_pause_us: 50_000,
            listen: Some(Listen { threshold: Dbm::from_whole(-65), sense_us: 5_000, bandwidth_hz: None }),
            ..SubBand::hourly(
                "KR-LBT",
                920_800_000,
                923_400_000,
                NO_DUTY_LIMIT,
                GATEWAY,
                "RP002-1.0.5 3.11 and the Korean rule: listen before talk, 4 s, 50 ms of pause",
            )
        },
        // The rule's other choice: 2 % of 20 s, in pieces of at most 400 ms. RP002 does not choose it.
        SubBand {
            window_us: 20_000_000,
            max_tx_us: Some(400_000),
            needs_opt_in: true,
            ..SubBand::hourly(
                "KR-duty",
                920_800_000,
                923_400_000,
                20_000,
                GATEWAY,
                "the Korean rule without listen before talk: 2 % of 20 s, 400 ms",
            )
        },
    ],
    // RP002-1.0.5 3.11, receive windows.
    rx2: Rx2 { frequency_hz: 921_900_000, dr: 0 },
    // RP002-1.0.5 3.11, Class B beacon.
    class_b: ClassB {
        beacon_frequencies_hz: &[923_100_000],
        beacon_dr: 3,
        beacon_bytes: 17,
        ping_slot_frequencies_hz: &[923_100_000],
        ping_slot_dr: 3,
    },
    // RP002-1.0.5 3.11: this region has no TxParamSetupReq, so no dwell time to switch.
    dwell_downlink_us: None,
};
