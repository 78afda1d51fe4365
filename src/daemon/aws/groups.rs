//! Which of our groups a cloud task is for, and what AWS says of them.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::caller::Caller;
use super::error::AwsError;
use super::operation::Call;
use super::operation::GET_GATEWAY;
use super::operation::GET_GROUP;
use super::operation::GET_SESSION;
use super::pages::groups_of;
use super::settings::Settings;
use crate::cloud::MulticastGroup;
use crate::cloud::MulticastSession;
use crate::cloud::WirelessGateway;
use crate::task::TaskError;

/// What AWS's groups of a task mean here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// These groups of ours, and the member `Cloud` of the document.
    Ours(Vec<String>, Value),
    /// AWS names none: the configuration decides.
    Unnamed,
    /// It is not for this gateway, or not for it alone: the reason, with the way out.
    Refused(String),
}

/// Asks AWS for the groups of task `id`. Where the configuration names the groups itself, only the gateways
/// that take part are looked at, and a policy that does not allow the look is respected.
pub(super) async fn audience(caller: &Caller, settings: &Settings, id: &str) -> Result<Audience, AwsError> {
    let overlay = settings.overlays.get(id).and_then(|overlay| overlay.multicast_groups.clone());
    match (from_aws(caller, settings, id, overlay.as_deref()).await, overlay) {
        (Err(AwsError::Denied { .. }), Some(groups)) => Ok(Audience::Ours(groups, Value::Null)),
        (Ok(Audience::Refused(reason)), _) => Ok(Audience::Refused(reason)),
        (Ok(Audience::Ours(_, cloud)), Some(groups)) => Ok(Audience::Ours(groups, cloud)),
        (Ok(Audience::Unnamed), Some(groups)) => Ok(Audience::Ours(groups, Value::Null)),
        (audience, _) => audience,
    }
}

async fn from_aws(
    caller: &Caller,
    settings: &Settings,
    id: &str,
    named_here: Option<&[String]>,
) -> Result<Audience, AwsError> {
    let theirs = groups_of(caller, id).await?;
    let mut ours = BTreeSet::new();
    let mut cloud = json!({"MulticastGroups": []});
    for theirs in &theirs {
        // The only group that the configuration names is what AWS's group is here, whatever its id.
        let only = named_here.and_then(|names| if names.len() == 1 { names.first() } else { None });
        let name = settings.groups.get(theirs).or(only);
        if name.is_none() && named_here.is_none() {
            continue;
        }
        let (mut answer, group) = match group(caller, theirs).await? {
            Ok(read) => read,
            Err(error) => return Ok(Audience::Refused(format!("multicast group {theirs}: {error}"))),
        };
        match place(caller, settings, theirs, &group).await? {
            Place::Alone(entry) => {
                if let Some(entry) = entry {
                    cloud["Gateway"] = entry;
                }
            }
            Place::Refused(reason) => return Ok(Audience::Refused(reason)),
        }
        let Some(name) = name else { continue };
        match session(caller, theirs).await? {
            Ok(session) => {
                answer["Group"] = json!(name);
                answer["Session"] = session;
            }
            Err(error) => return Ok(Audience::Refused(format!("multicast group {theirs}: {error}"))),
        }
        if let Some(list) = cloud["MulticastGroups"].as_array_mut() {
            list.push(answer);
        }
        ours.insert(name.clone());
    }
    if theirs.is_empty() {
        return Ok(Audience::Unnamed);
    }
    if ours.is_empty() && named_here.is_none() {
        return Ok(Audience::Refused(format!(
            "none of its multicast groups is one of ours: set aws-multicast-group of a [[group]] to {}, or \
             multicast-groups of its [[aws.task]]",
            theirs.into_iter().collect::<Vec<_>>().join(" or ")
        )));
    }
    Ok(Audience::Ours(ours.into_iter().collect(), cloud))
}

