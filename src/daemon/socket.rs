//! The one UDP socket that the packet forwarder talks to.

use super::StartError;
use listenfd::ListenFd;
use std::io;
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// The longest datagram UDP can carry over IPv4.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// What happened on the socket since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Receptions that failed; a forwarder that is gone shows here (ICMP port unreachable).
    pub receive_errors: u64,
    /// Datagrams that could not be sent.
    pub send_errors: u64,
}

/// The socket and its buffer.
#[derive(Debug)]
pub struct Socket {
    inner: UdpSocket,
    buffer: Vec<u8>,
    counts: SocketCounts,
}

/// Takes the socket that the service manager holds for us, or binds `listen`. Datagrams that come before
/// [`Socket::new`] wait in the kernel.
///
/// # Errors
/// [`StartError::PortInUse`], [`StartError::Listen`].
pub fn bind(listen: SocketAddr) -> Result<std::net::UdpSocket, StartError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { address: listen },
        _ => StartError::Listen { address: listen, error },
    };
    let passed = ListenFd::from_env().take_udp_socket(0).map_err(failed)?;
    let socket = passed.map_or_else(|| std::net::UdpSocket::bind(listen), Ok).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}

impl Socket {
    /// Must be called inside the runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let inner = UdpSocket::from_std(socket)?;
        Ok(Socket { inner, buffer: vec![0; DATAGRAM_BYTES_MAX], counts: SocketCounts::default() })
    }

    /// Where it listens.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Returns when something may be there.
    pub async fn readable(&self) {
        // An error shows again, and is counted, when the socket is read.
        let _ = self.inner.readable().await;
    }

    /// The next datagram that waits: its source and its bytes. An error of a former send (the forwarder's
    /// port is closed) is counted and skipped once.
    pub fn receive(&mut self) -> Option<(SocketAddr, usize)> {
        for _ in 0..2 {
            match self.inner.try_recv_from(&mut self.buffer) {
                Ok((length, from)) => {
                    self.counts.received += 1;
                    return Some((from, length));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => self.counts.receive_errors += 1,
            }
        }
        None
    }

    /// The first `length` bytes of what [`Socket::receive`] brought last.
    pub fn bytes(&self, length: usize) -> &[u8] {
        &self.buffer[..length.min(self.buffer.len())]
    }

    /// Sends, or counts that it could not: whoever waits for an answer notices by its absence.
    pub fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        match self.inner.try_send_to(bytes, to) {
            Ok(_) => self.counts.sent += 1,
            Err(error) => {
                self.counts.send_errors += 1;
                tracing::debug!(%to, %error, "a datagram was not sent");
            }
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> SocketCounts {
        self.counts
    }
}
