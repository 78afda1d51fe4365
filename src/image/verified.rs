//! An image and its digest.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use sha2::Digest as _;
use sha2::Sha256;
use thiserror::Error;

/// The largest image that is taken, in bytes. TS004-1.0.0 could carry 16383 fragments of 239 bytes (3.7 MiB);
/// the room above that is for images that are refused later with a better reason than their size.
pub const MAX_IMAGE_BYTES: usize = 16 * 1024 * 1024;

/// Errors of an image or of the text of a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The image has no bytes.
    #[error("the image is empty; check the file that the task names")]
    Empty,
    /// The image is longer than [`MAX_IMAGE_BYTES`].
    #[error("the image has {bytes} bytes; at most {MAX_IMAGE_BYTES} are taken")]
    TooLarge {
        /// Length of the image in bytes.
        bytes: usize,
    },
    /// The image's SHA-256 differs from the expected digest.
    #[error("the image has SHA-256 {found}, expected {expected}; fetch it again or correct the digest")]
    Mismatch {
        /// The digest that was expected.
        expected: Digest,
        /// The digest of the bytes at hand.
        found: Digest,
    },
    /// The text of a digest has not 64 characters.
    #[error("a SHA-256 digest is 64 hexadecimal digits, this has {chars} characters; see sha256sum")]
    DigestLength {
        /// Length of the text in characters.
        chars: usize,
    },
    /// The text of a digest has a character that is no hexadecimal digit.
    #[error("a SHA-256 digest is 64 hexadecimal digits, {character:?} is none; see sha256sum")]
    DigestCharacter {
        /// The first such character.
        character: char,
    },
}

/// A SHA-256 digest; as text 64 hexadecimal digits, as `sha256sum` prints them (capitals are read, too).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// A digest that was computed or stored elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 bytes of the digest, in the order in which `sha256sum` prints them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Digest, ImageError> {
        if let Some(character) = text.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(ImageError::DigestCharacter { character });
        }
        if text.len() != 64 {
            return Err(ImageError::DigestLength { chars: text.len() });
        }
        let nibble = |c: u8| match c {
            b'0'..=b'9' => c - b'0',
            _ => (c | 0x20) - b'a' + 10,
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        Ok(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A firmware image whose digest was checked, 1 to [`MAX_IMAGE_BYTES`] bytes. A clone shares the bytes.
#[derive(Clone)]
pub struct Image {
    bytes: Arc<[u8]>,
    digest: Digest,
}

impl Image {
    /// The image in `bytes`, if its SHA-256 is `expected`.
    ///
    /// # Errors
    ///
    /// [`ImageError::Empty`] for no bytes, [`ImageError::TooLarge`] for more than [`MAX_IMAGE_BYTES`], and
    /// [`ImageError::Mismatch`] when the digest is another one.
    pub fn verify(bytes: Vec<u8>, expected: Digest) -> Result<Image, ImageError> {
        if bytes.is_empty() {
            return Err(ImageError::Empty);
        }
        if bytes.len() > MAX_IMAGE_BYTES {
            return Err(ImageError::TooLarge { bytes: bytes.len() });
        }
        let found = Digest::of(&bytes);
        if found != expected {
            return Err(ImageError::Mismatch { expected, found });
        }
        Ok(Image { bytes: bytes.into(), digest: found })
    }

    /// The bytes of the image, without padding.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 of [`Image::bytes`].
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Length of the image in bytes, never 0.
    #[expect(clippy::len_without_is_empty, reason = "an image is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Prints length and digest only; the bytes stay out of logs.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} bytes, {})", self.len(), self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_the_sha_256_of_fips_180() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(Digest::of(b"abc")));
        assert_eq!(ABC.to_uppercase().parse(), Ok(Digest::of(b"abc")));
        assert_eq!(Digest::from_bytes(*Digest::of(b"abc").as_bytes()), Digest::of(b"abc"));
    }

    #[test]
    fn a_text_that_is_no_digest_is_refused_with_what_is_wrong() {
        assert_eq!("".parse::<Digest>(), Err(ImageError::DigestLength { chars: 0 }));
        assert_eq!(ABC[1..].parse::<Digest>(), Err(ImageError::DigestLength { chars: 63 }));
        assert_eq!(
            format!("sha256:{ABC}").parse::<Digest>(),
            Err(ImageError::DigestCharacter { character: 's' })
        );
        assert_eq!("ä".repeat(32).parse::<Digest>(), Err(ImageError::DigestCharacter { character: 'ä' }));
    }

    #[test]
    fn bytes_with_the_expected_digest_become_an_image() {
        let image = Image::verify(b"abc".to_vec(), ABC.parse().unwrap()).unwrap();
        assert_eq!((image.bytes(), image.len()), (&b"abc"[..], 3));
        assert_eq!(image.digest().to_string(), ABC);
        assert_eq!(format!("{image:?}"), format!("Image(3 bytes, {ABC})"));
    }

    #[test]
    fn a_clone_of_an_image_shares_its_bytes() {
        let image = Image::verify(vec![7; 1000], Digest::of(&[7; 1000])).unwrap();
        assert!(core::ptr::eq(image.bytes(), image.clone().bytes()));
    }

    #[test]
    fn one_wrong_bit_makes_no_image_and_the_error_names_both_digests() {
        let error = Image::verify(b"abb".to_vec(), ABC.parse().unwrap()).unwrap_err();
        let (found, text) = (Digest::of(b"abb").to_string(), error.to_string());
        assert!(text.contains(ABC) && text.contains(&found), "{text}");
    }

    #[test]
    fn an_empty_image_is_refused_even_with_the_right_digest() {
        assert_eq!(Image::verify(Vec::new(), Digest::of(&[])).unwrap_err(), ImageError::Empty);
    }

    #[test]
    fn an_image_may_be_as_large_as_the_limit_and_no_larger() {
        let largest = vec![0xA5; MAX_IMAGE_BYTES];
        assert_eq!(Image::verify(largest.clone(), Digest::of(&largest)).unwrap().len(), MAX_IMAGE_BYTES);
        let error = Image::verify(vec![0; MAX_IMAGE_BYTES + 1], Digest::of(&[])).unwrap_err();
        assert_eq!(error, ImageError::TooLarge { bytes: 16_777_217 });
    }
}
