//! `[radio]`: what groups share, and the figures that groups have, too.

use super::error::ConfigError;
use super::error::Mistakes;
use crate::broadcast::TurnRule;
use crate::radio::Dbm;
use crate::schedule::Kept;
use crate::schedule::Pattern;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::IntoDeserializer;

/// No antenna of a gateway gains more, and no cable of one loses more, dB either way.
const ANTENNA_GAIN_MAX: Dbm = Dbm::from_whole(40);

/// `[radio]`: defaults for groups.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Radio {
    /// Downlink frequency, Hz; default: the region's RX2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<u32>,
    /// Downlink data rate; default: the region's RX2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_rate: Option<u8>,
    /// The sub-band to send in, by its label: some are used only by name, because they need a country,
    /// an exemption or equipment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_band: Option<String>,
    /// Power that leaves the antenna, dBm EIRP; default: the sub-band's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eirp_dbm: Option<f64>,
    /// A limit below the law's, dBm EIRP, for every group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_eirp_dbm: Option<f64>,
    /// The forwarder listens before it talks, with the sub-band's threshold and time (an SX1302 needs
    /// an SX1261 for it).
    pub listen_before_talk: bool,
    /// Gain of the real antenna less cable, dBi.
    pub antenna_gain_dbi: f64,
    /// The antenna gain in the packet forwarder's own configuration, dBi.
    pub forwarder_antenna_gain_dbi: f64,
    /// The concentrator's transmitting chain.
    pub rf_chain: u8,
    /// Campaigns' part of each sub-band's legal budget, 0..=1; default: 1 for groups that listen in sessions, else 0.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty_share: Option<f64>,
    /// The part of each sub-band's legal budget that campaigns leave to network servers, 0..1; without a
    /// `[[network-server]]` that may send there is none.
    pub server_reserve: f64,
    /// The part of usual uplinks that the gateway hears in any hour, whatever campaigns send, 0..1.
    pub min_heard: f64,
    /// The part of any 60 s in which the gateway may be deaf because it sends, 0..=1; default: 0.5 for bursts, 0.2
    /// for even spacing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_deaf: Option<f64>,
    /// Spacing of a campaign's frames, "even" or "burst"; default: bursts for groups that listen in sessions.
    #[serde(deserialize_with = "spacing", skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Pattern>,
    /// Who has the air when several campaigns want it: "in-order" or "fairly".
    #[serde(serialize_with = "Turns::serialize", deserialize_with = "turns")]
    pub turns: TurnRule,
}

/// The names of the turn rules.
#[derive(Deserialize, Serialize)]
#[serde(remote = "TurnRule", rename_all = "kebab-case")]
enum Turns {
    InOrder,
    Fairly,
}

// By way of a text: the reader of the environment does not name the words of an enum.
fn spacing<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Pattern>, D::Error> {
    Pattern::deserialize(String::deserialize(from)?.into_deserializer()).map(Some)
}

fn turns<'de, D: Deserializer<'de>>(from: D) -> Result<TurnRule, D::Error> {
    Turns::deserialize(String::deserialize(from)?.into_deserializer())
}

impl Default for Radio {
    fn default() -> Self {
        Radio {
            frequency_hz: None,
            data_rate: None,
            sub_band: None,
            eirp_dbm: None,
            max_eirp_dbm: None,
            listen_before_talk: false,
            antenna_gain_dbi: 0.0,
            forwarder_antenna_gain_dbi: 0.0,
            rf_chain: 0,
            duty_share: None,
            server_reserve: 0.1,
            min_heard: 0.8,
            max_deaf: None,
            spacing: None,
            turns: TurnRule::default(),
        }
    }
}

