//! `[[lns]]`: the application side of a network server, which devices are set up through.

use super::devices::Devices;
use super::error::ConfigError;
use super::error::Mistakes;
use super::group::GroupConfig;
use super::group::RedundancyKind;
use crate::answers::Habit;
use crate::daemon::LnsSettings;
use crate::daemon::LnsTls;
use crate::daemon::SILENT_AFTER;
use crate::lns::Audience;
use crate::lns::Dialect;
use crate::lns::TopicError;
use crate::lns::Topics;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::PathBuf;

/// More network servers than this are a mistake: each has a connection of its own.
const LNS_MAX: usize = 4;
/// More applications than this are a mistake.
const APPLICATIONS_MAX: usize = 32;
/// The longest client identifier that brokers are sure to take is 23 bytes (MQTT 3.1.1, 3.1.3.1); most take more.
const CLIENT_ID_MAX_BYTES: usize = 128;

/// `[[lns]]`: the application side of a network server, as written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LnsConfig {
    /// The name that groups use.
    pub name: String,
    /// Which network server it is: "chirpstack" or "the-things-stack".
    pub kind: Dialect,
    /// `mqtts://host:port`, or `mqtt://host:port` without encryption.
    pub broker: String,
    /// The applications with our devices: UUIDs of ChirpStack; the one id of The Things Stack.
    pub applications: Vec<String>,
    /// The Things Stack: the tenant, `ttn` on The Things Network; absent on the open source edition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What stands before every topic.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic_prefix: String,
    /// MQTT's client identifier, where the broker asks for a certain one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Who may vouch for the broker, PEM; default: the system's authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate with its chain, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// MQTT's user name; default with The Things Stack: `application@tenant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The file with the password; with The Things Stack an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// We answer the devices' AppTimeReq (TS003), because the network server does not.
    #[serde(default)]
    pub answers_time: bool,
    /// The part of what the law leaves to the network server that our commands may take in each sub-band.
    #[serde(default = "setup_share")]
    pub setup_share: f64,
    /// The most downlinks of ours for one device in a day.
    #[serde(default = "max_downlinks_per_day")]
    pub max_downlinks_per_day: u16,
}

fn setup_share() -> f64 {
    0.25
}

fn max_downlinks_per_day() -> u16 {
    20
}

/// The address of a broker, and how it is spoken to.
struct Broker {
    is_encrypted: bool,
    host: String,
    port: u16,
}

/// The connections to these network servers, for the devices of those groups that name them; `devices` are the groups'
/// devices files, by the names of the groups.
///
/// # Errors
/// Every value that cannot be used.
pub(super) fn connections(
    servers: &[LnsConfig],
    groups: &[GroupConfig],
    devices: &BTreeMap<String, Devices>,
) -> Result<Vec<LnsSettings>, ConfigError> {
    let mut mistakes = Mistakes::default();
    if servers.len() > LNS_MAX {
        let message = format!("{} are too many: at most {LNS_MAX}", servers.len());
        mistakes.add(ConfigError::value("lns", message));
    }
    if !servers.is_empty() && cfg!(not(feature = "lns")) {
        let message = "this fuotad was built without the application side of network servers";
        mistakes.add(ConfigError::value("lns", message));
    }
    let mut names = BTreeSet::new();
    let mut settings = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let place = format!("lns[{index}]");
        if server.name.is_empty() {
            let message = "it is \"\", and groups call a network server by its name: write one";
            mistakes.add(ConfigError::value(format!("{place}.name"), message));
        }
        if !names.insert(server.name.as_str()) {
            let message =
                format!("the name {:?} is used twice: groups must know which is meant", server.name);
            mistakes.add(ConfigError::value(format!("{place}.name"), message));
        }
        settings.extend(mistakes.take(server.settings(&place, audience(server, groups, devices))));
    }
    for group in groups {
        mistakes.take(check_group(group, &names));
    }
    mistakes.or(Some(settings))
}

