//! A scenario made of a real configuration and a real order, so that a campaign can be rehearsed.

use super::error::ConfigError;
use super::file::Config;
use super::group::GroupConfig;
use super::group::WrittenKey;
use super::scenario::DeviceSection;
use super::scenario::Expect;
use super::scenario::ImageSection;
use super::scenario::Scenario;
use super::scenario::TaskSection;
use super::scenario::WorldSection;
use crate::store::FCNT_FIRST;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;

/// The gateway is there so long before the first session, microseconds: devices are told meanwhile.
const BEFORE_US: u64 = 600_000_000;
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
}

impl Scenario {
    /// The scenario in which `rehearsal` is sent by a gateway with the law, radio and groups of `config`. No key of the
    /// configuration is read: those of the scenario are nobody's. The devices have the limits of no stack.
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
            lns: None,
            devices_file: None,
            // A key of nobody is enrolled nowhere.
            first_fcnt: group.first_fcnt.or(Some(FCNT_FIRST)),
            ..group.clone()
        };
        let device = |name: &String| DeviceSection::ideal(name.clone(), rehearsal.devices, rehearsal.loss);
        let zero = rehearsal.start.as_us().saturating_sub(BEFORE_US);
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
            lns: Vec::new(),
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
