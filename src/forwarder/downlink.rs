//! What a network server wants sent: its `txpk`, checked before it reaches a forwarder that one bad character
//! would end (measured: a wrong base64 letter makes the real one exit).

use super::server_link::DOWNLINK_MAX;
use crate::radio::LoRaPacket;
use crate::radio::Modulation;
use crate::radio::forwarder_airtime_us;
use crate::radio::gfsk_airtime_us;
use crate::radio::lora_airtime_us;
use crate::time::Tmst;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// When a downlink is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// As soon as possible.
    Immediate,
    /// When the concentrator's counter shows this.
    At(Tmst),
    /// At this GPS time, milliseconds.
    Gps(u64),
}

/// A network server's downlink, as far as the radio is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Downlink {
    /// At once, at a counter's value, or at a GPS time.
    pub timing: Timing,
    /// The board that shall send it, where the server names one; it goes on with the downlink.
    pub board: Option<u32>,
    /// Centre frequency on the air, Hz.
    pub frequency_hz: u32,
    /// LoRa or GFSK, as `modu` says.
    pub modulation: Modulation,
    /// Exact airtime of the packet, microseconds.
    pub airtime_us: u64,
    /// Airtime as the forwarder's queue counts it, microseconds.
    pub queue_slot_us: u64,
    /// DevAddr or McAddr of a data frame, and its counter's lower half.
    pub header: Option<(u32, u16)>,
    json: Value,
}

/// Why a server's downlink does not reach the forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadDownlink {
    /// The forwarder's buffer would cut it.
    #[error("it is longer than {DOWNLINK_MAX} bytes")]
    TooLong,
    /// No JSON object with a txpk.
    #[error("it is no txpk")]
    NoTxpk,
    /// A member that the forwarder needs is missing or of the wrong kind.
    #[error("its member {0} is missing or wrong")]
    Member(&'static str),
    /// The payload is not base64 of `size` bytes.
    #[error("its data is not base64 of as many bytes as it says")]
    Data,
}

impl Downlink {
    /// Reads and checks the JSON of a PULL_RESP.
    ///
    /// # Errors
    /// [`BadDownlink`]: what the forwarder would choke on or drop without a word.
    pub fn read(json: &[u8]) -> Result<Downlink, BadDownlink> {
        if json.len() + super::packet::PULL_RESP_HEADER > DOWNLINK_MAX {
            return Err(BadDownlink::TooLong);
        }
        // Like the forwarder, we do not mind what stands behind the object.
        let json = Value::deserialize(&mut serde_json::Deserializer::from_slice(json));
        let json = json.map_err(|_| BadDownlink::NoTxpk)?;
        let txpk = json.get("txpk").filter(|txpk| txpk.is_object()).ok_or(BadDownlink::NoTxpk)?;
        let number = |member: &str| txpk.get(member).and_then(Value::as_f64);
        let flag = |member: &str| txpk.get(member).and_then(Value::as_bool).unwrap_or(false);
        let payload = payload(txpk)?;
        if !number("rfch").is_some_and(|chain| chain == 0.0 || chain == 1.0) {
            return Err(BadDownlink::Member("rfch"));
        }
        let hz = number("freq").map(|mhz| (mhz * 1e6).round()).filter(|hz| (1e8..1e9).contains(hz));
        let frequency_hz = hz.ok_or(BadDownlink::Member("freq"))? as u32;
        let modulation = modulation(txpk)?;
        let airtime_us = match modulation {
            Modulation::LoRa { sf, bw_hz } => lora_airtime_us(&LoRaPacket {
                sf,
                bw_hz,
                cr: coding_rate(txpk).ok_or(BadDownlink::Member("codr"))?,
                preamble_symbols: number("prea").map_or(8, |symbols| (symbols as u16).max(6)),
                explicit_header: !flag("nhdr"),
                crc: !flag("ncrc"),
                low_data_rate: None,
                phy_len: payload.len(),
            }),
            Modulation::Gfsk { bit_rate_bps } => {
                gfsk_airtime_us(bit_rate_bps, 5, payload.len(), !flag("ncrc"))
            }
        };
        let airtime_us = airtime_us.map_err(|_| BadDownlink::Member("datr"))?;
        let timing = timing(txpk).ok_or(BadDownlink::Member("tmst"))?;
        Ok(Downlink {
            timing,
            board: txpk.get("brd").and_then(whole).and_then(|board| u32::try_from(board).ok()),
            frequency_hz,
            modulation,
            airtime_us,
            queue_slot_us: forwarder_airtime_us(modulation, payload.len()).max(airtime_us),
            header: header(&payload),
            json,
        })
    }

