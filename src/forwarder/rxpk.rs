//! A tolerant look into the JSON of PUSH_DATA (PROTOCOL.TXT 4).
//!
//! Forwarders differ: keys are missing, numbers are floats or texts, arrays hold strange things. A value of the
//! wrong kind is no value, an `rxpk` that is no object is skipped, and only text that is no JSON at all is
//! refused. Nothing is copied but the few numbers wanted.

use core::fmt;
use core::marker::PhantomData;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde::de::value::MapAccessDeserializer;

use crate::radio::Modulation;

/// Packets looked at in one datagram; forwarders hold up to 255 (`NB_PKT_MAX`).
pub(super) const MAX_RXPK: usize = 255;

/// The forwarder's statistics since its last report (PROTOCOL.TXT 4, `stat`). Absent keys are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stat {
    /// Packets received from the air.
    pub rxnb: Option<u32>,
    /// Packets received with a good CRC.
    pub rxok: Option<u32>,
    /// Packets forwarded to us.
    pub rxfw: Option<u32>,
    /// PUSH_DATA that we acknowledged, in percent: our health as the forwarder sees it.
    pub ackr_percent: Option<f64>,
    /// PULL_RESP received, the refused ones included.
    pub dwnb: Option<u32>,
    /// Packets handed to the radio, beacons included: an upper bound of what was radiated.
    pub txnb: Option<u32>,
    /// Temperature of the concentrator in degrees Celsius.
    pub temperature_c: Option<f64>,
}

/// The few numbers wanted of one received packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rxpk {
    pub tmst: Option<u32>,
    pub board: Option<u32>,
    pub gps_ms: Option<u64>,
    pub frequency_hz: Option<u32>,
    pub modulation: Option<Modulation>,
    pub size: Option<u16>,
    pub first_byte: Option<u8>,
    pub dev_addr: Option<u32>,
    pub crc_ok: bool,
}

/// What one PUSH_DATA holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PushData {
    pub rxpk: Vec<Rxpk>,
    pub stat: Option<Stat>,
}

impl PushData {
    /// `None` when the text is no JSON object. What follows the object (forwarders end it with a NUL, or with
    /// garbage) is ignored. Nesting is limited by the JSON reader, unknown members are skipped without it.
    pub fn read(json: &[u8]) -> Option<PushData> {
        let wire = Wire::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()?;
        Some(PushData { rxpk: wire.rxpk.0.0, stat: wire.stat.0.0.map(Stat::from) })
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    rxpk: Any<Packets>,
    #[serde(default)]
    stat: Any<Object<StatWire>>,
}

#[derive(Deserialize)]
struct RxpkWire {
    #[serde(default)]
    tmst: Any<Number>,
    #[serde(default)]
    brd: Any<Number>,
    #[serde(default)]
    tmms: Any<Number>,
    #[serde(default)]
    freq: Any<Number>,
    #[serde(default)]
    datr: Any<Datr>,
    #[serde(default)]
    size: Any<Number>,
    #[serde(default)]
    stat: Any<Number>,
    #[serde(default)]
    data: Any<PayloadHead>,
}

#[derive(Deserialize)]
struct StatWire {
    #[serde(default)]
    rxnb: Any<Number>,
    #[serde(default)]
    rxok: Any<Number>,
    #[serde(default)]
    rxfw: Any<Number>,
    #[serde(default)]
    ackr: Any<Number>,
    #[serde(default)]
    dwnb: Any<Number>,
    #[serde(default)]
    txnb: Any<Number>,
    #[serde(default)]
    temp: Any<Number>,
}

impl From<RxpkWire> for Rxpk {
    fn from(wire: RxpkWire) -> Self {
        let hz = Number(wire.freq.0.0.map(|mhz| (mhz * 1e6).round()));
        Rxpk {
            tmst: wire.tmst.0.to_u32(),
            board: wire.brd.0.to_u32(),
            gps_ms: wire.tmms.0.to_u64(),
            frequency_hz: hz.to_u32(),
            modulation: wire.datr.0.0,
            size: wire.size.0.to_u32().and_then(|size| u16::try_from(size).ok()),
            first_byte: wire.data.0.first_byte,
            dev_addr: wire.data.0.dev_addr,
            crc_ok: wire.stat.0.0.is_none_or(|stat| stat == 1.0),
        }
    }
}

impl From<StatWire> for Stat {
    fn from(wire: StatWire) -> Self {
        Stat {
            rxnb: wire.rxnb.0.to_u32(),
            rxok: wire.rxok.0.to_u32(),
            rxfw: wire.rxfw.0.to_u32(),
            ackr_percent: wire.ackr.0.0,
            dwnb: wire.dwnb.0.to_u32(),
            txnb: wire.txnb.0.to_u32(),
            temperature_c: wire.temp.0.0,
        }
    }
}

/// Any JSON value, as `T` sees it.
#[derive(Default)]
struct Any<T>(T);

/// What takes the kinds of values it can use, and is its default for every other kind.
trait Tolerant<'de>: Default {
    fn number(_: f64) -> Self {
        Self::default()
    }

