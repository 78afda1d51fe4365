//! From words to commands to an exit code.

use super::args::Cli;
use super::args::Command;
use super::check;
use super::check_forwarder;
use super::colour;
use super::colour::Tinted;
use super::devices;
use super::doctor;
use super::enrol;
use super::exit::Failure;
use super::group;
use super::group_args::GroupCommand;
use super::history;
use super::init;
use super::inspect;
use super::online;
use super::order;
use super::plan;
use super::prepare;
use super::rehearse;
use super::rerun;
use super::service;
use super::simulate;
use super::status;
use super::tasks;
use super::verbs;
use super::verify;
use crate::broadcast::Verb;
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::io::BufWriter;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command in `words` (the program's name first).
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return answer(&error),
    };
    let is_tinted = colour::is_wanted(&std::io::stdout());
    let plain = BufWriter::new(std::io::stdout().lock());
    let mut out: Box<dyn Write> = if is_tinted { Box::new(Tinted::new(plain)) } else { Box::new(plain) };
    let done = command(cli.command, &mut out);
    match done.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

/// Help and version are answers, not mistakes; everything else is told in one line.
fn answer(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Failure::usage("a command is missing: say `fuotad --help` for what there is").tell()
        }
        _ => {
            let text = error.to_string();
            let told = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
            let told = told.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
            let line = told.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
            Failure::usage(format!("{}; try --help", line.trim_start_matches("error: "))).tell()
        }
    }
}

fn command(command: Command, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    match command {
        Command::Run { config } => service::run(&config)?,
        Command::Init(args) => init::run(&args, out)?,
        Command::Doctor(args) => return doctor::run(&args, out),
        Command::Status(args) => return status::run(&args, out),
        Command::Devices(args) => devices::run(&args, out)?,
        Command::Check { config, named, print, forwarder, dialect, online, strict, json } => {
            let config = named.unwrap_or(config);
            match (online, forwarder.as_slice()) {
                (true, _) => return online::run(&config, json, out),
                (false, []) => check::run(&config, print, strict, out)?,
                (false, forwarder) => check_forwarder::run(&config, forwarder, dialect, json, out)?,
            }
        }
        Command::Plan(args) => return plan::run(&args, out),
        Command::Order(args) => order::run(&args, out)?,
        Command::Pause(args) => verbs::run(Verb::Pause, &args, out)?,
        Command::Resume(args) => verbs::run(Verb::Resume, &args, out)?,
        Command::Cancel(args) => verbs::run(Verb::Cancel, &args, out)?,
        Command::Rerun(args) => rerun::run(&args, out)?,
        Command::Tasks(args) => tasks::run(&args, out)?,
        Command::History(args) => history::run(&args, out)?,
        Command::Prepare(args) => prepare::run(&args, out)?,
        Command::Verify(args) => return verify::run(&args, out),
        Command::Simulate(args) => return simulate::run(&args, out),
        Command::Rehearse(args) => return rehearse::run(&args, out),
        Command::Group { command: GroupCommand::New { name, key_file, mc_addr, config } } => {
            group::new(&name, key_file, mc_addr, &config, out)?;
        }
        Command::Group { command: GroupCommand::Enrol(args) } => enrol::run(&args, out)?,
        Command::Inspect { command } => inspect::run(command, out)?,
    }
    Ok(ExitCode::SUCCESS)
}
