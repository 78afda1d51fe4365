//! Tests of the tables against figures of other implementations, and of every refusal with its number.

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

fn table(region: RfRegion) -> &'static Parameters {
    parameters_even_withdrawn(region)
}

fn all() -> impl Iterator<Item = &'static Parameters> {
    RfRegion::ALL.into_iter().map(table)
}

/// A transmitter that can listen, in the sub-bands that anybody may use.
fn listening() -> Terms {
    Terms { listens_before_talk: true, ..Terms::default() }
}

fn named(label: &str) -> Terms {
    Terms { sub_band: Some(label.to_owned()), ..Terms::default() }
}

#[test]
fn a_faster_data_rate_never_carries_less_and_never_lasts_longer() {
    for parameters in all() {
        let name = parameters.region;
        for dwell in [false, true] {
            for bandwidth_hz in [125_000, 250_000, 500_000] {
                let mut rates: Vec<(u8, &DataRate)> = parameters
                    .data_rates
                    .iter()
                    .filter_map(|rate| match rate.modulation {
                        Modulation::LoRa { sf, bw_hz } if bw_hz == bandwidth_hz => Some((sf, rate)),
                        _ => None,
                    })
                    .collect();
                rates.sort_by_key(|(sf, _)| core::cmp::Reverse(*sf));
                for pair in rates.windows(2) {
                    let [(_, slow), (_, fast)] = pair else { unreachable!() };
                    assert!(slow.max_payload(dwell) <= fast.max_payload(dwell), "{name} DR{}", fast.dr);
                    assert!(
                        downlink_airtime_us(slow.modulation, 64) > downlink_airtime_us(fast.modulation, 64)
                    );
                }
            }
        }
        for rate in parameters.data_rates {
            assert!(rate.max_payload(true) <= rate.max_payload(false), "{name} DR{}", rate.dr);
            assert_eq!(rate.max_fragment_size(false), rate.max_payload(false) - 3);
            if let Some(dwell_us) = parameters.dwell_downlink_us.filter(|_| rate.max_payload(true) > 0) {
                assert!(downlink_airtime_us(rate.modulation, rate.max_payload(true) + 13) <= dwell_us);
            }
        }
    }
}

#[test]
fn every_number_of_a_data_rate_has_an_answer() {
    for parameters in all() {
        for dr in 0..=u8::MAX {
            match parameters.data_rate(dr) {
                Ok(data_rate) => assert_eq!(data_rate.dr, dr),
                Err(RegionError::UplinkOnly { dr: answer, reason, .. }) => {
                    assert_eq!(answer, dr);
                    assert!(!reason.is_empty());
                }
                Err(error) => {
                    let begin = format!("{} has no DR{dr}; downlinks have DR ", parameters.region);
                    assert!(error.to_string().starts_with(&begin), "{error}");
                }
            }
        }
    }
}

#[test]
fn every_table_is_in_order_and_complete() {
    for parameters in all() {
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
        let check = |frequency_hz, dr| {
            let eirp = parameters.default_eirp(&listening(), frequency_hz);
            parameters.check_under(&listening(), frequency_hz, dr, eirp).unwrap();
        };
        check(rx2.frequency_hz, rx2.dr);
        let ClassB { beacon_frequencies_hz, ping_slot_frequencies_hz, .. } = parameters.class_b;
        beacon_frequencies_hz.iter().for_each(|&hz| check(hz, parameters.class_b.beacon_dr));
        ping_slot_frequencies_hz.iter().for_each(|&hz| check(hz, parameters.class_b.ping_slot_dr));
    }
}

