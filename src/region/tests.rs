//! The tables against copied figures of other people's tables, and every refusal with its number.

use super::*;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;

const FULL_POWER_P: Dbm = Dbm::from_centi(2915);

fn eu868() -> &'static Parameters {
    parameters(RfRegion::Eu868).unwrap()
}

fn us915() -> &'static Parameters {
    parameters(RfRegion::Us915).unwrap()
}

fn complete() -> impl Iterator<Item = &'static Parameters> {
    RfRegion::ALL.into_iter().filter_map(|region| parameters(region).ok())
}

#[test]
fn the_largest_frame_of_every_data_rate_lasts_as_long_as_other_tables_say() {
    // Data rate, modulation, M, N, us on air.
    let eu868_rows = [
        (0, "SF12BW125", 59, 51, 2_793_472),
        (1, "SF11BW125", 59, 51, 1_478_656),
        (2, "SF10BW125", 59, 51, 698_368),
        (3, "SF9BW125", 123, 115, 676_864),
        (4, "SF8BW125", 250, 242, 696_832),
        (5, "SF7BW125", 250, 242, 394_496),
        (6, "SF7BW250", 250, 242, 197_248),
        (7, "50000", 250, 242, 42_560),
        (12, "SF6BW125", 250, 242, 231_040),
        (13, "SF5BW125", 250, 242, 137_280),
    ];
    let us915_rows = [
        (0, "SF5BW500", 250, 242, 34_320),
        (8, "SF12BW500", 61, 53, 616_448),
        (9, "SF11BW500", 137, 129, 615_424),
        (10, "SF10BW500", 250, 242, 563_712),
        (11, "SF9BW500", 250, 242, 312_576),
        (12, "SF8BW500", 250, 242, 174_208),
        (13, "SF7BW500", 250, 242, 98_624),
        (14, "SF6BW500", 250, 242, 57_760),
    ];
    for (parameters, rows) in [(eu868(), &eu868_rows[..]), (us915(), &us915_rows[..])] {
        assert_eq!(parameters.data_rates.len(), rows.len());
        for &(dr, datr, max_mac_payload, max_payload, airtime_us) in rows {
            let data_rate = parameters.data_rate(dr).unwrap();
            assert_eq!(data_rate.modulation.to_string(), datr);
            assert_eq!(data_rate.max_mac_payload, max_mac_payload, "DR{dr}");
            assert_eq!(data_rate.max_payload(), max_payload, "DR{dr}");
            assert_eq!(data_rate.max_fragment_size(), max_payload - 3, "DR{dr}");
            assert_eq!(downlink_airtime_us(data_rate.modulation, max_mac_payload + 5), airtime_us, "DR{dr}");
            assert_eq!(data_rate.since.is_some(), datr.starts_with("SF5") || datr.starts_with("SF6"));
        }
    }
}

#[test]
fn every_table_is_in_order_and_complete() {
    for parameters in complete() {
        let name = parameters.rp_name;
        assert!(parameters.data_rates.is_sorted_by(|a, b| a.dr < b.dr), "{name}");
        assert!(parameters.uplink_only.is_sorted_by(|a, b| a.dr < b.dr), "{name}");
        for uplink in parameters.uplink_only {
            assert!(parameters.data_rates.iter().all(|data_rate| data_rate.dr != uplink.dr), "{name}");
        }
        // A data rate without dwell figures in a region that has dwell time would be a hole.
        for data_rate in parameters.data_rates {
            assert_eq!(data_rate.max_mac_payload_dwell.is_some(), parameters.dwell_downlink_us.is_some());
        }
        parameters.data_rate(parameters.rx2.dr).unwrap();
        parameters.data_rate(parameters.class_b.beacon_dr).unwrap();
        parameters.data_rate(parameters.class_b.ping_slot_dr).unwrap();
        let rx2 = parameters.rx2;
        parameters.check(rx2.frequency_hz, rx2.dr, parameters.default_eirp(rx2.frequency_hz)).unwrap();
        for &frequency_hz in
            parameters.class_b.beacon_frequencies_hz.iter().chain(parameters.class_b.ping_slot_frequencies_hz)
        {
            parameters.check(frequency_hz, rx2.dr, parameters.default_eirp(frequency_hz)).unwrap();
        }
    }
}

#[test]
fn sub_bands_stand_in_order_inside_the_region_and_never_allow_less_than_their_default() {
    for parameters in complete() {
        let sub_bands = parameters.sub_bands;
        assert!(sub_bands.is_sorted_by_key(|sub_band| sub_band.min_hz));
        let defaults: Vec<_> = sub_bands.iter().filter(|sub_band| !sub_band.needs_opt_in).collect();
        assert!(defaults.is_sorted_by(|a, b| a.max_hz <= b.min_hz), "{}", parameters.rp_name);
        assert!(sub_bands.len() <= usize::from(u8::MAX));
        for sub_band in sub_bands {
            assert!(parameters.freq_min_hz <= sub_band.min_hz && sub_band.min_hz < sub_band.max_hz);
            assert!(sub_band.max_hz <= parameters.freq_max_hz);
            assert!((1..=1_000_000).contains(&sub_band.duty_ppm));
            assert!(sub_band.default_eirp <= sub_band.max_eirp);
            assert!(!sub_band.clause.is_empty());
        }
    }
}

