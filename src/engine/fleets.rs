//! The fleets of all groups with a network server: who gets which event, and which campaign their devices are set up for.

use super::io::FleetSettings;
use super::io::Output;
use crate::answers::Holding;
use crate::answers::Roll;
use crate::campaign::Group;
use crate::campaign::Session;
use crate::campaign::SessionRule;
use crate::fleet;
use crate::fleet::Channel;
use crate::fleet::Fleet;
use crate::fleet::FleetRules;
use crate::fleet::Question;
use crate::fleet::Readiness;
use crate::fleet::Setup;
use crate::fleet::Window;
use crate::forwarder::GatewayId;
use crate::forwarder::Uplink;
use crate::fragment::Ts004Version;
use crate::lns::Event as Told;
use crate::lns::EventKind;
use crate::lorawan::Eui64;
use crate::lorawan::PackageVersion;
use crate::region::Parameters;
use crate::report::ClockNeed;
use crate::report::Event;
use crate::report::Planned;
use crate::report::Report;
use crate::report::WaitReason;
use crate::store::Change;
use crate::store::FleetRecord;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// Saves of fleets are numbered from here on, those of campaigns below.
const FIRST_SAVE: u64 = 1 << 63;
/// So many of the gateway's last uplinks are remembered, each for so long, microseconds: a network server tells of one
/// within a second or two.
const HEARD_MAX: usize = 64;
const HEARD_US: u64 = 10_000_000;
/// MHDR, DevAddr, FCtrl, FCnt, FPort and MIC of an uplink with a payload.
const FRAME_BYTES: usize = 13;
/// FOpts of an uplink, at most.
const FOPTS_MAX_BYTES: usize = 15;

/// The fleet of one group.
struct GroupFleet {
    group: String,
    link: usize,
    channel: Channel,
    fleet: Fleet,
    /// The open tasks of the group in the order of their plans: the devices are set up for the first.
    tasks: Vec<PlannedTask>,
}

/// A task that devices are to be set up for.
struct PlannedTask {
    id: TaskId,
    setup: Setup,
    /// Its counters are on disk: before that nobody is told of them, nor whether its first fragment was sent.
    is_armed: bool,
    has_begun: bool,
}

/// What a fleet wishes.
pub(super) enum Wish {
    /// Something of the world outside.
    Output(Box<Output>),
    /// The campaign begins then.
    Start(TaskId, GpsTime),
    /// Canaries are asked this before the campaign begins.
    Ask(TaskId, Question),
    /// There is no campaign, and why.
    End(TaskId, String),
    /// Something is unusual and the operator is told.
    Warn(String),
}

/// The fleets of all groups.
pub(super) struct Fleets {
    fleets: Vec<GroupFleet>,
    /// Records on their way to the disk.
    saving: BTreeMap<u64, (usize, RecordId)>,
    last_save: u64,
    /// End and length of the gateway's last uplinks.
    heard: VecDeque<(Instant, usize)>,
    /// Records of groups that are no more.
    stale: Vec<RecordId>,
}

impl Fleets {
    /// The fleets of these groups, with what their records say. A group that cannot be sent to has none.
    pub(super) fn new(
        settings: Vec<FleetSettings>,
        groups: &[Group],
        region: &'static Parameters,
        gateway: Option<GatewayId>,
        records: &[FleetRecord],
    ) -> Fleets {
        let mut fleets = Vec::new();
        for FleetSettings { group, link, rules, members } in settings {
            let Some(of_group) = groups.iter().find(|known| known.name == group) else { continue };
            let Some(channel) = channel(of_group, region) else { continue };
            let rules = FleetRules { gateway_eui: rules.gateway_eui.or(gateway.map(eui)), ..rules };
            let key = of_group.keys.fingerprint();
            let fleet = Fleet::new(key, channel.frag_fport, rules, members, records);
            fleets.push(GroupFleet { group, link, channel, fleet, tasks: Vec::new() });
        }
        let known: BTreeSet<RecordId> = fleets.iter().flat_map(|of| of.fleet.record_ids()).collect();
        let stale = records.iter().map(|record| record.id).filter(|id| !known.contains(id)).collect();
        Fleets { fleets, saving: BTreeMap::new(), last_save: FIRST_SAVE, heard: VecDeque::new(), stale }
    }

    /// These records are somebody's, too.
    pub(super) fn keep(&mut self, known: impl Iterator<Item = RecordId>) {
        let known: BTreeSet<RecordId> = known.collect();
        self.stale.retain(|id| !known.contains(id));
    }

    /// Whether a save is one of a fleet.
    pub(super) fn is_its(save: u64) -> bool {
        save >= FIRST_SAVE
    }

