//! `[[group]]`: a multicast group of this gateway, as written.

use super::signing::SigningConfig;
use crate::campaign::DeviceClass;
use crate::campaign::Power;
use crate::campaign::ProfileName;
use crate::campaign::Redundancy;
use crate::fragment::Ts004Version;
use crate::lorawan::Secret;
use crate::schedule::Pattern;
use core::fmt;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use std::path::PathBuf;

/// One group as written. Unset values come from `[radio]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GroupConfig {
    /// The name that tasks use.
    pub name: String,
    /// Multicast address, 8 hex digits.
    pub mc_addr: String,
    /// File with the McKey, 32 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mc_key_file: Option<PathBuf>,
    /// The McKey itself, in scenarios only: their keys are nobody's.
    #[serde(default, skip_serializing)]
    pub mc_key: Option<WrittenKey>,
    /// The McKey as a credential of the service manager: `LoadCredential=NAME:/path` in the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mc_key_credential: Option<String>,
    /// File with the McNwkSKey, with `mc-app-s-key-file` instead of `mc-key-file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mc_nwk_s_key_file: Option<PathBuf>,
    /// File with the McAppSKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mc_app_s_key_file: Option<PathBuf>,
    /// The name of the `[[lns]]` that its devices are set up through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lns: Option<String>,
    /// Its devices, as `fuotad prepare` writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices_file: Option<PathBuf>,
    /// When a task without a start begins: when enough devices are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_when: Option<StartWhenConfig>,
    /// Whether canaries of a new devices file are asked under the group's key before the others are told
    /// their session, which is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<bool>,
    /// When a campaign whose devices answer stops although some still miss fragments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub give_up: Option<GiveUpConfig>,
    /// Devices that miss more fragments than this get nothing beyond what the others need; default: all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_behind: Option<u16>,
    /// How many coded fragments come before the first question: "ordered", the default, or "lean".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redundancy: Option<RedundancyKind>,
    /// Between two questions to one device what it holds, at least, seconds; default: 3600 at SF11 and SF12, else 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_question_interval_s: Option<u32>,
    /// First frame counter for a key that the journal does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_fcnt: Option<u32>,
    /// 1 or 2: which parity lines the devices compute.
    #[serde(default = "first_version")]
    pub ts004_version: Ts004Version,
    /// FPort of DataFragment, 1 to 223.
    #[serde(default = "fragment_port")]
    pub fport: u8,
    /// "windows" for sessions that devices are told, the default; or "always".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionKind>,
    /// With "always": the devices listen where the group is sent, although the region's second receive window is elsewhere.
    #[serde(default)]
    pub rx_is_elsewhere: bool,
    /// Each session lasts 2^n seconds; default: as short as the campaign allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_timeout_exponent: Option<u8>,
    /// First session of tasks without a StartTime, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_start: Option<String>,
    /// The id of this group in AWS IoT Wireless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_multicast_group: Option<String>,
    /// "accept": take images from a cloud without a digest or signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsigned: Option<Unsigned>,
    /// "any": take images that look like something else than firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_kind: Option<ImageKind>,
    /// Whose signatures let an image on the air.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningConfig>,
    /// No frame this near to a session's edges, seconds; default: 2 s and the drift of a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_guard_s: Option<u64>,
    /// Sessions of one campaign, at most, 1 to 64; default: one, or as few as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<u8>,
    /// What telling devices one more session costs, in seconds of listening.
    #[serde(default = "session_price_s")]
    pub session_price_s: u32,
    /// End-to-start distance after an uncoded frame, milliseconds; default: the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_uncoded_ms: Option<u64>,
    /// End-to-start distance after a coded frame, milliseconds; default: the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_coded_ms: Option<u64>,
    /// Battery of the devices.
    #[serde(default)]
    pub power: PowerConfig,
    /// What the devices can bear: "unknown", "loramac-node", "lbm", "zephyr", "multitech-dot", "fast".
    #[serde(default)]
    pub device_profile: ProfileName,
    /// Downlink frequency, Hz; default: that of `[radio]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<u32>,
    /// Downlink data rate; default: that of `[radio]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_rate: Option<u8>,
    /// The sub-band to send in, by its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_band: Option<String>,
    /// DownlinkDwellTime is on in the devices (AS923 only); default: off, as RP002 has it.
    #[serde(default)]
    pub downlink_dwell: bool,
    /// Power that leaves the antenna, dBm EIRP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eirp_dbm: Option<f64>,
    /// Part of the legal budget, 0..=1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty_share: Option<f64>,
    /// Part of any 60 s in which the gateway may be deaf, 0..=1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_deaf: Option<f64>,
    /// Spacing of frames, "even" or "burst"; default: that of `[radio]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Pattern>,
}

/// How many coded fragments a campaign sends before its first question, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedundancyKind {
    /// As many as the task orders.
    #[default]
    Ordered,
    /// As many as the losses of the last campaigns ask for.
    Lean,
}

impl RedundancyKind {
    /// The rule that campaigns follow, before anything was learned.
    pub(super) fn rule(self) -> Redundancy {
        match self {
            RedundancyKind::Ordered => Redundancy::Ordered,
            RedundancyKind::Lean => Redundancy::Lean(None),
        }
    }
}

