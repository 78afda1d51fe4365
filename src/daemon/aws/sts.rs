//! STS: whose credentials these are, and those of a role.

use std::fmt;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;

use super::caller::Answer;
use super::caller::Caller;
use super::error::AwsError;
use super::operation::Call;
use super::operation::Operation;
use super::refusal::element;

const VERSION: &str = "2011-06-15";
/// A role that is assumed with temporary credentials lasts no longer (role chaining).
const ROLE_LASTS_S: &str = "3600";

/// Gives the credentials of a role.
pub(super) struct AssumedRole {
    pub caller: Caller,
    /// `AssumeRole`, with the name that its caller gives it.
    pub operation: &'static Operation,
    /// All fields of the form but those that are the same each time.
    pub fields: Vec<(&'static str, String)>,
}

impl fmt::Debug for AssumedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AssumedRole")
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.assume().await.map_err(CredentialsError::provider_error)
        })
    }
}

impl AssumedRole {
    async fn assume(&self) -> Result<Credentials, AwsError> {
        let mut fields = vec![("Version", VERSION)];
        fields.extend(self.fields.iter().map(|(name, value)| (*name, value.as_str())));
        let is_set = |name: &str| fields.iter().any(|(set, _)| *set == name);
        if !is_set("DurationSeconds") {
            fields.push(("DurationSeconds", ROLE_LASTS_S));
        }
        let answer = self.caller.send(Call::of_form(self.operation, &fields)).await?;
        credentials_in(&answer).ok_or(AwsError::Unreadable {
            action: self.operation.action,
            why: "it has no complete credentials",
        })
    }
}

fn credentials_in(answer: &Answer) -> Option<Credentials> {
    let xml = str::from_utf8(answer.bytes()).ok()?;
    let (_, given) = xml.split_once("<Credentials>")?;
    let of = |name: &str| element(given, name);
    let end = of("Expiration")?.parse::<jiff::Timestamp>().ok()?.into();
    let session = of("SessionToken")?;
    Some(Credentials::new(of("AccessKeyId")?, of("SecretAccessKey")?, Some(session), Some(end), "sts"))
}

/// `GetCallerIdentity`: the answer, in which the ARN of the credentials stands.
pub(super) fn caller_identity(operation: &'static Operation) -> Call {
    Call::of_form(operation, &[("Action", "GetCallerIdentity"), ("Version", VERSION)])
}

/// The ARN in an answer to it.
pub(super) fn arn_in(answer: &Answer) -> Option<String> {
    element(str::from_utf8(answer.bytes()).ok()?, "Arn")
}
