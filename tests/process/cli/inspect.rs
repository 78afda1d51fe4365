//! `inspect`: its fixed forms are those of other implementations.

use super::Desk;
use super::data;
use super::number;
use super::text;
use super::unhex;
use super::vectors;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

#[test]
fn inspected_fragments_are_those_of_other_implementations() {
    let desk = Desk::new();
    let cases = vectors("fec_vectors.json");
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        desk.write("data", data(&case["data"]));
        let (version, size) = (number(case, "ts004_version"), number(case, "frag_size"));
        let coded = number(case, "redundancy");
        let line = format!("inspect fragments --ts004 {version} --frag-size {size} --coded {coded} data");
        let out = desk.prints(&line);
        let mut all = Sha256::new();
        let nb_frag = number(case, "M");
        assert_eq!(out.lines().count() as u64, nb_frag + coded, "{line}");
        for (n, line) in (1..).zip(out.lines()) {
            let hex =
                line.strip_prefix(&format!("{{\"n\":{n},\"hex\":\"")).unwrap().strip_suffix("\"}").unwrap();
            let expected = [&case["first_coded"][n.to_string()], &case["last_coded"][n.to_string()]];
            for expected in expected.into_iter().filter_map(Value::as_str) {
                assert_eq!(hex, expected, "{line}");
            }
            if n == 1 {
                assert_eq!(hex, text(case, "first_uncoded"), "{line}");
            }
            all.update(unhex(hex));
        }
        let all: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(all, text(case, "sha256_all_fragments"), "{line}");
    }
}

#[test]
fn inspected_frames_are_those_of_other_implementations() {
    let desk = Desk::new();
    let vectors = vectors("frame_vectors.json");
    let frames = vectors["multicast_frames"].as_array().unwrap();
    assert_eq!(frames.len(), 11);
    let mc_key = |frame: &Value| {
        let rows = vectors["mc_key_vectors"].as_array().unwrap();
        let row = rows.iter().find(|row| row["mc_app_s_key"] == frame["mc_app_s_key"]);
        row.map(|row| text(row, "mc_key").to_owned())
    };
    for frame in frames {
        let (fcnt, fport) = (number(frame, "fcnt"), number(frame, "fport"));
        let (mc_addr, payload) = (text(frame, "mc_addr"), text(frame, "payload"));
        let (nwk, app) = (text(frame, "mc_nwk_s_key"), text(frame, "mc_app_s_key"));
        let mut keys = vec![format!("--mc-nwk-s-key {nwk} --mc-app-s-key {app}")];
        keys.extend(mc_key(frame).map(|mc_key| format!("--mc-key {mc_key}")));
        for keys in keys {
            let line = format!(
                "inspect frames --mc-addr {mc_addr} {keys} --fcnt {fcnt} --fport {fport} --payload {payload}"
            );
            let expected = format!("{{\"fcnt\":{fcnt},\"hex\":\"{}\"}}\n", text(frame, "phy_payload"));
            assert_eq!(desk.prints(&line), expected, "{line}");
        }
    }
}

#[test]
fn inspected_keys_are_those_of_other_implementations_and_null_where_nothing_is_known() {
    let desk = Desk::new();
    let vectors = vectors("frame_vectors.json");
    for row in vectors["mc_key_vectors"].as_array().unwrap() {
        let base = ["inspect", "keys", "--mc-key", text(row, "mc_key"), "--mc-addr", text(row, "mc_addr")];
        let root = match text(row, "root_key_kind") {
            "GenAppKey (1.0.x)" => "--gen-app-key",
            _ => "--app-key",
        };
        let mut words = base.to_vec();
        let session = ["mc_app_s_key", "mc_nwk_s_key"];
        let lifetime = ["mc_root_key", "mc_ke_key", "mc_key_encrypted"];
        let alone: Value = serde_json::from_str(&desk.run_words(&words).out).unwrap();
        words.extend([root, text(row, "root_key")]);
        let full: Value = serde_json::from_str(&desk.run_words(&words).out).unwrap();
        assert_eq!(full.as_object().unwrap().len(), 5);
        for name in session {
            assert_eq!((&alone[name], &full[name]), (&row[name], &row[name]), "{name}");
        }
        for name in lifetime {
            assert_eq!((&alone[name], &full[name]), (&Value::Null, &row[name]), "{name}");
            assert!(alone.as_object().unwrap().contains_key(name));
        }
    }
}

#[test]
fn inspected_airtimes_are_those_of_other_implementations() {
    let desk = Desk::new();
    let vectors = vectors("airtime_vectors.json");
    let mut told = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let len = number(vector, "payload_len");
        let line = if text(vector, "modulation") == "FSK" {
            if vector["crc"] != true || number(vector, "preamble_bytes") != 5 {
                continue;
            }
            format!("inspect airtime --fsk-bps {} --len {len}", number(vector, "bitrate"))
        } else {
            let (sf, bw) = (number(vector, "sf"), number(vector, "bw_hz"));
            // The command has no flag for it: a symbol of 16.384 ms or more turns it on.
            if vector["ldro"] != ((1 << sf) * 1000 >= bw / 1000 * 16_384) {
                continue;
            }
            let (cr, preamble) = (number(vector, "cr"), number(vector, "preamble_symbols"));
            let crc = if vector["crc"] == true { " --crc" } else { "" };
            let implicit = if vector["explicit_header"] == false { " --implicit" } else { "" };
            let default = if sf <= 6 { 12 } else { 8 };
            let preamble =
                if preamble == default { String::new() } else { format!(" --preamble {preamble}") };
            let cr = if cr == 1 { String::new() } else { format!(" --cr {cr}") };
            format!("inspect airtime --sf {sf} --bw-hz {bw} --len {len}{cr}{preamble}{crc}{implicit}")
        };
        let expected = format!("{{\"airtime_us\":{}}}\n", number(vector, "expected_us"));
        assert_eq!(desk.prints(&line), expected, "{line}");
        told += 1;
    }
    assert!(told >= 80, "only {told} of the vectors were asked for");
}
