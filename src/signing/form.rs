//! The forms in which signatures arrive, and the names of what they are made with.

use super::algorithm::Algorithm;
use super::algorithm::Hash;
use super::error::SigningError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Base64 is undone so often: tools encode what the service encodes again.
const MAX_LAYERS: usize = 2;
/// RSA-1024 to RSA-8192, bytes: a weak key is refused as such, not as no signature.
const RSA_BYTES: core::ops::RangeInclusive<usize> = 128..=1024;
/// The names of services are longer in no case.
const MAX_NAME_CHARS: usize = 32;

impl Hash {
    /// The hash called `name` (`SHA256`, `sha-256`, ...): services take free text.
    ///
    /// # Errors
    /// [`SigningError::UnknownHash`] when no hash has this name.
    pub fn from_name(name: &str) -> Result<Hash, SigningError> {
        match folded(name).as_str() {
            "sha256" => Ok(Hash::Sha256),
            "sha1" => Ok(Hash::Sha1),
            _ => Err(SigningError::UnknownHash { name: shown(name) }),
        }
    }
}

impl Algorithm {
    /// The algorithm called `name` (`ECDSA`, `rsa`, ...).
    ///
    /// # Errors
    /// [`SigningError::UnknownAlgorithm`] when no algorithm has this name.
    pub fn from_name(name: &str) -> Result<Algorithm, SigningError> {
        match folded(name).as_str() {
            "ecdsa" => Ok(Algorithm::Ecdsa),
            "rsa" => Ok(Algorithm::Rsa),
            _ => Err(SigningError::UnknownAlgorithm { name: shown(name) }),
        }
    }
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}

fn shown(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).collect()
}

/// The signature itself: DER or the bytes of RSA, with base64 around it undone up to twice.
///
/// # Errors
/// [`SigningError::Form`] when the bytes have the form of no signature.
pub(super) fn signature_bytes(received: &[u8]) -> Result<Vec<u8>, SigningError> {
    let mut bytes = received.to_vec();
    for _ in 0..MAX_LAYERS {
        match unwrapped(&bytes) {
            Some(inner) => bytes = inner,
            None => break,
        }
    }
    if looks_signed(&bytes) { Ok(bytes) } else { Err(SigningError::Form { bytes: received.len() }) }
}

/// What the base64 text in `bytes` stands for; `None` when it is none. Blanks and line ends are no part of it.
pub(super) fn unwrapped(bytes: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(&text).ok().filter(|inner| !inner.is_empty())
}

/// A DER SEQUENCE, what one may have taken for it (r and s side by side), or as long as RSA makes it.
fn looks_signed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) || matches!(bytes.len(), 64 | 96) || RSA_BYTES.contains(&bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A DER SEQUENCE of two small INTEGERs.
    const DER: [u8; 8] = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02];

    #[test]
    fn base64_is_undone_once_or_twice_and_line_ends_are_no_part_of_it() {
        let once = BASE64_STANDARD.encode(DER);
        let twice = BASE64_STANDARD.encode(&once);
        assert_eq!(signature_bytes(&DER), Ok(DER.to_vec()));
        assert_eq!(signature_bytes(once.as_bytes()), Ok(DER.to_vec()));
        assert_eq!(signature_bytes(format!("{once}\r\n").as_bytes()), Ok(DER.to_vec()));
        assert_eq!(signature_bytes(twice.as_bytes()), Ok(DER.to_vec()));
        let thrice = BASE64_STANDARD.encode(&twice);
        assert!(matches!(signature_bytes(thrice.as_bytes()), Err(SigningError::Form { .. })));
    }

    #[test]
    fn what_is_no_signature_in_any_form_is_refused_with_its_length() {
        for bytes in [&b""[..], b"no signature", b"====", &[0; 100], &[7; 2000]] {
            let error = signature_bytes(bytes).unwrap_err();
            assert_eq!(error, SigningError::Form { bytes: bytes.len() });
        }
    }

    #[test]
    fn names_are_read_in_every_spelling_of_the_services() {
        for name in ["SHA256", "SHA-256", "sha_256", "Sha 256"] {
            assert_eq!(Hash::from_name(name), Ok(Hash::Sha256), "{name}");
        }
        assert_eq!(Hash::from_name("sha-1"), Ok(Hash::Sha1));
        assert_eq!(Algorithm::from_name("ecdsa"), Ok(Algorithm::Ecdsa));
        assert_eq!(Algorithm::from_name("RSA"), Ok(Algorithm::Rsa));
        for name in ["", "MD5", "SHA512", &"x".repeat(5000)] {
            assert!(Hash::from_name(name).unwrap_err().to_string().len() < 160);
            assert!(Algorithm::from_name(name).is_err());
        }
    }
}
