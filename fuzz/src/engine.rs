//! The engine among a forwarder, network servers, a disk and an operator who all do as the bytes say, with power cuts
//! in between. Whatever they do, it keeps what it promises about counters, saves and images.

use super::feed::Feed;
use super::feed::first_json;
use super::feed::image;
use super::gateway;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::broadcast::Fetch;
use fuotad::broadcast::NotSaved;
use fuotad::broadcast::TaskSource;
use fuotad::broadcast::TurnRule;
use fuotad::campaign::Group;
use fuotad::engine::Engine;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::fragment::DataFragment;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::image::Digest;
use fuotad::lorawan::KeyFingerprint;
use fuotad::lorawan::open_multicast;
use fuotad::lorawan::parse_header;
use fuotad::signing::Evidence;
use fuotad::sim::disk::Disk;
use fuotad::sim::disk::PageFate;
use fuotad::store::Change;
use fuotad::store::Enrolment;
use fuotad::store::FilesErrorKind;
use fuotad::store::RangeState;
use fuotad::store::Reservation;
use fuotad::store::Store;
use fuotad::store::StoreError;
use fuotad::store::enrol;
use fuotad::task::TaskId;
use fuotad::time::Instant;
use fuotad::time::Now;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

/// So many facts in one story at most, those that follow by themselves included.
const FACTS_MAX: usize = 3000;
/// More wishes than this after one fact are not the answer to it.
const WISHES_MAX: usize = 2048;
/// An engine that wants to be woken at once more often than this without a pause spins.
const SPINS_MAX: usize = 1000;
/// Within so many facts everything is stored and the process may end.
const STOP_FACTS_MAX: usize = 200;
/// Images are short, so that a story sees their end, bytes.
const IMAGE_STEP_BYTES: usize = 5;
const GATEWAY: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const PUSH_DATA: u8 = 0;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const TX_ACK: u8 = 5;
const HOUR_US: u64 = 3_600_000_000;
const TASKS: [&str; 3] = ["a", "b", "c"];

/// Lives a story out of `data`.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let mut story = Story::new(&mut feed);
    while !feed.is_empty() && story.facts < FACTS_MAX {
        story.fact(&mut feed);
    }
    story.end();
}

struct Story {
    turns: TurnRule,
    servers: usize,
    groups: Vec<Group>,
    disk: Rc<RefCell<Disk>>,
    mono: Instant,
    gps_off_us: Option<u64>,
    facts: usize,
    /// Every frame that was handed over, by key and counter, in all lives.
    sent: BTreeMap<(KeyFingerprint, u32), Vec<u8>>,
    /// Payloads of network servers.
    foreign: BTreeSet<String>,
    ordered: BTreeMap<TaskId, Vec<u8>>,
    seed: u64,
    life: Life,
}

/// What ends with the process.
struct Life {
    engine: Engine,
    store: Store<Rc<RefCell<Disk>>>,
    wake: Option<Instant>,
    spins: usize,
    saves: VecDeque<(u64, Change)>,
    last_save: u64,
    fetches: VecDeque<Fetch>,
    /// Images that were handed in.
    images: Vec<Vec<u8>>,
    /// Counters that the disk holds.
    reserved: Vec<Reservation>,
    /// Keys and counters of frames that were handed over.
    handed_over: BTreeSet<(KeyFingerprint, u32)>,
    /// Tokens of downlinks that the forwarder did not answer yet.
    asked: VecDeque<(SocketAddr, [u8; 2])>,
    is_broken: bool,
    is_stopping: bool,
    is_stopped: bool,
}

