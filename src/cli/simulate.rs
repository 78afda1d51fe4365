//! `fuotad simulate`: a whole campaign in the simulated world.

use super::args::SimulateArgs;
use super::bar::Bar;
use super::devices_text as devices;
use super::exit::Failure;
use super::files;
use super::picture;
use super::picture::Line;
use super::picture::Picture;
use super::table::duration;
use super::table::moment;
use super::table::percent;
use super::table::seconds;
use super::table::session;
use super::table::table;
use super::table::to_second;
use crate::config::ConfigError;
use crate::config::Scenario;
use crate::image::MAX_IMAGE_BYTES;
use crate::report::Event;
use crate::report::Planned;
use crate::sim::DeviceResult;
use crate::sim::Script;
use crate::sim::SentFrame;
use crate::sim::Summary;
use crate::sim::World;
use crate::sim::device::State;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use crate::time::Instant;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The referee saw the law or a promise broken.
const BREACH: u8 = 2;
/// The scenario's expectation was missed.
const MISSED: u8 = 1;

/// Runs the scenario and prints what came of it.
pub fn run(args: &SimulateArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let text = files::text(&args.scenario)?;
    let wrong =
        |error: &dyn std::fmt::Display| Failure::data(format!("{}: {error}", args.scenario.display()));
    let scenario = Scenario::from_text(&text).map_err(|error| Failure::text(65, &args.scenario, &error))?;
    let image = args.image.as_deref().map(|path| files::bytes(path, MAX_IMAGE_BYTES)).transpose()?;
    let unusable =
        |error: ConfigError| Failure::text(65, &args.scenario, &error.in_text(&text, &BTreeMap::new()));
    let script = scenario.script(args.seed, image).map_err(unusable)?;
    let expected = scenario.expect.complete;
    let show = Show { title: &scenario.title, expected, svg: args.svg.as_deref(), is_json: args.json };
    play(script, &show, &|reason| wrong(&reason), out)
}

/// How a simulation is shown.
pub struct Show<'a> {
    /// What it is about, one line.
    pub title: &'a str,
    /// How many devices complete; `None`: all.
    pub expected: Option<usize>,
    /// Where its course is drawn.
    pub svg: Option<&'a Path>,
    /// Whether it is for programs.
    pub is_json: bool,
}

/// Runs the world and shows what came of it; `refused` says for whom a refusal of the order is.
pub fn play(
    script: Script,
    show: &Show<'_>,
    refused: &dyn Fn(&str) -> Failure,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let image_len = script.tasks.first().map_or(0, |task| task.image.len());
    let world = watch(World::new(script));
    let summary = world.summary();
    if let Some(reason) = summary.refusal() {
        return Err(refused(reason));
    }
    let expected = show.expected.unwrap_or(summary.devices.len());
    let is_met = summary.complete() == expected;
    if let Some(path) = show.svg {
        picture::write(path, &course(show.title, &summary))?;
    }
    if show.is_json {
        writeln!(out, "{}", as_json(image_len, &summary, expected))?;
    } else {
        print(show.title, image_len, &summary, expected, out)?;
    }
    let is_content = summary.verdict.is_content() && summary.broken_promises().next().is_none();
    Ok(match (is_content, is_met) {
        (false, _) => ExitCode::from(BREACH),
        (true, false) => ExitCode::from(MISSED),
        (true, true) => ExitCode::SUCCESS,
    })
}

/// Frames sent and devices complete over time.
fn course(title: &str, summary: &Summary) -> Picture {
    let gps = |at: Instant| summary.zero.plus_us(at.us_since(Instant::ZERO));
    let frames = summary.frames.iter().enumerate().map(|(n, frame)| (gps(frame.start), n as u64 + 1));
    let done = |device: &DeviceResult| match device.state {
        State::Complete { at } => Some(gps(at)),
        _ => None,
    };
    let mut complete: Vec<GpsTime> = summary.devices.iter().filter_map(done).collect();
    complete.sort_unstable();
    let devices = complete.into_iter().enumerate().map(|(n, at)| (at, n as u64 + 1)).collect();
    let sessions = plans(summary).into_iter().flat_map(|planned| planned.sessions.iter());
    Picture {
        title: title.to_owned(),
        is_absolute: true,
        spans: sessions.map(|(start, exponent)| (*start, start.plus_us(1_000_000 << exponent))).collect(),
        lines: vec![
            Line {
                what: "frames".to_owned(),
                colour: "#1769aa",
                most: summary.frames.len() as u64,
                points: frames.collect(),
            },
            Line {
                what: "devices complete".to_owned(),
                colour: "#1b7f3b",
                most: summary.devices.len() as u64,
                points: devices,
            },
        ],
    }
}

