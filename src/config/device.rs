//! What a `[[group]]` says of its devices: gaps and batteries.

use super::error::ConfigError;
use super::error::Mistakes;
use super::group::GroupConfig;
use super::group::PowerConfig;
use crate::campaign::DeviceProfile;
use crate::campaign::Power;

/// More than any receiver draws, milliampere.
const RECEIVE_MAX_MA: f64 = 1000.0;
/// More than any battery of a device holds, milliampere hours.
const CAPACITY_MAX_MAH: u32 = 1_000_000;

impl GroupConfig {
    /// What is known of the stack, with gaps of the operator's own.
    pub(super) fn profile(&self) -> DeviceProfile {
        let profile = self.device_profile.profile();
        let own = |gap_ms: Option<u64>, gap_us: u64| gap_ms.map_or(gap_us, |gap_ms| gap_ms * 1000);
        DeviceProfile {
            gap_uncoded_us: own(self.gap_uncoded_ms, profile.gap_uncoded_us),
            gap_coded_us: own(self.gap_coded_ms, profile.gap_coded_us),
            ..profile
        }
    }

    /// The battery of its devices.
    pub(super) fn power(&self) -> Result<Power, ConfigError> {
        let PowerConfig { class, receive_ma, capacity_mah } = self.power;
        let mut mistakes = Mistakes::default();
        if !(0.001..=RECEIVE_MAX_MA).contains(&receive_ma) {
            let message = format!(
                "{receive_ma} mA is no receiver: write 0.001 to {RECEIVE_MAX_MA}, an SX1262 draws 5.5"
            );
            mistakes.add(self.wrong("power.receive-ma", message));
        }
        if !(1..=CAPACITY_MAX_MAH).contains(&capacity_mah) {
            let message = format!(
                "{capacity_mah} mAh is no battery: write 1 to {CAPACITY_MAX_MAH}, an AA cell of a meter holds 2400"
            );
            mistakes.add(self.wrong("power.capacity-mah", message));
        }
        let receive_ua = (receive_ma * 1000.0).round() as u32;
        mistakes.or(Some(Power { class, receive_ua, capacity_mah }))
    }
}
