//! What the forwarder writes: PUSH_DATA, PULL_DATA and TX_ACK (PROTOCOL.TXT 3.2, 5.2, 5.5), through the codec
//! of `semtech-udp`. By hand, letter by letter as the forwarder prints it, only what the codec cannot say: a TX_ACK
//! without a body, which is how the forwarder accepts (the codec writes `"error":"NONE"`), receptions in FSK (its
//! `datr` is LoRa's), and receptions with GPS time (it has no `tmms`) or of one of two boards (it has no `brd`).

use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
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

use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::time::GpsTime;
use crate::time::Instant;

/// Room for one reception's JSON without its payload, for the rest of a datagram, and per payload byte.
const RXPK_ROOM: usize = 320;
const DATAGRAM_ROOM: usize = 400;
const ROOM_PER_BYTE: usize = 2;

/// The numbers of the modems that hear (`mid`).
const MODEM: u8 = 8;
const FSK_MODEM: u8 = 17;

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
    /// Received power at the antenna in dBm.
    pub rssi: Dbm,
    /// Signal-to-noise ratio in tenths of a dB.
    pub snr_tenths_db: i32,
}

/// A reception the forwarder has not pushed yet.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// When a fetch will find it.
    pub(super) ready_at: Instant,
    /// The board that heard it, where there are two.
    pub(super) board: Option<usize>,
    /// Its counter at the end of reception.
    pub(super) tmst: u32,
    pub(super) frequency_hz: u32,
    pub(super) modulation: Modulation,
    pub(super) phy_payload: Vec<u8>,
    pub(super) rssi: Dbm,
    pub(super) snr_tenths_db: i32,
    /// GPS time at the end of reception.
    pub(super) gps: Option<GpsTime>,
}

/// The answer to a PULL_RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// No body at all.
    Queued,
    /// Queued, and radiated with this conducted power in dBm.
    QueuedWithPower(i8),
    Refused(tx_ack::Error),
    /// Refused with words that no other forwarder has.
    RefusedWith(&'static str),
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
        Answer::RefusedWith(words) => {
            let mut datagram = header(gateway_id, token, Identifier::TxAck);
            datagram.extend_from_slice(format!("{{\"txpk_ack\":{{\"error\":\"{words}\"}}}}").as_bytes());
            return datagram;
        }
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
            let rxpk: Vec<String> = heard.iter().map(rxpk_by_hand).collect();
            let mut json = format!("{{\"rxpk\":[{}]", rxpk.join(","));
            if let Some(stat) = stat.and_then(|stat| serde_json::to_string(&stat).ok()) {
                json.push_str(",\"stat\":");
                json.push_str(&stat);
            }
            json.push('}');
            let mut datagram = header(gateway_id, token, Identifier::PushData);
            datagram.extend_from_slice(json.as_bytes());
            datagram
        }
    }
}

/// `None` for what the codec has no words for.
fn rxpk(heard: &Heard) -> Option<RxPk> {
    let is_beyond = heard.gps.is_some() || heard.board.is_some();
    if is_beyond || matches!(heard.modulation, Modulation::Gfsk { .. }) {
        return None;
    }
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

/// Every key in the forwarder's order and width.
fn rxpk_by_hand(heard: &Heard) -> String {
    let mut text = format!("{{\"jver\":1,\"tmst\":{}", heard.tmst);
    if let Some(gps) = heard.gps {
        let utc = Timestamp::from_microsecond(gps.to_unix_us()).unwrap_or(Timestamp::UNIX_EPOCH);
        let time = utc.strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
        text.push_str(&format!(",\"time\":\"{time}\",\"tmms\":{}", gps.as_us() / 1000));
    }
    if let Some(board) = heard.board {
        text.push_str(&format!(",\"brd\":{board}"));
    }
    let mhz = f64::from(heard.frequency_hz) / 1e6;
    let rssi = whole_dbm(heard.rssi);
    text.push_str(&match heard.modulation {
        Modulation::LoRa { .. } => {
            let snr = f64::from(heard.snr_tenths_db) / 10.0;
            format!(
                ",\"chan\":0,\"rfch\":0,\"freq\":{mhz:.6},\"mid\":{MODEM:2},\"stat\":1,\"modu\":\"LORA\",\"datr\":\"{}\",\"codr\":\"4/5\",\"rssis\":{rssi},\"lsnr\":{snr:.1},\"foff\":0",
                heard.modulation
            )
        }
        Modulation::Gfsk { bit_rate_bps } => format!(
            ",\"chan\":9,\"rfch\":0,\"freq\":{mhz:.6},\"mid\":{FSK_MODEM:2},\"stat\":1,\"modu\":\"FSK\",\"datr\":{bit_rate_bps}"
        ),
    });
    let data = STANDARD.encode(&heard.phy_payload);
    text.push_str(&format!(",\"rssi\":{rssi},\"size\":{},\"data\":\"{data}\"}}", heard.phy_payload.len()));
    text
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
