//! The simulated place: virtual time, one queue of events, the same [`Engine`] as on the gateway.

use super::air::Channel;
use super::concentrator::Concentrator;
use super::concentrator::Output as RadioOutput;
use super::concentrator::Reception;
use super::concentrator::Socket;
use super::concentrator::Transmission;
use super::device::Device;
use super::event::Event;
use super::faulty_link::FaultyLink;
use super::network::Network;
use super::operator::Operator;
use super::random::Random;
use super::referee::Referee;
use super::script::Fault;
use super::script::Script;
use super::spoiled::GatewayDisk;
use super::spoiled::Spoil;
use super::summary::SentFrame;
use super::wall::Wall;
use crate::broadcast::TaskSource;
use crate::campaign::SessionRule;
use crate::engine::Engine;
use crate::engine::Input;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::report::Event as Happened;
use crate::report::Planned;
use crate::report::Report;
use crate::store::Store;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;

/// A datagram on the loopback interface needs this, microseconds.
const LOOPBACK_US: u64 = 50;
/// The world goes on for this long after the last campaign, microseconds.
const EPILOGUE_US: u64 = 5_000_000;
/// The operator needs this to find another start for a task, microseconds.
const RETELL_US: u64 = 60_000_000;
/// The command that begins another image.
const FRAG_SETUP: &str = "FragSessionSetupReq";
/// Reports that are kept.
const REPORTS_MAX: usize = 10_000;
/// Frames that are kept: as many as one key has counters.
const FRAMES_MAX: usize = 65_536;
/// Airtime and form of the uplinks of other devices.
const UPLINK_US: u64 = 61_696;
const UPLINK_PHY: [u8; 23] = [0x40; 23];

/// Changes what goes on the air, unknown to everybody: for worlds in which something must be caught.
pub type Tamper = Box<dyn FnMut(&mut Transmission)>;

/// A device, its way through the air, and what became of it.
pub(super) struct Listener {
    pub(super) device: Device,
    channel: Channel,
    pub(super) lost: u64,
    pub(super) is_complete: bool,
    /// The task it was set up for last, and the one it is being set up for.
    pub(super) task: Option<usize>,
    pub(super) next_task: Option<usize>,
}

/// The simulated world, which goes on from event to event.
///
/// ```
/// use fuotad::config::Scenario;
/// use fuotad::sim::World;
///
/// let text = r#"
///     [world]
///     start = "2026-11-22T08:00:00Z"
///     [image]
///     generator = "lcg"
///     seed = 1
///     bytes = 1000
///     [gateway]
///     region = "EU868"
///     [[group]]
///     name = "lamps"
///     mc-addr = "01c0ffee"
///     mc-key = "00112233445566778899aabbccddeeff"
///     first-fcnt = 2
///     data-rate = 5
///     spacing = "burst"
///     [[task]]
///     name = "lamps-1"
///     document.FirmwareUpdateImage = "file:///lamps-1.bin"
///     document.RedundancyPercent = 100
///     document.FragmentSizeBytes = 100
///     [[device]]
///     name = "lamp"
///     count = 3
///     stack = "ideal"
///     loss = 0.1
/// "#;
/// let mut world = World::new(Scenario::from_text(text)?.script(None, None)?);
/// while world.step() {}
/// let summary = world.summary();
/// assert_eq!(summary.complete(), 3, "devices have the image");
/// assert!(summary.verdict.is_content(), "and the law was kept: {:?}", summary.verdict.breaches);
/// # Ok::<(), fuotad::config::ConfigError>(())
/// ```
pub struct World {
    pub(super) script: Script,
    pub(super) now: Instant,
    pub(super) queue: BTreeMap<(Instant, u64), (u32, Event)>,
    pub(super) next_event: u64,
    /// Counts the gateway's lives; what was meant for an earlier one is void.
    pub(super) incarnation: u32,
    pub(super) engine: Option<Engine>,
    pub(super) engine_wake: Option<Instant>,
    pub(super) store: Option<Store<GatewayDisk>>,
    pub(super) files: GatewayDisk,
    /// Counts the boots: a killed process comes back in the same one.
    pub(super) boots: u32,
    /// Facts that this life was told.
    pub(super) facts: u64,
    pub(super) concentrator: Concentrator,
    /// From everybody to us.
    wire: FaultyLink,
    pub(super) network: Option<Network>,
    pub(super) devices: Vec<Listener>,
    pub(super) referee: Referee,
    pub(super) reports: Vec<Report>,
    pub(super) planned: Option<Planned>,
    pub(super) frames: Vec<SentFrame>,
    /// Tasks that were refused or are over.
    pub(super) over: u64,
    /// Images that a device completed and that were those of the task it was set up for.
    pub(super) completions: u64,
    open: BTreeSet<String>,
    pub(super) operator: Operator,
    pub(super) wall: Wall,
    pub(super) rng: Random,
    tamper: Option<Tamper>,
    pub(super) accident: Option<Fault>,
    pub(super) handed_over: u64,
    pub(super) ends_at: Instant,
}

