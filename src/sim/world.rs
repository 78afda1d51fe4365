//! The simulated place: virtual time, one queue of events, the same [`Engine`] as on the gateway.

use super::air::Channel;
use super::concentrator::Concentrator;
use super::concentrator::Output as RadioOutput;
use super::concentrator::Reception;
use super::concentrator::Socket;
use super::concentrator::Transmission;
use super::device::Device;
use super::disk::Disk;
use super::disk::PageFate;
use super::random::Random;
use super::referee::Referee;
use super::script::Accident;
use super::script::Script;
use super::summary::SentFrame;
use crate::broadcast::NotSaved;
use crate::broadcast::SessionRule;
use crate::broadcast::TaskSource;
use crate::broadcast::setup;
use crate::broadcast::setup::DeviceKeys;
use crate::broadcast::setup::SetupCommand;
use crate::engine::Engine;
use crate::engine::Input;
use crate::engine::Output;
use crate::engine::Settings;
use crate::lorawan::RootKey;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::report::Event as Happened;
use crate::report::Planned;
use crate::report::Report;
use crate::store::FilesErrorKind;
use crate::store::Store;
use crate::store::StoreError;
use crate::task::TaskId;
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
/// A synced write needs this, microseconds.
const DISK_US: u64 = 4_000;
/// An image from the local disk needs this, microseconds.
const FETCH_US: u64 = 20_000;
/// The operator's network server needs this for each device and command, microseconds.
const SETUP_US: u64 = 100_000;
/// After a session's end the next one is announced, microseconds.
const NEXT_SESSION_US: u64 = 5_000_000;
/// The world goes on for this long after the last campaign, microseconds.
const EPILOGUE_US: u64 = 5_000_000;
/// Reports that are kept.
const REPORTS_MAX: usize = 10_000;
/// Frames that are kept: as many as one key has counters.
const FRAMES_MAX: usize = 65_536;
/// Airtime and form of the uplinks of other devices.
const UPLINK_US: u64 = 61_696;
const UPLINK_PHY: [u8; 23] = [0x40; 23];

/// Something that will happen.
enum Event {
    /// A datagram reaches our socket.
    ToUs(Socket, u32, Vec<u8>),
    /// A datagram reaches the forwarder.
    ToForwarder(Socket, Vec<u8>),
    /// A transmission ends.
    FrameEnds(Transmission),
    /// Somebody else's uplink ends.
    Uplink,
    /// A save is durable.
    Saved(u64),
    /// A task appears in the folder.
    Task(usize),
    /// An image was read.
    Image(TaskId),
    /// A device gets a unicast command.
    Setup(usize, SetupCommand),
    /// The gateway has booted.
    Boot,
}

/// Changes what goes on the air, unknown to everybody: for worlds in which something must be caught.
pub type Tamper = Box<dyn FnMut(&mut Transmission)>;

/// A device, its way through the air, and what became of it.
pub(super) struct Listener {
    pub(super) device: Device,
    channel: Channel,
    pub(super) lost: u64,
    is_complete: bool,
}

/// The disk outlives every store that is opened on it.
pub(super) type SharedDisk = Rc<RefCell<Disk>>;

/// The world.
pub struct World {
    pub(super) script: Script,
    pub(super) now: Instant,
    queue: BTreeMap<(Instant, u64), (u32, Event)>,
    next_event: u64,
    /// Counts the gateway's lives; what was meant for an earlier one is void.
    pub(super) life: u32,
    engine: Option<Engine>,
    engine_wake: Option<Instant>,
    store: Option<Store<SharedDisk>>,
    pub(super) disk: SharedDisk,
    pub(super) concentrator: Concentrator,
    pub(super) devices: Vec<Listener>,
    pub(super) referee: Referee,
    pub(super) reports: Vec<Report>,
    pub(super) planned: Option<Planned>,
    pub(super) frames: Vec<SentFrame>,
    open: BTreeSet<String>,
    luck: Random,
    tamper: Option<Tamper>,
    accident: Option<Accident>,
    handed_over: u64,
    ends_at: Instant,
}

