//! HTTP/1.1 over one pool of connections: what AWS's runtime and the fetching of addresses send their requests with.

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::HeaderValue;
use http::header::PROXY_AUTHORIZATION;
use http::header::USER_AGENT;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;

use super::proxy::Way;
use crate::daemon::tls;

/// A connection that nobody used for so long is closed by most servers.
const IDLE: Duration = Duration::from_secs(50);

/// The client. Clones share its connections.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpsConnector<Way>, SdkBody>,
    way: Way,
    /// For a connection and the head of the answer together.
    answer: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// A client that waits for the head of an answer for `answer`, and believes the system's authorities.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(answer: Duration) -> Result<Http, rustls::Error> {
        let tls = tls::client(tls::system_roots())?.with_no_client_auth();
        let way = Way::new(tls.clone(), Matcher::from_env());
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(way.clone());
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Http { client, way, answer })
    }

    /// The head of the answer; its body is still on its way.
    pub(super) async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let authorization = self.way.proxy_authorization(request.uri());
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("fuotad/", env!("CARGO_PKG_VERSION"))));
        if let Some(authorization) = authorization {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        let sent = tokio::time::timeout(self.answer, self.client.request(request)).await;
        let answer = sent.map_err(|_| ConnectorError::timeout("timed out".into()))?;
        let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
        HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
