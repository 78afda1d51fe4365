//! How the forwarder reads a PULL_RESP (PROTOCOL.TXT 5.4 and 6, as `lora_pkt_fwd` of sx1302_hal 2.1.0 does).
//!
//! A proper request is read by the codec of `semtech-udp`: somebody else's reading judges ours. The codec
//! cannot tell an absent key from a `null`, refuses floats where it wants integers, knows no FSK, `nhdr`,
//! unpadded base64 or text behind the JSON, and GPS milliseconds do not fit it. What it refuses, or may have
//! read otherwise than the forwarder, is read again by hand. Of the two things that make it panic, text
//! beyond ASCII is kept from it here, and a PUSH_DATA of 12 bytes is no PULL_RESP.

use semtech_udp::Down;
use semtech_udp::Modulation as CodecModulation;
use semtech_udp::Packet;
use serde_json::Deserializer;
use serde_json::Map;
use serde_json::Value;

use crate::radio::Modulation;
use crate::sim::concentrator::frame::Frame;
use crate::sim::concentrator::frame::PHY_PAYLOAD_MAX;
use crate::sim::concentrator::jit_queue::Start;

/// Bytes before the JSON of a PULL_RESP.
const HEADER: usize = 4;
/// Preambles: (default, least) in symbols of LoRa and in bytes of FSK.
const LORA_PREAMBLE: (u16, u16) = (8, 6);
const FSK_PREAMBLE: (u16, u16) = (5, 3);
/// The forwarder's payload buffer; more decoded bytes than this and none is taken.
const DECODED_MAX: usize = 256;

/// A request the forwarder understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) when: When,
    pub(super) rf_chain: u8,
    /// `brd`: the board that is to send it.
    pub(super) board: u8,
    /// `powe`; absent is not zero of the same kind (see `Concentrator`).
    pub(super) power_dbm: Option<i8>,
    pub(super) frame: Frame,
    /// Whether the codec of `semtech-udp` could not read it.
    pub(super) by_hand: bool,
}

/// `imme`, `tmst` or `tmms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    Start(Start),
    /// Milliseconds of GPS time.
    GpsMs(u64),
}

/// What becomes of a PULL_RESP that is no request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unread {
    /// No answer at all.
    Silent,
    /// Answered GPS_UNLOCKED, before anything else is looked at.
    GpsUnlocked,
    /// The forwarder's process ends on it.
    Exit,
}

/// Reads a datagram whose header was found to be a PULL_RESP.
pub(super) fn read(datagram: &[u8], has_gps: bool) -> Result<Request, Unread> {
    match read_with_codec(datagram) {
        Some(request) => Ok(request),
        None => read_by_hand(datagram.get(HEADER..).unwrap_or_default(), has_gps),
    }
}

/// `None` unless the codec read every key the way the forwarder does.
fn read_with_codec(datagram: &[u8]) -> Option<Request> {
    let text = datagram.get(HEADER..)?;
    // The codec takes `[{..}]` for `{"txpk":{..}}` and overlooks the implicit header and the board.
    let has = |key: &[u8]| text.windows(key.len()).any(|there| there == key);
    if !text.is_ascii() || text.first() != Some(&b'{') || has(b"nhdr") || has(b"\"brd\"") {
        return None;
    }
    let Down::PullResp(packet) = Packet::parse_downlink(datagram).ok()? else {
        return None;
    };
    let txpk = packet.data.txpk;
    let CodecModulation::LORA = txpk.modu else {
        return None;
    };
    let when = if txpk.is_immediate() { Start::Immediate } else { Start::Tmst(txpk.get_tmst()?) };
    let bw_hz = txpk.datr.bandwidth().hz();
    if !matches!(bw_hz, 125_000 | 250_000 | 500_000) {
        return None;
    }
    // Absent for the codec may be `null` for the forwarder, which is not the same to it.
    let (coding_rate, prea, ncrc) = (txpk.codr?, txpk.prea?, txpk.ncrc?);
    let size = txpk.data.len() as u16;
    Some(Request {
        when: When::Start(when),
        rf_chain: txpk.rfch as u8,
        board: 0,
        power_dbm: Some(txpk.powe as i8),
        frame: Frame {
            frequency_hz: frequency_hz(txpk.freq),
            modulation: Modulation::LoRa { sf: txpk.datr.spreading_factor().factor() as u8, bw_hz },
            coding_rate: (coding_rate.denom() - 4) as u8,
            deviation_khz: 0,
            preamble_symbols: preamble(Some(prea as i64), LORA_PREAMBLE),
            inverted_iq: txpk.ipol,
            crc: !ncrc,
            implicit_header: false,
            size,
            phy_payload: payload(txpk.data.data(), size),
            is_swallowed: false,
        },
        by_hand: false,
    })
}