impl World {
    /// A world at its zero.
    pub fn new(script: Script) -> Self {
        let mut rng = Random::new(script.seed);
        let concentrator = Concentrator::new(script.concentrator.clone(), rng.split(1), Instant::ZERO);
        let mut referee = Referee::new(script.region);
        for group in &script.groups {
            referee.group(group.mc_addr.as_u32());
            let terms = &group.terms;
            referee.terms(group.mc_addr.as_u32(), terms.sub_band.as_deref(), terms.downlink_dwell);
            if group.session == SessionRule::Always {
                referee.always(group.mc_addr.as_u32());
            }
        }
        let devices = script.devices.iter().zip(100..).map(|(device, label)| {
            let channel = Channel::new(device.loss, rng.split(label));
            let device = Device::new(device.settings.clone(), rng.split(1_000_000 + label));
            Listener { device, channel, lost: 0, is_complete: false, task: None, next_task: None }
        });
        let devices = devices.collect();
        if script.network.is_some() {
            referee.share();
        }
        let network = script.network.clone();
        let network = network.map(|network| Network::new(network, script.chaos, &mut rng, Instant::ZERO));
        let mut world = World {
            now: Instant::ZERO,
            queue: BTreeMap::new(),
            next_event: 0,
            incarnation: 0,
            engine: None,
            engine_wake: None,
            store: None,
            files: GatewayDisk::default(),
            boots: 0,
            facts: 0,
            concentrator,
            wire: FaultyLink::new(script.chaos, rng.split(6)),
            network,
            devices,
            referee,
            reports: Vec::new(),
            planned: None,
            frames: Vec::new(),
            open: script.tasks.iter().map(|task| task.stem.clone()).collect(),
            over: 0,
            completions: 0,
            operator: Operator::default(),
            wall: Wall::new(&script),
            rng: rng.split(2),
            tamper: None,
            accident: None,
            handed_over: 0,
            ends_at: Instant::ZERO.plus_us(script.limit_us),
            script,
        };
        world.enrol();
        world.boot();
        for (index, at_us) in world.script.tasks.iter().map(|task| task.at_us).enumerate().collect::<Vec<_>>()
        {
            world.after(at_us, Event::Task(index));
        }
        for at_us in world.script.forwarder_restarts_us.clone() {
            world.after(at_us, Event::ForwarderRestarts);
        }
        for (at_us, outage_us) in world.script.forwarder_outages_us.clone() {
            world.after(at_us, Event::ForwarderDies);
            world.after(at_us.saturating_add(outage_us), Event::ForwarderRestarts);
        }
        world.schedule_uplink();
        world
    }

    /// Lets `tamper` change every transmission before anybody hears it.
    pub fn tamper(&mut self, tamper: Tamper) {
        self.tamper = Some(tamper);
    }

    /// From its next life on the gateway is wrong in this way.
    pub fn spoil(&mut self, spoil: Rc<RefCell<dyn Spoil>>) {
        self.files.spoil = Some(spoil);
    }

    /// From now on the first task's URI leads to another image.
    pub fn replace_image(&mut self, image: Vec<u8>) {
        if let Some(task) = self.script.tasks.first_mut() {
            task.image = image;
        }
    }

    /// Virtual time now, from the world's zero.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// GPS time now, from the world's start.
    pub fn gps(&self) -> GpsTime {
        self.script.start.plus_us(self.now.us_since(Instant::ZERO))
    }

    /// Frames accepted by the forwarder so far, the first 65536 of them.
    pub fn frames(&self) -> &[SentFrame] {
        &self.frames
    }

    /// Frames the plan asks for, once there is one.
    pub fn planned(&self) -> Option<&Planned> {
        self.planned.as_ref()
    }

    /// Devices that hold the image.
    pub fn devices_complete(&self) -> usize {
        self.devices.iter().filter(|listener| listener.is_complete).count()
    }