#[test]
fn the_limits_of_law_are_those_of_the_standards() {
    // Label, borders in kHz, duty in ppm, EIRP limit in hundredths of a dBm, opt-in.
    let eu868_rows = [
        ("K", 863_000, 865_000, 1_000, 1615, false),
        ("L", 865_000, 868_000, 10_000, 1615, false),
        ("NAP", 865_600, 865_800, 100_000, 2915, true),
        ("NAP", 866_200, 866_400, 100_000, 2915, true),
        ("NAP", 866_800, 867_000, 100_000, 2915, true),
        ("NAP", 867_400, 867_600, 100_000, 2915, true),
        ("M", 868_000, 868_600, 10_000, 1615, false),
        ("N", 868_700, 869_200, 1_000, 1615, false),
        ("P", 869_400, 869_650, 100_000, 2915, false),
        ("O", 869_400, 869_650, 1_000, 1615, true),
        ("R", 869_700, 870_000, 10_000, 1615, false),
        ("Q", 869_700, 870_000, 1_000_000, 915, true),
    ];
    let us915_rows = [("DTS", 923_000, 928_000, 1_000_000, 3600, false)];
    for (parameters, rows) in [(eu868(), &eu868_rows[..]), (us915(), &us915_rows[..])] {
        let table: Vec<_> = parameters
            .sub_bands
            .iter()
            .map(|band| {
                assert_eq!(band.window_us, 3_600_000_000);
                assert_eq!(band.max_tx_us, None);
                let (min_khz, max_khz) = (band.min_hz / 1000, band.max_hz / 1000);
                (band.label, min_khz, max_khz, band.duty_ppm, band.max_eirp.centi(), band.needs_opt_in)
            })
            .collect();
        assert_eq!(table, rows);
    }
}

#[test]
fn the_default_power_depends_on_the_frequency() {
    for (frequency_hz, centi) in
        [(868_100_000, 1615), (869_525_000, 2700), (869_900_000, 1615), (868_650_000, 1615), (0, 1615)]
    {
        assert_eq!(eu868().default_eirp(frequency_hz), Dbm::from_centi(centi), "{frequency_hz}");
    }
    assert_eq!(us915().default_eirp(923_300_000), Dbm::from_whole(26));
}

#[test]
fn a_good_channel_names_the_sub_band_that_pays() {
    let channel = eu868().check(869_525_000, 3, FULL_POWER_P).unwrap();
    let modulation = Modulation::LoRa { sf: 9, bw_hz: 125_000 };
    assert_eq!(channel, Channel { frequency_hz: 869_525_000, dr: 3, modulation, sub_band: channel.sub_band });
    assert_eq!(eu868().sub_band(channel.sub_band).unwrap().label, "P");
    assert_eq!(eu868().sub_band_of(869_525_000, modulation), Ok(channel.sub_band));
    assert_eq!(eu868().sub_band(SubBandIndex(12)), None);
    for (frequency_hz, label) in
        [(863_100_000, "K"), (867_500_000, "L"), (868_300_000, "M"), (868_800_000, "N"), (869_900_000, "R")]
    {
        let channel = eu868().check(frequency_hz, 7, Dbm::from_whole(14)).unwrap();
        assert_eq!(eu868().sub_band(channel.sub_band).unwrap().label, label);
    }
}

#[test]
fn a_frequency_half_a_bandwidth_off_is_refused_with_the_nearest_legal_one() {
    let quiet = Dbm::from_whole(10);
    // The edge that equals a border is outside: 62.5 kHz from a border fails, 1 Hz more passes.
    for (frequency_hz, dr, nearest_hz, label) in [
        (869_400_000, 3, 869_462_600, "P"),
        (869_462_500, 3, 869_462_600, "P"),
        (869_587_500, 3, 869_587_400, "P"),
        (869_650_000, 3, 869_587_400, "P"),
        (868_000_000, 5, 867_937_400, "L"),
        (868_000_100, 5, 868_062_600, "M"),
        (868_650_000, 5, 868_537_400, "M"),
        (865_000_000, 7, 864_949_900, "K"),
        (0, 5, 863_062_600, "K"),
        (u32::MAX, 5, 869_937_400, "R"),
    ] {
        let error = eu868().check(frequency_hz, dr, quiet).unwrap_err();
        let RegionError::OutsideSubBands { nearest_hz: answer_hz, label: answer, clause, .. } = error else {
            panic!("{frequency_hz}: {error}")
        };
        assert_eq!((answer_hz, answer), (nearest_hz, label), "{frequency_hz}");
        assert!(clause.starts_with("EN 300 220-2"));
        eu868().check(answer_hz, dr, quiet).unwrap();
    }
    assert!(eu868().check(869_462_501, 3, quiet).is_ok());
    assert!(eu868().check(869_587_499, 3, quiet).is_ok());
}

