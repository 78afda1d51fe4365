//! What a device holds at the end.

use core::fmt;
use serde::Deserialize;
use serde::Serialize;

/// What one device holds of the image, as far as it said so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It said that it has everything, in words that its stack uses for nothing else.
    Done,
    /// Its stack cannot say it for certain; its numbers fit a device that has everything.
    Probably,
    /// So many independent fragments are missing, at least.
    Missing(u16),
    /// It cannot complete in this session.
    Failed(Failure),
    /// It lost the session: it restarted, or says that there is none.
    LostState,
    /// It was told of the session and has not said anything since.
    Unheard,
    /// It was not told of the session.
    NotTold,
}

/// Why a device cannot complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// MICError: the image is complete and not the one that its MIC was made of (TS004-2.0.0).
    Mic,
    /// Not enough memory for the equations: it lost more uncoded fragments than it can solve for.
    Memory,
    /// The CRC-32 that it reports is not the image's.
    Crc,
}

impl Failure {
    /// Every reason, by its number on disk less one.
    pub(super) const ALL: [Failure; 3] = [Failure::Mic, Failure::Memory, Failure::Crc];
}

/// One line: what, and the way out.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Mic => "the MIC of its data block is wrong: prepare it with this image and its own key",
            Failure::Memory => {
                "it lost more uncoded fragments than its decoder can solve for: repeat the task, at a lower data rate"
            }
            Failure::Crc => "the CRC-32 that it reports is not the image's: repeat the task",
        })
    }
}

impl Holding {
    /// The result in one word.
    pub fn word(self) -> &'static str {
        match self {
            Holding::Done => "done",
            Holding::Probably => "probably",
            Holding::Missing(_) => "missing",
            Holding::Failed(_) => "failed",
            Holding::LostState => "lost-state",
            Holding::Unheard => "unheard",
            Holding::NotTold => "not-told",
        }
    }
}

/// The word, and the number or the reason that belongs to it.
impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holding::Missing(fragments) => write!(f, "missing {fragments}"),
            Holding::Failed(failure) => write!(f, "failed: {failure}"),
            other => f.write_str(other.word()),
        }
    }
}

impl Serialize for Holding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The devices of a campaign, counted by what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Holdings {
    /// They hold the image.
    pub done: u32,
    /// They hold it as far as their stack can say.
    pub probably: u32,
    /// They said last that they miss fragments.
    pub missing: u32,
    /// They cannot complete in this session.
    pub failed: u32,
    /// They lost the session.
    pub lost_state: u32,
    /// They were told and not heard since.
    pub unheard: u32,
    /// They were not told.
    pub not_told: u32,
}

impl FromIterator<Holding> for Holdings {
    fn from_iter<I: IntoIterator<Item = Holding>>(holdings: I) -> Self {
        let mut counted = Holdings::default();
        for holding in holdings {
            let count = match holding {
                Holding::Done => &mut counted.done,
                Holding::Probably => &mut counted.probably,
                Holding::Missing(_) => &mut counted.missing,
                Holding::Failed(_) => &mut counted.failed,
                Holding::LostState => &mut counted.lost_state,
                Holding::Unheard => &mut counted.unheard,
                Holding::NotTold => &mut counted.not_told,
            };
            *count += 1;
        }
        counted
    }
}

/// As the end of a sentence: who holds the image, and everybody else that there is.
impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holdings { done, probably, missing, failed, lost_state, unheard, not_told } = *self;
        write!(f, "{done} done")?;
        let others = [
            (probably, "probably"),
            (missing, "missing fragments"),
            (failed, "failed"),
            (lost_state, "lost-state"),
            (unheard, "unheard"),
            (not_told, "not told"),
        ];
        others.into_iter().filter(|(count, _)| *count > 0).try_for_each(|(n, word)| write!(f, ", {n} {word}"))
    }
}
