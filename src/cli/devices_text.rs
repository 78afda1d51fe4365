//! What each simulated device heard and whether it holds the image; devices that are alike share a row.

use super::table::duration;
use super::table::table;
use crate::sim::DeviceResult;
use crate::sim::device::State;
use crate::time::Instant;
use std::fmt::Write as _;

/// Rows of devices, at most; `--json` lists each device.
const ROWS_MAX: usize = 20;
/// So many devices are listed one by one; of more, those that are alike share a row.
const SINGLE_MAX: usize = 12;

/// A table of the devices; `at` says a time.
pub fn rows(devices: &[DeviceResult], at: impl Fn(Instant) -> String) -> String {
    let alike = alike(devices);
    let rows: Vec<Vec<String>> = alike.iter().take(ROWS_MAX).map(|alike| device_row(alike, &at)).collect();
    let heads = ["device", "heard", "lost", "deaf", "uncoded lost", "coded used", "listened", "result"];
    let mut text = table(&heads, &rows);
    if alike.len() > ROWS_MAX {
        let _ = writeln!(text, "  … and {} kinds more (--json lists all)", alike.len() - ROWS_MAX);
    }
    text
}

/// Devices of one kind that came to the same end, in the order of the scenario.
fn alike(devices: &[DeviceResult]) -> Vec<Vec<&DeviceResult>> {
    if devices.len() <= SINGLE_MAX {
        return devices.iter().map(|device| vec![device]).collect();
    }
    let mut rows: Vec<Vec<&DeviceResult>> = Vec::new();
    for device in devices {
        let is_alike = |other: &DeviceResult| {
            let same = match (&device.state, &other.state) {
                (State::Complete { .. }, State::Complete { .. }) => true,
                (one, another) => one == another,
            };
            same && kind(&device.name) == kind(&other.name)
        };
        match rows.iter_mut().find(|row| row.first().is_some_and(|first| is_alike(first))) {
            Some(row) => row.push(device),
            None => rows.push(vec![device]),
        }
    }
    rows
}

/// A device's name without the number at its end.
fn kind(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-')
}

fn device_row(devices: &[&DeviceResult], at: &dyn Fn(Instant) -> String) -> Vec<String> {
    let range = |number: fn(&DeviceResult) -> u64| {
        let numbers = || devices.iter().map(|device| number(device));
        match (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0)) {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least}..{most}"),
        }
    };
    let ends = devices.iter().max_by_key(|device| match device.state {
        State::Complete { at } => Some(at),
        _ => None,
    });
    let end = ends.map_or(String::new(), |device| result(&device.state, at));
    let (name, end) = match devices {
        [one] => (one.name.clone(), end),
        several => {
            let name = several.first().map_or("", |device| kind(&device.name));
            (format!("{name} x {}", several.len()), end.replacen("complete ", "complete by ", 1))
        }
    };
    let listened_us = devices.iter().map(|device| device.listening_us).max().unwrap_or(0);
    vec![
        name,
        range(|device| u64::from(device.heard)),
        range(|device| device.lost),
        range(|device| u64::from(device.missed_deaf)),
        range(|device| u64::from(device.lost_uncoded)),
        range(|device| u64::from(device.coded_used)),
        duration(listened_us),
        end,
    ]
}

/// What became of a device; `at` says a time.
pub fn result(state: &State, at: &dyn Fn(Instant) -> String) -> String {
    match state {
        State::Complete { at: when } => format!("complete {}", at(*when)),
        State::Failed { why } => format!("failed: {why}"),
        State::Refused { what } => format!("refused: {what}"),
        State::Idle => "was told nothing".to_owned(),
        State::NotToldSession => "was not told the session".to_owned(),
        State::Waiting => "waits for its session".to_owned(),
        State::Listening => "incomplete".to_owned(),
    }
}
