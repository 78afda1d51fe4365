//! The numbers the project promises, printed: from armed to the first frame, and virtual time against real
//! time. Not a test: a slow machine prints slow numbers.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and the process' own figures")]

#[path = "../tests/support/small_world.rs"]
#[allow(dead_code, reason = "the numbers need a part of it")]
mod common;

use fuotad::cloud::task_from_file;
use fuotad::engine::Settings;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::plan::Timetable;
use fuotad::plan::chances;
use fuotad::plan::choices;
use fuotad::schedule::Kept;
use fuotad::schedule::TxPolicy;
use fuotad::sim::Script;
use fuotad::sim::TaskScript;
use fuotad::sim::World;
use fuotad::time::GpsTime;
use std::collections::BTreeMap;
use std::time::Instant;

const DAY_US: u64 = 24 * 3_600_000_000;

fn main() {
    first_frame();
    plan_of_a_megabyte();
    // `cargo bench -- quick` leaves the long run out.
    let days = if std::env::args().any(|word| word == "quick") { 20 } else { 1000 };
    virtual_days(days);
}

/// From "counters are durable" to the first frame: independent of the image's size.
fn first_frame() {
    println!("from armed to the first frame (start at once, wall time of the whole simulated gateway)");
    for len in [10_000, 100_000, 1_000_000] {
        let mut script = common::script_of(len);
        script.tasks[0].document = common::document(30, "")
            .replace("2026-11-22T08:00:30Z", "at-once")
            .replace(r#""FragmentSizeBytes":48"#, r#""FragmentSizeBytes":232"#);
        script.devices.clear();
        let mut best_us = u128::MAX;
        for _ in 0..20 {
            let mut world = World::new(script.clone());
            while world.planned().is_none() && world.step() {}
            let begin = Instant::now();
            while world.frames().is_empty() && world.step() {}
            best_us = best_us.min(begin.elapsed().as_micros());
        }
        println!("  {len:>9} B image: {best_us:>6} us");
    }
}

/// Everything that `fuotad plan` computes for 1 MB.
fn plan_of_a_megabyte() {
    let script = common::script_of(1_000_000);
    let settings = Settings {
        region: script.region,
        groups: script.groups,
        trust_by_task: BTreeMap::new(),
        means: Default::default(),
        turns: script.turns,
        fleets: Vec::new(),
        forwarder: script.link,
        relay: script.relay,
        kept: Kept::default(),
        crash_rest_us: 0,
    };
    let document =
        common::document(30, "").replace(r#""FragmentSizeBytes":48"#, r#""FragmentSizeBytes":232"#);
    let task = task_from_file(document.as_bytes(), "task").expect("the document is one");
    let image = common::image(1_000_000);
    let begin = Instant::now();
    let plan = Timetable::new(&settings, &document, "task", image.clone()).expect("it can be planned");
    let (timetable_s, begin) = (begin.elapsed().as_secs_f64(), Instant::now());
    let chances = chances(&plan.planned, &settings.groups[0]);
    let (chances_s, begin) = (begin.elapsed().as_secs_f64(), Instant::now());
    let choices = choices(&settings, &task, &settings.groups[0], &image);
    let choices_s = begin.elapsed().as_secs_f64();
    assert!(chances.len() == 5 && !choices.is_empty());
    println!("plan of 1 MB, EU868 DR5, {} frames, every one of them decoded", plan.frames);
    println!("  timetable {timetable_s:.2} s, odds {chances_s:.2} s, cheapest {choices_s:.2} s");
}

/// A campaign of 10 kB a day, EU868 DR5 at the default share, one device that loses a tenth.
fn virtual_days(days: u64) {
    let groups = (0..8u32).map(|n| {
        let mut group = common::group();
        group.name = format!("group-{n}");
        group.mc_addr = McAddr::new(0x01c0_0100 + n);
        group.keys = McSessionKeys::derive(&common::mc_key(), group.mc_addr);
        group.profile = fuotad::campaign::DeviceProfile::default();
        group.policy = TxPolicy::default();
        group
    });
    let script = common::script();
    let task = |day: u64| {
        let start = common::START.plus_us(day * DAY_US + 3_600_000_000);
        let document = common::document(30, "")
            .replace("2026-11-22T08:00:30Z", &fuotad::task::rfc3339_from_gps(start))
            .replace(r#""FragmentSizeBytes":48"#, r#""FragmentSizeBytes":232"#)
            .replace(r#""Start""#, &format!(r#""MulticastGroups":["group-{}"],"Start""#, day % 8));
        let stem = format!("day-{day}");
        TaskScript { at_us: day * DAY_US, stem, document, image: common::image(10_000) }
    };
    let mut world = World::new(Script {
        groups: groups.collect(),
        tasks: (0..days).map(task).collect(),
        devices: vec![common::listener("device", 100_000)],
        uplinks_per_hour: 4,
        limit_us: days * DAY_US,
        is_folder_tidied: true,
        ..script
    });
    let begin = Instant::now();
    let mut resident_kib_early = 0;
    while world.step() {
        if resident_kib_early == 0 && world.gps() > GpsTime::from_us(common::START.as_us() + 10 * DAY_US) {
            resident_kib_early = resident_kib();
        }
    }
    let wall_s = begin.elapsed().as_secs_f64();
    let summary = world.summary();
    assert!(summary.verdict.is_content(), "{:?}", summary.verdict.breaches.first());
    let speed = summary.end.as_us() as f64 / 1e6 / wall_s;
    println!("{days} virtual days, a campaign a day");
    println!("  {:>9} campaigns over, {} frames on the air", summary.over, summary.verdict.frames);
    println!("  {wall_s:>9.1} s of wall time: {speed:.0} x real time");
    println!("  {resident_kib_early:>9} KiB resident on day 10, {} KiB at the end", resident_kib());
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
