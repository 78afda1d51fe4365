//! Answers of one device, told one by one.

use super::habit::Habit;
use super::holding::Failure;
use super::holding::Holding;
use super::lost::CampaignLoss;
use super::roll::Disbelief;
use super::roll::Roll;
use super::rounds::GiveUp;
use super::rounds::Next;
use super::rounds::Rounds;
use super::session::Sent;
use super::session::Session;
use super::session::Whom;
use super::window::AnswerWindow;
use crate::lorawan::Eui64;
use crate::lorawan::PackageVersion;

const DEVICE: Eui64 = Eui64::from_bytes([7; 8]);
const STRANGER: Eui64 = Eui64::from_bytes([8; 8]);
/// M = 100, 30 coded ones sent.
const SENT: Sent = Sent { last_n: 130, frames: 131 };

fn session(habit: Habit, version: PackageVersion) -> Session {
    Session {
        frag_index: 0,
        nb_frag: 100,
        version,
        habit,
        crc32: Some(0xcbf4_3926),
        window: AnswerWindow::default(),
    }
}

/// A told device that was asked after [`SENT`].
fn asked_of(session: Session) -> Roll {
    let mut roll = Roll::new(session, [DEVICE]);
    roll.tell(DEVICE);
    roll.set_sent(SENT);
    roll.ask(Whom::All);
    roll
}

fn asked(habit: Habit) -> Roll {
    asked_of(session(habit, PackageVersion::V1))
}

/// FragSessionStatusAns of version 1.
fn v1(received: u16, missing: u8) -> Vec<u8> {
    let [low, high] = received.to_le_bytes();
    vec![0x01, low, high, missing, 0]
}

/// What the device holds after these answers.
fn after(habit: Habit, answers: &[Vec<u8>]) -> Holding {
    let mut roll = asked(habit);
    for (f_cnt, answer) in (1..).zip(answers) {
        let _ = roll.hear(DEVICE, f_cnt, answer);
    }
    roll.holding(DEVICE).unwrap()
}

#[test]
fn silence_is_never_an_image() {
    let mut roll = Roll::new(session(Habit::AsMeant, PackageVersion::V1), [DEVICE]);
    assert_eq!(roll.holding(DEVICE), Some(Holding::NotTold));
    roll.tell(DEVICE);
    roll.set_sent(SENT);
    for _ in 0..10 {
        roll.ask(Whom::All);
    }
    assert_eq!(roll.holding(DEVICE), Some(Holding::Unheard));
    assert!(!roll.is_anybody_awaited(None), "but it is not asked for ever");
}

#[test]
fn the_same_numbers_are_a_proof_from_one_stack_and_a_hint_from_another() {
    let nothing_missing = [v1(104, 0)];
    assert_eq!(after(Habit::AsMeant, &nothing_missing), Holding::Done);
    assert_eq!(after(Habit::Lbm, &nothing_missing), Holding::Done);
    assert_eq!(after(Habit::Unknown, &nothing_missing), Holding::Probably);
    // Zephyr has received four more than NbFrag, repeats among them.
    assert_eq!(after(Habit::Zephyr, &nothing_missing), Holding::Missing(5));
    assert_eq!(after(Habit::Zephyr, &[v1(109, 0)]), Holding::Probably);
}

#[test]
fn loramac_node_counts_high_byte_first_and_is_complete_on_a_coded_fragment_only() {
    let answer = |last: u16, lost: u8| [v1(last.swap_bytes(), lost)];
    assert_eq!(after(Habit::LoRaMacNode, &answer(100, 0)), Holding::Missing(1));
    assert_eq!(after(Habit::LoRaMacNode, &answer(101, 0)), Holding::Done);
    assert_eq!(after(Habit::LoRaMacNode, &answer(60, 2)), Holding::Missing(42));
    assert_eq!(after(Habit::LoRaMacNode, &answer(129, 60)), Holding::Missing(49));
    // It says for ever that three are missing, but counts no more.
    let mut roll = asked(Habit::LoRaMacNode);
    for (f_cnt, frames) in [(1, 131), (2, 154), (3, 155)] {
        roll.set_sent(Sent { last_n: 200, frames });
        roll.ask(Whom::All);
        roll.hear(DEVICE, f_cnt, &answer(104, 3)[0]).unwrap();
        let is_still = frames == 155;
        assert_eq!(roll.holding(DEVICE) == Some(Holding::Probably), is_still, "after {frames} frames");
    }
}