impl World {
    /// A world at its zero.
    pub fn new(script: Script) -> Self {
        let mut luck = Random::new(script.seed);
        let concentrator = Concentrator::new(script.concentrator.clone(), luck.split(1), Instant::ZERO);
        let mut referee = Referee::new(script.region);
        for group in &script.groups {
            referee.group(group.mc_addr.as_u32());
            if group.session == SessionRule::Always {
                referee.always(group.mc_addr.as_u32());
            }
        }
        let devices = script.devices.iter().zip(100..).map(|(device, label)| {
            let channel = Channel::new(device.loss, luck.split(label));
            let device = Device::new(device.settings.clone(), luck.split(1_000_000 + label));
            Listener { device, channel, lost: 0, is_complete: false }
        });
        let devices = devices.collect();
        let mut disk = Disk::new();
        if let Some(Accident::AtDiskOperation(operation)) = script.accident {
            disk.crash_after(operation);
        }
        let mut world = World {
            now: Instant::ZERO,
            queue: BTreeMap::new(),
            next_event: 0,
            life: 0,
            engine: None,
            engine_wake: None,
            store: None,
            disk: Rc::new(RefCell::new(disk)),
            concentrator,
            devices,
            referee,
            reports: Vec::new(),
            planned: None,
            frames: Vec::new(),
            open: script.tasks.iter().map(|task| task.stem.clone()).collect(),
            luck: luck.split(2),
            tamper: None,
            accident: script.accident,
            handed_over: 0,
            ends_at: Instant::ZERO.plus_us(script.limit_us),
            script,
        };
        world.boot();
        for (index, at_us) in world.script.tasks.iter().map(|task| task.at_us).enumerate().collect::<Vec<_>>()
        {
            world.after(at_us, Event::Task(index));
        }
        world.schedule_uplink();
        world
    }

    /// Lets `tamper` change every transmission before anybody hears it.
    pub fn tamper(&mut self, tamper: Tamper) {
        self.tamper = Some(tamper);
    }

