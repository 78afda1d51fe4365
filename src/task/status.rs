//! Where AWS says a task stands (GetFuotaTask, `Status`).

use core::fmt;

use super::members::nearest;

/// The `Status` of a FUOTA task. For a task from a file it is advisory except
/// [`DeleteWaiting`](TaskStatus::DeleteWaiting).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TaskStatus {
    /// `Pending`: created, not started. Also what an absent status means.
    #[default]
    Pending,
    /// `FuotaSession_Waiting`: armed, begins at its start time.
    FuotaSessionWaiting,
    /// `In_FuotaSession`: begun.
    InFuotaSession,
    /// `FuotaDone`: over, for whatever reason.
    FuotaDone,
    /// `Delete_Waiting`: being deleted.
    DeleteWaiting,
    /// A value this program does not know: not eligible.
    Unknown(String),
}

const KNOWN: [(&str, TaskStatus); 5] = [
    ("Pending", TaskStatus::Pending),
    ("FuotaSession_Waiting", TaskStatus::FuotaSessionWaiting),
    ("In_FuotaSession", TaskStatus::InFuotaSession),
    ("FuotaDone", TaskStatus::FuotaDone),
    ("Delete_Waiting", TaskStatus::DeleteWaiting),
];

impl TaskStatus {
    /// The status that AWS calls `text`; never fails, a new word is [`TaskStatus::Unknown`].
    pub fn from_aws(text: &str) -> TaskStatus {
        let known = KNOWN.into_iter().find(|(name, _)| *name == text);
        known.map_or_else(|| TaskStatus::Unknown(text.to_owned()), |(_, status)| status)
    }

    /// What AWS calls it.
    pub fn as_str(&self) -> &str {
        match self {
            TaskStatus::Pending => "Pending",
            TaskStatus::FuotaSessionWaiting => "FuotaSession_Waiting",
            TaskStatus::InFuotaSession => "In_FuotaSession",
            TaskStatus::FuotaDone => "FuotaDone",
            TaskStatus::DeleteWaiting => "Delete_Waiting",
            TaskStatus::Unknown(text) => text,
        }
    }

    /// The known name that the unknown status `text` resembles.
    pub(super) fn resembling(text: &str) -> Option<&'static str> {
        nearest(text, &KNOWN.each_ref().map(|(name, _)| *name))
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_api_is_known_by_its_own_name() {
        for (name, status) in KNOWN {
            assert_eq!(TaskStatus::from_aws(name), status);
            assert_eq!(status.to_string(), name);
        }
    }

    #[test]
    fn a_status_that_aws_invents_one_day_is_kept_as_it_is() {
        let status = TaskStatus::from_aws("Paused");
        assert_eq!(status, TaskStatus::Unknown("Paused".to_owned()));
        assert_eq!(status.as_str(), "Paused");
        assert_eq!(TaskStatus::from_aws("pending"), TaskStatus::Unknown("pending".to_owned()));
        assert_eq!(TaskStatus::resembling("pending"), Some("Pending"));
    }
}
