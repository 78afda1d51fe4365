//! What the system tells of the folder by itself (inotify), so that a file that is taken away is known at once.

use super::listing;
use super::listing::Identity;
use rustix::fs::inotify;
use rustix::fs::inotify::CreateFlags;
use rustix::fs::inotify::ReadFlags;
use rustix::fs::inotify::Reader;
use rustix::fs::inotify::WatchFlags;
use rustix::io::Errno;
use std::fmt::Display;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes that are read at once: some hundred notices, or fifteen with the longest names.
const BUFFER_BYTES: usize = 4096;

/// A folder that is watched, and which one it is: its name may lead elsewhere later.
#[derive(Debug)]
pub(super) struct Watch {
    queue: OwnedFd,
    identity: Identity,
}

/// What was noticed: whatever it is, another look is due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Task files that were removed or moved away.
    pub vanished: Vec<String>,
}

/// The queue of notices; without one there are none.
#[derive(Debug, Default)]
pub(super) struct Notices {
    queue: Option<AsyncFd<OwnedFd>>,
    identity: Option<Identity>,
    /// It was said that there are none.
    is_deaf: bool,
}

impl Watch {
    /// Watches the folder. Waits for the disk.
    ///
    /// # Errors
    /// The system's: no inotify, too many watches, no folder.
    pub(super) fn set(folder: &Path) -> io::Result<Watch> {
        // Asked first: a folder that is put in its place in between has another identity than the one looked into.
        let identity = listing::identity(&std::fs::metadata(folder)?);
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let what = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&queue, folder, what)?;
        Ok(Watch { queue, identity })
    }
}

impl Notices {
    /// Whether the folder is watched.
    pub(super) fn is_watching(&self) -> bool {
        self.queue.is_some()
    }

    /// Listens to a watch that was just set, or not; what is to be said about that, once.
    pub(super) fn listen(&mut self, watch: io::Result<Watch>) -> Option<String> {
        let heard = watch.and_then(|Watch { queue, identity }| Ok((registered(queue)?, identity)));
        match heard {
            Ok((queue, identity)) => {
                (self.queue, self.identity) = (Some(queue), Some(identity));
                self.is_deaf = false;
                None
            }
            // Whoever looks into the folder says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => self.deaf(&error),
        }
    }

    /// The folder of this identity was looked into. One that another one took the place of is not watched any longer;
    /// whether that is so.
    pub(super) fn compare(&mut self, looked_into: Option<Identity>) -> bool {
        let is_other = self.is_watching() && self.identity != looked_into;
        if is_other {
            self.queue = None;
        }
        is_other
    }

    /// Waits for something to happen in the folder; for ever when it is not watched.
    /// Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> News {
        loop {
            let Some(queue) = &self.queue else { return std::future::pending().await };
            let Ok(mut ready) = queue.readable().await else {
                self.queue = None;
                return News::default();
            };
            let mut news = None;
            let read = read(queue.get_ref(), &mut news);
            if read == Ok(false) {
                ready.clear_ready();
            }
            drop(ready);
            if read.is_err() {
                // The folder went, or its notices cannot be read: the watch is set again with the next look.
                self.queue = None;
                return news.unwrap_or_default();
            }
            if let Some(news) = news {
                return news;
            }
        }
    }

    fn deaf(&mut self, error: &dyn Display) -> Option<String> {
        let text = format!(
            "the system does not tell what happens in the task folder ({error}): changes are seen only when it is looked into (tasks.scan-s)"
        );
        (!std::mem::replace(&mut self.is_deaf, true)).then_some(text)
    }
}

#[expect(deprecated, reason = "what replaces it is unsafe, for whoever does not own the descriptor; we do")]
fn registered(queue: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(queue, Interest::READABLE)
}

/// Reads one bufferful; whether there may be more. An error ends the watch; what came before it counts.
fn read(queue: &OwnedFd, news: &mut Option<News>) -> Result<bool, Errno> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut reader = Reader::new(queue, &mut buffer);
    loop {
        let notice = match reader.next() {
            Ok(notice) => notice,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        };
        let news = news.get_or_insert_default();
        let what = notice.events();
        if what.intersects(
            ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT,
        ) {
            return Err(Errno::NOENT);
        }
        // A queue that ran over has lost notices; the look that follows finds what they said.
        if what.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM)
            && let Some(Ok(name)) = notice.file_name().map(std::ffi::CStr::to_str)
            && listing::is_task_file(name)
        {
            news.vanished.push(name.to_owned());
        }
        if reader.is_buffer_empty() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::folder::tests::TempDir;
    use std::time::Duration;

    /// Longer than anything takes.
    const LIMIT: Duration = Duration::from_secs(20);

    async fn next(notices: &mut Notices) -> Vec<String> {
        tokio::time::timeout(LIMIT, notices.next()).await.unwrap().vanished
    }

    /// Waits until the watch has ended.
    async fn end(notices: &mut Notices) {
        while notices.is_watching() {
            next(notices).await;
        }
    }

    /// Watches the folder, and is told of a file that comes and goes.
    async fn assert_watched(notices: &mut Notices, folder: &Path) {
        if !notices.is_watching() {
            assert_eq!(notices.listen(Watch::set(folder)), None);
        }
        let file = folder.join("a.json");
        std::fs::write(&file, "").unwrap();
        assert!(next(notices).await.is_empty());
        std::fs::remove_file(&file).unwrap();
        while next(notices).await != ["a.json"] {}
    }

    #[tokio::test]
    async fn a_folder_that_goes_or_is_replaced_is_watched_again() {
        let dir = TempDir::new("notices");
        let (outer, folder) = (dir.file("etc"), dir.file("etc").join("tasks"));
        let mut notices = Notices::default();
        std::fs::create_dir_all(&folder).unwrap();
        assert_watched(&mut notices, &folder).await;
        assert!(notices.is_watching());
        std::fs::remove_dir(&folder).unwrap();
        end(&mut notices).await;
        assert_eq!(notices.listen(Watch::set(&folder)), None, "whoever looks says that it is not there");
        std::fs::create_dir(&folder).unwrap();
        assert_watched(&mut notices, &folder).await;
        std::fs::rename(&folder, dir.file("old")).unwrap();
        end(&mut notices).await;
        std::fs::create_dir(&folder).unwrap();
        assert_watched(&mut notices, &folder).await;
        // Nobody tells when a folder above it is replaced: whoever looks sees another one.
        let identity = |path: &Path| Some(listing::identity(&std::fs::metadata(path).unwrap()));
        assert!(!notices.compare(identity(&folder)));
        std::fs::rename(&outer, dir.file("older")).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        assert!(notices.compare(identity(&folder)) && !notices.is_watching());
        assert_watched(&mut notices, &folder).await;
    }

    #[tokio::test]
    async fn a_system_that_tells_nothing_is_complained_of_once() {
        let dir = TempDir::new("deaf");
        let mut notices = Notices::default();
        let refused = || Err(io::Error::from(Errno::NOSPC));
        let complaint = notices.listen(refused()).unwrap();
        assert!(complaint.contains("changes are seen only when it is looked into"), "{complaint}");
        assert_eq!(notices.listen(refused()), None);
        assert_eq!(notices.listen(Watch::set(dir.path())), None);
        assert!(notices.listen(refused()).is_some(), "it was heard in between");
    }
}
