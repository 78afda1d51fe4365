//! What a signature is made with.

use core::fmt;

/// What was hashed how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4, broken since 2017.
    Sha1,
}

/// What the hash was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA, the signature in DER (RFC 3279 2.2.3).
    Ecdsa,
    /// RSA with PKCS#1 v1.5 padding (RFC 8017 8.2).
    Rsa,
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hash::Sha256 => "SHA-256",
            Hash::Sha1 => "SHA-1",
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Ecdsa => "ECDSA",
            Algorithm::Rsa => "RSA",
        })
    }
}
