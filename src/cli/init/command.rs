//! The command itself: finds, asks, writes, says what is left to do and how to go back.
#![expect(clippy::disallowed_methods, reason = "the command line reads and writes the files it is for")]

use super::forwarder;
use super::forwarder::Change;
use super::lns::Lns;
use super::questions::Questions;
use super::writing::Answers;
use super::writing::LISTEN;
use crate::cli::check;
use crate::cli::check_forwarder;
use crate::cli::exit::Failure;
use crate::cli::exit::warn;
use crate::cli::group;
use crate::cli::operator_args::DEFAULT_CONFIG;
use crate::cli::operator_args::InitArgs;
use crate::cli::service_user::has_unit;
use crate::config::Finding;
use crate::config::ForwarderFile;
use crate::config::SessionKind;
use crate::config::host_and_port;
use crate::daemon::io_words;
use crate::region::RfRegion;
use std::fs;
use std::io::BufRead;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// The drop-in by which systemd holds another port than the unit's.
const DROP_IN: &str = "/etc/systemd/system/fuotad.socket.d/listen.conf";
/// Says that there is no network server, or no group.
const NONE: &str = "none";
/// The first group's name where nobody says another.
const GROUP: &str = "meters";

/// Asks and writes. Nothing is changed before all answers are there.
pub fn run(args: &InitArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if let Ok(text) = fs::read_to_string(&args.config)
        && text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    {
        return Err(Failure::cannot_create(format!(
            "{}: there is a configuration already: `fuotad doctor` looks at it; move it away to begin anew",
            args.config.display()
        )));
    }
    let paths = match args.forwarder.as_slice() {
        [] => forwarder::of_a_running_one(),
        given => given.to_vec(),
    };
    let file = match paths.as_slice() {
        [] => {
            warn(
                "no packet forwarder runs here: name its file with --forwarder, so that it need not be asked for",
            );
            ForwarderFile::default()
        }
        paths => {
            let (names, file) = check_forwarder::read(&forwarder::originals(paths))?;
            writeln!(out, "packet forwarder: {names}")?;
            file
        }
    };
    let (answers, group) = ask(args, &file, out)?;
    let made = write(args, &answers, group, out)?;
    let (_, settings) = check::checked(&args.config, false)?;
    if made.is_some_and(|made| args.mc_addr.is_none() && made.is_enrolled) {
        warn(group::MADE_UP);
    }
    let findings = match paths.is_empty() {
        true => Vec::new(),
        // Judged as they stand now: an earlier try may have changed them.
        false => check_forwarder::findings(&check_forwarder::read(&paths)?.1, &settings, args.dialect),
    };
    let changes = forwarder::change(&paths, &findings, args.apply)?;
    let is_reloaded = socket(answers.listen(), &args.config, out)?;
    tell(args, &answers, &paths, &changes, is_reloaded, out)
}

/// The first group, if one is wanted.
type NewGroup = Option<(String, SessionKind)>;

fn ask(args: &InitArgs, file: &ForwarderFile, out: &mut dyn Write) -> Result<(Answers, NewGroup), Failure> {
    let mut input = std::io::stdin().lock();
    let answers = (!args.yes).then_some(&mut input as &mut dyn BufRead);
    let mut questions = Questions { answers, out };
    let region = |text: &str| {
        RfRegion::parse_with_note(text)
            .map(|(region, _)| region.to_string())
            .map_err(|error| error.to_string())
    };
    let proposed = forwarder::region(file);
    let region = questions.ask(("--region", args.region.as_deref()), "Region", proposed, region)?;
    let known = forwarder::servers(file);
    if let [_, _, ..] = known.as_slice() {
        warn(format!(
            "the forwarder sends to {}: put the others into further [[network-server]]",
            known.join(", ")
        ));
    }
    let server = |text: &str| match text {
        NONE => Ok(None),
        text => host_and_port(text).map(|()| Some(text.to_owned())),
    };
    let question = "Network server that the gateway's traffic goes to (HOST:PORT, or none)";
    let given = ("--network-server", args.network_server.as_deref());
    let server = questions.ask(given, question, known.first().map(String::as_str), server)?;
    let name = |text: &str| Ok(Some(text.to_owned()).filter(|name| name != NONE));
    let name =
        questions.ask(("--group", args.group.as_deref()), "First group (or none)", Some(GROUP), name)?;
    let session = |text: &str| match text {
        "windows" => Ok(SessionKind::Windows),
        "always" => Ok(SessionKind::Always),
        other => Err(format!("{other:?}: write windows (in sessions that they are told) or always")),
    };
    let group = match name {
        None => None,
        Some(name) => {
            let question = "Its devices listen in sessions they are told (windows), or always";
            let given = ("--session", args.session.as_deref());
            Some((name, questions.ask(given, question, Some("windows"), session)?))
        }
    };
    // Who has no network server here hears no device through one.
    let lns = match (&group, &server) {
        (Some(_), Some(_)) => Lns::ask(args, &mut questions)?,
        _ => None,
    };
    let gain = file.board.as_ref().and_then(|board| board.antenna_gain_dbi.is().copied());
    Ok((Answers { region, server, antenna_gain_dbi: gain.unwrap_or(0.0).trunc(), lns }, group))
}

