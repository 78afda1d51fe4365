//! `fuotad check`: is this configuration usable, and what does it amount to?

use super::Failure;
use super::files;
use crate::lorawan::Secret;
use std::io::Write;
use std::path::Path;

/// Validates `path`. A key file that is missing here is a warning: a configuration may be checked elsewhere
/// than on its gateway.
pub fn run(path: &Path, print: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let config = files::config(path)?;
    let mut warnings = Vec::new();
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let (region, note) = config.region().map_err(|error| wrong(&error))?;
    warnings.extend(note.map(|note| format!("gateway.region: {note}")));
    let mut read_key = |key: &Path| {
        if key.exists() {
            return files::key(key);
        }
        warnings.push(format!("{} is not here: `fuotad run` will refuse to start without it", key.display()));
        // Stands in for the missing key so that the rest can be checked; nothing is made with it.
        Ok(Secret::from_bytes([0; 16]))
    };
    let settings = config.engine(&mut read_key).map_err(|error| wrong(&error))?;
    if let Some(aws) = &config.aws {
        aws.check(&config.group).map_err(|error| wrong(&error))?;
        if cfg!(not(feature = "aws")) {
            warnings.push("[aws]: this fuotad was built without the cloud: `run` will refuse it".to_owned());
        }
    }
    if settings.groups.is_empty() {
        warnings.push("no [[group]]: nothing can be broadcast; `fuotad group new` makes one".to_owned());
    }
    for group in &settings.groups {
        if group.first_fcnt.is_none() {
            warnings.push(format!(
                "group {}: no first-fcnt; needed once, for a key that the journal does not know",
                group.name
            ));
        }
    }
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    if print {
        let text = toml::to_string(&config).map_err(|error| wrong(&error))?;
        write!(out, "{text}")?;
    } else {
        writeln!(out, "{}: good: {}, {} group(s)", path.display(), region.region, settings.groups.len())?;
    }
    Ok(())
}
