//! `[aws]` and `[[aws.task]]`: which tasks come from the cloud, and what the cloud cannot say of them.

use super::credentials::IotCredentialsConfig;
use super::credentials::check_roles;
use super::error::ConfigError;
use super::error::Mistakes;
use super::group::GroupConfig;
use super::members::check_groups;
use super::members::check_members;
use super::ota::OtaConfig;
use super::signing::SigningConfig;
use crate::cloud::FuotaTaskJson;
use crate::cloud::FuotadJson;
use crate::task::TaskId;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// IoT Wireless allows about 10 calls a second in an account, and gateways share it.
const POLL_MIN_S: u64 = 30;
/// A stand-in on this machine is no AWS: nobody shares its calls, and a rehearsal need not take minutes.
const POLL_MIN_LOOPBACK_S: u64 = 1;
/// A day without a look is not polling any more.
const POLL_MAX_S: u64 = 86_400;
/// Tasks that one gateway looks at.
const TASKS_MAX: usize = 64;
/// The longest id of an OTA update (GetOTAUpdate, `otaUpdateId`).
const OTA_ID_MAX_CHARS: usize = 128;
/// Below this nothing is an image; above it, no device takes it.
const IMAGE_BYTES: std::ops::RangeInclusive<usize> = 1..=crate::image::MAX_IMAGE_BYTES;

/// `[aws]`: tasks of AWS IoT Wireless and OTA updates of AWS IoT.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AwsConfig {
    /// The AWS region, `eu-west-1`.
    pub region: String,
    /// The ids of FUOTA tasks.
    #[serde(default)]
    pub fuota_tasks: Vec<String>,
    /// All FUOTA tasks of the account that have a multicast group of ours.
    #[serde(default)]
    pub all: bool,
    /// The ids of OTA updates of AWS IoT.
    #[serde(default)]
    pub ota_updates: Vec<String>,
    /// Seconds between two looks at a task.
    #[serde(default = "one_minute_s")]
    pub poll_s: u64,
    /// The profile in the credentials file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A file in the form of `~/.aws/credentials`, instead of the environment and the usual files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// The credential provider of AWS IoT, instead of all other sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iot_credentials: Option<IotCredentialsConfig>,
    /// Roles that may be assumed where a task names one of them as its FirmwareUpdateRole.
    #[serde(default)]
    pub assume_roles: Vec<String>,
    /// This gateway's id in AWS IoT Wireless; default: asked for by `gateway.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wireless_gateway: Option<String>,
    /// Instead of AWS's endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The largest image that is downloaded.
    #[serde(default = "one_mebibyte")]
    pub max_image_bytes: usize,
    /// What AWS cannot say of a task.
    #[serde(default)]
    pub task: Vec<AwsTaskConfig>,
}

/// `[[aws.task]]`: the members of `Fuotad` for one cloud task.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AwsTaskConfig {
    /// The id of one of `fuota-tasks`.
    pub id: String,
    /// The names of the groups that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multicast_groups: Option<Vec<String>>,
    /// "at-once", or RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// "exact": FragmentIntervalMS is not rounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// What the image must hash to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whose signatures count for its image, instead of the group's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningConfig>,
    /// Each session lasts 2^n seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_timeout_exponent: Option<u8>,
    /// RFC 3339: by then the last frame is to be out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_by: Option<String>,
}

