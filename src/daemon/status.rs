//! The status socket: whoever connects gets one JSON document and is not listened to.

use std::fs::Permissions;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// A reader that is slower than this is left alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest document that a reader takes.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

/// Asks the driver for the document.
pub type StatusRequest = oneshot::Sender<Vec<u8>>;

/// The listening socket; its file goes with it.
#[derive(Debug)]
pub struct StatusSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl StatusSocket {
    /// Binds `path`, readable by user and group. Only a socket that an earlier run left is replaced.
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
        Ok(StatusSocket { listener, path: path.to_owned() })
    }

    /// Serves one reader after the other, for ever.
    pub async fn serve(self, asks: mpsc::Sender<StatusRequest>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, &asks)).await;
                }
                // No descriptors left, most likely: the next one may be luckier.
                Err(_) => tokio::time::sleep(PATIENCE).await,
            }
        }
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(mut stream: UnixStream, asks: &mpsc::Sender<StatusRequest>) {
    let (ask, document) = oneshot::channel();
    if asks.send(ask).await.is_ok()
        && let Ok(document) = document.await
    {
        let _ = stream.write_all(&document).await;
        let _ = stream.shutdown().await;
    }
}

/// What the daemon behind `path` says of itself, as JSON text.
///
/// # Errors
/// No daemon, no right to ask it, or no answer in time.
pub fn read_status(path: &Path) -> io::Result<String> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(2 * PATIENCE))?;
    let mut text = String::new();
    stream.take(DOCUMENT_BYTES_MAX).read_to_string(&mut text)?;
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon is busy or just ending"));
    }
    Ok(text)
}
