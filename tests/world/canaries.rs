//! Root keys proved by canaries before the devices of a new list are told a campaign's session: the fleet's side among
//! simulated meters, who open every question with their own keys.

use crate::fleet::DAY_S;
use crate::fleet::HOUR_S;
use crate::fleet::assert_lawful;
use crate::fleet::city;
use crate::fleet::city_rules;
use crate::fleet::measured;
use crate::fleet::run;
use crate::fleet::setup;
use crate::fleet::world;
use fuotad::fleet::CANARIES_MAX;
use fuotad::fleet::DeviceState;
use fuotad::fleet::FleetRules;
use fuotad::fleet::Setup;
use fuotad::fleet::StartWhen;
use fuotad::lns::Dialect;
use fuotad::lorawan::PackageVersion;
use fuotad::sim::lns::LnsScript;
use fuotad::sim::lns::LnsSummary;
use fuotad::sim::lns::LnsWorld;
use fuotad::sim::lns::MeterScript;
use fuotad::sim::lns::Rx2Script;

const DOUBT: &str = "root keys are probably wrong";

fn rules(dialect: Dialect) -> FleetRules {
    FleetRules { canaries: CANARIES_MAX as u8, ..FleetRules::new(dialect) }
}

fn script(dialect: Dialect, start_s: u64, meters: Vec<MeterScript>) -> LnsScript {
    LnsScript::new(rules(dialect), setup(start_s, PackageVersion::V1), meters)
}

/// The same without a start.
fn waiting(dialect: Dialect, meters: Vec<MeterScript>) -> LnsScript {
    let start_when =
        Some(StartWhen { ready_percent: 90, min_ready_percent: 50, at_latest_us: DAY_S * 1_000_000 });
    let rules = FleetRules { start_when, ..rules(dialect) };
    LnsScript::new(rules, Setup { windows: Vec::new(), ..setup(0, PackageVersion::V1) }, meters)
}

fn wrong(meter: MeterScript) -> MeterScript {
    MeterScript { has_wrong_key: true, ..meter }
}

fn hourly() -> MeterScript {
    MeterScript::new(HOUR_S, 7)
}

/// How many were told a session.
fn told_a_session(summary: &LnsSummary) -> usize {
    summary.meters.iter().filter(|meter| meter.session_commands > 0).count()
}

fn proved(summary: &LnsSummary) -> usize {
    summary.meters.iter().filter(|meter| meter.state == DeviceState::Proved).count()
}

#[test]
fn one_canary_that_answers_proves_the_batch_and_everybody_is_told_then() {
    for dialect in Dialect::ALL {
        let mut world = world(script(dialect, 2 * DAY_S, vec![hourly(); 30]));
        let mut asked_s = None;
        for s in (0..2 * DAY_S - HOUR_S).step_by(60) {
            world.run_until(s);
            let summary = world.summary();
            if summary.questions == 0 {
                assert!(told_a_session(&summary) <= CANARIES_MAX, "{dialect}, {s}: nobody was asked yet");
            } else {
                asked_s.get_or_insert(s);
            }
        }
        let summary = world.summary();
        assert_lawful(&summary);
        assert!((1..=CANARIES_MAX).contains(&proved(&summary)), "{dialect}: {}", proved(&summary));
        let are_told = |meter: &fuotad::sim::lns::MeterResult| {
            matches!(meter.state, DeviceState::Told | DeviceState::Proved) && meter.is_ready
        };
        assert!(summary.meters.iter().all(are_told), "{dialect}: {summary:?}");
        assert_eq!((summary.questions, summary.doubts, summary.is_told_unproved), (1, 0, false), "{dialect}");
        let limit_s = if dialect == Dialect::ChirpStack { HOUR_S } else { 8 * HOUR_S };
        assert!(asked_s.is_some_and(|s| s <= limit_s), "{dialect}: {asked_s:?}");
        // Whoever was no canary got three commands, a canary one more.
        let downlinks: Vec<u32> = summary.meters.iter().map(|meter| meter.downlinks).collect();
        assert!(downlinks.iter().all(|count| (3..=4).contains(count)), "{dialect}: {downlinks:?}");
    }
}

#[test]
fn a_list_with_wrong_root_keys_is_told_to_nobody_but_three_canaries_and_says_so() {
    for dialect in Dialect::ALL {
        let summary = run(script(dialect, 9 * DAY_S, vec![wrong(hourly()); 30]), 3 * DAY_S);
        assert_lawful(&summary);
        assert_eq!((told_a_session(&summary), proved(&summary)), (CANARIES_MAX, 0), "{dialect}");
        assert_eq!(summary.doubts, 1, "{dialect}");
        // One in a session, or all of them.
        assert!((2..=6).contains(&summary.questions), "{dialect}: two tries each, {}", summary.questions);
        for meter in &summary.meters {
            assert_eq!(meter.state.word(), "asked");
            assert!(meter.reason.starts_with(DOUBT), "{dialect}: {}", meter.reason);
            assert!(meter.reason.contains("not Class C") && meter.reason.contains("McAddr"));
        }
    }
}

