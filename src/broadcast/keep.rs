//! What crosses the broadcaster's threshold: its wishes, and what must survive a power cut.

use super::MarkedCampaign;
use super::Transmit;
use crate::image::Digest;
use crate::lorawan::KeyFingerprint;
use crate::report::Report;
use crate::schedule::MinuteLoad;
use crate::task::ImageRef;
use crate::task::TaskId;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the broadcaster wants done.
#[derive(Debug)]
pub enum Want {
    /// Hand a frame to the forwarder; its verdict comes back through [`Broadcaster::verdict`](super::Broadcaster::verdict).
    Transmit(Box<Transmit>),
    /// Bring the image; it comes back through [`Broadcaster::image`](super::Broadcaster::image).
    Fetch(Fetch),
    /// Make this durable, in order; the answer comes back through [`Broadcaster::saved`](super::Broadcaster::saved).
    Save(u64, Keep),
    /// Tell whoever listens.
    Report(Report),
    /// After [`Broadcaster::stop`](super::Broadcaster::stop): everything is on disk, the process may end.
    Stopped,
}

/// An image that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// For which task.
    pub task: TaskId,
    /// Where it lies.
    pub image: ImageRef,
    /// What it must hash to, where that is known: a copy with this digest is as good.
    pub digest: Option<Digest>,
    /// Whether its signature is to be brought, too.
    pub signature: SignatureWish,
}

/// Whether the signature of an image is to be brought with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureWish {
    /// Nobody would look at it.
    No,
    /// If there is one: then it must be good.
    IfThere,
    /// Without it the image is of no use: it is waited for.
    Needed,
}

/// Something that must survive a power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// A campaign's record.
    Record {
        /// Its name.
        record: [u8; 16],
        /// [`Record::to_bytes`](super::Record::to_bytes).
        bytes: Vec<u8>,
    },
    /// A finished task that nobody orders any more.
    Forget {
        /// Its name.
        record: [u8; 16],
    },
    /// Frame counters `base..end` of a key belong to one plan from now on.
    Reserve {
        /// Whose counters.
        key: KeyFingerprint,
        /// The group's address, for people who read the journal.
        mc_addr: u32,
        /// First counter.
        base: u32,
        /// One past the last.
        end: u32,
        /// What they are reserved for.
        plan_hash: [u8; 32],
    },
    /// How far campaigns are, and the pre-charged ledger.
    Mark {
        /// Nothing is pre-charged: the ledger is exact.
        clean: bool,
        /// Campaigns that have begun.
        campaigns: Vec<MarkedCampaign>,
        /// The ledger.
        minutes: Vec<MinuteLoad>,
    },
}

/// Where a task came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskSource {
    /// The operator's folder: Status is advisory, but for Delete_Waiting.
    File,
    /// A control plane that moves Status by itself.
    Cloud,
}

/// Why something is not durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSaved {
    /// The disk is full, or the counter journal says no: this cannot be kept, everything before it is.
    Refused(String),
    /// Storage failed: from now on nothing can be relied on.
    Broken(String),
}

/// What is known of a key's counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRange {
    /// The journal's newest reservation.
    Known {
        /// First counter of the newest plan.
        base: u32,
        /// The first counter that nobody has reserved.
        next_free: u32,
        /// What they were reserved for.
        plan_hash: [u8; 32],
        /// Records are damaged: the plan may go on, but a newer reservation may be lost.
        damaged: bool,
    },
    /// Nothing readable: whatever was used is unknown.
    Lost(String),
}

/// A ledger as a mark left it.
#[derive(Clone, Debug, Default)]
pub struct RestoredLedger {
    /// The proven time since the mark, microseconds.
    pub elapsed_us: u64,
    /// The mark covered frames that were still to be sent: their airtime is in the youngest minute.
    pub is_precharged: bool,
    /// Airtime by minutes before the mark.
    pub minutes: Vec<MinuteLoad>,
}

/// What survived the last run.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Counters per key.
    pub ranges: BTreeMap<KeyFingerprint, KeyRange>,
    /// Records of campaigns, newest state.
    pub records: Vec<([u8; 16], Vec<u8>)>,
    /// Where campaigns stood at the last mark.
    pub campaigns: Vec<MarkedCampaign>,
    /// The ledger of the last mark.
    pub ledger: Option<RestoredLedger>,
    /// The ledger's memory is damaged: count every budget as spent.
    pub ledger_lost: bool,
}