impl AwsConfig {
    /// Whether every value can be used.
    ///
    /// # Errors
    /// Every one that cannot.
    pub fn check(
        &self,
        groups: &[GroupConfig],
        ota: &BTreeMap<String, OtaConfig>,
    ) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        let is_region_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.region.is_empty() || self.region.len() > 32 || !self.region.chars().all(is_region_char) {
            let message = format!("{:?} is no AWS region like eu-west-1", self.region);
            mistakes.add(ConfigError::value("aws.region", message));
        }
        let is_rehearsal = self.endpoint_url.as_deref().is_some_and(is_on_this_machine);
        let min_s = if is_rehearsal { POLL_MIN_LOOPBACK_S } else { POLL_MIN_S };
        if !(min_s..=POLL_MAX_S).contains(&self.poll_s) {
            let message = format!("{} is outside {min_s} to {POLL_MAX_S}, in seconds", self.poll_s);
            mistakes.add(ConfigError::value("aws.poll-s", message));
        }
        if !IMAGE_BYTES.contains(&self.max_image_bytes) {
            let (min, max) = (IMAGE_BYTES.start(), IMAGE_BYTES.end());
            let message = format!("{} is outside {min} to {max}, in bytes", self.max_image_bytes);
            mistakes.add(ConfigError::value("aws.max-image-bytes", message));
        }
        if let Some(url) = &self.endpoint_url
            && !is_safe(url)
        {
            let message = format!(
                "{url:?} is not encrypted: use https://…; http://… only on this machine (127.0.0.1, [::1], localhost)"
            );
            mistakes.add(ConfigError::value("aws.endpoint-url", message));
        }
        mistakes.take(self.check_ids());
        mistakes.take(check_roles(&self.assume_roles));
        if let Some(iot) = &self.iot_credentials {
            mistakes.take(iot.check(self.profile.is_some() || self.credentials_file.is_some()));
        }
        let ids = (!self.all).then_some(self.fuota_tasks.as_slice());
        for task in &self.task {
            mistakes.take(task.check(ids, groups));
        }
        for (id, update) in ota {
            mistakes.take(update.check(id, &self.ota_updates, groups));
        }
        mistakes.take(by_their_id(groups));
        mistakes.or(Some(()))
    }

    /// The settings of the cloud side. [`AwsConfig::check`] comes first.
    ///
    /// # Errors
    /// A value that cannot be used.
    #[cfg(feature = "aws")]
    pub fn settings(
        &self,
        groups: &[GroupConfig],
        ota: &BTreeMap<String, OtaConfig>,
        gateway_eui: Option<&str>,
    ) -> Result<crate::daemon::aws::Settings, ConfigError> {
        self.check(groups, ota)?;
        let poll = std::time::Duration::from_secs(self.poll_s);
        let mut timeouts = crate::daemon::aws::Timeouts::default();
        // Only with a stand-in on this machine is a poll shorter than the first back-off.
        timeouts.poll_first = timeouts.poll_first.min(poll);
        let with_settings = |(id, update): (&String, &OtaConfig)| (id.clone(), update.settings());
        Ok(crate::daemon::aws::Settings {
            fuota_tasks: self.fuota_tasks.clone(),
            all: self.all,
            ota_updates: self.ota_updates.clone(),
            ota: ota.iter().map(with_settings).collect(),
            poll,
            iot_credentials: self.iot_credentials.as_ref().map(IotCredentialsConfig::settings),
            assume_roles: self.assume_roles.clone(),
            gateway_eui: gateway_eui.map(str::to_owned),
            wireless_gateway: self.wireless_gateway.clone(),
            profile: self.profile.clone(),
            credentials_file: self.credentials_file.clone(),
            endpoint_url: self.endpoint_url.clone(),
            overlays: self.task.iter().map(|task| (task.id.clone(), task.members())).collect(),
            groups: by_their_id(groups)?,
            max_image_bytes: self.max_image_bytes,
            images_dir: None,
            timeouts,
            ..crate::daemon::aws::Settings::new(&self.region, &[])
        })
    }

    fn check_ids(&self) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        let count = self.fuota_tasks.len() + self.ota_updates.len();
        if count > TASKS_MAX {
            let message = format!("{count} with aws.ota-updates are too many: at most {TASKS_MAX}");
            mistakes.add(ConfigError::value("aws.fuota-tasks", message));
        }
        let mut seen = BTreeSet::new();
        let keyed = |name: &'static str, ids: &[String]| {
            let keyed = |(index, id): (usize, &String)| (format!("aws.{name}[{index}]"), id.clone());
            ids.iter().enumerate().map(keyed).collect::<Vec<_>>()
        };
        let updates = keyed("ota-updates", &self.ota_updates);
        for (key, id) in &updates {
            // GetOTAUpdate's own pattern.
            let is_id_char = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if id.len() > OTA_ID_MAX_CHARS || !id.chars().all(is_id_char) {
                let message =
                    format!("{id:?} is no OTA update's id: 1 to {OTA_ID_MAX_CHARS} letters, digits, - and _");
                mistakes.add(ConfigError::value(key, message));
            }
        }
        for (key, id) in keyed("fuota-tasks", &self.fuota_tasks).into_iter().chain(updates) {
            mistakes.take(TaskId::new(&id).map_err(|error| ConfigError::value(&key, error)));
            if !seen.insert(id.clone()) {
                mistakes.add(ConfigError::value(key, format!("{id:?} stands there twice: leave one out")));
            }
        }
        mistakes.or(Some(()))
    }
}

