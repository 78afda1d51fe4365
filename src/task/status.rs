//! Where its source says a task stands.

/// The status of a task at its source. For a task from a file only
/// [`Deleting`](TaskStatus::Deleting) decides; the others are advisory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TaskStatus {
    /// Created, not started. Also what an absent status means.
    #[default]
    Pending,
    /// Armed, begins at its start time.
    Armed,
    /// The session has begun.
    InSession,
    /// Over, for whatever reason.
    Done,
    /// The source is deleting it.
    Deleting,
    /// A value this program does not know: not eligible.
    Unknown(String),
}
