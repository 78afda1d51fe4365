//! What tells one boot from another, and randomness.

use super::error::StartError;

/// The kernel's number of this boot; a random one where /proc is hidden.
///
/// # Errors
/// [`StartError::System`] without randomness.
pub(super) fn boot_id() -> Result<[u8; 16], StartError> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if digits.len() == 32 => Ok(number.to_be_bytes()),
        _ => {
            let mut bytes = [0; 16];
            random(&mut bytes)?;
            Ok(bytes)
        }
    }
}

/// Fills `bytes` from the system.
///
/// # Errors
/// [`StartError::System`] when there is none.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), StartError> {
    getrandom::fill(bytes).map_err(|error| StartError::System {
        what: "randomness",
        error: std::io::Error::other(error.to_string()),
    })
}