#[test]
fn what_a_lossless_lbm_misses_for_ever_is_not_believed_for_ever() {
    let mut roll = asked(Habit::Lbm);
    roll.hear(DEVICE, 1, &v1(100, 1)).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::Missing(1)));
    roll.set_sent(Sent { last_n: 160, frames: 161 });
    roll.ask(Whom::All);
    roll.hear(DEVICE, 2, &v1(100, 1)).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::Probably));
    // It hears again: it was not over.
    roll.hear(DEVICE, 3, &v1(103, 1)).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::Missing(1)));
}

#[test]
fn two_hundred_and_fifty_six_missing_ones_do_not_look_like_none() {
    let large = Session { nb_frag: 1000, ..session(Habit::Lbm, PackageVersion::V1) };
    let mut roll = Roll::new(large, [DEVICE]);
    roll.tell(DEVICE);
    // 744 of 1000 uncoded ones came.
    roll.set_sent(Sent { last_n: 1000, frames: 1000 });
    roll.ask(Whom::All);
    roll.hear(DEVICE, 1, &v1(744, 0)).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::Missing(256)));
    // Nothing is missing, or it lost 400 of the 1000, of which 360 of 600 coded ones should have mended most.
    roll.set_sent(Sent { last_n: 1600, frames: 1600 });
    roll.ask(Whom::All);
    roll.hear(DEVICE, 2, &v1(1200, 0)).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::Probably));
}

#[test]
fn version_2_tells_its_verdict_unasked_and_a_wrong_mic_is_no_missing_fragment() {
    let v2 = session(Habit::Unknown, PackageVersion::V2);
    let verdict = |payload: &[u8]| {
        let mut roll = Roll::new(v2, [DEVICE]);
        roll.tell(DEVICE);
        roll.set_sent(SENT);
        roll.hear(DEVICE, 1, payload).unwrap();
        roll.ask(Whom::All);
        // What LBM answers for ever when nothing was lost.
        roll.hear(DEVICE, 2, &[0x01, 0, 100, 0, 1]).unwrap();
        roll.holding(DEVICE).unwrap()
    };
    assert_eq!(verdict(&[0x04, 0x00]), Holding::Done);
    assert_eq!(verdict(&[0x04, 0x04]), Holding::Failed(Failure::Mic));
    let mut roll = asked_of(Session { habit: Habit::Lbm, ..v2 });
    roll.hear(DEVICE, 1, &[0x01, 0x02, 104, 0, 0]).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::Failed(Failure::Mic)));
    let mut roll = asked_of(Session { habit: Habit::Lbm, ..v2 });
    roll.hear(DEVICE, 1, &[0x01, 0x06, 0, 0, 0]).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::LostState));
}

#[test]
fn the_checksum_of_the_demonstration_counts_by_profile() {
    let report = |crc: u32| [&[0x05][..], &crc.to_le_bytes()].concat();
    assert_eq!(after(Habit::LoRaMacNode, &[report(0xcbf4_3926)]), Holding::Done);
    assert_eq!(after(Habit::LoRaMacNode, &[report(1)]), Holding::Failed(Failure::Crc));
    assert_eq!(after(Habit::Lbm, &[report(0xcbf4_3926)]), Holding::Unheard);
    // Its status says for ever how many it lost.
    let done = [report(0xcbf4_3926), v1(104_u16.swap_bytes(), 4)];
    assert_eq!(after(Habit::LoRaMacNode, &done), Holding::Done);
}

