//! The gateway's lives: the engine and its disk, told facts, killed and started again.

use super::concentrator::Socket;
use super::disk::PageFate;
use super::event::Event;
use super::event::ProcessEvent;
use super::meddling::enrol_all;
use super::meddling::meddle;
use super::random::Random;
use super::script::Fault;
use super::script::Meddling;
use super::script::Script;
use super::script::UnsyncedPages;
use super::script::VerbScript;
use super::spoiled::GatewayDisk;
use super::spoiled::Spoil;
use super::wall::TrueClock;
use super::wall::Wall;
use crate::answers::Roll;
use crate::broadcast::CRASH_REST_US;
use crate::broadcast::Means;
use crate::broadcast::NotSaved;
use crate::broadcast::TaskState;
use crate::engine::Engine;
use crate::engine::Input;
use crate::engine::Output;
use crate::engine::Settings;
use crate::lns::Push;
use crate::relay::RelayCounts;
use crate::report::Event as Happened;
use crate::report::Report;
use crate::store;
use crate::store::FilesErrorKind;
use crate::store::Recovered;
use crate::store::Store;
use crate::store::StoreError;
use crate::task::TaskId;
use crate::time::Instant;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

/// A synced write needs this, microseconds.
const DISK_US: u64 = 4_000;
/// An image from the local disk needs this, microseconds.
const FETCH_US: u64 = 20_000;
/// A disk that is full has room again after this, microseconds.
const FULL_US: u64 = 150_000_000;
/// An operator whom the service did not answer asks again after this, microseconds.
const AGAIN_US: u64 = 5_000_000;
/// The service manager starts a process that died after this, microseconds.
const RESTART_US: u64 = 2_000_000;

/// What the gateway does to the world.
pub(super) enum GatewayEffect {
    /// It sends to one of the forwarder's sockets.
    Sends(Socket, Vec<u8>),
    /// The same, and the datagram is there at once, whatever happens.
    Delivers(Socket, Vec<u8>),
    /// It sends to its network server.
    SendsToServer(Vec<u8>),
    /// It publishes a downlink through this connection.
    Publishes(usize, Push),
    /// It reports what happened.
    Reports(Report),
    /// Its power goes, and that of the concentrator with it.
    LosesPower,
    /// Something will happen after so many microseconds.
    Later(u64, Event),
}

/// A gateway without its concentrator: one disk, one process after the other.
pub(super) struct Gateway {
    settings: Settings,
    seed: u64,
    verbs: Vec<VerbScript>,
    faults: Vec<Fault>,
    meddling: Vec<Meddling>,
    unsynced_pages: UnsyncedPages,
    boot_us: u64,
    disk: GatewayDisk,
    wall: Wall,
    /// Every power cut draws the same from it.
    rng: Random,
    /// What the first process finds.
    recovered: Option<Recovered>,
    /// Counts the boots: a killed process comes back in the same one.
    boots: u32,
    /// Counts the processes; what was meant for an earlier one is void.
    incarnation: u32,
    engine: Option<Engine>,
    wake_at: Option<Instant>,
    store: Option<Store<GatewayDisk>>,
    /// What this process will die of.
    fault: Option<Fault>,
    /// Facts that this process was told, and frames that it handed to the forwarder.
    facts: u64,
    handed_over: u64,
    effects: VecDeque<GatewayEffect>,
}

impl Gateway {
    /// A gateway that is switched off, its keys enrolled.
    pub(super) fn new(script: &Script, truth: TrueClock, rng: Random) -> Gateway {
        let settings = Settings {
            trust_by_task: BTreeMap::new(),
            // Images come from the script, wherever they lie.
            means: Means { fetches: true, ..Means::default() },
            region: script.region,
            groups: script.groups.clone(),
            turns: script.turns,
            fleets: script.fleets.clone(),
            forwarder: script.link.clone(),
            relay: script.relay.clone(),
            kept: script.kept,
            crash_rest_us: CRASH_REST_US,
        };
        let disk = GatewayDisk::default();
        enrol_all(&disk.disk, &settings.groups);
        Gateway {
            settings,
            seed: script.seed,
            verbs: script.verbs.clone(),
            faults: script.faults.clone(),
            meddling: script.meddling.clone(),
            unsynced_pages: script.unsynced_pages,
            boot_us: script.boot_us,
            disk,
            wall: Wall::new(truth, script),
            rng,
            recovered: script.recovered.clone(),
            boots: 0,
            incarnation: 0,
            engine: None,
            wake_at: None,
            store: None,
            fault: None,
            facts: 0,
            handed_over: 0,
            effects: VecDeque::new(),
        }
    }

