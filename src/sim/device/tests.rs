//! A device on the bench: set up by commands, sent frames one by one.

use proptest::prelude::*;

use crate::fragment::DataFragment;
use crate::fragment::Encoder;
use crate::fragment::Layout;
use crate::fragment::Ts004Version;
use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::PackageVersion;
use crate::lorawan::RootKey;
use crate::lorawan::Secret;
use crate::lorawan::data_block_mic;
use crate::lorawan::encrypt_mc_key;
use crate::lorawan::mc_ke_key;
use crate::lorawan::multicast_frame;
use crate::lorawan::ts003;
use crate::lorawan::ts004;
use crate::lorawan::ts005;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;
use crate::region::RfRegion;
use crate::region::parameters;
use crate::sim::air::Channel;
use crate::sim::air::Loss;
use crate::sim::concentrator::Transmission;
use crate::sim::device::end_device::Device;
use crate::sim::device::settings::Settings;
use crate::sim::device::stack::Stack;
use crate::sim::device::status::State;
use crate::sim::random::Random;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

const STACKS: [Stack; 3] = [Stack::LoRaMacNode, Stack::Lbm, Stack::Ideal];
const MC_ADDR: McAddr = McAddr::new(0x01c0_ffee);
const FREQUENCY_HZ: u32 = 869_525_000;
const SF9: Modulation = Modulation::LoRa { sf: 9, bw_hz: 125_000 };
const GPS_ZERO_S: u32 = 1_400_000_000;
const S: u64 = 1_000_000;
const FRAG_SIZE: usize = 40;
/// Sessions begin here and last 2^12 s.
const START_S: u64 = 100;
const TIME_OUT: u8 = 12;

pub(super) fn root_key() -> RootKey {
    RootKey::GenAppKey(Secret::from_bytes([3; 16]))
}

fn mc_key() -> Secret {
    Secret::from_bytes([7; 16])
}

fn keys() -> McSessionKeys {
    McSessionKeys::derive(&mc_key(), MC_ADDR)
}

pub(super) fn settings(stack: Stack) -> Settings {
    Settings::stock(stack, "bench".to_owned(), root_key(), parameters(RfRegion::Eu868).unwrap())
}

pub(super) fn now(us: u64) -> Now {
    let gps = GpsTime::from_us(u64::from(GPS_ZERO_S) * S + us);
    Now { mono: Instant::ZERO.plus_us(us), gps: Some(gps) }
}

fn image(len: usize) -> Vec<u8> {
    let mut random = Random::new(11);
    (0..len).map(|_| random.next_u64() as u8).collect()
}

fn group(min_mc_fcount: u32, max_mc_fcount: u32) -> ts005::Request {
    ts005::Request::McGroupSetup(ts005::McGroupSetupReq {
        mc_group_id: 0,
        mc_addr: MC_ADDR,
        mc_key_encrypted: encrypt_mc_key(&mc_ke_key(&root_key().mc_root_key()), &mc_key()),
        min_mc_fcount,
        max_mc_fcount,
    })
}

fn session_at(mc_group_id: u8, start_s: u64, time_out: u8, dl_frequency_hz: u32, dr: u8) -> ts005::Request {
    let session_time = GPS_ZERO_S + u32::try_from(start_s).unwrap();
    let session = ts005::McClassCSessionReq { mc_group_id, session_time, time_out, dl_frequency_hz, dr };
    ts005::Request::McClassCSession(session)
}

fn session() -> ts005::Request {
    session_at(0, START_S, TIME_OUT, FREQUENCY_HZ, 3)
}

fn block(nb_frag: u16, frag_size: u8) -> ts004::FragSessionSetupReq {
    ts004::FragSessionSetupReq {
        frag_index: 0,
        mc_group_bit_mask: 1,
        nb_frag,
        frag_size,
        frag_algo: 0,
        block_ack_delay: 0,
        padding: 0,
        descriptor: [0; 4],
        v2: None,
    }
}

/// A device and the sender that serves it, with a clock between them.
struct Bench {
    device: Device,
    us: u64,
    image: Vec<u8>,
    encoder: Encoder,
    version: PackageVersion,
}

impl Bench {
    /// A device that was told nothing, and an image of `nb_frag` fragments.
    fn bare(settings: Settings, nb_frag: usize) -> Bench {
        let image = image(nb_frag * FRAG_SIZE);
        let layout = Layout::new(image.len(), FRAG_SIZE).unwrap();
        let encoder = Encoder::new(layout, settings.ts004_version);
        let version = PackageVersion::from_number(settings.ts004_version.number()).unwrap();
        Bench { device: Device::new(settings, Random::new(1)), us: 0, image, encoder, version }
    }

    /// A device set up for everything, at the first second of its session.
    fn ready(settings: Settings, nb_frag: usize) -> Bench {
        let mut bench = Bench::bare(settings, nb_frag);
        bench.set_up_block();
        bench.ts005(&group(1, 65_535));
        bench.ts005(&session());
        bench.us = START_S * S;
        assert_eq!(bench.state(), State::Listening);
        bench
    }

    fn stock(stack: Stack) -> Bench {
        Bench::ready(settings(stack), 10)
    }

    fn set_up_block(&mut self) {
        let nb_frag = u16::try_from(self.image.len() / FRAG_SIZE).unwrap();
        let mut setup = block(nb_frag, FRAG_SIZE as u8);
        if self.version == PackageVersion::V2 {
            let mic = data_block_mic(&root_key(), 0, 0, [0; 4], &self.image);
            setup.v2 = Some(ts004::FragSessionSetupV2 { ack_reception: true, session_cnt: 0, mic });
        }
        self.ts004(&ts004::Request::FragSessionSetup(setup));
    }

