//! The real process on a socket that a service manager holds, stopped and killed in the middle of a stream of uplinks.

use crate::support::site::Site;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

const GATEWAY: [u8; 8] = [0, 0x16, 0xC0, 1, 0xF1, 0x50, 8, 0x12];
const UPLINKS_PER_S: u32 = 600;

/// A datagram that came within a millisecond.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<SocketAddr> {
    match socket.recv_from(buffer) {
        Ok((_, from)) => Some(from),
        Err(error) => {
            let is_none = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::ConnectionRefused];
            assert!(is_none.contains(&error.kind()), "{error}");
            None
        }
    }
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    socket
}

/// Two threads around the process: a forwarder with a stream of uplinks, and a network server that acknowledges them.
/// Each uplink is known by its token.
struct Stream {
    is_over: Arc<AtomicBool>,
    heard: Arc<Mutex<BTreeSet<u16>>>,
    forwarder: JoinHandle<(u16, BTreeSet<u16>)>,
    server: JoinHandle<()>,
}

impl Stream {
    fn start(listen: SocketAddr, server: UdpSocket) -> Stream {
        let is_over = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(Mutex::new(BTreeSet::new()));
        let (flag, heard_there) = (Arc::clone(&is_over), Arc::clone(&heard));
        let forwarder = std::thread::spawn(move || forward(listen, &flag));
        // It reads what is left when the flag's other holders are gone.
        let flag = Arc::downgrade(&is_over);
        let server = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            loop {
                let Some(gateway) = receive(&server, &mut buffer) else {
                    if flag.strong_count() == 0 {
                        return;
                    }
                    continue;
                };
                if buffer[3] == 0 {
                    heard_there.lock().unwrap().insert(u16::from_be_bytes([buffer[1], buffer[2]]));
                }
                let ack = [buffer[0], buffer[1], buffer[2], if buffer[3] == 0 { 1 } else { 4 }];
                server.send_to(&ack, gateway).unwrap();
            }
        });
        Stream { is_over, heard, forwarder, server }
    }

    fn heard(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// How many uplinks were sent, which of them were acknowledged, and which of them the server has.
    fn end(self) -> (u16, BTreeSet<u16>, BTreeSet<u16>) {
        self.is_over.store(true, Ordering::Relaxed);
        let (sent, acked) = self.forwarder.join().unwrap();
        drop(self.is_over);
        self.server.join().unwrap();
        let heard = self.heard.lock().unwrap().clone();
        (sent, acked, heard)
    }
}

/// Four seconds of uplinks at their pace, and their acknowledgements until it is over.
fn forward(listen: SocketAddr, is_over: &AtomicBool) -> (u16, BTreeSet<u16>) {
    let forwarder = socket("127.0.0.1:0");
    let (mut sent, mut acked, mut buffer) = (0_u16, BTreeSet::new(), [0; 64]);
    let started = Instant::now();
    while !is_over.load(Ordering::Relaxed) || sent < UPLINKS {
        let due = (started.elapsed().as_secs_f64() * f64::from(UPLINKS_PER_S)) as u16;
        while sent < due.min(UPLINKS) {
            if sent.is_multiple_of(UPLINKS_PER_S as u16) {
                forwarder.send_to(&[&[2, 0, 0, 2][..], &GATEWAY].concat(), listen).unwrap();
            }
            let [high, low] = sent.to_be_bytes();
            let uplink = [&[2, high, low, 0][..], &GATEWAY, br#"{"rxpk":[]}"#].concat();
            forwarder.send_to(&uplink, listen).unwrap();
            sent += 1;
        }
        if receive(&forwarder, &mut buffer).is_some() && buffer[3] == 1 {
            acked.insert(u16::from_be_bytes([buffer[1], buffer[2]]));
        }
    }
    (sent, acked)
}

/// All that are sent.
const UPLINKS: u16 = 4 * UPLINKS_PER_S as u16;

/// Restarts the process twice while uplinks come; how many of them are lost, and which of these were acknowledged.
fn restarted_under_load(
    name: &str,
    host: &str,
    lost_max: usize,
    mut end: impl FnMut(&mut Site),
) -> (usize, Vec<u16>) {
    let mut site = Site::new(name, 4);
    site.no_radio();
    let server = socket("127.0.0.1:0");
    let port = server.local_addr().unwrap().port();
    site.extend(&format!("[[network-server]]\naddress = \"{host}:{port}\"\n"), &[]);
    site.hold_port();
    site.start();
    let stream = Stream::start(site.listen(), server);
    for life in 1..3 {
        site.wait("uplinks are relayed", 10, |status| {
            status.servers.iter().any(|server| server.pushed > 300) && stream.heard() > life * 600
        });
        end(&mut site);
        site.start();
    }
    let status = site.wait("all are relayed", 10, |status| {
        stream.heard() + lost_max >= usize::from(UPLINKS) && status.servers[0].waiting == 0
    });
    assert_eq!(status.forwarder.kernel_dropped, 0);
    let in_use = format!("127.0.0.1:{port}");
    assert_eq!(status.servers[0].address.as_deref(), Some(in_use.as_str()));
    assert!(site.log().contains(&in_use), "the address in use is in the log");
    let (sent, acked, heard) = stream.end();
    println!("{sent} sent, {} acknowledged, {} heard", acked.len(), heard.len());
    assert_eq!(sent, UPLINKS);
    (usize::from(sent) - heard.len(), acked.difference(&heard).copied().collect())
}

#[test]
fn a_service_that_is_restarted_loses_no_uplink() {
    let ended = restarted_under_load("restart", "127.0.0.1", 0, |site| {
        site.terminate();
    });
    assert_eq!(ended, (0, vec![]));
}

#[test]
fn a_service_that_is_killed_loses_no_uplink_that_it_acknowledged() {
    let (lost, acked_and_lost) = restarted_under_load("killed", "127.0.0.1", 2, Site::kill);
    assert!(acked_and_lost.is_empty(), "{acked_and_lost:?}");
    assert!(lost <= 2, "{lost}: what a process had in its hands when it was killed, one each");
}

/// The next datagram of this kind, within some seconds.
fn awaited(socket: &UdpSocket, kind: u8) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        if let Some(from) = receive(socket, &mut buffer)
            && buffer[3] == kind
        {
            return (buffer.to_vec(), from);
        }
    }
    panic!("no datagram of kind {kind}");
}

