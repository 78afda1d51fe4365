//! Waits that no world brings about: the engine alone, told what a daemon would tell it.

use crate::signatures;
use crate::support::small_world;
use crate::support::small_world::START;
use crate::support::small_world::document;
use crate::support::small_world::image;
use fuotad::broadcast::NotSaved;
use fuotad::broadcast::TaskSource;
use fuotad::engine::Engine;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::report::WaitReason;
use fuotad::task::TaskId;
use fuotad::time::Instant;
use fuotad::time::Now;
use std::collections::BTreeSet;
use std::net::SocketAddr;

const GATEWAY: &[u8] = b"\x00\x16\xc0\x01\xf1\x50\x08\x12";
const PUSH_DATA: u8 = 0;
const PULL_DATA: u8 = 2;

/// An engine whose disk and images answer as the test says.
struct Bench {
    engine: Engine,
    ms: i64,
    has_clock: bool,
    has_image: bool,
    other_image: bool,
    disk: Result<(), NotSaved>,
    is_disk_slow: bool,
    held_saves: Vec<u64>,
    frames: usize,
}

impl Bench {
    fn new() -> Bench {
        let now = Now { mono: Instant::ZERO, gps: Some(START) };
        Bench {
            engine: Engine::new(small_world::settings(), small_world::enrolled(), 1, now),
            ms: 0,
            has_clock: true,
            has_image: true,
            other_image: false,
            disk: Ok(()),
            is_disk_slow: false,
            held_saves: Vec::new(),
            frames: 0,
        }
    }

    /// One with a packet forwarder.
    fn with_forwarder() -> Bench {
        let mut bench = Bench::new();
        bench.datagram(2, PULL_DATA, "");
        bench
    }

    fn now(&self) -> Now {
        let gps = START.plus_us(self.ms as u64 * 1000);
        Now { mono: Instant::from_us(self.ms * 1000), gps: Some(gps).filter(|_| self.has_clock) }
    }

    fn datagram(&mut self, version: u8, identifier: u8, json: &str) {
        let bytes = [&[version, 0, 0, identifier][..], GATEWAY, json.as_bytes()].concat();
        let from = SocketAddr::from(([127, 0, 0, 1], 40_000));
        self.tell(Input::Datagram { from, bytes: &bytes });
    }

    fn order(&mut self, stem: &str, document: &str) {
        let source = TaskSource::File;
        self.tell(Input::Task { document: document.as_bytes(), stem, source });
    }

    fn at_once(&mut self) {
        self.order("task-1", &document(50, "").replace("2026-11-22T08:00:30Z", "at-once"));
    }

    fn tell(&mut self, input: Input<'_>) {
        self.engine.handle(self.now(), input);
        loop {
            match self.engine.poll() {
                Output::WakeAt(_) => return,
                Output::Fetch(fetch) if self.has_image => self.image(fetch.task),
                Output::Save(save, _) if self.is_disk_slow => self.held_saves.push(save),
                Output::Save(save, _) => self.tell(Input::Saved(save, self.disk.clone())),
                Output::Datagram { bytes, .. } if bytes[3] == 3 => {
                    self.frames += 1;
                    let ack = [&[2, bytes[1], bytes[2], 5][..], GATEWAY].concat();
                    let from = SocketAddr::from(([127, 0, 0, 1], 40_000));
                    self.tell(Input::Datagram { from, bytes: &ack });
                }
                _ => {}
            }
        }
    }

    fn image(&mut self, task: TaskId) {
        let bytes = image(if self.other_image { 999 } else { 1000 });
        self.tell(Input::Image(task, bytes, None));
    }

    /// Some seconds in which the forwarder is heard.
    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds * 50 {
            self.ms += 20;
            self.tell(Input::Time);
        }
    }

    fn wait(&self) -> Option<WaitReason> {
        let state = self.engine.tasks().next()?;
        let (wait, _) = state.wait?;
        assert!(state.waiting.is_some());
        Some(wait.reason)
    }

    fn assert_waits_for(&mut self, kinds: &mut BTreeSet<&'static str>, kind: &str) {
        let reason = self.wait().map(|reason| reason.kind());
        assert_eq!(reason, Some(kind), "{:?}", self.engine.tasks().collect::<Vec<_>>());
        assert_eq!(self.frames, 0, "{kind}");
        kinds.extend(reason);
    }

    /// Frames go out now.
    fn assert_sends(&mut self, after: &str) {
        let before = self.frames;
        self.pass(5);
        assert!(self.frames > before, "after {after}: {:?}", self.engine.tasks().collect::<Vec<_>>());
    }
}

