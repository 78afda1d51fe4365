//! Decoder of hex digits. Its errors repeat none of the text, which may be a key.

use crate::lorawan::key_error::KeyError;

/// Fills `out` from exactly twice as many hex digits, first byte first.
pub(super) fn decode(what: &'static str, text: &str, out: &mut [u8]) -> Result<(), KeyError> {
    let digits = text.as_bytes();
    if digits.len() != out.len() * 2 {
        return Err(KeyError::Length { what, expected: out.len() * 2, found: digits.len() });
    }
    for (index, (byte, pair)) in out.iter_mut().zip(digits.chunks_exact(2)).enumerate() {
        let nibble = |offset: usize| {
            let digit = char::from(pair[offset]).to_digit(16);
            digit.ok_or(KeyError::NotHex { what, position: 2 * index + offset + 1 })
        };
        *byte = (nibble(0)? << 4 | nibble(1)?) as u8;
    }
    Ok(())
}
