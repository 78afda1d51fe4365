//! Hash functions and algorithms of signatures.

use core::fmt;

/// The hash function under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256 (FIPS 180-4), the default.
    Sha256,
    /// SHA-1 (FIPS 180-4), broken since 2017.
    Sha1,
}

/// The algorithm of a signature.
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
