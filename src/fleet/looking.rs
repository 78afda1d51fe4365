//! The devices of a fleet as people and programs see them.

use super::fleet::Fleet;
use super::readiness::Readiness;
use super::state::DeviceState;
use super::view::DeviceView;
use super::view::state;
use crate::lorawan::Eui64;
use crate::time::Now;
use core::ops::Bound;

impl Fleet {
    /// Each device as people see it.
    pub fn devices(&self, now: Now) -> impl Iterator<Item = DeviceView<'_>> {
        let context = self.shared.shown(now);
        self.devices.iter().map(move |device| DeviceView::new(device, &context))
    }

    /// The devices with a greater DevEUI than `after`, by ascending DevEUI.
    pub fn devices_after(&self, now: Now, after: Option<Eui64>) -> impl Iterator<Item = DeviceView<'_>> {
        let context = self.shared.shown(now);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let indices = self.by_eui.range((from, Bound::Unbounded));
        indices.map(move |(_, index)| DeviceView::new(&self.devices[*index], &context))
    }

    /// Each device and how far it is.
    pub fn states(&self, now: Now) -> impl Iterator<Item = (Eui64, DeviceState)> {
        let context = self.shared.shown(now);
        self.devices.iter().map(move |device| (device.member.dev_eui, state(device, &context)))
    }

    /// One device as people see it.
    pub fn device(&self, now: Now, dev_eui: Eui64) -> Option<DeviceView<'_>> {
        let device = &self.devices[*self.by_eui.get(&dev_eui)?];
        Some(DeviceView::new(device, &self.shared.shown(now)))
    }

    /// How many devices are ready.
    pub fn readiness(&self, now: Now) -> Readiness {
        let context = self.shared.shown(now);
        self.devices.iter().map(|device| state(device, &context)).collect()
    }
}
