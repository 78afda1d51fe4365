//! `[group.signing]`: whose signatures let an image on the air.

use super::error::ConfigError;
use super::error::Mistakes;
use crate::signing::SigningTrust;
use crate::signing::Validity;
use serde::Deserialize;
use serde::Serialize;
use std::path::Path;
use std::path::PathBuf;

/// Reads a file of certificates: its bytes; `None` when it is not here, and that was told; or one line why not.
pub type ReadCertificates<'a> = &'a mut dyn FnMut(&Path) -> Result<Option<Vec<u8>>, String>;

/// Whom to trust, as written.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SigningConfig {
    /// Files of certificates (PEM or DER): the signer's own, or those above it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<PathBuf>,
    /// SHA-256 of certificates or of public keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// "accept": signatures over SHA-1 are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha1: Option<Sha1>,
    /// When certificates must be valid: "now", or "creation" of the order.
    pub validity: ValidAt,
}

/// What to do with signatures over SHA-1, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sha1 {
    /// Signatures over SHA-1 are taken.
    Accept,
}

/// When certificates must be valid, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValidAt {
    /// When the task is planned.
    #[default]
    Now,
    /// When the order was created.
    Creation,
}

impl SigningConfig {
    /// Whom it amounts to trusting. `place` is where it stands, for errors.
    ///
    /// # Errors
    /// Every value that cannot be used; nobody at all is one.
    pub fn trust(&self, place: &str, read: ReadCertificates<'_>) -> Result<SigningTrust, ConfigError> {
        let validity = match self.validity {
            ValidAt::Now => Validity::Now,
            ValidAt::Creation => Validity::Creation,
        };
        let mut trust = SigningTrust::new(validity, self.sha1 == Some(Sha1::Accept));
        let mut mistakes = Mistakes::default();
        if self.anchors.is_empty() && self.pins.is_empty() {
            let message = "it trusts nobody: give `anchors` (files of certificates) or `pins` (fingerprints)";
            mistakes.add(ConfigError::value(place, message));
        }
        for (index, path) in self.anchors.iter().enumerate() {
            let wrong = |message: String| ConfigError::value(format!("{place}.anchors[{index}]"), message);
            if let Some(bytes) = mistakes.take(read(path).map_err(wrong)).flatten() {
                let added = trust.add_anchors(&bytes);
                mistakes.take(added.map_err(|error| wrong(format!("{}: {error}", path.display()))));
            }
        }
        for (index, pin) in self.pins.iter().enumerate() {
            let added = trust.add_pin(pin);
            mistakes.take(added.map_err(|error| ConfigError::value(format!("{place}.pins[{index}]"), error)));
        }
        mistakes.or(Some(trust))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Config;
    use std::collections::BTreeMap;

    fn trust_of(signing: &str) -> Result<SigningTrust, String> {
        let text = format!(
            "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\n\
             mc-key-file = \"k\"\n[group.signing]\n{signing}"
        );
        let config = Config::from_text(&text, &BTreeMap::new()).map_err(|error| error.to_string())?;
        let signing = config.group[0].signing.clone().unwrap();
        signing.trust("group meters.signing", &mut |_| Ok(None)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_fingerprint_is_enough_and_nobody_is_too_few() {
        let pin = "ab".repeat(32);
        assert!(!trust_of(&format!("pins = [\"{pin}\"]")).unwrap().is_empty());
        assert!(
            trust_of("validity = \"creation\"")
                .unwrap_err()
                .contains("group meters.signing: it trusts nobody")
        );
        assert!(trust_of("pins = [\"beef\"]").unwrap_err().contains("pins[0]: \"beef\" is no fingerprint"));
        assert!(trust_of("pin = []").unwrap_err().contains("did you mean `pins`"));
        assert!(
            trust_of("sha1 = \"yes\"")
                .unwrap_err()
                .contains("group.signing.sha1 is \"yes\", and must be \"accept\"")
        );
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_with_its_place() {
        let signing = SigningConfig { anchors: vec![PathBuf::from("/ca.pem")], ..SigningConfig::default() };
        let error = signing.trust("here", &mut |_| Ok(Some(b"nothing".to_vec()))).unwrap_err().to_string();
        assert!(error.starts_with("here.anchors[0]: /ca.pem: certificate 1 cannot be read"), "{error}");
    }
}
