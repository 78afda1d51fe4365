//! The devices of a group: with root keys as an operator writes them at a desk (`fuotad plan --setup --devices FILE`), and
//! with the McKey encrypted for each as `fuotad prepare` makes of them for a gateway.

use super::error::ConfigError;
use super::group::WrittenKey;
use super::read::read;
use crate::lorawan::RootKey;
use core::fmt;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;
use sha2::Digest;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Bytes that are written as hex digits, none of them secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
        let Some(digits) = digits.filter(|digits| digits.len() == 2 * N) else {
            return Err(de::Error::custom(format!(
                "{text:?} is no value of {N} bytes: write {} hex digits",
                2 * N
            )));
        };
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            // Two digits of four bits each.
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(Hex(bytes))
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The image that the MICs of a devices file are of (TS004 v2).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PreparedImage {
    /// SHA-256 of the image without padding.
    pub sha256: Hex<32>,
    /// Length of the image without padding, bytes.
    pub bytes: u32,
    /// The SessionCnt of the first MIC of each device; the others follow.
    pub first_session_cnt: u16,
    /// The descriptor of the data block that the MICs cover.
    #[serde(default = "no_descriptor")]
    pub descriptor: Hex<4>,
}

fn no_descriptor() -> Hex<4> {
    Hex([0; 4])
}

/// A devices file, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Devices {
    /// The group that the McKey was encrypted for.
    pub group: Option<String>,
    /// The check value of that McKey: it tells whether the McKey is the gateway's, and reveals nothing of it.
    pub mc_key_check: Option<Hex<8>>,
    /// The name of the devices whose root keys come from one source; default: those of this file.
    pub batch: Option<String>,
    /// What the MICs of the devices are of.
    pub image: Option<PreparedImage>,
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
    /// Its device_id at The Things Stack; default: learned from its first uplink.
    pub device_id: Option<String>,
    /// The LoRaWAN version, for people.
    pub lorawan: Option<String>,
    /// What the device is, for people.
    pub hardware: Option<String>,
    /// The group's McKey, encrypted for this device.
    pub mc_key_encrypted: Option<Hex<16>>,
    /// TS004 v2: the MICs of the image, one for each SessionCnt.
    #[serde(default)]
    pub mics: Vec<Hex<4>>,
    /// TS004 v2: the key of such MICs, for images to come.
    pub data_block_int_key: Option<WrittenKey>,
}

/// The name of a batch that nobody named: a digest of its devices, each with its DevEUI and its McKey_encrypted.
pub fn batch_name(devices: impl Iterator<Item = (String, [u8; 16])>) -> String {
    let mut hash = Sha256::new();
    for (dev_eui, mc_key_encrypted) in devices {
        hash.update(dev_eui.to_ascii_lowercase());
        hash.update(mc_key_encrypted);
    }
    let mut name = [0; 8];
    name.copy_from_slice(&hash.finalize()[..8]);
    Hex(name).to_string()
}

impl Devices {
    /// The name of the batch that its devices are of.
    pub fn batch_name(&self) -> String {
        let prepared = |device: &'_ DeviceConfig| device.mc_key_encrypted.as_ref().map(|key| key.0);
        let devices =
            self.device.iter().filter_map(|device| Some((device.dev_eui.clone()?, prepared(device)?)));
        self.batch.clone().unwrap_or_else(|| batch_name(devices))
    }

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
