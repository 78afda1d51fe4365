//! Tasks and images from AWS, against a double of it: the cloud side alone, and the real process with devices.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]
#![expect(clippy::disallowed_methods, reason = "a test of the real world touches it")]

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod downloads;
mod fuota_tasks;
mod network;
mod ota_updates;
mod signed_campaigns;
mod whole_campaigns;
