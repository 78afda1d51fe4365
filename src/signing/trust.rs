//! Trust: the certificates and keys that the operator configured.

use super::certificate::Certificate;
use super::certificate::certificates;
use super::error::SigningError;
use crate::image::Digest;
use core::time::Duration;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::UnixTime;
use webpki::ALL_VERIFICATION_ALGS;
use webpki::EndEntityCert;
use webpki::KeyUsage;
use webpki::anchor_from_trusted_cert;

/// id-kp-codeSigning in DER (RFC 5280 4.2.1.12).
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// The certificates and keys whose signatures the operator accepts, and under which rules.
#[derive(Clone, Debug, Default)]
pub struct SigningTrust {
    anchors: Vec<Certificate>,
    pins: Vec<Digest>,
    /// A signature over SHA-1 is taken.
    pub accepts_sha1: bool,
    /// The time at which a certificate must be valid.
    pub validity: Validity,
}

/// The time at which a certificate must be valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validity {
    /// When it is checked first: this needs a trusted clock.
    #[default]
    Now,
    /// When the order was created: fleets hold certificates of signers that expired since.
    Creation,
}

impl SigningTrust {
    /// Trust without any certificate yet.
    pub fn new(validity: Validity, accepts_sha1: bool) -> SigningTrust {
        SigningTrust { validity, accepts_sha1, ..SigningTrust::default() }
    }

    /// Trusts the certificates in `bytes` (PEM, DER, or base64 of either): each as the signer's own, and as the
    /// anchor of a chain where it may issue others.
    ///
    /// # Errors
    /// [`SigningError::Certificate`] when one cannot be read, and [`SigningError::TooManyCertificates`] above the bound.
    pub fn add_anchors(&mut self, bytes: &[u8]) -> Result<(), SigningError> {
        let read = match std::str::from_utf8(bytes) {
            Ok(text) if !text.trim().is_empty() => certificates(text)?,
            Ok(_) => return Err(SigningError::Certificate { number: 1, why: "there is none in it" }),
            Err(_) => {
                certificates(&super::evidence::Evidence::default().with_certificates(bytes).certificates)?
            }
        };
        self.anchors.extend(read);
        Ok(())
    }

    /// Trusts the certificate, or the key, with this SHA-256: 64 hexadecimal digits, with or without
    /// colons. Of a certificate it is what `openssl x509 -fingerprint -sha256` prints; of a key, the
    /// SHA-256 of its SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`SigningError::Pin`] when `text` is no SHA-256.
    pub fn add_pin(&mut self, text: &str) -> Result<(), SigningError> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let pin = digits.parse().map_err(|_| SigningError::Pin { text: text.chars().take(100).collect() })?;
        self.pins.push(pin);
        Ok(())
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.pins.is_empty()
    }

    /// The certificates that the operator configured.
    pub(super) fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    /// Whether the certificate is trusted by itself.
    fn holds(&self, certificate: &Certificate) -> bool {
        self.pins.iter().any(|pin| certificate.fingerprints.contains(pin))
            || self.anchors.iter().any(|anchor| anchor.fingerprints[0] == certificate.fingerprints[0])
    }

    /// Whether `leaf` is trusted at `at_s` (Unix time): by itself, or through `others` to an anchor (RFC 5280 6.1).
    pub(super) fn reaches(
        &self,
        leaf: &Certificate,
        others: &[Certificate],
        at_s: u64,
    ) -> Result<(), SigningError> {
        if self.holds(leaf) {
            return Ok(());
        }
        let untrusted = || SigningError::Untrusted {
            subject: leaf.subject.clone(),
            fingerprint: leaf.fingerprints[0].to_string(),
        };
        let refuse = |error: webpki::Error| match error {
            webpki::Error::UnknownIssuer => untrusted(),
            error => SigningError::Chain { subject: leaf.subject.clone(), why: error.to_string() },
        };
        let anchors: Vec<_> =
            self.anchors.iter().filter_map(|anchor| anchor_from_trusted_cert(&anchor.der).ok()).collect();
        if anchors.is_empty() {
            return Err(untrusted());
        }
        let above: Vec<CertificateDer<'_>> =
            others.iter().filter(|other| other.der != leaf.der).map(|other| other.der.clone()).collect();
        let end = EndEntityCert::try_from(&leaf.der).map_err(refuse)?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
        // An issuer need not say that it is for code signing; the leaf was asked already.
        let purpose = KeyUsage::required_if_present(CODE_SIGNING);
        end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &above, at, purpose, None, None)
            .map(|_| ())
            .map_err(refuse)
    }
}
