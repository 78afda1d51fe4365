//! What happened, for whoever ordered it. A report comes before a log line: the daemon prints reports, the
//! simulation counts them, tests assert them.

use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use core::fmt;
use serde::Deserialize;
use serde::Serialize;

/// Something an operator would want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When it happened.
    pub at: Instant,
    /// The task it belongs to; `None` for the gateway itself.
    pub task: Option<TaskId>,
    /// What happened.
    pub event: Event,
}

/// The vocabulary of reports. Display is one line for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The task, its image or its group cannot be used.
    Refused {
        /// One line: the number and the way out.
        reason: String,
    },
    /// Something is unusual but does not stop the task.
    Warning {
        /// One line.
        text: String,
    },
    /// Fragments, counters and sessions are settled and on disk.
    Planned(Planned),
    /// The campaign cannot go on yet.
    Waiting {
        /// What it waits for.
        reason: String,
    },
    /// The sessions that devices were told are over, and frames are left: they wait for one that devices are told.
    SessionsMissed {
        /// The group's name.
        group: String,
        /// Frames that are left.
        left: u32,
        /// Frames planned.
        planned: u32,
    },
    /// The task has another start than before: these are the sessions that devices must be told instead.
    SessionsMoved {
        /// The group's name.
        group: String,
        /// Start and time-out exponent of each.
        sessions: Vec<(GpsTime, u8)>,
    },
    /// The first frame was handed to the forwarder.
    Began,
    /// After a restart the campaign goes on here.
    Resumed {
        /// The first frame number that is sent (again).
        k: u32,
    },
    /// A frame was accepted and will not be heard of again.
    Sent {
        /// Frame number in the campaign.
        k: u32,
        /// The frame counter it carries.
        fcnt: u32,
        /// When it goes on the air.
        start: Instant,
    },
    /// A frame's fate is unknown: it counts as sent for the law and the counters, and is made up for.
    Unconfirmed {
        /// Frame number in the campaign.
        k: u32,
    },
    /// The forwarder refused a frame; it is tried again.
    Refusal {
        /// Frame number in the campaign.
        k: u32,
        /// The forwarder's word.
        error: String,
    },
    /// The campaign is over.
    Over(Outcome),
    /// The task is ordered and was over before: it never runs again.
    AlreadyOver {
        /// How it ended.
        outcome: String,
    },
    /// The forwarder answers again.
    ForwarderOnline,
    /// The forwarder fell silent.
    ForwarderOffline,
    /// Frames go out at exact counter values from now on.
    CounterKnown {
        /// How well the counter is known, microseconds.
        error_us: u64,
    },
    /// Frames go out as "immediate" until the counter is learned again.
    CounterLost {
        /// Why.
        reason: String,
    },
    /// A network server sends to one of our groups: two senders of one key. The group pauses.
    SecondSender {
        /// The group's address.
        mc_addr: u32,
        /// The lower half of the frame counter it used.
        fcnt: u16,
    },
    /// A network server's downlinks are more than the law allows.
    ServerBreach {
        /// The server.
        server: String,
        /// Where.
        sub_band: &'static str,
    },
    /// A network server leaves our keepalives unanswered.
    ServerSilent {
        /// The server.
        server: String,
    },
    /// A network server answers again.
    ServerAnswers {
        /// The server.
        server: String,
    },
    /// The forwarder acknowledged frames and never gave them to the radio.
    Swallowed {
        /// So many, at least.
        frames: u32,
        /// Of these, at most so many of the campaign on the air: they are made up for.
        made_up: u32,
    },
    /// Storage failed: no counter can be promised any more, so nothing is sent.
    Halted {
        /// What failed.
        reason: String,
    },
}

/// A campaign's plan as far as the outside needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The group's name.
    pub group: String,
    /// The fingerprint of its key, 32 hex digits.
    pub key: String,
    /// Uncoded fragments (TS004 NbFrag).
    pub nb_frag: u16,
    /// Bytes per fragment (TS004 FragSize).
    pub frag_size: u8,
    /// Filler bytes in the last fragment (TS004 Padding).
    pub padding: u8,
    /// Four bytes for the devices (TS004 Descriptor).
    pub descriptor: [u8; 4],
    /// Coded fragments that the task asks for.
    pub coded: u16,
    /// The first frame counter.
    pub first_fcnt: u32,
    /// One past the last reserved frame counter.
    pub end_fcnt: u32,
    /// Exact airtime of one frame, microseconds.
    pub airtime_us: u64,
    /// Start-to-start distance of uncoded frames, microseconds.
    pub spacing_us: u64,
    /// What decided the spacing.
    pub limited_by: String,
    /// The sessions that devices must be told: start and time-out exponent. Empty: devices always listen.
    pub sessions: Vec<(GpsTime, u8)>,
    /// What came of decoding the frames beforehand.
    pub decoded: Decoded,
    /// Legal but unwise things.
    pub warnings: Vec<String>,
}

