//! The loop's records, and the questions to single devices of an earlier life.

use super::course::Course;
use super::course::Stage;
use crate::answers::AnswerWindow;
use crate::answers::End;
use crate::answers::GiveUp;
use crate::answers::Habit;
use crate::answers::Holding;
use crate::answers::Roll;
use crate::answers::Rounds;
use crate::answers::Sent;
use crate::answers::Session;
use crate::answers::Whom;
use crate::lorawan::Eui64;
use crate::lorawan::KeyFingerprint;
use crate::lorawan::PackageVersion;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

const KEY: KeyFingerprint = KeyFingerprint::from_bytes([9; 16]);
const DEVICES: [Eui64; 2] = [Eui64::from_bytes([1; 8]), Eui64::from_bytes([2; 8])];
const FIRST_FCNT: u32 = 0x0102_0304;
const GIVE_UP: GiveUp = GiveUp {
    questions: 12,
    airtime_us: None,
    max_behind: None,
    answers_us: 300_000_000,
    further_sessions: 3,
};

fn session(nb_frag: u16, crc32: Option<u32>) -> Session {
    Session {
        frag_index: 0,
        nb_frag,
        version: PackageVersion::V1,
        habit: Habit::AsMeant,
        crc32,
        window: AnswerWindow::default(),
    }
}

fn course(first_fcnt: u32) -> Course {
    Course::new(TaskId::new("lamps-1").unwrap(), first_fcnt, session(100, None), &DEVICES)
}

/// The campaign of an earlier life with this record.
fn of_record(record: &[u8]) -> Option<Course> {
    Course::of_records(KEY, [record].into_iter(), session, &DEVICES)
}

/// What two devices said: the first misses five fragments, the second is silent.
fn roll() -> Roll {
    let mut roll = Roll::new(session(100, None), DEVICES);
    DEVICES.iter().for_each(|device| roll.tell(*device));
    roll.set_sent(Sent { last_n: 130, frames: 130 });
    roll.ask(Whom::All);
    roll.hear(DEVICES[0], 1, &[0x01, 95, 0, 5, 0]).unwrap();
    roll
}

/// A record of version 1: the key, FCnt of the first frame, NbFrag, questions, coded fragments beyond the ordered ones and
/// flags, then what the devices said.
fn version_1(flags: u8) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend([9; 16]);
    bytes.extend([4, 3, 2, 1]);
    bytes.extend([100, 0]);
    bytes.extend([3, 0]);
    bytes.extend([44, 1]);
    bytes.push(flags);
    bytes.extend(roll().parts().next().unwrap());
    bytes
}

fn at(s: u64, has_clock: bool) -> Now {
    let gps = GpsTime::from_us((1_400_000_000 + s) * 1_000_000);
    Now { mono: Instant::from_us(s as i64 * 1_000_000), gps: has_clock.then_some(gps) }
}

#[test]
fn an_upgrade_reads_a_record_of_version_1() {
    for (flags, stage) in [(0b010, Stage::Sending), (0b111, Stage::Over(End::Done))] {
        let mut upgraded = course(FIRST_FCNT);
        upgraded.restore(KEY, &version_1(flags));
        assert_eq!(upgraded.stage, stage);
        let is_question_due = flags & 1 == 1;
        let rounds = Rounds { questions: 3, extra: 300, is_question_due, is_parted: true };
        assert_eq!(upgraded.rounds, rounds);
        let holdings: Vec<Holding> = upgraded.roll.each().map(|(_, holding)| holding).collect();
        assert_eq!(holdings, [Holding::Missing(5), Holding::Unheard]);
        // What it writes from now on is of version 3, and the same.
        let mut written = upgraded.head(KEY);
        assert_eq!(written[0], 3);
        written.extend(upgraded.roll.parts().next().unwrap());
        let mut again = course(FIRST_FCNT);
        again.restore(KEY, &written);
        assert_eq!(
            (again.stage, again.rounds, again.roll.holdings()),
            (stage, rounds, upgraded.roll.holdings())
        );
    }
}

