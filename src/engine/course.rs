//! The loop of one campaign: what was sent, what devices said to it, and how far that is.

use super::rest::Rest;
use crate::answers::AnswerWindow;
use crate::answers::End;
use crate::answers::GiveUp;
use crate::answers::Next;
use crate::answers::Roll;
use crate::answers::Rounds;
use crate::answers::Sent;
use crate::answers::Session;
use crate::answers::Whom;
use crate::broadcast::Broadcaster;
use crate::campaign::FollowUp;
use crate::campaign::Pause;
use crate::fleet::Fleet;
use crate::fleet::QUESTIONS_ALONE;
use crate::lorawan::Eui64;
use crate::lorawan::KeyFingerprint;
use crate::report::Planned;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeSet;

/// Version 1 knows neither its task nor questions to single devices, version 2 no campaign that goes on with another one.
const VERSIONS: [u8; 3] = [1, 2, 3];

/// What was ordered of the campaign and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordered {
    Send(u16),
    Part(u16),
    Ask(Whom),
}

/// How far a campaign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It sends fragments and questions.
    Sending,
    /// It was sent as far as its sessions allow, which ended like this; devices whose result is open are asked alone, and
    /// those who miss something get one more session.
    Between(End),
    /// It was sent, which ended like this; devices whose result is open are asked alone.
    Asking(End),
    /// Nobody is asked any more.
    Over(End),
}

/// The loop of one campaign.
pub(super) struct Course {
    pub(super) task: TaskId,
    /// FCnt of its first frame, which names it, and NbFrag.
    planned: (u32, u16),
    pub(super) roll: Roll,
    /// What earlier campaigns sent of the fragmentation session, where it goes on with one.
    pub(super) before: Sent,
    /// It is for some devices of its group; the others are not on its roll.
    pub(super) is_for_some: bool,
    pub(super) rounds: Rounds,
    ordered: Option<Ordered>,
    /// Until when answers to the question are waited for.
    pub(super) answers_until: Option<Instant>,
    pub(super) stage: Stage,
    /// GPS seconds at which devices began to be asked alone; 0 while nobody is, and without a clock.
    pub(super) asking_since_s: u32,
    /// Until when they are.
    pub(super) asking_until: Option<Instant>,
    /// What is known of its next session.
    pub(super) rest: Rest,
    /// That is not known yet: a clock will tell how long ago an earlier life began.
    is_until_guessed: bool,
}

impl Course {
    pub(super) fn new(task: TaskId, first_fcnt: u32, session: Session, devices: &[Eui64]) -> Course {
        Course {
            task,
            planned: (first_fcnt, session.nb_frag),
            roll: Roll::new(session, devices.iter().copied()),
            before: Sent::default(),
            is_for_some: false,
            rounds: Rounds::new(),
            ordered: None,
            answers_until: None,
            stage: Stage::Sending,
            asking_since_s: 0,
            asking_until: None,
            rest: Rest::default(),
            is_until_guessed: true,
        }
    }

    /// What was sent of the fragmentation session before a campaign that goes on with it: as the `former` campaign says, else
    /// all that may have been.
    pub(super) fn sent_before(planned: &Planned, former: Option<&Course>, session: &Session) -> Sent {
        if !planned.is_coded_only {
            return Sent::default();
        }
        let last_n = planned.nb_frag.saturating_add(planned.coded_before);
        let is_its = |roll: &&Roll| {
            let of = roll.session();
            (of.nb_frag, of.crc32) == (session.nb_frag, session.crc32) && roll.has_begun()
        };
        let roll = former.map(|course| &course.roll).filter(is_its);
        Sent { last_n, frames: roll.map_or(u32::from(last_n), |roll| roll.sent().frames) }
    }

    /// Whether it is that of this task, whose first frame has this counter.
    pub(super) fn is_of(&self, task: &TaskId, first_fcnt: u32) -> bool {
        self.task == *task && self.planned.0 == first_fcnt
    }