    /// The same downlink at a counter value instead of "immediately".
    pub fn json_at(&self, at: Tmst) -> Vec<u8> {
        let mut json = self.json.clone();
        if let Some(txpk) = json.get_mut("txpk").and_then(Value::as_object_mut) {
            txpk.remove("imme");
            txpk.insert("tmst".to_owned(), Value::from(at.0));
        }
        serde_json::to_vec(&json).unwrap_or_default()
    }
}

fn payload(txpk: &Value) -> Result<Vec<u8>, BadDownlink> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = txpk.get("data").and_then(Value::as_str).ok_or(BadDownlink::Member("data"))?;
    let payload = GeneralPurpose::new(&STANDARD, lenient).decode(text).map_err(|_| BadDownlink::Data)?;
    let size = txpk.get("size").and_then(whole).ok_or(BadDownlink::Member("size"))?;
    let fits = (1..=255).contains(&payload.len()) && payload.len() as u64 == size;
    if fits { Ok(payload) } else { Err(BadDownlink::Data) }
}

fn timing(txpk: &Value) -> Option<Timing> {
    if txpk.get("imme").and_then(Value::as_bool) == Some(true) {
        return Some(Timing::Immediate);
    }
    // Null and texts count as 0 at the real forwarder; nobody means that.
    match txpk.get("tmst") {
        Some(tmst) => Some(Timing::At(Tmst(u32::try_from(whole(tmst)?).ok()?))),
        None => txpk.get("tmms").and_then(whole).map(Timing::Gps),
    }
}

/// A number as the forwarder casts it, fraction cut off: servers write whole ones as `17.0`, too. Nothing where its cast
/// is not defined.
fn whole(number: &Value) -> Option<u64> {
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    let cast = |number: f64| (0.0..EXACT_BELOW).contains(&number).then_some(number as u64);
    number.as_u64().or_else(|| number.as_f64().and_then(cast))
}

fn modulation(txpk: &Value) -> Result<Modulation, BadDownlink> {
    let datr = txpk.get("datr").ok_or(BadDownlink::Member("datr"))?;
    match txpk.get("modu").and_then(Value::as_str) {
        Some("LORA") => datr.as_str().and_then(|datr| datr.parse().ok()).ok_or(BadDownlink::Member("datr")),
        Some("FSK") => {
            // The forwarder drops a FSK packet without it.
            txpk.get("fdev").and_then(Value::as_f64).ok_or(BadDownlink::Member("fdev"))?;
            let bit_rate_bps = whole(datr).and_then(|rate| u32::try_from(rate).ok()).filter(|rate| *rate > 0);
            Ok(Modulation::Gfsk { bit_rate_bps: bit_rate_bps.ok_or(BadDownlink::Member("datr"))? })
        }
        _ => Err(BadDownlink::Member("modu")),
    }
}

fn coding_rate(txpk: &Value) -> Option<u8> {
    match txpk.get("codr")?.as_str()? {
        "4/5" => Some(1),
        "4/6" | "2/3" => Some(2),
        "4/7" => Some(3),
        "4/8" | "1/2" => Some(4),
        _ => None,
    }
}

