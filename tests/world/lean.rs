//! A lean group: its first campaign sends what is ordered, the next one what its losses ask for, and everybody completes.

use crate::closed_loop::answered;
use crate::closed_loop::assert_nobody_is_called_done_who_is_not;
use crate::closed_loop::script;
use crate::rounds::usual_window;
use crate::support::small_world;
use crate::support::small_world::assert_content;
use fuotad::answers::CampaignLoss;
use fuotad::answers::End;
use fuotad::answers::Expected;
use fuotad::answers::Learned;
use fuotad::answers::Roll;
use fuotad::campaign::Group;
use fuotad::campaign::Plan;
use fuotad::campaign::Redundancy;
use fuotad::campaign::SessionRule;
use fuotad::cloud::task_from_file;
use fuotad::engine::Settings;
use fuotad::engine::learned_id;
use fuotad::engine::learned_of;
use fuotad::image::Digest;
use fuotad::image::Image;
use fuotad::plan::Timetable;
use fuotad::plan::chances;
use fuotad::plan::lean_lines;
use fuotad::plan::learned_from;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::report::Event;
use fuotad::report::Lean;
use fuotad::report::Planned;
use fuotad::schedule::Kept;
use fuotad::schedule::Scheduler;
use fuotad::sim::DeviceResult;
use fuotad::sim::Fault;
use fuotad::sim::Loss;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;
use fuotad::sim::World;
use fuotad::store::FleetRecord;
use fuotad::store::Recovered;

/// Operations on the disk that are cut, the last ones of a world.
const OPERATIONS: u64 = 24;
const HOUR_US: u64 = 3_600_000_000;

/// Two campaigns of `len` bytes with 30 % for lean devices that lose as much, the second three hours after the first.
fn two_campaigns(devices: usize, len: usize, loss_ppm: u32) -> Script {
    let mut script = script(devices);
    script.groups[0].redundancy = Redundancy::Lean(None);
    for device in &mut script.devices {
        device.loss = Loss::Random { ppm: loss_ppm };
    }
    let document = small_world::document(30, "").replace("08:00:30Z", "08:10:00Z");
    script.tasks[0] = TaskScript { document, image: small_world::image(len), ..script.tasks[0].clone() };
    let next = TaskScript {
        at_us: 2 * HOUR_US,
        stem: "task-2".to_owned(),
        document: script.tasks[0].document.replace("08:10:00Z", "11:00:00Z"),
        ..script.tasks[0].clone()
    };
    script.tasks.push(next);
    Script { limit_us: 12 * HOUR_US, ..script }
}

/// What came of a world: its plans, and what the devices said of the newest campaign.
fn carry_out(script: Script) -> (Summary, Vec<Planned>, Roll) {
    let mut world = World::new(script);
    let mut roll = None;
    while world.step() {
        roll = world.answers("meters").or(roll);
    }
    let summary = world.summary();
    (summary.clone(), plans(&summary), roll.unwrap())
}

/// The plan of each campaign, as it was made last.
fn plans(summary: &Summary) -> Vec<Planned> {
    let mut plans: Vec<Planned> = Vec::new();
    for report in &summary.reports {
        if let Event::Planned(planned) = &report.event {
            plans.retain(|known| known.first_fcnt != planned.first_fcnt);
            plans.push((**planned).clone());
        }
    }
    plans
}

/// Frames with the counters of this plan.
fn frames(summary: &Summary, plan: &Planned) -> usize {
    let fcnts = plan.first_fcnt..plan.end_fcnt;
    summary.frames.iter().filter(|frame| fcnts.contains(&frame.fcnt)).count()
}

#[test]
fn at_two_per_cent_loss_the_second_campaign_sends_four_fifths_of_the_first_and_everybody_completes() {
    let devices: u32 = 12;
    let script = two_campaigns(devices as usize, 2_000 * 48, 20_000);
    // A restart between the two: what was learned is on the disk.
    let (summary, plans, roll) =
        carry_out(Script { faults: vec![Fault::KillAfter(3 * HOUR_US / 2)], ..script });
    assert_content(&summary, "lean");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    assert_eq!(summary.restarts, 1);
    let [first, second] = &plans[..] else { panic!("{} plans", plans.len()) };
    let sent = [first, second].map(|plan| frames(&summary, plan));
    let words = second.lean.map(|lean| lean.to_string()).unwrap_or_default();
    println!("30 % as ordered: {} frames; lean: {} frames ({words})", sent[0], sent[1]);
    assert_eq!(first.lean, Some(Lean { coded: 600, ordered: 600, expected: None }));
    assert_eq!(sent[0] / 10 * 10, 2_600);
    assert!(sent[1] * 10 <= sent[0] * 8, "{sent:?}");
    let done = summary.reports.iter().filter_map(|report| match &report.event {
        Event::Answered { holdings, end, .. } => Some((holdings.done, *end)),
        _ => None,
    });
    assert_eq!(done.collect::<Vec<_>>(), [(devices, End::Done), (devices, End::Done)]);
    // Set up anew for the second campaign they begin with nothing.
    assert_eq!(summary.complete(), devices as usize);
}

