//! One gateway for the targets that need one: the only place that knows how an engine's settings are made.

use fuotad::broadcast::TurnRule;
use fuotad::campaign::Group;
use fuotad::campaign::ProfileName;
use fuotad::campaign::SessionRule;
use fuotad::engine::Settings;
use fuotad::forwarder;
use fuotad::fragment::Ts004Version;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::radio::Dbm;
use fuotad::region::RfRegion;
use fuotad::region::Terms;
use fuotad::region::parameters;
use fuotad::relay::RelaySettings;
use fuotad::relay::ServerSettings;
use fuotad::schedule::Kept;
use fuotad::schedule::Pattern;
use fuotad::schedule::TxPolicy;
use fuotad::signing::SigningTrust;
use fuotad::time::GpsTime;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

/// 2026-11-22 08:00:00 UTC, when everything begins.
pub const START: GpsTime = GpsTime::from_us(1_479_369_618_000_000);

/// Where datagrams of the forwarder are awaited.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1700);

/// Two groups in EU868: `meters` always listen, `lamps` in sessions.
pub fn settings() -> Settings {
    let lamps = Group {
        ts004_version: Ts004Version::V2,
        session: SessionRule::Windows { exponent: Some(9), start: None },
        ..group("lamps", 0x01c0_ff00)
    };
    settings_of(vec![group("meters", 0x01c0_ffee), lamps], TurnRule::InOrder, 0)
}

/// The same with other turns and so many network servers, the second of which gets uplinks only.
pub fn shared(turns: TurnRule, servers: usize) -> Settings {
    settings_of(settings().groups, turns, servers)
}

fn settings_of(groups: Vec<Group>, turns: TurnRule, servers: usize) -> Settings {
    let server = |number: usize| ServerSettings {
        name: format!("server-{number}"),
        is_uplink_only: number == 1,
        is_enforced: true,
    };
    let Ok(region) = parameters(RfRegion::Eu868) else { panic!("EU868 is known") };
    Settings {
        region,
        groups,
        trust_by_task: BTreeMap::new(),
        means: Default::default(),
        turns,
        fleets: Vec::new(),
        forwarder: forwarder::Settings::default(),
        relay: RelaySettings { servers: (0..servers).map(server).collect(), ..RelaySettings::default() },
        kept: Kept { server_reserve_ppm: if servers > 0 { 200_000 } else { 0 }, min_heard_ppm: 800_000 },
        crash_rest_us: 0,
    }
}

fn group(name: &str, mc_addr: u32) -> Group {
    let mc_addr = McAddr::new(mc_addr);
    let profile = ProfileName::Fast.profile();
    Group {
        name: name.to_owned(),
        mc_addr,
        keys: McSessionKeys::derive(&Secret::from_bytes([7; 16]), mc_addr),
        mc_key: None,
        first_fcnt: Some(2),
        ts004_version: Ts004Version::V1,
        fport: 201,
        session: SessionRule::Always,
        profile,
        frequency_hz: 869_525_000,
        data_rate: 5,
        eirp: Dbm::from_whole(27),
        terms: Terms::default(),
        policy: TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 1_000_000, pattern: Pattern::Burst },
        trust: SigningTrust::default(),
        accepts_unsigned: false,
        sessions: fuotad::campaign::SessionLimits::default(),
        is_set_up_here: false,
        answer_window: None,
        redundancy: Default::default(),
        canary_fcnts: 0,
        takes_any_image: false,
        power: Default::default(),
        guard_us: 10_000_000,
    }
}
