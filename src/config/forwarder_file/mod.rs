//! The configuration files of packet forwarders, read as their own reader does: JSON with C comments, in the form of
//! the SX1302's (`SX130x_conf`, before 2.0 `SX1302_conf`) or of the SX1301's (`SX1301_conf`), with a list
//! `gateway_conf.servers` in some dialects. What was not understood is said; nothing is advised for it.

mod board;
mod dialect;
mod edit;
mod file;
mod gateway;
mod given;
mod json;

pub use board::Board;
pub use board::Form;
pub use board::GAINS_MAX;
pub use board::Lbt;
pub use board::LbtChannel;
pub use board::RadioPart;
pub use dialect::Dialect;
pub use edit::with_value;
pub use file::ForwarderFile;
pub use gateway::Gateway;
pub use gateway::Server;
pub use given::Given;
