//! What is known of a device from outside.

use crate::time::Instant;

/// How a device stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Progress of the device in its campaign.
    pub state: State,
    /// Fragments its decoder took, repeats included.
    pub heard: u32,
    /// Uncoded fragments it noticed as lost, by the gaps in their numbers.
    pub lost_uncoded: u16,
    /// Frames of its groups that came, on its channel, while it was deaf from the one before.
    pub missed_deaf: u32,
    /// Frames of its groups that it received and dropped: counter, MIC, order, size, or no fragmentation session.
    /// What comes after its block is complete is not counted.
    pub dropped: u32,
    /// Coded fragments that were independent of those before them.
    pub coded_used: u16,
    /// Class C time so far, microseconds.
    pub listening_us: u64,
    /// End of the first frame whose fragment was taken.
    pub first_heard: Option<Instant>,
    /// End of the last frame whose fragment was taken.
    pub last_heard: Option<Instant>,
}

/// Where a device stands in its campaign. Complete, failed and refused, in this order, go before the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was set up.
    Idle,
    /// Something was set up, but not all of group, fragmentation session and Class C session.
    NotToldSession,
    /// Its Class C session is still to come.
    Waiting,
    /// Its Class C session has begun: the device listens.
    Listening,
    /// It holds the whole image.
    Complete {
        /// End of the frame that completed it.
        at: Instant,
    },
    /// The device cannot complete the image unless it is set up again.
    Failed {
        /// In words, with numbers.
        why: String,
    },
    /// It refused a command, and has not accepted a later one of the kind.
    Refused {
        /// The command and the reason, with numbers.
        what: String,
    },
}