#[test]
fn a_canary_with_a_wrong_key_of_its_own_costs_nobody_else_anything() {
    let mut meters = vec![hourly(); 20];
    for meter in &mut meters[..2] {
        // They send oftenest, so they are canaries.
        *meter = wrong(MeterScript::new(600, 7));
    }
    let summary = run(script(Dialect::ChirpStack, DAY_S, meters), DAY_S - 60);
    assert_lawful(&summary);
    assert_eq!(summary.doubts, 0);
    assert!(summary.meters[2..].iter().all(|meter| meter.state != DeviceState::Initial && meter.is_ready));
    let states: Vec<DeviceState> = summary.meters[..2].iter().map(|meter| meter.state).collect();
    assert_eq!(states, [DeviceState::Told; 2], "the others proved the batch, and they are not proved");
    assert!(proved(&summary) >= 1);
}

#[test]
fn of_a_batch_that_is_smaller_all_are_asked_twice_before_its_keys_are_doubted() {
    for (count, questions) in [(1, 2), (2, 4)] {
        let summary = run(script(Dialect::ChirpStack, 9 * DAY_S, vec![wrong(hourly()); count]), 2 * DAY_S);
        assert_lawful(&summary);
        assert_eq!((summary.doubts, summary.questions), (1, questions), "{count}");
    }
    let lone = run(script(Dialect::ChirpStack, 2 * DAY_S, vec![hourly()]), 2 * DAY_S - 60);
    assert_eq!((lone.meters[0].state, lone.doubts), (DeviceState::Proved, 0));
}

#[test]
fn where_all_answer_at_once_one_canary_is_asked_after_the_other() {
    let of = |meter: MeterScript| {
        let script = script(Dialect::ChirpStack, 9 * DAY_S, vec![meter; 10]);
        LnsScript { rules: FleetRules { canaries: 1, ..script.rules.clone() }, ..script }
    };
    let doubted = run(of(wrong(hourly())), 3 * DAY_S);
    assert_lawful(&doubted);
    assert_eq!((doubted.doubts, doubted.questions, told_a_session(&doubted)), (1, 6, 3));
    let good = run(of(hourly()), DAY_S);
    assert_eq!((good.questions, proved(&good)), (1, 1));
}

#[test]
fn a_start_that_leaves_no_time_is_told_without_a_proof_and_that_is_said() {
    let summary = run(script(Dialect::ChirpStack, 3 * HOUR_S, vec![hourly(); 10]), 3 * HOUR_S - 60);
    assert_lawful(&summary);
    assert_eq!((summary.is_told_unproved, summary.questions), (true, 0));
    assert!(summary.meters.iter().all(|meter| meter.state == DeviceState::Told), "{summary:?}");
    let later = run(script(Dialect::ChirpStack, DAY_S, vec![hourly(); 10]), DAY_S - 60);
    assert_eq!((later.is_told_unproved, later.questions), (false, 1));
}

#[test]
fn a_campaign_without_a_start_begins_with_proved_keys_and_ends_without_them() {
    for dialect in Dialect::ALL {
        let good = run(waiting(dialect, vec![hourly(); 10]), 2 * DAY_S);
        assert_lawful(&good);
        assert_eq!((good.decided_starts_s.len(), good.doubts, good.is_given_up), (1, 0, false), "{dialect}");
        assert!(good.decided_starts_s[0] < DAY_S, "{dialect}: {:?}", good.decided_starts_s);
        let bad = run(waiting(dialect, vec![wrong(hourly()); 10]), 2 * DAY_S);
        assert_lawful(&bad);
        assert_eq!((bad.decided_starts_s.len(), bad.doubts, bad.is_given_up), (0, 1, true), "{dialect}");
        // Some may have been told one that nobody confirmed.
        let told = told_a_session(&bad);
        assert!((CANARIES_MAX..=2 * CANARIES_MAX).contains(&told), "{dialect}: {told}");
    }
}

#[test]
fn a_start_that_is_decided_while_canaries_are_in_their_own_session_is_told_to_them_as_well() {
    for dialect in Dialect::ALL {
        for interval_s in [60, 300] {
            let script = waiting(dialect, vec![MeterScript::new(interval_s, 7); 4]);
            let start_s = run(script.clone(), 4 * HOUR_S).decided_starts_s[0];
            let summary = run(script, start_s - 5);
            assert_lawful(&summary);
            let ready = summary.meters.iter().filter(|meter| meter.is_ready).count();
            assert_eq!((ready, summary.questions), (4, 1), "{dialect}, {interval_s} s: {:?}", summary.meters);
        }
    }
}

#[test]
fn an_operator_who_mended_the_cause_has_the_batch_tried_anew() {
    let mut world = world(script(Dialect::ChirpStack, 9 * DAY_S, vec![wrong(hourly()); 5]));
    world.run_until(DAY_S);
    assert_eq!(world.summary().doubts, 1);
    let before = world.summary().questions;
    let now = world.now();
    let dev_eui = world.fleet().unwrap().devices(now).next().unwrap().dev_eui;
    assert!(world.fleet().unwrap().retry(dev_eui));
    let reasons = |world: &mut LnsWorld| -> Vec<bool> {
        world.summary().meters.iter().map(|meter| meter.reason.starts_with(DOUBT)).collect()
    };
    assert_eq!(reasons(&mut world), [false; 5]);
    world.run_until(2 * DAY_S);
    let questions = world.summary().questions;
    assert_eq!((world.summary().doubts, questions > before), (2, true), "{questions}");
    assert_eq!(reasons(&mut world), [true; 5]);
}

