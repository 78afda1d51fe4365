//! What the link wishes, until somebody takes it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::event::Event;
use super::event::Output;

/// Outputs that may wait. When nobody takes them, datagrams are dropped unread.
const OUTPUTS_MAX: usize = 256;

/// Datagrams and events in the order in which they arose.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outputs: VecDeque<Output>,
}

impl Outbox {
    /// Whether nothing that asks for an answer should be begun.
    pub fn is_full(&self) -> bool {
        self.outputs.len() >= OUTPUTS_MAX
    }

    pub fn datagram(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Datagram { to, bytes });
    }

    pub fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
