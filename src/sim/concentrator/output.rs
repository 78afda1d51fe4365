//! The forwarder's two sockets, and what comes out of them and of the antenna.

use crate::sim::concentrator::frame::Transmission;

/// Which of the forwarder's two sockets a datagram arrived at, that is, to which of its two source ports
/// the server sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// The source of PUSH_DATA: takes PUSH_ACK and nothing else.
    Push,
    /// The source of PULL_DATA: takes PULL_ACK and PULL_RESP and nothing else.
    Pull,
}

/// What the gateway does to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A datagram from the push socket: PUSH_DATA.
    Push(Vec<u8>),
    /// A datagram from the pull socket: PULL_DATA or TX_ACK.
    Pull(Vec<u8>),
    /// A transmission that begins now.
    OnAir(Transmission),
    /// The process ended; nothing happens until it is started again.
    Exited {
        /// What it died of.
        why: &'static str,
    },
}
