//! Whole campaigns in the simulated world, one test a sentence. The referee judges each of them.

use crate::support::small_world;
use crate::support::small_world::assert_content;
use crate::support::small_world::document;
use crate::support::small_world::group;
use crate::support::small_world::image;
use crate::support::small_world::listener;
use crate::support::small_world::mc_addr;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script;
use crate::support::small_world::script_of;
use fuotad::campaign::SessionRule;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::radio::Dbm;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::schedule::Pattern;
use fuotad::schedule::TxPolicy;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;
use fuotad::sim::concentrator;
use fuotad::sim::device::State;

fn refusal(summary: &Summary) -> &str {
    summary.refusal().unwrap_or("nothing was refused")
}

/// 40 kB at the default share in sessions of 2^10 s from 08:05 on.
fn sessions_of_1024_s() -> Script {
    let mut script = script_of(40_000);
    script.groups[0].session = SessionRule::Windows { exponent: Some(10), start: None };
    script.groups[0].policy = TxPolicy::default();
    script.tasks[0].document = document(30, "").replace("08:00:30Z", "08:05:00Z");
    script.limit_us *= 3;
    script
}

fn task(at_us: u64, stem: &str, document: String, len: usize) -> TaskScript {
    TaskScript { at_us, stem: stem.to_owned(), document, image: image(len) }
}

#[test]
fn an_image_reaches_every_device_bit_for_bit() {
    let summary = run(script());
    assert_content(&summary, "plain");
    assert_eq!(summary.complete(), 3);
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(account)) if account.unconfirmed() == 0));
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let transcript = |seed: u64| {
        let summary = run(Script { seed, ..script_of(5000) });
        format!("{:?}{:?}{:?}{:?}", summary.frames, summary.devices, summary.reports, summary.verdict.bands)
    };
    assert_eq!(transcript(7), transcript(7));
    assert_ne!(transcript(7), transcript(8));
}

#[test]
fn without_redundancy_a_lossy_device_honestly_stays_incomplete() {
    let mut script = script_of(5000);
    script.tasks[0].document = document(0, "");
    let summary = run(script);
    assert_content(&summary, "no redundancy");
    assert_eq!(summary.complete(), 1);
    assert!(summary.devices.iter().all(|device| device.coded_used == 0));
}

