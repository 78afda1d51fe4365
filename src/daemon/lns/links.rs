//! The driver's end of all connections.

use super::board::Board;
use super::mailbox::Mailbox;
use super::settings::LnsSettings;
use crate::daemon::snapshot::LnsSnapshot;
use crate::lns::Event;
use crate::lns::Push;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Downlinks that may wait for one connection: each device has one of ours at most.
const PUSHES_MAX: usize = 256;

/// Names that are looked up at the same time, each on a thread; the unit limits all of them.
#[cfg(feature = "lns")]
const LOOK_UPS_MAX: usize = 2;

/// All connections to network servers' brokers. They end with it.
#[derive(Debug)]
pub struct LnsLinks {
    mailbox: Arc<Mailbox>,
    board: Arc<Board>,
    pushes: Vec<mpsc::Sender<Push>>,
}

impl LnsLinks {
    /// Starts the thread of these connections; without any there is none.
    pub fn start(settings: Vec<LnsSettings>) -> LnsLinks {
        let (mailbox, board) = (Arc::new(Mailbox::default()), Arc::new(Board::new(&settings)));
        let (pushes, receivers) = settings.iter().map(|_| mpsc::channel(PUSHES_MAX)).unzip();
        if !settings.is_empty() {
            spawn(settings, receivers, &mailbox, &board);
        }
        LnsLinks { mailbox, board, pushes }
    }

    /// The next event of a device of ours, with the link that it came by.
    pub async fn event(&self) -> (usize, Event) {
        self.mailbox.take().await
    }

    /// Hands a downlink to its connection, or drops and counts it: this never waits.
    pub fn push(&self, link: usize, push: Push) {
        let is_taken = self.pushes.get(link).is_some_and(|pushes| pushes.try_send(push).is_ok());
        if !is_taken {
            self.board.change(link, |state| state.unpushed += 1);
        }
    }

    /// How each connection fares, in the order of the configuration.
    pub fn states(&self) -> Vec<LnsSnapshot> {
        self.board.read()
    }
}

#[cfg(feature = "lns")]
fn spawn(
    settings: Vec<LnsSettings>,
    receivers: Vec<mpsc::Receiver<Push>>,
    mailbox: &Arc<Mailbox>,
    board: &Arc<Board>,
) {
    let (mailbox, board) = (Arc::clone(mailbox), Arc::clone(board));
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOK_UPS_MAX)
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!("no connection to any [[lns]]: {error}"),
        };
        runtime.block_on(tokio::task::LocalSet::new().run_until(async move {
            let links = settings.into_iter().zip(receivers).enumerate().map(|(link, (settings, pushes))| {
                let (mailbox, board) = (Arc::clone(&mailbox), Arc::clone(&board));
                tokio::task::spawn_local(super::link::Link::new(link, settings, pushes, mailbox, board).run())
            });
            for link in links.collect::<Vec<_>>() {
                let _ = link.await;
            }
        }));
    };
    if let Err(error) = std::thread::Builder::new().name("lns".to_owned()).spawn(body) {
        tracing::error!("no connection to any [[lns]]: no thread can be had: {error}");
    }
}

/// The configuration refuses `[[lns]]` here.
#[cfg(not(feature = "lns"))]
fn spawn(_: Vec<LnsSettings>, _: Vec<mpsc::Receiver<Push>>, _: &Arc<Mailbox>, _: &Arc<Board>) {}
