//! `[[group]]`: a multicast group of this gateway.

use super::error::ConfigError;
use super::key_source::KeySource;
use super::key_source::ReadKey;
use super::radio::Radio;
use super::radio::decibels;
use super::radio::fraction_ppm;
use super::signing::SigningConfig;
use crate::campaign::Group;
use crate::campaign::ProfileName;
use crate::campaign::Session;
use crate::campaign::SessionRule;
use crate::fragment::Ts004Version;
use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::Secret;
use crate::radio::Dbm;
use crate::region::Parameters;
use crate::region::RegionError;
use crate::region::Terms;
use crate::schedule::Pattern;
use crate::schedule::TxPolicy;
use crate::signing::SigningTrust;
use crate::task::gps_from_rfc3339;
use crate::time::GpsTime;
use core::fmt;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use std::path::PathBuf;

/// Distance from both edges of a session, seconds: devices' clocks are up to 50 ppm off for days.
const GUARD_S: u64 = 10;
/// The longest session is 2^15 s (TS005-1.0.0 3.5).
const EXPONENT_MAX: u8 = 15;
/// Less is not enough for a device's start-up and rounding, seconds.
const GUARD_MIN_S: u64 = 2;

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
    /// First frame counter for a key that the journal does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_fcnt: Option<u32>,
    /// 1 or 2: which parity lines the devices compute.
    #[serde(default = "first_version")]
    pub ts004_version: Ts004Version,
    /// FPort of DataFragment, 1 to 223.
    #[serde(default = "fragment_port")]
    pub fport: u8,
    /// "always", or "windows" for sessions that devices are told.
    #[serde(default)]
    pub session: SessionKind,
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
    /// Whose signatures let an image on the air.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningConfig>,
    /// No frame this near to a session's edges, seconds.
    #[serde(default = "guard_s")]
    pub session_guard_s: u64,
    /// What the devices can bear: "unknown", "loramac-node", "lbm", "zephyr", "fast".
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

/// A key that stands in a text. It is never shown again.
#[derive(Clone)]
pub struct WrittenKey(Secret);

impl WrittenKey {
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

/// When devices listen, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// Devices listen all the time: permanent Class C.
    #[default]
    Always,
    /// In sessions they are told.
    Windows,
}

/// What a group may leave to `[radio]` and the region.
struct Air {
    terms: Terms,
    frequency_hz: u32,
    data_rate: u8,
    eirp: Dbm,
    duty_share: f64,
    max_deaf: f64,
    spacing: Pattern,
}

impl GroupConfig {
    /// The group with its defaults from `[radio]` and the region written out.
    ///
    /// # Errors
    /// A default that cannot be used.
    pub fn filled(&self, radio: &Radio, region: &Parameters) -> Result<GroupConfig, ConfigError> {
        let air = self.air(radio, region)?;
        Ok(GroupConfig {
            frequency_hz: Some(air.frequency_hz),
            data_rate: Some(air.data_rate),
            eirp_dbm: Some(f64::from(air.eirp.centi()) / 100.0),
            duty_share: Some(air.duty_share),
            max_deaf: Some(air.max_deaf),
            spacing: Some(air.spacing),
            ..self.clone()
        })
    }

    fn air(&self, radio: &Radio, region: &Parameters) -> Result<Air, ConfigError> {
        let frequency_hz = self.frequency_hz.or(radio.frequency_hz).unwrap_or(region.rx2.frequency_hz);
        let terms = self.terms(radio, region)?;
        let eirp = self.eirp(radio, region.default_eirp(&terms, frequency_hz))?;
        Ok(Air {
            terms,
            frequency_hz,
            data_rate: self.data_rate.or(radio.data_rate).unwrap_or(region.rx2.dr),
            eirp,
            duty_share: self.duty_share.unwrap_or(radio.duty_share),
            max_deaf: self.max_deaf.unwrap_or(radio.max_deaf),
            spacing: self.spacing.unwrap_or(radio.spacing),
        })
    }

