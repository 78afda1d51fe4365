//! What the forwarder writes: PUSH_DATA, PULL_DATA and TX_ACK (PROTOCOL.TXT 3.2, 5.2, 5.5), through the codec
//! of `semtech-udp`. By hand only what the codec cannot say: a TX_ACK without a body, which is how the
//! forwarder accepts (the codec writes `"error":"NONE"`), and receptions in FSK (its `datr` is LoRa's).

use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use semtech_udp::CodingRate;
use semtech_udp::DataRate;
use semtech_udp::Identifier;
use semtech_udp::MacAddress;
use semtech_udp::Modulation as CodecModulation;
use semtech_udp::SerializablePacket;
use semtech_udp::pull_data;
use semtech_udp::push_data;
use semtech_udp::push_data::CRC;
use semtech_udp::push_data::RxPk;
use semtech_udp::push_data::RxPkV1;
use semtech_udp::push_data::Stat;
use semtech_udp::tx_ack;
use serde_json::Value;
use serde_json::json;

use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::time::Instant;

/// Room for one reception's JSON without its payload, for the rest of a datagram, and per payload byte.
const RXPK_ROOM: usize = 320;
const DATAGRAM_ROOM: usize = 400;
const ROOM_PER_BYTE: usize = 2;

/// What an antenna hears, as the world tells the concentrator.
#[derive(Clone, Copy, Debug)]
pub struct Reception<'a> {
    /// First instant of its preamble.
    pub start: Instant,
    /// Centre frequency in Hz.
    pub frequency_hz: u32,
    /// How it is modulated.
    pub modulation: Modulation,
    /// Its bytes, with a good CRC.
    pub phy_payload: &'a [u8],
    /// Received power.
    pub rssi: Dbm,
    /// Signal-to-noise ratio in tenths of a dB.
    pub snr_tenths_db: i32,
}

/// A reception the forwarder has not pushed yet.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// When a fetch will find it.
    pub(super) ready_at: Instant,
    /// The counter at the end of reception.
    pub(super) tmst: u32,
    pub(super) frequency_hz: u32,
    pub(super) modulation: Modulation,
    pub(super) phy_payload: Vec<u8>,
    pub(super) rssi: Dbm,
    pub(super) snr_tenths_db: i32,
}

/// The answer to a PULL_RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// No body at all.
    Queued,
    /// Queued, and radiated with this conducted power in dBm.
    QueuedWithPower(i8),
    Refused(tx_ack::Error),
}

pub(super) fn pull_data(gateway_id: [u8; 8], token: u16) -> Vec<u8> {
    let packet = pull_data::Packet { random_token: token, gateway_mac: MacAddress::from(gateway_id) };
    serialize(&packet, DATAGRAM_ROOM)
}

pub(super) fn tx_ack(gateway_id: [u8; 8], token: u16, answer: Answer) -> Vec<u8> {
    let error = match answer {
        Answer::Queued => return header(gateway_id, token, Identifier::TxAck),
        Answer::QueuedWithPower(dbm) => tx_ack::Error::AdjustedTransmitPower(Some(i32::from(dbm)), None),
        Answer::Refused(error) => error,
    };
    let data = tx_ack::Data::new_with_error(error);
    let packet = tx_ack::Packet { random_token: token, gateway_mac: MacAddress::from(gateway_id), data };
    serialize(&packet, DATAGRAM_ROOM)
}

pub(super) fn push_data(gateway_id: [u8; 8], token: u16, heard: &[Heard], stat: Option<Stat>) -> Vec<u8> {
    let room: usize = heard.iter().map(|one| RXPK_ROOM + ROOM_PER_BYTE * one.phy_payload.len()).sum();
    match heard.iter().map(rxpk).collect::<Option<Vec<RxPk>>>() {
        Some(rxpk) => {
            let rxpk = (!rxpk.is_empty()).then_some(rxpk);
            let data = push_data::Data { rxpk, stat };
            let gateway_mac = MacAddress::from(gateway_id);
            serialize(&push_data::Packet { random_token: token, gateway_mac, data }, room + DATAGRAM_ROOM)
        }
        None => {
            let mut json = json!({ "rxpk": heard.iter().map(rxpk_by_hand).collect::<Vec<Value>>() });
            if let Some(stat) = stat {
                json["stat"] = serde_json::to_value(stat).unwrap_or_default();
            }
            let mut datagram = header(gateway_id, token, Identifier::PushData);
            datagram.extend_from_slice(json.to_string().as_bytes());
            datagram
        }
    }
}

/// `None` for what the codec has no words for.
fn rxpk(heard: &Heard) -> Option<RxPk> {
    let Modulation::LoRa { .. } = heard.modulation else {
        return None;
    };
    Some(RxPk::V1(RxPkV1 {
        chan: 0,
        codr: Some(CodingRate::_4_5),
        data: heard.phy_payload.clone(),
        datr: DataRate::from_str(&heard.modulation.to_string()).ok()?,
        freq: f64::from(heard.frequency_hz) / 1e6,
        lsnr: heard.snr_tenths_db as f32 / 10.0,
        modu: CodecModulation::LORA,
        rfch: 0,
        rssi: whole_dbm(heard.rssi),
        rssis: Some(whole_dbm(heard.rssi)),
        size: heard.phy_payload.len() as u64,
        stat: CRC::OK,
        tmst: heard.tmst,
        time: None,
    }))
}

fn rxpk_by_hand(heard: &Heard) -> Value {
    if let Some(rxpk) = rxpk(heard) {
        return serde_json::to_value(rxpk).unwrap_or_default();
    }
    let mut json = json!({
        "jver": 1, "tmst": heard.tmst, "chan": 8, "rfch": 0, "freq": f64::from(heard.frequency_hz) / 1e6,
        "mid": 0, "stat": 1, "rssi": whole_dbm(heard.rssi), "size": heard.phy_payload.len(),
        "data": STANDARD.encode(&heard.phy_payload),
    });
    match heard.modulation {
        Modulation::Gfsk { bit_rate_bps } => {
            json["modu"] = json!("FSK");
            json["datr"] = json!(bit_rate_bps);
        }
        Modulation::LoRa { .. } => {
            json["modu"] = json!("LORA");
            json["datr"] = json!(heard.modulation.to_string());
            json["codr"] = json!("4/5");
            json["lsnr"] = json!(f64::from(heard.snr_tenths_db) / 10.0);
        }
    }
    json
}

fn whole_dbm(power: Dbm) -> i32 {
    power.centi().div_euclid(100)
}

fn serialize(packet: &impl SerializablePacket, room: usize) -> Vec<u8> {
    let mut datagram = vec![0; room];
    let written = packet.serialize(&mut datagram).expect("the room was reckoned for the longest JSON");
    datagram.truncate(written as usize);
    datagram
}

fn header(gateway_id: [u8; 8], token: u16, identifier: Identifier) -> Vec<u8> {
    let [high, low] = token.to_be_bytes();
    let mut datagram = vec![2, high, low, identifier as u8];
    datagram.extend_from_slice(&gateway_id);
    datagram
}
