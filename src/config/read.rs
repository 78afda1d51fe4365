//! From text to values: the file, then `FUOTAD__SECTION__KEY` over it.

use super::error::ConfigError;
use super::reword::reworded_variable;
use super::words::mistakes;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Prefix and separator of environment variables.
const PREFIX: &str = "FUOTAD__";

/// Reads `text`, with the variables of `environment` laid over it.
pub fn read<T: DeserializeOwned>(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<T, ConfigError> {
    // Alone first: the TOML reader knows the line of what is wrong, the overlay does not.
    let in_file = toml::from_str::<T>(text);
    let variables: BTreeMap<String, String> = environment.iter().filter_map(overlay_key).collect();
    match in_file {
        Ok(value) if variables.is_empty() => Ok(value),
        Err(error) if variables.is_empty() => Err(in_text::<T>(text, error)),
        in_file => overlaid(text, variables).map_err(|message| match in_file {
            Err(error) => in_text::<T>(text, error),
            Ok(_) => ConfigError::Environment { message },
        }),
    }
}

/// `text` without the lines that cannot be read, which are empty instead.
pub fn readable_part<T: DeserializeOwned>(text: &str) -> String {
    let Err(error) = toml::from_str::<T>(text) else { return text.to_owned() };
    mistakes(text, error, |rest| toml::from_str::<T>(rest).err()).1
}

fn overlaid<T: DeserializeOwned>(text: &str, variables: BTreeMap<String, String>) -> Result<T, String> {
    // No `try_parsing`: it would turn a key like 0102 or 1e10 into a number.
    let keys: Vec<String> = variables.keys().cloned().collect();
    let environment =
        config::Environment::default().separator("__").source(Some(variables.into_iter().collect()));
    config::Config::builder()
        .add_source(config::File::from_str(text, config::FileFormat::Toml))
        .add_source(environment)
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| reworded_variable(&error.to_string(), keys.iter()))
}

/// The key that a variable names: `FUOTAD__RADIO__DUTY_SHARE` is `radio.duty-share`.
fn overlay_key((name, value): (&String, &String)) -> Option<(String, String)> {
    let key = name.strip_prefix(PREFIX)?.to_lowercase();
    let segments: Vec<String> = key.split("__").map(|segment| segment.replace('_', "-")).collect();
    Some((segments.join("__"), value.clone()))
}

fn in_text<T: DeserializeOwned>(text: &str, error: toml::de::Error) -> ConfigError {
    mistakes(text, error, |rest| toml::from_str::<T>(rest).err()).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Config;

    #[test]
    fn a_misspelt_key_is_refused_with_its_line_and_a_suggestion() {
        let text = "[gateway]\nregion = \"EU868\"\n\n[radio]\nduty-shar = 0.4\n";
        let error = read::<Config>(text, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with("line 5: radio.duty-shar is no key of [radio]"), "{error}");
        assert!(error.ends_with("(did you mean `duty-share`?)"), "{error}");
    }

    #[test]
    fn an_environment_variable_wins_over_the_file() {
        let text = "[gateway]\nregion = \"EU868\"\n[radio]\nduty-share = 0.4\n";
        let variable = ("FUOTAD__RADIO__DUTY_SHARE".to_owned(), "0.2".to_owned());
        let config: Config = read(text, &BTreeMap::from([variable])).unwrap();
        assert_eq!(config.radio.duty_share, Some(0.2));
    }

    #[test]
    fn a_hex_id_in_the_environment_keeps_its_zeros() {
        let text = "[gateway]\nregion = \"EU868\"\n";
        let variable = ("FUOTAD__GATEWAY__ID".to_owned(), "0102030405060708".to_owned());
        let config: Config = read(text, &BTreeMap::from([variable])).unwrap();
        assert_eq!(config.gateway.id.as_deref(), Some("0102030405060708"));
    }

    #[test]
    fn a_misspelt_variable_is_refused_as_such() {
        let text = "[gateway]\nregion = \"EU868\"\n";
        let variable = ("FUOTAD__RADIO__DUTY".to_owned(), "0.2".to_owned());
        let error = read::<Config>(text, &BTreeMap::from([variable])).unwrap_err().to_string();
        assert!(error.starts_with("environment: ") && error.contains("duty"), "{error}");
    }

    #[test]
    fn a_refusal_shows_what_a_terminal_would_obey() {
        let text = "[gateway]\nregion = \"EU868\"\n\"\\u001b[2J\" = 1\n";
        let error = read::<Config>(text, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with("line 3: gateway.\\u{1b}[2J is no key"), "{error:?}");
        let variable = ("FUOTAD__GATEWAY__\u{7}".to_owned(), "1".to_owned());
        let error =
            read::<Config>("[gateway]\nregion = \"EU868\"\n", &BTreeMap::from([variable])).unwrap_err();
        assert!(!error.to_string().contains(|c: char| c.is_control()), "{error:?}");
    }
}
