//! What happens in a world of meters, and when.

use super::app_server::Item;
use super::documents::Published;
use super::referee::Asked;
use crate::fleet::Question;
use crate::store::RecordId;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Something that happens at a certain time.
pub(super) enum Event {
    Uplink(usize),
    Answer {
        meter: usize,
        f_port: u8,
        data: Vec<u8>,
    },
    UplinkEnd {
        meter: usize,
        f_port: u8,
        data: Vec<u8>,
        channel: usize,
    },
    Fill {
        meter: usize,
        channel: usize,
        ended_us: u64,
    },
    Downlink {
        meter: usize,
        item: Item,
    },
    ToGateway(Published, Vec<Asked>),
    ToServer(Published),
    Saved {
        life: u64,
        id: RecordId,
        is_durable: bool,
        fresh: Vec<(String, BTreeSet<Asked>)>,
    },
    /// The fleet wanted to be called again.
    Wake,
    Asked(Question),
    /// A meter sends what it was asked for by multicast.
    Report(usize),
    Rejoin(usize),
    Restart,
}

/// The events to come, in their order.
#[derive(Default)]
pub(super) struct Agenda {
    pub(super) now_us: u64,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
}

impl Agenda {
    /// The next event until `end_us`; it is that time then.
    pub(super) fn next(&mut self, end_us: u64) -> Option<Event> {
        let next = self.events.first_entry().filter(|next| next.key().0 <= end_us);
        let Some(next) = next else {
            self.now_us = end_us;
            return None;
        };
        (self.now_us, _) = *next.key();
        Some(next.remove())
    }

    pub(super) fn later(&mut self, after_us: u64, event: Event) {
        self.at(self.now_us + after_us, event);
    }

    pub(super) fn at(&mut self, at_us: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((at_us, self.sequence), event);
    }
}