    /// What is to be said of a plan that is for some devices.
    pub(super) fn warning(&self, planned: &Planned) -> Option<String> {
        let only = planned.only.as_deref()?;
        let fleet = self.of_group(&planned.group)?;
        let strangers = only.iter().filter(|dev_eui| !fleet.has(**dev_eui)).count();
        (strangers > 0).then(|| {
            format!(
                "Fuotad.Devices: {strangers} of {} are none of the devices of group {}: they are told nothing",
                only.len(),
                planned.group
            )
        })
    }

    /// The fleet of this group.
    pub(super) fn of_group(&self, group: &str) -> Option<&Fleet> {
        self.fleets.iter().find(|of| of.group == group).map(|of| &of.fleet)
    }

    /// Each group that has one.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &Fleet)> {
        self.fleets.iter().map(|of| (of.group.as_str(), &of.fleet))
    }

    /// The shortest usual distance of an uplink behind this connection, seconds; `None` while none is known.
    pub(super) fn shortest_interval_s(&self, link: usize) -> Option<u32> {
        self.fleets.iter().filter(|of| of.link == link).filter_map(|of| of.fleet.shortest_interval_s()).min()
    }

    /// A device begins anew; `false` if there is none.
    pub(super) fn begin_anew(&mut self, group: &str, dev_eui: Eui64, is_forgotten: bool) -> bool {
        let Some(of) = self.fleets.iter_mut().find(|of| of.group == group) else { return false };
        if is_forgotten { of.fleet.forget(dev_eui) } else { of.fleet.retry(dev_eui) }
    }

    /// The devices of this group are asked for their versions although nothing is to be set up.
    pub(super) fn survey(&mut self, group: &str) {
        let theirs = self.fleets.iter_mut().filter(|of| of.group == group);
        theirs.for_each(|of| of.fleet.survey());
    }

    /// The packet forwarder is this gateway.
    pub(super) fn adopt(&mut self, gateway: GatewayId) {
        self.fleets.iter_mut().for_each(|of| of.fleet.adopt(eui(gateway)));
    }

    /// The gateway received an uplink of whomever.
    pub(super) fn heard(&mut self, uplink: &Uplink) {
        let Some(size) = uplink.size.filter(|_| uplink.crc_ok) else { return };
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back((uplink.ended, usize::from(size)));
    }

    /// A device of this group may be asked alone what it holds, so often in all.
    pub(super) fn want_result(&mut self, group: &str, dev_eui: Eui64, questions: u8) {
        let theirs = self.fleets.iter_mut().filter(|of| of.group == group);
        theirs.for_each(|of| of.fleet.want_result(dev_eui, questions));
    }

    /// A device of this group said whether it holds the image.
    pub(super) fn holds_image(&mut self, group: &str, dev_eui: Eui64, holds_image: bool) {
        let theirs = self.fleets.iter_mut().filter(|of| of.group == group);
        theirs.for_each(|of| of.fleet.holds_image(dev_eui, holds_image));
    }

    /// Whether a question what it holds went to this device alone, since it was set up.
    pub(super) fn is_asked_alone(&self, group: &str, dev_eui: Eui64) -> bool {
        self.of_group(group).is_some_and(|fleet| fleet.is_asked_alone(dev_eui))
    }

    /// A network server told something of a device.
    pub(super) fn event(&mut self, now: Now, link: usize, event: &Told) {
        let ended = match &event.kind {
            EventKind::Up(up) => self.ended(now, up.data.len()),
            _ => None,
        };
        let theirs = self.fleets.iter_mut().filter(|of| of.link == link);
        theirs.for_each(|of| of.fleet.event(now, event, ended));
    }

    /// When the newest uplink that may have carried so many bytes ended here.
    fn ended(&self, now: Now, payload_bytes: usize) -> Option<Instant> {
        let sizes = payload_bytes + FRAME_BYTES..=payload_bytes + FRAME_BYTES + FOPTS_MAX_BYTES;
        let fits =
            |(ended, size): &&(Instant, usize)| sizes.contains(size) && now.mono.us_since(*ended) <= HEARD_US;
        self.heard.iter().rev().find(fits).map(|(ended, _)| *ended)
    }

    /// A campaign was planned, moved, begun or ended: its devices are told accordingly.
    pub(super) fn read(&mut self, now: Now, report: &Report) {
        let Some(task) = &report.task else { return };
        match &report.event {
            Event::Planned(planned) => {
                let of_group = self.fleets.iter_mut().find(|of| of.group == planned.group);
                let Some(of) = of_group else { return };
                let setup = Setup::new(task.as_str(), planned, of.channel);
                of.tasks.retain(|known| known.id != *task);
                of.tasks.push(PlannedTask { id: task.clone(), setup, is_armed: false, has_begun: false });
                of.set_up();
            }
            Event::Began | Event::Resumed { frame_no: 1.. } => {
                for of in &mut self.fleets {
                    of.tasks
                        .iter_mut()
                        .filter(|known| known.id == *task)
                        .for_each(|known| known.has_begun = true);
                    of.set_up();
                }
            }
            Event::CanariesAsked { fcnt, end } => {
                let of_task = |of: &&mut GroupFleet| of.tasks.first().is_some_and(|first| first.id == *task);
                if let (Some(of), Some(end)) = (self.fleets.iter_mut().find(of_task), now.gps_at(*end)) {
                    of.fleet.asked(*fcnt, end);
                }
            }
            Event::Over(_) | Event::Refused { .. } | Event::AlreadyOver { .. } => {
                for of in &mut self.fleets {
                    of.tasks.retain(|known| known.id != *task);
                    of.set_up();
                }
            }
            _ => {}
        }
    }

    /// Sessions of armed campaigns as they are now: they are known late, or move. A further one is told to `listeners` only.
    pub(super) fn follow<'a>(
        &mut self,
        sessions: impl Fn(&TaskId) -> Option<&'a [Session]>,
        listeners: impl Fn(&TaskId) -> Option<&'a BTreeSet<Eui64>>,
    ) {
        for of in &mut self.fleets {
            let Some(first) = of.tasks.first_mut() else { continue };
            let Some(sessions) = sessions(&first.id) else { continue };
            let window = |session: &Session| Window { start: session.start, exponent: session.exponent };
            let listeners =
                listeners(&first.id).filter(|listeners| first.setup.only.as_ref() != Some(*listeners));
            let is_known = sessions.iter().map(window).eq(first.setup.windows.iter().copied());
            if !is_known || !first.is_armed || listeners.is_some() {
                first.is_armed = true;
                first.setup.windows = sessions.iter().map(window).collect();
                first.setup.only = listeners.cloned().or(first.setup.only.take());
                of.set_up();
            }
        }
    }

    /// Whoever received fragments of a campaign has its group's key. An answer alone does not say that: it may be one to a
    /// question to the device alone.
    pub(super) fn take_answers<'a>(&mut self, roll: impl Fn(&str) -> Option<&'a Roll>) {
        for of in &mut self.fleets {
            let Some(roll) = roll(&of.group) else { continue };
            let nb_frag = roll.session().nb_frag;
            let has_received = |holding: Holding| match holding {
                Holding::Missing(fragments) => fragments < nb_frag,
                other => other == Holding::Done,
            };
            let receivers = roll.each().filter(|(_, holding)| has_received(*holding));
            of.fleet.have_answered(receivers.map(|(dev_eui, _)| dev_eui));
        }
    }

    /// A record is durable, or not.
    pub(super) fn saved(&mut self, save: u64, is_durable: bool) {
        if let Some((index, id)) = self.saving.remove(&save) {
            self.fleets[index].fleet.saved(id, is_durable);
        }
    }

    /// Which devices a task without a start waits for; without a trusted clock no start is decided.
    pub(super) fn wait(&self, now: Now, task: &TaskId) -> Option<WaitReason> {
        let is_first = |of: &&GroupFleet| of.tasks.first().is_some_and(|first| first.id == *task);
        let fleet = &self.fleets.iter().find(is_first)?.fleet;
        let percent = fleet.start_when()?.ready_percent;
        if now.gps.is_none() {
            return Some(WaitReason::Clock { need: ClockNeed::Start, dispute: None });
        }
        let readiness = fleet.readiness(now);
        let (ready, devices, is_doubted) = (readiness.told, readiness.devices, fleet.is_doubted());
        Some(WaitReason::Devices { ready, devices, percent, is_doubted })
    }

    /// Nothing goes on with the devices of a task that is put off.
    pub(super) fn put_off(&mut self, is_put_off: impl Fn(&TaskId) -> bool) {
        for of in &mut self.fleets {
            of.fleet.put_off(of.tasks.first().is_some_and(|first| is_put_off(&first.id)));
        }
    }

    /// Looks at the starts that are waited for.
    pub(super) fn advance(&mut self, now: Now) {
        self.fleets.iter_mut().for_each(|of| of.fleet.advance(now));
    }

    /// When [`Fleets::advance`] wants to be called again although nothing happened.
    pub(super) fn wake_at(&self, now: Now) -> Option<Instant> {
        self.fleets.iter().filter_map(|of| of.fleet.wake_at(now)).min()
    }

    /// The next thing that a fleet wishes.
    pub(super) fn poll(&mut self) -> Option<Wish> {
        if let Some(id) = self.stale.pop() {
            return Some(Wish::Output(Box::new(Output::Save(self.next_save(), Change::ForgetFleet(id)))));
        }
        for index in 0..self.fleets.len() {
            match self.fleets[index].fleet.poll() {
                Some(fleet::Output::Save(record)) => {
                    let save = self.next_save();
                    self.saving.insert(save, (index, record.id));
                    return Some(Wish::Output(Box::new(Output::Save(save, Change::Fleet(record)))));
                }
                Some(fleet::Output::Push(push)) => {
                    return Some(Wish::Output(Box::new(Output::LnsPush {
                        link: self.fleets[index].link,
                        push,
                    })));
                }
                Some(fleet::Output::Start(start)) => {
                    let first = self.fleets[index].tasks.first();
                    return first.map(|first| Wish::Start(first.id.clone(), start));
                }
                Some(fleet::Output::Ask(question)) => {
                    let first = self.fleets[index].tasks.first();
                    return first.map(|first| Wish::Ask(first.id.clone(), question));
                }
                Some(fleet::Output::KeysDoubted { canaries, devices }) => {
                    return Some(Wish::Warn(keys_doubted(&self.fleets[index].group, &canaries, devices)));
                }
                Some(fleet::Output::Unproved) => {
                    return Some(Wish::Warn(unproved(&self.fleets[index].group)));
                }
                Some(fleet::Output::TwoAnswerTime) => {
                    return Some(Wish::Warn(two_answer_time(&self.fleets[index].group)));
                }
                Some(fleet::Output::TooFewReady(readiness)) => {
                    let first = self.fleets[index].tasks.first();
                    let is_doubted = self.fleets[index].fleet.is_doubted();
                    return first.map(|first| Wish::End(first.id.clone(), too_few(&readiness, is_doubted)));
                }
                None => {}
            }
        }
        None
    }

    /// The number of the next save.
    pub(super) fn next_save(&mut self) -> u64 {
        self.last_save += 1;
        self.last_save
    }
}

