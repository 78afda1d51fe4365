//! The plan of a campaign, as reports show it.

use crate::answers::Expected;
use crate::image::Digest;
use crate::lorawan::Eui64;
use crate::time::GpsTime;
use core::fmt;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A campaign's plan as far as the outside needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Name of the group in the configuration.
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
    /// CRC-32 of the image, which some devices report; `None` before the image is there.
    pub crc32: Option<u32>,
    /// SHA-256 of the image, which MICs of TS004 v2 are prepared of; `None` before the image is there.
    pub sha256: Option<Digest>,
    /// Coded fragments that the task asks for, or those before the first question.
    pub coded: u16,
    /// What comes before the first question where the group is sent to leanly.
    pub lean: Option<Lean>,
    /// No uncoded fragment is sent: the devices keep what they heard of an earlier task.
    pub is_coded_only: bool,
    /// Coded fragments with lower numbers, which earlier tasks may have sent; 0 where the whole image is sent.
    pub coded_before: u16,
    /// The devices of the group that it is for; `None`: all.
    pub only: Option<Arc<BTreeSet<Eui64>>>,
    /// The first frame counter.
    pub first_fcnt: u32,
    /// Reserved frame counters right below the first one, for questions to canaries.
    pub canary_fcnts: u32,
    /// One past the last reserved frame counter.
    pub end_fcnt: u32,
    /// Exact airtime of one frame, microseconds.
    pub airtime_us: u64,
    /// Start-to-start distance of uncoded frames, microseconds.
    pub spacing_us: u64,
    /// The limit that decided the spacing, in words.
    pub limited_by: String,
    /// The sessions that devices must be told: start and time-out exponent. Empty: devices always listen.
    pub sessions: Vec<(GpsTime, u8)>,
    /// What of the last session is kept for questions to its devices and their answers, microseconds; 0: nothing is.
    pub questions_us: u64,
    /// What the image costs the battery of the device that pays most, microampere hours: whole sessions, flash, answers.
    pub image_uah: u64,
    /// Result of decoding the frames before the first is sent.
    pub decoded: Decoded,
    /// Warnings: choices that are legal but unwise, one line each.
    pub warnings: Vec<String>,
}

/// What a lean campaign sends before its first question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lean {
    /// Coded fragments before the first question.
    pub coded: u16,
    /// Coded fragments that the task orders.
    pub ordered: u16,
    /// What is expected of the devices; `None`: nothing, or an earlier run knew it.
    pub expected: Option<Expected>,
}

impl Lean {
    /// Ordered coded fragments that are not sent before the first question.
    pub fn spared(&self) -> u16 {
        self.ordered.saturating_sub(self.coded)
    }
}

/// One sentence: how many, and why.
impl fmt::Display for Lean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lean { coded, ordered, expected } = self;
        match expected {
            Some(expected) if self.spared() == 0 => {
                write!(f, "{expected}, so all {ordered} coded fragments come before the first question")
            }
            Some(expected) => {
                write!(
                    f,
                    "{expected}, so {coded} coded fragments before the first question instead of {ordered}"
                )
            }
            None if self.spared() == 0 => write!(
                f,
                "nothing is known yet of what the group loses, so all {ordered} coded fragments come before the first question"
            ),
            None => write!(
                f,
                "{coded} coded fragments before the first question instead of {ordered}, as it was planned"
            ),
        }
    }
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
