//! A campaign and a network server on one radio, in the simulated world: the server's downlinks go first, and what
//! is lost is counted and was announced.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use common::assert_content;
use common::document;
use common::group;
use common::outcome;
use common::run;
use common::script_of;
use fuotad::broadcast::Group;
use fuotad::radio::Modulation;
use fuotad::relay::RelaySettings;
use fuotad::relay::ServerSettings as RelayedServer;
use fuotad::report::Outcome;
use fuotad::schedule::Manners;
use fuotad::schedule::Pattern;
use fuotad::sim::NetworkScript;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::server::Manner;
use fuotad::sim::server::ServerSettings;
use fuotad::sim::server::TrafficSettings;
use fuotad::sim::server::Windows;

/// A campaign at this data rate in fragments of this size, on a gateway with a network server: 600 uplinks, about
/// 120 answers and 10 joins an hour.
fn shared(data_rate: u8, frag_size: u32, len: usize, rx_delay_s: u8, manner: Manner) -> Script {
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
    let manners = Manners { duty_share_ppm: 400_000, max_deaf_ppm: 200_000, pattern: Pattern::Even };
    script.groups = vec![Group { data_rate, manners, ..group() }];
    for device in &mut script.devices {
        let modulation = script.region.data_rate(data_rate).unwrap().modulation;
        device.settings.permanent_class_c = Some((869_525_000, modulation));
    }
    script.tasks[0].document =
        document(100, "").replace("\"FragmentSizeBytes\":48", &format!("\"FragmentSizeBytes\":{frag_size}"));
    script.uplinks_per_hour = 0;
    script.server_reserve_ppm = 100_000;
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
    assert_eq!(heard, network.server.answers.accepted, "{network:#?}");
    assert_eq!(network.server.answers.unanswered, 0, "{network:#?}");
    assert_eq!(summary.swallowed, 0);
}

#[test]
fn in_a_busy_hour_no_answer_is_lost_beside_fragments_of_less_than_800_ms() {
    for seed in 1..=5 {
        let summary = run(Script { seed, ..shared(3, 112, 12_000, 1, Manner::ChirpStack) });
        assert_content(&summary, "busy hour");
        assert!(matches!(outcome(&summary), Some(Outcome::Complete { .. })), "{:?}", outcome(&summary));
        let network = summary.network.as_ref().unwrap();
        eprintln!("{} s: {network:?} {:?}", summary.end, summary.relay);
        assert!(network.server.answers.due > 100, "{network:#?}");
        assert_eq!(network.server.answers.lost, 0, "{network:#?}");
        assert_honest(&summary);
    }
}