/// The kinds of waits that were brought about and ended here.
pub fn walks() -> BTreeSet<&'static str> {
    let mut kinds = BTreeSet::new();
    forwarder(&mut kinds);
    orders(&mut kinds);
    images(&mut kinds);
    disk(&mut kinds);
    kinds.extend(signatures::walked_certificate());
    kinds
}

fn forwarder(kinds: &mut BTreeSet<&'static str>) {
    let mut bench = Bench::new();
    bench.at_once();
    bench.pass(1);
    bench.assert_waits_for(kinds, "forwarder-not-heard");
    bench.datagram(2, PUSH_DATA, r#"{"rxpk":[]}"#);
    bench.assert_waits_for(kinds, "forwarder-no-pull-data");
    bench.datagram(1, PULL_DATA, "");
    bench.assert_waits_for(kinds, "forwarder-version-1");
    bench.datagram(2, PULL_DATA, "");
    bench.assert_sends("PULL_DATA of version 2");
}

fn orders(kinds: &mut BTreeSet<&'static str>) {
    let mut bench = Bench::with_forwarder();
    let without_start = document(50, "").replace(r#","Fuotad":{"Start":"2026-11-22T08:00:30Z"}"#, "");
    bench.order("task-1", &without_start);
    bench.pass(1);
    bench.assert_waits_for(kinds, "no-start");
    bench.at_once();
    bench.assert_sends("a start");

    let mut bench = Bench::with_forwarder();
    bench.at_once();
    bench.pass(1);
    bench.frames = 0;
    let id = || TaskId::new("task-1").unwrap();
    bench.tell(Input::Hold(id()));
    bench.assert_waits_for(kinds, "task-file");
    bench.pass(5);
    bench.assert_waits_for(kinds, "task-file");
    bench.at_once();
    bench.assert_sends("the file");

    let mut bench = Bench::with_forwarder();
    bench.has_clock = false;
    bench.order("b", &document(50, ""));
    bench.pass(1);
    bench.order("a", &document(50, "").replace("08:00:30Z", "09:00:00Z"));
    bench.pass(1);
    bench.assert_waits_for(kinds, "clock-order");
    bench.has_clock = true;
    bench.pass(1);
    assert!(bench.wait().is_some_and(|reason| reason.kind() == "start"), "{:?}", bench.wait());
}

fn images(kinds: &mut BTreeSet<&'static str>) {
    let mut bench = Bench::with_forwarder();
    bench.has_image = false;
    bench.at_once();
    bench.pass(100);
    bench.assert_waits_for(kinds, "image");
    bench.has_image = true;
    bench.image(TaskId::new("task-1").unwrap());
    bench.assert_sends("its image");

    let mut bench = Bench::with_forwarder();
    bench.order("task-1", &document(50, "").replace("08:00:30Z", "08:05:00Z"));
    bench.pass(1);
    bench.other_image = true;
    for _ in 0..29 {
        bench.pass(10);
        bench.datagram(2, PULL_DATA, "");
    }
    bench.assert_waits_for(kinds, "other-image");
    bench.other_image = false;
    for _ in 0..6 {
        bench.pass(10);
        bench.datagram(2, PULL_DATA, "");
    }
    assert!(bench.frames > 0, "after its own image came back: {:?}", bench.wait());
}

fn disk(kinds: &mut BTreeSet<&'static str>) {
    let mut bench = Bench::with_forwarder();
    bench.disk = Err(NotSaved::NoRoom("no space left".to_owned()));
    bench.at_once();
    bench.pass(1);
    bench.assert_waits_for(kinds, "disk-full");
    bench.disk = Ok(());
    bench.pass(20);
    bench.datagram(2, PULL_DATA, "");
    bench.pass(11);
    bench.assert_sends("room");

    let mut bench = Bench::with_forwarder();
    bench.is_disk_slow = true;
    bench.at_once();
    bench.pass(15);
    bench.assert_waits_for(kinds, "saving");
    bench.is_disk_slow = false;
    for save in std::mem::take(&mut bench.held_saves) {
        bench.tell(Input::Saved(save, Ok(())));
    }
    bench.assert_sends("the disk's answer");

    let mut bench = Bench::with_forwarder();
    bench.disk = Err(NotSaved::Broken("an input/output error".to_owned()));
    bench.at_once();
    bench.pass(1);
    bench.assert_waits_for(kinds, "storage");
    let mut bench = Bench::with_forwarder();
    bench.at_once();
    bench.assert_sends("a restart");
}
