//! `fuotad status`: how the running service is doing.
#![expect(clippy::disallowed_methods, reason = "--watch waits a second between two looks")]

use super::answers_text::held;
use super::args::StatusArgs;
use super::exit::Failure;
use super::exit::warn;
use super::files;
use super::operator_args::DEFAULT_CONFIG;
use super::table::duration;
use super::table::percent;
use super::table::seconds;
use super::table::table;
use super::table::to_second;
use super::table::wrapped;
use crate::config::Status;
use crate::daemon::FleetSnapshot;
use crate::daemon::HearingSnapshot;
use crate::daemon::OtherSenderSnapshot;
use crate::daemon::Snapshot;
use crate::daemon::TaskSnapshot;
use crate::daemon::io_words;
use crate::daemon::read_status;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// EX_TEMPFAIL: it answered, and is not ready.
const NOT_READY: u8 = 75;
/// Clears the screen and goes home.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows it once, or every second.
pub fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let socket = socket(args)?;
    let is_screen = args.watch && !args.json && std::io::stdout().is_terminal();
    let mut was_shown = false;
    loop {
        let text = match read(&socket) {
            Ok(text) => text,
            // A service that was there a moment ago restarts, or is started again.
            Err(failure) if was_shown => {
                if is_screen {
                    write!(out, "{CLEAR}")?;
                }
                warn(format!("{failure}; still looking"));
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        was_shown = args.watch;
        if is_screen {
            write!(out, "{CLEAR}")?;
        }
        if args.json {
            write!(out, "{text}")?;
        } else {
            let snapshot: Snapshot = serde_json::from_str(&text)
                .map_err(|error| Failure::data(format!("{}: not a status: {error}", socket.display())))?;
            write!(out, "{}", wrapped(&for_people(&snapshot)))?;
        }
        out.flush()?;
        if !args.watch {
            let is_ready = || {
                let page: Option<Snapshot> = serde_json::from_str(&text).ok();
                page.is_some_and(|page| page.is_ready)
            };
            let is_asked_for = args.ready && !is_ready();
            return Ok(if is_asked_for { ExitCode::from(NOT_READY) } else { ExitCode::SUCCESS });
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn socket(args: &StatusArgs) -> Result<PathBuf, Failure> {
    args.socket.clone().map_or_else(|| socket_of(&args.config), Ok)
}

/// The status socket of the service with this configuration.
pub fn socket_of(config: &Path) -> Result<PathBuf, Failure> {
    // Whoever may ask need not be allowed to read the configuration; and one that is no good is what the service has
    // something to say about.
    match files::config(config) {
        Ok(config) => Ok(config.status.socket),
        Err(_) if config == Path::new(DEFAULT_CONFIG) => Ok(Status::default().socket),
        Err(failure) => Err(failure),
    }
}

/// What the service says of itself, as JSON text.
pub fn read(socket: &Path) -> Result<String, Failure> {
    read_status(socket).map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                "is the service running? `systemctl status fuotad`"
            }
            std::io::ErrorKind::PermissionDenied => "only root and the group fuotad may ask",
            _ => "try again",
        };
        Failure::unavailable(format!("{}: {}: {advice}", socket.display(), io_words(&error)))
    })
}

