//! Airtime by minute, the unit in which a ledger is written to disk.

/// Airtime that began within one minute on one sub-band. A ledger survives a restart in this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteLoad {
    /// Position of the sub-band in its region's table.
    pub sub_band: u8,
    /// Whole minutes before the ledger was written; 0 is the minute that ended then.
    pub age_min: u8,
    /// Airtime of campaigns in microseconds.
    pub ours_us: u32,
    /// Airtime of all transmissions, campaigns included, in microseconds.
    pub total_us: u32,
}
