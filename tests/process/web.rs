//! The page of the real process: what it serves and to whom, and that the radio does not notice who looks on.

use crate::support::site::Site;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::time::Duration;

/// What the unit allows.
const DESCRIPTORS: u64 = 96;
const STREAMS_MAX: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// A site with a page, and where it is.
fn site(name: &str, nb_frag: usize) -> (Site, SocketAddr) {
    let mut site = Site::new(name, nb_frag);
    let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    site.extend(&format!("\n[web]\nlisten = \"{page}\"\n"), &[]);
    (site, page)
}

fn asked(page: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(page).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The whole answer to a request.
fn answer(page: SocketAddr, request: &str) -> String {
    let mut bytes = Vec::new();
    let mut stream = asked(page, request);
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8(bytes).unwrap()
}

fn get(page: SocketAddr, path: &str) -> String {
    answer(page, &format!("GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n"))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no HTTP: {answer}"))
}

/// The body of an answer, which has a Content-Length.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn page_metrics_and_status_tell_the_same_of_one_campaign() {
    let (mut site, page) = site("web", 12);
    site.start();
    site.wait("it runs", 20, |_| true);
    let mut events = asked(page, &format!("GET /events HTTP/1.1\r\nHost: {page}\r\n\r\n"));
    site.order("lamps-1", "");
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    site.order("lamps-2", r#","Fuotad":{"Start":"2099-01-01T00:00:00Z"}"#);
    let told = site
        .wait("the second one waits", 10, |status| status.tasks.iter().any(|task| task.phase == "waiting"));
    let page_text = get(page, "/");
    assert!(status(&page_text) == 200 && page_text.contains("<script src=\"page.js\">"), "{page_text}");
    for header in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"] {
        assert!(page_text.contains(header), "{page_text}");
    }
    let json = get(page, "/status.json");
    let json: fuotad::daemon::Snapshot = serde_json::from_str(body(&json)).unwrap();
    assert_eq!((&json.finished, json.tasks.len()), (&told.finished, 1));
    let metrics = get(page, "/metrics");
    let uplinks = json.forwarder.uplinks;
    for line in [
        "fuotad_tasks{phase=\"waiting\"} 1.0".to_owned(),
        "fuotad_task_waiting_seconds{task=\"lamps-2\",reason=".to_owned(),
        format!("fuotad_forwarder_uplinks_total {uplinks}\n"),
        "fuotad_forwarder_online 1.0".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    let mut seen = String::new();
    let last = |seen: &str| seen.rsplit("data: ").find(|data| data.contains("\n\n")).map(str::to_owned);
    while last(&seen).is_none_or(|data| !data.contains("lamps-2")) {
        let mut bytes = [0; 65536];
        let n = events.read(&mut bytes).unwrap();
        assert!(n > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    let event: serde_json::Value =
        serde_json::from_str(last(&seen).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(event["status"]["finished"][0][0], "lamps-1");
    let course = event["courses"][0]["points"].as_array().unwrap();
    assert_eq!((&event["courses"][0]["task"], course.is_empty()), (&"lamps-1".into(), false));
}

#[test]
fn who_writes_or_comes_under_another_name_is_refused() {
    let (mut site, page) = site("web-refused", 1);
    site.start();
    site.wait("it runs", 20, |_| true);
    let post = answer(page, &format!("POST / HTTP/1.1\r\nHost: {page}\r\nContent-Length: 0\r\n\r\n"));
    assert!(status(&post) == 405 && post.contains("allow: GET"), "{post}");
    for host in ["evil.example", "fuotad.evil.example:8970"] {
        let foreign = answer(page, &format!("GET /status.json HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(status(&foreign) == 421 && !foreign.contains("uptime_s"), "{foreign}");
    }
    assert_eq!(status(&answer(page, "GET /metrics HTTP/1.0\r\n\r\n")), 421);
    assert_eq!(status(&answer(page, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")), 200);
    assert_eq!(status(&get(page, "/etc/passwd")), 404);
    assert_eq!(status(&answer(page, "nonsense\r\n\r\n")), 400);
    let long = format!("GET /{} HTTP/1.1\r\nHost: {page}\r\n\r\n", "a".repeat(100_000));
    let mut stream = TcpStream::connect(page).unwrap();
    // The answer may come before all of it is written.
    let _ = stream.write_all(long.as_bytes());
    assert!(site.is_running() && status(&get(page, "/status.json")) == 200);
}

#[test]
fn a_thousand_that_look_on_get_sixteen_streams_and_the_campaign_goes_on() {
    let mine = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: mine.maximum, maximum: mine.maximum }).unwrap();
    let (mut site, page) = site("web-flood", 150);
    site.start();
    site.limit_descriptors(DESCRIPTORS);
    site.order("lamps-1", "");
    site.wait_for_frames(3);
    let look = move || {
        let mut open = Vec::new();
        for _ in 0..20 {
            let mut stream = asked(page, &format!("GET /events HTTP/1.1\r\nHost: {page}\r\n\r\n"));
            let mut head = [0; 12];
            stream.read_exact(&mut head).unwrap();
            open.push((head, stream));
        }
        open
    };
    let lookers: Vec<_> = (0..50).map(|_| std::thread::spawn(look)).collect();
    site.wait_for_frames(10);
    let open: Vec<_> = lookers.into_iter().flat_map(|looker| looker.join().unwrap()).collect();
    let with = |line: &[u8]| open.iter().filter(|(head, _)| head == line).count();
    assert_eq!((with(b"HTTP/1.1 200"), with(b"HTTP/1.1 503")), (STREAMS_MAX, 1000 - STREAMS_MAX));
    assert_eq!(status(&get(page, "/metrics")), 200, "metrics have places of their own");
    drop(open);
    site.wait("it is over", 120, |status| !status.finished.is_empty());
    let verdict = site.verdict();
    assert!(verdict.is_content() && verdict.devices_complete == site.devices(), "{verdict:?}");
    assert!(!site.log().contains("late"), "{}", site.log());
}
