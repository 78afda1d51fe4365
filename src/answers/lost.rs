//! What the answers of devices tell of the frames that they lost.
//!
//! A decoder that misses fragments counts, so its numbers say what it lost. One that is complete mostly counts no more:
//! it only tells that it lost no more than the coded fragments could mend.

use super::habit::Habit;
use super::reading::Counts;
use super::reading::Says;
use super::session::Sent;
use super::session::Session;

/// With so many fragments more than NbFrag a device counts on although it is complete: a decoder needs a few, and
/// repeats of fragments count, too.
const COUNTS_ON: u32 = 20;
/// LoRaMac-node and LBM count lost fragments in a byte.
const BYTE: u16 = 256;
/// Of the devices that told, so many in a hundred lost no more than what is learned.
const PERCENTILE: usize = 90;

/// Frames that a device lost, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) lost: u16,
    pub(super) of: u16,
}

/// What is known of the frames that one device lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceLoss {
    /// So many of them, millionths.
    Lost(u32),
    /// No more than this, millionths: it holds the image.
    AtMost(u32),
}

/// What one campaign tells of the frames that the devices of its group lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignLoss {
    /// Nine in ten of those that told lost no more, millionths.
    Measured(u32),
    /// Nine in ten needed no more coded fragments than with this loss, and none was seen to miss any, millionths.
    AtMost(u32),
}

/// Frames lost and of how many, as the numbers of a device say that was asked after `asked`; of none
/// where its stack is not known.
pub(super) fn by_numbers(session: &Session, counts: Counts, asked: Sent) -> (u32, u32) {
    let (nb_frag, received) = (u32::from(session.nb_frag), u32::from(counts.received));
    match session.habit {
        Habit::LoRaMacNode => (u32::from(counts.missing), nb_frag),
        // Only uncoded ones are counted as lost.
        Habit::Lbm => (u32::from(asked.last_n).saturating_sub(received).min(nb_frag), nb_frag),
        Habit::AsMeant | Habit::Zephyr => (asked.frames.saturating_sub(received), asked.frames),
        Habit::Unknown => (0, 0),
    }
}

/// The same where they are the numbers of a device that counted up to the question; `None` where they may be older.
pub(super) fn counted(session: &Session, says: Says, counts: Counts, asked: Sent) -> Option<Counted> {
    let (nb_frag, received) = (u32::from(session.nb_frag), u32::from(counts.received));
    let (lost, of) = match (session.habit, says) {
        (_, Says::NoSession | Says::Failed(_)) => return None,
        // What it lost does not change when it is mended.
        (Habit::LoRaMacNode, _) if session.nb_frag < BYTE => by_numbers(session, counts, asked),
        // With 1 it may be one that lost nothing.
        (Habit::Lbm, Says::Missing(2..)) | (Habit::AsMeant | Habit::Zephyr, Says::Missing(_)) => {
            by_numbers(session, counts, asked)
        }
        (Habit::AsMeant, _) if received > nb_frag + COUNTS_ON => by_numbers(session, counts, asked),
        // What it received was of use, or nearly all of it.
        (Habit::Unknown, Says::Missing(missing)) => {
            ((asked.frames + u32::from(missing)).saturating_sub(nb_frag), asked.frames)
        }
        _ => return None,
    };
    let narrow = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
    (of > 0).then(|| Counted { lost: narrow(lost.min(of)), of: narrow(of) })
}

impl DeviceLoss {
    /// Of a device that counted.
    pub(super) fn of(counted: Counted) -> DeviceLoss {
        DeviceLoss::Lost(ppm(u32::from(counted.lost), u32::from(counted.of)))
    }

    /// Of a device that holds the image after `frames` frames.
    pub(super) fn complete_after(session: &Session, frames: u32) -> DeviceLoss {
        DeviceLoss::AtMost(ppm(frames.saturating_sub(u32::from(session.nb_frag)), frames))
    }
}

