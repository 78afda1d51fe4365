//! `fuotad check`: is this configuration usable, and what does it amount to?

use super::exit::Failure;
use super::exit::warn;
use super::files;
use super::service_user::ServiceUser;
use super::service_user::has_unit;
use super::service_user::hidden;
use crate::campaign::Group;
use crate::config::Config;
use crate::config::KeySource;
use crate::daemon;
use crate::daemon::NO_SERVER;
use crate::daemon::StateFolder;
use crate::lorawan::Secret;
use crate::store::RangeState;
use std::io::Write;
use std::path::Path;

/// Validates the configuration at `path`.
pub fn run(path: &Path, print: bool, is_strict: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let (config, settings) = checked(path, is_strict)?;
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
/// configuration may be checked elsewhere than on its gateway; not so when it `is_strict`.
pub fn checked(path: &Path, is_strict: bool) -> Result<(Config, daemon::Settings), Failure> {
    let config = files::config(path)?;
    let mut warnings = Vec::new();
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let (_, note) = config.region().map_err(|error| wrong(&error))?;
    daemon::check_log_filter(&config.log.filter).map_err(|error| wrong(&error))?;
    warnings.extend(note.map(|note| format!("gateway.region: {note}")));
    let mut is_key_missing = false;
    let mut read_key = |source: KeySource<'_>| {
        let shown = match source {
            KeySource::File(path) if path.exists() => return files::key(path),
            KeySource::File(path) => path.display().to_string(),
            KeySource::Credential(name) => match files::credential(name) {
                Ok(path) if path.exists() => return files::key(&path),
                // The service manager passes it to the service and to nobody else.
                _ => {
                    is_key_missing = true;
                    warnings.push(format!(
                        "credential {name} is passed to the service only (LoadCredential={name}:/path), so its key is not checked here"
                    ));
                    return Ok(Secret::from_bytes([0; 16]));
                }
            },
        };
        if is_strict {
            return Err(format!("{shown} is not here: `fuotad run` relays only without it"));
        }
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
        if is_strict {
            return Err(format!("{path} is not here: `fuotad run` relays only without it"));
        }
        warnings.push(format!("{path} is not here: `fuotad run` relays only without it"));
        Ok(None)
    };
    config.trust(&mut settings.engine, &mut read_certificates).map_err(|error| wrong(&error))?;
    for server in &settings.engine.relay.servers {
        if let Some(own) =
            files::addresses(&server.name).find(|address| daemon::is_own(settings.listen, *address))
        {
            return Err(wrong(&daemon::own_address(&server.name, own)));
        }
    }
    if let Some(aws) = &config.aws {
        aws.check(&config.group, &config.ota).map_err(|error| wrong(&error))?;
        if cfg!(not(feature = "aws")) {
            let text = "[aws]: this fuotad was built without the cloud: `run` relays only";
            if is_strict {
                return Err(wrong(&text));
            }
            warnings.push(text.to_owned());
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
    warnings.extend(no_server(&config));
    warnings.extend(as_the_service(path, &config)?);
    warnings.iter().for_each(warn);
    Ok((config, settings))
}

/// A gateway whose forwarder sends here and nowhere else is on no network without a network server.
pub fn no_server(config: &Config) -> Option<String> {
    config.network_server.is_empty().then(|| NO_SERVER.to_owned())
}

/// What keeps the service's user from what it must read. Root, who asks, could read everything.
///
/// # Errors
/// A file without which the service only relays.
fn as_the_service(path: &Path, config: &Config) -> Result<Vec<String>, Failure> {
    let Some(user) = ServiceUser::of(path, &config.state.dir) else { return Ok(Vec::new()) };
    let mut warnings: Vec<String> =
        files::open_to_the_world(&path.with_file_name("devices.toml")).into_iter().collect();
    let itself = [("the configuration".to_owned(), path)];
    for (key, file) in itself.into_iter().chain(config.files()) {
        user.can_read(file).map_err(|error| Failure::config(format!("{key}: {error}")))?;
        if let Some(folder) = hidden(file).filter(|_| file.exists()) {
            let text = format!(
                "{key}: {}: the unit hides {} from the service (ProtectHome, PrivateTmp): put the file into /etc/fuotad",
                file.display(),
                folder.display()
            );
            if has_unit() {
                return Err(Failure::config(text));
            }
            warnings.push(text);
        }
    }
    for task in std::iter::once(config.tasks.folder.clone()).chain(files::tasks(&config.tasks.folder)) {
        warnings.extend(user.can_read(&task).err());
        let image = files::image_of(&task).filter(|image| image.exists());
        warnings.extend(image.iter().filter_map(|image| user.can_read(image).err()));
        warnings.extend(image.iter().filter_map(|image| {
            let folder = hidden(image)?;
            Some(format!(
                "{}: its image {} is hidden from the service by the unit (ProtectHome, PrivateTmp): put it elsewhere than below {}",
                task.display(),
                image.display(),
                folder.display()
            ))
        }));
    }
    Ok(warnings)
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
