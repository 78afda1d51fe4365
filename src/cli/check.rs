//! `fuotad check`: is this configuration usable, and what does it amount to?

use super::Failure;
use super::files;
use super::warn;
use crate::config::Config;
use crate::config::KeySource;
use crate::daemon;
use crate::lorawan::Secret;
use std::io::Write;
use std::path::Path;

/// Validates `path`.
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
    let mut read_key = |source: KeySource<'_>| {
        let shown = match source {
            KeySource::File(path) if path.exists() => return files::key(path),
            KeySource::File(path) => path.display().to_string(),
            KeySource::Credential(name) => match files::credential(name) {
                Ok(path) if path.exists() => return files::key(&path),
                _ => format!("credential {name}"),
            },
        };
        warnings.push(format!("{shown} is not here: `fuotad run` will refuse to start without it"));
        // Stands in for the missing key so that the rest can be checked; nothing is made with it.
        Ok(Secret::from_bytes([0; 16]))
    };
    let mut settings = config.daemon(&mut read_key).map_err(|error| wrong(&error))?;
    let mut read_certificates = |path: &Path| {
        if path.exists() {
            return files::certificates(path).map(Some);
        }
        let path = path.display();
        warnings.push(format!("{path} is not here: `fuotad run` will refuse to start without it"));
        Ok(None)
    };
    config.trust(&mut settings.engine, &mut read_certificates).map_err(|error| wrong(&error))?;
    if let Some(aws) = &config.aws {
        aws.check(&config.group, &config.ota).map_err(|error| wrong(&error))?;
        if cfg!(not(feature = "aws")) {
            warnings.push("[aws]: this fuotad was built without the cloud: `run` will refuse it".to_owned());
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
    for group in &settings.engine.groups {
        if group.first_fcnt.is_none() {
            warnings.push(format!(
                "group {}: no first-fcnt; needed once, for a key that the journal does not know",
                group.name
            ));
        }
    }
    warnings.iter().for_each(warn);
    Ok((config, settings))
}
