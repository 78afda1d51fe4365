//! The one item of ours in a device's queue, and those of others beside it.

use crate::time::Instant;

/// An item that neither went nor failed is gone after so many uplinks.
const UPLINKS_UNTIL_GONE: u8 = 3;

/// What became of the item so far; which one it is stands in the device's progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QueueItem {
    pushed_at: Option<Instant>,
    sent_at: Option<Instant>,
    /// It was answered while a copy of it may still wait.
    is_answered: bool,
    /// Uplinks since it was queued whose window nobody else is known to have had.
    uplinks_since: u8,
    /// Items of others that were queued and did not go yet.
    foreign: u8,
    other_went: bool,
}

impl QueueItem {
    /// A new item is on its way into the queue.
    pub(super) fn push(&mut self, at: Instant) {
        *self = QueueItem { pushed_at: Some(at), foreign: self.foreign, ..QueueItem::default() };
    }

    /// The item left the queue for the radio; whether it was answered already.
    pub(super) fn send(&mut self, at: Instant) -> bool {
        self.sent_at = Some(at);
        self.is_answered
    }

    /// The item was answered; whether it is out of the queue. `is_repeated`: it was asked for before.
    pub(super) fn answer(&mut self, is_repeated: bool) -> bool {
        self.is_answered = self.sent_at.is_none() && is_repeated;
        !self.is_answered
    }

    /// An item of somebody else was queued.
    pub(super) fn foreign_queued(&mut self) {
        self.foreign = self.foreign.saturating_add(1);
    }

    /// Another item had the window of an uplink: one of somebody else, or a copy of an earlier one of ours.
    pub(super) fn other_sent(&mut self, is_foreign: bool) {
        self.foreign = self.foreign.saturating_sub(u8::from(is_foreign));
        self.other_went = true;
    }

    /// The gateway refused the item: it waits for another window.
    pub(super) fn stay(&mut self) {
        self.uplinks_since = 0;
    }

    /// Whether items of others wait in the queue.
    pub(super) fn waits_for_foreign(&self) -> bool {
        self.foreign > 0
    }

    /// A further uplink came without an answer; whether the item is out of the queue. `may_wait`: its time is not over.
    pub(super) fn uplink(&mut self, is_ours_queued: bool, may_wait: bool) -> bool {
        let other_went = core::mem::take(&mut self.other_went);
        if !is_ours_queued {
            // Whatever was not told to have gone is not waited for for ever.
            self.foreign = self.foreign.saturating_sub(1);
            return true;
        }
        if !other_went {
            self.uplinks_since = self.uplinks_since.saturating_add(1);
        }
        self.sent_at.is_some() || !may_wait && self.uplinks_since >= UPLINKS_UNTIL_GONE
    }

    /// Whether it was answered while it was believed to wait.
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Whether it was an earlier life of ours that put the item into the queue, or was about to.
    pub(super) fn is_of_earlier_life(&self) -> bool {
        self.pushed_at.is_none()
    }

    /// When the item left the queue.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        self.sent_at
    }

    /// An answer to it was built not before this.
    pub(super) fn since(&self) -> Option<Instant> {
        self.sent_at.or(self.pushed_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed() -> QueueItem {
        let mut item = QueueItem::default();
        item.push(Instant::ZERO);
        item
    }

    #[test]
    fn an_item_is_out_of_the_queue_when_it_was_sent_and_an_uplink_followed() {
        let mut item = pushed();
        assert!(!item.uplink(true, true), "it may have come too late for this one's window");
        assert!(!item.send(Instant::ZERO));
        assert!(item.uplink(true, true));
    }

    #[test]
    fn an_item_that_nobody_hears_of_is_gone_after_three_uplinks_when_its_time_is_over() {
        let mut item = pushed();
        assert_eq!([1, 2, 3].map(|_| item.uplink(true, false)), [false, false, true]);
        assert_eq!([1, 2, 3].map(|_| pushed().uplink(true, true)), [false; 3]);
    }

    #[test]
    fn the_window_that_another_application_had_does_not_count() {
        let mut item = pushed();
        for _ in 0..5 {
            item.other_sent(true);
            assert!(!item.uplink(true, false));
        }
    }

    #[test]
    fn a_repeated_item_that_was_answered_early_is_waited_for() {
        let mut item = pushed();
        assert!(item.answer(false), "the only copy was answered, so it went");
        let mut item = pushed();
        assert!(!item.answer(true));
        assert!(item.send(Instant::ZERO), "the copy goes");
    }
}
