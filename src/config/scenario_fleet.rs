//! The `[[lns]]` of a scenario: its devices are set up as those of a configuration, with keys that are nobody's.

use super::error::ConfigError;
use super::fleet::fleets_of;
use super::group::GroupConfig;
use super::lns::check_lean;
use super::scenario::DeviceSection;
use super::scenario::Scenario;
use crate::campaign::Group;
use crate::engine;
use crate::engine::FleetSettings;
use crate::fleet::Batch;
use crate::fleet::Member;
use crate::fragment::Ts004Version;
use crate::lorawan::Eui64;
use crate::lorawan::encrypt_mc_key;
use crate::lorawan::mc_ke_key;
use crate::sim::DeviceScript;
use crate::sim::lns::FieldDevice;
use crate::sim::lns::FieldScript;

/// DevEUI of the device before the first.
const BEFORE_FIRST: u64 = 0x70b3_d57e_d000_0000;
/// Nobody sends more seldom than once a week, seconds.
const INTERVAL_MAX_S: u64 = 604_800;

impl Scenario {
    /// The fleets of groups behind an `[[lns]]`, and the application side of each.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub(super) fn through_servers(
        &self,
        settings: &engine::Settings,
        devices: &[DeviceScript],
    ) -> Result<(Vec<FleetSettings>, Vec<FieldScript>), ConfigError> {
        for group in &self.group {
            let wrong = |key: &str, message: String| {
                Err(ConfigError::value(format!("group {}.{key}", group.name), message))
            };
            check_lean(group)?;
            let Some(name) = &group.lns else { continue };
            if !self.lns.iter().any(|server| server.name == *name) {
                return wrong("lns", format!("there is no [[lns]] {name:?}: write one, or leave it out"));
            }
            if group.ts004_version == Ts004Version::V2 {
                let message =
                    "MICs for devices of version 2 come from `fuotad prepare`, not from a scenario: write 1";
                return wrong("ts004-version", message.to_owned());
            }
        }
        let members = |group: &GroupConfig| Some(members(group, devices));
        let fleets = fleets_of(&self.lns, &self.group, &members, settings.region)?;
        let sections = self.device.iter().flat_map(|section| core::iter::repeat_n(section, section.count));
        let placed: Vec<(usize, (&DeviceSection, &DeviceScript))> =
            sections.zip(devices).enumerate().collect();
        let mut fields = Vec::new();
        for (link, server) in self.lns.iter().enumerate() {
            let mut field = FieldScript { dialect: server.kind, is_air_shared: false, devices: Vec::new() };
            for group in fleets.iter().filter(|fleet| fleet.link == link) {
                let of_group = settings.groups.iter().find(|known| known.name == group.group);
                let theirs = placed.iter().filter(|(_, (_, device))| device.is_in(&group.group));
                for (place, (section, device)) in theirs {
                    field.devices.push(field_device(*place, section, device, of_group)?);
                }
            }
            fields.push(field);
        }
        Ok((fleets, fields))
    }
}

fn members(group: &GroupConfig, devices: &[DeviceScript]) -> Vec<Member> {
    let Some(mc_key) = group.mc_key.as_ref().map(super::group::WrittenKey::secret) else { return Vec::new() };
    let theirs = devices.iter().enumerate().filter(|(_, device)| device.is_in(&group.name));
    let member = |(place, device): (usize, &DeviceScript)| Member {
        dev_eui: dev_eui(place),
        name: device.settings.name.clone(),
        mc_key_encrypted: encrypt_mc_key(&mc_ke_key(&device.settings.root_key.mc_root_key()), &mc_key),
        batch: Batch::named(&group.name),
        session_mics: None,
    };
    theirs.map(member).collect()
}

fn field_device(
    place: usize,
    section: &DeviceSection,
    device: &DeviceScript,
    group: Option<&Group>,
) -> Result<FieldDevice, ConfigError> {
    let wrong = |key: &str, message: String| {
        Err(ConfigError::value(format!("device {}.{key}", section.name), message))
    };
    if !(1..=INTERVAL_MAX_S).contains(&section.uplink_interval_s) {
        let message = format!("{} is outside 1 to {INTERVAL_MAX_S}, in seconds", section.uplink_interval_s);
        return wrong("uplink-interval-s", message);
    }
    if !(0.0..=1.0).contains(&section.uplink_loss) {
        return wrong("uplink-loss", format!("{} is outside 0..=1", section.uplink_loss));
    }
    let Some(group) = group else { return wrong("group", "there is no such group".to_owned()) };
    let guard_us = group.guard_us;
    Ok(FieldDevice {
        mc_addr: group.mc_addr,
        device: place,
        dev_eui: dev_eui(place),
        interval_us: section.uplink_interval_s * 1_000_000,
        loss_ppm: (section.uplink_loss * 1e6).round() as u32,
        is_clock_right: device.settings.clock_error_us.unsigned_abs() <= guard_us,
        silent_from_us: None,
    })
}

fn dev_eui(place: usize) -> Eui64 {
    Eui64::from_bytes((BEFORE_FIRST + place as u64 + 1).to_be_bytes())
}
