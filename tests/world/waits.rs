//! Whatever is not sent now has a reason. Each reason is brought about, the world is moved to what the sentence named,
//! and the wait ends; beside a busy network server a campaign keeps a tenth of its pace.

use crate::closed_loop;
use crate::fleet_engine;
use crate::shared_radio::shared;
use crate::support::small_world::START;
use crate::support::small_world::assert_content;
use crate::support::small_world::group;
use crate::support::small_world::on_us915;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script;
use crate::support::small_world::script_of;
use crate::turns::several;
use crate::verbs;
use crate::wait_bench;
use fuotad::broadcast::TurnRule;
use fuotad::campaign::SessionRule;
use fuotad::forwarder::Obstacle;
use fuotad::radio::AirLimit;
use fuotad::radio::Modulation;
use fuotad::report::ClockNeed;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::report::RefusalCause;
use fuotad::report::Refused;
use fuotad::report::Saving;
use fuotad::report::Wait;
use fuotad::report::WaitReason;
use fuotad::schedule::Pattern;
use fuotad::schedule::TxPolicy;
use fuotad::sim::ClockTrouble;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::World;
use fuotad::sim::concentrator::Hazards;
use fuotad::sim::concentrator::Span;
use fuotad::sim::referee::Breach;
use fuotad::sim::server::Manner;
use fuotad::sim::server::Multicast;
use fuotad::task::TaskId;
use fuotad::time::ClockDispute;
use fuotad::time::Instant;
use std::collections::BTreeSet;

const SECOND_US: u64 = 1_000_000;
/// A wait ends so long after what it named at most, microseconds.
const BOUND_US: u64 = 2_500_000;

