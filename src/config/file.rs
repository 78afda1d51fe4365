//! The sections of the configuration file.

use super::aws::AwsConfig;
use super::error::ConfigError;
use super::group::GroupConfig;
use super::lns::LnsConfig;
use super::ota::OtaConfig;
use super::radio::Radio;
use super::read::read;
use super::read::readable_part;
use super::server::NetworkServer;
use super::web::Web;
use crate::broadcast::CRASH_REST_US;
use crate::daemon::GpsSettings;
use crate::region::Note;
use crate::region::Parameters;
use crate::region::RfRegion;
use crate::region::parameters;
use crate::region::parameters_even_withdrawn;
use crate::time::ClockTrust;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

/// Speeds that receivers have.
const BAUDS: [u32; 9] = [4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600];

/// The configuration file, section by section.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// `[gateway]`: region and EUI of the gateway.
    pub gateway: Gateway,
    /// `[radio]`: defaults for groups.
    #[serde(default)]
    pub radio: Radio,
    /// `[forwarder]`: the link to the packet forwarder.
    #[serde(default)]
    pub forwarder: Forwarder,
    /// Network servers that the gateway's traffic is relayed to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_server: Vec<NetworkServer>,
    /// The application side of network servers, which devices are set up through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lns: Vec<LnsConfig>,
    /// What must survive a power cut.
    #[serde(default)]
    pub state: State,
    /// Where tasks come from.
    #[serde(default)]
    pub tasks: Tasks,
    /// Tasks from the cloud; absent: no cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsConfig>,
    /// What AWS cannot say of an OTA update, by its id.
    #[serde(default)]
    pub ota: BTreeMap<String, OtaConfig>,
    /// `[status]`: the socket that tells the live progress.
    #[serde(default)]
    pub status: Status,
    /// `[control]`: the socket that takes requests.
    #[serde(default)]
    pub control: Control,
    /// `[web]`: a page and metrics; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
    /// Which wall clock is believed.
    #[serde(default)]
    pub clock: Clock,
    /// A GPS receiver of our own; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gps: Option<Gps>,
    /// `[log]`: which log lines are written.
    #[serde(default)]
    pub log: Log,
    /// `[[group]]`: the multicast groups of this gateway.
    #[serde(default)]
    pub group: Vec<GroupConfig>,
}

/// `[gateway]`: region and EUI of the gateway.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gateway {
    /// One of the 13 names of RfRegion.
    pub region: String,
    /// Insist on a region that is withdrawn (CN779).
    #[serde(default)]
    pub withdrawn_region: bool,
    /// The gateway's EUI, 16 hex digits; needed only when several forwarders are connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// `[forwarder]`: the link to the packet forwarder.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Forwarder {
    /// Where the packet forwarder sends to.
    pub listen: String,
    /// Addresses of the hosts whose datagrams are read; needed when it listens to more than this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpAddr>,
}

impl Default for Forwarder {
    fn default() -> Self {
        Forwarder { listen: "127.0.0.1:1700".to_owned(), allow: Vec::new() }
    }
}

/// `[state]`: the folder that survives a power cut.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct State {
    /// The folder of counters, marks and records.
    pub dir: PathBuf,
    /// After five short lives in a row the service relays only for so long; 0: it never rests.
    pub crash_rest_s: u64,
}

impl Default for State {
    fn default() -> Self {
        State { dir: PathBuf::from("/var/lib/fuotad"), crash_rest_s: CRASH_REST_US / 1_000_000 }
    }
}

/// `[tasks]`: the folder of task documents.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tasks {
    /// The folder of task documents.
    pub folder: PathBuf,
    /// How often it is looked into, seconds.
    pub scan_s: u64,
}

impl Default for Tasks {
    fn default() -> Self {
        Tasks { folder: PathBuf::from("/etc/fuotad/tasks.d"), scan_s: 3 }
    }
}

/// `[status]`: the socket that tells the live progress.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Status {
    /// The socket that tells how it goes.
    pub socket: PathBuf,
}

impl Default for Status {
    fn default() -> Self {
        Status { socket: PathBuf::from("/run/fuotad/status.sock") }
    }
}

/// `[control]`: the socket that takes requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Control {
    /// The socket that takes requests, docs/control.md; default: `control.sock` beside the status socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

/// `[clock]`: trust in the wall clock.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Clock {
    /// "auto", "always" or "never".
    pub trust: ClockTrust,
    /// With "auto": the wall clock is believed while one of these files exists. A step is believed when one is
    /// touched or made anew.
    pub evidence: Vec<PathBuf>,
}

impl Default for Clock {
    fn default() -> Self {
        // What systemd-timesyncd leaves when it has set the clock; others are made to leave one, too.
        let evidence = ["/run/systemd/timesync/synchronized", "/run/fuotad/clock-synchronized"];
        Clock { trust: ClockTrust::Auto, evidence: evidence.map(PathBuf::from).to_vec() }
    }
}

/// `[gps]`: a GPS receiver of our own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gps {
    /// Path of the receiver's tty.
    pub tty: PathBuf,
    /// Speed of the tty in bit/s.
    #[serde(default = "nmea_baud")]
    pub baud: u32,
}

