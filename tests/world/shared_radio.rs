//! A campaign and a network server on one radio, in the simulated world: the server's downlinks go first, and what
//! is lost is counted and was announced.

use crate::support::small_world::assert_content;
use crate::support::small_world::document;
use crate::support::small_world::group;
use crate::support::small_world::outcome;
use crate::support::small_world::run;
use crate::support::small_world::script_of;
use fuotad::campaign::Group;
use fuotad::radio::Modulation;
use fuotad::relay::RelaySettings;
use fuotad::relay::ServerSettings as RelayedServer;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::schedule::Kept;
use fuotad::schedule::Pattern;
use fuotad::schedule::TxPolicy;
use fuotad::sim::NetworkScript;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::faulty_link::FaultyLinkSettings;
use fuotad::sim::referee::Breach;
use fuotad::sim::server::Manner;
use fuotad::sim::server::Multicast;
use fuotad::sim::server::ServerSettings;
use fuotad::sim::server::TrafficSettings;
use fuotad::sim::server::Windows;

/// A campaign at this data rate in fragments of this size, on a gateway with a network server: 600 uplinks, about
/// 120 answers and 10 joins an hour.
pub fn shared(data_rate: u8, frag_size: u32, len: usize, rx_delay_s: u8, manner: Manner) -> Script {
    let windows = Windows {
        rx_delay_s,
        rx2_modulation: Modulation::LoRa { sf: 9, bw_hz: 125_000 },
        ..Windows::default()
    };
    let rates = || (7..=9).map(|sf| Modulation::LoRa { sf, bw_hz: 125_000 }).collect::<Vec<_>>();
    let devices: Vec<u32> = (0..100).map(|n| 0x2601_1000 + n).collect();
    let network = NetworkScript {
        server: ServerSettings {
            manner,
            class_a: devices.iter().copied().collect(),
            answered_ppm: 200_000,
            windows,
            ..ServerSettings::default()
        },
        traffic: TrafficSettings {
            devices,
            uplinks_per_hour: 600,
            joins_per_hour: 10,
            confirmed_ppm: 0,
            channels: [868_100_000, 868_300_000, 868_500_000].map(|hz| (hz, rates())).into(),
            windows,
            ..TrafficSettings::default()
        },
        backhaul_us: 30_000,
    };
    let mut script = script_of(len);
    let policy = TxPolicy { duty_share_ppm: 400_000, max_deaf_ppm: 200_000, pattern: Pattern::Even };
    script.groups = vec![Group { data_rate, policy, ..group() }];
    for device in &mut script.devices {
        let modulation = script.region.data_rate(data_rate).unwrap().modulation;
        device.settings.permanent_class_c = Some((869_525_000, modulation));
    }
    script.tasks[0].document =
        document(100, "").replace("\"FragmentSizeBytes\":48", &format!("\"FragmentSizeBytes\":{frag_size}"));
    script.uplinks_per_hour = 0;
    script.kept = Kept { server_reserve_ppm: 100_000, min_heard_ppm: 0 };
    script.relay = RelaySettings {
        servers: vec![RelayedServer {
            name: "lns:1700".to_owned(),
            is_uplink_only: false,
            is_enforced: false,
        }],
        ..RelaySettings::default()
    };
    script.network = Some(network);
    script
}

/// Every answer that the server's gateway accepted was on the air in its window, and the server knows of every
/// one that was not.
fn assert_honest(summary: &Summary) {
    let network = summary.network.as_ref().unwrap();
    let heard = network.traffic.rx1 + network.traffic.rx2;
    // The last answer may still be under way when the world ends.
    let underway = network.server.answers.accepted - heard;
    assert!(underway <= 1, "{underway} accepted answers were not heard: {network:#?}");
    assert_eq!(network.server.answers.unanswered, 0, "{network:#?}");
    assert_eq!(summary.swallowed, 0);
}

