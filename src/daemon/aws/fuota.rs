//! One look at a FUOTA task of AWS IoT Wireless.

use aws_sdk_iotwireless::Client;
use serde_json::Value;

use super::groups::Audience;
use super::groups::audience;
use super::news::News;
use super::raw::Body;
use super::settings::Settings;
use super::trouble::Trouble;
use crate::cloud::FuotaTaskJson;
use crate::cloud::FuotadJson;
use crate::cloud::status_from_aws;
use crate::cloud::status_to_aws;
use crate::task::TaskStatus;

/// The action that reads a task.
pub(super) const GET: &str = "iotwireless:GetFuotaTask";

/// What is remembered of a FUOTA task from look to look.
#[derive(Debug, Default)]
pub(super) struct Fuota {
    /// Nobody named it: it was found in the account's list.
    pub(super) is_discovered: bool,
    audience: Option<(TaskStatus, Audience)>,
}

impl Fuota {
    /// A task that was found in the account's list.
    pub(super) fn discovered() -> Fuota {
        Fuota { is_discovered: true, audience: None }
    }

    pub(super) async fn look(
        &mut self,
        client: &Client,
        settings: &Settings,
        id: &str,
    ) -> Result<News, Trouble> {
        let body = Body::default();
        let sent = client.get_fuota_task().id(id).customize().interceptor(body.clone()).send().await;
        let answer = match body.answer(GET, sent) {
            Ok(answer) => answer,
            Err(Trouble::NotFound { .. }) => return Ok(News::NotFound),
            Err(trouble) => return Err(trouble),
        };
        let is_over = answer["Status"].as_str() == Some(status_to_aws(&TaskStatus::DeleteWaiting));
        let mut json = match FuotaTaskJson::from_tree(&answer) {
            Ok(json) => json,
            Err(error) => return Ok(News::Refused { reason: error.to_string(), is_over }),
        };
        // What an answer without an id is about is known: it was asked for by id.
        if json.id.get_or_insert_with(|| id.to_owned()) != id {
            return Err(Trouble::Unreadable { action: GET, why: "it is about another task" });
        }
        let status = json.status.as_deref().map(status_from_aws).unwrap_or_default();
        let mut fuotad = settings.overlays.get(id).cloned().unwrap_or_default();
        // What the gateway adds is the gateway's, whatever an answer holds under the same names.
        json.cloud = None;
        json.ota_update = None;
        if !is_over {
            match self.audience(client, settings, &status, id).await? {
                Audience::Ours(groups, cloud) => {
                    fuotad.multicast_groups = Some(groups);
                    json.cloud = Some(cloud).filter(|cloud| *cloud != Value::Null);
                }
                Audience::Unnamed if self.is_discovered => {
                    let reason = "it has no multicast group: whom it is for is not said; name it in \
                                  aws.fuota-tasks or give it a group"
                        .to_owned();
                    return Ok(News::Refused { reason, is_over });
                }
                Audience::Unnamed => {}
                Audience::Refused(reason) => return Ok(News::Refused { reason, is_over }),
            }
        }
        json.fuotad = (fuotad != FuotadJson::default()).then_some(fuotad);
        Ok(News::of(json, status_to_aws(&status).to_owned(), is_over))
    }

    /// The groups can change while a task is `Pending` only.
    async fn audience(
        &mut self,
        client: &Client,
        settings: &Settings,
        status: &TaskStatus,
        id: &str,
    ) -> Result<Audience, Trouble> {
        if let Some((asked_at, audience)) = &self.audience
            && asked_at == status
            && *status != TaskStatus::Pending
            && !matches!(audience, Audience::Refused(_))
        {
            return Ok(audience.clone());
        }
        let audience = audience(client, settings, id).await?;
        self.audience = Some((status.clone(), audience.clone()));
        Ok(audience)
    }
}
