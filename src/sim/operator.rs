//! The operator: orders the tasks, reads the reports, has the network server tell the devices, and finds another start
//! for what missed its sessions.

use super::event::Event;
use super::script::DeviceScript;
use super::script::Script;
use super::script::TaskScript;
use super::wall::TrueClock;
use crate::campaign::Group;
use crate::campaign::Session;
use crate::campaign::setup;
use crate::campaign::setup::DeviceKeys;
use crate::cloud::task_from_file;
use crate::report::Event as Happened;
use crate::report::Planned;
use crate::report::Report;
use crate::task::Task;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// The operator's network server needs this for each device and command, microseconds.
const SETUP_US: u64 = 100_000;
/// After a session's end the next one is announced, microseconds.
const NEXT_SESSION_US: u64 = 5_000_000;
/// A task that missed its sessions is moved so far ahead, microseconds.
const AHEAD_US: u64 = 120_000_000;
/// The operator needs this to find another start for a task, microseconds.
const RETELL_US: u64 = 60_000_000;
/// The file of a task that is over is removed after this, microseconds.
const TIDY_US: u64 = 5_000_000;

/// What the operator does to the world.
pub(super) enum OperatorEffect {
    /// The devices of a group will be told this session.
    Opens { mc_addr: u32, start: Instant, end: Instant },
    /// A device is being set up for a task.
    Serves { device: usize, task: Option<usize> },
    /// Something will happen after so many microseconds.
    Later(u64, Event),
    /// Every task is over.
    IsDone,
}

/// What the operator has, wants and knows.
pub(super) struct Operator {
    truth: TrueClock,
    groups: Vec<Group>,
    devices: Vec<DeviceScript>,
    /// Those that the gateway sets up itself, through a network server.
    behind_servers: BTreeSet<usize>,
    tasks: Vec<TaskScript>,
    is_folder_tidied: bool,
    is_retold: bool,
    is_forgetful: bool,
    /// Tasks whose plans were read.
    read: BTreeSet<String>,
    /// The newest plan, with the sessions that were told.
    planned: Option<Planned>,
    /// The task that the devices of a group are set up for.
    serving: BTreeMap<String, String>,
    /// Plans that wait until the devices of their group are free: they hold one fragmentation session.
    waiting: Vec<(String, Planned)>,
    /// The sessions that the devices of a group were told.
    told: BTreeMap<String, Vec<(GpsTime, u8)>>,
    /// Tasks that are not over.
    open: BTreeSet<String>,
    /// How many tasks were refused or are over.
    over: u64,
    effects: VecDeque<OperatorEffect>,
}

impl Operator {
    pub(super) fn new(script: Script, truth: TrueClock) -> Operator {
        Operator {
            truth,
            groups: script.groups,
            devices: script.devices,
            behind_servers: script
                .fields
                .iter()
                .flat_map(|field| &field.devices)
                .map(|of| of.device)
                .collect(),
            open: script.tasks.iter().flat_map(ids).collect(),
            tasks: script.tasks,
            is_folder_tidied: script.is_folder_tidied,
            is_retold: script.is_retold,
            is_forgetful: script.is_forgetful,
            read: BTreeSet::new(),
            planned: None,
            serving: BTreeMap::new(),
            waiting: Vec::new(),
            told: BTreeMap::new(),
            over: 0,
            effects: VecDeque::new(),
        }
    }

    /// The tasks, as they stand in the folder now.
    pub(super) fn tasks(&self) -> &[TaskScript] {
        &self.tasks
    }

    /// From now on the first task's URI leads to another image.
    pub(super) fn replace_image(&mut self, image: Vec<u8>) {
        if let Some(task) = self.tasks.first_mut() {
            task.image = image;
        }
    }

    /// The newest plan, with the sessions that the devices were told.
    pub(super) fn planned(&self) -> Option<&Planned> {
        self.planned.as_ref()
    }

