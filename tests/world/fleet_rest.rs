//! A campaign that is for some devices of its group: the others are told nothing of it and are not waited for.

use crate::fleet::DAY_S;
use crate::fleet::HOUR_S;
use crate::fleet::assert_lawful;
use crate::fleet::setup;
use crate::fleet::world;
use fuotad::fleet::CANARIES_MAX;
use fuotad::fleet::DeviceState;
use fuotad::fleet::FleetRules;
use fuotad::fleet::Readiness;
use fuotad::fleet::Setup;
use fuotad::fleet::StartWhen;
use fuotad::lns::Dialect;
use fuotad::lorawan::Eui64;
use fuotad::lorawan::PackageVersion;
use fuotad::sim::lns::LnsScript;
use fuotad::sim::lns::MeterScript;
use std::collections::BTreeSet;

/// Three meters, of which the last two send much oftener and the last cannot take part, and a start that waits for all.
fn script(rules: FleetRules) -> LnsScript {
    let start_when =
        Some(StartWhen { ready_percent: 100, min_ready_percent: 100, at_latest_us: DAY_S * 1_000_000 });
    let rules = FleetRules { start_when, ..rules };
    let refuses = [((201, 0x02), vec![0x02, 0x02]), ((201, 0x00), vec![0x00, 3, 1, 0x02, 0x02])];
    let last = MeterScript { says: refuses.into(), ..MeterScript::new(HOUR_S / 4, 7) };
    let meters = vec![MeterScript::new(HOUR_S, 7), MeterScript::new(HOUR_S / 4, 7), last];
    LnsScript::new(rules, Setup { windows: Vec::new(), ..setup(0, PackageVersion::V1) }, meters)
}

/// The meters with these places.
fn devices(rules: &FleetRules, places: &[usize]) -> BTreeSet<Eui64> {
    let mut world = world(script(rules.clone()));
    let now = world.now();
    let all: Vec<Eui64> = world.fleet().unwrap().states(now).map(|(dev_eui, _)| dev_eui).collect();
    places.iter().map(|place| all[*place]).collect()
}

#[test]
fn devices_that_a_campaign_is_not_for_are_told_nothing_and_nobody_waits_for_them() {
    let with_canaries = |dialect| FleetRules { canaries: CANARIES_MAX as u8, ..FleetRules::new(dialect) };
    let of = |dialect| [FleetRules::new(dialect), with_canaries(dialect)];
    for rules in Dialect::ALL.into_iter().flat_map(of) {
        let only = |places: &[usize]| {
            let mut script = script(rules.clone());
            script.setup.only = Some(devices(&rules, places));
            script
        };
        let mut of_first = world(only(&[0]));
        of_first.run_until(DAY_S);
        let summary = of_first.summary();
        assert_lawful(&summary);
        let story = format!("{} with {} canaries: {:#?}", rules.dialect, rules.canaries, summary.meters);
        assert_eq!(summary.decided_starts_s.len(), 1, "{story}");
        assert!(summary.meters[0].downlinks >= 3 && summary.meters[0].session_commands > 0, "{story}");
        for meter in &summary.meters[1..] {
            assert_eq!((meter.state, meter.downlinks), (DeviceState::NotNeeded, 0), "{story}");
            assert!(meter.reason.contains("held the image before"), "{story}");
        }
        let now = of_first.now();
        let Readiness { devices, refused, .. } = of_first.fleet().unwrap().readiness(now);
        assert_eq!((devices, refused), (1, 0), "{story}");
        // All of them are not ready within the day.
        let mut of_all = world(only(&[0, 1, 2]));
        of_all.run_until(DAY_S);
        assert!(of_all.summary().decided_starts_s.is_empty(), "the last one cannot take part");
    }
}

#[test]
fn a_device_that_the_next_campaign_is_not_for_keeps_what_is_known_of_it() {
    let rules = FleetRules::new(Dialect::ChirpStack);
    let mut all = script(rules.clone());
    all.setup = setup(DAY_S, PackageVersion::V1);
    all.meters.pop();
    let mut world = world(all);
    world.run_until(6 * HOUR_S);
    let now = world.now();
    let states = |fleet: &fuotad::fleet::Fleet| fleet.states(now).map(|(_, state)| state).collect::<Vec<_>>();
    let fleet = world.fleet().unwrap();
    assert_eq!(states(fleet), [DeviceState::Told; 2]);
    let first = fleet.setup().cloned();
    let only = Some(devices(&rules, &[1]));
    let next = Setup { task: "meters-1~2".to_owned(), only, ..setup(2 * DAY_S, PackageVersion::V1) };
    fleet.set_up(Some(next));
    assert_eq!(states(fleet), [DeviceState::NotNeeded, DeviceState::Initial]);
    fleet.set_up(first);
    assert_eq!(states(fleet), [DeviceState::Told, DeviceState::Initial]);
}
