//! EUI-64: the names of devices and of gateways.

use core::fmt;
use core::str::FromStr;

use crate::lorawan::hex;
use crate::lorawan::key_error::KeyError;

/// An EUI-64: the DevEUI of a device or the EUI of a gateway (TS001-1.0.4 6.1.1.2). It is written as 16 hex digits,
/// most significant first, as network servers show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Eui64([u8; 8]);

impl Eui64 {
    /// The EUI with these bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Eui64(bytes)
    }

    /// The eight bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Reads sixteen hex digits in either case.
impl FromStr for Eui64 {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 8];
        hex::decode("an EUI", text, &mut bytes)?;
        Ok(Eui64(bytes))
    }
}

impl fmt::Display for Eui64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Eui64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eui_is_sixteen_hex_digits_in_either_case_and_written_in_lower_case() {
        let eui: Eui64 = "70B3D57ed0000001".parse().unwrap();
        assert_eq!(eui, Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 1]));
        assert_eq!(eui.to_string(), "70b3d57ed0000001");
        for text in ["70b3d57ed000001", "70b3d57ed00000001", "70-b3-d5-7e-d0-00", "+0b3d57ed0000001", ""] {
            assert!(text.parse::<Eui64>().is_err(), "{text}");
        }
    }
}
