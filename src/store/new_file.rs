//! Files that are replaced as a whole: written under a temporary name, synced, renamed.

use crate::store::error::StoreError;
use crate::store::files::Files;
use crate::store::files::FilesErrorKind;

/// What a file on its way is called.
pub(super) const NEW: &str = ".new";

/// A durable file under a temporary name. A full disk harms nothing but this file.
pub(super) fn write_new<F: Files>(files: &mut F, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = format!("{name}{NEW}");
    let written = files.create(&temporary, bytes).and_then(|()| files.sync(&temporary));
    match written {
        Err(error) if error.kind == FilesErrorKind::NoSpace => {
            // If it cannot be removed now the next start does it.
            let _ = files.remove(&temporary);
            Err(StoreError::NoSpace(error))
        }
        other => Ok(other?),
    }
}

/// Gives a file made by [`write_new`] its name, not yet durably.
pub(super) fn adopt_new<F: Files>(files: &mut F, name: &str) -> Result<(), StoreError> {
    Ok(files.rename(&format!("{name}{NEW}"), name)?)
}

/// Replaces the file `name` as a whole, durably.
pub(super) fn replace<F: Files>(files: &mut F, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    write_new(files, name, bytes)?;
    adopt_new(files, name)?;
    Ok(files.sync_dir()?)
}

/// Removes a file; one that somebody else removed is removed.
pub(super) fn remove<F: Files>(files: &mut F, name: &str) -> Result<(), StoreError> {
    match files.remove(name) {
        Err(error) if error.kind == FilesErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}
