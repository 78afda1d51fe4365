//! A campaign whose file was taken away a moment ago sends nothing until its document is seen again.

use crate::support::small_world;
use crate::support::small_world::document;
use crate::support::small_world::group;
use crate::support::small_world::image;
use fuotad::answers::AnswerWindow;
use fuotad::broadcast::Broadcaster;
use fuotad::broadcast::Output;
use fuotad::broadcast::TaskSource;
use fuotad::broadcast::TurnRule;
use fuotad::campaign::Group;
use fuotad::campaign::Handover;
use fuotad::campaign::Verdict;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::report::Event;
use fuotad::schedule::Scheduler;
use fuotad::task::TaskId;
use fuotad::time::Instant;
use fuotad::time::Now;

const HANDOVER: Handover = Handover { lead_us: 400_000, lead_min_us: 100_000, gap_us: 0 };

/// A broadcaster whose every wish comes true.
struct Bench {
    broadcaster: Broadcaster,
    scheduler: Scheduler,
    now: Now,
    ends: Vec<String>,
    fetches: usize,
}

impl Bench {
    /// With a task of a hundred fragments.
    fn new() -> Bench {
        Bench::of(group())
    }

    fn of(group: Group) -> Bench {
        let region = parameters(RfRegion::Eu868).unwrap();
        let now = Now { mono: Instant::ZERO, gps: Some(small_world::START.plus_us(60_000_000)) };
        let turns = TurnRule::InOrder;
        let recovered = small_world::enrolled();
        let broadcaster = Broadcaster::new(
            region,
            vec![group],
            turns,
            Default::default(),
            Default::default(),
            recovered,
            now,
        );
        let scheduler = Scheduler::new(region.sub_bands, 0);
        let mut bench = Bench { broadcaster, scheduler, now, ends: Vec::new(), fetches: 0 };
        bench.see(&document(50, ""));
        bench
    }

    fn see(&mut self, document: &str) {
        self.broadcaster.task(self.now, &mut self.scheduler, document.as_bytes(), "task-1", TaskSource::File);
    }

    /// Frames of the next two seconds.
    fn frames(&mut self) -> usize {
        let mut frames = 0;
        for _ in 0..40 {
            self.now =
                Now { mono: self.now.mono.plus_us(50_000), gps: self.now.gps.map(|gps| gps.plus_us(50_000)) };
            self.broadcaster.advance(self.now, &mut self.scheduler, Ok(HANDOVER));
            while let Some(want) = self.broadcaster.poll() {
                match want {
                    Output::Save(save, _) => self.broadcaster.saved(self.now, save, Ok(())),
                    Output::Transmit(transmit) => {
                        frames += 1;
                        let verdict = Verdict::Queued { start: self.now.mono };
                        self.broadcaster.verdict(self.now, &mut self.scheduler, transmit.id, &verdict);
                    }
                    Output::Report(report) => {
                        if let Event::Over(outcome) = report.event {
                            self.ends.push(outcome.to_string());
                        }
                    }
                    Output::Fetch(fetch) => {
                        self.fetches += 1;
                        self.broadcaster.image(self.now, &self.scheduler, &fetch.task, image(4800), None);
                    }
                    Output::Stopped => {}
                }
            }
        }
        frames
    }

    /// Waits until it sends.
    fn begin(&mut self) {
        assert!((0..10).any(|_| self.frames() > 3), "it never began");
    }

    fn waits_for(&self) -> Option<String> {
        self.broadcaster.tasks(self.now, Some(&self.scheduler)).next().unwrap().waiting
    }
}

fn id() -> TaskId {
    TaskId::new("task-1").unwrap()
}

#[test]
fn a_task_whose_file_is_missing_sends_no_frame_and_says_why_until_it_is_seen_again() {
    let mut bench = Bench::new();
    bench.begin();
    // The same document, and one that changed too late, are both its file.
    for again in [document(50, ""), document(60, "")] {
        bench.broadcaster.hold(bench.now, &id());
        let why = bench.waits_for().unwrap();
        assert_eq!(why, "its file in the task folder: it is gone and cancels the task unless it comes back");
        assert_eq!(bench.frames(), 0);
        assert_eq!(bench.waits_for(), Some(why));
        bench.see(&again);
        assert_eq!(bench.waits_for(), None);
        assert!(bench.frames() > 3);
    }
    bench.broadcaster.hold(bench.now, &id());
    assert_eq!(bench.frames(), 0);
    bench.broadcaster.cancel(bench.now, &mut bench.scheduler, &id());
    assert_eq!(bench.frames(), 0);
    assert!(bench.ends.len() == 1 && bench.ends[0].starts_with("cancelled after"), "{:?}", bench.ends);
}

#[test]
fn nothing_is_decided_of_what_follows_while_the_file_is_missing() {
    let mut bench =
        Bench::of(Group { is_set_up_here: true, answer_window: Some(AnswerWindow::default()), ..group() });
    let has_paused = |bench: &Bench| bench.broadcaster.pause(bench.now, &id()).is_some();
    let is_sent = |bench: &mut Bench| bench.frames() == 0 && has_paused(bench);
    assert!((0..100).any(|_| is_sent(&mut bench)), "it waits for what follows");
    bench.broadcaster.hold(bench.now, &id());
    assert!(!has_paused(&bench));
    bench.see(&document(50, ""));
    assert!(has_paused(&bench));
}

#[test]
fn a_task_that_is_held_before_it_is_planned_begins_when_it_is_seen_again() {
    let mut bench = Bench::new();
    bench.broadcaster.hold(bench.now, &id());
    assert_eq!((0..10).map(|_| bench.frames()).sum::<usize>(), 0);
    bench.see(&document(50, ""));
    bench.begin();
}

/// Its image lies on the disk until then, and is asked for again: many armed tasks need no memory.
#[test]
fn an_armed_task_holds_no_image_until_a_minute_before_its_start() {
    let mut bench = Bench::new();
    bench.see(&document(50, "").replace("08:00:30Z", "09:00:00Z"));
    assert_eq!((0..30).map(|_| bench.frames()).sum::<usize>(), 0);
    assert_eq!(bench.fetches, 1, "it was planned with it");
    // The test's clock began at 08:01.
    let until = |bench: &mut Bench, s: u64| {
        let gps = small_world::START.plus_us(s * 1_000_000);
        let ahead_us = gps.us_since(bench.now.gps.unwrap());
        bench.now = Now { mono: bench.now.mono.plus_us(ahead_us), gps: Some(gps) };
        bench.frames()
    };
    assert_eq!((until(&mut bench, 3_530), bench.fetches), (0, 1));
    assert_eq!((until(&mut bench, 3_541), bench.fetches), (0, 2), "a minute before");
    until(&mut bench, 3_599);
    bench.begin();
    assert_eq!(bench.fetches, 2, "it is held while it is sent");
}