#[test]
fn a_channel_of_250_khz_does_not_fit_the_sub_band_of_rx2() {
    let error = eu868().check(869_525_000, 6, FULL_POWER_P).unwrap_err();
    assert_eq!(
        error.to_string(),
        "869525000 Hz with 250000 Hz of occupied bandwidth is not strictly inside one sub-band; the nearest legal \
         centre is 869825100 Hz in R (869700000-870000000 Hz, EN 300 220-2 V3.2.1, band R)"
    );
    let error = eu868().check_in("P", 869_525_000, 6, FULL_POWER_P).unwrap_err();
    assert_eq!(error, RegionError::TooWide { bandwidth_hz: 250_000, labels: "P".to_owned() });
    assert!(eu868().check_in("NAP", 865_700_000, 6, FULL_POWER_P).is_err());
}

#[test]
fn a_hundredth_of_a_decibel_too_much_is_refused_with_the_limit() {
    let error = eu868().check(869_525_000, 3, Dbm::from_centi(2916)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "29.16 dBm EIRP at 869525000 Hz is too much: sub-band P allows 29.15 dBm EIRP (EN 300 220-2 V3.2.1, band P)"
    );
    assert!(eu868().check(868_100_000, 5, Dbm::from_centi(1615)).is_ok());
    assert!(eu868().check(868_100_000, 5, Dbm::from_centi(1616)).is_err());
    assert!(us915().check(923_300_000, 8, Dbm::from_whole(36)).is_ok());
    assert!(us915().check(923_300_000, 8, Dbm::from_centi(3601)).is_err());
}

#[test]
fn us915_sends_on_its_eight_channels_only() {
    let power = Dbm::from_whole(26);
    for &frequency_hz in us915().class_b.beacon_frequencies_hz {
        us915().check(frequency_hz, 13, power).unwrap();
    }
    for (frequency_hz, nearest_hz) in [
        (923_300_001, 923_300_000),
        (923_550_000, 923_300_000),
        (923_600_000, 923_900_000),
        (927_600_000, 927_500_000),
        (928_100_000, 927_500_000),
        (902_300_000, 923_300_000),
        (0, 923_300_000),
        (u32::MAX, 927_500_000),
    ] {
        let error = us915().check(frequency_hz, 10, power).unwrap_err();
        let RegionError::OffRaster { nearest_hz: answer_hz, .. } = error else { panic!("{error}") };
        assert_eq!(answer_hz, nearest_hz, "{frequency_hz}");
    }
}

#[test]
fn a_data_rate_that_is_no_downlink_is_refused_with_those_that_are() {
    let error = us915().check(923_300_000, 3, Dbm::from_whole(20)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "US915 DR3 is not for downlinks: a 125 kHz rate of the uplink channels; \
         downlinks have DR 0, 8, 9, 10, 11, 12, 13, 14"
    );
    for dr in 0..=15 {
        let eu868_knows = eu868().data_rate(dr).is_ok();
        assert_eq!(eu868_knows, matches!(dr, 0..=7 | 12 | 13));
        let us915_knows = us915().data_rate(dr).is_ok();
        assert_eq!(us915_knows, matches!(dr, 0 | 8..=14));
    }
    assert!(matches!(eu868().data_rate(8), Err(RegionError::UplinkOnly { dr: 8, .. })));
    assert_eq!(
        eu868().data_rate(14).unwrap_err().to_string(),
        "EU868 has no DR14; downlinks have DR 0, 1, 2, 3, 4, 5, 6, 7, 12, 13"
    );
}

#[test]
fn sub_bands_that_need_opt_in_are_used_only_by_name() {
    let label_of = |channel: Channel| eu868().sub_band(channel.sub_band).unwrap().label;
    let in_q = eu868().check_in("Q", 869_850_000, 6, Dbm::from_centi(915));
    // 250 kHz around 869.85 end at 869.975: inside.
    assert_eq!(label_of(in_q.unwrap()), "Q");
    assert_eq!(label_of(eu868().check(869_850_000, 6, Dbm::from_centi(915)).unwrap()), "R");
    assert!(eu868().check_in("Q", 869_850_000, 6, Dbm::from_centi(916)).is_err());
    assert_eq!(label_of(eu868().check_in("NAP", 866_300_000, 5, FULL_POWER_P).unwrap()), "NAP");
    assert!(eu868().check(866_300_000, 5, FULL_POWER_P).is_err());
    let error = eu868().check_in("NAP", 866_500_000, 5, FULL_POWER_P).unwrap_err();
    assert!(
        matches!(error, RegionError::OutsideSubBands { label: "NAP", nearest_hz: 866_337_400, .. }),
        "{error}"
    );
    assert_eq!(
        eu868().check_in("S", 869_525_000, 5, FULL_POWER_P).unwrap_err().to_string(),
        "EU868 has no sub-band `S`; there are K, L, M, N, NAP, O, P, Q, R"
    );
}
