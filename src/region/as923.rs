//! AS923, groups 1 to 4: RP002-1.0.5 3.10. One table; a group shifts its frequencies by AS923_FREQ_OFFSET.
//!
//! The law differs by country, and a region is not a country. By default the cautious sub-band of RP002 applies; a
//! national rule applies only when the operator names it.

use crate::radio::Dbm;
use crate::region::data_rate::DR0;
use crate::region::data_rate::DR1;
use crate::region::data_rate::DR3;
use crate::region::data_rate::DR4;
use crate::region::data_rate::DR5;
use crate::region::data_rate::DR6;
use crate::region::data_rate::DR7;
use crate::region::data_rate::DR12;
use crate::region::data_rate::DR13;
use crate::region::data_rate::DataRate;
use crate::region::parameters::ClassB;
use crate::region::parameters::Parameters;
use crate::region::parameters::Rx2;
use crate::region::rf_region::RfRegion;
use crate::region::sub_band::Listen;
use crate::region::sub_band::NO_DUTY_LIMIT;
use crate::region::sub_band::SubBand;

/// AS923-1: Japan, Singapore, Australia and many more.
pub(super) const AS923_1: Parameters = table(&Group {
    region: RfRegion::As923_1,
    offset_hz: OFFSET_1_HZ,
    freq_min_hz: 915_000_000,
    freq_max_hz: 928_000_000,
    beacon_hz: &[923_400_000],
    sub_bands: &[
        conservative(915_000_000, 928_000_000, DEFAULT_1),
        AU_NZ,
        japan("JP-5ms", JAPAN_MAX_HZ, Dbm::from_whole(16), 5_000),
        japan("JP-250mW", JAPAN_MAX_HZ, Dbm::from_whole(27), 5_000),
        // Above 923.5 MHz the only choice. 360 s an hour, 400 ms, 2 ms of pause.
        SubBand {
            duty_ppm: 100_000,
            max_tx_us: Some(400_000),
            min_pause_us: 2_000,
            ..japan("JP-128us", 928_100_000, Dbm::from_whole(16), 128)
        },
        SINGAPORE,
        UZBEKISTAN,
    ],
});

/// AS923-2: Vietnam, Indonesia (RP002-1.0.5 3.10, group 2).
pub(super) const AS923_2: Parameters = table(&Group {
    region: RfRegion::As923_2,
    offset_hz: OFFSET_2_HZ,
    freq_min_hz: 920_000_000,
    freq_max_hz: 923_000_000,
    beacon_hz: &[921_600_000],
    sub_bands: &[conservative(920_000_000, 923_000_000, LIMIT)],
});

/// AS923-3: the Philippines, Cuba and others.
pub(super) const AS923_3: Parameters = table(&Group {
    region: RfRegion::As923_3,
    offset_hz: OFFSET_3_HZ,
    freq_min_hz: 915_000_000,
    freq_max_hz: 921_000_000,
    beacon_hz: &[916_800_000],
    sub_bands: &[conservative(915_000_000, 921_000_000, LIMIT)],
});

/// AS923-4: Israel (RP002-1.0.5 3.10, group 4).
pub(super) const AS923_4: Parameters = table(&Group {
    region: RfRegion::As923_4,
    offset_hz: OFFSET_4_HZ,
    freq_min_hz: 917_000_000,
    freq_max_hz: 920_000_000,
    beacon_hz: &[917_500_000],
    sub_bands: &[
        conservative(917_000_000, 920_000_000, LIMIT),
        SubBand {
            needs_opt_in: true,
            ..SubBand::hourly(
                "IL",
                917_300_000,
                919_900_000,
                10_000,
                LIMIT,
                "Israel: 1 %, as in the frequency plans in use there",
            )
        },
    ],
});

/// AS923_FREQ_OFFSET of groups 1 to 4 (RP002-1.0.5 3.10), in Hz.
const OFFSET_1_HZ: i32 = 0;
const OFFSET_2_HZ: i32 = -1_800_000;
const OFFSET_3_HZ: i32 = -6_600_000;
const OFFSET_4_HZ: i32 = -5_900_000;

/// RP002-1.0.5 3.10: devices' default maximum, 16 dBm EIRP, kept for gateways.
const LIMIT: Dbm = Dbm::from_whole(16);
/// Power that Basics Station is set to in AS923-1, EIRP.
const DEFAULT_1: Dbm = Dbm::from_whole(13);
/// Upper border, in Hz, below which 5 ms of carrier sense is enough (ARIB STD-T108, unit channels 24 to 38).
const JAPAN_MAX_HZ: u32 = 923_500_000;