/// AWS's group `id`: as answered and as read.
async fn group(caller: &Caller, id: &str) -> Result<Result<(Value, MulticastGroup), TaskError>, AwsError> {
    let answer = caller.json(Call::of(&GET_GROUP, id)).await.map_err(AwsError::not_the_task)?;
    Ok(MulticastGroup::read(&answer).map(|group| (answer, group)))
}

/// The session of AWS's group `id`; null without one, or where the policy does not allow the look.
async fn session(caller: &Caller, id: &str) -> Result<Result<Value, TaskError>, AwsError> {
    match caller.json(Call::of(&GET_SESSION, id)).await {
        Ok(answer) => Ok(MulticastSession::read(&answer).map(|_| answer)),
        Err(AwsError::NotFound { .. }) => Ok(Ok(Value::Null)),
        Err(error @ AwsError::Denied { .. }) => {
            tracing::debug!("{error}; the session of multicast group {id} is not compared with ours");
            Ok(Ok(Value::Null))
        }
        Err(error) => Err(error),
    }
}

/// Whether this gateway sends for a group, and nobody else.
enum Place {
    /// It does; its own entry, if it was asked for.
    Alone(Option<Value>),
    Refused(String),
}

async fn place(
    caller: &Caller,
    settings: &Settings,
    id: &str,
    group: &MulticastGroup,
) -> Result<Place, AwsError> {
    let gateways = group.gateways();
    if gateways.is_empty() {
        // AWS would choose by recent uplinks; nobody is named beside us.
        return Ok(Place::Alone(None));
    }
    let (me, entry) = match me(caller, settings).await? {
        Ok(me) => me,
        Err(reason) => {
            return Ok(Place::Refused(format!(
                "multicast group {id} names its participating gateways ({}), and whether this one is among them \
                 is not known: {reason}",
                printable(gateways)
            )));
        }
    };
    let Some(at) = gateways.iter().position(|gateway| *gateway == me) else {
        return Ok(Place::Refused(format!(
            "multicast group {id} names its participating gateways ({}), and this one, {me}, is not among \
             them: put it into ParticipatingGateways alone, or leave the list empty",
            printable(gateways)
        )));
    };
    if gateways.len() > 1 {
        let (number, count) = (at + 1, gateways.len());
        return Ok(Place::Refused(format!(
            "multicast group {id} has {count} participating gateways, this one is number {number}: each would \
             send the same frames over the other's; leave one in ParticipatingGateways"
        )));
    }
    Ok(Place::Alone(entry))
}

/// The id of this gateway in AWS, with its entry if AWS was asked; else why it is not known.
async fn me(
    caller: &Caller,
    settings: &Settings,
) -> Result<Result<(String, Option<Value>), String>, AwsError> {
    if let Some(id) = &settings.wireless_gateway {
        return Ok(Ok((id.clone(), None)));
    }
    let Some(eui) = &settings.gateway_eui else {
        return Ok(Err("set gateway.id to its EUI, or aws.wireless-gateway to its id in AWS".to_owned()));
    };
    let call = Call::of(&GET_GATEWAY, eui).with_query("identifierType", Some("GatewayEui"));
    match caller.json(call).await {
        Ok(answer) => Ok(match WirelessGateway::read(&answer) {
            Ok(WirelessGateway { id: Some(id), .. }) => Ok((id, Some(answer))),
            Ok(_) => Err(format!("{} answers without an Id; set aws.wireless-gateway", GET_GATEWAY.action)),
            Err(error) => Err(error.to_string()),
        }),
        Err(AwsError::NotFound { .. }) => {
            Ok(Err(format!("AWS knows no gateway with the EUI {eui}; correct gateway.id, or empty the list")))
        }
        Err(error @ AwsError::Denied { .. }) => Ok(Err(format!("{error}, or set aws.wireless-gateway"))),
        Err(error) => Err(error),
    }
}

fn printable(gateways: &[String]) -> String {
    const MAX_SHOWN: usize = 4;
    let named: Vec<String> = gateways
        .iter()
        .take(MAX_SHOWN)
        .map(|id| id.chars().filter(|c| !c.is_control()).take(64).collect())
        .collect();
    let more = if gateways.len() > MAX_SHOWN { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}