    fn ts004(&mut self, request: &ts004::Request) -> Option<ts004::Answer> {
        let mut payload = Vec::new();
        request.write(self.version, &mut payload).unwrap();
        let (_, answer) = self.device.unicast(now(self.us), ts004::FPORT, &payload).pop()?;
        let (answers, tail) = ts004::Answer::parse(&answer, self.version);
        assert_eq!((answers.len(), tail), (1, None));
        answers.into_iter().next()
    }

    fn ts005(&mut self, request: &ts005::Request) -> Option<ts005::Answer> {
        let mut payload = Vec::new();
        request.write(self.version, &mut payload).unwrap();
        let (_, answer) = self.device.unicast(now(self.us), ts005::FPORT, &payload).pop()?;
        let (answers, tail) = ts005::Answer::parse(&answer, self.version);
        assert_eq!((answers.len(), tail), (1, None));
        answers.into_iter().next()
    }

    /// The message with fragment `n`.
    fn message(&mut self, n: u16) -> Vec<u8> {
        let mut data = vec![0; FRAG_SIZE];
        self.encoder.fragment(&self.image, n, &mut data).unwrap();
        let mut payload = Vec::new();
        DataFragment { frag_index: 0, n, data: &data }.write(&mut payload);
        payload
    }

    /// A frame that begins now.
    fn frame(&self, fcnt: u32, payload: &[u8]) -> Transmission {
        let phy_payload = multicast_frame(&keys(), MC_ADDR, fcnt, ts004::FPORT, payload).unwrap();
        Transmission {
            start: Instant::ZERO.plus_us(self.us),
            airtime_us: downlink_airtime_us(SF9, phy_payload.len()),
            frequency_hz: FREQUENCY_HZ,
            modulation: SF9,
            eirp: Dbm::from_whole(27),
            phy_payload,
            inverted_iq: true,
            crc: false,
            preamble_symbols: 8,
        }
    }

    fn hear(&mut self, frame: &Transmission) {
        self.us = frame.end().us_since(Instant::ZERO);
        self.device.hear(now(self.us), frame);
        self.us += 2 * S;
    }

    /// Sends fragment `n` with its number plus one as counter.
    fn send(&mut self, n: u16) {
        self.send_as(u32::from(n) + 1, n);
    }

    fn send_as(&mut self, fcnt: u32, n: u16) {
        let message = self.message(n);
        self.send_payload(fcnt, &message);
    }

    fn send_payload(&mut self, fcnt: u32, payload: &[u8]) {
        let frame = self.frame(fcnt, payload);
        self.hear(&frame);
    }

    fn state(&self) -> State {
        self.device.status(now(self.us)).state
    }

    fn heard(&self) -> u32 {
        self.device.status(now(self.us)).heard
    }

    fn dropped(&self) -> u32 {
        self.device.status(now(self.us)).dropped
    }

    fn is_complete(&self) -> bool {
        let complete = matches!(self.state(), State::Complete { .. });
        assert_eq!(self.device.image(), complete.then_some(&self.image[..]));
        complete
    }
}

#[test]
fn a_campaign_at_twenty_percent_loss_ends_with_the_image_or_at_the_loss_cap() {
    for (stack, nb_frag, fails) in
        [(Stack::LoRaMacNode, 21, true), (Stack::Lbm, 100, false), (Stack::Ideal, 300, false)]
    {
        for version in [Ts004Version::V1, Ts004Version::V2] {
            let (mut complete, mut failed) = (0, 0);
            for seed in 0..20 {
                let settings = Settings { ts004_version: version, ..settings(stack) };
                let cap = settings.max_lost;
                let mut bench = Bench::ready(settings, usize::from(nb_frag));
                let mut air = Channel::new(Loss::Random { ppm: 200_000 }, Random::new(seed));
                for n in 1..=2 * nb_frag + 20 {
                    if air.hears() {
                        bench.send(n);
                    }
                }
                let status = bench.device.status(now(bench.us));
                assert_eq!(bench.is_complete(), status.lost_uncoded <= cap, "{stack} {seed} {status:?}");
                assert_eq!((status.missed_deaf, status.dropped), (0, 0));
                if let State::Complete { at } = status.state {
                    complete += 1;
                    assert_eq!(status.coded_used, status.lost_uncoded);
                    assert_eq!(status.last_heard, Some(at));
                    assert_eq!(status.listening_us, at.us_since(Instant::ZERO) - START_S * S);
                } else {
                    failed += 1;
                }
            }
            assert_eq!(
                (complete > 0, failed > 0),
                (true, fails),
                "{stack}: {complete} complete, {failed} failed"
            );
        }
    }
}

#[test]
fn what_was_lost_beyond_the_cap_is_named_with_the_stacks_own_word() {
    for (stack, word) in
        [(Stack::LoRaMacNode, "`finished` with MatrixError 1"), (Stack::Lbm, "MemoryError 1")]
    {
        let mut bench = Bench::ready(Settings { max_lost: 2, ..settings(stack) }, 10);
        (4..=11).for_each(|n| bench.send(n));
        let State::Failed { why } = bench.state() else { panic!("{:?}", bench.state()) };
        assert!(why.starts_with("lost 3 uncoded fragments, can solve for 2") && why.contains(word), "{why}");
        let answer = bench.ts004(&ts004::Request::FragSessionStatus { frag_index: 0, participants: true });
        let Some(ts004::Answer::FragSessionStatus(status)) = answer else { panic!("{answer:?}") };
        assert!(status.memory_error);
    }
}

