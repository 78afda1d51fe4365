//! The JSON of AWS Signer: `{"rawPayloadSize", "signature", "signatureAlgorithm", "payload"}`, the payload
//! inside (JSONEmbedded), or somewhere else (JSONDetached).

use super::bounds::MAX_EVIDENCE_BYTES;
use super::error::SigningError;
use super::evidence::Evidence;
use super::form::unwrapped;
use crate::json::Node;
use crate::json::tree;
use serde::Deserialize;

/// The members that are of use; there may be others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    raw_payload_size: Option<u64>,
    signature: Option<String>,
    /// Hash and algorithm in one word, like `SHA256withECDSA`.
    signature_algorithm: Option<String>,
    payload: Option<String>,
}

impl Document {
    /// # Errors
    /// [`SigningError::SignerDocument`]: it is no JSON object, has a name twice, or no signature.
    pub(super) fn from_slice(bytes: &[u8]) -> Result<Document, SigningError> {
        let read = tree(bytes).and_then(|tree| Document::deserialize(Node(&tree)));
        let document = read.map_err(|_| refuse("it is no such JSON object, or has a name twice"))?;
        if document.signature.is_none() {
            return Err(refuse("it has no \"signature\""));
        }
        Ok(document)
    }

    /// What it says, over what is known already.
    pub(super) fn evidence(self, known: Evidence) -> Evidence {
        let named = self.signature_algorithm.as_deref().and_then(|name| {
            let at = name.to_ascii_lowercase().find("with")?;
            Some((name[..at].to_owned(), name[at + "with".len()..].to_owned()))
        });
        let (hash, algorithm) = named.unzip();
        Evidence {
            signature: self.signature.unwrap_or_default().into_bytes(),
            hash: hash.or(known.hash),
            algorithm: algorithm.or(known.algorithm),
            size: self.raw_payload_size.or(known.size),
            ..known
        }
    }
}

impl Evidence {
    /// With the document of AWS Signer taken apart, if its signature is one.
    pub(super) fn unfolded(&self) -> Result<Evidence, SigningError> {
        for bytes in [self.signature.len(), self.certificates.len()] {
            if bytes > MAX_EVIDENCE_BYTES {
                return Err(SigningError::TooLarge { bytes });
            }
        }
        let inner = unwrapped(&self.signature);
        for text in [Some(&self.signature), inner.as_ref()].into_iter().flatten() {
            // A bare signature may begin with that byte, and be no text.
            if text.first() == Some(&b'{') && core::str::from_utf8(text).is_ok() {
                let document = Document::from_slice(text)?;
                return Ok(document.evidence(self.clone()));
            }
        }
        Ok(self.clone())
    }
}

/// The image and its evidence, if `object` is a signed object of AWS Signer with the image inside; `None` when it
/// is anything else. CreateOTAUpdate leaves such an object and the bare image as two versions of one key, so that
/// one never knows which of them comes.
///
/// # Errors
/// [`SigningError::SignerDocument`], [`SigningError::Size`]: it is such an object, and broken.
pub fn open_signed_object(origin: &str, object: &[u8]) -> Result<Option<(Vec<u8>, Evidence)>, SigningError> {
    if object.first() != Some(&b'{') {
        return Ok(None);
    }
    let Ok(mut document) = Document::from_slice(object) else { return Ok(None) };
    let Some(payload) = document.payload.take() else { return Ok(None) };
    let image = unwrapped(payload.as_bytes()).ok_or_else(|| refuse("its \"payload\" is no base64"))?;
    let actual = image.len() as u64;
    if let Some(announced) = document.raw_payload_size.filter(|size| *size != actual) {
        return Err(SigningError::Size { announced, actual });
    }
    let known = Evidence { origin: origin.to_owned(), ..Evidence::default() };
    Ok(Some((image, document.evidence(known))))
}

fn refuse(why: &'static str) -> SigningError {
    SigningError::SignerDocument { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = r#"{"rawPayloadSize":3,"signature":"MAYCAQECAQI=","signatureAlgorithm":"SHA256withECDSA",
        "payload":"YWJj","certificateId":"x"}"#;

    #[test]
    fn a_signed_object_is_opened_to_its_image_and_its_evidence() {
        let (image, evidence) = open_signed_object("o", SIGNED.as_bytes()).unwrap().unwrap();
        assert_eq!(image, b"abc");
        assert_eq!(
            (evidence.hash.as_deref(), evidence.algorithm.as_deref()),
            (Some("SHA256"), Some("ECDSA"))
        );
        assert_eq!((evidence.size, evidence.signature.as_slice()), (Some(3), &b"MAYCAQECAQI="[..]));
    }

    #[test]
    fn an_image_that_is_no_signed_object_stays_what_it_is() {
        for image in [&b"\x7fELF"[..], b"", b"{", b"{}", br#"{"signature":"x"}"#, br#"{"payload":"YWJj"}"#] {
            assert_eq!(open_signed_object("o", image), Ok(None));
        }
    }

    #[test]
    fn a_document_with_a_name_twice_is_none_even_where_the_name_is_of_no_use() {
        let twice = SIGNED.replace("\"certificateId\"", "\"certificateId\":\"y\",\"certificateId\"");
        assert_eq!(open_signed_object("o", twice.as_bytes()), Ok(None));
        let of =
            |text: &str| Evidence { signature: text.as_bytes().to_vec(), ..Evidence::default() }.unfolded();
        assert!(of(SIGNED).is_ok());
        assert!(of(&twice).unwrap_err().to_string().contains("has a name twice"));
    }

    #[test]
    fn a_signed_object_that_contradicts_itself_is_refused() {
        let broken = SIGNED.replace("Size\":3", "Size\":4");
        let error = open_signed_object("o", broken.as_bytes()).unwrap_err();
        assert_eq!(error, SigningError::Size { announced: 4, actual: 3 });
        let broken = SIGNED.replace("YWJj", "Y!Jj");
        assert!(matches!(
            open_signed_object("o", broken.as_bytes()),
            Err(SigningError::SignerDocument { .. })
        ));
    }
}
