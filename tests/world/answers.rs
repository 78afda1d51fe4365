//! What devices of every stack answer, and whether it is understood.

use fuotad::answers::AnswerWindow;
use fuotad::answers::Habit;
use fuotad::answers::Holding;
use fuotad::answers::Roll;
use fuotad::answers::Sent;
use fuotad::answers::Session;
use fuotad::answers::Whom;
use fuotad::campaign::ProfileName;
use fuotad::fragment::Decoder;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::fragment::Progress;
use fuotad::fragment::Ts004Version;
use fuotad::lorawan::Eui64;
use fuotad::lorawan::PackageVersion;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::lorawan::data_block_mic;
use fuotad::lorawan::ts004;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::sim::air::Channel;
use fuotad::sim::air::Loss;
use fuotad::sim::device::Device;
use fuotad::sim::device::Settings;
use fuotad::sim::device::Stack;
use fuotad::sim::random::Random;
use fuotad::time::Instant;
use fuotad::time::Now;
use std::collections::BTreeMap;

const DEVICES: u64 = 100_000;
/// Coded fragments between two questions.
const BLOCK: u16 = 32;
const QUESTIONS: u16 = 7;
const FPORT: u8 = 201;
const DEV_EUI: Eui64 = Eui64::from_bytes([1; 8]);
const FRAG_SIZE: usize = 4;

/// A device as far as TS004 is concerned: one of the simulated stacks, or Zephyr by its facts.
enum Listener {
    Simulated(Box<Device>),
    Zephyr { decoder: Box<Decoder>, nb_frag: u16, received: u16, is_complete: bool, is_over_cap: bool },
}

impl Listener {
    fn hear(&mut self, now: Now, n: u16, data: &[u8]) {
        match self {
            Listener::Simulated(device) => {
                let mut payload = vec![0x08];
                payload.extend(n.to_le_bytes());
                payload.extend(data);
                assert!(device.unicast(now, FPORT, &payload).is_empty());
            }
            Listener::Zephyr { decoder, received, is_complete, is_over_cap, .. } => {
                *received += u16::from(!*is_complete);
                let progress = decoder.receive(n, data).unwrap();
                *is_complete = progress == Progress::Complete;
                *is_over_cap = matches!(progress, Progress::LossCapExceeded { .. });
            }
        }
    }

    fn holds_image(&self) -> bool {
        match self {
            Listener::Simulated(device) => device.image().is_some(),
            Listener::Zephyr { is_complete, .. } => *is_complete,
        }
    }

    /// The payloads of its answers.
    fn answer(&mut self, now: Now, whom: Whom) -> Vec<Vec<u8>> {
        let is_all = u8::from(whom == Whom::All);
        match self {
            Listener::Simulated(device) => {
                let answers = device.unicast(now, FPORT, &[0x01, is_all]);
                answers.into_iter().map(|(_, bytes)| bytes).collect()
            }
            Listener::Zephyr { nb_frag, received, is_over_cap, .. } => {
                let missing = nb_frag.saturating_sub(*received).min(255) as u8;
                let [low, high] = received.to_le_bytes();
                let status = u8::from(*is_over_cap);
                let is_to_answer = missing > 0 || is_all == 1;
                is_to_answer.then(|| vec![0x01, low, high, missing, status]).into_iter().collect()
            }
        }
    }
}

/// The fragments of one image in one version.
struct Code {
    layout: Layout,
    image: Vec<u8>,
    fragments: Vec<Vec<u8>>,
}

