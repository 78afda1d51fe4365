//! `fuotad check`: is this configuration usable, and what does it amount to?

use super::exit::Failure;
use super::exit::warn;
use super::files;
use super::orders;
use super::service_user::ServiceUser;
use super::service_user::has_unit;
use crate::campaign::Group;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::KeySource;
use crate::daemon;
use crate::daemon::NO_SERVER;
use crate::daemon::StateFolder;
use crate::daemon::hidden;
use crate::lorawan::Secret;
use crate::plan::lean_lines;
use crate::plan::learned_from;
use crate::store::RangeState;
use std::io::Write;
use std::path::Path;

/// Validates the configuration at `path`.
pub fn run(path: &Path, print: bool, is_strict: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let (config, mut settings) = checked(path, is_strict)?;
    if print {
        let effective = config.effective().map_err(|error| wrong(&error))?;
        let text = toml::to_string(&effective).map_err(|error| wrong(&error))?;
        write!(out, "{text}")?;
    } else {
        let (region, groups) = (settings.engine.region.region, settings.engine.groups.len());
        writeln!(out, "{}: good: {region}, {groups} group(s)", path.display())?;
        let folder = StateFolder::read(&config.state.dir).ok().flatten();
        learned_from(&mut settings.engine, folder.as_ref().map(|folder| &folder.recovered));
        for line in lean_lines(&settings.engine) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// A configuration that can be used, with its settings; warnings are told, whatever comes of it. A key file that is
/// missing here is one: a configuration may be checked elsewhere than on its gateway; not so when it `is_strict`.
pub fn checked(path: &Path, is_strict: bool) -> Result<(Config, daemon::Settings), Failure> {
    let mut warnings = Vec::new();
    let judged = judged(path, is_strict, &mut warnings);
    warnings.iter().for_each(warn);
    judged
}

/// The same with the warnings given back.
pub fn judged(
    path: &Path,
    is_strict: bool,
    warnings: &mut Vec<String>,
) -> Result<(Config, daemon::Settings), Failure> {
    let sources = files::config_sources(path).map_err(|(_, failure)| failure)?;
    let config = Config::from_text(&sources.0, &sources.1).map_err(|error| {
        // What can be read is judged all the same: whoever mends the file wants to know everything.
        let rest = Config::readable_part(&sources.0, &sources.1).and_then(|(config, rest)| {
            let mut absent = Absent { is_strict, ..Absent::default() };
            warnings.extend(config.remarks());
            service(&config, &mut absent).err().map(|more| more.in_text(&rest, &sources.1))
        });
        Failure::text(78, path, &rest.map_or(error.clone(), |rest| error.and(rest, &sources.0)))
    })?;
    let wrong = |error: ConfigError| Failure::text(78, path, &error.in_text(&sources.0, &sources.1));
    let note = config.region().ok().and_then(|(_, note)| note);
    warnings.extend(note.map(|note| format!("gateway.region: {note}")));
    warnings.extend(config.remarks());
    let mut absent = Absent { is_strict, ..Absent::default() };
    let settings = service(&config, &mut absent);
    let is_key_missing = absent.is_key_missing;
    warnings.append(&mut absent.warnings);
    let settings = settings.map_err(wrong)?;
    for (index, server) in settings.engine.relay.servers.iter().enumerate() {
        let own = files::addresses(&server.name).find(|address| daemon::is_own(settings.listen, *address));
        if let Some(own) = own {
            let key = format!("network-server[{index}].address");
            return Err(wrong(ConfigError::value(key, daemon::own_address(&server.name, own))));
        }
    }
    if config.aws.is_some() && cfg!(not(feature = "aws")) {
        let text = "this fuotad was built without the cloud: `run` relays only";
        if is_strict {
            return Err(wrong(ConfigError::value("aws", text)));
        }
        warnings.push(format!("[aws]: {text}"));
    }
    if let Some(gps) = settings.gps.as_ref().filter(|gps| !gps.tty.exists()) {
        let tty = gps.tty.display();
        warnings.push(format!(
            "gps.tty: {tty} is not here: `fuotad run` goes on without GPS time and looks for it"
        ));
    }
    for (key, file) in config.lns_files().into_iter().filter(|(_, file)| !file.exists()) {
        let file = file.display();
        warnings.push(format!(
            "{key}: {file} is not here: `fuotad run` has no connection to this network server without it"
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
    warnings.extend(orders::judged(&config, &settings.engine));
    Ok((config, settings))
}

/// What is not here although the configuration names it.
#[derive(Default)]
struct Absent {
    is_strict: bool,
    is_key_missing: bool,
    warnings: Vec<String>,
}

impl Absent {
    /// The file `shown` is not here: a warning, or what is wrong.
    fn tell(&mut self, shown: &Path) -> Result<(), String> {
        let text = format!("{} is not here: `fuotad run` relays only without it", shown.display());
        if self.is_strict {
            return Err(text);
        }
        self.warnings.push(text);
        Ok(())
    }

    fn key(&mut self, source: KeySource<'_>) -> Result<Secret, String> {
        match source {
            KeySource::File(path) if path.exists() => return files::key(path),
            KeySource::File(path) => self.tell(path)?,
            KeySource::Credential(name) => match files::credential(name)? {
                Some(path) if path.exists() => return files::key(&path),
                // The service manager passes it to the service and to nobody else.
                _ => self.warnings.push(format!(
                    "credential {name}: the unit passes it to the service only, so its key is not checked here; {}",
                    files::where_credentials_are(name)
                )),
            },
        }
        self.is_key_missing = true;
        // Stands in for the missing key so that the rest can be checked; nothing is made with it.
        Ok(Secret::from_bytes([0; 16]))
    }
}

/// The one judge, with what is not here told by `absent`.
fn service(config: &Config, absent: &mut Absent) -> Result<daemon::Settings, ConfigError> {
    let absent = std::cell::RefCell::new(absent);
    let mut read_key = |source: KeySource<'_>| absent.borrow_mut().key(source);
    let mut read_certificates = |path: &Path| {
        if path.exists() {
            return files::certificates(path).map(Some);
        }
        absent.borrow_mut().tell(path).map(|()| None)
    };
    let mut read_devices = |path: &Path| match path.exists() {
        true => files::prepared(path).map(Some),
        false => absent.borrow_mut().tell(path).map(|()| None),
    };
    config.checked(&mut read_key, &mut read_certificates, &mut read_devices)
}

/// The settings of the service as orders are judged by them: without the keys, for which nobody has to be asked.
///
/// # Errors
/// Every value that cannot be used.
#[cfg(feature = "aws")]
pub fn keyless(config: &Config) -> Result<daemon::Settings, ConfigError> {
    let mut certificates = |path: &Path| match path.exists() {
        true => files::certificates(path).map(Some),
        false => Ok(None),
    };
    config.service(&mut |_| Ok(Secret::from_bytes([0; 16])), &mut certificates, &mut |_| Ok(None))
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