#[test]
fn a_decoder_without_memory_has_failed() {
    for habit in [Habit::Unknown, Habit::AsMeant, Habit::LoRaMacNode, Habit::Lbm, Habit::Zephyr] {
        let counts: u16 = if habit == Habit::LoRaMacNode { 90_u16.swap_bytes() } else { 90 };
        let mut answer = v1(counts, 10);
        answer[4] = 1;
        assert_eq!(after(habit, &[answer]), Holding::Failed(Failure::Memory), "{habit:?}");
    }
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let refused = |habit, received, missing| {
        let mut roll = asked(habit);
        let why = roll.hear(DEVICE, 1, &v1(received, missing)).unwrap_err();
        assert_eq!(roll.holding(DEVICE), Some(Holding::Unheard));
        why
    };
    assert_eq!(refused(Habit::AsMeant, 132, 0), Disbelief::MoreThanSent);
    assert_eq!(refused(Habit::AsMeant, 90, 101), Disbelief::MoreThanSent);
    assert_eq!(refused(Habit::AsMeant, 90, 9), Disbelief::Contradiction);
    assert_eq!(refused(Habit::Lbm, 131, 0), Disbelief::MoreThanSent);
    assert_eq!(refused(Habit::Lbm, 110, 21), Disbelief::Contradiction);
    assert_eq!(refused(Habit::Zephyr, 90, 9), Disbelief::Contradiction);
    assert_eq!(refused(Habit::LoRaMacNode, 131_u16.swap_bytes(), 0), Disbelief::MoreThanSent);
    assert_eq!(refused(Habit::Unknown, 0x0201, 0), Disbelief::MoreThanSent);
    // FragIndex 1.
    assert_eq!(refused(Habit::AsMeant, 1 << 14 | 104, 0), Disbelief::OtherSession);
}

#[test]
fn strangers_old_uplinks_and_answers_that_nobody_asked_for_are_refused() {
    let mut roll = Roll::new(session(Habit::AsMeant, PackageVersion::V1), [DEVICE]);
    roll.set_sent(SENT);
    assert_eq!(roll.hear(STRANGER, 1, &v1(104, 0)), Err(Disbelief::Stranger));
    assert_eq!(roll.hear(DEVICE, 1, &v1(104, 0)), Err(Disbelief::NotAsked));
    roll.ask(Whom::All);
    assert_eq!(roll.hear(DEVICE, 2, &v1(104, 0)), Err(Disbelief::NotTold));
    roll.tell(DEVICE);
    roll.hear(DEVICE, 5, &v1(96, 4)).unwrap();
    assert_eq!(roll.hear(DEVICE, 5, &v1(104, 0)), Err(Disbelief::Old), "a doubled uplink");
    assert_eq!(roll.hear(DEVICE, 4, &v1(104, 0)), Err(Disbelief::Old), "an overtaken one");
    assert_eq!(roll.holding(DEVICE), Some(Holding::Missing(4)));
    // Before the last uncoded fragment nobody is complete.
    let mut early = Roll::new(session(Habit::Unknown, PackageVersion::V2), [DEVICE]);
    early.tell(DEVICE);
    early.set_sent(Sent { last_n: 99, frames: 99 });
    assert_eq!(early.hear(DEVICE, 1, &[0x04, 0x00]), Err(Disbelief::MoreThanSent));
}

#[test]
fn who_says_done_and_then_missing_is_not_done() {
    assert_eq!(after(Habit::AsMeant, &[v1(104, 0), v1(96, 4)]), Holding::Missing(4));
    assert_eq!(after(Habit::AsMeant, &[v1(96, 4), v1(104, 0)]), Holding::Done);
}

#[test]
fn a_restart_after_the_first_fragment_loses_the_session_but_no_image() {
    let mut roll = asked(Habit::AsMeant);
    roll.hear(DEVICE, 9, &v1(96, 4)).unwrap();
    roll.lose(DEVICE);
    assert_eq!(roll.holding(DEVICE), Some(Holding::LostState));
    assert_eq!((roll.demand(None), roll.is_anybody_awaited(None)), (0, false));
    // Its counter of uplinks begins anew.
    roll.hear(DEVICE, 0, &v1(0, 0)).unwrap();
    assert_eq!(roll.holding(DEVICE), Some(Holding::LostState));
    let mut done = asked(Habit::AsMeant);
    done.hear(DEVICE, 9, &v1(104, 0)).unwrap();
    done.lose(DEVICE);
    assert_eq!(done.holding(DEVICE), Some(Holding::Done));
}

