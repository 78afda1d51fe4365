//! Which devices are ours.

use std::collections::BTreeMap;

use crate::lorawan::Eui64;

/// The devices that somebody here waits for. The Things Stack names them by a device_id that the operator chose: it
/// is given, or learned from the first uplink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    device_ids: BTreeMap<Eui64, Option<String>>,
    dev_euis: BTreeMap<String, Eui64>,
}

impl Audience {
    /// These devices, each with its device_id at The Things Stack where it is known.
    pub fn new(devices: impl IntoIterator<Item = (Eui64, Option<String>)>) -> Audience {
        let mut audience = Audience::default();
        for (dev_eui, device_id) in devices {
            audience.device_ids.insert(dev_eui, None);
            if let Some(device_id) = device_id {
                audience.learn(dev_eui, &device_id);
            }
        }
        audience
    }

    /// Whether the device is ours.
    pub fn contains(&self, dev_eui: Eui64) -> bool {
        self.device_ids.contains_key(&dev_eui)
    }

    /// The device of ours that has this device_id, as far as it is known.
    pub(super) fn by_device_id(&self, device_id: &str) -> Option<Eui64> {
        self.dev_euis.get(device_id).copied()
    }

    /// The device `dev_eui` is called `device_id` now; nothing happens if it is none of ours.
    pub(super) fn learn(&mut self, dev_eui: Eui64, device_id: &str) {
        let Some(known) = self.device_ids.get_mut(&dev_eui) else { return };
        if let Some(before) = known.replace(device_id.to_owned()) {
            self.dev_euis.remove(&before);
        }
        self.dev_euis.insert(device_id.to_owned(), dev_eui);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_was_registered_anew_is_known_by_its_new_name_only() {
        let [ours, other] = [1, 2].map(|last| Eui64::from_bytes([0, 0, 0, 0, 0, 0, 0, last]));
        let mut audience = Audience::new([(ours, Some("old".to_owned()))]);
        assert_eq!(audience.by_device_id("old"), Some(ours));
        audience.learn(ours, "new");
        audience.learn(other, "other");
        assert_eq!(audience.by_device_id("old"), None);
        assert_eq!(audience.by_device_id("new"), Some(ours));
        assert_eq!(audience.by_device_id("other"), None);
        assert!(audience.contains(ours) && !audience.contains(other));
    }
}
