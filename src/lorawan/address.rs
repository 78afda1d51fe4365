//! The address of a multicast group.

use core::fmt;
use core::str::FromStr;

use crate::lorawan::hex;
use crate::lorawan::key_error::KeyError;

/// The address of a multicast group (TS005-1.0.0 3): a DevAddr of the network's own block that no device has.
/// It is written as eight hex digits, most significant first, as everywhere in LoRaWAN, and sent
/// least significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct McAddr(u32);

impl McAddr {
    /// The address with this number. Zero is accepted, because a device may have been given it and
    /// must still be readable.
    pub const fn new(number: u32) -> Self {
        McAddr(number)
    }

    /// The address as a number.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

/// Reads eight hex digits. Zero is refused, as end devices refuse it.
impl FromStr for McAddr {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 4];
        hex::decode("a McAddr", text, &mut bytes)?;
        match u32::from_be_bytes(bytes) {
            0 => Err(KeyError::ZeroMcAddr),
            number => Ok(McAddr(number)),
        }
    }
}

impl fmt::Display for McAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_eight_hex_digits_and_not_zero() {
        let mc_addr: McAddr = "01C0ffee".parse().unwrap();
        assert_eq!((mc_addr.as_u32(), mc_addr.to_string().as_str()), (0x01c0_ffee, "01c0ffee"));
        assert_eq!("00000000".parse::<McAddr>(), Err(KeyError::ZeroMcAddr));
        assert!("1c0ffee".parse::<McAddr>().is_err());
        assert!("0x1c0ffe".parse::<McAddr>().is_err());
        assert!("+1c0ffee".parse::<McAddr>().is_err());
    }
}
