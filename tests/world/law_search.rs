//! A search for a breach of the law: random emissions through the scheduler and random campaigns through the whole
//! engine, in all regions. The judge is the referee, who knows neither. `FUOTAD_LAW_CASES` and `FUOTAD_LAW_ENGINES` say
//! how many of each; the long search is 100000 and 1000.

use crate::support::small_world;
use crate::support::small_world::script;
use fuotad::broadcast::TurnRule;
use fuotad::campaign::Group;
use fuotad::campaign::ProfileName;
use fuotad::campaign::SessionRule;
use fuotad::fragment::Ts004Version;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::radio::Dbm;
use fuotad::radio::Modulation;
use fuotad::radio::downlink_airtime_us;
use fuotad::radio::forwarder_airtime_us;
use fuotad::region::Channel;
use fuotad::region::Parameters;
use fuotad::region::RfRegion;
use fuotad::region::SubBand;
use fuotad::region::Terms;
use fuotad::region::parameters_even_withdrawn;
use fuotad::relay::ServerSettings as RelayedServer;
use fuotad::schedule::Kept;
use fuotad::schedule::Pattern;
use fuotad::schedule::Placement;
use fuotad::schedule::Scheduler;
use fuotad::schedule::TxPolicy;
use fuotad::schedule::TxRequest;
use fuotad::sim::Fault;
use fuotad::sim::NetworkScript;
use fuotad::sim::Script;
use fuotad::sim::TaskScript;
use fuotad::sim::World;
use fuotad::sim::concentrator::Transmission;
use fuotad::sim::random::Random;
use fuotad::sim::referee::Referee;
use fuotad::sim::server::ServerSettings;
use fuotad::sim::server::TrafficSettings;
use fuotad::sim::server::Windows;
use fuotad::task::rfc3339_from_gps;
use fuotad::time::Instant;

const EMISSIONS_MAX: u64 = 200;
const GAP_US: u64 = 45_000;
const DAY_US: u64 = 24 * 3_600_000_000;

fn how_many(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn region(luck: &mut Random) -> &'static Parameters {
    parameters_even_withdrawn(RfRegion::ALL[luck.below(13) as usize])
}

/// Somewhere in a sub-band of the region, by its name where it needs one; `None` when this is no legal place.
fn channel(luck: &mut Random, region: &'static Parameters) -> Option<(Channel, Terms, Dbm)> {
    let sub_band: &SubBand = &region.sub_bands[luck.below(region.sub_bands.len() as u64) as usize];
    let rate = &region.data_rates[luck.below(region.data_rates.len() as u64) as usize];
    let half_hz = rate.modulation.occupied_bandwidth_hz() / 2;
    let frequency_hz = match region.downlink_raster {
        Some(raster) => raster.first_hz + luck.below(u64::from(raster.count)) as u32 * raster.step_hz,
        None => {
            let (low, high) = (sub_band.min_hz + half_hz + 1, sub_band.max_hz.saturating_sub(half_hz));
            luck.range(u64::from(low), u64::from(high.max(low))) as u32 / 100 * 100 + 100
        }
    };
    let terms = Terms {
        sub_band: sub_band.needs_opt_in.then(|| sub_band.label.to_owned()),
        listens_before_talk: true,
        downlink_dwell: false,
        antenna_gain: None,
    };
    let eirp = region.default_eirp(&terms, frequency_hz);
    let channel = region.check_under(&terms, frequency_hz, rate.dr, eirp).ok()?;
    Some((channel, terms, eirp))
}

fn policy(luck: &mut Random) -> TxPolicy {
    let shares = [1_000_000, 400_000, 900_000, 50_000];
    TxPolicy {
        duty_share_ppm: shares[luck.below(4) as usize],
        max_deaf_ppm: shares[luck.below(3) as usize],
        pattern: if luck.chance_ppm(500_000) { Pattern::Even } else { Pattern::Burst },
    }
}

