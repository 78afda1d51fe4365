//! Requests about the devices of a group.

use super::refusal::Refusal;
use super::request::DevicesRequest;
use crate::json::shown_text;
use serde_json::Value;

/// Answers a request about the devices of one of `groups`.
///
/// # Errors
/// There is no such group, or nobody sets its devices up.
pub(in crate::daemon) fn devices(groups: &[String], request: &DevicesRequest) -> Result<Value, Refusal> {
    let group = &request.group;
    if !groups.contains(group) {
        let why = format!("{} is no [[group]]: there are {}", shown_text(group), groups.join(", "));
        return Err(Refusal::new("unknown-group", why));
    }
    let why = format!("group {group} has no lns: write lns and devices-file in its [[group]]");
    Err(Refusal::new("no-lns", why))
}