/// Runs the world to its end with a progress bar, where somebody is watching.
fn watch(mut world: World) -> World {
    let bar = Bar::new("frames");
    let mut shown = 0;
    while world.step() {
        let sent = world.frames().len();
        if sent != shown {
            shown = sent;
            let frames = world.planned().map_or(0, |plan| u64::from(plan.nb_frag) + u64::from(plan.coded));
            bar.at(sent as u64, frames, || {
                let time = duration(world.now().us_since(Instant::ZERO));
                format!("{time}  {} devices complete", world.devices_complete())
            });
        }
    }
    world
}

fn print(
    title: &str,
    image_len: usize,
    summary: &Summary,
    expected: usize,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    writeln!(out, "{title}")?;
    writeln!(
        out,
        "  complete    {} of {} devices, expected {expected}",
        summary.complete(),
        summary.devices.len()
    )?;
    print_verdict(summary, out)?;
    print_set_up(summary, out)?;
    print_plans(image_len, summary, out)?;
    print_course(summary, out)?;
    writeln!(out)?;
    write!(out, "{}", devices::rows(&summary.devices, |when| at_second(summary, when)))?;
    writeln!(out)?;
    print_sub_bands(summary, out)?;
    let (offered, lost) = summary.uplinks;
    writeln!(
        out,
        "\n  uplinks     {offered} of other devices, {lost} not heard because the gateway was sending"
    )?;
    if summary.restarts > 0 {
        writeln!(
            out,
            "  restarts    {}, {} frames repeated, byte for byte",
            summary.restarts, summary.verdict.repeated_frames
        )?;
    }
    Ok(())
}

/// How the devices came to know of the campaign.
fn print_set_up(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    if summary.fields.is_empty() {
        writeln!(out, "  set up      beforehand: no [[lns]] sets its devices up")?;
    }
    for field in &summary.fields {
        writeln!(
            out,
            "  set up      {} devices through the network server by {} commands; {} would do if nothing were lost",
            field.devices, field.downlinks, field.oracle
        )?;
    }
    for result in &summary.results {
        let so_far = if result.is_final { "" } else { ", so far" };
        writeln!(out, "  results     {}: {} by their answers{so_far}", result.group, result.holdings)?;
    }
    for breach in summary.broken_promises() {
        writeln!(out, "              VIOLATION: {breach}")?;
    }
    Ok(())
}

/// Fragments, pace and sessions of every campaign.
fn print_plans(image_len: usize, summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    let plans = plans(summary);
    for planned in &plans {
        let group = if plans.len() > 1 { format!(" for {}", planned.group) } else { String::new() };
        writeln!(
            out,
            "  image       {image_len} B as {} uncoded + {} coded fragments of {} B{group}",
            planned.nb_frag, planned.coded, planned.frag_size
        )?;
        if let Some(lean) = planned.lean {
            writeln!(out, "  lean        {lean}")?;
        }
        writeln!(
            out,
            "  pace        a frame of {} every {}, set by {}",
            seconds(planned.airtime_us),
            seconds(planned.spacing_us),
            planned.limited_by
        )?;
        writeln!(out, "  battery     {:.2} mAh of a device at most", planned.image_uah as f64 / 1000.0)?;
        for (start, exponent) in &planned.sessions {
            writeln!(out, "  session     {} for {}", moment(*start), session(*exponent))?;
        }
    }
    Ok(())
}

/// When frames were on the air, how each campaign ended, and what was warned of.
fn print_course(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    match (summary.verdict.first, summary.verdict.last_end) {
        (Some(first), Some(last)) => writeln!(
            out,
            "  on the air  {} to {}: {} frames in {}",
            at_second(summary, first),
            at_second(summary, last),
            summary.verdict.frames,
            duration(last.us_since(first))
        )?,
        _ => {
            let waiting = summary.reports.iter().rev().find_map(|report| match &report.event {
                Event::Waiting { reason } => Some(reason.as_str()),
                _ => None,
            });
            let reason = waiting.unwrap_or("the end of the world's time");
            writeln!(out, "  on the air  nothing: it waits for {reason}")?;
        }
    }
    for report in &summary.reports {
        if matches!(report.event, Event::Warning { .. } | Event::Over(_) | Event::Resumed { .. }) {
            writeln!(out, "  {}  {}", at_second(summary, report.at), report.event)?;
        }
    }
    for warning in plans(summary).iter().flat_map(|planned| &planned.warnings) {
        writeln!(out, "  warning     {warning}")?;
    }
    Ok(())
}

/// Airtime in each sub-band that was used, and what the law left of it.
fn print_sub_bands(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    let used = summary.verdict.bands.iter().filter(|band| band.airtime_us > 0);
    let rows: Vec<Vec<String>> = used
        .map(|band| {
            let (limit, left) = match band.budget_us {
                Some(budget_us) => {
                    (seconds(budget_us), percent(budget_us.saturating_sub(band.worst_window_us), budget_us))
                }
                None => ("none".to_owned(), "-".to_owned()),
            };
            vec![band.label.to_owned(), duration(band.airtime_us), seconds(band.worst_window_us), limit, left]
        })
        .collect();
    write!(out, "{}", table(&["sub-band", "airtime", "worst hour", "law", "headroom"], &rows))?;
    Ok(())
}

