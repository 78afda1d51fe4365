//! The files that a command is given.
#![expect(clippy::disallowed_methods, reason = "the command line reads the files it was given")]

use super::exit::Failure;
use crate::cloud::task_from_file;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Devices;
use crate::config::KeySource;
use crate::daemon::io_words;
use crate::lorawan::Secret;
use crate::signing::MAX_EVIDENCE_BYTES;
use crate::task::ImageRef;
use crate::task::MAX_TASK_BYTES;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Configurations, scenarios and devices files have at most so many bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Devices files of groups have at most so many bytes: 5000 devices with some twenty MICs each.
const DEVICES_BYTES_MAX: usize = 4 << 20;
/// A name that is not found by then is left alone.
const LOOK_UP: Duration = Duration::from_secs(3);

/// The credentials of the unit while it runs, for root (systemd.exec(5)).
const OF_THE_SERVICE: &str = "/run/credentials/fuotad.service";
/// Task files that are looked at.
const TASKS_MAX: usize = 256;

/// A file's bytes, at most `limit` of them.
pub fn bytes(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let wrong =
        |error: std::io::Error| Failure::no_input(format!("{}: {}", path.display(), io_words(&error)));
    let mut bytes = Vec::new();
    // The limit is counted, not asked for: a pipe has no length.
    let file = File::open(path).map_err(wrong)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() > limit {
        return Err(Failure::data(format!("{}: it is over the limit of {limit} bytes", path.display())));
    }
    Ok(bytes)
}

/// The text of a file, at most 1 MiB.
pub fn text(path: &Path) -> Result<String, Failure> {
    utf8(path, bytes(path, TEXT_BYTES_MAX)?).map_err(Failure::data)
}

fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("{}: it is no text: not UTF-8 from byte {at} on", path.display())
    })
}

/// The configuration, with the environment over it.
pub fn config(path: &Path) -> Result<Config, Failure> {
    let (text, environment) = config_sources(path).map_err(|(_, failure)| failure)?;
    config_in(path, &text, &environment)
}

/// The text of a configuration and the variables that lie over it.
pub type Sources = (String, BTreeMap<String, String>);

/// What a configuration is made of; beside a failure what there is nevertheless.
pub fn config_sources(path: &Path) -> Result<Sources, (Sources, Failure)> {
    let mut environment = BTreeMap::new();
    let mut failure = None;
    // Other people's variables may be no text at all.
    for (key, value) in std::env::vars_os() {
        let Some(key) = key.to_str().filter(|key| key.starts_with("FUOTAD__")) else { continue };
        match value.into_string() {
            Ok(value) => drop(environment.insert(key.to_owned(), value)),
            Err(_) => failure = Some(Failure::config(format!("environment: {key} is no text"))),
        }
    }
    match bytes(path, TEXT_BYTES_MAX).and_then(|bytes| utf8(path, bytes).map_err(Failure::config)) {
        Err(failure) => Err(((String::new(), environment), failure)),
        Ok(text) => match failure {
            None => Ok((text, environment)),
            Some(failure) => Err(((text, environment), failure)),
        },
    }
}

/// The configuration that `text` at `path` is.
pub fn config_in(path: &Path, text: &str, environment: &BTreeMap<String, String>) -> Result<Config, Failure> {
    let wrong = |error: ConfigError| Failure::text(78, path, &error.in_text(text, environment));
    Config::from_text(text, environment).map_err(wrong)
}

/// The text of a group's devices file, which an operator of many devices may have made long.
///
/// # Errors
/// One line: it cannot be read, or others can read it.
pub fn prepared(path: &Path) -> Result<String, String> {
    let bytes = bytes(path, DEVICES_BYTES_MAX).map_err(|failure| failure.to_string())?;
    utf8(path, bytes)
}

/// Reads a devices file and every device in it.
pub fn devices(path: &Path) -> Result<Devices, Failure> {
    let text = text(path)?;
    let wrong = |error: ConfigError| Failure::text(65, path, &error.in_text(&text, &BTreeMap::new()));
    Devices::from_text(&text).map_err(wrong)
}

