//! What the service manager is told. Without one (no NOTIFY_SOCKET) all of it is silence.

use sd_notify::NotifyState;
use std::time::Duration;

/// The line to the service manager.
#[derive(Debug)]
pub struct Systemd {
    watchdog: Option<Duration>,
    status: String,
}

impl Systemd {
    /// Asks the environment whether a watchdog wants to be fed.
    pub fn new() -> Self {
        Systemd { watchdog: sd_notify::watchdog_enabled(), status: String::new() }
    }

    /// How often the watchdog must be fed to be safe: a third of its patience.
    pub fn feed_every(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 3)
    }

    /// The service is up.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The loop turned and the socket was read.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// One line for `systemctl status`, sent when it changed.
    pub fn status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            self.tell(&[NotifyState::Status(status)]);
        }
    }

    /// The service is going down.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}
