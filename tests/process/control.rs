//! The control socket of the real process: requests and answers, and those who do not behave.

use super::support::broker::until;
use super::support::scratch::Scratch;
use fuotad::daemon::ControlClient;
use fuotad::daemon::ControlError;
use serde_json::Value;
use serde_json::json;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

/// A running service with one group, and its folder.
struct Service {
    scratch: Scratch,
    child: Child,
}

impl Service {
    fn start(name: &str) -> Service {
        let scratch = Scratch::new(&format!("control-{name}"));
        let dir = scratch.dir().display().to_string();
        let listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for folder in ["state", "tasks"] {
            std::fs::create_dir(scratch.path(folder)).unwrap();
        }
        scratch.write("key", "00112233445566778899aabbccddeeff");
        std::fs::set_permissions(scratch.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        scratch.write(
            "fuotad.toml",
            format!(
                "[gateway]\nregion = \"EU868\"\n[forwarder]\nlisten = \"{listen}\"\n[state]\ndir = \"{dir}/state\"\n\
                 [tasks]\nfolder = \"{dir}/tasks\"\n[status]\nsocket = \"{dir}/status.sock\"\n\
                 [[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"{dir}/key\"\nsession = \"windows\"\n"
            ),
        );
        let child = Command::new(env!("CARGO_BIN_EXE_fuotad"))
            .args(["run", "--config"])
            .arg(scratch.path("fuotad.toml"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(scratch.path("log")).unwrap())
            .spawn()
            .unwrap();
        let service = Service { scratch, child };
        until("the service takes requests", || ControlClient::connect(&service.socket()).is_ok());
        service
    }

    /// It lies beside the status socket.
    fn socket(&self) -> PathBuf {
        self.scratch.path("control.sock")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next answer of a connection.
fn answer(reader: &mut impl BufRead) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[test]
fn requests_are_answered_line_by_line_with_their_ids() {
    let service = Service::start("lines");
    let mode = std::fs::metadata(service.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "for user and group, for nobody else");
    let mut stream = service.connect();
    let lines = "{\"v\":1,\"id\":1,\"do\":\"version\"}\n{\"v\":1,\"id\":\"b\",\"do\":\"status\"}\n\
                 {\"v\":1,\"id\":3,\"do\":\"devices.list\",\"group\":\"meters\"}\n\
                 {\"v\":1,\"id\":4,\"do\":\"devices.list\",\"group\":\"metres\"}\nnonsense\n{\"v\":1,\"do\":\"version\"}\n";
    stream.write_all(lines.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let version = answer(&mut reader);
    assert_eq!(
        (&version["v"], &version["id"], &version["ok"]["protocol"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(version["ok"]["program"], env!("CARGO_PKG_VERSION"));
    let names = version["ok"]["requests"].as_array().unwrap();
    assert!(names.contains(&json!("devices.retry")), "{names:?}");
    let status = answer(&mut reader);
    assert_eq!((&status["id"], &status["ok"]["region"]), (&json!("b"), &json!("EU868")));
    let no_lns = answer(&mut reader);
    assert_eq!((&no_lns["id"], &no_lns["error"]["code"]), (&json!(3), &json!("no-lns")));
    let message = "group meters has no lns: write lns and devices-file in its [[group]]";
    assert_eq!(no_lns["error"]["message"], message);
    let unknown = answer(&mut reader);
    assert_eq!(unknown["error"]["code"], "unknown-group");
    assert_eq!(unknown["error"]["message"], "\"metres\" is no [[group]]: there are meters");
    assert_eq!(answer(&mut reader)["error"]["code"], "no-json");
    assert_eq!(answer(&mut reader)["ok"]["protocol"], 1, "a bad line ends nothing");
}

#[test]
fn the_client_of_the_command_line_speaks_it() {
    let service = Service::start("client");
    let mut client = ControlClient::connect(&service.socket()).unwrap();
    assert_eq!(client.ask(json!({"do": "version"})).unwrap()["protocol"], 1);
    match client.ask(json!({"do": "devices.list", "group": "meters"})) {
        Err(ControlError::Refused { code, .. }) => assert_eq!(code, "no-lns"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_writes_too_much_opens_too_many_or_does_not_read_is_dropped_and_the_others_are_served() {
    let service = Service::start("rude");
    // A line without an end.
    let mut endless = service.connect();
    endless.write_all(&vec![b'x'; 8193]).unwrap();
    let mut reader = BufReader::new(endless);
    assert_eq!(answer(&mut reader)["error"]["code"], "too-long");
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0, "its connection is closed");
    // Whoever asks and never reads: the answers fill its socket.
    let mut deaf = service.connect();
    deaf.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = "{\"v\":1,\"do\":\"status\"}\n".repeat(100);
    let is_dropped = (0..10_000).any(|_| deaf.write_all(request.as_bytes()).is_err());
    assert!(is_dropped, "whoever does not read is dropped");
    // Eight connections are served, the ninth is told.
    until("all places are free", || {
        let all: Vec<UnixStream> = (0..8).map(|_| service.connect()).collect();
        all.into_iter().all(|mut stream| {
            stream.write_all(b"{\"v\":1,\"do\":\"version\"}\n").unwrap();
            answer(&mut BufReader::new(stream)).get("ok").is_some()
        })
    });
    let places: Vec<UnixStream> = (0..8)
        .map(|_| {
            let mut stream = service.connect();
            stream.write_all(b"{\"v\":1,\"do\":\"version\"}\n").unwrap();
            stream
        })
        .collect();
    for place in &places {
        assert!(answer(&mut BufReader::new(place)).get("ok").is_some());
    }
    assert_eq!(answer(&mut BufReader::new(service.connect()))["error"]["code"], "busy");
    drop(places);
    until("places are free again", || {
        let mut client = ControlClient::connect(&service.socket()).unwrap();
        client.ask(json!({"do": "version"})).is_ok()
    });
}
