//! The shared concentrator: network servers' downlinks pass through us, and go first.
//!
//! This room joins the forwarder's two sides with the table of what is on the air. A server's downlink is never
//! delayed for one of ours that is still here; one that meets a frame of ours which the forwarder already has is
//! refused at once with COLLISION_PACKET, because the forwarder would say "queued" and drop it. Windows in
//! which a server may yet answer a device (RX1, RX2, joins) are kept free until it is too late to claim them.
//!
//! It must not know what a campaign is. What it cannot know either is a server's mind: it learns from the
//! answers that it sees.

mod counts;
mod groups;
mod refusals;
mod router;
mod settings;
mod windows;

pub use counts::RelayCounts;
pub use router::Relay;
pub use router::RelayOutput;
pub use settings::DevAddrPrefix;
pub use settings::RelaySettings;
pub use settings::ServerSettings;
