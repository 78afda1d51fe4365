//! `[aws.iot-credentials]` and `aws.assume-roles`: where credentials come from, and what they may become.

use super::error::ConfigError;
use super::error::Mistakes;
use serde::Deserialize;
use serde::Serialize;
use std::path::PathBuf;

/// `[aws.iot-credentials]`: a device certificate gives temporary credentials.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IotCredentialsConfig {
    /// What `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` prints.
    pub endpoint: String,
    /// Role alias of AWS IoT that gives the credentials.
    pub role_alias: String,
    /// The thing that the certificate is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_name: Option<String>,
    /// The certificate with its chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Who may vouch for the endpoint, PEM; default: the system's authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl IotCredentialsConfig {
    /// Whether every value can be used; `is_second`: there is another source of credentials.
    pub(super) fn check(&self, is_second: bool) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        if is_second {
            let message = "it is the only source of credentials: remove aws.profile and aws.credentials-file";
            mistakes.add(ConfigError::value("aws.iot-credentials", message));
        }
        let is_host_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if self.endpoint.is_empty() || !self.endpoint.chars().all(is_host_char) {
            let message = format!(
                "{:?} is no host; see `aws iot describe-endpoint --endpoint-type iot:CredentialProvider`",
                self.endpoint
            );
            mistakes.add(ConfigError::value("aws.iot-credentials.endpoint", message));
        }
        let is_alias_char = |c: char| c.is_ascii_alphanumeric() || "_=,@-".contains(c);
        let is_thing_char = |c: char| c.is_ascii_alphanumeric() || ":_-".contains(c);
        let alias = &self.role_alias;
        if alias.is_empty() || alias.len() > 128 || !alias.chars().all(is_alias_char) {
            let message = format!("{alias:?} is no role alias: 1 to 128 letters, digits and _=,@-");
            mistakes.add(ConfigError::value("aws.iot-credentials.role-alias", message));
        }
        match &self.thing_name {
            Some(thing) if thing.is_empty() || thing.len() > 128 || !thing.chars().all(is_thing_char) => {
                let message = format!("{thing:?} is no thing: 1 to 128 letters, digits and :_-");
                mistakes.add(ConfigError::value("aws.iot-credentials.thing-name", message));
            }
            _ => {}
        }
        mistakes.or(Some(()))
    }

    #[cfg(feature = "aws")]
    pub(super) fn settings(&self) -> crate::daemon::aws::IotCredentialSettings {
        crate::daemon::aws::IotCredentialSettings {
            endpoint: self.endpoint.clone(),
            role_alias: self.role_alias.clone(),
            thing_name: self.thing_name.clone(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
            ca_file: self.ca_file.clone(),
        }
    }
}

/// Whether each of `roles` is the ARN of one role.
///
/// # Errors
/// Every one that is not.
pub(super) fn check_roles(roles: &[String]) -> Result<(), ConfigError> {
    let mut mistakes = Mistakes::default();
    for (index, role) in roles.iter().enumerate() {
        let parts: Vec<&str> = role.split(':').collect();
        let is_role = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, name]
            if partition.starts_with("aws") && account.len() == 12 && name.starts_with("role/"));
        if !is_role || role.contains('*') {
            let message = format!("{role:?} is no ARN of a role (arn:aws:iam::123456789012:role/name)");
            mistakes.add(ConfigError::value(format!("aws.assume-roles[{index}]"), message));
        }
    }
    mistakes.or(Some(()))
}

#[cfg(test)]
mod tests {
    use crate::config::file::Config;
    use std::collections::BTreeMap;

    fn checked(aws: &str) -> Result<(), String> {
        let text = format!("[gateway]\nregion = \"EU868\"\n[aws]\nregion = \"eu-west-1\"\n{aws}");
        let config = Config::from_text(&text, &BTreeMap::new()).map_err(|error| error.to_string())?;
        let aws = config.aws.unwrap();
        aws.check(&config.group, &config.ota).map_err(|error| error.to_string())
    }

    #[test]
    fn a_role_that_may_be_assumed_is_one_role() {
        assert!(checked("assume-roles = [\"arn:aws:iam::123456789012:role/fuota-read\"]").is_ok());
        for bad in ["arn:aws:iam::123456789012:role/*", "arn:aws:iam::1:role/r", "fuota-read", "*"] {
            let error = checked(&format!("assume-roles = [\"{bad}\"]")).unwrap_err();
            assert!(error.contains("aws.assume-roles[0]") && error.contains("no ARN of a role"), "{error}");
        }
    }

    #[test]
    fn the_credential_provider_is_a_host_an_alias_and_no_second_source() {
        let with = |endpoint: &str, alias: &str, more: &str| {
            checked(&format!(
                "{more}\n[aws.iot-credentials]\nendpoint = \"{endpoint}\"\nrole-alias = \"{alias}\"\n\
                 certificate-file = \"c\"\nkey-file = \"k\"\n"
            ))
        };
        assert!(with("c1.credentials.iot.eu-west-1.amazonaws.com", "gw", "").is_ok());
        assert!(with("https://c1/x", "gw", "").unwrap_err().contains("describe-endpoint"));
        assert!(with("c1", "a/b", "").unwrap_err().contains("is no role alias"));
        assert!(with("c1", "gw", "profile = \"p\"").unwrap_err().contains("the only source of credentials"));
    }
}
