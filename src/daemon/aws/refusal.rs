//! The error in an answer: its code by header (REST-JSON), by body (JSON, XML), or none.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::Value;

/// More of a body than this is no error that a service makes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Why a call brought no answer of the kind that was asked for.
pub(super) type CallError = SdkError<Refusal, HttpResponse>;

/// A service's refusal. Its message may repeat the request: it is looked at, never shown.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused")]
pub(super) struct Refusal(ErrorMetadata);

impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusal")
    }
}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Refusal {
    /// What `response` says. A body that is neither JSON nor XML of AWS says nothing.
    pub(super) fn of(response: &HttpResponse) -> Refusal {
        let body = response.body().bytes().filter(|body| body.len() <= MAX_BODY_BYTES).unwrap_or_default();
        let text = str::from_utf8(body).unwrap_or_default();
        let json: Value = serde_json::from_str(text).unwrap_or_default();
        let in_json = |names: &[&str]| names.iter().find_map(|name| json[name].as_str().map(str::to_owned));
        // The page of a proxy may have elements of any name.
        let xml = text.find("<Error>").map(|at| &text[at..]).unwrap_or_default();
        let code = response.headers().get("x-amzn-errortype").map(str::to_owned);
        let code = code.or_else(|| in_json(&["__type", "code", "Code"])).or_else(|| element(xml, "Code"));
        let message = in_json(&["message", "Message"]).or_else(|| element(xml, "Message"));
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code.as_deref().map(bare).filter(|code| !code.is_empty()) {
            meta = meta.code(code);
        }
        if let Some(message) = message {
            meta = meta.message(message);
        }
        Refusal(meta.build())
    }
}

/// `namespace#Code:http://…` is `Code`.
fn bare(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().trim()
}

/// The text of the first element `name` in `xml`, which AWS writes without attributes.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    fn code(header: Option<&'static str>, body: &str) -> String {
        let mut response =
            HttpResponse::new(StatusCode::try_from(403).unwrap(), SdkBody::from(body.to_owned()));
        if let Some(header) = header {
            response.headers_mut().insert("x-amzn-errortype", header);
        }
        Refusal::of(&response).code().unwrap_or("none").to_owned()
    }

    #[test]
    fn the_code_is_found_in_the_header_in_json_and_in_xml() {
        for (header, body, meant) in [
            (Some("Denied"), "{}", "Denied"),
            (Some("aws.iot#Denied:http://internal.amazon.com/coral/"), "{\"__type\":\"Other\"}", "Denied"),
            (None, "{\"__type\":\"com.amazonaws.iot#Denied\"}", "Denied"),
            (None, "{\"code\":\"Denied\",\"message\":\"m\"}", "Denied"),
            (None, "<?xml version=\"1.0\"?><Error><Code>Denied</Code></Error>", "Denied"),
            (
                None,
                "<ErrorResponse xmlns=\"x\"><Error><Type>S</Type><Code>Denied</Code></Error></ErrorResponse>",
                "Denied",
            ),
            (None, "<html><body><Code>Denied</Code></body></html>", "none"),
            (None, "<html><h1>502 Bad Gateway</h1></html>", "none"),
            (None, "{\"__type\":5,\"code\":null}", "none"),
            (None, "[]", "none"),
            (Some(""), "", "none"),
            (None, "", "none"),
        ] {
            assert_eq!(code(header, body), meant, "{header:?} {body}");
        }
    }

    #[test]
    fn an_element_is_text_without_its_entities() {
        assert_eq!(element("<a><B>x&amp;lt;&lt;y</B></a>", "B"), Some("x&lt;<y".to_owned()));
        assert_eq!(element("<B>x", "B"), None);
    }

    #[test]
    fn what_a_service_says_is_in_no_text_of_ours() {
        let body = SdkBody::from("{\"message\":\"CANARY\",\"code\":\"CANARY\"}");
        let refusal = Refusal::of(&HttpResponse::new(StatusCode::try_from(403).unwrap(), body));
        assert_eq!(format!("{refusal} {refusal:?}"), "refused Refusal");
    }
}