#[test]
fn a_block_that_a_stock_stack_cannot_hold_is_refused_with_both_sizes() {
    for (stack, most) in [(Stack::LoRaMacNode, "21 x 50 B"), (Stack::Lbm, "100 x 242 B")] {
        let mut bench = Bench::bare(settings(stack), 10);
        let answer = bench.ts004(&ts004::Request::FragSessionSetup(block(1100, 96)));
        let Some(ts004::Answer::FragSessionSetup(answer)) = answer else { panic!("{answer:?}") };
        assert!(answer.not_enough_memory && !answer.encoding_unsupported);
        let what = format!("FragSessionSetup: not enough memory ({most}, needs 1100 x 96 B)");
        assert_eq!(bench.state(), State::Refused { what });
        bench.set_up_block();
        assert_eq!(bench.state(), State::NotToldSession);
    }
    let mut bench = Bench::bare(settings(Stack::Ideal), 10);
    let answer = bench.ts004(&ts004::Request::FragSessionSetup(block(16_383, 255)));
    assert!(matches!(answer, Some(ts004::Answer::FragSessionSetup(answer)) if answer.is_accepted()));
}

#[test]
fn a_setup_that_makes_no_image_is_refused() {
    let no_padding = block(0, 50);
    let too_much_padding = ts004::FragSessionSetupReq { padding: 50, ..block(4, 50) };
    for setup in [no_padding, block(4, 0), too_much_padding] {
        let mut bench = Bench::bare(settings(Stack::Lbm), 10);
        let answer = bench.ts004(&ts004::Request::FragSessionSetup(setup));
        assert!(
            matches!(answer, Some(ts004::Answer::FragSessionSetup(answer)) if answer.encoding_unsupported)
        );
    }
}

#[test]
fn a_device_that_was_not_told_everything_hears_nothing() {
    for stack in STACKS {
        let mut bench = Bench::bare(settings(stack), 10);
        bench.us = START_S * S;
        assert_eq!(bench.state(), State::Idle);
        bench.send(1);
        bench.set_up_block();
        bench.send(2);
        bench.ts005(&group(1, 65_535));
        bench.send(3);
        assert_eq!(bench.state(), State::NotToldSession);
        let status = bench.device.status(now(bench.us));
        assert_eq!((status.heard, status.dropped, status.listening_us), (0, 0, 0));
    }
}

#[test]
fn a_device_is_deaf_outside_its_session() {
    for stack in STACKS {
        let mut bench = Bench::ready(settings(stack), 10);
        let end_us = (START_S + (1 << TIME_OUT)) * S;
        let message = bench.message(1);
        let airtime_us = bench.frame(2, &message).airtime_us;
        // One microsecond too early, just in time, just in time again, and cut off at the end.
        for (start_us, fcnt, heard) in [
            (START_S * S - 1, 2, 0),
            (START_S * S, 3, 1),
            (end_us - airtime_us, 4, 2),
            (end_us - airtime_us + 1, 5, 2),
        ] {
            let mut late = Bench { us: start_us, ..Bench::ready(settings(stack), 10) };
            std::mem::swap(&mut late.device, &mut bench.device);
            late.send_as(fcnt, 1);
            std::mem::swap(&mut late.device, &mut bench.device);
            assert_eq!(bench.heard(), heard, "{stack} at {start_us}");
        }
        bench.us = end_us + 7 * S;
        let status = bench.device.status(now(bench.us));
        assert_eq!((status.listening_us, status.dropped), (S << TIME_OUT, 0));
        let why = "its Class C session ended with 9 fragments missing".to_owned();
        assert_eq!(status.state, State::Failed { why });
    }
}

#[test]
fn a_wrong_clock_moves_the_session() {
    for (clock_error_us, from_us) in [(3 * S as i64, (START_S - 3) * S), (-250_000, START_S * S + 250_000)] {
        let mut bench = Bench::bare(Settings { clock_error_us, ..settings(Stack::Lbm) }, 10);
        bench.set_up_block();
        bench.ts005(&group(1, 65_535));
        bench.ts005(&session());
        bench.us = from_us - 1;
        assert_eq!(bench.state(), State::Waiting);
        bench.us = from_us;
        assert_eq!(bench.state(), State::Listening);
    }
}

#[test]
fn the_clock_can_be_set_right_by_ts003() {
    let mut bench = Bench::bare(Settings { clock_error_us: -60_000_000, ..settings(Stack::Lbm) }, 10);
    let mut resync = Vec::new();
    ts003::Request::ForceDeviceResync { nb_transmissions: 1 }.write(bench.version, &mut resync).unwrap();
    let (fport, asked) = bench.device.unicast(now(0), ts003::FPORT, &resync).remove(0);
    let (asked, _) = ts003::Answer::parse(&asked, bench.version);
    let wrong = ts003::Answer::AppTime { device_time: GPS_ZERO_S - 60, token_req: 0, ans_required: true };
    assert_eq!((fport, asked), (ts003::FPORT, vec![wrong]));
    for token_ans in [5, 0, 0] {
        let mut answer = Vec::new();
        let request = ts003::Request::AppTime { time_correction: 60, token_ans };
        request.write(bench.version, &mut answer).unwrap();
        assert_eq!(bench.device.unicast(now(0), ts003::FPORT, &answer), []);
    }
    bench.ts005(&group(1, 65_535));
    bench.ts005(&session());
    bench.set_up_block();
    bench.us = START_S * S;
    assert_eq!(bench.state(), State::Listening);
}

