//! Tasks and images from AWS, read only: `GetFuotaTask`, `ListFuotaTasks`, `ListMulticastGroupsByFuotaTask`,
//! `GetMulticastGroup`, `GetMulticastGroupSession`, `GetWirelessGateway` (IoT Wireless, API version 2020-11-22);
//! `GetOTAUpdate`, `DescribeStream`, `GetJobDocument` (IoT, 2015-05-28); `DescribeSigningJob` (Signer, 2017-08-25);
//! S3 `HeadObject` / `GetObject`; images at `https://` addresses, too.
//!
//! Signing, credentials and the first retries of a call are the SDK's; patience over hours, the resumable
//! download and the judgement of what an error means are ours. Nothing here ever stops a campaign except a
//! definite word about its task: `Delete_Waiting`, or not found. A control plane that is out of reach,
//! throttles or refuses changes nothing.
//!
//! No text that a server sent is ever logged or handed on, except an error's code: error bodies echo requests,
//! and requests carry credentials. For the same reason a subscriber of this program's log must not let the SDK's
//! own events below `WARN` through: they print requests.

mod checksum;
mod client;
mod credentials;
mod fetch;
mod fuota;
mod groups;
mod iot_credentials;
mod iot_refused;
mod needed;
mod network;
mod news;
mod ota;
mod pages;
mod part;
mod patience;
mod poll;
mod probe;
mod raw;
mod run;
mod settings;
mod shelf;
mod source;
mod trouble;
mod web;

pub use network::Routes;
pub use patience::Patience;
pub use probe::Anchors;
pub use probe::Finding;
pub use probe::Verdict;
pub use probe::probe;
pub use run::run;
pub use settings::IotCredentialSettings;
pub use settings::OtaSettings;
pub use settings::Settings;
