//! What a network server wants sent: its `txpk`, checked before it reaches a forwarder that one bad character
//! would end (measured: a wrong base64 letter makes the real one exit).

use super::repeated_name::repeated_name;
use super::server_link::DOWNLINK_MAX;
use crate::radio::Dbm;
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

/// The longest preamble that is passed on, microseconds of air: 30 symbols at SF12, where LoRaWAN has 8.
const PREAMBLE_MAX_US: f64 = 1_000_000.0;

/// Characters of a value that an error quotes.
const QUOTED_MAX: usize = 40;

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
    /// `powe`: dBm that the forwarder is asked for, its antenna gain included.
    pub power: Dbm,
    /// DevAddr or McAddr of a data frame, and its counter's lower half.
    pub header: Option<(u32, u16)>,
    /// The PHYPayload, 1 to 255 bytes.
    pub phy_payload: Vec<u8>,
    json: Value,
}

/// Why a server's downlink does not reach the forwarder.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadDownlink {
    /// The forwarder's buffer would cut it.
    #[error("{bytes} bytes are more than the {DOWNLINK_MAX} that a packet forwarder reads")]
    TooLong {
        /// Bytes of the PULL_RESP.
        bytes: usize,
    },
    /// No JSON object with a txpk.
    #[error("it is no JSON object with a txpk")]
    NoTxpk,
    /// A name stands twice in one object: the forwarder's parser refuses that.
    #[error(
        "{name} stands twice in one object, which a packet forwarder's JSON parser refuses: write it once"
    )]
    Repeated {
        /// The name of the member.
        name: String,
    },
    /// A member that the forwarder needs is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member has a value that the forwarder would drop, misread, or that costs too much air.
    #[error("{member} {value} cannot be sent: {wanted} can")]
    Member {
        /// Name of the member.
        member: &'static str,
        /// Its value as JSON, cut off after 40 characters.
        value: String,
        /// What would be taken instead.
        wanted: &'static str,
    },
    /// The payload is not of `size` bytes.
    #[error("size {size} is not the length of data, which has {bytes} bytes: 1 to 255 in both can be sent")]
    Size {
        /// What `size` says, bytes to be radiated.
        size: u64,
        /// Bytes of the payload.
        bytes: usize,
    },
}

impl BadDownlink {
    /// A short name of the reason: the member, or what is wrong as a whole.
    pub fn reason(&self) -> &'static str {
        match self {
            BadDownlink::TooLong { .. } => "too-long",
            BadDownlink::NoTxpk => "no-txpk",
            BadDownlink::Repeated { .. } => "repeated-name",
            BadDownlink::Missing(member) | BadDownlink::Member { member, .. } => member,
            BadDownlink::Size { .. } => "size",
        }
    }
}

