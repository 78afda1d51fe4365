//! `fuotad tasks`: what is not over.

use super::exit::Failure;
use super::operator_args::LookArgs;
use super::status;
use super::table::wrapped;
use crate::daemon::Snapshot;
use std::io::Write;

/// Asks the service and prints its tasks.
pub fn run(args: &LookArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let socket = status::socket_of(&args.config)?;
    let snapshot: Snapshot = serde_json::from_str(&status::read(&socket)?)
        .map_err(|error| Failure::data(format!("{}: not a status: {error}", socket.display())))?;
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::json!(snapshot.tasks))?);
    }
    write!(out, "{}", wrapped(status::tasks(&snapshot).trim_start()))?;
    for (task, reason) in &snapshot.refused {
        write!(out, "{}", wrapped(&format!("refused    {task}: {reason}")))?;
    }
    Ok(())
}