    /// The group with its defaults from `[radio]` and the region, its keys read through `read_key`.
    ///
    /// # Errors
    /// The first value that cannot be used, under its key.
    pub fn settle(
        &self,
        radio: &Radio,
        region: &Parameters,
        read_key: ReadKey<'_>,
    ) -> Result<Group, ConfigError> {
        let wrong =
            |key: &str, message: String| ConfigError::value(format!("group {}.{key}", self.name), message);
        if self.name.is_empty() {
            return Err(ConfigError::value("group.name", "it is empty"));
        }
        let mc_addr: McAddr = self.mc_addr.parse().map_err(|error| wrong("mc-addr", format!("{error}")))?;
        let Air { terms, frequency_hz, data_rate, eirp, duty_share, max_deaf, spacing } =
            self.air(radio, region)?;
        region
            .check_under(&terms, frequency_hz, data_rate, eirp)
            .map_err(|error| wrong(key_of(&error), format!("{error}{}", way_out(&error))))?;
        if !(1..=223).contains(&self.fport) {
            return Err(wrong("fport", format!("{} is not an application port: use 1..=223", self.fport)));
        }
        if let Some(first) = self.first_fcnt.filter(|first| !(2..=65_534).contains(first)) {
            return Err(wrong(
                "first-fcnt",
                format!("{first} is outside 2..=65534: devices misread other counters"),
            ));
        }
        if self.session_guard_s < GUARD_MIN_S {
            let message = format!("{} s is too short: at least {GUARD_MIN_S}", self.session_guard_s);
            return Err(wrong("session-guard-s", message));
        }
        let guard_us = self.session_guard_s.saturating_mul(1_000_000);
        let (mc_key, keys) = self.keys(mc_addr, read_key)?;
        Ok(Group {
            name: self.name.clone(),
            mc_addr,
            keys,
            mc_key,
            first_fcnt: self.first_fcnt,
            ts004_version: self.ts004_version,
            fport: self.fport,
            session: self.session_rule(guard_us)?,
            profile: self.device_profile.profile(),
            frequency_hz,
            data_rate,
            eirp,
            terms,
            policy: TxPolicy {
                duty_share_ppm: fraction_ppm(&self.key("duty-share"), duty_share)?,
                max_deaf_ppm: fraction_ppm(&self.key("max-deaf"), max_deaf)?,
                pattern: spacing,
            },
            trust: SigningTrust::default(),
            accepts_unsigned: self.unsigned == Some(Unsigned::Accept),
            guard_us,
        })
    }

    fn terms(&self, radio: &Radio, region: &Parameters) -> Result<Terms, ConfigError> {
        if self.downlink_dwell && region.dwell_downlink_us.is_none() {
            let message = format!("downlinks of {} have no dwell time: leave it out", region.region);
            return Err(ConfigError::value(format!("group {}.downlink-dwell", self.name), message));
        }
        Ok(Terms {
            sub_band: self.sub_band.clone().or_else(|| radio.sub_band.clone()),
            listens_before_talk: radio.listen_before_talk,
            downlink_dwell: self.downlink_dwell,
            antenna_gain: Some(decibels("radio.antenna-gain-dbi", radio.antenna_gain_dbi)?),
        })
    }

    /// The power asked for, or `usual`, within the operator's own limit.
    fn eirp(&self, radio: &Radio, usual: Dbm) -> Result<Dbm, ConfigError> {
        let asked = self.eirp_dbm.or(radio.eirp_dbm).map(|dbm| decibels("eirp-dbm", dbm)).transpose()?;
        let limit = radio.max_eirp_dbm.map(|dbm| decibels("radio.max-eirp-dbm", dbm)).transpose()?;
        match (asked, limit) {
            (Some(asked), Some(limit)) if asked > limit => Err(ConfigError::value(
                format!("group {}.eirp-dbm", self.name),
                format!("{asked} dBm EIRP is over your own limit of radio.max-eirp-dbm = {limit}"),
            )),
            (Some(asked), _) => Ok(asked),
            (None, limit) => Ok(limit.map_or(usual, |limit| limit.min(usual))),
        }
    }

    fn session_rule(&self, guard_us: u64) -> Result<SessionRule, ConfigError> {
        let wrong =
            |key: &str, message: String| ConfigError::value(format!("group {}.{key}", self.name), message);
        if self.session == SessionKind::Always {
            if self.session_timeout_exponent.is_some() || self.session_start.is_some() {
                let message = "session-timeout-exponent and session-start need session = \"windows\"";
                return Err(wrong("session", message.to_owned()));
            }
            return Ok(SessionRule::Always);
        }
        if let Some(exponent) = self.session_timeout_exponent.filter(|exponent| *exponent > EXPONENT_MAX) {
            let message = format!("{exponent} is over 15: a session lasts at most 2^15 s");
            return Err(wrong("session-timeout-exponent", message));
        }
        let longest = self.session_timeout_exponent.unwrap_or(EXPONENT_MAX);
        let session = Session { start: GpsTime::from_us(0), exponent: longest };
        if session.length_us() <= guard_us.saturating_mul(2) {
            let guard_s = self.session_guard_s;
            let message = format!(
                "a session of 2^{longest} s has no room between two guards of {guard_s} s: make the exponent larger or session-guard-s smaller"
            );
            return Err(wrong("session-timeout-exponent", message));
        }
        let start = match &self.session_start {
            None => None,
            Some(text) => Some(gps_from_rfc3339(text).ok_or_else(|| {
                wrong("session-start", format!("{text:?} is no RFC 3339 time like 2026-11-22T08:00:00Z"))
            })?),
        };
        Ok(SessionRule::Windows { exponent: self.session_timeout_exponent, start })
    }

