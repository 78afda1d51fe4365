//! One group whose devices answer: its newest campaign, and what follows in it.

use super::course::Course;
use super::course::Stage;
use super::fleets::Fleets;
use super::further::Next;
use super::io::FleetSettings;
use super::kept_results::RECORDS_MAX;
use super::kept_results::id;
use super::kept_results::parts_of;
use super::learned::learned_id;
use super::learned::learned_of;
use super::learned::learned_record;
use crate::answers::AnswerWindow;
use crate::answers::End;
use crate::answers::Expected;
use crate::answers::GiveUp;
use crate::answers::Habit;
use crate::answers::Holding;
use crate::answers::Learned;
use crate::answers::Roll;
use crate::answers::Session;
use crate::broadcast::Broadcaster;
use crate::campaign::Group;
use crate::campaign::Pause;
use crate::fleet::DeviceState;
use crate::fleet::Fleet;
use crate::fragment::Ts004Version;
use crate::lns::Event as Told;
use crate::lns::EventKind;
use crate::lorawan::Eui64;
use crate::lorawan::KeyFingerprint;
use crate::lorawan::PackageVersion;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Planned;
use crate::report::Report;
use crate::schedule::Scheduler;
use crate::store::FleetRecord;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use std::collections::VecDeque;

/// So many fragments are expected to make up for lost ones, at most.
const MADE_UP: u16 = 64;
/// What single devices answer is written down so long after the first of their answers, microseconds.
const WRITTEN_AFTER_US: u64 = 5_000_000;

/// What a loop wishes.
pub(super) enum Wish {
    /// Make this record durable.
    Save(FleetRecord),
    /// The operator should know.
    Report(Box<Report>),
    /// This is expected of the devices of the group.
    Expect(String, Expected),
}

/// A group whose devices answer, and its newest campaign.
pub(super) struct GroupLoop {
    pub(super) group: String,
    pub(super) link: usize,
    fport: u8,
    key: KeyFingerprint,
    habit: Habit,
    version: PackageVersion,
    /// `None` where its devices are asked alone only.
    window: Option<AnswerWindow>,
    give_up: GiveUp,
    devices: Vec<Eui64>,
    pub(super) course: Option<Course>,
    /// Campaigns that were planned behind the one that is sent.
    next: VecDeque<(TaskId, Planned)>,
    /// What an earlier life knew of the campaign.
    recovered: Vec<FleetRecord>,
    /// What its campaigns taught of the frames that its devices lose.
    pub(super) learned: Learned,
    /// Fragments of the campaign at most, what makes up for lost ones included.
    most: u16,
    /// Something happened since it was looked at whether somebody is to be asked.
    is_due: bool,
    /// When its records are to be written.
    write_at: Option<Instant>,
    /// The bytes that were written last.
    written: Vec<Vec<u8>>,
}

impl GroupLoop {
    /// The loop of this group, with what its records say.
    pub(super) fn new(fleet: &FleetSettings, group: &Group, records: &[FleetRecord]) -> GroupLoop {
        let key = group.keys.fingerprint();
        let mut of = GroupLoop {
            group: group.name.clone(),
            link: fleet.link,
            fport: group.fport,
            key,
            habit: group.profile.habit,
            version: match group.ts004_version {
                Ts004Version::V1 => PackageVersion::V1,
                Ts004Version::V2 => PackageVersion::V2,
            },
            window: group.answer_window,
            give_up: fleet.rules.give_up,
            devices: fleet.members.iter().map(|member| member.dev_eui).collect(),
            course: None,
            next: VecDeque::new(),
            recovered: parts_of(key, records).cloned().collect(),
            learned: learned_of(key, records),
            most: 0,
            is_due: true,
            write_at: None,
            written: Vec::new(),
        };
        of.recover();
        of
    }

    /// The names of its records.
    pub(super) fn record_ids(&self) -> impl Iterator<Item = RecordId> {
        let key = self.key;
        (0..RECORDS_MAX).map(move |part| id(key, part)).chain([learned_id(key)])
    }