#[test]
fn sub_bands_stand_in_order_inside_the_region_and_never_allow_less_than_their_default() {
    for parameters in all() {
        let sub_bands = parameters.sub_bands;
        assert!(sub_bands.is_sorted_by_key(|sub_band| sub_band.min_hz));
        let defaults: Vec<_> = sub_bands.iter().filter(|sub_band| !sub_band.needs_opt_in).collect();
        assert!(defaults.is_sorted_by(|a, b| a.max_hz <= b.min_hz), "{}", parameters.rp_name);
        assert!(sub_bands.len() <= usize::from(u8::MAX));
        for sub_band in sub_bands {
            assert!(parameters.freq_min_hz <= sub_band.min_hz && sub_band.min_hz < sub_band.max_hz);
            // Japan's law goes 100 kHz beyond AS923: there RP002 ends.
            assert!(sub_band.max_hz <= parameters.freq_max_hz || sub_band.label == "JP-128us");
            assert!((1..=1_000_000).contains(&sub_band.duty_ppm));
            assert!(sub_band.default_eirp <= sub_band.max_eirp);
            assert!(!sub_band.clause.is_empty());
        }
    }
}

#[test]
fn the_default_power_depends_on_the_frequency() {
    for (frequency_hz, centi) in
        [(868_100_000, 1615), (869_525_000, 2700), (869_900_000, 1615), (868_650_000, 1615), (0, 1615)]
    {
        assert_eq!(
            eu868().default_eirp(&Terms::default(), frequency_hz),
            Dbm::from_centi(centi),
            "{frequency_hz}"
        );
    }
    assert_eq!(us915().default_eirp(&Terms::default(), 923_300_000), Dbm::from_whole(26));
    assert_eq!(eu868().default_eirp(&named("Q"), 869_850_000), Dbm::from_centi(915));
    assert_eq!(eu868().default_eirp(&named("Q"), 869_525_000), Dbm::from_centi(915));
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
    let error = eu868().check_under(&named("P"), 869_525_000, 6, FULL_POWER_P).unwrap_err();
    assert_eq!(error, RegionError::TooWide { bandwidth_hz: 250_000, labels: "P".to_owned() });
    assert!(eu868().check_under(&named("NAP"), 865_700_000, 6, FULL_POWER_P).is_err());
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
    let in_q = eu868().check_under(&named("Q"), 869_850_000, 6, Dbm::from_centi(915));
    // 250 kHz around 869.85 end at 869.975: inside.
    assert_eq!(label_of(in_q.unwrap()), "Q");
    assert_eq!(label_of(eu868().check(869_850_000, 6, Dbm::from_centi(915)).unwrap()), "R");
    assert!(eu868().check_under(&named("Q"), 869_850_000, 6, Dbm::from_centi(916)).is_err());
    assert_eq!(label_of(eu868().check_under(&named("NAP"), 866_300_000, 5, FULL_POWER_P).unwrap()), "NAP");
    assert!(eu868().check(866_300_000, 5, FULL_POWER_P).is_err());
    let error = eu868().check_under(&named("NAP"), 866_500_000, 5, FULL_POWER_P).unwrap_err();
    assert!(
        matches!(error, RegionError::OutsideSubBands { label: "NAP", nearest_hz: 866_337_400, .. }),
        "{error}"
    );
    assert_eq!(
        eu868().check_under(&named("S"), 869_525_000, 5, FULL_POWER_P).unwrap_err().to_string(),
        "EU868 has no sub-band `S`; there are K, L, M, N, NAP, O, P, Q, R"
    );
}

#[test]
fn a_sub_band_never_leads_out_of_its_region() {
    // Japan's 128 us sub-band ends at 928.1 MHz, AS923-1 at 928.0 MHz.
    let terms = Terms { listens_before_talk: true, ..named("JP-128us") };
    let check = |hz| table(RfRegion::As923_1).check_under(&terms, hz, 5, Dbm::from_whole(13)).map(|_| ());
    assert_eq!(check(927_937_400), Ok(()));
    let error = check(928_000_000).unwrap_err();
    assert!(matches!(error, RegionError::OutsideSubBands { nearest_hz: 927_937_400, .. }), "{error}");
}

