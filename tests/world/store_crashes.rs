//! The real store on the simulated disk: the power is cut at every operation, again during the recovery, and
//! pages rot in between. One judge watches all incarnations.
//!
//! Five deliberately wrong stores (the right one behind a disk that spoils one of its rules) show that the
//! judge would notice.
#![expect(clippy::disallowed_methods, reason = "a test is told by its environment how much to try")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fuotad::lorawan::KeyFingerprint;
use fuotad::sim::disk::Disk;
use fuotad::sim::disk::PageFate;
use fuotad::store::CampaignMark;
use fuotad::store::Change;
use fuotad::store::EndedTask;
use fuotad::store::Enrolment;
use fuotad::store::Files;
use fuotad::store::FilesError;
use fuotad::store::FilesErrorKind;
use fuotad::store::FleetRecord;
use fuotad::store::KeyCounters;
use fuotad::store::Mark;
use fuotad::store::RangeState;
use fuotad::store::RecordId;
use fuotad::store::Recovered;
use fuotad::store::Reservation;
use fuotad::store::SLOT_BYTES;
use fuotad::store::SLOTS;
use fuotad::store::Store;
use fuotad::store::StoreError;
use fuotad::store::TaskRecord;
use fuotad::store::enrol;
use fuotad::store::read_reports;
use proptest::prelude::*;

const BOOT: [u8; 16] = [0xb0; 16];
const TASK: RecordId = RecordId([0x7a; 16]);

/// What the daemon does, in this order; an action that was cut is tried again after the restart (a
/// reservation with another plan: the worst case).
#[derive(Clone, Copy, Debug)]
enum Action {
    /// One more plan of a key; those before it are not over.
    NewPlan(u8),
    /// The oldest plan of a key is over: the next one takes its place in the journal.
    Over(u8),
    Extend(u8),
    Ended,
    Lived,
    Mark,
    Task,
    Forget,
    Fleet,
    ForgetFleet,
    Report,
    Restart,
}

const SCRIPT: &[Action] = &[
    Action::NewPlan(1),
    Action::Mark,
    Action::Task,
    Action::Fleet,
    Action::NewPlan(2),
    Action::Extend(1),
    Action::NewPlan(1),
    Action::Restart,
    Action::NewPlan(1),
    Action::Mark,
    Action::Task,
    Action::Fleet,
    Action::Over(1),
    Action::NewPlan(2),
    Action::Ended,
    Action::Report,
    Action::Forget,
    Action::ForgetFleet,
    Action::Restart,
    Action::Lived,
    Action::Extend(2),
    Action::NewPlan(1),
    Action::Mark,
    Action::Over(2),
    Action::Ended,
    Action::NewPlan(1),
    Action::Restart,
];

/// A store with one rule spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    Right,
    /// What levelling writes never arrives.
    NoLevel,
    /// File B is believed only up to what file A says.
    FirstReadableFile,
    /// Slots that are unreadable look as if nothing had ever stood there.
    NoEvidence,
    /// The journal holds the newest reservation only, as it did before version 2.
    NewestOnly,
    /// What goes into the list of ends never arrives.
    NoEnds,
}

struct SpoiledDisk<'a> {
    disk: &'a mut Disk,
    rules: Rules,
    is_opening: Rc<Cell<bool>>,
}

impl SpoiledDisk<'_> {
    fn swallows(&self, name: &str) -> bool {
        match self.rules {
            Rules::NoLevel => self.is_opening.get() && is_journal(name),
            Rules::NoEnds => name == "ended",
            _ => false,
        }
    }

    fn spoil(&mut self, name: &str, file: Vec<u8>) -> Vec<u8> {
        if !is_journal(name) || matches!(self.rules, Rules::Right | Rules::NoLevel | Rules::NoEnds) {
            return file;
        }
        let mut pages: Vec<Vec<u8>> = file.chunks(SLOT_BYTES).map(<[u8]>::to_vec).collect();
        match self.rules {
            Rules::FirstReadableFile if name.ends_with(".b") => {
                let a = self.disk.read(&name.replace(".b", ".a")).ok().flatten().unwrap_or_default();
                let readable = a.chunks(SLOT_BYTES).filter(|page| is_whole(page));
                let Some(newest) = readable.max_by_key(|page| seq(page)) else { return file };
                for (slot, page) in pages.iter_mut().enumerate() {
                    if is_whole(page) && seq(page) > seq(newest) {
                        *page = relabelled(newest, 1, slot);
                    }
                }
            }
            Rules::NoEvidence => {
                let Some(template) = pages.iter().find(|page| is_whole(page)).cloned() else { return file };
                let mut empty = template;
                empty[8..16].fill(0);
                empty[32..76].fill(0);
                empty[40] = 2;
                empty[92..94].fill(0);
                empty[128..4092].fill(0);
                for (slot, page) in pages.iter_mut().enumerate() {
                    if !is_whole(page) {
                        *page = relabelled(&empty, u8::from(name.ends_with(".b")), slot);
                    }
                }
            }
            Rules::NewestOnly => {
                for (slot, page) in pages.iter_mut().enumerate() {
                    let count = usize::from(page[92]);
                    if is_whole(page) && count > 1 {
                        page.copy_within(128 + (count - 1) * 60..128 + count * 60, 128);
                        page[128 + 60..4092].fill(0);
                        page[92] = 1;
                        *page = relabelled(page, page[6], slot);
                    }
                }
            }
            _ => return file,
        }
        pages.concat()
    }
}

