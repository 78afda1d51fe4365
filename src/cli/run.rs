//! From words to commands to an exit code.

use super::Failure;
use super::args::Cli;
use super::args::Command;
use super::args::GroupCommand;
use super::check;
use super::group;
use super::inspect;
use super::plan;
use super::service;
use super::simulate;
use super::status;
use clap::Parser;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command in `words` (the program's name first).
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes.
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let mut out = std::io::stdout().lock();
    let done = command(cli.command, &mut out);
    match done.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("fuotad: {failure}");
            failure.code()
        }
    }
}

fn command(command: Command, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    match command {
        Command::Run { config } => service::run(&config)?,
        Command::Status(args) => status::run(&args, out)?,
        Command::Check { config, print } => check::run(&config, print, out)?,
        Command::Plan(args) => return plan::run(&args, out),
        Command::Simulate(args) => return simulate::run(&args, out),
        Command::Group { command: GroupCommand::New { name, key_file, mc_addr } } => {
            group::new(&name, key_file, mc_addr, out)?;
        }
        Command::Inspect { command } => inspect::run(command, out)?,
    }
    Ok(ExitCode::SUCCESS)
}
