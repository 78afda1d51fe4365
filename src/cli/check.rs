//! `fuotad check`: is this configuration usable, and what does it amount to?

use super::exit::Failure;
use super::exit::warn;
use super::files;
use crate::campaign::Group;
use crate::config::Config;
use crate::config::KeySource;
use crate::daemon;
use crate::daemon::StateFolder;
use crate::lorawan::Secret;
use crate::store::RangeState;
use std::io::Write;
use std::path::Path;

/// Validates the configuration at `path`.
pub fn run(path: &Path, print: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let (config, settings) = checked(path)?;
    if print {
        let effective = config.effective().map_err(|error| wrong(&error))?;
        let text = toml::to_string(&effective).map_err(|error| wrong(&error))?;
        write!(out, "{text}")?;
    } else {
        let (region, groups) = (settings.engine.region.region, settings.engine.groups.len());
        writeln!(out, "{}: good: {region}, {groups} group(s)", path.display())?;
    }
    Ok(())
}

/// A configuration that can be used, with its settings; warnings are told. A key file that is missing here is one: a
/// configuration may be checked elsewhere than on its gateway.
pub fn checked(path: &Path) -> Result<(Config, daemon::Settings), Failure> {
    let config = files::config(path)?;
    let mut warnings = Vec::new();
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let (_, note) = config.region().map_err(|error| wrong(&error))?;
    warnings.extend(note.map(|note| format!("gateway.region: {note}")));
    let mut is_key_missing = false;
    let mut read_key = |source: KeySource<'_>| {
        let shown = match source {
            KeySource::File(path) if path.exists() => return files::key(path),
            KeySource::File(path) => path.display().to_string(),
            KeySource::Credential(name) => match files::credential(name) {
                Ok(path) if path.exists() => return files::key(&path),
                _ => format!("credential {name}"),
            },
        };
        warnings.push(format!("{shown} is not here: `fuotad run` relays only without it"));
        is_key_missing = true;
        // Stands in for the missing key so that the rest can be checked; nothing is made with it.
        Ok(Secret::from_bytes([0; 16]))
    };
    let mut settings = config.daemon(&mut read_key).map_err(|error| wrong(&error))?;
    let mut read_certificates = |path: &Path| {
        if path.exists() {
            return files::certificates(path).map(Some);
        }
        let path = path.display();
        warnings.push(format!("{path} is not here: `fuotad run` relays only without it"));
        Ok(None)
    };
    config.trust(&mut settings.engine, &mut read_certificates).map_err(|error| wrong(&error))?;
    if let Some(aws) = &config.aws {
        aws.check(&config.group, &config.ota).map_err(|error| wrong(&error))?;
        if cfg!(not(feature = "aws")) {
            warnings.push("[aws]: this fuotad was built without the cloud: `run` relays only".to_owned());
        }
    }
    if let Some(gps) = settings.gps.as_ref().filter(|gps| !gps.tty.exists()) {
        let tty = gps.tty.display();
        warnings.push(format!(
            "gps.tty: {tty} is not here: `fuotad run` goes on without GPS time and looks for it"
        ));
    }
    if settings.engine.groups.is_empty() {
        warnings.push("no [[group]]: nothing can be broadcast; `fuotad group new` makes one".to_owned());
    }
    // Where a key is missing this is not the gateway, and whether it is enrolled is a question for there.
    if !is_key_missing {
        warnings.extend(unenrolled(&config, &settings.engine.groups));
    }
    warnings.iter().for_each(warn);
    Ok((config, settings))
}

/// What is to be said of the counters of each group's key.
fn unenrolled(config: &Config, groups: &[Group]) -> Vec<String> {
    let dir = config.state.dir.display();
    let recovered = match StateFolder::read(&config.state.dir) {
        Ok(folder) => folder.map(|folder| folder.recovered).unwrap_or_default(),
        // Whoever may not look into the folder cannot be told more.
        Err(error) => return vec![format!("whether keys are enrolled is not known: {error}")],
    };
    let said = groups.iter().filter_map(|group| match recovered.ranges.get(&group.keys.fingerprint()) {
        Some(RangeState::Intact(_)) => None,
        Some(RangeState::Damaged { .. }) => Some(format!(
            "group {}: its counter journal in {dir} is damaged: only what is armed goes on",
            group.name
        )),
        Some(RangeState::Lost(why)) => Some(format!("group {}: its counters in {dir} are lost: {why}", group.name)),
        None => Some(format!(
            "group {0}: its key is not enrolled in {dir}, so nothing is sent to it: `fuotad group enrol {0}`, once, on the gateway",
            group.name
        )),
    });
    said.collect()
}