/// A campaign's own frames, decoded before the first of them is sent; what came out equals the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoded {
    /// Frames that were made and opened.
    pub frames: u32,
    /// Uncoded fragments that were lost on purpose.
    pub lost: u32,
    /// Coded fragments that it took to mend them.
    pub coded_heard: u32,
    /// Whether the image came out; if not, all coded fragments were too few for these losses.
    pub is_complete: bool,
    /// Only so many bytes of each fragment's so many were decoded, because the image is large.
    pub sampled: Option<(usize, usize)>,
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decoded { frames, lost, coded_heard, is_complete, sampled } = self;
        let outcome = if *is_complete { "the image came out" } else { "too few to decode" };
        write!(f, "{frames} frames opened, {lost} lost, {coded_heard} coded heard: {outcome}")?;
        match sampled {
            Some((width, of)) => write!(f, " ({width} of each fragment's {of} bytes looked at)"),
            None => Ok(()),
        }
    }
}

/// How a campaign ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every planned frame was accepted by the forwarder.
    Complete {
        /// Frames accepted.
        sent: u32,
        /// Frames whose fate is unknown.
        unconfirmed: u32,
    },
    /// The sessions were over before all frames were sent.
    OutOfSession {
        /// Frames accepted.
        sent: u32,
        /// Frames planned.
        planned: u32,
    },
    /// The task was withdrawn.
    Cancelled {
        /// Frames accepted.
        sent: u32,
    },
    /// Going on would be wrong.
    Aborted {
        /// One line.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Refused { reason } => write!(f, "refused: {reason}"),
            Event::Warning { text } => write!(f, "warning: {text}"),
            Event::Planned(plan) => write!(
                f,
                "planned for group {}: {} + {} fragments of {} B, FCnt {}..{}, one each {}.{:03} s ({})",
                plan.group,
                plan.nb_frag,
                plan.coded,
                plan.frag_size,
                plan.first_fcnt,
                plan.end_fcnt,
                plan.spacing_us / 1_000_000,
                plan.spacing_us % 1_000_000 / 1000,
                plan.limited_by,
            ),
            Event::Waiting { reason } => write!(f, "waiting: {reason}"),
            Event::SessionsMissed { group, left, planned } => write!(
                f,
                "the sessions that the devices of group {group} were told are over with {left} of {planned} frames left: give the task a later StartTime and tell the devices (`fuotad plan --setup`)"
            ),
            Event::SessionsMoved { group, sessions } => write!(
                f,
                "the start moved: the devices of group {group} must be told {} sessions (`fuotad plan --setup`)",
                sessions.len()
            ),
            Event::Began => f.write_str("the first frame is on its way"),
            Event::Resumed { k } => write!(f, "resumed at frame {k}"),
            Event::Sent { k, fcnt, start } => write!(f, "frame {k} (FCnt {fcnt}) goes out at {start}"),
            Event::Unconfirmed { k } => write!(f, "no answer for frame {k}: counted as sent, made up for"),
            Event::Refusal { k, error } => write!(f, "the forwarder refused frame {k}: {error}"),
            Event::Over(outcome) => outcome.fmt(f),
            Event::AlreadyOver { outcome } => write!(
                f,
                "over already ({outcome}): a finished task never runs again; give it another Id or file name to order it anew"
            ),
            Event::ForwarderOnline => f.write_str("the packet forwarder answers"),
            Event::ForwarderOffline => f.write_str("the packet forwarder is silent"),
            Event::CounterKnown { error_us } => {
                write!(f, "the concentrator's counter is known to {error_us} us")
            }
            Event::CounterLost { reason } => write!(f, "the concentrator's counter is lost: {reason}"),
            Event::SecondSender { mc_addr, fcnt } => write!(
                f,
                "a network server sends to our group {mc_addr:08x} (FCnt {fcnt}): two senders of one key; take the group out of the network server, or out of this gateway"
            ),
            Event::ServerBreach { server, sub_band } => write!(
                f,
                "the downlinks of {server} are over the legal limit of sub-band {sub_band}: they were passed on; `enforce = true` refuses them"
            ),
            Event::ServerSilent { server } => {
                write!(f, "the network server {server} does not answer: its uplinks may be lost")
            }
            Event::ServerAnswers { server } => write!(f, "the network server {server} answers again"),
            Event::Swallowed { frames, made_up } => write!(
                f,
                "the forwarder acknowledged {frames} frames and never gave them to its radio; {made_up} are made up for"
            ),
            Event::Halted { reason } => write!(f, "halted: {reason}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Complete { sent, unconfirmed: 0 } => write!(f, "complete: {sent} frames sent"),
            Outcome::Complete { sent, unconfirmed } => {
                write!(f, "complete: {sent} frames sent and {unconfirmed} unconfirmed")
            }
            Outcome::OutOfSession { sent, planned } => {
                write!(f, "the sessions ended after {sent} of {planned} frames")
            }
            Outcome::Cancelled { sent } => write!(f, "cancelled after {sent} frames"),
            Outcome::Aborted { reason } => write!(f, "aborted: {reason}"),
        }
    }
}
