//! A small world that tests bend to their sentence.

use fuotad::broadcast::Means;
use fuotad::broadcast::TurnRule;
use fuotad::campaign::Group;
use fuotad::campaign::ProfileName;
use fuotad::campaign::SessionLimits;
use fuotad::campaign::SessionRule;
use fuotad::engine;
use fuotad::forwarder;
use fuotad::fragment::Ts004Version;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::radio::Dbm;
use fuotad::region::RfRegion;
use fuotad::region::Terms;
use fuotad::region::parameters;
use fuotad::relay::RelaySettings;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::schedule::Kept;
use fuotad::schedule::Pattern;
use fuotad::schedule::TxPolicy;
use fuotad::signing::SigningTrust;
use fuotad::sim::DeviceScript;
use fuotad::sim::Loss;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;
use fuotad::sim::World;
use fuotad::sim::device;
use fuotad::store::KeyCounters;
use fuotad::store::RangeState;
use fuotad::store::Recovered;
use fuotad::time::GpsTime;
use std::collections::BTreeMap;

/// 2026-11-22 08:00:00 UTC.
pub const START: GpsTime = GpsTime::from_us(1_479_369_618_000_000);

pub fn mc_addr() -> McAddr {
    McAddr::new(0x01c0_ffee)
}

pub fn mc_key() -> Secret {
    Secret::from_bytes(*b"a key of nobody.")
}

/// A group on EU868 DR5 that always listens and bears everything.
pub fn group() -> Group {
    Group {
        name: "meters".to_owned(),
        mc_addr: mc_addr(),
        keys: McSessionKeys::derive(&mc_key(), mc_addr()),
        mc_key: Some(mc_key()),
        first_fcnt: Some(2),
        ts004_version: Ts004Version::V1,
        fport: 201,
        session: SessionRule::Always,
        profile: ProfileName::Fast.profile(),
        frequency_hz: 869_525_000,
        data_rate: 5,
        eirp: Dbm::from_whole(27),
        terms: Terms::default(),
        policy: TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 1_000_000, pattern: Pattern::Burst },
        trust: SigningTrust::default(),
        accepts_unsigned: false,
        sessions: SessionLimits::default(),
        takes_any_image: false,
        is_set_up_here: false,
        answer_window: None,
        redundancy: Default::default(),
        canary_fcnts: 0,
        power: Default::default(),
        guard_us: 10_000_000,
    }
}

/// A state folder in which the group's key is enrolled.
pub fn enrolled() -> Recovered {
    let counters = KeyCounters { next_free: 2, ..KeyCounters::default() };
    let ranges = [(group().keys.fingerprint(), RangeState::Intact(counters))].into();
    Recovered { ranges, ..Recovered::default() }
}

/// Bytes from the generator that the scenarios name.
pub fn image(len: usize) -> Vec<u8> {
    lcg(7, len)
}

/// The generator that scenarios and vectors name, with a seed.
pub fn lcg(seed: u32, len: usize) -> Vec<u8> {
    let step = |x: &u32| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(step(&seed), step).map(|x| (x >> 24) as u8).take(len).collect()
}

/// The engine of a gateway with the one group; no network server, no reserve, no rest after crashes.
pub fn settings() -> engine::Settings {
    engine::Settings {
        region: parameters(RfRegion::Eu868).expect("EU868 is known"),
        groups: vec![group()],
        trust_by_task: BTreeMap::new(),
        means: Means { fetches: true, ..Means::default() },
        turns: TurnRule::default(),
        fleets: Vec::new(),
        forwarder: forwarder::Settings::default(),
        relay: RelaySettings::default(),
        kept: Kept::default(),
        crash_rest_us: 0,
    }
}

/// The settings of the gateway in a script.
pub fn settings_of(script: &Script) -> engine::Settings {
    engine::Settings {
        region: script.region,
        groups: script.groups.clone(),
        turns: script.turns,
        forwarder: script.link.clone(),
        relay: script.relay.clone(),
        kept: script.kept,
        ..settings()
    }
}

/// A task document that starts half a minute after the world, when all devices are set up, with more members (JSON text after a comma, or empty).
pub fn document(redundancy: u8, more: &str) -> String {
    format!(
        r#"{{"FirmwareUpdateImage":"file:///image.bin","RedundancyPercent":{redundancy},"FragmentSizeBytes":48,
            "LoRaWAN":{{"RfRegion":"EU868"}},"Fuotad":{{"Start":"2026-11-22T08:00:30Z"}}{more}}}"#
    )
}

/// An ideal device on the group's channel that loses `loss_ppm` of the frames.
pub fn listener(name: &str, loss_ppm: u32) -> DeviceScript {
    let region = parameters(RfRegion::Eu868).expect("EU868 is known");
    let root_key = RootKey::GenAppKey(Secret::from_bytes([7; 16]));
    let mut settings = device::Settings::stock(device::Stack::Ideal, name.to_owned(), root_key, region);
    settings.permanent_class_c = Some((869_525_000, region.data_rate(5).expect("DR5 is known").modulation));
    DeviceScript { settings, group: None, loss: Loss::Random { ppm: loss_ppm }, is_told: true }
}

/// 1000 B at once to three devices, one without losses; so much redundancy that luck plays no part.
pub fn script() -> Script {
    Script {
        start: START,
        groups: vec![group()],
        tasks: vec![TaskScript {
            at_us: 1_000_000,
            stem: "task-1".to_owned(),
            document: document(100, ""),
            image: image(1000),
        }],
        devices: vec![listener("lossless", 0), listener("lossy-1", 100_000), listener("lossy-2", 100_000)],
        uplinks_per_hour: 600,
        limit_us: 24 * 3_600_000_000,
        boot_us: 20_000_000,
        ..Script::new(parameters(RfRegion::Eu868).expect("EU868 is known"))
    }
}

/// The same with a longer campaign: `len` bytes.
pub fn script_of(len: usize) -> Script {
    let mut script = script();
    script.tasks[0].image = image(len);
    script
}

/// The same on US915 DR13, where no duty cycle limits.
pub fn on_us915(mut script: Script) -> Script {
    let region = parameters(RfRegion::Us915).expect("US915 is known");
    let mut group = group();
    group.frequency_hz = 923_300_000;
    group.data_rate = 13;
    group.eirp = Dbm::from_whole(26);
    script.groups = vec![group];
    script.region = region;
    script.concentrator.tx_freq_min_hz = region.freq_min_hz;
    script.concentrator.tx_freq_max_hz = region.freq_max_hz;
    script.tasks[0].document = script.tasks[0].document.replace("EU868", "US915");
    script
}

/// Runs a world to its end.
pub fn run(script: Script) -> Summary {
    let mut world = World::new(script);
    while world.step() {}
    world.summary()
}

/// How the campaign ended.
pub fn outcome(summary: &Summary) -> Option<&Outcome> {
    summary.reports.iter().find_map(|report| match &report.event {
        Event::Over(outcome) => Some(outcome),
        _ => None,
    })
}

/// Panics with everything a reader needs when the referee is not content.
pub fn assert_content(summary: &Summary, story: &str) {
    assert!(
        summary.verdict.is_content(),
        "{story}: {:#?}",
        summary.verdict.breaches.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
}
