//! Servers' downlinks that we refuse: counted by their reason, and each reason told once in a while.

use crate::time::Instant;
use std::collections::BTreeMap;

/// The same reason of the same server is told once in this time, microseconds.
const TELL_EVERY_US: u64 = 60_000_000;

/// How often each reason occurred, and when it was told.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: BTreeMap<&'static str, u64>,
    told: BTreeMap<(usize, &'static str), Instant>,
}

impl Refusals {
    /// Counts a refusal of a downlink of `server`; whether the operator should be told.
    pub fn add(&mut self, now: Instant, server: usize, reason: &'static str) -> bool {
        *self.counts.entry(reason).or_default() += 1;
        let is_news = |told: &Instant| now.us_since(*told) >= TELL_EVERY_US;
        let is_news = self.told.get(&(server, reason)).is_none_or(is_news);
        if is_news {
            self.told.insert((server, reason), now);
        }
        is_news
    }

    /// How often each reason occurred since the start: the name of a member, or what is wrong as a whole.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }
}
