//! When a wall clock is believed, and why one is not.

use core::fmt;

/// When the wall clock is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockTrust {
    /// While there is evidence that it is synchronised.
    #[default]
    Auto,
    /// Always: the operator vouches for it (a battery-backed clock, a GPS receiver that sets it). Even then a step
    /// needs a witness or an hour.
    Always,
    /// Never: only tasks that start at once and devices that always listen can be served.
    Never,
}

/// Why the wall clock is not followed, as a sentence that begins with "it". While
/// [`is_time_kept`](Distrust::is_time_kept) GPS time is known all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Nobody has read it yet.
    Unread,
    /// The operator says so.
    Forbidden,
    /// It shows a time before 2026.
    NeverSet,
    /// It stepped before it was ever believed, and has not stood still long enough since.
    Settling,
    /// Trust is [`ClockTrust::Auto`] and nothing says that it is synchronised.
    NoEvidence,
    /// A GPS receiver names another time, and nobody speaks for either.
    Contradicted,
    /// It stepped without a witness. The time before goes on by the monotonic clock.
    Stepped {
        /// How far it is from the time before, seconds; positive is ahead.
        step_s: i64,
        /// When it is believed if it stands still and nobody speaks, minutes from now, rounded up; `None` when
        /// standing still is not enough.
        believed_in_min: Option<u64>,
    },
    /// It stepped, and a GPS receiver speaks for the time before, which goes on by the monotonic clock.
    SteppedAgainstReceiver {
        /// How far it is from the time before, seconds; positive is ahead.
        step_s: i64,
    },
    /// It stepped without a witness, and the time before is too old to be kept any longer.
    KeptTooLong {
        /// How far it is from the time before, seconds; positive is ahead.
        step_s: i64,
        /// As in [`Distrust::Stepped`].
        believed_in_min: Option<u64>,
    },
    /// It stepped without a witness while it was not believed anyhow.
    SteppedInDoubt {
        /// How far it is from the time before, seconds; positive is ahead.
        step_s: i64,
        /// As in [`Distrust::Stepped`].
        believed_in_min: Option<u64>,
    },
}

impl Distrust {
    /// The time before the step goes on by the monotonic clock: GPS time is known although the wall clock is not
    /// followed.
    pub fn is_time_kept(self) -> bool {
        matches!(self, Distrust::Stepped { .. } | Distrust::SteppedAgainstReceiver { .. })
    }

    /// One word for the kind, whatever the numbers: what a log limits by.
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
