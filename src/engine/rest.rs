//! What is known between two sessions of a campaign.

use crate::lorawan::Eui64;
use crate::time::Instant;
use std::collections::BTreeSet;

/// What is known of the next session of a campaign that rests.
#[derive(Default)]
pub(super) struct Rest {
    /// The last session still runs, and nothing is left to be sent in it.
    pub(super) is_open: bool,
    /// By then it is decided who gets one more session.
    pub(super) decide_at: Option<Instant>,
    /// Who is told the session that comes or runs.
    pub(super) listeners: Option<BTreeSet<Eui64>>,
    /// Sessions beyond the planned ones.
    pub(super) further: usize,
}
