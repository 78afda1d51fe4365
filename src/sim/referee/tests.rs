use super::*;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;
use crate::region::Parameters;
use crate::region::RfRegion;
use crate::region::SubBand;
use crate::region::parameters;
use crate::sim::concentrator::Transmission;
use crate::time::Instant;

const GROUP: u32 = 0x01C0_FFEE;
const IMAGE: &[u8] = b"the image";
const SF12: Modulation = Modulation::LoRa { sf: 12, bw_hz: 125_000 };
const SF9: Modulation = Modulation::LoRa { sf: 9, bw_hz: 125_000 };
const SF7: Modulation = Modulation::LoRa { sf: 7, bw_hz: 125_000 };
const GFSK: Modulation = Modulation::Gfsk { bit_rate_bps: 50_000 };

fn at(us: i64) -> Instant {
    Instant::from_us(us)
}

fn table(region: RfRegion) -> &'static Parameters {
    parameters(region).unwrap()
}

/// A referee of EU868 whose group always listens.
fn referee() -> Referee {
    let mut referee = Referee::new(table(RfRegion::Eu868));
    referee.group(GROUP);
    referee.always(GROUP);
    referee
}

/// A LoRaWAN downlink of `phy_len` bytes that concern no group, legal in sub-band P.
fn downlink(start_us: i64, modulation: Modulation, phy_len: usize) -> Transmission {
    Transmission {
        start: at(start_us),
        airtime_us: downlink_airtime_us(modulation, phy_len),
        frequency_hz: 869_525_000,
        modulation,
        eirp: Dbm::from_whole(27),
        phy_payload: vec![0x20; phy_len],
        inverted_iq: modulation != GFSK,
        crc: modulation == GFSK,
        preamble_symbols: match modulation {
            Modulation::LoRa { sf: 5 | 6, .. } => 12,
            Modulation::LoRa { .. } => 8,
            Modulation::Gfsk { .. } => 5,
        },
    }
}

/// A legal frame of the group.
fn group_frame(start_us: i64, fcnt: u16) -> Transmission {
    let mut frame = downlink(start_us, SF9, 64);
    let [low, high] = fcnt.to_le_bytes();
    frame.phy_payload[..9].copy_from_slice(&[0x60, 0xEE, 0xFF, 0xC0, 0x01, 0, low, high, 201]);
    frame
}

/// The one breach there is.
fn only_breach(referee: &Referee) -> Breach {
    let verdict = referee.verdict(IMAGE);
    assert_eq!((verdict.breaches.len(), verdict.breach_count), (1, 1), "{:?}", verdict.breaches);
    assert!(!verdict.is_content());
    let [breach] = verdict.breaches.try_into().unwrap();
    assert!(!breach.to_string().contains('\n'));
    breach
}

fn is_content(referee: &Referee) -> bool {
    let verdict = referee.verdict(IMAGE);
    assert_eq!(verdict.is_content(), verdict.breaches.is_empty());
    verdict.is_content()
}

fn band_p(referee: &Referee) -> BandAir {
    referee.verdict(IMAGE).bands.into_iter().find(|band| band.label == "P").unwrap()
}

/// `count` equal downlinks at an even spacing.
fn evenly(mut example: Transmission, spacing_us: u64, count: u64) -> Referee {
    let mut referee = referee();
    let first = example.start;
    for k in 0..count {
        example.start = first.plus_us(k * spacing_us);
        referee.on_air(&example);
    }
    referee
}

