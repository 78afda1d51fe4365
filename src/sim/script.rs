//! What happens in a simulated world: who is there, what is ordered, what goes wrong.

use super::air::Loss;
use super::concentrator;
use super::device;
use super::event::Event;
use super::faulty_link::FaultyLinkSettings;
use super::lns::FieldScript;
use super::referee::Referee;
use super::server::ServerSettings;
use super::server::TrafficSettings;
use crate::broadcast::TurnRule;
use crate::broadcast::Verb;
use crate::campaign::Group;
use crate::campaign::SessionRule;
use crate::engine;
use crate::engine::FleetSettings;
use crate::forwarder;
use crate::radio::UplinkMix;
use crate::region::Parameters;
use crate::relay::RelaySettings;
use crate::schedule::Kept;
use crate::store::Recovered;
use crate::time::GpsTime;

/// The world goes on for so long after the last campaign, microseconds.
const EPILOGUE_US: u64 = 5_000_000;

/// The script of one world. The same script and seed give the same world, byte for byte.
#[derive(Clone)]
pub struct Script {
    /// The region, whose law the referee keeps.
    pub region: &'static Parameters,
    /// GPS time at the world's zero.
    pub start: GpsTime,
    /// Every random number comes from it.
    pub seed: u64,
    /// The gateway's multicast groups, with their keys.
    pub groups: Vec<Group>,
    /// Who has the air when several campaigns want it.
    pub turns: TurnRule,
    /// The gateway's side of the forwarder.
    pub link: forwarder::Settings,
    /// The packet forwarder and its concentrator, and their hazards; its clock is the world's (`gps_at_zero` becomes
    /// `start`).
    pub concentrator: concentrator::Settings,
    /// Tasks that the operator puts into the folder.
    pub tasks: Vec<TaskScript>,
    /// What the operator does to tasks.
    pub verbs: Vec<VerbScript>,
    /// The file of a task that is over is removed from the folder.
    pub is_folder_tidied: bool,
    /// Who listens. Devices are told the campaigns of their group.
    pub devices: Vec<DeviceScript>,
    /// Settings of the gateway's relay.
    pub relay: RelaySettings,
    /// What is kept of the radio for others.
    pub kept: Kept,
    /// What the gateway's first life finds on its disk; `None`: enrolled keys and nothing else.
    pub recovered: Option<Recovered>,
    /// Devices of groups that are set up through the application side of a network server.
    pub fleets: Vec<FleetSettings>,
    /// These servers' application sides, by `FleetSettings::link`.
    pub fields: Vec<FieldScript>,
    /// The network server and its devices; `None`: nobody answers.
    pub network: Option<NetworkScript>,
    /// Uplinks of other devices: they teach the concentrator's counter, and our sending makes the gateway
    /// deaf for some of them.
    pub uplinks_per_hour: u32,
    /// How they are sent; `None`: as is usual in the region.
    pub uplink_mix: Option<UplinkMix>,
    /// How long the world goes on when every task is over, microseconds.
    pub epilogue_us: u64,
    /// With this the world ends before that, when no device is asked any more what it holds.
    pub ends_when_answered: bool,
    /// What strikes datagrams on their way to us, from the forwarder and from the network server.
    pub faulty_link: FaultyLinkSettings,
    /// Datagrams lost on their way to the forwarder, parts per million.
    pub datagram_loss_ppm: u32,
    /// The forwarder's process restarts at these moments, microseconds after the world's zero.
    pub forwarder_restarts_us: Vec<u64>,
    /// The forwarder's process is killed (microseconds after the world's zero) and started anew after so many
    /// microseconds.
    pub forwarder_outages_us: Vec<(u64, u64)>,
    /// The world ends here at the latest, microseconds.
    pub limit_us: u64,
    /// Power cuts and kills: one in each life of the gateway, in this order.
    pub faults: Vec<Fault>,
    /// The operator moves a task whose sessions were missed to a later start, and has its devices told.
    pub is_retold: bool,
    /// Steps of the gateway's wall clock: when, microseconds after the world's zero, and by how many microseconds. Nobody
    /// vouches for them. A boot puts the clock right half a minute later.
    pub clock_steps: Vec<(u64, i64)>,
    /// The gateway's own clock is not as it should be for a while.
    pub clock_trouble: Option<ClockTrouble>,
    /// The gateway believes every step: a world in which something must be caught.
    pub is_credulous: bool,
    /// The operator who moves a task forgets to tell anybody: a world in which something must be caught.
    pub is_forgetful: bool,
    /// What happens to the state folder between two lives: the n-th before the (n + 1)-th boot.
    pub meddling: Vec<Meddling>,
    /// What a power cut leaves of pages that were not synced.
    pub unsynced_pages: UnsyncedPages,
    /// How long the gateway needs to boot after a power cut, microseconds.
    pub boot_us: u64,
}

