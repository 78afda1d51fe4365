//! Trust in the wall clock, and the reasons against it.

use core::fmt;

use serde::Deserialize;
use serde::Serialize;

/// Rule by which the wall clock is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockTrust {
    /// Believed while there is evidence that it is synchronised.
    #[default]
    Auto,
    /// Always believed: the operator vouches for it (a battery-backed clock, a GPS receiver that sets it). A step
    /// still needs a witness, or an hour without another step.
    Always,
    /// Never believed: only tasks that start at once, for devices that always listen, can be served.
    Never,
}

/// Reason why the wall clock is not followed; as text, a sentence that begins with "it". While
/// [`is_time_kept`](Distrust::is_time_kept) holds, GPS time is known all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// The wall clock was not read yet.
    Unread,
    /// The operator forbids its use ([`ClockTrust::Never`]).
    Forbidden,
    /// The wall clock shows a time before 2026.
    NeverSet,
    /// The wall clock stepped before it was ever believed, and has not stood still long enough since.
    Settling,
    /// Trust is [`ClockTrust::Auto`], and there is no evidence that the wall clock is synchronised.
    NoEvidence,
    /// A GPS receiver reports another time, and there is evidence for neither.
    Contradicted,
    /// The wall clock stepped without a witness. The time before the step goes on by the monotonic clock.
    Stepped {
        /// Distance from the time before the step, seconds; positive is ahead.
        step_s: i64,
        /// Minutes until the wall clock is believed if it stands still and no witness appears, rounded up; `None`
        /// when standing still is not enough.
        believed_in_min: Option<u64>,
    },
    /// The wall clock stepped, and a GPS receiver confirms the time before, which goes on by the monotonic clock.
    SteppedAgainstReceiver {
        /// Distance from the time before the step, seconds; positive is ahead.
        step_s: i64,
    },
    /// The wall clock stepped without a witness, and the time before the step is too old to be kept any longer.
    KeptTooLong {
        /// Distance from the time before the step, seconds; positive is ahead.
        step_s: i64,
        /// Minutes until the wall clock is believed, as in [`Distrust::Stepped`].
        believed_in_min: Option<u64>,
    },
    /// The wall clock stepped without a witness while it was not believed.
    SteppedInDoubt {
        /// Distance from the time before the step, seconds; positive is ahead.
        step_s: i64,
        /// Minutes until the wall clock is believed, as in [`Distrust::Stepped`].
        believed_in_min: Option<u64>,
    },
}

impl Distrust {
    /// Whether the time before the step goes on by the monotonic clock, so that GPS time is known although the wall
    /// clock is not followed.
    pub fn is_time_kept(self) -> bool {
        matches!(self, Distrust::Stepped { .. } | Distrust::SteppedAgainstReceiver { .. })
    }

    /// A word for the kind of distrust, without its numbers. Logs are rate-limited by it.
    pub fn kind(self) -> &'static str {
        match self {
            Distrust::Unread => "unread",
            Distrust::Forbidden => "forbidden",
            Distrust::NeverSet => "never-set",
            Distrust::Settling => "settling",
            Distrust::NoEvidence => "no-evidence",
            Distrust::Contradicted => "contradicted",
            Distrust::Stepped { .. } => "stepped",
            Distrust::SteppedAgainstReceiver { .. } => "stepped-against-receiver",
            Distrust::KeptTooLong { .. } => "kept-too-long",
            Distrust::SteppedInDoubt { .. } => "stepped-in-doubt",
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Distrust::Unread => f.write_str("it was not read yet"),
            Distrust::Forbidden => f.write_str("[clock] trust is \"never\""),
            Distrust::NeverSet => f.write_str("it shows a time before 2026: it was never set"),
            Distrust::Settling => f.write_str("it was set a moment ago and must stand still for 10 s"),
            Distrust::NoEvidence => f.write_str(
                "nothing says that it is synchronised: no file of [clock] evidence exists (or set trust = \"always\")",
            ),
            Distrust::Contradicted => f.write_str(
                "it and the GPS receiver contradict each other: one of them is wrong, and nobody knows which",
            ),
            Distrust::Stepped { step_s, believed_in_min } => {
                write!(
                    f,
                    "it stepped by {step_s:+} s without a witness; the time before is kept by the monotonic clock"
                )?;
                until(f, believed_in_min)
            }
            Distrust::SteppedAgainstReceiver { step_s } => write!(
                f,
                "it stepped by {step_s:+} s and the GPS receiver contradicts it; the time before, which the receiver confirms, is kept by the monotonic clock"
            ),
            Distrust::KeptTooLong { step_s, believed_in_min } => {
                write!(
                    f,
                    "it stepped by {step_s:+} s without a witness, and the time before was kept for 24 h, which is all that a monotonic clock is good for; it is not believed"
                )?;
                until(f, believed_in_min)
            }
            Distrust::SteppedInDoubt { step_s, believed_in_min } => {
                write!(
                    f,
                    "it stepped by {step_s:+} s without a witness while it was in doubt; it is not believed"
                )?;
                until(f, believed_in_min)
            }
        }
    }
}

fn until(f: &mut fmt::Formatter<'_>, believed_in_min: Option<u64>) -> fmt::Result {
    match believed_in_min {
        Some(minutes) => write!(
            f,
            " until the new time has stood for an hour ({minutes} min from now) or a witness speaks for it: a GPS receiver, or a file of [clock] evidence that is touched"
        ),
        None => f.write_str(
            "; standing still is not enough for the new time: it is before 2026, or no file of [clock] evidence exists",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_with_its_size_and_the_time_that_is_left() {
        let told = Distrust::Stepped { step_s: 3600, believed_in_min: Some(42) };
        let text = told.to_string();
        assert!(text.starts_with("it stepped by +3600 s") && text.contains("(42 min from now)"), "{text}");
        assert!(told.is_time_kept());
        let told = Distrust::Stepped { step_s: -3600, believed_in_min: None };
        let text = told.to_string();
        assert!(text.starts_with("it stepped by -3600 s") && text.contains("not enough"), "{text}");
        let told = Distrust::KeptTooLong { step_s: 5, believed_in_min: Some(1) };
        assert!(told.to_string().contains("24 h") && !told.is_time_kept());
    }
}