/// Every reason there is, one after the other. A new variant has no place here and does not compile.
fn next(reason: Option<&WaitReason>) -> Option<WaitReason> {
    let (gps, task) = (START, TaskId::new("t").unwrap());
    let air = |limit| Some(WaitReason::Air(limit));
    let clock = |need| Some(WaitReason::Clock { need, dispute: None });
    let refused = |cause| Some(WaitReason::Refusal(Refused { frame_no: 0, cause, error: String::new() }));
    let of = |obstacle| Some(WaitReason::Forwarder(obstacle));
    let (sub_band, used_us, window_us, budget_us) = ("", 0, 0, 0);
    match reason {
        None => of(Obstacle::NotHeard),
        Some(WaitReason::Forwarder(Obstacle::NotHeard)) => of(Obstacle::NoPullData),
        Some(WaitReason::Forwarder(Obstacle::NoPullData)) => of(Obstacle::Silent),
        Some(WaitReason::Forwarder(Obstacle::Silent)) => of(Obstacle::Version1),
        Some(WaitReason::Forwarder(Obstacle::Version1)) => of(Obstacle::Unanswered),
        Some(WaitReason::Forwarder(Obstacle::Unanswered)) => clock(ClockNeed::Start),
        Some(WaitReason::Clock { dispute: Some(_), .. }) => Some(WaitReason::NoStart),
        Some(WaitReason::Clock { need: ClockNeed::Start, .. }) => {
            clock(ClockNeed::Certificate(String::new()))
        }
        Some(WaitReason::Clock { need: ClockNeed::Certificate(_), .. }) => {
            clock(ClockNeed::Order { group: String::new(), other: task })
        }
        Some(WaitReason::Clock { need: ClockNeed::Order { .. }, .. }) => {
            let dispute = Some(ClockDispute { ours: gps, theirs: gps });
            Some(WaitReason::Clock { need: ClockNeed::Start, dispute })
        }
        Some(WaitReason::NoStart) => {
            Some(WaitReason::Devices { ready: 0, devices: 0, percent: 0, is_doubted: false })
        }
        Some(WaitReason::Devices { .. }) => Some(WaitReason::Start(gps)),
        Some(WaitReason::Start(_)) => Some(WaitReason::Session(gps, gps)),
        Some(WaitReason::Session(..)) => Some(WaitReason::Missed { ended: None, left: 0, planned: 0 }),
        Some(WaitReason::Missed { .. }) => Some(WaitReason::Turn(task)),
        Some(WaitReason::Turn(_)) => Some(WaitReason::Campaigns(0)),
        Some(WaitReason::Campaigns(_)) => air(AirLimit::Law { sub_band, used_us, budget_us, window_us }),
        Some(WaitReason::Air(limit)) => match limit {
            AirLimit::Law { .. } => air(AirLimit::Share { sub_band, used_us, share_us: 0, window_us }),
            AirLimit::Share { .. } => air(AirLimit::Demand { sub_band, expected_us: 0, budget_us }),
            AirLimit::Demand { .. } => air(AirLimit::Windows { windows: 0 }),
            AirLimit::Windows { .. } => air(AirLimit::Deafness { deaf_us: 0, limit_us: 0, window_us }),
            AirLimit::Deafness { .. } => air(AirLimit::Hearing { lost_us: 0, limit_us: 0 }),
            AirLimit::Hearing { .. } => air(AirLimit::Hole { hole_us: 0 }),
            AirLimit::Hole { .. } => air(AirLimit::Busy),
            AirLimit::Busy => air(AirLimit::Spacing { sub_band }),
            AirLimit::Spacing { .. } => Some(WaitReason::Answer { frame_no: 0 }),
        },
        Some(WaitReason::Answer { .. }) => Some(WaitReason::DeviceAnswers),
        Some(WaitReason::DeviceAnswers) => Some(WaitReason::Report(0)),
        Some(WaitReason::Report(_)) => refused(RefusalCause::DutyCycle),
        Some(WaitReason::Refusal(Refused { cause, .. })) => match cause {
            RefusalCause::DutyCycle => refused(RefusalCause::Listening),
            RefusalCause::Listening => refused(RefusalCause::Other),
            RefusalCause::Other => Some(WaitReason::Failures(0)),
        },
        Some(WaitReason::Failures(_)) => Some(WaitReason::Crashes { starts: 0, rest_s: 0 }),
        Some(WaitReason::Crashes { .. }) => Some(WaitReason::Image),
        Some(WaitReason::Image) => Some(WaitReason::OtherImage(String::new())),
        Some(WaitReason::OtherImage(_)) => Some(WaitReason::Proof),
        Some(WaitReason::Proof) => Some(WaitReason::Saving(Saving::Record)),
        Some(WaitReason::Saving(_)) => Some(WaitReason::DiskFull(String::new())),
        Some(WaitReason::DiskFull(_)) => Some(WaitReason::Halted(String::new())),
        Some(WaitReason::Halted(_)) => Some(WaitReason::File),
        Some(WaitReason::File) => Some(WaitReason::SecondSender),
        Some(WaitReason::SecondSender) => Some(WaitReason::Paused),
        Some(WaitReason::Paused) => None,
    }
}

/// A wait in a world: its reason, the instant that was named last, and when it was over.
#[derive(Debug)]
struct Seen {
    reason: WaitReason,
    sentence: String,
    from: Instant,
    until: Option<Instant>,
    over: Instant,
}

impl Seen {
    fn lasted_s(&self) -> u64 {
        self.over.us_since(self.from) / SECOND_US
    }
}

