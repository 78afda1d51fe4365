//! Tasks and images from AWS, read only: `GetFuotaTask`, `ListMulticastGroupsByFuotaTask`,
//! `GetMulticastGroup` (API version 2020-11-22) and S3 `HeadObject` / `GetObject`; images at `https://` addresses, too.
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
mod document;
mod fetch;
mod groups;
mod patience;
mod poll;
mod run;
mod settings;
mod shelf;
mod source;
mod trouble;
mod web;

pub use patience::Patience;
pub use run::run;
pub use settings::Settings;
