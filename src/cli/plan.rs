//! `fuotad plan`: what a task will do, before it does it.

use super::Failure;
use super::args::PlanArgs;
use super::files;
use super::inspect::hex;
use super::table::duration;
use super::table::percent;
use super::table::seconds;
use super::table::table;
use super::warn;
use crate::config::Devices;
use crate::engine::Settings;
use crate::image::MAX_IMAGE_BYTES;
use crate::plan::Timetable;
use crate::task::FuotaTaskJson;
use crate::task::ImageRef;
use crate::task::MAX_TASK_BYTES;
use crate::task::Task;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

/// Plans, prints, and fails when it cannot legally be done.
pub fn run(args: &PlanArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let config = files::config(&args.config)?;
    let settings = config
        .engine(&mut files::key_from)
        .map_err(|error| Failure::config(format!("{}: {error}", args.config.display())))?;
    let wrong = |error: &dyn std::fmt::Display| Failure::data(format!("{}: {error}", args.task.display()));
    let document = files::bytes(&args.task, MAX_TASK_BYTES)?;
    let stem = args.task.file_stem().and_then(|stem| stem.to_str()).unwrap_or("task").to_owned();
    let task = Task::from_json(&document, &stem).map_err(|error| wrong(&error))?;
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
    let timetable =
        Timetable::new(&settings, &document, &stem, image.clone()).map_err(|error| wrong(&error))?;
    let warnings: Vec<&String> = task.warnings.iter().chain(&timetable.planned.warnings).collect();
    if args.setup {
        // All devices' commands or none: half of them would be half a campaign.
        let lines = setup(&timetable, &settings, &args.devices, &image)?;
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    } else if args.json {
        // As it was read: every member that a service answered, known or not.
        let said = FuotaTaskJson::from_slice(document.as_bytes()).map_err(|error| wrong(&error))?;
        writeln!(out, "{}", as_json(&timetable, &said, &warnings))?;
    } else {
        print(&timetable, task.id.as_str(), out)?;
    }
    warnings.into_iter().for_each(warn);
    Ok(ExitCode::SUCCESS)
}

fn print(plan: &Timetable, name: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let planned = &plan.planned;
    let took_us = plan.end.us_since(plan.begin);
    let time = |gps: GpsTime| match plan.is_absolute {
        true => rfc3339_from_gps(gps),
        false => format!("+{}", duration(gps.us_since(plan.begin))),
    };
    writeln!(out, "{name} to group {}", planned.group)?;
    let padding =
        if planned.padding > 0 { format!(", {} B padding", planned.padding) } else { String::new() };
    writeln!(
        out,
        "  fragments   {} uncoded + {} coded of {} B{padding}",
        planned.nb_frag, planned.coded, planned.frag_size
    )?;
    writeln!(
        out,
        "  frames      {}, FCnt from {}, counters reserved to {}",
        plan.frames,
        planned.first_fcnt,
        planned.end_fcnt - 1
    )?;
    writeln!(
        out,
        "  airtime     {} each, {} in all",
        seconds(planned.airtime_us),
        duration(plan.airtime_us)
    )?;
    writeln!(out, "  one each    {}, set by {}", seconds(planned.spacing_us), planned.limited_by)?;
    writeln!(out, "  begin       {}", time(plan.begin))?;
    writeln!(out, "  end         {}  ({} later)", time(plan.end), duration(took_us))?;
    writeln!(out, "  listening   {} for a device that loses nothing", duration(plan.listening_us))?;
    writeln!(
        out,
        "  deaf        {} of that time: so many uplinks are not heard",
        percent(plan.airtime_us, took_us)
    )?;
    if !plan.sessions.is_empty() {
        let rows: Vec<Vec<String>> = plan
            .sessions
            .iter()
            .enumerate()
            .map(|(index, plan)| {
                let frames = plan.frames.map_or("-".to_owned(), |(first, last)| format!("{first}..{last}"));
                let start = rfc3339_from_gps(plan.session.start);
                vec![(index + 1).to_string(), start, format!("2^{} s", plan.session.exponent), frames]
            })
            .collect();
        write!(out, "{}", table(&["session", "start", "length", "frames"], &rows))?;
    }
    let rows: Vec<Vec<String>> = plan
        .bands
        .iter()
        .filter(|band| band.airtime_us > 0)
        .map(|band| {
            let limit = band.budget_us.map_or("none".to_owned(), seconds);
            let used = band.budget_us.map_or("-".to_owned(), |budget| percent(band.worst_window_us, budget));
            vec![band.label.to_owned(), duration(band.airtime_us), seconds(band.worst_window_us), limit, used]
        })
        .collect();
    write!(out, "{}", table(&["sub-band", "airtime", "worst hour", "law", "used"], &rows))?;
    Ok(())
}

fn as_json(plan: &Timetable, said: &FuotaTaskJson, warnings: &[&String]) -> Value {
    let planned = &plan.planned;
    let time = |gps: GpsTime| plan.is_absolute.then(|| rfc3339_from_gps(gps));
    json!({
        "group": planned.group,
        "nb_frag": planned.nb_frag,
        "coded": planned.coded,
        "frag_size": planned.frag_size,
        "padding": planned.padding,
        "frames": plan.frames,
        "first_fcnt": planned.first_fcnt,
        "end_fcnt": planned.end_fcnt,
        "frame_airtime_us": planned.airtime_us,
        "airtime_us": plan.airtime_us,
        "spacing_us": planned.spacing_us,
        "limited_by": planned.limited_by,
        "begin": time(plan.begin),
        "end": time(plan.end),
        "duration_us": plan.end.us_since(plan.begin),
        "listening_us": plan.listening_us,
        "sessions": plan.sessions.iter().map(|plan| json!({
            "start": rfc3339_from_gps(plan.session.start),
            "timeout_exponent": plan.session.exponent,
            "first_k": plan.frames.map(|frames| frames.0),
            "last_k": plan.frames.map(|frames| frames.1),
        })).collect::<Vec<_>>(),
        "bands": plan.bands.iter().map(|band| json!({
            "label": band.label,
            "airtime_us": band.airtime_us,
            "worst_window_us": band.worst_window_us,
            "budget_us": band.budget_us,
        })).collect::<Vec<_>>(),
        "warnings": warnings,
        "task": said,
    })
}

fn setup(plan: &Timetable, settings: &Settings, path: &Path, image: &[u8]) -> Result<Vec<Value>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::data(format!("{}: {error}", path.display()));
    let devices = Devices::from_text(&files::text(path)?).map_err(|error| wrong(&error))?;
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
                "command": command.name,
                "fport": command.fport,
                "hex": hex(&command.payload),
                "session": command.session.map(|session| session + 1),
            }));
        }
    }
    Ok(lines)
}