/// The first wait of this kind in the world, which is watched at every event until it ends.
fn walked(script: Script, kind: &str) -> Seen {
    let mut world = World::new(script);
    let mut seen: Option<(String, WaitReason, String, Instant, Option<Instant>)> = None;
    let mut kinds = BTreeSet::new();
    let mut has_ended = false;
    while world.step() {
        let tasks = world.tasks();
        let current = tasks.iter().find_map(|state| {
            let (wait, _) = state.wait.as_ref()?;
            kinds.insert(wait.reason.kind());
            let task = state.task.to_string();
            let is_it = wait.reason.kind() == kind && seen.as_ref().is_none_or(|(of, ..)| *of == task);
            is_it.then(|| (task, wait.clone(), state))
        });
        match (current, seen.as_mut()) {
            (Some((task, Wait { reason, until }, state)), None) => {
                let sentence = state.waiting.clone().unwrap();
                let is_working = matches!(state.phase.as_str(), "fetching" | "decoding" | "saving");
                let is_in_flight = matches!(reason, WaitReason::Answer { .. });
                assert!(
                    state.phase.as_str() == "waiting" || is_working || is_in_flight,
                    "{kind}: {} while it waits",
                    state.phase.as_str()
                );
                seen = Some((task, reason, sentence, world.now(), until));
            }
            (Some((_, wait, _)), Some((.., until))) => *until = wait.until,
            (None, Some(_)) => {
                has_ended = true;
                break;
            }
            (None, None) => {}
        }
    }
    let Some((_, reason, sentence, from, until)) = seen else {
        panic!("{kind} was never waited for, but {kinds:?}");
    };
    let seen = Seen { reason, sentence, from, until, over: world.now() };
    assert!(has_ended, "{kind}: it never ends: {seen:?}");
    if let Some(until) = seen.until {
        assert!(seen.over <= until.plus_us(BOUND_US), "{kind}: it goes on after what it named: {seen:?}");
    }
    seen
}

/// 1000 B to the group at its own pace: one frame each 2.5 s of the law's tenth.
fn paced() -> Script {
    let mut script = script();
    script.groups[0].policy =
        TxPolicy { duty_share_ppm: 400_000, max_deaf_ppm: 200_000, pattern: Pattern::Even };
    script
}

fn with_hazards(hazards: Hazards) -> Script {
    let mut script = paced();
    script.concentrator.hazards = hazards;
    script
}

fn refusing(words: &'static str, from_s: u64, until_s: u64) -> Script {
    let span = Span { from_us: from_s * SECOND_US, until_us: until_s * SECOND_US };
    with_hazards(Hazards { refusing: vec![(span, words)], ..Hazards::default() })
}

/// Sessions instead of devices that always listen.
fn in_sessions() -> Script {
    let mut script = script();
    script.groups[0].session = SessionRule::Windows { exponent: Some(7), start: None };
    script.groups[0].policy.duty_share_ppm = 100_000;
    script.devices.iter_mut().for_each(|device| device.settings.permanent_class_c = None);
    script
}

#[test]
fn every_wait_has_its_reason_and_ends_with_what_the_reason_named() {
    let all: BTreeSet<&str> =
        std::iter::successors(next(None), |reason| next(Some(reason))).map(|reason| reason.kind()).collect();
    let table = include_str!("../../docs/waits.md");
    let untold: Vec<&&str> = all.iter().filter(|kind| !table.contains(&format!("| `{kind}` |"))).collect();
    assert!(untold.is_empty(), "docs/waits.md has no row for {untold:?}");
    let mut walks = of_the_forwarder();
    walks.extend(of_the_clock());
    walks.extend(of_the_air());
    walks.extend(of_turns_and_pauses());
    walks.push(walked(closed_loop::script(4), "device-answers"));
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    for seen in &walks {
        println!("{:>22} {:>5} s  {}", seen.reason.kind(), seen.lasted_s(), seen.sentence);
        kinds.insert(seen.reason.kind());
    }
    kinds.extend(wait_bench::walks());
    kinds.extend(fleet_engine::walks());
    kinds.extend(verbs::walks());
    let missing: Vec<&&str> = all.difference(&kinds).collect();
    assert!(missing.is_empty(), "nobody walks {missing:?}");
}

