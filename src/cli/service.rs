//! `fuotad run`: the service.

use super::exit::Failure;
use super::exit::one_line;
use super::files;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Salvaged;
use crate::config::State;
use crate::config::state_dir_in;
use crate::daemon;
use crate::daemon::Cloud;
use crate::daemon::kept_relay_text;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

/// The folder of images within the state folder.
#[cfg(feature = "aws")]
const IMAGES: &str = "images";
/// Where the configuration puts the state folder, as a variable.
const STATE_DIR: &str = "FUOTAD__STATE__DIR";

/// Runs until told to stop.
pub fn run(path: &Path) -> Result<(), Failure> {
    let Start { settings, cloud } = prepare(path)?;
    Ok(daemon::run(settings, cloud)?)
}

/// What the service starts with.
pub struct Start {
    /// The daemon's settings; in `relay_only`, what keeps it from broadcasting.
    pub settings: daemon::Settings,
    /// The side that talks to AWS.
    pub cloud: Option<Cloud>,
}

/// Reads the configuration at `path` with everything it names. A fault that is not the relay's own leaves a service that
/// relays and says why it does no more.
///
/// # Errors
/// Not even what the relay needs can be had, neither from the configuration nor from what was kept of the last good start.
pub fn prepare(path: &Path) -> Result<Start, Failure> {
    let sources = files::config_sources(path);
    let config = sources.as_ref().map_err(|(_, failure)| failure.clone());
    let config = config.and_then(|(text, environment)| files::config_in(path, text, environment));
    let failure = match config {
        Ok(config) => match whole(&config) {
            Ok(start) => return Ok(start),
            Err(error) => {
                let (Ok((text, environment)) | Err(((text, environment), _))) = &sources;
                let error = error.in_text(text, environment);
                let failure = Failure::config(format!("{}: {error}", path.display()));
                match relay_only(&config, &failure, None) {
                    Some(start) => return Ok(start),
                    None => failure,
                }
            }
        },
        Err(failure) => failure,
    };
    let (Ok((text, environment)) | Err(((text, environment), _))) = &sources;
    let salvaged = Salvaged::from_text(text, environment);
    let sure = salvaged.as_ref().filter(|salvaged| salvaged.is_sure);
    sure.and_then(|salvaged| relay_only(&salvaged.config, &failure, None))
        .or_else(|| last_good(text, environment, &failure))
        .or_else(|| relay_only(&salvaged?.config, &failure, None))
        .ok_or(failure)
}

/// Everything, or the first value that cannot be used.
fn whole(config: &Config) -> Result<Start, ConfigError> {
    let mut certificates = |path: &Path| files::certificates(path).map(Some);
    let mut devices = |path: &Path| files::prepared(path).map(Some);
    let settings = config.service(&mut files::key_from, &mut certificates, &mut devices)?;
    Ok(Start { settings, cloud: cloud(config)? })
}

/// What is relayed whatever else is wrong; `None` when a value that the relay needs is what is wrong. Without a network
/// server there is nothing to relay, but the service is there and says what is wrong.
fn relay_only(config: &Config, failure: &Failure, more: Option<&str>) -> Option<Start> {
    let reason = one_line(&format!(
        "{failure}{}; mend it (`fuotad check` tries it), then systemctl restart fuotad",
        more.unwrap_or_default()
    ));
    Some(Start { settings: config.relay_only(reason).ok()?, cloud: None })
}

/// What was kept of the last good start, wherever the state folder may be.
fn last_good(text: &str, environment: &BTreeMap<String, String>, failure: &Failure) -> Option<Start> {
    let places = [
        environment.get(STATE_DIR).map(PathBuf::from),
        state_dir_in(text),
        files::state_directory(),
        Some(State::default().dir),
    ];
    places.into_iter().flatten().find_map(|dir| {
        let config = Config::from_text(&kept_relay_text(&dir)?, &BTreeMap::new()).ok()?;
        let more = "; until then the network servers of the last good start are served";
        // Whatever the text says, this is the folder it was found in.
        relay_only(&Config { state: State { dir, ..config.state.clone() }, ..config }, failure, Some(more))
    })
}

/// The side that talks to AWS, when the configuration has an `[aws]`.
#[cfg(feature = "aws")]
fn cloud(config: &Config) -> Result<Option<Cloud>, ConfigError> {
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
fn cloud(config: &Config) -> Result<Option<Cloud>, ConfigError> {
    match config.aws {
        None => Ok(None),
        Some(_) => Err(ConfigError::value("aws", "this fuotad was built without the cloud")),
    }
}
