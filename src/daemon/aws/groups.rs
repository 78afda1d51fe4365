//! Which of our groups a cloud task is for.

use std::collections::BTreeSet;

use aws_sdk_iotwireless::Client;

use super::Settings;
use super::trouble::Trouble;

/// A task has few groups; an endless list is a fault of the other side.
const MAX_PAGES: usize = 16;

const LIST: &str = "iotwireless:ListMulticastGroupsByFuotaTask";
const GET: &str = "iotwireless:GetMulticastGroup";

/// What AWS's groups of a task mean here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// These groups of ours.
    Ours(Vec<String>),
    /// AWS names none: the configuration decides.
    Unnamed,
    /// It is not for this gateway, or not for it alone: the reason, with the way out.
    Refused(String),
}

/// Asks AWS for the groups of task `id`. Where the configuration names the groups itself, only the gateways
/// that take part are looked at, and a policy that does not allow the look is respected.
pub(super) async fn audience(client: &Client, settings: &Settings, id: &str) -> Result<Audience, Trouble> {
    let overlay = settings.overlays.get(id).and_then(|overlay| overlay.multicast_groups.clone());
    match (from_aws(client, settings, id, overlay.is_some()).await, overlay) {
        (Err(Trouble::Denied { .. }), Some(groups)) => Ok(Audience::Ours(groups)),
        (Ok(Audience::Refused(reason)), _) => Ok(Audience::Refused(reason)),
        (Ok(_), Some(groups)) => Ok(Audience::Ours(groups)),
        (audience, _) => audience,
    }
}

async fn from_aws(
    client: &Client,
    settings: &Settings,
    id: &str,
    is_named_here: bool,
) -> Result<Audience, Trouble> {
    let theirs = list(client, id).await?;
    let mut ours = BTreeSet::new();
    for theirs in &theirs {
        let name = settings.groups.get(theirs);
        if name.is_none() && !is_named_here {
            continue;
        }
        let gateways = participating(client, theirs).await?;
        if gateways > 1 {
            return Ok(Audience::Refused(format!(
                "multicast group {theirs} has {gateways} participating gateways: each would send the same \
                 frames over the other's; leave one in ParticipatingGateways"
            )));
        }
        ours.extend(name.cloned());
    }
    if theirs.is_empty() {
        return Ok(Audience::Unnamed);
    }
    if ours.is_empty() && !is_named_here {
        return Ok(Audience::Refused(format!(
            "none of its multicast groups is one of ours: set aws-multicast-group of a [[group]] to {}, or \
             multicast-groups of its [[aws.task]]",
            theirs.into_iter().collect::<Vec<_>>().join(" or ")
        )));
    }
    Ok(Audience::Ours(ours.into_iter().collect()))
}

async fn list(client: &Client, id: &str) -> Result<BTreeSet<String>, Trouble> {
    let mut ids = BTreeSet::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let call = client.list_multicast_groups_by_fuota_task().id(id).set_next_token(token.clone());
        let page = call.send().await.map_err(|error| not_about_the_task(Trouble::of(LIST, &error)))?;
        ids.extend(page.multicast_group_list().iter().filter_map(|group| group.id().map(str::to_owned)));
        match page.next_token().filter(|next| !next.is_empty()) {
            None => return Ok(ids),
            Some(next) if token.as_deref() == Some(next) => break,
            Some(next) => token = Some(next.to_owned()),
        }
    }
    Err(Trouble::Unreadable { action: LIST, why: "its pages do not end" })
}

async fn participating(client: &Client, group: &str) -> Result<usize, Trouble> {
    let call = client.get_multicast_group().id(group);
    let group = call.send().await.map_err(|error| not_about_the_task(Trouble::of(GET, &error)))?;
    let gateways = group.lo_ra_wan().and_then(|lorawan| lorawan.participating_gateways());
    Ok(gateways.map_or(0, |gateways| gateways.gateway_list().len()))
}

/// A missing list or group is no missing task.
fn not_about_the_task(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::NotFound { action } => {
            Trouble::Refused { action, status: 404, code: "not found".to_owned() }
        }
        other => other,
    }
}