#[test]
fn a_legal_campaign_leaves_the_referee_content() {
    let mut referee = referee();
    for k in 0..500 {
        referee.on_air(&group_frame(k * 9_900_000, 2 + k as u16));
    }
    referee.device_complete("meter-1", at(5_000_000_000), IMAGE);
    let verdict = referee.verdict(IMAGE);
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    let airtime_us = group_frame(0, 2).airtime_us;
    assert_eq!((verdict.frames, verdict.devices_complete), (500, 1));
    assert_eq!(verdict.first, Some(at(0)));
    assert_eq!(verdict.last_end, Some(at(499 * 9_900_000).plus_us(airtime_us)));
    let labels: Vec<_> = verdict.bands.iter().map(|band| band.label).collect();
    assert_eq!(labels, ["K", "L", "M", "N", "P", "R"]);
    let p = band_p(&referee);
    assert_eq!((p.airtime_us, p.budget_us), (500 * airtime_us, Some(360_000_000)));
    // 3600 s / 9.9 s = 363.6, so 364 whole frames.
    assert_eq!(p.worst_window_us, 364 * airtime_us);
}

#[test]
fn every_form_of_legal_downlink_is_content() {
    for (modulation, frequency_hz) in [
        (SF12, 869_525_000),
        (SF7, 868_100_000),
        (Modulation::LoRa { sf: 7, bw_hz: 250_000 }, 868_300_000),
        (Modulation::LoRa { sf: 6, bw_hz: 125_000 }, 869_525_000),
        (Modulation::LoRa { sf: 5, bw_hz: 125_000 }, 869_525_000),
        (GFSK, 868_800_000),
    ] {
        let mut referee = referee();
        let frame = Transmission { frequency_hz, eirp: Dbm::from_whole(16), ..downlink(-7, modulation, 64) };
        referee.on_air(&frame);
        assert!(is_content(&referee), "{:?}", referee.verdict(IMAGE).breaches);
    }
    let mut referee = Referee::new(table(RfRegion::Us915));
    let sf10 = Modulation::LoRa { sf: 10, bw_hz: 500_000 };
    for channel in 0..8 {
        let frame = downlink(i64::from(channel) * 1_000_000, sf10, 255);
        let frequency_hz = 923_300_000 + channel * 600_000;
        referee.on_air(&Transmission { frequency_hz, eirp: Dbm::from_whole(36), ..frame });
    }
    let verdict = referee.verdict(IMAGE);
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert_eq!(verdict.bands[0].budget_us, None);
}

#[test]
fn even_spacing_that_fills_ten_percent_to_the_last_microsecond_is_content() {
    // 4 ms every 40 ms: 90000 frames are 360 s in every hour.
    let frame = downlink(0, GFSK, 14);
    assert_eq!(frame.airtime_us, 4_000);
    let referee = evenly(frame.clone(), 40_000, 200_000);
    assert!(is_content(&referee));
    assert_eq!(band_p(&referee).worst_window_us, 360_000_000);
    // W / floor(duty x W / t), rounded up.
    let referee = evenly(downlink(0, SF7, 255), 3_600_000_000_u64.div_ceil(912), 3_000);
    assert!(is_content(&referee));

    let referee = evenly(frame, 39_999, 90_100);
    assert!(!is_content(&referee));
    assert!(band_p(&referee).worst_window_us > 360_000_000);
}

/// airtime / duty = 279.347 s puts 13 whole frames into one hour, 36.315 s of the 36 s at 1 %: illegal. The
/// 300 s of W / floor(duty x W / t) are legal, and so is a little less, where the 13th frame is cut by the
/// edge of the window just enough.
#[test]
fn the_quotient_of_airtime_and_duty_is_too_short_a_spacing() {
    let frame =
        Transmission { frequency_hz: 868_300_000, eirp: Dbm::from_whole(16), ..downlink(0, SF12, 64) };
    assert_eq!(frame.airtime_us, 2_793_472);

    let referee = evenly(frame.clone(), 279_347_200, 13);
    let Breach::Duty { at: end, used_us, window_us, budget_us, label, clause } = only_breach(&referee) else {
        panic!()
    };
    assert_eq!((used_us, window_us, budget_us), (13 * 2_793_472, 3_600_000_000, 36_000_000));
    assert_eq!((label, clause), ("M", "EN 300 220-2 V3.2.1, band M"));
    assert_eq!(end, at(12 * 279_347_200 + 2_793_472));
    assert!(is_content(&evenly(frame.clone(), 279_347_200, 12)));

    assert!(is_content(&evenly(frame.clone(), 300_000_000, 100)));
    assert!(is_content(&evenly(frame.clone(), 299_793_472, 100)));
    assert!(!is_content(&evenly(frame, 299_793_471, 100)));
}

