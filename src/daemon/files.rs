//! The store's files in a real folder.

use super::io_words::io_words;
use crate::store::FILE_BYTES_MAX;
use crate::store::Files;
use crate::store::FilesError;
use crate::store::FilesErrorKind;
use rustix::fs::AtFlags;
use rustix::fs::Dir;
use rustix::fs::FileType;
use rustix::fs::Gid;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Uid;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A folder, held open: whatever happens to its path later, it is this one. Links are not followed, and only
/// regular files are touched.
#[derive(Debug)]
pub struct FolderFiles {
    dir: OwnedFd,
    /// The file that was written last. A failed write-back is told to whoever holds the file open, so it is
    /// synced through the descriptor it was written by.
    written: Option<(String, File)>,
}

impl FolderFiles {
    /// Opens an existing folder.
    ///
    /// # Errors
    /// The system's error when the folder cannot be opened.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(FolderFiles { dir: rustix::fs::open(dir, flags, Mode::empty())?, written: None })
    }

    fn open_file(&self, name: &str, flags: OFlags) -> Result<File, io::Error> {
        let always = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&self.dir, flat(name)?, flags | always, Mode::from(0o600))?);
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        if kind == FileType::RegularFile {
            Ok(file)
        } else {
            Err(io::Error::other(format!("it is no regular file but a {kind:?}")))
        }
    }

    /// The file of this name for writing: the one written last, or opened anew.
    fn writable(&mut self, name: &str) -> Result<&File, io::Error> {
        if self.written.as_ref().is_none_or(|(written, _)| written != name) {
            self.written = Some((name.to_owned(), self.open_file(name, OFlags::RDWR)?));
        }
        match &self.written {
            Some((_, file)) => Ok(file),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What root makes here belongs to whom the folder belongs: the service runs as that user.
    fn give(&self, file: &File) -> Result<(), io::Error> {
        let (folder, own) = (rustix::fs::fstat(&self.dir)?, rustix::fs::fstat(file)?);
        if own.st_uid == 0 && folder.st_uid != 0 {
            let owner = (Uid::from_raw(folder.st_uid), Gid::from_raw(folder.st_gid));
            rustix::fs::fchown(file, Some(owner.0), Some(owner.1))?;
        }
        Ok(())
    }

    fn let_go(&mut self, name: &str) {
        self.written.take_if(|(written, _)| written == name);
    }
}

impl Files for FolderFiles {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let file = match self.open_file(name, OFlags::RDONLY) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", name, &error)),
        };
        let mut bytes = Vec::new();
        let limit = FILE_BYTES_MAX as u64 + 1;
        file.take(limit).read_to_end(&mut bytes).map_err(|error| failed("read", name, &error))?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(FilesError {
                operation: "read",
                name: name.to_owned(),
                kind: FilesErrorKind::TooLarge,
                detail: format!("it is longer than {FILE_BYTES_MAX} bytes"),
            });
        }
        Ok(Some(bytes))
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        self.let_go(name);
        let make = |files: &FolderFiles| {
            match rustix::fs::unlinkat(&files.dir, flat(name)?, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let mut file = files.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
            files.give(&file)?;
            file.write_all(bytes)?;
            Ok(file)
        };
        let file = make(self).map_err(|error| failed("create", name, &error))?;
        self.written = Some((name.to_owned(), file));
        Ok(())
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FilesError> {
        let written = self.writable(name).and_then(|file| file.write_all_at(bytes, offset));
        written.map_err(|error| failed("write", name, &error))
    }

    fn sync(&mut self, name: &str) -> Result<(), FilesError> {
        let synced = self.writable(name).and_then(File::sync_data);
        synced.map_err(|error| failed("sync", name, &error))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FilesError> {
        self.let_go(from);
        self.let_go(to);
        let rename = || {
            rustix::fs::renameat(&self.dir, flat(from)?, &self.dir, flat(to)?)?;
            Ok::<(), io::Error>(())
        };
        rename().map_err(|error| failed("rename", from, &error))
    }

    fn remove(&mut self, name: &str) -> Result<(), FilesError> {
        self.let_go(name);
        let remove = || {
            rustix::fs::unlinkat(&self.dir, flat(name)?, AtFlags::empty())?;
            Ok::<(), io::Error>(())
        };
        remove().map_err(|error| failed("remove", name, &error))
    }

    fn sync_dir(&mut self) -> Result<(), FilesError> {
        rustix::fs::fsync(&self.dir).map_err(|error| failed("sync", "", &error.into()))
    }

    fn list(&mut self) -> Result<Vec<String>, FilesError> {
        let wrong = |error: Errno| failed("list", "", &error.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.dir).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

/// The name, if it stays inside the folder.
fn flat(name: &str) -> io::Result<&str> {
    let is_flat = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    is_flat
        .then_some(name)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is not a flat name"))
}

fn failed(operation: &'static str, name: &str, error: &io::Error) -> FilesError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            FilesErrorKind::NoSpace
        }
        io::ErrorKind::NotFound => FilesErrorKind::NotFound,
        _ => FilesErrorKind::Io,
    };
    FilesError { operation, name: name.to_owned(), kind, detail: io_words(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::folder::tests::TempDir;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_written_is_read_back_and_nobody_else_may_read_it() {
        let dir = TempDir::new("files");
        let mut files = FolderFiles::open(dir.path()).unwrap();
        assert_eq!(files.read("a").unwrap(), None);
        files.create("a", b"one two").unwrap();
        files.write_at("a", 4, b"2").unwrap();
        files.sync("a").unwrap();
        files.rename("a", "b").unwrap();
        files.sync_dir().unwrap();
        assert_eq!(files.list().unwrap(), ["b"]);
        assert_eq!(files.read("b").unwrap().unwrap(), b"one 2wo");
        let mode = std::fs::metadata(dir.path().join("b")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files.remove("b").unwrap();
        assert_eq!(files.remove("b").unwrap_err().kind, FilesErrorKind::NotFound);
    }

    #[test]
    fn what_root_writes_into_the_services_folder_belongs_to_the_service() {
        use std::os::unix::fs::MetadataExt;
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = TempDir::new("owner");
        std::os::unix::fs::chown(dir.path(), Some(12_345), Some(54_321)).unwrap();
        FolderFiles::open(dir.path()).unwrap().create("a", b"x").unwrap();
        let made = std::fs::metadata(dir.path().join("a")).unwrap();
        assert_eq!((made.uid(), made.gid()), (12_345, 54_321));
    }

    #[test]
    fn a_link_or_a_folder_in_a_files_place_is_not_followed() {
        let (dir, elsewhere) = (TempDir::new("links"), TempDir::new("elsewhere"));
        let target = elsewhere.path().join("secret");
        std::fs::write(&target, b"secret").unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join("marks")).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let mut files = FolderFiles::open(dir.path()).unwrap();
        assert_eq!(files.read("marks").unwrap_err().kind, FilesErrorKind::Io);
        assert_eq!(files.write_at("marks", 0, b"x").unwrap_err().kind, FilesErrorKind::Io);
        assert!(files.read("folder").is_err());
        files.create("marks", b"ours").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"secret");
        for name in ["", ".", "..", "../secret", "a/b"] {
            assert!(files.read(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_unread() {
        let dir = TempDir::new("long");
        std::fs::write(dir.path().join("a"), vec![0; FILE_BYTES_MAX + 1]).unwrap();
        let mut files = FolderFiles::open(dir.path()).unwrap();
        assert_eq!(files.read("a").unwrap_err().kind, FilesErrorKind::TooLarge);
    }

    #[test]
    fn the_real_store_opens_on_a_real_folder_twice() {
        use crate::store::Change;
        use crate::store::RecordId;
        use crate::store::Store;
        use crate::store::TaskRecord;
        let dir = TempDir::new("store");
        let record = TaskRecord { id: RecordId([7; 16]), bytes: b"a task".to_vec() };
        let (mut store, recovered) = Store::open(FolderFiles::open(dir.path()).unwrap(), [0; 16]).unwrap();
        assert!(recovered.tasks.is_empty());
        store.apply(&Change::Task(record.clone())).unwrap();
        drop(store);
        let (_, recovered) = Store::open(FolderFiles::open(dir.path()).unwrap(), [1; 16]).unwrap();
        assert_eq!(recovered.tasks, [record]);
    }
}
