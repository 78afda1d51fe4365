//! Several groups and tasks on one radio: whose turn it is, and what is said beforehand to those that would not
//! get one. And the decoding of a plan's own frames before it is armed.

use crate::support::scenarios::shipped;
use crate::support::small_world;
use crate::support::small_world::assert_content;
use crate::support::small_world::document;
use crate::support::small_world::group;
use crate::support::small_world::image;
use crate::support::small_world::run;
use crate::support::small_world::script;
use fuotad::broadcast::Broadcaster;
use fuotad::broadcast::Output;
use fuotad::broadcast::Proof;
use fuotad::broadcast::Record;
use fuotad::broadcast::TaskSource;
use fuotad::broadcast::TurnRule;
use fuotad::campaign::Group;
use fuotad::campaign::SessionRule;
use fuotad::forwarder::Obstacle;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::plan::Timetable;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::report::Event;
use fuotad::report::Planned;
use fuotad::schedule::Pattern;
use fuotad::schedule::Scheduler;
use fuotad::schedule::TxPolicy;
use fuotad::sim::Script;
use fuotad::sim::SentFrame;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;
use fuotad::store::Change;
use fuotad::store::KeyCounters;
use fuotad::store::RangeState;
use fuotad::store::RecordId;
use fuotad::store::Recovered;
use fuotad::store::Reservation;
use fuotad::store::TaskRecord;
use fuotad::task::TaskId;
use fuotad::time::Instant;
use fuotad::time::Now;

/// Group number `n` with keys, an address and a first counter of its own: counters tell whose a frame is.
fn group_number(n: u32) -> Group {
    let mc_addr = McAddr::new(0x01c0_0000 + n);
    Group {
        name: format!("group-{n}"),
        mc_addr,
        keys: McSessionKeys::derive(&Secret::from_bytes([n as u8; 16]), mc_addr),
        first_fcnt: Some(n * 10_000),
        ..group()
    }
}

