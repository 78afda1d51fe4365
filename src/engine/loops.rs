//! The loops of campaigns whose devices answer: what was sent, what they said to it, and what follows.

use super::answering::Answering;
use super::course::Course;
use super::fleets::Fleets;
use super::group_loop::GroupLoop;
use super::group_loop::Wish;
use super::io::FleetSettings;
use crate::answers::Expected;
use crate::answers::Roll;
use crate::broadcast::Broadcaster;
use crate::campaign::Group;
use crate::fleet::Fleet;
use crate::lns::Event as Told;
use crate::lorawan::Eui64;
use crate::report::Event;
use crate::report::Report;
use crate::schedule::Scheduler;
use crate::store::FleetRecord;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// The loops of all groups.
#[derive(Default)]
pub(super) struct Loops {
    loops: Vec<GroupLoop>,
    wishes: VecDeque<Wish>,
}

impl Loops {
    /// The loops of groups with a network server, with what their records say.
    pub(super) fn new(settings: &[FleetSettings], groups: &[Group], records: &[FleetRecord]) -> Loops {
        let mut loops = Vec::new();
        for fleet in settings {
            let Some(group) = groups.iter().find(|group| group.name == fleet.group) else { continue };
            loops.push(GroupLoop::new(fleet, group, records));
        }
        Loops { loops, wishes: VecDeque::new() }
    }

    /// The names of their records.
    pub(super) fn record_ids(&self) -> impl Iterator<Item = RecordId> {
        self.loops.iter().flat_map(GroupLoop::record_ids)
    }

    /// The groups of which something was learned, and what is expected of their devices.
    pub(super) fn expected(&self) -> impl Iterator<Item = (&str, Expected)> {
        self.loops.iter().filter_map(|of| Some((of.group.as_str(), of.learned.expected()?)))
    }

    /// The devices of the group's newest campaign and what they hold, once its ordered fragments were sent.
    pub(super) fn roll(&self, group: &str) -> Option<&Roll> {
        let of = self.loops.iter().find(|of| of.group == group)?;
        of.course.as_ref().map(|course| &course.roll).filter(|roll| roll.has_begun())
    }

    /// Each group's newest campaign whose ordered fragments were sent, with what its devices said.
    pub(super) fn answering(&self) -> impl Iterator<Item = Answering<'_>> {
        self.loops.iter().filter_map(|of| Answering::of(&of.group, of.course.as_ref()?))
    }

    /// A campaign was planned: a new one begins, or one of an earlier life goes on. One is over: its devices are asked alone.
    pub(super) fn read(&mut self, now: Now, report: &Report, fleets: &Fleets) {
        let Some(task) = &report.task else { return };
        for of in &mut self.loops {
            match &report.event {
                Event::Planned(planned) if planned.group == of.group => {
                    of.plan(task, planned, &mut self.wishes, now);
                }
                Event::Over(outcome) => {
                    let fleet = fleets.of_group(&of.group);
                    of.end(task, Some(outcome), fleet, &mut self.wishes, now);
                }
                Event::Began | Event::Resumed { .. } => of.begin(task, fleets.of_group(&of.group), now),
                Event::Refused { .. } | Event::AlreadyOver { .. } => {
                    of.end(task, None, None, &mut self.wishes, now);
                }
                _ => {}
            }
        }
    }

    /// A network server told something of a device: its answers are heard before it may be asked.
    pub(super) fn event(&mut self, now: Now, link: usize, event: &Told, fleets: &mut Fleets) {
        for of in self.loops.iter_mut().filter(|of| of.link == link) {
            of.hear(now, event, fleets);
        }
        fleets.event(now, link, event);
    }

    /// Lets each campaign go on that waits for what follows; whether one does.
    pub(super) fn advance<'a>(
        &mut self,
        now: Now,
        broadcaster: &mut Broadcaster,
        scheduler: &Scheduler,
        fleet: impl Fn(&str) -> Option<&'a Fleet>,
    ) -> bool {
        let mut has_moved = false;
        for of in &mut self.loops {
            let Some(fleet) = fleet(&of.group) else { continue };
            has_moved |= of.advance(now, broadcaster, scheduler, fleet, &mut self.wishes);
            of.ask_alone(now, fleet, &mut self.wishes);
        }
        // Nothing follows where nobody hears the answers, as in a plan, or where an earlier life knew the end.
        let is_open = |course: &Course, task: &TaskId| course.task == *task && course.is_open();
        for task in broadcaster.paused(now) {
            let mut courses = self.loops.iter().filter_map(|of| of.course.as_ref());
            if !courses.any(|course| is_open(course, &task)) {
                broadcaster.end_follow_up(&task);
                has_moved = true;
            }
        }
        has_moved
    }

    /// Which devices of the task's group are told the session that comes; `None`: all.
    pub(super) fn listeners(&self, task: &TaskId) -> Option<&BTreeSet<Eui64>> {
        let courses = self.loops.iter().filter_map(|of| of.course.as_ref());
        courses.filter(|course| course.task == *task).find_map(|course| course.rest.listeners.as_ref())
    }

    /// When [`Loops::advance`] wants to be called again although nothing happened.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.loops.iter().filter_map(GroupLoop::wake_at).min()
    }

    /// The next thing that they wish.
    pub(super) fn poll(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }
}
