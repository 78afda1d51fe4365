//! What an operator does to a task: the answer comes when it is durable.

use super::answer::line;
use super::refusal::Refusal;
use super::request::Request;
use super::request::What;
use crate::broadcast::Done;
use crate::broadcast::NotSaved;
use crate::broadcast::TaskSource;
use crate::broadcast::Verb;
use crate::broadcast::VerbError;
use crate::engine::Engine;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::Now;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Answers that wait for the disk. Each connection waits for one at most.
#[derive(Debug, Default)]
pub struct PendingAnswers(BTreeMap<u64, Pending>);

#[derive(Debug)]
struct Pending {
    id: Option<Value>,
    verb: Verb,
    answer: Value,
    reply: oneshot::Sender<Vec<u8>>,
}

impl PendingAnswers {
    /// The answer to a save is there: whoever asked for what it holds is told, unless it is gone.
    pub fn saved(&mut self, save: u64, result: &Result<(), NotSaved>) {
        let Some(Pending { id, verb, answer, reply }) = self.0.remove(&save) else { return };
        let given = match (verb, result) {
            // The list of what is over needs no room.
            (_, Ok(())) | (Verb::Cancel, Err(NotSaved::NoRoom(_) | NotSaved::Refused(_))) => Ok(answer),
            (_, Err(NotSaved::NoRoom(why) | NotSaved::Refused(why) | NotSaved::Broken(why))) => {
                Err(Refusal::new("disk", format!("it holds until the next start only: {why}")))
            }
        };
        let _ = reply.send(line(id, given));
    }
}

/// Carries out a request about a task; any other is given back.
pub fn command(
    engine: &mut Engine,
    now: Now,
    request: Request,
    reply: oneshot::Sender<Vec<u8>>,
    pending: &mut PendingAnswers,
) -> Result<(), (Request, oneshot::Sender<Vec<u8>>)> {
    let What::Verb(verb, task) = &request.what else { return Err((request, reply)) };
    let verb = *verb;
    match engine.command(now, verb, task) {
        Ok(done) => {
            let waiting = Pending { id: request.id, verb, answer: answer(verb, &done), reply };
            pending.0.insert(done.save, waiting);
        }
        Err(error) => {
            let refusal = Refusal::new(code(&error), error.to_string());
            let _ = reply.send(line(request.id, Err(refusal)));
        }
    }
    Ok(())
}

fn answer(verb: Verb, done: &Done) -> Value {
    let tasks: Vec<&str> = done.tasks.iter().map(TaskId::as_str).collect();
    let name = match verb {
        Verb::Pause => "paused",
        Verb::Resume => "resumed",
        Verb::Cancel => "cancelled",
    };
    json!({ name: tasks, "notes": notes(verb, done) })
}

/// What the operator should know beside that it is done, a sentence each.
fn notes(verb: Verb, done: &Done) -> Vec<String> {
    let mut notes = Vec::new();
    if verb == Verb::Resume {
        return notes;
    }
    if done.has_begun {
        notes.push("a frame that is with the packet forwarder already may still go out".to_owned());
    }
    if let Some(end) = done.sessions_end.filter(|_| verb == Verb::Pause) {
        notes.push(format!(
            "the sessions that devices were told go on until {}: what is not sent by then is lost to them, unless the task gets a later start",
            rfc3339_from_gps(end)
        ));
    }
    if done.source == TaskSource::Cloud && verb == Verb::Cancel {
        notes.push(
            "AWS is not told and shows the task as before: delete it there; here it does not begin again"
                .to_owned(),
        );
    }
    notes
}

fn code(error: &VerbError) -> &'static str {
    match error {
        VerbError::Unknown(_) => "unknown-task",
        VerbError::Over(..) => "already-over",
        VerbError::IsPaused(_) => "already-paused",
        VerbError::NotPaused(_) => "not-paused",
        VerbError::Halted(_) => "disk",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::GpsTime;

    fn done(source: TaskSource) -> Done {
        let sessions_end = Some(GpsTime::from_us(1_479_369_618_000_000));
        let tasks = vec![TaskId::new("t@a").unwrap(), TaskId::new("t@b").unwrap()];
        Done { tasks, save: 7, source, has_begun: true, sessions_end }
    }

    #[test]
    fn a_pause_says_what_its_sessions_lose_and_a_cancel_what_the_cloud_shows() {
        let paused = answer(Verb::Pause, &done(TaskSource::Cloud));
        assert_eq!(paused["paused"], json!(["t@a", "t@b"]));
        let notes = paused["notes"].to_string();
        assert!(
            notes.contains("until 2026-11-22T08:00:00Z") && notes.contains("may still go out"),
            "{notes}"
        );
        assert!(!notes.contains("AWS"), "{notes}");
        let notes = |source| answer(Verb::Cancel, &done(source))["notes"].to_string();
        assert!(notes(TaskSource::Cloud).contains("AWS is not told and shows the task as before"));
        assert!(!notes(TaskSource::File).contains("AWS"));
        assert_eq!(answer(Verb::Resume, &done(TaskSource::Cloud))["notes"], json!([]));
    }

    #[test]
    fn an_answer_comes_with_its_save_and_says_when_the_disk_does_not_keep_it() {
        let full = || Err(NotSaved::NoRoom("the disk is full".to_owned()));
        for (verb, result, is_kept) in
            [(Verb::Pause, Ok(()), true), (Verb::Pause, full(), false), (Verb::Cancel, full(), true)]
        {
            let mut pending = PendingAnswers::default();
            let (reply, mut answer) = oneshot::channel();
            pending.0.insert(7, Pending { id: Some(json!(3)), verb, answer: json!({}), reply });
            pending.saved(6, &Ok(()));
            assert!(answer.try_recv().is_err(), "another save");
            pending.saved(7, &result);
            let line: Value = serde_json::from_slice(&answer.try_recv().unwrap()).unwrap();
            assert_eq!((&line["id"], line["ok"].is_object()), (&json!(3), is_kept), "{line}");
            assert!(is_kept || line["error"]["code"] == "disk", "{line}");
        }
    }
}
