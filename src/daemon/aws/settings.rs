//! What the cloud side is told by the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::network::Routes;
use super::network::routes;
use super::timeouts::Timeouts;
use crate::cloud::FuotadJson;

/// The documented limit of an image for FUOTA, bytes.
const MAX_IMAGE_BYTES: usize = 1024 * 1024;

/// Which tasks are polled, where, and with whose credentials.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The AWS region of the tasks, and of buckets that do not name another.
    pub region: String,
    /// The ids of the FUOTA tasks.
    pub fuota_tasks: Vec<String>,
    /// All FUOTA tasks of the account that have a multicast group of ours, too.
    pub all: bool,
    /// The ids of the OTA updates of AWS IoT.
    pub ota_updates: Vec<String>,
    /// What the configuration says of an OTA update, by its id.
    pub ota: BTreeMap<String, OtaSettings>,
    /// Between two looks at a task; each is up to a tenth shorter or longer.
    pub poll: Duration,
    /// The profile in the credentials file; `None`: `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// The device certificate and what it is exchanged for; the only source of credentials then.
    pub iot_credentials: Option<IotCredentialSettings>,
    /// The roles that may be assumed where a task names one of them as its FirmwareUpdateRole.
    pub assume_roles: Vec<String>,
    /// A file in the form of `~/.aws/credentials`, the only source of credentials then. `None`: the environment,
    /// then the profile in the usual files.
    pub credentials_file: Option<PathBuf>,
    /// Instead of the endpoints of AWS, for all services. `None`: `AWS_ENDPOINT_URL_IOT_WIRELESS`,
    /// `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL` are honoured.
    pub endpoint_url: Option<String>,
    /// What the configuration says of a task beyond AWS, by its id.
    pub overlays: BTreeMap<String, FuotadJson>,
    /// The names of our groups by the ids of AWS's multicast groups.
    pub groups: BTreeMap<String, String>,
    /// This gateway's EUI, 16 hexadecimal digits: under it AWS knows the gateway.
    pub gateway_eui: Option<String>,
    /// This gateway's id in AWS IoT Wireless, where it is not to be asked for.
    pub wireless_gateway: Option<String>,
    /// The largest image that is fetched, bytes.
    pub max_image_bytes: usize,
    /// Where images are kept and downloads go on after a restart; `None`: nowhere.
    pub images_dir: Option<PathBuf>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Tells when there is another way out.
    pub routes: Routes,
}

/// What the configuration says of an OTA update.
#[derive(Clone, Debug, Default)]
pub struct OtaSettings {
    /// The members of `Fuotad`.
    pub members: FuotadJson,
    /// A deletion in AWS stops even what is on the air; else only what has not begun.
    pub stops_when_deleted: bool,
}

/// The credential provider of AWS IoT: a device certificate gives temporary credentials.
#[derive(Clone, Debug)]
pub struct IotCredentialSettings {
    /// The account's endpoint, `….credentials.iot.….amazonaws.com`, with a port if it is not 443.
    pub endpoint: String,
    /// Name of the role alias in AWS IoT.
    pub role_alias: String,
    /// The thing that the certificate is attached to.
    pub thing_name: Option<String>,
    /// The certificate with its chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// The authorities that may vouch for the endpoint, PEM; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// The defaults for `fuota_tasks` in `region`.
    pub fn new(region: &str, fuota_tasks: &[&str]) -> Settings {
        Settings {
            region: region.to_owned(),
            fuota_tasks: fuota_tasks.iter().map(|id| (*id).to_owned()).collect(),
            all: false,
            ota_updates: Vec::new(),
            ota: BTreeMap::new(),
            poll: Duration::from_secs(60),
            profile: None,
            iot_credentials: None,
            assume_roles: Vec::new(),
            credentials_file: None,
            endpoint_url: None,
            overlays: BTreeMap::new(),
            groups: BTreeMap::new(),
            gateway_eui: None,
            wireless_gateway: None,
            max_image_bytes: MAX_IMAGE_BYTES,
            images_dir: None,
            timeouts: Timeouts::default(),
            routes,
        }
    }
}