impl Files for SpoiledDisk<'_> {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let read = self.disk.read(name)?;
        Ok(read.map(|file| self.spoil(name, file)))
    }
    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        self.disk.create(name, bytes)
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FilesError> {
        if self.swallows(name) { Ok(()) } else { self.disk.write_at(name, offset, bytes) }
    }
    fn sync(&mut self, name: &str) -> Result<(), FilesError> {
        if self.swallows(name) { Ok(()) } else { self.disk.sync(name) }
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FilesError> {
        self.disk.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), FilesError> {
        self.disk.remove(name)
    }
    fn sync_dir(&mut self) -> Result<(), FilesError> {
        self.disk.sync_dir()
    }
    fn list(&mut self) -> Result<Vec<String>, FilesError> {
        self.disk.list()
    }
}

fn is_journal(name: &str) -> bool {
    name.ends_with(".a") || name.ends_with(".b")
}

fn is_whole(page: &[u8]) -> bool {
    let is_right = |at: usize| crc32c::crc32c(&page[..at]).to_le_bytes() == page[at..at + 4];
    page.len() == SLOT_BYTES && is_right(124) && is_right(4092)
}

fn seq(page: &[u8]) -> u64 {
    u64::from_le_bytes(page[8..16].try_into().expect("eight bytes"))
}

fn relabelled(page: &[u8], side: u8, slot: usize) -> Vec<u8> {
    let mut page = page.to_vec();
    (page[6], page[7]) = (side, slot as u8);
    let crc = crc32c::crc32c(&page[..124]).to_le_bytes();
    page[124..128].copy_from_slice(&crc);
    let crc = crc32c::crc32c(&page[..4092]).to_le_bytes();
    page[4092..].copy_from_slice(&crc);
    page
}

fn key(number: u8) -> KeyFingerprint {
    KeyFingerprint::from_bytes([number; 16])
}

/// Sees everything that was handed out by all incarnations and all that was promised to be durable.
#[derive(Clone, Default)]
struct Judge {
    handed: BTreeMap<KeyFingerprint, Vec<Reservation>>,
    /// The plans of each key that are not over, as promised.
    promised: BTreeMap<KeyFingerprint, Vec<Reservation>>,
    over: Vec<[u8; 32]>,
    plans: u32,
    marks_written: u32,
    mark_promised: u32,
    ends_promised: u64,
    ends_written: u64,
    task_promised: Option<Vec<u8>>,
    task_in_flight: bool,
    fleet_promised: Option<Vec<u8>>,
    fleet_in_flight: bool,
    has_rotten: bool,
}

impl Judge {
    /// Every counter of the range goes on the air with the bytes of its plan.
    fn hand_out(&mut self, range: Reservation) -> Result<(), String> {
        let earlier = self.handed.entry(range.key).or_default();
        for other in earlier.iter() {
            let overlaps = range.base < other.next_free && other.base < range.next_free;
            if overlaps && !range.is_same_plan(other) {
                return Err(format!("one counter, two plans: {other:?} and {range:?}"));
            }
        }
        if !earlier.contains(&range) {
            earlier.push(range);
        }
        Ok(())
    }

    fn recovered(&mut self, found: &Recovered) -> Result<(), String> {
        for (key, state) in &found.ranges {
            let Some(counters) = state.counters() else { continue };
            if matches!(state, RangeState::Intact(_)) {
                let spent = self.handed.get(key).into_iter().flatten().map(|r| r.next_free).max();
                if spent.is_some_and(|spent| counters.next_free < spent) {
                    return Err(format!("intact at {counters:?}, spent up to {spent:?}"));
                }
            }
            for held in &counters.reservations {
                self.hand_out(*held)?;
            }
        }
        let mark = found.mark.as_ref().map_or(0, |mark| mark.campaigns[0].next_frame);
        if mark > self.marks_written || (mark < self.mark_promised && !found.mark_damaged) {
            return Err(format!("mark {mark}, promised {}", self.mark_promised));
        }
        // What was found is durable, or a newer mark was lost and the next ones follow on this.
        self.mark_promised = mark;
        let ends = found.ended.len() as u64;
        if ends > self.ends_written || (ends < self.ends_promised && !self.has_rotten) {
            return Err(format!("{ends} tasks are over, promised {}", self.ends_promised));
        }
        self.ends_promised = ends;
        self.ends_written = ends.max(self.ends_written);
        if !self.has_rotten {
            self.nothing_is_missing(found)?;
        }
        Ok(())
    }

    /// After plain power cuts everything that was promised is there.
    fn nothing_is_missing(&self, found: &Recovered) -> Result<(), String> {
        if found.ranges.values().any(|state| !matches!(state, RangeState::Intact(_))) {
            return Err(format!("a plain cut did damage: {:?}", found.ranges));
        }
        for (key, promised) in &self.promised {
            let held = found.ranges.get(key).and_then(RangeState::counters);
            for promised in promised.iter().filter(|promised| !self.over.contains(&promised.plan_hash)) {
                let is_there =
                    |held: &Reservation| held.is_same_plan(promised) && held.next_free >= promised.next_free;
                if !held.is_some_and(|counters| counters.reservations.iter().any(is_there)) {
                    return Err(format!("a plan is lost: promised {promised:?}, found {held:?}"));
                }
            }
        }
        let task = found.tasks.first().map(|task| task.bytes.clone());
        if task != self.task_promised && !self.task_in_flight {
            return Err(format!("task {:?}, promised {:?}", task, self.task_promised));
        }
        let fleet = found.fleets.first().map(|fleet| fleet.bytes.clone());
        if fleet != self.fleet_promised && !self.fleet_in_flight {
            return Err(format!("devices {:?}, promised {:?}", fleet, self.fleet_promised));
        }
        let complaint = found.warnings.iter().find(|warning| warning.contains("task"));
        complaint.map_or(Ok(()), |complaint| Err(complaint.clone()))
    }

