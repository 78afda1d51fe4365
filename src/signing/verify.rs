//! The check of an image against its evidence.

use super::algorithm::Algorithm;
use super::algorithm::Hash;
use super::certificate::Certificate;
use super::certificate::Key;
use super::certificate::certificates;
use super::error::SigningError;
use super::evidence::Evidence;
use super::form::signature_bytes;
use super::trust::SigningTrust;
use super::trust::Validity;
use crate::image::Digest;
use crate::time::GpsTime;
use jiff::Timestamp;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest;
use ring::signature;

/// Said where an RSA signature does not fit, because it is the usual reason.
const RSA_HINT: &str =
    "; `openssl pkeyutl -sign` needs -pkeyopt digest:sha256, `openssl dgst -sha256 -sign` does not";

/// The signer of an image whose signature was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The subject of the signer's certificate.
    pub signer: String,
    /// SHA-256 of the signer's certificate.
    pub fingerprint: Digest,
    /// Hash function of the signature.
    pub hash: Hash,
    /// Algorithm of the signature.
    pub algorithm: Algorithm,
    /// What brought the signature.
    pub origin: String,
}

/// Whether `evidence` shows that somebody whom `trust` names signed exactly these bytes. `now` is the time of the
/// check, if the clock is trusted.
///
/// # Errors
/// The first reason why not.
pub fn verify(
    image: &[u8],
    evidence: &Evidence,
    trust: &SigningTrust,
    now: Option<GpsTime>,
) -> Result<Vouched, SigningError> {
    let evidence = evidence.unfolded()?;
    let actual = image.len() as u64;
    if let Some(announced) = evidence.size.filter(|size| *size != actual) {
        return Err(SigningError::Size { announced, actual });
    }
    let hash = evidence.hash.as_deref().map_or(Ok(Hash::Sha256), Hash::from_name)?;
    if hash == Hash::Sha1 && !trust.accepts_sha1 {
        return Err(SigningError::Sha1);
    }
    let announced = evidence.algorithm.as_deref().map(Algorithm::from_name).transpose()?;
    let bytes = signature_bytes(&evidence.signature)?;
    let known = known(&evidence, trust)?;
    let leaf = signer(&known, announced, image, hash, &bytes)?;
    check_purpose(leaf)?;
    let at_s = check_time(&evidence, trust, now)?;
    check_validity(leaf, at_s)?;
    trust.reaches(leaf, &known, at_s)?;
    Ok(Vouched {
        signer: leaf.subject.clone(),
        fingerprint: leaf.fingerprints[0],
        hash,
        algorithm: leaf.key.algorithm().unwrap_or(Algorithm::Rsa),
        origin: evidence.origin,
    })
}

/// All certificates at hand: those that came, and those that are configured.
fn known(evidence: &Evidence, trust: &SigningTrust) -> Result<Vec<Certificate>, SigningError> {
    let mut known = certificates(&evidence.certificates)?;
    for anchor in trust.anchors() {
        if !known.iter().any(|other| other.der == anchor.der) {
            known.push(anchor.clone());
        }
    }
    if known.is_empty() { Err(SigningError::NoCertificate) } else { Ok(known) }
}

/// The certificate whose key made the signature. Its place in the chain is not asked: chains come in any order.
fn signer<'a>(
    known: &'a [Certificate],
    announced: Option<Algorithm>,
    image: &[u8],
    hash: Hash,
    bytes: &[u8],
) -> Result<&'a Certificate, SigningError> {
    let fits = |certificate: &&Certificate| match (announced, certificate.key.algorithm()) {
        (Some(announced), Some(key)) => announced == key,
        _ => true,
    };
    let mut candidates = known.iter().filter(fits).peekable();
    if candidates.peek().is_none() {
        return Err(match announced {
            Some(announced) => SigningError::AlgorithmMismatch { announced },
            None => SigningError::NoCertificate,
        });
    }
    let mut first_reason = None;
    for certificate in candidates {
        match check_signature(certificate, image, hash, bytes) {
            Ok(()) => return Ok(certificate),
            Err(reason) => first_reason = first_reason.or(Some(reason)),
        }
    }
    Err(first_reason.unwrap_or(SigningError::NoCertificate))
}