fn of_the_forwarder() -> Vec<Seen> {
    let outage = || Script { forwarder_outages_us: vec![(40 * SECOND_US, 60 * SECOND_US)], ..paced() };
    let duty = walked(refusing("DUTY_CYCLE_OVERFLOW", 40, 60), "refused-duty-cycle");
    assert!((50..70).contains(&duty.lasted_s()), "{duty:?}");
    assert!(duty.sentence.contains("DUTY_CYCLE_OVERFLOW"), "{duty:?}");
    let failures = walked(refusing("INTERNAL_ERROR", 40, 90), "failures");
    assert!((50..70).contains(&failures.lasted_s()), "{failures:?}");
    vec![
        duty,
        failures,
        walked(outage(), "forwarder-unanswered"),
        walked(outage(), "forwarder-silent"),
        walked(refusing("SEND_LBT", 40, 60), "refused-listening"),
        walked(refusing("COLLISION_PACKET", 40, 60), "refused"),
        walked(paced(), "answer"),
        walked(paced(), "report"),
    ]
}

fn of_the_clock() -> Vec<Seen> {
    let trouble = |until_s: u64, off_us| {
        let clock_trouble = Some(ClockTrouble { until_us: until_s * SECOND_US, off_us });
        Script { clock_trouble, ..paced() }
    };
    let mut disputed = trouble(50, Some(18_000_000));
    disputed.concentrator.gps = true;
    disputed.tasks[0].at_us = 45 * SECOND_US;
    let disputed = walked(disputed, "clock-dispute");
    assert!(disputed.sentence.contains("18 s apart, as where UTC is taken for GPS time"), "{disputed:?}");
    let start = walked(paced(), "start");
    assert_eq!(start.until, Some(Instant::from_us(30_000_000)), "{start:?}");
    let missed = Script {
        is_retold: true,
        faults: vec![Fault::AfterSend(5)],
        boot_us: 2_000 * SECOND_US,
        ..in_sessions()
    };
    vec![
        walked(trouble(50, None), "clock"),
        disputed,
        start,
        walked(in_sessions(), "session"),
        walked(missed, "session-missed"),
    ]
}

fn of_the_air() -> Vec<Seen> {
    let policy =
        |duty_share_ppm, max_deaf_ppm| TxPolicy { duty_share_ppm, max_deaf_ppm, pattern: Pattern::Burst };
    let with = |policy, len| {
        let mut script = script_of(len);
        script.groups[0].policy = policy;
        script
    };
    let law = walked(with(policy(1_000_000, 1_000_000), 150_000), "duty-cycle");
    assert!(law.lasted_s() > 1000 && law.sentence.contains("sub-band P"), "{law:?}");
    let share = walked(with(policy(20_000, 1_000_000), 8000), "duty-share");
    assert!(share.lasted_s() > 1000, "{share:?}");
    let deaf = walked(with(policy(1_000_000, 50_000), 8000), "max-deaf");
    assert!(deaf.sentence.contains("(max-deaf): it sent for"), "{deaf:?}");
    let mut fair = several(5, TurnRule::Fairly);
    for group in &mut fair.groups {
        group.policy = TxPolicy { duty_share_ppm: 400_000, max_deaf_ppm: 1_000_000, pattern: Pattern::Even };
    }
    let promised = |min_heard_ppm, len| {
        let mut script = with(policy(1_000_000, 1_000_000), len);
        script.kept.min_heard_ppm = min_heard_ppm;
        script
    };
    let heard = walked(promised(995_000, 8000), "min-heard");
    assert!(heard.lasted_s() > 1000 && heard.sentence.contains("a usual one was lost in"), "{heard:?}");
    vec![
        law,
        share,
        deaf,
        heard,
        walked(promised(500_000, 8000), "hole-for-uplinks"),
        walked(beside_a_server(), "receive-windows"),
        walked(beside_demand(), "server-demand"),
        walked(beside_long_downlinks(), "radio-busy"),
        walked(fair, "spacing"),
    ]
}

