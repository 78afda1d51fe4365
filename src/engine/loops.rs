//! The loops of campaigns whose devices answer: what was sent, what they said to it, and what follows.

use super::io::FleetSettings;
use crate::answers::AnswerWindow;
use crate::answers::End;
use crate::answers::GiveUp;
use crate::answers::Habit;
use crate::answers::Next;
use crate::answers::Roll;
use crate::answers::Rounds;
use crate::answers::Session;
use crate::answers::Whom;
use crate::broadcast::Broadcaster;
use crate::campaign::FollowUp;
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
use crate::report::Planned;
use crate::report::Report;
use crate::store::FleetRecord;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use sha2::Digest;
use sha2::Sha256;
use std::collections::VecDeque;

const VERSION: u8 = 1;
/// Records of one group, at most: they hold 200 devices each.
const RECORDS_MAX: usize = 32;

/// What was ordered of the campaign and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordered {
    Send(u16),
    Part(u16),
    Ask(Whom),
}

/// The loop of one campaign.
struct Course {
    task: TaskId,
    planned: (u32, u16),
    roll: Roll,
    rounds: Rounds,
    ordered: Option<Ordered>,
    /// Until when answers to the question are waited for.
    answers_until: Option<Instant>,
    is_over: bool,
}

/// A group whose devices answer, and its newest campaign.
struct GroupLoop {
    group: String,
    link: usize,
    fport: u8,
    key: KeyFingerprint,
    habit: Habit,
    version: PackageVersion,
    window: AnswerWindow,
    give_up: GiveUp,
    devices: Vec<Eui64>,
    course: Option<Course>,
    /// What an earlier life knew of the campaign.
    recovered: Vec<FleetRecord>,
}

/// What the loops wish.
pub(super) enum Wish {
    /// Make this record durable.
    Save(FleetRecord),
    /// The operator should know.
    Report(Box<Report>),
}

/// The loops of all groups.
#[derive(Default)]
pub(super) struct Loops {
    loops: Vec<GroupLoop>,
    wishes: VecDeque<Wish>,
}

impl Loops {
    /// The loops of those groups whose answers are heard, with what their records say.
    pub(super) fn new(settings: &[FleetSettings], groups: &[Group], records: &[FleetRecord]) -> Loops {
        let mut loops = Vec::new();
        for fleet in settings {
            let Some(group) = groups.iter().find(|group| group.name == fleet.group) else { continue };
            let Some(window) = group.answer_window else { continue };
            let key = group.keys.fingerprint();
            let is_its = |record: &&FleetRecord| (0..RECORDS_MAX).any(|part| id(key, part) == record.id);
            loops.push(GroupLoop {
                group: group.name.clone(),
                link: fleet.link,
                fport: group.fport,
                key,
                habit: group.profile.habit,
                version: match group.ts004_version {
                    Ts004Version::V1 => PackageVersion::V1,
                    Ts004Version::V2 => PackageVersion::V2,
                },
                window,
                give_up: fleet.rules.give_up,
                devices: fleet.members.iter().map(|member| member.dev_eui).collect(),
                course: None,
                recovered: records.iter().filter(is_its).cloned().collect(),
            });
        }
        Loops { loops, wishes: VecDeque::new() }
    }

    /// The names of their records.
    pub(super) fn record_ids(&self) -> impl Iterator<Item = RecordId> {
        self.loops.iter().flat_map(|of| (0..RECORDS_MAX).map(|part| id(of.key, part)))
    }

    /// The devices of the group's newest campaign and what they hold, once its ordered fragments were sent.
    pub(super) fn roll(&self, group: &str) -> Option<&Roll> {
        let of = self.loops.iter().find(|of| of.group == group)?;
        of.course.as_ref().map(|course| &course.roll).filter(|roll| roll.has_begun())
    }

    /// A campaign was planned: a new one begins, or one of an earlier life goes on.
    pub(super) fn read(&mut self, report: &Report) {
        let (Some(task), Event::Planned(planned)) = (&report.task, &report.event) else { return };
        if let Some(of) = self.loops.iter_mut().find(|of| of.group == planned.group) {
            of.begin(task, planned);
        }
    }