/// A state folder of which somebody learned that the group loses so much.
fn after_losses(loss_ppm: u32) -> Recovered {
    let key = small_world::group().keys.fingerprint();
    let mut learned = Learned::default();
    learned.learn(2, CampaignLoss::Measured(loss_ppm));
    let record = FleetRecord { id: learned_id(key), bytes: learned.to_bytes(key) };
    Recovered { fleets: vec![record], ..small_world::enrolled() }
}

/// One lean campaign after 2 % loss was learned, with as much as `loss_ppm` now.
fn after_good_days(devices: usize, len: usize, loss_ppm: u32) -> Script {
    let mut script = two_campaigns(devices, len, loss_ppm);
    script.tasks.pop();
    Script { recovered: Some(after_losses(20_000)), ..script }
}

#[test]
fn on_a_day_with_twenty_per_cent_loss_after_two_were_learned_everybody_still_completes() {
    for is_in_sessions in [false, true] {
        let mut script = after_good_days(12, 500 * 48, 200_000);
        // What is ordered costs nothing of the airtime beyond it, before the first question or after it.
        script.fleets[0].rules.give_up.airtime_us = Some(7_000_000);
        if is_in_sessions {
            script.groups[0].session = SessionRule::Windows { exponent: None, start: None };
            script.devices.iter_mut().for_each(|device| device.settings.permanent_class_c = None);
        }
        let (summary, plans, roll) = carry_out(script);
        assert_content(&summary, "a bad day");
        assert_nobody_is_called_done_who_is_not(&summary, &roll);
        let (lean, sent) = (plans[0].lean.unwrap(), frames(&summary, &plans[0]));
        println!("{lean}: {sent} frames, {:?}, {}", answered(&summary), roll.holdings());
        assert!(lean.coded <= 20 && lean.ordered == 150, "{lean:?}");
        assert_eq!(summary.complete(), 12 - roll.holdings().not_told as usize, "{}", roll.holdings());
        assert!(roll.holdings().not_told <= 1, "{}", roll.holdings());
        assert_eq!(answered(&summary).map(|(_, end)| end), Some(End::Done));
        assert!(sent > 600, "{sent}");
    }
}

#[test]
fn a_campaign_keeps_what_it_was_planned_with_whatever_is_learned_meanwhile() {
    let script = after_good_days(3, 500 * 48, 20_000);
    let mut world = World::new(script.clone());
    while world.frames().len() < 40 {
        assert!(world.step());
    }
    let (found, now) = (world.recovered(), world.gps());
    let planned = world.planned().unwrap().clone();
    assert!(planned.coded < 20, "{}", planned.coded);
    let next_life = |change: &dyn Fn(&mut Script)| {
        let recovered = Recovered { fleets: after_losses(200_000).fleets, ..found.clone() };
        let mut script = Script { recovered: Some(recovered), start: now, ..script.clone() };
        script.tasks[0].at_us = 0;
        change(&mut script);
        let mut world = World::new(script);
        while world.planned().is_none() {
            assert!(world.step());
        }
        let again = world.planned().unwrap();
        (again.coded, again.first_fcnt)
    };
    let ours = (planned.coded, planned.first_fcnt);
    assert_eq!(next_life(&|_| {}), ours);
    // It keeps it where the group is not lean any more, too.
    assert_eq!(next_life(&|script| script.groups[0].redundancy = Redundancy::Ordered), ours);
    // Where nobody hears answers any more it is planned anew, as it was ordered.
    let (coded, first_fcnt) = next_life(&|script| script.groups[0].answer_window = None);
    assert!(coded == 150 && first_fcnt >= planned.end_fcnt, "{coded} from {first_fcnt}");
}

#[test]
fn what_a_campaign_taught_is_learned_once_wherever_the_gateway_dies() {
    let learned_in = |faults: Vec<Fault>| {
        let mut script = script(4);
        script.groups[0].redundancy = Redundancy::Lean(None);
        let mut world = World::new(Script { faults, ..script });
        while world.step() {}
        let found = world.recovered();
        let learned = learned_of(small_world::group().keys.fingerprint(), &found.fleets);
        (world.summary(), learned.expected())
    };
    let (undisturbed, expected) = learned_in(Vec::new());
    let expected = expected.unwrap();
    assert_eq!((expected.campaigns, undisturbed.complete()), (1, 4));
    let lost = |device: &DeviceResult| device.lost * 1_000_000 / undisturbed.frames.len() as u64;
    let worst_ppm = undisturbed.devices.iter().map(lost).max().unwrap();
    println!("{expected}: the worst lost {worst_ppm} ppm");
    assert!(worst_ppm.abs_diff(expected.loss_ppm.into()) < 60_000, "{expected:?} {worst_ppm}");
    // The campaign is told of in its last operations on the disk.
    let dies_in = |operation: u64| learned_in(vec![Fault::AtDiskOperation(operation)]).0.restarts > 0;
    let (mut last, mut beyond) = (1, 1_000);
    while last + 1 < beyond {
        let middle = u64::midpoint(last, beyond);
        if dies_in(middle) { last = middle } else { beyond = middle }
    }
    assert!(last > OPERATIONS, "only {last} operations");
    for operation in last - OPERATIONS..=last {
        let (summary, learned) = learned_in(vec![Fault::AtDiskOperation(operation)]);
        assert_eq!((summary.restarts, summary.complete()), (1, 4), "cut in operation {operation} of {last}");
        let campaigns = learned.map(|expected| expected.campaigns);
        assert_eq!(campaigns, Some(1), "cut in operation {operation} of {last}: {learned:?}");
    }
}