/// The configuration, and the key of its first group. What fails leaves the configuration as it was.
fn write(
    args: &InitArgs,
    answers: &Answers,
    group: NewGroup,
    out: &mut dyn Write,
) -> Result<Option<group::NewGroup>, Failure> {
    let path = &args.config;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let wrong = |path: &Path, error: &std::io::Error| {
        Failure::cannot_create(format!("{}: {}", path.display(), io_words(error)))
    };
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| wrong(folder, &error))?;
    }
    let before = fs::read_to_string(path).ok();
    let text = answers.text();
    forwarder::replace(path, &text, path)?;
    let finish = || -> Result<Option<group::NewGroup>, Failure> {
        let Some((name, session)) = group else { return Ok(None) };
        let key_file = path.with_file_name(format!("{name}.mckey"));
        let made = group::make(&name, &key_file, args.mc_addr, session, path)?;
        let mut group = made.text.clone();
        if answers.lns.is_some() {
            group += &Lns::of_group(&devices_file(path, &name)?);
        }
        forwarder::replace(path, &format!("{text}\n{group}"), path)?;
        writeln!(
            out,
            "wrote {}: the key of group {name} (McAddr {}), enrolled",
            key_file.display(),
            made.mc_addr
        )?;
        Ok(Some(made))
    };
    let made = finish();
    match (&made, before) {
        (Ok(_), _) => writeln!(out, "wrote {}", path.display())?,
        (Err(_), Some(before)) => forwarder::replace(path, &before, path)?,
        (Err(_), None) => drop(fs::remove_file(path)),
    }
    made
}

/// The devices file of a group beside the configuration `path`, with no devices yet where there is none.
fn devices_file(path: &Path, group: &str) -> Result<PathBuf, Failure> {
    let devices = path.with_file_name(format!("{group}.devices.toml"));
    let devices = std::path::absolute(&devices).unwrap_or(devices);
    if !devices.exists() {
        forwarder::replace(&devices, "# `fuotad prepare` writes this file.\ndevice = []\n", &devices)?;
    }
    Ok(devices)
}

/// Where systemd is to hold another port it is told so. Whether units must be read again by a person.
fn socket(listen: &str, config: &Path, out: &mut dyn Write) -> Result<bool, Failure> {
    if listen == LISTEN || config != Path::new(DEFAULT_CONFIG) || !has_unit() {
        return Ok(listen == LISTEN);
    }
    let path = Path::new(DROP_IN);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::cannot_create(format!("{DROP_IN}: {}", io_words(&error))))?;
    }
    forwarder::replace(path, &drop_in(listen), path)?;
    writeln!(out, "wrote {DROP_IN}")?;
    let reload = Command::new("systemctl").arg("daemon-reload").status();
    Ok(reload.is_ok_and(|status| status.success()))
}

fn drop_in(listen: &str) -> String {
    format!("[Socket]\nListenDatagram=\nListenDatagram={listen}\n")
}

/// What was changed, what is left to a person, and the way back.
fn tell(
    args: &InitArgs,
    answers: &Answers,
    paths: &[PathBuf],
    changes: &[Change<'_>],
    is_reloaded: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for path in paths {
        let here: Vec<&Finding> = changes
            .iter()
            .filter(|change| change.path.as_ref() == Some(path))
            .map(|change| change.finding)
            .collect();
        if !here.is_empty() {
            let what = if args.apply { "changed" } else { "to change (or say --apply)" };
            writeln!(out, "\n{what} in {}:", path.display())?;
        }
        for finding in here {
            writeln!(out, "  {}: {} -> {}", finding.key, finding.found, finding.wanted)?;
        }
    }
    let left: Vec<&Finding> =
        changes.iter().filter(|change| change.path.is_none()).map(|change| change.finding).collect();
    if !left.is_empty() {
        writeln!(out, "\nfor you to judge in the packet forwarder's files:")?;
    }
    for Finding { key, found, wanted, why, .. } in left {
        writeln!(out, "  {key}: {found} -> {wanted}\n    {why}")?;
    }
    if paths.is_empty() {
        let listen = answers.listen();
        writeln!(
            out,
            "\nthe packet forwarder must send to {listen}; `fuotad check --forwarder FILE` says what to change"
        )?;
    }
    writeln!(out, "\nnext:")?;
    if !is_reloaded {
        let whose = if has_unit() { "" } else { "where systemd is to hold the port, " };
        writeln!(out, "  {whose}in {DROP_IN}, then systemctl daemon-reload:")?;
        drop_in(answers.listen()).lines().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    let start = match has_unit() {
        true => "systemctl enable --now fuotad.socket fuotad.service",
        false => "/etc/init.d/fuotad start",
    };
    writeln!(out, "  {start}\n  restart the packet forwarder\n  fuotad doctor")?;
    let stop = match has_unit() {
        true => "systemctl disable --now fuotad.socket fuotad.service",
        false => "/etc/init.d/fuotad stop",
    };
    writeln!(out, "the way back:\n  {stop}")?;
    forwarder::way_back(paths).iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    writeln!(out, "  restart the packet forwarder")?;
    Ok(())
}
