//! Two clocks: this gateway's own and the forwarder's GPS. While they contradict each other nothing begins at an
//! absolute time.

use crate::support::small_world;
use fuotad::engine::Engine;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::report::Event;
use fuotad::time::Instant;
use fuotad::time::Now;
use std::net::SocketAddr;

const GATEWAY: &[u8] = b"\x00\x16\xc0\x01\xf1\x50\x08\x12";

struct Bench {
    engine: Engine,
    reports: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        let engine = Engine::new(small_world::settings(), small_world::enrolled(), 1, now(0));
        let mut bench = Bench { engine, reports: Vec::new() };
        bench.datagram(0, 2, "");
        bench
    }

    /// A datagram of the forwarder, of the kind with this identifier.
    fn datagram(&mut self, ms: i64, identifier: u8, json: &str) {
        let bytes = [&[2, 0, 0, identifier][..], GATEWAY, json.as_bytes()].concat();
        let from = SocketAddr::from(([127, 0, 0, 1], 40_000));
        self.tell(ms, Input::Datagram { from, bytes: &bytes });
    }

    /// An uplink whose reception ended now by the counter, at a GPS time `off_ms` from our own clock.
    fn uplink(&mut self, ms: i64, off_ms: i64) {
        let gps_ms = (small_world::START.as_us() / 1000) as i64 + ms + off_ms;
        let json = format!(r#"{{"rxpk":[{{"tmst":{},"tmms":{gps_ms},"stat":1,"data":"QA=="}}]}}"#, ms * 1000);
        self.datagram(ms, 0, &json);
    }

    fn tell(&mut self, ms: i64, input: Input<'_>) {
        self.engine.handle(now(ms), input);
        loop {
            match self.engine.poll() {
                Output::WakeAt(_) => return,
                Output::Report(report) => match report.event {
                    Event::Warning { text } => self.reports.push(text),
                    Event::Waiting { reason } => self.reports.push(reason),
                    Event::Refused { reason } => self.reports.push(format!("refused: {reason}")),
                    _ => {}
                },
                Output::Fetch(fetch) => {
                    self.tell(ms, Input::Image(fetch.task, small_world::image(1000), None))
                }
                Output::Save(save, _) => self.tell(ms, Input::Saved(save, Ok(()))),
                _ => {}
            }
        }
    }

    /// Orders a task that starts then; the plan's frames are decoded a few at a time.
    fn order(&mut self, stem: &str, start: &str, ms: i64) {
        let document = small_world::document(30, "").replace("2026-11-22T08:00:30Z", start);
        let source = fuotad::broadcast::TaskSource::File;
        self.tell(ms, Input::Task { document: document.as_bytes(), stem, source });
        (1..=20).for_each(|step| self.tell(ms + step, Input::Time));
    }

    fn refused(&self) -> usize {
        self.reports.iter().filter(|text| text.starts_with("refused: ")).count()
    }

    /// Whether a task with an absolute start waits for the clock.
    fn waits_for_the_clock(&mut self, ms: i64) -> bool {
        let document = small_world::document(30, "");
        let source = fuotad::broadcast::TaskSource::File;
        self.tell(ms, Input::Task { document: document.as_bytes(), stem: "task-1", source });
        // The plan's frames are decoded a few at a time.
        (1..=20).for_each(|step| self.tell(ms + step, Input::Time));
        self.reports.iter().any(|reason| reason.contains("trusted clock"))
    }
}

fn now(ms: i64) -> Now {
    let gps = small_world::START.plus_us(u64::try_from(ms * 1000).unwrap());
    Now { mono: Instant::from_us(ms * 1000), gps: Some(gps) }
}

#[test]
fn two_clocks_that_agree_let_a_campaign_begin() {
    let mut bench = Bench::new();
    bench.uplink(1000, 300);
    assert!(!bench.waits_for_the_clock(1500), "{:?}", bench.reports);
}

