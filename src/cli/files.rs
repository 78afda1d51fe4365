//! The files that a command is given.
#![expect(clippy::disallowed_methods, reason = "the command line reads the files it was given")]

use super::Failure;
use crate::config::Config;
use crate::config::KeySource;
use crate::lorawan::Secret;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

/// A file's bytes, at most `limit` of them.
pub fn bytes(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::no_input(format!("{}: {error}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
    if length > limit as u64 {
        return Err(Failure::data(format!(
            "{}: {length} bytes are over the limit of {limit}",
            path.display()
        )));
    }
    std::fs::read(path).map_err(|error| wrong(&error))
}

/// A file's text.
pub fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes(path, 1 << 20)?).map_err(|error| {
        Failure::data(format!("{}: not UTF-8 at byte {}", path.display(), error.utf8_error().valid_up_to()))
    })
}

/// The configuration, with the environment over it.
pub fn config(path: &Path) -> Result<Config, Failure> {
    let text = text(path)?;
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    Config::from_text(&text, &environment)
        .map_err(|error| Failure::config(format!("{}: {error}", path.display())))
}

/// A key from where the configuration says it lies.
pub fn key_from(source: KeySource<'_>) -> Result<Secret, String> {
    match source {
        KeySource::File(path) => key(path),
        KeySource::Credential(name) => key(&credential(name)?),
    }
}

/// The file of a credential that the service manager passes.
pub fn credential(name: &str) -> Result<PathBuf, String> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(format!(
            "{name:?} is no credential's name: it is the part before the colon in LoadCredential="
        ));
    }
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(folder) => Ok(PathBuf::from(folder).join(name)),
        None => Err(format!(
            "credential {name}: there is no CREDENTIALS_DIRECTORY, so no service manager passed any; add LoadCredential={name}:/path to the unit"
        )),
    }
}

/// A key file: 32 hex digits, not readable by the world.
pub fn key(path: &Path) -> Result<Secret, String> {
    let bytes = bytes(path, 1024).map_err(|failure| failure.to_string())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode();
        if mode & 0o007 != 0 {
            let mode = mode & 0o777;
            return Err(format!(
                "{} is open to the world (mode {mode:o}): chmod 0640 or less",
                path.display()
            ));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{} is not text", path.display()))?;
    Secret::from_hex(text.trim()).map_err(|error| format!("{}: {error}", path.display()))
}
