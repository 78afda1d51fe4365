//! `fuotad run`: the service.

use super::Failure;
use super::files;
use crate::daemon;
use std::path::Path;

/// Runs until told to stop. A key that is missing is an error here.
pub fn run(config: &Path) -> Result<(), Failure> {
    let settings = files::config(config)?
        .daemon(&mut files::key_from)
        .map_err(|error| Failure::config(format!("{}: {error}", config.display())))?;
    Ok(daemon::run(settings, None)?)
}
