//! One look at an OTA update of AWS IoT, and at what its files lie in and are signed by.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use super::caller::Caller;
use super::error::AwsError;
use super::error::printable;
use super::operation::Call;
use super::operation::DESCRIBE_SIGNING_JOB;
use super::operation::DESCRIBE_STREAM;
use super::operation::GET_JOB_DOCUMENT;
use super::operation::GET_OTA_UPDATE;
use super::poll_result::PollResult;
use super::settings::Settings;
use crate::cloud::FuotaTaskJson;
use crate::cloud::FuotadJson;
use crate::cloud::OtaFile;
use crate::cloud::OtaStatus;
use crate::cloud::OtaUpdate;
use crate::cloud::SigningJob;
use crate::cloud::Stream;

/// An update that is being created for so long will not be any more.
const CREATE_WITHIN: Duration = Duration::from_secs(3600);

/// What is remembered of an OTA update from look to look.
#[derive(Debug, Default)]
pub(super) struct Ota {
    creating_since: Option<Instant>,
    /// An answer, and what was learned around it.
    around: Option<(Value, Value)>,
}

impl Ota {
    pub(super) async fn look(
        &mut self,
        caller: &Caller,
        settings: &Settings,
        id: &str,
    ) -> Result<PollResult, AwsError> {
        let mut answer = match caller.json(Call::of(&GET_OTA_UPDATE, id)).await {
            Ok(answer) => answer,
            Err(AwsError::NotFound { .. }) => return Ok(PollResult::NotFound),
            Err(error) => return Err(error),
        };
        let mut info = answer["otaUpdateInfo"].take();
        if !info.is_object() {
            return Err(AwsError::Unreadable {
                action: GET_OTA_UPDATE.action,
                why: "it has no otaUpdateInfo",
            });
        }
        let refused = |reason: String| Ok(PollResult::Refused { reason, is_over: false });
        let update = match OtaUpdate::read(&info) {
            Ok(update) => update,
            Err(error) => return refused(error.to_string()),
        };
        if update.ota_update_id.as_deref().is_some_and(|theirs| theirs != id) {
            return Err(AwsError::Unreadable {
                action: GET_OTA_UPDATE.action,
                why: "it is about another update",
            });
        }
        // What an answer without an id is about is known: it was asked for by id.
        info["otaUpdateId"] = json!(id);
        let status = OtaStatus::from_aws(update.ota_update_status.as_deref());
        if !matches!(status, OtaStatus::CreatePending | OtaStatus::CreateInProgress) {
            self.creating_since = None;
        }
        match status {
            OtaStatus::CreateComplete => {}
            OtaStatus::CreatePending | OtaStatus::CreateInProgress => return Ok(self.creating(&status)),
            // Whoever reads the document says why.
            OtaStatus::CreateFailed => {
                let json = FuotaTaskJson { ota_update: Some(info), ..FuotaTaskJson::default() };
                return Ok(PollResult::of(json, status.to_string(), false));
            }
            OtaStatus::DeleteInProgress | OtaStatus::DeleteFailed => {
                return Ok(PollResult::Withdrawn(status.to_string()));
            }
            OtaStatus::Missing | OtaStatus::Unknown(_) => {
                return refused(format!(
                    "otaUpdateStatus: {status}: unknown to this version, it does not begin"
                ));
            }
        }
        let fuotad = settings.ota.get(id).map(|ota| ota.members.clone()).unwrap_or_default();
        let choice = fuotad.file.clone().unwrap_or_default();
        let file = match update.chosen(&choice) {
            Ok((_, file)) => file,
            Err(error) => return refused(error.to_string()),
        };
        let cloud = match &self.around {
            Some((of, cloud)) if *of == info => cloud.clone(),
            _ => match around(caller, &update, file).await? {
                Around::Known(cloud) => {
                    self.around = Some((info.clone(), cloud.clone()));
                    cloud
                }
                Around::Refused(reason) => return refused(reason),
                Around::Waiting(why) => return Ok(PollResult::Waiting(why)),
            },
        };
        let json = FuotaTaskJson {
            ota_update: Some(info),
            cloud: cloud.as_object().is_some_and(|facts| !facts.is_empty()).then_some(cloud),
            fuotad: (fuotad != FuotadJson::default()).then_some(fuotad),
            ..FuotaTaskJson::default()
        };
        Ok(PollResult::of(json, status.to_string(), false))
    }

