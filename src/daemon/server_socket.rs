//! One network server: the addresses of its name, our socket towards the one in use, and what waits for it.
//!
//! The socket is connected, so that a refusal (ICMP port unreachable) is told to us and the kernel drops what comes
//! from anywhere else. A connected socket keeps the address of ours that it began with; one that gets no answer any
//! more is opened anew, which also heals a gateway that got another address.

use super::io_words::io_words;
use super::socket;
use super::socket::SocketCounts;
use super::waiting::Waiting;
use crate::time::Instant;
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// One of several addresses that never answered is left for another after this, microseconds: half of our keepalive, so
/// that each gets one.
const FIRST_ANSWER_US: u64 = 5_000_000;
/// Any other may miss three keepalives, and half a one for those that are merely late, microseconds.
const ANSWER_US: u64 = 35_000_000;
/// When every address was tried once, refusals change the address no more often than this, microseconds.
const MOVE_EVERY_US: u64 = 1_000_000;
/// Errors that are taken from the socket before others get their turn.
const ERRORS_MAX: usize = 8;

/// One network server's way.
#[derive(Debug)]
pub struct ServerSocket {
    name: String,
    /// All addresses of its name, in the order of the look-up.
    addresses: Vec<SocketAddr>,
    /// The address in use and our socket towards it.
    place: Option<(SocketAddr, UdpSocket)>,
    waiting: Waiting,
    /// Whether the address in use ever answered.
    has_answered: bool,
    /// When the oldest datagram was sent since which nothing came back.
    asked: Option<Instant>,
    /// When the address was chosen.
    moved: Instant,
    /// Addresses that were chosen since a server answered last.
    tried: usize,
    counts: SocketCounts,
    foreign: u64,
    trouble: Option<String>,
}

/// One server as the status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSocketState {
    /// The address in use, once its name was looked up.
    pub address: Option<SocketAddr>,
    /// Why there is none, or why its name could not be looked up last.
    pub trouble: Option<String>,
    /// What happened on the socket; what was pushed out of the queue is among the send errors.
    pub counts: SocketCounts,
    /// Datagrams from elsewhere, unread: what came before the socket was connected.
    pub foreign: u64,
    /// Datagrams that wait for an address, or for the kernel.
    pub waiting: usize,
}

impl ServerSocket {
    /// A server that is not found yet. What is sent waits.
    pub fn new(name: String) -> Self {
        ServerSocket {
            name,
            addresses: Vec::new(),
            place: None,
            waiting: Waiting::default(),
            has_answered: false,
            asked: None,
            moved: Instant::ZERO,
            tried: 0,
            counts: SocketCounts::default(),
            foreign: 0,
            trouble: None,
        }
    }

    /// Its name and port as configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the answer of a look-up. An address that is still among the found ones stays in use; a name that leads
    /// to our own socket at `listen` has none.
    pub fn settle(&mut self, now: Instant, listen: SocketAddr, found: io::Result<Vec<SocketAddr>>) {
        match found {
            Err(error) => self.in_trouble(io_words(&error)),
            Ok(addresses) if addresses.is_empty() => self.in_trouble("it has no address".to_owned()),
            Ok(addresses) => {
                if let Some(own) = addresses.iter().find(|address| socket::is_own(listen, **address)) {
                    self.addresses.clear();
                    self.place = None;
                    return self.in_trouble(socket::own_address(&self.name, *own));
                }
                self.addresses = addresses;
                self.trouble = None;
                let in_use = self.place.as_ref().map(|(address, _)| *address);
                if in_use.is_none_or(|in_use| !self.addresses.contains(&in_use)) {
                    self.place = None;
                    self.tried = 0;
                    self.choose(now, "");
                }
            }
        }
        self.flush(now);
    }

    /// Whether what is sent next may push out something that waits.
    pub fn is_full(&self) -> bool {
        self.waiting.is_full()
    }

    /// Sends a datagram, or lets it wait.
    pub fn send(&mut self, now: Instant, datagram: Vec<u8>) {
        self.counts.send_errors += self.waiting.push(datagram);
        self.flush(now);
    }

    /// The length of the next datagram that came from it.
    pub fn receive(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        for _ in 0..ERRORS_MAX {
            let (address, socket) = self.place.as_ref()?;
            match socket.try_recv_from(buffer) {
                Ok((length, from)) if is_same(from, *address) => {
                    self.counts.received += 1;
                    self.answered();
                    return Some(length);
                }
                Ok(_) => self.foreign += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => {
                    self.counts.receive_errors += 1;
                    self.refused(now, &error);
                }
            }
        }
        None
    }

