//! What became of a world of meters.

use crate::fleet::DeviceState;
use std::collections::BTreeMap;

/// What became of one meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterResult {
    /// Its state in the fleet at the end.
    pub state: DeviceState,
    /// Why it is not further, in the fleet's words.
    pub reason: String,
    /// The second at which the fleet called it told first.
    pub told_at_s: Option<u64>,
    /// Whether it would hear the campaign: group with the right key, fragmentation session, session window.
    pub is_ready: bool,
    /// Downlinks that were queued for it.
    pub downlinks: u32,
    /// How many of them were McClassCSessionReq.
    pub session_commands: u32,
}

/// What became of a world of meters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LnsSummary {
    /// The meters, in the order of the script.
    pub meters: Vec<MeterResult>,
    /// What the referee found wrong.
    pub breaches: Vec<String>,
    /// Downlinks that were queued.
    pub downlinks: u64,
    /// Downlinks that an oracle would have queued: it knows beforehand which answers are lost.
    pub oracle: u64,
    /// Airtime of the downlinks that went, microseconds.
    pub airtime_us: u64,
    /// The same by the spreading factor of the uplinks that they followed.
    pub airtime_by_sf_us: BTreeMap<u8, u64>,
    /// Downlinks that the gateway's duty cycle refused.
    pub refused: u64,
    /// The starts that the fleet decided, one after the other, seconds from the world's beginning.
    pub decided_starts_s: Vec<u64>,
    /// The fleet gave the campaign up: too few devices were ready.
    pub is_given_up: bool,
    /// The fleet suspects that somebody else answers AppTimeReq, too.
    pub two_answer_time: bool,
    /// Batches whose root keys the fleet doubted.
    pub doubts: u32,
    /// The fleet told devices their session without a proof of their root keys.
    pub is_told_unproved: bool,
    /// Questions that were put to canaries.
    pub questions: u32,
    /// Saves of the fleet's records.
    pub saves: u64,
    /// Changing operations of the disk.
    pub disk_operations: u64,
}

impl LnsSummary {
    /// The share of `of` meters that were told by the second `by_s`, per cent.
    pub fn told_percent(&self, by_s: u64, of: impl Fn(usize) -> bool) -> f64 {
        let counted: Vec<&MeterResult> =
            self.meters.iter().enumerate().filter(|(index, _)| of(*index)).map(|(_, meter)| meter).collect();
        let told = counted.iter().filter(|meter| meter.told_at_s.is_some_and(|at_s| at_s <= by_s)).count();
        100.0 * told as f64 / counted.len().max(1) as f64
    }
}
