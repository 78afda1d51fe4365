//! The operator: reads each plan and has the network server tell the devices.

use super::world::Event;
use super::world::World;
use crate::broadcast::Session;
use crate::broadcast::setup;
use crate::broadcast::setup::DeviceKeys;
use crate::report::Planned;
use crate::time::GpsTime;

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
            if !device.is_in(&planned.group) {
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

    /// The operator reads that a session was added and has every device of the group told.
    pub(super) fn announce(&mut self, name: &str, start: GpsTime, exponent: u8) {
        let Some(group) = self.script.groups.iter().find(|group| group.name == name).cloned() else { return };
        let session = Session { start, exponent };
        let (mut index, mut at_us) = (0, SETUP_US);
        if let Some(planned) = self.planned.as_mut().filter(|planned| planned.group == name) {
            // After a restart the same session may be added again.
            if planned.sessions.contains(&(start, exponent)) {
                return;
            }
            let before = planned
                .sessions
                .last()
                .map(|(start, exponent)| Session { start: *start, exponent: *exponent });
            planned.sessions.push((start, exponent));
            index = planned.sessions.len() - 1;
            at_us = before
                .map_or(0, |before| before.end().plus_us(NEXT_SESSION_US).us_since(self.gps()))
                .max(SETUP_US);
        }
        let opens = self.clock().instant_of(start).unwrap_or(self.now);
        self.referee.session(group.mc_addr.as_u32(), opens, opens.plus_us(session.length_us()));
        let Ok(command) = setup::session_command(&group, session, index) else { return };
        for device in 0..self.devices.len() {
            if self.script.devices[device].is_in(name) {
                self.after(at_us, Event::Setup(device, command.clone()));
            }
        }
    }
}