    /// Does what is due: looks for another address when the one in use does not answer, and sends what waits.
    pub fn time(&mut self, now: Instant) {
        let is_new = !self.has_answered && self.addresses.len() > 1;
        let patience_us = if is_new { FIRST_ANSWER_US } else { ANSWER_US };
        let is_silent = self.asked.is_some_and(|asked| now.us_since(asked) >= patience_us);
        if is_silent || self.place.is_none() && !self.addresses.is_empty() {
            self.choose(now, "it does not answer");
        }
        self.flush(now);
    }

    /// The socket towards the address in use.
    pub fn socket(&self) -> Option<&UdpSocket> {
        self.place.as_ref().map(|(_, socket)| socket)
    }

    /// How the server and its queue fare.
    pub fn state(&self) -> ServerSocketState {
        let dropped = self.socket().and_then(socket::dropped).unwrap_or(0);
        ServerSocketState {
            address: self.place.as_ref().map(|(address, _)| *address),
            trouble: self.trouble.clone(),
            counts: SocketCounts { dropped, ..self.counts },
            foreign: self.foreign,
            waiting: self.waiting.len(),
        }
    }

    /// Sends what waits, until the kernel takes no more. The kernel is asked itself: the runtime does not know yet that
    /// a socket which was just opened can be written to.
    fn flush(&mut self, now: Instant) {
        while let Some(datagram) = self.waiting.first() {
            let Some((_, socket)) = &self.place else { return };
            match rustix::net::send(socket, datagram, SendFlags::DONTWAIT) {
                Ok(_) => {
                    // On this machine a refusal is there at once, and the datagram can go to another address.
                    let error = if self.has_answered { None } else { socket.take_error().ok().flatten() };
                    if error.is_some_and(|error| self.refused(now, &error)) {
                        continue;
                    }
                    self.asked.get_or_insert(now);
                    self.counts.sent += 1;
                    self.waiting.pop();
                }
                // Of an earlier datagram; this one was not sent.
                Err(Errno::CONNREFUSED) => {
                    self.refused(now, &Errno::CONNREFUSED.into());
                }
                Err(Errno::MSGSIZE) => {
                    self.counts.send_errors += 1;
                    self.waiting.pop();
                }
                Err(Errno::AGAIN) => return,
                // No way there: the datagram waits for one.
                Err(error) => {
                    if self.may_move(now) {
                        self.choose(now, &io_words(&io::Error::from(error)));
                    }
                    return;
                }
            }
        }
    }

    /// The address in use refuses; whether another one is in use now.
    fn refused(&mut self, now: Instant, error: &io::Error) -> bool {
        let moves = self.addresses.len() > 1 && self.may_move(now);
        if moves {
            self.choose(now, &io_words(error));
        }
        moves && self.place.is_some()
    }

    fn may_move(&self, now: Instant) -> bool {
        self.tried < self.addresses.len() || now.us_since(self.moved) >= MOVE_EVERY_US
    }

    fn answered(&mut self) {
        self.asked = None;
        self.has_answered = true;
        if self.tried > 1
            && let Some((address, _)) = &self.place
        {
            tracing::info!(server = self.name, %address, "the network server answers at {address}");
        }
        self.tried = 0;
    }

    /// Opens a socket towards the address after the one in use, or the first one that there is a way to.
    fn choose(&mut self, now: Instant, why: &str) {
        let left = self.place.take().map(|(address, _)| address);
        let next = left.and_then(|left| self.addresses.iter().position(|address| *address == left));
        let next = next.map_or(0, |at| at + 1);
        let is_told = self.tried < self.addresses.len();
        (self.moved, self.asked, self.has_answered) = (now, None, false);
        let mut trouble = None;
        for n in 0..self.addresses.len() {
            self.tried += 1;
            let address = self.addresses[(next + n) % self.addresses.len()];
            match open(address) {
                Ok(socket) => {
                    self.place = Some((address, socket));
                    self.trouble = None;
                    let server = &self.name;
                    match left.filter(|left| is_told && *left != address) {
                        Some(left) => {
                            tracing::warn!(server, %address, "the network server at {left}: {why}; trying {address}");
                        }
                        None if is_told => {
                            tracing::info!(server, %address, "relaying to the network server at {address}");
                        }
                        None => {}
                    }
                    return;
                }
                Err(error) => trouble = Some(format!("there is no way to {address}: {}", io_words(&error))),
            }
        }
        if let Some(trouble) = trouble {
            self.in_trouble(trouble);
        }
    }

    fn in_trouble(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!(
                server = self.name,
                "the network server cannot be found: {trouble}; tried again and again"
            );
        }
        self.trouble = Some(trouble);
    }
}

/// A socket of our own towards this server, on a port that nobody can guess.
fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    socket::enlarge(&socket);
    UdpSocket::from_std(socket)
}