    /// A network server told something of a device.
    pub(super) fn event(&mut self, link: usize, event: &Told) {
        let dev_eui = event.device.dev_eui;
        for of in self.loops.iter_mut().filter(|of| of.link == link) {
            let fport = of.fport;
            let Some(course) = &mut of.course else { continue };
            match &event.kind {
                EventKind::Up(up) if up.f_port == fport => {
                    let is_news = course.roll.hear(dev_eui, up.f_cnt, &up.data).is_ok();
                    if is_news && course.is_over {
                        of.save(&mut self.wishes);
                    }
                }
                EventKind::Join => course.roll.lose(dev_eui),
                _ => {}
            }
        }
    }

    /// Lets each campaign go on that waits for what follows; whether one does.
    pub(super) fn advance<'a>(
        &mut self,
        now: Now,
        broadcaster: &mut Broadcaster,
        fleet: impl Fn(&str) -> Option<&'a Fleet>,
    ) -> bool {
        let mut has_moved = false;
        for of in &mut self.loops {
            let Some(fleet) = fleet(&of.group) else { continue };
            has_moved |= of.advance(now, broadcaster, fleet, &mut self.wishes);
        }
        // Nothing follows where nobody hears the answers, as in a plan, or where an earlier life knew the end.
        let is_open = |course: &Course, task: &TaskId| course.task == *task && !course.is_over;
        for task in broadcaster.paused(now) {
            let mut courses = self.loops.iter().filter_map(|of| of.course.as_ref());
            if !courses.any(|course| is_open(course, &task)) {
                broadcaster.end_follow_up(&task);
                has_moved = true;
            }
        }
        has_moved
    }

    /// When [`Loops::advance`] wants to be called again although nothing happened.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.loops.iter().filter_map(|of| of.course.as_ref()?.answers_until).min()
    }

    /// The next thing that they wish.
    pub(super) fn poll(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }
}

impl GroupLoop {
    fn begin(&mut self, task: &TaskId, planned: &Planned) {
        let is_same = |course: &Course| course.task == *task && course.planned.0 == planned.first_fcnt;
        if self.course.as_ref().is_some_and(is_same) {
            return;
        }
        let session = Session {
            frag_index: 0,
            nb_frag: planned.nb_frag,
            version: self.version,
            habit: self.habit,
            crc32: planned.crc32,
            window: self.window,
        };
        let mut course = Course {
            task: task.clone(),
            planned: (planned.first_fcnt, planned.nb_frag),
            roll: Roll::new(session, self.devices.iter().copied()),
            rounds: Rounds::new(),
            ordered: None,
            answers_until: None,
            is_over: false,
        };
        for record in &self.recovered {
            course.restore(self.key, &record.bytes);
        }
        self.course = Some(course);
    }

    fn advance(
        &mut self,
        now: Now,
        broadcaster: &mut Broadcaster,
        fleet: &Fleet,
        wishes: &mut VecDeque<Wish>,
    ) -> bool {
        let Some(course) = self.course.as_mut().filter(|course| !course.is_over) else { return false };
        let Some(pause) = broadcaster.pause(now, &course.task) else { return false };
        let is_news = course.ordered.is_some();
        if !course.settle(now, &pause, self.window) {
            if let Some(until) = course.answers_until.filter(|_| is_news) {
                broadcaster.await_answers(&course.task, until);
            }
            return is_news;
        }
        for (dev_eui, state) in fleet.states(now) {
            match state {
                DeviceState::Told | DeviceState::Proved => course.roll.tell(dev_eui),
                DeviceState::LostState => course.roll.lose(dev_eui),
                _ => {}
            }
        }
        let end = course.follow(broadcaster, &pause, &self.give_up);
        if let Some(end) = end {
            course.is_over = true;
            broadcaster.end_follow_up(&course.task);
            let (holdings, questions) = (course.roll.holdings(), course.rounds.questions);
            let event = Event::Answered { holdings, questions, end };
            let report = Report { at: now.mono, task: Some(course.task.clone()), event };
            wishes.push_back(Wish::Report(Box::new(report)));
        }
        self.save(wishes);
        true
    }

