//! How it goes, as the status socket tells it: one JSON document. Fields are only ever added.

use crate::answers::Holdings;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole daemon at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of the program.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// The name of the region.
    pub region: String,
    /// Whether a frame could go out now if one were due.
    pub is_ready: bool,
    /// Why not, a line each.
    pub not_ready: Vec<String>,
    /// Why nothing but traffic is relayed, and what to do about it.
    #[serde(default)]
    pub relay_only: Option<String>,
    /// How far the wall clock is believed.
    pub clock: ClockSnapshot,
    /// What is known of the packet forwarder.
    pub forwarder: ForwarderSnapshot,
    /// The network servers, in the order of the configuration.
    #[serde(default)]
    pub servers: Vec<ServerSnapshot>,
    /// What became of the network servers' downlinks.
    #[serde(default)]
    pub relay: RelaySnapshot,
    /// The application sides of network servers, in the order of the configuration.
    #[serde(default)]
    pub lns: Vec<LnsSnapshot>,
    /// Airtime in each sub-band with a limit.
    pub bands: Vec<BandSnapshot>,
    /// What is promised of the gateway's hearing and what is kept; absent where nothing is promised.
    #[serde(default)]
    pub hearing: Option<HearingSnapshot>,
    /// Devices by group and state, where a network server sets them up.
    #[serde(default)]
    pub fleets: Vec<FleetSnapshot>,
    /// What the devices of campaigns hold, where their answers are heard, the newest campaign last.
    #[serde(default)]
    pub answers: Vec<AnswersSnapshot>,
    /// Tasks that are not over.
    pub tasks: Vec<TaskSnapshot>,
    /// What was refused last, newest last: task and reason.
    pub refused: Vec<(String, String)>,
    /// Tasks that are ordered again although they are over, which does nothing: task, how it ended and the way out.
    #[serde(default)]
    pub ordered_again: Vec<(String, String)>,
    /// What is worth a look and stops nothing, a line each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What ended last, newest last, in this run or an earlier one: task and outcome.
    pub finished: Vec<(String, String)>,
    /// Room that is left for the state folder, bytes.
    #[serde(default)]
    pub state_free_bytes: Option<u64>,
}

/// The wall clock and how far it is believed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClockSnapshot {
    /// Whether GPS time is known: the wall clock is believed, a receiver speaks in its place, or the monotonic clock
    /// carries on the time before a step.
    pub is_trusted: bool,
    /// Why the wall clock is not believed. With `is_trusted`, the monotonic clock or the receiver gives the time.
    pub reason: Option<String>,
    /// UTC, RFC 3339, when it is known.
    pub utc: Option<String>,
    /// How it stands with a GPS receiver of our own.
    #[serde(default)]
    pub gps: Option<String>,
    /// UTC by the packet forwarder's GPS, RFC 3339, while that is steady.
    #[serde(default)]
    pub forwarder_utc: Option<String>,
    /// Two clocks that contradict each other.
    #[serde(default)]
    pub dispute: Option<DisputeSnapshot>,
}

/// Two clocks that contradict each other, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DisputeSnapshot {
    /// UTC by this gateway's own clock, RFC 3339.
    pub own_utc: String,
    /// UTC by the packet forwarder's GPS, RFC 3339.
    pub forwarder_utc: String,
    /// How far they are apart, seconds.
    pub apart_s: f64,
    /// They are apart as where UTC is taken for GPS time.
    pub is_utc_for_gps: bool,
}

/// The packet forwarder and the socket it talks to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ForwarderSnapshot {
    /// Where it is expected.
    pub listen: String,
    /// Its EUI, once heard.
    pub gateway: Option<String>,
    /// Where it answers, while it does.
    pub online: Option<String>,
    /// How well the concentrator's counter is known, microseconds.
    pub counter_error_us: Option<u64>,
    /// Its last own statistics: packets received with a good CRC.
    pub rxok: Option<u32>,
    /// Packets it forwarded to us.
    pub rxfw: Option<u32>,
    /// Packets it gave to the radio.
    pub txnb: Option<u32>,
    /// Our acknowledgements as it counted them, percent.
    pub ackr_percent: Option<f64>,
    /// PUSH_DATA acknowledged since the start; each holds uplinks, a report, or both.
    pub pushes: u64,
    /// Uplinks in them whose CRC is good.
    #[serde(default)]
    pub uplinks: u64,
    /// PULL_DATA acknowledged since the start.
    pub pulls: u64,
    /// Odd, foreign and unread datagrams, and TX_ACK that nobody waited for.
    pub odd: u64,
    /// Datagrams received on the socket.
    pub received: u64,
    /// Datagrams sent from the socket.
    pub sent: u64,
    /// Receptions on the socket that failed.
    pub receive_errors: u64,
    /// Datagrams that could not be sent.
    pub send_errors: u64,
    /// Datagrams that the kernel dropped because they were not read in time.
    #[serde(default)]
    pub kernel_dropped: u64,
    /// Frames that it acknowledged and never gave to its radio.
    #[serde(default)]
    pub swallowed: u64,
    /// Who else sends to its port: neither acknowledged nor relayed, at most eight.
    #[serde(default)]
    pub others: Vec<OtherSenderSnapshot>,
}