#[test]
fn a_session_that_cannot_be_is_refused_with_its_bits() {
    let bits = |answer: &ts005::McSessionAns| {
        (answer.dr_error, answer.freq_error, answer.mc_group_undefined, answer.start_missed)
    };
    for stack in STACKS {
        let is_lmn = stack == Stack::LoRaMacNode;
        for (request, expected, word) in [
            (session_at(0, 100, 5, 869_525_000, 8), (true, false, false, false), "DR8"),
            (session_at(0, 100, 5, 915_000_000, 3), (false, true, false, false), "915000000 Hz"),
            (session_at(1, 100, 5, 869_525_000, 3), (false, false, true, false), "group 1 is not set up"),
            (session_at(0, 10, 5, 869_525_000, 3), (false, false, is_lmn, !is_lmn), "10 s ago"),
        ] {
            let mut bench = Bench::bare(settings(stack), 10);
            bench.us = 20 * S;
            bench.ts005(&group(1, 65_535));
            let Some(ts005::Answer::McClassCSession(answer)) = bench.ts005(&request) else { panic!() };
            assert_eq!((bits(&answer), answer.time_to_start), (expected, None), "{stack} {word}");
            let State::Refused { what } = bench.state() else { panic!("{:?}", bench.state()) };
            assert!(what.starts_with("McClassCSession: ") && what.contains(word), "{what}");
            let Some(ts005::Answer::McClassCSession(answer)) = bench.ts005(&session()) else { panic!() };
            assert_eq!(answer.time_to_start, Some(80));
            assert_eq!(bench.state(), State::NotToldSession);
        }
    }
}

#[test]
fn a_fixed_channel_plan_refuses_what_lies_between_its_channels() {
    let region = parameters(RfRegion::Us915).unwrap();
    let mut bench = Bench::bare(Settings { region, ..settings(Stack::Lbm) }, 10);
    bench.ts005(&group(1, 65_535));
    for (frequency_hz, dr, accepted) in [
        (923_300_000, 8, true),
        (927_500_000, 13, true),
        (923_400_000, 8, false),
        (928_100_000, 8, false),
        (923_300_000, 0, false),
    ] {
        let request = session_at(0, START_S, 5, frequency_hz, dr);
        let Some(ts005::Answer::McClassCSession(answer)) = bench.ts005(&request) else { panic!() };
        assert_eq!(answer.time_to_start.is_some(), accepted, "{frequency_hz} Hz DR{dr}");
    }
}

#[test]
fn a_group_with_address_zero_is_refused() {
    let mut bench = Bench::bare(settings(Stack::LoRaMacNode), 10);
    let ts005::Request::McGroupSetup(setup) = group(1, 2) else { unreachable!() };
    let zero = ts005::McGroupSetupReq { mc_addr: McAddr::new(0), ..setup };
    let answer = bench.ts005(&ts005::Request::McGroupSetup(zero));
    assert_eq!(answer, Some(ts005::Answer::McGroupSetup { mc_group_id: 0, id_error: true }));
    assert!(matches!(bench.state(), State::Refused { .. }));
}

#[test]
fn frames_on_another_channel_or_for_others_are_not_even_noticed() {
    let mut bench = Bench::stock(Stack::Ideal);
    let message = bench.message(1);
    let good = bench.frame(2, &message);
    let mut for_another = good.clone();
    for_another.phy_payload[1] ^= 1;
    for frame in [
        Transmission { frequency_hz: FREQUENCY_HZ + 100, ..good.clone() },
        Transmission { modulation: Modulation::LoRa { sf: 10, bw_hz: 125_000 }, ..good.clone() },
        Transmission { inverted_iq: false, ..good.clone() },
        Transmission { phy_payload: vec![0x60; 3], ..good.clone() },
        for_another,
    ] {
        bench.device.hear(now(frame.end().us_since(Instant::ZERO)), &frame);
        assert_eq!((bench.heard(), bench.dropped()), (0, 0));
    }
    bench.hear(&good);
    assert_eq!(bench.heard(), 1);
}

#[test]
fn a_frame_that_overlaps_the_deaf_time_after_the_last_is_missed() {
    let deaf = Settings {
        deaf_after_uncoded_us: 500_000,
        deaf_after_coded_us: 1_500_000,
        max_lost: 10,
        ..settings(Stack::LoRaMacNode)
    };
    let mut bench = Bench::ready(deaf, 10);
    let mut fcnt = 1;
    let mut send_after = |bench: &mut Bench, gap_us: u64, n: u16| {
        fcnt += 1;
        bench.us = bench.us - 2 * S + gap_us;
        bench.send_as(fcnt, n);
        (bench.heard(), bench.device.status(now(bench.us)).missed_deaf)
    };
    assert_eq!(send_after(&mut bench, 2 * S, 1), (1, 0));
    assert_eq!(send_after(&mut bench, 499_999, 2), (1, 1));
    // The missed frame did not make it deaf for longer.
    assert_eq!(send_after(&mut bench, 0, 3), (2, 1));
    assert_eq!(send_after(&mut bench, 500_000, 11), (3, 1));
    assert_eq!(send_after(&mut bench, 1_499_999, 12), (3, 2));
    assert_eq!(send_after(&mut bench, 2 * S, 13), (4, 2));
    assert_eq!(send_after(&mut bench, 1_500_000, 14), (5, 2));
}

#[test]
fn a_duplicate_or_a_lower_counter_is_dropped_by_every_stack() {
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        bench.send_as(100, 1);
        bench.send_as(100, 2);
        bench.send_as(99, 3);
        bench.send_as(2, 4);
        assert_eq!((bench.heard(), bench.dropped()), (1, 3), "{stack}");
        // However far it jumps ahead.
        bench.send_as(40_000, 5);
        assert_eq!(bench.heard(), 2, "{stack}");
    }
}

