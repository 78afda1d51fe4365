//! `fuotad devices`: how far the devices of a group are, asked of the running service.

use super::args::DevicesArgs;
use super::args::DevicesCommand;
use super::asking::refused;
use super::exit::Failure;
use super::files;
use super::table::table;
use super::table::wrapped;
use crate::config::Config;
use crate::daemon::ControlClient;
use crate::daemon::PAGE_MAX;
use crate::lorawan::Eui64;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Names of devices are cut after so many characters in tables.
const NAME_CHARS_MAX: usize = 16;

/// Results of devices that hold the image.
const HOLDS: [&str; 2] = ["done", "probably"];
/// States of a device that takes its course, or is where it should be.
const IN_COURSE: [&str; 4] = ["initial", "asked", "told", "proved"];

/// A device as tables show it; the service may say more.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(Default)]
struct Device {
    dev_eui: String,
    name: String,
    state: String,
    reason: String,
    ts003: Option<u8>,
    ts004: Option<u8>,
    ts005: Option<u8>,
    interval_s: u64,
    heard_here: u64,
    heard_of: u64,
    downlinks: u64,
    days_to_told: Option<u64>,
    result: Option<String>,
}

/// Asks the service and prints.
pub fn run(args: &DevicesArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let (socket, group) = place(args)?;
    let client = ControlClient::connect(&socket).map_err(|error| refused(&socket, error))?;
    let mut service = Service { socket, group, client };
    match &args.command {
        None | Some(DevicesCommand::List) => list(&mut service, args.json, &LIST, out),
        Some(DevicesCommand::Survey) => {
            service.ask("devices.survey", json!({}))?;
            list(&mut service, args.json, &SURVEY, out)
        }
        Some(DevicesCommand::Show { device }) => {
            let device = service.find(device)?;
            let shown = service.ask("devices.show", json!({"device": device}))?;
            if args.json {
                writeln!(out, "{shown}")?
            } else {
                write!(out, "{}", whole(&shown))?
            }
            Ok(())
        }
        Some(DevicesCommand::Retry { devices }) => {
            each(&mut service, "devices.retry", devices, args.json, out)
        }
        Some(DevicesCommand::Forget { devices }) => {
            each(&mut service, "devices.forget", devices, args.json, out)
        }
    }
}

/// The socket and the group that are meant.
fn place(args: &DevicesArgs) -> Result<(PathBuf, String), Failure> {
    if let (Some(socket), Some(group)) = (&args.socket, &args.group) {
        return Ok((socket.clone(), group.clone()));
    }
    let config = files::config(&args.config)?;
    let socket = args.socket.clone().unwrap_or_else(|| config.control_socket());
    let group = args.group.clone().map_or_else(|| only_group(&config), Ok)?;
    Ok((socket, group))
}

/// The only group whose devices are set up through a network server.
fn only_group(config: &Config) -> Result<String, Failure> {
    let of_lns: Vec<&str> =
        config.group.iter().filter(|group| group.lns.is_some()).map(|group| group.name.as_str()).collect();
    match of_lns.as_slice() {
        [group] => Ok((*group).to_owned()),
        [] => Err(Failure::config(
            "no [[group]] has an lns, so nobody sets devices up: write lns and devices-file in it",
        )),
        several => Err(Failure::usage(format!(
            "there are several groups: say --group with one of {}",
            several.join(", ")
        ))),
    }
}

/// A running service, asked about one group.
struct Service {
    socket: PathBuf,
    group: String,
    client: ControlClient,
}

impl Service {
    fn ask(&mut self, what: &str, mut request: Value) -> Result<Value, Failure> {
        request["do"] = what.into();
        request["group"] = self.group.as_str().into();
        self.client.ask(request).map_err(|error| refused(&self.socket, error))
    }

    /// All devices, page by page.
    fn all(&mut self) -> Result<Vec<Value>, Failure> {
        let mut devices = Vec::new();
        let mut after = Value::Null;
        loop {
            let mut request = json!({"limit": PAGE_MAX});
            if !after.is_null() {
                request["after"] = after;
            }
            let mut page = self.ask("devices.list", request)?;
            if let Some(page) = page["devices"].as_array_mut() {
                devices.append(page);
            }
            after = page["next"].take();
            if after.is_null() {
                return Ok(devices);
            }
        }
    }