/// A sender on the packet forwarder's port that is not served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OtherSenderSnapshot {
    /// EUI in its datagrams.
    pub gateway: String,
    /// Address and port of its latest datagram.
    pub address: String,
    /// PUSH_DATA and PULL_DATA that came from there.
    pub datagrams: u64,
}

/// The devices of a group that are set up through a network server, counted by state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetSnapshot {
    /// Name of the group in the configuration.
    pub group: String,
    /// Devices in its devices file.
    pub devices: u32,
    /// Of these, told: they will listen.
    pub told: u32,
    /// Of those that are told, proved: a frame under the group's key was answered.
    pub proved: u32,
    /// Devices that cannot take part: refused, without their state, or in conflict.
    pub refused: u32,
    /// Devices whose uplinks this gateway does not hear.
    pub not_heard_here: u32,
    /// Devices that do not answer.
    pub silent: u32,
}

/// What the devices of one campaign hold, as far as they said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswersSnapshot {
    /// The id of the task.
    pub task: String,
    /// The name of its group.
    pub group: String,
    /// `together` while all are asked, `alone` while devices whose result is open are, `over` when the results are final.
    pub stage: String,
    /// Why nothing more was sent for them: `done`, `questions`, `airtime`, `fragments`, `session` or `alone`; absent while
    /// all are asked.
    pub end: Option<String>,
    /// Questions to all whose answers are in.
    pub questions: u16,
    /// Seconds until the answers to the question are in, or nobody is asked alone any more.
    pub ends_in_s: Option<u64>,
    /// The same as UTC, when the clock is trusted.
    pub ends_at: Option<String>,
    /// Devices by what they hold, as in the report.
    pub counts: Holdings,
    /// The first 40 devices that do not hold the image, by DevEUI, with their results.
    pub without: BTreeMap<String, String>,
}

/// The connection to the application side of one network server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LnsSnapshot {
    /// The name in the configuration.
    pub name: String,
    /// Which network server it is: `chirpstack` or `the-things-stack`.
    pub kind: String,
    /// Host and port of its broker.
    pub broker: String,
    /// `connected`, `silent`, or why there is no connection, in one word: docs/control.md has them.
    pub state: String,
    /// What is wrong and what to do about it; absent while nothing is.
    pub reason: Option<String>,
    /// Events of our devices.
    pub events: u64,
    /// Messages about devices of others.
    pub foreign: u64,
    /// Messages about our devices that could not be used.
    pub unreadable: u64,
    /// Why the last of them could not be used.
    pub last_unreadable: Option<String>,
    /// Events that were dropped because the service was busy.
    pub dropped: u64,
    /// Downlinks that were given to the broker.
    pub pushed: u64,
    /// Downlinks that were dropped because there was no connection.
    pub unpushed: u64,
}

/// One network server and our socket towards it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerSnapshot {
    /// Host and port as configured.
    pub name: String,
    /// The address of its name that is in use.
    pub address: Option<String>,
    /// Why there is none, or why its name cannot be looked up.
    pub trouble: Option<String>,
    /// It gets uplinks and may not send.
    pub is_uplink_only: bool,
    /// It answers our keepalives (always, when it gets uplinks only).
    pub is_online: bool,
    /// Uplink datagrams relayed to it.
    pub pushed: u64,
    /// Uplinks in them whose CRC is good.
    #[serde(default)]
    pub uplinks: u64,
    /// Of the datagrams, acknowledged by it.
    pub push_acked: u64,
    /// Downlinks it asked for.
    pub asked: u64,
    /// Of these, dropped without an answer: more than 100 in a second.
    #[serde(default)]
    pub flooded: u64,
    /// Datagrams received from it.
    pub received: u64,
    /// Datagrams sent to it.
    pub sent: u64,
    /// Datagrams that could not be sent to it.
    pub send_errors: u64,
    /// Datagrams from elsewhere, unread.
    pub foreign: u64,
    /// Datagrams of it that the kernel dropped because they were not read in time.
    pub kernel_dropped: u64,
    /// Datagrams for it that wait for an address; what was pushed out for newer ones is among `send_errors`.
    #[serde(default)]
    pub waiting: u64,
}

