//! Whose is the tty? An exclusive lock keeps out only those who ask for one, and packet forwarders do not.

use std::fs::metadata;
use std::fs::read_dir;
use std::fs::read_to_string;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Another process that has the tty open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id of the process.
    pub pid: u32,
    /// The name of the process.
    pub name: String,
}

/// Who has `tty` open besides us, as far as /proc shows: the processes of other users only to root,
/// and none to a service with `ProtectProc=`.
pub fn holder(tty: &Path) -> Option<Holder> {
    let device = device(tty)?;
    let own = std::process::id();
    let pids = read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| *pid != own).find_map(|pid| {
        let mut files = read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        files.find(|file| self::device(&file.path()) == Some(device))?;
        let name = read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some(Holder { pid, name: name.trim().chars().filter(|c| !c.is_control()).collect() })
    })
}

/// The number of a character device.
fn device(path: &Path) -> Option<u64> {
    let metadata = metadata(path).ok()?;
    metadata.file_type().is_char_device().then(|| metadata.rdev())
}