impl Script {
    /// A gateway in `region` with a good packet forwarder and an uplink a minute; nothing is ordered, nobody listens,
    /// and nothing goes wrong for two days.
    pub fn new(region: &'static Parameters) -> Script {
        let concentrator = concentrator::Settings {
            tx_freq_min_hz: region.freq_min_hz,
            tx_freq_max_hz: region.freq_max_hz,
            ..concentrator::Settings::default()
        };
        Script {
            region,
            start: concentrator.gps_at_zero,
            seed: 1,
            groups: Vec::new(),
            turns: TurnRule::default(),
            link: forwarder::Settings::default(),
            concentrator,
            tasks: Vec::new(),
            verbs: Vec::new(),
            is_folder_tidied: false,
            devices: Vec::new(),
            relay: RelaySettings::default(),
            kept: Kept::default(),
            recovered: None,
            fleets: Vec::new(),
            fields: Vec::new(),
            network: None,
            uplinks_per_hour: 60,
            uplink_mix: None,
            epilogue_us: EPILOGUE_US,
            ends_when_answered: false,
            faulty_link: FaultyLinkSettings::default(),
            datagram_loss_ppm: 0,
            forwarder_restarts_us: Vec::new(),
            forwarder_outages_us: Vec::new(),
            limit_us: 2 * 24 * 3_600_000_000,
            faults: Vec::new(),
            is_retold: false,
            clock_steps: Vec::new(),
            clock_trouble: None,
            is_credulous: false,
            is_forgetful: false,
            meddling: Vec::new(),
            unsynced_pages: UnsyncedPages::default(),
            boot_us: 30_000_000,
        }
    }

    /// What happens in any case, and after how many microseconds.
    pub(super) fn events(&self) -> Vec<(u64, Event)> {
        let tasks = self.tasks.iter().enumerate().map(|(index, task)| (task.at_us, Event::Task(index)));
        let restarts = self.forwarder_restarts_us.iter().map(|at_us| (*at_us, Event::ForwarderRestarts));
        let outages = self.forwarder_outages_us.iter().flat_map(|(at_us, outage_us)| {
            let ends_us = at_us.saturating_add(*outage_us);
            [(*at_us, Event::ForwarderDies), (ends_us, Event::ForwarderRestarts)]
        });
        let verbs = self.verbs.iter().enumerate().map(|(index, script)| (script.at_us, Event::Verb(index)));
        tasks.chain(verbs).chain(restarts).chain(outages).collect()
    }

    /// A referee who knows its groups and whether somebody shares the radio.
    pub(super) fn referee(&self) -> Referee {
        let mut referee = Referee::new(self.region);
        for group in &self.groups {
            let (mc_addr, terms) = (group.mc_addr.as_u32(), &group.terms);
            referee.group(mc_addr);
            referee.terms(mc_addr, terms.sub_band.as_deref(), terms.downlink_dwell);
            if group.session == SessionRule::Always {
                referee.always(mc_addr);
            }
        }
        if self.network.is_some() {
            referee.share();
        }
        referee
    }