impl Downlink {
    /// Reads and checks the JSON of a PULL_RESP.
    ///
    /// # Errors
    /// [`BadDownlink`]: what the forwarder would choke on or drop without a word.
    pub fn read(json: &[u8]) -> Result<Downlink, BadDownlink> {
        let bytes = json.len() + super::packet::PULL_RESP_HEADER;
        if bytes > DOWNLINK_MAX {
            return Err(BadDownlink::TooLong { bytes });
        }
        let repeated = repeated_name(json);
        // Like the forwarder, we do not mind what stands behind the object.
        let json = Value::deserialize(&mut serde_json::Deserializer::from_slice(json));
        let json = json.map_err(|_| BadDownlink::NoTxpk)?;
        if let Some(name) = repeated {
            return Err(BadDownlink::Repeated { name: quoted(&name) });
        }
        let txpk = json.get("txpk").filter(|txpk| txpk.is_object()).ok_or(BadDownlink::NoTxpk)?;
        let txpk = Txpk(txpk);
        let phy_payload = txpk.payload()?;
        txpk.number("rfch", "0 or 1", |chain| chain == 0.0 || chain == 1.0)?;
        let is_sent = |mhz: f64| (1e8..1e9).contains(&(mhz * 1e6).round());
        let frequency_hz = (txpk.number("freq", "100 to 999.999999 MHz", is_sent)? * 1e6).round() as u32;
        let modulation = txpk.modulation()?;
        let airtime_us = txpk.airtime_us(modulation, phy_payload.len())?;
        let power = txpk.get("powe").and_then(Value::as_f64).unwrap_or(0.0);
        Ok(Downlink {
            timing: txpk.timing()?,
            board: txpk.get("brd").and_then(whole).and_then(|board| u32::try_from(board).ok()),
            frequency_hz,
            modulation,
            airtime_us,
            queue_slot_us: forwarder_airtime_us(modulation, phy_payload.len()).max(airtime_us),
            power: Dbm::from_f64(power).unwrap_or(Dbm::from_whole(i32::MAX)),
            header: header(&phy_payload),
            phy_payload,
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

/// The members of a `txpk`, each read as the forwarder reads it.
#[derive(Clone, Copy)]
struct Txpk<'a>(&'a Value);

impl Txpk<'_> {
    fn get(&self, member: &str) -> Option<&Value> {
        self.0.get(member)
    }

    fn flag(&self, member: &str) -> bool {
        self.get(member).and_then(Value::as_bool).unwrap_or(false)
    }

    /// What is wrong with a member.
    fn bad(&self, member: &'static str, wanted: &'static str) -> BadDownlink {
        match self.get(member) {
            None => BadDownlink::Missing(member),
            Some(value) => BadDownlink::Member { member, value: quoted(&value.to_string()), wanted },
        }
    }

    fn number(
        &self,
        member: &'static str,
        wanted: &'static str,
        is_good: impl Fn(f64) -> bool,
    ) -> Result<f64, BadDownlink> {
        let number = self.get(member).and_then(Value::as_f64).filter(|number| is_good(*number));
        number.ok_or_else(|| self.bad(member, wanted))
    }

    fn payload(&self) -> Result<Vec<u8>, BadDownlink> {
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text = self.get("data").and_then(Value::as_str);
        let payload = text.and_then(|text| GeneralPurpose::new(&STANDARD, lenient).decode(text).ok());
        let payload = payload.ok_or_else(|| self.bad("data", "base64 of the standard alphabet"))?;
        let size = self.get("size").and_then(whole).ok_or_else(|| self.bad("size", "a whole number"))?;
        let fits = (1..=255).contains(&payload.len()) && payload.len() as u64 == size;
        if fits { Ok(payload) } else { Err(BadDownlink::Size { size, bytes: payload.len() }) }
    }

    fn timing(&self) -> Result<Timing, BadDownlink> {
        if self.flag("imme") {
            return Ok(Timing::Immediate);
        }
        // Null and texts count as 0 at the real forwarder; nobody means that.
        match (self.get("tmst"), self.get("tmms")) {
            (None, Some(tmms)) => {
                whole(tmms).map(Timing::Gps).ok_or_else(|| self.bad("tmms", "GPS milliseconds"))
            }
            (tmst, _) => {
                let tmst = tmst.and_then(whole).and_then(|tmst| u32::try_from(tmst).ok());
                let tmst = tmst.ok_or_else(|| self.bad("tmst", "0 to 4294967295, or imme true, or tmms"))?;
                Ok(Timing::At(Tmst(tmst)))
            }
        }
    }

    fn modulation(&self) -> Result<Modulation, BadDownlink> {
        let datr = self.get("datr");
        match self.get("modu").and_then(Value::as_str) {
            Some("LORA") => {
                let lora = datr.and_then(Value::as_str).and_then(|datr| datr.parse().ok());
                lora.ok_or_else(|| self.bad("datr", "SF5BW125 to SF12BW500"))
            }
            Some("FSK") => {
                // The forwarder drops a FSK packet without it.
                self.number("fdev", "the deviation in Hz", |_| true)?;
                let bit_rate_bps = datr.and_then(whole).and_then(|rate| u32::try_from(rate).ok());
                let bit_rate_bps = bit_rate_bps.filter(|rate| *rate > 0);
                Ok(Modulation::Gfsk {
                    bit_rate_bps: bit_rate_bps.ok_or_else(|| self.bad("datr", "a bit rate"))?,
                })
            }
            _ => Err(self.bad("modu", "\"LORA\" or \"FSK\"")),
        }
    }

    /// Exact airtime, with a preamble that is worth its air.
    fn airtime_us(&self, modulation: Modulation, phy_len: usize) -> Result<u64, BadDownlink> {
        let (default, least, unit_us) = match modulation {
            Modulation::LoRa { sf, bw_hz } => (8, 6, f64::from(1u32 << sf) * 1e6 / f64::from(bw_hz)),
            Modulation::Gfsk { bit_rate_bps } => (5, 3, 8e6 / f64::from(bit_rate_bps)),
        };
        let prea = match self.get("prea") {
            None => default,
            // The forwarder takes what is no number for its least.
            Some(prea) => prea.as_f64().map_or(least, |prea| (prea as u16).max(least)),
        };
        if f64::from(prea) * unit_us > PREAMBLE_MAX_US {
            return Err(self.bad("prea", "what lasts a second at most"));
        }
        let airtime_us = match modulation {
            Modulation::LoRa { sf, bw_hz } => lora_airtime_us(&LoRaPacket {
                sf,
                bw_hz,
                cr: self.get("codr").and_then(coding_rate).ok_or_else(|| self.bad("codr", "4/5 to 4/8"))?,
                preamble_symbols: prea,
                explicit_header: !self.flag("nhdr"),
                crc: !self.flag("ncrc"),
                low_data_rate: None,
                phy_len,
            }),
            Modulation::Gfsk { bit_rate_bps } => {
                gfsk_airtime_us(bit_rate_bps, prea, phy_len, !self.flag("ncrc"))
            }
        };
        airtime_us.map_err(|_| self.bad("datr", "SF5 to SF12 at 125, 250 or 500 kHz"))
    }
}

/// As much of a value as an error shows, in one line.
fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().filter(|letter| !letter.is_control()).take(QUOTED_MAX).collect();
    if quoted.len() < text.len() {
        quoted.push('\u{2026}');
    }
    quoted
}

/// A number as the forwarder casts it, fraction cut off: servers write whole ones as `17.0`, too. Nothing where its cast
/// is not defined.
fn whole(number: &Value) -> Option<u64> {
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    let cast = |number: f64| (0.0..EXACT_BELOW).contains(&number).then_some(number as u64);
    number.as_u64().or_else(|| number.as_f64().and_then(cast))
}

fn coding_rate(codr: &Value) -> Option<u8> {
    match codr.as_str()? {
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
            assert_eq!(Downlink::read(text.as_bytes()).unwrap_err().reason(), "tmst", "{wrong}");
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
        assert_eq!(Downlink::read(without.as_bytes()), Err(BadDownlink::Missing("fdev")));
    }

    #[test]
    fn what_would_end_the_forwarder_or_vanish_in_it_is_refused_by_name() {
        let bad = |from: &str, to: &str| {
            let error = Downlink::read(CLASS_A.replace(from, to).as_bytes()).unwrap_err();
            (error.reason(), error.to_string())
        };
        for (from, to, reason, text) in [
            ("YO7/", "YO7-", "data", r#"data "YO7-wAEAAQABAAAAAAAAAAA=" cannot be sent"#),
            ("\"size\":17", "\"size\":18", "size", "size 18 is not the length of data, which has 17 bytes"),
            ("\"rfch\":0", "\"rfch\":7", "rfch", "rfch 7 cannot be sent: 0 or 1 can"),
            ("\"codr\":\"4/5\",", "", "codr", "codr is missing"),
            ("SF9BW125", "SF13BW125", "datr", r#"datr "SF13BW125" cannot be sent"#),
            ("869.525", "0", "freq", "freq 0 cannot be sent: 100 to 999.999999 MHz can"),
            ("869.525", "null", "freq", "freq null cannot be sent"),
            ("LORA", "LR_FHSS", "modu", r#"modu "LR_FHSS" cannot be sent"#),
            ("3512348611", "null", "tmst", "tmst null cannot be sent"),
            ("{\"txpk\"", "{\"other\"", "no-txpk", "it is no JSON object with a txpk"),
            ("\"rfch\":0", "\"rfch\":0,\"powe\":14", "repeated-name", "powe stands twice in one object"),
        ] {
            let (found, told) = bad(from, to);
            assert_eq!(found, reason);
            assert!(told.starts_with(text), "{told}");
        }
        let long = format!("{}{}", CLASS_A, " ".repeat(1000));
        let error = Downlink::read(long.as_bytes()).unwrap_err();
        assert_eq!(error, BadDownlink::TooLong { bytes: long.len() + 4 });
        let (_, told) = bad("YO7/", &"-".repeat(300));
        assert!(told.len() < 120, "a value is quoted in part: {told}");
    }

    #[test]
    fn a_preamble_may_last_a_second_and_is_charged() {
        let with = |datr: &str, prea: u32| {
            let text = CLASS_A
                .replace("SF9BW125", datr)
                .replace("\"rfch\":0", &format!("\"rfch\":0,\"prea\":{prea}"));
            Downlink::read(text.as_bytes())
        };
        assert_eq!(with("SF9BW125", 8).unwrap().airtime_us, 164_864);
        assert_eq!(with("SF9BW125", 108).unwrap().airtime_us, 164_864 + 100 * 4096);
        assert!(with("SF12BW125", 30).is_ok() && with("SF7BW500", 3906).is_ok());
        let error = with("SF12BW125", 31).unwrap_err();
        assert_eq!(error.to_string(), "prea 31 cannot be sent: what lasts a second at most can");
        assert_eq!(with("SF7BW500", 65_535).unwrap_err().reason(), "prea");
        let fsk = CLASS_A
            .replace(r#""modu":"LORA""#, r#""modu":"FSK","fdev":25000,"prea":1005"#)
            .replace(r#""datr":"SF9BW125""#, r#""datr":50000"#);
        let long = Downlink::read(fsk.as_bytes()).unwrap().airtime_us;
        let short = Downlink::read(fsk.replace("1005", "5").as_bytes()).unwrap().airtime_us;
        assert_eq!(long - short, 160_000);
        assert_eq!(Downlink::read(fsk.replace("1005", "6251").as_bytes()).unwrap_err().reason(), "prea");
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