#[test]
fn in_a_busy_hour_no_answer_is_lost_through_us_beside_fragments_of_less_than_800_ms() {
    for (pattern, len) in [(Pattern::Even, 12_000), (Pattern::Burst, 20_000)] {
        for (seed, manner) in
            [(1, Manner::ChirpStack), (2, Manner::TheThingsStack), (3, Manner::TheThingsStack)]
        {
            let mut script = Script { seed, ..shared(3, 112, len, 1, manner) };
            script.groups[0].policy.pattern = pattern;
            let summary = run(script);
            assert_content(&summary, "busy hour");
            assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))), "{:?}", outcome(&summary));
            let network = summary.network.as_ref().unwrap();
            assert!(network.server.answers.due > 100, "{network:#?}");
            assert_eq!(summary.relay.collided, 0, "{network:#?}");
            assert!(network.server.answers.lost <= summary.relay.overlapped, "{network:#?}");
            assert_honest(&summary);
        }
    }
}

#[test]
fn fragments_of_three_seconds_cost_no_answer_where_devices_wait_five_seconds() {
    for manner in [Manner::ChirpStack, Manner::TheThingsStack] {
        for seed in 1..=3 {
            let summary = run(Script { seed, ..shared(0, 48, 2000, 5, manner) });
            assert_content(&summary, "five seconds");
            let network = summary.network.as_ref().unwrap();
            assert!(network.server.answers.due > 50, "{network:#?}");
            // Two answers of one server can want the same moment; that is not our doing.
            assert_eq!(summary.relay.collided, 0, "{manner:?} {network:#?}");
            assert!(network.server.answers.lost <= summary.relay.overlapped, "{manner:?} {network:#?}");
            assert_honest(&summary);
        }
    }
}

#[test]
fn fragments_of_three_seconds_before_rx1_after_one_second_are_counted_where_they_meet_an_answer() {
    let mut collided = 0;
    for seed in 1..=8 {
        let mut script = Script { seed, ..shared(0, 48, 2000, 1, Manner::TheThingsStack) };
        if let Some(network) = &mut script.network {
            network.server.answered_ppm = 350_000;
        }
        let summary = run(script);
        assert_content(&summary, "one second");
        let network = summary.network.as_ref().unwrap();
        let told = network.server.errors.get("COLLISION_PACKET").copied().unwrap_or(0);
        let counted = summary.relay.collided + summary.relay.overlapped;
        assert_eq!(told, counted, "{network:#?} {:?}", summary.relay);
        assert_eq!(network.server.answers.lost, network.server.answers.refused, "{network:#?}");
        assert_honest(&summary);
        collided += summary.relay.collided;
    }
    let planned = |script| run(script).planned.unwrap();
    let warns = |script| planned(script).warnings.iter().any(|text| text.contains("COLLISION_PACKET"));
    assert!(warns(shared(0, 48, 1000, 1, Manner::TheThingsStack)), "the plan had said so");
    assert!(
        !warns(shared(3, 112, 1000, 1, Manner::TheThingsStack)),
        "and says nothing where it does not matter"
    );
    assert!(collided > 0, "three seconds of sending and never in the way: the test is too kind");
}

#[test]
fn a_collision_in_rx1_becomes_an_answer_in_rx2_with_a_server_that_tries_again() {
    let mut second = 0;
    for seed in 1..=5 {
        // Fragments of 1.5 s: longer than RX1 is away, shorter than RX2.
        let summary = run(Script { seed, ..shared(1, 48, 4000, 1, Manner::ChirpStack) });
        assert_content(&summary, "second try");
        let network = summary.network.as_ref().unwrap();
        assert_eq!(network.server.answers.lost, 0, "{network:#?}");
        assert_honest(&summary);
        second += network.traffic.rx2;
    }
    assert!(second > 0, "RX2 was never needed: the test is too kind");
}

#[test]
fn class_c_downlinks_of_the_server_find_their_place_between_fragments() {
    for manner in [Manner::ChirpStack, Manner::TheThingsStack] {
        let mut script = shared(3, 112, 8000, 1, manner);
        let network = script.network.as_mut().unwrap();
        network.server.class_c_per_hour = 200;
        network.server.class_c = network.server.class_a.clone();
        let summary = run(script);
        assert_content(&summary, "class C");
        let network = summary.network.as_ref().unwrap();
        assert!(network.server.class_c.due > 50, "{network:#?}");
        let class_c = network.server.class_c;
        let told = network.server.errors.get("COLLISION_PACKET").copied().unwrap_or(0);
        assert_eq!((class_c.unanswered, summary.swallowed), (0, 0), "{manner:?} {network:#?}");
        assert_eq!(told, summary.relay.collided + summary.relay.overlapped, "{network:#?}");
    }
}

