//! Tasks and images from AWS, read only: `GetFuotaTask`, `ListFuotaTasks`, `ListMulticastGroupsByFuotaTask`,
//! `GetMulticastGroup`, `GetMulticastGroupSession`, `GetWirelessGateway` (IoT Wireless, API version 2020-11-22);
//! `GetOTAUpdate`, `DescribeStream`, `GetJobDocument` (IoT, 2015-05-28); `DescribeSigningJob` (Signer, 2017-08-25);
//! S3 `HeadObject` / `GetObject`; images at `https://` addresses, too.
//!
//! Signatures, the first retries of a call and the learning of a wrong clock are AWS's runtime; credentials, hosts,
//! patience over hours, the resumable download and the judgement of what an error means are ours. Nothing here ever
//! stops a campaign except a definite word about its task: `Delete_Waiting`, or not found. A control plane that is out
//! of reach, throttles or refuses changes nothing.
//!
//! No text that a server sent is ever logged or handed on, except an error's code: error bodies echo requests,
//! and requests carry credentials. For the same reason a subscriber of this program's log must not let the
//! runtime's own events below `WARN` through: they print requests.

mod caller;
mod checksum;
mod client;
mod credential_process;
mod credentials;
mod endpoint;
mod error;
mod fetch;
mod fuota;
mod groups;
mod http_client;
mod image_cache;
mod iot_credentials;
mod iot_refused;
mod needed;
mod network;
mod operation;
mod ota;
mod pages;
mod part;
mod poll;
mod poll_result;
mod probe;
mod profile;
mod proxy;
mod refusal;
mod run;
mod sdk_config;
mod settings;
mod source;
mod sts;
mod timeouts;
mod web;

pub use network::Routes;
pub use probe::Anchors;
pub use probe::Finding;
pub use probe::Verdict;
pub use probe::probe;
pub use run::run;
pub use settings::IotCredentialSettings;
pub use settings::OtaSettings;
pub use settings::Settings;
pub use timeouts::Timeouts;