    /// Virtual time now.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// GPS time now.
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
        let next = [next_event, next_radio, self.engine_wake].into_iter().flatten().min();
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
        } else if let Some(((_, _), (life, event))) = self.queue.pop_first() {
            self.happen(life, event);
        }
        true
    }

    fn happen(&mut self, life: u32, event: Event) {
        let is_void = life != self.life;
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
            Event::Saved(_) | Event::Image(_) if is_void => {}
            Event::Saved(save) => self.tell(Input::Saved(save, Ok(()))),
            Event::Image(task) => {
                let script = self.script.tasks.iter().find(|script| script.stem == task.as_str());
                match script.map(|script| script.image.clone()) {
                    Some(image) => self.tell(Input::Image(task, image)),
                    None => self.tell(Input::ImageFailed(task, "the script has no such image".to_owned())),
                }
            }
            Event::Task(index) => {
                let task = self.script.tasks[index].clone();
                let (document, stem) = (task.document.as_bytes(), task.stem.as_str());
                self.tell(Input::Task { document, stem, source: TaskSource::File });
            }
            Event::Setup(index, command) => {
                let now = self.clock();
                self.devices[index].device.unicast(now, command.fport, &command.payload);
            }
            Event::Boot => {
                self.concentrator.restart(self.now);
                self.drain_concentrator();
                self.boot();
                self.scan_folder();
            }
        }
    }

    /// Tells the engine a fact and carries out its wishes.
    fn tell(&mut self, input: Input<'_>) {
        let now = self.clock();
        let Some(engine) = &mut self.engine else { return };
        engine.handle(now, input);
        while let Some(engine) = &mut self.engine {
            match engine.poll() {
                Output::WakeAt(at) => {
                    self.engine_wake = at;
                    return;
                }
                Output::Datagram { to, bytes } => self.send(to, bytes),
                Output::Fetch(task, _) => self.after(FETCH_US, Event::Image(task)),
                Output::Save(save, change) => {
                    let Some(store) = &mut self.store else { return };
                    match store.apply(&change) {
                        Ok(()) => self.after(DISK_US, Event::Saved(save)),
                        Err(error) if is_power_cut(&error) => self.power_cut(),
                        Err(error) => self.not_saved(save, &error),
                    }
                }
                Output::Report(report) => self.reported(report),
                Output::Stopped => {}
            }
        }
    }

    fn not_saved(&mut self, save: u64, error: &StoreError) {
        let now = self.clock();
        let reason = error.to_string();
        let why = match error {
            StoreError::NoSpace(_) => NotSaved::NoSpace(reason),
            _ => NotSaved::Broken(reason),
        };
        if let Some(engine) = &mut self.engine {
            engine.handle(now, Input::Saved(save, Err(why)));
        }
    }

    fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let socket = if to.port().is_multiple_of(2) { Socket::Push } else { Socket::Pull };
        let is_frame = bytes.get(3) == Some(&3);
        self.handed_over += u64::from(is_frame);
        let strikes = |n: u64| is_frame && self.handed_over == n;
        match self.accident {
            Some(Accident::BeforeSend(n)) if strikes(n) => self.power_cut(),
            Some(Accident::AfterSend(n)) if strikes(n) => {
                self.concentrator.datagram(self.now, socket, &bytes);
                self.drain_concentrator();
                self.power_cut();
            }
            Some(Accident::Kill(n)) if strikes(n) => {
                self.after(LOOPBACK_US, Event::ToForwarder(socket, bytes));
                self.kill();
            }
            _ => self.after(LOOPBACK_US, Event::ToForwarder(socket, bytes)),
        }
    }

    /// Everything stops; each page that was not synced is new, old or torn, as luck has it.
    fn power_cut(&mut self) {
        let mut luck = self.luck.split(3);
        self.die();
        // The concentrator loses its power with the gateway: what it still held never reaches the air.
        self.concentrator.restart(self.now);
        self.drain_concentrator();
        self.disk.borrow_mut().power_cut(&mut |_| match luck.below(3) {
            0 => PageFate::New,
            1 => PageFate::Old,
            _ => PageFate::Torn(luck.next_u64()),
        });
        self.after(self.script.boot_us, Event::Boot);
    }

    /// The process is gone, and comes back at once; the forwarder noticed nothing.
    fn kill(&mut self) {
        self.die();
        self.disk.borrow_mut().process_died();
        self.boot();
        self.scan_folder();
    }

    fn die(&mut self) {
        self.life += 1;
        self.engine = None;
        self.engine_wake = None;
        self.store = None;
        self.accident = None;
        self.referee.power_cycle();
    }

    fn boot(&mut self) {
        let mut boot_id = [0; 16];
        boot_id[..4].copy_from_slice(&self.life.to_be_bytes());
        match Store::open(Rc::clone(&self.disk), boot_id) {
            Ok((store, recovered)) => {
                self.store = Some(store);
                let settings = Settings {
                    region: self.script.region,
                    groups: self.script.groups.clone(),
                    forwarder: self.script.link,
                    server_reserve_ppm: 0,
                };
                let seed = self.script.seed ^ u64::from(self.life);
                self.engine = Some(Engine::new(settings, recovered, seed, self.clock()));
                self.tell(Input::Time);
            }
            Err(error) if is_power_cut(&error) => self.power_cut(),
            Err(error) => {
                let event = Happened::Halted { reason: error.to_string() };
                self.reports.push(Report { at: self.now, task: None, event });
            }
        }
    }

    /// A new process sees every task that was put into the folder so far.
    fn scan_folder(&mut self) {
        let known = self.script.tasks.iter().map(|task| task.at_us).enumerate();
        let here = known.filter(|(_, at_us)| Instant::ZERO.plus_us(*at_us) <= self.now);
        for index in here.map(|(index, _)| index).collect::<Vec<_>>() {
            self.after(0, Event::Task(index));
        }
    }

    fn drain_concentrator(&mut self) {
        while let Some(output) = self.concentrator.poll() {
            let generation = self.concentrator.port_generation();
            match output {
                RadioOutput::Push(bytes) => {
                    self.after(LOOPBACK_US, Event::ToUs(Socket::Push, generation, bytes))
                }
                RadioOutput::Pull(bytes) => {
                    self.after(LOOPBACK_US, Event::ToUs(Socket::Pull, generation, bytes))
                }
                RadioOutput::OnAir(mut transmission) => {
                    if let Some(tamper) = &mut self.tamper {
                        tamper(&mut transmission);
                    }
                    self.referee.on_air(&transmission);
                    let ends = transmission.start.plus_us(transmission.airtime_us);
                    self.at(ends, Event::FrameEnds(transmission));
                }
                RadioOutput::Exited { .. } => {}
            }
        }
    }

    fn heard(&mut self, transmission: &Transmission) {
        let now = self.clock();
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
                self.referee.device_complete(&script.settings.name, self.now, image);
            }
        }
    }

    fn reported(&mut self, report: Report) {
        match &report.event {
            Happened::Sent { k, fcnt, start } => {
                if self.frames.len() < FRAMES_MAX {
                    self.frames.push(SentFrame { k: *k, fcnt: *fcnt, start: *start });
                }
                return;
            }
            Happened::Planned(planned) if self.planned.is_none() => self.set_up(planned.clone()),
            Happened::Over(_) | Happened::Refused { .. } => {
                if let Some(task) = &report.task {
                    self.open.remove(task.as_str());
                } else {
                    self.open.clear();
                }
                if self.open.is_empty() {
                    self.ends_at = self.ends_at.min(self.now.plus_us(EPILOGUE_US));
                }
            }
            _ => {}
        }
        if self.reports.len() < REPORTS_MAX {
            self.reports.push(report);
        }
    }

    /// The operator reads the plan and queues the commands for every device.
    fn set_up(&mut self, planned: Planned) {
        let group = self.script.groups.iter().find(|group| group.name == planned.group).cloned();
        let Some(group) = group else { return };
        for (start, exponent) in &planned.sessions {
            let start = self.clock().instant_of(*start).unwrap_or(self.now);
            self.referee.session(group.mc_addr.as_u32(), start, start.plus_us(1_000_000 << exponent));
        }
        let image = self.script.tasks.first().map(|task| task.image.clone()).unwrap_or_default();
        for index in 0..self.devices.len() {
            let device = &self.script.devices[index];
            if !device.is_told {
                continue;
            }
            let root_key: &RootKey = &device.settings.root_key;
            let keys = DeviceKeys { root_key, session_cnt: 0 };
            let Ok(commands) = setup::commands(&planned, &group, &image, &keys) else { continue };
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

    fn schedule_uplink(&mut self) {
        if self.script.uplinks_per_hour > 0 {
            let mean_us = 3_600_000_000 / u64::from(self.script.uplinks_per_hour);
            let wait_us = self.luck.range(1, 2 * mean_us);
            self.after(wait_us, Event::Uplink);
        }
    }

    pub(super) fn clock(&self) -> Now {
        Now { mono: self.now, gps: Some(self.gps()) }
    }

    fn after(&mut self, us: u64, event: Event) {
        self.at(self.now.plus_us(us), event);
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.queue.insert((at, self.next_event), (self.life, event));
    }
}

fn is_power_cut(error: &StoreError) -> bool {
    matches!(error, StoreError::Files(files) if files.kind == FilesErrorKind::PowerCut)
}