/// The referee's word: PASS, or VIOLATION and which.
fn print_verdict(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    if summary.verdict.is_content() {
        writeln!(
            out,
            "  referee     PASS: every frame was legal, every counter used once, every image right"
        )?;
        return Ok(());
    }
    writeln!(out, "  referee     VIOLATION: {} in all", summary.verdict.breach_count)?;
    for breach in summary.verdict.breaches.iter().take(10) {
        writeln!(out, "              {breach}")?;
    }
    Ok(())
}

/// The world's time as UTC, RFC 3339, to the second.
fn at_second(summary: &Summary, instant: Instant) -> String {
    to_second(&at(summary, instant))
}

/// The world's time as UTC, RFC 3339.
fn at(summary: &Summary, instant: Instant) -> String {
    rfc3339_from_gps(summary.zero.plus_us(instant.us_since(Instant::ZERO)))
}

/// Every campaign's plan; one that a restart reported again counts once.
fn plans(summary: &Summary) -> Vec<&Planned> {
    let mut plans: Vec<&Planned> = Vec::new();
    for report in &summary.reports {
        if let Event::Planned(planned) = &report.event
            && plans
                .iter()
                .all(|known| (&known.group, known.first_fcnt) != (&planned.group, planned.first_fcnt))
        {
            plans.push(planned);
        }
    }
    plans
}

/// Frames of the plan that were sent in one of its sessions.
fn frames_in(summary: &Summary, planned: &Planned, (start, exponent): (GpsTime, u8)) -> usize {
    let session = start..start.plus_us(1_000_000 << exponent);
    let is_inside = |frame: &&SentFrame| {
        let gps = summary.zero.plus_us(frame.start.us_since(Instant::ZERO));
        session.contains(&gps) && (planned.first_fcnt..planned.end_fcnt).contains(&frame.fcnt)
    };
    summary.frames.iter().filter(is_inside).count()
}

fn as_json(image_len: usize, summary: &Summary, expected: usize) -> serde_json::Value {
    let at = |instant| at(summary, instant);
    let planned = summary.planned.as_ref();
    json!({
        "seed": summary.seed,
        "image_bytes": image_len,
        "nb_frag": planned.map(|planned| planned.nb_frag),
        "coded": planned.map(|planned| planned.coded),
        "frag_size": planned.map(|planned| planned.frag_size),
        "plans": plans(summary).iter().map(|planned| json!({
            "group": planned.group,
            "nb_frag": planned.nb_frag,
            "coded": planned.coded,
            "ordered_coded": planned.lean.map_or(planned.coded, |lean| lean.ordered),
            "frag_size": planned.frag_size,
            "first_fcnt": planned.first_fcnt,
            "image_mah": planned.image_uah as f64 / 1000.0,
            "session_s": planned.sessions.iter().map(|(_, exponent)| 1u64 << exponent).sum::<u64>(),
            "sessions": planned.sessions.iter().map(|session| json!({
                "start": rfc3339_from_gps(session.0),
                "exponent": session.1,
                "frames": frames_in(summary, planned, *session),
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "complete": summary.complete(),
        "expected": expected,
        "content": summary.verdict.is_content() && summary.broken_promises().next().is_none(),
        "breaches": summary.verdict.breaches.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "broken_promises": summary.broken_promises().collect::<Vec<_>>(),
        "results": summary.results.iter().map(|result| json!({
            "group": result.group,
            "is_final": result.is_final,
            "holdings": result.holdings,
        })).collect::<Vec<_>>(),
        "breach_count": summary.verdict.breach_count,
        "frames": summary.verdict.frames,
        "repeated_frames": summary.verdict.repeated_frames,
        "restarts": summary.restarts,
        "begin": summary.verdict.first.map(at),
        "end": summary.verdict.last_end.map(at),
        "airtime_us": summary.airtime_us(),
        "uplinks": summary.uplinks.0,
        "uplinks_not_heard": summary.uplinks.1,
        "swallowed": summary.swallowed,
        "disk_bytes": summary.disk_bytes,
        "devices": summary.devices.iter().map(|device| json!({
            "name": device.name,
            "heard": device.heard,
            "lost": device.lost,
            "missed_deaf": device.missed_deaf,
            "lost_uncoded": device.lost_uncoded,
            "coded_used": device.coded_used,
            "listening_us": device.listening_us,
            "result": devices::result(&device.state, &at),
        })).collect::<Vec<_>>(),
        "bands": summary.verdict.bands.iter().map(|band| json!({
            "label": band.label,
            "airtime_us": band.airtime_us,
            "worst_window_us": band.worst_window_us,
            "budget_us": band.budget_us,
        })).collect::<Vec<_>>(),
        "reports": summary.reports.iter().map(|report| json!({
            "at": at(report.at),
            "task": report.task.as_ref().map(|task| task.as_str()),
            "event": report.event.to_string(),
        })).collect::<Vec<_>>(),
    })
}