/// What `devices` tell together, of so many that were `told`; `None` where half of these say nothing.
pub(super) fn of_group(told: usize, devices: impl Iterator<Item = DeviceLoss>) -> Option<CampaignLoss> {
    let (mut measured, mut bounds) = (Vec::new(), Vec::new());
    devices.for_each(|device| match device {
        DeviceLoss::Lost(ppm) => measured.push(ppm),
        DeviceLoss::AtMost(ppm) => bounds.push(ppm),
    });
    let known = measured.len() + bounds.len();
    if known == 0 || 2 * known < told {
        return None;
    }
    measured.sort_unstable();
    let rank = (known * PERCENTILE).div_ceil(100) - 1;
    let bound = bounds.iter().copied().max().unwrap_or(0);
    // Whoever was complete when it was asked lost less than those who were not.
    Some(match rank.checked_sub(bounds.len()) {
        Some(rank) => CampaignLoss::Measured(measured[rank]),
        None => match measured.first() {
            Some(least) => CampaignLoss::Measured(*least.min(&bound)),
            None => CampaignLoss::AtMost(bound),
        },
    })
}

fn ppm(part: u32, whole: u32) -> u32 {
    (u64::from(part.min(whole)) * 1_000_000 / u64::from(whole.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::window::AnswerWindow;
    use crate::lorawan::PackageVersion;

    const SENT: Sent = Sent { last_n: 130, frames: 131 };

    fn told(habit: Habit, says: Says, received: u16, missing: u8) -> Option<(u16, u16)> {
        let session = Session {
            frag_index: 0,
            nb_frag: 100,
            version: PackageVersion::V1,
            habit,
            crc32: None,
            window: AnswerWindow::default(),
        };
        let counted = counted(&session, says, Counts { received, missing }, SENT);
        counted.map(|counted| (counted.lost, counted.of))
    }

    #[test]
    fn what_a_device_lost_is_read_by_the_habit_of_its_stack_and_while_it_counts() {
        let missing = Says::Missing(9);
        assert_eq!(told(Habit::AsMeant, missing, 91, 9), Some((40, 131)));
        // Complete with 102: it may have been so after 104 frames.
        assert_eq!(told(Habit::AsMeant, Says::Complete, 102, 0), None);
        assert_eq!(told(Habit::AsMeant, Says::Complete, 128, 0), Some((3, 131)));
        assert_eq!(told(Habit::LoRaMacNode, Says::Complete, 104, 0), Some((0, 100)));
        assert_eq!(told(Habit::LoRaMacNode, Says::LooksComplete, 110, 7), Some((7, 100)));
        assert_eq!(told(Habit::Lbm, missing, 118, 9), Some((12, 100)));
        // Nothing was lost, and 1 is missing for ever.
        assert_eq!(told(Habit::Lbm, Says::Missing(1), 100, 1), None);
        assert_eq!(told(Habit::Unknown, missing, 0, 9), Some((40, 131)));
        assert_eq!(told(Habit::Unknown, Says::LooksComplete, 110, 0), None);
        assert_eq!(told(Habit::AsMeant, Says::NoSession, 0, 0), None);
    }

    #[test]
    fn nine_in_ten_of_a_group_lost_no_more_than_what_is_learned() {
        let lost = |ppm: &[u32]| ppm.iter().map(|ppm| DeviceLoss::Lost(*ppm)).collect::<Vec<_>>();
        let all = lost(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 600]);
        assert_eq!(of_group(10, all.clone().into_iter()), Some(CampaignLoss::Measured(9)));
        // Half of those that were told say nothing.
        assert_eq!(of_group(20, all.clone().into_iter()), Some(CampaignLoss::Measured(9)));
        assert_eq!(of_group(21, all.into_iter()), None);
        assert_eq!(of_group(0, [].into_iter()), None);
        let complete = |count: usize| vec![DeviceLoss::AtMost(100); count];
        assert_eq!(of_group(10, complete(10).into_iter()), Some(CampaignLoss::AtMost(100)));
        let few = [complete(19), lost(&[70])].concat();
        assert_eq!(of_group(20, few.into_iter()), Some(CampaignLoss::Measured(70)));
        let several = [complete(5), lost(&[70, 80, 90, 200, 300])].concat();
        assert_eq!(of_group(10, several.into_iter()), Some(CampaignLoss::Measured(200)));
    }
}