fn check_signature(
    certificate: &Certificate,
    image: &[u8],
    hash: Hash,
    bytes: &[u8],
) -> Result<(), SigningError> {
    let bad = |hint| SigningError::BadSignature { hint };
    match &certificate.key {
        Key::P256(point) => {
            let read = p256::ecdsa::Signature::from_der(bytes);
            let read = read.map_err(|_| SigningError::NotDer { bytes: bytes.len() })?;
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point)
                .map_err(|_| weak(certificate, "no point of P-256"))?;
            key.verify_prehash(&hashed(hash, image), &read).map_err(|_| bad(""))
        }
        Key::P384(point) => {
            let read = p384::ecdsa::Signature::from_der(bytes);
            let read = read.map_err(|_| SigningError::NotDer { bytes: bytes.len() })?;
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point)
                .map_err(|_| weak(certificate, "no point of P-384"))?;
            key.verify_prehash(&hashed(hash, image), &read).map_err(|_| bad(""))
        }
        Key::Rsa { der, bits } => {
            if bytes.len() != bits.div_ceil(8) {
                return Err(SigningError::RsaLength { bytes: bytes.len(), key_bits: *bits });
            }
            let padding: &'static dyn signature::VerificationAlgorithm = match hash {
                Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                Hash::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            };
            let key = signature::UnparsedPublicKey::new(padding, der);
            key.verify(image, bytes).map_err(|_| bad(RSA_HINT))
        }
        Key::Unfit(key) => Err(weak(certificate, key)),
    }
}

/// The hash of `image` for ECDSA, which takes it as a number (FIPS 186-5 6.4.2): SHA-1 gets zeros in front, because
/// `p384` refuses hashes of less than half of its own length.
fn hashed(hash: Hash, image: &[u8]) -> [u8; 32] {
    match hash {
        Hash::Sha256 => *Digest::of(image).as_bytes(),
        Hash::Sha1 => {
            let mut number = [0; 32];
            let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, image);
            number[32 - digest::SHA1_OUTPUT_LEN..].copy_from_slice(sha1.as_ref());
            number
        }
    }
}

fn weak(certificate: &Certificate, key: &str) -> SigningError {
    SigningError::WeakKey { subject: certificate.subject.clone(), key: key.to_owned() }
}

fn check_purpose(leaf: &Certificate) -> Result<(), SigningError> {
    let wanted = [
        (leaf.is_for_code_signing, "the extended key usage codeSigning (1.3.6.1.5.5.7.3.3)"),
        (leaf.is_for_signing, "the key usage digitalSignature"),
    ];
    let lacks: Vec<&str> = wanted.iter().filter(|(has, _)| !has).map(|(_, what)| *what).collect();
    if lacks.is_empty() {
        return Ok(());
    }
    Err(SigningError::NotForCodeSigning { subject: leaf.subject.clone(), lacks: lacks.join(" and ") })
}

/// The time at which certificates must be valid, Unix time, seconds.
fn check_time(evidence: &Evidence, trust: &SigningTrust, now: Option<GpsTime>) -> Result<u64, SigningError> {
    let unix_us = match trust.validity {
        Validity::Now => now.map(GpsTime::to_unix_us).ok_or(SigningError::NoClock)?,
        Validity::Creation => evidence.created_unix_us.ok_or(SigningError::NoCreation)?,
    };
    Ok(u64::try_from(unix_us / 1_000_000).unwrap_or(0))
}

fn check_validity(leaf: &Certificate, at_s: u64) -> Result<(), SigningError> {
    let subject = leaf.subject.clone();
    let at = utc(at_s);
    if at_s < leaf.not_before_s {
        return Err(SigningError::NotYetValid { subject, not_before: utc(leaf.not_before_s), at });
    }
    if at_s > leaf.not_after_s {
        return Err(SigningError::Expired { subject, not_after: utc(leaf.not_after_s), at });
    }
    Ok(())
}

fn utc(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|unix_s| Timestamp::from_second(unix_s).ok());
    time.map_or_else(|| format!("Unix time {unix_s}"), |time| time.to_string())
}