#[test]
fn the_tasks_descriptor_reaches_the_devices() {
    let mut script = script();
    script.tasks[0].document = document(100, r#","Descriptor":"AQIDBA==""#);
    let summary = run(script);
    assert_content(&summary, "descriptor");
    assert_eq!(summary.planned.unwrap().descriptor, [1, 2, 3, 4]);
}

#[test]
fn a_device_that_was_not_told_the_session_hears_nothing() {
    let mut script = script();
    script.groups[0].session = SessionRule::Windows { exponent: None, start: None };
    script.tasks[0].document = document(100, "").replace("08:00:30Z", "08:05:00Z");
    for device in &mut script.devices {
        device.settings.permanent_class_c = None;
    }
    script.devices[2].is_told = false;
    let summary = run(script);
    assert_content(&summary, "sessions");
    assert_eq!(summary.complete(), 2);
    assert_eq!(summary.devices[2].heard, 0);
    assert_eq!(summary.devices[2].state, State::Idle);
    let planned = summary.planned.unwrap();
    assert_eq!(planned.sessions.len(), 1);
    let first = summary.verdict.first.unwrap();
    let opens = summary.zero.us_since(planned.sessions[0].0);
    assert_eq!(opens, 0, "the session starts after the world");
    assert!(small_world::START.plus_us(first.as_us() as u64) >= planned.sessions[0].0.plus_us(9_980_000));
}

#[test]
fn a_long_campaign_goes_over_several_sessions_and_devices_follow() {
    let summary = run(sessions_of_1024_s());
    assert_content(&summary, "several sessions");
    assert_eq!(summary.complete(), 3, "{:#?}", summary.devices);
    assert!(summary.planned.unwrap().sessions.len() > 1);
}

/// The power goes in the first session, and the gateway is away until all of them are over.
fn away_for_all_sessions() -> Script {
    let mut script = sessions_of_1024_s();
    script.faults = vec![fuotad::sim::Fault::AfterSend(30)];
    script.boot_us = 12_000_000_000;
    script
}

#[test]
fn what_missed_sessions_leave_waits_and_says_so() {
    let summary = run(Script { limit_us: 40_000_000_000, ..away_for_all_sessions() });
    assert_content(&summary, "all sessions missed");
    let missed = |report: &&fuotad::report::Report| matches!(report.event, Event::SessionsMissed { .. });
    assert_eq!(summary.reports.iter().filter(missed).count(), 1, "{:#?}", summary.reports);
    let waits = summary.reports.iter().find_map(|report| match &report.event {
        Event::Waiting { reason } if reason.contains("frames are left") => Some(reason.clone()),
        _ => None,
    });
    let waits = waits.unwrap();
    assert!(waits.contains("give the task a later StartTime and tell the devices"), "{waits}");
    assert_eq!(outcome(&summary), None, "it is not over");
    assert_eq!(summary.complete(), 0);
    let frames = run(sessions_of_1024_s()).frames.len();
    assert!(summary.frames.len() < frames, "{} of {frames}", summary.frames.len());
}

#[test]
fn what_missed_sessions_leave_goes_out_in_one_that_devices_are_told() {
    let planned = run(sessions_of_1024_s()).planned.unwrap().sessions;
    let summary = run(Script { is_retold: true, ..away_for_all_sessions() });
    assert_content(&summary, "told again");
    assert_eq!(summary.complete(), 3, "{:#?}", summary.devices);
    let moved = |report: &&fuotad::report::Report| matches!(report.event, Event::SessionsMoved { .. });
    assert_eq!(summary.reports.iter().filter(moved).count(), 1, "{:#?}", summary.reports);
    let sessions = summary.planned.clone().unwrap().sessions;
    assert!(sessions.len() > planned.len(), "{} sessions, {} planned", sessions.len(), planned.len());
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))));
}

#[test]
fn what_missed_its_sessions_gives_way_to_the_next_task_of_its_group() {
    let mut script = away_for_all_sessions();
    let next = document(100, "").replace("08:00:30", "16:00:00");
    script.tasks.push(task(1_000_000_000, "task-2", next, 1000));
    script.limit_us = 60_000_000_000;
    let summary = run(script);
    assert_content(&summary, "the next one");
    let over: Vec<(String, String)> = summary
        .reports
        .iter()
        .filter_map(|report| match (&report.task, &report.event) {
            (Some(task), Event::Over(outcome)) => Some((task.to_string(), outcome.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(over.len(), 2, "{:#?}", summary.reports);
    assert_eq!(over[0].0, "task-1");
    assert!(over[0].1.starts_with("the sessions ended after "), "{over:?}");
    assert!(over[1].0 == "task-2" && over[1].1.starts_with("complete: "), "{over:?}");
}

#[test]
fn a_task_that_comes_inside_its_session_uses_what_is_left_of_it() {
    let mut script = sessions_of_1024_s();
    script.tasks[0].at_us = 500_000_000;
    script.devices.clear();
    let summary = run(script);
    assert_content(&summary, "late");
    let first = summary.frames[0].start;
    assert!((500_000_000..510_000_000).contains(&first.as_us()), "{first}");
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))));
}

#[test]
fn a_task_that_comes_after_all_its_sessions_waits_for_one_that_devices_are_told() {
    let mut script = sessions_of_1024_s();
    script.tasks[0].at_us = 30 * 3_600_000_000;
    script.limit_us = 40 * 3_600_000_000;
    let summary = run(script.clone());
    assert_eq!((summary.verdict.frames, outcome(&summary)), (0, None), "{:#?}", summary.reports);
    let summary = run(Script { is_retold: true, ..script });
    assert_content(&summary, "told");
    assert_eq!(summary.complete(), 3, "{:#?}", summary.devices);
}