impl GroupFleet {
    /// The devices are set up for the first of the open tasks.
    fn set_up(&mut self) {
        let first = self.tasks.first().filter(|first| first.is_armed);
        if first.map(|first| &first.setup) != self.fleet.setup() {
            self.fleet.set_up(first.map(|first| first.setup.clone()));
        }
        if first.is_some_and(|first| first.has_begun) {
            self.fleet.begin();
        }
    }
}

/// Who answers questions for the time beside us.
fn two_answer_time(group: &str) -> String {
    format!(
        "group {group}: somebody else sends to devices right after they ask for the time (AppTimeReq of TS003), which we answer as well: write answers-time = false in [[lns]], or switch the network server's own clock synchronisation off"
    )
}

/// What is wrong when no canary answers, and what else it may be.
fn keys_doubted(group: &str, canaries: &[String], devices: usize) -> String {
    format!(
        "group {group}: root keys are probably wrong: {} left every question under the group's key unanswered, so the {devices} devices of that batch are not told their session; prepare the list anew with the right keys (`fuotad prepare`); it may also be the session's frequency or data rate, a McAddr that another device has, devices that are not Class C, or their clocks: mend that and say `fuotad devices retry`",
        canaries.join(", ")
    )
}

/// What a start that is too near means for a list of devices that was never used before.
fn unproved(group: &str) -> String {
    format!(
        "group {group}: the start leaves no time to ask canaries of a new list first, so its devices are told their session without a proof of their root keys: give a later StartTime, or start-when"
    )
}