    /// Its network server told something of a device.
    pub(super) fn hear(&mut self, now: Now, event: &Told, fleets: &mut Fleets) {
        self.is_due = true;
        let dev_eui = event.device.dev_eui;
        let Some(course) = &mut self.course else { return };
        match &event.kind {
            EventKind::Up(up) if up.f_port == self.fport => {
                let is_news = course.roll.hear(dev_eui, up.f_cnt, &up.data).is_ok();
                let is_sent = course.stage != Stage::Sending;
                if let Some(until) = course.answers_until.filter(|_| is_news) {
                    let left_us = until.us_since(now.mono);
                    course.roll.came(course.roll.session().window.us().saturating_sub(left_us));
                }
                if is_news && is_sent && fleets.is_asked_alone(&self.group, dev_eui) {
                    course.roll.confirm(dev_eui);
                }
                if is_news && is_sent {
                    self.write_at.get_or_insert(now.mono.plus_us(WRITTEN_AFTER_US));
                }
            }
            EventKind::Join => course.roll.lose(dev_eui),
            _ => {}
        }
        fleets.want_result(&self.group, dev_eui, course.questions(dev_eui));
        let is_done = course.roll.holding(dev_eui) == Some(Holding::Done);
        fleets.holds_image(&self.group, dev_eui, is_done && course.is_open());
    }

