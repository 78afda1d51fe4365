//! What the server writes: frames with a valid header, and PULL_RESP through the codec of `semtech-udp`.

use core::str::FromStr;

use semtech_udp::CodingRate;
use semtech_udp::DataRate;
use semtech_udp::Modulation as CodecModulation;
use semtech_udp::SerializablePacket;
use semtech_udp::pull_resp;
use semtech_udp::pull_resp::PhyData;
use semtech_udp::pull_resp::Time;
use semtech_udp::pull_resp::TxPk;

use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::multicast_frame;
use crate::radio::Modulation;
use crate::sim::server::settings::Manner;

/// Room for a PULL_RESP without its payload, and per payload byte.
const ROOM: usize = 400;
const ROOM_PER_BYTE: usize = 2;
/// Symbols of preamble of a downlink.
const PREAMBLE: u64 = 8;

/// FCtrl with ACK set, and the port of its downlinks (TS001-1.0.4 4.3).
const FCTRL_ACK: u8 = 0x20;
const FPORT: u8 = 10;

/// MHDR (TS001-1.0.4 4.2): message types with major version 0.
pub(super) const JOIN_REQUEST: u8 = 0x00;
pub(super) const JOIN_ACCEPT: u8 = 0x20;
pub(super) const UNCONFIRMED_UP: u8 = 0x40;
pub(super) const UNCONFIRMED_DOWN: u8 = 0x60;
pub(super) const CONFIRMED_UP: u8 = 0x80;

/// When a downlink asks to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Immediate,
    Tmst(u32),
}

/// One way in which a downlink may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) when: When,
    pub(super) frequency_hz: u32,
    pub(super) modulation: Modulation,
}

/// A data frame for `dev_addr`; the MIC is a fixed pattern.
pub(super) fn data_frame(dev_addr: u32, fcnt: u16, acks: bool, payload_bytes: u8) -> Vec<u8> {
    let mut frame = vec![UNCONFIRMED_DOWN];
    frame.extend(dev_addr.to_le_bytes());
    frame.push(if acks { FCTRL_ACK } else { 0 });
    frame.extend(fcnt.to_le_bytes());
    if payload_bytes > 0 {
        frame.push(FPORT);
        frame.resize(frame.len() + usize::from(payload_bytes.min(222)), 0x5a);
    }
    frame.extend([0xd0, 0xd1, 0xd2, 0xd3]);
    frame
}

/// A data frame to a group by somebody who has its keys.
pub(super) fn signed_frame(keys: &McSessionKeys, dev_addr: u32, fcnt: u32) -> Option<Vec<u8>> {
    multicast_frame(keys, McAddr::new(dev_addr), fcnt, FPORT, &[0x5a; 12]).ok()
}

/// A join-accept without CFList: 17 bytes, encrypted, so any bytes will do.
pub(super) fn join_accept(nonce: u64) -> Vec<u8> {
    let mut frame = vec![JOIN_ACCEPT];
    frame.extend(nonce.to_le_bytes());
    frame.extend(nonce.rotate_left(17).to_le_bytes());
    frame
}

/// `None` for what the codec has no words for: GFSK.
pub(super) fn pull_resp(
    token: u16,
    manner: Manner,
    power_dbm: u8,
    one: &Try,
    phy_payload: &[u8],
) -> Option<Vec<u8>> {
    let txpk = TxPk {
        time: match one.when {
            When::Immediate => Time::immediate(),
            When::Tmst(tmst) => Time::by_tmst(tmst),
        },
        freq: f64::from(one.frequency_hz) / 1e6,
        rfch: 0,
        powe: u64::from(power_dbm),
        modu: CodecModulation::LORA,
        datr: DataRate::from_str(&one.modulation.to_string()).ok()?,
        codr: Some(CodingRate::_4_5),
        fdev: None,
        ipol: true,
        prea: Some(PREAMBLE),
        data: PhyData::new(phy_payload.to_vec()),
        // ChirpStack's bridge never sets it, so its downlinks have a CRC.
        ncrc: (manner == Manner::TheThingsStack).then_some(true),
    };
    let packet = pull_resp::Packet { random_token: token, data: pull_resp::Data::from_txpk(txpk) };
    Some(serialize(&packet, ROOM + ROOM_PER_BYTE * phy_payload.len()))
}

pub(super) fn serialize(packet: &impl SerializablePacket, room: usize) -> Vec<u8> {
    let mut datagram = vec![0; room];
    let written = packet.serialize(&mut datagram).expect("the room was reckoned for the longest JSON");
    datagram.truncate(written as usize);
    datagram
}