/// A frame of a group whose header and counter are in order, as the antenna radiates it.
fn transmission(
    start: Instant,
    request: &TxRequest,
    eirp: Dbm,
    mc_addr: u32,
    phy_len: usize,
) -> Transmission {
    let mut phy_payload = vec![0x60];
    phy_payload.extend(mc_addr.to_le_bytes());
    phy_payload.resize(phy_len, 0);
    let is_lora = matches!(request.channel.modulation, Modulation::LoRa { .. });
    let preamble_symbols = match request.channel.modulation {
        Modulation::LoRa { sf: 5 | 6, .. } => 12,
        Modulation::LoRa { .. } => 8,
        Modulation::Gfsk { .. } => 5,
    };
    Transmission {
        start,
        airtime_us: request.airtime_us,
        frequency_hz: request.channel.frequency_hz,
        modulation: request.channel.modulation,
        eirp,
        phy_payload,
        inverted_iq: is_lora,
        crc: !is_lora,
        preamble_symbols,
    }
}

/// One way to send: whose, where, how long.
struct Sender {
    mc_addr: u32,
    channel: Channel,
    terms: Terms,
    eirp: Dbm,
    phy_len: usize,
    policy: TxPolicy,
}

fn senders(luck: &mut Random, region: &'static Parameters) -> Vec<Sender> {
    let wanted = 1 + luck.below(3) as usize;
    let mut senders: Vec<Sender> = Vec::new();
    for _ in 0..40 {
        let Some((channel, terms, eirp)) = channel(luck, region) else { continue };
        let Ok(payload) = region.max_payload(&channel, false) else { continue };
        let phy_len = 14 + luck.below(payload as u64) as usize;
        let mc_addr = 0x0100_0000 + senders.len() as u32;
        senders.push(Sender { mc_addr, channel, terms, eirp, phy_len, policy: policy(luck) });
        if senders.len() == wanted {
            break;
        }
    }
    senders
}

/// What one case put on the air, and what the referee objects to.
fn scheduler_case(seed: u64) -> (u64, Vec<String>) {
    let mut luck = Random::new(seed);
    let region = region(&mut luck);
    let senders = senders(&mut luck, region);
    let reserve_ppm = [0, 100_000, 500_000][luck.below(3) as usize];
    let min_heard_ppm = [0, 800_000, 980_000][luck.below(3) as usize];
    let kept = Kept { server_reserve_ppm: reserve_ppm, min_heard_ppm };
    let mut scheduler = Scheduler::of(region, kept);
    let mut air: Vec<Transmission> = Vec::new();
    let mut now = Instant::ZERO;
    // Busy, usual and lazy: up to a second, a minute, half an hour between two wishes.
    let pause_us = [1_000_000, 60_000_000, 1_800_000_000][luck.below(3) as usize];
    for _ in 0..1 + luck.below(EMISSIONS_MAX) {
        now = now.plus_us(luck.below(pause_us));
        if luck.chance_ppm(10_000) {
            // A restart: what was planned and not sent is gone, the ledger comes back in minutes.
            air.retain(|other| other.start <= now);
            let minutes = scheduler.minutes(now);
            let away_us = 5_000_000 + luck.below(1_800_000_000);
            now = now.plus_us(away_us);
            scheduler = Scheduler::of(region, kept);
            // With a trusted clock the time away counts, without one it does not.
            let elapsed_us = if luck.chance_ppm(500_000) { away_us } else { 0 };
            scheduler.restore(now, elapsed_us, &minutes);
        }
        let Some(sender) = senders.get(luck.below(senders.len() as u64) as usize) else { break };
        let airtime_us = downlink_airtime_us(sender.channel.modulation, sender.phy_len);
        // Mostly soon, sometimes far ahead, so that others are placed before it later.
        let ahead_us = if luck.chance_ppm(100_000) { 3_600_000_000 } else { 2_000_000 };
        let request = TxRequest {
            channel: sender.channel,
            airtime_us,
            queue_slot_us: forwarder_airtime_us(sender.channel.modulation, sender.phy_len),
            earliest: now.plus_us(luck.below(ahead_us)),
            until: None,
            need_us: 0,
            gap_us: GAP_US,
            lead_us: 0,
            open_us: 0,
            policy: sender.policy,
        };
        let Placement::At(start) = scheduler.place(now, &request) else { continue };
        assert!(start >= request.earliest, "seed {seed}: {start} is before {}", request.earliest);
        let booking = scheduler.commit(start, &request);
        if luck.chance_ppm(100_000) {
            scheduler.refund(booking);
        } else {
            air.push(transmission(start, &request, sender.eirp, sender.mc_addr, sender.phy_len));
        }
    }
    (air.len() as u64, judge(region, &senders, air))
}