    fn creating(&mut self, status: &OtaStatus) -> PollResult {
        let since = *self.creating_since.get_or_insert_with(Instant::now);
        let minutes = CREATE_WITHIN.as_secs() / 60;
        PollResult::Waiting(if since.elapsed() < CREATE_WITHIN {
            format!("{status}: AWS is still making it")
        } else {
            format!(
                "{status} for more than {minutes} minutes; see the update's errorInfo and its IoT job in AWS"
            )
        })
    }
}

/// What was learned around an update.
enum Around {
    /// The member `Cloud` of its document.
    Known(Value),
    /// It cannot be carried out: one line with the way out.
    Refused(String),
    /// It is still being made at AWS; the text says what is missing.
    Waiting(String),
}

async fn around(caller: &Caller, update: &OtaUpdate, file: &OtaFile) -> Result<Around, AwsError> {
    let mut cloud = json!({});
    if let Some((stream, _)) = file.stream() {
        match describe_stream(caller, stream).await {
            Ok(Ok(answer)) => cloud["Stream"] = answer,
            Ok(Err(reason)) => return Ok(Around::Refused(reason)),
            Err(error @ (AwsError::NotFound { .. } | AwsError::Denied { .. })) => {
                return Ok(Around::Refused(format!("stream {}: {error}", printable(stream))));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(job) = file.signer_job() {
        match describe_signing_job(caller, job).await {
            Ok((answer, job)) => {
                match job.status.as_deref() {
                    Some("InProgress") => {
                        return Ok(Around::Waiting(
                            "CREATE_COMPLETE, and its signing job is InProgress".to_owned(),
                        ));
                    }
                    Some("Failed") => {
                        let why = printable(job.status_reason.as_deref().unwrap_or_default());
                        return Ok(Around::Refused(format!("its signing job failed ({why}); sign it anew")));
                    }
                    _ => {}
                }
                cloud["SigningJob"] = answer;
            }
            // Where the file lies is said already; whether its signature can be verified is asked later.
            Err(Looked::Aws(error)) if is_small(&error) && file.file_location.is_some() => {
                tracing::debug!("{error}; the signing job is not known");
            }
            Err(Looked::Aws(error)) if is_small(&error) => {
                return Ok(Around::Refused(error.to_string()));
            }
            Err(Looked::Aws(error)) => return Err(error),
            Err(Looked::Refused(reason)) => return Ok(Around::Refused(reason)),
        }
    }
    // The job document is the simplest carrier of a signature, and needs no more than a look.
    let is_signed = file.code_signing.is_some();
    if let Some(job) = update.aws_iot_job_id.as_deref().filter(|job| is_signed && !job.is_empty()) {
        match job_document(caller, job).await {
            Ok(document) => cloud["JobDocument"] = document,
            Err(error) if is_small(&error) => {
                tracing::debug!("{error}; the job document is not known");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Around::Known(cloud))
}

/// An error that only says that this one thing is not to be had.
fn is_small(error: &AwsError) -> bool {
    !error.is_general()
}

async fn describe_stream(caller: &Caller, id: &str) -> Result<Result<Value, String>, AwsError> {
    let mut answer = caller.json(Call::of(&DESCRIBE_STREAM, id)).await?;
    let info = answer["streamInfo"].take();
    if !info.is_object() {
        return Err(AwsError::Unreadable { action: DESCRIBE_STREAM.action, why: "it has no streamInfo" });
    }
    Ok(Stream::read(&info).map(|_| info).map_err(|error| error.to_string()))
}

enum Looked {
    Aws(AwsError),
    Refused(String),
}

async fn describe_signing_job(caller: &Caller, id: &str) -> Result<(Value, SigningJob), Looked> {
    let answer = caller.json(Call::of(&DESCRIBE_SIGNING_JOB, id)).await.map_err(Looked::Aws)?;
    match SigningJob::read(&answer) {
        Ok(job) => Ok((answer, job)),
        Err(error) => Err(Looked::Refused(error.to_string())),
    }
}

async fn job_document(caller: &Caller, id: &str) -> Result<Value, AwsError> {
    let mut answer = caller.json(Call::of(&GET_JOB_DOCUMENT, id)).await?;
    let document = answer["document"].take();
    if document.is_string() || document.is_null() {
        return Ok(document);
    }
    Err(AwsError::Malformed { action: GET_JOB_DOCUMENT.action, why: "document: it is no string".to_owned() })
}
