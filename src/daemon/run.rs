//! The wiring, on one page: settings in, one runtime with one thread, drain on SIGTERM.

use super::boot::boot_id;
use super::boot::random;
use super::clock::Clock;
use super::control;
use super::control::Ask;
use super::control::Orders;
use super::driver::Driver;
use super::driver::Memory;
use super::error::StartError;
use super::fact::FACTS_MAX;
use super::fact::Fact;
use super::fact::ImageWish;
use super::fact::TASKS_MAX;
use super::fact::WISHES_MAX;
use super::files::FolderFiles;
use super::folder::TaskFolder;
use super::folder::watch;
use super::images::Images;
use super::io_words::io_words;
use super::lns::LnsLinks;
use super::local_socket::LocalSocket;
use super::lock::Lock;
use super::log;
use super::pull_memory::PullMemory;
use super::relay_text;
use super::server_sockets::ServerSockets;
use super::settings::Settings;
use super::signals::Signals;
use super::socket;
use super::socket::Socket;
use super::state_folder::StateFolder;
use super::status;
use super::store_thread::StoreThread;
use super::systemd::Systemd;
use super::view::NO_SERVER;
use super::view::RELAY_ONLY;
use crate::broadcast::Record;
use crate::broadcast::TaskSource;
use crate::broadcast::TaskState;
use crate::engine::Engine;
use crate::store::Mark;
use crate::store::Recovered;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::read_reports;
use crate::task::TaskId;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Questions of the local sockets that may wait.
const ASKS_MAX: usize = 4;
/// What may still run on blocking threads when we end gets this long.
const BLOCKED: Duration = Duration::from_millis(50);

/// The last log lines get this long.
const LOGGED: Duration = Duration::from_millis(100);

/// Tasks that are over and whose orders are not removed yet, at most.
const OVER_MAX: usize = 2 * TASKS_MAX;

/// Names by the records of their tasks.
type ByRecord = BTreeMap<[u8; 16], String>;

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

/// Runs the daemon until it is told to stop. A fault of the broadcaster's own, in [`Settings::relay_only`] or in the
/// state folder, never ends it: the gateway stays on its network, and nothing of ours is sent.
///
/// # Errors
/// Why it could not start or go on.
pub fn run(settings: Settings, cloud: Option<Cloud>) -> Result<(), StartError> {
    let log = log::init(&settings.log);
    if let Some(fault) = &log.fault {
        tracing::error!("{fault}");
    }
    for remark in &settings.remarks {
        tracing::warn!("{remark}");
    }
    let ended = run_logged(settings, cloud);
    log.flush(LOGGED);
    ended
}

fn run_logged(settings: Settings, cloud: Option<Cloud>) -> Result<(), StartError> {
    // In this order: a second instance must not read a counter, nor take the first one's port.
    let lock = lock(&settings)?;
    let udp = socket::bind(settings.listen)?;
    let State { store, recovered, reports, fault } = match lock {
        Ok(_) => open(&settings)?,
        Err(ref fault) => State { fault: Some(fault.clone()), ..State::default() },
    };
    if let (None, Some(text)) = (&fault, &settings.relay_text) {
        relay_text::keep(&settings.state_dir, text);
    }
    let store = StoreThread::start(store)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .map_err(|error| StartError::System { what: "an event loop", error })?;
    let ended = runtime.block_on(tokio::task::LocalSet::new().run_until(async move {
        serve(settings, cloud, udp, store, Found { recovered, reports, fault }).await
    }));
    runtime.shutdown_timeout(BLOCKED);
    ended
}

/// What the state folder gives.
#[derive(Default)]
struct State {
    store: Option<Store<FolderFiles>>,
    recovered: Recovered,
    reports: Vec<(String, Vec<u8>)>,
    /// Why nothing may be sent.
    fault: Option<String>,
}

/// The same without the store, which has a thread of its own.
struct Found {
    recovered: Recovered,
    reports: Vec<(String, Vec<u8>)>,
    fault: Option<String>,
}