#[test]
fn a_burst_of_the_whole_budget_must_rest_for_the_rest_of_the_hour() {
    let airtime_us = downlink(0, SF9, 64).airtime_us;
    let in_budget = 360_000_000 / airtime_us;
    let burst = |extra_start: i64| {
        let mut referee = evenly(downlink(0, SF9, 64), airtime_us + 50_000, in_budget);
        assert!(is_content(&referee));
        referee.on_air(&downlink(extra_start, SF9, 64));
        is_content(&referee)
    };
    // The extra frame ends W after a start: it may replace what leaves the window there, and what the budget
    // had left over.
    let left_us = 360_000_000 - in_budget * airtime_us;
    let first_legal_us = 3_600_000_000 - left_us as i64;
    assert!(burst(first_legal_us));
    assert!(!burst(first_legal_us - 1));
}

#[test]
fn duty_is_counted_over_power_cycles() {
    let mut referee = evenly(downlink(0, GFSK, 14), 4_000, 90_000);
    assert!(is_content(&referee));
    referee.power_cycle();
    referee.on_air(&downlink(400_000_000, GFSK, 14));
    assert!(matches!(only_breach(&referee), Breach::Duty { used_us: 360_004_000, .. }));
}

#[test]
fn an_airtime_that_the_bytes_do_not_need_is_seen() {
    let frame = downlink(0, SF9, 64);
    let airtime_us = frame.airtime_us;
    for said_us in [airtime_us - 1, airtime_us + 1, 0] {
        let mut referee = referee();
        referee.on_air(&Transmission { airtime_us: said_us, ..frame.clone() });
        let expected = Breach::Airtime { at: at(0), said_us, airtime_us, modulation: SF9, phy_len: 64 };
        assert_eq!(only_breach(&referee), expected);
        // A claim that is too short does not save budget.
        assert_eq!(band_p(&referee).airtime_us, airtime_us.max(said_us));
    }
}

#[test]
fn what_no_radio_can_send_is_seen() {
    let mut referee = referee();
    referee.on_air(&downlink(0, Modulation::LoRa { sf: 13, bw_hz: 125_000 }, 64));
    assert!(matches!(referee.verdict(IMAGE).breaches[0], Breach::NotSendable { phy_len: 64, .. }));
}

#[test]
fn a_transmission_longer_than_the_law_allows_is_seen() {
    let us915 = table(RfRegion::Us915);
    let short = SubBand { max_tx_us: Some(400_000), ..us915.sub_bands[0] };
    let region = Box::leak(Box::new(Parameters { sub_bands: Box::leak(Box::new([short])), ..*us915 }));
    let judge = |phy_len| {
        let mut referee = Referee::new(region);
        let sf10 = Modulation::LoRa { sf: 10, bw_hz: 500_000 };
        referee.on_air(&Transmission { frequency_hz: 923_300_000, ..downlink(0, sf10, phy_len) });
        referee
    };
    assert!(is_content(&judge(170)));
    assert!(matches!(
        only_breach(&judge(255)),
        Breach::Dwell { max_tx_us: 400_000, label: "DTS", airtime_us: 563_712, .. }
    ));
}