impl Radio {
    /// What is wrong whether a group uses it or not.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        mistakes.take(self.duty_share.map(|share| fraction_ppm("radio.duty-share", share)).transpose());
        mistakes.take(self.max_deaf.map(|part| fraction_ppm("radio.max-deaf", part)).transpose());
        mistakes.take(self.kept(true));
        mistakes.take(self.eirp_dbm.map(|eirp_dbm| decibels("radio.eirp-dbm", eirp_dbm)).transpose());
        mistakes.take(self.max_eirp_dbm.map(|limit| decibels("radio.max-eirp-dbm", limit)).transpose());
        mistakes.or(Some(()))
    }

    /// What is kept for others; without a server that may send there is no reserve.
    pub(super) fn kept(&self, has_servers: bool) -> Result<Kept, ConfigError> {
        let mut mistakes = Mistakes::default();
        let below_one = |key: &str, part: f64, most: &str| {
            if (0.0..1.0).contains(&part) {
                return Ok((part * 1_000_000.0).round() as u32);
            }
            let instead = percent_as_part(part);
            let message = format!("{part} is not at least 0 and below 1{instead}: write {most} at the most");
            Err(ConfigError::value(key, message))
        };
        let reserve = mistakes.take(below_one("radio.server-reserve", self.server_reserve, "0.9"));
        let min_heard = mistakes.take(below_one("radio.min-heard", self.min_heard, "0.98"));
        let kept = reserve.zip(min_heard).map(|(reserve_ppm, min_heard_ppm)| Kept {
            server_reserve_ppm: if has_servers { reserve_ppm } else { 0 },
            min_heard_ppm,
        });
        mistakes.or(kept)
    }
}

/// The gain of an antenna less its cable.
pub fn antenna_gain(key: &str, value: f64) -> Result<Dbm, ConfigError> {
    let gain = decibels(key, value)?;
    if gain > ANTENNA_GAIN_MAX || gain < Dbm::default() - ANTENNA_GAIN_MAX {
        let message = format!("{gain} dBi is no antenna: write -{ANTENNA_GAIN_MAX} to {ANTENNA_GAIN_MAX}");
        return Err(ConfigError::value(key, message));
    }
    Ok(gain)
}

/// A figure in decibels, dB or dBm.
pub fn decibels(key: &str, value: f64) -> Result<Dbm, ConfigError> {
    let wrong = || ConfigError::value(key, format!("{value} is no decibel figure: write -1000 to 1000"));
    Dbm::from_f64(value).ok_or_else(wrong)
}

/// A fraction in parts per million; 0 is refused because nothing could ever be sent.
pub fn fraction_ppm(key: &str, value: f64) -> Result<u32, ConfigError> {
    if value > 0.0 && value <= 1.0 {
        Ok((value * 1_000_000.0).round() as u32)
    } else {
        let instead = percent_as_part(value);
        Err(ConfigError::value(key, format!("{value} is not above 0 and at most 1{instead}")))
    }
}

/// What to write instead of a percentage.
fn percent_as_part(value: f64) -> String {
    match value {
        _ if value > 1.0 && value < 100.0 => format!(": write {} for {value} %", value / 100.0),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Config;
    use crate::config::read::read;
    use std::collections::BTreeMap;

    const GATEWAY: &str = "[gateway]\nregion = \"EU868\"\n";

    fn radio(text: &str, variable: Option<(&str, &str)>) -> Result<Radio, ConfigError> {
        let environment = variable.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = read::<Config>(&format!("{GATEWAY}{text}"), &BTreeMap::from_iter(environment));
        config.map(|config| config.radio)
    }

    #[test]
    fn spacing_and_turns_are_read_from_file_and_environment_and_shown_as_they_are_written() {
        for (spacing, turns, rule) in [
            ("even", "in-order", (Pattern::Even, TurnRule::InOrder)),
            ("burst", "fairly", (Pattern::Burst, TurnRule::Fairly)),
        ] {
            let text = format!("[radio]\nspacing = \"{spacing}\"\nturns = \"{turns}\"\n");
            let read = radio(&text, None).unwrap();
            assert_eq!((read.spacing, read.turns), (Some(rule.0), rule.1));
            let shown = toml::to_string(&read).unwrap();
            assert!(text.lines().skip(1).all(|line| shown.contains(line)), "{shown}");
            assert_eq!(radio("", Some(("FUOTAD__RADIO__SPACING", spacing))).unwrap().spacing, Some(rule.0));
            assert_eq!(radio("", Some(("FUOTAD__RADIO__TURNS", turns))).unwrap().turns, rule.1);
        }
        for word in ["Burst", "BURST", "", "0"] {
            let error = radio("", Some(("FUOTAD__RADIO__SPACING", word))).unwrap_err().to_string();
            assert!(error.contains("even") && error.contains("burst"), "{error}");
        }
    }
}
