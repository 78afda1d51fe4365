//! The model of LBM against what LBM's own package code answered: `swl2001_v2_device_dialogues`
//! and `ts004_v2_data_block_mic` of `tests/vectors/frame_vectors.json`.
//!
//! Not modelled, hence left out: TS006 (FPort 203). LBM's log lines (DL, GROUP, EVENT, gps) are no uplinks.

use serde_json::Value;

use crate::fragment::DataFragment;
use crate::fragment::Encoder;
use crate::fragment::Layout;
use crate::fragment::Ts004Version;
use crate::lorawan::RootKey;
use crate::lorawan::Secret;
use crate::sim::device::end_device::Device;
use crate::sim::device::end_device::Source;
use crate::sim::device::settings::Settings;
use crate::sim::device::stack::Stack;
use crate::sim::device::tests::now;
use crate::sim::device::tests::settings;
use crate::sim::random::Random;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

/// Class C windows of multicast groups 0 to 3 follow it.
const RX1: u8 = 1;
const FIRST_GROUP_WINDOW: u8 = 4;
const FIRMWARE_MANAGEMENT_FPORT: u8 = 203;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/frame_vectors.json")).unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn lbm_v2(root_key: RootKey) -> Device {
    let settings = Settings { ts004_version: Ts004Version::V2, root_key, ..settings(Stack::Lbm) };
    // As that build was configured: images of the vectors fit.
    Device::new(Settings { max_fragments: 1000, max_lost: 1000, ..settings }, Random::new(1))
}

/// The uplinks among lines like `UPLINK fport=200 000202`.
fn uplinks(lines: &Value) -> Vec<(u8, Vec<u8>)> {
    let uplink = |line: &Value| {
        let (fport, hex) = line.as_str()?.strip_prefix("UPLINK fport=")?.split_once(' ')?;
        Some((fport.parse().unwrap(), unhex(hex)))
    };
    lines.as_array().unwrap().iter().filter_map(uplink).collect()
}

#[test]
fn every_dialogue_of_ts004_and_ts005_is_answered_bit_for_bit() {
    let vectors = vectors();
    let mut played = 0;
    for run in vectors["swl2001_v2_device_dialogues"]["runs"].as_array().unwrap() {
        let mut device = lbm_v2(RootKey::GenAppKey(Secret::from_bytes([0; 16])));
        let mut gps = None;
        let mut answers = Vec::new();
        let mut is_foreign = false;
        for line in run["device_input"].as_array().unwrap() {
            let words: Vec<&str> = line.as_str().unwrap().split(' ').collect();
            match words[..] {
                ["gps", seconds] => gps = Some(GpsTime::from_us(seconds.parse::<u64>().unwrap() * 1_000_000)),
                ["dl", fport, window, hex] => {
                    let (fport, window): (u8, u8) = (fport.parse().unwrap(), window.parse().unwrap());
                    is_foreign |= fport == FIRMWARE_MANAGEMENT_FPORT;
                    let now = Now { mono: Instant::ZERO, gps };
                    if window == RX1 {
                        answers.extend(device.unicast(now, fport, &unhex(hex)));
                    } else {
                        let source = Source::Multicast(window - FIRST_GROUP_WINDOW);
                        assert!(device.application(now, fport, &unhex(hex), source).is_empty());
                    }
                }
                _ => panic!("{line}"),
            }
        }
        if !is_foreign {
            assert_eq!(answers, uplinks(&run["device_output"]), "{}", run["name"]);
            played += 1;
        }
    }
    assert_eq!(played, 16);
}

/// The vectors' losses cannot be repeated, as their seed is not told. Here as many uncoded fragments are
/// lost as make the same number of received ones. LBM sends the status and a report that is still to be
/// repeated in one uplink; here they come as two.
#[test]
fn a_data_block_is_judged_by_its_mic_as_the_real_one_did() {
    for vector in vectors()["ts004_v2_data_block_mic"].as_array().unwrap() {
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let mut x = number(&vector["data"]["seed"]) as u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        };
        let image: Vec<u8> = (0..number(&vector["data"]["length"])).map(|_| next()).collect();
        let layout = Layout::new(image.len(), number(&vector["frag_size"])).unwrap();
        let frag_index = number(&vector["frag_index"]) as u8;
        for (run, flip) in [("uplinks_and_events", 0), ("uplinks_with_mic_last_byte_flipped", 1)] {
            let expected = uplinks(&vector["swl2001_v2_device"][run]);
            let key = Secret::from_hex(vector["root_key"].as_str().unwrap()).unwrap();
            let mut device = lbm_v2(RootKey::GenAppKey(key));
            let mut setup = unhex(vector["frag_session_setup_req"].as_str().unwrap());
            *setup.last_mut().unwrap() ^= flip;
            assert_eq!(device.unicast(now(0), 201, &setup), expected[..1]);
            let mc_group_id = setup[1].trailing_zeros() as u8;
            let is_lossless = vector["swl2001_v2_device"]["loss_permille"] == 0;
            let mut encoder = Encoder::new(layout, Ts004Version::V2);
            for n in if is_lossless { 1 } else { 2 }..=layout.nb_frag() + 20 {
                let mut data = vec![0; layout.frag_size()];
                encoder.fragment(&image, n, &mut data).unwrap();
                let mut message = Vec::new();
                DataFragment { frag_index, n, data: &data }.write(&mut message);
                device.application(now(0), 201, &message, Source::Multicast(mc_group_id));
            }
            assert_eq!(device.image(), (flip == 0).then_some(&image[..]));
            let status = device.unicast(now(0), 201, &[0x01, frag_index << 1 | 1]).remove(0).1;
            let told = &expected.last().unwrap().1;
            let told_status = &told[told.len() - 5..];
            // Status, FragIndex and MissingFrag; NbFragReceived, too, where nothing was lost.
            assert_eq!(
                (status[0], status[1], status[3] >> 6, status[4]),
                (told_status[0], told_status[1], told_status[3] >> 6, told_status[4]),
                "{} {run}",
                vector["name"]
            );
            if is_lossless {
                assert_eq!(status, told_status);
            }
            let report = device.take_uplink(now(3_000_000_000)).map(|(_, bytes)| bytes);
            assert_eq!(
                report,
                expected.iter().find(|(_, bytes)| bytes[0] == 0x04).map(|(_, b)| b[..2].to_vec())
            );
        }
    }
}