fn for_people(status: &Snapshot) -> String {
    let mut text = String::new();
    let up = duration(status.uptime_s.saturating_mul(1_000_000));
    let _ = writeln!(text, "fuotad {}, {}, up {up}", status.version, status.region);
    if status.is_ready {
        let _ = writeln!(text, "ready");
    }
    for reason in &status.not_ready {
        let waits = if reason.starts_with("relay only: ") { "" } else { "it waits for " };
        let _ = writeln!(text, "not ready, {waits}{reason}");
    }
    let _ = writeln!(text, "\n{}", forwarder(status));
    servers(&mut text, status);
    lns(&mut text, status);
    fleets(&mut text, status);
    let clock = match (&status.clock.utc, &status.clock.reason) {
        (Some(utc), None) => format!("trusted, {}", to_second(utc)),
        (Some(utc), Some(reason)) => format!("{}, not the wall clock's: {reason}", to_second(utc)),
        (None, reason) => format!("not trusted: {}", reason.as_deref().unwrap_or("unknown")),
    };
    let _ = writeln!(text, "clock      {clock}");
    if let Some(utc) = &status.clock.forwarder_utc {
        let _ = writeln!(text, "           {} by the packet forwarder's GPS", to_second(utc));
    }
    if let Some(gps) = &status.clock.gps {
        let _ = writeln!(text, "GPS        {gps}");
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "warning    {warning}");
    }
    for (task, reason) in &status.ordered_again {
        let _ = writeln!(text, "ignored    {task}: {reason}");
    }
    for (task, reason) in &status.refused {
        // What has no name says in its reason where it was found.
        let name = if task.is_empty() { String::new() } else { format!("{task}: ") };
        let _ = writeln!(text, "refused    {name}{reason}");
    }
    for (task, outcome) in &status.finished {
        let _ = writeln!(text, "over       {task}: {outcome}");
    }
    for answers in &status.answers {
        // What is not over has it below.
        if !status.tasks.iter().any(|task| task.task == answers.task) {
            let _ = writeln!(text, "answers    {}: {}", answers.task, held(answers));
        }
    }
    if !status.bands.is_empty() {
        let rows: Vec<Vec<String>> = status
            .bands
            .iter()
            .map(|band| {
                let range =
                    format!("{:.3}-{:.3} MHz", f64::from(band.min_hz) / 1e6, f64::from(band.max_hz) / 1e6);
                let used = percent(band.total_us, band.budget_us);
                vec![
                    format!("{} {range}", band.label),
                    seconds(band.ours_us),
                    seconds(band.total_us),
                    used,
                    seconds(band.left_us),
                    seconds(band.reserve_us),
                ]
            })
            .collect();
        let _ = write!(text, "\n{}", table(&["sub-band", "ours", "all", "used", "left", "reserve"], &rows));
    }
    if let Some(hearing) = &status.hearing {
        let HearingSnapshot { promised_percent, kept_percent } = hearing;
        let _ = writeln!(
            text,
            "hearing    {kept_percent} % of usual uplinks in the last hour, {promised_percent} % promised"
        );
    }
    text.push_str(&tasks(status));
    text
}

/// The tasks that are not over, with what they wait for.
pub fn tasks(status: &Snapshot) -> String {
    let mut text = String::new();
    if status.tasks.is_empty() {
        let _ = writeln!(text, "\nno task");
    } else {
        let rows: Vec<Vec<String>> = status.tasks.iter().map(row).collect();
        let header = ["task", "phase", "group", "frames", "done", "left", "end"];
        let _ = write!(text, "\n{}", table(&header, &rows));
    }
    for task in &status.tasks {
        if let Some(waiting) = &task.waiting {
            let _ = writeln!(text, "  {}: waits for {waiting}", task.task);
        }
        if let Some((start, end)) = task.campaign.as_ref().and_then(|campaign| campaign.session.as_ref()) {
            let _ = writeln!(text, "  {}: session {} to {}", task.task, to_second(start), to_second(end));
        }
        if let Some(answers) = status.answers.iter().find(|answers| answers.task == task.task) {
            let _ = writeln!(text, "  {}: answers {}", task.task, held(answers));
        }
    }
    text
}

fn forwarder(status: &Snapshot) -> String {
    let forwarder = &status.forwarder;
    let Some(online) = &forwarder.online else {
        return format!("forwarder  not connected, expected on {}{}", forwarder.listen, others(status));
    };
    let counter = match forwarder.counter_error_us {
        Some(error_us) => format!("counter known to +-{} ms", error_us.div_ceil(1000)),
        None => "counter unknown: frames go out as \"immediate\"".to_owned(),
    };
    let gateway = forwarder.gateway.as_deref().unwrap_or("?");
    let mut text = format!("forwarder  {gateway} at {online}, {counter}, {} uplinks", forwarder.uplinks);
    if let (Some(rxok), Some(rxfw)) = (forwarder.rxok, forwarder.rxfw) {
        let _ = write!(text, "\n           last stat: {rxok} received, {rxfw} forwarded");
    }
    if forwarder.swallowed > 0 {
        let _ = write!(text, "\n           {} frames acknowledged and never sent", forwarder.swallowed);
    }
    if forwarder.kernel_dropped > 0 {
        let _ =
            write!(text, "\n           {} datagrams dropped unread by the kernel", forwarder.kernel_dropped);
    }
    text + &others(status)
}

