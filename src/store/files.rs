//! The disk as the store sees it: flat names, and durability only where it is asked for.

use thiserror::Error;

/// No file is longer: 1 MiB. [`Files::read`] answers [`FilesErrorKind::TooLarge`] instead of reading more.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// One directory of small files. Nothing is durable before its `sync` (contents) or `sync_dir` (names) has
/// returned `Ok`; until then a power cut may keep any part of it, in any order, or leave garbage in a page
/// that was being written.
pub trait Files {
    /// The whole file, `None` if there is none of this name.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError>;

    /// Makes a new file (the store uses it for temporary names only; what had the name is replaced).
    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError>;

    /// Overwrites bytes of an existing file from `offset`. The length changes only if they reach beyond it.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FilesError>;

    /// Makes the file's contents durable. A failure is final: what was written may be lost although it can
    /// still be read, and a second try may succeed without having written anything.
    fn sync(&mut self, name: &str) -> Result<(), FilesError>;

    /// Gives a file another name, replacing what had it; after a power cut it has one name or the other.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FilesError>;

    /// Removes the file `name`, not yet durably.
    fn remove(&mut self, name: &str) -> Result<(), FilesError>;

    /// Makes all names durable: creations, renames and removals.
    fn sync_dir(&mut self) -> Result<(), FilesError>;

    /// All names, in any order.
    fn list(&mut self) -> Result<Vec<String>, FilesError>;
}

impl<F: Files + ?Sized> Files for &mut F {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        (**self).read(name)
    }
    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        (**self).create(name, bytes)
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FilesError> {
        (**self).write_at(name, offset, bytes)
    }
    fn sync(&mut self, name: &str) -> Result<(), FilesError> {
        (**self).sync(name)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FilesError> {
        (**self).rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), FilesError> {
        (**self).remove(name)
    }
    fn sync_dir(&mut self) -> Result<(), FilesError> {
        (**self).sync_dir()
    }
    fn list(&mut self) -> Result<Vec<String>, FilesError> {
        (**self).list()
    }
}

/// An operation on a file that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{operation} {}: {detail}", .name.escape_debug())]
pub struct FilesError {
    /// What was tried, as a verb: `sync`, `write`, ...
    pub operation: &'static str,
    /// The file; empty for the directory itself.
    pub name: String,
    /// What it means for the store.
    pub kind: FilesErrorKind,
    /// The system's own words.
    pub detail: String,
}

/// What a failed operation means for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilesErrorKind {
    /// The disk or a quota is full.
    NoSpace,
    /// The file does not exist.
    NotFound,
    /// The file is longer than [`FILE_BYTES_MAX`].
    TooLarge,
    /// The power is gone (simulated disk only): nothing works any more.
    PowerCut,
    /// Anything else: a failing medium, missing rights, a read-only file system.
    Io,
}
