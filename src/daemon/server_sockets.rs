//! The sockets towards the network servers: one each, from which we are the gateway.

use super::socket;
use super::socket::SocketCounts;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// A server's name is looked up anew this often, and this soon after it could not be found.
const LOOK_UP_EVERY: Duration = Duration::from_secs(300);
const LOOK_UP_AGAIN: Duration = Duration::from_secs(10);
/// Answers of lookups that may wait.
const ANSWERS_MAX: usize = 8;

/// What a lookup found: the server, and its addresses or the system's word.
pub type Found = (usize, io::Result<Vec<SocketAddr>>);

/// All network servers' sockets.
#[derive(Debug)]
pub struct ServerSockets {
    servers: Vec<Server>,
    buffer: Vec<u8>,
    /// Where the next look for a datagram begins, so that none waits behind another for ever.
    turn: usize,
}

#[derive(Debug)]
struct Server {
    name: String,
    /// Its address and our socket towards it, once it was found.
    place: Option<(SocketAddr, UdpSocket)>,
    counts: SocketCounts,
    foreign: u64,
    /// Why its name could not be looked up last.
    trouble: Option<String>,
}

/// One server as the status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSocketState {
    /// The address that its name stands for, once looked up.
    pub address: Option<SocketAddr>,
    /// Why its name could not be looked up last.
    pub trouble: Option<String>,
    /// What happened on the socket.
    pub counts: SocketCounts,
    /// Datagrams from elsewhere, unread.
    pub foreign: u64,
}

impl ServerSockets {
    /// Sockets for these servers, each a host and a port. Their names are looked up on the current runtime for as
    /// long as it lives; each answer is for [`ServerSockets::settle`].
    pub fn new(names: Vec<String>) -> (Self, mpsc::Receiver<Found>) {
        let (tell, found) = mpsc::channel(ANSWERS_MAX);
        let server = |(index, name): (usize, String)| {
            tokio::task::spawn_local(look_up(index, name.clone(), tell.clone()));
            Server { name, place: None, counts: SocketCounts::default(), foreign: 0, trouble: None }
        };
        let servers = names.into_iter().enumerate().map(server).collect();
        (ServerSockets { servers, buffer: vec![0; socket::DATAGRAM_BYTES_MAX], turn: 0 }, found)
    }

    /// Takes the answer of a lookup. An address that is still among the found ones stays.
    pub fn settle(&mut self, (server, found): Found) {
        let Some(server) = self.servers.get_mut(server) else { return };
        let known = server.place.as_ref().map(|(address, _)| *address);
        let opened = match found {
            Ok(addresses) if known.is_some_and(|known| addresses.contains(&known)) => {
                server.trouble = None;
                return;
            }
            Ok(addresses) => addresses
                .first()
                .ok_or_else(|| io::Error::other("it has no address"))
                .and_then(|address| Ok((*address, open(*address)?))),
            Err(error) => Err(error),
        };
        match opened {
            Ok((address, socket)) => {
                tracing::info!(server = server.name, %address, "relaying to the network server");
                server.place = Some((address, socket));
                server.trouble = None;
            }
            Err(error) => {
                let trouble = error.to_string();
                if server.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(
                        server = server.name,
                        "the network server's name cannot be looked up: {trouble}; trying again every 10 s"
                    );
                }
                server.trouble = Some(trouble);
            }
        }
    }

    /// Returns when something may be there.
    pub async fn readable(&self) {
        poll_fn(|context| {
            let sockets = self.servers.iter().filter_map(|server| server.place.as_ref());
            // All are asked, so that each of them wakes us.
            let ready = sockets.filter(|(_, socket)| socket.poll_recv_ready(context).is_ready()).count();
            if ready > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The next datagram that waits, from a server's own address: which server, and its length.
    pub fn receive(&mut self) -> Option<(usize, usize)> {
        let count = self.servers.len();
        for index in (0..count).map(|n| (self.turn + n) % count) {
            let server = &mut self.servers[index];
            let Some((address, socket)) = &server.place else { continue };
            for _ in 0..8 {
                match socket.try_recv_from(&mut self.buffer) {
                    Ok((length, from)) if is_same(from, *address) => {
                        server.counts.received += 1;
                        self.turn = index + 1;
                        return Some((index, length));
                    }
                    Ok(_) => server.foreign += 1,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // A server that is gone shows here; it is asked again with the next keepalive.
                    Err(_) => server.counts.receive_errors += 1,
                }
            }
        }
        None
    }

    /// The first `length` bytes of what [`ServerSockets::receive`] brought last.
    pub fn bytes(&self, length: usize) -> &[u8] {
        &self.buffer[..length.min(self.buffer.len())]
    }

    /// Sends, or counts that it could not.
    pub fn send(&mut self, server: usize, bytes: &[u8]) {
        let Some(server) = self.servers.get_mut(server) else { return };
        let sent = match &server.place {
            Some((address, socket)) => socket.try_send_to(bytes, *address).is_ok(),
            None => false,
        };
        if sent {
            server.counts.sent += 1;
        } else {
            server.counts.send_errors += 1;
        }
    }

    /// How each server's socket fares.
    pub fn states(&self) -> impl Iterator<Item = ServerSocketState> {
        self.servers.iter().map(|server| ServerSocketState {
            address: server.place.as_ref().map(|(address, _)| *address),
            trouble: server.trouble.clone(),
            counts: SocketCounts {
                dropped: server.place.as_ref().and_then(|(_, socket)| socket::dropped(socket)).unwrap_or(0),
                ..server.counts
            },
            foreign: server.foreign,
        })
    }
}

/// A socket of our own for this server, on a port that nobody can guess.
fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    socket::enlarge(&socket);
    UdpSocket::from_std(socket)
}

fn is_same(from: SocketAddr, server: SocketAddr) -> bool {
    from.port() == server.port() && from.ip().to_canonical() == server.ip().to_canonical()
}

async fn look_up(server: usize, name: String, tell: mpsc::Sender<Found>) {
    loop {
        let found = tokio::net::lookup_host(&name).await.map(Iterator::collect);
        let again = if found.is_ok() { LOOK_UP_EVERY } else { LOOK_UP_AGAIN };
        if tell.send((server, found)).await.is_err() {
            return;
        }
        tokio::time::sleep(again).await;
    }
}
