//! The words of the commands that lead from a gateway to a campaign that is over.

use crate::config::Dialect;
use crate::lorawan::McAddr;
use clap::Args;
use std::path::PathBuf;

/// Where the configuration is by default.
pub const DEFAULT_CONFIG: &str = "/etc/fuotad/fuotad.toml";

/// Arguments of `fuotad init`: each answers a question beforehand.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fuotad init --apply\n  fuotad init --yes --forwarder global_conf.json --region EU868 --network-server lns.example.org:1700"
)]
pub struct InitArgs {
    /// The packet forwarder's file (global_conf.json); given again, a later file wins. Default: the running one's
    #[arg(long, value_name = "FILE")]
    pub forwarder: Vec<PathBuf>,
    /// Which forwarder reads the file: semtech, mp, poly or dragino
    #[arg(long, value_name = "NAME")]
    pub dialect: Option<Dialect>,
    /// Change the forwarder's file, too; FILE.before-fuotad keeps the way back
    #[arg(long)]
    pub apply: bool,
    /// The region, one of the 13 names of RfRegion
    #[arg(long)]
    pub region: Option<String>,
    /// The network server that the forwarder sends to, HOST:PORT; "none": the gateway serves no network
    #[arg(long, value_name = "HOST:PORT")]
    pub network_server: Option<String>,
    /// Name of the first group; "none": no group yet
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// The group's address, when the network server has assigned one
    #[arg(long)]
    pub mc_addr: Option<McAddr>,
    /// How its devices listen: "windows", in sessions that they are told; "always", at the second receive window
    #[arg(long, value_name = "HOW")]
    pub session: Option<String>,
    /// Whose application its devices are set up through: chirpstack, the-things-stack; "none": others set them up
    #[arg(long, value_name = "KIND")]
    pub lns: Option<String>,
    /// The MQTT broker of it, mqtts://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub broker: Option<String>,
    /// The application that has the devices: ChirpStack's id; The Things Stack's APPLICATION@TENANT
    #[arg(long, value_name = "ID")]
    pub application: Option<String>,
    /// The file with the broker's password (The Things Stack: an API key)
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where the configuration goes
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Ask nothing: what is not given is as proposed
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `fuotad doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fuotad doctor\n  fuotad doctor --forwarder global_conf.json")]
pub struct DoctorArgs {
    /// The packet forwarder's file, to be looked at, too; given again, a later file wins
    #[arg(long, value_name = "FILE")]
    pub forwarder: Vec<PathBuf>,
    /// Which forwarder reads the file: semtech, mp, poly or dragino
    #[arg(long, requires = "forwarder", value_name = "NAME")]
    pub dialect: Option<Dialect>,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `fuotad order`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  fuotad order app.bin --group meters --start 2026-11-22T02:00:00Z\n  fuotad order app.bin --group meters --redundancy 40 --finish-by 2026-11-22T06:00:00Z --yes"
)]
pub struct OrderArgs {
    /// The image to be broadcast
    pub image: PathBuf,
    /// A group that it is for; given again, a campaign for each
    #[arg(long, required = true)]
    pub group: Vec<String>,
    /// What the task is called; default: the image's name and the beginning of its SHA-256
    #[arg(long)]
    pub name: Option<String>,
    /// When the first session begins (RFC 3339), or "at-once"; default: at once where the devices always listen,
    /// with start-when as soon as enough of them are ready
    #[arg(long)]
    pub start: Option<String>,
    /// Coded fragments in percent of the uncoded ones; default: what 99.9 % of the devices need at 10 % loss
    #[arg(long, value_name = "PERCENT")]
    pub redundancy: Option<u8>,
    /// Bytes of a fragment; default: what takes the least airtime
    #[arg(long, value_name = "BYTES")]
    pub fragment_size: Option<u16>,
    /// When the last session is to be over (RFC 3339); a plan that ends later is refused
    #[arg(long, value_name = "TIME")]
    pub finish_by: Option<String>,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Send it without asking
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `fuotad pause`, `fuotad resume` and `fuotad cancel`.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// The task, as `fuotad tasks` has it; without @ and the group: those of all its groups
    #[arg(value_name = "TASK")]
    pub name: String,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
}

/// Arguments of `fuotad rerun`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fuotad rerun app-1a2b3c4d\n  fuotad rerun app-1a2b3c4d --image app.bin --whole"
)]
pub struct RerunArgs {
    /// The task that is over, as `fuotad history` has it
    #[arg(value_name = "TASK")]
    pub name: String,
    /// The same image; default: the local file that the task named
    #[arg(long)]
    pub image: Option<PathBuf>,
    /// Send the whole image once more; default where its devices keep what they heard: coded fragments alone, which
    /// none of them has heard yet
    #[arg(long)]
    pub whole: bool,
    /// Send to all devices of a group with an lns, also to those that hold the image; default: to the others
    #[arg(long)]
    pub all: bool,
    /// Coded fragments in percent of the uncoded ones; default: as before, or what the devices are known to miss
    #[arg(long, value_name = "PERCENT")]
    pub redundancy: Option<u8>,
    /// When the first session begins (RFC 3339), or "at-once"; default: at once where the devices always listen,
    /// with start-when as soon as enough of them are ready
    #[arg(long)]
    pub start: Option<String>,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Send it without asking
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `fuotad tasks` and `fuotad history`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fuotad tasks\n  fuotad history --json | jq .outcome")]
pub struct LookArgs {
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `fuotad rehearse`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fuotad rehearse /etc/fuotad/tasks.d/app.json --devices 300 --loss 10")]
pub struct RehearseArgs {
    /// The task document, JSON
    pub task: PathBuf,
    /// Devices in each of its groups
    #[arg(long, default_value_t = 100)]
    pub devices: usize,
    /// Percent of the frames that each device loses
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    pub loss: f64,
    /// The image, where the task does not name a local file
    #[arg(long)]
    pub image: Option<PathBuf>,
    /// Where luck comes from
    #[arg(long)]
    pub seed: Option<u64>,
    /// Draw the course into this file, SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}