    /// One event; `false` when the world is over.
    pub fn step(&mut self) -> bool {
        let next_event = self.queue.keys().next().map(|(at, _)| *at);
        let next_radio = self.concentrator.wake_at();
        let next_network = self.network.as_ref().and_then(Network::wake_at);
        let next = [next_event, next_radio, next_network, self.engine_wake].into_iter().flatten().min();
        let Some(at) = next.map(|at| at.max(self.now)).filter(|at| *at <= self.ends_at) else {
            self.now = self.ends_at.min(next.unwrap_or(self.ends_at)).max(self.now);
            return false;
        };
        self.now = at;
        if next_radio.is_some_and(|wake| wake <= at) {
            self.concentrator.time(at);
            self.drain_concentrator();
        } else if self.engine_wake.is_some_and(|wake| wake <= at) {
            self.tell(Input::Time);
        } else if next_network.is_some_and(|wake| wake <= at) {
            self.wake_network();
        } else if let Some(((_, _), (incarnation, event))) = self.queue.pop_first() {
            self.happen(incarnation, event);
        }
        true
    }

    fn happen(&mut self, incarnation: u32, event: Event) {
        let is_void = incarnation != self.incarnation;
        match event {
            Event::ToUs(socket, generation, bytes) => {
                let port = 40_000 + 2 * (generation % 10_000) as u16 + u16::from(socket == Socket::Pull);
                let from = SocketAddr::from(([127, 0, 0, 1], port));
                self.tell(Input::Datagram { from, bytes: &bytes });
            }
            Event::ToForwarder(socket, bytes) => {
                self.concentrator.datagram(self.now, socket, &bytes);
                self.drain_concentrator();
            }
            Event::ToServer(bytes) => self.at_server(&bytes),
            Event::FromServer(bytes) => self.at_gateway(&bytes),
            Event::FrameEnds(transmission) => self.heard(&transmission),
            Event::Uplink => {
                let reception = Reception {
                    start: self.now.minus_us(UPLINK_US),
                    frequency_hz: 868_100_000,
                    modulation: Modulation::LoRa { sf: 7, bw_hz: 125_000 },
                    phy_payload: &UPLINK_PHY,
                    rssi: Dbm::from_whole(-90),
                    snr_tenths_db: 70,
                };
                self.concentrator.uplink(self.now, reception);
                self.drain_concentrator();
                self.schedule_uplink();
            }
            Event::Saved(_) | Event::Image(_) | Event::Killed if is_void => {}
            Event::Killed => self.kill(),
            Event::Saved(save) => self.tell(Input::Saved(save, Ok(()))),
            Event::Image(task) => {
                let script = self.script.tasks.iter().find(|script| script.stem == task.as_str());
                match script.map(|script| script.image.clone()) {
                    Some(image) => self.tell(Input::Image(task, image, None)),
                    None => self.tell(Input::ImageFailed(task, "the script has no such image".to_owned())),
                }
            }
            Event::Task(index) => {
                let task = self.script.tasks[index].clone();
                let (document, stem) = (task.document.as_bytes(), task.stem.as_str());
                self.tell(Input::Task { document, stem, source: TaskSource::File });
            }
            Event::Gone(task) => self.tell(Input::Cancel(task)),
            Event::Retell(task) => self.retell(&task),
            Event::Setup(index, command) => {
                let now = self.true_clock();
                if command.name == FRAG_SETUP {
                    self.devices[index].is_complete = false;
                    self.devices[index].task = self.devices[index].next_task;
                }
                self.devices[index].device.unicast(now, command.fport, &command.payload);
            }
            Event::ForwarderDies => {
                self.concentrator.kill(self.now);
                self.drain_concentrator();
            }
            Event::ForwarderRestarts => {
                self.concentrator.restart(self.now);
                self.drain_concentrator();
            }
            Event::Boot { after_power_cut } => {
                if after_power_cut {
                    self.concentrator.restart(self.now);
                    self.drain_concentrator();
                }
                self.boots += u32::from(after_power_cut);
                if after_power_cut {
                    self.wall.boot(self.now);
                }
                self.referee.power_cycle();
                self.meddle();
                self.boot();
                self.scan_folder();
            }
        }
    }