/// Why a campaign ends before it began.
fn too_few(readiness: &Readiness, is_doubted: bool) -> String {
    let doubt = if is_doubted { "; root keys are probably wrong" } else { "" };
    let Readiness { devices, told, refused, not_heard_here, silent, .. } = readiness;
    format!(
        "too-few-ready: {told} of {devices} devices are ready ({refused} refused, {not_heard_here} not heard here, {silent} silent){doubt}: see `fuotad devices list`, or lower min-ready-percent"
    )
}

/// The channel of a group's sessions; `None` where the region has no such data rate.
fn channel(group: &Group, region: &'static Parameters) -> Option<Channel> {
    let modulation = region.data_rate(group.data_rate).ok()?.modulation;
    Some(Channel {
        mc_addr: group.mc_addr,
        ts004_version: match group.ts004_version {
            Ts004Version::V1 => PackageVersion::V1,
            Ts004Version::V2 => PackageVersion::V2,
        },
        frag_fport: group.fport,
        frequency_hz: group.frequency_hz,
        data_rate: group.data_rate,
        modulation,
        is_always: group.session == SessionRule::Always,
        guard_us: group.guard_us,
        block_ack_delay: group.answer_window.map_or(0, |window| window.block_ack_delay),
    })
}

fn eui(gateway: GatewayId) -> Eui64 {
    Eui64::from_bytes(gateway.0)
}