    /// Writes down what is known of the campaign.
    fn save(&self, wishes: &mut VecDeque<Wish>) {
        let Some(course) = &self.course else { return };
        let parts = course.roll.parts().take(RECORDS_MAX);
        for (part, bytes) in parts.enumerate() {
            let bytes = [course.head(self.key), bytes].concat();
            wishes.push_back(Wish::Save(FleetRecord { id: id(self.key, part), bytes }));
        }
    }
}

impl Course {
    /// Takes note of what was ordered and is sent now; whether its answers are in, too.
    fn settle(&mut self, now: Now, pause: &Pause, window: AnswerWindow) -> bool {
        self.roll.set_sent(pause.sent);
        match self.ordered.take() {
            Some(Ordered::Send(fragments)) => self.rounds.sent(fragments),
            Some(Ordered::Part(fragments)) => self.rounds.parted(fragments),
            Some(Ordered::Ask(whom)) => {
                self.roll.ask(whom);
                let end = pause.last_end.unwrap_or(now.mono).max(now.mono);
                self.answers_until = Some(end.plus_us(window.us()));
            }
            None => {}
        }
        match self.answers_until {
            Some(until) if until > now.mono && !pause.is_shut && self.roll.is_answer_due() => false,
            Some(_) => {
                self.answers_until = None;
                self.roll.close();
                self.rounds.asked();
                true
            }
            None => true,
        }
    }

    /// Orders what follows; why nothing does.
    fn follow(&mut self, broadcaster: &mut Broadcaster, pause: &Pause, give_up: &GiveUp) -> Option<End> {
        if pause.is_shut {
            return Some(End::Session);
        }
        let (follow_up, ordered) = match self.rounds.next(&self.roll, give_up, pause.room, pause.airtime_us) {
            Next::End(end) => return Some(end),
            Next::Send(fragments) => (FollowUp::Send(fragments), Ordered::Send(fragments)),
            Next::Part(fragments) => (FollowUp::Send(fragments), Ordered::Part(fragments)),
            Next::Ask(whom) => (FollowUp::Ask(whom), Ordered::Ask(whom)),
        };
        if !broadcaster.follow(&self.task, follow_up) {
            return Some(End::Fragments);
        }
        self.ordered = Some(ordered);
        None
    }

    /// What stands before the answers in each record: the campaign, and how far its loop is.
    fn head(&self, key: KeyFingerprint) -> Vec<u8> {
        let mut head = vec![VERSION];
        head.extend(key.as_bytes());
        head.extend(self.planned.0.to_le_bytes());
        for number in [self.planned.1, self.rounds.questions, self.rounds.extra] {
            head.extend(number.to_le_bytes());
        }
        let Rounds { is_question_due, is_parted, .. } = self.rounds;
        head.push(u8::from(is_question_due) | u8::from(is_parted) << 1 | u8::from(self.is_over) << 2);
        head
    }

    /// Takes over a record of the same campaign.
    fn restore(&mut self, key: KeyFingerprint, bytes: &[u8]) {
        let mut same = vec![VERSION];
        same.extend(key.as_bytes());
        same.extend(self.planned.0.to_le_bytes());
        same.extend(self.planned.1.to_le_bytes());
        let Some((head, roll)) = bytes.strip_prefix(&same[..]).and_then(<[u8]>::split_first_chunk) else {
            return;
        };
        let &[q0, q1, e0, e1, flags] = head;
        let is = |bit: u8| flags >> bit & 1 == 1;
        self.rounds = Rounds {
            questions: u16::from_le_bytes([q0, q1]),
            extra: u16::from_le_bytes([e0, e1]),
            is_question_due: is(0),
            is_parted: is(1),
        };
        self.is_over = is(2);
        self.roll.restore(roll);
    }
}

/// The name of a part of the record of the group with this key.
fn id(key: KeyFingerprint, part: usize) -> RecordId {
    let hash = Sha256::new()
        .chain_update(b"fuotad answers record")
        .chain_update(key.as_bytes())
        .chain_update((part as u64).to_le_bytes())
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    RecordId(id)
}