    /// When [`GroupLoop::advance`] or [`GroupLoop::ask_alone`] wants to be called again although nothing happened.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let course = self.course.as_ref();
        let asking = course.filter(|course| matches!(course.stage, Stage::Asking(_)));
        let until = course.and_then(|course| course.answers_until);
        let decide_at = course.filter(|course| course.is_open()).and_then(|course| course.rest.decide_at);
        let asking_until = asking.and_then(|course| course.asking_until);
        [until, decide_at, asking_until, self.write_at].into_iter().flatten().min()
    }

    fn session(&self, nb_frag: u16, crc32: Option<u32>) -> Session {
        let (version, habit, window) = (self.version, self.habit, self.window.unwrap_or_default());
        Session { frag_index: 0, nb_frag, version, habit, crc32, window }
    }

    /// The devices of an earlier life's campaign are asked further.
    fn recover(&mut self) {
        let session = |nb_frag, crc32| self.session(nb_frag, crc32);
        let records = self.recovered.iter().map(|record| record.bytes.as_slice());
        let course = Course::of_records(self.key, records, session, &self.devices);
        // A campaign that is still sent is planned anew, and goes on by that where its devices are asked together.
        let is_known = |course: &Course| self.window.is_none() || course.stage != Stage::Sending;
        self.course = course.filter(is_known);
    }

    fn restored(&self, mut course: Course) -> Course {
        self.recovered.iter().for_each(|record| course.restore(self.key, &record.bytes));
        course
    }

    /// A campaign was planned: it is the newest one, or waits for the end of the one before.
    pub(super) fn plan(&mut self, task: &TaskId, planned: &Planned, wishes: &mut VecDeque<Wish>, now: Now) {
        self.next.retain(|(known, _)| known != task);
        if self.course.as_ref().is_some_and(|course| course.is_of(task, planned.first_fcnt)) {
            return;
        }
        let is_other = |course: &&Course| course.task != *task && course.is_open();
        if self.course.as_ref().filter(is_other).is_some() {
            return self.next.push_back((task.clone(), planned.clone()));
        }
        self.finish(wishes, now);
        let session = self.session(planned.nb_frag, planned.crc32);
        let is_on = |dev_eui: &Eui64| planned.only.as_ref().is_none_or(|only| only.contains(dev_eui));
        let devices: Vec<Eui64> = self.devices.iter().copied().filter(is_on).collect();
        let mut course = Course::new(task.clone(), planned.first_fcnt, session, &devices);
        (course.before, course.is_for_some) =
            (Course::sent_before(planned, self.course.as_ref(), &session), planned.only.is_some());
        self.course = Some(self.restored(course));
        let uncoded = if planned.is_coded_only { 0 } else { planned.nb_frag };
        self.most = uncoded.saturating_add(planned.coded).saturating_add(MADE_UP);
    }

    /// The first fragment is on its way. Devices that are not asked together are known from now on, in a later life, too.
    pub(super) fn begin(&mut self, task: &TaskId, fleet: Option<&Fleet>, now: Now) {
        let (most, is_alone) = (self.most, self.window.is_none());
        let course = self.course.as_mut().filter(|course| course.task == *task && is_alone);
        let Some((course, fleet)) = course.zip(fleet) else { return };
        if course.stage == Stage::Sending && most > 0 {
            tell(&mut course.roll, fleet, now);
            course.set_frames(u32::from(most));
            self.write_at = Some(now.mono);
        }
    }

    /// A task is over, or will not be sent: the next one begins.
    pub(super) fn end(
        &mut self,
        task: &TaskId,
        outcome: Option<&Outcome>,
        fleet: Option<&Fleet>,
        wishes: &mut VecDeque<Wish>,
        now: Now,
    ) {
        self.next.retain(|(known, _)| known != task);
        let Some(course) = self.course.as_mut().filter(|course| course.task == *task) else { return };
        if let Stage::Between(end) = course.stage {
            match outcome.and_then(frames) {
                Some(_) => course.ask_alone(now, end, &self.give_up),
                None => course.stage = Stage::Over(end),
            }
            self.save(wishes);
        } else if course.stage == Stage::Sending {
            // Its devices were not asked together, or not to the end.
            let end = if self.window.is_none() { End::Alone } else { End::Session };
            match outcome.and_then(frames) {
                Some(frames) => {
                    if let Some(fleet) = fleet {
                        tell(&mut course.roll, fleet, now);
                    }
                    course.set_frames(frames);
                    course.ask_alone(now, end, &self.give_up);
                    self.save(wishes);
                }
                // An earlier life recorded its end.
                None if end == End::Alone && course.roll.has_begun() => {
                    course.ask_alone(now, end, &self.give_up);
                    self.save(wishes);
                }
                None => course.stage = Stage::Over(end),
            }
        }
        self.is_due = true;
        if let Some((task, planned)) = self.next.pop_front() {
            self.plan(&task, &planned, wishes, now);
        }
    }

    /// Lets its campaign go on where it waits for what follows; whether one does.
    pub(super) fn advance(
        &mut self,
        now: Now,
        broadcaster: &mut Broadcaster,
        scheduler: &Scheduler,
        fleet: &Fleet,
        wishes: &mut VecDeque<Wish>,
    ) -> bool {
        let Some(course) = self.course.as_mut().filter(|course| course.is_open()) else { return false };
        let Some(pause) = broadcaster.pause(now, &course.task) else { return false };
        if course.stage != Stage::Sending {
            return self.rest(now, &pause, (broadcaster, scheduler), fleet, wishes);
        }
        let is_news = course.has_ordered();
        if !course.settle(now, &pause, self.window.unwrap_or_default()) {
            if let Some(until) = course.answers_until.filter(|_| is_news) {
                broadcaster.await_answers(&course.task, until);
            }
            return is_news;
        }
        tell(&mut course.roll, fleet, now);
        if let Some(end) = course.follow(broadcaster, &pause, (&self.give_up, self.window.is_none())) {
            if self.next.is_empty() && course.may_go_on(end, &pause, &self.give_up) {
                course.rest(end, &pause);
            } else {
                broadcaster.end_follow_up(&course.task);
                course.ask_alone(now, end, &self.give_up);
            }
            self.is_due = true;
        }
        self.save(wishes);
        true
    }

    /// A campaign rests between two sessions; whether it went on.
    fn rest(
        &mut self,
        now: Now,
        pause: &Pause,
        (broadcaster, scheduler): (&mut Broadcaster, &Scheduler),
        fleet: &Fleet,
        wishes: &mut VecDeque<Wish>,
    ) -> bool {
        let Some(course) = &mut self.course else { return false };
        if broadcaster.is_paused(&course.task) {
            return false;
        }
        let is_new = course.rest.decide_at.is_none();
        let looks = (core::mem::take(&mut self.is_due), self.next.is_empty());
        match course.rest_on(now, pause, (fleet, &self.give_up), (broadcaster, scheduler), looks) {
            // From when on devices are asked alone is known to a later life.
            Next::Wait if is_new && course.rest.decide_at.is_some() => {}
            Next::Wait => return false,
            Next::Sending => {}
            Next::Session(devices, session) => {
                let (start, exponent) = (session.start, session.exponent);
                let event = Event::FurtherSession { group: self.group.clone(), devices, start, exponent };
                let report = Report { at: now.mono, task: Some(course.task.clone()), event };
                wishes.push_back(Wish::Report(Box::new(report)));
            }
            Next::End(end) => {
                broadcaster.end_follow_up(&course.task);
                course.ask_alone(now, end, &self.give_up);
                self.is_due = true;
            }
        }
        self.save(wishes);
        true
    }

    /// Ends a campaign whose devices were all asked, and writes down what they said.
    pub(super) fn ask_alone(&mut self, now: Now, fleet: &Fleet, wishes: &mut VecDeque<Wish>) {
        if let Some(course) = &mut self.course {
            course.resume_asking(now, &self.give_up);
            let is_late = course.asking_until.is_some_and(|until| until <= now.mono);
            if (core::mem::take(&mut self.is_due) || is_late) && course.asked_all(now, fleet).is_some() {
                self.finish(wishes, now);
            }
        }
        if self.write_at.is_some_and(|at| at <= now.mono) {
            self.save(wishes);
        }
    }

    /// Nobody is asked any more: the campaign's results are final.
    fn finish(&mut self, wishes: &mut VecDeque<Wish>, now: Now) {
        let Some(course) = &mut self.course else { return };
        let Stage::Asking(end) = course.stage else { return };
        let (holdings, questions) = (course.roll.holdings(), course.rounds.questions);
        let is_known = holdings.missing + holdings.unheard == 0 && end != End::Alone;
        let end = if is_known { End::Done } else { end };
        course.stage = Stage::Over(end);
        let event = Event::Answered { holdings, questions, end };
        let report = Report { at: now.mono, task: Some(course.task.clone()), event };
        wishes.push_back(Wish::Report(Box::new(report)));
        self.save(wishes);
    }

    /// Writes down what is known of the campaign and was not written yet.
    fn save(&mut self, wishes: &mut VecDeque<Wish>) {
        self.write_at = None;
        self.learn(wishes);
        let Some(course) = &self.course else { return };
        let head = course.head(self.key);
        let parts: Vec<Vec<u8>> =
            course.roll.parts().take(RECORDS_MAX).map(|roll| [&head[..], &roll].concat()).collect();
        for (part, bytes) in parts.iter().enumerate() {
            if self.written.get(part) != Some(bytes) {
                wishes.push_back(Wish::Save(FleetRecord { id: id(self.key, part), bytes: bytes.clone() }));
            }
        }
        self.written = parts;
    }

    /// What a campaign that was sent tells of the losses counts for the next plan. It is on the disk before the campaign's own
    /// record says that it is over: whoever dies between the two learns the same once more, of the same campaign.
    fn learn(&mut self, wishes: &mut VecDeque<Wish>) {
        let is_sent = |course: &&Course| self.window.is_some() && course.stage != Stage::Sending;
        let Some(course) = self.course.as_ref().filter(is_sent) else { return };
        let Some(loss) = course.roll.loss() else { return };
        let before = self.learned.clone();
        self.learned.learn(course.first_fcnt(), loss);
        if self.learned != before {
            wishes.push_back(Wish::Save(learned_record(self.key, &self.learned)));
            let expected = self.learned.expected();
            wishes.extend(expected.map(|expected| Wish::Expect(self.group.clone(), expected)));
        }
    }
}

/// What the fleet knows of each device counts before the first question.
fn tell(roll: &mut Roll, fleet: &Fleet, now: Now) {
    for (dev_eui, state) in fleet.states(now) {
        match state {
            DeviceState::Told | DeviceState::Proved => roll.tell(dev_eui),
            DeviceState::LostState => roll.lose(dev_eui),
            _ => {}
        }
    }
}

/// Frames of a campaign that was sent as far as it could be, at most.
fn frames(outcome: &Outcome) -> Option<u32> {
    match outcome {
        Outcome::Complete(account) | Outcome::Short(account) => Some(account.sent + account.unanswered),
        Outcome::OutOfSession { planned, .. } => Some(*planned),
        Outcome::Cancelled { .. } | Outcome::Aborted { .. } => None,
    }
}
