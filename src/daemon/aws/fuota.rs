//! One look at a FUOTA task of AWS IoT Wireless.

use serde_json::Value;

use super::caller::Caller;
use super::error::AwsError;
use super::groups::Audience;
use super::groups::audience;
use super::operation::Call;
use super::operation::GET_FUOTA_TASK;
use super::poll_result::PollResult;
use super::settings::Settings;
use crate::cloud::FuotaTaskJson;
use crate::cloud::FuotadJson;
use crate::cloud::status_from_aws;
use crate::cloud::status_to_aws;
use crate::task::TaskStatus;

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
        caller: &Caller,
        settings: &Settings,
        id: &str,
    ) -> Result<PollResult, AwsError> {
        let answer = match caller.json(Call::of(&GET_FUOTA_TASK, id)).await {
            Ok(answer) => answer,
            Err(AwsError::NotFound { .. }) => return Ok(PollResult::NotFound),
            Err(error) => return Err(error),
        };
        let is_over = answer["Status"].as_str() == Some(status_to_aws(&TaskStatus::Deleting));
        let mut json = match FuotaTaskJson::from_tree(&answer) {
            Ok(json) => json,
            Err(error) => return Ok(PollResult::Refused { reason: error.to_string(), is_over }),
        };
        // What an answer without an id is about is known: it was asked for by id.
        if json.id.get_or_insert_with(|| id.to_owned()) != id {
            return Err(AwsError::Unreadable {
                action: GET_FUOTA_TASK.action,
                why: "it is about another task",
            });
        }
        let status = json.status.as_deref().map(status_from_aws).unwrap_or_default();
        let mut fuotad = settings.overlays.get(id).cloned().unwrap_or_default();
        // What the gateway adds is the gateway's, whatever an answer holds under the same names.
        json.cloud = None;
        json.ota_update = None;
        if !is_over {
            match self.audience(caller, settings, &status, id).await? {
                Audience::Ours(groups, cloud) => {
                    fuotad.multicast_groups = Some(groups);
                    json.cloud = Some(cloud).filter(|cloud| *cloud != Value::Null);
                }
                Audience::Unnamed if self.is_discovered => {
                    let reason = "it has no multicast group: whom it is for is not said; name it in \
                                  aws.fuota-tasks or give it a group"
                        .to_owned();
                    return Ok(PollResult::Refused { reason, is_over });
                }
                Audience::Unnamed => {}
                Audience::Refused(reason) => return Ok(PollResult::Refused { reason, is_over }),
            }
        }
        json.fuotad = (fuotad != FuotadJson::default()).then_some(fuotad);
        Ok(PollResult::of(json, status_to_aws(&status).to_owned(), is_over))
    }

    /// The groups can change while a task is `Pending` only.
    async fn audience(
        &mut self,
        caller: &Caller,
        settings: &Settings,
        status: &TaskStatus,
        id: &str,
    ) -> Result<Audience, AwsError> {
        if let Some((asked_at, audience)) = &self.audience
            && asked_at == status
            && *status != TaskStatus::Pending
            && !matches!(audience, Audience::Refused(_))
        {
            return Ok(audience.clone());
        }
        let audience = audience(caller, settings, id).await?;
        self.audience = Some((status.clone(), audience.clone()));
        Ok(audience)
    }
}