#[test]
fn a_restarted_service_knows_where_the_forwarder_was_before_it_is_heard() {
    let mut site = Site::new("pull-memory", 4);
    site.no_radio();
    let (server, forwarder) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    site.extend(&format!("[[network-server]]\naddress = \"{}\"\n", server.local_addr().unwrap()), &[]);
    site.start();
    let memory = site.path("state/forwarder");
    site.wait("it listens", 10, |_| true);
    forwarder.send_to(&[&[2, 0, 0, 2][..], &GATEWAY].concat(), site.listen()).unwrap();
    site.wait("the forwarder's address is written down", 10, |_| memory.exists());
    awaited(&server, 2);
    site.terminate();
    site.start();
    // The forwarder says nothing in this life.
    let (_, gateway) = awaited(&server, 2);
    let txpk = br#"{"txpk":{"imme":true,"freq":923.3,"rfch":0,"powe":20,"modu":"LORA","datr":"SF10BW500","codr":"4/5","ipol":true,"size":4,"data":"AAAAAA=="}}"#;
    server.send_to(&[&[2, 0xAB, 0xCD, 3][..], txpk].concat(), gateway).unwrap();
    let (downlink, us) = awaited(&forwarder, 3);
    forwarder.send_to(&[&[2, downlink[1], downlink[2], 5][..], &GATEWAY].concat(), us).unwrap();
    let (ack, _) = awaited(&server, 5);
    assert_eq!(ack[..12], [&[2, 0xAB, 0xCD, 5][..], &GATEWAY].concat());
    let status = site.wait("it waits for the forwarder", 10, |status| status.relay.passed == 1);
    assert_eq!(status.forwarder.online, None, "what is remembered is not what is heard");
}

#[test]
fn a_server_whose_name_leads_to_our_own_port_is_refused_by_check_and_gets_nothing() {
    let mut site = Site::new("own-port", 4);
    let port = site.listen().port();
    for (host, own) in [("localhost", true), ("127.1", true), ("127.0.0.2", false)] {
        site.extend(&format!("[[network-server]]\naddress = \"{host}:{port}\"\n"), &[]);
        let check = ["check", &site.config()];
        if own {
            let (code, text) = site.refuses(&check);
            assert_eq!(code, Some(78), "{text}");
            let words = format!("{host}:{port} leads to 127.0.0.1:{port}, where we listen ourselves");
            assert!(text.contains(&words), "{text}");
        } else {
            site.cli(&check);
        }
    }
    // What only a look-up shows is no reason to end: the other servers are relayed to.
    site.extend(&format!("[[network-server]]\naddress = \"127.1:{port}\"\n"), &[]);
    site.start();
    let status = site.wait("it is refused", 10, |status| status.servers[0].trouble.is_some());
    let trouble = status.servers[0].trouble.clone().unwrap();
    assert!(trouble.contains("where we listen ourselves"), "{trouble}");
    let status = site.wait("an uplink comes", 10, |status| status.servers[0].pushed > 0);
    assert_eq!((status.servers[0].sent, &status.servers[0].address), (0, &None));
}

#[test]
fn a_server_that_is_found_by_name_loses_no_uplink_while_its_address_is_looked_for() {
    // Whatever other addresses the name has, the server is at this one.
    let ended = restarted_under_load("by-name", "localhost", 0, |site| {
        site.terminate();
    });
    assert_eq!(ended, (0, vec![]));
}