/// The referee's objections to what was on the air, in order of start. Counters are given here: no subject of this.
fn judge(region: &'static Parameters, senders: &[Sender], mut air: Vec<Transmission>) -> Vec<String> {
    let mut referee = Referee::new(region);
    for sender in senders {
        referee.group(sender.mc_addr);
        referee.always(sender.mc_addr);
        referee.terms(sender.mc_addr, sender.terms.sub_band.as_deref(), false);
    }
    air.sort_by_key(|transmission| transmission.start);
    for (fcnt, transmission) in (2_u16..).zip(&mut air) {
        transmission.phy_payload[6..8].copy_from_slice(&fcnt.to_le_bytes());
        transmission.phy_payload[8] = 201;
        referee.on_air(transmission);
    }
    referee.verdict(&[]).breaches.iter().map(ToString::to_string).collect()
}

#[test]
fn random_emissions_of_any_region_break_no_law() {
    let cases = how_many("FUOTAD_LAW_CASES", 10_000);
    let mut emissions = 0;
    for seed in 0..cases {
        let (sent, breaches) = scheduler_case(seed);
        emissions += sent;
        assert!(breaches.is_empty(), "seed {seed}: {breaches:#?}");
    }
    println!("{cases} cases, {emissions} emissions, no breach");
    assert!(emissions > 20 * cases, "only {emissions} emissions: the search looks at nothing");
}

/// The judge must be able to object: frames that follow each other as closely as they can are caught.
#[test]
fn the_same_emissions_without_a_scheduler_are_objected_to() {
    let mut luck = Random::new(5);
    let region = parameters_even_withdrawn(RfRegion::Eu868);
    let senders = senders(&mut luck, region);
    let sender = &senders[0];
    let airtime_us = downlink_airtime_us(sender.channel.modulation, sender.phy_len);
    let request = TxRequest {
        channel: sender.channel,
        airtime_us,
        queue_slot_us: airtime_us,
        earliest: Instant::ZERO,
        until: None,
        need_us: 0,
        gap_us: GAP_US,
        lead_us: 0,
        open_us: 0,
        policy: sender.policy,
    };
    let frames = 3_600_000_000 / (airtime_us + GAP_US);
    let at = |n: u64| Instant::ZERO.plus_us(n * (airtime_us + GAP_US));
    let air = (0..frames.min(60_000))
        .map(|n| transmission(at(n), &request, sender.eirp, sender.mc_addr, sender.phy_len));
    let breaches = judge(region, &senders, air.collect());
    assert!(breaches.iter().any(|breach| breach.contains("EN 300 220")), "{breaches:?}");
}

/// A day of one campaign at the whole share, evenly paced, on the region's second receive window.
fn a_day_of(name: RfRegion) -> Script {
    const DR: u8 = 3;
    let region = parameters_even_withdrawn(name);
    let frequency_hz = region.rx2.frequency_hz;
    let base = script();
    let group = Group {
        frequency_hz,
        data_rate: DR,
        eirp: region.default_eirp(&Terms::default(), frequency_hz),
        policy: TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 1_000_000, pattern: Pattern::Even },
        ..small_world::group()
    };
    let document = format!(
        r#"{{"FirmwareUpdateImage":"file:///image.bin","RedundancyPercent":30,
            "LoRaWAN":{{"RfRegion":"{name}","StartTime":"2026-11-22T08:00:30Z"}}}}"#
    );
    let channel = region.check(frequency_hz, DR, group.eirp).unwrap();
    let frag_size = (region.max_payload(&channel, false).unwrap() - 3) / 8 * 8;
    let sub_band = region.sub_band(channel.sub_band).unwrap();
    let airtime_us = downlink_airtime_us(channel.modulation, frag_size + 16);
    let frames = DAY_US / 1_000_000 * u64::from(sub_band.duty_ppm) / airtime_us;
    let task = TaskScript {
        at_us: 1_000_000,
        stem: "task-1".to_owned(),
        document,
        image: small_world::image(frames as usize * 4 / 5 * frag_size),
    };
    Script {
        region,
        groups: vec![group],
        tasks: vec![task],
        devices: Vec::new(),
        concentrator: fuotad::sim::concentrator::Settings {
            tx_freq_min_hz: region.freq_min_hz,
            tx_freq_max_hz: region.freq_max_hz,
            ..base.concentrator
        },
        limit_us: DAY_US + 30_000_000,
        ..base
    }
}