    fn text(_: &str) -> Self {
        Self::default()
    }

    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// A number if it is one. 2^53 is enough for every counter here.
#[derive(Clone, Copy, Default)]
struct Number(Option<f64>);

impl Number {
    fn to_u32(self) -> Option<u32> {
        self.to_u64().and_then(|value| u32::try_from(value).ok())
    }

    fn to_u64(self) -> Option<u64> {
        self.0.filter(|value| (0.0..9_007_199_254_740_992.0).contains(value)).map(|value| value as u64)
    }
}

impl Tolerant<'_> for Number {
    fn number(value: f64) -> Self {
        Number(Some(value))
    }
}

/// A data rate if it is one: a text for LoRa, a number for GFSK.
#[derive(Default)]
struct Datr(Option<Modulation>);

impl Tolerant<'_> for Datr {
    fn number(number: f64) -> Self {
        Datr(Number(Some(number)).to_u32().and_then(|bit_rate_bps| bit_rate_bps.to_string().parse().ok()))
    }

    fn text(text: &str) -> Self {
        Datr(text.parse().ok())
    }
}

/// The first byte of a base64 text if it has one, and the four after it as an address.
#[derive(Default)]
struct PayloadHead {
    first_byte: Option<u8>,
    dev_addr: Option<u32>,
}

impl Tolerant<'_> for PayloadHead {
    fn text(text: &str) -> Self {
        PayloadHead { first_byte: first_byte(text), dev_addr: dev_addr(text) }
    }
}

/// An object read as `T`, if it is one.
struct Object<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Object(None)
    }
}

impl<'de, T: Deserialize<'de>> Tolerant<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(|value| Object(Some(value)))
    }
}

#[derive(Default)]
struct Packets(Vec<Rxpk>);

impl<'de> Tolerant<'de> for Packets {
    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        let mut packets = Vec::new();
        while packets.len() < MAX_RXPK
            && let Some(Any(packet)) = array.next_element::<Any<Object<RxpkWire>>>()?
        {
            packets.extend(packet.0.map(Rxpk::from));
        }
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Packets(packets))
    }
}

impl<'de, T: Tolerant<'de>> Deserialize<'de> for Any<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor(PhantomData)).map(Any)
    }
}

struct AnyVisitor<T>(PhantomData<T>);

impl<'de, T: Tolerant<'de>> Visitor<'de> for AnyVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(T::number(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<T, A::Error> {
        T::array(array)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}

/// The first byte of a base64 text, padded or not.
fn first_byte(text: &str) -> Option<u8> {
    let &[high, low] = text.as_bytes().first_chunk()?;
    Some(sextet(high)? << 2 | sextet(low)? >> 4)
}

/// Bytes 1 to 4 of a base64 text, least significant first: the DevAddr of a data frame (TS001-1.0.4 4.3.1).
fn dev_addr(text: &str) -> Option<u32> {
    let letters: &[u8; 8] = text.as_bytes().first_chunk()?;
    let bits = letters.iter().try_fold(0u64, |bits, letter| Some(bits << 6 | u64::from(sextet(*letter)?)))?;
    Some(((bits >> 8) as u32).swap_bytes())
}

fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"{"rxpk":[{"jver":1,"tmst":3512348611,"time":"2026-01-02T03:04:05.123456Z","tmms":1451361863123,
        "chan":2,"rfch":0,"freq":866.349812,"mid": 8,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/6","rssis":-35,
        "lsnr":5.1,"foff":12,"rssi":-35,"size":32,"data":"QCkAASYAAQABZ9a5cJc="}],
        "stat":{"time":"2026-01-02 03:04:05 GMT","rxnb":2,"rxok":2,"rxfw":1,"ackr":66.7,"dwnb":3,"txnb":4,"temp":21.5}}"#;

    fn only(json: &str) -> Rxpk {
        let look = PushData::read(json.as_bytes()).unwrap();
        assert_eq!(look.rxpk.len(), 1, "{json}");
        look.rxpk[0]
    }

    #[test]
    fn a_semtech_push_is_read_whole() {
        let look = PushData::read(FULL.as_bytes()).unwrap();
        let packet = Rxpk {
            tmst: Some(3_512_348_611),
            board: None,
            gps_ms: Some(1_451_361_863_123),
            frequency_hz: Some(866_349_812),
            modulation: "SF7BW125".parse().ok(),
            size: Some(32),
            first_byte: Some(0x40),
            dev_addr: Some(0x2601_0029),
            crc_ok: true,
        };
        assert_eq!(look.rxpk, [packet]);
        let stat = look.stat.unwrap();
        assert_eq!(
            (stat.rxnb, stat.rxok, stat.rxfw, stat.dwnb, stat.txnb),
            (Some(2), Some(2), Some(1), Some(3), Some(4))
        );
        assert_eq!((stat.ackr_percent, stat.temperature_c), (Some(66.7), Some(21.5)));
    }

    #[test]
    fn numbers_may_be_floats_and_anything_else_is_no_number() {
        assert_eq!(only(r#"{"rxpk":[{"tmst":3512348611.0}]}"#).tmst, Some(3_512_348_611));
        assert_eq!(only(r#"{"rxpk":[{"tmst":3.512348611e9}]}"#).tmst, Some(3_512_348_611));
        for odd in ["null", "\"7\"", "true", "[7]", "{\"a\":7}", "-1", "4294967296", "1e300"] {
            let json = format!(r#"{{"rxpk":[{{"tmst":{odd},"size":9,"stat":-1}}]}}"#);
            let packet = only(&json);
            assert_eq!((packet.tmst, packet.size, packet.crc_ok), (None, Some(9), false), "{json}");
        }
    }

    #[test]
    fn an_odd_packet_does_not_hide_its_neighbours() {
        let json = r#"{"rxpk":[null,7,"x",[1],{"data":7},{"tmst":5,"datr":50000,"modu":"FSK","data":"q83v"}],"stat":[]}"#;
        let look = PushData::read(json.as_bytes()).unwrap();
        assert_eq!(look.rxpk.len(), 2);
        assert_eq!((look.rxpk[1].tmst, look.rxpk[1].first_byte), (Some(5), Some(0xAB)));
        assert_eq!(look.stat, None);
        assert_eq!(PushData::read(br#"{"rxpk":{},"stat":null}"#), Some(PushData::default()));
    }

    #[test]
    fn what_follows_the_object_is_ignored_and_what_is_no_object_is_refused() {
        assert!(PushData::read(b"{\"stat\":{}}\0").is_some());
        assert!(PushData::read(b"{\"stat\":{}} trailing").is_some());
        for garbage in [&b""[..], b"\0", b"{", b"nonsense", b"7", b"{\"rxpk\":[{\"tmst\":}]}", b"\xFF\xFE"] {
            assert_eq!(PushData::read(garbage), None);
        }
    }

    #[test]
    fn depth_and_number_of_packets_are_bounded() {
        let deep = format!("{{\"x\":{}", "[".repeat(60_000));
        assert_eq!(PushData::read(deep.as_bytes()), None);
        let deep = format!("{{\"rxpk\":{}", "[".repeat(60_000));
        assert_eq!(PushData::read(deep.as_bytes()), None);
        let many = format!("{{\"rxpk\":[{}{{}}],\"stat\":{{}}}}", "{},".repeat(1000));
        let look = PushData::read(many.as_bytes()).unwrap();
        assert_eq!(look.rxpk.len(), MAX_RXPK);
        assert!(look.stat.is_some());
    }

    #[test]
    fn the_first_byte_needs_no_padding() {
        for (text, byte) in [("QA==", 0x40), ("QA", 0x40), ("//", 0xFF), ("AAAA", 0)] {
            assert_eq!(first_byte(text), Some(byte));
        }
        for text in ["", "Q", "-_", "é"] {
            assert_eq!(first_byte(text), None);
        }
    }
}
