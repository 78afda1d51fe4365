//! What the operator says of the network servers.

use core::fmt;
use core::str::FromStr;

/// One network server beside us on the radio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// How it is called in reports: its address as configured.
    pub name: String,
    /// It gets uplinks and may not send.
    pub is_uplink_only: bool,
    /// Its downlinks over the law's limit are refused instead of charged and reported.
    pub is_enforced: bool,
}

/// All of them, and their devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelaySettings {
    /// In the order in which they are numbered.
    pub servers: Vec<ServerSettings>,
    /// Seconds from an uplink to RX1 (RP002-1.0.4 RECEIVE_DELAY1), 1..=15, until the servers' answers have told.
    /// 0 stands for the default of 1 s.
    pub rx1_delay_s: u8,
    /// Whose receive windows are kept free; empty: learned from the servers' answers.
    pub dev_addr_prefixes: Vec<DevAddrPrefix>,
}

/// Device addresses that begin with the same bits, as network servers are given them (TS001-1.0.4 6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevAddrPrefix {
    address: u32,
    bits: u8,
}

impl DevAddrPrefix {
    /// Whether an address begins with it.
    pub fn contains(self, dev_addr: u32) -> bool {
        let shift = 32 - u32::from(self.bits);
        (self.address ^ dev_addr).checked_shr(shift).unwrap_or(0) == 0
    }
}

impl FromStr for DevAddrPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no prefix of device addresses, like \"26011000/20\"");
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let is_hex = address.len() == 8 && address.bytes().all(|byte| byte.is_ascii_hexdigit());
        let address = u32::from_str_radix(address, 16).ok().filter(|_| is_hex).ok_or_else(wrong)?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32).ok_or_else(wrong)?;
        Ok(DevAddrPrefix { address, bits })
    }
}

impl fmt::Display for DevAddrPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_the_addresses_that_begin_with_it() {
        let prefix: DevAddrPrefix = "26011000/20".parse().unwrap();
        assert!(prefix.contains(0x2601_1FFF));
        assert!(!prefix.contains(0x2601_2000));
        let all: DevAddrPrefix = "00000000/0".parse().unwrap();
        assert!(all.contains(0xFFFF_FFFF));
        let one: DevAddrPrefix = "26011234/32".parse().unwrap();
        assert!(one.contains(0x2601_1234) && !one.contains(0x2601_1235));
        assert_eq!(prefix.to_string(), "26011000/20");
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_an_example() {
        for wrong in ["", "26011000", "2601100/20", "26011000/33", "+6011000/20", "26011000/-1", "zz011000/4"]
        {
            let error = wrong.parse::<DevAddrPrefix>().unwrap_err();
            assert!(error.contains("26011000/20"), "{error}");
        }
    }
}
