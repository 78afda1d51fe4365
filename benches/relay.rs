//! How many datagrams a second the real process relays, and what it adds to each: real sockets on the loopback, a
//! forwarder and a network server that do nothing but measure. `cargo bench --no-default-features --features daemon --bench relay`; `FUOTAD_BENCH_S=60` makes
//! it a minute, `FUOTAD_BENCH_RATE` sets the datagrams a second each way.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench touches the real world")]

use fuotad::daemon::read_status;
use serde_json::Value;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

const GATEWAY: [u8; 8] = [0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
const PUSH_DATA: u8 = 0;
const PUSH_ACK: u8 = 1;
const PULL_RESP: u8 = 3;
const TX_ACK: u8 = 5;
/// Datagrams that leave together, as from a burst of receptions.
const BURST: u64 = 10;

/// How long each datagram took, where it says when it left, microseconds; how many there were.
#[derive(Default)]
struct Received {
    count: u64,
    took_us: Vec<u64>,
}

impl Received {
    fn line(mut self, sent: u64) -> String {
        self.took_us.sort_unstable();
        let part =
            |permille: usize| self.took_us.get(self.took_us.len() * permille / 1000).copied().unwrap_or(0);
        format!(
            "{} of {sent}: p50 {} us, p99 {} us, p99.9 {} us, worst {} us",
            self.count,
            part(500),
            part(990),
            part(999),
            self.took_us.last().copied().unwrap_or(0)
        )
    }
}

/// The process under test, and its folder.
struct Process {
    child: Child,
    dir: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let (seconds, rate) = (number("FUOTAD_BENCH_S", 10), number("FUOTAD_BENCH_RATE", 10_000));
    let server = socket();
    let push = socket();
    let pull = socket();
    let (process, listen) = process(server.local_addr().unwrap());
    pull.send_to(&[&[2, 0, 0, 2][..], &GATEWAY].concat(), listen).unwrap();
    // Its keepalive says where our downlinks go.
    let gateway = keepalive(&server);
    let started = Instant::now();
    let ends = Arc::new(AtomicBool::new(false));
    let receivers = [
        receive(&server, PUSH_DATA, listen, started, &ends),
        receive(&pull, PULL_RESP, listen, started, &ends),
        receive(&push, PUSH_ACK, listen, started, &ends),
    ];
    let (mut sent, mut next) = (0u64, Instant::now());
    while started.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..BURST {
            push.send_to(&uplink(started, sent), listen).unwrap();
            server.send_to(&downlink(started, sent), gateway).unwrap();
            sent += 1;
        }
        next += Duration::from_micros(BURST * 1_000_000 / rate);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    std::thread::sleep(Duration::from_millis(500));
    ends.store(true, Ordering::Relaxed);
    let [north, south, acks] = receivers.map(|receiver| receiver.join().unwrap());
    println!("{sent} datagrams each way in {seconds} s, in bursts of {BURST}");
    println!("uplinks    {}", north.line(sent));
    println!("downlinks  {}", south.line(sent));
    println!("PUSH_ACK   {}", acks.line(sent));
    let status: Value =
        serde_json::from_str(&read_status(&process.dir.join("status.sock")).unwrap()).unwrap();
    for key in ["forwarder", "servers", "relay"] {
        println!("{key}: {}", status[key]);
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8 << 20).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket
}

/// Starts the service between the two.
fn process(server: SocketAddr) -> (Process, SocketAddr) {
    let dir = std::env::temp_dir().join(format!("fuotad-bench-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("tasks")).unwrap();
    let listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = dir.display();
    let config = format!(
        "[gateway]\nregion = \"US915\"\n[forwarder]\nlisten = \"{listen}\"\n[[network-server]]\naddress = \"{server}\"\n\
        [state]\ndir = \"{at}/state\"\n[tasks]\nfolder = \"{at}/tasks\"\n[status]\nsocket = \"{at}/status.sock\"\n[log]\nfilter = \"warn\"\n"
    );
    std::fs::write(dir.join("fuotad.toml"), config).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_fuotad"))
        .args(["run", "--config"])
        .arg(dir.join("fuotad.toml"))
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    while read_status(&dir.join("status.sock")).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    (Process { child, dir }, listen)
}

/// Where our downlinks go: the source of the first PULL_DATA.
fn keepalive(server: &UdpSocket) -> SocketAddr {
    let mut buffer = [0; 2048];
    loop {
        if let Ok((length, from)) = server.recv_from(&mut buffer)
            && buffer[..length].get(3) == Some(&2)
        {
            return from;
        }
    }
}

/// A reception of a few bytes that says when it left.
fn uplink(started: Instant, n: u64) -> Vec<u8> {
    let tmst = n as u32;
    let json = format!(
        r#"{{"rxpk":[{{"left":"{:012}","tmst":{tmst},"chan":0,"rfch":0,"freq":902.300000,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","lsnr":9.0,"rssi":-60,"size":12,"data":"QAEQASYAAQAAAAAA"}}]}}"#,
        started.elapsed().as_micros()
    );
    [&[2, (n >> 8) as u8, n as u8, PUSH_DATA][..], &GATEWAY, json.as_bytes()].concat()
}

/// A downlink at a GPS time: with no GPS at the forwarder nobody knows when that is, so none is in another's way.
fn downlink(started: Instant, n: u64) -> Vec<u8> {
    let json = format!(
        r#"{{"txpk":{{"left":"{:012}","tmms":1479369618000,"freq":923.3,"rfch":0,"powe":14,"modu":"LORA","datr":"SF7BW500","codr":"4/5","ipol":true,"ncrc":true,"size":12,"data":"YAEQASYAAQAAAAAA"}}}}"#,
        started.elapsed().as_micros()
    );
    [&[2, (n >> 8) as u8, n as u8, PULL_RESP][..], json.as_bytes()].concat()
}

/// Counts datagrams of one kind until the end; a forwarder answers each downlink at once.
fn receive(
    socket: &UdpSocket,
    kind: u8,
    listen: SocketAddr,
    started: Instant,
    ends: &Arc<AtomicBool>,
) -> JoinHandle<Received> {
    let (socket, ends) = (socket.try_clone().unwrap(), Arc::clone(ends));
    std::thread::spawn(move || {
        let mut received = Received::default();
        let mut buffer = [0; 2048];
        while !ends.load(Ordering::Relaxed) {
            let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
            let bytes = &buffer[..length];
            if bytes.get(3) != Some(&kind) {
                continue;
            }
            received.count += 1;
            if kind == PULL_RESP {
                let ack = [&[2, bytes[1], bytes[2], TX_ACK][..], &GATEWAY].concat();
                socket.send_to(&ack, listen).unwrap();
            }
            let text = String::from_utf8_lossy(bytes);
            if let Some(at) = text.find("\"left\":") {
                let left: u64 = text[at + 8..at + 20].parse().unwrap();
                received.took_us.push((started.elapsed().as_micros() as u64).saturating_sub(left));
            }
        }
        received
    })
}