    /// What is known to be held is what was found.
    fn goes_on_from(&mut self, found: &Recovered) {
        for (key, state) in &found.ranges {
            let held = state.counters().map_or(Vec::new(), |counters| counters.reservations.clone());
            self.promised.insert(*key, held);
        }
        self.task_promised = found.tasks.first().map(|task| task.bytes.clone());
        self.task_in_flight = false;
        self.fleet_promised = found.fleets.first().map(|fleet| fleet.bytes.clone());
        self.fleet_in_flight = false;
    }
}

#[derive(Clone)]
struct World {
    disk: Disk,
    judge: Judge,
    step: usize,
    script: &'static [Action],
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Done,
    /// The power went or the disk failed.
    Stopped,
}

impl World {
    /// A gateway on which two keys are enrolled.
    fn new(mut disk: Disk) -> World {
        for number in [1, 2] {
            enrol(&mut disk, key(number), &Enrolment::new("g", None, 2, false), BOOT).expect("an empty disk");
        }
        World { disk, judge: Judge::default(), step: 0, script: SCRIPT }
    }

    /// The daemon starts and goes on with its script until the end or until something stops it.
    fn run(&mut self, rules: Rules) -> Result<End, String> {
        loop {
            let is_opening = Rc::new(Cell::new(true));
            let disk = SpoiledDisk { disk: &mut self.disk, rules, is_opening: Rc::clone(&is_opening) };
            let (mut store, recovered) = match Store::open(disk, BOOT) {
                Ok(opened) => opened,
                Err(StoreError::Files(_) | StoreError::NoSpace(_)) => return Ok(End::Stopped),
                Err(error) => return Err(format!("open: {error}")),
            };
            is_opening.set(false);
            self.judge.recovered(&recovered)?;
            self.judge.goes_on_from(&recovered);
            let mut last: BTreeMap<KeyFingerprint, KeyCounters> = BTreeMap::new();
            for (key, state) in &recovered.ranges {
                let Some(counters) = state.counters() else { continue };
                for held in &counters.reservations {
                    // Each plan that was interrupted goes on.
                    let again = Change::Reserve { wanted: *held, over: Vec::new() };
                    store.apply(&again).map_err(|error| format!("resume: {error}"))?;
                }
                last.insert(*key, counters.clone());
            }
            loop {
                let Some(action) = self.script.get(self.step) else { return Ok(End::Done) };
                if matches!(action, Action::Restart) {
                    self.step += 1;
                    break;
                }
                if !act(*action, &mut store, &mut self.judge, &mut last)? {
                    return Ok(End::Stopped);
                }
                self.step += 1;
            }
        }
    }
}

/// One action; `Ok(false)` if the disk ended it.
fn act<F: Files>(
    action: Action,
    store: &mut Store<F>,
    judge: &mut Judge,
    last: &mut BTreeMap<KeyFingerprint, KeyCounters>,
) -> Result<bool, String> {
    judge.plans += 1;
    let mut plan_hash = [0; 32];
    plan_hash[..4].copy_from_slice(&judge.plans.to_le_bytes());
    let counters = |number| last.get(&key(number)).cloned().unwrap_or_default();
    let plan = |number| {
        let base = counters(number).next_free.max(2);
        Reservation {
            key: key(number),
            mc_addr: 0x01c0_ffee,
            base,
            next_free: base + 10,
            plan_hash,
            task: TASK,
        }
    };
    let reserve = |wanted| Change::Reserve { wanted, over: judge.over.clone() };
    let change = match action {
        Action::NewPlan(number) => reserve(plan(number)),
        Action::Extend(number) => match counters(number).reservations.last() {
            Some(newest) => reserve(Reservation { next_free: newest.next_free + 10, ..*newest }),
            None => reserve(plan(number)),
        },
        Action::Over(number) => {
            judge.over.extend(counters(number).reservations.first().map(|oldest| oldest.plan_hash));
            return Ok(true);
        }
        Action::Mark => {
            judge.marks_written += 1;
            Change::Mark(mark(judge.marks_written))
        }
        Action::Task => Change::Task(TaskRecord { id: TASK, bytes: plan_hash.to_vec() }),
        Action::Forget => Change::ForgetTask(TASK),
        Action::Fleet => Change::Fleet(FleetRecord { id: TASK, bytes: plan_hash.to_vec() }),
        Action::ForgetFleet => Change::ForgetFleet(TASK),
        Action::Ended => {
            judge.ends_written = judge.ends_promised + 1;
            let ended = |n: u64| EndedTask { task: RecordId([n as u8; 16]), order: n };
            Change::Ended((0..judge.ends_written).map(ended).collect())
        }
        Action::Lived => Change::Lived,
        Action::Report => Change::Report { name: "r".to_owned(), report: text("x") },
        Action::Restart => return Err("a restart is not a change".to_owned()),
    };
    judge.task_in_flight = matches!(change, Change::Task(_) | Change::ForgetTask(_));
    judge.fleet_in_flight = matches!(change, Change::Fleet(_) | Change::ForgetFleet(_));
    match store.apply(&change) {
        Ok(()) => {
            (judge.task_in_flight, judge.fleet_in_flight) = (false, false);
            match change {
                Change::Reserve { wanted, over } => {
                    judge.hand_out(wanted)?;
                    let promised = judge.promised.entry(wanted.key).or_default();
                    promised.retain(|held| !held.is_same_plan(&wanted) && !over.contains(&held.plan_hash));
                    promised.push(wanted);
                    let reservations = promised.clone();
                    last.insert(wanted.key, KeyCounters { next_free: wanted.next_free, reservations });
                }
                Change::Mark(_) => judge.mark_promised = judge.marks_written,
                Change::Task(task) => judge.task_promised = Some(task.bytes),
                Change::ForgetTask(_) => judge.task_promised = None,
                Change::Fleet(fleet) => judge.fleet_promised = Some(fleet.bytes),
                Change::ForgetFleet(_) => judge.fleet_promised = None,
                Change::Ended(ended) => judge.ends_promised = ended.len() as u64,
                Change::Lived | Change::Report { .. } => {}
            }
            Ok(true)
        }
        Err(StoreError::Files(_)) => match store.apply(&Change::Mark(mark(u32::MAX))) {
            Err(StoreError::Halted(_)) => Ok(false),
            other => Err(format!("not halted: {other:?}")),
        },
        Err(StoreError::NoSpace(_)) => {
            (judge.task_in_flight, judge.fleet_in_flight) = (false, false);
            Ok(true)
        }
        Err(StoreError::CounterDamaged { .. } | StoreError::CounterLost { .. }) if judge.has_rotten => {
            Ok(true)
        }
        Err(error) => Err(format!("{action:?}: {error}")),
    }
}

