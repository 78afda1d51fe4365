//! Errors of code signing.

use super::algorithm::Algorithm;
use super::bounds::MAX_CERTIFICATES;
use super::bounds::MAX_EVIDENCE_BYTES;
use thiserror::Error;

/// Reasons why an image's signature is not accepted, each with the way out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum SigningError {
    #[error("the signature has {bytes} bytes; at most {MAX_EVIDENCE_BYTES} are taken")]
    TooLarge { bytes: usize },
    #[error(
        "the signature is neither DER nor RSA nor base64 of it ({bytes} bytes); make it with `openssl dgst -sha256 -sign KEY IMAGE`"
    )]
    Form { bytes: usize },
    #[error(
        "the ECDSA signature is not DER ({bytes} bytes): a SEQUENCE of r and s is meant, not r and s side by side; `openssl dgst -sha256 -sign` makes it"
    )]
    NotDer { bytes: usize },
    #[error("an RSA signature of {bytes} bytes does not fit a key of {key_bits} bits")]
    RsaLength { bytes: usize, key_bits: usize },
    #[error("hash {name:?} is unknown: SHA-256 is taken, and SHA-1 where it is allowed")]
    UnknownHash { name: String },
    #[error("signature algorithm {name:?} is unknown: ECDSA and RSA are taken")]
    UnknownAlgorithm { name: String },
    #[error(
        "it is signed over SHA-1, which can be forged: sign over SHA-256, or allow it with sha1 = \"accept\""
    )]
    Sha1,
    #[error(
        "the signature came without a certificate: put the signer's certificate into `anchors`, or beside the signature"
    )]
    NoCertificate,
    #[error("certificate {number} cannot be read: {why}; PEM, DER, or base64 of either is taken")]
    Certificate { number: usize, why: &'static str },
    #[error("the chain has more than {MAX_CERTIFICATES} certificates")]
    TooManyCertificates,
    #[error(
        "{text:?} is no fingerprint: 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints them"
    )]
    Pin { text: String },
    #[error("the signature is said to be {announced}, but no certificate has such a key")]
    AlgorithmMismatch { announced: Algorithm },
    #[error(
        "certificate {subject}: its key is too weak or unknown ({key}); use P-256, P-384 or RSA of 2048 to 8192 bits"
    )]
    WeakKey { subject: String, key: String },
    #[error("the signature does not fit the image: other bytes were signed, or with another key{hint}")]
    BadSignature { hint: &'static str },
    /// All that it lacks at once: whoever makes a new one makes one.
    #[error("certificate {subject} is not for code signing: it needs {lacks}")]
    NotForCodeSigning { subject: String, lacks: String },
    #[error(
        "certificate {subject} is valid only from {not_before} on, and it is checked at {at}; look at the clock, or wait"
    )]
    NotYetValid { subject: String, not_before: String, at: String },
    #[error(
        "certificate {subject} expired at {not_after}, and it is checked at {at}; sign with a new one, or set validity = \"creation\""
    )]
    Expired { subject: String, not_after: String, at: String },
    #[error(
        "certificate {subject} (SHA-256 {fingerprint}) leads to no configured anchor: add its issuer to `anchors`, or its fingerprint to `pins`"
    )]
    Untrusted { subject: String, fingerprint: String },
    #[error("the chain of certificate {subject} is not good: {why}")]
    Chain { subject: String, why: String },
    #[error("the validity of the certificate cannot be judged before the clock is trusted")]
    NoClock,
    #[error("the order says not when it was created: set validity = \"now\"")]
    NoCreation,
    #[error("the image has {actual} bytes, but {announced} were signed")]
    Size { announced: u64, actual: u64 },
    #[error("AWS Signer's document cannot be read: {why}")]
    SignerDocument { why: &'static str },
    #[error("the job document {why}")]
    JobDocument { why: &'static str },
}
