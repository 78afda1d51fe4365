//! One device and its newest answer.

use super::holding::Failure;
use super::holding::Holding;
use super::lost::Counted;
use super::lost::DeviceLoss;
use super::lost::by_numbers;
use super::lost::counted;
use super::reading::Counts;
use super::reading::STILL_AFTER;
use super::reading::Says;
use super::session::Sent;
use super::session::Session;

/// Loss that is assumed of a device that did not tell, millionths.
const LOSS_PPM: u32 = 150_000;
/// So many frames with the usual loss are counted to those of a device.
const USUAL_FRAMES: u32 = 100;
/// No device is believed to lose more than this, millionths: it would ask for the air of all others.
const LOSS_MAX_PPM: u32 = 600_000;
/// After so many questions without an answer nothing more is sent for a device.
pub(super) const SILENT_QUESTIONS: u8 = 3;

/// One device of a campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// It confirmed the fragmentation session.
    pub(super) is_told: bool,
    /// It restarted after the first fragment.
    pub(super) is_lost: bool,
    /// Its image was checked as a whole: by the MIC of TS004-2.0.0 or a CRC.
    pub(super) is_checked: bool,
    pub(super) failure: Option<Failure>,
    /// What its newest status said.
    pub(super) said: Option<Said>,
    /// What it lost until the newest answer that tells.
    pub(super) counted: Option<Counted>,
    /// Questions that it was to answer and did not, since its newest answer.
    pub(super) unanswered: u8,
    /// It answered the newest question; not kept on disk.
    pub(super) has_answered: bool,
    /// It answered a question to it alone, after the last fragment; not kept on disk.
    pub(super) is_final: bool,
    /// It was not told the session that runs; not kept on disk.
    pub(super) is_away: bool,
    /// FCnt of its newest uplink.
    pub(super) f_cnt: Option<u32>,
}

/// A status answer that was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) says: Says,
    pub(super) counts: Counts,
    /// What was sent when it was asked.
    pub(super) asked: Sent,
    /// The frames that were sent when it was asked and gave these numbers first.
    pub(super) since: u32,
}

impl Member {
    /// Whether these numbers came before, so long ago that a decoder at work would have counted on.
    pub(super) fn stands_still(&self, counts: Counts, asked: Sent) -> bool {
        self.said.is_some_and(|said| {
            said.counts == counts && asked.frames.saturating_sub(said.since) >= u32::from(STILL_AFTER)
        })
    }

    /// Takes in a status that is believed.
    pub(super) fn say(&mut self, session: &Session, says: Says, counts: Counts, asked: Sent) {
        self.counted = counted(session, says, counts, asked).or(self.counted);
        (self.unanswered, self.has_answered) = (0, true);
        let before = self.said.filter(|said| said.counts == counts);
        let since = before.map_or(asked.frames, |said| said.since);
        self.said = Some(Said { says, counts, asked, since });
        if let Says::Failed(failure) = says {
            self.failure = Some(failure);
        }
    }

    /// The whole image was checked at the device, and is right or not.
    pub(super) fn check(&mut self, failure: Option<Failure>) {
        (self.unanswered, self.has_answered) = (0, true);
        self.is_checked |= failure.is_none();
        self.failure = self.failure.or(failure);
    }

    /// What it holds by everything that it said.
    pub(super) fn holding(&self) -> Holding {
        if !self.is_told {
            return Holding::NotTold;
        }
        if let Some(failure) = self.failure {
            return Holding::Failed(failure);
        }
        if self.is_checked {
            return Holding::Done;
        }
        match self.said.map(|said| said.says) {
            Some(Says::Complete) => Holding::Done,
            _ if self.is_lost => Holding::LostState,
            Some(Says::LooksComplete) => Holding::Probably,
            Some(Says::Missing(fragments)) => Holding::Missing(fragments),
            Some(Says::Failed(failure)) => Holding::Failed(failure),
            Some(Says::NoSession) => Holding::LostState,
            None => Holding::Unheard,
        }
    }

    /// Whether it can still complete and is not known to have.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.holding(), Holding::Missing(_) | Holding::Unheard)
    }

    /// Whether it is worth another question.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_open() && !self.is_away && self.unanswered < SILENT_QUESTIONS
    }

    /// The share of frames that it loses, as its last numbers let one guess, millionths.
    pub(super) fn loss_ppm(&self, session: &Session) -> u32 {
        let Some(Said { counts, asked, .. }) = self.said else { return LOSS_PPM };
        let (lost, of) = by_numbers(session, counts, asked);
        // The worst of many was mostly unlucky: its own frames weigh as much as what is usual.
        let weighed = u64::from(lost) * 1_000_000 + u64::from(LOSS_PPM * USUAL_FRAMES);
        (weighed / u64::from(of + USUAL_FRAMES)).min(u64::from(LOSS_MAX_PPM)) as u32
    }

    /// What is known of the frames that it lost, when `sent` is all that was sent; `None`: nothing.
    pub(super) fn lost(&self, session: &Session, sent: Sent) -> Option<DeviceLoss> {
        if self.is_lost || !self.is_told {
            return None;
        }
        let frames = self.said.map_or(sent.frames, |said| said.asked.frames);
        let is_complete = matches!(self.holding(), Holding::Done | Holding::Probably);
        let at_most = is_complete.then(|| DeviceLoss::complete_after(session, frames));
        self.counted.map(DeviceLoss::of).or(at_most)
    }
}
