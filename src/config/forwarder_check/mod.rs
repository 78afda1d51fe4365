//! The packet forwarder's configuration against fuotad's own: what must change, and what is worth knowing.

mod board;
mod finding;
mod gateway;
mod lbt;
mod server;
#[cfg(test)]
mod tests;

pub use finding::Against;
pub use finding::Finding;
pub use finding::Severity;