#[test]
fn a_proof_holds_for_the_next_campaign() {
    let mut world = world(script(Dialect::ChirpStack, 2 * DAY_S, vec![hourly(); 5]));
    world.run_until(DAY_S);
    assert_eq!(world.summary().questions, 1);
    let next = Setup {
        task: "meters-2".to_owned(),
        canary_fcnts: 103..167,
        min_mc_fcount: 102,
        max_mc_fcount: 300,
        ..setup(4 * DAY_S, PackageVersion::V1)
    };
    world.fleet().unwrap().set_up(Some(next));
    world.run_until(4 * DAY_S - 60);
    let summary = world.summary();
    assert_eq!(summary.questions, 1, "nobody is asked again");
    assert!(
        summary.meters.iter().all(|meter| matches!(meter.state, DeviceState::Told | DeviceState::Proved))
    );
}

#[test]
fn a_power_cut_at_every_operation_of_the_disk_costs_no_counter_twice_and_no_batch_its_proof() {
    let meters = vec![
        MeterScript { loss_ppm: 150_000, ..MeterScript::new(600, 7) },
        MeterScript::new(600, 9),
        wrong(MeterScript::new(600, 7)),
    ];
    let whole = run(script(Dialect::ChirpStack, DAY_S, meters.clone()), 10 * HOUR_S);
    assert_lawful(&whole);
    assert!(whole.questions >= 1 && proved(&whole) >= 1);
    let mut questions = Vec::new();
    for operation in 1..whole.disk_operations {
        let script =
            LnsScript { cut_at: Some(operation), ..script(Dialect::ChirpStack, DAY_S, meters.clone()) };
        let summary = run(script, 10 * HOUR_S);
        assert_eq!(summary.breaches, Vec::<String>::new(), "cut at {operation}");
        assert_eq!(summary.doubts, 0, "cut at {operation}");
        let told = summary.meters.iter().filter(|meter| meter.state.word() != "asked").count();
        assert_eq!(told, 3, "cut at {operation}: {summary:?}");
        assert!(proved(&summary) >= 1, "cut at {operation}");
        questions.push(summary.questions);
    }
    assert!(questions.iter().any(|count| *count > whole.questions), "some cut costs a question");
}

/// The city of the fleet's numbers, whose batch is to be proved.
fn city_script(
    dialect: Dialect,
    share_percent: u32,
    rx2: Option<Rx2Script>,
    meters: Vec<MeterScript>,
) -> LnsScript {
    let rules = FleetRules { canaries: CANARIES_MAX as u8, ..city_rules(dialect, share_percent) };
    let setup = setup(DAY_S, PackageVersion::V1);
    LnsScript { has_law: true, rx2, ..LnsScript::new(rules, setup, meters) }
}

#[test]
fn three_hundred_meters_of_a_new_list_are_told_hardly_later_than_those_of_a_proved_one() {
    let slow_in_rx2 = Some(Rx2Script { from_sf: 10, sf: 12 });
    for dialect in Dialect::ALL {
        let told_with_rx2 = if dialect == Dialect::ChirpStack { 95.5 } else { 81.0 };
        for (share, rx2, told_in_8_h) in [(25, slow_in_rx2, told_with_rx2), (100, None, 93.0)] {
            let script = city_script(dialect, share, rx2, city(HOUR_S, 8 * HOUR_S));
            let name = format!("{dialect}, hourly, a new list, {share} % of the law, {rx2:?}");
            let (told, ratio) = measured(&name, script, [8 * HOUR_S, DAY_S], DAY_S);
            assert!(told[0] >= told_in_8_h && told[1] >= 99.0, "{name}: {told:?}");
            assert!(ratio <= 1.3, "{name}: {ratio}");
        }
    }
}

#[test]
fn of_three_hundred_meters_with_wrong_keys_canaries_alone_are_told_a_session_and_none_is_proved() {
    let meters: Vec<MeterScript> = city(HOUR_S, 8 * HOUR_S).into_iter().map(wrong).collect();
    let summary = run(city_script(Dialect::ChirpStack, 25, None, meters), DAY_S - 60);
    assert_lawful(&summary);
    assert_eq!((proved(&summary), summary.doubts), (0, 1));
    assert!(told_a_session(&summary) <= 3 * CANARIES_MAX, "{}", told_a_session(&summary));
    let in_doubt = summary.meters.iter().filter(|meter| meter.reason.starts_with(DOUBT)).count();
    println!(
        "{} were told a session, {in_doubt} say why they wait, {} questions",
        told_a_session(&summary),
        summary.questions
    );
    assert!(in_doubt >= 250, "{in_doubt}");
}
