//! Answers as they are written.

use super::refusal::Refusal;
use super::request::NAMES;
use super::request::Request;
use super::request::VERSION;
use super::request::What;
use serde_json::Value;
use serde_json::json;

/// The line that answers a request; the driver gives what it alone knows.
pub(in crate::daemon) fn answer(
    request: Request,
    given: impl FnOnce(What) -> Result<Value, Refusal>,
) -> Vec<u8> {
    let given = match request.what {
        What::Version => {
            Ok(json!({"program": env!("CARGO_PKG_VERSION"), "protocol": VERSION, "requests": NAMES}))
        }
        what @ (What::Status | What::Devices(_) | What::Order(_) | What::Verb(..)) => given(what),
    };
    line(request.id, given)
}

/// An answer as it is written.
pub(super) fn line(id: Option<Value>, given: Result<Value, Refusal>) -> Vec<u8> {
    let mut answer = json!({"v": VERSION});
    if let Some(id) = id {
        answer["id"] = id;
    }
    match given {
        Ok(given) => answer["ok"] = given,
        Err(Refusal { code, message }) => answer["error"] = json!({"code": code, "message": message}),
    }
    let mut line = answer.to_string().into_bytes();
    line.push(b'\n');
    line
}
