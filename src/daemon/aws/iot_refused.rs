//! Why AWS IoT gave no credentials for the certificate of the device.

use thiserror::Error;

/// Why there are no credentials for the device's certificate. No text of the server is in it.
#[derive(Debug, Error)]
pub(super) enum IotRefused {
    #[error("{path}: {why}; see aws.iot-credentials")]
    File { path: String, why: String },
    #[error("the credential provider {endpoint}: no answer: {cause}")]
    Network { endpoint: String, cause: String },
    #[error(
        "the credential provider refused the certificate, the role alias {alias:?} or the thing (403): allow \
         iot:AssumeRoleWithCertificate in the certificate's policy, and check thing-name"
    )]
    Denied { alias: String },
    #[error("the credential provider knows no role alias {alias:?} (404); check role-alias and endpoint")]
    NoAlias { alias: String },
    #[error("the credential provider answered {status}")]
    Status { status: u16 },
    #[error("the credential provider's answer is not its documented JSON")]
    Unreadable,
}