#[test]
fn two_clocks_more_than_two_seconds_apart_refuse_an_absolute_start() {
    for off_ms in [2_600, -2_600, 86_400_000] {
        let mut bench = Bench::new();
        bench.uplink(1000, off_ms);
        assert!(bench.waits_for_the_clock(1500), "{off_ms} ms apart: {:?}", bench.reports);
        assert!(bench.reports.iter().any(|text| text.contains("apart")), "{:?}", bench.reports);
    }
}

#[test]
fn clocks_that_agree_again_are_believed_again() {
    let mut bench = Bench::new();
    bench.uplink(1000, 5_000);
    bench.uplink(2000, 0);
    assert!(bench.reports.iter().any(|text| text.contains("agree again")), "{:?}", bench.reports);
    bench.reports.clear();
    assert!(!bench.waits_for_the_clock(2500), "{:?}", bench.reports);
}

#[test]
fn the_forwarders_known_glitch_of_2_to_the_32_us_contradicts_nobody() {
    let mut bench = Bench::new();
    bench.uplink(1000, 4_294_967);
    assert!(!bench.waits_for_the_clock(1500), "{:?}", bench.reports);
}

#[test]
fn a_second_task_of_a_group_waits_for_the_clock_and_is_judged_when_it_is_there() {
    let mut bench = Bench::new();
    bench.uplink(1000, 5_000);
    bench.order("today", "2026-11-22T08:00:30Z", 1500);
    bench.order("tomorrow", "2026-11-23T08:00:30Z", 1600);
    bench.order("just-after", "2026-11-22T08:00:31Z", 1700);
    assert_eq!(bench.refused(), 0, "{:?}", bench.reports);
    let waits =
        bench.reports.iter().filter(|text| text.starts_with("a trusted clock: group meters has task today"));
    assert_eq!(waits.count(), 2, "{:?}", bench.reports);
    bench.uplink(2000, 0);
    (0..60).for_each(|step| bench.tell(2000 + step * 10, Input::Time));
    let states: Vec<(String, &str)> =
        bench.engine.tasks().map(|state| (state.task.to_string(), state.phase.as_str())).collect();
    let named = |(name, phase): (&str, &'static str)| (name.to_owned(), phase);
    let all = ["just-after", "today", "tomorrow"].map(|name| named((name, "waiting")));
    assert_eq!(states, all, "{:?}", bench.reports);
    // With the time each is judged as if it had come now: one queues, the other is in nobody's way.
    let queues = "its turn: task today has the air, until about 2026-11-22T08:00:3";
    assert_eq!(
        bench.reports.iter().filter(|text| text.starts_with("its turn")).count(),
        1,
        "{:?}",
        bench.reports
    );
    assert!(bench.reports.iter().any(|text| text.starts_with(queues)), "{:?}", bench.reports);
    assert_eq!(bench.refused(), 0, "{:?}", bench.reports);
}

#[test]
fn beside_a_task_on_the_air_one_for_tomorrow_waits_for_the_clock_and_one_for_now_for_its_turn() {
    let mut bench = Bench::new();
    bench.uplink(1000, 5_000);
    bench.order("now", "at-once", 1500);
    bench.order("tomorrow", "2026-11-23T08:00:30Z", 1600);
    assert_eq!(bench.refused(), 0, "{:?}", bench.reports);
    let waits = |text: &&String| text.starts_with("a trusted clock: group meters has task now");
    assert_eq!(bench.reports.iter().filter(waits).count(), 1, "{:?}", bench.reports);
    // No clock is needed to see that two of them begin now: the second has its turn after the first.
    bench.order("now-too", "at-once", 1700);
    assert_eq!(bench.refused(), 0, "{:?}", bench.reports);
    let its_turn = |text: &String| text.starts_with("its turn: task now has the air, for about ");
    assert!(bench.reports.iter().any(its_turn), "{:?}", bench.reports);
}
