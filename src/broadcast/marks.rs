//! Progress marks: how far the durable memory reaches. A frame goes out only below the mark that covers it,
//! and a mark's ledger already holds the airtime of everything it covers (pre-charged), so what is on disk
//! is never below the truth although nothing is written per frame.

use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::task_book::TaskBook;
use crate::campaign::Progress;
use crate::radio::MinuteLoad;
use crate::schedule::Scheduler;
use crate::store::CAMPAIGNS_MAX;
use crate::store::CampaignMark;
use crate::store::Change;
use crate::store::Mark;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// With frames sent since, a mark is never older than this, microseconds.
const OLDEST_US: u64 = 300_000_000;

/// The coverage of the campaigns on the air.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The campaigns on the air: marks cover their next frames.
    holders: BTreeSet<TaskId>,
    /// No frame goes out any more: marks cover none.
    is_closed: bool,
    covered: Coverage,
    made_at: Option<Instant>,
    /// The sum of the next frame numbers when the last mark was made.
    marked: u64,
    /// A frame was accepted since the start, and a mark was begun after it: however short this life is, the next one
    /// does not send the same frames again and again.
    has_progress: bool,
    pending: Option<(u64, Coverage)>,
}

/// For each campaign the first frame number that may not be sent.
type Coverage = BTreeMap<TaskId, u32>;

impl Marks {
    /// Frames of the campaign below this number may be sent.
    pub fn covered(&self, task: &TaskId) -> u32 {
        self.covered.get(task).copied().unwrap_or(0)
    }

    /// Whether a mark is being written that covers the campaign.
    pub fn is_pending_for(&self, task: &TaskId) -> bool {
        self.pending.as_ref().is_some_and(|(_, covers)| covers.contains_key(task))
    }

    /// When the mark is too old to stand: frames were sent since (`next` is the sum of the next frame numbers)
    /// and five minutes are over.
    fn due_at(&self, next: u64) -> Option<Instant> {
        let made_at = self.made_at.filter(|_| self.pending.is_none() && next > self.marked)?;
        Some(made_at.plus_us(OLDEST_US))
    }

    /// Whether the first frame that was accepted since the start still wants a mark of its own.
    pub fn wants_first(&mut self) -> bool {
        !self.is_closed && !std::mem::replace(&mut self.has_progress, true)
    }

    /// The campaign is on the air: marks cover it from now on.
    pub fn hold(&mut self, task: &TaskId) {
        self.holders.insert(task.clone());
    }

    /// Whether the campaign is on the air.
    pub fn is_held(&self, task: &TaskId) -> bool {
        self.holders.contains(task)
    }

    /// The campaign is over; whether a mark is to say so.
    pub fn release(&mut self, task: &TaskId) -> bool {
        self.holders.remove(task) && !self.is_closed
    }

    /// No frame goes out any more.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Writes a mark that covers the next frames of the campaigns on the air; its save.
    pub fn write(&mut self, now: Now, scheduler: &Scheduler, book: &TaskBook, outbox: &mut Outbox) -> u64 {
        let mut ledger = scheduler.minutes(now.mono);
        let mut covers = Coverage::new();
        for id in self.holders.iter().filter(|_| !self.is_closed) {
            let Some(campaign) = book.campaign(id) else { continue };
            let (plan, next_frame) = (campaign.plan(), campaign.progress().next_frame);
            let frames = plan.frames_of_a_mark();
            // Nobody's in particular: the law counts it after a power cut, our share does not.
            let total_us = u64::from(frames).saturating_mul(plan.airtime_us);
            ledger.push(MinuteLoad {
                sub_band: plan.channel.sub_band.0,
                age_min: 0,
                ours_us: 0,
                total_us: u32::try_from(total_us).unwrap_or(u32::MAX),
            });
            covers.insert(id.clone(), next_frame.saturating_add(frames));
        }
        let marked = |open_task: &OpenTask| {
            let Progress { next_frame, account, .. } =
                open_task.progress().filter(|_| open_task.has_begun())?;
            let extra_coded = account.extra_coded;
            Some(CampaignMark { task: open_task.record_id(), next_frame, extra_coded })
        };
        // What is not armed again yet is still where the last mark left it.
        let waiting = book.resumable().values().copied();
        let campaigns = book.open().values().filter_map(marked).chain(waiting).take(CAMPAIGNS_MAX).collect();
        let gps_us = now.gps.map(GpsTime::as_us);
        let mono_us = Some(now.mono.as_us());
        let mark = Mark { clean: covers.is_empty(), gps_us, mono_us, campaigns, ledger };
        let save = outbox.save(Change::Mark(mark));
        self.begin(save, now.mono, self.next_numbers(book), covers);
        save
    }