impl AwsTaskConfig {
    /// `ids` are the tasks that are looked at; `None`: all of the account.
    fn check(&self, ids: Option<&[String]>, groups: &[GroupConfig]) -> Result<(), ConfigError> {
        let place = format!("aws.task {}", self.id);
        let mut mistakes = Mistakes::default();
        if ids.is_some_and(|ids| !ids.contains(&self.id)) {
            let message =
                format!("{:?} is not in aws.fuota-tasks, so nobody looks at it: write it there", self.id);
            mistakes.add(ConfigError::value(format!("{place}.id"), message));
        }
        mistakes.take(check_groups(&place, self.multicast_groups.as_deref().unwrap_or_default(), groups));
        let probe = FuotaTaskJson {
            id: Some(self.id.clone()),
            firmware_update_image: Some("s3://bucket/key".to_owned()),
            fuotad: Some(self.members()),
            ..FuotaTaskJson::default()
        };
        mistakes.take(check_members(&place, probe));
        mistakes.or(Some(()))
    }

    fn members(&self) -> FuotadJson {
        FuotadJson {
            multicast_groups: self.multicast_groups.clone(),
            start: self.start.clone(),
            interval: self.interval.clone(),
            sha256: self.sha256.clone(),
            session_timeout_exponent: self.session_timeout_exponent.map(i64::from),
            finish_by: self.finish_by.clone(),
            coded_from: None,
            devices: None,
            ..FuotadJson::default()
        }
    }
}

/// The names of our groups by AWS's ids of them.
fn by_their_id(groups: &[GroupConfig]) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut names = BTreeMap::new();
    for group in groups {
        let Some(id) = &group.aws_multicast_group else { continue };
        if let Some(other) = names.insert(id.clone(), group.name.clone()) {
            let message = format!("{id:?} is that of {other:?}, too: each group has an id of its own");
            return Err(ConfigError::value(format!("group {}.aws-multicast-group", group.name), message));
        }
    }
    Ok(names)
}

/// Signed requests go out encrypted, or do not leave the machine.
fn is_safe(url: &str) -> bool {
    let is_encrypted =
        url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.contains('@'));
    is_encrypted || is_on_this_machine(url)
}