impl Story {
    fn new(feed: &mut Feed<'_>) -> Story {
        let turns = *feed.pick(&[TurnRule::InOrder, TurnRule::Fairly]);
        let servers = usize::from(feed.u8() % 3);
        let gps_off_us = Some(0).filter(|_| !feed.u8().is_multiple_of(4));
        let disk = Rc::new(RefCell::new(Disk::new()));
        for group in gateway::settings().groups {
            let enrolment = Enrolment::new(&group.name, None, 2, false);
            let enrolled = enrol(&mut Rc::clone(&disk), group.keys.fingerprint(), &enrolment, [0; 16]);
            assert_eq!(enrolled, Ok(()), "a new key is enrolled on an empty disk");
        }
        let mono = Instant::ZERO;
        let Some(life) = Life::begin(&disk, turns, servers, 1, now(mono, gps_off_us)) else {
            panic!("an empty disk can be opened")
        };
        let mut story = Story {
            turns,
            servers,
            groups: gateway::settings().groups,
            disk,
            mono,
            gps_off_us,
            facts: 0,
            sent: BTreeMap::new(),
            foreign: BTreeSet::new(),
            ordered: BTreeMap::new(),
            seed: 1,
            life,
        };
        story.tell(Input::Time);
        story
    }

    fn fact(&mut self, feed: &mut Feed<'_>) {
        match feed.u8() % 32 {
            0 => self.pass(u64::from(feed.u32())),
            1 => self.pass(u64::from(feed.u16())),
            2 => (0..1 + feed.u8() % 32).for_each(|_| self.wake()),
            3 | 4 => self.save(Answer::Ok),
            5 => self.save(Answer::Refused),
            6 => self.save(Answer::Broken { is_kept: feed.u8().is_multiple_of(2) }),
            7 => self.fetched(),
            8 => self.any_image(feed),
            9 => {
                let fetch = self.life.fetches.pop_front();
                let reason = feed.text();
                self.tell(Input::ImageFailed(fetch.map_or_else(|| task(0), |fetch| fetch.task), reason));
            }
            10..=12 => self.order(feed),
            13 => {
                let (stem, source) = (*feed.pick(&TASKS), source(feed));
                self.tell(Input::Task { document: feed.chunk(), stem, source });
            }
            14 => {
                let task = task(feed.u8());
                let is_withdrawn = feed.u8().is_multiple_of(2);
                self.tell(if is_withdrawn { Input::Withdraw(task) } else { Input::Cancel(task) });
            }
            15 | 16 => self.keepalive(feed),
            17 => self.uplink(feed),
            18 => self.statistics(feed),
            19 | 20 => self.answer(feed),
            21 => {
                let from = host(feed.u8());
                self.tell(Input::Datagram { from, bytes: feed.chunk() });
            }
            22 => self.downlink(feed),
            23 => {
                let server = usize::from(feed.u8() % 3);
                self.north(server, feed.chunk());
            }
            24 => self.gps_off_us = *feed.pick(&[None, Some(0), Some(0), Some(3 * HOUR_US)]),
            25 => self.stop(),
            26 => {
                self.life.is_broken = true;
                let now = now(self.mono, self.gps_off_us);
                self.life.engine.halt(now, feed.text());
                self.listen();
            }
            27 => self.power_cut(feed),
            28 => self.power_cut_in_the_next_save(feed),
            _ => (0..1 + u16::from(feed.u8())).for_each(|_| self.go_on()),
        }
    }

    /// Everybody does what is expected, one step.
    fn go_on(&mut self) {
        if self.facts >= FACTS_MAX {
            return;
        }
        if !self.life.saves.is_empty() {
            self.save(Answer::Ok);
        } else if !self.life.fetches.is_empty() {
            self.fetched();
        } else if let Some((from, [high, low])) = self.life.asked.pop_front() {
            let bytes = [&[2, high, low, TX_ACK], &GATEWAY[..]].concat();
            self.tell(Input::Datagram { from, bytes: &bytes });
        } else {
            if self.life.engine.link().online.is_none() {
                self.pull(host(0), 2);
            }
            self.wake();
        }
    }

    fn pass(&mut self, us: u64) {
        self.mono = self.mono.plus_us(us);
        self.tell(Input::Time);
    }

    /// Time passes until the engine wants to be woken, a while at most.
    fn wake(&mut self) {
        let us = self.life.wake.map_or(HOUR_US, |wake| wake.us_since(self.mono)).min(HOUR_US);
        self.life.spins = if us == 0 { self.life.spins + 1 } else { 0 };
        assert!(self.life.spins < SPINS_MAX, "an engine that is woken gets further, or waits");
        self.pass(us);
    }

