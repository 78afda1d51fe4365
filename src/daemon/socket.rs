//! The one UDP socket that the packet forwarder talks to.

use super::error::StartError;
use listenfd::ListenFd;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use tokio::net::UdpSocket;

/// The longest datagram UDP can carry over IPv4.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Room for a burst of some thousand short datagrams.
const BUFFER_BYTES: usize = 4 << 20;

/// What happened on the socket since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// Datagrams received on the socket.
    pub received: u64,
    /// Datagrams sent from the socket.
    pub sent: u64,
    /// Receptions that failed; a forwarder that is gone shows here (ICMP port unreachable).
    pub receive_errors: u64,
    /// Datagrams that could not be sent.
    pub send_errors: u64,
    /// Datagrams that the kernel dropped because we did not read in time.
    pub dropped: u64,
}

/// Whether what is sent to `address` comes back to our own socket at `listen`.
pub fn is_own(listen: SocketAddr, address: SocketAddr) -> bool {
    let (ours, theirs) = (listen.ip().to_canonical(), address.ip().to_canonical());
    // Nobody but this machine can give us a socket with its address.
    let is_this_machine = || theirs.is_loopback() || std::net::UdpSocket::bind((theirs, 0)).is_ok();
    let is_met = || theirs == ours || theirs.is_unspecified() || ours.is_unspecified() && is_this_machine();
    listen.port() == address.port() && is_met()
}

/// Why the server `name` is refused when it leads to `address`, our own.
pub fn own_address(name: &str, address: SocketAddr) -> String {
    format!("{name} leads to {address}, where we listen ourselves: move one of the two to another port")
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
/// [`StartError::PortInUse`] when another program listens there; [`StartError::Listen`] for any other reason.
pub fn bind(listen: SocketAddr) -> Result<std::net::UdpSocket, StartError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { address: listen },
        _ => StartError::Listen { address: listen, error },
    };
    let passed = ListenFd::from_env().take_udp_socket(0).map_err(failed)?;
    let socket = passed.map_or_else(|| std::net::UdpSocket::bind(listen), Ok).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    enlarge(&socket);
    Ok(socket)
}

/// Asks for buffers that hold a burst; the kernel gives what its own limits allow.
pub fn enlarge(socket: &std::net::UdpSocket) {
    // Whatever is refused here, the kernel's own size stays.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket, BUFFER_BYTES);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket, BUFFER_BYTES);
}

/// Datagrams that the kernel dropped on this socket, as /proc tells them; `None` where it is hidden.
pub fn dropped(socket: impl AsFd) -> Option<u64> {
    let inode = rustix::fs::fstat(socket).ok()?.st_ino;
    ["/proc/self/net/udp", "/proc/self/net/udp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        drops_of(&table, inode)
    })
}

/// The last column of the line with this inode (the tenth).
fn drops_of(table: &str, inode: u64) -> Option<u64> {
    let lines = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let mut its = lines.filter(|columns| columns.get(9).and_then(|text| text.parse().ok()) == Some(inode));
    its.next()?.last()?.parse().ok()
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

    /// The address that it listens on.
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
        SocketCounts { dropped: dropped(&self.inner).unwrap_or(0), ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_drops_are_read_for_the_right_socket() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
            98: 0100007F:06A4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 3\n  \
            99: 0100007F:06AE 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 90\n";
        assert_eq!(drops_of(table, 4712), Some(90));
        assert_eq!(drops_of(table, 3), None);
    }

    #[test]
    fn our_own_socket_is_known_by_every_address_that_leads_to_it() {
        let is_own = |listen: &str, address: &str| is_own(listen.parse().unwrap(), address.parse().unwrap());
        for (listen, address) in [
            ("127.0.0.1:1700", "127.0.0.1:1700"),
            ("127.0.0.1:1700", "[::ffff:127.0.0.1]:1700"),
            ("127.0.0.1:1700", "0.0.0.0:1700"),
            ("0.0.0.0:1700", "127.0.0.2:1700"),
            ("[::]:1700", "127.0.0.1:1700"),
            ("[::1]:1700", "[::1]:1700"),
        ] {
            assert!(is_own(listen, address), "{listen} {address}");
        }
        for (listen, address) in [
            ("127.0.0.1:1700", "127.0.0.1:1710"),
            ("127.0.0.1:1700", "[::1]:1700"),
            ("0.0.0.0:1700", "192.0.2.7:1700"),
        ] {
            assert!(!is_own(listen, address), "{listen} {address}");
        }
    }

    #[test]
    fn a_socket_that_nobody_reads_counts_what_the_kernel_drops() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(dropped(&socket), Some(0));
        for _ in 0..2000 {
            socket.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
        }
        assert!(dropped(&socket).unwrap() > 0);
    }
}
