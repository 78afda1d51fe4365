//! The whole way from devices that know nothing to their images, with a gateway that dies on it.

use fuotad::config::Scenario;
use fuotad::report::Event;
use fuotad::report::Report;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::World;

/// ChirpStack takes an item once, so what may not have been published is published again, in time for a start that the
/// devices decide. With The Things Stack it is waited for, so the start is a fixed one four hours later.
const CHIRPSTACK: [&str; 3] =
    ["chirpstack", "", "start-when = { ready-percent = 100, min-ready-percent = 100, at-latest-h = 12 }"];
const THE_THINGS_STACK: [&str; 3] =
    ["the-things-stack", "tenant = \"ttn\"", "session-start = \"2026-11-22T12:00:00Z\""];

/// Three devices behind a network server, and an uplink of each every ten minutes.
fn script([kind, more, start]: [&str; 3], faults: Vec<Fault>) -> Script {
    let text = format!(
        r#"
        [world]
        start = "2026-11-22T08:00:00Z"
        limit-h = 24
        uplinks-per-hour = 60
        [image]
        generator = "lcg"
        seed = 7
        bytes = 2000
        [gateway]
        region = "EU868"
        [radio]
        frequency-hz = 869_525_000
        data-rate = 3
        [[lns]]
        name = "lns"
        kind = "{kind}"
        broker = "mqtts://lns.example.org"
        applications = ["meters"]
        {more}
        [[group]]
        name = "meters"
        mc-addr = "01c0ffee"
        mc-key = "00112233445566778899aabbccddeeff"
        first-fcnt = 2
        session = "windows"
        lns = "lns"
        {start}
        [[task]]
        name = "meters-1"
        document.FirmwareUpdateImage = "file:///meters.bin"
        document.RedundancyPercent = 50
        document.FragmentSizeBytes = 104
        [[device]]
        name = "node"
        count = 3
        stack = "lbm"
        uplink-interval-s = 600
        "#
    );
    let script = Scenario::from_text(&text).unwrap().script(None, None).unwrap();
    Script { faults, ..script }
}

fn run(script: Script) -> Summary {
    let mut world = World::new(script);
    while world.step() {}
    world.summary()
}

#[track_caller]
fn assert_whole(summary: &Summary, of: &str) {
    let breaches: Vec<&String> = summary.fields.iter().flat_map(|field| &field.breaches).collect();
    assert!(breaches.is_empty(), "{of}: {breaches:?}");
    assert!(summary.verdict.is_content(), "{of}: {:?}", summary.verdict.breaches);
    assert_eq!(summary.complete(), 3, "{of}: {:?}", summary.devices);
    // A life that ends at a question may leave the next one no time for another.
    let is_proved_or_said = |report: &Report| match &report.event {
        Event::CanariesAsked { .. } => true,
        Event::Warning { text } => summary.restarts > 0 && text.contains("without a proof"),
        _ => false,
    };
    assert!(summary.reports.iter().any(is_proved_or_said), "{of}: no canary was asked");
}

#[test]
fn a_gateway_that_dies_at_any_save_of_a_set_up_goes_on_with_it_and_every_device_gets_its_image() {
    for through in [CHIRPSTACK, THE_THINGS_STACK] {
        let kind = through[0];
        assert_whole(&run(script(through, Vec::new())), kind);
        let mut deaths = 0;
        for operation in 1.. {
            let summary = run(script(through, vec![Fault::KillAtDiskOperation(operation)]));
            if summary.restarts == 0 {
                break;
            }
            deaths += 1;
            assert_whole(&summary, &format!("{kind}, dead at operation {operation} of the disk"));
        }
        println!("{kind}: {deaths} deaths");
        assert!(deaths > 40, "{deaths}");
    }
}
