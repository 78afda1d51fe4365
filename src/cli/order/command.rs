//! The command itself: makes the document, plans it, shows the plan, asks, and places both.

use super::placing::Placing;
use super::placing::warn_of_folder;
use crate::campaign::Group;
use crate::campaign::SessionRule;
use crate::cli::args::PlanArgs;
use crate::cli::exit::Failure;
use crate::cli::exit::warn;
use crate::cli::files;
use crate::cli::operator_args::OrderArgs;
use crate::cli::plan;
use crate::cli::table::to_second;
use crate::config::Config;
use crate::daemon::StateFolder;
use crate::daemon::wall_clock;
use crate::engine::Settings;
use crate::image::Digest;
use crate::image::MAX_IMAGE_BYTES;
use crate::plan::choices;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use serde_json::Value;
use serde_json::json;
use std::io::BufRead;
use std::io::Write;

/// Fragment size and redundancy of a draft that is only there to ask for better ones.
const DRAFT: (u16, u8) = (48, 30);
/// What a plan is shown for where nobody knows the time, 2026-01-01 00:00:00 UTC.
pub const NO_CLOCK: GpsTime = GpsTime::from_us(1_451_260_818_000_000);
const DAY_US: u64 = 86_400_000_000;
/// Digits of the image's SHA-256 in a task's name.
const DIGITS: usize = 8;

/// Plans, asks and places. Without consent nothing is left behind.
pub fn run(args: &OrderArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let config = files::config(&args.config)?;
    let image = files::bytes(&args.image, MAX_IMAGE_BYTES)?;
    let name = name(args, &image)?;
    let placing = Placing::new(&config, &name, &image)?;
    if placing.is_folder() {
        is_new(&config, &name)?;
    }
    let plan_args = PlanArgs {
        task: placing.document.clone(),
        config: args.config.clone(),
        image: None,
        setup: false,
        svg: None,
        devices: args.config.with_file_name("devices.toml"),
        compare: false,
        server: None,
        json: false,
    };
    let mut warnings = Vec::new();
    let planned = (|| -> Result<Vec<u8>, Failure> {
        let (settings, _) = plan::settings(&config, &plan_args, &mut warnings)?;
        let wanted = document(args, &config, &settings, &placing, &image)?;
        let mut shown = wanted.clone();
        if args.start.is_none() && do_devices_decide(args, &config) {
            let begin = wall_clock().unwrap_or(NO_CLOCK).plus_us(DAY_US);
            let args = OrderArgs { start: Some(to_second(&rfc3339_from_gps(begin))), ..args.clone() };
            shown = document(&args, &config, &settings, &placing, &image)?;
            warnings.push(
                "it begins when enough devices are ready (start-when); shown as if that were in a day"
                    .to_owned(),
            );
        }
        let order = plan::Order::new(&placing.document, shown, image.clone())?;
        plan::plan(&plan_args, &order, &mut warnings, out)?;
        Ok(wanted)
    })();
    warnings.iter().for_each(warn);
    let document = planned?;
    if !args.yes && !is_wanted(out)? {
        return Err(Failure::usage("nothing was ordered"));
    }
    out.flush()?;
    let told = placing.put(&image, &document)?;
    warn_of_folder(&placing);
    writeln!(out, "ordered {name}: {told}")?;
    Ok(())
}

/// Whether the devices of every group decide when a task without a start begins.
fn do_devices_decide(args: &OrderArgs, config: &Config) -> bool {
    let decide =
        |name: &String| config.group.iter().any(|group| group.name == *name && group.start_when.is_some());
    args.group.iter().all(decide)
}

/// The name that was given, or one that another image does not get.
fn name(args: &OrderArgs, image: &[u8]) -> Result<String, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(name) = &args.name {
        let is_good = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain);
        return is_good
            .then(|| name.clone())
            .ok_or_else(|| Failure::usage(format!("--name {name:?}: use letters, digits, -, _ and .")));
    }
    let stem = args.image.file_stem().and_then(|stem| stem.to_str()).unwrap_or("image");
    let stem: String = stem.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let digest = Digest::of(image).to_string();
    Ok(format!("{}-{}", stem.trim_start_matches(['-', '.', '_']), digest.get(..DIGITS).unwrap_or(&digest)))
}