#[test]
fn one_hertz_outside_the_sub_band_is_outside() {
    let judge = |frequency_hz| {
        let mut referee = referee();
        referee.on_air(&Transmission { frequency_hz, ..downlink(0, SF9, 64) });
        referee
    };
    // An edge on the border is outside: 869.4 and 869.65 MHz with 62.5 kHz either way.
    for (inside_hz, outside_hz) in [(869_462_501, 869_462_500), (869_587_499, 869_587_500)] {
        assert!(is_content(&judge(inside_hz)));
        let breach = only_breach(&judge(outside_hz));
        assert!(
            matches!(breach, Breach::OutsideSubBands { frequency_hz, label: "P", .. } if frequency_hz == outside_hz)
        );
    }
    assert_eq!(
        only_breach(&judge(868_650_000)).to_string(),
        "0.000000 s: 868650000 Hz with 125000 Hz of occupied bandwidth is not strictly inside a sub-band; \
         the nearest is M, 868000000-868600000 Hz (EN 300 220-2 V3.2.1, band M)"
    );
}

#[test]
fn sub_bands_that_need_opt_in_are_no_excuse() {
    let mut referee = referee();
    // 29.15 dBm are legal at 865.7 MHz for a network access point only.
    referee.on_air(&Transmission { frequency_hz: 865_700_000, ..downlink(0, SF9, 64) });
    assert!(matches!(only_breach(&referee), Breach::Eirp { label: "L", .. }));
}

#[test]
fn a_sub_band_that_the_group_names_binds_its_frames_and_nobody_elses() {
    let as923 = table(RfRegion::As923_1);
    let judge = |label, of_group: bool, modulation, phy_len| {
        let mut referee = Referee::new(as923);
        referee.group(GROUP);
        referee.always(GROUP);
        referee.terms(GROUP, label, false);
        let mut frame = group_frame(0, 2);
        frame.phy_payload.resize(phy_len, 0);
        if !of_group {
            frame.phy_payload[1] = 0;
        }
        referee.on_air(&Transmission {
            frequency_hz: 923_200_000,
            modulation,
            eirp: Dbm::from_whole(16),
            airtime_us: downlink_airtime_us(modulation, phy_len),
            ..frame
        });
        referee
    };
    // 676.9 ms: too long for the sub-band of those who name none, not for Japan's with carrier sense.
    assert!(is_content(&judge(Some("JP-5ms"), true, SF9, 128)));
    let cautious = |referee| {
        matches!(only_breach(&referee), Breach::Dwell { label: "conservative", max_tx_us: 400_000, .. })
    };
    assert!(cautious(judge(Some("JP-5ms"), false, SF9, 128)));
    assert!(cautious(judge(None, true, SF9, 128)));
    assert!(is_content(&judge(None, true, SF9, 66)));
    assert!(matches!(
        only_breach(&judge(Some("UZ"), true, SF9, 66)),
        Breach::OutsideSubBands { label: "UZ", .. }
    ));
}

#[test]
fn a_frame_that_is_too_long_for_devices_with_dwell_time_is_seen() {
    let judge = |downlink_dwell| {
        let mut referee = Referee::new(table(RfRegion::As923_2));
        referee.group(GROUP);
        referee.always(GROUP);
        referee.terms(GROUP, None, downlink_dwell);
        // 67 bytes of SF9 last 390 ms, as long as the 66 that RP002 allows.
        let mut frame = group_frame(0, 2);
        frame.phy_payload.resize(67, 0);
        let airtime_us = downlink_airtime_us(SF9, 67);
        referee.on_air(&Transmission {
            frequency_hz: 921_400_000,
            eirp: Dbm::from_whole(16),
            airtime_us,
            ..frame
        });
        referee
    };
    assert!(is_content(&judge(false)));
    assert!(matches!(only_breach(&judge(true)), Breach::TooLong { phy_len: 67, max_phy_len: 66, .. }));
}

