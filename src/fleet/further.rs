//! What a further session of a campaign asks of its fleet: how long devices need to be told it, and who was.

use super::fleet::Fleet;
use super::start_gate::lead_us;
use crate::lorawan::Eui64;
use crate::time::GpsTime;

impl Fleet {
    /// How long these devices need until each was told something, microseconds: some of the slowest one's usual distances
    /// of uplinks.
    pub fn lead_us(&self, devices: impl Iterator<Item = Eui64>) -> u64 {
        let known = devices.filter_map(|dev_eui| self.by_eui.get(&dev_eui));
        let intervals_s = known.map(|index| self.devices[*index].progress.habits.interval_s);
        // Nobody knows the distance of one that sent only once.
        let all = intervals_s.map(|interval_s| (interval_s > 0).then_some(interval_s));
        lead_us(all.max_by_key(|interval_s| interval_s.unwrap_or(u32::MAX)).unwrap_or(Some(0)))
    }

    /// Whether the device confirmed the session that starts then.
    pub fn is_told_session(&self, dev_eui: Eui64, start: GpsTime) -> bool {
        let progress = self.by_eui.get(&dev_eui).map(|index| &self.devices[*index].progress);
        progress.is_some_and(|progress| progress.session_told == start.session_time())
    }
}