    /// How many tasks were refused or are over.
    pub(super) fn over(&self) -> u64 {
        self.over
    }

    /// Whether every task is over.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// What the operator does next; to be asked after every call until there is nothing.
    pub(super) fn poll(&mut self) -> Option<OperatorEffect> {
        self.effects.pop_front()
    }

    /// The operator reads a report.
    pub(super) fn read(&mut self, now: Instant, report: &Report) {
        let task = report.task.as_ref();
        match &report.event {
            Happened::Planned(planned) => {
                let task = task.map(|task| task.as_str().to_owned()).unwrap_or_default();
                self.read_plan(now, task, planned);
            }
            Happened::SessionsMoved { group, sessions } | Happened::StartDecided { group, sessions } => {
                self.announce(now, group, sessions);
            }
            Happened::SessionsMissed { .. } if self.is_retold => {
                if let Some(task) = task {
                    self.later(RETELL_US, Event::Retell(task.clone()));
                }
            }
            Happened::AlreadyOver { .. } => {
                if let Some(task) = task {
                    self.close(now, task.as_str());
                }
                self.end_when_all_are_over();
            }
            Happened::Over(_) | Happened::Refused { .. } => {
                self.over += 1;
                if let Some(task) = task {
                    self.close(now, task.as_str());
                    if self.is_folder_tidied {
                        self.later(TIDY_US, Event::Gone(task.clone()));
                    }
                } else {
                    self.open.clear();
                }
                self.end_when_all_are_over();
            }
            _ => {}
        }
    }

    fn later(&mut self, us: u64, event: Event) {
        self.effects.push_back(OperatorEffect::Later(us, event));
    }

    fn end_when_all_are_over(&mut self) {
        if self.open.is_empty() {
            self.effects.push_back(OperatorEffect::IsDone);
        }
    }

    /// After a restart a plan is the same one: nobody is told twice.
    fn read_plan(&mut self, now: Instant, task: String, planned: &Planned) {
        self.planned = Some(planned.clone());
        if !self.read.insert(task.clone()) {
            return;
        }
        if self.serving.contains_key(&planned.group) {
            self.waiting.push((task, planned.clone()));
        } else {
            self.set_up(now, task, planned.clone());
        }
    }

    /// A task is over: the devices of its group are free for the next one.
    fn close(&mut self, now: Instant, task: &str) {
        self.open.remove(task);
        self.serving.retain(|_, served| served != task);
        self.waiting.retain(|(waiting, _)| waiting != task);
        let free = |(_, planned): &(String, Planned)| !self.serving.contains_key(&planned.group);
        if let Some(at) = self.waiting.iter().position(free) {
            let (task, planned) = self.waiting.remove(at);
            self.set_up(now, task, planned);
        }
    }

    /// The operator queues the commands for every device.
    fn set_up(&mut self, now: Instant, task: String, mut planned: Planned) {
        // A device that is told a session of the past refuses it.
        let gps = self.truth.gps(now);
        planned.sessions.retain(|(start, exponent)| start.plus_us(1_000_000 << exponent) > gps);
        let group = self.groups.iter().find(|group| group.name == planned.group).cloned();
        let Some(group) = group else { return };
        for (start, exponent) in &planned.sessions {
            self.open_session(now, &group, Session { start: *start, exponent: *exponent });
        }
        let number = self.tasks.iter().position(|script| script.is_of(&task));
        let image = number.map(|number| self.tasks[number].image.as_slice()).unwrap_or_default();
        let session_cnt = u16::try_from(self.read.len()).unwrap_or(u16::MAX);
        for (index, device) in self.devices.iter().enumerate() {
            if !device.is_in(&planned.group) {
                continue;
            }
            self.effects.push_back(OperatorEffect::Serves { device: index, task: number });
            if self.behind_servers.contains(&index) {
                continue;
            }
            let keys = DeviceKeys::Root { root_key: &device.settings.root_key, session_cnt };
            let Ok(commands) = setup::commands(&planned, &group, image, &keys) else { continue };
            let mut at_us = SETUP_US * (index as u64 + 1);
            for command in commands {
                let after = command.session.and_then(|session| session.checked_sub(1));
                let announce =
                    after.and_then(|before| planned.sessions.get(before)).map(|(start, exponent)| {
                        start.plus_us(1_000_000 << exponent).plus_us(NEXT_SESSION_US).us_since(gps)
                    });
                at_us += SETUP_US;
                let event = Event::Setup(index, command);
                self.effects.push_back(OperatorEffect::Later(announce.unwrap_or(at_us), event));
            }
        }
        self.told.insert(planned.group.clone(), planned.sessions.clone());
        self.serving.insert(planned.group, task);
    }

