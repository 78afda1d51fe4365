//! What can go wrong with a call, kept apart by what helps. Nothing of a server's text is shown but the error's
//! code: bodies echo requests, and requests carry credentials.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use thiserror::Error;

use super::endpoint::EndpointError;
use super::iot_refused::IotRefused;
use super::refusal::CallError;

/// The longest code or cause that is shown, characters.
const MAX_SHOWN_CHARS: usize = 120;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum AwsError {
    /// There is no such thing (404).
    #[error("{action}: not found; check the id, the region and the account")]
    NotFound { action: &'static str },
    /// The credentials are good, but not for this (403, IoT's 401).
    #[error("{action}: denied ({code}); allow {action} in the policy of the gateway's credentials")]
    Denied { action: &'static str, code: String },
    /// There are none, or they are expired or wrong.
    #[error("{action}: credentials: {why}")]
    Credentials { action: &'static str, why: String },
    /// The signature's time was not believed.
    #[error("{action}: the clock is wrong ({code}); set the gateway's time (NTP or GPS)")]
    Clock { action: &'static str, code: String },
    /// Too many calls (429; 400 of the service `iot`; 503 `SlowDown` of S3).
    #[error("{action}: throttled ({code}); tried again later, a longer poll-s helps")]
    Throttled { action: &'static str, code: String },
    /// The service's own fault (5xx).
    #[error("{action}: the service answered {status}; tried again later")]
    Server { action: &'static str, status: u16 },
    /// No HTTP answer arrived: connection, TLS or time limit.
    #[error("{action}: no answer: {cause}; tried again later")]
    Network { action: &'static str, cause: String },
    /// It is nowhere.
    #[error("{action}: {why}")]
    Endpoint { action: &'static str, why: EndpointError },
    /// Somebody else is said to have it. An image is fetched from whom the order names.
    #[error(
        "{action}: redirected ({status}) to {host}, which is not followed; name that address in FirmwareUpdateImage"
    )]
    Redirected { action: &'static str, status: u16, host: String },
    /// The request is not what the service takes (400).
    #[error("{action}: refused as invalid ({code}); check the id and the region")]
    Invalid { action: &'static str, code: String },
    /// The service answered with a status that has no meaning of its own here.
    #[error("{action}: refused with {status} ({code})")]
    Refused { action: &'static str, status: u16, code: String },
    /// An answer that is none.
    #[error("{action}: the answer cannot be read: {why}; tried again later")]
    Unreadable { action: &'static str, why: &'static str },
    /// An answer that is no JSON, or has a member of the wrong type.
    #[error("{action}: the answer cannot be read: {why}; tried again later")]
    Malformed { action: &'static str, why: String },
}

impl AwsError {
    /// What `error` of `action` means.
    pub(super) fn of(action: &'static str, error: &CallError) -> AwsError {
        if let Some(why) = credentials_fault(error) {
            return AwsError::Credentials { action, why };
        }
        if let Some(why) = chain(error).find_map(|cause| cause.downcast_ref::<EndpointError>()) {
            return AwsError::Endpoint { action, why: why.clone() };
        }
        if let SdkError::ResponseError(_) = error {
            return AwsError::Unreadable { action, why: "it broke off" };
        }
        let Some(raw) = error.raw_response() else {
            let cause = match error {
                SdkError::TimeoutError(_) => "timed out".to_owned(),
                other => printable(&root_cause(other)),
            };
            return AwsError::Network { action, cause };
        };
        let status = raw.status().as_u16();
        if (300..400).contains(&status) {
            return AwsError::of_status(action, status, raw.headers().get("location"));
        }
        let code = error.as_service_error().and_then(|service| service.code()).unwrap_or_default();
        let message = error.as_service_error().and_then(|service| service.message()).unwrap_or_default();
        classify(action, status, code, message)
    }

    /// What an answer without a body says, with the `Location` that it names.
    pub(super) fn of_status(action: &'static str, status: u16, location: Option<&str>) -> AwsError {
        match (status, location) {
            (300..400, Some(location)) => AwsError::Redirected { action, status, host: host(location) },
            _ => classify(action, status, "", ""),
        }
    }

    /// Nothing came for so long.
    pub(super) fn stalled(action: &'static str, after: Duration) -> AwsError {
        AwsError::Network { action, cause: format!("nothing came for {} s", after.as_secs()) }
    }

    /// A body that broke off or did not fit its head.
    pub(super) fn cut(action: &'static str, cause: &(dyn Error + 'static)) -> AwsError {
        AwsError::Network { action, cause: printable(&root_cause(cause)) }
    }

    /// Whether somebody has to do something before it goes better.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(
            self,
            AwsError::NotFound { .. }
                | AwsError::Denied { .. }
                | AwsError::Redirected { .. }
                | AwsError::Endpoint { .. }
        )
    }

    /// Whether the next call would fare no better: it is about the service, the link or the credentials, not
    /// about one task.
    pub(super) fn is_general(&self) -> bool {
        !matches!(
            self,
            AwsError::NotFound { .. }
                | AwsError::Denied { .. }
                | AwsError::Invalid { .. }
                | AwsError::Refused { .. }
                | AwsError::Malformed { .. }
        )
    }

    /// Whether other credentials may help.
    pub(super) fn is_about_credentials(&self) -> bool {
        matches!(self, AwsError::Credentials { .. })
    }

    /// A missing list, group or session is no missing task.
    pub(super) fn not_the_task(self) -> AwsError {
        match self {
            AwsError::NotFound { action } => {
                AwsError::Refused { action, status: 404, code: "not found".to_owned() }
            }
            other => other,
        }
    }

    /// Whether it is the same as `other` to an operator: a connection that fails in two ways in turn is one
    /// state, not a line each time.
    pub(super) fn is_like(&self, other: &AwsError) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The host in an address: what follows it may be worth as much as a password.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    printable(authority.rsplit('@').next().unwrap_or_default())
}

/// Code first: services use several statuses for one thing. HEAD has a status only.
fn classify(action: &'static str, status: u16, code: &str, message: &str) -> AwsError {
    let shown_code = || if code.is_empty() { status.to_string() } else { printable(code) };
    // "Signature expired: … is now earlier than …" is the clock, too; the message is looked at, never shown.
    let is_signature = matches!(code, "InvalidSignatureException" | "SignatureDoesNotMatch");
    let is_time = message.contains("Signature expired") || message.contains("Signature not yet current");
    match code {
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => {
            return AwsError::Clock { action, code: shown_code() };
        }
        _ if is_signature && is_time => return AwsError::Clock { action, code: shown_code() },
        "ExpiredToken" | "ExpiredTokenException" => {
            let why = format!("expired ({code}); renew them");
            return AwsError::Credentials { action, why };
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature" => {
            let why = format!("not accepted ({code}); check key, secret and session token");
            return AwsError::Credentials { action, why };
        }
        "SlowDown" | "RequestLimitExceeded" | "TooManyRequestsException" | "LimitExceededException" => {
            return AwsError::Throttled { action, code: shown_code() };
        }
        _ if code.starts_with("Throttl") => return AwsError::Throttled { action, code: shown_code() },
        _ => {}
    }
    match status {
        404 => AwsError::NotFound { action },
        401 | 403 => AwsError::Denied { action, code: shown_code() },
        429 => AwsError::Throttled { action, code: shown_code() },
        500.. => AwsError::Server { action, status },
        400 if matches!(code, "ValidationException" | "InvalidRequestException") => {
            AwsError::Invalid { action, code: shown_code() }
        }
        200..300 => AwsError::Unreadable { action, why: "it is not what the service's model says" },
        _ => AwsError::Refused { action, status, code: shown_code() },
    }
}

/// What is wrong with the credentials, if they are what failed. The provider's own words may quote its file.
fn credentials_fault(error: &(dyn Error + 'static)) -> Option<String> {
    let fault = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    // The texts of our own provider are ours; of AssumeRole only what its code means.
    if let Some(ours) = chain(fault).find_map(|cause| cause.downcast_ref::<IotRefused>()) {
        return Some(ours.to_string());
    }
    if let Some(assume) = chain(fault).find_map(|cause| cause.downcast_ref::<AwsError>()) {
        return Some(assume.to_string());
    }
    let why = match fault {
        CredentialsError::CredentialsNotLoaded(_) => {
            "none found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or aws.credentials-file"
        }
        CredentialsError::ProviderTimedOut(_) => "their provider did not answer in time",
        CredentialsError::InvalidConfiguration(_) => {
            "the profile cannot be used; check its name and its file"
        }
        _ => "their provider failed; try `aws sts get-caller-identity` with the same profile",
    };
    Some(why.to_owned())
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The deepest cause of `error`.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// One short line of printable characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, code: &str) -> &'static str {
        match classify("a", status, code, "") {
            AwsError::NotFound { .. } => "not found",
            AwsError::Denied { .. } => "denied",
            AwsError::Credentials { .. } => "credentials",
            AwsError::Clock { .. } => "clock",
            AwsError::Throttled { .. } => "throttled",
            AwsError::Server { .. } => "server",
            AwsError::Network { .. } => "network",
            AwsError::Invalid { .. } => "invalid",
            AwsError::Malformed { .. } => "malformed",
            AwsError::Refused { .. } => "refused",
            AwsError::Unreadable { .. } => "unreadable",
            AwsError::Redirected { .. } => "redirected",
            AwsError::Endpoint { .. } => "endpoint",
        }
    }

    #[test]
    fn what_services_call_by_different_statuses_is_one_kind_of_trouble() {
        for (status, code, meant) in [
            (404, "ResourceNotFoundException", "not found"),
            (404, "", "not found"),
            (403, "AccessDeniedException", "denied"),
            (401, "UnauthorizedException", "denied"),
            (403, "", "denied"),
            (429, "ThrottlingException", "throttled"),
            (400, "ThrottlingException", "throttled"),
            (503, "SlowDown", "throttled"),
            (429, "", "throttled"),
            (500, "InternalServerException", "server"),
            (503, "", "server"),
            (403, "RequestTimeTooSkewed", "clock"),
            (400, "ExpiredToken", "credentials"),
            (403, "ExpiredTokenException", "credentials"),
            (403, "UnrecognizedClientException", "credentials"),
            (403, "SignatureDoesNotMatch", "credentials"),
            (400, "ValidationException", "invalid"),
            (400, "InvalidRequestException", "invalid"),
            (500, "InternalFailureException", "server"),
            (503, "ServiceUnavailableException", "server"),
            (429, "TooManyRequestsException", "throttled"),
            (412, "PreconditionFailed", "refused"),
            (200, "", "unreadable"),
        ] {
            assert_eq!(kind(status, code), meant, "{status} {code}");
        }
    }

    #[test]
    fn a_signature_that_is_too_old_is_the_clocks_fault_and_its_message_is_not_shown() {
        let message = "Signature expired: 20260101T000000Z is now earlier than SECRET-CANARY";
        let error = classify("iotwireless:GetFuotaTask", 403, "InvalidSignatureException", message);
        assert!(matches!(error, AwsError::Clock { .. }));
        assert!(!error.to_string().contains("CANARY"), "{error}");
        assert!(error.to_string().contains("NTP"), "{error}");
    }

    #[test]
    fn a_redirection_names_the_other_host_and_nothing_that_may_be_a_password() {
        let location = "https://user:CANARY@evil.example/fw?X-Amz-Signature=CANARY";
        let text = AwsError::of_status("a", 307, Some(location)).to_string();
        assert!(text.contains("redirected (307) to evil.example, which is not followed"), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }

    #[test]
    fn only_trouble_with_one_task_lets_the_others_be_asked() {
        assert!(!classify("a", 404, "", "").is_general() && !classify("a", 403, "", "").is_general());
        assert!(classify("a", 429, "", "").is_general() && classify("a", 500, "", "").is_general());
    }

    #[test]
    fn a_code_is_one_short_printable_line() {
        let error = classify("a", 403, &format!("Evil\n\u{1b}[2J{}", "x".repeat(5000)), "");
        assert!(error.to_string().len() < 300 && !error.to_string().contains(['\n', '\u{1b}']));
    }
}