#[test]
fn a_day_uses_at_least_95_per_cent_of_what_the_law_leaves() {
    for region in [RfRegion::Eu868, RfRegion::Ru864, RfRegion::As923_1, RfRegion::Eu433] {
        let mut world = World::new(a_day_of(region));
        while world.step() {}
        let summary = world.summary();
        assert!(summary.verdict.is_content(), "{region}: {:?}", summary.verdict.breaches.first());
        let band = summary.verdict.bands.iter().find(|band| band.airtime_us > 0).unwrap();
        let used_ppm = band.airtime_us * 1_000_000 / (24 * band.budget_us.unwrap());
        println!("{region} {}: {} frames, {used_ppm} ppm of the law", band.label, summary.verdict.frames);
        assert!(used_ppm >= 950_000, "{region}: {used_ppm} ppm");
    }
}

/// The same day with a network server on the same radio: 600 uplinks, 120 answers and 10 joins an hour.
fn a_busy_day_of(name: RfRegion, uplink_hz: &[u32]) -> Script {
    let mut script = a_day_of(name);
    let rx2 = &script.region.rx2;
    let windows = Windows {
        rx2_frequency_hz: rx2.frequency_hz,
        rx2_modulation: Modulation::LoRa { sf: 9, bw_hz: 125_000 },
        ..Windows::default()
    };
    let rates = || (7..=9).map(|sf| Modulation::LoRa { sf, bw_hz: 125_000 }).collect::<Vec<_>>();
    let devices: Vec<u32> = (0..100).map(|n| 0x2601_1000 + n).collect();
    script.network = Some(NetworkScript {
        server: ServerSettings {
            class_a: devices.iter().copied().collect(),
            answered_ppm: 200_000,
            windows,
            power_dbm: 12,
            ..ServerSettings::default()
        },
        traffic: TrafficSettings {
            devices,
            uplinks_per_hour: 600,
            joins_per_hour: 10,
            confirmed_ppm: 0,
            channels: uplink_hz.iter().map(|hz| (*hz, rates())).collect(),
            windows,
            ..TrafficSettings::default()
        },
        backhaul_us: 30_000,
    });
    script.relay.servers =
        vec![RelayedServer { name: "lns:1700".to_owned(), is_uplink_only: false, is_enforced: false }];
    script.kept = Kept { server_reserve_ppm: 100_000, min_heard_ppm: 800_000 };
    script.uplinks_per_hour = 0;
    script
}

#[test]
fn a_busy_day_uses_at_least_95_per_cent_of_what_the_law_and_the_servers_reserve_leave() {
    let days: [(RfRegion, &[u32]); 4] = [
        (RfRegion::Eu868, &[868_100_000, 868_300_000, 868_500_000]),
        (RfRegion::Ru864, &[868_900_000, 869_100_000]),
        (RfRegion::As923_1, &[923_200_000, 923_400_000]),
        (RfRegion::Eu433, &[433_175_000, 433_375_000, 433_575_000]),
    ];
    for (region, uplink_hz) in days {
        let mut world = World::new(a_busy_day_of(region, uplink_hz));
        while world.step() {}
        let summary = world.summary();
        assert!(summary.verdict.is_content(), "{region}: {:?}", summary.verdict.breaches.first());
        let answers = summary.network.unwrap().server.answers;
        let band = summary.verdict.bands.iter().max_by_key(|band| band.airtime_us).unwrap();
        let left_us = 24 * band.budget_us.unwrap() / 10 * 9;
        let used_ppm = band.airtime_us * 1_000_000 / left_us;
        println!(
            "{region} {}: {} frames, {used_ppm} ppm of what is left; {} answers, {} met a frame of ours, {} lost",
            band.label, summary.verdict.frames, answers.due, summary.relay.collided, answers.lost
        );
        assert!(used_ppm >= 950_000, "{region}: {used_ppm} ppm");
        assert!(answers.due > 2500, "{region}: {answers:?}");
        assert!(answers.lost <= summary.relay.collided + summary.relay.overlapped, "{region}: {answers:?}");
    }
}