/// Whether `url` is `http://` to a loopback address.
fn is_on_this_machine(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    // What stands before an @ is a user, not the host: http://127.0.0.1:x@example.com is far away.
    if rest.contains('@') {
        return false;
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_loopback = host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_loopback || matches!(host, "localhost" | "[::1]")
}

fn one_minute_s() -> u64 {
    60
}

fn one_mebibyte() -> usize {
    1024 * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Config;

    const GROUP: &str = "[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"k\"\n";

    fn checked(aws: &str) -> Result<AwsConfig, String> {
        let text = format!("[gateway]\nregion = \"EU868\"\n{GROUP}[aws]\nregion = \"eu-west-1\"\n{aws}");
        let config = Config::from_text(&text, &BTreeMap::new()).map_err(|error| error.to_string())?;
        let aws = config.aws.unwrap();
        aws.check(&config.group, &config.ota).map(|()| aws).map_err(|error| error.to_string())
    }

    #[test]
    fn a_region_and_an_id_are_enough() {
        let aws = checked("fuota-tasks = [\"t\"]").unwrap();
        assert_eq!((aws.poll_s, aws.max_image_bytes), (60, 1_048_576));
    }

    #[test]
    fn polling_faster_than_twice_a_minute_is_refused() {
        assert!(checked("poll-s = 29").unwrap_err().contains("aws.poll-s: 29 is outside 30 to 86400"));
        assert!(checked("poll-s = 30").is_ok());
    }

    #[test]
    fn a_stand_in_on_this_machine_may_be_asked_every_second() {
        let on = |url: &str, poll_s: u64| checked(&format!("endpoint-url = \"{url}\"\npoll-s = {poll_s}"));
        assert!(on("http://127.0.0.1:4566", 1).is_ok());
        assert!(on("http://127.0.0.1:4566", 0).unwrap_err().contains("0 is outside 1 to 86400"));
        assert!(on("https://127.0.0.1.example.com", 29).unwrap_err().contains("29 is outside 30 to 86400"));
        assert!(on("https://vpce-1.example", 29).unwrap_err().contains("29 is outside 30 to 86400"));
    }

    #[test]
    fn an_order_is_named_once_and_an_update_by_an_id_that_aws_could_give_it() {
        assert!(checked("ota-updates = [\"gw-ota_7\"]").is_ok());
        let error = checked("ota-updates = [\"gw ota\"]").unwrap_err();
        assert!(error.contains("aws.ota-updates[0]: \"gw ota\" is no OTA update's id"), "{error}");
        let error = checked("fuota-tasks = [\"t\"]\nota-updates = [\"u\", \"t\"]").unwrap_err();
        assert!(error.contains("aws.ota-updates[1]: \"t\" stands there twice"), "{error}");
    }

    #[test]
    fn with_all_tasks_of_the_account_any_of_them_may_have_an_overlay() {
        let over = "[[aws.task]]\nid = \"t\"\ninterval = \"exact\"";
        assert!(checked(&format!("all = true\n{over}")).is_ok());
        assert!(checked(over).is_err());
    }

    #[test]
    fn signed_requests_are_sent_in_the_clear_only_within_the_machine() {
        for good in
            ["https://vpce-1.example", "http://127.0.0.1:4566", "http://localhost", "http://[::1]:80/x"]
        {
            assert!(checked(&format!("endpoint-url = \"{good}\"")).is_ok(), "{good}");
        }
        let hidden = "http://127.0.0.1:x@example.com";
        for bad in
            ["http://example.com", "http://127.0.0.1.example.com", hidden, "example.com", "https://u:p@h", ""]
        {
            assert!(
                checked(&format!("endpoint-url = \"{bad}\"")).unwrap_err().contains("use https://"),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_laid_over_a_task_is_judged_like_a_task_file() {
        let over = |line: &str| checked(&format!("fuota-tasks = [\"t\"]\n[[aws.task]]\nid = \"t\"\n{line}"));
        let task = over("multicast-groups = [\"meters\"]\nstart = \"at-once\"").unwrap().task.remove(0);
        assert_eq!(task.members().multicast_groups, Some(vec!["meters".to_owned()]));
        assert!(over("start = \"soon\"").unwrap_err().contains("aws.task t.start is \"soon\""));
        assert!(
            over("session-timeout-exponent = 16")
                .unwrap_err()
                .contains("aws.task t.session-timeout-exponent is 16")
        );
        assert!(over("sha256 = \"beef\"").unwrap_err().contains("aws.task t.sha256 is \"beef\""));
        assert!(over("multicast-groups = [\"taps\"]").unwrap_err().contains("\"taps\" is no [[group]]"));
        assert!(over("id2 = 1").unwrap_err().contains("aws.task.id2 is no key of [aws.task]"));
        assert!(checked("[[aws.task]]\nid = \"u\"").unwrap_err().contains("not in aws.fuota-tasks"));
    }

    #[test]
    fn one_group_of_aws_is_at_most_one_of_ours() {
        let group = |name: &str, address: &str| {
            format!(
                "[[group]]\nname = \"{name}\"\nmc-addr = \"{address}\"\nmc-key-file = \"k\"\n\
                 aws-multicast-group = \"g\"\n"
            )
        };
        let groups = group("a", "01c0ffee") + &group("b", "01c0ffef");
        let text = format!("[gateway]\nregion = \"EU868\"\n{groups}");
        let config = Config::from_text(&text, &BTreeMap::new()).unwrap();
        let error = by_their_id(&config.group).unwrap_err().to_string();
        assert!(error.contains("group b.aws-multicast-group: \"g\" is that of \"a\""), "{error}");
    }

    #[cfg(feature = "aws")]
    #[test]
    fn the_settings_know_our_groups_by_the_ids_of_aws() {
        let text = format!(
            "[gateway]\nregion = \"EU868\"\n{GROUP}aws-multicast-group = \"g-1\"\n[aws]\nregion = \"eu-west-1\"\n\
             fuota-tasks = [\"t\"]\n[[aws.task]]\nid = \"t\"\ninterval = \"exact\"\n"
        );
        let config = Config::from_text(&text, &BTreeMap::new()).unwrap();
        let settings = config.aws.unwrap().settings(&config.group, &config.ota, None).unwrap();
        assert_eq!(settings.groups["g-1"], "meters");
        assert_eq!(settings.overlays["t"].interval.as_deref(), Some("exact"));
    }
}