    fn open_session(&mut self, now: Instant, group: &Group, session: Session) {
        let start = self.truth.read(now).instant_of(session.start).unwrap_or(now);
        let (mc_addr, end) = (group.mc_addr.as_u32(), start.plus_us(session.length_us()));
        self.effects.push_back(OperatorEffect::Opens { mc_addr, start, end });
    }

    /// The operator reads that the sessions are other ones, and has every device of the group told those it was not
    /// told before.
    fn announce(&mut self, now: Instant, name: &str, sessions: &[(GpsTime, u8)]) {
        let Some(group) = self.groups.iter().find(|group| group.name == name).cloned() else { return };
        if self.is_forgetful {
            return;
        }
        for (start, exponent) in sessions {
            let told = self.told.entry(name.to_owned()).or_default();
            if told.contains(&(*start, *exponent)) {
                continue;
            }
            let before = told.last().map(|(start, exponent)| Session { start: *start, exponent: *exponent });
            told.push((*start, *exponent));
            let (index, gps) = (told.len() - 1, self.truth.gps(now));
            let at_us = before.map_or(0, |before| before.end().plus_us(NEXT_SESSION_US).us_since(gps));
            let session = Session { start: *start, exponent: *exponent };
            self.open_session(now, &group, session);
            let Ok(command) = setup::session_command(&group, session, index) else { continue };
            for (device, script) in self.devices.iter().enumerate() {
                if script.is_in(name) && !self.behind_servers.contains(&device) {
                    let event = Event::Setup(device, command.clone());
                    self.effects.push_back(OperatorEffect::Later(at_us.max(SETUP_US), event));
                }
            }
        }
        if let Some(planned) = self.planned.as_mut().filter(|planned| planned.group == name) {
            planned.sessions = self.told.get(name).cloned().unwrap_or_default();
        }
    }

    /// The operator gives a task a later start.
    pub(super) fn retell(&mut self, now: Instant, task: &TaskId) {
        let Some(index) = self.tasks.iter().position(|script| script.is_of(task.as_str())) else {
            return;
        };
        let whole_s = (self.truth.gps(now).as_us() + AHEAD_US).div_ceil(1_000_000) * 1_000_000;
        let start = rfc3339_from_gps(GpsTime::from_us(whole_s));
        let document = serde_json::from_str::<serde_json::Value>(&self.tasks[index].document);
        let Ok(mut document) = document else { return };
        match document.pointer_mut("/LoRaWAN/StartTime") {
            Some(there) => *there = start.into(),
            None => document["Fuotad"]["Start"] = start.into(),
        }
        self.tasks[index].document = document.to_string();
        self.later(0, Event::Task(index));
    }
}

/// The tasks that a document orders: one for each of its groups.
fn ids(script: &TaskScript) -> Vec<String> {
    let task = task_from_file(script.document.as_bytes(), &script.stem);
    match task.and_then(Task::per_group) {
        Ok(tasks) if tasks.len() > 1 => tasks.iter().map(|task| task.id.to_string()).collect(),
        _ => vec![script.stem.clone()],
    }
}
