//! Readers that do not read, and what the metrics are called.

use super::feed::Feed;
use super::feed::STREAMS_MAX;
use super::metrics;
use crate::answers::Holdings;
use crate::daemon::control::Ask;
use crate::daemon::snapshot::AnswersSnapshot;
use crate::daemon::snapshot::BandSnapshot;
use crate::daemon::snapshot::CampaignSnapshot;
use crate::daemon::snapshot::FleetSnapshot;
use crate::daemon::snapshot::HearingSnapshot;
use crate::daemon::snapshot::ServerSnapshot;
use crate::daemon::snapshot::Snapshot;
use crate::daemon::snapshot::TaskSnapshot;
use crate::daemon::snapshot::WaitSnapshot;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// A feed that is answered `{}`-like documents as often as it asks.
async fn fed(
    events: usize,
    read: impl Fn(&mut mpsc::Receiver<hyper::body::Bytes>),
) -> Result<(), TryRecvError> {
    let (asks, mut asked) = mpsc::channel(1);
    let feed = Feed::new(asks);
    let (hold, mut dropped) = oneshot::channel();
    let mut received = feed.join(hold).unwrap();
    let answer = async {
        for _ in 0..events {
            let Some(Ask::Status(ask)) = asked.recv().await else { panic!("a status is asked for") };
            read(&mut received);
            let _ = ask.send(serde_json::to_vec(&Snapshot::default()).unwrap());
        }
    };
    tokio::select! {
        () = feed.run(Duration::from_millis(1)) => {}
        () = answer => {}
    }
    match dropped.try_recv() {
        Err(TryRecvError::Empty) => Ok(()),
        gone => gone,
    }
}

#[tokio::test]
async fn who_reads_stays_and_who_does_not_is_dropped() {
    assert_eq!(fed(40, |received| while received.try_recv().is_ok() {}).await, Ok(()));
    // It was dropped, and then nobody looked on: the feed asks every tenth second only.
    assert_eq!(fed(40, |_| {}).await, Err(TryRecvError::Closed));
}

#[tokio::test]
async fn a_place_is_free_again_when_its_reader_is_gone() {
    let feed = Feed::new(mpsc::channel(1).0);
    let mut readers: Vec<_> = (0..STREAMS_MAX).map(|_| feed.join(oneshot::channel().0).unwrap()).collect();
    assert!(feed.join(oneshot::channel().0).is_none());
    readers.pop();
    assert!(feed.join(oneshot::channel().0).is_some());
}

/// Each metric that the text of a dashboard or of rules names.
fn asked_for(text: &str) -> BTreeSet<&str> {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.split(is_end).filter(|word| word.starts_with("fuotad_")).collect()
}

#[test]
fn the_dashboard_and_the_alert_rules_ask_for_what_there_is() {
    let wait = WaitSnapshot { reason: "image".to_owned(), ..WaitSnapshot::default() };
    let campaign = CampaignSnapshot { left_s: Some(1), ..CampaignSnapshot::default() };
    let task = TaskSnapshot { wait: Some(wait), campaign: Some(campaign), ..TaskSnapshot::default() };
    let snapshot = Snapshot {
        tasks: vec![task],
        bands: vec![BandSnapshot::default()],
        servers: vec![ServerSnapshot::default()],
        state_free_bytes: Some(1),
        ..Snapshot::default()
    };
    let text = metrics::text(&snapshot).unwrap();
    let is_sample = |name: &&str| text.lines().any(|line| line.split(['{', ' ']).next() == Some(*name));
    for file in ["fuotad-dashboard.json", "fuotad.rules.yml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/monitoring").join(file);
        let file = std::fs::read_to_string(path).unwrap();
        let missing: Vec<&str> = asked_for(&file).into_iter().filter(|name| !is_sample(name)).collect();
        assert!(asked_for(&file).len() > 6 && missing.is_empty(), "{missing:?}");
    }
    assert!(
        text.contains("# TYPE fuotad_forwarder_uplinks_total counter\nfuotad_forwarder_uplinks_total 0\n"),
        "{text}"
    );
}

#[test]
fn each_device_stands_in_one_state() {
    let fleet = FleetSnapshot {
        group: "meters".to_owned(),
        devices: 20,
        told: 9,
        proved: 4,
        refused: 3,
        not_heard_here: 2,
        silent: 1,
    };
    let snapshot = Snapshot { fleets: vec![fleet], ..Snapshot::default() };
    let text = metrics::text(&snapshot).unwrap();
    for (state, count) in
        [("proved", 4), ("told", 5), ("refused", 3), ("not_heard_here", 2), ("silent", 1), ("asked", 5)]
    {
        let line = format!("fuotad_devices{{group=\"meters\",state=\"{state}\"}} {count}.0\n");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}

#[test]
fn each_device_holds_one_thing_of_its_groups_newest_image() {
    let counts = |done| Holdings { done, unheard: 2, not_told: 1, ..Holdings::default() };
    let answers = |task: &str, done| AnswersSnapshot {
        task: task.to_owned(),
        group: "meters".to_owned(),
        counts: counts(done),
        ..AnswersSnapshot::default()
    };
    let snapshot = Snapshot { answers: vec![answers("old", 7), answers("new", 9)], ..Snapshot::default() };
    let text = metrics::text(&snapshot).unwrap();
    for (result, count) in [("done", 9), ("probably", 0), ("unheard", 2), ("not_told", 1)] {
        let line = format!("fuotad_device_results{{group=\"meters\",result=\"{result}\"}} {count}.0\n");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("fuotad_device_results{")).count(), 7);
}

#[test]
fn labels_of_tasks_are_few_and_cannot_break_the_text() {
    let campaign = CampaignSnapshot { group: "a\"b\n".to_owned(), frames: 9, ..CampaignSnapshot::default() };
    let task = |n: usize| TaskSnapshot {
        task: format!("t{n}\"\\\n# TYPE x counter"),
        phase: "sending".to_owned(),
        campaign: Some(campaign.clone()),
        ..TaskSnapshot::default()
    };
    let bands = vec![BandSnapshot {
        label: "P".to_owned(),
        ours_us: 1_500_000,
        total_us: 2_000_000,
        budget_us: 360_000_000,
        reserve_us: 36_000_000,
        ..BandSnapshot::default()
    }];
    let hearing = Some(HearingSnapshot { promised_percent: 80.0, kept_percent: 97.25 });
    let snapshot = Snapshot { tasks: (0..100).map(task).collect(), bands, hearing, ..Snapshot::default() };
    let text = metrics::text(&snapshot).unwrap();
    let lines_of = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(lines_of("fuotad_task_frames{"), 32 * 5);
    assert_eq!(lines_of("# TYPE x"), 0, "{text}");
    assert!(text.contains("fuotad_tasks{phase=\"sending\"} 100.0"), "{text}");
    assert!(text.contains("fuotad_band_airtime_seconds{band=\"P\",sender=\"servers\"} 0.5"), "{text}");
    assert!(text.contains("fuotad_band_reserve_seconds{band=\"P\"} 36.0"), "{text}");
    assert!(text.contains("fuotad_hearing_ratio{of=\"kept\"} 0.9725"), "{text}");
    assert!(text.contains("group=\"a\\\"b\\n\""), "{text}");
}
