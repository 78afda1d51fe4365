//! `[ota."ID"]`: what AWS IoT cannot say of an OTA update.

use super::error::ConfigError;
use super::error::Mistakes;
use super::group::GroupConfig;
use super::members::check_groups;
use super::members::check_members;
use super::signing::SigningConfig;
use crate::cloud::FuotaTaskJson;
use crate::cloud::FuotadJson;
use crate::cloud::OtaFileChoice;
use serde::Deserialize;
use serde::Serialize;

/// `[ota."ID"]`. All of it is optional: an update with one file, for the only group, begins at once.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OtaConfig {
    /// The file with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The file of this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_type: Option<u8>,
    /// The file at this place, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_index: Option<u8>,
    /// The name of the group that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multicast_groups: Option<Vec<String>>,
    /// "at-once", or RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Coded fragments in percent of the uncoded ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redundancy_percent: Option<u8>,
    /// The size of a fragment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment_size_bytes: Option<u8>,
    /// The least distance between fragments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment_interval_ms: Option<u32>,
    /// "exact": fragment-interval-ms is not rounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Metadata of the image, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<String>,
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
    /// "finish" what is on the air, or "stop" it, when the update is deleted in AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<String>,
}

impl OtaConfig {
    pub(super) fn check(&self, id: &str, ids: &[String], groups: &[GroupConfig]) -> Result<(), ConfigError> {
        let place = format!("ota.{id:?}");
        let mut mistakes = Mistakes::default();
        if !ids.iter().any(|known| known == id) {
            let message = format!("{id:?} is not in aws.ota-updates, so nobody looks at it: write it there");
            mistakes.add(ConfigError::value(&place, message));
        }
        mistakes.take(check_groups(&place, self.multicast_groups.as_deref().unwrap_or_default(), groups));
        if let Some(other) = self.on_delete.as_deref().filter(|word| !matches!(*word, "finish" | "stop")) {
            let message = format!("{other:?} is neither \"finish\" nor \"stop\"");
            mistakes.add(ConfigError::value(format!("{place}.on-delete"), message));
        }
        let probe = FuotaTaskJson {
            id: Some(id.to_owned()),
            firmware_update_image: Some("s3://bucket/key".to_owned()),
            fuotad: Some(self.members()),
            ..FuotaTaskJson::default()
        };
        mistakes.take(check_members(&place, probe));
        mistakes.or(Some(()))
    }

    fn members(&self) -> FuotadJson {
        let file = OtaFileChoice {
            name: self.file_name.clone(),
            file_type: self.file_type.map(i64::from),
            index: self.file_index.map(i64::from),
        };
        FuotadJson {
            multicast_groups: self.multicast_groups.clone(),
            start: self.start.clone(),
            interval: self.interval.clone(),
            sha256: self.sha256.clone(),
            session_timeout_exponent: self.session_timeout_exponent.map(i64::from),
            finish_by: self.finish_by.clone(),
            coded_from: None,
            devices: None,
            redundancy_percent: self.redundancy_percent.map(i64::from),
            fragment_size_bytes: self.fragment_size_bytes.map(i64::from),
            fragment_interval_ms: self.fragment_interval_ms.map(i64::from),
            descriptor: self.descriptor.clone(),
            file: (file != OtaFileChoice::default()).then_some(file),
        }
    }

    #[cfg(feature = "aws")]
    pub(super) fn settings(&self) -> crate::daemon::aws::OtaSettings {
        let stops_when_deleted = self.on_delete.as_deref() == Some("stop");
        crate::daemon::aws::OtaSettings { members: self.members(), stops_when_deleted }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::file::Config;
    use std::collections::BTreeMap;

    fn checked(ota: &str) -> Result<(), String> {
        let text = format!(
            "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \
             \"k\"\n[aws]\nregion = \"eu-west-1\"\nota-updates = [\"gw-ota-7\"]\n{ota}"
        );
        let config = Config::from_text(&text, &BTreeMap::new()).map_err(|error| error.to_string())?;
        let aws = config.aws.unwrap();
        aws.check(&config.group, &config.ota).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_said_of_an_update_is_judged_like_a_task_file() {
        let with = |line: &str| checked(&format!("[ota.gw-ota-7]\n{line}\n"));
        let all = "file-name = \"app.bin\"\nfile-type = 1\nfile-index = 0\nmulticast-groups = [\"meters\"]\nstart = \
                   \"at-once\"\nredundancy-percent = 50\nfragment-size-bytes = 48\nfragment-interval-ms = \
                   1500\ninterval = \"exact\"\ndescriptor = \"AQQCAA==\"\non-delete = \"stop\"";
        assert_eq!(with(all), Ok(()));
        for (line, said) in [
            ("redundancy-percent = 101", "redundancy-percent is 101"),
            ("fragment-size-bytes = 0", "fragment-size-bytes is 0"),
            (
                "fragment-size-bytes = 256",
                "ota.gw-ota-7.fragment-size-bytes is 256, and must be a whole number from 0 to 255",
            ),
            ("descriptor = \"%\"", "gw-ota-7\".descriptor"),
            ("start = \"soon\"", "gw-ota-7\".start is \"soon\""),
            ("sha256 = \"beef\"", "gw-ota-7\".sha256 is \"beef\""),
            ("multicast-groups = [\"taps\"]", "\"taps\" is no [[group]]"),
            ("on-delete = \"maybe\"", "neither \"finish\" nor \"stop\""),
            ("file = \"x\"", "ota.gw-ota-7.file is no key of [ota.gw-ota-7] (did you mean `file-name`?)"),
        ] {
            let error = with(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn an_update_that_nobody_looks_at_is_a_mistake() {
        let error = checked("[ota.\"other\"]\nfile-type = 1\n").unwrap_err();
        assert!(error.contains("ota.\"other\"") && error.contains("not in aws.ota-updates"), "{error}");
    }
}
