//! Connections to the application side of network servers, over real sockets with a broker that nobody here wrote.

use super::support::broker::Broker;
use super::support::broker::PATIENCE;
use super::support::broker::until;
use super::support::openssl::Pki;
use super::support::openssl::SERVER;
use super::support::scratch::Scratch;
use fuotad::daemon::LnsLinks;
use fuotad::daemon::LnsSettings;
use fuotad::daemon::LnsSnapshot;
use fuotad::daemon::LnsTls;
use fuotad::lns::Address;
use fuotad::lns::Audience;
use fuotad::lns::Dialect;
use fuotad::lns::Event;
use fuotad::lns::EventKind;
use fuotad::lns::ItemId;
use fuotad::lns::Push;
use fuotad::lns::Topics;
use fuotad::lorawan::Eui64;
use fuotad::time::GpsTime;
use serde_json::Value;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

const OURS: Eui64 = Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 1]);
const APPLICATION: &str = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";
/// What a broker listens with that asks nobody for anything.
const OPEN: &str = "allow_anonymous true";

fn settings(port: u16, dialect: Dialect) -> LnsSettings {
    let application = match dialect {
        Dialect::ChirpStack => APPLICATION,
        Dialect::TheThingsStack => "app1@ttn",
    };
    LnsSettings {
        name: "lns".to_owned(),
        topics: Topics::new(dialect, "", vec![application.to_owned()]).unwrap(),
        audience: Audience::new([(OURS, None)]),
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        client_id: None,
        user: None,
        password_file: None,
        silent_after: Duration::from_secs(3600),
    }
}

#[test]
fn silence_is_a_quarter_longer_than_the_most_frequent_device_pauses_and_an_hour_where_nobody_is_known() {
    let after_s = |interval_s| settings(1, Dialect::ChirpStack).expecting(interval_s).silent_after.as_secs();
    assert_eq!([None, Some(60), Some(600), Some(86_400)].map(after_s), [3600, 300, 750, 108_000]);
}

fn start(settings: LnsSettings) -> LnsLinks {
    LnsLinks::start(vec![settings])
}

fn state(links: &LnsLinks) -> LnsSnapshot {
    links.states().remove(0)
}

fn until_state(links: &LnsLinks, wanted: &str) {
    let started = std::time::Instant::now();
    while state(links).state != wanted {
        assert!(started.elapsed() < PATIENCE, "{wanted} wanted: {:?}", state(links));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The next event, which must come.
fn next(links: &LnsLinks) -> Event {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, links.event()).await }).expect("an event").1
}

fn f_cnt(event: &Event) -> u32 {
    match &event.kind {
        EventKind::Up(up) => up.f_cnt,
        other => panic!("{other:?}"),
    }
}