/// Whether a group and its network server belong together.
fn check_group(group: &GroupConfig, names: &BTreeSet<&str>) -> Result<(), ConfigError> {
    let wrong =
        |key: &str, message: String| ConfigError::value(format!("group {}.{key}", group.name), message);
    match (&group.lns, &group.devices_file) {
        (Some(lns), _) if !names.contains(lns.as_str()) => {
            let known: Vec<&str> = names.iter().copied().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(wrong("lns", format!("{lns:?} is no [[lns]]: there are {known}; write the name of one")))
        }
        (Some(lns), None) => {
            let message = format!(
                "it is missing beside lns = {lns:?}: write devices-file = \"/etc/fuotad/{}.devices.toml\", made by `fuotad prepare`",
                group.name
            );
            Err(wrong("devices-file", message))
        }
        (None, Some(path)) => {
            let message = format!(
                "{:?} is used through a network server only: write lns = \"NAME\" of an [[lns]]",
                path.display().to_string()
            );
            Err(wrong("devices-file", message))
        }
        _ => check_lean(group),
    }
}

/// Whether somebody hears what the devices of a lean group miss.
///
/// # Errors
/// Nobody does, and why.
pub(super) fn check_lean(group: &GroupConfig) -> Result<(), ConfigError> {
    let why = match group.lns {
        _ if group.redundancy != Some(RedundancyKind::Lean) => return Ok(()),
        None => "without lns = \"NAME\" of an [[lns]] and a devices-file nobody hears what devices miss",
        Some(_) if group.device_profile.profile().habit == Habit::Zephyr => {
            "devices of zephyr are not asked together"
        }
        Some(_) => return Ok(()),
    };
    let message = format!(
        "\"lean\" sends less than is ordered before the first question, and {why}: write \"ordered\", or leave it out"
    );
    Err(ConfigError::value(format!("group {}.redundancy", group.name), message))
}

/// The devices of the groups that name `server`.
fn audience(server: &LnsConfig, groups: &[GroupConfig], devices: &BTreeMap<String, Devices>) -> Audience {
    let theirs = groups.iter().filter(|group| group.lns.as_deref() == Some(server.name.as_str()));
    let files = theirs.filter_map(|group| devices.get(&group.name));
    Audience::new(
        files
            .flat_map(|file| &file.device)
            .filter_map(|device| Some((device.dev_eui.as_ref()?.parse().ok()?, device.device_id.clone()))),
    )
}

impl LnsConfig {
    /// What is to be said of it although it is right.
    pub(super) fn remark(&self) -> Option<String> {
        let broker = broker(&self.broker).ok().filter(|broker| !broker.is_encrypted)?;
        let is_here = broker.host == "localhost"
            || broker.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let is_secret = self.password_file.is_some() && !is_here;
        is_secret.then(|| {
            format!(
                "lns {}.broker: {} is not encrypted, and the password passes through the network: write mqtts://",
                self.name, self.broker
            )
        })
    }

    fn settings(&self, place: &str, audience: Audience) -> Result<LnsSettings, ConfigError> {
        let wrong = |key: &str, message: String| ConfigError::value(format!("{place}.{key}"), message);
        let mut mistakes = Mistakes::default();
        let broker = mistakes.take(broker(&self.broker).map_err(|message| wrong("broker", message)));
        mistakes.take(self.check_applications().map_err(|(key, message)| wrong(key, message)));
        let topics = mistakes.take(self.topics().map_err(|error| {
            let is_prefix = !error.part.is_empty() && error.part == self.topic_prefix;
            wrong(if is_prefix { "topic-prefix" } else { "applications" }, error.to_string())
        }));
        if let Some(id) = self
            .client_id
            .as_ref()
            .filter(|id| id.is_empty() || id.len() > CLIENT_ID_MAX_BYTES || id.chars().any(char::is_control))
        {
            let message =
                format!("{id:?} is no client identifier: write 1 to {CLIENT_ID_MAX_BYTES} characters");
            mistakes.add(wrong("client-id", message));
        }
        let user = self.user();
        mistakes.take(self.check_credentials(user.as_deref()).map_err(|(key, message)| wrong(key, message)));
        let is_encrypted = broker.as_ref().is_none_or(|broker| broker.is_encrypted);
        let tls_files = [
            ("ca-file", &self.ca_file),
            ("certificate-file", &self.certificate_file),
            ("key-file", &self.key_file),
        ];
        if let Some((key, _)) = tls_files.iter().find(|(_, file)| !is_encrypted && file.is_some()) {
            let message =
                format!("{} is not encrypted, so nobody reads it: write mqtts:// there", self.broker);
            mistakes.add(wrong(key, message));
        }
        let settings = broker.zip(topics).map(|(broker, topics)| LnsSettings {
            name: self.name.clone(),
            topics,
            audience,
            host: broker.host,
            port: broker.port,
            tls: broker.is_encrypted.then(|| LnsTls {
                ca_file: self.ca_file.clone(),
                certificate: self.certificate_file.clone().zip(self.key_file.clone()),
            }),
            client_id: self.client_id.clone(),
            user,
            password_file: self.password_file.clone(),
            silent_after: SILENT_AFTER,
        });
        mistakes.or(settings)
    }

