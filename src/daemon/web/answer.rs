//! What is answered to a request: GET alone, under this machine's own names, from what is embedded.

use super::feed::Feed;
use super::metrics;
use super::reply::Reply;
use crate::daemon::snapshot::Snapshot;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use std::net::IpAddr;
use std::net::SocketAddr;
use tokio::sync::oneshot;

const PAGE: &str = include_str!("page/page.html");
const SCRIPT: &str = include_str!("page/page.js");
const STYLE: &str = include_str!("page/page.css");
/// Nothing is loaded from elsewhere, nothing inline is run, nobody frames the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The answer to `request`. For events `hold` goes to the feed, which drops it when the reader is too slow.
pub async fn answer<B>(request: &Request<B>, feed: &Feed, hold: oneshot::Sender<()>) -> Response<Reply> {
    if request.method() != Method::GET {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "this page is for reading: GET only\n");
        refused.headers_mut().insert("allow", HeaderValue::from_static("GET"));
        return refused;
    }
    if !is_ours(request.headers()) {
        let message = "another name than this machine's: use its address, or localhost\n";
        return text(StatusCode::MISDIRECTED_REQUEST, message);
    }
    match request.uri().path() {
        "/" => content("text/html; charset=utf-8", PAGE.as_bytes()),
        "/page.js" => content("text/javascript; charset=utf-8", SCRIPT.as_bytes()),
        "/page.css" => content("text/css; charset=utf-8", STYLE.as_bytes()),
        "/events" => match feed.join(hold) {
            Some(events) => response(StatusCode::OK, "text/event-stream", Reply::Events(events)),
            None => busy("as many look on as are served: try again later\n"),
        },
        "/status.json" => match feed.document().await {
            Some(document) => content("application/json", document),
            None => busy("the service ends\n"),
        },
        "/metrics" => {
            let document = feed.document().await;
            let snapshot = document.and_then(|document| serde_json::from_slice::<Snapshot>(&document).ok());
            match snapshot.and_then(|snapshot| metrics::text(&snapshot)) {
                Some(text) => content(metrics::CONTENT_TYPE, text.into_bytes()),
                None => busy("the service ends\n"),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "there is /, /status.json and /metrics\n"),
    }
}

/// Whether the one `Host` is an address or localhost: a name of somebody else's that leads here (DNS rebinding) is none.
fn is_ours(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let is_address = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
    let bare = host.rsplit_once(':').map_or(host, |(name, _)| name);
    is_address || host.starts_with('[') && host.ends_with(']') || bare.eq_ignore_ascii_case("localhost")
}

fn text(status: StatusCode, text: &'static str) -> Response<Reply> {
    response(status, "text/plain; charset=utf-8", Reply::Whole(Some(Bytes::from_static(text.as_bytes()))))
}

fn busy(message: &'static str) -> Response<Reply> {
    let mut busy = text(StatusCode::SERVICE_UNAVAILABLE, message);
    busy.headers_mut().insert("retry-after", HeaderValue::from_static("10"));
    busy
}

fn content(kind: &'static str, bytes: impl Into<Bytes>) -> Response<Reply> {
    response(StatusCode::OK, kind, Reply::Whole(Some(bytes.into())))
}

fn response(status: StatusCode, kind: &'static str, reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    *response.status_mut() = status;
    for (name, value) in [
        ("content-type", kind),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_names_of_this_machine() {
        let is_ours = |hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            super::is_ours(&headers)
        };
        for host in ["127.0.0.1:8970", "localhost", "localhost:8970", "192.0.2.7", "[::1]:8970", "[::1]"] {
            assert!(is_ours(&[host]), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8970", "localhost.evil.example", "", "127.0.0.1.evil.example"]
        {
            assert!(!is_ours(&[host]), "{host}");
        }
        assert!(!is_ours(&[]) && !is_ours(&["localhost", "evil.example"]));
    }

    #[test]
    fn the_page_is_small_and_loads_nothing_from_elsewhere() {
        assert!(PAGE.len() + SCRIPT.len() + STYLE.len() < 100_000);
        for text in [PAGE, SCRIPT, STYLE] {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !outside.contains("http:") && !outside.contains("https:") && !outside.contains("innerHTML")
            );
        }
        // The policy would stop them.
        assert!(!PAGE.contains("<style") && !PAGE.contains(" style=") && !PAGE.contains("onclick"));
    }
}
