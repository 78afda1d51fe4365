//! The credential provider of AWS IoT: over TLS with the device's certificate, a role alias gives temporary
//! credentials. The SDK has no provider for it.

use std::fmt;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use http::Request;
use http_body_util::BodyExt as _;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use serde::Deserialize;

use super::error::printable;
use super::error::root_cause;
use super::iot_refused::IotRefused;
use super::settings::IotCredentialSettings;
use crate::cloud::Moment;
use crate::cloud::json_tree;
use crate::daemon::tls;

/// An answer is a kilobyte or two.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Asks for credentials, each time with the files as they are then: a certificate may be replaced while the
/// service runs.
pub(super) struct IotCredentials {
    pub(super) settings: IotCredentialSettings,
    pub(super) timeout: Duration,
}

impl fmt::Debug for IotCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IotCredentials")
    }
}

impl ProvideCredentials for IotCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.ask().await.map_err(CredentialsError::provider_error) })
    }
}

impl IotCredentials {
    async fn ask(&self) -> Result<Credentials, IotRefused> {
        let IotCredentialSettings { endpoint, role_alias, thing_name, .. } = &self.settings;
        let network = |cause: String| IotRefused::Network { endpoint: endpoint.clone(), cause };
        let tls = tls_of(&self.settings)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        let client: Client<_, Empty<&'static [u8]>> = Client::builder(TokioExecutor::new()).build(connector);
        let mut request = Request::get(format!("https://{endpoint}/role-aliases/{role_alias}/credentials"));
        if let Some(thing) = thing_name {
            request = request.header("x-amzn-iot-thingname", thing);
        }
        let request = request.body(Empty::new()).map_err(|error| network(error.to_string()))?;
        let exchange = async {
            let response =
                client.request(request).await.map_err(|error| network(printable(&root_cause(&error))))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            Ok((status, body.map_err(|error| network(printable(&error.to_string())))?.to_bytes()))
        };
        let exchange = tokio::time::timeout(self.timeout, exchange).await;
        let (status, body) = exchange.map_err(|_| network("timed out".to_owned()))??;
        match status {
            200 => {}
            403 => return Err(IotRefused::Denied { alias: role_alias.clone() }),
            404 => return Err(IotRefused::NoAlias { alias: role_alias.clone() }),
            status => return Err(IotRefused::Status { status }),
        }
        credentials_in(&body).ok_or(IotRefused::Unreadable)
    }
}

/// What stands in `{"credentials": {…}}`: no name twice, no list in place of an object.
fn credentials_in(body: &[u8]) -> Option<Credentials> {
    let answer = json_tree(body).ok()?;
    let given = answer.get("credentials")?.as_object()?;
    let text = |member: &str| given.get(member)?.as_str().map(str::to_owned);
    let expiration = Moment::deserialize(given.get("expiration")?).ok()?;
    let (key_id, secret) = (text("accessKeyId")?, text("secretAccessKey")?);
    Some(Credentials::new(key_id, secret, Some(text("sessionToken")?), Some(end_of(expiration)), "iot"))
}

fn end_of(Moment(gps): Moment) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(gps.to_unix_us()).unwrap_or_default())
}

fn tls_of(settings: &IotCredentialSettings) -> Result<ClientConfig, IotRefused> {
    let roots = match &settings.ca_file {
        Some(path) => tls::roots_in(path).map_err(|error| wrong(path, &error))?,
        None => tls::system_roots(),
    };
    let path = &settings.key_file;
    let key = tls::private_key(path).map_err(|error| wrong(path, &error))?;
    let path = &settings.certificate_file;
    let certificates = tls::certificates(path).map_err(|error| wrong(path, &error))?;
    tls::client(roots)
        .and_then(|client| client.with_client_auth_cert(certificates, key))
        .map_err(|error| wrong(path, &error))
}

fn wrong(path: &Path, why: &dyn fmt::Display) -> IotRefused {
    IotRefused::File { path: path.display().to_string(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"credentials":{"accessKeyId":"AKID","secretAccessKey":"S","sessionToken":"T",
        "expiration":"2026-11-28T12:00:00Z"}}"#;

    #[test]
    fn an_answer_with_a_list_for_an_object_or_a_name_twice_is_none() {
        let credentials = credentials_in(ANSWER.as_bytes()).unwrap();
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("AKID", Some("T")));
        for wrong in [
            r#"{"credentials":["AKID","S","T","2026-11-28T12:00:00Z"]}"#.to_owned(),
            r#"[{"accessKeyId":"AKID"}]"#.to_owned(),
            ANSWER.replace(r#""sessionToken""#, r#""accessKeyId":"OTHER","sessionToken""#),
            ANSWER.replace(r#""T""#, "null"),
        ] {
            assert!(credentials_in(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
