//! One instance per state folder: whoever comes second must not even read a counter.

use super::error::StartError;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file that is locked. The store leaves it alone.
const NAME: &str = "lock";

/// Held as long as the daemon lives; the kernel lets go of it with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the state folder if it is missing, and takes it.
    ///
    /// # Errors
    /// [`StartError::SecondInstance`] when another instance holds it;
    /// [`StartError::StateDir`] when it cannot be had.
    pub fn take(dir: &Path) -> Result<Lock, StartError> {
        let failed = |error: io::Error| StartError::StateDir { dir: dir.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(dir.join(NAME))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartError::SecondInstance { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