#[test]
fn counters_outside_the_bounds_are_dropped_and_only_the_text_excludes_the_upper_one() {
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        bench.ts005(&ts005::Request::McGroupDelete { mc_group_id: 0 });
        bench.ts005(&group(50, 60));
        bench.ts005(&session_at(0, START_S + 1, TIME_OUT, FREQUENCY_HZ, 3));
        bench.us += S;
        let mut heard_after = |fcnt, n| {
            bench.send_as(fcnt, n);
            bench.heard()
        };
        assert_eq!(heard_after(49, 1), 0, "{stack}");
        assert_eq!(heard_after(50, 1), 1, "{stack}");
        assert_eq!(heard_after(59, 2), 2, "{stack}");
        let at_max = heard_after(60, 3);
        assert_eq!(at_max, if stack == Stack::Ideal { 2 } else { 3 }, "{stack}");
        assert_eq!(heard_after(61, 4), at_max, "{stack}");
    }
}

#[test]
fn only_lbm_takes_bounds_that_contradict_each_other_for_none() {
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        bench.ts005(&ts005::Request::McGroupDelete { mc_group_id: 0 });
        bench.ts005(&group(60, 50));
        bench.ts005(&session_at(0, START_S + 1, TIME_OUT, FREQUENCY_HZ, 3));
        bench.us += S;
        bench.send_as(70, 1);
        assert_eq!(bench.heard() == 1, stack == Stack::Lbm, "{stack}");
    }
}

#[test]
fn a_counter_above_65535_is_reached_only_by_those_who_followed_it_there() {
    for stack in STACKS {
        let fresh = || {
            let mut bench = Bench::stock(stack);
            bench.ts005(&ts005::Request::McGroupDelete { mc_group_id: 0 });
            bench.ts005(&group(65_530, 70_000));
            bench.ts005(&session_at(0, START_S + 1, TIME_OUT, FREQUENCY_HZ, 3));
            bench.us += S;
            bench
        };
        // A device that heard the last frames below the wrap infers the upper half from them.
        let mut follower = fresh();
        follower.send_as(65_535, 1);
        follower.send_as(65_537, 2);
        assert_eq!(follower.heard(), 2, "{stack}");
        // A fresh one takes the 16 bits for the whole counter; by the text it would look at minMcFCount.
        let mut late = fresh();
        late.send_as(65_537, 2);
        assert_eq!(late.heard() == 1, stack == Stack::Ideal, "{stack}");
    }
}

/// A lora-rs device in a session of a group with these bounds.
fn lora_rs(min_mc_fcount: u32, max_mc_fcount: u32) -> Bench {
    let mut bench = Bench::stock(Stack::LoraRs);
    bench.ts005(&ts005::Request::McGroupDelete { mc_group_id: 0 });
    bench.ts005(&group(min_mc_fcount, max_mc_fcount));
    bench.ts005(&session_at(0, START_S + 1, TIME_OUT, FREQUENCY_HZ, 3));
    bench.us += S;
    bench
}

#[test]
fn lora_rs_begins_above_its_lower_bound_and_drops_duplicates_and_lower_counters() {
    let mut bench = lora_rs(50, 65_535);
    let mut heard_after = |fcnt, n| {
        bench.send_as(fcnt, n);
        bench.heard()
    };
    for (fcnt, n, heard) in [(50, 1, 0), (51, 1, 1), (51, 2, 1), (50, 3, 1), (40_000, 2, 2), (39_999, 4, 2)] {
        assert_eq!(heard_after(fcnt, n), heard, "{fcnt}");
    }
}

#[test]
fn lora_rs_takes_fcnt_0_again_and_again_and_goes_on_where_it_was() {
    let mut bench = lora_rs(1, 65_535);
    bench.send_as(10, 1);
    bench.send_as(0, 2);
    bench.send_as(0, 3);
    assert_eq!(bench.heard(), 3);
    bench.send_as(9, 4);
    assert_eq!(bench.heard(), 3);
}

#[test]
fn lora_rs_ends_its_session_with_a_frame_of_the_upper_bound() {
    let mut bench = lora_rs(1, 60);
    bench.send_as(59, 1);
    assert_eq!(bench.heard(), 1);
    bench.send_as(60, 2);
    bench.send_as(3, 3);
    bench.send_as(0, 4);
    assert_eq!(bench.heard(), 1, "what comes later is not heard any more");
}

#[test]
fn lora_rs_never_goes_above_16_bits() {
    let mut bench = lora_rs(65_530, 70_000);
    bench.send_as(65_535, 1);
    bench.send_as(65_537, 2);
    assert_eq!(bench.heard(), 1);
}

#[test]
fn lbm_forgets_its_counter_at_every_session_start_and_its_bounds_at_the_end() {
    for stack in STACKS {
        let mut bench = Bench::bare(settings(stack), 10);
        bench.set_up_block();
        bench.ts005(&group(100, 65_535));
        bench.ts005(&session_at(0, 10, 5, FREQUENCY_HZ, 3));
        bench.us = 10 * S;
        bench.send_as(200, 1);
        assert_eq!(bench.heard(), 1);
        bench.us = 60 * S;
        bench.ts005(&session_at(0, 70, 5, FREQUENCY_HZ, 3));
        bench.us = 70 * S;
        bench.send_as(50, 2);
        assert_eq!(bench.heard() == 2, stack == Stack::Lbm, "{stack}");
        bench.send_as(201, 3);
        assert_eq!(bench.heard(), if stack == Stack::Lbm { 3 } else { 2 }, "{stack}");
        assert_eq!(bench.device.listening_us(now(500 * S)), 64 * S);
    }
}

