//! The real world: clocks, sockets, files and the cloud.

#[cfg(feature = "aws")]
pub mod aws;
mod fact;

pub use fact::Fact;
