//! The SDK's clients: its credentials and endpoints, our TLS and our waiting times.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::ConfigLoader;
use aws_config::Region;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
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

use super::Settings;

/// Temporary credentials are renewed so long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// A first retry within one call comes after less than this.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// One client per service, over one pool of connections.
pub(super) struct Clients {
    pub(super) iot: aws_sdk_iotwireless::Client,
    pub(super) s3: aws_sdk_s3::Client,
    /// For images that are not in S3.
    pub(super) web: Arc<Connector>,
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
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(settings.region.clone()))
            .http_client(http.clone())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_initial_backoff(first_retry))
            .identity_cache(IdentityCache::lazy().buffer_time(RENEW_BEFORE).build())
            // A range has a deadline of its own, made for backhauls that stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        loader = with_credentials(loader, settings, http);
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let shared = loader.load().await;
        let s3 = aws_sdk_s3::config::Builder::from(&shared)
            // A stand-in for S3 rarely answers to bucket.host.
            .force_path_style(settings.endpoint_url.is_some())
            .build();
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
        Clients { iot: aws_sdk_iotwireless::Client::new(&shared), s3: aws_sdk_s3::Client::from_conf(s3), web }
    }
}

/// Environment, then profile: the SDK's own chain would go on to the metadata address of EC2, which on a gateway
/// is a connection to nowhere.
fn with_credentials(mut loader: ConfigLoader, settings: &Settings, http: SharedHttpClient) -> ConfigLoader {
    let provider = ProviderConfig::empty()
        .with_region(Some(Region::new(settings.region.clone())))
        .with_http_client(http);
    let profile = Profile { settings: settings.clone(), provider };
    if settings.credentials_file.is_some() {
        return loader.credentials_provider(profile);
    }
    if let Some(name) = &settings.profile {
        loader = loader.profile_name(name);
    }
    let environment = EnvironmentVariableCredentialsProvider::new();
    loader.credentials_provider(
        CredentialsProviderChain::first_try("environment", environment).or_else("profile", profile),
    )
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
