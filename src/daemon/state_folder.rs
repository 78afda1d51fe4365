//! The state folder as a command sees it, beside the service or before its first start.

use super::boot::boot_id;
use super::error::StartError;
use super::files::FolderFiles;
use super::lock::Lock;
use crate::lorawan::KeyFingerprint;
use crate::store::Enrolment;
use crate::store::Recovered;
use crate::store::StoreError;
use crate::store::enrol;
use crate::store::read;
use crate::store::read_reports;
use std::fs::DirBuilder;
use std::io;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// What lies in a state folder.
#[derive(Debug)]
pub struct StateFolder {
    /// What the service would find at its start.
    pub recovered: Recovered,
    /// Name and text of each report.
    pub reports: Vec<(String, Vec<u8>)>,
}

impl StateFolder {
    /// Reads the folder and writes nothing; `None` when there is none yet.
    ///
    /// # Errors
    /// [`StartError::StateDir`] when the folder cannot be used,
    /// [`StartError::Store`] when its contents cannot be read.
    pub fn read(dir: &Path) -> Result<Option<StateFolder>, StartError> {
        let failed = |error: io::Error| StartError::StateDir { dir: dir.to_owned(), error };
        let mut files = match FolderFiles::open(dir) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let store = |error: StoreError| StartError::Store { dir: dir.to_owned(), error };
        let recovered = read(&mut files).map_err(store)?;
        Ok(Some(StateFolder { recovered, reports: read_reports(&mut files).map_err(store)? }))
    }
}

/// Room on the file system of `dir` for whoever is not root, bytes.
pub fn free_bytes(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Enrols a key in the folder, which is made when it is missing. After a loss the service must not run: it holds the
/// counters in memory that are given a new beginning.
///
/// # Errors
/// [`StartError::SecondInstance`] while the service runs and `enrolment` is one after a loss;
/// [`StartError::StateDir`] and [`StartError::Store`] for the folder and its contents;
/// [`StartError::System`] when the boot's id cannot be read.
pub fn enrol_in(dir: &Path, key: KeyFingerprint, enrolment: &Enrolment) -> Result<(), StartError> {
    let failed = |error: io::Error| StartError::StateDir { dir: dir.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let _lock = if enrolment.after_loss { Some(Lock::take(dir)?) } else { None };
    let mut files = FolderFiles::open(dir).map_err(failed)?;
    enrol(&mut files, key, enrolment, boot_id()?)
        .map_err(|error| StartError::Store { dir: dir.to_owned(), error })
}
