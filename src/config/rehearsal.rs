//! A scenario made of a real configuration and a real order, so that a campaign can be rehearsed.

use super::error::ConfigError;
use super::file::Config;
use super::group::GroupConfig;
use super::group::SessionKind;
use super::group::WrittenKey;
use super::scenario::DeviceSection;
use super::scenario::Expect;
use super::scenario::ImageSection;
use super::scenario::Scenario;
use super::scenario::TaskSection;
use super::scenario::WorldSection;
use crate::campaign::ProfileName;
use crate::fragment::MAX_FRAGMENTS;
use crate::fragment::Ts004Version;
use crate::store::FCNT_FIRST;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;

/// The gateway is there so long before the first session, microseconds: devices are told meanwhile.
const BEFORE_US: u64 = 600_000_000;
/// The same where they are told through a network server, with an uplink an hour, microseconds.
const BEFORE_THROUGH_SERVER_US: u64 = 172_800_000_000;
/// A campaign may take a year.
const LIMIT_H: u64 = 366 * 24;

/// What is rehearsed, and with whom.
pub struct Rehearsal<'a> {
    /// Name of the order: the file's name without its ending.
    pub name: &'a str,
    /// The task document, the members of GetFuotaTask's answer.
    pub document: toml::Table,
    /// The groups that the order is for; none where the configuration has only one.
    pub groups: &'a [String],
    /// Devices in each group.
    pub devices: usize,
    /// Part of the frames that each device loses, 0 to 1.
    pub loss: f64,
    /// When the first session begins, or now.
    pub start: GpsTime,
    /// Whether the order says so.
    pub has_start: bool,
}

impl Scenario {
    /// The scenario in which `rehearsal` is sent by a gateway with the law, radio and groups of `config`. No key of the
    /// configuration is read: those of the scenario are nobody's. The devices have the limits of no stack. Those of a group
    /// with an `lns` are set up through it and asked what they miss, where they listen in sessions and have TS004 v1.
    ///
    /// # Errors
    /// An order for several groups that names none of them.
    pub fn rehearsed(config: &Config, rehearsal: Rehearsal<'_>) -> Result<Scenario, ConfigError> {
        let groups = match (rehearsal.groups, config.group.as_slice()) {
            ([], [only]) => vec![only.name.clone()],
            ([], _) => {
                let message =
                    "the order names none, and there is not one only: say which in Fuotad.MulticastGroups";
                return Err(ConfigError::value("group", message));
            }
            (named, _) => named.to_vec(),
        };
        let group = config.group.iter().filter(|group| groups.contains(&group.name));
        let keyless = |group: &GroupConfig| GroupConfig {
            mc_key: Some(WrittenKey::of_nobody()),
            mc_key_file: None,
            mc_key_credential: None,
            mc_nwk_s_key_file: None,
            mc_app_s_key_file: None,
            signing: None,
            lns: group.lns.clone().filter(|_| is_through_server(group)),
            devices_file: None,
            // Elsewhere nobody hears its devices.
            redundancy: group.redundancy.filter(|_| is_through_server(group)),
            // A key of nobody is enrolled nowhere.
            first_fcnt: group.first_fcnt.or(Some(FCNT_FIRST)),
            ..group.clone()
        };
        let of_name = |name: &String| config.group.iter().find(|group| group.name == *name);
        let device = |name: &String| {
            let ideal = DeviceSection::ideal(name.clone(), rehearsal.devices, rehearsal.loss);
            of_name(name).filter(|group| is_through_server(group)).map_or(ideal.clone(), |group| {
                DeviceSection { stack: stack(group.device_profile).to_owned(), ..unlimited(ideal) }
            })
        };
        let is_through = groups.iter().filter_map(of_name).any(is_through_server);
        let before_us = if is_through && rehearsal.has_start { BEFORE_THROUGH_SERVER_US } else { BEFORE_US };
        let zero = rehearsal.start.as_us().saturating_sub(before_us);
        Ok(Scenario {
            title: format!(
                "{} to {} device(s) of each of {}, {} % loss",
                rehearsal.name,
                rehearsal.devices,
                groups.join(", "),
                rehearsal.loss * 100.0
            ),
            world: WorldSection {
                limit_h: LIMIT_H,
                ..WorldSection::at(rfc3339_from_gps(GpsTime::from_us(zero)))
            },
            image: ImageSection { generator: "lcg".to_owned(), seed: 0, bytes: 0 },
            gateway: config.gateway.clone(),
            radio: config.radio.clone(),
            group: group.map(keyless).collect(),
            lns: if is_through { config.lns.clone() } else { Vec::new() },
            task: vec![TaskSection {
                name: rehearsal.name.to_owned(),
                at_s: 0,
                document: rehearsal.document,
            }],
            device: groups.iter().map(device).collect(),
            expect: Expect::default(),
        })
    }
}

/// Whether its devices are set up through its network server in a rehearsal, too: MICs of version 2 come from `prepare`, and
/// devices that always listen may be sent to at once, before anybody is told.
fn is_through_server(group: &GroupConfig) -> bool {
    let is_told_first = group.session() == SessionKind::Windows || group.start_when.is_some();
    group.lns.is_some() && group.ts004_version == Ts004Version::V1 && is_told_first
}

/// The stack that answers as the profile says.
fn stack(profile: ProfileName) -> &'static str {
    match profile {
        ProfileName::LoramacNode => "loramac-node",
        ProfileName::Lbm => "lbm",
        ProfileName::Zephyr => "zephyr",
        ProfileName::MultitechDot => "multitech-dot",
        ProfileName::Unknown | ProfileName::Fast => "ideal",
    }
}

/// The same without the limits of its stack.
fn unlimited(device: DeviceSection) -> DeviceSection {
    DeviceSection {
        max_fragments: Some(MAX_FRAGMENTS),
        max_fragment_size: Some(u8::MAX),
        max_lost: Some(u16::MAX),
        deaf_after_uncoded_ms: Some(0),
        deaf_after_coded_ms: Some(0),
        ..device
    }
}
