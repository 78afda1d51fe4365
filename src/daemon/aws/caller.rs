//! One call of AWS: endpoint, signature, retries and the learning of a wrong clock are AWS's runtime; the request is
//! a [`Call`], the answer is its bytes.

use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::SigningOptions;
use aws_runtime::auth::sigv4;
use aws_runtime::auth::sigv4::SigV4AuthScheme;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::ServiceClockSkewClassifier;
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::operation;
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime::client::retries::classifiers::TransientErrorClassifier;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::SharedAuthScheme;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::interceptors::context::Output;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use http::HeaderValue;
use serde_json::Value;

use super::endpoint::Service;
use super::endpoint::bucket_endpoint;
use super::error::AwsError;
use super::http_client::Http;
use super::operation::Call;
use super::refusal::CallError;
use super::refusal::Refusal;
use super::sdk_config::Endpoints;
use super::settings::Settings;
use crate::cloud::json_tree;

/// A first retry within one call comes after less than this.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// An answer that is none of an error.
pub(super) struct Answer {
    pub headers: Headers,
    /// Of an object it is still on its way.
    pub body: SdkBody,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl Answer {
    pub(super) fn header(&self, name: &'static str) -> Option<&str> {
        self.headers.get(name)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.body.bytes().unwrap_or_default()
    }
}

/// Calls AWS with one set of credentials. Clones share connections and what was learned of the clock.
#[derive(Clone)]
pub(super) struct Caller {
    http: Http,
    endpoints: Endpoints,
    region: String,
    timeouts: TimeoutConfig,
    retries: RetryConfig,
    /// All services have the same time.
    clock: SharedInterceptor,
    /// `None`: the calls are not signed.
    credentials: Option<SharedCredentialsProvider>,
}

impl Caller {
    /// Without credentials: nothing is signed.
    pub(super) fn new(settings: &Settings, http: Http, endpoints: Endpoints) -> Caller {
        let timeouts = &settings.timeouts;
        let first_retry = FIRST_RETRY.min(timeouts.fetch_first);
        Caller {
            http,
            endpoints,
            region: settings.region.clone(),
            timeouts: TimeoutConfig::builder().operation_attempt_timeout(timeouts.answer * 2).build(),
            retries: RetryConfig::standard().with_initial_backoff(first_retry),
            clock: SharedInterceptor::new(ServiceClockSkewInterceptor::new()),
            credentials: None,
        }
    }

    /// The same with other credentials.
    pub(super) fn with_credentials(&self, credentials: SharedCredentialsProvider) -> Caller {
        Caller { credentials: Some(credentials), ..self.clone() }
    }

    /// The JSON that `call` is answered with.
    pub(super) async fn json(&self, call: Call) -> Result<Value, AwsError> {
        let action = call.operation.action;
        let answer = self.send(call).await?;
        json_tree(answer.bytes()).map_err(|error| AwsError::Malformed { action, why: error.to_string() })
    }

    /// The answer to `call`.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, AwsError> {
        let action = call.operation.action;
        self.try_send(call).await.map_err(|error| AwsError::of(action, &error))
    }

    /// The answer to `call`, or all that is known of why there is none.
    pub(super) async fn try_send(&self, call: Call) -> Result<Answer, CallError> {
        let service = call.operation.service;
        let region = call.region.clone().unwrap_or_else(|| self.region.clone());
        let endpoint = self.endpoints.of(service, &region).map_err(SdkError::construction_failure)?;
        let (endpoint, prefix) = match &call.bucket {
            Some(bucket) => bucket_endpoint(&endpoint, bucket, self.endpoints.is_path_style()),
            None => (endpoint, String::new()),
        };
        let mut operation = operation::Operation::builder()
            .service_name(service.signing_name())
            .operation_name(call.operation.action)
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.http.clone())
            .endpoint_url(&endpoint)
            .standard_retry(&self.retries)
            .timeout_config(self.timeouts.clone())
            .sleep_impl(TokioSleep::new())
            // A range has a deadline of its own, made for backhauls that stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
            .retry_classifier(ServiceClockSkewClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .interceptor(self.clock.clone());
        operation = match &self.credentials {
            Some(credentials) => operation.runtime_plugin(signing(service, region, credentials.clone())),
            None => operation.no_auth(),
        };
        let operation = operation
            .serializer(move |call: Call| request(&call, &prefix))
            .deserializer_impl::<Answer, Refusal>(Reader { is_streamed: service == Service::S3 })
            .build();
        operation.invoke(call).await
    }
}

/// How requests to `service` are signed.
fn signing(service: Service, region: String, credentials: SharedCredentialsProvider) -> StaticRuntimePlugin {
    let mut options = SigningOptions::default();
    // S3 signs the path as it is sent, and wants the sum of the body; others encode the path once more.
    options.double_uri_encode = service != Service::S3;
    options.normalize_uri_path = service != Service::S3;
    options.content_sha256_header = service == Service::S3;
    let mut layer = Layer::new("signing");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(aws_types::region::Region::new(region))),
        name: Some(SigningName::from_static(service.signing_name())),
        signing_options: options,
        ..SigV4OperationSigningConfig::default()
    });
    let options = StaticAuthSchemeOptionResolver::new(vec![sigv4::SCHEME_ID]);
    let components = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(options))
        // They are kept, and renewed, in one place.
        .with_identity_cache(Some(IdentityCache::no_cache()))
        .with_identity_resolver(sigv4::SCHEME_ID, SharedIdentityResolver::new(credentials));
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}

fn request(call: &Call, prefix: &str) -> Result<HttpRequest, BoxError> {
    let body = if call.form.is_empty() { SdkBody::empty() } else { SdkBody::from(call.form.clone()) };
    let mut request = HttpRequest::new(body);
    request.set_method(call.method())?;
    request.set_uri(call.target(prefix))?;
    if !call.form.is_empty() {
        request.headers_mut().insert("content-length", call.form.len().to_string());
    }
    for (name, value) in &call.headers {
        // What came from a server or a task may be no header.
        HeaderValue::from_str(value)?;
        request.headers_mut().insert(*name, value.clone());
    }
    Ok(request)
}

/// Takes an answer as it is, and an error apart.
#[derive(Debug)]
struct Reader {
    is_streamed: bool,
}

impl DeserializeResponse for Reader {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        _: &ConfigBag,
    ) -> Option<Result<Output, OrchestratorError<Error>>> {
        let is_answer = self.is_streamed && response.status().is_success();
        is_answer.then(|| {
            let body = response.take_body();
            Ok(Output::erase(Answer { headers: response.headers().clone(), body }))
        })
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        if !response.status().is_success() {
            return Err(OrchestratorError::operation(Error::erase(Refusal::of(response))));
        }
        let body = SdkBody::from(response.body().bytes().unwrap_or_default());
        Ok(Output::erase(Answer { headers: response.headers().clone(), body }))
    }
}