/// The configuration at `path` cannot be used: each mistake with its line.
pub fn refused(path: &Path, error: ConfigError) -> Failure {
    let (Ok((text, environment)) | Err(((text, environment), _))) = config_sources(path);
    Failure::text(78, path, &error.in_text(&text, &environment))
}

/// The addresses of a server by its name and port, here and now. A name server that hangs, or knows nothing, has none:
/// a configuration may be checked elsewhere than on its gateway.
pub fn addresses(name: &str) -> impl Iterator<Item = SocketAddr> {
    let (tell, found) = mpsc::channel();
    let name = name.to_owned();
    // The look-up has no end of its own; it is left behind.
    std::thread::spawn(move || tell.send(name.to_socket_addrs().map(Vec::from_iter)));
    let found = found.recv_timeout(LOOK_UP);
    found.ok().and_then(Result::ok).unwrap_or_default().into_iter()
}

/// The folder that the service manager keeps for the service (`StateDirectory=`).
pub fn state_directory() -> Option<PathBuf> {
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    folders.to_str()?.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The task files in `folder`, as far as it can be read.
pub fn tasks(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == "json")).take(TASKS_MAX).collect()
}

/// The local image that a task file names.
pub fn image_of(task: &Path) -> Option<PathBuf> {
    let document = bytes(task, MAX_TASK_BYTES).ok()?;
    let stem = task.file_stem()?.to_str()?;
    match task_from_file(&document, stem).ok()?.image {
        ImageRef::File(path) => Some(PathBuf::from(path)),
        _ => None,
    }
}

/// What is to be said of a file of secrets that others may read.
pub fn open_to_the_world(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let shown = path.display();
    (mode & 0o007 != 0)
        .then(|| format!("{shown} holds keys and is open to the world (mode {mode:o}): chmod 0600 {shown}"))
}

/// A key from where the configuration says it lies.
pub fn key_from(source: KeySource<'_>) -> Result<Secret, String> {
    match source {
        KeySource::File(path) => key(path),
        KeySource::Credential(name) => match credential(name)? {
            Some(path) => key(&path),
            None => Err(format!(
                "credential {name}: this process was passed none, which is no fault where it is not the service; {}",
                where_credentials_are(name)
            )),
        },
    }
}

/// A file of certificates.
pub fn certificates(path: &Path) -> Result<Vec<u8>, String> {
    bytes(path, MAX_EVIDENCE_BYTES).map_err(|failure| failure.to_string())
}

/// The file of a credential, where the service manager passes it to us, or to the service while it runs; `None`: we see
/// none, because we are not the service.
pub fn credential(name: &str) -> Result<Option<PathBuf>, String> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(format!(
            "{name:?} is no credential's name: it is the part before the colon in LoadCredential="
        ));
    }
    let passed = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(name));
    Ok(passed.or_else(|| Some(Path::new(OF_THE_SERVICE).join(name)).filter(|path| path.exists())))
}

/// Where the service finds a credential, and who says so.
pub fn where_credentials_are(name: &str) -> String {
    format!(
        "the service finds it as $CREDENTIALS_DIRECTORY/{name} ({OF_THE_SERVICE}/{name}) where the unit has LoadCredential={name}:/path (`systemctl cat fuotad`)"
    )
}

/// A key file: 32 hex digits, not readable by the world.
pub fn key(path: &Path) -> Result<Secret, String> {
    let bytes = Zeroizing::new(bytes(path, 1024).map_err(|failure| failure.to_string())?);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(|error| io_words(&error))?.permissions().mode();
        if mode & 0o007 != 0 {
            let mode = mode & 0o777;
            return Err(format!(
                "{} is open to the world (mode {mode:o}): chmod 0640 or less",
                path.display()
            ));
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{} is no text", path.display()))?;
    Secret::from_hex(text.trim()).map_err(|error| format!("{}: {error}", path.display()))
}