fn task_for(n: u32, start: &str, len: usize) -> TaskScript {
    let document = document(50, "")
        .replace(r#""Start""#, &format!(r#""MulticastGroups":["group-{n}"],"Start""#))
        .replace("2026-11-22T08:00:30Z", start);
    TaskScript { at_us: 1_000_000, stem: format!("task-{n}"), document, image: image(len) }
}

/// `count` groups with a task each, all to begin at 08:00:30, nobody listening.
pub fn several(count: u32, turns: TurnRule) -> Script {
    Script {
        groups: (1..=count).map(group_number).collect(),
        tasks: (1..=count).map(|n| task_for(n, "2026-11-22T08:00:30Z", 3000)).collect(),
        devices: Vec::new(),
        turns,
        ..script()
    }
}

fn owners(frames: &[SentFrame]) -> Vec<u32> {
    frames.iter().map(|frame| frame.fcnt / 10_000).collect()
}

fn reasons(summary: &Summary, task: &str) -> Vec<String> {
    let of_task =
        summary.reports.iter().filter(|report| report.task.as_ref().is_some_and(|id| id.as_str() == task));
    let reason = |event: &Event| match event {
        Event::Refused { reason } | Event::Waiting { reason } => Some(reason.clone()),
        _ => None,
    };
    of_task.filter_map(|report| reason(&report.event)).collect()
}

fn over(summary: &Summary) -> usize {
    summary.reports.iter().filter(|report| matches!(report.event, Event::Over(_))).count()
}

#[test]
fn in_order_one_campaign_follows_the_other_and_says_what_it_waits_for() {
    let summary = run(several(3, TurnRule::InOrder));
    assert_content(&summary, "in order");
    assert_eq!(over(&summary), 3);
    let owners = owners(&summary.frames);
    assert!(owners.is_sorted(), "{owners:?}");
    let reasons = reasons(&summary, "task-2");
    assert!(
        reasons[0].starts_with("its turn: task task-1 has the air, until about 2026-11-22T08:0"),
        "{reasons:?}"
    );
}

#[test]
fn fairly_campaigns_alternate_until_they_are_over() {
    let summary = run(several(3, TurnRule::Fairly));
    assert_content(&summary, "fairly");
    assert_eq!(over(&summary), 3);
    let owners = owners(&summary.frames);
    // In the middle each of any three frames in a row is another's.
    let middle = &owners[30..owners.len() - 30];
    assert!(middle.windows(3).all(|three| (1..=3).all(|n| three.contains(&n))), "{owners:?}");
}

#[test]
fn one_ledger_and_one_pace_for_all() {
    // At the default share an even pace is one frame every 3.947 s / 0.4, whoever sends it.
    let mut script = several(2, TurnRule::Fairly);
    for group in &mut script.groups {
        group.policy = TxPolicy::default();
    }
    let summary = run(script);
    assert_content(&summary, "one pace");
    let spacing_us = summary.planned.as_ref().unwrap().spacing_us;
    let gap = |pair: &[SentFrame]| pair[1].start.us_since(pair[0].start);
    // The forwarder's counter is known to a few milliseconds.
    assert!(summary.frames.windows(2).all(|pair| gap(pair) + 20_000 >= spacing_us));
    let owners = owners(&summary.frames);
    assert!(owners[..40].windows(2).all(|two| two[0] != two[1]), "{owners:?}");
}

#[test]
fn a_device_gap_of_one_campaign_is_another_ones_turn_when_the_air_is_shared_fairly() {
    let took = |turns| {
        let mut script = several(2, turns);
        for group in &mut script.groups {
            group.profile = Default::default();
            group.policy = TxPolicy { pattern: Pattern::Burst, ..group.policy };
        }
        let summary = run(script);
        assert_content(&summary, "gaps");
        summary.verdict.last_end.unwrap().us_since(summary.verdict.first.unwrap())
    };
    assert!(took(TurnRule::Fairly) * 10 < took(TurnRule::InOrder) * 6);
}

#[test]
fn a_second_task_for_a_busy_group_is_refused_with_the_first_ones_end() {
    let mut script = several(1, TurnRule::Fairly);
    script.tasks.push(TaskScript { stem: "task-2".to_owned(), ..task_for(1, "2026-11-22T08:00:35Z", 3000) });
    let summary = run(script);
    assert_content(&summary, "busy group");
    let reasons = reasons(&summary, "task-2");
    assert!(
        reasons[0].starts_with("group group-1 has task task-1 until about 2026-11-22T08:0"),
        "{reasons:?}"
    );
    assert!(reasons[0].contains("FragIndex 0"), "{reasons:?}");
    assert_eq!(over(&summary), 1);
}

#[test]
fn a_second_task_for_a_group_may_begin_when_the_first_is_over() {
    let mut script = several(1, TurnRule::InOrder);
    script.tasks.push(TaskScript { stem: "task-2".to_owned(), ..task_for(1, "2026-11-22T09:00:00Z", 3000) });
    let summary = run(script);
    assert_content(&summary, "one after the other");
    assert_eq!(over(&summary), 2, "{:#?}", summary.reports);
    assert!(summary.frames.windows(2).all(|pair| pair[0].fcnt < pair[1].fcnt));
}

/// Group 2 listens in sessions of 2^8 s from 08:00:30 on.
fn with_a_session(turns: TurnRule) -> Script {
    let mut script = several(2, turns);
    script.groups[1].session = SessionRule::Windows { exponent: Some(8), start: None };
    script
}

#[test]
fn a_session_that_would_end_before_its_turn_is_refused_before_it_starts() {
    let mut script = with_a_session(TurnRule::InOrder);
    script.tasks[0] = task_for(1, "2026-11-22T08:00:20Z", 60_000);
    let summary = run(script);
    assert_content(&summary, "no turn");
    let reasons = reasons(&summary, "task-2");
    assert!(reasons[0].starts_with("its sessions end before it can be sent beside task-1"), "{reasons:?}");
    assert!(owners(&summary.frames).iter().all(|owner| *owner == 1));
}

#[test]
fn who_comes_later_may_not_take_the_session_of_who_was_planned_before() {
    let mut script = with_a_session(TurnRule::InOrder);
    script.tasks[0] = TaskScript { at_us: 3_000_000, ..task_for(1, "2026-11-22T08:00:20Z", 60_000) };
    let summary = run(script);
    assert_content(&summary, "no way in");
    let reasons = reasons(&summary, "task-1");
    assert!(
        reasons[0].starts_with("task task-2 was planned before and its sessions would end"),
        "{reasons:?}"
    );
    assert!(owners(&summary.frames).iter().all(|owner| *owner == 2));
}

#[test]
fn a_power_cut_among_several_campaigns_on_the_air_reuses_no_counter() {
    for turns in [TurnRule::InOrder, TurnRule::Fairly] {
        let mut script = several(3, turns);
        script.faults = [70, 3, 40].map(fuotad::sim::Fault::AfterSend).to_vec();
        let summary = run(script);
        assert_content(&summary, &format!("{turns:?} with power cuts"));
        assert_eq!((over(&summary), summary.restarts), (3, 3));
    }
}

/// A shipped scenario's script.
#[test]
fn three_groups_share_one_radio_and_all_their_devices_complete() {
    let script = shipped("eu868-three-groups.toml");
    let devices = script.devices.len();
    let summary = run(script);
    assert_content(&summary, "three groups");
    assert_eq!((summary.complete(), over(&summary)), (devices, 3), "{:#?}", summary.devices);
}

#[test]
fn a_campaign_at_sf12_goes_over_several_sessions() {
    let summary = run(shipped("eu868-dr0-sessions.toml"));
    assert_content(&summary, "SF12");
    assert_eq!(summary.complete(), 10, "{:#?}", summary.devices);
    let planned = summary.planned.unwrap();
    assert!(planned.sessions.len() >= 2);
    // Each session has frames of its own; the last one may be left over, as room for what is to be made up.
    for (start, exponent) in planned.sessions.iter().rev().skip(1) {
        let opens = start.us_since(summary.zero);
        let inside = opens..opens + (1_000_000 << exponent);
        assert!(summary.frames.iter().any(|frame| inside.contains(&(frame.start.as_us() as u64))));
    }
    let warned = planned.warnings.iter().any(|text| text.contains("keeps one start timer"));
    assert!(warned, "{:?}", planned.warnings);
}

/// The plan is made in a world without losses; what it says of the air must be so in a world with them.
#[test]
fn plan_and_simulation_agree_on_every_frame() {
    for name in ["eu868-100kb.toml", "us915-100kb.toml", "eu868-dr0-sessions.toml"] {
        let script = shipped(name);
        let settings = small_world::settings_of(&script);
        let task = script.tasks[0].clone();
        let plan = Timetable::new(&settings, &task.document, &task.stem, task.image).unwrap();
        let summary = run(script);
        let planned = summary.planned.clone().unwrap();
        assert_eq!(plan.planned, planned, "{name}");
        assert_eq!(u64::from(plan.frames), summary.verdict.frames, "{name}");
        assert_eq!(plan.airtime_us, summary.airtime_us(), "{name}");
        let begin = summary.zero.plus_us(summary.verdict.first.unwrap().as_us() as u64);
        let end = summary.zero.plus_us(summary.verdict.last_end.unwrap().as_us() as u64);
        // Counters drift and are known to milliseconds; the spacing is kept from start to start.
        assert!(plan.begin.us_since(begin).max(begin.us_since(plan.begin)) < 50_000, "{name}");
        assert!(
            plan.end.us_since(end).max(end.us_since(plan.end)) < 2_000_000,
            "{name}: {:?} {end:?}",
            plan.end
        );
    }
}

mod twin {
    use super::*;

    const NOW: Now = Now { mono: Instant::ZERO, gps: Some(small_world::START) };

    struct Bench {
        broadcaster: Broadcaster,
        scheduler: Scheduler,
    }

    impl Bench {
        fn new(recovered: Recovered) -> Bench {
            let region = parameters(RfRegion::Eu868).unwrap();
            Bench {
                broadcaster: Broadcaster::new(
                    region,
                    vec![group()],
                    TurnRule::InOrder,
                    Default::default(),
                    Default::default(),
                    recovered,
                    NOW,
                ),
                scheduler: Scheduler::new(region.sub_bands, 0),
            }
        }

        fn order(len: usize) -> Bench {
            let mut bench = Bench::new(small_world::enrolled());
            bench.broadcaster.task(
                NOW,
                &mut bench.scheduler,
                document(50, "").as_bytes(),
                "task-1",
                TaskSource::File,
            );
            bench.image(len);
            bench
        }

        fn image(&mut self, len: usize) {
            self.broadcaster.advance(NOW, &mut self.scheduler, Err(Obstacle::NotHeard));
            self.broadcaster.image(NOW, &self.scheduler, &TaskId::new("task-1").unwrap(), image(len), None);
        }

        /// The record and the plan, as soon as they are written down; after at most `steps` steps.
        fn written(&mut self, steps: usize) -> Option<(Record, Planned)> {
            let (mut record, mut planned) = (None, None);
            for step in 0..=steps {
                while let Some(want) = self.broadcaster.poll() {
                    match want {
                        Output::Save(_, Change::Task(task)) => record = Record::from_bytes(&task.bytes).ok(),
                        Output::Report(report) => match report.event {
                            Event::Planned(plan) => planned = Some(*plan),
                            Event::Waiting { .. } => {}
                            event => panic!("{event}"),
                        },
                        _ => {}
                    }
                }
                if step < steps && record.is_none() {
                    self.broadcaster.advance(NOW, &mut self.scheduler, Err(Obstacle::NotHeard));
                }
            }
            record.zip(planned)
        }
    }

    #[test]
    fn a_plan_is_written_down_only_when_its_frames_were_decoded() {
        let mut bench = Bench::order(4800);
        assert!(bench.written(0).is_none());
        let (record, planned) = bench.written(100).unwrap();
        let decoded = planned.decoded;
        // 100 uncoded, 50 coded, of which three quarters are to be mended.
        assert_eq!(
            (decoded.frames, decoded.lost, decoded.is_complete, decoded.sampled),
            (150, 37, true, None)
        );
        assert!((37..=50).contains(&decoded.coded_heard), "{decoded}");
        assert_eq!(record.proof.unwrap().decoded, decoded);
    }

    #[test]
    fn of_a_large_image_some_bytes_of_every_fragment_are_decoded_and_it_says_so() {
        let (_, planned) = Bench::order(300_000).written(10_000).unwrap();
        let decoded = planned.decoded;
        assert!(decoded.is_complete && decoded.lost == 256, "{decoded}");
        assert_eq!(decoded.sampled, Some((262_144 / 6250, 48)));
        assert!(decoded.to_string().ends_with("(41 of each fragment's 48 bytes looked at)"), "{decoded}");
    }

    #[test]
    fn a_verdict_is_used_again_for_the_same_plan_and_for_no_other() {
        let (record, planned) = Bench::order(4800).written(100).unwrap();
        let plan_hash = record.proof.unwrap().plan_hash;
        let restart = |change: fn(&mut Record)| {
            let mut record = record.clone();
            change(&mut record);
            let id = RecordId(TaskId::new("task-1").unwrap().record_id());
            let key = group().keys.fingerprint();
            let (base, next_free) = (record.base, planned.end_fcnt);
            let mc_addr = group().mc_addr.as_u32();
            let held = Reservation { key, mc_addr, base, next_free, plan_hash, task: id };
            let counters = KeyCounters { next_free, reservations: vec![held] };
            let mut bench = Bench::new(Recovered {
                tasks: vec![TaskRecord { id, bytes: record.to_bytes() }],
                ranges: [(key, RangeState::Intact(counters))].into(),
                ..Recovered::default()
            });
            bench.image(4800);
            bench
        };
        // The number that a former run wrote down is believed.
        let marked = |record: &mut Record| record.proof.as_mut().unwrap().decoded.frames = 12_345;
        assert_eq!(restart(marked).written(0).unwrap().1.decoded.frames, 12_345);
        // Another plan's verdict is not: the frames are decoded again.
        let of_another = |record: &mut Record| {
            let proof = record.proof.as_mut().unwrap();
            proof.decoded.frames = 12_345;
            record.proof = Some(Proof { plan_hash: [9; 32], ..*proof });
        };
        let mut bench = restart(of_another);
        assert!(bench.written(0).is_none());
        assert_eq!(bench.written(100).unwrap().1.decoded.frames, 150);
    }
}
