//! Airtime as it is written down.

/// Airtime that began in one minute, the shape in which a ledger survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteLoad {
    /// Position of the sub-band in its region's table.
    pub sub_band: u8,
    /// Whole minutes before the ledger was written; 0 is the minute that ended then.
    pub age_min: u8,
    /// Airtime of campaigns, microseconds.
    pub ours_us: u32,
    /// Airtime of everything, microseconds.
    pub total_us: u32,
}
