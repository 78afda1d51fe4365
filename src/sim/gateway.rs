//! The gateway's lives: the engine and its disk, told facts, killed and started again.

use super::concentrator::Socket;
use super::disk::PageFate;
use super::script::Accident;
use super::script::PageLuck;
use super::world::Event;
use super::world::World;
use crate::engine::Engine;
use crate::engine::Input;
use crate::engine::Output;
use crate::engine::Settings;
use crate::engine::not_saved;
use crate::report::Event as Happened;
use crate::report::Report;
use crate::store::FilesErrorKind;
use crate::store::Store;
use crate::store::StoreError;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

/// A synced write needs this, microseconds.
const DISK_US: u64 = 4_000;
/// An image from the local disk needs this, microseconds.
const FETCH_US: u64 = 20_000;
/// The service manager starts a process that died after this, microseconds.
const RESTART_US: u64 = 2_000_000;

impl World {
    /// Tells the engine a fact and carries out its wishes.
    pub(super) fn tell(&mut self, input: Input<'_>) {
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
                Output::North { bytes, .. } => self.send_north(bytes),
                Output::Fetch(fetch) => self.after(FETCH_US, Event::Image(fetch.task)),
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
        if let Some(engine) = &mut self.engine {
            engine.handle(now, Input::Saved(save, Err(not_saved(error))));
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
                self.travel(Event::ToForwarder(socket, bytes));
                self.kill();
            }
            _ => self.travel(Event::ToForwarder(socket, bytes)),
        }
    }

    /// Everything stops; each page that was not synced is new, old or torn, as luck has it.
    pub(super) fn power_cut(&mut self) {
        let mut luck = self.luck.split(3);
        self.die();
        // The concentrator loses its power with the gateway: what it still held never reaches the air.
        self.concentrator.restart(self.now);
        self.drain_concentrator();
        let page_luck = self.script.page_luck;
        self.disk.borrow_mut().power_cut(&mut |_| match (page_luck, luck.below(3)) {
            (PageLuck::New, _) | (PageLuck::Mixed, 0) => PageFate::New,
            (PageLuck::Old, _) | (PageLuck::Mixed, 1) => PageFate::Old,
            _ => PageFate::Torn(luck.next_u64()),
        });
        self.after(self.script.boot_us, Event::Boot { after_power_cut: true });
    }

    /// The process is gone until the service manager starts it again; the forwarder noticed nothing.
    fn kill(&mut self) {
        self.die();
        self.disk.borrow_mut().process_died();
        self.after(RESTART_US, Event::Boot { after_power_cut: false });
    }

    fn die(&mut self) {
        self.life += 1;
        self.engine = None;
        self.engine_wake = None;
        self.store = None;
        self.accident = None;
        self.handed_over = 0;
    }

    pub(super) fn boot(&mut self) {
        self.accident = self.script.accidents.get(self.life as usize).copied();
        if let Some(Accident::AtDiskOperation(n)) = self.accident {
            let mut disk = self.disk.borrow_mut();
            let before = disk.operations();
            disk.crash_after(before + n);
        }
        let mut boot_id = [0; 16];
        boot_id[..4].copy_from_slice(&self.life.to_be_bytes());
        match Store::open(Rc::clone(&self.disk), boot_id) {
            Ok((store, recovered)) => {
                self.store = Some(store);
                let settings = Settings {
                    trust_by_task: BTreeMap::new(),
                    region: self.script.region,
                    groups: self.script.groups.clone(),
                    turns: self.script.turns,
                    forwarder: self.script.link.clone(),
                    relay: self.script.relay.clone(),
                    server_reserve_ppm: self.script.server_reserve_ppm,
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
    pub(super) fn scan_folder(&mut self) {
        let known = self.script.tasks.iter().map(|task| task.at_us).enumerate();
        let here = known.filter(|(_, at_us)| Instant::ZERO.plus_us(*at_us) <= self.now);
        for index in here.map(|(index, _)| index).collect::<Vec<_>>() {
            self.after(0, Event::Task(index));
        }
    }
}

fn is_power_cut(error: &StoreError) -> bool {
    matches!(error, StoreError::Files(files) if files.kind == FilesErrorKind::PowerCut)
}