    /// From its next life on its store sees the files through `spoil`.
    pub(super) fn spoil(&mut self, spoil: Rc<RefCell<dyn Spoil>>) {
        self.disk.spoil = Some(spoil);
    }

    /// What the next process would find on the disk as it is.
    pub(super) fn found(&self) -> Recovered {
        store::read(&mut self.disk.disk.borrow().clone()).unwrap_or_default()
    }

    /// When its engine wants to be told the time.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    /// Which process it is, from 0 on: so often it died.
    pub(super) fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// What the relay of this process counted.
    pub(super) fn relayed(&self) -> RelayCounts {
        self.engine.as_ref().map(Engine::relayed).unwrap_or_default()
    }

    /// What the devices of the group hold, as this process knows it.
    pub(super) fn answers(&self, group: &str) -> Option<Roll> {
        self.engine.as_ref()?.answers(group).cloned()
    }

    /// How each task that is not over stands; nothing is known while the process is gone.
    pub(super) fn tasks(&self) -> Vec<TaskState> {
        self.engine.as_ref().map(|engine| engine.tasks_at_a_glance().collect()).unwrap_or_default()
    }

    /// Bytes written to the disk, 4 KiB for each synced page.
    pub(super) fn written_bytes(&self) -> u64 {
        self.disk.disk.borrow().written_bytes()
    }

    /// What it does next; to be asked after every call until there is nothing.
    pub(super) fn poll(&mut self) -> Option<GatewayEffect> {
        self.effects.pop_front()
    }

    /// Tells the engine a fact and carries out its wishes.
    pub(super) fn tell(&mut self, now: Instant, input: Input<'_>) {
        let clocks = self.wall.read(now);
        let Some(engine) = &mut self.engine else { return };
        engine.handle(clocks, input);
        self.carry_out(now);
    }

    /// Tells the engine the script's word of this number on a task, and says it again until it is kept. What is refused is
    /// reported as a warning.
    pub(super) fn command(&mut self, now: Instant, index: usize) {
        let (clocks, life) = (self.wall.read(now), self.incarnation);
        let Some(VerbScript { verb, task, .. }) = self.verbs.get(index).cloned() else { return };
        let Ok(task) = TaskId::new(&task) else { return };
        if let Some(engine) = &mut self.engine {
            if let Err(error) = engine.command(clocks, verb, &task) {
                let event = Happened::Warning { text: error.to_string() };
                self.effects.push_back(GatewayEffect::Reports(Report { at: now, task: None, event }));
            }
            self.carry_out(now);
        }
        if self.engine.is_none() || self.incarnation != life {
            self.effects.push_back(GatewayEffect::Later(AGAIN_US, Event::Verb(index)));
        }
    }

    /// Carries out the engine's wishes after it was told a fact.
    fn carry_out(&mut self, now: Instant) {
        self.facts += 1;
        if self.fault == Some(Fault::KillAtFact(self.facts)) {
            return self.kill();
        }
        while let Some(engine) = &mut self.engine {
            match engine.poll() {
                Output::WakeAt(at) => {
                    self.wake_at = at;
                    return;
                }
                Output::Datagram { to, bytes } => self.send(to, bytes),
                Output::ToServer { bytes, .. } => {
                    self.effects.push_back(GatewayEffect::SendsToServer(bytes));
                }
                Output::LnsPush { link, push } => {
                    self.effects.push_back(GatewayEffect::Publishes(link, push));
                }
                Output::Fetch(fetch) => self.later(FETCH_US, ProcessEvent::Image(fetch.task)),
                Output::Save(save, change) => {
                    let Some(store) = &mut self.store else { return };
                    match store.apply(&change) {
                        Ok(()) => self.later(DISK_US, ProcessEvent::Saved(save)),
                        Err(error) if is_power_cut(&error) => self.strike(),
                        Err(error) => engine
                            .handle(self.wall.read(now), Input::Saved(save, Err(NotSaved::from(&error)))),
                    }
                }
                Output::Report(report) => self.effects.push_back(GatewayEffect::Reports(report)),
                Output::Stopped => {}
            }
        }
    }

    fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let socket = if to.port().is_multiple_of(2) { Socket::Push } else { Socket::Pull };
        let is_frame = bytes.get(3) == Some(&3);
        self.handed_over += u64::from(is_frame);
        let strikes = |n: u64| is_frame && self.handed_over == n;
        match self.fault {
            Some(Fault::BeforeSend(n)) if strikes(n) => self.power_cut(),
            Some(Fault::AfterSend(n)) if strikes(n) => {
                self.effects.push_back(GatewayEffect::Delivers(socket, bytes));
                self.power_cut();
            }
            Some(Fault::Kill(n)) if strikes(n) => {
                self.effects.push_back(GatewayEffect::Sends(socket, bytes));
                self.kill();
            }
            _ => self.effects.push_back(GatewayEffect::Sends(socket, bytes)),
        }
    }

    fn later(&mut self, us: u64, event: ProcessEvent) {
        let event = Event::OfProcess(self.incarnation, event);
        self.effects.push_back(GatewayEffect::Later(us, event));
    }

    /// The fault at a disk operation.
    fn strike(&mut self) {
        match self.fault {
            Some(Fault::KillAtDiskOperation(_)) => self.kill(),
            _ => self.power_cut(),
        }
    }

    /// Everything stops; each page that was not synced is new, old or torn, as the script says.
    fn power_cut(&mut self) {
        self.die();
        self.effects.push_back(GatewayEffect::LosesPower);
        let (unsynced_pages, mut rng) = (self.unsynced_pages, self.rng.clone());
        self.disk.disk.borrow_mut().power_cut(&mut |_| match (unsynced_pages, rng.below(3)) {
            (UnsyncedPages::New, _) | (UnsyncedPages::Mixed, 0) => PageFate::New,
            (UnsyncedPages::Old, _) | (UnsyncedPages::Mixed, 1) => PageFate::Old,
            _ => PageFate::Torn(rng.next_u64()),
        });
        let boot = Event::Boot { after_power_cut: true };
        self.effects.push_back(GatewayEffect::Later(self.boot_us, boot));
    }

    /// The process is gone until the service manager starts it again; the forwarder noticed nothing.
    pub(super) fn kill(&mut self) {
        self.die();
        self.disk.disk.borrow_mut().fill_from(None);
        self.disk.disk.borrow_mut().process_died();
        let boot = Event::Boot { after_power_cut: false };
        self.effects.push_back(GatewayEffect::Later(RESTART_US, boot));
    }

    fn die(&mut self) {
        self.incarnation += 1;
        self.engine = None;
        self.wake_at = None;
        self.store = None;
        self.fault = None;
        self.handed_over = 0;
        self.facts = 0;
    }

    /// Another process starts; after a power cut the whole gateway does. What the script says of the time between two
    /// lives happens before.
    pub(super) fn boot(&mut self, now: Instant, after_power_cut: bool) {
        if after_power_cut {
            self.boots += 1;
            self.wall.boot(now);
        }
        let lives_before = self.incarnation as usize;
        if let Some(meddling) = lives_before.checked_sub(1).and_then(|life| self.meddling.get(life)) {
            meddle(&self.disk.disk, *meddling, &self.settings.groups);
        }
        self.fault = self.faults.get(lives_before).copied();
        self.lay_fault();
        let mut boot_id = [0; 16];
        boot_id[..4].copy_from_slice(&self.boots.to_be_bytes());
        match Store::open(self.disk.clone(), boot_id) {
            Ok((store, recovered)) => {
                self.store = Some(store);
                let recovered = self.recovered.take().unwrap_or(recovered);
                let seed = self.seed ^ u64::from(self.incarnation);
                self.wall.start(now, recovered.believed());
                let clocks = self.wall.read(now);
                self.engine = Some(Engine::new(self.settings.clone(), recovered, seed, clocks));
                self.tell(now, Input::Time);
            }
            Err(error) if is_power_cut(&error) => self.strike(),
            Err(error) => {
                let event = Happened::Halted { reason: error.to_string() };
                self.effects.push_back(GatewayEffect::Reports(Report { at: now, task: None, event }));
            }
        }
    }

    /// Faults of the disk and of the clock are laid before the process starts.
    fn lay_fault(&mut self) {
        let before = self.disk.disk.borrow().operations();
        match self.fault {
            Some(Fault::AtDiskOperation(n) | Fault::KillAtDiskOperation(n)) => {
                self.disk.disk.borrow_mut().crash_after(before + n);
            }
            Some(Fault::DiskFull(n)) => {
                self.disk.disk.borrow_mut().fill_from(Some(before + n));
                self.later(FULL_US, ProcessEvent::Killed);
            }
            Some(Fault::KillAfter(us)) => self.later(us, ProcessEvent::Killed),
            _ => {}
        }
    }
}

fn is_power_cut(error: &StoreError) -> bool {
    matches!(error, StoreError::Files(files) if files.kind == FilesErrorKind::PowerCut)
}
