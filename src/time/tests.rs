//! Tests of what is believed of a wall clock.

use super::distrust::ClockTrust;
use super::distrust::Distrust;
use super::evidence::Evidence;
use super::evidence::Stamp;
use super::gps_time::FLOOR_UNIX_US;
use super::gps_time::GpsTime;
use super::instant::Instant;
use super::wall_clock::APART_US;
use super::wall_clock::JUMP_US;
use super::wall_clock::KEEP_US;
use super::wall_clock::STAND_US;
use super::wall_clock::WallClock;
use proptest::prelude::*;

/// The true time at the zero of the monotonic clock.
const UNIX_US: i64 = FLOOR_UNIX_US + 30_000_000_000_000;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Sizes of steps that are no slews, microseconds.
const STEPS: [i64; 8] = [1_000_001, 2_500_000, 18 * SECOND, MINUTE, 10 * MINUTE, HOUR, HOUR + 1, DAY];

/// A wall clock that is read second by second.
struct Bench {
    clock: WallClock,
    at_us: i64,
    /// How far the wall clock is from the true time.
    off_us: i64,
    evidence: Evidence,
    touches: i64,
    /// How far the receiver is from the true time, while there is one.
    receiver_off_us: Option<i64>,
}

impl Bench {
    /// A wall clock that was never read.
    fn new(trust: ClockTrust) -> Bench {
        Bench {
            clock: WallClock::new(trust),
            at_us: 0,
            off_us: 0,
            evidence: Evidence::NONE,
            touches: 0,
            receiver_off_us: None,
        }
    }

    /// A wall clock that is right, believed and read for a while.
    fn believed(trust: ClockTrust) -> Bench {
        let mut bench = Bench::new(trust);
        if trust == ClockTrust::Auto {
            bench.touch();
        }
        bench.run(30 * SECOND);
        assert_eq!(bench.read(), Some(0));
        bench.clock.take_step();
        bench
    }

    /// Creates or touches the file of evidence.
    fn touch(&mut self) {
        self.touches += 1;
        self.evidence = Evidence::new([Stamp { mtime_s: 7, mtime_ns: self.touches, inode: 3 }]);
    }

    fn step(&mut self, us: i64) {
        self.off_us += us;
    }

    /// How far the answer is from the true time, microseconds.
    fn read(&mut self) -> Option<i64> {
        let mono = Instant::from_us(self.at_us);
        let gps = self.clock.read(mono, UNIX_US + self.at_us + self.off_us, &self.evidence)?;
        Some(gps.to_unix_us() - UNIX_US - self.at_us)
    }

    /// Lets time pass, with a reading each second, and tells the last.
    fn run(&mut self, us: i64) -> Option<i64> {
        let until_us = self.at_us + us;
        let mut last = self.read();
        while self.at_us < until_us {
            self.at_us = until_us.min(self.at_us + SECOND);
            if let Some(off_us) = self.receiver_off_us {
                self.clock.hear(Instant::from_us(self.at_us), UNIX_US + self.at_us + off_us);
            }
            last = self.read();
        }
        last
    }

    fn kind(&self) -> &'static str {
        self.clock.distrust().map_or("trusted", Distrust::kind)
    }
}

/// What was believed before a step, in both ways.
fn believed_ones() -> [Bench; 2] {
    [Bench::believed(ClockTrust::Auto), Bench::believed(ClockTrust::Always)]
}

fn steps() -> impl Iterator<Item = i64> {
    STEPS.into_iter().flat_map(|us| [us, -us])
}

#[test]
fn a_clock_that_was_never_set_is_not_believed_whatever_the_operator_says() {
    let mut clock = WallClock::new(ClockTrust::Always);
    assert_eq!(clock.distrust(), Some(Distrust::Unread));
    assert_eq!(clock.read(Instant::ZERO, 0, &Evidence::NONE), None);
    assert_eq!(clock.read(Instant::ZERO, -UNIX_US, &Evidence::NONE), None);
    assert!(clock.distrust().unwrap().to_string().contains("never set"));
}

#[test]
fn without_evidence_only_the_operator_makes_a_clock_trusted() {
    let mut bench = Bench::new(ClockTrust::Auto);
    assert_eq!(bench.read(), None);
    assert_eq!(bench.clock.distrust(), Some(Distrust::NoEvidence));
    bench.touch();
    assert_eq!(bench.read(), Some(0));
    assert_eq!(Bench::new(ClockTrust::Always).read(), Some(0));
    let mut never = Bench::new(ClockTrust::Never);
    never.touch();
    assert_eq!(never.read(), None);
    assert_eq!(never.clock.distrust(), Some(Distrust::Forbidden));
}