#[test]
fn a_pause_of_one_microsecond_less_than_the_law_wants_is_seen() {
    let first = Transmission { frequency_hz: 921_900_000, eirp: Dbm::from_whole(23), ..downlink(0, SF9, 64) };
    let end_us = first.airtime_us as i64;
    let judge = |pause_us| {
        let mut referee = Referee::new(table(RfRegion::Kr920));
        referee.on_air(&first);
        referee.on_air(&Transmission { start: at(end_us + pause_us), ..first.clone() });
        referee
    };
    assert!(is_content(&judge(50_000)));
    assert!(matches!(
        only_breach(&judge(49_999)),
        Breach::Pause { silence_us: 49_999, min_pause_us: 50_000, label: "KR-LBT", .. }
    ));
    assert!(matches!(only_breach(&judge(-1)), Breach::Overlap { .. }));
}

#[test]
fn more_spectrum_than_the_law_allows_is_seen() {
    let judge = |modulation| {
        let mut referee = Referee::new(table(RfRegion::Cn470));
        referee.on_air(&Transmission {
            frequency_hz: 486_900_000,
            eirp: Dbm::from_whole(19),
            ..downlink(0, modulation, 64)
        });
        referee
    };
    assert!(is_content(&judge(GFSK)));
    assert!(matches!(
        only_breach(&judge(Modulation::LoRa { sf: 7, bw_hz: 500_000 })),
        Breach::TooWide { bandwidth_hz: 500_000, max_bandwidth_hz: 200_000, label: "CN", .. }
    ));
}

#[test]
fn outside_the_region_is_seen() {
    for frequency_hz in [0, 862_900_000, 869_990_000, u32::MAX] {
        let mut referee = referee();
        referee.on_air(&Transmission { frequency_hz, ..downlink(0, SF9, 64) });
        let breaches = referee.verdict(IMAGE).breaches;
        assert!(
            matches!(breaches[..], [Breach::OutsideRegion { .. }, Breach::OutsideSubBands { .. }]),
            "{breaches:?}"
        );
    }
}

#[test]
fn us915_sends_on_its_eight_channels_and_with_500_khz_only() {
    let judge = |frequency_hz, bw_hz| {
        let mut referee = Referee::new(table(RfRegion::Us915));
        let modulation = Modulation::LoRa { sf: 9, bw_hz };
        referee.on_air(&Transmission { frequency_hz, ..downlink(0, modulation, 64) });
        referee
    };
    assert!(is_content(&judge(927_500_000, 500_000)));
    for frequency_hz in [923_300_001, 923_299_999, 923_600_000, 925_000_000] {
        assert!(matches!(only_breach(&judge(frequency_hz, 500_000)), Breach::OffRaster { .. }));
    }
    assert!(matches!(only_breach(&judge(923_300_000, 125_000)), Breach::DataRate { .. }));
    assert!(
        judge(928_100_000, 500_000)
            .verdict(IMAGE)
            .breaches
            .iter()
            .any(|breach| matches!(breach, Breach::OffRaster { .. }))
    );
}

#[test]
fn a_hundredth_of_a_decibel_too_much_is_seen() {
    let judge = |centi| {
        let mut referee = referee();
        referee.on_air(&Transmission { eirp: Dbm::from_centi(centi), ..downlink(1_500_000, SF9, 64) });
        referee
    };
    assert!(is_content(&judge(2915)));
    assert_eq!(
        only_breach(&judge(2916)).to_string(),
        "1.500000 s: 29.16 dBm EIRP at 869525000 Hz, P allows 29.15 dBm (EN 300 220-2 V3.2.1, band P)"
    );
}

#[test]
fn two_things_at_once_are_seen_on_any_two_frequencies() {
    let first = downlink(0, SF12, 64);
    let end_us = first.airtime_us as i64;
    let judge = |start_us| {
        let mut referee = referee();
        referee.on_air(&first);
        let quiet = Dbm::from_whole(10);
        let second = downlink(start_us, SF7, 20);
        referee.on_air(&Transmission { frequency_hz: 868_100_000, eirp: quiet, ..second });
        referee
    };
    assert!(is_content(&judge(end_us)));
    for start_us in [0, 1_000_000, end_us - 1] {
        let expected = Breach::Overlap { at: at(start_us), other: at(0), until: at(end_us) };
        assert_eq!(only_breach(&judge(start_us)), expected);
    }
    // A short one inside the long one does not hide the third.
    let mut referee = judge(1_000_000);
    referee.on_air(&downlink(end_us - 1, SF9, 64));
    assert_eq!(referee.verdict(IMAGE).breach_count, 2);
}