impl Code {
    fn new(nb_frag: u16, version: Ts004Version) -> Code {
        let image: Vec<u8> =
            (0..usize::from(nb_frag) * FRAG_SIZE).map(|at| (at * 7 + at / 251) as u8).collect();
        let layout = Layout::new(image.len(), FRAG_SIZE).unwrap();
        let mut encoder = Encoder::new(layout, version);
        let fragment = |n: u16| {
            let mut data = vec![0; FRAG_SIZE];
            encoder.fragment(&image, n, &mut data).unwrap();
            data
        };
        let fragments = (1..=nb_frag + nb_frag / 2 + QUESTIONS * BLOCK).map(fragment).collect();
        Code { layout, image, fragments }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    LoRaMacNode,
    Lbm,
    Ideal,
    Zephyr,
    LoraRs,
    MultitechDot,
}

const KINDS: [Kind; 6] =
    [Kind::LoRaMacNode, Kind::Lbm, Kind::Ideal, Kind::Zephyr, Kind::LoraRs, Kind::MultitechDot];

fn listener(kind: Kind, code: &Code, is_v2: bool, draw: &mut Random) -> Listener {
    let nb_frag = code.layout.nb_frag();
    let max_lost = if draw.chance_ppm(100_000) { nb_frag / 8 } else { nb_frag };
    let version = if is_v2 { Ts004Version::V2 } else { Ts004Version::V1 };
    let stack = match kind {
        Kind::LoRaMacNode => Stack::LoRaMacNode,
        Kind::Lbm => Stack::Lbm,
        Kind::Ideal => Stack::Ideal,
        Kind::LoraRs => Stack::LoraRs,
        Kind::MultitechDot => Stack::MultitechDot,
        Kind::Zephyr => {
            let decoder = Box::new(Decoder::new(code.layout, version, max_lost));
            return Listener::Zephyr {
                decoder,
                nb_frag,
                received: 0,
                is_complete: false,
                is_over_cap: false,
            };
        }
    };
    let root_key = RootKey::GenAppKey(Secret::from_bytes([7; 16]));
    let mic = data_block_mic(&root_key, 1, 0, [0; 4], &code.image);
    let mic = if draw.chance_ppm(50_000) { [0; 4] } else { mic };
    let stock = Settings::stock(stack, String::new(), root_key, parameters(RfRegion::Eu868).unwrap());
    let settings = Settings {
        ts004_version: version,
        max_fragments: 2000,
        max_lost,
        deaf_after_uncoded_us: 0,
        deaf_after_coded_us: 0,
        ..stock
    };
    let mut device = Device::new(settings, draw.split(1));
    let setup = ts004::Request::FragSessionSetup(ts004::FragSessionSetupReq {
        frag_index: 0,
        mc_group_bit_mask: 1,
        nb_frag,
        frag_size: FRAG_SIZE as u8,
        frag_algo: 0,
        block_ack_delay: 0,
        padding: 0,
        descriptor: [0; 4],
        v2: is_v2.then_some(ts004::FragSessionSetupV2 { ack_reception: true, session_cnt: 1, mic }),
    });
    let mut bytes = Vec::new();
    setup.write(if is_v2 { PackageVersion::V2 } else { PackageVersion::V1 }, &mut bytes).unwrap();
    assert_eq!(device.unicast(at(0), FPORT, &bytes), [(FPORT, vec![0x02, 0x00])]);
    Listener::Simulated(Box::new(device))
}

fn at(s: i64) -> Now {
    Now { mono: Instant::from_us(s * 1_000_000), gps: None }
}

/// Lets the device hear a campaign and answer, one answer in five lost; what is believed of it in the end.
fn believed(device: &mut Listener, session: Session, code: &Code, draw: &mut Random) -> Holding {
    let mut roll = Roll::new(session, [DEV_EUI]);
    roll.tell(DEV_EUI);
    let loss = Loss::Random { ppm: draw.below(350_000) as u32 };
    let bursts = Loss::Bursty {
        enter_ppm: 10_000,
        leave_ppm: 80_000,
        lost_ppm_in_burst: 900_000,
        lost_ppm_outside: draw.below(100_000) as u32,
    };
    let mut air = Channel::new(if draw.chance_ppm(300_000) { bursts } else { loss }, draw.split(2));
    let (mut sent, mut f_cnt, mut clock_s) = (Sent::default(), 0, 0);
    let nb_frag = session.nb_frag;
    let (mut until, block) = (nb_frag - nb_frag / 4, draw.range(4, u64::from(BLOCK)) as u16);
    for question in 0..QUESTIONS {
        // The first question comes before the last uncoded fragment, the next one soon after it.
        until = match question {
            0 => until,
            1 => nb_frag + draw.below(u64::from(nb_frag / 3)) as u16,
            2..5 => until + block,
            _ => until + BLOCK,
        };
        for n in sent.last_n + 1..=until {
            // The last uncoded one is repeated.
            for _ in 0..if n == nb_frag { 3 } else { 1 } {
                sent = sent.and(n);
                clock_s += 1;
                if air.hears() {
                    device.hear(at(clock_s), n, &code.fragments[usize::from(n) - 1]);
                }
            }
        }
        roll.set_sent(sent);
        let whom = if question % 2 == 0 { Whom::Missing } else { Whom::All };
        roll.ask(whom);
        let mut uplinks = if air.hears() { device.answer(at(clock_s), whom) } else { Vec::new() };
        clock_s += 100;
        if let Listener::Simulated(device) = &mut *device {
            uplinks.extend(std::iter::from_fn(|| device.take_uplink(at(clock_s))).map(|(_, bytes)| bytes));
        }
        for payload in uplinks {
            f_cnt += 1;
            if !draw.chance_ppm(200_000) {
                let _ = roll.hear(DEV_EUI, f_cnt, &payload);
                let is_done = roll.holding(DEV_EUI) == Some(Holding::Done);
                assert!(!is_done || device.holds_image(), "{session:?} {payload:?} after {sent:?}");
            }
        }
    }
    for _ in 0..3 {
        roll.ask(Whom::All);
        for payload in device.answer(at(clock_s), Whom::All) {
            f_cnt += 1;
            if !draw.chance_ppm(200_000) {
                let _ = roll.hear(DEV_EUI, f_cnt, &payload);
                let is_done = roll.holding(DEV_EUI) == Some(Holding::Done);
                assert!(!is_done || device.holds_image(), "{session:?} {payload:?} after {sent:?}");
            }
        }
    }
    roll.holding(DEV_EUI).unwrap()
}

/// What came of devices of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    devices: u64,
    complete: u64,
    said_done: u64,
    /// Complete ones that can say so for certain, and those of them that did.
    can_say: u64,
    says: u64,
    probably: u64,
    incomplete_and_probably: u64,
}

