//! The fragmentation session that devices are asked about, and what was sent of it.

use super::habit::Habit;
use super::window::AnswerWindow;
use crate::lorawan::PackageVersion;

/// A fragmentation session (TS004) as far as answers refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// FragIndex, 0 to 3.
    pub frag_index: u8,
    /// NbFrag: number of uncoded fragments.
    pub nb_frag: u16,
    /// Version of TS004 that the devices have.
    pub version: PackageVersion,
    /// How their stack counts.
    pub habit: Habit,
    /// CRC-32 of the image without padding, for devices that report it; `None`: such reports are not believed.
    pub crc32: Option<u32>,
    /// When its devices answer, and how many of them are heard.
    pub window: AnswerWindow,
}

/// What was sent of a session until some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The highest fragment number (TS004 N); coded ones lie above NbFrag.
    pub last_n: u16,
    /// DataFragment frames, repeats included.
    pub frames: u32,
}

impl Sent {
    /// After a fragment with the number `n`.
    pub fn and(self, n: u16) -> Sent {
        Sent { last_n: self.last_n.max(n), frames: self.frames + 1 }
    }

    /// About so many coded fragments of a code with `nb_frag` uncoded ones; numbers may have been left out.
    pub(super) fn coded(self, nb_frag: u16) -> u16 {
        let frames = self.frames.saturating_sub(u32::from(nb_frag)).min(u32::from(u16::MAX)) as u16;
        frames.min(self.last_n.saturating_sub(nb_frag))
    }
}

/// Who is to answer FragSessionStatusReq (its bit Participants, TS004-1.0.0 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Only devices that miss fragments.
    Missing,
    /// Every device that has the session.
    All,
}
