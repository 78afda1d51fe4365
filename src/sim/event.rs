//! What will happen in a world.

use super::concentrator::Socket;
use super::concentrator::Transmission;
use crate::campaign::setup::SetupCommand;
use crate::task::TaskId;

/// Something that will happen.
pub(super) enum Event {
    /// A datagram reaches our socket.
    ToUs(Socket, u32, Vec<u8>),
    /// A datagram reaches the forwarder.
    ToForwarder(Socket, Vec<u8>),
    /// A datagram reaches the network server.
    ToServer(Vec<u8>),
    /// A datagram of the network server reaches us.
    FromServer(Vec<u8>),
    /// A transmission ends.
    FrameEnds(Transmission),
    /// Somebody else's uplink ends.
    Uplink,
    /// A save is durable.
    Saved(u64),
    /// A task appears in the folder.
    Task(usize),
    /// A task's file is removed.
    Gone(TaskId),
    /// An image was read.
    Image(TaskId),
    /// The operator moves a task to a later start.
    Retell(TaskId),
    /// A device gets a unicast command.
    Setup(usize, SetupCommand),
    /// The forwarder's process is killed.
    ForwarderDies,
    /// The forwarder's process restarts.
    ForwarderRestarts,
    /// The process is killed.
    Killed,
    /// The gateway has booted, and the forwarder with it after a power cut.
    Boot { after_power_cut: bool },
}
