//! What AWS says around an order: its multicast groups and their sessions, this gateway's own entry, a stream,
//! a job document, a signing job. Kept with the task as it was answered (member `Cloud` of its document); the
//! types here are for reading it. No member is required, as in the services' models, and no range is enforced:
//! the service is known to answer outside its own ranges.

#![expect(missing_docs, reason = "the names are the service's own; docs/aws-fields.md says what each does")]

use serde::Deserialize;
use serde_json::Value;

use super::members::CLOUD;
use super::moment::Moment;
use super::reader::UnknownMember;
use super::reader::read_at;
use crate::task::AnnouncedChannel;
use crate::task::AnnouncedGroup;
use crate::task::AnnouncedSession;
use crate::task::TaskError;

/// The member `Cloud` of a task document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CloudFacts {
    /// The multicast groups of a FUOTA task that are ours.
    pub multicast_groups: Option<Vec<MulticastGroup>>,
    /// This gateway as AWS knows it.
    pub gateway: Option<WirelessGateway>,
    /// The stream as DescribeStream answered.
    pub stream: Option<Stream>,
    /// What GetJobDocument answered: JSON in a text.
    pub job_document: Option<String>,
    /// The job as DescribeSigningJob answered.
    pub signing_job: Option<SigningJob>,
}

/// GetMulticastGroup, with its session, and the name of the group of ours that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MulticastGroup {
    /// Ours: the name of the `[[group]]`.
    pub group: Option<String>,
    /// Ours: what GetMulticastGroupSession answered; absent without a session.
    pub session: Option<MulticastSession>,
    pub arn: Option<String>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: Option<String>,
    pub created_at: Option<Moment>,
    #[serde(rename = "LoRaWAN")]
    pub lorawan: Option<MulticastLoRaWan>,
}

/// The member `LoRaWAN` of GetMulticastGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MulticastLoRaWan {
    pub rf_region: Option<String>,
    pub dl_class: Option<String>,
    pub number_of_devices_requested: Option<i64>,
    pub number_of_devices_in_group: Option<i64>,
    pub participating_gateways: Option<ParticipatingGateways>,
    pub default_session_parameters: Option<SessionParameters>,
}

/// The member `ParticipatingGateways` of GetMulticastGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ParticipatingGateways {
    pub gateway_list: Option<Vec<String>>,
    /// Milliseconds from gateway to gateway.
    pub transmission_interval: Option<i64>,
}

/// The member `DefaultSessionParameters` of GetMulticastGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SessionParameters {
    pub dl_dr: Option<i64>,
    /// The downlink's centre frequency, Hz.
    pub dl_freq: Option<i64>,
}

/// The session as GetMulticastGroupSession answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MulticastSession {
    /// The session's channel, start and length.
    #[serde(rename = "LoRaWAN")]
    pub lorawan: Option<SessionLoRaWan>,
}

/// The member `LoRaWAN` of GetMulticastGroupSession.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SessionLoRaWan {
    pub dl_dr: Option<i64>,
    /// The downlink's centre frequency, Hz.
    pub dl_freq: Option<i64>,
    pub session_start_time: Option<Moment>,
    /// Seconds; a length that is no power of two stands for the next one.
    pub session_timeout: Option<i64>,
    /// The ping slots' period, of class B only.
    pub ping_slot_period: Option<i64>,
}

/// The gateway as GetWirelessGateway answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WirelessGateway {
    pub arn: Option<String>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub thing_name: Option<String>,
    pub thing_arn: Option<String>,
    #[serde(rename = "LoRaWAN")]
    pub lorawan: Option<Value>,
}

/// The member `streamInfo` of DescribeStream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stream {
    pub stream_id: Option<String>,
    pub stream_arn: Option<String>,
    pub stream_version: Option<i64>,
    pub description: Option<String>,
    pub files: Option<Vec<StreamFile>>,
    pub created_at: Option<Moment>,
    pub last_updated_at: Option<Moment>,
    pub role_arn: Option<String>,
}

/// One of the `files` of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamFile {
    pub file_id: Option<i64>,
    pub s3_location: Option<S3Location>,
}

/// `s3Location` of an OTA update's file and of a stream's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3Location {
    pub bucket: Option<String>,
    pub key: Option<String>,
    /// The VersionId of the object.
    pub version: Option<String>,
}

/// DescribeSigningJob, as far as it decides anything; the rest stays in the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SigningJob {
    pub job_id: Option<String>,
    pub source: Option<Value>,
    pub signing_material: Option<Value>,
    pub platform_id: Option<String>,
    pub platform_display_name: Option<String>,
    pub profile_name: Option<String>,
    pub profile_version: Option<String>,
    pub overrides: Option<Value>,
    pub signing_parameters: Option<Value>,
    pub created_at: Option<Moment>,
    pub completed_at: Option<Moment>,
    pub signature_expires_at: Option<Moment>,
    pub requested_by: Option<String>,
    /// `InProgress`, `Failed` or `Succeeded`.
    pub status: Option<String>,
    pub status_reason: Option<String>,
    pub revocation_record: Option<Value>,
    pub signed_object: Option<SignedObject>,
    pub job_owner: Option<String>,
    pub job_invoker: Option<String>,
}