fn mark(next_frame: u32) -> Mark {
    let campaign = CampaignMark { task: TASK, next_frame, extra_coded: 0 };
    Mark { campaigns: vec![campaign], ..Mark::default() }
}

/// xorshift64: all that is sampled depends on the seed only.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    fn fate(&mut self) -> PageFate {
        match self.roll(3) {
            0 => PageFate::Old,
            1 => PageFate::New,
            _ => PageFate::Torn(self.0),
        }
    }
}

/// How much of the tree is visited. Level 0 is the first cut.
#[derive(Clone, Copy)]
struct Level {
    /// Cuts tried: all (`usize::MAX`), or a sample that prefers the recovery.
    cuts: usize,
    /// Up to this many pending pages all combinations of fates are tried, else `samples`.
    exhaustive: usize,
    samples: usize,
    /// Samples of rotten pages beside the image without any.
    rots: usize,
}

struct Explorer {
    rules: Rules,
    levels: &'static [Level],
    rotten_max: usize,
    dice: Dice,
    images: u64,
}

impl Explorer {
    fn new(rules: Rules, levels: &'static [Level], rotten_max: usize, seed: u64) -> Explorer {
        Explorer { rules, levels, rotten_max, dice: Dice(seed), images: 0 }
    }

    /// The world runs undisturbed from here (after the first cut for five actions more), and is then cut everywhere.
    fn explore(&mut self, world: &World, level: usize) -> Result<(), String> {
        self.images += 1;
        let mut world = world.clone();
        if level > 0 {
            world.script = &SCRIPT[..SCRIPT.len().min(world.step + 5)];
        }
        let mut undisturbed = world.clone();
        let first = world.disk.operations();
        match undisturbed.run(self.rules)? {
            End::Done => {}
            End::Stopped => return Err("stopped without a cut".to_owned()),
        }
        let Some(Level { cuts, exhaustive, samples, rots }) = self.levels.get(level).copied() else {
            return Ok(());
        };
        let operations = (undisturbed.disk.operations() - first) as usize;
        for number in 1..=operations.min(cuts) {
            let operation = match (cuts, self.dice.roll(3)) {
                (usize::MAX, _) => number,
                (_, 0) => 1 + self.dice.roll(operations),
                _ => 1 + self.dice.roll(operations.min(16)),
            };
            let mut cut = world.clone();
            cut.disk.crash_after(first + operation as u64);
            if cut.run(self.rules)? != End::Stopped {
                return Err("ran through a cut".to_owned());
            }
            if level == 0 || self.dice.roll(3) == 0 {
                let mut killed = cut.clone();
                killed.disk.process_died();
                self.explore(&killed, level + 1)?;
            }
            let pending = cut.disk.pending();
            let is_exhaustive = pending <= exhaustive;
            let outcomes = if is_exhaustive { 3_usize.pow(pending as u32) } else { samples };
            for outcome in 0..outcomes {
                let mut powered = cut.clone();
                let seed = self.dice.0;
                let dice = &mut self.dice;
                powered.disk.power_cut(&mut |page| match outcome / 3_usize.pow(page.min(30) as u32) % 3 {
                    _ if !is_exhaustive => dice.fate(),
                    0 => PageFate::Old,
                    1 => PageFate::New,
                    _ => PageFate::Torn(seed),
                });
                self.explore(&powered, level + 1)?;
                for _ in 0..rots {
                    let rotten = self.rotten(&powered);
                    self.explore(&rotten, level + 1)?;
                }
            }
        }
        Ok(())
    }

