//! The command itself: what it is given, what it asks, what it prints.

use super::answer::Answer;
use super::json::as_json;
use super::text::print;
use crate::cli::args::PlanArgs;
use crate::cli::check;
use crate::cli::exit::Failure;
use crate::cli::exit::warn;
use crate::cli::files;
use crate::cli::inspect::hex;
use crate::cloud::FuotaTaskJson;
use crate::config::KeySource;
use crate::daemon::StateFolder;
use crate::engine::Settings;
use crate::image::MAX_IMAGE_BYTES;
use crate::lorawan::Secret;
use crate::plan::Timetable;
use crate::plan::chances;
use crate::plan::choices;
use crate::plan::counters_from;
use crate::task::ImageRef;
use crate::task::MAX_TASK_BYTES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

/// Plans, prints, and fails when it cannot legally be done.
pub fn run(args: &PlanArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let config = files::config(&args.config)?;
    let mut unseen_keys = Vec::new();
    let mut read_key = |source: KeySource<'_>| match source {
        // Only the service is passed it, and a timetable needs no key.
        KeySource::Credential(name) if !args.setup && files::credential(name)?.is_none() => {
            unseen_keys.push(format!(
                "credential {name}: {}; it cannot be seen from here, so counters are shown as for a key that was never used",
                files::where_credentials_are(name)
            ));
            Ok(Secret::from_bytes([0; 16]))
        }
        source => files::key_from(source),
    };
    let mut settings = config.engine(&mut read_key).map_err(|error| files::refused(&args.config, error))?;
    let wrong = |error: &dyn std::fmt::Display| Failure::data(format!("{}: {error}", args.task.display()));
    let document = files::bytes(&args.task, MAX_TASK_BYTES)?;
    let stem = args.task.file_stem().and_then(|stem| stem.to_str()).unwrap_or("task").to_owned();
    let said = FuotaTaskJson::from_slice(&document).map_err(|error| wrong(&error))?;
    let task = said.clone().into_task(&stem).map_err(|error| wrong(&error))?;
    let document = String::from_utf8(document).map_err(|error| wrong(&error))?;
    let path = match (&args.image, &task.image) {
        (Some(path), _) => path.clone(),
        (None, ImageRef::File(path)) => PathBuf::from(path),
        (None, other) => {
            return Err(Failure::usage(format!(
                "{other} is not on this disk: download it and give --image FILE"
            )));
        }
    };
    let image = files::bytes(&path, MAX_IMAGE_BYTES)?;
    let mut warnings = task.warnings.clone();
    let dir = config.state.dir.display();
    let folder = match StateFolder::read(&config.state.dir) {
        Ok(folder) => folder,
        Err(error) => {
            warnings.push(format!("counters as for keys that were never used: {error}"));
            None
        }
    };
    // Of a key that nobody saw the journal cannot be asked.
    let recovered = folder.map(|folder| folder.recovered).filter(|_| unseen_keys.is_empty());
    let knows_journal = recovered.is_some();
    warnings.extend(unseen_keys);
    let said_of_keys = counters_from(&mut settings, &task, recovered.as_ref());
    let said_of_keys = said_of_keys.map_err(|error| Failure::data(format!("{dir}: {error}")))?;
    warnings.extend(said_of_keys.into_iter().map(|text| format!("{dir}: {text}")));
    let timetable =
        Timetable::new(&settings, &document, &stem, image.clone()).map_err(|error| wrong(&error))?;
    warnings.extend(timetable.planned.warnings.iter().cloned());
    warnings.extend(check::no_server(&config));
    warnings.extend(config.remarks());
    if args.setup {
        // All devices' commands or none: half of them would be half a campaign.
        let lines = setup(&timetable, &settings, &args.devices, &image)?;
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    } else {
        let group = settings.groups.iter().find(|group| group.name == timetable.planned.group);
        let group = group.ok_or_else(|| Failure::config("the plan's group is not configured"))?;
        let answer = Answer {
            name: task.id.as_str(),
            said: &said,
            timetable: &timetable,
            chances: &chances(&timetable.planned, group),
            choices: &choices(&settings, &task, group, &image),
            data_rate: group.data_rate,
            listening_ma: args.listening_ma,
            knows_journal,
            warnings: &warnings,
        };
        match args.json {
            true => writeln!(out, "{}", as_json(&answer))?,
            false => print(&answer, out)?,
        }
    }
    warnings.iter().for_each(warn);
    Ok(ExitCode::SUCCESS)
}

fn setup(plan: &Timetable, settings: &Settings, path: &Path, image: &[u8]) -> Result<Vec<Value>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::data(format!("{}: {error}", path.display()));
    let devices = files::devices(path)?;
    let group = settings.groups.iter().find(|group| group.name == plan.planned.group);
    let group = group.ok_or_else(|| Failure::config("the plan's group is not configured"))?;
    let mut lines = Vec::new();
    for device in devices.device {
        let root_key = device.root_key().map_err(|error| wrong(&error))?;
        let commands =
            plan.setup(group, image, &root_key, device.session_cnt).map_err(|error| wrong(&error))?;
        for command in commands {
            lines.push(json!({
                "device": device.name,
                "dev_eui": device.dev_eui,
                "command": command.name,
                "fport": command.fport,
                "hex": hex(&command.payload),
                "base64": STANDARD.encode(&command.payload),
                "session": command.session.map(|session| session + 1),
            }));
        }
    }
    files::open_to_the_world(path).iter().for_each(warn);
    Ok(lines)
}
