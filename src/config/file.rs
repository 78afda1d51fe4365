//! The sections of the configuration file.

use super::aws::AwsConfig;
use super::error::ConfigError;
use super::group::GroupConfig;
use super::key_source::ReadKey;
use super::ota::OtaConfig;
use super::radio::Radio;
use super::radio::antenna_gain;
use super::read::read;
use super::server;
use super::server::NetworkServer;
use super::signing::ReadCertificates;
use crate::broadcast::CRASH_REST_US;
use crate::daemon;
use crate::daemon::ClockSettings;
use crate::daemon::GpsSettings;
use crate::engine;
use crate::forwarder;
use crate::forwarder::GatewayId;
use crate::lorawan::McSessionKeys;
use crate::region::Note;
use crate::region::Parameters;
use crate::region::RfRegion;
use crate::region::parameters;
use crate::region::parameters_even_withdrawn;
use crate::time::ClockTrust;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;
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
    fn settings(&self) -> Result<GpsSettings, ConfigError> {
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
            let message = format!("{} is none of {BAUDS:?}", self.baud);
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
        let config: Config = read(text, environment)?;
        if let Some(index) = config.group.iter().position(|group| group.mc_key.is_some()) {
            let message = "a configuration is copied and shown, so no key stands in it: put the key into a file of mode 0600 and name it in mc-key-file";
            return Err(ConfigError::value(format!("group[{index}].mc-key"), message));
        }
        Ok(config)
    }

    /// Every value as it is used: what a group takes from `[radio]` and the region stands in the group.
    ///
    /// # Errors
    /// The same errors as those of [`Config::region`].
    pub fn effective(&self) -> Result<Config, ConfigError> {
        let (region, _) = self.region()?;
        let group =
            self.group.iter().map(|group| group.filled(&self.radio, region)).collect::<Result<_, _>>()?;
        Ok(Config { group, ..self.clone() })
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

    /// The files that the service reads beside this one, with the keys that name them: without one of them it only relays.
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
            let anchors = group.signing.iter().flat_map(|signing| &signing.anchors);
            files.extend(anchors.map(|path| (format!("group {}.signing", group.name), path.as_path())));
        }
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

    /// The keys of one group, and the first counter that it proposes for them.
    ///
    /// # Errors
    /// There is no such group, or its key cannot be had.
    pub fn group_keys(
        &self,
        name: &str,
        read_key: ReadKey<'_>,
    ) -> Result<(McSessionKeys, Option<u32>), ConfigError> {
        let group = self.group.iter().find(|group| group.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.group.iter().map(|group| group.name.as_str()).collect();
            let message = format!("there is no group {name:?}: the configuration has {}", known.join(", "));
            ConfigError::value("group", message)
        })?;
        Ok((group.own_keys(read_key)?, group.first_fcnt))
    }

    /// The settings of the engine. Keys are read through `read_key`.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn engine(&self, read_key: ReadKey<'_>) -> Result<engine::Settings, ConfigError> {
        let (region, _) = self.region()?;
        self.radio.check()?;
        let listen = self.listen()?;
        let mut groups = Vec::new();
        let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for (index, group) in self.group.iter().enumerate() {
            let settled = group.settle(&self.radio, region, read_key)?;
            if !names.insert(settled.name.clone()) {
                let message = format!("the name {:?} is used twice", settled.name);
                return Err(ConfigError::value(format!("group[{index}].name"), message));
            }
            if !addresses.insert(settled.mc_addr) {
                let message = format!("{} is used twice: each group needs its own", settled.mc_addr);
                return Err(ConfigError::value(format!("group[{index}].mc-addr"), message));
            }
            groups.push(settled);
        }
        let relay = server::relay(&self.network_server, listen)?;
        let may_send = relay.servers.iter().any(|server| !server.is_uplink_only);
        let server_reserve_ppm = if may_send { self.radio.server_reserve_ppm()? } else { 0 };
        Ok(engine::Settings {
            region,
            groups,
            trust_by_task: BTreeMap::new(),
            turns: self.radio.turns,
            forwarder: self.link()?,
            relay,
            server_reserve_ppm,
            crash_rest_us: self.state.crash_rest_s.saturating_mul(1_000_000),
        })
    }

    /// Fills `settings` with those whose signatures count. Certificates are read through `read`.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn trust(
        &self,
        settings: &mut engine::Settings,
        read: ReadCertificates<'_>,
    ) -> Result<(), ConfigError> {
        for (written, group) in self.group.iter().zip(&mut settings.groups) {
            if let Some(signing) = &written.signing {
                group.trust = signing.trust(&format!("group {}.signing", group.name), read)?;
            }
        }
        for task in self.aws.iter().flat_map(|aws| &aws.task) {
            if let Some(signing) = &task.signing {
                let trust = signing.trust(&format!("aws.task {}.signing", task.id), read)?;
                settings.trust_by_task.insert(task.id.clone(), trust);
            }
        }
        for (id, update) in &self.ota {
            if let Some(signing) = &update.signing {
                let trust = signing.trust(&format!("ota.{id:?}.signing"), read)?;
                settings.trust_by_task.insert(id.clone(), trust);
            }
        }
        Ok(())
    }

    /// Where the packet forwarder sends to.
    ///
    /// # Errors
    /// It is no address with a port.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        let listen = &self.forwarder.listen;
        let message = || format!("{listen:?} is no address with a port, like 127.0.0.1:1700");
        let address: SocketAddr =
            listen.parse().map_err(|_| ConfigError::value("forwarder.listen", message()))?;
        if !address.ip().is_loopback() && self.forwarder.allow.is_empty() {
            let message = format!(
                "{listen} can be reached from the network, and the protocol knows no password: name the packet forwarder's address here, like allow = [\"192.0.2.7\"]"
            );
            return Err(ConfigError::value("forwarder.allow", message));
        }
        Ok(address)
    }

    /// The settings of the daemon. Keys are read through `read_key`.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn daemon(&self, read_key: ReadKey<'_>) -> Result<daemon::Settings, ConfigError> {
        if !(1..=3600).contains(&self.tasks.scan_s) {
            let message = format!("{} is outside 1..=3600", self.tasks.scan_s);
            return Err(ConfigError::value("tasks.scan-s", message));
        }
        Ok(daemon::Settings {
            engine: self.engine(read_key)?,
            listen: self.listen()?,
            state_dir: self.state.dir.clone(),
            tasks_folder: self.tasks.folder.clone(),
            scan_us: self.tasks.scan_s * 1_000_000,
            status_socket: self.status.socket.clone(),
            clock: ClockSettings { trust: self.clock.trust, evidence: self.clock.evidence.clone() },
            gps: self.gps.as_ref().map(Gps::settings).transpose()?,
            log: self.log.filter.clone(),
            relay_only: None,
            relay_text: self.relay_text(),
        })
    }

    fn link(&self) -> Result<forwarder::Settings, ConfigError> {
        let radio = &self.radio;
        let gateway = self.gateway.id.as_deref().map(str::parse::<GatewayId>).transpose();
        if radio.rf_chain > 1 {
            let message = format!("{} is not a chain of a concentrator: use 0 or 1", radio.rf_chain);
            return Err(ConfigError::value("radio.rf-chain", message));
        }
        Ok(forwarder::Settings {
            gateway: gateway.map_err(|error| ConfigError::value("gateway.id", error))?,
            rf_chain: radio.rf_chain,
            antenna_gain: antenna_gain("radio.antenna-gain-dbi", radio.antenna_gain_dbi)?,
            forwarder_antenna_gain: antenna_gain(
                "radio.forwarder-antenna-gain-dbi",
                radio.forwarder_antenna_gain_dbi,
            )?,
            allow: self.forwarder.allow.iter().map(IpAddr::to_canonical).collect(),
            last_pull: None,
        })
    }
}