    /// One to `rotten_max` pages turn into garbage, most of them near the newest record.
    fn rotten(&mut self, world: &World) -> World {
        let mut world = world.clone();
        world.judge.has_rotten = true;
        for _ in 0..=self.dice.roll(self.rotten_max) {
            let key = key(1 + self.dice.roll(2) as u8);
            let name = match self.dice.roll(9) {
                0..=2 => format!("{key}.a"),
                3..=5 => format!("{key}.b"),
                6 => "ended".to_owned(),
                7 => format!("key-{key}"),
                _ => "marks".to_owned(),
            };
            let page = if self.dice.roll(4) == 0 { self.dice.roll(SLOTS) } else { self.dice.roll(6) };
            world.disk.rot(&name, page, self.dice.0);
        }
        world
    }
}

#[test]
fn no_plain_power_cut_loses_or_reuses_anything() {
    const LEVELS: &[Level] = &[
        Level { cuts: usize::MAX, exhaustive: 3, samples: 12, rots: 0 },
        Level { cuts: 5, exhaustive: 0, samples: 2, rots: 0 },
        Level { cuts: 1, exhaustive: 0, samples: 2, rots: 0 },
    ];
    for (seed, disk) in [(1, Disk::new()), (2, Disk::with_tears(512))] {
        let mut explorer = Explorer::new(Rules::Right, LEVELS, 0, seed);
        explorer.explore(&World::new(disk), 0).unwrap();
        println!("plain cuts: {} images", explorer.images);
        assert!(explorer.images > 5_000);
    }
}

/// How many images of a disk are tried with rot; more by this variable.
const IMAGES: &str = "FUOTAD_TEST_CRASH_IMAGES";

const ROTTEN: &[Level] = &[
    Level { cuts: usize::MAX, exhaustive: 2, samples: 4, rots: 2 },
    Level { cuts: 3, exhaustive: 0, samples: 1, rots: 1 },
    Level { cuts: 1, exhaustive: 0, samples: 1, rots: 1 },
    Level { cuts: 1, exhaustive: 0, samples: 1, rots: 1 },
];

#[test]
fn no_counter_gets_two_plans_whatever_is_cut_and_rots() {
    let wanted = std::env::var(IMAGES).ok().and_then(|images| images.parse().ok()).unwrap_or(200_000);
    let mut images = 0;
    for seed in 3.. {
        let mut explorer = Explorer::new(Rules::Right, ROTTEN, 2, seed);
        explorer.explore(&World::new(Disk::new()), 0).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        images += explorer.images;
        if images >= wanted {
            break;
        }
    }
    println!("cuts and rot: {images} images, reuse 0");
}

#[test]
fn the_judge_catches_a_store_that_does_not_level() {
    assert_caught(Rules::NoLevel);
}

#[test]
fn the_judge_catches_a_store_that_believes_the_first_readable_file() {
    assert_caught(Rules::FirstReadableFile);
}

#[test]
fn the_judge_catches_a_store_that_ignores_lost_slots() {
    assert_caught(Rules::NoEvidence);
}

#[test]
fn the_judge_catches_a_journal_that_holds_the_newest_reservation_only() {
    let mut explorer = Explorer::new(Rules::NewestOnly, &[], 0, 1);
    let breach = explorer.explore(&World::new(Disk::new()), 0).expect_err("not caught");
    assert!(breach.contains("a plan is lost"), "{breach}");
}

#[test]
fn the_judge_catches_a_list_of_ends_that_is_not_written() {
    let mut explorer = Explorer::new(Rules::NoEnds, &[], 0, 1);
    let breach = explorer.explore(&World::new(Disk::new()), 0).expect_err("not caught");
    assert!(breach.contains("tasks are over, promised"), "{breach}");
}

fn assert_caught(rules: Rules) {
    let mut explorer = Explorer::new(rules, ROTTEN, 2, 3);
    let mut world = World::new(Disk::new());
    // Only reuse counts here, not what else a wrong store may lose.
    world.judge.has_rotten = true;
    let verdict = explorer.explore(&world, 0);
    let breach = verdict.expect_err("a wrong store was not caught");
    println!("{rules:?} caught after {} images: {breach}", explorer.images);
    assert!(breach.contains("two plans") || breach.contains("spent up to"), "{breach}");
}

#[test]
fn a_failing_or_full_disk_at_any_operation_halts_or_changes_nothing() {
    let mut whole = World::new(Disk::new());
    assert_eq!(whole.run(Rules::Right), Ok(End::Done));
    let (mut halted, mut went_on) = (0, 0);
    for operation in 1..=whole.disk.operations() {
        for kind in [FilesErrorKind::Io, FilesErrorKind::NoSpace] {
            let mut world = World::new(Disk::new());
            world.disk.fail_at(operation, kind);
            match world.run(Rules::Right).unwrap() {
                End::Done => went_on += 1,
                End::Stopped => halted += 1,
            }
            if kind == FilesErrorKind::Io {
                let mut restarted = world.clone();
                restarted.disk.process_died();
                assert_eq!(restarted.run(Rules::Right), Ok(End::Done), "operation {operation}");
            }
            for fate in [PageFate::Old, PageFate::New, PageFate::Torn(operation)] {
                let mut powered = world.clone();
                powered.disk.power_cut(&mut |_| fate);
                // A sync that failed has lied about pages: they are lost like rotten ones.
                powered.judge.has_rotten = true;
                assert_eq!(powered.run(Rules::Right), Ok(End::Done), "operation {operation}, {fate:?}");
            }
        }
    }
    assert!(halted > 50 && went_on > 10, "{halted} halted, {went_on} went on");
}