/// Address and counter of a data frame down (TS001-1.0.4 4): MType 3 or 5.
fn header(payload: &[u8]) -> Option<(u32, u16)> {
    let &[mhdr, a, b, c, d, _fctrl, low, high] = payload.first_chunk()?;
    let is_data = matches!(mhdr >> 5, 3 | 5);
    is_data.then(|| (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([low, high])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLASS_A: &str = r#"{"txpk":{"imme":false,"tmst":3512348611,"freq":869.525,"rfch":0,"powe":27,"modu":"LORA",
        "datr":"SF9BW125","codr":"4/5","ipol":true,"ncrc":true,"size":17,"data":"YO7/wAEAAQABAAAAAAAAAAA="}}"#;

    #[test]
    fn a_class_a_answer_is_understood() {
        let downlink = Downlink::read(CLASS_A.as_bytes()).unwrap();
        assert_eq!(downlink.timing, Timing::At(Tmst(3_512_348_611)));
        assert_eq!(downlink.frequency_hz, 869_525_000);
        assert_eq!(downlink.header, Some((0x01c0_ffee, 1)));
        assert_eq!(downlink.airtime_us, 164_864);
    }

    #[test]
    fn an_immediate_downlink_can_be_given_a_time_and_keeps_everything_else() {
        let text = CLASS_A.replace(r#""imme":false,"tmst":3512348611"#, r#""imme":true,"brd":7"#);
        let downlink = Downlink::read(text.as_bytes()).unwrap();
        assert_eq!(downlink.timing, Timing::Immediate);
        let json: Value = serde_json::from_slice(&downlink.json_at(Tmst(5))).unwrap();
        assert_eq!((&json["txpk"]["tmst"], &json["txpk"]["imme"]), (&Value::from(5), &Value::Null));
        assert_eq!((&json["txpk"]["brd"], &json["txpk"]["powe"]), (&Value::from(7), &Value::from(27)));
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        let text = CLASS_A
            .replace("3512348611", "3512348611.0")
            .replace("\"size\":17", "\"size\":1.7e1")
            .replace("\"rfch\":0", "\"rfch\":0.0");
        assert_eq!(Downlink::read(text.as_bytes()).unwrap().timing, Timing::At(Tmst(3_512_348_611)));
        let gps = CLASS_A.replace("\"tmst\":3512348611", "\"tmms\":1448000000123.0");
        assert_eq!(Downlink::read(gps.as_bytes()).unwrap().timing, Timing::Gps(1_448_000_000_123));
        for wrong in ["-1.0", "4294967296.0", "1e300", "\"7\""] {
            let text = CLASS_A.replace("3512348611", wrong);
            assert_eq!(Downlink::read(text.as_bytes()), Err(BadDownlink::Member("tmst")), "{wrong}");
        }
    }

    #[test]
    fn a_fsk_downlink_needs_its_deviation() {
        let fsk = CLASS_A
            .replace(r#""modu":"LORA""#, r#""modu":"FSK","fdev":25000"#)
            .replace(r#""datr":"SF9BW125""#, r#""datr":50000.0"#);
        let modulation = Downlink::read(fsk.as_bytes()).unwrap().modulation;
        assert_eq!(modulation, Modulation::Gfsk { bit_rate_bps: 50_000 });
        let without = fsk.replace(r#","fdev":25000"#, "");
        assert_eq!(Downlink::read(without.as_bytes()), Err(BadDownlink::Member("fdev")));
    }

    #[test]
    fn what_would_end_the_forwarder_or_vanish_in_it_is_refused_by_name() {
        let bad = |from: &str, to: &str| Downlink::read(CLASS_A.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(bad("YO7/", "YO7-"), BadDownlink::Data);
        assert_eq!(bad("\"size\":17", "\"size\":18"), BadDownlink::Data);
        assert_eq!(bad("\"rfch\":0", "\"rfch\":7"), BadDownlink::Member("rfch"));
        assert_eq!(bad("\"codr\":\"4/5\",", ""), BadDownlink::Member("codr"));
        assert_eq!(bad("SF9BW125", "SF13BW125"), BadDownlink::Member("datr"));
        assert_eq!(bad("869.525", "null"), BadDownlink::Member("freq"));
        assert_eq!(bad("3512348611", "null"), BadDownlink::Member("tmst"));
        assert_eq!(bad("{\"txpk\"", "{\"other\""), BadDownlink::NoTxpk);
        let long = format!("{}{}", CLASS_A, " ".repeat(1000));
        assert_eq!(Downlink::read(long.as_bytes()), Err(BadDownlink::TooLong));
    }

    proptest! {
        #[test]
        fn hostile_downlinks_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..240, byte in any::<u8>()) {
            let _ = Downlink::read(&bytes);
            let mut mutated = CLASS_A.as_bytes().to_vec();
            let at = at % mutated.len();
            mutated[at] = byte;
            let _ = Downlink::read(&mutated);
        }
    }
}
