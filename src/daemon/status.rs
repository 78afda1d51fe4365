//! The status socket: whoever connects gets one JSON document and is not listened to.

use super::control::Ask;
use super::local_socket::LocalSocket;
use std::io;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// A reader that is slower than this is left alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest document that a reader takes.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

/// Serves one reader after the other, for ever.
pub async fn serve(socket: LocalSocket, asks: mpsc::Sender<Ask>) {
    loop {
        let stream = socket.accept().await;
        let _ = tokio::time::timeout(PATIENCE, answer(stream, &asks)).await;
    }
}

async fn answer(mut stream: UnixStream, asks: &mpsc::Sender<Ask>) {
    let (ask, document) = oneshot::channel();
    if asks.send(Ask::Status(ask)).await.is_ok()
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