#[test]
fn centres_that_devices_do_not_take_are_refused_inside_the_band_too() {
    let check = |region, hz| table(region).check(hz, 7, Dbm::from_whole(10)).map(|_| ());
    for (region, outside_hz, nearest_hz) in [
        (RfRegion::Eu433, 433_174_900, 433_175_000),
        (RfRegion::Eu433, 434_665_100, 434_665_000),
        (RfRegion::Cn779, 779_499_900, 779_500_000),
        (RfRegion::Cn779, 786_500_100, 786_500_000),
    ] {
        assert_eq!(check(region, nearest_hz), Ok(()));
        let error = check(region, outside_hz).unwrap_err();
        let RegionError::OutsideSubBands { nearest_hz: answer_hz, .. } = error else { panic!("{error}") };
        assert_eq!(answer_hz, nearest_hz);
    }
}

#[test]
fn korea_sends_on_its_thirteen_channels_only() {
    let check = |hz| table(RfRegion::Kr920).check_under(&listening(), hz, 5, Dbm::from_whole(23));
    assert!((0..13).all(|channel| check(920_900_000 + channel * 200_000).is_ok()));
    for (frequency_hz, nearest_hz) in
        [(921_000_000, 921_100_000), (923_500_000, 923_300_000), (920_700_000, 920_900_000)]
    {
        let error = check(frequency_hz).unwrap_err();
        let RegionError::OffRaster { nearest_hz: answer_hz, clause, .. } = error else { panic!("{error}") };
        assert_eq!(answer_hz, nearest_hz);
        assert!(clause.starts_with("RP002-1.0.5 3.11"));
    }
}

#[test]
fn russia_has_gaps_between_its_sub_bands() {
    for frequency_hz in [865_500_000, 868_350_000, 869_500_000] {
        let error = table(RfRegion::Ru864).check(frequency_hz, 5, Dbm::from_whole(14)).unwrap_err();
        assert!(matches!(error, RegionError::OutsideSubBands { .. }), "{error}");
        assert!(error.to_string().ends_with("GKRCh decision 18-46-03-1 of 2018-09-11, annex 12)"), "{error}");
    }
}