#[test]
fn a_form_that_devices_do_not_hear_is_seen() {
    let judge = |mut frame: Transmission, spoil: fn(&mut Transmission)| {
        spoil(&mut frame);
        // The time on air follows from the form and is not the fault here.
        frame.airtime_us = super::judge::airtime_us(&frame).unwrap();
        let mut referee = referee();
        referee.on_air(&frame);
        only_breach(&referee)
    };
    let lora = || downlink(0, SF9, 64);
    let gfsk = || downlink(0, GFSK, 64);
    let sf5 = || downlink(0, Modulation::LoRa { sf: 5, bw_hz: 125_000 }, 64);
    assert_eq!(judge(lora(), |frame| frame.inverted_iq = false), Breach::Polarity { at: at(0) });
    assert!(matches!(judge(lora(), |frame| frame.crc = true), Breach::Crc { crc: true, .. }));
    assert!(matches!(judge(gfsk(), |frame| frame.crc = false), Breach::Crc { crc: false, .. }));
    assert!(matches!(
        judge(lora(), |frame| frame.preamble_symbols = 6),
        Breach::Preamble { preamble: 6, expected: 8, .. }
    ));
    assert!(matches!(
        judge(sf5(), |frame| frame.preamble_symbols = 8),
        Breach::Preamble { preamble: 8, expected: 12, .. }
    ));
    assert!(matches!(
        judge(gfsk(), |frame| frame.preamble_symbols = 8),
        Breach::Preamble { preamble: 8, expected: 5, .. }
    ));
    // M of DR3 is 123: 128 bytes with MHDR and MIC.
    assert!(matches!(
        judge(lora(), |frame| frame.phy_payload = vec![0x20; 129]),
        Breach::TooLong { phy_len: 129, max_phy_len: 128, .. }
    ));
}

#[test]
fn the_referee_says_when_it_was_told_out_of_order() {
    let mut referee = referee();
    referee.on_air(&downlink(10_000_000, SF9, 64));
    referee.on_air(&downlink(0, SF9, 64));
    let breaches = referee.verdict(IMAGE).breaches;
    assert_eq!(breaches[0], Breach::OutOfOrder { at: at(0), later: at(10_000_000) });
}

#[test]
fn a_header_that_multicast_cannot_have_is_seen() {
    let spoiled: [fn(&mut Vec<u8>); 7] = [
        |phy| phy[0] = 0xA0,
        |phy| phy[0] = 0x61,
        |phy| phy[5] = 0x20,
        |phy| phy[5] = 0x01,
        |phy| phy[8] = 0,
        |phy| phy[8] = 224,
        |phy| phy.truncate(12),
    ];
    for spoil in spoiled {
        let mut frame = group_frame(0, 700);
        spoil(&mut frame.phy_payload);
        frame.airtime_us = downlink_airtime_us(frame.modulation, frame.phy_payload.len());
        let mut referee = referee();
        referee.on_air(&frame);
        let breach = only_breach(&referee);
        assert!(matches!(breach, Breach::GroupHeader { mc_addr: GROUP, fcnt: 700, .. }), "{breach}");
    }
    for fport in [1, 200, 201, 223] {
        let mut frame = group_frame(0, 700);
        frame.phy_payload[8] = fport;
        let mut referee = referee();
        referee.on_air(&frame);
        assert!(is_content(&referee));
    }
}