    /// Whether the campaign is sent, or rests and may be sent further.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Sending | Stage::Between(_))
    }

    /// FCnt of its first frame.
    pub(super) fn first_fcnt(&self) -> u32 {
        self.planned.0
    }

    /// Whether something that was ordered was not seen to be sent yet.
    pub(super) fn has_ordered(&self) -> bool {
        self.ordered.is_some()
    }

    /// Takes note of what was ordered and is sent now; whether its answers are in, too.
    pub(super) fn settle(&mut self, now: Now, pause: &Pause, window: AnswerWindow) -> bool {
        self.roll.set_sent(Sent { frames: self.before.frames + pause.sent.frames, ..pause.sent });
        match self.ordered.take() {
            Some(Ordered::Send(fragments)) => self.rounds.sent(fragments),
            Some(Ordered::Part(fragments)) => self.rounds.parted(fragments),
            // The session had no time for it.
            Some(Ordered::Ask(_)) if pause.is_unasked => {}
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
    pub(super) fn follow(
        &mut self,
        broadcaster: &mut Broadcaster,
        pause: &Pause,
        (give_up, is_alone): (&GiveUp, bool),
    ) -> Option<End> {
        if is_alone && (pause.is_shut || self.rounds.is_question_due) {
            return Some(End::Alone);
        }
        if pause.is_shut {
            return Some(if self.roll.is_anybody_open() { End::Session } else { End::Done });
        }
        let give_up = &give_up.with_ordered(pause.spared, pause.airtime_us);
        let (follow_up, ordered) = match self.rounds.next(&self.roll, give_up, pause.room, pause.airtime_us) {
            Next::End(end) => return Some(end),
            Next::Send(fragments) => (FollowUp::Send(fragments), Ordered::Send(fragments)),
            Next::Part(fragments) => (FollowUp::Send(fragments), Ordered::Part(fragments)),
            Next::Ask(_) if is_alone => return Some(End::Alone),
            Next::Ask(whom) => (FollowUp::Ask(whom), Ordered::Ask(whom)),
        };
        if !broadcaster.follow(&self.task, follow_up) {
            return Some(End::Fragments);
        }
        self.ordered = Some(ordered);
        None
    }

    /// So many fragments of it were sent, whose numbers nobody told.
    pub(super) fn set_frames(&mut self, frames: u32) {
        let last_n = frames.saturating_add(u32::from(self.before.last_n)).min(u32::from(u16::MAX)) as u16;
        self.roll.set_sent(Sent { last_n, frames: self.before.frames + frames });
    }

    /// Everything was sent, and why: whoever's result is open is asked alone from now on, for so long at most.
    pub(super) fn ask_alone(&mut self, now: Now, end: End, give_up: &GiveUp) {
        self.roll.ask_each();
        self.stage = Stage::Asking(end);
        self.asking_since_s = now.gps.map_or(0, GpsTime::session_time);
        self.asking_until = Some(now.mono.plus_us(give_up.answers_us));
        self.is_until_guessed = false;
    }

    /// The end of the questions to single devices, where an earlier life began them.
    pub(super) fn resume_asking(&mut self, now: Now, give_up: &GiveUp) {
        if !self.is_until_guessed || !matches!(self.stage, Stage::Asking(_)) {
            return;
        }
        let now_s = now.gps.map(GpsTime::session_time);
        self.is_until_guessed = now_s.is_none() && self.asking_since_s > 0;
        let since_s = Some(self.asking_since_s).filter(|since_s| *since_s > 0).or(now_s);
        let spent_s = now_s.zip(since_s).map_or(0, |(now_s, since_s)| now_s.saturating_sub(since_s));
        let left_us = give_up.answers_us.saturating_sub(u64::from(spent_s) * 1_000_000);
        if self.asking_until.is_none() || !self.is_until_guessed {
            self.asking_until = Some(now.mono.plus_us(left_us));
        }
    }

    /// How often this device may be asked alone, in all.
    pub(super) fn questions(&self, dev_eui: Eui64) -> u8 {
        let is_asking = matches!(self.stage, Stage::Between(_) | Stage::Asking(_));
        let rounds = 1 + u8::try_from(self.rest.further).unwrap_or(u8::MAX - 1);
        if is_asking && self.roll.is_open(dev_eui) { QUESTIONS_ALONE.saturating_mul(rounds) } else { 0 }
    }

    /// The end of the campaign, once nobody is to be asked any more.
    pub(super) fn asked_all(&mut self, now: Now, fleet: &Fleet) -> Option<End> {
        let Stage::Asking(end) = self.stage else { return None };
        let is_late = self.asking_until.is_some_and(|until| until <= now.mono);
        let is_left = |dev_eui: Eui64| !fleet.is_asked_out(dev_eui, self.questions(dev_eui));
        (is_late || !self.roll.each().any(|(dev_eui, _)| is_left(dev_eui))).then_some(end)
    }

    /// What stands before the answers in each record: the campaign, and how far its loop is.
    pub(super) fn head(&self, key: KeyFingerprint) -> Vec<u8> {
        let mut head = vec![VERSIONS[2]];
        head.extend(key.as_bytes());
        head.extend(self.planned.0.to_le_bytes());
        for number in [self.planned.1, self.rounds.questions, self.rounds.extra] {
            head.extend(number.to_le_bytes());
        }
        let Rounds { is_question_due, is_parted, .. } = self.rounds;
        let end = match self.stage {
            Stage::Sending => 0,
            Stage::Between(end) | Stage::Asking(end) | Stage::Over(end) => end.number(),
        };
        let is_over = matches!(self.stage, Stage::Over(_));
        let is_asking = matches!(self.stage, Stage::Asking(_));
        let is_between = matches!(self.stage, Stage::Between(_));
        let flags = [is_question_due, is_parted, is_over, is_asking, self.is_for_some, is_between];
        let flags = flags.into_iter().rev();
        head.push(flags.fold(0, |flags, is_set| flags << 1 | u8::from(is_set)));
        let crc32 = self.roll.session().crc32;
        head.extend([end, u8::from(crc32.is_some())]);
        head.extend(crc32.unwrap_or(0).to_le_bytes());
        head.extend(self.asking_since_s.to_le_bytes());
        head.extend(self.before.frames.to_le_bytes());
        let task = self.task.as_str().as_bytes();
        head.extend((task.len() as u16).to_le_bytes());
        head.extend(task);
        head
    }

    /// Takes over a record, where it is of the same campaign.
    pub(super) fn restore(&mut self, key: KeyFingerprint, bytes: &[u8]) {
        let Some((known, roll)) = Known::read(key, bytes) else { return };
        if known.planned == self.planned {
            self.rounds = known.rounds;
            (self.stage, self.asking_since_s) = (known.stage, known.asking_since_s);
            self.before.frames = known.frames_before;
            self.roll.restore(roll);
        }
    }

    /// The campaign of an earlier life, from its records.
    pub(super) fn of_records<'a>(
        key: KeyFingerprint,
        records: impl Iterator<Item = &'a [u8]> + Clone,
        session: impl Fn(u16, Option<u32>) -> Session,
        devices: &[Eui64],
    ) -> Option<Course> {
        let known = |bytes| Known::read(key, bytes);
        let (task, first) =
            records.clone().filter_map(known).find_map(|(known, _)| Some((known.task.clone()?, known)))?;
        let parts = records.clone().filter_map(known).filter(|(known, _)| known.planned == first.planned);
        let listed: BTreeSet<Eui64> =
            parts.flat_map(|(_, part)| Roll::of_part(part)).map(|(dev_eui, _)| dev_eui).collect();
        let is_on = |dev_eui: &Eui64| !first.is_for_some || listed.contains(dev_eui);
        let devices: Vec<Eui64> = devices.iter().copied().filter(is_on).collect();
        let mut course = Course::new(task, first.planned.0, session(first.planned.1, first.crc32), &devices);
        course.is_for_some = first.is_for_some;
        records.for_each(|bytes| course.restore(key, bytes));
        Some(course)
    }
}

