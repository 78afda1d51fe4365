//! What the operator and the service manager say by signal.

use super::error::StartError;
use tokio::signal::unix::Signal as Stream;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// A signal that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: stop in order. Or SIGHUP from a service manager, who starts the service again: a configuration is
    /// read at a start.
    Stop,
    /// SIGHUP without a service manager: caught, because its default would end the process.
    Reload,
}

/// The signals that are caught.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hang_up: Stream,
    /// Somebody starts us again (`Restart=always`).
    is_managed: bool,
}

impl Signals {
    /// Catches them from now on. Must be called inside the runtime.
    ///
    /// # Errors
    /// [`StartError::System`] when the system refuses to catch one.
    pub fn new() -> Result<Signals, StartError> {
        let catch = |kind| signal(kind).map_err(|error| StartError::System { what: "signals", error });
        Ok(Signals {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: catch(SignalKind::hangup())?,
            is_managed: std::env::var_os("NOTIFY_SOCKET").is_some(),
        })
    }

    /// The next signal; waits for ever when none comes.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => self.reload(),
        }
    }

    fn reload(&self) -> Signal {
        if self.is_managed {
            tracing::info!(
                "SIGHUP: ending, so that the service manager starts it with the configuration as it is now"
            );
            return Signal::Stop;
        }
        Signal::Reload
    }
}
