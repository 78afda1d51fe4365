//! What limits a dialogue: the device stack, the network server, the law, the operator.

use super::airtime_share::AirtimeRule;
use super::start_gate::StartWhen;
use crate::answers::GiveUp;
use crate::lns::Dialect;
use crate::lorawan::Eui64;

/// What limits the dialogues of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetRules {
    /// The kind of network server: The Things Stack cannot let an item expire.
    pub dialect: Dialect,
    /// Our gateway among those that received an uplink; `None` while it is not known, and then reach is not judged.
    pub gateway_eui: Option<Eui64>,
    /// Whether we answer AppTimeReq (TS003), because the network server does not.
    pub answers_time: bool,
    /// A device that restarts forgets the group's key (TS005), not only the sessions.
    pub forgets_group: bool,
    /// McGroupDeleteReq ends a device's session, and so what it listens for nothing.
    pub deletes_group: bool,
    /// A session further ahead than this is told again before its start, microseconds.
    pub max_lead_us: u64,
    /// The most downlinks of ours for one device in a day (of GPS time).
    pub max_downlinks_per_day: u16,
    /// When a campaign without a start begins; `None`: it waits for one.
    pub start_when: Option<StartWhen>,
    /// When a campaign stops although devices still miss fragments.
    pub give_up: GiveUp,
    /// Between two questions to one device what it holds, at least, seconds; `None`: by its data rate.
    pub question_interval_s: Option<u32>,
    /// Canaries of an unproved batch in one session, at most [`CANARIES_MAX`](super::trial::CANARIES_MAX); 0:
    /// no proof is asked for.
    pub canaries: u8,
    /// The airtime that our commands may take; `None`: no limit.
    pub airtime: Option<AirtimeRule>,
}

impl FleetRules {
    /// The rules for a group behind a network server of this kind, with everything else at its default.
    pub fn new(dialect: Dialect) -> FleetRules {
        FleetRules {
            dialect,
            gateway_eui: None,
            answers_time: false,
            forgets_group: true,
            deletes_group: false,
            max_lead_us: 24 * 3_600_000_000,
            max_downlinks_per_day: 20,
            start_when: None,
            give_up: GiveUp::default(),
            question_interval_s: None,
            canaries: 0,
            airtime: None,
        }
    }
}