    /// The topics of the network server.
    ///
    /// # Errors
    /// A part that cannot stand in a topic.
    pub fn topics(&self) -> Result<Topics, TopicError> {
        Topics::new(self.kind, &self.topic_prefix, self.topic_applications())
    }

    /// The applications as they stand in topics.
    fn topic_applications(&self) -> Vec<String> {
        let in_topic = |application: &String| match &self.tenant {
            Some(tenant) if !tenant.is_empty() => format!("{application}@{tenant}"),
            _ => application.clone(),
        };
        self.applications.iter().map(in_topic).collect()
    }

    /// MQTT's user name: The Things Stack has one for each application.
    fn user(&self) -> Option<String> {
        let implied =
            (self.kind == Dialect::TheThingsStack).then(|| self.topic_applications().into_iter().next());
        self.user.clone().or(implied.flatten())
    }

    fn check_applications(&self) -> Result<(), (&'static str, String)> {
        let count = self.applications.len();
        match self.kind {
            _ if count == 0 || count > APPLICATIONS_MAX => {
                Err(("applications", format!("there are {count}: write 1 to {APPLICATIONS_MAX}")))
            }
            Dialect::ChirpStack => {
                let odd = self.applications.iter().find(|id| !is_uuid(id));
                if let Some(id) = odd {
                    let form = "like 5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";
                    return Err((
                        "applications",
                        format!("{id:?} is no application of ChirpStack: write its id, {form}"),
                    ));
                }
                match &self.tenant {
                    Some(tenant) => Err((
                        "tenant",
                        format!("{tenant:?} is of The Things Stack only: ChirpStack's topics have none"),
                    )),
                    None => Ok(()),
                }
            }
            Dialect::TheThingsStack => {
                if count > 1 {
                    let message = format!(
                        "there are {count}, and The Things Stack has one user for each: write an [[lns]] for each"
                    );
                    return Err(("applications", message));
                }
                match self.applications.iter().find(|id| id.contains('@')) {
                    Some(id) => {
                        let (application, tenant) = id.split_once('@').unwrap_or_default();
                        let message = format!(
                            "{id:?} has the tenant in it: write [\"{application}\"] and tenant = \"{tenant}\""
                        );
                        Err(("applications", message))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn check_credentials(&self, user: Option<&str>) -> Result<(), (&'static str, String)> {
        let missing = |key, message: &str| Err((key, message.to_owned()));
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => {
                return missing("key-file", "it is missing beside certificate-file: write both");
            }
            (None, Some(_)) => {
                return missing("certificate-file", "it is missing beside key-file: write both");
            }
            _ => {}
        }
        if self.password_file.is_some() && user.is_none() {
            return missing("user", "it is missing beside password-file: write the broker's user name");
        }
        let is_anonymous = self.password_file.is_none() && self.certificate_file.is_none();
        if self.kind == Dialect::TheThingsStack && is_anonymous {
            return missing(
                "password-file",
                "it is missing: The Things Stack asks for an API key, in a file",
            );
        }
        Ok(())
    }
}

/// Whether `text` is a UUID as topics have it: 36 characters, lower case.
fn is_uuid(text: &str) -> bool {
    let is_right = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

/// Reads `mqtts://host:port`; without a port MQTT's own.
fn broker(text: &str) -> Result<Broker, String> {
    let wrong = || format!("{text:?} is no broker: write mqtts://HOST:8883, or mqtt://HOST:1883 unencrypted");
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (is_encrypted, usual) = match scheme {
        "mqtts" => (true, 8883),
        "mqtt" => (false, 1883),
        _ => return Err(wrong()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']').ok_or_else(wrong)?;
            ip.parse::<Ipv6Addr>().map_err(|_| wrong())?;
            (ip, port.strip_prefix(':').or_else(|| port.is_empty().then_some("")).ok_or_else(wrong)?)
        }
        None => rest.split_once(':').unwrap_or((rest, "")),
    };
    let is_name_char = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(is_name_char) || rest.contains('@') {
        return Err(wrong());
    }
    let port = if port.is_empty() { usual } else { port.parse().map_err(|_| wrong())? };
    if port == 0 { Err(wrong()) } else { Ok(Broker { is_encrypted, host: host.to_owned(), port }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Config;

    const APPLICATION: &str = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";

    /// The connections of a configuration with one group in which `lns` stands.
    fn made(lns: &str, group: &str) -> Result<Vec<LnsSettings>, String> {
        let text = format!(
            "[gateway]\nregion = \"EU868\"\n{lns}\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\n{group}\n"
        );
        let config = Config::from_text(&text, &BTreeMap::new()).map_err(|error| error.to_string())?;
        let devices = "[[device]]\nname = \"m1\"\ndev-eui = \"70B3D57ED0000001\"\ndevice-id = \"meter-1\"\n\
                       [[device]]\nname = \"m2\"\ndev-eui = \"70b3d57ed0000002\"\n";
        let devices = BTreeMap::from([("meters".to_owned(), Devices::from_text(devices).unwrap())]);
        connections(&config.lns, &config.group, &devices).map_err(|error| error.to_string())
    }

    fn chirpstack(more: &str) -> String {
        format!(
            "[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtts://lns.example.org\"\napplications = [\"{APPLICATION}\"]\n{more}"
        )
    }

    fn the_things_stack(more: &str) -> String {
        format!(
            "[[lns]]\nname = \"tts\"\nkind = \"the-things-stack\"\nbroker = \"mqtts://eu1.cloud.thethings.network:8883\"\n\
             applications = [\"app1\"]\ntenant = \"ttn\"\n{more}"
        )
    }

    const GROUP: &str = "lns = \"cs\"\ndevices-file = \"meters.devices.toml\"";

    #[test]
    fn a_connection_has_the_servers_topics_and_the_devices_of_its_groups() {
        let made_of =
            made(&chirpstack("user = \"gw\"\npassword-file = \"/etc/fuotad/cs.password\""), GROUP).unwrap();
        let cs = &made_of[0];
        assert_eq!((cs.host.as_str(), cs.port, cs.user.as_deref()), ("lns.example.org", 8883, Some("gw")));
        assert_eq!(cs.tls, Some(LnsTls { ca_file: None, certificate: None }));
        assert_eq!(cs.topics.subscriptions()[0], format!("application/{APPLICATION}/device/+/event/up"));
        assert!(cs.audience.contains("70b3d57ed0000001".parse().unwrap()));
        assert!(!cs.audience.contains("70b3d57ed0000003".parse().unwrap()));
        let of_tts = made(&the_things_stack("password-file = \"/etc/fuotad/tts.key\""), "").unwrap();
        let tts = &of_tts[0];
        assert_eq!(tts.user.as_deref(), Some("app1@ttn"));
        assert_eq!(tts.topics.subscriptions()[0], "v3/app1@ttn/devices/+/up");
        // No group names it: nobody is waited for.
        assert_eq!(tts.audience, Audience::default());
    }

    #[test]
    fn a_broker_is_a_host_with_or_without_a_port() {
        let parsed = |text: &str| broker(text).map(|broker| (broker.is_encrypted, broker.host, broker.port));
        let good = |encrypted, host: &str, port| Ok((encrypted, host.to_owned(), port));
        assert_eq!(parsed("mqtt://localhost"), good(false, "localhost", 1883));
        assert_eq!(parsed("mqtts://10.0.0.1/"), good(true, "10.0.0.1", 8883));
        assert_eq!(parsed("mqtts://[2001:db8::1]:1"), good(true, "2001:db8::1", 1));
        assert_eq!(parsed("mqtt://[::1]"), good(false, "::1", 1883));
        for bad in [
            "lns.example.org:8883",
            "tcp://lns.example.org",
            "mqtts://",
            "mqtts://:8883",
            "mqtts://h:0",
            "mqtts://h:65536",
            "mqtts://h:1:2",
            "mqtts://user:password@h",
            "mqtts://h/path",
            "mqtts://[::1",
            "mqtts://[h]",
            "mqtts://[::1]x",
        ] {
            let message = parsed(bad).unwrap_err();
            assert!(message.contains("is no broker: write mqtts://HOST:8883"), "{bad}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_write() {
        let of_cs = |more: &str| made(&chirpstack(more), GROUP).unwrap_err();
        let replaced = |from: &str, to: &str| made(&chirpstack("").replace(from, to), GROUP).unwrap_err();
        for (message, part) in [
            (of_cs("password-file = \"p\""), "lns[0].user: it is missing beside password-file"),
            (of_cs("certificate-file = \"c\""), "lns[0].key-file: it is missing beside certificate-file"),
            (of_cs("key-file = \"k\""), "lns[0].certificate-file: it is missing beside key-file"),
            (of_cs("tenant = \"ttn\""), "lns[0].tenant: \"ttn\" is of The Things Stack only"),
            (of_cs("client-id = \"\""), "lns[0].client-id: \"\" is no client identifier"),
            (of_cs("topic-prefix = \"a/#\""), "lns[0].topic-prefix: \"a/#\" cannot stand in a topic"),
            (replaced("mqtts://lns", "http://lns"), "lns[0].broker: \"http://lns.example.org\" is no broker"),
            (
                replaced(APPLICATION, "meters"),
                "lns[0].applications: \"meters\" is no application of ChirpStack",
            ),
            (replaced("\"chirpstack\"", "\"chirp\""), "lns.kind"),
            (replaced("name = \"cs\"", "name = \"\""), "lns[0].name: it is \"\""),
            (replaced(&format!("\"{APPLICATION}\""), ""), "lns[0].applications: there are 0: write 1 to 32"),
            (
                replaced("mqtts://lns.example.org\"", "mqtt://lns.example.org\"\nca-file = \"ca.pem\""),
                "lns[0].ca-file: mqtt://lns.example.org is not encrypted",
            ),
            (
                made(&(chirpstack("") + &chirpstack("")), GROUP).unwrap_err(),
                "lns[1].name: the name \"cs\" is used twice",
            ),
            (made(&chirpstack("").repeat(5), GROUP).unwrap_err(), "lns: 5 are too many: at most 4"),
            (
                made(&the_things_stack(""), "").unwrap_err(),
                "lns[0].password-file: it is missing: The Things Stack",
            ),
            (
                made(&the_things_stack("").replace("\"app1\"", "\"app1@ttn\""), "").unwrap_err(),
                "write [\"app1\"] and tenant = \"ttn\"",
            ),
            (
                made(&the_things_stack("").replace("\"app1\"", "\"a\", \"b\""), "").unwrap_err(),
                "write an [[lns]] for each",
            ),
            (
                made(&chirpstack(""), "lns = \"sc\"\ndevices-file = \"d\"").unwrap_err(),
                "group meters.lns: \"sc\" is no [[lns]]: there are cs",
            ),
            (made("", "lns = \"cs\"\ndevices-file = \"d\"").unwrap_err(), "there are none"),
            (made(&chirpstack(""), "lns = \"cs\"").unwrap_err(), "group meters.devices-file: it is missing"),
            (made("", "devices-file = \"d\"").unwrap_err(), "write lns = \"NAME\" of an [[lns]]"),
            (made("", "redundancy = \"lean\"").unwrap_err(), "group meters.redundancy: \"lean\" sends less"),
            (
                made(
                    &chirpstack(""),
                    &format!("{GROUP}\nredundancy = \"lean\"\ndevice-profile = \"zephyr\""),
                )
                .unwrap_err(),
                "devices of zephyr are not asked together: write \"ordered\"",
            ),
            (made("", "redundancy = \"thin\"").unwrap_err(), "thin"),
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn a_password_in_the_open_is_remarked_on_but_not_on_this_machine() {
        let remark = |broker: &str| {
            let text =
                chirpstack("user = \"u\"\npassword-file = \"p\"").replace("mqtts://lns.example.org", broker);
            let text = format!("[gateway]\nregion = \"EU868\"\n{text}");
            Config::from_text(&text, &BTreeMap::new()).unwrap().lns[0].remark()
        };
        assert!(
            remark("mqtt://lns.example.org").unwrap().starts_with("lns cs.broker: mqtt://lns.example.org")
        );
        for broker in ["mqtt://localhost", "mqtt://127.0.0.1:1883", "mqtt://[::1]", "mqtts://lns.example.org"]
        {
            assert_eq!(remark(broker), None, "{broker}");
        }
    }
}
