//! `fuotad doctor`: whatever keeps the service from its work, in one look, as the service's user would find it.

use super::check;
use super::check_forwarder;
use super::exit::Failure;
use super::exit::one_line;
use super::files;
use super::operator_args::DoctorArgs;
use super::port_holder::holders;
use super::service_user::ServiceUser;
use super::table::wrapped;
use crate::config::Config;
use crate::config::Severity;
use crate::daemon;
use crate::daemon::Snapshot;
use crate::daemon::io_words;
use crate::daemon::read_status;
use crate::time::ClockTrust;
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// EX_DATAERR: something must be mended.
const MUST_MEND: u8 = 65;
/// The state folder needs room for counters, marks, and an image or two, bytes.
const ROOM_NEEDED: u64 = 1 << 20;
const ROOM_WANTED: u64 = 16 << 20;
/// The service manager, which holds the port between two lives of the service.
const MANAGER: &str = "systemd";
const SERVICE: &str = "fuotad";

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Good,
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Look {
    state: State,
    what: &'static str,
    found: String,
}

#[derive(Default)]
struct Looks(Vec<Look>);

impl Looks {
    fn add(&mut self, state: State, what: &'static str, found: impl AsRef<str>) {
        self.0.push(Look { state, what, found: one_line(found.as_ref()) });
    }

    fn good(&mut self, what: &'static str, found: impl AsRef<str>) {
        self.add(State::Good, what, found);
    }

    fn note(&mut self, what: &'static str, found: impl AsRef<str>) {
        self.add(State::Note, what, found);
    }

    fn bad(&mut self, what: &'static str, found: impl AsRef<str>) {
        self.add(State::Bad, what, found);
    }
}

/// Looks at everything and prints what it found; ends with 65 when something must be mended.
pub fn run(args: &DoctorArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let mut looks = Looks::default();
    let mut warnings = Vec::new();
    let judged = check::judged(&args.config, true, &mut warnings);
    match &judged {
        Ok((_, settings)) => {
            let (region, groups) = (settings.engine.region.region, settings.engine.groups.len());
            looks.good("configuration", format!("{}: {region}, {groups} group(s)", args.config.display()));
        }
        Err(failure) => failure.lines().for_each(|line| looks.bad("configuration", line)),
    }
    warnings.iter().for_each(|warning| looks.note("configuration", warning));
    if let Ok((config, settings)) = &judged {
        user(&args.config, config, &mut looks);
        room(&config.state.dir, &mut looks);
        match read_status(&config.status.socket) {
            Ok(text) => running(&text, &mut looks),
            Err(error) => stopped(&error, config, settings, &mut looks),
        }
        forwarder_files(args, settings, &mut looks);
    }
    let is_bad = looks.0.iter().any(|look| look.state == State::Bad);
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "good": !is_bad, "looks": looks.0 }))?;
    } else {
        for look in &looks.0 {
            let state = match look.state {
                State::Good => "good",
                State::Note => "note",
                State::Bad => "MEND",
            };
            write!(out, "{}", wrapped(&format!("{state}  {}: {}", look.what, look.found)))?;
        }
    }
    Ok(if is_bad { ExitCode::from(MUST_MEND) } else { ExitCode::SUCCESS })
}

fn user(path: &Path, config: &Config, looks: &mut Looks) {
    match ServiceUser::of(path, &config.state.dir) {
        Some(user) => looks.good("rights", format!("judged as the service's user {}", user.name)),
        None if rustix::process::geteuid().is_root() => {
            looks.note("rights", "not judged: there is no user fuotad here (systemd-sysusers makes it)");
        }
        None => looks.note("rights", "judged as you; ask as root to have them judged as the service's user"),
    }
}

/// Room below `dir`, or where it would be made.
fn room(dir: &Path, looks: &mut Looks) {
    let Some(there) = dir.ancestors().find(|folder| folder.exists()) else { return };
    let shown = dir.display();
    match rustix::fs::statvfs(there) {
        Err(error) => looks.note("disk", format!("{shown}: {}", io_words(&error.into()))),
        Ok(disk) if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) => {
            looks.bad(
                "disk",
                format!("{shown} is on a file system that is read-only: counters must be written"),
            );
        }
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{shown}: {} MB free", free / 1_000_000);
            match free {
                free if free < ROOM_NEEDED => {
                    looks.bad("disk", format!("{found}: make room, 16 MB at least"))
                }
                free if free < ROOM_WANTED => {
                    looks.note("disk", format!("{found}: room for small images only"))
                }
                _ => looks.good("disk", found),
            }
        }
    }
}

