//! What the log says of the wall clock.

use super::clock::Clock;
use super::log::Reporter;
use crate::time::Distrust;
use crate::time::Instant;

/// What was said of it last.
#[derive(Debug, Default)]
pub struct ClockLog {
    /// The kind of distrust, none while the clock is trusted.
    distrust: Option<&'static str>,
}

impl ClockLog {
    /// A line for every step and for every change. The minutes that are left are no change, and a wall clock that
    /// steps to and fro is one line in a while.
    pub fn tell(&mut self, at: Instant, clock: &mut Clock, reporter: &mut Reporter) {
        if let Some(step_s) = clock.take_step()
            && let Some(left_out) = reporter.admit(at, "the wall clock stepped")
        {
            tracing::warn!(step_s, left_out, "the wall clock stepped by {step_s:+} s");
        }
        let distrust = clock.distrust();
        let kind = distrust.map(Distrust::kind);
        if kind == self.distrust {
            return;
        }
        let key = format!("the wall clock: {}", kind.unwrap_or("trusted"));
        // What is left out now is told later, if it is still so.
        if reporter.admit(at, &key).is_none() {
            return;
        }
        self.distrust = kind;
        match distrust {
            Some(reason) if reason.is_time_kept() => {
                tracing::warn!("the wall clock is not followed: {reason}");
            }
            Some(reason) => {
                tracing::warn!("the wall clock is not trusted: {reason}; tasks with a start time wait");
            }
            None => tracing::info!("the wall clock is trusted"),
        }
    }
}
