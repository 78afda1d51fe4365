//! What is shown: asked of the loop once a second while somebody looks on, and now and then for the courses.

use super::course::Courses;
use crate::daemon::control::Ask;
use crate::daemon::snapshot::Snapshot;
use hyper::body::Bytes;
use std::cell::RefCell;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// Readers of events at the same time.
pub const STREAMS_MAX: usize = 16;
/// How often they get one.
pub const TICK: Duration = Duration::from_secs(1);
/// Without readers courses are noted once in so many ticks.
const IDLE_TICKS: u32 = 10;
/// Events that a reader may leave lying; with one more it is too slow, and is dropped.
const EVENTS_WAITING: usize = 8;

/// Where documents come from and who gets them.
#[derive(Debug)]
pub struct Feed {
    asks: mpsc::Sender<Ask>,
    readers: RefCell<Vec<Reader>>,
}

#[derive(Debug)]
struct Reader {
    events: mpsc::Sender<Bytes>,
    /// Dropped with the reader: its connection is to end.
    _hold: oneshot::Sender<()>,
}

impl Feed {
    /// A feed of what `asks` answers.
    pub fn new(asks: mpsc::Sender<Ask>) -> Feed {
        Feed { asks, readers: RefCell::default() }
    }

    /// One more reader; its connection ends when it drops `hold`. `None`: there are enough.
    pub fn join(&self, hold: oneshot::Sender<()>) -> Option<mpsc::Receiver<Bytes>> {
        let mut readers = self.readers.borrow_mut();
        readers.retain(|reader| !reader.events.is_closed());
        if readers.len() >= STREAMS_MAX {
            return None;
        }
        let (events, received) = mpsc::channel(EVENTS_WAITING);
        readers.push(Reader { events, _hold: hold });
        Some(received)
    }

    /// The status as it is now, JSON text; `None` while the service ends.
    pub async fn document(&self) -> Option<Vec<u8>> {
        let (ask, document) = oneshot::channel();
        self.asks.send(Ask::Status(ask)).await.ok()?;
        document.await.ok()
    }

    /// Gives everybody an event each `tick`, for ever.
    pub async fn run(&self, tick: Duration) {
        let mut courses = Courses::default();
        let mut ticks = tokio::time::interval(tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut idle = 0;
        loop {
            ticks.tick().await;
            self.readers.borrow_mut().retain(|reader| !reader.events.is_closed());
            let is_read = !self.readers.borrow().is_empty();
            idle = if is_read || idle == 0 { IDLE_TICKS } else { idle - 1 };
            if idle < IDLE_TICKS {
                continue;
            }
            let Some(document) = self.document().await else { return };
            let Ok(snapshot) = serde_json::from_slice::<Snapshot>(&document) else { continue };
            courses.note(&snapshot);
            if is_read {
                self.give(&event(&document, &courses));
            }
        }
    }

    /// Whoever has too many events lying is dropped.
    fn give(&self, event: &Bytes) {
        self.readers.borrow_mut().retain(|reader| reader.events.try_send(event.clone()).is_ok());
    }
}

/// A server-sent event: the document, and beside it the courses of everything, in one line.
fn event(document: &[u8], courses: &Courses) -> Bytes {
    let courses = serde_json::to_vec(courses).unwrap_or_else(|_| b"{}".to_vec());
    let members = courses.strip_prefix(b"{").unwrap_or_default();
    let parts = [b"data: {\"status\":", document.trim_ascii_end(), b",", members, b"\n\n"];
    Bytes::from(parts.concat())
}