    fn order(&mut self, feed: &mut Feed<'_>) {
        let (id, stem) = (task(feed.u8()), *feed.pick(&TASKS));
        let bytes = image(feed.u8() % 4, 1 + usize::from(feed.u8()) * IMAGE_STEP_BYTES);
        let (frag_size, redundancy) = (1 + u16::from(feed.u8()) % 240, feed.u8() % 101);
        let flags = feed.u8();
        let group = if flags & 1 == 0 { "meters" } else { "lamps" };
        let start = match flags >> 1 & 3 {
            0 => r#","Start":"at-once""#,
            1 => r#","Start":"2026-11-22T08:01:00Z""#,
            2 => r#","Start":"2026-11-22T10:00:00Z""#,
            _ => "",
        };
        let digest = match flags >> 3 & 1 {
            0 => String::new(),
            _ => format!(r#","Sha256":"{}""#, Digest::of(&bytes)),
        };
        let status =
            *feed.pick(&["Pending", "FuotaSession_Waiting", "In_FuotaSession", "Delete_Waiting", "odd"]);
        let place = if flags >> 4 & 3 == 0 { "s3://bucket/key" } else { "file:///image.bin" };
        let document = format!(
            r#"{{"Id":"{id}","Status":"{status}","FirmwareUpdateImage":"{place}","RedundancyPercent":{redundancy},
            "FragmentSizeBytes":{frag_size},"Fuotad":{{"MulticastGroups":["{group}"]{start}{digest}}}}}"#
        );
        self.ordered.insert(id, bytes);
        self.tell(Input::Task { document: document.as_bytes(), stem, source: source(feed) });
    }

    /// The image that was wanted first.
    fn fetched(&mut self) {
        let Some(fetch) = self.life.fetches.pop_front() else { return };
        let bytes = self.ordered.get(&fetch.task).cloned().unwrap_or_default();
        self.hand_in(fetch.task, bytes, None);
    }

    /// Any image, wanted or not.
    fn any_image(&mut self, feed: &mut Feed<'_>) {
        let bytes = image(feed.u8() % 4, usize::from(feed.u8()) * IMAGE_STEP_BYTES);
        let evidence = Evidence::detached("any", feed.chunk().to_vec());
        self.hand_in(
            task(feed.u8()),
            bytes,
            Some(evidence).filter(|evidence| !evidence.signature.is_empty()),
        );
    }

    fn hand_in(&mut self, task: TaskId, bytes: Vec<u8>, evidence: Option<Evidence>) {
        if !self.life.images.contains(&bytes) {
            self.life.images.push(bytes.clone());
        }
        self.tell(Input::Image(task, bytes, evidence));
    }

    fn keepalive(&mut self, feed: &mut Feed<'_>) {
        let from = host(feed.u8() / 64);
        self.pull(from, if feed.u8() < 16 { 1 } else { 2 });
    }

    fn pull(&mut self, from: SocketAddr, version: u8) {
        let bytes = [&[version, 7, 7, PULL_DATA], &GATEWAY[..]].concat();
        self.tell(Input::Datagram { from, bytes: &bytes });
    }

    fn push(&mut self, json: &str) {
        let bytes = [&[2, 7, 7, PUSH_DATA], &GATEWAY[..], json.as_bytes()].concat();
        self.tell(Input::Datagram { from: host(0), bytes: &bytes });
    }

    /// A packet was heard; the forwarder's counter follows our clock but for a little.
    fn uplink(&mut self, feed: &mut Feed<'_>) {
        let tmst = (self.mono.as_us() as u64).wrapping_add(u64::from(feed.u8())) as u32;
        let gps_us = gateway::START.as_us() + self.mono.as_us() as u64;
        let gps = match feed.u8() % 4 {
            0 => format!(r#","tmms":{}"#, gps_us / 1000),
            1 => format!(r#","tmms":{}"#, gps_us / 1000 + u64::from(feed.u32())),
            _ => String::new(),
        };
        let data = BASE64_STANDARD.encode([&[0x40], &feed.u32().to_le_bytes()[..], &[0; 9]].concat());
        self.push(&format!(
            r#"{{"rxpk":[{{"tmst":{tmst}{gps},"freq":868.1,"stat":1,"modu":"LORA","size":14,"data":"{data}"}}]}}"#
        ));
    }

    fn statistics(&mut self, feed: &mut Feed<'_>) {
        let txnb = feed.u8();
        self.push(&format!(r#"{{"stat":{{"rxnb":0,"txnb":{txnb}}}}}"#));
    }

    /// The forwarder's word on its oldest downlink.
    fn answer(&mut self, feed: &mut Feed<'_>) {
        let tmst = feed.u32();
        let body = match feed.u8() % 10 {
            0..=3 => String::new(),
            4 => r#"{"txpk_ack":{"error":"TOO_LATE"}}"#.to_owned(),
            5 => r#"{"txpk_ack":{"error":"TOO_EARLY"}}"#.to_owned(),
            6 => r#"{"txpk_ack":{"error":"COLLISION_PACKET"}}"#.to_owned(),
            7 => r#"{"txpk_ack":{"error":"TX_FREQ"}}"#.to_owned(),
            8 => format!(r#"{{"txpk_ack":{{"warn":"TX_POWER","value":{}}}}}"#, tmst % 40),
            _ => format!(r#"{{"txpk_ack":{{"error":"NONE","tmst":{tmst}}}}}"#),
        };
        let Some((from, [high, low])) = self.life.asked.pop_front() else { return };
        let bytes = [&[2, high, low, TX_ACK], &GATEWAY[..], body.as_bytes()].concat();
        self.tell(Input::Datagram { from, bytes: &bytes });
    }

    /// A network server's downlink, sometimes to one of our groups.
    fn downlink(&mut self, feed: &mut Feed<'_>) {
        let server = usize::from(feed.u8() % 3);
        let addresses = [0x2601_0001, 0x01c0_ffee, 0x01c0_ff00_u32];
        let address = feed.pick(&addresses).to_le_bytes();
        let payload = [&[0x60], &address[..], &[0], &feed.u16().to_le_bytes(), &[1, 2, 3, 4, 5]].concat();
        let data = BASE64_STANDARD.encode(&payload);
        let time = match feed.u8() % 3 {
            0 => r#""imme":true"#.to_owned(),
            1 => format!(r#""tmst":{}"#, (self.mono.as_us() as u32).wrapping_add(feed.u32() % 2_000_000)),
            _ => format!(r#""tmms":{}"#, (gateway::START.as_us() + self.mono.as_us() as u64) / 1000 + 500),
        };
        let json = format!(
            r#"{{"txpk":{{{time},"freq":869.525,"rfch":0,"powe":14,"modu":"LORA","datr":"SF9BW125","codr":"4/5","size":{},"data":"{data}"}}}}"#,
            payload.len()
        );
        let bytes = [&[2, feed.u8(), 0, PULL_RESP], json.as_bytes()].concat();
        self.north(server, &bytes);
    }

    fn north(&mut self, server: usize, bytes: &[u8]) {
        let json = first_json(bytes.get(4..).unwrap_or_default());
        self.foreign.extend(json["txpk"]["data"].as_str().map(str::to_owned));
        self.tell(Input::FromServer { server, bytes });
    }

    fn stop(&mut self) {
        self.life.is_stopping = true;
        self.tell(Input::Stop);
    }

    /// Answers the save that was wished first.
    fn save(&mut self, answer: Answer) {
        let Some((save, change)) = self.life.saves.pop_front() else { return };
        let is_broken = self.life.is_broken && self.life.engine.halted().is_some();
        let result = match answer {
            Answer::Ok if !is_broken => self.life.store.apply(&change),
            Answer::Refused => {
                return self.tell(Input::Saved(save, Err(NotSaved::Refused("no room".to_owned()))));
            }
            Answer::Broken { is_kept: true } if self.life.store.apply(&change).is_err_and(is_power_cut) => {
                return self.restart(&mut |_| PageFate::Old);
            }
            Answer::Ok | Answer::Broken { .. } => {
                self.life.is_broken = true;
                return self.tell(Input::Saved(save, Err(NotSaved::Broken("the disk failed".to_owned()))));
            }
        };
        match (result, change) {
            (Ok(()), Change::Reserve { wanted, .. }) => {
                self.life.reserved.push(wanted);
                self.tell(Input::Saved(save, Ok(())));
            }
            (Ok(()), _) => self.tell(Input::Saved(save, Ok(()))),
            (Err(error), _) if is_power_cut(error.clone()) => {
                let seed = self.seed;
                self.restart(&mut |number| match (seed + number as u64) % 3 {
                    0 => PageFate::Old,
                    1 => PageFate::New,
                    _ => PageFate::Torn(seed),
                });
            }
            (Err(error), _) => {
                let word = NotSaved::from(&error);
                self.life.is_broken |= matches!(word, NotSaved::Broken(_));
                self.tell(Input::Saved(save, Err(word)));
            }
        }
    }

    fn power_cut(&mut self, feed: &mut Feed<'_>) {
        let fate = *feed.pick(&[PageFate::Old, PageFate::New, PageFate::Torn(7)]);
        self.restart(&mut |_| fate);
    }

    fn power_cut_in_the_next_save(&mut self, feed: &mut Feed<'_>) {
        let mut disk = self.disk.borrow_mut();
        let at = disk.operations() + 1 + u64::from(feed.u8() % 8);
        disk.crash_after(at);
    }

    /// The process is gone; another one begins with what the disk holds.
    fn restart(&mut self, fate: &mut dyn FnMut(usize) -> PageFate) {
        self.disk.borrow_mut().power_cut(fate);
        self.mono = self.mono.plus_us(2_000_000);
        self.seed += 1;
        let now = now(self.mono, self.gps_off_us);
        let life = Life::begin(&self.disk, self.turns, self.servers, self.seed, now);
        let Some(life) = life else { panic!("what the store wrote can be opened after a power cut") };
        self.life = life;
        self.listen();
        self.tell(Input::Time);
    }

    fn tell(&mut self, input: Input<'_>) {
        self.facts += 1;
        self.life.engine.handle(now(self.mono, self.gps_off_us), input);
        self.listen();
    }

    /// Takes the engine's wishes to the last.
    fn listen(&mut self) {
        for _ in 0..WISHES_MAX {
            match self.life.engine.poll() {
                Output::WakeAt(wake) => {
                    self.life.wake = wake;
                    return;
                }
                Output::Datagram { to, bytes } => self.sent_south(to, &bytes),
                Output::ToServer { server, .. } => {
                    assert!(server < self.servers, "network servers are those of the settings");
                }
                Output::Fetch(fetch) => self.life.fetches.push_back(fetch),
                Output::Save(save, change) => {
                    assert!(save > self.life.last_save, "every save has its own number");
                    self.life.last_save = save;
                    self.life.saves.push_back((save, change));
                }
                Output::Report(_) => {}
                Output::LnsPush { .. } => {}
                Output::Stopped => {
                    assert!(self.life.is_stopping, "nobody stops by itself");
                    assert!(!self.life.is_stopped, "who has stopped does not stop again");
                    self.life.is_stopped = true;
                }
            }
        }
        panic!("a fact has so many consequences at most");
    }

    fn sent_south(&mut self, to: SocketAddr, bytes: &[u8]) {
        let [_, high, low, PULL_RESP, json @ ..] = bytes else { return };
        self.life.asked.push_back((to, [*high, *low]));
        let json = first_json(json);
        let data = json["txpk"]["data"].as_str().unwrap_or_default();
        let phy = BASE64_STANDARD.decode(data).unwrap_or_default();
        let header = parse_header(&phy).ok();
        let group = self.groups.iter().find(|group| header.is_some_and(|h| h.mc_addr == group.mc_addr));
        let fcnt = header.map_or(0, |header| u32::from(header.fcnt16));
        let opened = group.and_then(|group| {
            let opened = open_multicast(&group.keys, group.mc_addr, fcnt, &phy).ok()?;
            Some((group, opened))
        });
        let Some((group, opened)) = opened else {
            assert!(self.foreign.contains(data), "a frame that is not ours is a network server's: {data}");
            return;
        };
        let frame = (group.keys.fingerprint(), fcnt);
        let is_new = self.life.handed_over.insert(frame);
        assert!(!is_new || !self.life.is_broken, "after a save that broke nothing new is sent");
        assert!(!is_new || !self.life.is_stopping, "after a stop nothing new is sent");
        let holds =
            |range: &Reservation| range.key == frame.0 && (range.base..range.next_free).contains(&fcnt);
        assert!(self.life.reserved.iter().any(holds), "counter {fcnt} is sent when the disk holds it");
        let before = self.sent.entry(frame).or_insert_with(|| phy.clone());
        assert_eq!(*before, phy, "counter {fcnt} carries the same bytes for ever");
        assert_eq!(opened.fport, group.fport, "frames go to the group's port");
        let Ok(message) = DataFragment::parse(&opened.payload) else { panic!("a frame carries a fragment") };
        let is_of = |image: &Vec<u8>| is_fragment_of(image, group, &message);
        assert!(self.life.images.iter().any(is_of), "what is sent is of an image that was handed in");
    }

    /// The process is told to stop, and everybody does what is expected.
    fn end(&mut self) {
        if !self.life.is_stopping {
            self.stop();
        }
        for _ in 0..STOP_FACTS_MAX {
            if self.life.is_stopped {
                return;
            }
            if self.life.saves.is_empty() {
                self.pass(100_000);
            } else {
                let life = self.seed;
                self.save(Answer::Ok);
                if self.seed != life {
                    // That was the power cut which had been coming.
                    self.stop();
                }
            }
        }
        panic!("who is to stop stops when everything is stored");
    }
}

impl Life {
    fn begin(disk: &Rc<RefCell<Disk>>, turns: TurnRule, servers: usize, seed: u64, now: Now) -> Option<Life> {
        let (store, recovered) = Store::open(Rc::clone(disk), [seed as u8; 16]).ok()?;
        let counters = recovered.ranges.values().filter_map(RangeState::counters);
        let reserved = counters.flat_map(|counters| counters.reservations.iter().copied());
        Some(Life {
            reserved: reserved.collect(),
            engine: Engine::new(gateway::shared(turns, servers), recovered, seed, now),
            store,
            wake: None,
            spins: 0,
            saves: VecDeque::new(),
            last_save: 0,
            fetches: VecDeque::new(),
            images: Vec::new(),
            handed_over: BTreeSet::new(),
            asked: VecDeque::new(),
            is_broken: false,
            is_stopping: false,
            is_stopped: false,
        })
    }
}

/// What the disk answers.
#[derive(Clone, Copy)]
enum Answer {
    Ok,
    Refused,
    /// It failed, after it had kept the change or before.
    Broken {
        is_kept: bool,
    },
}

fn is_power_cut(error: StoreError) -> bool {
    matches!(error, StoreError::Files(files) if files.kind == FilesErrorKind::PowerCut)
}

fn is_fragment_of(image: &[u8], group: &Group, message: &DataFragment<'_>) -> bool {
    let Ok(layout) = Layout::new(image.len(), message.data.len()) else { return false };
    let mut made = vec![0; layout.frag_size()];
    let made_of = Encoder::new(layout, group.ts004_version).fragment(image, message.n, &mut made);
    made_of.is_ok() && made == message.data
}

fn now(mono: Instant, gps_off_us: Option<u64>) -> Now {
    let gps = gps_off_us.map(|us| gateway::START.plus_us(mono.us_since(Instant::ZERO)).plus_us(us));
    Now { mono, gps }
}

fn host(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 40_000 + u16::from(number)))
}

fn task(number: u8) -> TaskId {
    let Ok(id) = TaskId::new(TASKS[usize::from(number) % TASKS.len()]) else { panic!("ids are good") };
    id
}

fn source(feed: &mut Feed<'_>) -> TaskSource {
    if feed.u8() < 200 { TaskSource::File } else { TaskSource::Cloud }
}
