//! The state folder: whatever lies in it, the store opens it or says why not, and no counter is handed out twice.

use super::feed::Feed;
use super::feed::image;
use super::gateway;
use super::refusal::check;
use fuotad::engine::Engine;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::lorawan::KeyFingerprint;
use fuotad::radio::MinuteLoad;
use fuotad::sim::disk::Disk;
use fuotad::sim::disk::PageFate;
use fuotad::store::Change;
use fuotad::store::EndedTask;
use fuotad::store::Enrolment;
use fuotad::store::Files;
use fuotad::store::KeyCounters;
use fuotad::store::Mark;
use fuotad::store::RangeState;
use fuotad::store::RecordId;
use fuotad::store::Recovered;
use fuotad::store::Reservation;
use fuotad::store::SLOT_BYTES;
use fuotad::store::SLOTS;
use fuotad::store::Store;
use fuotad::store::TaskRecord;
use fuotad::store::enrol;
use fuotad::time::Instant;
use fuotad::time::Now;
use std::collections::BTreeMap;
use std::collections::VecDeque;

const BOOT: [u8; 16] = [7; 16];
/// PULL_DATA of a forwarder.
const KEEPALIVE: [u8; 12] = [2, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
const FILES_MAX: usize = 16;
const CHANGES_MAX: usize = 64;
/// So many facts in the life of an engine that begins with a folder.
const FACTS_MAX: usize = 128;
const WISHES_MAX: usize = 1024;
/// Where the sum of a range record stands; no later format may move it.
const RANGE_SUM_AT: usize = 124;
/// The same of a mark.
const MARK_SUM_AT: usize = SLOT_BYTES - 4;

/// Fills a folder as `data` says, opens it twice and changes what was opened.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let mut disk = Disk::new();
    for _ in 0..1 + usize::from(feed.u8()) % FILES_MAX {
        let (name, bytes) = (name(&mut feed), content(&mut feed));
        put(&mut disk, &name, &bytes);
    }
    for key in keys() {
        let (first_fcnt, how) = (u32::from(feed.u16()), feed.u8());
        let enrolment = Enrolment::new("meters", None, first_fcnt, how & 2 != 0);
        if how & 1 != 0
            && let Err(error) = enrol(&mut disk, key, &enrolment, BOOT)
        {
            check(&error);
        }
    }
    let (store, first) = match Store::open(disk, BOOT) {
        Ok(opened) => opened,
        Err(error) => return check(&error),
    };
    first.warnings.iter().for_each(|warning| check(warning));
    let opened = Store::open(store.into_files(), BOOT);
    let Ok((mut store, second)) = opened else { panic!("what was opened is opened again") };
    assert_eq!(settled(&second), settled(&first), "nothing is recovered otherwise the second time");
    begins(second.clone());
    let mut free = BTreeMap::new();
    for (key, state) in &second.ranges {
        free.extend(state.counters().map(|counters| (*key, counters.clone())));
    }
    for _ in 0..CHANGES_MAX {
        if feed.is_empty() {
            break;
        }
        change(&mut feed, &mut store, &second, &mut free);
    }
    let mut disk = store.into_files();
    disk.power_cut(&mut |_| PageFate::Old);
    let Ok((_, last)) = Store::open(disk, BOOT) else { panic!("what the store wrote is opened again") };
    for (key, newest) in free {
        let kept = last.ranges.get(&key).and_then(RangeState::counters);
        assert_eq!(kept, Some(&newest), "what was reserved is reserved after a power cut");
    }
}

/// An engine begins with whatever was recovered, and goes on as far as images and saves lead.
fn begins(recovered: Recovered) {
    let now = Now { mono: Instant::ZERO, gps: Some(gateway::START) };
    let mut engine = Engine::new(gateway::settings(), recovered, 1, now);
    engine.handle(now, Input::Datagram { from: gateway::LISTEN, bytes: &KEEPALIVE });
    let mut wishes = VecDeque::new();
    for _ in 0..FACTS_MAX {
        let polled = (0..WISHES_MAX).find_map(|_| match engine.poll() {
            Output::WakeAt(_) => Some(()),
            wish => {
                wishes.push_back(wish);
                None
            }
        });
        assert!(polled.is_some(), "a fact has so many consequences at most");
        match wishes.pop_front() {
            Some(Output::Fetch(fetch)) => engine.handle(now, Input::Image(fetch.task, image(1, 200), None)),
            Some(Output::Save(save, _)) => engine.handle(now, Input::Saved(save, Ok(()))),
            _ => engine.handle(now, Input::Time),
        }
    }
}

/// Two keys of nobody, and one that the gateway has.
fn keys() -> [KeyFingerprint; 3] {
    let own = gateway::settings().groups[0].keys.fingerprint();
    [KeyFingerprint::from_bytes([0x11; 16]), KeyFingerprint::from_bytes([0x22; 16]), own]
}

/// Without how many slots are unreadable: opening mends what it may.
fn settled(recovered: &Recovered) -> Recovered {
    let mut settled = recovered.clone();
    settled.warnings.retain(|warning| !warning.contains("of 32 slots"));
    settled.short_lives = 0;
    settled
}

