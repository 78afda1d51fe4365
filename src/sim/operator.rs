//! The operator: enrols the keys, reads each plan, has the network server tell the devices, and finds another start
//! for what missed its sessions.

use super::event::Event;
use super::world::World;
use crate::campaign::Session;
use crate::campaign::setup;
use crate::campaign::setup::DeviceKeys;
use crate::report::Planned;
use crate::store::Enrolment;
use crate::store::enrol;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The operator's network server needs this for each device and command, microseconds.
const SETUP_US: u64 = 100_000;
/// After a session's end the next one is announced, microseconds.
const NEXT_SESSION_US: u64 = 5_000_000;
/// A task that missed its sessions is moved so far ahead, microseconds.
const AHEAD_US: u64 = 120_000_000;

/// What the operator knows.
#[derive(Debug, Default)]
pub(super) struct Operator {
    /// Tasks whose plans were read.
    read: BTreeSet<String>,
    /// The task that the devices of a group are set up for.
    serving: BTreeMap<String, String>,
    /// Plans that wait until the devices of their group are free: they hold one fragmentation session.
    waiting: Vec<(String, Planned)>,
    /// The sessions that the devices of a group were told.
    told: BTreeMap<String, Vec<(GpsTime, u8)>>,
}

impl World {
    /// `fuotad group enrol`, for every group that says from where on.
    pub(super) fn enrol(&mut self) {
        for group in &self.script.groups {
            let Some(first_fcnt) = group.first_fcnt else { continue };
            let enrolment = Enrolment::new(&group.name, None, first_fcnt, false);
            let mut disk = Rc::clone(&self.files.disk);
            // Two groups of one key are told of at the first plan.
            let _ = enrol(&mut disk, group.keys.fingerprint(), &enrolment, [0; 16]);
        }
    }

    /// The operator reads a plan. After a restart it is the same one: nobody is told twice.
    pub(super) fn read_plan(&mut self, task: String, planned: Planned) {
        self.planned = Some(planned.clone());
        if !self.operator.read.insert(task.clone()) {
            return;
        }
        if self.operator.serving.contains_key(&planned.group) {
            self.operator.waiting.push((task, planned));
        } else {
            self.set_up(task, planned);
        }
    }

    /// A task is over: the devices of its group are free for the next one.
    pub(super) fn over(&mut self, task: &str) {
        self.operator.serving.retain(|_, served| served != task);
        self.operator.waiting.retain(|(waiting, _)| waiting != task);
        let free = |(_, planned): &(String, Planned)| !self.operator.serving.contains_key(&planned.group);
        if let Some(at) = self.operator.waiting.iter().position(free) {
            let (task, planned) = self.operator.waiting.remove(at);
            self.set_up(task, planned);
        }
    }

    /// The operator queues the commands for every device.
    fn set_up(&mut self, task: String, mut planned: Planned) {
        // A device that is told a session of the past refuses it.
        let gps = self.gps();
        planned.sessions.retain(|(start, exponent)| start.plus_us(1_000_000 << exponent) > gps);
        let group = self.script.groups.iter().find(|group| group.name == planned.group).cloned();
        let Some(group) = group else { return };
        for (start, exponent) in &planned.sessions {
            let start = self.true_clock().instant_of(*start).unwrap_or(self.now);
            self.referee.session(group.mc_addr.as_u32(), start, start.plus_us(1_000_000 << exponent));
        }
        let number = self.script.tasks.iter().position(|script| script.stem == task);
        let image = number.map(|number| self.script.tasks[number].image.clone()).unwrap_or_default();
        let session_cnt = u16::try_from(self.operator.read.len()).unwrap_or(u16::MAX);
        for index in 0..self.devices.len() {
            let device = &self.script.devices[index];
            if !device.is_in(&planned.group) {
                continue;
            }
            let keys = DeviceKeys { root_key: &device.settings.root_key, session_cnt };
            let Ok(commands) = setup::commands(&planned, &group, &image, &keys) else { continue };
            self.devices[index].next_task = number;
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
        self.operator.told.insert(planned.group.clone(), planned.sessions.clone());
        self.operator.serving.insert(planned.group, task);
    }

    /// The operator reads that the sessions are other ones, and has every device of the group told those it was not
    /// told before.
    pub(super) fn announce(&mut self, name: &str, sessions: &[(GpsTime, u8)]) {
        let Some(group) = self.script.groups.iter().find(|group| group.name == name).cloned() else { return };
        if self.script.is_forgetful {
            return;
        }
        for (start, exponent) in sessions {
            let told = self.operator.told.entry(name.to_owned()).or_default();
            if told.contains(&(*start, *exponent)) {
                continue;
            }
            let before = told.last().map(|(start, exponent)| Session { start: *start, exponent: *exponent });
            told.push((*start, *exponent));
            let index = told.len() - 1;
            let at_us = before.map_or(0, |before| before.end().plus_us(NEXT_SESSION_US).us_since(self.gps()));
            let session = Session { start: *start, exponent: *exponent };
            let opens = self.true_clock().instant_of(*start).unwrap_or(self.now);
            self.referee.session(group.mc_addr.as_u32(), opens, opens.plus_us(session.length_us()));
            let Ok(command) = setup::session_command(&group, session, index) else { continue };
            for device in 0..self.devices.len() {
                if self.script.devices[device].is_in(name) {
                    self.after(at_us.max(SETUP_US), Event::Setup(device, command.clone()));
                }
            }
        }
        if let Some(planned) = self.planned.as_mut().filter(|planned| planned.group == name) {
            planned.sessions = self.operator.told.get(name).cloned().unwrap_or_default();
        }
    }

    /// The operator gives a task a later start.
    pub(super) fn retell(&mut self, task: &TaskId) {
        let Some(index) = self.script.tasks.iter().position(|script| script.stem == task.as_str()) else {
            return;
        };
        let whole_s = (self.gps().as_us() + AHEAD_US).div_ceil(1_000_000) * 1_000_000;
        let start = rfc3339_from_gps(GpsTime::from_us(whole_s));
        let document = serde_json::from_str::<serde_json::Value>(&self.script.tasks[index].document);
        let Ok(mut document) = document else { return };
        match document.pointer_mut("/LoRaWAN/StartTime") {
            Some(there) => *there = start.into(),
            None => document["Fuotad"]["Start"] = start.into(),
        }
        self.script.tasks[index].document = document.to_string();
        self.after(0, Event::Task(index));
    }
}
