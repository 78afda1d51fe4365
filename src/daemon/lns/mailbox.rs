//! Events on their way to the driver: a bounded queue in which the least important makes room.

use crate::lns::Event;
use crate::lns::EventKind;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use tokio::sync::Notify;

/// Events that wait at most. The driver takes one in each of its turns.
const EVENTS_MAX: usize = 256;

/// Events that wait for the driver, each with the link that it came by.
#[derive(Debug, Default)]
pub struct Mailbox {
    events: Mutex<VecDeque<(usize, Event)>>,
    arrived: Notify,
}

impl Mailbox {
    /// Puts an event at the end. If there is no room, the oldest one that answers nothing of ours goes, else the oldest;
    /// the link that it came by is told, for its count.
    pub fn put(&self, link: usize, event: Event) -> Option<usize> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = (events.len() >= EVENTS_MAX)
            .then(|| {
                let least = events.iter().position(|(_, event)| !is_awaited(&event.kind)).unwrap_or(0);
                events.remove(least)
            })
            .flatten();
        events.push_back((link, event));
        drop(events);
        self.arrived.notify_one();
        dropped.map(|(link, _)| link)
    }

    /// Takes the oldest event, as soon as there is one.
    pub async fn take(&self) -> (usize, Event) {
        loop {
            let first = self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match first {
                Some(event) => return event,
                None => self.arrived.notified().await,
            }
        }
    }
}

/// Whether a dialogue with a device may wait for it.
fn is_awaited(kind: &EventKind) -> bool {
    match kind {
        EventKind::Up(_) | EventKind::Join => true,
        EventKind::Queued { item } | EventKind::Sent { item, .. } | EventKind::Failed { item, .. } => {
            item.is_some()
        }
        EventKind::Ack { .. } | EventKind::Nack { .. } | EventKind::Log { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lns::Address;
    use crate::lorawan::Eui64;

    fn event(number: u8, kind: EventKind) -> Event {
        let dev_eui = Eui64::from_bytes([0, 0, 0, 0, 0, 0, 0, number]);
        Event { device: Address { dev_eui, application: String::new(), device: String::new() }, kind }
    }

    fn foreign(number: u8) -> Event {
        event(number, EventKind::Sent { item: None, on: None })
    }

    #[tokio::test]
    async fn events_come_out_in_their_order() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.put(0, event(1, EventKind::Join)), None);
        assert_eq!(mailbox.put(1, event(2, EventKind::Join)), None);
        assert_eq!(mailbox.take().await, (0, event(1, EventKind::Join)));
        assert_eq!(mailbox.take().await, (1, event(2, EventKind::Join)));
        // Whoever waits is woken.
        let (taken, ()) = tokio::join!(mailbox.take(), async {
            tokio::task::yield_now().await;
            mailbox.put(2, event(3, EventKind::Join));
        });
        assert_eq!(taken, (2, event(3, EventKind::Join)));
    }

    #[tokio::test]
    async fn what_answers_nothing_of_ours_makes_room_and_then_the_oldest() {
        let mailbox = Mailbox::default();
        mailbox.put(0, event(1, EventKind::Join));
        mailbox.put(7, foreign(2));
        for _ in 2..EVENTS_MAX {
            assert_eq!(mailbox.put(1, event(3, EventKind::Join)), None);
        }
        assert_eq!(mailbox.put(1, event(4, EventKind::Join)), Some(7), "the foreign one went");
        assert_eq!(mailbox.put(1, event(5, EventKind::Join)), Some(0), "the oldest went");
        assert_eq!(mailbox.take().await, (1, event(3, EventKind::Join)));
        assert_eq!(mailbox.events.lock().unwrap().len(), EVENTS_MAX - 1);
    }
}
