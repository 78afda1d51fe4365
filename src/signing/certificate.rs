//! One certificate (RFC 5280 4.1) as far as code signing looks at it.

use super::algorithm::Algorithm;
use super::bounds::MAX_CERTIFICATES;
use super::error::SigningError;
use super::form::unwrapped;
use crate::image::Digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::Certificate as X509;
use x509_cert::der::Decode;
use x509_cert::der::Encode;
use x509_cert::der::Reader;
use x509_cert::der::SliceReader;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::asn1::UintRef;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::ext::pkix::KeyUsage;

/// id-kp-codeSigning (RFC 5280 4.2.1.12).
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// id-ecPublicKey and its curves (RFC 5480 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// rsaEncryption (RFC 8017 appendix C).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Shorter RSA keys are weak, longer ones nobody has, bits.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;
/// A subject is shown up to here.
const MAX_SUBJECT_CHARS: usize = 80;

/// A certificate that was read; nothing about it is believed yet.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub der: CertificateDer<'static>,
    pub subject: String,
    /// SHA-256 of the certificate and of its SubjectPublicKeyInfo.
    pub fingerprints: [Digest; 2],
    pub key: Key,
    /// Validity, Unix time, seconds.
    pub not_before_s: u64,
    pub not_after_s: u64,
    pub is_for_code_signing: bool,
    pub is_for_signing: bool,
}

/// Public key of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Point on P-256 (SEC 1 2.3.3).
    P256(Vec<u8>),
    /// Point on P-384 (SEC 1 2.3.3).
    P384(Vec<u8>),
    /// RSAPublicKey in DER (RFC 8017 A.1.1).
    Rsa { der: Vec<u8>, bits: usize },
    /// What it is instead.
    Unfit(String),
}

impl Key {
    /// What it signs with.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Key::P256(_) | Key::P384(_) => Some(Algorithm::Ecdsa),
            Key::Rsa { .. } => Some(Algorithm::Rsa),
            Key::Unfit(_) => None,
        }
    }
}

/// All certificates in `text`: PEM, base64 of PEM, base64 of DER. Each at most once.
///
/// # Errors
/// [`SigningError::Certificate`] when one cannot be read, and [`SigningError::TooManyCertificates`] above the bound.
pub(super) fn certificates(text: &str) -> Result<Vec<Certificate>, SigningError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let refuse = |why| SigningError::Certificate { number: 1, why };
    let inner = if text.contains("-----BEGIN") { None } else { unwrapped(text.as_bytes()) };
    let bytes = inner.as_deref().unwrap_or(text.as_bytes());
    let found: Vec<CertificateDer<'static>> = if bytes.first() == Some(&0x30) {
        vec![CertificateDer::from(bytes.to_vec())]
    } else {
        let read = CertificateDer::pem_slice_iter(bytes).take(MAX_CERTIFICATES + 1);
        read.collect::<Result<_, _>>().map_err(|_| refuse("the PEM is damaged"))?
    };
    match found.len() {
        0 => Err(refuse("there is none in it")),
        1..=MAX_CERTIFICATES => {
            found.into_iter().enumerate().map(|(index, der)| certificate(index + 1, der)).collect()
        }
        _ => Err(SigningError::TooManyCertificates),
    }
}

fn certificate(number: usize, der: CertificateDer<'static>) -> Result<Certificate, SigningError> {
    let refuse = |why| SigningError::Certificate { number, why };
    let read = X509::from_der(&der).map_err(|_| refuse("it is not DER of X.509"))?;
    let body = read.tbs_certificate();
    let key_info = body.subject_public_key_info();
    let key_der = key_info.to_der().map_err(|_| refuse("its key cannot be read"))?;
    let bits = key_info.subject_public_key.as_bytes().ok_or_else(|| refuse("its key cannot be read"))?;
    let curve = key_info.algorithm.parameters.as_ref().and_then(|any| any.decode_as().ok());
    let key = match (key_info.algorithm.oid, curve) {
        (EC, Some(P256)) => Key::P256(bits.to_vec()),
        (EC, Some(P384)) => Key::P384(bits.to_vec()),
        (EC, Some(other)) => Key::Unfit(format!("curve {other}")),
        (RSA, _) => rsa(bits).ok_or_else(|| refuse("its RSA key cannot be read"))?,
        (other, _) => Key::Unfit(format!("algorithm {other}")),
    };
    let usage = body.get_extension::<KeyUsage>().map_err(|_| refuse("its key usage cannot be read"))?;
    let purposes = body.get_extension::<ExtendedKeyUsage>();
    let purposes = purposes.map_err(|_| refuse("its extended key usage cannot be read"))?;
    let validity = body.validity();
    Ok(Certificate {
        subject: shown(&body.subject().to_string()),
        fingerprints: [Digest::of(&der), Digest::of(&key_der)],
        key,
        not_before_s: validity.not_before.to_unix_duration().as_secs(),
        not_after_s: validity.not_after.to_unix_duration().as_secs(),
        is_for_code_signing: purposes.is_some_and(|(_, purposes)| purposes.0.contains(&CODE_SIGNING)),
        is_for_signing: usage.is_some_and(|(_, usage)| usage.digital_signature()),
        der,
    })
}

fn rsa(der: &[u8]) -> Option<Key> {
    let mut reader = SliceReader::new(der).ok()?;
    let modulus = reader.sequence(|inner: &mut SliceReader<'_>| {
        let modulus = UintRef::decode(inner)?;
        UintRef::decode(inner)?;
        Ok::<_, x509_cert::der::Error>(modulus)
    });
    let modulus = modulus.ok()?;
    let first = modulus.as_bytes().first()?;
    let bits = modulus.as_bytes().len() * 8 - first.leading_zeros() as usize;
    if RSA_BITS.contains(&bits) {
        Some(Key::Rsa { der: der.to_vec(), bits })
    } else {
        Some(Key::Unfit(format!("RSA of {bits} bits")))
    }
}

/// A subject for an error or a report: whoever made the certificate chose its letters.
fn shown(subject: &str) -> String {
    subject.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SUBJECT_CHARS).collect()
}
