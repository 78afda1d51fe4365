//! The headers of GWMP (PROTOCOL.TXT 3 and 5): 4 bytes from us, 12 bytes from the forwarder.

use super::event::MalformedKind;
use super::settings::GatewayId;

/// What a packet forwarder sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datagram<'a> {
    PushData { header: Header, json: &'a [u8] },
    PullData { header: Header },
    TxAck { header: Header, body: &'a [u8] },
}

/// The first 12 bytes without the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// 1 or 2; an answer echoes it.
    pub version: u8,
    /// Opaque, echoed unchanged. Forwarders repeat theirs after each start: it identifies nothing.
    pub token: u16,
    pub gateway: GatewayId,
}

/// Bytes before the JSON in a PULL_RESP.
pub(super) const PULL_RESP_HEADER: usize = 4;

pub(super) const VERSION_NEWEST: u8 = 2;
const PUSH_DATA: u8 = 0;
const PUSH_ACK: u8 = 1;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const PULL_ACK: u8 = 4;
const TX_ACK: u8 = 5;

impl<'a> Datagram<'a> {
    /// Reads the header. Whatever follows is not judged here, so that it cannot stand in the way of an ack.
    pub fn read(bytes: &'a [u8]) -> Result<Self, MalformedKind> {
        let short = MalformedKind::Short { bytes: bytes.len() };
        let (&[version, token_high, token_low, identifier], rest) = bytes.split_first_chunk().ok_or(short)?;
        if !(1..=VERSION_NEWEST).contains(&version) {
            return Err(MalformedKind::Version(version));
        }
        if ![PUSH_DATA, PULL_DATA, TX_ACK].contains(&identifier) {
            return Err(MalformedKind::Identifier(identifier));
        }
        let (&gateway, rest) = rest.split_first_chunk().ok_or(short)?;
        let token = u16::from_be_bytes([token_high, token_low]);
        let header = Header { version, token, gateway: GatewayId(gateway) };
        Ok(match identifier {
            PUSH_DATA => Datagram::PushData { header, json: rest },
            PULL_DATA => Datagram::PullData { header },
            _ => Datagram::TxAck { header, body: rest },
        })
    }
}

/// The answer to a PUSH_DATA (PROTOCOL.TXT 3.3).
pub(super) fn push_ack(header: Header) -> [u8; 4] {
    four(header.version, header.token, PUSH_ACK)
}

/// The answer to a PULL_DATA (PROTOCOL.TXT 5.3).
pub(super) fn pull_ack(header: Header) -> [u8; 4] {
    four(header.version, header.token, PULL_ACK)
}

/// What stands before the JSON of a PULL_RESP (PROTOCOL.TXT 5.4).
pub(super) fn pull_resp(version: u8, token: u16) -> [u8; PULL_RESP_HEADER] {
    four(version, token, PULL_RESP)
}

/// What a network server sends to us, its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    PushAck,
    PullAck,
    PullResp { token: u16, json: &'a [u8] },
}

impl<'a> Answer<'a> {
    /// `None` for everything else.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, high, low, identifier], json) = bytes.split_first_chunk()?;
        if !(1..=VERSION_NEWEST).contains(&version) {
            return None;
        }
        match identifier {
            PUSH_ACK => Some(Answer::PushAck),
            PULL_ACK => Some(Answer::PullAck),
            PULL_RESP => Some(Answer::PullResp { token: u16::from_be_bytes([high, low]), json }),
            _ => None,
        }
    }
}

/// Our keepalive to a network server (PROTOCOL.TXT 5.2).
pub(super) fn pull_data(version: u8, token: u16, gateway: GatewayId) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&four(version, token, PULL_DATA));
    bytes[4..].copy_from_slice(&gateway.0);
    bytes
}

/// The answer to a network server's PULL_RESP (PROTOCOL.TXT 5.5).
pub(super) fn tx_ack(token: u16, gateway: GatewayId, body: &[u8]) -> Vec<u8> {
    [&four(VERSION_NEWEST, token, TX_ACK)[..], &gateway.0, body].concat()
}

fn four(version: u8, token: u16, identifier: u8) -> [u8; 4] {
    let [high, low] = token.to_be_bytes();
    [version, high, low, identifier]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: [u8; 8] = [0, 0x16, 0xC0, 1, 0xF1, 0x50, 8, 0x12];

    fn datagram(version: u8, identifier: u8, rest: &[u8]) -> Vec<u8> {
        [&[version, 0x67, 0xC6, identifier], &GATEWAY[..], rest].concat()
    }

    #[test]
    fn every_kind_a_forwarder_sends_is_read_to_the_byte() {
        let header = Header { version: 2, token: 0x67C6, gateway: GatewayId(GATEWAY) };
        let push = datagram(2, 0, b"{}");
        assert_eq!(Datagram::read(&push), Ok(Datagram::PushData { header, json: b"{}" }));
        assert_eq!(Datagram::read(&datagram(2, 2, b"")), Ok(Datagram::PullData { header }));
        assert_eq!(Datagram::read(&datagram(2, 2, b"more")), Ok(Datagram::PullData { header }));
        assert_eq!(Datagram::read(&datagram(2, 5, b"")), Ok(Datagram::TxAck { header, body: b"" }));
    }

    #[test]
    fn acks_are_four_bytes_with_the_version_and_token_that_came() {
        let header = Header { version: 1, token: 0x67C6, gateway: GatewayId(GATEWAY) };
        assert_eq!(push_ack(header), [1, 0x67, 0xC6, 1]);
        assert_eq!(pull_ack(Header { version: 2, ..header }), [2, 0x67, 0xC6, 4]);
        assert_eq!(pull_resp(2, 0x0102), [2, 1, 2, 3]);
    }

    #[test]
    fn a_header_that_is_cut_or_foreign_is_odd() {
        let pull = datagram(2, 2, b"");
        for bytes in 0..pull.len() {
            assert_eq!(Datagram::read(&pull[..bytes]), Err(MalformedKind::Short { bytes }));
        }
        assert_eq!(Datagram::read(&datagram(0, 2, b"")), Err(MalformedKind::Version(0)));
        assert_eq!(Datagram::read(&datagram(3, 0, b"")), Err(MalformedKind::Version(3)));
        for identifier in [1, 3, 4, 6, 255] {
            assert_eq!(
                Datagram::read(&datagram(2, identifier, b"")),
                Err(MalformedKind::Identifier(identifier))
            );
        }
    }
}
