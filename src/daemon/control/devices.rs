//! Requests about the devices of a group.

use super::refusal::Refusal;
use super::request::AboutDevices;
use super::request::DevicesRequest;
use crate::answers::Roll;
use crate::engine::Engine;
use crate::fleet::DeviceView;
use crate::fleet::Fleet;
use crate::json::shown_text;
use crate::lorawan::Eui64;
use crate::time::Now;
use serde_json::Value;
use serde_json::json;

/// Answers a request about the devices of one of `groups`.
///
/// # Errors
/// There is no such group or device, or nobody sets its devices up.
pub(in crate::daemon) fn devices(
    engine: &mut Engine,
    now: Now,
    groups: &[String],
    request: &DevicesRequest,
) -> Result<Value, Refusal> {
    let group = &request.group;
    if !groups.contains(group) {
        let why = format!("{} is no [[group]]: there are {}", shown_text(group), groups.join(", "));
        return Err(Refusal::new("unknown-group", why));
    }
    let unknown = |dev_eui: Eui64| {
        let why = format!(
            "{dev_eui} is none of the devices of group {group}: its devices file has no such dev-eui"
        );
        Refusal::new("unknown-device", why)
    };
    let begins_anew = match request.what {
        AboutDevices::Retry(dev_eui) => Some((dev_eui, false)),
        AboutDevices::Forget(dev_eui) => Some((dev_eui, true)),
        AboutDevices::List { .. } | AboutDevices::Show(_) | AboutDevices::Survey => None,
    };
    if let Some((dev_eui, is_forgotten)) = begins_anew
        && engine.fleet(group).is_some()
        && !engine.begin_anew(group, dev_eui, is_forgotten)
    {
        return Err(unknown(dev_eui));
    }
    if request.what == AboutDevices::Survey {
        engine.survey(group);
    }
    let Some(fleet) = engine.fleet(group) else {
        let why = format!("group {group} has no lns: write lns and devices-file in its [[group]]");
        return Err(Refusal::new("no-lns", why));
    };
    match request.what {
        AboutDevices::List { after, limit } => Ok(list(fleet, engine.answers(group), now, after, limit)),
        AboutDevices::Survey => Ok(json!({ "counts": fleet.readiness(now) })),
        AboutDevices::Show(dev_eui) | AboutDevices::Retry(dev_eui) | AboutDevices::Forget(dev_eui) => {
            let mut view = fleet.device(now, dev_eui).ok_or_else(|| unknown(dev_eui))?;
            view.result = engine.answers(group).and_then(|roll| roll.holding(dev_eui));
            Ok(json!(view))
        }
    }
}

/// A page of devices by ascending DevEUI, and where the next one begins.
fn list(fleet: &Fleet, roll: Option<&Roll>, now: Now, after: Option<Eui64>, limit: usize) -> Value {
    let mut page: Vec<DeviceView<'_>> = fleet.devices_after(now, after).take(limit + 1).collect();
    let has_more = page.len() > limit;
    page.truncate(limit);
    for view in &mut page {
        view.result = roll.and_then(|roll| roll.holding(view.dev_eui));
    }
    let mut answer = json!({ "devices": page, "counts": fleet.readiness(now) });
    if let Some(roll) = roll {
        answer["results"] = json!(roll.holdings());
    }
    if let Some(last) = page.last().filter(|_| has_more) {
        answer["next"] = json!(last.dev_eui.to_string());
    }
    answer
}