#[test]
fn who_cannot_listen_is_refused_where_the_law_wants_it() {
    let korea = table(RfRegion::Kr920);
    let eirp = Dbm::from_whole(23);
    assert_eq!(
        korea.check(921_900_000, 5, eirp).unwrap_err().to_string(),
        "sub-band KR-LBT of KR920 may be used only by a transmitter that finds the channel below -65 dBm for \
         5000 us before it sends (RP002-1.0.5 3.11 and the Korean rule: listen before talk, 4 s, 50 ms of pause); \
         a plain packet forwarder cannot; sub-bands without: KR-duty"
    );
    assert!(korea.check_under(&listening(), 921_900_000, 5, eirp).is_ok());
    assert!(korea.check_under(&named("KR-duty"), 921_900_000, 5, eirp).is_ok());
    let japan = table(RfRegion::As923_1);
    for (label, us) in [("JP-5ms", 5_000), ("JP-250mW", 5_000), ("JP-128us", 128)] {
        let error = japan.check_under(&named(label), 923_200_000, 5, Dbm::from_whole(13)).unwrap_err();
        let RegionError::MustListen { sense_us, threshold, clause, others, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((sense_us, threshold), (us, Dbm::from_whole(-80)));
        assert_eq!(clause, "ARIB STD-T108, carrier sense");
        assert_eq!(others, "AU-NZ, SG, UZ, conservative");
    }
    // Listening opens nothing that was not named.
    let error = japan.check_under(&listening(), 923_200_000, 5, Dbm::from_whole(27)).unwrap_err();
    assert!(matches!(error, RegionError::TooMuchPower { label: "conservative", .. }), "{error}");
}

#[test]
fn a_data_rate_that_is_wider_than_the_law_is_refused_wherever_it_is() {
    let error = table(RfRegion::Cn470).check(486_900_000, 6, Dbm::from_whole(17)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "500000 Hz of occupied bandwidth is too wide: sub-band CN allows 200000 Hz (MIIT notice 52 of 2019: \
         50 mW ERP, 1 s, 200 kHz); take a narrower data rate"
    );
    assert!(table(RfRegion::Cn470).check(486_900_000, 7, Dbm::from_centi(1915)).is_ok());
    assert!(matches!(
        table(RfRegion::In865).data_rate(6),
        Err(RegionError::UnknownDataRate { region: RfRegion::In865, dr: 6, .. })
    ));
}

#[test]
fn the_power_into_the_antenna_has_a_limit_of_its_own() {
    let with_gain = |dbi| Terms { antenna_gain: Some(Dbm::from_whole(dbi)), ..Terms::default() };
    let check = |dbi, dbm| us915().check_under(&with_gain(dbi), 923_300_000, 8, Dbm::from_whole(dbm));
    assert!(check(6, 36).is_ok());
    assert_eq!(
        check(5, 36).unwrap_err().to_string(),
        "36 dBm EIRP with 5 dBi of antenna is 31 dBm conducted: sub-band DTS allows 30 dBm conducted \
         (FCC 47 CFR 15.247(b))"
    );
    // A better antenna does not lift the limit of EIRP.
    assert!(matches!(check(9, 37), Err(RegionError::TooMuchPower { .. })));
}

#[test]
fn data_rates_that_devices_only_send_with_are_refused_with_the_reason() {
    for (region, drs) in
        [(RfRegion::Eu868, &[8, 9, 10, 11][..]), (RfRegion::Us915, &[5, 6]), (RfRegion::Au915, &[7])]
    {
        for &dr in drs {
            let error = table(region).data_rate(dr).unwrap_err().to_string();
            let begin = format!("{region} DR{dr} is not for downlinks: LR-FHSS, which devices only send; ");
            assert!(error.starts_with(&begin), "{error}");
        }
    }
    assert_eq!(
        table(RfRegion::Cn470).data_rate(0).unwrap_err().to_string(),
        "CN470 DR0 is not for downlinks: SF12 cannot keep below the 1 s that one transmission may last \
         (RP002-1.0.5 3.9); downlinks have DR 1, 2, 3, 4, 5, 6, 7"
    );
}

#[test]
fn the_longest_payload_is_what_the_table_and_the_sub_band_leave() {
    let as923 = table(RfRegion::As923_1);
    let longest = |terms: &Terms, dr| {
        let channel = as923.check_under(terms, 923_200_000, dr, Dbm::from_whole(13)).unwrap();
        as923.max_payload(&channel, terms.downlink_dwell)
    };
    let cautious = Terms::default();
    let dwell = Terms { downlink_dwell: true, ..Terms::default() };
    let japan = Terms { listens_before_talk: true, ..named("JP-5ms") };
    let japan_dwell = Terms { downlink_dwell: true, ..japan.clone() };
    for (dr, in_400_ms, with_dwell, in_4_s) in
        [(2, 13, 11, 115), (3, 55, 53, 115), (4, 127, 125, 242), (5, 242, 242, 242), (7, 242, 242, 242)]
    {
        assert_eq!(longest(&cautious, dr), Ok(in_400_ms), "DR{dr}");
        assert_eq!(longest(&dwell, dr), Ok(with_dwell), "DR{dr}");
        assert_eq!(longest(&japan, dr), Ok(in_4_s), "DR{dr}");
        assert_eq!(longest(&japan_dwell, dr), Ok(with_dwell), "DR{dr}");
    }
    assert_eq!(longest(&japan, 0), Ok(51));
    assert_eq!(
        longest(&cautious, 1).unwrap_err().to_string(),
        "AS923-1 DR1 carries no fragment in the 400000 us that one transmission may last \
         (RP002-1.0.5 3.10: 1 %, 400 ms, 16 dBm EIRP); these do: DR 2, 3, 4, 5, 6, 7, 12, 13"
    );
    assert!(matches!(longest(&japan_dwell, 0), Err(RegionError::NothingFits { limit_us: 400_000, .. })));
}