/// A key with three reservations; file B lags behind by one if `is_lagging`.
fn three_plans(is_lagging: bool) -> World {
    const PLANS: &[Action] = &[Action::NewPlan(1), Action::NewPlan(1), Action::NewPlan(1)];
    let mut world = World { script: PLANS, ..World::new(Disk::new()) };
    let mut probe = world.clone();
    assert_eq!(probe.run(Rules::Right), Ok(End::Done));
    if is_lagging {
        // Write A, sync A, write B, sync B: the cut falls into the write of B.
        world.disk.crash_after(probe.disk.operations() - 1);
        assert_eq!(world.run(Rules::Right), Ok(End::Stopped));
        world.disk.power_cut(&mut |_| PageFate::Old);
        world
    } else {
        probe
    }
}

#[test]
fn every_pair_of_rotten_pages_of_one_journal_is_survived_or_refused() {
    const ONE_MORE: &[Action] = &[Action::NewPlan(1), Action::Restart, Action::NewPlan(1), Action::Restart];
    let name = |page: usize| format!("{}.{}", key(1), if page < SLOTS { "a" } else { "b" });
    for world in [three_plans(false), three_plans(true)] {
        for (first, second) in (0..2 * SLOTS).flat_map(|a| (0..2 * SLOTS).map(move |b| (a, b))) {
            let mut rotten = World { step: 0, script: ONE_MORE, ..world.clone() };
            rotten.judge.has_rotten = true;
            rotten.disk.rot(&name(first), first % SLOTS, 1);
            rotten.disk.rot(&name(second), second % SLOTS, 2);
            assert_eq!(rotten.run(Rules::Right), Ok(End::Done), "pages {first} and {second}");
        }
    }
}

#[test]
fn a_slot_lost_in_both_files_refuses_new_plans_for_good_and_lets_the_last_go_on() {
    let mut disk = three_plans(false).disk;
    disk.rot(&format!("{}.a", key(1)), 3, 1);
    disk.rot(&format!("{}.b", key(1)), 3, 2);
    for _ in 0..3 {
        let (mut store, recovered) = Store::open(&mut disk, BOOT).unwrap();
        let RangeState::Damaged { newest, unreadable: 1 } = recovered.ranges[&key(1)].clone() else {
            unreachable!("{recovered:?}")
        };
        assert_eq!((newest.reservations.len(), newest.next_free), (2, 22));
        for held in &newest.reservations {
            store.apply(&Change::Reserve { wanted: *held, over: Vec::new() }).unwrap();
        }
        let newest = newest.reservations[1];
        let longer = Reservation { next_free: 40, ..newest };
        let other = Reservation { base: 100, next_free: 110, plan_hash: [9; 32], ..newest };
        for wanted in [longer, other] {
            let refused = store.apply(&Change::Reserve { wanted, over: Vec::new() }).unwrap_err();
            assert_eq!(refused, StoreError::CounterDamaged { key: key(1), unreadable: 1 });
        }
    }
}

#[test]
fn a_journal_of_another_key_or_without_any_record_is_lost() {
    let names = [format!("{}.a", key(1)), format!("{}.b", key(1))];
    let mut foreign = three_plans(false).disk;
    let page = foreign.read(&names[0]).unwrap().unwrap()[..SLOT_BYTES].to_vec();
    let mut other = page;
    other[16] ^= 1;
    other[20] ^= 1;
    foreign.set_page(&names[0], 5, &relabelled(&other, 0, 5));
    let mut unreadable = three_plans(false).disk;
    for (name, page) in names.iter().flat_map(|name| (0..SLOTS).map(move |page| (name, page))) {
        unreadable.rot(name, page, page as u64);
    }
    for mut disk in [foreign, unreadable] {
        let before = disk.read(&names[0]);
        let (mut store, recovered) = Store::open(&mut disk, BOOT).unwrap();
        assert!(matches!(recovered.ranges[&key(1)], RangeState::Lost(_)), "{recovered:?}");
        let (base, next_free) = (60_000, 60_001);
        let wanted = Reservation { key: key(1), mc_addr: 1, base, next_free, plan_hash: [1; 32], task: TASK };
        let refused = store.apply(&Change::Reserve { wanted, over: Vec::new() }).unwrap_err();
        assert!(matches!(refused, StoreError::CounterLost { .. }), "{refused}");
        drop(store);
        assert_eq!(disk.read(&names[0]), before, "the evidence stays");
    }
}

#[test]
fn a_journal_that_lost_one_whole_file_or_got_an_old_copy_of_it_goes_on() {
    let names = [format!("{}.a", key(1)), format!("{}.b", key(1))];
    for name in &names {
        let mut missing = three_plans(false);
        missing.disk.remove(name).unwrap();
        missing.disk.sync_dir().unwrap();
        let mut stale = three_plans(false);
        let mut old = World { script: &SCRIPT[..1], ..World::new(Disk::new()) };
        assert_eq!(old.run(Rules::Right), Ok(End::Done));
        let copy = old.disk.read(name).unwrap().unwrap();
        for (page, bytes) in copy.chunks(SLOT_BYTES).enumerate() {
            stale.disk.set_page(name, page, bytes);
        }
        for mut world in [missing, stale] {
            world.step = 0;
            assert_eq!(world.run(Rules::Right), Ok(End::Done));
            let (_, recovered) = Store::open(&mut world.disk, BOOT).unwrap();
            let counters = recovered.ranges[&key(1)].counters().unwrap();
            assert_eq!(counters.next_free, 62, "six plans of ten");
            assert_eq!(recovered.warnings, [""; 0]);
        }
    }
}

