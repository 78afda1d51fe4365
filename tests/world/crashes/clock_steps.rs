//! A wall clock that somebody moves, also between two lives.

use super::many::COMPLETIONS;
use super::many::four_tasks;
use super::many::judged;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::random::Random;

const SECOND_US: u64 = 1_000_000;

/// Steps from a second to a day, each way.
const STEPS_S: [i64; 12] = [1, 2, 20, 600, 3_600, 86_400, -1, -2, -20, -600, -3_600, -86_400];

/// Moments of a step, seconds: nothing is armed; before, inside and after the first session; long after.
const MOMENTS_S: [u64; 6] = [2, 60, 125, 131, 200, 2_650];

/// A world with a step, and a death 20 s later of one kind.
pub fn stepped(step_s: i64, moment_s: u64, death: Option<fn(u64) -> Fault>) -> Script {
    // With a death the clock is moved just before it, so that the next life begins with it.
    let faults = death.map(|death| death((moment_s + 20) * SECOND_US)).into_iter().collect();
    let clock_steps = vec![(moment_s * SECOND_US, step_s * 1_000_000)];
    Script { faults, clock_steps, limit_us: 12 * 3_600 * SECOND_US, ..within_the_hour() }
}

/// The four tasks, all of them over before a step that nobody vouches for is believed.
fn within_the_hour() -> Script {
    let mut script = four_tasks();
    let last = &mut script.tasks[3].document;
    assert!(last.contains("09:40:00Z"), "{last}");
    *last = last.replace("09:40:00Z", "08:45:00Z");
    script
}

#[test]
fn a_clock_that_steps_moves_no_session_and_the_law_holds() {
    let mut tried = 0;
    for step_s in STEPS_S {
        for moment_s in MOMENTS_S {
            for death in [None, Some(Fault::KillAfter as fn(u64) -> Fault)] {
                let story = format!("{step_s} s at {moment_s} s, {death:?}");
                let (summary, verdict) = judged(stepped(step_s, moment_s, death));
                assert_eq!(verdict, Ok(()), "{story}");
                assert_eq!(summary.completions, COMPLETIONS, "{story}: {:#?}", summary.reports);
                tried += 1;
            }
        }
    }
    println!("{tried} steps of the clock, with and without a kill: 0 frames outside a session, 0 breaches");
}

#[test]
fn many_steps_kills_and_cuts_together_break_no_law() {
    for seed in 0..40_u64 {
        let mut luck = Random::new(seed);
        let mut next = |below: u64| luck.below(below);
        let mut clock_steps: Vec<(u64, i64)> = (0..4)
            .map(|_| (next(1_300) * SECOND_US, next(7_200) as i64 * 1_000_000 - 3_600_000_000))
            .collect();
        clock_steps.sort();
        let faults = vec![
            Fault::KillAfter((20 + next(200)) * SECOND_US),
            Fault::AfterSend(1 + next(30)),
            Fault::KillAfter((31 + next(600)) * SECOND_US),
        ];
        let story = format!("seed {seed}: {clock_steps:?}, {faults:?}");
        let limit_us = 24 * 3_600 * SECOND_US;
        let (_, verdict) = judged(Script { faults, clock_steps, seed, limit_us, ..within_the_hour() });
        assert_eq!(verdict, Ok(()), "{story}");
    }
}