impl Gps {
    pub(super) fn settings(&self) -> Result<GpsSettings, ConfigError> {
        if cfg!(not(feature = "gps")) {
            return Err(ConfigError::value(
                "gps",
                "this fuotad was built without the reader of a GPS receiver",
            ));
        }
        if !self.tty.is_absolute() {
            let message = format!("{:?} is no path of a device, like /dev/ttyS1", self.tty.display());
            return Err(ConfigError::value("gps.tty", message));
        }
        if !BAUDS.contains(&self.baud) {
            let message = {
                let speeds = BAUDS.map(|baud| baud.to_string()).join(", ");
                format!("{} is no speed of a receiver: write one of {speeds}", self.baud)
            };
            return Err(ConfigError::value("gps.baud", message));
        }
        Ok(GpsSettings { tty: self.tty.clone(), baud: self.baud })
    }
}

/// NMEA 0183 says 4800; nearly every receiver comes with 9600.
fn nmea_baud() -> u32 {
    9600
}

/// `[log]`: which log lines are written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Log {
    /// What is logged: "error", "warn", "info", "debug", "trace".
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { filter: "info".to_owned() }
    }
}

impl Config {
    /// Reads a configuration text with environment variables over it.
    ///
    /// # Errors
    /// One line: where, what, and what was probably meant.
    pub fn from_text(text: &str, environment: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
        read(text, environment)
    }

    /// What can be read of a text with mistakes: each line of them is empty in the text that comes with it.
    pub fn readable_part(text: &str, environment: &BTreeMap<String, String>) -> Option<(Config, String)> {
        let rest = readable_part::<Config>(text);
        read(&rest, environment).ok().map(|config| (config, rest))
    }

    /// Every value as it is used: what a group takes from `[radio]` and the region stands in the group.
    ///
    /// # Errors
    /// The same errors as those of [`Config::region`].
    pub fn effective(&self) -> Result<Config, ConfigError> {
        let (region, _) = self.region()?;
        let group =
            self.group.iter().map(|group| group.filled(&self.radio, region)).collect::<Result<_, _>>()?;
        Ok(Config { group, control: Control { socket: Some(self.control_socket()) }, ..self.clone() })
    }

    /// Where the control socket is.
    pub fn control_socket(&self) -> PathBuf {
        let beside = || self.status.socket.with_file_name("control.sock");
        self.control.socket.clone().unwrap_or_else(beside)
    }

    /// The law of the configured region, and a remark about its name.
    ///
    /// # Errors
    /// The region is unknown, or withdrawn and `gateway.withdrawn-region` does not insist.
    pub fn region(&self) -> Result<(&'static Parameters, Option<Note>), ConfigError> {
        let wrong = |message: String| ConfigError::value("gateway.region", message);
        let (region, note) =
            RfRegion::parse_with_note(&self.gateway.region).map_err(|error| wrong(error.to_string()))?;
        if self.gateway.withdrawn_region {
            return Ok((parameters_even_withdrawn(region), note));
        }
        let parameters = parameters(region)
            .map_err(|error| wrong(format!("{error}; gateway.withdrawn-region = true insists")))?;
        Ok((parameters, note))
    }

    /// The files of connections to network servers: without one of them the connection is not made, and all else goes on.
    pub fn lns_files(&self) -> Vec<(String, &Path)> {
        fn of_server(lns: &LnsConfig) -> Vec<(String, &Path)> {
            let own = [
                ("ca-file", &lns.ca_file),
                ("certificate-file", &lns.certificate_file),
                ("key-file", &lns.key_file),
                ("password-file", &lns.password_file),
            ];
            let named = own.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?)));
            named.map(|(key, path)| (format!("lns {}.{key}", lns.name), path)).collect()
        }
        self.lns.iter().flat_map(of_server).collect()
    }

    /// The files that the service reads beside this one, with the keys that name them.
    pub fn files(&self) -> Vec<(String, &Path)> {
        let mut files: Vec<(String, &Path)> = Vec::new();
        for group in &self.group {
            let own = [
                ("mc-key-file", &group.mc_key_file),
                ("mc-nwk-s-key-file", &group.mc_nwk_s_key_file),
                ("mc-app-s-key-file", &group.mc_app_s_key_file),
            ];
            for (key, path) in own {
                files.extend(path.iter().map(|path| (format!("group {}.{key}", group.name), path.as_path())));
            }
            let devices = group.devices_file.iter();
            files.extend(devices.map(|path| (format!("group {}.devices-file", group.name), path.as_path())));
            let anchors = group.signing.iter().flat_map(|signing| &signing.anchors);
            files.extend(anchors.map(|path| (format!("group {}.signing", group.name), path.as_path())));
        }
        files.extend(self.lns_files());
        if let Some(aws) = &self.aws {
            let credentials = aws.credentials_file.iter().map(|path| ("aws.credentials-file", path));
            let device = aws.iot_credentials.iter().flat_map(|iot| {
                let own = [
                    ("aws.iot-credentials.certificate-file", &iot.certificate_file),
                    ("aws.iot-credentials.key-file", &iot.key_file),
                ];
                own.into_iter().chain(iot.ca_file.iter().map(|path| ("aws.iot-credentials.ca-file", path)))
            });
            files.extend(credentials.chain(device).map(|(key, path)| (key.to_owned(), path.as_path())));
        }
        files
    }
}
