//! The application side of a network server: a queue for each device, emptied in the windows of Class A.

use super::documents::Documents;
use super::documents::Down;
use super::documents::Fate;
use super::documents::Published;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// The most items of one queue.
const QUEUE_MAX: usize = 32;

/// One item of a queue. Those of other applications have no payload that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) down: Down,
    /// The fleet published it, and it is no copy of the broker's.
    pub(super) is_ours: bool,
}

/// The server with the queues of all devices.
#[derive(Debug)]
pub(super) struct AppServer {
    documents: Documents,
    queues: BTreeMap<String, VecDeque<Item>>,
}

impl AppServer {
    pub(super) fn new(documents: Documents) -> AppServer {
        AppServer { documents, queues: BTreeMap::new() }
    }

    /// Puts an item into its device's queue; what is told of it.
    pub(super) fn push(&mut self, item: Item) -> Option<Published> {
        let queue = self.queues.entry(item.down.dev_eui.clone()).or_default();
        let told = self.documents.fate(&item.down.dev_eui, &item.down.id, Fate::Queued);
        let is_known = !item.down.id.is_empty() && queue.iter().any(|known| known.down.id == item.down.id);
        if queue.len() >= QUEUE_MAX || is_known {
            return None;
        }
        queue.push_back(item);
        told
    }

    /// How many items of ours are in the device's queue.
    pub(super) fn ours(&self, dev_eui: &str) -> usize {
        self.queues.get(dev_eui).into_iter().flatten().filter(|item| item.is_ours).count()
    }

    /// The item for a window of Class A with room for `max_len` bytes, and what is told of those that were dropped.
    pub(super) fn fill(
        &mut self,
        dev_eui: &str,
        gps: GpsTime,
        max_len: usize,
    ) -> (Option<Item>, Vec<Published>) {
        let mut told = Vec::new();
        let Some(queue) = self.queues.get_mut(dev_eui) else { return (None, told) };
        let now = rfc3339_from_gps(gps);
        while let Some(item) = queue.front() {
            // Both texts have the same form, so they compare as times do.
            let is_expired = item.down.expires_at.as_ref().is_some_and(|at| *at < now);
            let fate = match item.down.payload.len() > max_len {
                _ if is_expired => Fate::Expired,
                true => Fate::TooLong,
                false => return (Some(item.clone()), told),
            };
            told.extend(self.documents.fate(dev_eui, &item.down.id, fate));
            queue.pop_front();
        }
        (None, told)
    }

    /// The item that was at the front went to the radio.
    pub(super) fn sent(&mut self, dev_eui: &str, hz: u32, sf: u8) -> Option<Published> {
        let item = self.queues.get_mut(dev_eui)?.pop_front()?;
        self.documents.fate(dev_eui, &item.down.id, Fate::Sent { hz, sf })
    }

    /// The gateway refused the item at the front, and it stays.
    pub(super) fn refused(&self, dev_eui: &str) -> Option<Published> {
        let item = self.queues.get(dev_eui)?.front()?;
        self.documents.fate(dev_eui, &item.down.id, Fate::Gateway)
    }
}