#[test]
fn frames_of_others_are_not_judged_as_group_frames() {
    let mut referee = referee();
    for (k, first) in [0x20_u8, 0x60, 0xA0, 0xE0, 0x40].into_iter().enumerate() {
        let mut frame = group_frame(k as i64 * 10_000_000, 0);
        frame.phy_payload[0] = first;
        if matches!(first, 0x60 | 0xA0) {
            frame.phy_payload[1] ^= 1;
        }
        referee.on_air(&frame);
    }
    for len in 0..8 {
        let mut frame = group_frame(100_000_000 + len as i64 * 10_000_000, 0);
        frame.phy_payload.truncate(len);
        frame.airtime_us = downlink_airtime_us(SF9, len);
        referee.on_air(&frame);
    }
    assert!(is_content(&referee), "{:?}", referee.verdict(IMAGE).breaches);
}

#[test]
fn counters_at_the_ends_are_never_used() {
    for fcnt in [0, 1, 65_535] {
        let mut referee = referee();
        referee.on_air(&group_frame(0, fcnt));
        assert_eq!(only_breach(&referee), Breach::ReservedFcnt { at: at(0), mc_addr: GROUP, fcnt });
    }
    let mut referee = referee();
    referee.on_air(&group_frame(0, 2));
    referee.on_air(&group_frame(10_000_000, 65_534));
    assert!(is_content(&referee));
}

#[test]
fn a_counter_with_other_bytes_is_seen_over_the_whole_life() {
    let mut referee = referee();
    for fcnt in 2..5_000 {
        referee.on_air(&group_frame(i64::from(fcnt) * 10_000_000, fcnt));
    }
    referee.power_cycle();
    let mut other = group_frame(90_000_000_000, 2);
    *other.phy_payload.last_mut().unwrap() ^= 1;
    referee.on_air(&other);
    assert_eq!(
        only_breach(&referee).to_string(),
        "90000.000000 s: group 01c0ffee FCnt 2 carries other bytes than at 20.000000 s (TS001-1.0.4 4.3.1)"
    );
    assert_eq!(referee.verdict(IMAGE).repeated_frames, 0);
}

#[test]
fn counters_may_fall_only_when_power_was_lost() {
    let mut referee = referee();
    referee.on_air(&group_frame(0, 10));
    referee.on_air(&group_frame(10_000_000, 12));
    referee.power_cycle();
    referee.on_air(&group_frame(20_000_000, 10));
    assert!(is_content(&referee));
    referee.on_air(&group_frame(30_000_000, 12));
    referee.on_air(&group_frame(40_000_000, 11));
    let expected = Breach::FcntFell { at: at(40_000_000), mc_addr: GROUP, fcnt: 11, highest: 12 };
    assert_eq!(only_breach(&referee), expected);
}

#[test]
fn the_same_bytes_may_follow_themselves_in_one_power_cycle() {
    let mut referee = referee();
    referee.on_air(&group_frame(0, 12));
    referee.on_air(&group_frame(10_000_000, 12));
    assert!(is_content(&referee));
    assert_eq!(referee.verdict(IMAGE).repeated_frames, 1);
}

#[test]
fn repeated_frames_are_counted_by_power_cycle() {
    let mut referee = referee();
    let mut now_us = 0;
    let mut send = |referee: &mut Referee, fcnts: core::ops::Range<u16>| {
        for fcnt in fcnts {
            referee.on_air(&group_frame(now_us, fcnt));
            now_us += 10_000_000;
        }
        let verdict = referee.verdict(IMAGE);
        assert!(verdict.is_content(), "{:?}", verdict.breaches);
        (verdict.repeated_frames, verdict.max_repeated_in_a_row)
    };
    assert_eq!(send(&mut referee, 2..40), (0, 0));
    referee.power_cycle();
    assert_eq!(send(&mut referee, 30..36), (6, 6));
    referee.power_cycle();
    assert_eq!(send(&mut referee, 32..50), (14, 8));
    assert_eq!(send(&mut referee, 50..60), (14, 8));
}

