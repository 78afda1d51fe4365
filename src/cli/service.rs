//! `fuotad run`: the service.

use super::exit::Failure;
use super::files;
use crate::config::Config;
use crate::daemon;
use crate::daemon::Cloud;
use std::path::Path;

/// The folder of images within the state folder.
#[cfg(feature = "aws")]
const IMAGES: &str = "images";

/// Runs until told to stop. A key that is missing is an error here.
pub fn run(path: &Path) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let config = files::config(path)?;
    let mut settings = config.daemon(&mut files::key_from).map_err(|error| wrong(&error))?;
    let mut certificates = |path: &Path| files::certificates(path).map(Some);
    config.trust(&mut settings.engine, &mut certificates).map_err(|error| wrong(&error))?;
    let cloud = cloud(&config).map_err(|error| wrong(&error))?;
    Ok(daemon::run(settings, cloud)?)
}

/// The side that talks to AWS, when the configuration has an `[aws]`.
#[cfg(feature = "aws")]
fn cloud(config: &Config) -> Result<Option<Cloud>, crate::config::ConfigError> {
    let Some(aws) = &config.aws else { return Ok(None) };
    let images_dir = Some(config.state.dir.join(IMAGES));
    let settings = aws.settings(&config.group, &config.ota, config.gateway.id.as_deref())?;
    let settings = daemon::aws::Settings { images_dir, ..settings };
    Ok(Some(Box::new(|wires| {
        // It lives as long as the daemon's runtime.
        Box::pin(daemon::aws::run(settings, wires.facts, wires.wishes, std::future::pending()))
    })))
}

#[cfg(not(feature = "aws"))]
fn cloud(config: &Config) -> Result<Option<Cloud>, crate::config::ConfigError> {
    match config.aws {
        None => Ok(None),
        Some(_) => Err(crate::config::ConfigError::value("aws", "this fuotad was built without the cloud")),
    }
}
