//! Code signing: whether an image is what its owner signed, decided before a byte of it goes on the air.
//!
//! ```text
//! Evidence (as it was received) ──► signature bytes ──┐
//!                               ──► certificates ─────┼─► verify(image, evidence, trust, now) ──► Vouched
//! Trust (as the operator configured) ─────────────────┘
//! ```
//!
//! What is signed is the whole file, as `openssl dgst -sign` does it and AWS IoT's code signing for FreeRTOS
//! expects it: ECDSA over P-256 or P-384 with the signature in DER (RFC 3279 2.2.3), or RSA with PKCS#1 v1.5
//! padding (RFC 8017 8.2), over SHA-256; over SHA-1 only where the operator allows it. A good signature under
//! a certificate that nobody configured proves nothing: the certificate must be configured itself (or its
//! fingerprint), or lead to a configured anchor (RFC 5280 6.1), be valid, and be made for code signing.
//!
//! This room knows no clock and no file: the time is an argument, and so are all certificates.

mod algorithm;
mod bounds;
mod certificate;
mod error;
mod evidence;
mod form;
mod signer;
mod trust;
mod verify;

pub use algorithm::Algorithm;
pub use algorithm::Hash;
pub use bounds::MAX_CERTIFICATES;
pub use bounds::MAX_EVIDENCE_BYTES;
pub use error::SigningError;
pub use evidence::Evidence;
pub use signer::open_signed_object;
pub use trust::SigningTrust;
pub use trust::Validity;
pub use verify::Vouched;
pub use verify::verify;
