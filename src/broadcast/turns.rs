//! Who is on the air.

use crate::region::SubBandIndex;
use crate::task::TaskId;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Who is on the air, and since when it belongs to nobody.
#[derive(Debug)]
pub(super) struct Air {
    /// The campaigns that marks cover.
    pub(super) holders: BTreeSet<TaskId>,
    /// Whose frame was handed over last.
    pub(super) last: Option<TaskId>,
    /// The common pace: nothing of ours starts in the sub-band before this.
    pub(super) free_at: BTreeMap<SubBandIndex, Instant>,
    pub(super) next_emission: u64,
}

impl Default for Air {
    fn default() -> Self {
        Air { holders: BTreeSet::new(), last: None, free_at: BTreeMap::new(), next_emission: 1 }
    }
}

impl Air {
    /// A frame went out in the sub-band; the next one may follow at `free_at`.
    pub(super) fn pace(&mut self, sub_band: SubBandIndex, free_at: Instant) {
        self.free_at.insert(sub_band, free_at);
    }
}