/// Up to three groups anywhere in a region, with a task each.
fn random_script(seed: u64) -> Script {
    let mut luck = Random::new(seed);
    let region = region(&mut luck);
    let mut groups: Vec<Group> = Vec::new();
    let mut tasks = Vec::new();
    // The simulated forwarder's gain table begins at 12 dBm: a lower power is aborted after its first frame.
    for sender in senders(&mut luck, region).into_iter().filter(|one| one.eirp >= Dbm::from_whole(12)) {
        let n = groups.len() as u32 + 1;
        let mc_addr = McAddr::new(sender.mc_addr);
        let is_window = luck.chance_ppm(300_000);
        let profiles =
            [ProfileName::Unknown, ProfileName::Fast, ProfileName::LoramacNode, ProfileName::Zephyr];
        groups.push(Group {
            name: format!("group-{n}"),
            mc_addr,
            keys: McSessionKeys::derive(&Secret::from_bytes([n as u8; 16]), mc_addr),
            frequency_hz: sender.channel.frequency_hz,
            data_rate: sender.channel.dr,
            eirp: sender.eirp,
            terms: sender.terms,
            policy: sender.policy,
            profile: profiles[luck.below(4) as usize].profile(),
            ts004_version: if luck.chance_ppm(500_000) { Ts004Version::V1 } else { Ts004Version::V2 },
            session: if is_window {
                SessionRule::Windows { exponent: None, start: None }
            } else {
                SessionRule::Always
            },
            ..small_world::group()
        });
        let start = rfc3339_from_gps(small_world::START.plus_us(30_000_000 + luck.below(600) * 1_000_000));
        let document = format!(
            r#"{{"FirmwareUpdateImage":"file:///image.bin","RedundancyPercent":{},
                "LoRaWAN":{{"RfRegion":"{}","StartTime":"{start}"}},
                "Fuotad":{{"MulticastGroups":["group-{n}"]}}}}"#,
            luck.below(101),
            region.region,
        );
        let image = small_world::image(1 + luck.below(1500) as usize);
        tasks.push(TaskScript { at_us: luck.below(20_000_000), stem: format!("task-{n}"), document, image });
    }
    let faults = (0..luck.below(3)).map(|_| match luck.below(3) {
        0 => Fault::BeforeSend(1 + luck.below(40)),
        1 => Fault::AfterSend(1 + luck.below(40)),
        _ => Fault::Kill(1 + luck.below(40)),
    });
    let base = script();
    Script {
        region,
        seed,
        faults: faults.collect(),
        concentrator: fuotad::sim::concentrator::Settings {
            tx_freq_min_hz: region.freq_min_hz,
            tx_freq_max_hz: region.freq_max_hz,
            ..base.concentrator
        },
        groups,
        tasks,
        turns: if luck.chance_ppm(500_000) { TurnRule::Fairly } else { TurnRule::InOrder },
        devices: Vec::new(),
        uplinks_per_hour: [0, 6, 600][luck.below(3) as usize],
        datagram_loss_ppm: [0, 0, 50_000][luck.below(3) as usize],
        limit_us: 200 * 3_600_000_000,
        ..base
    }
}

#[test]
fn random_campaigns_of_any_region_break_no_law() {
    let engines = how_many("FUOTAD_LAW_ENGINES", 100);
    let (mut frames, mut refused) = (0, 0);
    for seed in 0..engines {
        let mut world = World::new(random_script(seed));
        while world.step() {}
        let summary = world.summary();
        let breaches: Vec<String> = summary.verdict.breaches.iter().map(ToString::to_string).collect();
        assert!(breaches.is_empty(), "seed {seed}: {breaches:#?}");
        frames += summary.verdict.frames;
        refused += u64::from(summary.refusal().is_some());
    }
    println!("{engines} engines, {frames} frames, {refused} with a refusal, no breach");
    assert!(frames > 10 * engines, "only {frames} frames: the search looks at nothing");
}
