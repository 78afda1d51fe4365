//! Who the packet forwarder is, and what stands between its connector and the air.

use core::fmt;
use core::str::FromStr;
use std::net::IpAddr;
use std::net::SocketAddr;

use crate::radio::Dbm;

use super::error::Invalid;

/// The 64-bit gateway identifier in every datagram of a packet forwarder (PROTOCOL.TXT 3.2, bytes 4 to 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(pub [u8; 8]);

impl FromStr for GatewayId {
    type Err = Invalid;

    /// Exactly 16 hexadecimal digits, upper or lower case.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u64::from_str_radix(text, 16) {
            Ok(id) if is_hex => Ok(GatewayId(id.to_be_bytes())),
            _ => Err(Invalid::GatewayId { length: text.len() }),
        }
    }
}

/// 16 lower-case hexadecimal digits.
impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Where a forwarder asked for downlinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullAddress {
    /// The EUI in its PULL_DATA.
    pub gateway: GatewayId,
    /// The source of its PULL_DATA.
    pub address: SocketAddr,
    /// The version of the protocol that it speaks.
    pub version: u8,
}

/// What the operator says of the forwarder, and what an earlier life of the process knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The only forwarder that is sent anything. `None`: the first one heard is adopted.
    pub gateway: Option<GatewayId>,
    /// `txpk.rfch`: the chain that transmits, 0 or 1. Nearly every board transmits on chain 0.
    pub rf_chain: u8,
    /// Gain of the antenna minus the loss of its cable, in truth (a difference in dB, carried as [`Dbm`]).
    pub antenna_gain: Dbm,
    /// `antenna_gain` as it stands in the forwarder's own configuration; it subtracts this from `powe`.
    pub forwarder_antenna_gain: Dbm,
    /// The only hosts that are listened to, beside this one. Empty: whoever reaches the socket, which is nobody
    /// else while it is bound to the loopback interface.
    pub allow: Vec<IpAddr>,
    /// Where the forwarder asked for downlinks in the last life of the process. Until it is heard in this one, network
    /// servers' downlinks go there; frames of ours wait for its keepalive.
    pub last_pull: Option<PullAddress>,
}

impl Settings {
    /// What leaves the antenna when the forwarder is asked for `powe`, EIRP.
    pub(super) fn eirp(&self, powe: Dbm) -> Dbm {
        powe - self.forwarder_antenna_gain + self.antenna_gain
    }

    /// Whether datagrams from there are read at all.
    pub(super) fn admits(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.allow.is_empty() || from.is_loopback() || self.allow.contains(&from)
    }

    /// Where the forwarder was in the last life, if these settings would hear it there.
    pub fn remembered(&self) -> Option<PullAddress> {
        let is_ours = |last: &PullAddress| self.gateway.is_none_or(|gateway| gateway == last.gateway);
        self.last_pull.filter(is_ours).filter(|last| self.admits(last.address.ip()))
    }
}

impl Default for Settings {
    /// Adopts the first forwarder; chain 0; no gain anywhere, so that `powe` is the EIRP asked for.
    fn default() -> Self {
        Settings {
            gateway: None,
            rf_chain: 0,
            antenna_gain: Dbm::from_whole(0),
            forwarder_antenna_gain: Dbm::from_whole(0),
            allow: Vec::new(),
            last_pull: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_id_is_sixteen_hex_digits_and_nothing_else() {
        let id: GatewayId = "0016C001f1500812".parse().unwrap();
        assert_eq!(id, GatewayId([0x00, 0x16, 0xC0, 0x01, 0xF1, 0x50, 0x08, 0x12]));
        assert_eq!(id.to_string(), "0016c001f1500812");
        for wrong in ["", "0016c001f150081", "0016c001f15008122", "+016c001f1500812", "0016c001f150081g"] {
            assert_eq!(wrong.parse::<GatewayId>(), Err(Invalid::GatewayId { length: wrong.len() }));
        }
    }
}
