//! `fuotad history`: what is over, as the reports in the state folder have it. It asks no service and survives restarts.

use super::answers_text::held;
use super::exit::Failure;
use super::files;
use super::operator_args::LookArgs;
use super::table::table;
use super::table::to_second;
use crate::daemon::StateFolder;
use crate::daemon::answers_of_report;
use serde_json::Map;
use serde_json::Value;
use std::io::Write;

/// Prints the reports, the latest last.
pub fn run(args: &LookArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let dir = files::config(&args.config)?.state.dir;
    let folder = StateFolder::read(&dir).map_err(Failure::from)?;
    let texts = folder.map(|folder| folder.reports).unwrap_or_default();
    let read = |(_, text): &(String, Vec<u8>)| serde_json::from_slice::<Map<String, Value>>(text).ok();
    let mut reports: Vec<Map<String, Value>> = texts.iter().filter_map(read).collect();
    reports.sort_by_key(|report| report.get("sequence").and_then(Value::as_u64));
    if args.json {
        reports.iter().try_for_each(|report| writeln!(out, "{}", serde_json::json!(report)))?;
        return Ok(());
    }
    if reports.is_empty() {
        return Ok(writeln!(out, "no campaign is over yet")?);
    }
    let rows: Vec<Vec<String>> = reports.iter().map(row).collect();
    let header = ["task", "group", "end", "sent", "outcome", "devices"];
    // Where nobody's answers are heard there is nothing to say of devices.
    let is_heard = rows.iter().any(|row| row.last().is_some_and(|held| !held.is_empty()));
    write!(out, "{}", table(&header[..header.len() - usize::from(!is_heard)], &rows))?;
    Ok(())
}

fn row(report: &Map<String, Value>) -> Vec<String> {
    let shown = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let group = report.get("planned").and_then(|planned| planned.get("group"));
    let member = |name: &str| shown(report.get(name));
    let held = answers_of_report(report).map(|answers| held(&answers)).unwrap_or_default();
    vec![member("task"), shown(group), to_second(&member("end")), member("sent"), member("outcome"), held]
}