#[test]
fn a_record_of_version_1_is_of_its_campaign_and_key_only_and_names_no_task() {
    let fresh = |first_fcnt: u32, key: KeyFingerprint, bytes: &[u8]| {
        let mut course = course(first_fcnt);
        course.restore(key, bytes);
        course.rounds == Rounds::new() && !course.roll.has_begun()
    };
    let bytes = version_1(0);
    assert!(!fresh(FIRST_FCNT, KEY, &bytes));
    assert!(fresh(FIRST_FCNT + 1, KEY, &bytes));
    assert!(fresh(FIRST_FCNT, KeyFingerprint::from_bytes([8; 16]), &bytes));
    assert!(fresh(FIRST_FCNT, KEY, &[&[4], &bytes[1..]].concat()), "nobody knows version 4");
    (0..28).for_each(|length| assert!(fresh(FIRST_FCNT, KEY, &bytes[..length]), "{length} bytes"));
    // Whoever is asked alone must know for which task.
    assert!(of_record(&bytes).is_none());
}

#[test]
fn an_upgrade_reads_a_record_of_version_2() {
    let mut course = course(FIRST_FCNT);
    course.roll = roll();
    course.ask_alone(at(100, true), End::Questions, &GIVE_UP);
    // Frames of a campaign before, which that version did not know, stood at none.
    let mut record = course.head(KEY);
    record.drain(38..42);
    record[0] = 2;
    record.extend(course.roll.parts().next().unwrap());
    let read = of_record(&record).unwrap();
    assert_eq!(
        (read.stage, &read.task, read.is_for_some),
        (Stage::Asking(End::Questions), &course.task, false)
    );
    assert_eq!(read.asking_since_s, course.asking_since_s);
    assert_eq!(read.roll.holdings(), course.roll.holdings());
}

#[test]
fn a_campaign_that_rests_between_two_sessions_is_one_in_the_next_life() {
    let mut course = course(FIRST_FCNT);
    course.roll = roll();
    for end in [End::Session, End::Done, End::Alone] {
        (course.stage, course.asking_since_s) = (Stage::Between(end), 7);
        let record = [course.head(KEY), course.roll.parts().next().unwrap()].concat();
        let read = of_record(&record).unwrap();
        assert_eq!((read.stage, read.asking_since_s), (Stage::Between(end), 7));
        assert_eq!(read.questions(DEVICES[1]), 5, "it may be asked alone");
    }
}

/// A campaign whose devices are asked alone since second 100, as the next life finds it.
fn next_life(had_clock: bool) -> Course {
    let mut course = course(FIRST_FCNT);
    course.roll = roll();
    course.ask_alone(at(100, had_clock), End::Session, &GIVE_UP);
    let record = [course.head(KEY), course.roll.parts().next().unwrap()].concat();
    let mut resumed = of_record(&record).unwrap();
    resumed.restore(KEY, &record);
    resumed
}

fn asked_until_s(course: &Course) -> Option<u64> {
    course.asking_until.map(|until| until.us_since(Instant::ZERO) / 1_000_000)
}

#[test]
fn a_resumed_life_asks_alone_until_the_moment_that_was_settled_before_it() {
    let mut resumed = next_life(true);
    assert_eq!((resumed.stage, asked_until_s(&resumed)), (Stage::Asking(End::Session), None));
    assert_eq!(resumed.questions(DEVICES[0]), 5, "it may be asked");
    for s in [250, 260, 390] {
        resumed.resume_asking(at(s, true), &GIVE_UP);
        assert_eq!(asked_until_s(&resumed), Some(400), "at {s} s");
    }
    let mut late = next_life(true);
    late.resume_asking(at(5000, true), &GIVE_UP);
    assert_eq!(asked_until_s(&late), Some(5000));
}

#[test]
fn a_clock_that_comes_after_the_start_takes_nothing_from_the_moment_and_adds_nothing() {
    let mut resumed = next_life(true);
    for s in [250, 270] {
        resumed.resume_asking(at(s, false), &GIVE_UP);
        assert_eq!(asked_until_s(&resumed), Some(550), "as long as nobody knows better");
    }
    resumed.resume_asking(at(280, true), &GIVE_UP);
    assert_eq!(asked_until_s(&resumed), Some(400));
    resumed.resume_asking(at(290, false), &GIVE_UP);
    assert_eq!(asked_until_s(&resumed), Some(400));
    // Where no life had a clock each asks for the whole time.
    let mut clockless = next_life(false);
    clockless.resume_asking(at(250, false), &GIVE_UP);
    clockless.resume_asking(at(260, true), &GIVE_UP);
    assert_eq!(asked_until_s(&clockless), Some(550));
}