#[test]
fn group_frames_stay_inside_the_sessions_that_were_announced() {
    let airtime_us = group_frame(0, 2).airtime_us as i64;
    let (start_us, end_us) = (100_000_000, 356_000_000);
    let judge = |frame_us: i64| {
        let mut referee = Referee::new(table(RfRegion::Eu868));
        referee.group(GROUP);
        referee.session(GROUP, at(900_000_000), at(1_156_000_000));
        referee.session(GROUP, at(start_us), at(end_us));
        referee.on_air(&group_frame(frame_us, 2));
        referee
    };
    for inside_us in [start_us, start_us + 1, end_us - airtime_us, 900_000_000] {
        assert!(is_content(&judge(inside_us)), "{inside_us}");
    }
    for (outside_us, touches) in [
        (0, false),
        (start_us - 1, true),
        (end_us - airtime_us + 1, true),
        (end_us, false),
        (500_000_000, false),
        (2_000_000_000, false),
    ] {
        let Breach::OutsideSession { mc_addr: GROUP, fcnt: 2, end, missed, .. } =
            only_breach(&judge(outside_us))
        else {
            panic!("{outside_us}")
        };
        assert_eq!(end, at(outside_us + airtime_us));
        assert_eq!(missed, touches.then_some((at(start_us), at(end_us))));
    }
}

#[test]
fn a_short_session_inside_a_long_one_ends_nothing() {
    let mut referee = Referee::new(table(RfRegion::Eu868));
    referee.session(GROUP, at(0), at(1_000_000_000));
    referee.session(GROUP, at(10_000_000), at(20_000_000));
    for (fcnt, start_us) in [(2, 12_000_000), (3, 30_000_000), (4, 900_000_000)] {
        referee.on_air(&group_frame(start_us, fcnt));
        assert!(is_content(&referee));
    }
    referee.session(GROUP, at(1_000_000_000), at(1_100_000_000));
    referee.on_air(&group_frame(1_000_000_000, 5));
    assert!(is_content(&referee));
    referee.on_air(&group_frame(1_100_000_000, 6));
    assert!(!is_content(&referee));
}

#[test]
fn a_group_without_a_session_is_heard_by_nobody() {
    let mut referee = Referee::new(table(RfRegion::Eu868));
    referee.group(GROUP);
    referee.on_air(&group_frame(0, 2));
    assert!(matches!(only_breach(&referee), Breach::OutsideSession { missed: None, .. }));
}

#[test]
fn every_complete_device_holds_the_image_bit_for_bit() {
    let mut referee = referee();
    referee.device_complete("a", at(1), IMAGE);
    referee.device_complete("a", at(2), IMAGE);
    assert!(is_content(&referee));
    let mut rotten = IMAGE.to_vec();
    rotten[8] ^= 0x80;
    referee.device_complete("b", at(3_000_000), &rotten);
    assert_eq!(referee.verdict(IMAGE).devices_complete, 1);
    assert_eq!(
        only_breach(&referee).to_string(),
        "3.000000 s: device b is complete with 9 bytes that are not the image of 9 bytes (TS004-1.0.0)"
    );
    // Right in the end is too late.
    referee.device_complete("b", at(4_000_000), IMAGE);
    assert_eq!(referee.verdict(IMAGE).devices_complete, 1);
    assert!(matches!(only_breach(&referee), Breach::WrongImage { .. }));
    assert_eq!(referee.verdict(b"another").breach_count, 3);
}

#[test]
fn a_thousand_breaches_are_counted_and_a_hundred_kept() {
    let mut referee = referee();
    for k in 0..1_000 {
        referee.on_air(&Transmission { eirp: Dbm::from_whole(30), ..downlink(k * 10_000_000, SF9, 64) });
    }
    referee.device_complete("a", at(0), b"wrong");
    let verdict = referee.verdict(IMAGE);
    assert_eq!((verdict.breaches.len(), verdict.breach_count), (100, 1_001));
}
