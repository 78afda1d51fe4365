//! The words of AWS for where a task stands (GetFuotaTask, `Status`).

use crate::task::TaskStatus;
use crate::task::nearest;

const KNOWN: [(&str, TaskStatus); 5] = [
    ("Pending", TaskStatus::Pending),
    ("FuotaSession_Waiting", TaskStatus::Armed),
    ("In_FuotaSession", TaskStatus::InSession),
    ("FuotaDone", TaskStatus::Done),
    ("Delete_Waiting", TaskStatus::Deleting),
];

/// The status that AWS calls `text`; never fails, a new word is [`TaskStatus::Unknown`].
pub fn status_from_aws(text: &str) -> TaskStatus {
    let known = KNOWN.into_iter().find(|(name, _)| *name == text);
    known.map_or_else(|| TaskStatus::Unknown(text.to_owned()), |(_, status)| status)
}

/// What AWS calls `status`.
pub fn status_to_aws(status: &TaskStatus) -> &str {
    match status {
        TaskStatus::Pending => "Pending",
        TaskStatus::Armed => "FuotaSession_Waiting",
        TaskStatus::InSession => "In_FuotaSession",
        TaskStatus::Done => "FuotaDone",
        TaskStatus::Deleting => "Delete_Waiting",
        TaskStatus::Unknown(text) => text,
    }
}

/// The known name that the unknown status `text` resembles.
pub(super) fn resembling(text: &str) -> Option<&'static str> {
    nearest(text, &KNOWN.each_ref().map(|(name, _)| *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_api_is_known_by_its_own_name() {
        for (name, status) in KNOWN {
            assert_eq!(status_from_aws(name), status);
            assert_eq!(status_to_aws(&status), name);
        }
    }

    #[test]
    fn a_status_that_aws_invents_one_day_is_kept_as_it_is() {
        let status = status_from_aws("Paused");
        assert_eq!(status, TaskStatus::Unknown("Paused".to_owned()));
        assert_eq!(status_to_aws(&status), "Paused");
        assert_eq!(status_from_aws("pending"), TaskStatus::Unknown("pending".to_owned()));
        assert_eq!(resembling("pending"), Some("Pending"));
    }
}