fn is_same(from: SocketAddr, server: SocketAddr) -> bool {
    from.port() == server.port() && from.ip().to_canonical() == server.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket as Peer;
    use std::time::Duration;

    const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    const SECOND_US: u64 = 1_000_000;

    fn peer() -> Peer {
        let peer = Peer::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer
    }

    /// An address where nobody listens.
    fn nobody() -> SocketAddr {
        peer().local_addr().unwrap()
    }

    fn heard(peer: &Peer) -> Vec<u8> {
        let mut buffer = [0; 16];
        let length = peer.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    fn in_runtime(test: impl FnOnce()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async { test() });
    }

    fn settled(addresses: &[SocketAddr]) -> ServerSocket {
        let mut server = ServerSocket::new("lns:1700".to_owned());
        server.settle(Instant::ZERO, LISTEN, Ok(addresses.to_vec()));
        server
    }

    #[test]
    fn what_comes_before_the_look_up_waits_and_goes_out_in_its_order() {
        in_runtime(|| {
            let peer = peer();
            let mut server = ServerSocket::new("lns:1700".to_owned());
            for n in 0..100 {
                server.send(Instant::ZERO, vec![n]);
            }
            server.settle(Instant::ZERO, LISTEN, Err(io::Error::other("no name server")));
            assert_eq!((server.state().waiting, server.state().counts.sent), (100, 0));
            server.settle(Instant::ZERO, LISTEN, Ok(vec![peer.local_addr().unwrap()]));
            assert_eq!((0..100).map(|_| heard(&peer)[0]).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
            let state = server.state();
            assert_eq!((state.waiting, state.counts.sent, state.counts.send_errors), (0, 100, 0));
            assert_eq!((state.address, state.trouble), (Some(peer.local_addr().unwrap()), None));
        });
    }

    #[test]
    fn an_address_that_refuses_is_left_for_the_next_and_not_even_its_first_datagram_is_lost() {
        in_runtime(|| {
            let peer = peer();
            let mut server = settled(&[nobody(), nobody(), peer.local_addr().unwrap()]);
            server.send(Instant::ZERO, vec![1]);
            server.send(Instant::ZERO, vec![2]);
            assert_eq!((heard(&peer), heard(&peer)), (vec![1], vec![2]));
        });
    }

    #[test]
    fn a_server_that_comes_back_on_its_other_address_is_found_again() {
        in_runtime(|| {
            let (first, second) = (nobody(), nobody());
            let mut server = settled(&[first, second]);
            server.send(Instant::ZERO, vec![1]);
            let in_use = server.state().address;
            let other = if in_use == Some(first) { second } else { first };
            let late = Peer::bind(other).unwrap();
            late.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            // Every address was tried: from now on one a second.
            let mut now = Instant::ZERO.plus_us(SECOND_US);
            for n in 2..5 {
                server.send(now, vec![n]);
                now = now.plus_us(SECOND_US);
            }
            assert!(heard(&late)[0] < 5);
            assert_eq!(server.state().address, Some(other));
        });
    }

    #[test]
    fn an_address_that_is_silent_is_left_soon_at_first_and_late_once_it_has_answered() {
        in_runtime(|| {
            let (silent, peer) = (peer(), peer());
            let (first, second) = (silent.local_addr().unwrap(), peer.local_addr().unwrap());
            let mut server = settled(&[first, second]);
            server.send(Instant::ZERO, vec![1]);
            server.time(Instant::from_us(4_900_000));
            assert_eq!(server.state().address, Some(first));
            server.time(Instant::from_us(5_000_000));
            assert_eq!(server.state().address, Some(second));
            server.send(Instant::from_us(6_000_000), vec![2]);
            let mut buffer = [0; 16];
            let (_, gateway) = peer.recv_from(&mut buffer).unwrap();
            peer.send_to(&[3], gateway).unwrap();
            let (_, socket) = server.place.as_ref().unwrap();
            while rustix::net::recv(socket, &mut buffer, rustix::net::RecvFlags::PEEK).is_err() {}
            server.answered();
            server.send(Instant::from_us(7_000_000), vec![4]);
            server.time(Instant::from_us(41_000_000));
            assert_eq!(server.state().address, Some(second));
            server.time(Instant::from_us(42_000_000));
            assert_eq!(server.state().address, Some(first));
        });
    }

    #[test]
    fn a_name_that_leads_to_our_own_socket_gets_nothing() {
        in_runtime(|| {
            let mut server = ServerSocket::new("here:1".to_owned());
            server.settle(Instant::ZERO, LISTEN, Ok(vec!["[::1]:1".parse().unwrap(), LISTEN]));
            server.send(Instant::ZERO, vec![1]);
            server.time(Instant::from_us(60_000_000));
            let state = server.state();
            assert_eq!((state.address, state.counts.sent, state.waiting), (None, 0, 1));
            assert!(state.trouble.unwrap().contains("where we listen ourselves"));
        });
    }
}
