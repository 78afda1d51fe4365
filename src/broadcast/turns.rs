//! The state of the turns: whose frame was last, which campaigns the marks cover, when each sub-band is free.

use crate::region::SubBandIndex;
use crate::task::TaskId;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What is known of the turns on the one radio.
#[derive(Debug)]
pub(super) struct Turns {
    /// The campaigns that marks cover.
    pub(super) holders: BTreeSet<TaskId>,
    /// Whose frame was handed over last.
    pub(super) last: Option<TaskId>,
    /// The common pace: nothing of ours starts in the sub-band before this.
    pub(super) free_at: BTreeMap<SubBandIndex, Instant>,
    pub(super) next_emission: u64,
}

impl Default for Turns {
    fn default() -> Self {
        Turns { holders: BTreeSet::new(), last: None, free_at: BTreeMap::new(), next_emission: 1 }
    }
}

impl Turns {
    /// A frame went out in the sub-band; the next one may follow at `free_at`.
    pub(super) fn pace(&mut self, sub_band: SubBandIndex, free_at: Instant) {
        self.free_at.insert(sub_band, free_at);
    }
}
