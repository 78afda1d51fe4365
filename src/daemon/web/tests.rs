//! A reader that does not read: what lies for it is bounded, and it is dropped.

use super::feed::Feed;
use super::feed::STREAMS_MAX;
use super::metrics;
use crate::daemon::snapshot::BandSnapshot;
use crate::daemon::snapshot::CampaignSnapshot;
use crate::daemon::snapshot::Snapshot;
use crate::daemon::snapshot::TaskSnapshot;
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
            let ask: oneshot::Sender<Vec<u8>> = asked.recv().await.unwrap();
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
        ..BandSnapshot::default()
    }];
    let snapshot = Snapshot { tasks: (0..100).map(task).collect(), bands, ..Snapshot::default() };
    let text = metrics::text(&snapshot).unwrap();
    let lines_of = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(lines_of("fuotad_task_frames{"), 32 * 5);
    assert_eq!(lines_of("# TYPE x"), 0, "{text}");
    assert!(text.contains("fuotad_tasks{phase=\"sending\"} 100.0"), "{text}");
    assert!(text.contains("fuotad_band_airtime_seconds{band=\"P\",sender=\"servers\"} 0.5"), "{text}");
    assert!(text.contains("group=\"a\\\"b\\n\""), "{text}");
}
