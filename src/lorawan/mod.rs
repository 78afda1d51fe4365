//! Data frames, keys and control commands of multicast: frames of LoRaWAN TS001-1.0.4 and TS005-1.0.0, the keys of a
//! group (TS005-1.0.0 4.3), and the application packages TS003 (clock), TS004 (fragmentation) and TS005 (groups and
//! sessions), versions 1 and 2.
//!
//! Frames are pure functions of keys, address, counter and payload; nothing here counts, stores or sends.
//! The room knows no regions, tasks or fragments: `DataFragment` belongs to the room `fragment`, and whether
//! a payload fits a data rate is for the room `region` to say.
//!
//! ```
//! use fuotad::lorawan::{McAddr, McSessionKeys, Secret, multicast_frame, open_multicast};
//!
//! let mc_addr: McAddr = "01c0ffee".parse()?;
//! let keys = McSessionKeys::derive(&Secret::from_bytes([7; 16]), mc_addr);
//! let phy = multicast_frame(&keys, mc_addr, 2, 201, b"fragment")?;
//! assert_eq!(open_multicast(&keys, mc_addr, 2, &phy)?.payload, b"fragment");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod command;
mod encoding;
mod eui;
mod frame;
mod hex;
mod key_error;
mod keys;
mod secret;
pub mod ts003;
pub mod ts004;
pub mod ts005;

#[cfg(test)]
mod tests;

pub use address::McAddr;
pub use command::CommandError;
pub use command::MAX_COMMANDS;
pub use command::PackageVersion;
pub use command::Tail;
pub use command::TailCause;
pub use eui::Eui64;
pub use frame::FPORT_MAX;
pub use frame::FPORT_MIN;
pub use frame::FRAME_OVERHEAD;
pub use frame::FrameError;
pub use frame::MAX_PAYLOAD;
pub use frame::MulticastHeader;
pub use frame::Opened;
pub use frame::authentic_fcnt;
pub use frame::multicast_frame;
pub use frame::open_multicast;
pub use frame::parse_header;
pub use key_error::KeyError;
pub use keys::KeyFingerprint;
pub use keys::McSessionKeys;
pub use keys::RootKey;
pub use keys::data_block_mic;
pub use keys::decrypt_mc_key;
pub use keys::encrypt_mc_key;
pub use keys::mc_ke_key;
pub use keys::mc_key_check;
pub use secret::Secret;