    /// The DevEUI of the device that is called so.
    fn find(&mut self, device: &str) -> Result<String, Failure> {
        if let Ok(dev_eui) = device.parse::<Eui64>() {
            return Ok(dev_eui.to_string());
        }
        let all = self.all()?;
        let found =
            all.iter().find(|known| known["name"] == device).and_then(|known| known["dev-eui"].as_str());
        let group = &self.group;
        found.map(str::to_owned).ok_or_else(|| {
            Failure::data(format!(
                "{device:?} is neither a DevEUI (16 hex digits) nor the name of a device of group {group}"
            ))
        })
    }
}

/// The columns of a table: header and cells.
struct Columns {
    header: &'static [&'static str],
    row: fn(&Device) -> Vec<String>,
}

const LIST: Columns = Columns {
    header: &["device", "DevEUI", "state", "every", "heard", "downlinks"],
    row: |device| {
        let (dev_eui, state) = (device.dev_eui.clone(), device.state.clone());
        vec![name(device), dev_eui, state, every(device), heard(device), device.downlinks.to_string()]
    },
};

const SURVEY: Columns = Columns {
    header: &["device", "state", "TS003/4/5", "every", "heard", "days"],
    row: |device| {
        let version = |version: Option<u8>| version.map_or("-".to_owned(), |version| version.to_string());
        let versions = [device.ts003, device.ts004, device.ts005].map(version).join("/");
        let days = device.days_to_told.map_or("-".to_owned(), |days| days.to_string());
        vec![name(device), device.state.clone(), versions, every(device), heard(device), days]
    },
};

/// As much of the name as there is room for.
fn name(device: &Device) -> String {
    device.name.chars().take(NAME_CHARS_MAX).collect()
}

/// How often the device uplinks.
fn every(device: &Device) -> String {
    match device.interval_s {
        0 => "-".to_owned(),
        s @ 1..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

/// How many of its last uplinks were heard here.
fn heard(device: &Device) -> String {
    if device.heard_of == 0 { "-".to_owned() } else { format!("{}/{}", device.heard_here, device.heard_of) }
}

fn list(service: &mut Service, is_json: bool, columns: &Columns, out: &mut dyn Write) -> Result<(), Failure> {
    let all = service.all()?;
    if is_json {
        all.iter().try_for_each(|device| writeln!(out, "{device}"))?;
        return Ok(());
    }
    let devices: Vec<Device> =
        all.into_iter().map(|device| Device::deserialize(device).unwrap_or_default()).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for device in &devices {
        *counts.entry(&device.state).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
    let head = format!("group {}: {} devices: {}\n", service.group, devices.len(), counts.join(", "));
    write!(out, "{}", wrapped(&head))?;
    let mut results: BTreeMap<&str, usize> = BTreeMap::new();
    for result in devices.iter().filter_map(|device| device.result.as_deref()) {
        *results.entry(result.split([' ', ':']).next().unwrap_or_default()).or_default() += 1;
    }
    if !results.is_empty() {
        let results: Vec<String> =
            results.into_iter().map(|(result, count)| format!("{count} {result}")).collect();
        write!(out, "{}", wrapped(&format!("  holding the newest image: {}\n", results.join(", "))))?;
    }
    let rows: Vec<Vec<String>> = devices.iter().map(columns.row).collect();
    if !rows.is_empty() {
        write!(out, "{}", table(columns.header, &rows))?;
    }
    // Who takes its course needs nobody's eyes.
    let stuck = devices.iter().filter(|device| !IN_COURSE.contains(&device.state.as_str()));
    let lines: String =
        stuck.map(|device| format!("  {}: {}: {}\n", device.name, device.state, device.reason)).collect();
    write!(out, "{}", wrapped(&lines))?;
    let short = devices.iter().filter_map(|device| Some((device, device.result.as_ref()?)));
    let short = short.filter(|(_, result)| !HOLDS.contains(&result.as_str()));
    let lines: String = short.map(|(device, result)| format!("  {}: {result}\n", device.name)).collect();
    write!(out, "{}", wrapped(&lines))?;
    Ok(())
}

/// Everything that the service says of one device, a line each.
fn whole(device: &Value) -> String {
    let members = device.as_object().into_iter().flatten();
    let lines: String = members
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name:<14} {value}\n")
        })
        .collect();
    wrapped(&lines)
}

fn each(
    service: &mut Service,
    what: &str,
    devices: &[String],
    is_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for device in devices {
        let dev_eui = service.find(device)?;
        let answer = service.ask(what, json!({"device": dev_eui}))?;
        if is_json {
            writeln!(out, "{answer}")?;
        } else {
            let device = Device::deserialize(answer).unwrap_or_default();
            write!(
                out,
                "{}",
                wrapped(&format!("{} {}: {}: {}\n", device.name, dev_eui, device.state, device.reason))
            )?;
        }
    }
    Ok(())
}