fn read_by_hand(text: &[u8], has_gps: bool) -> Result<Request, Unread> {
    let text = String::from_utf8_lossy(text);
    let text = text.split('\0').next().unwrap_or_default();
    // The first value counts; whatever follows it is not looked at.
    let Some(Ok(json)) = Deserializer::from_str(text).into_iter::<Value>().next() else {
        return Err(Unread::Silent);
    };
    let txpk = json.get("txpk").and_then(Value::as_object).ok_or(Unread::Silent)?;
    let when = read_when(txpk, has_gps)?;
    let frequency_hz = frequency_hz(mandatory(txpk, "freq")?);
    let rf_chain = mandatory(txpk, "rfch")? as i64 as u8;
    let board = number(txpk, "brd").unwrap_or(0.0) as i64 as u8;
    let power_dbm = number(txpk, "powe").map(|dbm| dbm as i64 as i8);
    let mut frame = match text_of(txpk, "modu")? {
        "LORA" => read_lora(txpk)?,
        "FSK" => read_fsk(txpk)?,
        _ => return Err(Unread::Silent),
    };
    frame.frequency_hz = frequency_hz;
    frame.crc = !flag(txpk, "ncrc");
    frame.implicit_header = flag(txpk, "nhdr");
    frame.size = mandatory(txpk, "size")? as i64 as u16;
    frame.phy_payload = payload(&decode_base64(text_of(txpk, "data")?)?, frame.size);
    Ok(Request { when, rf_chain, board, power_dbm, frame, by_hand: true })
}

fn read_when(txpk: &Map<String, Value>, has_gps: bool) -> Result<When, Unread> {
    // Only the boolean: 1 and "true" are not immediate.
    if txpk.get("imme") == Some(&Value::Bool(true)) {
        return Ok(When::Start(Start::Immediate));
    }
    if let Some(tmst) = number(txpk, "tmst") {
        // More than 32 bits wrap (x86).
        return Ok(When::Start(Start::Tmst(tmst as i64 as u32)));
    }
    let tmms = mandatory(txpk, "tmms")?;
    if has_gps { Ok(When::GpsMs(tmms as u64)) } else { Err(Unread::GpsUnlocked) }
}

fn read_lora(txpk: &Map<String, Value>) -> Result<Frame, Unread> {
    let (sf, bw_hz) = data_rate(text_of(txpk, "datr")?).ok_or(Unread::Silent)?;
    let coding_rate = match text_of(txpk, "codr")? {
        "4/5" => 1,
        "4/6" | "2/3" => 2,
        "4/7" => 3,
        "4/8" | "1/2" => 4,
        _ => return Err(Unread::Silent),
    };
    let prea = number(txpk, "prea").map(|symbols| symbols as i64);
    Ok(Frame {
        inverted_iq: flag(txpk, "ipol"),
        preamble_symbols: preamble(prea, LORA_PREAMBLE),
        coding_rate,
        ..blank(Modulation::LoRa { sf, bw_hz })
    })
}

fn read_fsk(txpk: &Map<String, Value>) -> Result<Frame, Unread> {
    let bit_rate_bps = mandatory(txpk, "datr")? as i64 as u32;
    let deviation_khz = (mandatory(txpk, "fdev")? / 1000.0) as i64 as u8;
    let prea = number(txpk, "prea").map(|bytes| bytes as i64);
    Ok(Frame {
        deviation_khz,
        preamble_symbols: preamble(prea, FSK_PREAMBLE),
        ..blank(Modulation::Gfsk { bit_rate_bps })
    })
}

fn blank(modulation: Modulation) -> Frame {
    Frame {
        frequency_hz: 0,
        modulation,
        coding_rate: 0,
        deviation_khz: 0,
        preamble_symbols: 0,
        inverted_iq: false,
        crc: true,
        implicit_header: false,
        size: 0,
        phy_payload: Vec::new(),
        is_swallowed: false,
    }
}

/// A key's number; what is there but no number (`null`, a string) counts as 0.
fn number(txpk: &Map<String, Value>, key: &str) -> Option<f64> {
    txpk.get(key).map(|value| value.as_f64().unwrap_or(0.0))
}

fn mandatory(txpk: &Map<String, Value>, key: &str) -> Result<f64, Unread> {
    number(txpk, key).ok_or(Unread::Silent)
}

fn text_of<'a>(txpk: &'a Map<String, Value>, key: &str) -> Result<&'a str, Unread> {
    txpk.get(key).and_then(Value::as_str).ok_or(Unread::Silent)
}

/// An optional boolean. What is there but no boolean is -1 to the forwarder's parser, hence true.
fn flag(txpk: &Map<String, Value>, key: &str) -> bool {
    txpk.get(key).is_some_and(|value| value.as_bool().unwrap_or(true))
}

/// Frequency in Hz of a `freq` in MHz: truncated, not rounded.
fn frequency_hz(mhz: f64) -> u32 {
    (1.0e6 * mhz) as i64 as u32
}

fn preamble(asked: Option<i64>, (default, least): (u16, u16)) -> u16 {
    match asked {
        None => default,
        Some(asked) if asked as i32 >= i32::from(least) => asked as u16,
        Some(_) => least,
    }
}

