//! What will happen in a world.

use super::concentrator::Socket;
use super::concentrator::Transmission;
use super::lns::FieldEvent;
use crate::campaign::setup::SetupCommand;
use crate::task::TaskId;
use crate::time::Instant;
use std::collections::BTreeMap;

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
    /// A task appears in the folder.
    Task(usize),
    /// A task's file is removed.
    Gone(TaskId),
    /// The operator has a word on a task.
    Verb(usize),
    /// The operator moves a task to a later start.
    Retell(TaskId),
    /// A device gets a unicast command.
    Setup(usize, SetupCommand),
    /// Something happens at the application side of a network server.
    Field(usize, FieldEvent),
    /// A device has something to send of its own accord: the server it is behind, its place there and in the world.
    Report { link: usize, place: usize, device: usize },
    /// The forwarder's process is killed.
    ForwarderDies,
    /// The forwarder's process restarts.
    ForwarderRestarts,
    /// Something happens to this process of the gateway; void when it is gone.
    OfProcess(u32, ProcessEvent),
    /// The gateway has booted, and the forwarder with it after a power cut.
    Boot { after_power_cut: bool },
}

impl Event {
    /// Whether it waits while the host stands still.
    pub(super) fn is_for_our_process(&self) -> bool {
        match self {
            Event::ToUs(..) | Event::FromServer(_) | Event::Task(_) | Event::Gone(_) => true,
            Event::OfProcess(_, event) => !matches!(event, ProcessEvent::Killed),
            _ => false,
        }
    }
}

/// Something that will happen to one process of the gateway.
pub(super) enum ProcessEvent {
    /// A save is durable.
    Saved(u64),
    /// An image was read.
    Image(TaskId),
    /// The process is killed.
    Killed,
}

/// Everything that will happen, soonest first; of two that fall together, the one that was put in first.
#[derive(Default)]
pub(super) struct Events {
    waiting: BTreeMap<(Instant, u64), Event>,
    put_in: u64,
}

impl Events {
    pub(super) fn put(&mut self, at: Instant, event: Event) {
        self.put_in += 1;
        self.waiting.insert((at, self.put_in), event);
    }

    /// When the next one happens.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn take(&mut self) -> Option<Event> {
        self.waiting.pop_first().map(|(_, event)| event)
    }
}
