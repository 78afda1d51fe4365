//! `fuotad pause`, `resume` and `cancel`: an operator's word on a task that is not over.

use super::asking;
use super::exit::Failure;
use super::files;
use super::operator_args::TaskArgs;
use crate::broadcast::Verb;
use crate::daemon::ControlClient;
use crate::daemon::ControlError;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::time::Duration;

/// A slow card needs so long to keep a word.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says it to the service, and prints what came of it.
pub fn run(verb: Verb, args: &TaskArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let socket = files::config(&args.config)?.control_socket();
    let said = ControlClient::connect(&socket).and_then(|mut client| {
        client.wait_up_to(PATIENCE)?;
        say(verb, &args.name, &mut client)
    });
    let answer = said.map_err(|error| asking::refused(&socket, error))?;
    let Some(tasks) = answer[words(verb).1].as_array() else {
        return Ok(writeln!(out, "{} is cancelled, and its image is removed", args.name)?);
    };
    for task in tasks.iter().filter_map(Value::as_str) {
        writeln!(out, "{task} is {}", words(verb).1)?;
    }
    for note in answer["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        writeln!(out, "  {note}")?;
    }
    Ok(())
}

fn say(verb: Verb, name: &str, client: &mut ControlClient) -> Result<Value, ControlError> {
    let said = client.ask(json!({"do": words(verb).0, "name": name}));
    match said {
        // An order that is still coming, or was refused after it was taken, is no task and yet kept.
        Err(ControlError::Refused { code, message }) if verb == Verb::Cancel && code == "unknown-task" => {
            let order = client.ask(json!({"do": "order.cancel", "name": name}));
            order.map_err(|error| match error {
                ControlError::Refused { .. } => ControlError::Refused { code, message },
                io => io,
            })
        }
        said => said,
    }
}

/// The request, and what the task is then.
fn words(verb: Verb) -> (&'static str, &'static str) {
    match verb {
        Verb::Pause => ("task.pause", "paused"),
        Verb::Resume => ("task.resume", "resumed"),
        Verb::Cancel => ("task.cancel", "cancelled"),
    }
}