    pub(super) fn drain_concentrator(&mut self) {
        while let Some(output) = self.concentrator.poll() {
            let generation = self.concentrator.port_generation();
            match output {
                RadioOutput::Push(bytes) => {
                    self.come(&bytes, |bytes| Event::ToUs(Socket::Push, generation, bytes));
                }
                RadioOutput::Pull(bytes) => {
                    self.come(&bytes, |bytes| Event::ToUs(Socket::Pull, generation, bytes));
                }
                RadioOutput::OnAir(mut transmission) => {
                    if let Some(tamper) = &mut self.tamper {
                        tamper(&mut transmission);
                    }
                    self.referee.on_air(&transmission);
                    if let Some(network) = &mut self.network {
                        network.traffic.hear(&transmission);
                    }
                    let ends = transmission.start.plus_us(transmission.airtime_us);
                    self.at(ends, Event::FrameEnds(transmission));
                }
                RadioOutput::Exited { .. } => {}
            }
        }
    }

    fn heard(&mut self, transmission: &Transmission) {
        let now = self.true_clock();
        for (listener, script) in self.devices.iter_mut().zip(&self.script.devices) {
            // The air is asked for every frame, so that completing early changes nobody's luck.
            let arrives = listener.channel.hears();
            if listener.is_complete {
                continue;
            }
            if !arrives {
                listener.lost += 1;
                continue;
            }
            listener.device.hear(now, transmission);
            if let Some(image) = listener.device.image() {
                listener.is_complete = true;
                let task = listener.task.and_then(|task| self.script.tasks.get(task));
                self.completions += u64::from(task.is_some_and(|task| task.image == image));
                self.referee.device_complete(&script.settings.name, self.now, image);
            }
        }
    }

    pub(super) fn reported(&mut self, report: Report) {
        match &report.event {
            Happened::Sent { frame_no, fcnt, start } => {
                if self.frames.len() < FRAMES_MAX {
                    self.frames.push(SentFrame { frame_no: *frame_no, fcnt: *fcnt, start: *start });
                }
                return;
            }
            Happened::Planned(planned) => {
                let task = report.task.as_ref().map(|task| task.as_str().to_owned()).unwrap_or_default();
                self.read_plan(task, planned.clone());
            }
            Happened::SessionsMoved { group, sessions } => self.announce(group, &sessions.clone()),
            Happened::SessionsMissed { .. } if self.script.is_retold => {
                if let Some(task) = &report.task {
                    self.after(RETELL_US, Event::Retell(task.clone()));
                }
            }
            Happened::AlreadyOver { .. } => {
                if let Some(task) = &report.task {
                    self.open.remove(task.as_str());
                    self.over(task.as_str());
                }
                self.end_when_all_are_over();
            }
            Happened::Over(_) | Happened::Refused { .. } => {
                self.over += 1;
                if let Some(task) = &report.task {
                    self.open.remove(task.as_str());
                    self.over(task.as_str());
                    if self.script.is_folder_tidied {
                        self.after(EPILOGUE_US, Event::Gone(task.clone()));
                    }
                } else {
                    self.open.clear();
                }
                self.end_when_all_are_over();
            }
            _ => {}
        }
        if self.reports.len() < REPORTS_MAX {
            self.reports.push(report);
        }
    }

    fn end_when_all_are_over(&mut self) {
        if self.open.is_empty() {
            self.ends_at = self.ends_at.min(self.now.plus_us(EPILOGUE_US));
        }
    }

    /// A datagram on its way to us, as the wire lets it through.
    pub(super) fn come(&mut self, bytes: &[u8], event: impl Fn(Vec<u8>) -> Event) {
        for (at, bytes) in self.wire.pass(self.now, bytes) {
            self.at(at, event(bytes));
        }
    }

    /// A datagram on its way, unless it is lost.
    pub(super) fn travel(&mut self, event: Event) {
        if self.script.datagram_loss_ppm == 0 || !self.rng.chance_ppm(self.script.datagram_loss_ppm) {
            self.after(LOOPBACK_US, event);
        }
    }

    fn schedule_uplink(&mut self) {
        if self.script.uplinks_per_hour > 0 {
            let mean_us = 3_600_000_000 / u64::from(self.script.uplinks_per_hour);
            let wait_us = self.rng.range(1, 2 * mean_us);
            self.after(wait_us, Event::Uplink);
        }
    }

    /// What the gateway takes for the time.
    pub(super) fn clock(&mut self) -> Now {
        if self.script.clock_steps.is_empty() {
            return self.true_clock();
        }
        let gps = self.gps();
        self.wall.read(self.now, gps)
    }

    /// The time as it is.
    pub(super) fn true_clock(&self) -> Now {
        Now { mono: self.now, gps: Some(self.gps()) }
    }

    pub(super) fn after(&mut self, us: u64, event: Event) {
        self.at(self.now.plus_us(us), event);
    }

    pub(super) fn at(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.queue.insert((at, self.next_event), (self.incarnation, event));
    }
}