#[test]
fn frames_keep_clear_of_the_edges_of_every_session() {
    // The referee sees frames outside a session; here is the guard inside of it.
    let summary = run(sessions_of_1024_s());
    let planned = summary.planned.unwrap();
    for frame in &summary.frames {
        let at = small_world::START.plus_us(frame.start.as_us() as u64);
        let is_inside = planned.sessions.iter().any(|(start, exponent)| {
            let end = start.plus_us(1_000_000 << exponent);
            // The counter is known to 15 ms, so much earlier a frame may truly be.
            at >= start.plus_us(9_980_000) && at.plus_us(planned.airtime_us + 10_000_000) <= end
        });
        assert!(is_inside, "frame {} at {}", frame.frame_no, frame.start);
    }
}

#[test]
fn a_withdrawn_task_stops_before_the_next_frame() {
    let mut script = script_of(20_000);
    let withdrawn = document(100, r#","Status":"Delete_Waiting""#);
    script.tasks.push(task(60_000_000, "task-1", withdrawn, 20_000));
    let summary = run(script);
    assert_content(&summary, "withdrawn");
    let Some(Outcome::Cancelled { sent }) = outcome(&summary) else { panic!("{:#?}", summary.reports) };
    assert!(*sent > 10);
    // At most the frames handed over before: half a second ahead.
    let last = summary.verdict.last_end.unwrap();
    assert!(last.as_us() < 60_000_000 + 700_000, "still sending at {last}");
}

#[test]
fn a_second_task_never_uses_a_counter_of_the_first() {
    let mut script = script();
    script.tasks.push(task(120_000_000, "task-2", document(50, ""), 1000));
    script.devices.truncate(1);
    let summary = run(script);
    assert_content(&summary, "two tasks");
    let over = summary.reports.iter().filter(|report| matches!(report.event, Event::Over(_))).count();
    assert_eq!(over, 2, "{:#?}", summary.reports);
    let fcnts: Vec<u32> = summary.frames.iter().map(|frame| frame.fcnt).collect();
    assert!(fcnts.windows(2).all(|pair| pair[0] < pair[1]), "{fcnts:?}");
}

#[test]
fn a_finished_task_never_runs_again() {
    let mut script = script();
    script.tasks.push(task(300_000_000, "task-1", document(100, ""), 1000));
    script.limit_us = 600_000_000;
    let frames = run(small_world::script()).frames.len();
    let summary = run(script);
    assert_eq!(summary.frames.len(), frames);
}

#[test]
fn a_key_that_nobody_enrolled_sends_nothing() {
    let mut script = script();
    script.groups[0].first_fcnt = None;
    let summary = run(script);
    assert!(refusal(&summary).contains("`fuotad group enrol meters`"), "{}", refusal(&summary));
    assert_eq!(summary.verdict.frames, 0);
}

#[test]
fn a_campaign_that_does_not_fit_the_counters_left_is_refused() {
    let mut script = script();
    script.groups[0].first_fcnt = Some(65_500);
    let summary = run(script);
    assert!(refusal(&summary).contains("65534"), "{}", refusal(&summary));
    assert_eq!(summary.verdict.frames, 0);
}

#[test]
fn an_image_that_is_not_what_was_ordered_is_never_sent() {
    let mut script = script();
    let digest = "00".repeat(32);
    script.tasks[0].document =
        document(30, "").replace(r#""Start""#, &format!(r#""Sha256":"{digest}","Start""#));
    let summary = run(script);
    assert!(refusal(&summary).contains(&digest), "{}", refusal(&summary));
    assert_eq!(summary.verdict.frames, 0);
}

#[test]
fn an_image_that_changed_between_two_lives_is_never_sent() {
    // The digest was pinned when the task was planned; after the restart another image lies there.
    let mut script = script_of(4000);
    script.faults = vec![fuotad::sim::Fault::AfterSend(40)];
    let mut world = fuotad::sim::World::new(script);
    while world.step() {
        if world.frames().len() == 30 {
            world.replace_image(image(4001)[1..].to_vec());
        }
    }
    let summary = world.summary();
    assert!(
        refusal(&summary).contains("SHA-256") || refusal(&summary).contains("digest"),
        "{}",
        refusal(&summary)
    );
    assert!(summary.frames.len() <= 40, "{} frames", summary.frames.len());
}

#[test]
fn lost_datagrams_cost_fragments_but_never_a_counter() {
    for seed in 1..20 {
        let summary = run(Script { datagram_loss_ppm: 100_000, seed, ..script_of(4000) });
        assert_content(&summary, "a tenth of the datagrams lost");
        assert_eq!(summary.complete(), 3, "seed {seed}: {:#?}", summary.devices);
        let Some(Outcome::Complete(account)) = outcome(&summary) else {
            panic!("seed {seed}: {:#?}", summary.reports)
        };
        let extra_coded =
            summary.reports.iter().filter(|report| matches!(report.event, Event::Unconfirmed { .. }));
        assert_eq!(extra_coded.count(), account.unconfirmed() as usize);
    }
}

#[test]
fn a_forwarder_that_restarts_in_mid_campaign_loses_no_device() {
    let mut script = script_of(20_000);
    script.forwarder_restarts_us = vec![30_000_000, 61_000_000, 61_500_000, 100_000_000];
    let summary = run(script);
    assert_content(&summary, "the forwarder restarts");
    assert_eq!(summary.complete(), 3, "{:#?}", summary.devices);
    let lost = summary.reports.iter().any(|report| matches!(report.event, Event::CounterLost { .. }));
    assert!(lost, "the counter of the old process must not be used on");
}

#[test]
fn without_uplinks_frames_go_out_one_by_one_as_immediate() {
    let summary = run(Script { uplinks_per_hour: 0, ..script_of(4000) });
    assert_content(&summary, "immediate");
    assert_eq!(summary.complete(), 3);
    assert_eq!(summary.swallowed, 0);
    assert!(!summary.reports.iter().any(|report| matches!(report.event, Event::CounterKnown { .. })));
}

#[test]
fn a_restart_is_no_way_around_the_law() {
    // SF12 in bursts: 128 frames fill the hour. The power goes again and again just when it is full.
    let region = parameters(RfRegion::Eu868).unwrap();
    for cuts in [vec![100], vec![127, 3, 5], vec![60, 60, 60, 60]] {
        let mut script = script_of(12_000);
        script.groups[0].data_rate = 0;
        for device in &mut script.devices {
            device.settings.permanent_class_c = Some((869_525_000, region.data_rate(0).unwrap().modulation));
        }
        script.faults = cuts.iter().map(|frame| fuotad::sim::Fault::AfterSend(*frame)).collect();
        let summary = run(script);
        assert_content(&summary, &format!("cuts after {cuts:?} frames"));
        assert_eq!(summary.complete(), 3);
        assert_eq!(summary.restarts as usize, cuts.len());
        let band = summary.verdict.bands.iter().find(|band| band.airtime_us > 0).unwrap();
        assert!(
            band.worst_window_us > 300_000_000,
            "the test must reach the limit: {}",
            band.worst_window_us
        );
    }
}

#[test]
fn a_burst_uses_the_air_that_the_law_leaves() {
    let region = parameters(RfRegion::Eu868).unwrap();
    let mut script = script_of(20_000);
    script.groups[0].data_rate = 0;
    for device in &mut script.devices {
        device.settings.permanent_class_c = Some((869_525_000, region.data_rate(0).unwrap().modulation));
    }
    let summary = run(script);
    assert_content(&summary, "burst");
    let band = summary.verdict.bands.iter().find(|band| band.airtime_us > 0).unwrap();
    let used_ppm = band.worst_window_us * 1_000_000 / band.budget_us.unwrap();
    assert!(used_ppm >= 950_000, "{used_ppm} ppm of the budget used");
}

#[test]
fn us915_has_no_duty_cycle_and_frames_follow_at_the_forwarders_pace() {
    let region = parameters(RfRegion::Us915).unwrap();
    let mut script = script_of(100_000);
    let mut group = group();
    group.frequency_hz = 923_300_000;
    group.data_rate = 13;
    group.eirp = Dbm::from_whole(26);
    script.groups = vec![group];
    script.region = region;
    script.concentrator = concentrator::Settings {
        tx_freq_min_hz: region.freq_min_hz,
        tx_freq_max_hz: region.freq_max_hz,
        ..script.concentrator
    };
    script.tasks[0].document = document(30, "")
        .replace("EU868", "US915")
        .replace(r#""FragmentSizeBytes":48"#, r#""FragmentSizeBytes":239"#);
    for device in &mut script.devices {
        device.settings.region = region;
        device.settings.permanent_class_c = Some((923_300_000, region.data_rate(13).unwrap().modulation));
    }
    let summary = run(script);
    assert_content(&summary, "US915");
    assert_eq!(summary.complete(), 3);
    let planned = summary.planned.unwrap();
    let (first, last) = (summary.verdict.first.unwrap(), summary.verdict.last_end.unwrap());
    let ideal_us = u64::try_from(summary.frames.len()).unwrap() * (planned.airtime_us + 45_000);
    let took_us = last.us_since(first);
    assert!(took_us * 10 <= ideal_us * 11, "{took_us} us for what could take {ideal_us} us");
}

#[test]
fn a_mark_keeps_the_disk_alive() {
    // EU868 DR3 at the default share: at most 80 KiB an hour, 4 KiB a synced page.
    let region = parameters(RfRegion::Eu868).unwrap();
    let mut script = script_of(100_000);
    script.groups[0].data_rate = 3;
    script.groups[0].policy =
        TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 200_000, pattern: Pattern::Even };
    script.tasks[0].document =
        document(30, "").replace(r#""FragmentSizeBytes":48"#, r#""FragmentSizeBytes":112"#);
    for device in &mut script.devices {
        device.settings.permanent_class_c = Some((869_525_000, region.data_rate(3).unwrap().modulation));
    }
    let before = run(Script { tasks: Vec::new(), limit_us: 1_000_000, ..script.clone() }).disk_bytes;
    let summary = run(script);
    assert_content(&summary, "DR3");
    let hours_ppm = summary.verdict.last_end.unwrap().us_since(summary.verdict.first.unwrap()) / 3600;
    let per_hour = (summary.disk_bytes - before) as u128 * 1_000_000 / u128::from(hours_ppm);
    println!("{per_hour} bytes an hour");
    // The journal's two files and the marks are created once; they are not wear.
    let created = 2 * 65_536 + 65_536 + 4 * 4096;
    let lasting =
        (summary.disk_bytes - before).saturating_sub(created) as u128 * 1_000_000 / u128::from(hours_ppm);
    assert!(lasting <= 80 * 1024, "{lasting} bytes an hour");
}

mod planted {
    //! The referee is worth something only if it was seen to object.
    use super::*;
    use fuotad::lorawan::multicast_frame;
    use fuotad::lorawan::open_multicast;
    use fuotad::lorawan::parse_header;
    use fuotad::sim::Tamper;
    use fuotad::sim::World;

    fn keys() -> McSessionKeys {
        McSessionKeys::derive(&small_world::mc_key(), mc_addr())
    }

    /// Opens a frame, lets `change` have its counter and payload, and makes it again.
    fn remake(phy_payload: &mut Vec<u8>, mut change: impl FnMut(&mut u32, &mut Vec<u8>)) {
        let mut fcnt = u32::from(parse_header(phy_payload).unwrap().fcnt16);
        let opened = open_multicast(&keys(), mc_addr(), fcnt, phy_payload).unwrap();
        let mut payload = opened.payload;
        change(&mut fcnt, &mut payload);
        *phy_payload = multicast_frame(&keys(), mc_addr(), fcnt, opened.fport, &payload).unwrap();
    }

    fn breaches(tamper: Tamper) -> (String, Summary) {
        let mut world = World::new(script());
        world.tamper(tamper);
        while world.step() {}
        let summary = world.summary();
        let text: Vec<String> = summary.verdict.breaches.iter().map(ToString::to_string).collect();
        (text.join("\n"), summary)
    }

    #[test]
    fn an_illegal_schedule_is_caught() {
        let mut script = script_of(12_000);
        script.groups[0].data_rate = 0;
        let mut world = World::new(script);
        // What had to wait for the hour to pass goes out half an hour early.
        world.tamper(Box::new(|transmission| {
            if transmission.start.as_us() > 3_000_000_000 {
                transmission.start = transmission.start.minus_us(1_800_000_000);
            }
        }));
        while world.step() {}
        let breaches: Vec<String> =
            world.summary().verdict.breaches.iter().map(ToString::to_string).collect();
        assert!(breaches.iter().any(|breach| breach.contains("EN 300 220")), "{breaches:#?}");
    }

    #[test]
    fn too_much_power_is_caught() {
        let (breaches, _) = breaches(Box::new(|transmission| transmission.eirp = Dbm::from_whole(30)));
        assert!(breaches.contains("30"), "{breaches}");
    }

    #[test]
    fn a_reused_counter_is_caught() {
        let (breaches, _) = breaches(Box::new(|transmission| {
            remake(&mut transmission.phy_payload, |fcnt, _| *fcnt = (*fcnt).min(10));
        }));
        assert!(breaches.contains("FCnt 10"), "{breaches}");
    }

    #[test]
    fn a_wrong_parity_line_is_caught() {
        let (breaches, summary) = breaches(Box::new(|transmission| {
            remake(&mut transmission.phy_payload, |_, payload| {
                // A coded fragment under the number of another line.
                if u16::from_le_bytes([payload[1], payload[2]]) > 21 {
                    payload[1] = payload[1].wrapping_add(1);
                }
            });
        }));
        assert!(summary.verdict.devices_complete < 3);
        assert!(breaches.contains("image"), "{breaches}");
    }

    #[test]
    fn a_corrupted_image_is_caught() {
        let (breaches, summary) = breaches(Box::new(|transmission| {
            remake(&mut transmission.phy_payload, |_, payload| payload[20] ^= 1);
        }));
        assert_eq!(summary.complete(), 0);
        assert!(breaches.contains("image"), "{breaches}");
    }

    #[test]
    fn the_same_frames_without_tampering_are_not_objected_to() {
        let (breaches, summary) =
            breaches(Box::new(|transmission| remake(&mut transmission.phy_payload, |_, _| {})));
        assert_eq!(breaches, "");
        assert_eq!(summary.complete(), 3);
    }
}

#[test]
fn a_key_with_other_bytes_has_other_counters() {
    // The journal is kept per key: a new key under the same address starts at its own first counter.
    let mut other = group();
    other.name = "others".to_owned();
    other.mc_addr = fuotad::lorawan::McAddr::new(0x01c0_fffe);
    other.keys = McSessionKeys::derive(&Secret::from_bytes([9; 16]), other.mc_addr);
    let mut script = script();
    script.groups.push(other);
    let to = |name: &str| {
        document(50, "").replace(r#""Start""#, &format!(r#""MulticastGroups":["{name}"],"Start""#))
    };
    script.tasks =
        vec![task(1_000_000, "task-1", to("meters"), 1000), task(60_000_000, "task-2", to("others"), 1000)];
    script.devices = vec![listener("lossless", 0)];
    let summary = run(script);
    assert_content(&summary, "two groups");
    assert_eq!(summary.frames.iter().filter(|frame| frame.fcnt == 2).count(), 2);
}
