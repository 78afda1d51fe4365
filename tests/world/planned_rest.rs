//! Plans made from what lies in the state folder: after a power cut, and of sessions that devices were told.

use crate::support::scenarios::shipped;
use crate::support::small_world;
use crate::support::small_world::document;
use crate::support::small_world::script_of;
use fuotad::campaign::ProfileName;
use fuotad::campaign::SessionLimits;
use fuotad::campaign::SessionRule;
use fuotad::plan::Timetable;
use fuotad::radio::MinuteLoad;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::World;
use fuotad::store::Mark;
use fuotad::store::Recovered;
use fuotad::time::GpsTime;
use fuotad::time::Instant;

fn gps(script: &Script, at: Instant) -> GpsTime {
    script.start.plus_us(at.us_since(Instant::ZERO))
}

/// A plan made at this moment of the world from what is on its disk.
fn planned_now(world: &World, script: &Script) -> Timetable {
    let (task, recovered) = (script.tasks[0].clone(), world.recovered());
    let now = Some(gps(script, world.now()));
    let settings = small_world::settings_of(script);
    Timetable::seen_at(now, Some(&recovered), &settings, &task.document, &task.stem, task.image).unwrap()
}

#[test]
fn after_a_power_cut_a_plan_from_the_state_folder_agrees_with_the_rest_of_the_campaign() {
    for name in ["eu868-100kb.toml", "eu868-dr0-sessions.toml"] {
        for at in [40, 120, 400] {
            let mut script = shipped(name);
            script.devices.truncate(1);
            script.faults = vec![Fault::AfterSend(at)];
            let mut world = World::new(script.clone());
            while world.restarts() == 0 && world.step() {}
            let on_again = world.now().plus_us(script.boot_us);
            while world.now() < on_again && world.step() {}
            let sent_before = world.frames().len();
            let plan = planned_now(&world, &script);
            while world.step() {}
            let summary = world.summary();
            let rest = &summary.frames[sent_before..];
            let end = gps(&script, rest.last().unwrap().start.plus_us(plan.planned.airtime_us));
            let off_us = plan.end.us_since(end).max(end.us_since(plan.end));
            println!("{name} cut at {at}: {} frames left, plan off by {off_us} us", rest.len());
            assert_eq!(plan.planned.sessions, summary.planned.as_ref().unwrap().sessions, "{name} {at}");
            // Frames after the last mark go out again; how many the plan knows as the service does.
            assert!(
                plan.frames.abs_diff(rest.len() as u32) <= 1,
                "{name} {at}: {} {}",
                plan.frames,
                rest.len()
            );
            assert!(off_us < 2_000_000, "{name} {at}: {:?} {end:?}", plan.end);
        }
    }
}

#[test]
fn sessions_that_devices_were_told_stay_what_they_are_whatever_would_be_planned_today() {
    let mut script = shipped("eu868-100kb.toml");
    script.devices.truncate(1);
    let mut world = World::new(script.clone());
    while world.frames().len() < 50 && world.step() {}
    let told = planned_now(&world, &script).planned.sessions;
    script.groups[0].sessions = SessionLimits { most: Some(8), price_us: 0, further: false };
    assert_eq!(planned_now(&world, &script).planned.sessions, told);
    let task = script.tasks[0].clone();
    let anew =
        Timetable::new(&small_world::settings_of(&script), &task.document, &task.stem, task.image).unwrap();
    assert_ne!(anew.planned.sessions, told, "several sessions are shorter together");
}

/// 60 kB at EU868 DR3 in up to eight sessions from 08:00:30 on, to be over by that time.
fn finishing_by(finish_by: &str) -> Result<Timetable, String> {
    let mut script = script_of(60_000);
    let group = &mut script.groups[0];
    group.data_rate = 3;
    group.session = SessionRule::Windows { exponent: None, start: None };
    group.sessions = SessionLimits { most: Some(8), price_us: 0, further: false };
    let by = format!("\"FinishBy\":\"{finish_by}\",");
    let document = document(30, "").replace("\"Fuotad\":{", &format!("\"Fuotad\":{{{by}"));
    let document = document.replace("\"FragmentSizeBytes\":48,", "");
    let image = script.tasks[0].image.clone();
    Timetable::new(&small_world::settings_of(&script), &document, "task", image)
}

#[test]
fn what_is_to_be_over_by_a_time_gets_the_shortest_listening_that_is() {
    let sum = |plan: &Timetable| plan.sessions.iter().map(|plan| plan.session.length_us()).sum::<u64>();
    let free = finishing_by("2026-11-24T08:00:00Z").unwrap();
    let last = free.sessions.last().unwrap().session.end();
    let hurried = finishing_by("2026-11-22T09:10:00Z").unwrap();
    assert!(hurried.sessions.last().unwrap().session.end() < last, "{:?}", free.sessions);
    assert!(hurried.sessions.len() < free.sessions.len() && sum(&hurried) >= sum(&free));
}

#[test]
fn a_time_that_the_law_does_not_let_be_kept_is_refused_with_the_one_that_would_do() {
    let error = finishing_by("2026-11-22T08:20:00Z").unwrap_err();
    assert!(error.contains("Fuotad.FinishBy 2026-11-22T08:20:00Z is too soon"), "{error}");
    let (_, rest) = error.split_once("let it end at ").unwrap();
    let instead = rest.split(' ').next().unwrap();
    finishing_by(instead).unwrap_or_else(|error| panic!("{instead}: {error}"));
}

/// What a gateway finds after a server used so much of sub-band P, so many minutes before the world's zero.
fn used_by_a_server(script: &Script, airtime_us: u32, minutes_ago: u8) -> Recovered {
    let channel = script.region.check(869_525_000, 5, script.groups[0].eirp).unwrap();
    let load =
        MinuteLoad { sub_band: channel.sub_band.0, age_min: minutes_ago, ours_us: 0, total_us: airtime_us };
    let mark =
        Mark { clean: true, gps_us: Some(script.start.as_us()), ledger: vec![load], ..Mark::default() };
    Recovered { mark: Some(mark), ..small_world::enrolled() }
}

#[test]
fn what_a_server_used_before_delays_the_plan_as_it_delays_the_campaign() {
    let mut script = script_of(60_000);
    script.devices.truncate(1);
    script.groups[0].profile = ProfileName::Unknown.profile();
    let recovered = used_by_a_server(&script, 300_000_000, 20);
    script.recovered = Some(recovered.clone());
    let (task, now) = (script.tasks[0].clone(), Some(script.start));
    let plan = |recovered: Option<&Recovered>| {
        let (document, image) = (&task.document, task.image.clone());
        Timetable::seen_at(now, recovered, &small_world::settings_of(&script), document, &task.stem, image)
            .unwrap()
    };
    let (planned, undisturbed) = (plan(Some(&recovered)), plan(None));
    let mut world = World::new(script.clone());
    while world.step() {}
    let last = world.summary().frames.last().unwrap().start.plus_us(planned.planned.airtime_us);
    let end = gps(&script, last);
    println!("plan off by {} us", planned.end.us_since(end).max(end.us_since(planned.end)));
    assert!(
        planned.end.us_since(end).max(end.us_since(planned.end)) < 1_000_000,
        "{:?} {end:?}",
        planned.end
    );
    let delayed_us = planned.end.us_since(undisturbed.end);
    assert!(
        delayed_us > 1_200_000_000,
        "it waits until the hour of the server's frames is over: {delayed_us}"
    );
}
