//! What a concentrator counts.

/// What happened since the concentrator was made, restarts included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// PULL_RESP that got no TX_ACK: malformed, cut, or lost in a burst.
    pub vanished: u64,
    /// PULL_RESP the codec of `semtech-udp` could not read and the forwarder could.
    pub by_hand: u64,
    /// `dwnb`: PULL_RESP whose JSON was complete, refused ones included.
    pub dwnb: u64,
    /// PULL_RESP that were queued (TX_ACK without an error).
    pub accepted: u64,
    /// PULL_RESP that were answered with an error.
    pub refused: u64,
    /// `txnb`: packets given to the driver with success, overwritten ones included.
    pub txnb: u64,
    /// Packets that were on the air.
    pub on_air: u64,
    /// Packets accepted and never radiated.
    pub swallowed: u64,
    /// Beacons that were on the air; they count in `txnb`, not in `on_air`.
    pub beacons: u64,
    /// Beacons that found the radio sending, were overwritten, or came too late.
    pub beacons_lost: u64,
    /// `rxnb`, `rxok`, `rxfw`: receptions.
    pub rxnb: u64,
    /// Receptions lost because the gateway was sending.
    pub deaf: u64,
    /// PUSH_DATA that were sent, stat or uplinks.
    pub pushed: u64,
    /// PUSH_DATA acknowledged in time.
    pub push_acked: u64,
}

impl Counts {
    /// A packet that was accepted, or a beacon, is never radiated.
    pub(super) fn swallow(&mut self, is_beacon: bool) {
        self.swallowed += u64::from(!is_beacon);
        self.beacons_lost += u64::from(is_beacon);
    }
}
