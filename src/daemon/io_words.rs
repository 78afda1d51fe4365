//! What the system says of files and sockets, in words that say what is the matter.

use std::io;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

/// What the unit hides from the service (`ProtectHome=`, `PrivateTmp=`).
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// The reason in words, without the number that only programs know.
pub fn io_words(error: &io::Error) -> String {
    let text = error.to_string();
    if let Some(why) = text.strip_prefix("failed to lookup address information: ") {
        return format!("its name cannot be looked up: {why}");
    }
    // What we say ourselves is in words already.
    if error.get_ref().is_some() {
        return text;
    }
    let words = match error.kind() {
        ErrorKind::NotFound => "it is not there",
        ErrorKind::PermissionDenied => {
            "permission denied: its owner and mode, or those of a folder above it, keep this user out"
        }
        ErrorKind::IsADirectory => "it is a folder, and a file is wanted",
        ErrorKind::NotADirectory => "a part of its path is a file, and a folder is wanted",
        ErrorKind::AlreadyExists => "it is there already",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full",
        ErrorKind::ReadOnlyFilesystem => "the disk is mounted read-only",
        ErrorKind::AddrNotAvailable => "this machine has no such address",
        ErrorKind::AddrInUse => "another program listens there",
        ErrorKind::ConnectionRefused => "nobody listens there",
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "there is no way to it",
        ErrorKind::TimedOut => "there was no answer in time",
        _ => text.split(" (os error ").next().unwrap_or_default(),
    };
    words.to_owned()
}

/// The same of the file at `path`, where the unit may hide it from the service.
pub fn file_words(path: &Path, error: &io::Error) -> String {
    let words = io_words(error);
    let may_be_hidden = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied);
    match hidden(path).filter(|_| may_be_hidden) {
        Some(folder) => format!(
            "{words}; the unit hides {} from the service (ProtectHome, PrivateTmp): put the file elsewhere, like /var/lib/fuotad",
            folder.display()
        ),
        None => words,
    }
}

/// The folder around `path` that the unit hides from the service.
pub fn hidden(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    HIDDEN.iter().map(PathBuf::from).find(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_the_system_is_told() {
        for code in 1..134 {
            let words = io_words(&io::Error::from_raw_os_error(code));
            assert!(!words.contains("os error") && !words.is_empty(), "{code}: {words}");
        }
        let own = io::Error::other("it is no regular file");
        assert_eq!(io_words(&own), "it is no regular file");
    }

    #[test]
    fn what_the_unit_hides_is_explained() {
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let words = file_words(Path::new("/home/ann/app.bin"), &denied);
        assert!(words.starts_with("permission denied") && words.contains("hides /home"), "{words}");
        assert!(!file_words(Path::new("/srv/app.bin"), &denied).contains("hides"));
        let other = io::Error::other("it is over the limit");
        assert_eq!(file_words(Path::new("/tmp/app.bin"), &other), "it is over the limit");
    }

    #[test]
    fn what_the_unit_hides_is_known_by_its_folder() {
        assert_eq!(hidden(Path::new("/home/ann/key")), Some(PathBuf::from("/home")));
        assert_eq!(hidden(Path::new("/tmp/key")), Some(PathBuf::from("/tmp")));
        assert_eq!(hidden(Path::new("/etc/fuotad/key")), None);
        assert_eq!(hidden(Path::new("/homer/key")), None);
    }
}
