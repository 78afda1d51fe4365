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
    /// DevEUI, 16 hex digits as network servers show it; it is printed with each command.
    pub dev_eui: Option<String>,
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
        let mut euis = BTreeSet::new();
        for device in &devices.device {
            let Some(dev_eui) = &device.dev_eui else { continue };
            let wrong = |message: &str| ConfigError::value(format!("device {}", device.name), message);
            if dev_eui.len() != 16 || !dev_eui.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let message =
                    format!("dev-eui {dev_eui:?} is no DevEUI: write its 16 hex digits, nothing else");
                return Err(wrong(&message));
            }
            if !euis.insert(dev_eui.to_ascii_lowercase()) {
                return Err(wrong(&format!("dev-eui {dev_eui} is there twice")));
            }
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

    #[test]
    fn a_dev_eui_is_sixteen_hex_digits_and_of_one_device() {
        let read = |euis: [&str; 2]| {
            let device = |(n, eui): (usize, &&str)| {
                format!(
                    "[[device]]\nname = \"d{n}\"\ndev-eui = \"{eui}\"\napp-key = \"{}\"\n",
                    "00".repeat(16)
                )
            };
            Devices::from_text(&euis.iter().enumerate().map(device).collect::<String>())
        };
        let devices = read(["70B3D57ED0000001", "70b3d57ed0000002"]).unwrap();
        assert_eq!(devices.device[0].dev_eui.as_deref(), Some("70B3D57ED0000001"));
        for (euis, part) in [
            (["70b3d57ed0000001", "70B3D57ED0000001"], "device d1: dev-eui 70B3D57ED0000001 is there twice"),
            (["70b3d57ed000000", "70b3d57ed0000001"], "is no DevEUI: write its 16 hex digits"),
            (["70-b3-d5-7e-d0-00-00-01", "70b3d57ed0000001"], "device d0"),
        ] {
            let error = read(euis).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

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
