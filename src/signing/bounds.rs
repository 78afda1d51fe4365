//! Bounds of evidence and certificates.

/// Signature or certificates are refused above this, bytes: a chain of eight RSA-4096 certificates in PEM, in
/// base64, is half as long.
pub const MAX_EVIDENCE_BYTES: usize = 64 * 1024;

/// A chain has no more certificates, and a configuration file of anchors neither.
pub const MAX_CERTIFICATES: usize = 8;