#[test]
fn a_step_that_nobody_vouches_for_is_followed_after_an_hour_and_not_before() {
    for step_us in steps() {
        for mut bench in believed_ones() {
            bench.step(step_us);
            assert_eq!(bench.read(), Some(0), "{step_us}");
            assert_eq!(bench.clock.take_step(), Some(step_us / SECOND));
            bench.run(SECOND);
            for minute in 0..60 {
                let step_s = step_us / SECOND;
                let told = Distrust::Stepped { step_s, believed_in_min: Some(60 - minute) };
                assert_eq!(bench.clock.distrust(), Some(told));
                if minute < 59 {
                    assert_eq!(bench.run(MINUTE), Some(0), "{step_us} after {minute} min");
                }
            }
            assert_eq!(bench.run(MINUTE - 2 * SECOND), Some(0), "{step_us}");
            assert_eq!(bench.run(SECOND), Some(step_us));
            assert_eq!(bench.clock.distrust(), None);
            assert_eq!(bench.clock.take_step(), None);
        }
    }
}

#[test]
fn a_file_that_is_touched_or_made_anew_makes_a_step_believed_at_once() {
    for step_us in steps() {
        for wait_us in [0, SECOND, 59 * MINUTE] {
            for mut bench in believed_ones() {
                // An evidence that was there and says nothing new is no witness.
                bench.step(step_us);
                assert_eq!(bench.run(wait_us), Some(0), "{step_us}");
                bench.touch();
                assert_eq!(bench.read(), Some(step_us));
                assert_eq!(bench.clock.distrust(), None);
            }
        }
        // Set and touched between two readings, as systemd-timesyncd does.
        for mut bench in believed_ones() {
            bench.step(step_us);
            bench.touch();
            assert_eq!(bench.read(), Some(step_us));
            // The next one needs a witness of its own.
            bench.run(MINUTE);
            bench.step(step_us);
            assert_eq!(bench.run(59 * MINUTE), Some(step_us));
            assert_eq!(bench.kind(), "stepped");
        }
    }
}

#[test]
fn a_receiver_that_agrees_makes_a_step_believed_at_once() {
    for step_us in steps() {
        for receiver_off_us in [-1_900_000, 0, 1_900_000] {
            let mut bench = Bench::believed(ClockTrust::Always);
            bench.step(step_us);
            assert_eq!(bench.run(MINUTE), Some(0));
            bench.receiver_off_us = Some(step_us + receiver_off_us);
            // Three times that agree make a receiver.
            assert_eq!(bench.run(2 * SECOND), Some(0), "{step_us}");
            assert_eq!(bench.run(SECOND), Some(step_us));
            assert_eq!(bench.clock.distrust(), None);
        }
    }
}

#[test]
fn a_receiver_that_speaks_for_the_time_before_keeps_it_for_as_long_as_it_speaks() {
    for step_us in [-DAY, -HOUR, -MINUTE, MINUTE, HOUR, DAY] {
        let mut bench = Bench::believed(ClockTrust::Always);
        bench.receiver_off_us = Some(0);
        bench.run(MINUTE);
        bench.step(step_us);
        assert_eq!(bench.run(3 * HOUR), Some(0), "{step_us}");
        let told = Distrust::SteppedAgainstReceiver { step_s: step_us / SECOND };
        assert_eq!(bench.clock.distrust(), Some(told));
        assert!(told.to_string().contains("the GPS receiver contradicts it"), "{told}");
        // A synchronisation with the wrong server is no match for both.
        bench.touch();
        assert_eq!(bench.run(MINUTE), Some(0));
        // When it falls silent, the hour begins, and what spoke before is void.
        bench.receiver_off_us = None;
        assert_eq!(bench.run(HOUR), Some(0));
        assert_eq!(bench.kind(), "stepped");
        assert_eq!(bench.run(11 * SECOND), Some(step_us));
    }
}

#[test]
fn a_time_that_is_carried_on_is_drawn_along_by_the_receiver_that_confirms_it() {
    for drift_ppm in [-50, 50] {
        let mut bench = Bench::believed(ClockTrust::Always);
        bench.receiver_off_us = Some(0);
        bench.run(MINUTE);
        bench.step(HOUR);
        // Against a crystal the true time drifts.
        for second in 0..3 * DAY / SECOND {
            let off_us = second * drift_ppm;
            bench.receiver_off_us = Some(off_us);
            let answer_us = bench.run(SECOND).unwrap();
            assert!(answer_us.abs_diff(off_us) <= APART_US, "after {second} s");
        }
        // So it is no day old when the receiver falls silent.
        bench.receiver_off_us = None;
        assert!(bench.run(20 * SECOND).is_some());
        assert_eq!(bench.kind(), "stepped");
    }
}

