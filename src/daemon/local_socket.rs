//! A listening socket of this machine, for the service's user and group.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::net::UnixStream;

/// After a connection that could not be taken the next one is looked for so much later.
const PAUSE: Duration = Duration::from_secs(1);

/// The listening socket; its file goes with it.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalSocket {
    /// Binds `path`, for user and group. Only a socket that an earlier run left is replaced.
    ///
    /// # Errors
    /// The system's word; the daemon can do without.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::other("something that is no socket is in its place")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o660))?;
        Ok(LocalSocket { listener, path: path.to_owned() })
    }

    /// The next connection that is made.
    pub async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                // No descriptors left, most likely: the next one may be luckier.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