#[test]
fn a_server_that_sends_to_our_group_is_reported_and_the_group_pauses() {
    let mut script = shared(5, 112, 40_000, 1, Manner::ChirpStack);
    let network = script.network.as_mut().unwrap();
    let keys = Some(group().keys);
    network.server.multicast = Some(Multicast { dev_addr: 0x01c0_ffee, every_us: 120_000_000, keys });
    script.limit_us = 3_600_000_000;
    let summary = run(script);
    let seen =
        |wanted: fn(&Event) -> bool| summary.reports.iter().filter(|report| wanted(&report.event)).count();
    assert!(seen(|event| matches!(event, Event::SecondSender { mc_addr: 0x01c0_ffee, .. })) > 0);
    let last = summary.frames.last().map(|frame| frame.start.as_us()).unwrap();
    assert!((100_000_000..122_000_000).contains(&last), "the last frame of ours began at {last} us");
    assert_eq!(summary.swallowed, 0);
}

#[test]
fn a_server_that_sends_to_our_group_without_its_key_is_told_once_and_stops_nothing() {
    let mut script = shared(5, 112, 10_000, 1, Manner::ChirpStack);
    let network = script.network.as_mut().unwrap();
    network.server.multicast = Some(Multicast { dev_addr: 0x01c0_ffee, every_us: 10_000_000, keys: None });
    let summary = run(script);
    let told = summary.reports.iter().filter(|report| matches!(report.event, Event::WrongMic { .. })).count();
    assert_eq!(told, 1);
    assert!(summary.relay.wrong_mic > 3, "{:?}", summary.relay);
    assert!(matches!(outcome(&summary), Some(Outcome::Complete(_))), "{:?}", outcome(&summary));
}

#[test]
fn an_empty_air_is_used_to_the_share_although_a_server_might_speak() {
    let quiet = |network: bool| {
        let mut script = shared(3, 112, 12_000, 1, Manner::ChirpStack);
        script.network.as_mut().unwrap().traffic.uplinks_per_hour = 4;
        if !network {
            script.network = None;
            script.relay = RelaySettings::default();
            script.uplinks_per_hour = 4;
        }
        run(script).frames.last().unwrap().start.as_us()
    };
    assert!(quiet(true) < quiet(false) + 10_000_000, "{} {}", quiet(true), quiet(false));
}

/// A downlink of the server in RX1 of which the wire turned over one digit of the frequency. Ours are sent in RX2.
fn is_a_flipped_digit(breach: &Breach) -> bool {
    let Breach::OutsideSubBands { frequency_hz, .. } = breach else { return false };
    [868_100_000_u32, 868_300_000, 868_500_000].iter().any(|channel_hz| {
        let (sent, asked) = (frequency_hz.to_string(), channel_hz.to_string());
        sent.len() == asked.len() && sent.bytes().zip(asked.bytes()).filter(|(a, b)| a != b).count() == 1
    })
}

#[test]
fn datagrams_that_are_lost_doubled_late_or_damaged_break_no_law_and_stop_no_campaign() {
    let faulty_link = FaultyLinkSettings {
        lost_ppm: 100_000,
        duplicated_ppm: 300_000,
        reordered_ppm: 300_000,
        held_back_us: 5_000_000,
        truncated_ppm: 20_000,
        flipped_ppm: 20_000,
        ..FaultyLinkSettings::default()
    };
    for seed in 1..=100 {
        let mut summary = run(Script { seed, faulty_link, ..shared(3, 112, 4000, 1, Manner::ChirpStack) });
        summary.verdict.breaches.retain(|breach| !is_a_flipped_digit(breach));
        assert!(summary.verdict.breaches.is_empty(), "seed {seed}: {:?}", summary.verdict.breaches);
        assert!(outcome(&summary).is_some(), "seed {seed}: the campaign did not end");
    }
}
