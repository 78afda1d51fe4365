//! TS004's forward error correction against vectors made by other implementations: ChirpStack, brocaar's Go
//! library, LoRaMac-node and LoRa Basics Modem (`tests/vectors/fec_vectors.json`).

use std::fmt::Write;

use fuotad::fragment::Decoder;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::fragment::ParityMatrix;
use fuotad::fragment::Progress;
use fuotad::fragment::Ts004Version;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

/// One case of the file and what our encoder makes of it.
struct Case {
    json: Value,
    name: String,
    version: Ts004Version,
    layout: Layout,
    redundancy: u16,
    image: Vec<u8>,
    /// All fragments one after the other, uncoded then coded.
    fragments: Vec<u8>,
}

impl Case {
    fn new(json: Value) -> Case {
        let version = Ts004Version::try_from(u8::try_from(number(&json["ts004_version"])).unwrap()).unwrap();
        let image = image(&json["data"]);
        let layout = Layout::new(image.len(), number(&json["frag_size"]) as usize).unwrap();
        let redundancy = number(&json["redundancy"]) as u16;
        let mut encoder = Encoder::new(layout, version);
        let mut fragments = vec![0; usize::from(layout.nb_frag() + redundancy) * layout.frag_size()];
        for (out, n) in fragments.chunks_exact_mut(layout.frag_size()).zip(1..) {
            encoder.fragment(&image, n, out).unwrap();
        }
        let name = format!("{} version {}", json["name"].as_str().unwrap(), version.number());
        Case { name, version, layout, redundancy, image, fragments, json }
    }

    fn fragment(&self, n: u16) -> &[u8] {
        let size = self.layout.frag_size();
        &self.fragments[usize::from(n - 1) * size..][..size]
    }

    fn line(&self, n: u16) -> Vec<u64> {
        let matrix = ParityMatrix::new(self.layout, self.version);
        let mut line = vec![0; matrix.line_words()];
        matrix.line(n, &mut line);
        line
    }

    /// Parity line `n` as the file writes it: column i is bit 0x80 >> (i mod 8) of byte i / 8.
    fn bitmap(&self, n: u16) -> Vec<u8> {
        let bytes = self.line(n).into_iter().flat_map(|word| word.to_le_bytes().map(u8::reverse_bits));
        bytes.take(usize::from(self.layout.nb_frag()).div_ceil(8)).collect()
    }
}

fn cases() -> impl Iterator<Item = Case> {
    let mut file: Value = serde_json::from_str(include_str!("../vectors/fec_vectors.json")).unwrap();
    let cases = file["cases"].as_array_mut().map(std::mem::take).unwrap();
    assert_eq!(cases.len(), 20);
    cases.into_iter().map(Case::new)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object().unwrap();
    assert!(!object.is_empty());
    object.iter().map(|(key, value)| (key.as_str(), value))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The generator of the file's data and losses; written out here, so that it is nobody else's.
pub fn lcg(seed: u64) -> impl Iterator<Item = u32> {
    let mut x = seed as u32;
    std::iter::repeat_with(move || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        x
    })
}

fn image(data: &Value) -> Vec<u8> {
    let length = number(&data["length"]) as usize;
    match data["generator"].as_str().unwrap() {
        "lcg" => lcg(number(&data["seed"])).take(length).map(|x| (x >> 24) as u8).collect(),
        "counter" => (0..length).map(|i| (i & 0xff) as u8).collect(),
        other => panic!("no generator {other}"),
    }
}

#[test]
fn every_field_of_every_case_is_looked_at_somewhere_in_this_file() {
    let mut looked_at = [
        "name",
        "ts004_version",
        "M",
        "frag_size",
        "redundancy",
        "data",
        "sha256_data",
        "sha256_all_fragments",
        "sha256_redundancy_only",
        "first_uncoded",
        "first_coded",
        "last_coded",
        "matrix_lines",
        "matrix_line_weights",
        "decoder_round_trips",
        // Who agreed; nothing to compute.
        "confirmed_by",
    ];
    looked_at.sort();
    for case in cases() {
        let mut fields: Vec<&str> = entries(&case.json).map(|(key, _)| key).collect();
        fields.sort();
        assert_eq!(fields, looked_at, "{}", case.name);
    }
}