    /// Writes a mark when the last one is too old to stand.
    pub fn renew(&mut self, now: Now, scheduler: &Scheduler, book: &TaskBook, outbox: &mut Outbox) {
        match self.due_at(self.next_numbers(book)) {
            Some(due) if due <= now.mono => {
                self.write(now, scheduler, book, outbox);
            }
            due => outbox.wake_by(due),
        }
    }

    /// The sum of the next frame numbers of all on the air.
    fn next_numbers(&self, book: &TaskBook) -> u64 {
        let next = |id: &TaskId| book.get(id).and_then(OpenTask::progress);
        self.holders.iter().filter_map(next).map(|progress| u64::from(progress.next_frame)).sum()
    }

    /// A mark is on its way to the disk; once there it covers these frames.
    fn begin(&mut self, save: u64, now: Instant, next: u64, covers: Coverage) {
        // Whoever had coverage keeps no more than the mark on its way will promise: the newest mark is the truth.
        self.covered.retain(|task, _| covers.contains_key(task));
        self.pending = Some((save, covers));
        self.made_at = Some(now);
        self.marked = next;
    }

    /// The answer to a save; whether it was the mark. One that was not kept covers nothing: the next frame that needs
    /// it asks for another.
    pub fn answered(&mut self, save: u64, is_kept: bool) -> bool {
        match self.pending.take_if(|(pending, _)| *pending == save) {
            Some((_, covers)) => {
                if is_kept {
                    self.covered = covers;
                }
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> TaskId {
        TaskId::new(name).unwrap()
    }

    #[test]
    fn frames_are_covered_only_once_the_mark_is_durable() {
        let mut marks = Marks::default();
        marks.begin(7, Instant::ZERO, 0, Coverage::from([(id("a"), 32), (id("b"), 40)]));
        assert_eq!(marks.covered(&id("a")), 0);
        assert!(!marks.answered(6, true));
        assert!(marks.answered(7, true));
        assert_eq!([marks.covered(&id("a")), marks.covered(&id("b"))], [32, 40]);
    }

    #[test]
    fn a_mark_that_leaves_a_campaign_out_covers_none_of_its_frames_from_then_on() {
        let mut marks = Marks::default();
        marks.begin(1, Instant::ZERO, 0, Coverage::from([(id("a"), 32)]));
        marks.answered(1, true);
        marks.begin(2, Instant::ZERO, 0, Coverage::from([(id("b"), 32)]));
        assert_eq!(marks.covered(&id("a")), 0);
        assert!(marks.is_pending_for(&id("b")) && !marks.is_pending_for(&id("a")));
    }

    #[test]
    fn a_mark_that_was_not_kept_covers_nothing_and_is_in_nobodys_way() {
        let mut marks = Marks::default();
        marks.begin(1, Instant::ZERO, 0, Coverage::from([(id("a"), 32)]));
        assert!(marks.answered(1, false));
        assert!(marks.covered(&id("a")) == 0 && !marks.is_pending_for(&id("a")));
    }

    #[test]
    fn a_mark_grows_old_only_when_something_was_sent_since() {
        let mut marks = Marks::default();
        marks.begin(1, Instant::ZERO, 5, Coverage::from([(id("a"), 37)]));
        marks.answered(1, true);
        assert_eq!(marks.due_at(5), None);
        assert_eq!(marks.due_at(6), Some(Instant::from_us(300_000_000)));
    }
}
