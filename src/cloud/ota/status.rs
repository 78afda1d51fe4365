//! Where AWS says an OTA update stands (GetOTAUpdate, `otaUpdateStatus`).

use core::fmt;

use super::answer::OtaUpdate;
use crate::task::TaskError;
use crate::task::TaskStatus;

/// The status in a document.
const STATUS_PATH: &str = "otaUpdateInfo.otaUpdateStatus";
/// How much of AWS's own words an error shows, in characters.
const MAX_SHOWN_CHARS: usize = 160;

/// The update's status, the member `otaUpdateStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtaStatus {
    /// `CREATE_PENDING`: signer job, stream and IoT job may not exist yet.
    CreatePending,
    /// `CREATE_IN_PROGRESS`: signer job, stream and IoT job may not exist yet.
    CreateInProgress,
    /// `CREATE_COMPLETE`: the order stands. It says nothing of any device.
    CreateComplete,
    /// `CREATE_FAILED`: it never will; `errorInfo` says why.
    CreateFailed,
    /// `DELETE_IN_PROGRESS`: not begun any more.
    DeleteInProgress,
    /// `DELETE_FAILED`: not begun any more.
    DeleteFailed,
    /// No status: not eligible.
    Missing,
    /// A value this program does not know: not eligible.
    Unknown(String),
}

impl OtaStatus {
    /// The status that AWS calls `text`; never fails.
    pub fn from_aws(text: Option<&str>) -> OtaStatus {
        match text {
            Some("CREATE_PENDING") => OtaStatus::CreatePending,
            Some("CREATE_IN_PROGRESS") => OtaStatus::CreateInProgress,
            Some("CREATE_COMPLETE") => OtaStatus::CreateComplete,
            Some("CREATE_FAILED") => OtaStatus::CreateFailed,
            Some("DELETE_IN_PROGRESS") => OtaStatus::DeleteInProgress,
            Some("DELETE_FAILED") => OtaStatus::DeleteFailed,
            Some(other) => OtaStatus::Unknown(other.to_owned()),
            None => OtaStatus::Missing,
        }
    }
}

impl OtaUpdate {
    /// Where the order stands that the update is.
    ///
    /// # Errors
    /// [`TaskError::Value`] while AWS has not made it, or when it could not: with its `errorInfo`.
    pub(super) fn standing(&self) -> Result<TaskStatus, TaskError> {
        let status = OtaStatus::from_aws(self.ota_update_status.as_deref());
        let refuse = |value: String, allowed: &str| {
            Err(TaskError::Value { path: STATUS_PATH.to_owned(), value, allowed: allowed.to_owned() })
        };
        match status {
            // It is called, as a FUOTA task in its session is: where no start is said, it begins.
            OtaStatus::CreateComplete => Ok(TaskStatus::InSession),
            OtaStatus::CreatePending | OtaStatus::CreateInProgress => refuse(
                format!("{status} (AWS is still making the update, so not everything stands here yet)"),
                "CREATE_COMPLETE, so save get-ota-update again when it says that",
            ),
            OtaStatus::CreateFailed => {
                refuse(self.failure(), "CREATE_COMPLETE, so create the update anew under another id")
            }
            OtaStatus::DeleteInProgress | OtaStatus::DeleteFailed => Ok(TaskStatus::Deleting),
            OtaStatus::Missing | OtaStatus::Unknown(_) => Ok(TaskStatus::Unknown(status.to_string())),
        }
    }

    /// That AWS could not make it, and why.
    fn failure(&self) -> String {
        let info = self.error_info.clone().unwrap_or_default();
        let said = |text: Option<String>| -> String {
            let text = text.unwrap_or_default();
            text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect()
        };
        let why = format!("{}: {}", said(info.code), said(info.message));
        let why = why.trim_matches([':', ' ']);
        let why = if why.is_empty() { "without an errorInfo" } else { why };
        format!("{} ({why})", OtaStatus::CreateFailed)
    }
}

impl fmt::Display for OtaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OtaStatus::CreatePending => f.write_str("CREATE_PENDING"),
            OtaStatus::CreateInProgress => f.write_str("CREATE_IN_PROGRESS"),
            OtaStatus::CreateComplete => f.write_str("CREATE_COMPLETE"),
            OtaStatus::CreateFailed => f.write_str("CREATE_FAILED"),
            OtaStatus::DeleteInProgress => f.write_str("DELETE_IN_PROGRESS"),
            OtaStatus::DeleteFailed => f.write_str("DELETE_FAILED"),
            OtaStatus::Missing => f.write_str("no otaUpdateStatus"),
            OtaStatus::Unknown(text) => f.write_str(&crate::json::shown_text(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_api_is_known_by_its_own_name() {
        for name in [
            "CREATE_PENDING",
            "CREATE_IN_PROGRESS",
            "CREATE_COMPLETE",
            "CREATE_FAILED",
            "DELETE_IN_PROGRESS",
            "DELETE_FAILED",
        ] {
            let status = OtaStatus::from_aws(Some(name));
            assert_eq!(status.to_string(), name);
            assert!(!matches!(status, OtaStatus::Unknown(_) | OtaStatus::Missing));
        }
    }

    #[test]
    fn a_status_that_aws_invents_one_day_is_kept_and_printed_safely() {
        assert_eq!(OtaStatus::from_aws(Some("PAUSED")), OtaStatus::Unknown("PAUSED".to_owned()));
        assert_eq!(OtaStatus::from_aws(Some("create_complete")).to_string(), "\"create_complete\"");
        assert!(!OtaStatus::from_aws(Some("a\n\u{1b}[2J")).to_string().contains(['\n', '\u{1b}']));
        assert_eq!(OtaStatus::from_aws(None), OtaStatus::Missing);
    }
}
