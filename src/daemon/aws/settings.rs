//! What the cloud side is told by the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Patience;
use crate::task::FuotadJson;

/// The documented limit of an image for FUOTA, bytes.
const MAX_IMAGE_BYTES: usize = 1024 * 1024;

/// Which tasks are polled, where, and with whose credentials.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The AWS region of the tasks, and of buckets that do not name another.
    pub region: String,
    /// The ids of the FUOTA tasks.
    pub fuota_tasks: Vec<String>,
    /// Between two looks at a task; each is up to a tenth shorter or longer.
    pub poll: Duration,
    /// The profile in the credentials file; `None`: `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
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
    /// The largest image that is fetched, bytes.
    pub max_image_bytes: usize,
    /// Where images are kept and downloads go on after a restart; `None`: nowhere.
    pub images_dir: Option<PathBuf>,
    /// How long to wait for what.
    pub patience: Patience,
}

impl Settings {
    /// The defaults for `fuota_tasks` in `region`.
    pub fn new(region: &str, fuota_tasks: &[&str]) -> Settings {
        Settings {
            region: region.to_owned(),
            fuota_tasks: fuota_tasks.iter().map(|id| (*id).to_owned()).collect(),
            poll: Duration::from_secs(60),
            profile: None,
            credentials_file: None,
            endpoint_url: None,
            overlays: BTreeMap::new(),
            groups: BTreeMap::new(),
            max_image_bytes: MAX_IMAGE_BYTES,
            images_dir: None,
            patience: Patience::default(),
        }
    }
}