/// What the head of a record says.
pub(super) struct Known {
    planned: (u32, u16),
    rounds: Rounds,
    stage: Stage,
    crc32: Option<u32>,
    asking_since_s: u32,
    frames_before: u32,
    pub(super) is_for_some: bool,
    /// `None` in version 1.
    pub(super) task: Option<TaskId>,
}

impl Known {
    /// The head and what stands behind it.
    pub(super) fn read(key: KeyFingerprint, bytes: &[u8]) -> Option<(Known, &[u8])> {
        let (version, rest) = bytes.split_first()?;
        let is_first = *version == VERSIONS[0];
        if !VERSIONS.contains(version) {
            return None;
        }
        let (head, mut rest) = rest.strip_prefix(key.as_bytes())?.split_first_chunk::<11>()?;
        let [f0, f1, f2, f3, n0, n1, q0, q1, e0, e1, flags] = *head;
        let is = |bit: u8| flags >> bit & 1 == 1;
        let mut known = Known {
            planned: (u32::from_le_bytes([f0, f1, f2, f3]), u16::from_le_bytes([n0, n1])),
            rounds: Rounds {
                questions: u16::from_le_bytes([q0, q1]),
                extra: u16::from_le_bytes([e0, e1]),
                is_question_due: is(0),
                is_parted: is(1),
            },
            stage: if is(2) { Stage::Over(End::Done) } else { Stage::Sending },
            crc32: None,
            asking_since_s: 0,
            frames_before: 0,
            is_for_some: is(4),
            task: None,
        };
        if !is_first {
            let (more, mut behind) = rest.split_first_chunk::<10>()?;
            let [end, has_crc, c0, c1, c2, c3, s0, s1, s2, s3] = *more;
            if *version == VERSIONS[2] {
                let (before, others) = behind.split_first_chunk()?;
                (known.frames_before, behind) = (u32::from_le_bytes(*before), others);
            }
            let (length, behind) = behind.split_first_chunk()?;
            let end = End::from_number(end);
            known.stage = match () {
                () if is(2) => Stage::Over(end),
                () if is(3) => Stage::Asking(end),
                () if is(5) => Stage::Between(end),
                () => Stage::Sending,
            };
            known.crc32 = Some(u32::from_le_bytes([c0, c1, c2, c3])).filter(|_| has_crc != 0);
            known.asking_since_s = u32::from_le_bytes([s0, s1, s2, s3]);
            let (task, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            known.task = core::str::from_utf8(task).ok().and_then(|task| TaskId::new(task).ok());
            rest = behind;
        }
        Some((known, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Habit;
    use crate::answers::Sent;
    use crate::lorawan::PackageVersion;

    #[test]
    fn a_question_that_its_session_had_no_time_for_is_none() {
        let window = AnswerWindow::default();
        let session = Session {
            frag_index: 0,
            nb_frag: 100,
            version: PackageVersion::V1,
            habit: Habit::AsMeant,
            crc32: None,
            window,
        };
        let questions = |is_unasked: bool| {
            let device = Eui64::from_bytes([1; 8]);
            let mut course = Course::new(TaskId::new("lamps-1").unwrap(), 2, session, &[device]);
            course.roll.tell(device);
            course.ordered = Some(Ordered::Ask(Whom::All));
            let pause = Pause {
                sent: Sent { last_n: 130, frames: 130 },
                room: 100,
                spared: 0,
                airtime_us: 100_000,
                is_shut: true,
                opens: None,
                further: Some(0),
                is_cut: false,
                is_unasked,
                last_end: None,
            };
            let now = Now { mono: Instant::ZERO, gps: None };
            assert!(course.settle(now, &pause, window), "the session is over");
            course.rounds.questions
        };
        assert_eq!([false, true].map(questions), [1, 0]);
    }
}