#[test]
fn no_device_of_any_stack_is_believed_to_be_done_that_is_not() {
    let sizes: [u16; 5] = [21, 40, 64, 120, 300];
    let versions = [Ts004Version::V1, Ts004Version::V2];
    let codes: Vec<[Code; 2]> = sizes.map(|size| versions.map(|version| Code::new(size, version))).into();
    let mut draw = Random::new(17);
    let mut tallies: BTreeMap<(Kind, bool, bool), Tally> = BTreeMap::new();
    for number in 0..DEVICES {
        let mut draw = draw.split(number);
        let kind = KINDS[draw.below(KINDS.len() as u64) as usize];
        let is_v2 = matches!(kind, Kind::Lbm | Kind::Ideal) && draw.chance_ppm(500_000);
        // Large images are slow to decode.
        let size = if draw.chance_ppm(30_000) { 4 } else { draw.below(4) as usize };
        let code = &codes[size][usize::from(is_v2)];
        let is_known = draw.chance_ppm(700_000);
        let habit = match kind {
            _ if !is_known => Habit::Unknown,
            Kind::LoRaMacNode => Habit::LoRaMacNode,
            Kind::Lbm => Habit::Lbm,
            Kind::Ideal => Habit::AsMeant,
            Kind::Zephyr => Habit::Zephyr,
            Kind::LoraRs => Habit::Unknown,
            Kind::MultitechDot => ProfileName::MultitechDot.profile().habit,
        };
        let version = if is_v2 { PackageVersion::V2 } else { PackageVersion::V1 };
        let session = Session {
            frag_index: 0,
            nb_frag: code.layout.nb_frag(),
            version,
            habit,
            crc32: None,
            window: AnswerWindow::default(),
        };
        let mut device = listener(kind, code, is_v2, &mut draw);
        let holding = believed(&mut device, session, code, &mut draw);
        let is_complete = device.holds_image();
        assert!(holding != Holding::Done || is_complete, "{number}: {kind:?} {session:?} is not complete");
        let tally = tallies.entry((kind, is_v2, is_known)).or_default();
        tally.devices += 1;
        // Else it has no words for it, or only ones that may get lost.
        let has_lost =
            matches!(&device, Listener::Simulated(device) if device.status(at(0)).lost_uncoded > 0);
        let can_say = match habit {
            Habit::AsMeant => true,
            Habit::Lbm => is_v2 || has_lost && session.nb_frag < 256,
            Habit::LoRaMacNode => !has_lost && session.nb_frag < 256,
            Habit::Zephyr | Habit::Unknown => false,
        };
        tally.can_say += u64::from(can_say && is_complete);
        tally.says += u64::from(can_say && holding == Holding::Done);
        tally.complete += u64::from(is_complete);
        tally.said_done += u64::from(holding == Holding::Done);
        tally.probably += u64::from(holding == Holding::Probably);
        tally.incomplete_and_probably += u64::from(holding == Holding::Probably && !is_complete);
    }
    for ((kind, is_v2, is_known), tally) in &tallies {
        println!("{kind:?} v{} known {is_known}: {tally:?}", 1 + u8::from(*is_v2));
        assert!(tally.says * 100 >= tally.can_say * 98, "{kind:?} {is_v2} {is_known}: {tally:?}");
        // Whoever cannot say it is believed to hold the image all the same.
        let believed = tally.said_done + tally.probably - tally.incomplete_and_probably;
        assert!(believed * 100 >= tally.complete * 85, "{kind:?} {is_v2} {is_known}: {tally:?}");
        assert!(
            tally.incomplete_and_probably * 100 <= tally.devices,
            "{kind:?} {is_v2} {is_known}: {tally:?}"
        );
    }
    assert_eq!(tallies.len(), 16, "every stack, version and profile was tried");
}