#[test]
fn a_plan_that_overlaps_is_refused_with_the_first_free_counter() {
    let mut disk = three_plans(false).disk;
    let (mut store, recovered) = Store::open(&mut disk, BOOT).unwrap();
    let newest = *recovered.ranges[&key(1)].counters().unwrap().reservations.last().unwrap();
    let apply =
        |store: &mut Store<&mut Disk>, wanted| store.apply(&Change::Reserve { wanted, over: Vec::new() });
    let overlapping = Reservation { base: 31, next_free: 40, plan_hash: [9; 32], ..newest };
    let refused = apply(&mut store, overlapping).unwrap_err();
    assert_eq!(refused, StoreError::CounterUsed { base: 31, next_free: 32 });
    for (base, next_free) in [(0, 40), (1, 40), (40, 40), (41, 40), (40, 65_536)] {
        let illegal = Reservation { base, next_free, plan_hash: [9; 32], ..newest };
        let refused = apply(&mut store, illegal).unwrap_err();
        assert_eq!(refused, StoreError::IllegalRange { base, next_free });
    }
    let following = Reservation { base: 32, next_free: 65_535, plan_hash: [9; 32], ..newest };
    apply(&mut store, following).unwrap();
}

#[test]
fn a_mark_costs_4096_bytes_and_a_reservation_8192() {
    let mut disk = three_plans(false).disk;
    let (mut store, recovered) = Store::open(&mut disk, BOOT).unwrap();
    for number in 1..40 {
        let before = store.files().written_bytes();
        store.apply(&Change::Mark(mark(number))).unwrap();
        assert_eq!(store.files().written_bytes() - before, 4096);
    }
    let newest = *recovered.ranges[&key(1)].counters().unwrap().reservations.last().unwrap();
    let before = store.files().written_bytes();
    let wanted = Reservation { next_free: newest.next_free + 1, ..newest };
    store.apply(&Change::Reserve { wanted, over: Vec::new() }).unwrap();
    assert_eq!(store.files().written_bytes() - before, 8192);
    drop(store);
    let (_, recovered) = Store::open(&mut disk, BOOT).unwrap();
    assert_eq!(recovered.mark, Some(mark(39)));
}

#[test]
fn a_newer_format_is_refused_before_anything_is_written() {
    let mut disk = three_plans(false).disk;
    let name = format!("{}.a", key(1));
    let mut page = disk.read(&name).unwrap().unwrap()[..SLOT_BYTES].to_vec();
    page[4] = 3;
    disk.set_page(&name, 0, &relabelled(&page, 0, 0));
    disk.create("task-half.new", b"x").unwrap();
    let before = disk.operations();
    let refused = Store::open(&mut disk, BOOT).unwrap_err();
    assert_eq!(refused, StoreError::NewerFormat { name, found: 3 });
    assert_eq!(disk.operations(), before);
}

#[test]
fn records_come_back_and_reports_are_bounded() {
    let mut disk = Disk::new();
    let (mut store, _) = Store::open(&mut disk, BOOT).unwrap();
    for number in 0..3 {
        let task = TaskRecord { id: RecordId([number; 16]), bytes: vec![number; 9_000] };
        store.apply(&Change::Task(task)).unwrap();
    }
    store.apply(&Change::ForgetTask(RecordId([1; 16]))).unwrap();
    for number in (0..70).rev() {
        store.apply(&Change::Report { name: format!("n{number}"), report: text("x") }).unwrap();
    }
    for name in ["", "a/b", "a.b", "..", "ä"] {
        let refused = store.apply(&Change::Report { name: name.to_owned(), report: text("x") }).unwrap_err();
        assert_eq!(refused, StoreError::ReportName(name.to_owned()));
    }
    let large = TaskRecord { id: TASK, bytes: vec![0; 256 * 1024 + 1] };
    assert!(matches!(store.apply(&Change::Task(large)), Err(StoreError::TooMany { .. })));
    drop(store);
    disk.rot(&format!("task-{}", RecordId([2; 16])), 1, 5);
    disk.create("task-left-over.new", b"half").unwrap();
    disk.create("somebody-elses.new", b"kept").unwrap();
    let (_, recovered) = Store::open(&mut disk, BOOT).unwrap();
    assert_eq!(recovered.tasks, [TaskRecord { id: RecordId([0; 16]), bytes: vec![0; 9_000] }]);
    assert_eq!(recovered.warnings.len(), 1, "{:?}", recovered.warnings);
    let names = disk.list().unwrap();
    let reports: Vec<&String> = names.iter().filter(|name| name.starts_with("report-")).collect();
    assert_eq!(reports.len(), 64);
    assert!(!reports.iter().any(|name| *name == "report-n69" || *name == "report-n64"));
    assert!(!names.contains(&"task-left-over.new".to_owned()));
    assert!(names.contains(&"somebody-elses.new".to_owned()));
}

#[test]
fn an_old_report_that_somebody_removed_halts_nothing() {
    let disk = Rc::new(std::cell::RefCell::new(Disk::new()));
    let (mut store, _) = Store::open(Rc::clone(&disk), BOOT).unwrap();
    let report = |n: usize| Change::Report { name: format!("n{n}"), report: text("x") };
    for number in 0..64 {
        store.apply(&report(number)).unwrap();
    }
    for oldest in ["report-n0", "report-n1"] {
        disk.borrow_mut().remove(oldest).unwrap();
    }
    for number in 64..70 {
        store.apply(&report(number)).unwrap();
    }
    store.apply(&Change::Mark(mark(1))).unwrap();
}