#[test]
fn lbm_keeps_the_old_group_when_it_is_set_up_anew_in_its_session() {
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        let answer = bench.ts005(&group(1000, 2000));
        assert_eq!(answer, Some(ts005::Answer::McGroupSetup { mc_group_id: 0, id_error: false }));
        bench.send(1);
        assert_eq!(bench.heard() == 1, stack == Stack::Lbm, "{stack}");
    }
}

#[test]
fn loramac_node_gives_every_session_the_time_of_group_0() {
    for stack in STACKS {
        let mut bench = Bench::bare(settings(stack), 10);
        bench.ts005(&group(1, 100));
        let ts005::Request::McGroupSetup(other) = group(1, 100) else { unreachable!() };
        let other = ts005::McGroupSetupReq { mc_group_id: 1, mc_addr: McAddr::new(9), ..other };
        bench.ts005(&ts005::Request::McGroupSetup(other));
        bench.ts005(&session_at(0, 1000, 3, FREQUENCY_HZ, 3));
        bench.ts005(&session_at(1, 10, 5, FREQUENCY_HZ, 3));
        let expected_us = if stack == Stack::LoRaMacNode { 8 * S } else { 32 * S };
        assert_eq!(bench.device.listening_us(now(900 * S)), expected_us, "{stack}");
    }
}

#[test]
fn deleting_the_group_ends_the_session() {
    let mut bench = Bench::stock(Stack::Lbm);
    bench.us += 5 * S;
    bench.ts005(&ts005::Request::McGroupDelete { mc_group_id: 0 });
    bench.send(1);
    let status = bench.device.status(now(bench.us));
    assert_eq!((status.heard, status.listening_us, status.state), (0, 5 * S, State::NotToldSession));
}

#[test]
fn permanent_class_c_listens_as_soon_as_there_is_a_group() {
    for stack in STACKS {
        let permanent_class_c = Some((FREQUENCY_HZ, SF9));
        let mut bench = Bench::bare(Settings { permanent_class_c, ..settings(stack) }, 2);
        bench.set_up_block();
        bench.send(1);
        assert_eq!((bench.heard(), bench.state()), (0, State::NotToldSession));
        let since_us = bench.us;
        bench.ts005(&group(1, 65_535));
        assert_eq!(bench.state(), State::Listening);
        (1..=3).for_each(|n| bench.send(n));
        let State::Complete { at } = bench.state() else { panic!("{stack} {:?}", bench.state()) };
        assert_eq!(bench.device.listening_us(now(1000 * S)), at.us_since(now(since_us).mono));
    }
}

#[test]
fn an_index_below_the_last_is_dropped_unless_the_device_is_ideal() {
    for stack in STACKS {
        let mut bench = Bench::ready(Settings { max_lost: 10, ..settings(stack) }, 10);
        let order = [1, 3, 2, 3, 5, 11, 4, 13, 12, 12];
        for (fcnt, n) in (2..).zip(order) {
            bench.send_as(fcnt, n);
        }
        // The real ones drop 2 and 4, and take coded ones in any order.
        let dropped = if stack == Stack::Ideal { 0 } else { 2 };
        assert_eq!((bench.heard(), bench.dropped()), (order.len() as u32 - dropped, dropped), "{stack}");
    }
}

#[test]
fn repeats_of_the_last_uncoded_fragment_do_no_harm() {
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        for (fcnt, n) in (2..).zip([1, 2, 3, 4, 6, 7, 8, 9, 10, 10, 10].into_iter().chain(11..25)) {
            bench.send_as(fcnt, n);
        }
        assert!(bench.is_complete(), "{stack} {:?}", bench.state());
        assert_eq!(bench.device.status(now(bench.us)).lost_uncoded, 1);
    }
}

#[test]
fn without_loss_loramac_node_still_needs_one_coded_fragment() {
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        (1..=10).for_each(|n| bench.send(n));
        assert_eq!(bench.is_complete(), stack != Stack::LoRaMacNode, "{stack}");
        bench.send(11);
        assert!(bench.is_complete());
    }
}

#[test]
fn what_comes_after_completion_changes_nothing() {
    let mut bench = Bench::stock(Stack::Lbm);
    (1..=10).for_each(|n| bench.send(n));
    let complete = bench.device.status(now(bench.us));
    (11..=20).for_each(|n| bench.send(n));
    assert_eq!(bench.device.status(now(bench.us)), complete);
}

#[test]
fn a_fragment_of_another_session_group_or_size_is_dropped() {
    let fragment = |frag_index, data: &[u8]| {
        let mut payload = Vec::new();
        DataFragment { frag_index, n: 1, data }.write(&mut payload);
        payload
    };
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        bench.send_payload(2, &fragment(1, &[0; FRAG_SIZE]));
        bench.send_payload(3, &fragment(0, &[0; FRAG_SIZE - 1]));
        bench.send_payload(4, &[0x08, 0, 0, 1, 2, 3]);
        assert_eq!((bench.heard(), bench.dropped()), (0, 3), "{stack}");
        // Trailing bytes: run as commands, ignored, or the end of the fragment.
        bench.send_payload(5, &fragment(0, &[0; FRAG_SIZE + 1]));
        assert_eq!(bench.heard(), u32::from(stack != Stack::Ideal), "{stack}");
        let setup = ts004::FragSessionSetupReq { mc_group_bit_mask: 0b1110, ..block(10, FRAG_SIZE as u8) };
        bench.ts004(&ts004::Request::FragSessionSetup(setup));
        bench.send_payload(6, &fragment(0, &[0; FRAG_SIZE]));
        assert_eq!(bench.heard(), u32::from(stack == Stack::LoRaMacNode), "{stack}");
    }
}