/// `signedObject` of a signing job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignedObject {
    pub s3: Option<SignedS3>,
}

/// Where the signed object lies: without a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignedS3 {
    pub bucket_name: Option<String>,
    pub key: Option<String>,
}

impl CloudFacts {
    /// What is announced of the groups that are ours.
    pub(super) fn announced(&self) -> Vec<AnnouncedGroup> {
        self.multicast_groups.iter().flatten().filter_map(MulticastGroup::announced).collect()
    }

    /// The facts in the member `Cloud` of a document; the paths of unknown members are added to `unknown`.
    pub(super) fn read(value: &Value, unknown: &mut Vec<UnknownMember>) -> Result<CloudFacts, TaskError> {
        read_at(value, CLOUD, unknown)
    }
}

impl MulticastGroup {
    /// What it announces, if it is one of ours.
    fn announced(&self) -> Option<AnnouncedGroup> {
        let lorawan = self.lorawan.as_ref();
        let defaults = lorawan.and_then(|lorawan| lorawan.default_session_parameters.as_ref());
        let session = self.session.as_ref().and_then(|session| session.lorawan.as_ref());
        let channel = |data_rate, frequency_hz| AnnouncedChannel { frequency_hz, data_rate };
        Some(AnnouncedGroup {
            group: self.group.clone()?,
            class: lorawan.and_then(|lorawan| lorawan.dl_class.clone()),
            defaults: defaults.map(|defaults| channel(defaults.dl_dr, defaults.dl_freq)),
            session: session.map(|session| AnnouncedSession {
                channel: channel(session.dl_dr, session.dl_freq),
                start: session.session_start_time.map(|moment| moment.0),
                timeout_s: session.session_timeout,
                ping_slot_period: session.ping_slot_period,
            }),
        })
    }

    /// Reads the answer of GetMulticastGroup.
    ///
    /// # Errors
    /// [`TaskError::Shape`] with the member of the wrong type.
    pub fn read(value: &Value) -> Result<MulticastGroup, TaskError> {
        read_at(value, "GetMulticastGroup", &mut Vec::new())
    }

    /// The ids of the gateways that take part, in order; none: AWS chooses.
    pub fn gateways(&self) -> &[String] {
        let participating = self.lorawan.as_ref().and_then(|lorawan| lorawan.participating_gateways.as_ref());
        participating.and_then(|gateways| gateways.gateway_list.as_deref()).unwrap_or_default()
    }
}

impl MulticastSession {
    /// Reads the answer of GetMulticastGroupSession.
    ///
    /// # Errors
    /// [`TaskError::Shape`] with the member of the wrong type.
    pub fn read(value: &Value) -> Result<MulticastSession, TaskError> {
        read_at(value, "GetMulticastGroupSession", &mut Vec::new())
    }
}

impl WirelessGateway {
    /// Reads the answer of GetWirelessGateway.
    ///
    /// # Errors
    /// [`TaskError::Shape`] with the member of the wrong type.
    pub fn read(value: &Value) -> Result<WirelessGateway, TaskError> {
        read_at(value, "GetWirelessGateway", &mut Vec::new())
    }
}

impl Stream {
    /// Reads `streamInfo` from DescribeStream's answer.
    ///
    /// # Errors
    /// [`TaskError::Shape`] with the member of the wrong type.
    pub fn read(value: &Value) -> Result<Stream, TaskError> {
        read_at(value, "streamInfo", &mut Vec::new())
    }

    /// Where its file `id` lies.
    pub fn location(&self, id: i64) -> Option<&S3Location> {
        let file = self.files.iter().flatten().find(|file| file.file_id == Some(id))?;
        file.s3_location.as_ref()
    }
}

impl SigningJob {
    /// Reads the answer of DescribeSigningJob.
    ///
    /// # Errors
    /// [`TaskError::Shape`] with the member of the wrong type.
    pub fn read(value: &Value) -> Result<SigningJob, TaskError> {
        read_at(value, "DescribeSigningJob", &mut Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_group_of_any_kind_of_emptiness_names_no_gateway() {
        for group in [
            json!({}),
            json!({"LoRaWAN": null}),
            json!({"LoRaWAN": {}}),
            json!({"LoRaWAN": {"ParticipatingGateways": {}}}),
            json!({"LoRaWAN": {"ParticipatingGateways": {"GatewayList": null}}}),
            json!({"LoRaWAN": {"ParticipatingGateways": {"GatewayList": []}}}),
        ] {
            assert_eq!(MulticastGroup::read(&group).unwrap().gateways(), [""; 0], "{group}");
        }
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named() {
        let group = json!({"LoRaWAN": {"ParticipatingGateways": {"GatewayList": "gw"}}});
        let message = MulticastGroup::read(&group).unwrap_err().to_string();
        assert!(message.starts_with("GetMulticastGroup.LoRaWAN.ParticipatingGateways.GatewayList: "));
        let session = json!({"LoRaWAN": {"DlFreq": "869.525"}});
        let message = MulticastSession::read(&session).unwrap_err().to_string();
        assert!(message.starts_with("GetMulticastGroupSession.LoRaWAN.DlFreq: "), "{message}");
    }
}
