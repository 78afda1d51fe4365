//! Turns on the air: which campaign may send next, and the marks that cover what it sends.

use super::Broadcaster;
use super::Handover;
use super::Keep;
use super::MarkedCampaign;
use super::Turns;
use super::Want;
use super::broadcaster::Stopping;
use super::campaign::Campaign;
use super::marks::Coverage;
use super::marks::Marks;
use super::order::Order;
use super::step::Begin;
use super::step::Progress;
use super::step::Step;
use super::step::Turn;
use crate::lorawan::KeyFingerprint;
use crate::region::SubBandIndex;
use crate::report::Event;
use crate::report::Report;
use crate::schedule::MinuteLoad;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What a group waits for that somebody else sends to.
const SECOND_SENDER: &str =
    "the end of somebody else's downlinks to this group: a network server sent to it in the last hour";

/// What a task waits for whose file was taken away a moment ago.
pub(super) const HELD: &str =
    "its file in the task folder: it is gone and cancels the task unless it comes back";

/// Campaigns that have begun and are not over, at most: a mark has room for so many.
const BEGUN_MAX: usize = 16;

/// Who is on the air, and since when it belongs to nobody.
#[derive(Debug)]
pub(super) struct Air {
    /// The campaigns that marks cover.
    pub(super) holders: BTreeSet<TaskId>,
    /// Whose frame was handed over last.
    pub(super) last: Option<TaskId>,
    /// The common pace: nothing of ours starts in the sub-band before this.
    free_at: BTreeMap<SubBandIndex, Instant>,
    next_emission: u64,
}

impl Default for Air {
    fn default() -> Self {
        Air { holders: BTreeSet::new(), last: None, free_at: BTreeMap::new(), next_emission: 1 }
    }
}

impl Air {
    /// A frame went out in the sub-band; the next one may follow at `free_at`.
    pub(super) fn pace(&mut self, sub_band: SubBandIndex, free_at: Instant) {
        self.free_at.insert(sub_band, free_at);
    }
}

/// What a campaign's turn means for those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// A frame or a mark is on its way: nobody else now.
    Nothing,
    /// It waits for the air of its sub-band; who is behind must not take it away.
    OtherSubBands,
    /// It needs time for itself.
    ItsPauses,
    /// Its devices do not listen, or it is over.
    Everything,
}

impl Broadcaster {
    /// Lets each campaign have its turn, the first in order first, until one of them uses it.
    pub(super) fn take_turns(&mut self, now: Now, handover: Handover) {
        let is_awaiting = |order: &Order| order.campaign().is_some_and(Campaign::is_awaiting);
        if self.orders.values().any(is_awaiting) {
            return;
        }
        let begun = self.orders.iter().filter(|(_, order)| order.has_begun());
        let mut owners: BTreeMap<KeyFingerprint, TaskId> =
            begun.filter_map(|(id, order)| Some((order.plan()?.key, id.clone()))).collect();
        let mut sub_bands_taken = BTreeSet::new();
        let mut ahead: Option<TaskId> = None;
        for id in self.in_order() {
            let Some(order) = self.orders.get(&id) else { continue };
            let Some(campaign) = order.campaign() else { continue };
            let (key, sub_band) = (campaign.plan().key, campaign.plan().channel.sub_band);
            if order.is_held {
                self.waiting(now, &id, HELD.to_owned());
                continue;
            }
            // A key's counters only rise: one campaign after the other.
            let owner = owners.entry(key).or_insert_with(|| id.clone()).clone();
            let rival = match self.turns {
                _ if owner != id => Some(owner),
                Turns::InOrder => ahead.clone(),
                Turns::Fairly => None,
            };
            if let Some(rival) = rival {
                if campaign.calendar().is_open(now) {
                    self.waiting(now, &id, format!("its turn: task {rival} has the air"));
                }
                continue;
            }
            if sub_bands_taken.contains(&sub_band) || !self.has_room(order) {
                continue;
            }
            match self.turn_of(now, &id, handover) {
                Leaves::Nothing => return,
                Leaves::OtherSubBands => {
                    sub_bands_taken.insert(sub_band);
                    ahead.get_or_insert(id);
                }
                Leaves::ItsPauses => {
                    ahead.get_or_insert(id);
                }
                Leaves::Everything => {}
            }
        }
    }

