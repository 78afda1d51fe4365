//! The SDK's clients: our credentials and waiting times, its endpoints, our TLS.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::future;
use aws_runtime::env_config::file::EnvConfigFileKind;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use serde_json::json;

use super::credentials::Renewing;
use super::iot_credentials::IotCredentials;
use super::settings::Settings;
use super::source::SIGNATURE_ENDING;
use crate::task::ImageRef;

/// A first retry within one call comes after less than this.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// A role that is assumed with temporary credentials lasts no longer (role chaining).
const ROLE_LASTS: Duration = Duration::from_secs(3600);

/// One client per service, over one pool of connections.
pub(super) struct Clients {
    pub(super) wireless: aws_sdk_iotwireless::Client,
    pub(super) iot: aws_sdk_iot::Client,
    pub(super) signer: aws_sdk_signer::Client,
    pub(super) s3: aws_sdk_s3::Client,
    /// For images that are not in S3.
    pub(super) web: Arc<Connector>,
    pub(super) credentials: Renewing,
    pub(super) shared: SdkConfig,
}

impl Clients {
    pub(super) async fn new(settings: &Settings) -> Clients {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = Builder::new().tls_provider(ring.clone()).build_https();
        let patience = &settings.patience;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(patience.answer)
            .read_timeout(patience.answer)
            .operation_attempt_timeout(patience.answer * 2)
            .build();
        let first_retry = FIRST_RETRY.min(patience.fetch_first);
        let credentials = credentials(settings, http.clone());
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(settings.region.clone()))
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_initial_backoff(first_retry))
            // They are kept, and renewed, in one place.
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(credentials.clone())
            // A range has a deadline of its own, made for backhauls that stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(name) = &settings.profile {
            loader = loader.profile_name(name);
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let shared = loader.load().await;
        let limits = HttpConnectorSettings::builder()
            .connect_timeout(patience.answer)
            .read_timeout(patience.answer)
            .build();
        let web = Arc::new(
            Connector::builder()
                .connector_settings(limits)
                .sleep_impl(TokioSleep::new())
                .tls_provider(ring)
                .build(),
        );
        Clients {
            wireless: aws_sdk_iotwireless::Client::new(&shared),
            iot: aws_sdk_iot::Client::new(&shared),
            signer: aws_sdk_signer::Client::new(&shared),
            web,
            s3: aws_sdk_s3::Client::from_conf(s3(&shared, settings).build()),
            credentials,
            shared,
        }
    }

    /// The client that reads `image`: with the role that its task names where the configuration allows that role,
    /// and then with no more rights than this one object and its signature need; else with the gateway's own credentials.
    pub(super) async fn s3_for(&self, settings: &Settings, image: &ImageRef) -> aws_sdk_s3::Client {
        let ImageRef::S3 { bucket, key, role: Some(role), .. } = image else { return self.s3.clone() };
        if !settings.assume_roles.contains(role) {
            return self.s3.clone();
        }
        let partition = role.split(':').nth(1).unwrap_or("aws");
        let object = format!("arn:{partition}:s3:::{bucket}/{key}");
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": [object, format!("{object}{SIGNATURE_ENDING}")],
        }]});
        let assumed = AssumeRoleProvider::builder(role)
            .session_name(settings.gateway_eui.as_deref().unwrap_or("fuotad"))
            .session_length(ROLE_LASTS)
            .policy(policy.to_string())
            .region(Region::new(settings.region.clone()))
            .configure(&self.shared)
            .build_from_provider(self.credentials.clone())
            .await;
        let config = s3(&self.shared, settings).credentials_provider(Renewing::new(assumed));
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

fn s3(shared: &SdkConfig, settings: &Settings) -> aws_sdk_s3::config::Builder {
    // A stand-in for S3 rarely answers to bucket.host.
    aws_sdk_s3::config::Builder::from(shared).force_path_style(settings.endpoint_url.is_some())
}

/// The device certificate, or a file, where one is configured; else environment, then profile. The SDK's own chain
/// would go on to the metadata address of EC2, which on a gateway is a connection to nowhere.
fn credentials(settings: &Settings, http: SharedHttpClient) -> Renewing {
    if let Some(iot) = &settings.iot_credentials {
        return Renewing::new(IotCredentials { settings: iot.clone(), patience: settings.patience.answer });
    }
    let provider = ProviderConfig::empty()
        .with_region(Some(Region::new(settings.region.clone())))
        .with_http_client(http);
    let profile = Profile { settings: settings.clone(), provider };
    if settings.credentials_file.is_some() {
        return Renewing::new(profile);
    }
    let environment = EnvironmentVariableCredentialsProvider::new();
    Renewing::new(CredentialsProviderChain::first_try("environment", environment).or_else("profile", profile))
}

/// The profile, read anew each time credentials are needed: the SDK's provider reads its files once, and would
/// miss what a helper writes there later.
struct Profile {
    settings: Settings,
    provider: ProviderConfig,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profile")
    }
}

impl ProvideCredentials for Profile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let mut builder = ProfileFileCredentialsProvider::builder().configure(&self.provider);
        if let Some(name) = &self.settings.profile {
            builder = builder.profile_name(name);
        }
        if let Some(path) = &self.settings.credentials_file {
            let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, path).build();
            builder = builder.profile_files(files);
        }
        let provider = builder.build();
        future::ProvideCredentials::new(async move { provider.provide_credentials().await })
    }
}
