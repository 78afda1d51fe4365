//! The wiring, on one page: settings in, one runtime with one thread, drain on SIGTERM.

use super::clock::Clock;
use super::driver::Driver;
use super::driver::Memory;
use super::error::StartError;
use super::fact::FACTS_MAX;
use super::fact::Fact;
use super::fact::ImageWish;
use super::fact::WISHES_MAX;
use super::files::FolderFiles;
use super::folder::TaskFolder;
use super::folder::watch;
use super::images::Images;
use super::lock::Lock;
use super::log;
use super::pull_memory::PullMemory;
use super::server_sockets::ServerSockets;
use super::settings::Settings;
use super::signals::Signals;
use super::socket;
use super::socket::Socket;
use super::status::StatusSocket;
use super::store_thread::StoreThread;
use super::systemd::Systemd;
use crate::broadcast::Record;
use crate::broadcast::TaskSource;
use crate::engine::Engine;
use crate::store::Recovered;
use crate::store::Store;
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Readers of the status that may wait.
const ASKS_MAX: usize = 4;
/// What may still run on blocking threads when we end gets this long.
const BLOCKED: Duration = Duration::from_millis(50);

/// What a source of tasks beyond the folder is given.
#[derive(Debug)]
pub struct CloudChannels {
    /// Facts go in here.
    pub facts: mpsc::Sender<Fact>,
    /// Images that are wanted, and tasks whose image is not needed any more, come out here.
    pub wishes: mpsc::Receiver<ImageWish>,
}

/// Starts a source of tasks on the daemon's runtime; it lives until the daemon ends.
pub type Cloud = Box<dyn FnOnce(CloudChannels) -> Pin<Box<dyn Future<Output = ()>>>>;

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// Why it could not start or go on.
pub fn run(settings: Settings, cloud: Option<Cloud>) -> Result<(), StartError> {
    log::init(&settings.log)?;
    let has_servers = !settings.engine.relay.servers.is_empty();
    // In this order: a second instance must not read a counter, nor take the first one's port.
    let lock = relays_on(has_servers, Lock::take(&settings.state_dir))?;
    let udp = socket::bind(settings.listen)?;
    let opened = match lock {
        Ok(lock) => relays_on(has_servers, open(&settings.state_dir))?.map(|opened| (lock, opened)),
        Err(reason) => Err(reason),
    };
    let (_lock, store, recovered, broken) = match opened {
        Ok((lock, (store, recovered))) => (Some(lock), Some(store), recovered, None),
        Err(reason) => (None, None, Recovered::default(), Some(reason)),
    };
    let store = StoreThread::start(store)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .map_err(|error| StartError::System { what: "an event loop", error })?;
    let ended = runtime.block_on(
        tokio::task::LocalSet::new()
            .run_until(async move { serve(settings, cloud, udp, store, recovered, broken).await }),
    );
    runtime.shutdown_timeout(BLOCKED);
    ended
}

fn open(dir: &Path) -> Result<(Store<FolderFiles>, Recovered), StartError> {
    let files =
        FolderFiles::open(dir).map_err(|error| StartError::StateDir { dir: dir.to_owned(), error })?;
    Store::open(files, boot_id()?)
        .map_err(|error: StoreError| StartError::Store { dir: dir.to_owned(), error })
}

/// A state folder that cannot be used stops every campaign, but a gateway with network servers stays on its network:
/// what went wrong is an answer then, not the end.
fn relays_on<T>(has_servers: bool, result: Result<T, StartError>) -> Result<Result<T, String>, StartError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error @ (StartError::StateDir { .. } | StartError::Store { .. })) if has_servers => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

async fn serve(
    mut settings: Settings,
    cloud: Option<Cloud>,
    udp: std::net::UdpSocket,
    store: StoreThread,
    recovered: Recovered,
    broken: Option<String>,
) -> Result<(), StartError> {
    let signals = Signals::new()?;
    let socket = Socket::new(udp).map_err(|error| StartError::System { what: "the socket", error })?;
    let listen = socket.local_address().unwrap_or(settings.listen);
    let mut clock = Clock::new(settings.clock);
    if let Some((mono, gps)) = recovered.believed() {
        clock.resume(mono, gps);
    }
    #[cfg(feature = "gps")]
    if let Some(gps) = settings.gps {
        clock.hear(super::gps::start(gps, clock.stopwatch()));
    }
    // A state folder that cannot be used remembers nothing.
    let pull_memory = match &broken {
        None => Some(PullMemory::read(&settings.state_dir, boot_id()?)),
        Some(_) => None,
    };
    settings.engine.forwarder.last_pull = pull_memory.as_ref().and_then(PullMemory::known);
    let region = settings.engine.region;
    let names = settings.engine.relay.servers.iter().map(|server| server.name.clone()).collect();
    let (server_sockets, found) = ServerSockets::new(names, listen, clock.now().mono);
    let stems = stems(&recovered);
    let mut engine = Engine::new(settings.engine, recovered, seed()?, clock.now());
    if let Some(reason) = broken {
        engine.halt(clock.now(), reason);
    }
    let (tell, facts) = mpsc::channel(FACTS_MAX);
    let known = engine.tasks().filter(|state| state.source == TaskSource::File).map(|state| {
        let stem = stems.get(&state.task.record_id()).cloned();
        (state.task, stem.unwrap_or_default())
    });
    let folder = TaskFolder::new(settings.tasks_folder, known);
    tokio::task::spawn_local(watch(folder, settings.scan_us, tell.clone()));
    let asks = status(&settings.status_socket);
    let fetcher = cloud.map(|cloud| {
        let (fetcher, wishes) = mpsc::channel(WISHES_MAX);
        tokio::task::spawn_local(cloud(CloudChannels { facts: tell.clone(), wishes }));
        fetcher
    });
    let systemd = Systemd::new();
    let (images, memory, started) = (Images::new(), Memory::default(), clock.now().mono);
    let driver = Driver {
        engine,
        region,
        listen: listen.to_string(),
        clock,
        socket,
        server_sockets,
        found,
        pull_memory,
        store,
        signals,
        images,
        facts,
        fetcher,
        asks,
        systemd,
        memory,
        started,
    };
    driver.run().await
}

/// The names that tasks of a former run had in their source, by their records.
fn stems(recovered: &Recovered) -> BTreeMap<[u8; 16], String> {
    let records = recovered.tasks.iter();
    records.filter_map(|task| Some((task.id.0, Record::from_bytes(&task.bytes).ok()?.stem))).collect()
}

/// Serves the status; without its socket the daemon goes on.
fn status(path: &Path) -> mpsc::Receiver<super::status::StatusRequest> {
    let (ask, asks) = mpsc::channel(ASKS_MAX);
    match StatusSocket::bind(path) {
        Ok(socket) => {
            tokio::task::spawn_local(socket.serve(ask));
        }
        Err(error) => {
            tracing::warn!("no status socket at {}: {error}; `fuotad status` will not work", path.display());
        }
    }
    asks
}

fn seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The kernel's number of this boot; a random one where /proc is hidden.
pub(super) fn boot_id() -> Result<[u8; 16], StartError> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if digits.len() == 32 => Ok(number.to_be_bytes()),
        _ => {
            let mut bytes = [0; 16];
            random(&mut bytes)?;
            Ok(bytes)
        }
    }
}

fn random(bytes: &mut [u8]) -> Result<(), StartError> {
    getrandom::fill(bytes).map_err(|error| StartError::System {
        what: "randomness",
        error: std::io::Error::other(error.to_string()),
    })
}