/// Takes the state folder: it, or why nothing may be sent. Whoever only relays makes no folder: it would hide
/// that one is missing.
fn lock(settings: &Settings) -> Result<Result<Option<Lock>, String>, StartError> {
    if settings.relay_only.is_some() && !settings.state_dir.is_dir() {
        return Ok(Ok(None));
    }
    match Lock::take(&settings.state_dir) {
        Ok(lock) => Ok(Ok(Some(lock))),
        Err(StartError::StateDir { .. }) if settings.relay_only.is_some() => Ok(Ok(None)),
        Err(error @ StartError::StateDir { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Opens the state folder. Whoever only relays reads in it and changes nothing.
fn open(settings: &Settings) -> Result<State, StartError> {
    let dir = &settings.state_dir;
    if let Some(fault) = &settings.relay_only {
        let folder = StateFolder::read(dir).ok().flatten();
        let found = folder.map(|folder| (airtime_of(folder.recovered), folder.reports));
        let (recovered, reports) = found.unwrap_or_default();
        return Ok(State { store: None, recovered, reports, fault: Some(fault.clone()) });
    }
    let files = FolderFiles::open(dir).map_err(|error| StartError::StateDir { dir: dir.to_owned(), error });
    let boot_id = boot_id()?;
    let opened = files.and_then(|files| {
        Store::open(files, boot_id)
            .map_err(|error: StoreError| StartError::Store { dir: dir.to_owned(), error })
    });
    Ok(match opened {
        Ok((store, recovered)) => {
            // They are for people; a disk that cannot show them is no reason to stand still.
            let reports = FolderFiles::open(dir).ok().and_then(|mut files| read_reports(&mut files).ok());
            State { store: Some(store), recovered, reports: reports.unwrap_or_default(), fault: None }
        }
        Err(error) => State { fault: Some(error.to_string()), ..State::default() },
    })
}

/// What counts for the law of what was recovered: it limits what network servers send, too.
fn airtime_of(recovered: Recovered) -> Recovered {
    let mark = recovered.mark.map(|mark| Mark { campaigns: Vec::new(), ..mark });
    Recovered { mark, ledger_lost: recovered.ledger_lost, ..Recovered::default() }
}

async fn serve(
    mut settings: Settings,
    cloud: Option<Cloud>,
    udp: std::net::UdpSocket,
    store: StoreThread,
    found_state: Found,
) -> Result<(), StartError> {
    let Found { recovered, reports, fault } = found_state;
    let signals = Signals::new()?;
    let socket = Socket::new(udp).map_err(|error| StartError::System { what: "the socket", error })?;
    let listen = socket.local_address().unwrap_or(settings.listen);
    let mut clock = clock(&mut settings, &recovered);
    let pull_memory = pull_memory(&mut settings, fault.is_none())?;
    let region = settings.engine.region;
    let names = settings.engine.relay.servers.iter().map(|server| server.name.clone()).collect();
    let (server_sockets, found) = ServerSockets::new(names, listen, clock.now().mono);
    let order_folder = control::folder_of(&settings.state_dir);
    let (stems, of_socket) = origins(&recovered, &order_folder);
    let groups: Vec<String> = settings.engine.groups.iter().map(|group| group.name.clone()).collect();
    let judge = settings.engine.judge();
    let of_devices = |group: &String| {
        let mut fleets = settings.engine.fleets.iter();
        let is_decided = fleets.any(|fleet| fleet.group == *group && fleet.rules.start_when.is_some());
        (group.clone(), is_decided)
    };
    let order_groups = groups.iter().map(of_devices).collect();
    let mut engine = Engine::new(settings.engine, recovered, seed()?, clock.now());
    if engine.servers().next().is_none() {
        tracing::warn!("{NO_SERVER}");
    }
    let takes_tasks = settings.relay_only.is_none();
    if let Some(fault) = fault {
        engine.halt(clock.now(), format!("{RELAY_ONLY}{fault}"));
    }
    let (tell, facts) = mpsc::channel(FACTS_MAX);
    let (ask, asks) = mpsc::channel(ASKS_MAX);
    #[cfg(feature = "web")]
    if let Some(web) = settings.web {
        super::web::start(web.listen, ask.clone());
    }
    let (over, is_over) = mpsc::channel(OVER_MAX);
    // Without its groups nobody can say what a task is, and what ran is not to be cancelled.
    let orders = match takes_tasks {
        true => {
            let known = known_files(&engine, &stems, &of_socket);
            let folder = TaskFolder::new(settings.tasks_folder, known);
            tokio::task::spawn_local(watch(folder, settings.scan_us, tell.clone()));
            let orders = Orders::open(&settings.state_dir, judge, order_groups, tell.clone(), ask.clone());
            keep_orders(orders, of_socket.into_values().collect(), is_over)
        }
        false => Err("nothing but traffic is relayed: `fuotad status` says why".to_owned()),
    };
    local_sockets(&settings.status_socket, &settings.control_socket, ask, orders);
    let expected = settings.lns.into_iter().enumerate();
    let expected = expected.map(|(link, lns)| lns.expecting(engine.shortest_interval_s(link)));
    let lns = LnsLinks::start(expected.collect());
    let fetcher = cloud.map(|cloud| {
        let (fetcher, wishes) = mpsc::channel(WISHES_MAX);
        tokio::task::spawn_local(cloud(CloudChannels { facts: tell.clone(), wishes }));
        fetcher
    });
    let systemd = Systemd::new();
    let (images, memory, started) = (Images::new(), Memory::after(&reports), clock.now().mono);
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
        groups,
        lns,
        systemd,
        memory,
        started,
        state_dir: settings.state_dir,
        over,
    };
    driver.run().await
}

/// The clock, as far as what was recovered and the GPS receiver have one.
fn clock(settings: &mut Settings, recovered: &Recovered) -> Clock {
    let mut clock = Clock::new(settings.clock.clone());
    if let Some((mono, gps)) = recovered.believed() {
        clock.resume(mono, gps);
    }
    #[cfg(feature = "gps")]
    if let Some(gps) = settings.gps.take() {
        clock.hear(super::gps::start(gps, clock.stopwatch()));
    }
    clock
}

/// Where the forwarder pulled from last; a state folder that cannot be used remembers nothing.
fn pull_memory(settings: &mut Settings, is_usable: bool) -> Result<Option<PullMemory>, StartError> {
    let memory = match is_usable {
        true => Some(PullMemory::read(&settings.state_dir, boot_id()?)),
        false => None,
    };
    settings.engine.forwarder.last_pull = memory.as_ref().and_then(PullMemory::known);
    Ok(memory)
}

/// The tasks of the task folder that a former run knew, with their files' stems.
fn known_files(engine: &Engine, stems: &ByRecord, of_socket: &ByRecord) -> Vec<(TaskId, String)> {
    let is_of_folder = |state: &TaskState| {
        state.source == TaskSource::File && !of_socket.contains_key(&state.task.record_id())
    };
    let known = engine.tasks().filter(is_of_folder);
    known
        .map(|state| (state.task.clone(), stems.get(&state.task.record_id()).cloned().unwrap_or_default()))
        .collect()
}

/// Looks after the orders of the control socket, of which a former run knew `kept`.
fn keep_orders(
    orders: Result<Orders, String>,
    kept: Vec<String>,
    is_over: mpsc::Receiver<TaskId>,
) -> Result<Rc<Orders>, String> {
    let orders = Rc::new(orders.inspect_err(|why| tracing::warn!("{why}"))?);
    let keeper = Rc::clone(&orders);
    tokio::task::spawn_local(async move { keeper.upkeep(kept, is_over).await });
    Ok(orders)
}

/// What tasks of a former run were called in their source, and which orders came over the control socket, by records.
fn origins(recovered: &Recovered, order_folder: &Path) -> (ByRecord, ByRecord) {
    let records = recovered.tasks.iter();
    let records = records.filter_map(|task| Some((task.id.0, Record::from_bytes(&task.bytes).ok()?)));
    let (mut stems, mut of_socket) = (BTreeMap::new(), BTreeMap::new());
    for (id, record) in records {
        if control::is_of_socket(order_folder, &record.document, &record.stem) {
            of_socket.insert(id, record.stem.clone());
        }
        stems.insert(id, record.stem);
    }
    (stems, of_socket)
}

/// Serves the two local sockets; without one of them the daemon goes on.
fn local_sockets(
    status_path: &Path,
    control_path: &Path,
    ask: mpsc::Sender<Ask>,
    orders: Result<Rc<Orders>, String>,
) {
    let bind = |path: &Path, name: &str| {
        let bound = LocalSocket::bind(path);
        bound.map_err(|error| {
            let (path, error) = (path.display(), io_words(&error));
            tracing::warn!("no {name} socket at {path}: {error}; commands that ask it will not work");
        })
    };
    if let Ok(socket) = bind(status_path, "status") {
        tokio::task::spawn_local(status::serve(socket, ask.clone()));
    }
    if let Ok(socket) = bind(control_path, "control") {
        tokio::task::spawn_local(control::serve(socket, ask, orders));
    }
}

fn seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
