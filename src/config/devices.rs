//! The devices that an operator prepares for a campaign (`fuotad plan --setup --devices FILE`).

use super::error::ConfigError;
use super::group::WrittenKey;
use super::read::read;
use crate::lorawan::RootKey;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// A devices file, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Devices {
    /// The devices, in the order of the file.
    pub device: Vec<DeviceConfig>,
}

/// `[[device]]`: one device with its root key.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeviceConfig {
    /// A name for people.
    pub name: String,
    /// The GenAppKey of a LoRaWAN 1.0.x device.
    pub gen_app_key: Option<WrittenKey>,
    /// The AppKey of a LoRaWAN 1.1 device.
    pub app_key: Option<WrittenKey>,
    /// TS004 v2: the device's next session count.
    #[serde(default)]
    pub session_cnt: u16,
}

impl Devices {
    /// Reads a devices file.
    ///
    /// # Errors
    /// One line: where, what, and what was probably meant.
    pub fn from_text(text: &str) -> Result<Devices, ConfigError> {
        let devices: Devices = read(text, &BTreeMap::new())?;
        let mut names = BTreeSet::new();
        if let Some(twice) = devices.device.iter().find(|device| !names.insert(&device.name)) {
            return Err(ConfigError::value(format!("device {}", twice.name), "it is there twice"));
        }
        Ok(devices)
    }
}

impl DeviceConfig {
    /// What the device derives its multicast keys from.
    ///
    /// # Errors
    /// It has not exactly one.
    pub fn root_key(&self) -> Result<RootKey, ConfigError> {
        match (&self.gen_app_key, &self.app_key) {
            (Some(key), None) => Ok(RootKey::GenAppKey(key.secret())),
            (None, Some(key)) => Ok(RootKey::AppKey(key.secret())),
            _ => {
                let message = "give either gen-app-key (LoRaWAN 1.0.x) or app-key (1.1)";
                Err(ConfigError::value(format!("device {}", self.name), message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../config/examples/devices/devices.toml");

    #[test]
    fn the_shipped_example_is_good_and_what_it_comments_out_is_too() {
        let whole = SHIPPED.replace("#session-cnt", "session-cnt");
        assert_ne!(whole, SHIPPED);
        for text in [SHIPPED, &whole] {
            let devices = Devices::from_text(text).unwrap();
            assert_eq!(devices.device.len(), 2);
            devices.device.iter().for_each(|device| drop(device.root_key().unwrap()));
        }
    }

    #[test]
    fn every_key_of_a_device_stands_in_the_shipped_example() {
        let error = Devices::from_text("[[device]]\nnam = \"x\"\n").unwrap_err().to_string();
        let keys = error.split('`').skip(3).step_by(2).filter(|key| *key != "name");
        for key in keys.chain(["name"]) {
            assert!(SHIPPED.contains(&format!("{key} = ")), "{key}: {error}");
        }
    }
}