#[test]
fn a_step_back_ends_the_wait_at_once() {
    for step_us in steps() {
        for mut bench in believed_ones() {
            for _ in 0..3 {
                bench.step(step_us);
                assert_eq!(bench.run(40 * MINUTE), Some(0), "{step_us}");
                bench.step(-step_us);
                assert_eq!(bench.read(), Some(0));
                assert_eq!(bench.clock.distrust(), None);
                assert_eq!(bench.run(MINUTE), Some(0));
            }
        }
    }
}

#[test]
fn another_step_begins_the_hour_anew() {
    for step_us in steps() {
        for mut bench in believed_ones() {
            bench.step(step_us);
            assert_eq!(bench.run(40 * MINUTE), Some(0), "{step_us}");
            bench.step(step_us);
            assert_eq!(bench.run(HOUR - SECOND), Some(0), "{step_us}");
            assert_eq!(bench.clock.distrust().unwrap().kind(), "stepped");
            assert_eq!(bench.run(SECOND), Some(2 * step_us));
        }
    }
}

#[test]
fn a_slewed_clock_stays_trusted_on_the_line_and_stands_off_it() {
    for mut bench in believed_ones() {
        for second in 0..10_000 {
            // 500 ppm, the most that a kernel slews.
            bench.off_us += 500;
            assert_eq!(bench.run(SECOND), Some(bench.off_us), "{second}");
        }
        let (before_us, step_us) = (bench.off_us, HOUR);
        bench.step(step_us);
        bench.read();
        for second in 1..3600 {
            bench.off_us += 500;
            assert_eq!(bench.run(SECOND), Some(before_us), "{second}");
        }
        assert_eq!(bench.run(SECOND), Some(bench.off_us));
    }
}

#[test]
fn before_anything_was_believed_a_step_needs_no_hour() {
    // A gateway without a battery: 1970, then the network time sets it.
    let boot = |trust| {
        let mut bench = Bench::new(trust);
        bench.off_us = -UNIX_US;
        assert_eq!(bench.run(MINUTE), None);
        assert_eq!(bench.clock.distrust(), Some(Distrust::NeverSet));
        bench.off_us = 0;
        bench
    };
    let mut auto = boot(ClockTrust::Auto);
    auto.touch();
    assert_eq!(auto.read(), Some(0), "set and touched at once");
    let mut auto = boot(ClockTrust::Auto);
    assert_eq!(auto.run(HOUR), None);
    auto.touch();
    assert_eq!(auto.read(), Some(0), "touched later");
    let mut always = boot(ClockTrust::Always);
    assert_eq!(always.run(9 * SECOND), None);
    assert_eq!(always.clock.distrust(), Some(Distrust::Settling));
    assert_eq!(always.run(SECOND), Some(0));
}

#[test]
fn a_time_is_carried_on_for_a_day_and_not_longer() {
    let mut bench = Bench::believed(ClockTrust::Always);
    let began_us = bench.at_us;
    let mut kept_us = 0;
    // A wall clock that stands nowhere.
    for turn in 0..40 {
        bench.step(if turn % 2 == 0 { HOUR } else { DAY });
        if bench.run(50 * MINUTE).is_some() {
            kept_us = bench.at_us - began_us;
        }
    }
    let kept_us = kept_us as u64;
    assert!((KEEP_US - STAND_US..=KEEP_US).contains(&kept_us), "{kept_us}");
    assert_eq!(bench.kind(), "kept-too-long");
    let told = bench.clock.distrust().unwrap().to_string();
    assert!(told.contains("kept for 24 h") && told.contains("(10 min from now)"), "{told}");
    assert_eq!(bench.run(10 * MINUTE), Some(bench.off_us), "it stands at last");
}

#[test]
fn a_step_to_a_time_that_cannot_be_is_never_followed() {
    let mut bench = Bench::believed(ClockTrust::Always);
    bench.step(-UNIX_US);
    bench.touch();
    assert_eq!(bench.run(23 * HOUR), Some(0));
    let told = bench.clock.distrust().unwrap();
    assert!(matches!(told, Distrust::Stepped { believed_in_min: None, .. }), "{told}");
    assert_eq!(bench.run(2 * HOUR), None);
    assert_eq!(bench.kind(), "kept-too-long");
    bench.step(UNIX_US);
    assert_eq!(bench.read(), Some(0), "back again");
}

