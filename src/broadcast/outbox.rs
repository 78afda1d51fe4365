//! What the broadcaster wants done, in order, and when it wants to be called again.

use super::io::Output;
use crate::report::Event;
use crate::report::Report;
use crate::store::Change;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use std::collections::VecDeque;

/// Wishes that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Outbox {
    outputs: VecDeque<Output>,
    wake_at: Option<Instant>,
    last_save: u64,
}

impl Outbox {
    /// Wants this done, after everything before it.
    pub fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Tells what happened, to a task or to all of them.
    pub fn report(&mut self, now: Now, task: Option<&TaskId>, event: Event) {
        self.push(Output::Report(Report { at: now.mono, task: task.cloned(), event }));
    }

    /// Wants the change durable; the number that its answer will name.
    pub fn save(&mut self, change: Change) -> u64 {
        self.last_save += 1;
        self.push(Output::Save(self.last_save, change));
        self.last_save
    }

    /// Wants to be called again at this time, or before.
    pub fn wake_by(&mut self, at: Option<Instant>) {
        self.wake_at = self.wake_at.into_iter().chain(at).min();
    }

    /// Forgets when it wanted to be called again: it is being called.
    pub fn woken(&mut self) {
        self.wake_at = None;
    }

    /// When it wants to be called again.
    pub fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    /// The oldest wish that nobody has taken yet.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
