//! Texts of operators: the configuration with its environment, scenarios, devices, and the packet forwarder's file.

use super::gateway;
use super::refusal::check;
use super::refusal::checked;
use fuotad::config::Against;
use fuotad::config::Config;
use fuotad::config::Devices;
use fuotad::config::ForwarderFile;
use fuotad::config::KeySource;
use fuotad::config::Scenario;
use fuotad::config::listed_devices;
use fuotad::engine::Settings;
use fuotad::lorawan::Secret;
use std::collections::BTreeMap;
use std::path::Path;

/// Gives `data`, as text, to every reader. Zero bytes part it: the configuration comes first, then variables of the
/// environment; of the forwarder's files each part is one.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parts: Vec<&str> = text.split('\0').collect();
    let environment = parts[1..].iter().filter_map(|part| part.split_once('='));
    let environment =
        environment.map(|(name, value)| (format!("FUOTAD__{name}"), value.to_owned())).collect();
    let config = checked(Config::from_text(parts[0], &environment));
    checked(listed_devices(parts[0]));
    if let Some((config, rest)) = Config::readable_part(parts[0], &environment) {
        for certificates in [Some(Vec::new()), None] {
            let read_key = &mut |_: KeySource<'_>| Ok(Secret::from_bytes([7; 16]));
            let read_devices = &mut |_: &Path| Ok(parts.get(1).map(|part| (*part).to_owned()));
            let judged = config.checked(read_key, &mut |_| Ok(certificates.clone()), read_devices);
            let located = judged.map(|_| ()).map_err(|error| error.in_text(&rest, &environment));
            checked(located);
        }
    }
    let settings = config.as_ref().and_then(used);
    if let Some(scenario) = checked(Scenario::from_text(parts[0])) {
        checked(scenario.script(Some(1), Some(vec![7; 64])).map(|_| ()));
    }
    if let Some(devices) = checked(Devices::from_text(parts[0])) {
        for device in &devices.device {
            checked(device.root_key().map(|_| ()));
        }
    }
    if let Some(file) = checked(ForwarderFile::from_texts(parts.iter().copied())) {
        let settings = settings.unwrap_or_else(gateway::settings);
        let against = Against {
            listen: gateway::LISTEN,
            link: &settings.forwarder,
            region: settings.region,
            groups: &settings.groups,
            dialect: None,
            gps_tty: Some(Path::new("/dev/ttyS0")),
        };
        for finding in file.findings(&against) {
            for line in [&finding.key, &finding.found, &finding.wanted, &finding.why] {
                check(line);
            }
        }
    }
}

/// What a configuration that was read is used for; the engine's settings, if all of it can be used.
fn used(config: &Config) -> Option<Settings> {
    let mut read_key = |_: KeySource<'_>| Ok(Secret::from_bytes([7; 16]));
    checked(config.listen());
    checked(config.region());
    let effective = checked(config.effective());
    let settings = checked(config.engine(&mut read_key))?;
    assert!(effective.is_some(), "what can be used can be shown");
    if let Some(effective) = effective {
        shown(&effective);
    }
    Some(settings)
}

/// What `fuotad check --print` shows is a configuration, and says the same.
fn shown(effective: &Config) {
    let Ok(text) = toml::to_string(effective) else { panic!("a configuration can be shown") };
    let again = Config::from_text(&text, &BTreeMap::new()).and_then(|config| config.effective());
    let Ok(again) = again else { panic!("what is shown can be read again: {again:?}") };
    assert_eq!(toml::to_string(&again).as_ref(), Ok(&text), "and it says the same");
}
