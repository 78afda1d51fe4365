//! The words between a campaign and those who drive it.

use super::group::Handover;
use super::session::Session;
use crate::answers::Sent;
use crate::answers::Whom;
use crate::radio::Emission;
use crate::report::Account;
use crate::report::Outcome;
use crate::report::RefusalCause;
use crate::schedule::Booking;
use crate::time::GpsTime;
use crate::time::Instant;
use core::fmt;

/// A frame on its way to the forwarder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Names it in the verdict.
    pub id: u64,
    /// The number of the frame in its sequence.
    pub frame_no: u32,
    /// The frame counter, FCnt, 32 bits.
    pub fcnt: u32,
    /// What to send and when.
    pub emission: Emission,
}

/// A frame that waits for its verdict.
#[derive(Clone, Debug)]
pub(super) struct Awaiting {
    pub id: u64,
    pub frame_no: u32,
    pub booking: Booking,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The forwarder took it; it goes on the air at `start`.
    Queued {
        /// Best knowledge of its start.
        start: Instant,
    },
    /// It did not take it: nothing was radiated.
    Refused(Refusal),
    /// No answer: it may or may not have been radiated.
    Silent,
}

/// Why the forwarder did not take a frame, as far as the campaign reacts to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It came too late.
    TooLate,
    /// The counter we aim by is wrong.
    WrongCounter,
    /// Something else is queued there, or the queue is full.
    Collision,
    /// A beacon is there.
    Beacon,
    /// The forwarder will never send on this frequency or with this power.
    Channel(String),
    /// It keeps a duty cycle of its own.
    DutyCycle(String),
    /// It listened before talking, and the channel was taken.
    Listening(String),
    /// Our side could not hand it over now.
    NotSent(String),
    /// Another word of the forwarder.
    Other(String),
}

impl Refusal {
    /// What kind of wait follows.
    pub fn cause(&self) -> RefusalCause {
        match self {
            Refusal::DutyCycle(_) => RefusalCause::DutyCycle,
            Refusal::Listening(_) => RefusalCause::Listening,
            _ => RefusalCause::Other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::TooLate => "it came too late",
            Refusal::WrongCounter => "the counter that we aim by is not its own",
            Refusal::Collision => "its queue has another packet there",
            Refusal::Beacon => "a beacon is sent there",
            Refusal::Channel(text)
            | Refusal::DutyCycle(text)
            | Refusal::Listening(text)
            | Refusal::NotSent(text)
            | Refusal::Other(text) => text,
        })
    }
}

/// How far a campaign is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The next frame number.
    pub next_frame: u32,
    /// What became of the frames before it.
    pub account: Account,
    /// Coded fragments beyond the ordered ones and those that made up for lost frames: devices asked for them.
    pub follow_up: u32,
    /// The frame number of the question that is to be put.
    pub question: Option<u32>,
}

/// What a campaign sends after its ordered fragments, where its devices answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// So many coded fragments more.
    Send(u16),
    /// FragSessionStatusReq to the group.
    Ask(Whom),
}

/// A campaign that has sent all it was told to and waits for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What was sent of its fragmentation session.
    pub sent: Sent,
    /// Coded fragments that there are numbers and counters for.
    pub room: u16,
    /// Ordered coded fragments that a lean campaign did not send before its first question.
    pub spared: u16,
    /// Airtime of one of them, microseconds.
    pub airtime_us: u64,
    /// The sessions that its devices were told are over.
    pub is_shut: bool,
    /// When its devices listen again, where that is later.
    pub opens: Option<Instant>,
    /// Sessions that were added to those of its plan; `None` where its devices always listen.
    pub further: Option<usize>,
    /// Frames that the task orders are left.
    pub is_cut: bool,
    /// The question that was ordered was not put.
    pub is_unasked: bool,
    /// When its last frame is over, as far as it is known.
    pub last_end: Option<Instant>,
}

/// What a campaign wants next.
#[derive(Debug)]
pub enum Step {
    /// Hand this to the forwarder and bring the verdict back.
    Transmit(Box<Transmit>),
    /// Nothing to do before this instant (or before a verdict, when `None`): its devices need their time, or its
    /// last frame is still on the air.
    Wait(Option<Instant>),
    /// The air is free for its next frame at this instant only.
    WaitForAir(Instant),
    /// Its devices do not listen before this instant: the air is somebody else's until then.
    Shut(Instant),
    /// The sessions that its devices were told are over, and frames are left: it goes on in one that they are told.
    Missed,
    /// It cannot begin or go on yet; [`Campaign::wait`](super::campaign::Campaign::wait) says why.
    Blocked,
    /// Its image is needed and not in memory.
    NeedImage,
    /// The next frame is not covered by a durable mark.
    NeedMark,
    /// The campaign has come to its end.
    Over(Outcome),
}

/// How near a campaign is to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Frames are left to be sent.
    Sending,
    /// Its last frame is on the air until this instant.
    OnAir(Instant),
    /// Its frames went out; the forwarder's report of so many of them is waited for, until this instant at most.
    AwaitingReport(Instant, u32),
    /// Everything is accounted for, or nobody will.
    Over(Outcome),
}

/// What a campaign is told when it is its turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// How frames are handed over now.
    pub handover: Handover,
    /// Frames at or above this number wait for a mark.
    pub covered: u32,
    /// Names the next frame.
    pub id: u64,
    /// The pace of all campaigns in its sub-band: nothing starts before this.
    pub not_before: Option<Instant>,
}

/// When a campaign may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It waits for a start.
    Unknown,
    /// As soon as there is room; devices always listen.
    AtOnce,
    /// Not before this; devices always listen.
    At(GpsTime),
    /// In these sessions only, in their order.
    Sessions(Vec<Session>),
}

impl Begin {
    /// The sessions, where there are any.
    pub fn sessions(&self) -> &[Session] {
        match self {
            Begin::Sessions(sessions) => sessions,
            _ => &[],
        }
    }

    /// The moment at which it begins, where that is known.
    pub fn start(&self) -> Option<GpsTime> {
        match self {
            Begin::Unknown | Begin::AtOnce => None,
            Begin::At(start) => Some(*start),
            Begin::Sessions(sessions) => sessions.first().map(|session| session.start),
        }
    }
}
