//! The operator: reads each plan and has the network server tell the devices.

use super::world::Event;
use super::world::World;
use crate::broadcast::setup;
use crate::broadcast::setup::DeviceKeys;
use crate::report::Planned;

/// The operator's network server needs this for each device and command, microseconds.
const SETUP_US: u64 = 100_000;
/// After a session's end the next one is announced, microseconds.
const NEXT_SESSION_US: u64 = 5_000_000;

impl World {
    /// The operator reads the plan and queues the commands for every device.
    pub(super) fn set_up(&mut self, planned: Planned) {
        let group = self.script.groups.iter().find(|group| group.name == planned.group).cloned();
        let Some(group) = group else { return };
        for (start, exponent) in &planned.sessions {
            let start = self.clock().instant_of(*start).unwrap_or(self.now);
            self.referee.session(group.mc_addr.as_u32(), start, start.plus_us(1_000_000 << exponent));
        }
        let image = self.script.tasks.first().map(|task| task.image.clone()).unwrap_or_default();
        let session_cnt = u16::try_from(self.told.len()).unwrap_or(u16::MAX);
        for index in 0..self.devices.len() {
            let device = &self.script.devices[index];
            if !device.is_told {
                continue;
            }
            let keys = DeviceKeys { root_key: &device.settings.root_key, session_cnt };
            let Ok(commands) = setup::commands(&planned, &group, &image, &keys) else { continue };
            self.devices[index].is_complete = false;
            let mut at_us = SETUP_US * (index as u64 + 1);
            for command in commands {
                let after = command.session.and_then(|session| session.checked_sub(1));
                let announce =
                    after.and_then(|before| planned.sessions.get(before)).map(|(start, exponent)| {
                        let end = start.plus_us(1_000_000 << exponent).plus_us(NEXT_SESSION_US);
                        end.us_since(self.gps())
                    });
                at_us += SETUP_US;
                self.after(announce.unwrap_or(at_us), Event::Setup(index, command));
            }
        }
        self.planned = Some(planned);
    }
}
