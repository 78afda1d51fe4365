//! Images: asked for when they are needed, held no longer. A hundred armed tasks keep theirs on the disk.

use super::arming::group_of;
use super::arming::signature_wish;
use super::broadcaster::Broadcaster;
use super::io::Fetch;
use super::io::Output;
use super::io::SignatureWish;
use super::open_task::OpenTask;
use super::open_task::Stage;
use crate::image::Image;
use crate::report::Outcome;
use crate::schedule::Scheduler;
use crate::signing::Evidence;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;

impl Broadcaster {
    /// Asks for the images that are wanted: those never seen at once, those that lie on the disk one after the other.
    pub(super) fn ask_for_images(&mut self, now: Now) {
        let is_busy = |open_task: &OpenTask| {
            open_task.is_checking() || (open_task.is_fetched && matches!(open_task.stage, Stage::Fetching))
        };
        let mut is_free = !self.open_tasks.values().any(is_busy);
        let mut waiting: Vec<(u64, TaskId)> = Vec::new();
        let mut later = None;
        for (id, open_task) in &self.open_tasks {
            let is_due = match open_task.stage {
                Stage::Parked => true,
                // The signature's certificate is judged as soon as the clock is trusted.
                Stage::AwaitingClock => now.gps.is_some(),
                _ => false,
            };
            match open_task.not_before.filter(|at| is_due && *at > now.mono) {
                Some(at) => later = Some(later.map_or(at, |later: Instant| later.min(at))),
                None if is_due => waiting.push((open_task.arrival, id.clone())),
                None => {}
            }
        }
        self.wake_by(later);
        waiting.sort();
        for (_, id) in waiting {
            let Some(open_task) = self.open_tasks.get_mut(&id) else { continue };
            if open_task.is_fetched && !std::mem::replace(&mut is_free, false) {
                continue;
            }
            open_task.waiting = None;
            open_task.stage = Stage::Fetching;
            self.ask(&id);
        }
    }

    /// Asks for the image of one task.
    fn ask(&mut self, id: &TaskId) {
        let Some(open_task) = self.open_tasks.get(id) else { return };
        let recorded = open_task.resumed.as_ref().and_then(|record| record.digest.parse().ok());
        let armed = open_task.campaign().map(|campaign| campaign.digest());
        let is_new = open_task.resumed.is_none() && open_task.delivered.is_none() && armed.is_none();
        let group =
            group_of(&open_task.task, open_task.resumed.as_ref(), &self.groups).ok().filter(|_| is_new);
        let signature = group
            .map_or(SignatureWish::No, |group| signature_wish(&open_task.task, group, self.trust(id, group)));
        self.outputs.push_back(Output::Fetch(Fetch {
            task: id.clone(),
            image: open_task.task.image.clone(),
            digest: armed.or(recorded).or(open_task.task.sha256),
            signature,
        }));
    }

    /// A campaign whose time comes has no image: asks for it, once.
    pub(super) fn ask_again(&mut self, now: Now, id: &TaskId) {
        let Some(campaign) = self.open_tasks.get_mut(id).and_then(OpenTask::campaign_mut) else { return };
        match campaign.ask_for_image(now.mono) {
            Ok(()) => self.ask(id),
            Err(at) => self.wake_by(at),
        }
    }

    /// The bytes that [`Output::Fetch`] asked for, and what vouches for them.
    pub fn image(
        &mut self,
        now: Now,
        scheduler: &Scheduler,
        id: &TaskId,
        bytes: Vec<u8>,
        evidence: Option<Evidence>,
    ) {
        let is_other_checked =
            self.open_tasks.iter().any(|(other, open_task)| other != id && open_task.is_checking());
        let is_resting = self.is_resting(now);
        let Some(open_task) = self.open_tasks.get_mut(id) else { return };
        if evidence.is_some() {
            open_task.delivered = evidence;
        }
        match &mut open_task.stage {
            Stage::Fetching => {
                open_task.is_fetched = true;
                if is_other_checked || is_resting {
                    open_task.stage = Stage::Parked;
                } else if let Err(reason) = self.plan(now, scheduler, id, bytes) {
                    self.refuse(now, id, reason);
                }
            }
            Stage::Running(campaign) => match Image::verify(bytes, campaign.digest()) {
                Ok(image) => campaign.hold_image(image),
                Err(error) => {
                    campaign.refuse_image(now.mono);
                    let reason = format!(
                        "its image: the one it was planned with is gone ({error}); put it back, or cancel the task"
                    );
                    self.waiting(now, id, reason);
                }
            },
            _ => {}
        }
    }

    /// The image cannot be had.
    pub fn image_failed(&mut self, now: Now, scheduler: &mut Scheduler, id: &TaskId, reason: &str) {
        let reason = format!("no image: {reason}");
        // What was armed and cannot be sent any more is over, and is not planned anew by itself.
        match self.open_tasks.get(id).is_some_and(|open_task| open_task.campaign().is_some()) {
            true => self.finish(now, scheduler, id, Outcome::Aborted { reason }),
            false => self.refuse(now, id, reason),
        }
    }
}