#[test]
fn loramac_node_runs_what_follows_a_fragment() {
    for (stack, heard) in [(Stack::LoRaMacNode, 2), (Stack::Lbm, 1), (Stack::Ideal, 0)] {
        let mut bench = Bench::stock(stack);
        let two = [bench.message(1), bench.message(2)].concat();
        bench.send_payload(2, &two);
        assert_eq!(bench.heard(), heard, "{stack}");
    }
}

#[test]
fn a_version_1_stack_given_a_version_2_setup_answers_as_the_stack_does() {
    let mut payload = Vec::new();
    let v2 = ts004::FragSessionSetupV2 { ack_reception: false, session_cnt: 0, mic: [9, 9, 9, 9] };
    let setup = ts004::FragSessionSetupReq { v2: Some(v2), ..block(10, 40) };
    ts004::Request::FragSessionSetup(setup).write(PackageVersion::V2, &mut payload).unwrap();
    let answer = |stack, payload: &[u8]| {
        Device::new(settings(stack), Random::new(1)).unicast(now(0), ts004::FPORT, payload)
    };
    // LoRaMac-node runs SessionCnt as two PackageVersionReq, LBM stops at the MIC and says nothing.
    let twice_versions = vec![2, 0, 0, 3, 1, 0, 3, 1];
    assert_eq!(answer(Stack::LoRaMacNode, &payload), [(ts004::FPORT, twice_versions)]);
    assert_eq!(answer(Stack::Lbm, &payload), []);
    // And the other way round.
    let lbm_v2 = Settings { ts004_version: Ts004Version::V2, ..settings(Stack::Lbm) };
    assert_eq!(Device::new(lbm_v2, Random::new(1)).unicast(now(0), ts004::FPORT, &payload[..11]), []);
}

#[test]
fn status_counts_are_as_unreliable_as_each_stack_makes_them() {
    // Fragment 4 of 10 lost, then two coded ones, of which the first repairs it.
    let status = |stack: Stack, frag: &[u16]| {
        let mut bench = Bench::stock(stack);
        frag.iter().for_each(|&n| bench.send(n));
        bench.device.unicast(now(bench.us), ts004::FPORT, &[0x01, 0x01]).remove(0).1
    };
    let lossy = [1, 2, 3, 5, 6, 7, 8, 9, 10];
    // High byte first; nobody takes the loss back.
    assert_eq!(status(Stack::LoRaMacNode, &lossy), [0x01, 0, 10, 1, 0]);
    assert_eq!(status(Stack::Lbm, &lossy), [0x01, 9, 0, 1, 0]);
    assert_eq!(status(Stack::Ideal, &lossy), [0x01, 9, 0, 1, 0]);
    // Nothing lost, and LBM misses one for ever.
    let all: Vec<u16> = (1..=11).collect();
    assert_eq!(status(Stack::LoRaMacNode, &all), [0x01, 0, 11, 0, 0]);
    assert_eq!(status(Stack::Lbm, &all), [0x01, 10, 0, 1, 0]);
    assert_eq!(status(Stack::Ideal, &all), [0x01, 10, 0, 0, 0]);
}

#[test]
fn zephyr_leaves_the_status_of_a_bad_channel_out_and_answers_a_multicast_question_at_once() {
    let mut bench = Bench::stock(Stack::Zephyr);
    for (frequency_hz, dr) in [(869_525_000, 14), (100_000_000, 0)] {
        let mut payload = Vec::new();
        session_at(0, START_S + 5000, 4, frequency_hz, dr).write(bench.version, &mut payload).unwrap();
        assert_eq!(bench.device.unicast(now(bench.us), ts005::FPORT, &payload), [(ts005::FPORT, vec![0x04])]);
    }
    let mut bench = Bench::stock(Stack::Zephyr);
    bench.send_payload(3, &[0x01, 0x01]);
    let asked_us = bench.us;
    assert!(bench.device.take_uplink(now(asked_us + 16_000)).is_some());
}

#[test]
fn a_multicast_status_request_is_answered_at_a_random_time_within_the_delay() {
    let due_s = |seed| {
        let mut bench = Bench::stock(Stack::Lbm);
        bench.device = Device::new(settings(Stack::Lbm), Random::new(seed));
        bench.us = 0;
        bench.set_up_block();
        bench.ts005(&group(1, 65_535));
        bench.ts005(&session());
        bench.us = START_S * S;
        bench.send(1);
        bench.send_payload(3, &[0x01, 0x01]);
        let asked_us = bench.us;
        // A setup by multicast is not obeyed.
        bench.send_payload(4, &[0x03, 0x00]);
        let due = (0..=16).find_map(|s| Some((s, bench.device.take_uplink(now(asked_us + s * S))?)));
        let (s, uplink) = due.unwrap();
        assert_eq!(uplink, (ts004::FPORT, vec![0x01, 1, 0, 9, 0]));
        assert_eq!(bench.device.take_uplink(now(asked_us + 100 * S)), None);
        s
    };
    let dues: Vec<u64> = (0..10).map(due_s).collect();
    assert!(dues.iter().any(|&s| s != dues[0]), "{dues:?}");
}