/// Who else sends to the forwarder's port, a line each.
fn others(status: &Snapshot) -> String {
    let line = |other: &OtherSenderSnapshot| {
        format!(
            "\nnot served {} at {}: {} datagrams, neither acknowledged nor relayed",
            other.gateway, other.address, other.datagrams
        )
    };
    status.forwarder.others.iter().map(line).collect()
}

fn servers(text: &mut String, status: &Snapshot) {
    for server in &status.servers {
        let state = match (&server.trouble, &server.address) {
            (Some(trouble), None) => format!("cannot be found: {trouble}"),
            (_, None) => "is being looked up".to_owned(),
            _ if server.is_uplink_only => format!("gets uplinks only, {} relayed", server.uplinks),
            _ if server.is_online => format!("{} uplinks, {} downlinks", server.uplinks, server.asked),
            _ => format!("does not answer, {} uplinks relayed", server.uplinks),
        };
        // A name can have several addresses; an address speaks for itself.
        let in_use = server.address.as_ref().filter(|address| **address != server.name);
        let in_use = in_use.map(|address| format!(" at {address},")).unwrap_or_default();
        let _ = writeln!(text, "server     {}{in_use} {state}", server.name);
        if server.waiting > 0 {
            let _ = writeln!(text, "           {} datagrams wait for an address", server.waiting);
        }
    }
    let relay = &status.relay;
    let refused = relay.collided + relay.overlapped + relay.malformed + relay.unlawful + relay.refused;
    if relay.passed + refused > 0 {
        let _ = writeln!(
            text,
            "downlinks  {} passed, {} met a frame of ours, {} another downlink, {} malformed, {} over the law ({} of them refused), {} refused by the forwarder",
            relay.passed,
            relay.collided,
            relay.overlapped,
            relay.malformed,
            relay.breaches + relay.unlawful,
            relay.unlawful,
            relay.refused
        );
    }
    if !relay.refused_by.is_empty() {
        let each: Vec<String> =
            relay.refused_by.iter().map(|(reason, times)| format!("{reason} {times}")).collect();
        let _ = writeln!(text, "           refused by reason: {}", each.join(", "));
    }
    if relay.wrong_mic > 0 {
        let _ = writeln!(text, "           {} to groups of ours with a wrong MIC", relay.wrong_mic);
    }
}

/// The devices that are set up, a line for each group.
fn fleets(text: &mut String, status: &Snapshot) {
    for devices in &status.fleets {
        let others = [
            (devices.proved, "proved"),
            (devices.refused, "refused"),
            (devices.not_heard_here, "not heard here"),
            (devices.silent, "silent"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        let others: String = others.map(|(count, what)| format!(", {count} {what}")).collect();
        let FleetSnapshot { group, told, devices: all, .. } = devices;
        let _ = writeln!(text, "devices    {group}: {told} of {all} told{others}");
    }
}

/// The application sides of network servers, two lines each at most.
fn lns(text: &mut String, status: &Snapshot) {
    for lns in &status.lns {
        let counts = format!("{} events, {} downlinks", lns.events, lns.pushed);
        let _ = writeln!(text, "lns        {} at {}: {}, {counts}", lns.name, lns.broker, lns.state);
        if let Some(reason) = &lns.reason {
            let _ = writeln!(text, "           {reason}");
        }
        let lost = [
            (lns.unreadable, "messages could not be used, the last:"),
            (lns.dropped, "events dropped"),
            (lns.unpushed, "downlinks found no connection"),
        ];
        for (count, what) in lost.into_iter().filter(|(count, _)| *count > 0) {
            let last = lns.last_unreadable.as_ref().filter(|_| what.ends_with(':'));
            let last = last.map(|last| format!(" {last}")).unwrap_or_default();
            let _ = writeln!(text, "           {count} {what}{last}");
        }
    }
}

fn row(task: &TaskSnapshot) -> Vec<String> {
    let mut cells = vec![task.task.clone(), task.phase.clone()];
    match &task.campaign {
        None => cells.extend(["", "", "", "", ""].map(str::to_owned)),
        Some(campaign) => cells.extend([
            campaign.group.clone(),
            format!("{}/{}", campaign.frames_done, campaign.frames),
            format!("{:.1} %", campaign.percent),
            campaign.left_s.map_or("-".to_owned(), |left_s| duration(left_s.saturating_mul(1_000_000))),
            campaign.eta.as_deref().map(to_second).unwrap_or_default(),
        ]),
    }
    cells
}
