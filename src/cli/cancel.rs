//! `fuotad cancel`: stops an order that came over the control socket.

use super::asking;
use super::exit::Failure;
use super::files;
use super::operator_args::CancelArgs;
use crate::daemon::ControlClient;
use serde_json::json;
use std::io::Write;

/// Asks the service to stop it.
pub fn run(args: &CancelArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let socket = files::config(&args.config)?.control_socket();
    let asked = ControlClient::connect(&socket)
        .and_then(|mut client| client.ask(json!({"do": "order.cancel", "name": args.name})));
    asked.map_err(|error| asking::refused(&socket, error))?;
    writeln!(out, "{} is cancelled, and its image is removed", args.name)?;
    Ok(())
}
