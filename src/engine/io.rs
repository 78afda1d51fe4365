//! What the engine is told and what it wishes.

use crate::broadcast::Fetch;
use crate::broadcast::Judge;
use crate::broadcast::Means;
use crate::broadcast::NotSaved;
use crate::broadcast::TaskSource;
use crate::broadcast::TurnRule;
use crate::campaign::Group;
use crate::fleet::FleetRules;
use crate::fleet::Member;
use crate::forwarder;
use crate::lns;
use crate::region::Parameters;
use crate::relay::RelaySettings;
use crate::report::Report;
use crate::schedule::Kept;
use crate::signing::Evidence;
use crate::signing::SigningTrust;
use crate::store::Change;
use crate::task::TaskId;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What the engine is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A task document was seen; `stem` is the task's id where the document has none.
    Task {
        /// The document's bytes, JSON.
        document: &'a [u8],
        /// Name of its source.
        stem: &'a str,
        /// Where it came from: what its Status means depends on it.
        source: TaskSource,
    },
    /// The task's file is not there for the moment: no frame of it until its document is seen again.
    Hold(TaskId),
    /// The task was withdrawn, or is not found any more.
    Cancel(TaskId),
    /// The task is being deleted: it is cancelled unless its first frame was sent.
    Withdraw(TaskId),
    /// The bytes that [`Output::Fetch`] asked for, and the signature that came with them.
    Image(TaskId, Vec<u8>, Option<Evidence>),
    /// They cannot be had: one line why.
    ImageFailed(TaskId, String),
    /// A datagram arrived on the packet forwarder's socket.
    Datagram {
        /// The address it came from.
        from: SocketAddr,
        /// The datagram's bytes, header included.
        bytes: &'a [u8],
    },
    /// A datagram arrived from a network server, on the socket that is its gateway.
    FromServer {
        /// Which server, in the order of the settings.
        server: usize,
        /// The datagram's bytes, header included.
        bytes: &'a [u8],
    },
    /// Whether some network server's queue is full: while it is, what the gateway pushes is relayed, and not
    /// acknowledged, because it may push out something older.
    ServersFull(bool),
    /// A network server told something of one of our devices.
    Lns {
        /// Which `[[lns]]`, in the order of the configuration.
        link: usize,
        /// What it told of the device.
        event: lns::Event,
    },
    /// The answer to [`Output::Save`]: durable, or why not.
    Saved(u64, Result<(), NotSaved>),
    /// No new frame from now on; [`Output::Stopped`] follows.
    Stop,
    /// Only time has passed.
    Time,
}

/// What the engine wishes.
#[derive(Debug)]
pub enum Output {
    /// Send this from the packet forwarder's socket.
    Datagram {
        /// The address it goes to.
        to: SocketAddr,
        /// The datagram's bytes, header included.
        bytes: Vec<u8>,
    },
    /// Send this to a network server, from the socket that is its gateway.
    ToServer {
        /// Which server, in the order of the settings.
        server: usize,
        /// The datagram's bytes, header included.
        bytes: Vec<u8>,
    },
    /// Add this to the queue of a device at its network server. Nobody tells whether it got there.
    LnsPush {
        /// Which `[[lns]]`, in the order of the configuration.
        link: usize,
        /// The downlink for the queue.
        push: lns::Push,
    },
    /// Bring the image of a task.
    Fetch(Fetch),
    /// Make this durable, one after the other, and say so.
    Save(u64, Change),
    /// The operator should know this report.
    Report(Report),
    /// Everything is on disk: the process may end.
    Stopped,
    /// Nothing more to do before this instant, or before the next fact.
    WakeAt(Option<Instant>),
}

/// The devices of one group, and the network server that they are set up through. No Debug: it holds key material.
#[derive(Clone)]
pub struct FleetSettings {
    /// Name of the group.
    pub group: String,
    /// Which `[[lns]]`, in the order of the configuration.
    pub link: usize,
    /// What limits the dialogues.
    pub rules: FleetRules,
    /// The devices of the group.
    pub members: Vec<Member>,
}

/// What the engine is made of. No Debug: groups hold keys.
#[derive(Clone)]
pub struct Settings {
    /// The law of the gateway's region.
    pub region: &'static Parameters,
    /// The gateway's multicast groups.
    pub groups: Vec<Group>,
    /// Whose signatures count for single tasks, by their ids, instead of their group's trust.
    pub trust_by_task: BTreeMap<String, SigningTrust>,
    /// What the gateway has to follow orders of a cloud with.
    pub means: Means,
    /// Who has the air when several campaigns want it.
    pub turns: TurnRule,
    /// The devices of groups that are set up through a network server.
    pub fleets: Vec<FleetSettings>,
    /// Our side of the conversation with the packet forwarder.
    pub forwarder: forwarder::Settings,
    /// The network servers that the gateway's traffic is relayed to.
    pub relay: RelaySettings,
    /// What is kept of the radio for others.
    pub kept: Kept,
    /// After five short lives in a row nothing is broadcast for so long, microseconds; 0: the process never rests.
    pub crash_rest_us: u64,
}

impl Settings {
    /// The judge of orders with these settings.
    pub fn judge(&self) -> Judge {
        let (groups, trust, means) = (self.groups.clone(), self.trust_by_task.clone(), self.means.clone());
        Judge::new(self.region, groups, trust, means, self.kept)
    }
}