/// ChirpStack's uplink event.
fn up(dev_eui: Eui64, f_cnt: u32) -> (String, String) {
    (
        format!("application/{APPLICATION}/device/{dev_eui}/event/up"),
        format!(r#"{{"deviceInfo":{{"devEui":"{dev_eui}"}},"fCnt":{f_cnt},"fPort":200,"data":"AA=="}}"#),
    )
}

fn push(device: Address) -> Push {
    let item = ItemId::new(OURS, b"salt", 1);
    Push {
        device,
        item,
        f_port: 200,
        payload: vec![1, 2],
        expires_at: GpsTime::from_unix_us(1_800_000_000_000_000),
    }
}

#[test]
fn events_of_our_devices_come_in_order_and_what_is_doubled_kept_foreign_or_broken_does_no_harm() {
    let broker = Broker::start("events", &[], OPEN);
    let (topic, payload) = up(OURS, 0);
    broker.publish(&topic, &payload, 1, true);
    let links = start(settings(broker.port, Dialect::ChirpStack));
    until_state(&links, "connected");
    let (foreign, foreign_payload) = up(Eui64::from_bytes([9; 8]), 1);
    broker.publish(&foreign, &foreign_payload, 1, false);
    broker.publish(&topic, "{", 1, false);
    for n in [7, 7, 8] {
        broker.publish(&topic, &up(OURS, n).1, 1, false);
    }
    let events: Vec<Event> = (0..3).map(|_| next(&links)).collect();
    // What the broker had kept is no news.
    assert_eq!(events.iter().map(f_cnt).collect::<Vec<_>>(), [7, 7, 8]);
    until("all are counted", || state(&links).events == 3);
    let state = state(&links);
    assert_eq!((state.events, state.foreign, state.unreadable, state.dropped), (3, 1, 1, 0));
    assert!(state.last_unreadable.unwrap().starts_with("no-json: "));
    assert_eq!((state.name.as_str(), state.kind.as_str(), state.reason), ("lns", "chirpstack", None));
    assert_eq!(state.broker, format!("127.0.0.1:{}", broker.port));
}

#[test]
fn a_downlink_for_chirpstack_is_published_where_its_uplink_came_from_and_acknowledged_by_the_broker() {
    let broker = Broker::start("push", &[], OPEN);
    let subscriber = broker.subscriber();
    let links = start(settings(broker.port, Dialect::ChirpStack));
    until_state(&links, "connected");
    let (topic, payload) = up(OURS, 1);
    broker.publish(&topic, &payload, 1, false);
    links.push(0, push(next(&links).device));
    subscriber.next();
    let message = subscriber.next();
    let (head, json) = message.split_once('{').unwrap();
    assert_eq!(head, format!("1 application/{APPLICATION}/device/{OURS}/command/down "));
    let json: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
    assert_eq!(json["id"], ItemId::new(OURS, b"salt", 1).to_string());
    assert_eq!((&json["confirmed"], &json["data"]), (&Value::Bool(false), &Value::from("AQI=")));
    until("it is counted", || state(&links).pushed == 1);
}

#[test]
fn the_things_stack_is_spoken_with_over_its_own_topics_without_acknowledgement() {
    let broker = Broker::start("tts", &[], OPEN);
    let subscriber = broker.subscriber();
    let links = start(settings(broker.port, Dialect::TheThingsStack));
    until_state(&links, "connected");
    let payload = format!(
        r#"{{"end_device_ids":{{"device_id":"meter-1","dev_eui":"{OURS}"}},"uplink_message":{{"f_cnt":5}}}}"#
    );
    broker.publish("v3/app1@ttn/devices/meter-1/up", &payload, 0, false);
    let event = next(&links);
    assert_eq!((f_cnt(&event), event.device.device.as_str()), (5, "meter-1"));
    links.push(0, push(event.device));
    subscriber.next();
    let message = subscriber.next();
    assert!(message.starts_with("0 v3/app1@ttn/devices/meter-1/down/push {\"downlinks\":[{"), "{message}");
}

#[test]
fn a_broker_that_is_absent_killed_and_back_is_connected_to_again_and_old_downlinks_are_dropped() {
    let mut broker = Broker::start("back", &[], OPEN);
    broker.down();
    let links = start(settings(broker.port, Dialect::ChirpStack));
    until_state(&links, "broker-unreachable");
    assert_eq!(state(&links).reason.as_deref(), Some("nobody listens there"));
    let device = Address { dev_eui: OURS, application: APPLICATION.to_owned(), device: OURS.to_string() };
    links.push(0, push(device));
    until("the downlink is dropped", || state(&links).unpushed == 1);
    broker.up();
    until_state(&links, "connected");
    broker.down();
    until("the loss is seen", || state(&links).state != "connected");
    broker.up();
    until_state(&links, "connected");
    assert_eq!(state(&links).reason, None);
    // It listens again, too.
    let (topic, payload) = up(OURS, 3);
    broker.publish(&topic, &payload, 1, false);
    assert_eq!(f_cnt(&next(&links)), 3);
    assert_eq!((state(&links).pushed, state(&links).unpushed), (0, 1));
}

#[test]
fn a_subscription_that_brings_nobody_of_ours_is_silent_until_somebody_is_heard() {
    let broker = Broker::start("silent", &[], OPEN);
    let soon = Duration::from_millis(300);
    let links = start(LnsSettings { silent_after: soon, ..settings(broker.port, Dialect::ChirpStack) });
    until_state(&links, "silent");
    assert!(state(&links).reason.unwrap().starts_with("subscribed, and no message came"));
    let (topic, payload) = up(OURS, 1);
    broker.publish(&topic, &payload, 1, false);
    until_state(&links, "connected");
    assert_eq!(state(&links).reason, None);
    let with_others =
        start(LnsSettings { silent_after: 20 * soon, ..settings(broker.port, Dialect::ChirpStack) });
    until_state(&with_others, "connected");
    let (topic, payload) = up(Eui64::from_bytes([9; 8]), 1);
    broker.publish(&topic, &payload, 1, false);
    until_state(&with_others, "silent");
    assert!(state(&with_others).reason.unwrap().contains("of 1 messages none was about a device of ours"));
}

#[test]
fn downlinks_beyond_what_may_wait_are_dropped_at_once() {
    // Whoever listens here answers nobody: a connection is being made for ever.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let links = start(settings(deaf.local_addr().unwrap().port(), Dialect::ChirpStack));
    let device = Address { dev_eui: OURS, application: APPLICATION.to_owned(), device: OURS.to_string() };
    for _ in 0..10_000 {
        links.push(0, push(device.clone()));
    }
    until("all are dropped", || state(&links).unpushed == 10_000);
    assert_eq!(state(&links).pushed, 0);
}

/// Writes a file that only we can read.
fn secret(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    scratch.write(name, text);
    std::fs::set_permissions(scratch.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    scratch.path(name)
}

#[test]
fn a_wrong_password_is_named_and_the_right_one_is_taken_without_a_restart() {
    let scratch = Scratch::new("lns-password");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(scratch.path("users"))
        .args(["gw", "right"])
        .status()
        .expect("mosquitto_passwd: apt-get install mosquitto");
    assert!(made.success());
    let users = scratch.read("users");
    let broker =
        Broker::start("password", &[("users", &users)], "allow_anonymous false\npassword_file DIR/users");
    let password_file = Some(secret(&scratch, "password", "wrong"));
    let with = LnsSettings {
        user: Some("gw".to_owned()),
        password_file,
        ..settings(broker.port, Dialect::ChirpStack)
    };
    let links = start(with);
    until_state(&links, "wrong-password");
    let reason = state(&links).reason.unwrap();
    assert_eq!(reason, "the broker refuses the user \"gw\": check user and what stands in password-file");
    secret(&scratch, "password", "right\n");
    until_state(&links, "connected");
    let anonymous = start(settings(broker.port, Dialect::ChirpStack));
    until_state(&anonymous, "wrong-password");
    assert!(state(&anonymous).reason.unwrap().contains("a client without a user name"));
}

#[test]
fn a_password_file_that_is_absent_empty_or_open_to_others_is_named() {
    let scratch = Scratch::new("lns-file");
    let broker = Broker::start("file", &[], OPEN);
    let with = |name: &str| LnsSettings {
        user: Some("gw".to_owned()),
        password_file: Some(scratch.path(name)),
        ..settings(broker.port, Dialect::ChirpStack)
    };
    secret(&scratch, "empty", "\n");
    secret(&scratch, "open", "password");
    std::fs::set_permissions(scratch.path("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for (name, words) in
        [("absent", "it is not there"), ("empty", "it is empty"), ("open", "its mode is 644")]
    {
        let links = start(with(name));
        until_state(&links, "file-unusable");
        let reason = state(&links).reason.unwrap();
        assert!(reason.starts_with("password-file /") && reason.contains(words), "{reason}");
    }
}

#[test]
fn a_user_who_may_not_listen_there_is_told() {
    // mosquitto lets everybody subscribe and passes nothing on: a broker of three packets refuses.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connect = [0; 256];
        assert_eq!(stream.read(&mut connect).map(|_| connect[0]).unwrap(), 0x10, "CONNECT");
        stream.write_all(&[0x20, 2, 0, 0]).unwrap();
        let mut subscribe = [0; 1024];
        assert_eq!(stream.read(&mut subscribe).map(|_| subscribe[0]).unwrap(), 0x82, "SUBSCRIBE");
        // The length of five filters takes two bytes; the packet's identifier follows.
        stream.write_all(&[0x90, 7, subscribe[3], subscribe[4], 1, 1, 0x80, 1, 1]).unwrap();
        let _ = stream.read(&mut connect);
    });
    let links = start(settings(port, Dialect::ChirpStack));
    until_state(&links, "subscription-refused");
    assert!(state(&links).reason.unwrap().contains("check applications"));
}

#[test]
fn a_broker_is_believed_by_its_authority_and_asks_for_our_certificate() {
    let pki = Pki::new("lns");
    for authority in ["ca", "other"] {
        pki.authority(authority, "P-256");
    }
    let server = format!("{SERVER}subjectAltName=IP:127.0.0.1\n");
    pki.signer("broker", "P-256", "ca", &server, 30);
    pki.signer("old", "P-256", "ca", &server, -1);
    pki.signer("elsewhere", "P-256", "ca", &format!("{SERVER}subjectAltName=DNS:elsewhere\n"), 30);
    pki.signer("gateway", "P-256", "ca", "extendedKeyUsage=clientAuth\n", 30);
    let tls = |certificate: &str, more: &str| {
        let dir = pki.dir().display();
        format!(
            "allow_anonymous true\ncafile {dir}/ca.pem\ncertfile {dir}/{certificate}.pem\nkeyfile {dir}/{certificate}.key\n{more}"
        )
    };
    let file = |name: &str| pki.dir().join(name);
    let own = Some((file("gateway.pem"), file("gateway.key")));
    let asked = "require_certificate true";
    for (name, lines, ca, certificate, wanted, words) in [
        ("tls", tls("broker", ""), "ca.pem", None, "connected", ""),
        (
            "tls-other",
            tls("broker", ""),
            "other.pem",
            None,
            "certificate-refused",
            "write ca-file with its authority",
        ),
        ("tls-old", tls("old", ""), "ca.pem", None, "certificate-expired", "has expired"),
        ("tls-name", tls("elsewhere", ""), "ca.pem", None, "certificate-refused", "not valid for name"),
        ("tls-asked", tls("broker", asked), "ca.pem", own, "connected", ""),
        (
            "tls-none",
            tls("broker", asked),
            "ca.pem",
            None,
            "own-certificate-refused",
            "check certificate-file",
        ),
        ("tls-no-file", tls("broker", ""), "absent.pem", None, "file-unusable", "ca-file /"),
        (
            "tls-plain",
            OPEN.to_owned(),
            "ca.pem",
            None,
            "broker-unreachable",
            "does it speak TLS on this port",
        ),
    ] {
        let broker = Broker::start(name, &[], &lines);
        let tls = Some(LnsTls { ca_file: Some(file(ca)), certificate });
        let links = start(LnsSettings { tls, ..settings(broker.port, Dialect::ChirpStack) });
        until_state(&links, wanted);
        let reason = state(&links).reason.unwrap_or_default();
        assert!(reason.contains(words), "{name}: {reason}");
    }
    let broker = Broker::start("tls-unspoken", &[], &tls("broker", ""));
    let links = start(settings(broker.port, Dialect::ChirpStack));
    until_state(&links, "broker-unreachable");
    assert!(
        state(&links).reason.unwrap().contains("does it ask for TLS on this port"),
        "{:?}",
        state(&links)
    );
}

#[test]
fn the_real_process_shows_its_connection_and_goes_on_without_one() {
    let scratch = Scratch::new("lns-process");
    let dir = scratch.dir().display().to_string();
    let mut broker = Broker::start("process", &[], OPEN);
    let listen = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for folder in ["state", "tasks"] {
        std::fs::create_dir(scratch.path(folder)).unwrap();
    }
    secret(&scratch, "key", "00112233445566778899aabbccddeeff");
    let device = format!(
        "[[device]]\nname = \"m1\"\ndev-eui = \"{OURS}\"\nmc-key-encrypted = \"{}\"\n",
        "00".repeat(16)
    );
    scratch.write("devices.toml", device);
    scratch.write(
        "fuotad.toml",
        format!(
            "[gateway]\nregion = \"EU868\"\n[forwarder]\nlisten = \"{listen}\"\n[state]\ndir = \"{dir}/state\"\n\
             [tasks]\nfolder = \"{dir}/tasks\"\n[status]\nsocket = \"{dir}/status.sock\"\n\
             [[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://127.0.0.1:{}\"\napplications = [\"{APPLICATION}\"]\n\
             [[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"{dir}/key\"\nsession = \"windows\"\n\
             lns = \"cs\"\ndevices-file = \"{dir}/devices.toml\"\n",
            broker.port
        ),
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_fuotad"))
        .args(["run", "--config"])
        .arg(scratch.path("fuotad.toml"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(scratch.path("log")).unwrap())
        .spawn()
        .unwrap();
    let socket = scratch.path("status.sock");
    let shown = |wanted: &str| {
        let text = fuotad::daemon::read_status(&socket).unwrap_or_default();
        let page: Value = serde_json::from_str(&text).unwrap_or_default();
        page["lns"][0]["state"] == wanted && page["lns"][0]["name"] == "cs"
    };
    until("it is connected", || shown("connected"));
    let (topic, payload) = up(OURS, 1);
    broker.publish(&topic, &payload, 1, false);
    let status = || {
        let run = Command::new(env!("CARGO_BIN_EXE_fuotad"))
            .args(["status", "--socket"])
            .arg(&socket)
            .output()
            .unwrap();
        String::from_utf8(run.stdout).unwrap()
    };
    let line = format!("lns        cs at 127.0.0.1:{}: connected, 1 events, 0 downlinks", broker.port);
    until("the event is shown", || status().contains(&line));
    broker.down();
    until("the loss is shown", || !status().contains(": connected,"));
    assert_eq!(child.try_wait().unwrap(), None, "{}", String::from_utf8_lossy(&scratch.read("log")));
    child.kill().unwrap();
    child.wait().unwrap();
}
