//! The gateway's lives: the engine and its disk, told facts, killed and started again.

use super::concentrator::Socket;
use super::disk::Disk;
use super::disk::PAGE_BYTES;
use super::disk::PageFate;
use super::event::Event;
use super::random::Random;
use super::script::Fault;
use super::script::Meddling;
use super::script::PageLuck;
use super::world::World;
use crate::broadcast::CRASH_REST_US;
use crate::broadcast::NotSaved;
use crate::engine::Engine;
use crate::engine::Input;
use crate::engine::Output;
use crate::engine::Settings;
use crate::report::Event as Happened;
use crate::report::Report;
use crate::store::Files;
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
/// A disk that is full has room again after this, microseconds.
const FULL_US: u64 = 60_000_000;
/// The service manager starts a process that died after this, microseconds.
const RESTART_US: u64 = 2_000_000;

impl World {
    /// Tells the engine a fact and carries out its wishes.
    pub(super) fn tell(&mut self, input: Input<'_>) {
        let now = self.clock();
        let Some(engine) = &mut self.engine else { return };
        engine.handle(now, input);
        self.facts += 1;
        if self.accident == Some(Fault::KillAtFact(self.facts)) {
            return self.kill();
        }
        while let Some(engine) = &mut self.engine {
            match engine.poll() {
                Output::WakeAt(at) => {
                    self.engine_wake = at;
                    return;
                }
                Output::Datagram { to, bytes } => self.send(to, bytes),
                Output::ToServer { bytes, .. } => self.send_to_server(bytes),
                Output::Fetch(fetch) => self.after(FETCH_US, Event::Image(fetch.task)),
                Output::Save(save, change) => {
                    let Some(store) = &mut self.store else { return };
                    match store.apply(&change) {
                        Ok(()) => self.after(DISK_US, Event::Saved(save)),
                        Err(error) if is_power_cut(&error) => self.strike(),
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
            engine.handle(now, Input::Saved(save, Err(NotSaved::from(error))));
        }
    }

    fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let socket = if to.port().is_multiple_of(2) { Socket::Push } else { Socket::Pull };
        let is_frame = bytes.get(3) == Some(&3);
        self.handed_over += u64::from(is_frame);
        let strikes = |n: u64| is_frame && self.handed_over == n;
        match self.accident {
            Some(Fault::BeforeSend(n)) if strikes(n) => self.power_cut(),
            Some(Fault::AfterSend(n)) if strikes(n) => {
                self.concentrator.datagram(self.now, socket, &bytes);
                self.drain_concentrator();
                self.power_cut();
            }
            Some(Fault::Kill(n)) if strikes(n) => {
                self.travel(Event::ToForwarder(socket, bytes));
                self.kill();
            }
            _ => self.travel(Event::ToForwarder(socket, bytes)),
        }
    }

    /// The accident at a disk operation.
    fn strike(&mut self) {
        match self.accident {
            Some(Fault::KillAtDiskOperation(_)) => self.kill(),
            _ => self.power_cut(),
        }
    }

    /// Everything stops; each page that was not synced is new, old or torn, as luck has it.
    pub(super) fn power_cut(&mut self) {
        let mut rng = self.rng.split(3);
        self.die();
        // The concentrator loses its power with the gateway: what it still held never reaches the air.
        self.concentrator.restart(self.now);
        self.drain_concentrator();
        let page_luck = self.script.page_luck;
        self.files.disk.borrow_mut().power_cut(&mut |_| match (page_luck, rng.below(3)) {
            (PageLuck::New, _) | (PageLuck::Mixed, 0) => PageFate::New,
            (PageLuck::Old, _) | (PageLuck::Mixed, 1) => PageFate::Old,
            _ => PageFate::Torn(rng.next_u64()),
        });
        self.after(self.script.boot_us, Event::Boot { after_power_cut: true });
    }

    /// The process is gone until the service manager starts it again; the forwarder noticed nothing.
    pub(super) fn kill(&mut self) {
        self.die();
        self.files.disk.borrow_mut().fill_from(None);
        self.files.disk.borrow_mut().process_died();
        self.after(RESTART_US, Event::Boot { after_power_cut: false });
    }

    fn die(&mut self) {
        self.incarnation += 1;
        self.engine = None;
        self.engine_wake = None;
        self.store = None;
        self.accident = None;
        self.handed_over = 0;
        self.facts = 0;
    }

    /// What happens to the state folder while the gateway is down.
    pub(super) fn meddle(&mut self) {
        let meddling = (self.incarnation as usize)
            .checked_sub(1)
            .and_then(|incarnation| self.script.meddling.get(incarnation));
        if meddling == Some(&Meddling::EnrolAnew) {
            return self.enrol_anew();
        }
        let mut disk = self.files.disk.borrow_mut();
        let mut names = disk.list().unwrap_or_default();
        names.sort();
        let length =
            |disk: &mut Disk, name: &str| disk.read(name).ok().flatten().map_or(0, |bytes| bytes.len());
        match meddling {
            None | Some(Meddling::Nothing | Meddling::EnrolAnew) => {}
            Some(Meddling::Remove(bits)) => {
                for name in
                    names.iter().enumerate().filter(|(n, _)| bits >> (n % 64) & 1 == 1).map(|(_, name)| name)
                {
                    // It is on the list.
                    let _ = disk.remove(name);
                }
                let _ = disk.sync_dir();
            }
            Some(Meddling::FlipBit(seed)) => {
                let mut rng = Random::new(*seed);
                let name = &names[rng.below(names.len() as u64) as usize];
                let bits = length(&mut disk, name) as u64 * 8;
                disk.flip_bit(name, rng.below(bits) as usize);
            }
            Some(Meddling::FlipNewestMark) => {
                let marks = disk.read("marks").ok().flatten().unwrap_or_default();
                let seq = |page: &[u8]| {
                    page.get(8..16).map_or(0, |seq| seq.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
                };
                let newest = marks.chunks(PAGE_BYTES).enumerate().max_by_key(|(_, page)| seq(page));
                if let Some((page, _)) = newest {
                    disk.flip_bit("marks", page * PAGE_BYTES * 8 + 1000);
                }
            }
        }
    }

    /// Somebody removes what is known of the keys and enrols them as if they had never been used.
    fn enrol_anew(&mut self) {
        let mut disk = Rc::clone(&self.files.disk);
        for name in disk.list().unwrap_or_default() {
            if name.ends_with(".a") || name.ends_with(".b") || name.starts_with("key-") {
                // It is on the list.
                let _ = disk.remove(&name);
            }
        }
        self.enrol();
    }

    pub(super) fn boot(&mut self) {
        self.accident = self.script.accidents.get(self.incarnation as usize).copied();
        let before = self.files.disk.borrow().operations();
        match self.accident {
            Some(Fault::AtDiskOperation(n) | Fault::KillAtDiskOperation(n)) => {
                self.files.disk.borrow_mut().crash_after(before + n);
            }
            Some(Fault::DiskFull(n)) => {
                self.files.disk.borrow_mut().fill_from(Some(before + n));
                self.after(FULL_US, Event::Killed);
            }
            Some(Fault::KillAfter(us)) => self.after(us, Event::Killed),
            _ => {}
        }
        let mut boot_id = [0; 16];
        boot_id[..4].copy_from_slice(&self.boots.to_be_bytes());
        match Store::open(self.files.clone(), boot_id) {
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
                    crash_rest_us: CRASH_REST_US,
                };
                let seed = self.script.seed ^ u64::from(self.incarnation);
                self.wall.start(self.now, recovered.believed());
                let now = self.clock();
                self.engine = Some(Engine::new(settings, recovered, seed, now));
                self.tell(Input::Time);
            }
            Err(error) if is_power_cut(&error) => self.strike(),
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
