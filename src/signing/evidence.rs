//! What came with an image to vouch for it, as it was received: plain data that can be kept and shown.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;

/// The evidence for one image. Nothing of it is believed before [`verify`](super::verify).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Evidence {
    /// What brought it, for people: `s3://bucket/key.sig`, `customCodeSigning`.
    pub origin: String,
    /// The signature in any of its forms: DER or RSA bytes, base64 of them once or twice, or the
    /// document of AWS Signer.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub signature: Vec<u8>,
    /// Certificates as text: PEM, base64 of PEM or of DER; the signer's and those above it, in any order.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificates: String,
    /// The hash by its name; SHA-256 where nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The algorithm by its name; what the certificate's key is for where nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// How many bytes are said to be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When the order that it belongs to was created, Unix time, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_unix_us: Option<i64>,
}

impl Evidence {
    /// A signature that lies beside the image: `KEY.sig`, a file of `openssl dgst -sign`, base64 of it, or a
    /// detached document of AWS Signer.
    pub fn detached(origin: &str, signature: Vec<u8>) -> Evidence {
        Evidence { origin: origin.to_owned(), signature, ..Evidence::default() }
    }

    /// The material of `customCodeSigning` (GetOTAUpdate): `signature.inlineDocument` as it was decoded from the
    /// wire, `certificateChain.inlineDocument`, `hashAlgorithm`, `signatureAlgorithm`.
    pub fn inline(signature: Vec<u8>, certificates: &str, hash: &str, algorithm: &str) -> Evidence {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Evidence {
            origin: "customCodeSigning".to_owned(),
            signature,
            certificates: certificates.to_owned(),
            hash: named(hash),
            algorithm: named(algorithm),
            ..Evidence::default()
        }
    }

    /// The best of the members `sig-<hash>-<algorithm>` of an AWS IoT job document or of an object's metadata:
    /// SHA-256 before SHA-1. `None` when there is none; other members are none of ours.
    pub fn of_members<'a>(
        origin: &str,
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<Evidence> {
        let signed = members.into_iter().filter_map(|(name, value)| {
            let (hash, algorithm) = name.strip_prefix("sig-")?.rsplit_once('-')?;
            Some((hash, algorithm, value))
        });
        let (hash, algorithm, value) =
            signed.min_by_key(|(hash, algorithm, _)| (!hash.contains("256"), algorithm.to_owned()))?;
        Some(Evidence {
            hash: Some(hash.to_owned()),
            algorithm: Some(algorithm.to_owned()),
            ..Evidence::detached(origin, value.as_bytes().to_vec())
        })
    }

    /// The same with certificates from a file: PEM, or DER.
    pub fn with_certificates(self, bytes: &[u8]) -> Evidence {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN"));
        let certificates = text.map_or_else(|| BASE64_STANDARD.encode(bytes), str::to_owned);
        Evidence { certificates, ..self }
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    BASE64_STANDARD.decode(text).map_err(|_| de::Error::custom("the signature is no base64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::bounds::MAX_EVIDENCE_BYTES;
    use crate::signing::error::SigningError;

    #[test]
    fn evidence_is_the_same_after_it_was_kept() {
        let evidence = Evidence {
            size: Some(7),
            created_unix_us: Some(-1),
            ..Evidence::inline(vec![0, 255, 7], "PEM", "SHA256", "")
        };
        let text = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
        assert!(text.contains("\"signature\":\"AP8H\""), "{text}");
    }

    #[test]
    fn of_several_signatures_the_one_over_sha_256_is_taken() {
        let members = [("filesize", "7"), ("sig-sha1-rsa", "old"), ("sig-sha256-ecdsa", "new"), ("sig", "x")];
        let evidence = Evidence::of_members("here", members).unwrap();
        assert_eq!(evidence.signature, b"new");
        assert_eq!(
            (evidence.hash.as_deref(), evidence.algorithm.as_deref()),
            (Some("sha256"), Some("ecdsa"))
        );
        assert_eq!(Evidence::of_members("here", [("sig-", "x"), ("certfile", "y")]), None);
    }

    #[test]
    fn a_signature_without_end_is_refused() {
        let endless = Evidence::detached("x", vec![0; MAX_EVIDENCE_BYTES + 1]);
        assert_eq!(endless.unfolded(), Err(SigningError::TooLarge { bytes: 65_537 }));
    }
}
