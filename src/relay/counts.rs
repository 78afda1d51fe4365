//! What was relayed, in numbers.

/// Downlinks of network servers and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    /// Given to the forwarder.
    pub passed: u64,
    /// Refused by us with COLLISION_PACKET: a frame of ours that the forwarder already had was in the way.
    pub collided: u64,
    /// Refused by us with COLLISION_PACKET: another downlink of a network server was in the way.
    pub overlapped: u64,
    /// Refused by us: the forwarder would have choked on them, or dropped them without a word.
    pub malformed: u64,
    /// Refused by us, as the operator wishes: over the law's limit of airtime or power, or at a frequency that the
    /// region does not have.
    pub unlawful: u64,
    /// Passed although over the law's limit: the breach is the server's.
    pub breaches: u64,
    /// Passed to an address of our groups with a wrong MIC, which no device takes.
    pub wrong_mic: u64,
    /// Refused by the forwarder.
    pub refused: u64,
    /// Airtime of those that were passed and not refused, microseconds.
    pub airtime_us: u64,
}