fn of_turns_and_pauses() -> Vec<Seen> {
    let mut many = several(17, TurnRule::Fairly);
    many.groups.iter_mut().for_each(|group| group.first_fcnt = Some(2));
    let crashing = Script { faults: vec![Fault::KillAfter(3 * SECOND_US); 4], ..script() };
    // Somebody else sends once in two hours, just after the campaign began.
    let mut second = shared(3, 112, 12_000, 1, Manner::ChirpStack);
    second.network.as_mut().unwrap().server.multicast =
        Some(Multicast { dev_addr: 0x01c0_ffee, every_us: 7_200 * SECOND_US, keys: Some(group().keys) });
    second.tasks[0].at_us = 7_100 * SECOND_US;
    second.tasks[0].document = second.tasks[0].document.replace("08:00:30Z", "09:59:00Z");
    vec![
        walked(several(2, TurnRule::InOrder), "turn"),
        walked(many, "campaigns"),
        walked(crashing, "crashes"),
        walked(second, "second-sender"),
        walked(script_of(20_000), "proof"),
        walked(script(), "saving"),
        walked(script(), "image"),
    ]
}

/// EU868 DR3 in a burst beside a server with three answered uplinks a second: two windows after each.
fn beside_a_server() -> Script {
    let mut script = shared(3, 112, 4000, 1, Manner::ChirpStack);
    script.groups[0].policy.pattern = Pattern::Burst;
    let network = script.network.as_mut().unwrap();
    network.server.answered_ppm = 1_000_000;
    network.traffic.uplinks_per_hour = 10_000;
    network.traffic.joins_per_hour = 0;
    script.limit_us = 3 * 3_600 * SECOND_US;
    script
}

/// A burst beside Class C downlinks at SF12 in its own sub-band, so many an hour.
fn beside_class_c(per_hour: u32) -> Script {
    let mut script = shared(5, 112, 60_000, 1, Manner::ChirpStack);
    let network = script.network.as_mut().unwrap();
    network.server.class_c = network.server.class_a.clone();
    network.server.class_c_per_hour = per_hour;
    let sf12 = Modulation::LoRa { sf: 12, bw_hz: 125_000 };
    network.server.windows.rx2_modulation = sf12;
    network.traffic.windows.rx2_modulation = sf12;
    network.traffic.uplinks_per_hour = 30;
    script.groups[0].policy =
        TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 1_000_000, pattern: Pattern::Burst };
    script.limit_us = 3 * 3_600 * SECOND_US;
    script
}

fn beside_demand() -> Script {
    beside_class_c(170)
}

fn beside_long_downlinks() -> Script {
    beside_class_c(400)
}

/// Ten uplinks and five joins a second of devices that no server here answers.
fn beside_foreigners(mut script: Script) -> Script {
    let network = script.network.as_mut().unwrap();
    network.traffic.devices = (0..50_000).map(|n| 0x7700_0000 + n).collect();
    network.traffic.uplinks_per_hour = 36_000;
    network.traffic.joins_per_hour = 18_000;
    network.server.join_euis.clear();
    script.devices.clear();
    script.limit_us = 2 * 3_600 * SECOND_US;
    script
}

fn us915(mut script: Script) -> Script {
    script = on_us915(script);
    let network = script.network.as_mut().unwrap();
    let rates = |sf| Modulation::LoRa { sf, bw_hz: 125_000 };
    let channels = (0..8).map(|n| (902_300_000 + n * 200_000, (7..=10).map(rates).collect()));
    network.traffic.channels = channels.collect();
    let rx2 = Modulation::LoRa { sf: 12, bw_hz: 500_000 };
    for windows in [&mut network.server.windows, &mut network.traffic.windows] {
        windows.rx2_frequency_hz = 923_300_000;
        windows.rx2_modulation = rx2;
    }
    script
}

/// Frames per planned distance, over all that were sent.
fn part_of_its_pace(summary: &Summary) -> f64 {
    let (first, last) = (summary.frames.first().unwrap().start, summary.frames.last().unwrap().start);
    let spacing_us = summary.planned.as_ref().unwrap().spacing_us;
    let planned = last.us_since(first) as f64 / spacing_us as f64;
    (summary.frames.len() - 1) as f64 / planned
}

