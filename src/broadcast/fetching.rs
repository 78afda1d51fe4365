//! Images: asked for when they are needed, held no longer. A hundred armed tasks keep theirs on the disk.

use super::arming::group_of;
use super::arming::signature_wish;
use super::broadcaster::Broadcaster;
use super::io::Fetch;
use super::io::SignatureWish;
use super::io::Want;
use super::order::Order;
use super::order::Stage;
use crate::image::Image;
use crate::report::Outcome;
use crate::signing::Evidence;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;

impl Broadcaster {
    /// Asks for the images that are wanted: those never seen at once, those that lie on the disk one after the other.
    pub(super) fn ask_for_images(&mut self, now: Now) {
        let is_busy = |order: &Order| {
            order.is_checking() || (order.is_fetched && matches!(order.stage, Stage::Fetching))
        };
        let mut is_free = !self.orders.values().any(is_busy);
        let mut waiting: Vec<(u64, TaskId)> = Vec::new();
        let mut later = None;
        for (id, order) in &self.orders {
            let is_due = match order.stage {
                Stage::Parked => true,
                // The signature's certificate is judged as soon as the clock is trusted.
                Stage::AwaitingClock => now.gps.is_some(),
                _ => false,
            };
            match order.not_before.filter(|at| is_due && *at > now.mono) {
                Some(at) => later = Some(later.map_or(at, |later: Instant| later.min(at))),
                None if is_due => waiting.push((order.number, id.clone())),
                None => {}
            }
        }
        self.wake_by(later);
        waiting.sort();
        for (_, id) in waiting {
            let Some(order) = self.orders.get_mut(&id) else { continue };
            if order.is_fetched && !std::mem::replace(&mut is_free, false) {
                continue;
            }
            order.waiting = None;
            order.stage = Stage::Fetching;
            self.ask(&id);
        }
    }

    /// Asks for the image of one task.
    fn ask(&mut self, id: &TaskId) {
        let Some(order) = self.orders.get(id) else { return };
        let recorded = order.resumed.as_ref().and_then(|record| record.digest.parse().ok());
        let armed = order.campaign().map(|campaign| campaign.digest());
        let is_new = order.resumed.is_none() && order.delivered.is_none() && armed.is_none();
        let group = group_of(&order.task, order.resumed.as_ref(), &self.groups).ok().filter(|_| is_new);
        let signature = group
            .map_or(SignatureWish::No, |group| signature_wish(&order.task, group, self.trust(id, group)));
        self.wants.push_back(Want::Fetch(Fetch {
            task: id.clone(),
            image: order.task.image.clone(),
            digest: armed.or(recorded).or(order.task.sha256),
            signature,
        }));
    }

    /// A campaign whose time comes has no image: asks for it, once.
    pub(super) fn ask_again(&mut self, now: Now, id: &TaskId) {
        let Some(campaign) = self.orders.get_mut(id).and_then(Order::campaign_mut) else { return };
        match campaign.ask_for_image(now.mono) {
            Ok(()) => self.ask(id),
            Err(at) => self.wake_by(at),
        }
    }

    /// The bytes that [`Want::Fetch`] asked for, and what vouches for them.
    pub fn image(&mut self, now: Now, id: &TaskId, bytes: Vec<u8>, evidence: Option<Evidence>) {
        let is_other_checked = self.orders.iter().any(|(other, order)| other != id && order.is_checking());
        let is_resting = self.is_resting(now);
        let Some(order) = self.orders.get_mut(id) else { return };
        if evidence.is_some() {
            order.delivered = evidence;
        }
        match &mut order.stage {
            Stage::Fetching => {
                order.is_fetched = true;
                if is_other_checked || is_resting {
                    order.stage = Stage::Parked;
                } else if let Err(reason) = self.plan(now, id, bytes) {
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
    pub fn image_failed(&mut self, now: Now, id: &TaskId, reason: &str) {
        let reason = format!("no image: {reason}");
        // What was armed and cannot be sent any more is over, and is not planned anew by itself.
        match self.orders.get(id).is_some_and(|order| order.campaign().is_some()) {
            true => self.finish(now, id, Outcome::Aborted { reason }),
            false => self.refuse(now, id, reason),
        }
    }
}