/// What became of network servers' downlinks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RelaySnapshot {
    /// Given to the forwarder.
    pub passed: u64,
    /// Refused by us: a frame that the forwarder already had was in the way.
    pub collided: u64,
    /// Refused by us: another downlink of a network server was in the way.
    pub overlapped: u64,
    /// Refused by us: the forwarder would have choked on them.
    pub malformed: u64,
    /// Refused by us: over the law's limit.
    pub unlawful: u64,
    /// Passed although over the law's limit.
    pub breaches: u64,
    /// Refused by the forwarder.
    pub refused: u64,
    /// The airtime of those passed, microseconds.
    pub airtime_us: u64,
    /// Passed to an address of our groups with a wrong MIC.
    #[serde(default)]
    pub wrong_mic: u64,
    /// Refused by us, by reason: the member of the txpk, or what is wrong as a whole.
    #[serde(default)]
    pub refused_by: BTreeMap<String, u64>,
}

/// One sub-band of the law and its airtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BandSnapshot {
    /// The law's name of it.
    pub label: String,
    /// The lower border, Hz; it belongs to the sub-band.
    pub min_hz: u32,
    /// The upper border, Hz; it does not belong to the sub-band.
    pub max_hz: u32,
    /// Airtime of campaigns in the window that ends now, microseconds.
    pub ours_us: u64,
    /// Airtime of everything in it, microseconds.
    pub total_us: u64,
    /// What the law allows, microseconds.
    pub budget_us: u64,
    /// What is left of it, microseconds.
    pub left_us: u64,
    /// What of it is kept for network servers: campaigns leave it to them, microseconds.
    #[serde(default)]
    pub reserve_us: u64,
}

/// How well the gateway hears beside its own frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HearingSnapshot {
    /// The part of usual uplinks that is heard in any hour, per cent, as promised.
    pub promised_percent: f64,
    /// The same in the hour that ends now, as far as frames of this gateway let it.
    pub kept_percent: f64,
}

/// One session of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionSnapshot {
    /// When its devices begin to listen, RFC 3339.
    pub start: String,
    /// When they stop, RFC 3339.
    pub end: String,
    /// Frames that are planned for it; absent where the sessions are not those of the plan any more.
    pub frames: Option<u32>,
}

/// One task that is known and not over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskSnapshot {
    /// The id of the task.
    pub task: String,
    /// `fetching`, `decoding`, `saving`, `waiting`, `armed` or `sending`.
    pub phase: String,
    /// What it waits for, in one sentence.
    pub waiting: Option<String>,
    /// The same for programs.
    #[serde(default)]
    pub wait: Option<WaitSnapshot>,
    /// Its campaign, once planned.
    pub campaign: Option<CampaignSnapshot>,
}

/// What a task waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitSnapshot {
    /// A word for the reason, as `receive-windows`.
    pub reason: String,
    /// For how long it has waited, seconds.
    pub since_s: u64,
    /// Seconds until it ends; absent where an event ends it.
    pub ends_in_s: Option<u64>,
    /// The same as UTC, when the clock is trusted.
    pub ends_at: Option<String>,
}

/// One campaign: a task on its group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CampaignSnapshot {
    /// The name of the group.
    pub group: String,
    /// Where it is sent, Hz.
    pub frequency_hz: u32,
    /// At which data rate.
    pub data_rate: u8,
    /// The name of the sub-band.
    pub sub_band: String,
    /// Frames that are behind us.
    pub frames_done: u32,
    /// Frames that the campaign has in all.
    pub frames: u32,
    /// Of these, per cent.
    pub percent: f64,
    /// Frames the forwarder accepted.
    pub sent: u32,
    /// Of these, given to the radio in this run as far as the forwarder's reports tell.
    #[serde(default)]
    pub radiated: u32,
    /// Of these, never given to the radio in this run, at least.
    #[serde(default)]
    pub not_radiated: u32,
    /// Frames of this run whose fate nobody told.
    pub unconfirmed: u32,
    /// Coded fragments added for lost frames.
    #[serde(rename = "made_up")]
    pub extra_coded: u32,
    /// Airtime of a frame, microseconds.
    pub airtime_us: u64,
    /// The distance between two frames, start to start, microseconds.
    pub spacing_us: u64,
    /// The session that runs or comes next, RFC 3339; absent when devices always listen.
    pub session: Option<(String, String)>,
    /// All sessions, in their order; none when devices always listen.
    #[serde(default)]
    pub sessions: Vec<SessionSnapshot>,
    /// Uncoded fragments of the image.
    #[serde(default)]
    pub fragments: u32,
    /// Seconds until the last frame is over; absent while no start is known.
    pub left_s: Option<u64>,
    /// The same as UTC, when the clock is trusted.
    pub eta: Option<String>,
}