#[test]
fn the_demand_is_the_worst_devices_and_falls_with_what_was_sent_since() {
    let devices = [1, 2, 3].map(|byte| Eui64::from_bytes([byte; 8]));
    let mut roll = Roll::new(session(Habit::AsMeant, PackageVersion::V1), devices);
    devices.iter().for_each(|dev_eui| roll.tell(*dev_eui));
    roll.set_sent(SENT);
    roll.ask(Whom::All);
    for (dev_eui, missing) in devices.into_iter().zip([3, 30, 0]) {
        roll.hear(dev_eui, 1, &v1(110 - missing, missing as u8)).unwrap();
    }
    let demand = roll.demand(None);
    assert!((38..=60).contains(&demand), "{demand}");
    assert!((3..15).contains(&roll.demand(Some(29))), "{}", roll.demand(Some(29)));
    roll.set_sent(Sent { last_n: SENT.last_n + 20, frames: SENT.frames + 20 });
    assert_eq!(roll.demand(None), demand - 20);
}

#[test]
fn answers_are_the_same_after_they_were_on_disk() {
    let device = |number: u64| Eui64::from_bytes(number.to_be_bytes());
    let of_lbm = session(Habit::Lbm, PackageVersion::V2);
    let mut roll = Roll::new(of_lbm, (0..401).map(device));
    roll.set_sent(SENT);
    (1..401).for_each(|number| roll.tell(device(number)));
    roll.ask(Whom::All);
    let answers: [&[u8]; 4] = [&[1, 0, 96, 0, 4], &[1, 1, 96, 0, 9], &[4, 0], &[1, 4]];
    for (number, answer) in (1..).zip(answers) {
        roll.hear(device(number), 70_000, answer).unwrap();
    }
    roll.lose(device(400));
    let parts: Vec<Vec<u8>> = roll.parts().collect();
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.len() < 8000));
    let mut again = Roll::new(of_lbm, (0..401).map(device));
    parts.iter().for_each(|part| again.restore(part));
    assert_eq!((again.parts().collect::<Vec<_>>(), again.holdings()), (parts.clone(), roll.holdings()));
    let mut other = Roll::new(of_lbm, (0..401).map(device));
    parts.iter().for_each(|part| other.restore(&[&[9], &part[1..]].concat()));
    assert_eq!(other.holdings().not_told, 401);
}

#[test]
fn answers_of_an_earlier_release_are_read_without_what_was_lost() {
    let mut roll = asked(Habit::AsMeant);
    roll.hear(DEVICE, 70_000, &v1(95, 7)).unwrap();
    let part = roll.parts().next().unwrap();
    // Version 1 ended each device four bytes earlier.
    let old = [&[1], &part[1..part.len() - 4]].concat();
    let restored = |bytes: &[u8]| {
        let mut again = Roll::new(*roll.session(), [DEVICE]);
        again.restore(bytes);
        again
    };
    assert_eq!(restored(&old).holding(DEVICE), Some(Holding::Missing(7)));
    assert_eq!((restored(&old).loss(), restored(&part).loss()), (None, roll.loss()));
    assert!(roll.loss().is_some());
}

#[test]
fn a_campaign_tells_what_its_devices_lost_before_they_were_mended() {
    let devices = [1, 2, 3].map(|byte| Eui64::from_bytes([byte; 8]));
    let mut roll = Roll::new(session(Habit::AsMeant, PackageVersion::V1), devices);
    assert_eq!(roll.loss(), None);
    devices.iter().for_each(|device| roll.tell(*device));
    roll.set_sent(SENT);
    roll.ask(Whom::All);
    roll.hear(devices[0], 1, &v1(102, 0)).unwrap();
    assert_eq!(roll.loss(), None, "two of three say nothing");
    roll.hear(devices[1], 1, &v1(92, 8)).unwrap();
    let lost_of_second = 39 * 1_000_000 / 131;
    assert_eq!(roll.loss(), Some(CampaignLoss::Measured(lost_of_second)));
    roll.set_sent(Sent { last_n: 150, frames: 151 });
    roll.ask(Whom::All);
    // It is complete now, and counts no more.
    roll.hear(devices[1], 2, &v1(103, 0)).unwrap();
    roll.hear(devices[2], 2, &v1(102, 0)).unwrap();
    assert_eq!(roll.loss(), Some(CampaignLoss::Measured(lost_of_second)));
    roll.lose(devices[1]);
    assert_eq!(roll.loss(), Some(CampaignLoss::AtMost(51 * 1_000_000 / 151)));
}

