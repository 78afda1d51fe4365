//! What the relay needs of the last good start: a text in the state folder for a start whose configuration cannot be
//! read. It holds no key and no path of one.

use super::files::FolderFiles;
use crate::store::Files;
use crate::store::FilesError;
use std::path::Path;

/// The file. The store leaves it alone.
const NAME: &str = "relay.toml";
/// The file while it is being written.
const NEW: &str = "relay.toml.new";
/// What its first lines say to whoever finds it.
const HEAD: &str = "# Kept by fuotad at its last good start, for one whose configuration cannot be read: what the relay needs.\n# Do not edit: the configuration is elsewhere.\n\n";

/// Keeps `text`, unless it is there already. A folder where it cannot be kept stops nothing.
pub fn keep(dir: &Path, text: &str) {
    let text = format!("{HEAD}{text}");
    let kept = FolderFiles::open(dir).map_err(|error| error.to_string()).and_then(|mut files| {
        if files.read(NAME).ok().flatten().is_some_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        replace(&mut files, text.as_bytes()).map_err(|error| error.to_string())
    });
    if let Err(error) = kept {
        tracing::warn!(
            "{}/{NAME}: {error}: were the configuration unreadable at the next start, nothing would be relayed",
            dir.display()
        );
    }
}

fn replace(files: &mut FolderFiles, bytes: &[u8]) -> Result<(), FilesError> {
    files.create(NEW, bytes)?;
    files.sync(NEW)?;
    files.rename(NEW, NAME)?;
    files.sync_dir()
}

/// What was kept in `dir`.
pub fn kept_relay_text(dir: &Path) -> Option<String> {
    let bytes = FolderFiles::open(dir).ok()?.read(NAME).ok()??;
    String::from_utf8(bytes).ok()
}
