//! `fuotad rehearse`: a real order, sent in the simulated world by a gateway with the real configuration.

use super::exit::Failure;
use super::files;
use super::operator_args::RehearseArgs;
use super::simulate;
use super::simulate::Show;
use crate::cloud::task_from_file;
use crate::config::ConfigError;
use crate::config::Rehearsal;
use crate::config::Scenario;
use crate::daemon::wall_clock;
use crate::image::Digest;
use crate::image::MAX_IMAGE_BYTES;
use crate::task::ImageRef;
use crate::task::MAX_TASK_BYTES;
use crate::task::Start;
use crate::time::GpsTime;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// A time for gateways whose clock says nothing, 2026-01-01 00:00:00 UTC.
const NO_CLOCK: GpsTime = GpsTime::from_us(1_451_260_818_000_000);

/// Rehearses the task and prints what `simulate` prints.
pub fn run(args: &RehearseArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let config = files::config(&args.config)?;
    let shown = args.task.display();
    let wrong = |error: &dyn std::fmt::Display| Failure::data(format!("{shown}: {error}"));
    if !(0.0..=100.0).contains(&args.loss) {
        return Err(Failure::usage(format!("--loss {}: write 0 to 100, in percent", args.loss)));
    }
    let bytes = files::bytes(&args.task, MAX_TASK_BYTES)?;
    let stem = args.task.file_stem().and_then(|stem| stem.to_str()).unwrap_or("task");
    let task = task_from_file(&bytes, stem).map_err(|error| wrong(&error))?;
    let image = match (&args.image, &task.image) {
        (Some(path), _) => path.clone(),
        (None, ImageRef::File(path)) => PathBuf::from(path),
        (None, other) => {
            return Err(Failure::usage(format!(
                "{other} is not on this disk: download it and give --image FILE"
            )));
        }
    };
    let image = files::bytes(&image, MAX_IMAGE_BYTES)?;
    let mut document: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
    vouch(&mut document, &image);
    let document = toml::Table::try_from(document).map_err(|error| wrong(&error))?;
    let start = match task.start {
        Some(Start::At(start)) => start,
        _ => wall_clock().unwrap_or(NO_CLOCK),
    };
    let rehearsal = Rehearsal {
        // Its campaigns are called after it, whatever the file is called.
        name: task.document_id.as_str(),
        document,
        groups: &task.groups,
        devices: args.devices,
        loss: args.loss / 100.0,
        start,
        has_start: matches!(task.start, Some(Start::At(_))),
    };
    let refused = |error: ConfigError| Failure::text(78, &args.config, &error);
    let scenario = Scenario::rehearsed(&config, rehearsal).map_err(refused)?;
    let script = scenario.script(args.seed, Some(image)).map_err(refused)?;
    let show = Show { title: &scenario.title, expected: None, svg: args.svg.as_deref(), is_json: args.json };
    simulate::play(script, &show, &|reason| wrong(&reason), out)
}

/// Whoever rehearses vouches for the image that he gives; who vouches for the real one is asked by `plan` and the service.
fn vouch(document: &mut Value, image: &[u8]) {
    let Some(members) = document.as_object_mut() else { return };
    let ours = members.entry("Fuotad").or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Some(ours) = ours.as_object_mut() {
        ours.insert("Sha256".to_owned(), Digest::of(image).to_string().into());
    }
}