#[test]
fn evidence_that_vanishes_makes_a_clock_distrusted_and_a_step_then_needs_a_witness_all_the_more() {
    let mut bench = Bench::believed(ClockTrust::Auto);
    let file = bench.evidence.clone();
    bench.evidence = Evidence::NONE;
    assert_eq!(bench.read(), None);
    assert_eq!(bench.clock.distrust(), Some(Distrust::NoEvidence));
    // Slews are no step, in doubt neither.
    for _ in 0..3 {
        bench.step(SECOND);
        assert_eq!(bench.run(SECOND), None);
    }
    bench.evidence = file.clone();
    assert_eq!(bench.read(), Some(3 * SECOND));
    bench.evidence = Evidence::NONE;
    assert_eq!(bench.read(), None);
    bench.step(HOUR);
    assert_eq!(bench.run(2 * HOUR), None);
    assert_eq!(bench.kind(), "stepped-in-doubt");
    bench.touch();
    assert_eq!(bench.read(), Some(3 * SECOND + HOUR));
}

#[test]
fn evidence_that_vanishes_after_a_step_leaves_the_time_before_and_no_hour_is_enough() {
    let mut bench = Bench::believed(ClockTrust::Auto);
    bench.step(HOUR);
    bench.run(MINUTE);
    bench.evidence = Evidence::NONE;
    assert_eq!(bench.run(2 * HOUR), Some(0));
    let told = Distrust::Stepped { step_s: 3600, believed_in_min: None };
    assert_eq!(bench.clock.distrust(), Some(told));
    bench.touch();
    assert_eq!(bench.read(), Some(HOUR));
}

/// A receiver that named `unix_us` at the zero, three seconds long.
fn with_receiver(trust: ClockTrust, unix_us: i64) -> WallClock {
    let mut clock = WallClock::new(trust);
    for second in 0..3 {
        clock.hear(Instant::from_us(second * SECOND), unix_us + second * SECOND);
    }
    clock
}

const LATER: Instant = Instant::from_us(2_500_000);

#[test]
fn a_receiver_that_agrees_is_evidence_for_the_wall_clock() {
    for off_us in [-2_000_000, 0, 2_000_000] {
        let mut clock = with_receiver(ClockTrust::Auto, UNIX_US + off_us);
        let wall_us = UNIX_US + 2_500_000;
        let told = clock.read(LATER, wall_us, &Evidence::NONE);
        assert_eq!(told, GpsTime::from_unix_us(wall_us), "the finer one");
        assert_eq!(clock.distrust(), None);
    }
}

#[test]
fn without_a_wall_clock_the_receiver_speaks_for_itself() {
    for trust in [ClockTrust::Auto, ClockTrust::Always, ClockTrust::Never] {
        let mut clock = with_receiver(trust, UNIX_US);
        assert_eq!(clock.read(LATER, 0, &Evidence::NONE), GpsTime::from_unix_us(UNIX_US + 2_500_000));
        assert_eq!(clock.distrust(), None);
    }
}

#[test]
fn a_receiver_and_a_trusted_wall_clock_that_contradict_each_other_start_nothing() {
    for off_us in [-2_000_001, 2_000_001, DAY] {
        let mut clock = with_receiver(ClockTrust::Always, UNIX_US - 2_500_000 + off_us);
        assert_eq!(clock.read(LATER, UNIX_US, &Evidence::NONE), None, "{off_us}");
        assert!(clock.distrust().unwrap().to_string().contains("contradict"));
    }
}

#[test]
fn a_clock_in_doubt_that_is_slewed_does_not_step() {
    let mut bench = Bench::believed(ClockTrust::Always);
    bench.receiver_off_us = Some(DAY);
    assert_eq!(bench.run(MINUTE), None);
    for _ in 0..3 {
        bench.step(SECOND);
        assert_eq!(bench.run(SECOND), None);
    }
    bench.receiver_off_us = None;
    assert_eq!(bench.run(11 * SECOND), Some(3 * SECOND));
}

#[test]
fn a_receiver_that_contradicts_a_step_and_the_time_before_starts_nothing() {
    let mut bench = Bench::believed(ClockTrust::Always);
    bench.step(HOUR);
    assert_eq!(bench.run(MINUTE), Some(0));
    bench.receiver_off_us = Some(DAY);
    assert_eq!(bench.run(3 * HOUR), None);
    assert_eq!(bench.clock.distrust(), Some(Distrust::Contradicted));
}

