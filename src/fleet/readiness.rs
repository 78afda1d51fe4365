//! How many devices of a group are ready.

use super::state::DeviceState;
use serde::Serialize;

/// The devices of a group, counted by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Readiness {
    /// All devices that the campaign is for.
    pub devices: u32,
    /// Told, or told and proved.
    pub told: u32,
    /// Those of the told that are proved.
    pub proved: u32,
    /// Cannot take part: refused, lost their state, in conflict.
    pub refused: u32,
    /// Not heard well enough here.
    pub not_heard_here: u32,
    /// Without uplinks or answers.
    pub silent: u32,
}

impl Readiness {
    /// Whether `percent` of all devices are told; of none nobody is missing.
    pub fn has(&self, percent: u8) -> bool {
        u64::from(self.told) * 100 >= u64::from(self.devices) * u64::from(percent)
    }
}

impl FromIterator<DeviceState> for Readiness {
    fn from_iter<I: IntoIterator<Item = DeviceState>>(states: I) -> Self {
        let mut readiness = Readiness::default();
        for state in states.into_iter().filter(|state| *state != DeviceState::NotNeeded) {
            readiness.devices += 1;
            match state {
                DeviceState::NotNeeded => {}
                DeviceState::Initial | DeviceState::Asked(_) => {}
                DeviceState::Told => readiness.told += 1,
                DeviceState::Proved => {
                    readiness.told += 1;
                    readiness.proved += 1;
                }
                DeviceState::Refused(_) | DeviceState::LostState | DeviceState::Conflict => {
                    readiness.refused += 1;
                }
                DeviceState::NotHeardHere => readiness.not_heard_here += 1,
                DeviceState::Silent => readiness.silent += 1,
            }
        }
        readiness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_of_all_devices_and_is_not_rounded_up() {
        let states = [DeviceState::Told, DeviceState::Proved, DeviceState::Silent];
        let readiness: Readiness = states.into_iter().collect();
        assert_eq!((readiness.told, readiness.proved, readiness.silent), (2, 1, 1));
        assert!(readiness.has(66) && !readiness.has(67) && Readiness::default().has(100));
    }
}