fn put(disk: &mut Disk, name: &str, bytes: &[u8]) {
    let written = disk.create(name, bytes).and_then(|()| disk.sync(name)).and_then(|()| disk.sync_dir());
    assert_eq!(written, Ok(()), "the simulated disk is a good one");
}

fn name(feed: &mut Feed<'_>) -> String {
    let key = *feed.pick(&keys());
    let id = RecordId([feed.u8(); 16]);
    match feed.u8() % 10 {
        0 | 1 => format!("{key}.a"),
        2 | 3 => format!("{key}.b"),
        4 => (*feed.pick(&["marks", "ended", "lives"])).to_owned(),
        5 => format!("task-{id}"),
        6 => format!("report-{id}"),
        7 => format!("{key}.a.new"),
        8 => format!("key-{key}"),
        _ => feed.text(),
    }
}

/// Any bytes; or pages and records whose sums are right, so that what stands in them is looked at.
fn content(feed: &mut Feed<'_>) -> Vec<u8> {
    match feed.u8() % 4 {
        0 => feed.chunk().to_vec(),
        1 => {
            let mut record = feed.chunk().to_vec();
            record.extend(crc32c::crc32c(&record).to_le_bytes());
            record
        }
        2 => ring(feed, RANGE_SUM_AT),
        _ => ring(feed, MARK_SUM_AT),
    }
}

/// One page for all slots, and some of their own.
fn ring(feed: &mut Feed<'_>, sum_at: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(SLOTS * SLOT_BYTES);
    let common = feed.chunk();
    for slot in 0..SLOTS {
        let mut page = common.to_vec();
        // Records say where they stand: byte 7 of a range record, byte 6 of a mark.
        let at = if sum_at == RANGE_SUM_AT { 7 } else { 6 };
        if let Some(said) = page.get_mut(at) {
            *said = slot as u8;
        }
        file.extend(summed(&page, sum_at));
    }
    for _ in 0..feed.u8() % 8 {
        let at = usize::from(feed.u8()) % SLOTS * SLOT_BYTES;
        let page = match feed.u8() % 4 {
            0 => vec![0; SLOT_BYTES],
            _ => summed(feed.chunk(), sum_at),
        };
        file[at..at + SLOT_BYTES].copy_from_slice(&page);
    }
    file
}

fn summed(bytes: &[u8], sum_at: usize) -> Vec<u8> {
    let mut page = bytes.to_vec();
    page.resize(sum_at, 0);
    page.extend(crc32c::crc32c(&page).to_le_bytes());
    page.resize(SLOT_BYTES, 0);
    page
}

fn change(
    feed: &mut Feed<'_>,
    store: &mut Store<Disk>,
    recovered: &Recovered,
    free: &mut BTreeMap<KeyFingerprint, KeyCounters>,
) {
    let id = RecordId([feed.u8() % 4; 16]);
    let change = match feed.u8() % 8 {
        0..=3 => {
            let (key, base) = (*feed.pick(&keys()), u32::from(feed.u16()));
            let next_free = base.saturating_add(u32::from(feed.u16()));
            let plan_hash = [feed.u8() % 4; 32];
            let over = Vec::from_iter(feed.u8().is_multiple_of(4).then_some([feed.u8() % 4; 32]));
            let wanted = Reservation { key, mc_addr: 0x01c0_ffee, base, next_free, plan_hash, task: id };
            Change::Reserve { wanted, over }
        }
        4 => match feed.u8() % 4 {
            0 => Change::Lived,
            1 => Change::Ended(vec![
                EndedTask { task: id, order: u64::from(feed.u32()) };
                usize::from(feed.u8())
            ]),
            _ => Change::Mark(mark(feed)),
        },
        5 => Change::Task(TaskRecord { id, bytes: feed.chunk().to_vec() }),
        6 => Change::ForgetTask(id),
        _ => {
            let (name, text) = (feed.text(), feed.text());
            Change::Report { name, report: serde_json::Map::from_iter([(text.clone(), text.into())]) }
        }
    };
    match (store.apply(&change), &change) {
        (Ok(()), Change::Reserve { wanted, over }) => {
            let state = recovered.ranges.get(&wanted.key);
            assert!(state.is_some(), "a key that nobody enrolled hands out nothing");
            assert!(!matches!(state, Some(RangeState::Lost(_))), "a counter that was lost is not handed out");
            let before = free.get(&wanted.key).cloned().unwrap_or_default();
            let is_same = before.reservations.iter().any(|held| held.is_same_plan(wanted));
            assert!(is_same || wanted.base >= before.next_free, "no counter is handed out twice");
            match before.with(wanted, over) {
                Ok(Some(after)) => drop(free.insert(wanted.key, after)),
                Ok(None) => {}
                Err(error) => panic!("the store took what its counters do not hold: {error}"),
            }
        }
        (Ok(()), _) => {}
        (Err(error), _) => check(&error),
    }
}

fn mark(feed: &mut Feed<'_>) -> Mark {
    let load =
        MinuteLoad { sub_band: feed.u8(), age_min: feed.u8(), ours_us: feed.u32(), total_us: feed.u32() };
    let ledger = vec![load; usize::from(feed.u16() % 600)];
    let mono_us = feed.u8().is_multiple_of(2).then_some(i64::from(feed.u32()));
    Mark { clean: feed.u8().is_multiple_of(2), mono_us, ledger, ..Mark::default() }
}