/// What the service says of itself.
fn running(text: &str, looks: &mut Looks) {
    let Ok(status) = serde_json::from_str::<Snapshot>(text) else {
        return looks.bad("service", "what answers at the status socket is no fuotad");
    };
    if status.is_ready {
        looks.good("service", format!("fuotad {} runs and is ready", status.version));
    }
    status.not_ready.iter().for_each(|reason| looks.bad("service", reason));
    let forwarder = &status.forwarder;
    match (&forwarder.online, &forwarder.gateway) {
        (Some(online), Some(gateway)) => {
            looks.good("forwarder", format!("{gateway} at {online}, {} uplinks", forwarder.uplinks));
        }
        // Its reason stands with the service.
        _ => looks.bad("forwarder", format!("not heard on {}", forwarder.listen)),
    }
    for other in &forwarder.others {
        looks.note(
            "forwarder",
            format!("{} at {} sends here, too, and is not served", other.gateway, other.address),
        );
    }
    for server in &status.servers {
        match (&server.address, server.is_online) {
            (Some(address), true) => looks.good("server", format!("{} at {address} answers", server.name)),
            (Some(address), false) => {
                looks.bad(
                    "server",
                    format!("{} at {address} does not answer: is it its Semtech UDP port?", server.name),
                );
            }
            (None, _) => {
                let why = server.trouble.as_deref().unwrap_or("its name is being looked up");
                looks.bad("server", format!("{}: {why}", server.name));
            }
        }
    }
    for lns in &status.lns {
        let found = format!("{} at {}: {}", lns.name, lns.broker, lns.state);
        match &lns.reason {
            None => looks.good("lns", found),
            Some(reason) => looks.bad("lns", format!("{found}: {reason}")),
        }
    }
    match (&status.clock.utc, &status.clock.reason) {
        (Some(utc), None) => looks.good("clock", format!("trusted, {utc}")),
        (Some(utc), Some(reason)) => looks.note("clock", format!("{utc}: {reason}")),
        (None, reason) => {
            looks.note("clock", no_clock(reason.as_deref().unwrap_or("nothing vouches for it")))
        }
    }
}

fn no_clock(reason: &str) -> String {
    format!("not trusted: {reason}; tasks with a start time and sessions wait for it")
}

/// What can be said while no service answers.
fn stopped(error: &std::io::Error, config: &Config, settings: &daemon::Settings, looks: &mut Looks) {
    let why = io_words(error);
    let socket = config.status.socket.display();
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return looks.note("service", format!("{socket}: {why}: only root and the group fuotad may ask"));
    }
    looks.note(
        "service",
        format!("it does not run ({socket}: {why}): whether forwarder and servers answer is not known"),
    );
    let holders = holders(settings.listen);
    let listen = settings.listen;
    match holders.as_slice() {
        [] => looks.good("port", format!("{listen} is free")),
        [one] if one == MANAGER => looks.good("port", format!("{listen} is held by systemd (fuotad.socket)")),
        [one] if one == SERVICE => {
            looks.bad("port", format!("{listen}: a fuotad that does not answer holds it"))
        }
        others => looks.bad(
            "port",
            format!(
                "{listen} is held by {}: stop it, or choose another port as [forwarder] listen",
                others.join(", ")
            ),
        ),
    }
    for server in &settings.engine.relay.servers {
        match files::addresses(&server.name).next() {
            Some(address) => looks.good("server", format!("{} is {address}", server.name)),
            None => looks.bad("server", format!("{}: its name is not found", server.name)),
        }
    }
    let evidence = &config.clock.evidence;
    let seen = evidence.iter().find(|file| file.exists());
    match (config.clock.trust, seen) {
        (ClockTrust::Always, _) => looks.good("clock", "you vouch for it (clock.trust)"),
        (ClockTrust::Auto, Some(file)) => looks.good("clock", format!("{} vouches for it", file.display())),
        _ => looks.note("clock", no_clock("none of the files of clock.evidence is there")),
    }
}

fn forwarder_files(args: &DoctorArgs, settings: &daemon::Settings, looks: &mut Looks) {
    if args.forwarder.is_empty() {
        return;
    }
    let (names, file) = match check_forwarder::read(&args.forwarder) {
        Ok(read) => read,
        Err(failure) => return looks.bad("forwarder file", failure.to_string()),
    };
    let findings = check_forwarder::findings(&file, settings, args.dialect);
    if findings.iter().all(|finding| finding.severity == Severity::Note) {
        looks.good("forwarder file", format!("{names}: serves fuotad as it is"));
    }
    for finding in findings {
        let state = if finding.severity == Severity::Note { State::Note } else { State::Bad };
        let found = format!("{}: {} -> {}: {}", finding.key, finding.found, finding.wanted, finding.why);
        looks.add(state, "forwarder file", found);
    }
}
