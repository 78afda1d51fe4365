//! Where its source says a task stands.

/// The status of a task at its source. For a task from a file only
/// [`DeleteWaiting`](TaskStatus::DeleteWaiting) decides; the others are advisory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TaskStatus {
    /// Created, not started. Also what an absent status means.
    #[default]
    Pending,
    /// Armed, begins at its start time.
    FuotaSessionWaiting,
    /// The session has begun.
    InFuotaSession,
    /// Over, for whatever reason.
    FuotaDone,
    /// The source is deleting it.
    DeleteWaiting,
    /// A value this program does not know: not eligible.
    Unknown(String),
}