/// A name that was used does nothing when it is ordered again: better said here than in a log. A running service says so.
fn is_new(config: &Config, name: &str) -> Result<(), Failure> {
    let id = TaskId::new(name).map_err(|error| Failure::usage(format!("--name {name:?}: {error}")))?;
    // Whoever may not read the folder is told by the service.
    let Ok(Some(folder)) = StateFolder::read(&config.state.dir) else { return Ok(()) };
    let record = RecordId(id.record_id());
    let recovered = &folder.recovered;
    let is_known = recovered.ended.iter().any(|ended| ended.task == record)
        || recovered.tasks.iter().any(|task| task.id == record);
    match is_known {
        false => Ok(()),
        true => Err(Failure::data(format!(
            "{name} was ordered before (`fuotad history`, `fuotad tasks`): another --name sends it again"
        ))),
    }
}

/// GetFuotaTask's document, with what AWS cannot say.
fn document(
    args: &OrderArgs,
    config: &Config,
    settings: &Settings,
    placing: &Placing,
    image: &[u8],
) -> Result<Vec<u8>, Failure> {
    let group = |name: &String| {
        let found = settings.groups.iter().find(|group| group.name == *name);
        found.ok_or_else(|| {
            let names: Vec<&str> = settings.groups.iter().map(|group| group.name.as_str()).collect();
            Failure::usage(format!("--group {name}: it is not configured; there is: {}", names.join(", ")))
        })
    };
    let groups = args.group.iter().map(group).collect::<Result<Vec<&Group>, _>>()?;
    let always = groups.iter().all(|group| group.session == SessionRule::Always);
    let text = |fragment_size: u16, redundancy: u8| {
        let mut ours = json!({ "MulticastGroups": args.group, "Sha256": Digest::of(image).to_string() });
        let start = args.start.clone().or(always.then(|| "at-once".to_owned()));
        for (name, value) in [("Start", start), ("FinishBy", args.finish_by.clone())] {
            if let (Some(value), Some(ours)) = (value, ours.as_object_mut()) {
                ours.insert(name.to_owned(), Value::from(value));
            }
        }
        let document = json!({
            "FirmwareUpdateImage": format!("file://{}", placing.image.display()),
            "RedundancyPercent": redundancy,
            "FragmentSizeBytes": fragment_size,
            "LoRaWAN": { "RfRegion": config.gateway.region },
            "Fuotad": ours,
        });
        format!("{document:#}\n").into_bytes()
    };
    let given = args.fragment_size.zip(args.redundancy);
    if let Some((fragment_size, redundancy)) = given {
        return Ok(text(fragment_size, redundancy));
    }
    let draft = text(args.fragment_size.unwrap_or(DRAFT.0), args.redundancy.unwrap_or(DRAFT.1));
    let task = plan::Order::new(&placing.document, draft, Vec::new())?.task()?;
    // Of several groups the first one's: each plan that is shown says what its devices may expect.
    let best = groups.first().and_then(|group| {
        let choices = choices(settings, &task, group, image);
        choices.into_iter().find(|choice| choice.data_rate == group.data_rate)
    });
    let size = best.and_then(|best| u16::try_from(best.frag_size).ok()).unwrap_or(DRAFT.0);
    let redundancy = best.map_or(DRAFT.1, |best| best.redundancy_percent);
    Ok(text(args.fragment_size.unwrap_or(size), args.redundancy.unwrap_or(redundancy)))
}

/// Whether the operator says yes.
pub fn is_wanted(out: &mut dyn Write) -> Result<bool, Failure> {
    write!(out, "Send it? [y/N]: ")?;
    out.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
