//! A program that prints credentials (`credential_process` of a profile).

use std::process::Stdio;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use serde::Deserialize;
use tokio::process::Command;

/// A program that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(60);
/// What it prints is a kilobyte or two.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// The credentials that `command` prints. A shell reads it, as AWS's own clients have it.
///
/// # Errors
/// It fails, takes too long, or prints something else. What it prints is in no error.
pub(super) async fn run(command: &str) -> Result<Credentials, CredentialsError> {
    let mut program = Command::new("sh");
    program.arg("-c").arg(command).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(TIMEOUT, program.output()).await;
    let output = output.map_err(|_| CredentialsError::provider_timed_out(TIMEOUT))?;
    let output = output.map_err(|_| CredentialsError::provider_error("credential_process does not run"))?;
    if !output.status.success() || output.stdout.len() > MAX_OUTPUT_BYTES {
        return Err(CredentialsError::provider_error("credential_process failed"));
    }
    read(&output.stdout)
        .ok_or_else(|| CredentialsError::provider_error("credential_process prints no credentials"))
}

fn read(json: &[u8]) -> Option<Credentials> {
    let Output { version: 1, access_key_id, secret_access_key, session_token, expiration } =
        serde_json::from_slice(json).ok()?
    else {
        return None;
    };
    let end = match expiration {
        Some(end) => Some(end.parse::<jiff::Timestamp>().ok()?.into()),
        None => None,
    };
    Some(Credentials::new(access_key_id, secret_access_key, session_token, end, "credential_process"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn only_the_documented_output_is_taken() {
        let good = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2099-01-01T00:00:00Z"}"#;
        let read_good = read(good.as_bytes()).unwrap();
        assert_eq!((read_good.access_key_id(), read_good.session_token()), ("A", Some("T")));
        assert_eq!(read_good.expiry().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(4_070_908_800));
        let lasting = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S"}"#;
        assert_eq!(read(lasting.as_bytes()).unwrap().expiry(), None);
        for bad in [
            "",
            "{}",
            "<html>",
            r#"{"Version":2,"AccessKeyId":"A","SecretAccessKey":"S"}"#,
            r#"{"Version":1,"AccessKeyId":"A"}"#,
            r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"soon"}"#,
        ] {
            assert!(read(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
