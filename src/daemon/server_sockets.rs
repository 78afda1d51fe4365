//! The sockets towards the network servers: one each, from which we are the gateway.

use super::server_socket::ServerSocket;
use super::server_socket::ServerSocketState;
use super::socket;
use crate::time::Instant;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;
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
    servers: Vec<ServerSocket>,
    /// Where we listen ourselves: nothing is relayed to there.
    listen: SocketAddr,
    buffer: Vec<u8>,
    /// Where the next look for a datagram begins, so that none waits behind another for ever.
    turn: usize,
}

impl ServerSockets {
    /// Sockets for these servers, each a host and a port. One that is an IP address has its socket at once; names are
    /// looked up on the current runtime for as long as it lives, and each answer is for [`ServerSockets::settle`].
    pub fn new(names: Vec<String>, listen: SocketAddr, now: Instant) -> (Self, mpsc::Receiver<Found>) {
        let (tell, found) = mpsc::channel(ANSWERS_MAX);
        let server = |(index, name): (usize, String)| {
            let mut server = ServerSocket::new(name);
            match server.name().parse() {
                Ok(address) => server.settle(now, listen, Ok(vec![address])),
                Err(_) => {
                    tokio::task::spawn_local(look_up(index, server.name().to_owned(), tell.clone()));
                }
            }
            server
        };
        let servers = names.into_iter().enumerate().map(server).collect();
        (ServerSockets { servers, listen, buffer: vec![0; socket::DATAGRAM_BYTES_MAX], turn: 0 }, found)
    }

    /// Takes the answer of a lookup, and sends what waited for it.
    pub fn settle(&mut self, now: Instant, (server, found): Found) {
        if let Some(server) = self.servers.get_mut(server) {
            server.settle(now, self.listen, found);
        }
    }

    /// Whether some server's queue is full: the next datagram may push out one that waits there.
    pub fn are_full(&self) -> bool {
        self.servers.iter().any(ServerSocket::is_full)
    }

    /// Does what is due on each of them.
    pub fn time(&mut self, now: Instant) {
        self.servers.iter_mut().for_each(|server| server.time(now));
    }

    /// Returns when something may be there.
    pub async fn readable(&self) {
        poll_fn(|context| {
            let sockets = self.servers.iter().filter_map(ServerSocket::socket);
            // All are asked, so that each of them wakes us.
            let ready = sockets.filter(|socket| socket.poll_recv_ready(context).is_ready()).count();
            if ready > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The next datagram that waits, from a server's own address: which server, and its length.
    pub fn receive(&mut self, now: Instant) -> Option<(usize, usize)> {
        let count = self.servers.len();
        for index in (0..count).map(|n| (self.turn + n) % count) {
            if let Some(length) = self.servers[index].receive(now, &mut self.buffer) {
                self.turn = index + 1;
                return Some((index, length));
            }
        }
        None
    }

    /// The first `length` bytes of what [`ServerSockets::receive`] brought last.
    pub fn bytes(&self, length: usize) -> &[u8] {
        &self.buffer[..length.min(self.buffer.len())]
    }

    /// Sends, or keeps until there is a way.
    pub fn send(&mut self, now: Instant, server: usize, datagram: Vec<u8>) {
        if let Some(server) = self.servers.get_mut(server) {
            server.send(now, datagram);
        }
    }

    /// How each server's socket fares.
    pub fn states(&self) -> impl Iterator<Item = ServerSocketState> {
        self.servers.iter().map(ServerSocket::state)
    }
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