/// `give-up` of a group: how much is spent on devices that still miss fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GiveUpConfig {
    /// Questions to the group, at most.
    pub questions: u16,
    /// Airtime of fragments beyond the ordered ones, at most, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub airtime_s: Option<u32>,
    /// Devices whose result is open are asked alone for so long after the last fragment, hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers_h: Option<u64>,
    /// So many sessions more than planned are told to those who miss something, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u16>,
}

/// `start-when` of a group: when a task without a start begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StartWhenConfig {
    /// When so many of the devices are ready, per cent.
    pub ready_percent: u8,
    /// At the latest moment fewer do, if they are at least so many, per cent.
    pub min_ready_percent: u8,
    /// The latest moment, hours after the task was planned.
    pub at_latest_h: u64,
}

/// `[group.power]`: what is known of a device's battery.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PowerConfig {
    /// "A", "B" or "C": how the devices listen when no session runs.
    pub class: DeviceClass,
    /// What a device draws while its receiver is open, milliampere.
    pub receive_ma: f64,
    /// What its battery holds, milliampere hours.
    pub capacity_mah: u32,
}

impl Default for PowerConfig {
    fn default() -> Self {
        let Power { class, receive_ua, capacity_mah } = Power::default();
        PowerConfig { class, receive_ma: f64::from(receive_ua) / 1000.0, capacity_mah }
    }
}

/// A key that stands in a text. It is never shown again.
#[derive(Clone)]
pub struct WrittenKey(Secret);

impl WrittenKey {
    /// A key that is nobody's, for simulations.
    pub(super) fn of_nobody() -> WrittenKey {
        WrittenKey(Secret::from_bytes([0x5A; 16]))
    }

    /// A copy of the key.
    pub fn secret(&self) -> Secret {
        self.0.clone()
    }
}

impl<'de> Deserialize<'de> for WrittenKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        Secret::from_hex(&text).map(WrittenKey).map_err(de::Error::custom)
    }
}

impl fmt::Debug for WrittenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrittenKey(..)")
    }
}

/// What to do with images from a cloud that nothing vouches for, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsigned {
    /// Images without digest or signature are taken.
    Accept,
}

/// Which images are taken, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// Whatever it looks like.
    Any,
    /// No ELF, Intel HEX, text and the like; the default.
    Binary,
}

/// When devices listen, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// Devices listen all the time: permanent Class C.
    Always,
    /// In sessions they are told.
    #[default]
    Windows,
}

impl GroupConfig {
    /// When its devices listen.
    pub fn session(&self) -> SessionKind {
        self.session.unwrap_or_default()
    }

    /// What is to be said once where nothing says when the devices listen: that used to mean "always".
    pub fn unsaid_session(&self) -> Option<String> {
        self.session.is_none().then(|| {
            format!(
                "group {}.session: it is not written, which means \"windows\" (it once meant \"always\"): devices must be told their sessions (`fuotad plan --setup`); write session = \"windows\", or \"always\" for devices that always listen",
                self.name
            )
        })
    }
}

fn first_version() -> Ts004Version {
    Ts004Version::V1
}

fn fragment_port() -> u8 {
    201
}

fn session_price_s() -> u32 {
    120
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::error::ConfigError;
    use crate::config::file::Config;
    use crate::config::read::read;
    use std::collections::BTreeMap;

    fn group(more: &str, variables: &[(&str, &str)]) -> Result<GroupConfig, ConfigError> {
        let text = format!(
            "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\n{more}\n"
        );
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read::<Config>(&text, &variables.collect::<BTreeMap<_, _>>()).map(|mut config| config.group.remove(0))
    }

    #[test]
    fn every_profile_and_version_is_read_and_shown_as_it_is_written() {
        // Beside a variable the file is read by another reader.
        for variables in [&[][..], &[("FUOTAD__RADIO__TURNS", "fairly")]] {
            for name in ["unknown", "loramac-node", "lbm", "zephyr", "multitech-dot", "fast"] {
                let line = format!("device-profile = \"{name}\"");
                let read = group(&line, variables).unwrap();
                assert_eq!(read.device_profile.profile().name, name);
                assert!(toml::to_string(&read).unwrap().contains(&line));
            }
            for (number, version) in [(1, Ts004Version::V1), (2, Ts004Version::V2)] {
                let line = format!("ts004-version = {number}");
                let read = group(&line, variables).unwrap();
                assert_eq!(read.ts004_version, version);
                assert!(toml::to_string(&read).unwrap().contains(&line));
            }
            assert!(
                group("ts004-version = 3", variables)
                    .unwrap_err()
                    .to_string()
                    .contains("3 is no version of TS004: use 1 or 2")
            );
            assert!(group("device-profile = \"LBM\"", variables).is_err());
        }
        let by_default = group("", &[]).unwrap();
        assert_eq!(by_default.ts004_version, Ts004Version::V1);
        assert_eq!(by_default.device_profile, ProfileName::Unknown);
    }
}