    /// The same around a gateway with these settings; its antenna is the one they speak of.
    pub fn of_gateway(settings: engine::Settings) -> Script {
        let script = Script::new(settings.region);
        Script {
            concentrator: concentrator::Settings {
                antenna_gain_db: (settings.forwarder.forwarder_antenna_gain.centi() / 100) as i8,
                real_antenna_gain: settings.forwarder.antenna_gain,
                ..script.concentrator
            },
            groups: settings.groups,
            turns: settings.turns,
            link: settings.forwarder,
            relay: settings.relay,
            kept: settings.kept,
            ..script
        }
    }
}

/// A wall clock that is not known, or wrong and believed, from the world's zero on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockTrouble {
    /// It is right from then on, microseconds after the world's zero.
    pub until_us: u64,
    /// By how many microseconds it is ahead; `None`: it is not trusted.
    pub off_us: Option<i64>,
}

/// Who else uses the gateway.
#[derive(Clone, Debug, Default)]
pub struct NetworkScript {
    /// Manners of the network server.
    pub server: ServerSettings,
    /// Uplinks and ears of its devices.
    pub traffic: TrafficSettings,
    /// A datagram between the gateway and the server needs this, microseconds.
    pub backhaul_us: u64,
}

/// A task in the task folder.
#[derive(Clone, Debug)]
pub struct TaskScript {
    /// When it is put there, microseconds after the world's zero.
    pub at_us: u64,
    /// File name without its ending.
    pub stem: String,
    /// The document of the task, JSON.
    pub document: String,
    /// The image that its URI leads to.
    pub image: Vec<u8>,
}

/// An operator's word on a task. It is said again until the service has kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerbScript {
    /// When it is said, microseconds after the world's zero.
    pub at_us: u64,
    /// What is to be done.
    pub verb: Verb,
    /// The task, or the document of several tasks.
    pub task: String,
}

impl TaskScript {
    /// Whether the task called `id` is of this document, which may be for several groups.
    pub(super) fn is_of(&self, id: &str) -> bool {
        let rest = id.strip_prefix(self.stem.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
    }
}

/// A device, and what it hears.
#[derive(Clone)]
pub struct DeviceScript {
    /// Stack, limits and keys of the device.
    pub settings: device::Settings,
    /// The group whose campaigns it is told; `None`: those of every group.
    pub group: Option<String>,
    /// What it loses on the air.
    pub loss: Loss,
    /// Whether it is told about the campaign at all.
    pub is_told: bool,
}

impl DeviceScript {
    /// Whether it is told the campaigns of this group.
    pub fn is_in(&self, group: &str) -> bool {
        self.is_told && self.group.as_deref().is_none_or(|own| own == group)
    }
}

/// What becomes of a page that was written but not synced when the power goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnsyncedPages {
    /// Each page by itself: new, old or torn.
    #[default]
    Mixed,
    /// All were written in time.
    New,
    /// No page was written in time.
    Old,
    /// Every page is garbage.
    Torn,
}

/// Where the gateway dies; counted anew in each of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes at the n-th changing operation on the disk (1-based), in the middle of it.
    AtDiskOperation(u64),
    /// The power goes when the n-th frame (1-based) is handed to the forwarder: before it gets there.
    BeforeSend(u64),
    /// As before, but the datagram still gets there.
    AfterSend(u64),
    /// The process is killed at the n-th frame; the forwarder and the disk's cache live on.
    Kill(u64),
    /// The process is killed in the n-th changing operation on the disk (1-based), which still takes place.
    KillAtDiskOperation(u64),
    /// The process is killed when it was told its n-th fact (1-based), before anything that it wishes for is done.
    KillAtFact(u64),
    /// The process is killed so long after its start, microseconds.
    KillAfter(u64),
    /// From the n-th changing operation on the disk on (1-based) no new file finds room; a minute later there is room
    /// again, and the service is restarted.
    DiskFull(u64),
}

/// What somebody or something does to the files of a state folder while the gateway is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// Nothing happens to the files.
    Nothing,
    /// The files whose numbers (in the order of their names) are the bits of this are removed.
    Remove(u64),
    /// One bit of one file turns over, which one is drawn from this seed.
    FlipBit(u64),
    /// One bit of the newest mark turns over.
    FlipNewestMark,
    /// Journals and enrolments are removed, and somebody enrols the keys anew without looking at anything else.
    EnrolAnew,
}
