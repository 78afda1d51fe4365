//! The double of a network server on a real UDP socket.

use fuotad::sim::random::Random;
use fuotad::sim::server::Server;
use fuotad::sim::server::ServerCounts;
use fuotad::sim::server::ServerSettings;
use fuotad::time::Instant;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// A running server; dropped, it stops.
pub struct Lns {
    address: SocketAddr,
    server: Arc<Mutex<Server>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lns {
    /// Starts it on a port of its own.
    pub fn start(settings: ServerSettings) -> Lns {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let server = Arc::new(Mutex::new(Server::new(settings, Random::new(3), Instant::ZERO)));
        let ends = Arc::new(AtomicBool::new(false));
        let (own, is_over) = (Arc::clone(&server), Arc::clone(&ends));
        let thread = std::thread::spawn(move || serve(&socket, &own, &is_over));
        Lns { address, server, ends, thread: Some(thread) }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counted.
    pub fn counts(&self) -> ServerCounts {
        self.server.lock().unwrap().counts().clone()
    }
}

impl Drop for Lns {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, server: &Mutex<Server>, ends: &AtomicBool) {
    let started = std::time::Instant::now();
    let mut buffer = vec![0; 65_536];
    let mut gateway = None;
    // The wait of the loop: a datagram ends it at once.
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    while !ends.load(Ordering::Relaxed) {
        let heard = socket.recv_from(&mut buffer);
        let now = Instant::from_us(started.elapsed().as_micros() as i64);
        let mut server = server.lock().unwrap();
        if let Ok((length, from)) = heard {
            // The gateway speaks from one socket.
            gateway = Some(from);
            server.datagram(now, &buffer[..length]);
        }
        server.wake(now);
        while let Some(bytes) = server.take() {
            if let Some(gateway) = gateway {
                let _ = socket.send_to(&bytes, gateway);
            }
        }
    }
}