    /// Campaigns in the order in which they are asked.
    fn in_order(&self) -> Vec<TaskId> {
        let rank = |(id, order): (&TaskId, &Order)| {
            let campaign = order.campaign()?;
            let begins = match campaign.calendar().begin() {
                Begin::AtOnce => None,
                Begin::At(start) => Some(*start),
                Begin::Sessions(sessions) => sessions.first().map(|session| session.start),
                Begin::Unknown => Some(GpsTime::from_us(u64::MAX)),
            };
            let served = match self.turns {
                Turns::InOrder => u64::from(!campaign.has_begun()),
                Turns::Fairly => order.served,
            };
            Some(((served, begins, order.number), id.clone()))
        };
        let mut ranked: Vec<_> = self.orders.iter().filter_map(rank).collect();
        ranked.sort();
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    fn has_room(&self, order: &Order) -> bool {
        order.has_begun() || self.orders.values().filter(|order| order.has_begun()).count() < BEGUN_MAX
    }

    fn turn_of(&mut self, now: Now, id: &TaskId, handover: Handover) -> Leaves {
        let Some(campaign) = self.orders.get_mut(id).and_then(Order::campaign_mut) else {
            return Leaves::Everything;
        };
        let pause = self.paused.get(&campaign.plan().mc_addr.as_u32()).filter(|until| **until > now.mono);
        if let Some(&until) = pause {
            self.wake_by(Some(until));
            self.waiting(now, id, SECOND_SENDER.to_owned());
            return Leaves::Everything;
        }
        let had_begun = campaign.has_begun();
        let turn = Turn {
            handover,
            covered: self.marks.covered(id),
            id: self.air.next_emission,
            not_before: self.air.free_at.get(&campaign.plan().channel.sub_band).copied(),
        };
        let mut step = campaign.step(now, &mut self.scheduler, turn);
        while let Step::OneMoreSession(session) = step {
            campaign.calendar_mut().add_session(session);
            let group = campaign.plan().group.clone();
            let event = Event::SessionAdded { group, start: session.start, exponent: session.exponent };
            self.wants.push_back(Want::Report(Report { at: now.mono, task: Some(id.clone()), event }));
            step = campaign.step(now, &mut self.scheduler, turn);
        }
        if !matches!(step, Step::Blocked(_))
            && let Some(order) = self.orders.get_mut(id)
        {
            order.waiting = None;
        }
        match step {
            Step::Transmit(transmit) => {
                if let Some(order) = self.orders.get_mut(id) {
                    order.served = turn.id;
                }
                self.air.next_emission += 1;
                self.air.last = Some(id.clone());
                self.wants.push_back(Want::Transmit(transmit));
                if !had_begun {
                    self.report(now, Some(id.clone()), Event::Began);
                }
                Leaves::Nothing
            }
            Step::Wait(at) => {
                self.wake_by(at);
                Leaves::ItsPauses
            }
            Step::WaitForAir(at) => {
                self.wake_by(Some(at));
                Leaves::OtherSubBands
            }
            Step::Shut(at) => {
                self.wake_by(Some(at));
                Leaves::Everything
            }
            Step::Blocked(reason) => {
                self.waiting(now, id, reason.to_owned());
                Leaves::Everything
            }
            Step::NeedMark => {
                self.air.holders.insert(id.clone());
                if !self.marks.is_pending_for(id) {
                    self.mark(now);
                }
                Leaves::Nothing
            }
            Step::Over(outcome) => {
                self.finish(now, id, outcome);
                Leaves::Everything
            }
            Step::OneMoreSession(_) => Leaves::Everything,
        }
    }

    pub(super) fn renew_old_mark(&mut self, now: Now) {
        match self.marks.due_at(self.next_numbers()) {
            Some(due) if due <= now.mono => {
                self.mark(now);
            }
            due => self.wake_by(due),
        }
    }

    /// The sum of the next frame numbers of all on the air.
    fn next_numbers(&self) -> u64 {
        let next = |id: &TaskId| self.orders.get(id).and_then(Order::progress);
        self.air.holders.iter().filter_map(next).map(|progress| u64::from(progress.next_k)).sum()
    }

    /// Writes a mark that covers the next frames of the campaigns on the air.
    pub(super) fn mark(&mut self, now: Now) -> u64 {
        let mut minutes = self.scheduler.minutes(now.mono);
        let mut covers = Coverage::new();
        let holders: Vec<TaskId> = match self.stopping {
            Stopping::No => self.air.holders.iter().cloned().collect(),
            _ => Vec::new(),
        };
        for id in holders {
            let Some(campaign) = self.orders.get(&id).and_then(Order::campaign) else { continue };
            let (plan, next_k) = (campaign.plan(), campaign.progress().next_k);
            let spacing_us = plan.pace_uncoded.spacing_us.min(plan.pace_coded.spacing_us);
            let frames = Marks::frames(spacing_us);
            // Nobody's in particular: the law counts it after a power cut, our share does not.
            let total_us = u64::from(frames).saturating_mul(plan.airtime_us);
            minutes.push(MinuteLoad {
                sub_band: plan.channel.sub_band.0,
                age_min: 0,
                ours_us: 0,
                total_us: u32::try_from(total_us).unwrap_or(u32::MAX),
            });
            covers.insert(id, next_k.saturating_add(frames));
        }
        let marked = |(id, order): (&TaskId, &Order)| {
            let Progress { next_k, made_up, .. } = order.progress().filter(|_| order.has_begun())?;
            Some(MarkedCampaign { record: id.record_id(), next_k, made_up })
        };
        let campaigns = self.orders.iter().filter_map(marked).collect();
        let save = self.save(Keep::Mark { clean: covers.is_empty(), campaigns, minutes });
        self.marks.begin(save, now.mono, self.next_numbers(), covers);
        save
    }
}
