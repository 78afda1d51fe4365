//! Where its source says a task stands.

/// Where its source says a task stands. For a task from a file it is advisory except
/// [`DeleteWaiting`](TaskStatus::DeleteWaiting).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TaskStatus {
    /// Created, not started. Also what an absent status means.
    #[default]
    Pending,
    /// Armed, begins at its start time.
    FuotaSessionWaiting,
    /// Begun.
    InFuotaSession,
    /// Over, for whatever reason.
    FuotaDone,
    /// Being deleted.
    DeleteWaiting,
    /// A value this program does not know: not eligible.
    Unknown(String),
}
