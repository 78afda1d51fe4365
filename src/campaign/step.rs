//! The words between a campaign and those who drive it.

use super::group::Handover;
use super::session::Session;
use crate::radio::Emission;
use crate::report::Outcome;
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
    /// The forwarder keeps the law by itself and calls the sub-band spent.
    DutyCycle(String),
    /// Our side could not hand it over now.
    NotSent(String),
    /// Another word of the forwarder.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::TooLate => "it came too late",
            Refusal::WrongCounter => "the counter that we aim by is not its own",
            Refusal::Collision => "its queue has another packet there",
            Refusal::Beacon => "a beacon is sent there",
            Refusal::DutyCycle(text)
            | Refusal::Channel(text)
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
    /// Frames accepted by the forwarder, in this run and before.
    pub sent: u32,
    /// Frames without an answer in this run.
    pub unconfirmed: u32,
    /// Coded fragments added to make up for lost frames.
    pub extra_coded: u32,
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
    /// The sessions that its devices were told are over, the last one at this time, and frames are left: it goes on
    /// in one that they are told.
    Missed(Option<GpsTime>),
    /// It cannot begin or go on yet.
    Blocked(&'static str),
    /// Its image is needed and not in memory.
    NeedImage,
    /// The next frame is not covered by a durable mark.
    NeedMark,
    /// The campaign has come to its end.
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
}