/// A report of one member, on several pages.
fn text(word: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::from_iter([("outcome".to_owned(), word.repeat(3_000).into())])
}

fn reports_of(disk: &mut Disk) -> Vec<serde_json::Value> {
    let reports = read_reports(disk).unwrap();
    reports.iter().map(|(_, text)| serde_json::from_slice(text).unwrap()).collect()
}

#[test]
fn a_power_cut_leaves_the_old_report_or_the_new_one_and_never_a_part() {
    let write = |disk: &mut Disk, word: &str| {
        let report = Change::Report { name: "r".to_owned(), report: text(word) };
        Store::open(disk, BOOT).and_then(|(mut store, _)| store.apply(&report))
    };
    let mut before = Disk::new();
    write(&mut before, "old").unwrap();
    let first = before.operations();
    let mut whole = before.clone();
    write(&mut whole, "new").unwrap();
    let (mut old, mut new) = (0, 0);
    for cut in first + 1..=whole.operations() + 1 {
        for seed in 0..200_u64 {
            let mut disk = before.clone();
            disk.crash_after(cut);
            let _ = write(&mut disk, "new");
            disk.power_cut(&mut |number| match (seed.wrapping_mul(0x9e37_79b9) >> (number % 30)) % 3 {
                0 => PageFate::New,
                1 => PageFate::Old,
                _ => PageFate::Torn(seed),
            });
            let (_, recovered) = Store::open(&mut disk, BOOT).unwrap();
            assert!(
                recovered.warnings.iter().all(|line| !line.contains("report")),
                "{:?}",
                recovered.warnings
            );
            let [report] = &reports_of(&mut disk)[..] else { panic!("cut {cut}, seed {seed}") };
            let found = report["outcome"].as_str().unwrap();
            assert!(found.len() == 9_000 && ["old", "new"].contains(&&found[..3]), "{found:.20}");
            if found.starts_with("old") { old += 1 } else { new += 1 }
        }
    }
    assert!(old > 0 && new > 0, "{old} old, {new} new");
}

#[test]
fn a_report_with_a_trailer_of_an_earlier_release_is_kept_and_read() {
    let mut disk = Disk::new();
    let mut file = b"{\"task\":\"lamps-1\"}\n".to_vec();
    let length = file.len() as u32;
    file.extend([0; 16]);
    file.extend(7_u64.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(*b"FTRP\x01\0\0\0");
    file.extend(crc32c::crc32c(&file).to_le_bytes());
    disk.create("report-old", &file).unwrap();
    let (mut store, recovered) = Store::open(&mut disk, BOOT).unwrap();
    assert_eq!(recovered.warnings, Vec::<String>::new());
    store.apply(&Change::Report { name: "new".to_owned(), report: text("x") }).unwrap();
    drop(store);
    let reports = reports_of(&mut disk);
    let [old, new] =
        [0, 1].map(|n| reports.iter().find(|report| report.get("task").is_some() == (n == 0)).unwrap());
    assert_eq!(old["task"], "lamps-1");
    assert_eq!(new["sequence"], 8, "one more than the newest of both forms");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn hostile_bytes_in_any_file_never_panic_and_never_lower_a_counter(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u64>(), 0..3_u8),
            1..30,
        ),
    ) {
        let mut world = World::new(Disk::new());
        prop_assert_eq!(world.run(Rules::Right), Ok(End::Done));
        let mut disk = world.disk;
        let names = disk.list().unwrap();
        for (name, page, seed, kind) in edits {
            let name = &names[name.index(names.len())];
            let pages = disk.read(name).unwrap().unwrap().len().div_ceil(SLOT_BYTES);
            let page = page.index(pages.max(1));
            let mut bytes = disk.read(name).unwrap().unwrap();
            bytes.resize(pages * SLOT_BYTES, 0);
            let mut bytes = bytes[page * SLOT_BYTES..(page + 1) * SLOT_BYTES].to_vec();
            match kind {
                0 => disk.rot(name, page, seed),
                // Another page of the same file, or one byte changed.
                1 => disk.set_page(name, seed as usize % pages, &bytes),
                _ => {
                    bytes[seed as usize % 200] ^= (seed >> 8) as u8 | 1;
                    disk.set_page(name, page, &bytes);
                }
            }
        }
        let mut highest: BTreeMap<String, u32> = BTreeMap::new();
        for name in disk.list().unwrap().iter().filter(|name| is_journal(name)) {
            for page in disk.read(name).unwrap().unwrap().chunks(SLOT_BYTES).filter(|page| is_whole(page)) {
                let next_free = u32::from_le_bytes(page[40..44].try_into().unwrap());
                let entry = highest.entry(name[..32].to_owned()).or_default();
                *entry = next_free.max(*entry);
            }
        }
        let (_, recovered) = Store::open(&mut disk, BOOT).unwrap();
        for (key, next_free) in highest {
            let key: KeyFingerprint = key.parse().unwrap();
            let found = match recovered.ranges.get(&key) {
                Some(state) => state.counters().map_or(u32::MAX, |counters| counters.next_free),
                None => 0,
            };
            prop_assert!(found >= next_free, "{key}: {found} < {next_free}");
        }
    }
}