#[test]
fn a_wall_clock_that_stepped_is_not_missed_while_there_is_a_receiver() {
    let mut clock = with_receiver(ClockTrust::Always, UNIX_US);
    let before = Instant::from_us(2_000_000);
    assert!(clock.read(before, UNIX_US + 2_000_000, &Evidence::NONE).is_some());
    let stepped = clock.read(LATER, UNIX_US + HOUR, &Evidence::NONE);
    assert_eq!(stepped, GpsTime::from_unix_us(UNIX_US + 2_500_000));
}

/// An event in the life of a wall clock.
#[derive(Clone, Copy, Debug)]
enum Act {
    Step(i64),
    Slew(i64),
    Touch,
    Stand(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let sizes = prop_oneof![-10 * SECOND..10 * SECOND, -DAY..DAY];
    prop_oneof![
        3 => sizes.prop_map(Act::Step),
        2 => (-SECOND..=SECOND).prop_map(Act::Slew),
        1 => Just(Act::Touch),
        4 => (1..7000_i64).prop_map(|seconds| Act::Stand(seconds * SECOND)),
    ]
}

proptest! {
    /// Whatever a wall clock does: unless a witness spoke or an hour passed, the time goes on by the monotonic clock,
    /// a slew's width apart.
    #[test]
    fn the_time_never_leaves_the_monotonic_line_without_a_witness_or_an_hour(
        acts in proptest::collection::vec(act(), 1..30),
        is_auto: bool,
    ) {
        let trust = if is_auto { ClockTrust::Auto } else { ClockTrust::Always };
        let mut bench = Bench::believed(trust);
        // The line that was believed, and how far slews may have led away from it.
        let (mut line_us, mut slack_us) = (bench.off_us, 0);
        let mut stepped_at_us = bench.at_us;
        for act in acts {
            let mut is_witnessed = false;
            let mut stands_us = 0;
            match act {
                Act::Step(us) | Act::Slew(us) => {
                    bench.step(us);
                    slack_us += us.unsigned_abs().min(JUMP_US);
                    if us.unsigned_abs() > JUMP_US {
                        stepped_at_us = bench.at_us;
                    }
                }
                Act::Touch => {
                    bench.touch();
                    is_witnessed = true;
                }
                Act::Stand(us) => stands_us = us,
            }
            let until_us = bench.at_us + stands_us;
            loop {
                let answer_us = bench.read();
                let is_old = (bench.at_us - stepped_at_us) as u64 >= STAND_US;
                if is_witnessed || is_old {
                    prop_assert_eq!(answer_us, Some(bench.off_us));
                    (line_us, slack_us) = (bench.off_us, 0);
                } else {
                    let answer_us = answer_us.expect("a time that was believed within the day");
                    prop_assert!(answer_us.abs_diff(line_us) <= slack_us, "{} us off", answer_us - line_us);
                }
                if bench.at_us >= until_us {
                    break;
                }
                bench.at_us = until_us.min(bench.at_us + 10 * SECOND);
            }
        }
    }
}

#[test]
fn a_step_between_two_processes_of_one_boot_is_a_step() {
    let evidence = Evidence::new([Stamp { mtime_s: 1, mtime_ns: 0, inode: 7 }]);
    let unix_us = FLOOR_UNIX_US + 30_000_000_000_000;
    let gps = GpsTime::from_unix_us(unix_us).unwrap();
    let second = |s: i64| Instant::from_us(s * 1_000_000);
    for (step_us, believed) in [(0, true), (900_000, true), (3_600_000_000, false), (-5_000_000, false)] {
        let mut clock = WallClock::new(ClockTrust::Auto);
        clock.resume(second(100), gps, &evidence);
        let wall_us = unix_us + 20_000_000 + step_us;
        let expected = if believed { wall_us } else { unix_us + 20_000_000 };
        let read = clock.read(second(120), wall_us, &evidence);
        assert_eq!(read, GpsTime::from_unix_us(expected), "{step_us}");
        assert_eq!(clock.distrust().is_none(), believed, "{step_us}");
        // Whoever synchronises it now speaks for it.
        let touched = Evidence::new([Stamp { mtime_s: 2, mtime_ns: 0, inode: 7 }]);
        let read = clock.read(second(121), wall_us + 1_000_000, &touched);
        assert_eq!(read, GpsTime::from_unix_us(wall_us + 1_000_000), "{step_us}");
    }
}
