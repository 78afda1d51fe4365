//! `fuotad pause`, `resume` and `cancel` over the socket of a service that is killed meanwhile.

use super::order::refusal;
use crate::support::site::Site;
use fuotad::daemon::ControlClient;
use serde_json::json;

/// What the service waits for with its only task.
fn waits_for(site: &mut Site, kind: &str) {
    site.wait(kind, 20, |status| {
        let wait = status.tasks.first().and_then(|task| task.wait.as_ref());
        status.forwarder.online.is_some() && wait.is_some_and(|wait| wait.reason == kind)
    });
}

#[test]
fn a_task_of_the_folder_is_paused_across_a_kill_and_goes_on_with_the_next_counter() {
    let mut site = Site::new("pause", 60);
    site.order("lamps-1", "");
    site.start();
    site.wait_for_frames(5);
    let config = site.config();
    let said = site.cli(&["pause", "lamps-1", "-c", &config]);
    assert!(said.starts_with("lamps-1 is paused\n") && said.contains("may still go out"), "{said}");
    site.wait_for_the_air();
    let frames = site.frames();
    let again = site.refuses(&["pause", "lamps-1", "-c", &config]);
    assert!(again.0 == Some(65) && again.1.contains("is paused already"), "{again:?}");
    for _ in 0..2 {
        waits_for(&mut site, "paused");
        let shown = site.cli(&["tasks", "-c", &config]);
        assert!(shown.contains("it is paused by the operator"), "{shown}");
        site.kill();
        site.start();
    }
    waits_for(&mut site, "paused");
    assert_eq!(site.status_code(&["--ready"]), Some(0), "a paused task is no fault");
    assert_eq!(site.frames(), frames, "nothing left while it was paused");
    assert_eq!(site.cli(&["resume", "lamps-1", "-c", &config]), "lamps-1 is resumed\n");
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    let verdict = site.verdict();
    assert!(verdict.is_content() && verdict.devices_complete == site.devices(), "{verdict:?}");
}

#[test]
fn a_cancelled_task_stays_over_although_its_file_lies_in_the_folder() {
    let mut site = Site::new("cancel", 60);
    site.order("lamps-1", "");
    site.start();
    site.wait_for_frames(5);
    let config = site.config();
    assert!(site.cli(&["cancel", "lamps-1", "-c", &config]).starts_with("lamps-1 is cancelled\n"));
    let state = site.path("state");
    site.wait("its report is written", 20, |_| {
        let names = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with("report-lamps-1"))
    });
    site.kill();
    site.wait_for_the_air();
    let frames = site.frames();
    site.start();
    let is_over = |(task, how): &(String, String)| task == "lamps-1" && how.contains("cancelled after");
    site.wait("it is known to be over", 20, |status| {
        status.forwarder.online.is_some() && status.ordered_again.iter().any(is_over)
    });
    assert_eq!((site.frames(), site.path("tasks/lamps-1.json").exists()), (frames, true));
    assert!(site.report("lamps-1")["outcome"].as_str().unwrap().starts_with("cancelled"));
}

#[test]
fn a_word_on_a_task_that_has_nothing_to_do_is_refused_with_a_code() {
    let mut site = Site::new("verbs", 12);
    site.start();
    site.wait("it answers", 20, |_| true);
    let mut client = ControlClient::connect(&site.path("control.sock")).unwrap();
    let mut say = |verb: &str, name: &str| client.ask(json!({"do": format!("task.{verb}"), "name": name}));
    for verb in ["pause", "resume", "cancel"] {
        assert_eq!(refusal(say(verb, "lamps-1")), "unknown-task");
        assert_eq!(refusal(say(verb, "")), "wrong-member");
    }
    // Its start is far away.
    site.order("lamps-1", r#","Fuotad":{"Start":"2099-11-22T08:30:00Z"}"#);
    site.wait("it is known", 20, |status| !status.tasks.is_empty());
    assert_eq!(refusal(say("resume", "lamps-1")), "not-paused");
    assert_eq!(say("pause", "lamps-1").unwrap(), json!({"paused": ["lamps-1"], "notes": []}));
    assert_eq!(refusal(say("pause", "lamps-1")), "already-paused");
    assert_eq!(say("cancel", "lamps-1").unwrap()["cancelled"], json!(["lamps-1"]));
    for verb in ["pause", "resume", "cancel"] {
        assert_eq!(refusal(say(verb, "lamps-1")), "already-over");
    }
}
