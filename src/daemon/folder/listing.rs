//! What lies in the folder, and what is in a file of it. Only regular files are read; links are not followed, so that
//! nobody who may write here can point the daemon at a file it should not read.

use crate::task::MAX_TASK_BYTES;
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::fs::File;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What the name of a task file ends with.
pub(super) const ENDING: &str = ".json";
/// Whoever is neither the owner nor of the group may write.
const WRITABLE_BY_ALL: u32 = 0o002;

/// A file that changes, changes one of these.
pub(super) type Stamp = (u64, u64, i64, i64, i64, i64);

/// Which folder it is, whatever its name: device and inode.
pub(super) type Identity = (u64, u64);

/// The names that have a place.
#[derive(Debug)]
pub(super) struct Listing {
    pub names: BTreeSet<String>,
    /// Task files that have none.
    pub left_out: usize,
    pub identity: Identity,
    /// Anybody on this machine can put files here.
    pub is_open: bool,
}

/// The task files in the folder. Those that are known keep their place; `places` are for all. Of the new ones those
/// that are awaited come first, then the names decide. However many there are, no more than `places` are remembered.
///
/// # Errors
/// The system's error when the folder cannot be read.
pub(super) fn list(
    folder: &Path,
    places: usize,
    is_known: impl Fn(&str) -> bool,
    is_awaited: impl Fn(&str) -> bool,
) -> io::Result<Listing> {
    let metadata = std::fs::metadata(folder)?;
    let (mut names, mut new, mut count) = (BTreeSet::new(), BTreeSet::new(), 0_usize);
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| is_task_file(name)) else { continue };
        count += 1;
        if is_known(name) {
            names.insert(name.to_owned());
        } else {
            new.insert((!is_awaited(name), name.to_owned()));
            if new.len() > places {
                new.pop_last();
            }
        }
    }
    let free = places.saturating_sub(names.len());
    names.extend(new.into_iter().take(free).map(|(_, name)| name));
    let left_out = count.saturating_sub(names.len());
    Ok(Listing { names, left_out, identity: identity(&metadata), is_open: is_open(&metadata) })
}

/// Whether a file with this name is looked at.
pub(super) fn is_task_file(name: &str) -> bool {
    name.len() > ENDING.len() && name.ends_with(ENDING) && !name.starts_with('.')
}

/// The name without its ending: the task's id where the document has none.
pub(super) fn stem_of(name: &str) -> &str {
    name.strip_suffix(ENDING).unwrap_or(name)
}

/// The name for a log: whoever may write into the folder chooses it, and a line break in it would forge a line.
pub(super) fn shown(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        match letter {
            '\'' | '"' | '\\' => text.push(letter),
            other => text.extend(other.escape_debug()),
        }
    }
    text
}

pub(super) fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn is_open(metadata: &Metadata) -> bool {
    metadata.mode() & WRITABLE_BY_ALL != 0
}

/// The stamp of the file itself, not of what a link leads to.
///
/// # Errors
/// The system's error when the file has no metadata.
pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = std::fs::symlink_metadata(path)?;
    let (written, changed) =
        ((metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()));
    Ok((metadata.ino(), metadata.len(), written.0, written.1, changed.0, changed.1))
}

/// The bytes of a task file.
///
/// # Errors
/// The system's, and what the file is instead.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            io::Error::other("it is a link: put the file itself here")
        }
        _ => error,
    })?;
    read_regular(&file, MAX_TASK_BYTES)
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// The system's; that it is no regular file; that it is longer.
pub(in crate::daemon) fn read_regular(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is over {limit} bytes"));
    if metadata.len() > limit as u64 {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_long()) } else { Ok(bytes) }
}