const AU_NZ: SubBand = SubBand {
    default_eirp: DEFAULT_1,
    needs_opt_in: true,
    ..SubBand::hourly(
        "AU-NZ",
        915_000_000,
        928_000_000,
        NO_DUTY_LIMIT,
        Dbm::from_whole(30),
        "Australia and New Zealand, 915-928 MHz: 1 W EIRP",
    )
};

const SINGAPORE: SubBand = SubBand {
    default_eirp: DEFAULT_1,
    needs_opt_in: true,
    ..SubBand::hourly(
        "SG",
        922_000_000,
        923_400_000,
        100_000,
        LIMIT,
        "Singapore: 10 %, as in the frequency plans in use there",
    )
};

const UZBEKISTAN: SubBand = SubBand {
    default_eirp: DEFAULT_1,
    needs_opt_in: true,
    ..SubBand::hourly(
        "UZ",
        926_200_000,
        926_800_000,
        NO_DUTY_LIMIT,
        LIMIT,
        "Uzbekistan: 16 dBm, as in the frequency plans in use there",
    )
};

/// The sub-band for an unknown country: 1 % (RP V1.0.2 for the default channels) and 400 ms.
const fn conservative(min_hz: u32, max_hz: u32, default_eirp: Dbm) -> SubBand {
    SubBand {
        default_eirp,
        max_tx_us: Some(400_000),
        ..SubBand::hourly(
            "conservative",
            min_hz,
            max_hz,
            10_000,
            LIMIT,
            "RP002-1.0.5 3.10: 1 %, 400 ms, 16 dBm EIRP",
        )
    }
}

/// ARIB STD-T108: 16 dBm EIRP are the 20 mW with 3 dBi of a specified low power station, 27 dBm need a
/// registered or licensed one. After 5 ms of silence 4 s may be sent, then 50 ms of pause.
const fn japan(label: &'static str, max_hz: u32, max_eirp: Dbm, sense_us: u64) -> SubBand {
    let threshold = Dbm::from_whole(-80);
    let clause = "ARIB STD-T108, carrier sense";
    SubBand {
        default_eirp: DEFAULT_1,
        max_tx_us: Some(4_000_000),
        min_pause_us: 50_000,
        listen: Some(Listen { threshold, sense_us, bandwidth_hz: Some(200_000) }),
        needs_opt_in: true,
        ..SubBand::hourly(label, 920_500_000, max_hz, NO_DUTY_LIMIT, max_eirp, clause)
    }
}

/// The values in which the groups of AS923 differ.
struct Group {
    region: RfRegion,
    offset_hz: i32,
    freq_min_hz: u32,
    freq_max_hz: u32,
    /// Frequency of beacon and ping slots in Hz: 923.4 MHz plus the offset (RP002-1.0.5 3.10, Class B beacon).
    beacon_hz: &'static [u32],
    sub_bands: &'static [SubBand],
}

const fn table(group: &Group) -> Parameters {
    assert!(group.beacon_hz[0] == 923_400_000_u32.wrapping_add_signed(group.offset_hz));
    Parameters {
        region: group.region,
        rp_name: "AS923",
        withdrawn: None,
        freq_min_hz: group.freq_min_hz,
        freq_max_hz: group.freq_max_hz,
        centres_hz: (group.freq_min_hz, group.freq_max_hz),
        data_rates: DATA_RATES,
        uplink_only: &[],
        downlink_raster: None,
        sub_bands: group.sub_bands,
        // RP002-1.0.5 3.10, receive windows.
        rx2: Rx2 { frequency_hz: 923_200_000_u32.wrapping_add_signed(group.offset_hz), dr: 2 },
        class_b: ClassB {
            beacon_frequencies_hz: group.beacon_hz,
            beacon_dr: 3,
            beacon_bytes: 17,
            ping_slot_frequencies_hz: group.beacon_hz,
            ping_slot_dr: 3,
        },
        // RP002-1.0.5 3.10.6: devices check downlinks against the table without dwell time only, so the
        // gateway alone answers for the 400 ms.
        dwell_downlink_us: Some(400_000),
    }
}

/// RP002-1.0.5 3.10, maximum payload size without and with DownlinkDwellTime. M of DR2 without
/// was 59 before RP002-1.0.0.
const DATA_RATES: &[DataRate] = &[
    DR0.dwell(0),
    DR1.dwell(0),
    DataRate::lora(2, 10, 125_000, 123).dwell(19),
    DR3.dwell(61),
    DR4.dwell(133),
    DR5.dwell(250),
    DR6.dwell(250),
    DR7.dwell(250),
    DR12.dwell(250),
    DR13.dwell(250),
];
