//! AES-128 keys that cannot be printed.

use zeroize::Zeroizing;

use crate::lorawan::hex;
use crate::lorawan::key_error::KeyError;

/// An AES-128 key. It has no `Debug`, `Display` or `Serialize`, so it cannot slip into a log or a file, and
/// its bytes are overwritten with zeros when it is dropped. What holds one writes its `Debug` by hand.
///
/// ```
/// # use fuotad::lorawan::Secret;
/// fn debug<T: core::fmt::Debug>(_: &T) {}
/// debug(Secret::from_bytes([0; 16]).expose());
/// ```
///
/// ```compile_fail,E0277
/// # use fuotad::lorawan::Secret;
/// fn debug<T: core::fmt::Debug>(_: &T) {}
/// debug(&Secret::from_bytes([0; 16]));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 16]>);

impl Secret {
    /// The key with these bytes, first byte first.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Secret(Zeroizing::new(bytes))
    }

    /// The key written as 32 hex digits, in either case, without separators.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] unless there are 32 characters, and [`KeyError::NotHex`] at the first that is no hex
    /// digit. Neither repeats any of the text.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 16]);
        hex::decode("a key", text, bytes.as_mut())?;
        Ok(Secret(bytes))
    }

    /// The bytes, for a cipher or a key file; the name is meant to be found by a reviewer.
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_hex_in_either_case() {
        let key = Secret::from_hex("000102030405060708090A0b0c0D0e0F").unwrap();
        assert_eq!(key.expose(), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn a_wrong_text_is_named_by_length_or_place_and_never_repeated() {
        let short = Secret::from_hex("00112233445566778899aabbccddee").err().unwrap();
        assert_eq!(short, KeyError::Length { what: "a key", expected: 32, found: 30 });
        let odd = Secret::from_hex("00112233445566778899aabbccddeexf").err().unwrap();
        assert_eq!(odd, KeyError::NotHex { what: "a key", position: 31 });
        // Eight times a character of four bytes: the right length and no digit in it.
        let wide =
            Secret::from_hex("\u{1f511}\u{1f511}\u{1f511}\u{1f511}\u{1f511}\u{1f511}\u{1f511}\u{1f511}");
        assert_eq!(wide.err().unwrap(), KeyError::NotHex { what: "a key", position: 1 });
        for error in [short, odd] {
            assert!(!format!("{error} {error:?}").contains("0011"));
        }
    }
}