/// The plan of 500 fragments with 30 %, in sessions, where so much was learned.
fn plan(redundancy: Redundancy) -> Plan {
    let region = parameters(RfRegion::Eu868).unwrap();
    let group = Group {
        redundancy,
        session: SessionRule::Windows { exponent: None, start: None },
        is_set_up_here: true,
        answer_window: Some(usual_window(300)),
        ..small_world::group()
    };
    let bytes = small_world::image(500 * 48);
    let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
    let document = r#"{"FirmwareUpdateImage":"file:///i","FragmentSizeBytes":48,"RedundancyPercent":30}"#;
    let task = task_from_file(document.as_bytes(), "task").unwrap();
    let scheduler = Scheduler::of(region, Kept { server_reserve_ppm: 100_000, min_heard_ppm: 800_000 });
    Plan::new(&task, &group, &image, region, &scheduler, 2).unwrap()
}

#[test]
fn a_lean_plan_keeps_the_numbers_counters_and_time_of_what_is_ordered() {
    let ordered = plan(Redundancy::Ordered);
    let expected = |loss_ppm| Some(Expected { loss_ppm, campaigns: 1, is_assumed: false });
    let lean = plan(Redundancy::Lean(expected(20_000)));
    assert_eq!((ordered.coded, ordered.lean, ordered.spared()), (150, None, 0));
    assert_eq!((lean.coded + lean.spared(), lean.spared() > 130), (150, true));
    assert_eq!(lean.coded + lean.top_up, ordered.coded + ordered.top_up);
    assert_eq!((lean.base, lean.end), (ordered.base, ordered.end));
    assert_eq!(lean.frames() + u32::from(lean.spared()), ordered.frames());
    // Its last session has room for what is ordered, should devices ask for it.
    let listening_s = |plan: &Plan| plan.bursts.iter().map(|burst| 1_u64 << burst.exponent).sum::<u64>();
    assert_eq!(listening_s(&lean), listening_s(&ordered));
    // More than is ordered is not sent, and nothing less while nothing is known.
    for redundancy in [Redundancy::Lean(expected(400_000)), Redundancy::Lean(None)] {
        assert_eq!((plan(redundancy).coded, plan(redundancy).hash), (150, ordered.hash));
    }
    assert_eq!((plan(Redundancy::Planned(24)).coded, plan(Redundancy::Planned(999)).coded), (24, 150));
}

#[test]
fn a_forecast_says_what_comes_before_the_first_question_and_why() {
    let mut group = small_world::group();
    (group.redundancy, group.answer_window) = (Redundancy::Lean(None), Some(usual_window(300)));
    let settings = Settings { groups: vec![group], ..small_world::settings() };
    let forecast = |recovered: Option<&Recovered>| {
        let mut settings = settings.clone();
        learned_from(&mut settings, recovered);
        let document = small_world::document(30, "");
        let timetable = Timetable::new(&settings, &document, "task", small_world::image(500 * 48)).unwrap();
        // How likely a device is to complete follows from what is ordered: what it misses it gets.
        let chances = chances(&timetable.planned, &settings.groups[0]);
        let at_five_per_cent = chances.iter().find(|chance| chance.loss_percent == 5);
        assert!(at_five_per_cent.is_some_and(|chance| chance.completes > 0.99), "{chances:?}");
        let lean = timetable.planned.lean.unwrap().to_string();
        (timetable.frames, lean, lean_lines(&settings).join("\n"))
    };
    let (frames, lean, line) = forecast(Some(&after_losses(21_000)));
    assert_eq!(frames, 515);
    let learned = "nine in ten devices lost at most 2.1 % of the frames in the last campaign";
    assert_eq!(lean, format!("{learned}, so 15 coded fragments before the first question instead of 150"));
    assert_eq!(line, format!("group meters: lean: {learned}"));
    let (frames, lean, line) = forecast(None);
    assert_eq!(frames, 650);
    assert!(lean.starts_with("nothing is known yet of what the group loses, so all 150"), "{lean}");
    assert!(line.contains("nothing is known yet"), "{line}");
}
