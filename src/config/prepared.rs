//! The devices files of groups on a gateway: made by `fuotad prepare`, without any root key.

use super::devices::Devices;
use super::devices::Hex;
use super::error::ConfigError;
use super::error::Mistakes;
use super::file::Config;
use super::group::GroupConfig;
use crate::campaign::Group;
use crate::lorawan::mc_key_check;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads the text of a devices file; `None` when it is not here, and that was told; or one line why not.
pub type ReadDevices<'a> = &'a mut dyn FnMut(&Path) -> Result<Option<String>, String>;

impl Config {
    /// The devices of each group that has a devices file, by the group's name.
    ///
    /// # Errors
    /// A file that cannot be read, or has something in it that a gateway cannot use, or must not have.
    pub(super) fn prepared(&self, read: ReadDevices<'_>) -> Result<BTreeMap<String, Devices>, ConfigError> {
        let mut mistakes = Mistakes::default();
        let mut prepared = BTreeMap::new();
        for group in &self.group {
            let Some(path) = &group.devices_file else { continue };
            let text = read(path).map_err(|message| wrong(group, message));
            let Some(text) = mistakes.take(text).flatten() else { continue };
            let of_file = |message: String| wrong(group, format!("{}: {message}", path.display()));
            let devices = Devices::from_text(&text).map_err(|error| of_file(error.to_string()));
            let Some(devices) = mistakes.take(devices) else { continue };
            mistakes.take(check(&devices, group).map_err(of_file));
            prepared.insert(group.name.clone(), devices);
        }
        mistakes.or(Some(prepared))
    }

    /// Whether the McKey of each group is the one that its devices file was made with.
    ///
    /// # Errors
    /// Every group of which it is not.
    pub(super) fn check_prepared(
        &self,
        groups: &[Group],
        prepared: &BTreeMap<String, Devices>,
    ) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        for group in groups {
            let made_with = prepared.get(&group.name).and_then(|devices| devices.mc_key_check);
            // A key of zeros stands in for one that is not here (`fuotad check` elsewhere than on the gateway).
            let mc_key = group.mc_key.as_ref().filter(|key| *key.expose() != [0; 16]);
            let Some((made_with, mc_key)) = made_with.zip(mc_key) else { continue };
            let ours = Hex(mc_key_check(mc_key));
            if ours != made_with {
                let message = format!(
                    "mc-key-check {made_with} is of another McKey than the group's, which has {ours}: run `fuotad prepare` with this group's key file"
                );
                mistakes.add(ConfigError::value(format!("group {}.devices-file", group.name), message));
            }
        }
        mistakes.or(Some(()))
    }
}

fn wrong(group: &GroupConfig, message: impl ToString) -> ConfigError {
    ConfigError::value(format!("group {}.devices-file", group.name), message)
}

/// Whether a gateway can use the devices of a file, and may have it.
fn check(devices: &Devices, group: &GroupConfig) -> Result<(), String> {
    if let Some(name) = devices.group.as_ref().filter(|name| **name != group.name) {
        return Err(format!("it was made for group {name:?}: run `fuotad prepare --group {}`", group.name));
    }
    for device in &devices.device {
        let of_device = |message: &str| Err(format!("device {}: {message}", device.name));
        if device.gen_app_key.is_some() || device.app_key.is_some() {
            return of_device(
                "a root key has no business on a gateway: run `fuotad prepare` at a desk and copy what it writes",
            );
        }
        if device.dev_eui.is_none() {
            return of_device("dev-eui is missing: without it no network server knows the device");
        }
        if device.mc_key_encrypted.is_none() {
            return of_device("mc-key-encrypted is missing: `fuotad prepare` makes it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key_source::KeySource;
    use crate::lorawan::Secret;

    /// What the service says of a group with this devices file.
    fn judged(devices: &str, mc_key: [u8; 16]) -> Result<(), String> {
        let text = "[gateway]\nregion = \"EU868\"\n[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://h\"\n\
                    applications = [\"5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11\"]\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\n\
                    mc-key-file = \"k\"\nsession = \"windows\"\nlns = \"cs\"\ndevices-file = \"d\"\n";
        let config = Config::from_text(text, &BTreeMap::new()).unwrap();
        let (mut key, mut read) =
            (|_: KeySource<'_>| Ok(Secret::from_bytes(mc_key)), |_: &Path| Ok(Some(devices.to_owned())));
        config.service(&mut key, &mut |_| Ok(None), &mut read).map(drop).map_err(|error| error.to_string())
    }

    const DEVICE: &str = "[[device]]\nname = \"m1\"\ndev-eui = \"70b3d57ed0000001\"\nmc-key-encrypted = \"000102030405060708090a0b0c0d0e0f\"\n";

    #[test]
    fn a_devices_file_of_this_group_and_key_is_taken() {
        let check = Hex(mc_key_check(&Secret::from_bytes([7; 16])));
        let head = format!(
            "group = \"meters\"\nmc-key-check = \"{check}\"\n[image]\nsha256 = \"{}\"\nbytes = 9\nfirst-session-cnt = 3\n",
            "ab".repeat(32)
        );
        let more = "device-id = \"meter-1\"\nlorawan = \"1.0.4\"\nhardware = \"rev b\"\nmics = [\"01020304\"]\ndata-block-int-key = \"000102030405060708090a0b0c0d0e0f\"\n";
        assert_eq!(judged(&format!("{head}{DEVICE}{more}"), [7; 16]), Ok(()));
        let error = judged(&format!("{head}{DEVICE}"), [8; 16]).unwrap_err();
        assert!(error.contains("is of another McKey than the group's"), "{error}");
        // The stand-in of a key that is not here is no other key.
        assert_eq!(judged(&format!("{head}{DEVICE}"), [0; 16]), Ok(()));
    }

    #[test]
    fn what_a_gateway_cannot_use_or_must_not_have_is_refused() {
        for (devices, part) in [
            (
                format!("{DEVICE}gen-app-key = \"{}\"\n", "00".repeat(16)),
                "device m1: a root key has no business",
            ),
            (format!("{DEVICE}app-key = \"{}\"\n", "00".repeat(16)), "device m1: a root key has no business"),
            ("[[device]]\nname = \"m1\"\n".to_owned(), "device m1: dev-eui is missing"),
            (
                "[[device]]\nname = \"m1\"\ndev-eui = \"70b3d57ed0000001\"\n".to_owned(),
                "device m1: mc-key-encrypted is missing",
            ),
            (format!("group = \"other\"\n{DEVICE}"), "it was made for group \"other\""),
            (DEVICE.replace("0f\"", "\""), "is no value of 16 bytes: write 32 hex digits"),
            (format!("{DEVICE}mics = [\"0102030g\"]"), "is no value of 4 bytes: write 8 hex digits"),
        ] {
            let error = judged(&devices, [7; 16]).unwrap_err();
            assert!(
                error.starts_with("group meters.devices-file: d: ") && error.contains(part),
                "{part}: {error}"
            );
        }
    }
}
