//! A broker that floods the real process: thousands of events a second, good, doubled, forged, foreign, oversized and
//! broken ones, while a campaign is sent and traffic is relayed.

use crate::support::site::Site;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::lns::MAX_DOCUMENT_BYTES;
use serde_json::json;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

const APPLICATION: &str = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";
const OURS: &str = "70b3d57ed0000001";
/// Messages of one burst, and how often one comes: 5000 in a second, far more at once than may wait.
const BURST: u64 = 5000;
const BURST_EVERY: Duration = Duration::from_secs(1);
/// Each of so many messages is of the same kind.
const KINDS: u64 = 10;
/// One broken message in so many is an oversized one.
const OVERSIZED_EACH: u64 = 500;
/// What the process may grow by beyond what it has before the flood.
const GROWTH_KB: u64 = 16 * 1024;

/// A broker of few packets for one client at a time.
struct Flood {
    address: SocketAddr,
    sent: Arc<Sent>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What was published.
#[derive(Default)]
struct Sent {
    ours: AtomicU64,
    foreign: AtomicU64,
    broken: AtomicU64,
    all: AtomicU64,
}

impl Flood {
    fn start() -> Flood {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, ends) = (Arc::new(Sent::default()), Arc::new(AtomicBool::new(false)));
        let (counts, is_over) = (Arc::clone(&sent), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let _ = serve(stream, &counts, &is_over);
            }
        });
        Flood { address, sent, ends, thread: Some(thread) }
    }

    fn sent(&self) -> [u64; 4] {
        let Sent { ours, foreign, broken, all } = &*self.sent;
        [ours, foreign, broken, all].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A packet: its first byte and what follows its length.
fn packet(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    let kind = byte[0];
    let (mut length, mut shift) = (0, 0);
    loop {
        stream.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

/// A message without acknowledgement.
fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x30];
    let mut length = 2 + topic.len() + payload.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend((topic.len() as u16).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend(payload);
    bytes
}

fn serve(mut stream: TcpStream, sent: &Sent, ends: &AtomicBool) -> std::io::Result<()> {
    assert_eq!(packet(&mut stream)?.0, 0x10, "CONNECT");
    stream.write_all(&[0x20, 2, 0, 0])?;
    let (kind, subscribe) = packet(&mut stream)?;
    assert_eq!(kind, 0x82, "SUBSCRIBE");
    let mut filters = 0;
    let mut rest = &subscribe[2..];
    while let [high, low, ..] = *rest {
        rest = &rest[2 + usize::from(u16::from_be_bytes([high, low])) + 1..];
        filters += 1;
    }
    let mut granted = vec![0x90, 2 + filters, subscribe[0], subscribe[1]];
    granted.extend(vec![0; usize::from(filters)]);
    stream.write_all(&granted)?;
    // Signs of life are answered beside the flood.
    let (mut client, mut back) = (stream.try_clone()?, stream.try_clone()?);
    std::thread::spawn(move || {
        while let Ok((kind, _)) = packet(&mut client) {
            if kind == 0xc0 && back.write_all(&[0xd0, 0]).is_err() {
                return;
            }
        }
    });
    let mut number = 0;
    while !ends.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut burst = Vec::new();
        for _ in 0..BURST {
            burst.extend(message(number, sent));
            number += 1;
        }
        stream.write_all(&burst)?;
        sent.all.fetch_add(BURST, Ordering::Relaxed);
        std::thread::sleep(BURST_EVERY.saturating_sub(began.elapsed()));
    }
    stream.shutdown(std::net::Shutdown::Both)
}

/// One message of the flood.
fn message(number: u64, sent: &Sent) -> Vec<u8> {
    let up = |dev_eui: &str, f_cnt: u64, answer: &[u8]| {
        let document = json!({
            "deviceInfo": { "devEui": dev_eui }, "fCnt": f_cnt, "fPort": 201, "data": BASE64_STANDARD.encode(answer),
        });
        document.to_string().into_bytes()
    };
    let topic =
        |application: &str, dev_eui: &str| format!("application/{application}/device/{dev_eui}/event/up");
    let done = [0x01, 4, 0, 0, 0];
    // Who is forged is another one each time.
    let forged = format!("0badc0de{:08x}", number as u32);
    match number % KINDS {
        // Done, missing, more than was sent, another session: each doubled.
        kind @ 0..6 => {
            sent.ours.fetch_add(1, Ordering::Relaxed);
            let answers = [done, [0x01, 2, 0, 2, 0], [0x01, 0xff, 0x3f, 0, 0], [0x01, 4, 0x40, 0, 0]];
            let answer = answers[kind as usize % answers.len()];
            publish(&topic(APPLICATION, OURS), &up(OURS, number / 2, &answer))
        }
        6 | 7 => {
            sent.foreign.fetch_add(1, Ordering::Relaxed);
            publish(&topic(APPLICATION, &forged), &up(&forged, number, &done))
        }
        // Of an application that nobody subscribed to: it is not even counted.
        8 => publish(&topic("11111111-2a3d-4d6e-9c0b-3f1f6a0d9b11", OURS), &up(OURS, number, &done)),
        _ => {
            sent.broken.fetch_add(1, Ordering::Relaxed);
            let is_oversized = (number / KINDS).is_multiple_of(OVERSIZED_EACH);
            let text =
                if is_oversized { vec![b'['; MAX_DOCUMENT_BYTES + 1000] } else { b"{\"fCnt\":".to_vec() };
            publish(&topic(APPLICATION, OURS), &text)
        }
    }
}

#[test]
fn a_flood_of_events_costs_no_relayed_datagram_no_memory_and_no_campaign_and_is_counted() {
    let flood = Flood::start();
    let mut site = Site::new("flood", 30);
    let devices = site.path("devices.toml");
    let listed = format!(
        "group = \"lamps\"\n[[device]]\nname = \"m1\"\ndev-eui = \"{OURS}\"\nmc-key-encrypted = \"00112233445566778899aabbccddeeff\"\n"
    );
    std::fs::write(&devices, listed).unwrap();
    std::fs::set_permissions(&devices, std::fs::Permissions::from_mode(0o600)).unwrap();
    site.network(7200);
    let (config, lns) = (
        std::fs::read_to_string(site.config()).unwrap(),
        format!("lns = \"cs\"\ndevices-file = \"{}\"\n[[network-server]]", devices.display()),
    );
    std::fs::write(site.config(), config.replacen("[[network-server]]", &lns, 1) + &format!(
        "[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://{}\"\napplications = [\"{APPLICATION}\"]\n",
        flood.address
    )).unwrap();
    site.order("lamps-1", "");
    site.start();
    site.wait("the flood has begun", 20, |status| status.lns[0].events > 1000);
    let before_kb = site.memory_kb();
    let status = site.wait("the campaign is over", 90, |status| !status.finished.is_empty());
    assert!(status.finished[0].1.starts_with("complete"), "{:?}", status.finished);
    let status = site.wait("it goes on being told", 20, |status| {
        status.lns[0].events > 20_000 && status.forwarder.uplinks > 20
    });
    let lns = &status.lns[0];
    let [ours, foreign, broken, all] = flood.sent();
    let (after_kb, up_s) = (site.memory_kb(), status.uptime_s);
    println!(
        "{all} messages in {up_s} s: {} events, {} foreign, {} unreadable, {} dropped; {before_kb} kB, then {after_kb} kB",
        lns.events, lns.foreign, lns.unreadable, lns.dropped
    );
    assert_eq!(lns.state, "connected", "{lns:?}");
    assert!(lns.events <= ours && lns.foreign <= foreign && lns.unreadable <= broken, "{lns:?}");
    assert!(lns.foreign * 3 >= lns.events - 1000 && lns.unreadable * 6 >= lns.events - 1000, "{lns:?}");
    assert!(lns.dropped > 0 && lns.dropped < lns.events, "{lns:?}");
    assert!(lns.last_unreadable.is_some(), "{lns:?}");
    let shown = site.cli(&["status", "--socket", &site.socket()]);
    assert!(shown.contains(" events dropped\n") && shown.contains(" messages could not be used"), "{shown}");
    assert!(after_kb <= before_kb + GROWTH_KB, "{before_kb} kB, then {after_kb} kB");
    // Nothing that the forwarder sent is lost, and it was told so.
    assert_eq!(status.forwarder.kernel_dropped, 0);
    // One acknowledgement may be on its way when it reports.
    assert!(status.forwarder.ackr_percent.is_some_and(|percent| percent >= 90.0), "{:?}", status.forwarder);
    let status =
        site.wait("all is relayed", 10, |status| status.forwarder.pushes == status.servers[0].push_acked);
    assert_eq!(status.servers[0].pushed, status.forwarder.pushes, "{:?}", status.servers);
    // Whoever says done was told nothing.
    assert_eq!((status.answers[0].counts.not_told, status.answers[0].counts.done), (1, 0));
    assert_eq!(site.terminate().0, Some(0));
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert_eq!(verdict.devices_complete, site.devices());
}
