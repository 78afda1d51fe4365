//! What the connection to one network server's broker is told.

use crate::lns::Audience;
use crate::lns::Topics;
use std::path::PathBuf;
use std::time::Duration;

/// [`LnsSettings::silent_after`] of the service while no habit of a device is known: most send within an hour.
pub const SILENT_AFTER: Duration = Duration::from_secs(3600);

/// One `[[lns]]`: a broker, what is listened to there, and for whom.
#[derive(Clone, Debug)]
pub struct LnsSettings {
    /// The name in the configuration.
    pub name: String,
    /// The topics of the network server.
    pub topics: Topics,
    /// The devices that are waited for.
    pub audience: Audience,
    /// Host name or IP address of the broker, the latter without brackets.
    pub host: String,
    /// TCP port of the broker.
    pub port: u16,
    /// TLS and its files; `None`: not encrypted.
    pub tls: Option<LnsTls>,
    /// MQTT's client identifier; `None`: a new one for each start.
    pub client_id: Option<String>,
    /// The user name that MQTT is given.
    pub user: Option<String>,
    /// The file with the password, which is read for each connection.
    pub password_file: Option<PathBuf>,
    /// Whoever heard no device of ours for so long since the first subscription is silent.
    pub silent_after: Duration,
}

/// Who vouches for the broker, and for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LnsTls {
    /// Certificates that may vouch for the broker, PEM; `None`: the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Our certificate with its chain, and its private key, both PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Nobody is silent within less.
const SILENT_MIN_S: u64 = 300;

impl LnsSettings {
    /// The same where the device that sends most often does so at this distance, seconds: a quarter longer without it is
    /// silence.
    pub fn expecting(self, interval_s: Option<u32>) -> LnsSettings {
        let silent_after = interval_s.map_or(self.silent_after, |interval_s| {
            Duration::from_secs((u64::from(interval_s) * 5 / 4).max(SILENT_MIN_S))
        });
        LnsSettings { silent_after, ..self }
    }
}