/// `SF%2dBW%3d`: upper case; what follows the third digit is not looked at.
fn data_rate(text: &str) -> Option<(u8, u32)> {
    let (sf, rest) = leading_number(text.strip_prefix("SF")?, 2)?;
    let (bw_khz, _) = leading_number(rest.strip_prefix("BW")?, 3)?;
    let is_known = (5..=12).contains(&sf) && matches!(bw_khz, 125 | 250 | 500);
    is_known.then_some((sf as u8, bw_khz * 1000))
}

fn leading_number(text: &str, digits_max: usize) -> Option<(u32, &str)> {
    let digits = text.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// `size` bytes: cut, or filled with zeros. More than the radio takes are never looked at again.
fn payload(decoded: &[u8], size: u16) -> Vec<u8> {
    let taken = if decoded.len() <= DECODED_MAX { decoded } else { &[] };
    let mut payload = taken.to_vec();
    payload.resize(usize::from(size.min(PHY_PAYLOAD_MAX)), 0);
    payload
}

/// Standard alphabet, padding optional, stray last bits ignored. A length that cannot be is no data; any
/// other character ends the process, but only when it is reached.
fn decode_base64(text: &str) -> Result<Vec<u8>, Unread> {
    let mut text = text.as_bytes();
    if text.len().is_multiple_of(4) {
        text = match text {
            [kept @ .., b'=', _] | [kept @ .., b'='] => kept,
            _ => text,
        };
    }
    if text.len() % 4 == 1 || text.len() * 3 / 4 > DECODED_MAX {
        return Ok(Vec::new());
    }
    let mut decoded = Vec::with_capacity(text.len());
    for block in text.chunks(4) {
        let mut bits = 0_u32;
        for (place, &character) in block.iter().enumerate() {
            bits |= six_bits(character).ok_or(Unread::Exit)? << (18 - 6 * place);
        }
        decoded.extend_from_slice(&bits.to_be_bytes()[1..block.len()]);
    }
    Ok(decoded)
}

fn six_bits(character: u8) -> Option<u32> {
    let code = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(json: &str) -> Vec<u8> {
        [&[2, 0, 0, 3], json.as_bytes()].concat()
    }

    proptest! {
        #[test]
        fn both_readings_of_a_proper_request_agree(
            tmst: Option<u32>, khz in 400_000_u32..930_000, sf in 5_u8..=12, bw in 0_usize..3, codr in 5_u8..=8,
            powe in 0_u8..40, prea in 0_u16..2000, ipol: bool, ncrc: bool, size in 0_u16..300,
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            use base64::Engine;
            let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let time = tmst.map_or("\"imme\":true".to_owned(), |tmst| format!("\"imme\":false,\"tmst\":{tmst}"));
            let json = format!(
                "{{\"txpk\":{{{time},\"freq\":{}.{:03},\"rfch\":0,\"powe\":{powe},\"modu\":\"LORA\",\
                 \"datr\":\"SF{sf}BW{}\",\"codr\":\"4/{codr}\",\"ipol\":{ipol},\"prea\":{prea},\"ncrc\":{ncrc},\
                 \"size\":{size},\"data\":\"{data}\"}}}}",
                khz / 1000, khz % 1000, [125, 250, 500][bw],
            );
            let bytes = datagram(&json);
            let by_codec = read_with_codec(&bytes).expect("a proper request");
            let by_hand = read_by_hand(&bytes[HEADER..], false).unwrap();
            prop_assert_eq!(Request { by_hand: true, ..by_codec }, by_hand);
        }

        #[test]
        fn base64_reads_as_the_library_does(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            use base64::Engine;
            let padded = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let bare = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes);
            prop_assert_eq!(decode_base64(&padded), Ok(bytes.clone()));
            prop_assert_eq!(decode_base64(&bare), Ok(bytes));
        }
    }

    #[test]
    fn a_data_rate_is_read_as_scanf_reads_it() {
        assert_eq!(data_rate("SF9BW125"), Some((9, 125_000)));
        assert_eq!(data_rate("SF12BW500 and more"), Some((12, 500_000)));
        for wrong in ["sf9BW125", "SF4BW125", "SF13BW125", "SF9BW62", "SF9", "SFBW125", "SF9bw125", "S\u{fc}"]
        {
            assert_eq!(data_rate(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_codec_never_sees_what_makes_it_panic() {
        let json = "{\"txpk\":{\"imme\":true,\"freq\":869.525,\"rfch\":0,\"powe\":14,\"modu\":\"LORA\",\
                    \"datr\":\"SF\u{20ac}12BW125\",\"codr\":\"4/5\",\"ipol\":true,\"prea\":8,\"ncrc\":true,\
                    \"size\":1,\"data\":\"AA==\"}}";
        assert_eq!(read(&datagram(json), false), Err(Unread::Silent));
    }
}