#[test]
fn beside_ten_foreign_uplinks_and_five_joins_a_second_a_campaign_keeps_a_tenth_of_its_pace() {
    let eu868 =
        |data_rate, frag_size| beside_foreigners(shared(data_rate, frag_size, 4000, 1, Manner::ChirpStack));
    let scripts = [
        ("EU868 DR0", eu868(0, 48)),
        ("EU868 DR3", eu868(3, 112)),
        ("EU868 DR5", eu868(5, 222)),
        ("US915 DR13", us915(beside_foreigners(shared(0, 220, 20_000, 1, Manner::ChirpStack)))),
    ];
    for (name, script) in scripts {
        let summary = run(script);
        assert_content(&summary, name);
        let part = part_of_its_pace(&summary);
        println!("{name}: {} frames, {part:.3} of the pace", summary.frames.len());
        assert!(summary.frames.len() > 10 && part >= 0.1, "{name}: {part:.3} of its pace");
    }
}

#[test]
fn beside_a_busy_server_the_first_frame_goes_out_as_planned_or_its_reason_stands_in_status_within_ten_seconds()
 {
    let planned_us = 30_000_000;
    let mut world = World::new(beside_a_server());
    let mut told = None;
    while world.step() && world.frames().is_empty() && told.is_none() {
        let is_due = world.now() > Instant::from_us(planned_us + 200_000);
        told = world.tasks().first().filter(|_| is_due).and_then(|state| {
            let air = matches!(state.wait.as_ref()?.0.reason, WaitReason::Air(_));
            air.then(|| (world.now(), state.phase.as_str(), state.waiting.clone().unwrap()))
        });
    }
    let Some((at, phase, sentence)) = told else {
        let first = world.frames().first().expect("a frame or a reason").start;
        return assert!(first <= Instant::from_us(planned_us + 10_000_000), "{first}");
    };
    assert!(at <= Instant::from_us(planned_us + 10_000_000), "{at}: {sentence}");
    assert_eq!(phase, "waiting");
    assert!(sentence.contains("s from now"), "{sentence}");
}

#[test]
fn a_campaign_tells_what_it_waited_for_and_how_long_and_each_kind_once() {
    let summary = run(Script { limit_us: 12 * 3_600 * SECOND_US, ..beside_a_server() });
    // So many answers are more than the law leaves the server, in its own sub-band.
    let ours = |breach: &&Breach| !breach.to_string().contains("band M)");
    assert_eq!(summary.verdict.breaches.iter().find(ours), None);
    let waits = summary.reports.iter().find_map(|report| match &report.event {
        Event::Waited { waits } => Some(waits.clone()),
        _ => None,
    });
    let waits = waits.expect("it is over");
    let windows = waits.iter().find(|total| total.kind == "receive-windows").unwrap();
    assert!(windows.count > 5 && windows.longest_us <= windows.total_us, "{waits:?}");
    assert!(waits.is_sorted_by_key(|total| std::cmp::Reverse(total.total_us)), "{waits:?}");
    let told = summary.reports.iter().filter(|report| match &report.event {
        Event::Waiting { reason } => reason.contains("receive windows"),
        _ => false,
    });
    assert_eq!(told.count(), 1, "{:#?}", summary.reports);
}

#[test]
fn the_forwarders_gps_begins_a_campaign_where_the_gateways_own_clock_is_never_trusted() {
    let without_clock = |gps| {
        let clock_trouble = Some(ClockTrouble { until_us: u64::MAX / 2, off_us: None });
        let mut script = Script { clock_trouble, limit_us: 3_600 * SECOND_US, ..paced() };
        script.concentrator.gps = gps;
        run(script)
    };
    assert!(without_clock(false).frames.is_empty(), "no clock at all");
    let summary = without_clock(true);
    assert_content(&summary, "the forwarder's GPS");
    assert!(matches!(outcome(&summary), Some(Outcome::Complete { .. })), "{:#?}", summary.reports);
    let first = summary.frames[0].start;
    assert!(first >= Instant::from_us(30_000_000) && first < Instant::from_us(40_000_000), "{first}");
}
