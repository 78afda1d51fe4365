//! Errors of the store.

use crate::lorawan::KeyFingerprint;
use crate::store::files::FilesError;
use thiserror::Error;

/// Reasons why a change was not made durable, or the store not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk failed. The store is halted from here on.
    #[error("{0}; nothing more is stored, check the disk and restart")]
    Files(#[from] FilesError),
    /// There was no room for a new file. Nothing changed, and counters and marks, which need no room, go on.
    #[error("{0}; make room and try again")]
    NoSpace(FilesError),
    /// An earlier failure, given here, ended all storing: what a failed sync has lost cannot be known.
    #[error("storing has ended after: {0}; check the disk and restart")]
    Halted(FilesError),
    /// A file was written by a later release.
    #[error("{} has format {found}, newer than what this release knows: use the release that wrote it", .name.escape_debug())]
    NewerFormat {
        /// Name of the file in the state folder.
        name: String,
        /// Format version found in the file.
        found: u16,
    },
    /// Refused: the counters wanted overlap those of another plan.
    #[error("FCnt {base} is spent, {next_free} is the first free one: plan from there or take a new key")]
    CounterUsed {
        /// The first FCnt wanted.
        base: u32,
        /// The first free one.
        next_free: u32,
    },
    /// Refused: a newer reservation may be lost, so only the known plans may go on.
    #[error(
        "{unreadable} journal slots of key {key} are lost in both files, only its known plans may go on: take a new key, or enrol it again beyond every counter it ever used (`fuotad group enrol --after-loss --first-fcnt N`)"
    )]
    CounterDamaged {
        /// Fingerprint of the key concerned.
        key: KeyFingerprint,
        /// Slot numbers unreadable in both files.
        unreadable: u32,
    },
    /// Refused: nothing is known about the key's counters.
    #[error(
        "the counter of key {key} is lost: {reason}; take a new key, or enrol it again beyond every counter it ever used (`fuotad group enrol --after-loss --first-fcnt N`)"
    )]
    CounterLost {
        /// Fingerprint of the key concerned.
        key: KeyFingerprint,
        /// Reason why the counter is lost.
        reason: String,
    },
    /// Refused: nobody said from where on the key's counters are free.
    #[error("key {key} is not enrolled here: `fuotad group enrol` does it, once")]
    NotEnrolled {
        /// Fingerprint of the key concerned.
        key: KeyFingerprint,
    },
    /// Refused: a key is enrolled once.
    #[error(
        "key {key} is enrolled already{group}, its first free FCnt is {next_free}: nothing was changed; after a loss `--after-loss --first-fcnt N` begins beyond every counter it ever used"
    )]
    Enrolled {
        /// Fingerprint of the key concerned.
        key: KeyFingerprint,
        /// For which group, where that is known: ` for group meters`.
        group: String,
        /// The first free FCnt.
        next_free: u32,
    },
    /// A reservation outside of 2..=65 534, or an empty one.
    #[error("FCnt {base}..{next_free} is not within 2..65535")]
    IllegalRange {
        /// The first FCnt wanted.
        base: u32,
        /// The first FCnt beyond.
        next_free: u32,
    },
    /// Something exceeds its bound.
    #[error("{count} {what}, at most {limit} are kept")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// Number of items that there would be.
        count: usize,
        /// The most items that are kept.
        limit: usize,
    },
    /// A report's name that would not be a safe file name.
    #[error("a report's name has 1 to 64 letters, digits, - and _, not {0:?}")]
    ReportName(String),
}

/// Refuses more than `limit` of something.
pub(super) fn within(what: &'static str, count: usize, limit: usize) -> Result<(), StoreError> {
    if count <= limit { Ok(()) } else { Err(StoreError::TooMany { what, count, limit }) }
}

/// Names are whatever somebody left in the folder: shown, not obeyed.
pub(super) fn damaged(name: &str) -> String {
    format!("{}: damaged, not read", name.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::FilesErrorKind;

    #[test]
    fn the_name_of_a_file_that_somebody_left_is_shown_and_not_obeyed() {
        let name = "report-\u{1b}[2J".to_owned();
        let newer = StoreError::NewerFormat { name: name.clone(), found: 2 };
        let kind = FilesErrorKind::Io;
        let failed = FilesError { operation: "read", name: name.clone(), kind, detail: "why".to_owned() };
        for line in [damaged(&name), newer.to_string(), failed.to_string()] {
            assert!(line.contains("report-\\u{1b}[2J") && !line.contains('\u{1b}'), "{line:?}");
        }
    }
}
