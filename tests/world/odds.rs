//! The odds that a plan shows against the decoder itself: ten thousand devices for every code and loss rate.

use fuotad::fragment::Decoder;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::fragment::Progress;
use fuotad::fragment::Ts004Version;
use fuotad::odds::Odds;
use fuotad::odds::Receiver;
use fuotad::sim::random::Random;

const DEVICES: u32 = 10_000;
const LOSSES_PPM: [u32; 5] = [10_000, 50_000, 100_000, 200_000, 300_000];

/// What is sent.
#[derive(Clone, Copy, Debug)]
struct Code {
    nb_frag: u16,
    repeats: u8,
    version: Ts004Version,
    coded: u16,
}

/// How many of ten thousand devices complete, in parts of one.
fn simulated(code: Code, receiver: Receiver, loss_ppm: u32, luck: &mut Random) -> f64 {
    let layout = Layout::new(usize::from(code.nb_frag), 1).unwrap();
    let image: Vec<u8> = (0..code.nb_frag).map(|i| ((i * 37) >> 3) as u8).collect();
    let mut encoder = Encoder::new(layout, code.version);
    let fragments: Vec<[u8; 1]> = (1..=code.nb_frag + code.coded)
        .map(|n| {
            let mut data = [0];
            encoder.fragment(&image, n, &mut data).unwrap();
            data
        })
        .collect();
    let repeats = (0..code.repeats).map(|_| code.nb_frag);
    let frames: Vec<u16> =
        (1..=code.nb_frag).chain(repeats).chain(code.nb_frag + 1..=code.nb_frag + code.coded).collect();
    let mut complete = 0;
    for _ in 0..DEVICES {
        let cap = receiver.max_lost.unwrap_or(code.nb_frag);
        let mut decoder = Decoder::new(layout, code.version, cap);
        let mut is_done = false;
        for n in &frames {
            if !luck.chance_ppm(loss_ppm) {
                let progress = decoder.receive(*n, &fragments[usize::from(*n - 1)]).unwrap();
                let may_say_so = !receiver.finishes_on_coded || *n > code.nb_frag;
                is_done |= progress == Progress::Complete && may_say_so;
            }
        }
        complete += u32::from(is_done);
    }
    f64::from(complete) / f64::from(DEVICES)
}

#[test]
fn the_odds_are_those_of_ten_thousand_devices_to_a_hundredth() {
    let any = Receiver::default();
    let stock = Receiver { max_lost: Some(5), finishes_on_coded: true };
    let mut worst = (0.0, String::new());
    let mut luck = Random::new(20_261_122);
    for version in [Ts004Version::V1, Ts004Version::V2] {
        for (nb_frag, coded, receiver) in
            [(5, 4, any), (21, 7, stock), (21, 21, any), (64, 20, any), (100, 30, any), (300, 90, any)]
        {
            let code = Code { nb_frag, repeats: 1, version, coded };
            let mut all = Odds::new(nb_frag, version, 1).unwrap();
            for loss_ppm in LOSSES_PPM {
                let odds = all.completes(coded, receiver, f64::from(loss_ppm) / 1e6);
                let simulated = simulated(code, receiver, loss_ppm, &mut luck);
                let apart = (odds - simulated).abs();
                let cell =
                    format!("{code:?} {receiver:?} {loss_ppm} ppm: {odds:.4}, simulated {simulated:.4}");
                assert!(apart <= 0.01, "{cell}");
                if apart >= worst.0 {
                    worst = (apart, cell);
                }
            }
        }
    }
    println!("worst of 60 cells: {:.4} in {}", worst.0, worst.1);
}

#[test]
fn the_redundancy_for_999_of_1000_is_enough_for_the_decoder_itself() {
    let mut luck = Random::new(7);
    for (nb_frag, version) in [(21, Ts004Version::V1), (21, Ts004Version::V2), (200, Ts004Version::V1)] {
        let code = Code { nb_frag, repeats: 1, version, coded: 0 };
        let mut odds = Odds::new(nb_frag, version, 1).unwrap();
        let coded = odds.coded_needed(Receiver::default(), 0.1, 0.999).unwrap();
        let simulated = simulated(Code { coded, ..code }, Receiver::default(), 100_000, &mut luck);
        println!("M {nb_frag} {version:?}: {coded} coded, {simulated}");
        assert!(simulated >= 0.998, "{nb_frag}: {coded} give {simulated}");
    }
}
