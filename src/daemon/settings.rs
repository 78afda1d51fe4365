//! What the daemon is told at its start.

use super::lns::LnsSettings;
use crate::engine;
use crate::time::ClockTrust;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything the daemon needs; nothing is read from elsewhere later. No Debug: groups hold keys.
pub struct Settings {
    /// The settings of the engine, the pure part.
    pub engine: engine::Settings,
    /// Where the packet forwarder sends to; a socket passed by the service manager wins over it.
    pub listen: SocketAddr,
    /// The folder of counters, marks and records.
    pub state_dir: PathBuf,
    /// The folder of task documents.
    pub tasks_folder: PathBuf,
    /// How often the folder is looked into, microseconds.
    pub scan_us: u64,
    /// The socket that tells how it goes.
    pub status_socket: PathBuf,
    /// The socket that takes requests.
    pub control_socket: PathBuf,
    /// Where a page and metrics are served, if anywhere.
    pub web: Option<WebSettings>,
    /// Which wall clock is believed.
    pub clock: ClockSettings,
    /// A GPS receiver of our own.
    pub gps: Option<GpsSettings>,
    /// The application sides of network servers.
    pub lns: Vec<LnsSettings>,
    /// What is logged: a level for all, or one for each target, after commas: `info`, `warn,fuotad=debug`.
    pub log: String,
    /// Why nothing but traffic is relayed; `None`: nothing keeps it from broadcasting.
    pub relay_only: Option<String>,
    /// What is kept in the state folder for a start whose configuration cannot be read.
    pub relay_text: Option<String>,
    /// What is said once at the start, a line each.
    pub remarks: Vec<String>,
}

/// A page and metrics over HTTP, for reading only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Address and port on which browsers are served.
    pub listen: SocketAddr,
}

/// Which wall clock is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockSettings {
    /// When the wall clock is believed.
    pub trust: ClockTrust,
    /// Files whose existence says that the wall clock is synchronised; one is enough. One that is made anew or touched
    /// says that it was synchronised again.
    pub evidence: Vec<PathBuf>,
}

/// A GPS receiver on a tty that speaks NMEA 0183.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpsSettings {
    /// The path of its tty.
    pub tty: PathBuf,
    /// The speed of the tty, bits a second.
    pub baud: u32,
}