#[test]
fn the_fragments_are_byte_for_byte_those_of_other_encoders() {
    for case in cases() {
        let (name, json) = (&case.name, &case.json);
        assert_eq!(u64::from(case.layout.nb_frag()), number(&json["M"]), "{name}");
        assert_eq!(case.layout.padding(), 0, "{name}: the images fill their fragments");
        assert_eq!(sha256(&case.image), json["sha256_data"], "{name}");
        assert_eq!(sha256(&case.fragments), json["sha256_all_fragments"], "{name}");
        assert_eq!(sha256(&case.fragments[case.image.len()..]), json["sha256_redundancy_only"], "{name}");
        assert_eq!(hex(case.fragment(1)), json["first_uncoded"], "{name}");
        for field in ["first_coded", "last_coded"] {
            for (n, expected) in entries(&json[field]) {
                assert_eq!(hex(case.fragment(n.parse().unwrap())), *expected, "{name} {field} {n}");
            }
        }
        let last = (case.layout.nb_frag() + case.redundancy).to_string();
        assert!(json["last_coded"].get(last).is_some(), "{name}");
    }
}

#[test]
fn the_parity_lines_are_bit_for_bit_those_of_other_stacks() {
    for case in cases() {
        let name = &case.name;
        for (key, expected) in entries(&case.json["matrix_lines"]) {
            let (n, form) = key.split_once('_').unwrap_or((key, "whole"));
            let bitmap = case.bitmap(n.parse().unwrap());
            let ours = match form {
                "whole" => hex(&bitmap),
                "sha256_of_bitmap" => sha256(&bitmap),
                "first32bytes" => hex(&bitmap[..32]),
                other => panic!("{name}: no form {other}"),
            };
            assert_eq!(ours, *expected, "{name} line {key}");
        }
        for (n, expected) in entries(&case.json["matrix_line_weights"]) {
            let weight: u32 = case.line(n.parse().unwrap()).iter().map(|word| word.count_ones()).sum();
            assert_eq!(u64::from(weight), number(expected), "{name} line {n}");
        }
    }
}

/// The losses of these runs come in an order that LoRaMac-node and LoRa Basics Modem accept (uncoded ascending, then
/// coded ascending, nothing twice) and stay below their cap, so their order rules never bite: a decoder that
/// uses all it hears must complete with the very same fragment as they did, or not at all as they did.
#[test]
fn the_decoder_completes_with_the_very_fragment_other_decoders_completed_with() {
    const CAP: u16 = 4096;
    let mut runs = 0;
    for case in cases() {
        for run in case.json["decoder_round_trips"].as_array().unwrap() {
            let name = format!("{} {run}", case.name);
            let mut decoder = Decoder::new(case.layout, case.version, CAP);
            let permille = number(&run["loss_permille"]) as u32;
            let mut lost_uncoded = 0;
            let mut last_index = 0;
            for (n, x) in (1..=case.layout.nb_frag() + case.redundancy).zip(lcg(number(&run["loss_seed"]))) {
                if (x >> 8) % 1000 < permille {
                    lost_uncoded += u64::from(n <= case.layout.nb_frag());
                    continue;
                }
                last_index = n;
                if decoder.receive(n, case.fragment(n)) == Ok(Progress::Complete) {
                    break;
                }
            }
            let completed = decoder.progress() == Progress::Complete;
            assert_eq!(completed, run["completed"].as_bool().unwrap(), "{name}");
            let data_ok = decoder.image() == Some(case.image.as_slice());
            assert_eq!(data_ok, run["data_ok"].as_bool().unwrap(), "{name}");
            assert_eq!(lost_uncoded, number(&run["lost_uncoded"]), "{name}");
            assert_eq!(u64::from(decoder.lost()), lost_uncoded, "{name}");
            assert_eq!(u64::from(decoder.received()), number(&run["fragments_received"]), "{name}");
            assert_eq!(u64::from(last_index), number(&run["last_index"]), "{name}");
            assert!(u64::from(decoder.coded_used()) <= lost_uncoded, "{name}");
            let known = ["loramac_node_FragDecoder", "swl2001_v1_decoder", "swl2001_v2_decoder"];
            assert!(known.contains(&run["decoder"].as_str().unwrap()), "{name}");
            runs += 1;
        }
    }
    assert_eq!(runs, 108);
}
