//! Images: asked for when they are needed, held no longer. A hundred armed tasks keep theirs on the disk.

use super::arming::signature_wish;
use super::io::Fetch;
use super::io::Output;
use super::io::SignatureWish;
use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::stage::Stage;
use super::task_book::TaskBook;
use crate::image::Image;
use crate::schedule::Scheduler;
use crate::task::TaskId;
use crate::time::Now;

impl TaskBook {
    /// Asks for the images that are wanted: those never seen at once, those that lie on the disk one after the other.
    pub fn ask_for_images(&mut self, now: Now, outbox: &mut Outbox) {
        let is_busy = |open_task: &OpenTask| {
            open_task.is_checking()
                || (open_task.is_fetched() && matches!(open_task.stage(), Stage::Fetching))
        };
        let mut is_free = !self.open().values().any(is_busy);
        let mut wanted: Vec<(u64, TaskId)> = Vec::new();
        for (id, open_task) in self.open() {
            // What is paused before it was planned is not planned; what was planned may stand ready.
            if open_task.resumed().is_none() && !open_task.is_fetched() && self.is_paused(id) {
                continue;
            }
            match open_task.image_due(now) {
                Some(at) if at > now.mono => outbox.wake_by(Some(at)),
                Some(_) => wanted.push((open_task.arrival(), id.clone())),
                None => {}
            }
        }
        wanted.sort();
        for (_, id) in wanted {
            let Some(open_task) = self.get_mut(&id) else { continue };
            if open_task.is_fetched() && !std::mem::replace(&mut is_free, false) {
                continue;
            }
            open_task.fetch();
            self.ask(&id, outbox);
        }
    }

    /// Asks for the image of one task.
    fn ask(&self, id: &TaskId, outbox: &mut Outbox) {
        let Some(open_task) = self.get(id) else { return };
        let recorded = open_task.resumed().and_then(|record| record.digest.parse().ok());
        let armed = open_task.campaign().map(|campaign| campaign.digest());
        let is_new = open_task.resumed().is_none() && open_task.delivered().is_none() && armed.is_none();
        let group = self.site().group_of_open(open_task).ok().filter(|_| is_new);
        let signature = group.map_or(SignatureWish::No, |group| {
            signature_wish(open_task.task(), group, self.site().trust(open_task.task(), group))
        });
        outbox.push(Output::Fetch(Fetch {
            task: id.clone(),
            image: open_task.task().image.clone(),
            digest: armed.or(recorded).or(open_task.task().sha256),
            signature,
        }));
    }

    /// A campaign whose time comes has no image: asks for it, once.
    pub fn ask_again(&mut self, now: Now, id: &TaskId, outbox: &mut Outbox) {
        let Some(campaign) = self.campaign_mut(id) else { return };
        match campaign.ask_for_image(now.mono) {
            Ok(()) => self.ask(id, outbox),
            Err(at) => outbox.wake_by(at),
        }
    }

    /// The bytes that [`Output::Fetch`] asked for. Nothing is planned while `is_resting`.
    pub fn image(
        &mut self,
        now: Now,
        scheduler: &Scheduler,
        id: &TaskId,
        bytes: Vec<u8>,
        is_resting: bool,
        outbox: &mut Outbox,
    ) {
        let is_other_checked =
            self.open().iter().any(|(other, open_task)| other != id && open_task.is_checking());
        let Some(open_task) = self.get_mut(id) else { return };
        if matches!(open_task.stage(), Stage::Fetching) {
            open_task.fetched();
            if is_other_checked || is_resting {
                open_task.park();
            } else if let Err(reason) = self.plan(now, scheduler, id, bytes, outbox) {
                self.refuse(now, id, reason, outbox);
            }
        } else if let Some(campaign) = open_task.campaign_mut() {
            match Image::verify(bytes, campaign.digest()) {
                Ok(image) => campaign.hold_image(image),
                Err(error) => {
                    // Its next turn says so.
                    campaign.refuse_image(now.mono, error.to_string());
                }
            }
        }
    }
}
