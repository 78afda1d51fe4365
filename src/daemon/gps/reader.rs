//! The tty: opened for us alone, read for ever, opened again when it was gone.

use super::holder::Holder;
use super::holder::holder;
use super::nmea::Lines;
use super::nmea::Sentence;
use crate::daemon::clock::GpsWord;
use crate::daemon::clock::Stopwatch;
use crate::daemon::settings::GpsSettings;
use crate::time::Instant;
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio::time::timeout;
use tokio_serial::SerialStream;

/// Words that may wait for the clock; it looks at least once a second.
const WORDS_MAX: usize = 32;
/// The tty is opened again after this, then after twice as much, up to the longest.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A receiver says something every second.
const SILENCE: Duration = Duration::from_secs(10);
/// One line in the log in this time, microseconds; the status always shows how it stands.
const LOG_US: u64 = 10_000_000;
/// Bytes read at a time.
const READ_BYTES: usize = 512;

/// Why the tty is not read.
#[derive(Debug, Error)]
enum Trouble {
    #[error(
        "{tty} is held by {} (process {}): two readers take each other's bytes. If that is the packet forwarder, leave out [gps]: it tells GPS time itself",
        holder.name, holder.pid
    )]
    Held { tty: String, holder: Holder },
    #[error(
        "{tty} cannot be opened: {why}; [gps] tty must be a serial port that this user may use and nobody else does"
    )]
    Open { tty: String, why: String },
    #[error("{tty} hung up: the receiver was unplugged or its driver restarted")]
    HungUp { tty: String },
}

/// Reads the receiver on a task of this thread's runtime; what it says comes out of the channel.
pub fn start(settings: GpsSettings, stopwatch: Stopwatch) -> mpsc::Receiver<GpsWord> {
    let (tell, words) = mpsc::channel(WORDS_MAX);
    let reader = Reader { settings, stopwatch, tell, state: String::new(), logged: None, heard: false };
    tokio::task::spawn_local(reader.run());
    words
}

struct Reader {
    settings: GpsSettings,
    stopwatch: Stopwatch,
    tell: mpsc::Sender<GpsWord>,
    /// What was told last.
    state: String,
    /// When the log was told last.
    logged: Option<Instant>,
    /// A sentence was heard since the tty was opened.
    heard: bool,
}

impl Reader {
    async fn run(mut self) {
        let mut wait = WAIT_MIN;
        while !self.tell.is_closed() {
            self.heard = false;
            let Err(trouble) = self.session().await else { return };
            self.state(true, trouble.to_string());
            wait = if self.heard { WAIT_MIN } else { wait };
            sleep(wait).await;
            wait = WAIT_MAX.min(wait * 2);
        }
    }

    /// From opening the tty to losing it; `Ok` when nobody listens any more.
    async fn session(&mut self) -> Result<(), Trouble> {
        let tty = self.settings.tty.display().to_string();
        let path = self.settings.tty.clone();
        // /proc may be long.
        let found = tokio::task::spawn_blocking(move || holder(&path)).await;
        if let Ok(Some(holder)) = found {
            return Err(Trouble::Held { tty, holder });
        }
        let builder = tokio_serial::new(&tty, self.settings.baud);
        let mut port = SerialStream::open(&builder)
            .map_err(|error| Trouble::Open { tty: tty.clone(), why: error.to_string() })?;
        self.state(false, format!("{tty} is open, no sentence yet"));
        let mut lines = Lines::default();
        let mut bytes = [0; READ_BYTES];
        while !self.tell.is_closed() {
            let read = match timeout(SILENCE, port.read(&mut bytes)).await {
                Ok(Ok(read)) => read,
                Ok(Err(_)) => 0,
                Err(_) => {
                    let baud = self.settings.baud;
                    self.state(true, format!("{tty} says nothing at {baud} baud: is that the receiver's?"));
                    continue;
                }
            };
            // A tty that hung up says so by ending, for ever.
            if read == 0 {
                return Err(Trouble::HungUp { tty });
            }
            lines.take(&bytes[..read], |sentence| self.heard(sentence));
        }
        Ok(())
    }

    fn heard(&mut self, sentence: Sentence) {
        self.heard = true;
        match sentence {
            Sentence::Utc(unix_us) => {
                let at = self.stopwatch.now();
                self.state(false, "a fix".to_owned());
                // A clock that does not look loses a second of many.
                let _ = self.tell.try_send(GpsWord::Utc { at, unix_us });
            }
            Sentence::NoFix => self.state(false, "no fix".to_owned()),
        }
    }

    /// Tells how it stands, when that is new.
    fn state(&mut self, is_trouble: bool, state: String) {
        if self.state == state {
            return;
        }
        let now = self.stopwatch.now();
        if self.logged.is_none_or(|logged| now.us_since(logged) >= LOG_US) {
            self.logged = Some(now);
            if is_trouble {
                tracing::warn!("GPS: {state}");
            } else {
                tracing::info!("GPS: {state}");
            }
        }
        if self.tell.try_send(GpsWord::State(state.clone())).is_ok() {
            self.state = state;
        }
    }
}
