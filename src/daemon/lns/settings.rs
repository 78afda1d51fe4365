//! What the connection to one network server's broker is told.

use crate::lns::Audience;
use crate::lns::Topics;
use std::path::PathBuf;

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
    /// MQTT's user name.
    pub user: Option<String>,
    /// The file with the password, which is read for each connection.
    pub password_file: Option<PathBuf>,
}

/// Who vouches for the broker, and for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LnsTls {
    /// Certificates that may vouch for the broker, PEM; `None`: the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Our certificate with its chain, and its private key, both PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}