    fn key(&self, key: &str) -> String {
        format!("group {}.{key}", self.name)
    }

    /// Its keys, for whoever asks about them alone.
    pub(super) fn own_keys(&self, read_key: ReadKey<'_>) -> Result<McSessionKeys, ConfigError> {
        let wrong = |error| ConfigError::value(self.key("mc-addr"), format!("{error}"));
        let mc_addr: McAddr = self.mc_addr.parse().map_err(wrong)?;
        Ok(self.keys(mc_addr, read_key)?.1)
    }

    fn keys(
        &self,
        mc_addr: McAddr,
        read_key: ReadKey<'_>,
    ) -> Result<(Option<Secret>, McSessionKeys), ConfigError> {
        let wrong =
            |key: &str, message: String| ConfigError::value(format!("group {}.{key}", self.name), message);
        let from_mc_key = |mc_key: Secret| {
            let keys = McSessionKeys::derive(&mc_key, mc_addr);
            (Some(mc_key), keys)
        };
        let mut read = |key: &str, source| read_key(source).map_err(|message| wrong(key, message));
        let session_keys = (&self.mc_nwk_s_key_file, &self.mc_app_s_key_file);
        match (&self.mc_key, &self.mc_key_file, &self.mc_key_credential, session_keys) {
            (Some(mc_key), None, None, (None, None)) => Ok(from_mc_key(mc_key.secret())),
            (None, Some(path), None, (None, None)) => {
                read("mc-key-file", KeySource::File(path)).map(from_mc_key)
            }
            (None, None, Some(name), (None, None)) => {
                read("mc-key-credential", KeySource::Credential(name)).map(from_mc_key)
            }
            (None, None, None, (Some(nwk), Some(app))) => {
                let nwk = read("mc-nwk-s-key-file", KeySource::File(nwk))?;
                let app = read("mc-app-s-key-file", KeySource::File(app))?;
                Ok((None, McSessionKeys::from_parts(nwk, app)))
            }
            _ => {
                let message = "give one of it, mc-key-credential, or both mc-nwk-s-key-file and mc-app-s-key-file (in a scenario mc-key)";
                Err(wrong("mc-key-file", message.to_owned()))
            }
        }
    }
}

/// Which key leads out of what the region refuses.
fn key_of(error: &RegionError) -> &'static str {
    match error {
        RegionError::UplinkOnly { .. } | RegionError::UnknownDataRate { .. } => "data-rate",
        RegionError::TooWide { .. } | RegionError::WiderThanAllowed { .. } => "data-rate",
        RegionError::TooMuchPower { .. } | RegionError::TooMuchConducted { .. } => "eirp-dbm",
        RegionError::UnknownSubBand { .. } | RegionError::MustListen { .. } => "sub-band",
        _ => "frequency-hz",
    }
}

fn way_out(error: &RegionError) -> &'static str {
    match error {
        RegionError::MustListen { .. } => {
            "; if the forwarder listens (an SX1302 does with an SX1261), set radio.listen-before-talk = true"
        }
        _ => "",
    }
}

fn first_version() -> Ts004Version {
    Ts004Version::V1
}

fn fragment_port() -> u8 {
    201
}

fn guard_s() -> u64 {
    GUARD_S
}

#[cfg(test)]
mod tests {
    use super::*;
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
            for name in ["unknown", "loramac-node", "lbm", "zephyr", "fast"] {
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
                group("ts004-version = 3", variables).unwrap_err().to_string().contains("expected 1 or 2")
            );
            assert!(group("device-profile = \"LBM\"", variables).is_err());
        }
        let by_default = group("", &[]).unwrap();
        assert_eq!(by_default.ts004_version, Ts004Version::V1);
        assert_eq!(by_default.device_profile, ProfileName::Unknown);
    }
}