#[test]
fn a_finished_block_is_reported_until_the_server_says_that_it_heard() {
    for (stack, times) in [(Stack::Lbm, 3), (Stack::Ideal, 1)] {
        for is_heard in [false, true] {
            let settings = Settings { ts004_version: Ts004Version::V2, ..settings(stack) };
            let mut bench = Bench::ready(settings, 10);
            (1..=10).for_each(|n| bench.send(n));
            let mut uplinks = Vec::new();
            for s in 0..100 {
                let at = now(bench.us + s * S);
                if let Some(uplink) = bench.device.take_uplink(at) {
                    uplinks.push(uplink);
                    if is_heard {
                        bench.device.unicast(at, ts004::FPORT, &[0x04, 0x00]);
                    }
                }
            }
            let expected = if is_heard { 1 } else { times };
            assert_eq!(uplinks, vec![(ts004::FPORT, vec![0x04, 0x00]); expected], "{stack}");
        }
    }
}

#[test]
fn an_image_with_a_wrong_mic_is_not_an_image() {
    let mut bench = Bench::bare(Settings { ts004_version: Ts004Version::V2, ..settings(Stack::Lbm) }, 2);
    let v2 = ts004::FragSessionSetupV2 { ack_reception: true, session_cnt: 0, mic: [0; 4] };
    let setup = ts004::FragSessionSetupReq { v2: Some(v2), ..block(2, FRAG_SIZE as u8) };
    bench.ts004(&ts004::Request::FragSessionSetup(setup));
    bench.ts005(&group(1, 65_535));
    bench.ts005(&session());
    bench.us = START_S * S;
    (1..=2).for_each(|n| bench.send(n));
    let why = "complete, but the MIC of the data block is wrong".to_owned();
    assert_eq!((bench.state(), bench.device.image()), (State::Failed { why }, None));
    assert_eq!(bench.device.take_uplink(now(bench.us + 16 * S)), Some((ts004::FPORT, vec![0x04, 0x04])));
}

#[test]
fn only_loramac_node_obeys_a_group_command_on_a_multicast_address() {
    for stack in STACKS {
        let mut bench = Bench::stock(stack);
        let mut delete = Vec::new();
        ts005::Request::McGroupDelete { mc_group_id: 0 }.write(bench.version, &mut delete).unwrap();
        let phy_payload = multicast_frame(&keys(), MC_ADDR, 2, ts005::FPORT, &delete).unwrap();
        let frame = Transmission { phy_payload, ..bench.frame(2, &[1]) };
        bench.hear(&frame);
        let obeys = stack == Stack::LoRaMacNode;
        assert_eq!(bench.state() == State::NotToldSession, obeys, "{stack}");
    }
}

#[test]
fn only_loramac_node_decides_itself_when_it_asks_for_the_time() {
    for stack in STACKS {
        let mut device = Device::new(settings(stack), Random::new(1));
        let answer = device.unicast(now(0), ts003::FPORT, &[0x02, 0x03]).remove(0).1;
        let (answers, _) = ts003::Answer::parse(&answer, PackageVersion::V1);
        let not_supported = stack == Stack::LoRaMacNode;
        let expected = ts003::Answer::DeviceAppTimePeriodicity { not_supported, time: GPS_ZERO_S };
        assert_eq!(answers, [expected], "{stack}");
    }
}

#[test]
fn real_stacks_do_not_have_the_newest_data_rates() {
    for stack in STACKS {
        let mut bench = Bench::bare(settings(stack), 10);
        bench.ts005(&group(1, 65_535));
        let request = session_at(0, START_S, 5, FREQUENCY_HZ, 12);
        let Some(ts005::Answer::McClassCSession(answer)) = bench.ts005(&request) else { panic!() };
        assert_eq!(answer.dr_error, stack != Stack::Ideal, "{stack}");
    }
}

#[test]
fn loramac_node_does_not_know_the_group_status() {
    let mut bench = Bench::bare(settings(Stack::LoRaMacNode), 10);
    let answers = bench.device.unicast(now(0), ts005::FPORT, &[0x00, 0x01, 0x0f]);
    assert_eq!(answers, [(ts005::FPORT, vec![0, 2, 1])]);
}

proptest! {
    #[test]
    fn arbitrary_payloads_never_panic(
        stack in 0..3_usize, v2 in any::<bool>(), ready in any::<bool>(),
        payloads in proptest::collection::vec((200..204_u8, 0..9_u8, proptest::collection::vec(any::<u8>(), 0..60)), 1..12),
    ) {
        let version = if v2 { Ts004Version::V2 } else { Ts004Version::V1 };
        let settings = Settings { ts004_version: version, ..settings(STACKS[stack]) };
        let mut bench = if ready { Bench::ready(settings, 4) } else { Bench::bare(settings, 4) };
        for (index, (fport, cid, rest)) in payloads.iter().enumerate() {
            let payload = [&[*cid][..], rest].concat();
            bench.device.unicast(now(bench.us), *fport, &payload);
            let phy_payload = multicast_frame(&keys(), MC_ADDR, 2 + index as u32, *fport, &payload).unwrap();
            let sealed = Transmission { phy_payload, ..bench.frame(2, &[1]) };
            let mut raw = Transmission { phy_payload: payload.clone(), ..sealed.clone() };
            bench.hear(&sealed);
            raw.start = sealed.end();
            bench.hear(&raw);
            bench.device.status(now(bench.us));
            while bench.device.take_uplink(now(bench.us)).is_some() {}
        }
    }

    #[test]
    fn a_damaged_frame_is_never_taken(byte in 0..56_usize, bit in 0..8_u8) {
        let mut bench = Bench::stock(Stack::Ideal);
        let message = bench.message(1);
        let mut frame = bench.frame(2, &message);
        prop_assert_eq!(frame.phy_payload.len(), 56);
        frame.phy_payload[byte] ^= 1 << bit;
        bench.hear(&frame);
        prop_assert_eq!(bench.heard(), 0);
    }
}
