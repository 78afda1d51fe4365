//! How long a whole session's fragments take to make, each on demand, and to decode again.

use divan::Bencher;
use fuotad::fragment::Decoder;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::fragment::Progress;
use fuotad::fragment::Ts004Version;

fn main() {
    divan::main();
}

/// `NbFrag`, `FragSize` in bytes, coded fragments.
const SESSIONS: [(u16, usize, u16); 3] = [(1000, 222, 300), (4000, 222, 1200), (1000, 48, 300)];

fn image(len: usize) -> Vec<u8> {
    let bytes = (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    bytes.collect()
}

fn encode(bencher: Bencher, (nb_frag, frag_size, coded): (u16, usize, u16), version: Ts004Version) {
    let image = image(usize::from(nb_frag) * frag_size);
    let layout = Layout::new(image.len(), frag_size).expect("the sessions are possible");
    let mut encoder = Encoder::new(layout, version);
    let mut out = vec![0; frag_size];
    bencher.bench_local(|| {
        for n in 1..=nb_frag + coded {
            encoder.fragment(&image, n, &mut out).expect("the sessions are possible");
            divan::black_box(&out);
        }
    });
}

#[divan::bench(args = SESSIONS)]
fn encode_v1(bencher: Bencher, session: (u16, usize, u16)) {
    encode(bencher, session, Ts004Version::V1);
}

#[divan::bench(args = SESSIONS)]
fn encode_v2(bencher: Bencher, session: (u16, usize, u16)) {
    encode(bencher, session, Ts004Version::V2);
}

/// `NbFrag`, `FragSize` in bytes; every tenth uncoded fragment is lost.
#[divan::bench(args = [(100, 48), (1000, 222), (4000, 222)])]
fn decode_v1_a_tenth_lost(bencher: Bencher, (nb_frag, frag_size): (u16, usize)) {
    let image = image(usize::from(nb_frag) * frag_size);
    let layout = Layout::new(image.len(), frag_size).expect("the sessions are possible");
    let mut encoder = Encoder::new(layout, Ts004Version::V1);
    let mut heard = Vec::new();
    for n in (1..=nb_frag + nb_frag / 5).filter(|n| *n > nb_frag || n % 10 != 0) {
        let mut data = vec![0; frag_size];
        encoder.fragment(&image, n, &mut data).expect("the sessions are possible");
        heard.push((n, data));
    }
    bencher.bench_local(|| {
        let mut decoder = Decoder::new(layout, Ts004Version::V1, nb_frag);
        for (n, data) in &heard {
            if decoder.receive(*n, data) == Ok(Progress::Complete) {
                return decoder;
            }
        }
        unreachable!("a fifth more mends a tenth less");
    });
}