/// Told devices, of which a window hears so many well.
fn crowd(devices: u64, answers: u32) -> Roll {
    let window = AnswerWindow { block_ack_delay: 0, answers };
    let session = Session { window, ..session(Habit::AsMeant, PackageVersion::V1) };
    let mut roll = Roll::new(session, (0..devices).map(|number| Eui64::from_bytes(number.to_be_bytes())));
    (0..devices).for_each(|number| roll.tell(Eui64::from_bytes(number.to_be_bytes())));
    roll.set_sent(SENT);
    roll
}

#[test]
fn nobody_is_taken_for_silent_where_answers_drown_each_other() {
    let still_awaited = |heard: u64| {
        let mut roll = crowd(40, 10);
        for question in 1..=3 {
            roll.ask(Whom::Missing);
            for number in 0..heard {
                let dev_eui = Eui64::from_bytes(number.to_be_bytes());
                roll.hear(dev_eui, question, &v1(90, 10)).unwrap();
            }
            roll.close();
        }
        roll.is_anybody_silent()
    };
    assert!(still_awaited(5), "35 did not answer");
    assert!(!still_awaited(6), "they may have been drowned");
}

#[test]
fn only_those_who_miss_something_are_asked_where_not_all_can_be_heard() {
    let asked = |devices: u64| {
        let roll = crowd(devices, 10);
        let rounds = Rounds { questions: 3, ..Rounds::new() };
        rounds.next(&roll, &GiveUp::default(), 100, 1)
    };
    assert_eq!(asked(10), Next::Ask(Whom::All));
    assert_eq!(asked(11), Next::Ask(Whom::Missing));
}

#[test]
fn answers_are_waited_for_until_everybody_who_may_give_one_has() {
    let mut roll = crowd(2, 10);
    roll.ask(Whom::Missing);
    let hear = |roll: &mut Roll, number: u64, f_cnt| {
        roll.hear(Eui64::from_bytes(number.to_be_bytes()), f_cnt, &v1(100, 4)).unwrap();
        roll.is_answer_due()
    };
    assert!(hear(&mut roll, 0, 1));
    assert!(!hear(&mut roll, 1, 1));
    roll.ask(Whom::Missing);
    assert!(roll.is_answer_due(), "the next question is another one");
}

#[test]
fn of_a_session_that_some_were_told_nobody_else_is_awaited_and_none_of_the_others_is_taken_for_silent() {
    let devices = [1, 2].map(|byte| Eui64::from_bytes([byte; 8]));
    let mut roll = Roll::new(session(Habit::AsMeant, PackageVersion::V1), devices);
    devices.iter().for_each(|device| roll.tell(*device));
    roll.set_sent(SENT);
    roll.ask_each();
    roll.hear(devices[0], 1, &v1(97, 4)).unwrap();
    roll.hear(devices[1], 1, &v1(61, 40)).unwrap();
    let of_both = roll.demand(None);
    roll.open_session(|dev_eui| dev_eui == devices[0]);
    assert!(roll.demand(None) < of_both && roll.demand(None) >= 4);
    assert_eq!(roll.behind_ones(None).collect::<Vec<_>>(), [devices[0]]);
    for f_cnt in 2..8 {
        roll.ask(Whom::Missing);
        assert!(roll.is_answer_due());
        roll.hear(devices[0], f_cnt, &v1(97, 4)).unwrap();
        assert!(!roll.is_answer_due());
        roll.close();
    }
    roll.close_session();
    assert_eq!((roll.demand(None), roll.is_anybody_silent()), (of_both, false));
    assert_eq!(roll.behind_ones(None).collect::<Vec<_>>(), devices);
}
