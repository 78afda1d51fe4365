//! A fault of the broadcaster's own never takes a gateway off its network: planted faults, each with one uplink to the
//! network server and one downlink back.

use crate::support::scratch::Scratch;
use crate::support::site::Site;
use fuotad::cli::Start;
use fuotad::cli::prepare;
use fuotad::daemon::Snapshot;
use fuotad::daemon::read_status;
use fuotad::engine::Engine;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::store::Recovered;
use fuotad::time::Instant;
use fuotad::time::Now;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;
use toml::Value;

const MC_KEY: &str = "00112233445566778899aabbccddeeff";
const EUI: [u8; 8] = [0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
const UPLINK: &[u8] = br#"{"rxpk":[{"tmst":1000000,"freq":868.1,"stat":1,"data":"AA=="}]}"#;
const DOWNLINK: &[u8] = br#"{"txpk":{"imme":true,"freq":868.3,"rfch":0,"powe":14,"modu":"LORA","datr":"SF7BW125","codr":"4/5","ipol":true,"size":12,"data":"YAEQASYAAQAAAAAA"}}"#;
/// Tables of which a fault is the relay's own.
const RELAY: [&str; 2] = ["forwarder", "network-server"];
/// Processes that are tried at the same time.
const AT_ONCE: usize = 6;

/// A folder with a good configuration of everything, its keys, its state.
struct Gateway {
    scratch: Scratch,
    listen: SocketAddr,
    server: UdpSocket,
}

impl Gateway {
    fn new() -> Gateway {
        let scratch = Scratch::new("relay-only");
        let listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let gateway = Gateway { scratch, listen, server };
        for folder in ["state", "tasks"] {
            std::fs::create_dir(gateway.scratch.path(folder)).unwrap();
        }
        gateway.secret("a.mckey", MC_KEY);
        gateway.secret("b.mckey", &MC_KEY.replace('0', "1"));
        gateway.config(&gateway.good());
        gateway
    }

    fn secret(&self, name: &str, text: &str) {
        self.scratch.write(name, text);
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.scratch.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn config(&self, text: &str) {
        self.scratch.write("fuotad.toml", text);
    }

    fn remove(&self, name: &str) {
        let path = self.scratch.path(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            std::fs::remove_file(path).unwrap()
        }
    }

    fn good(&self) -> String {
        let (dir, listen, server) =
            (self.scratch.dir().display(), self.listen, self.server.local_addr().unwrap());
        let zeros = "0".repeat(64);
        let group = |name: &str, mc_addr: &str| {
            format!(
                r#"
[[group]]
name = "{name}"
mc-addr = "{mc_addr}"
mc-key-file = "{dir}/{name}.mckey"
first-fcnt = 2
ts004-version = 1
fport = 201
session = "windows"
session-timeout-exponent = 12
session-start = "2026-11-22T08:00:00Z"
session-guard-s = 10
device-profile = "lbm"
frequency-hz = 869_525_000
data-rate = 3
eirp-dbm = 27
duty-share = 0.4
max-deaf = 0.2
spacing = "even"
downlink-dwell = false
aws-multicast-group = "g-{name}"
[group.signing]
pins = ["{zeros}"]
validity = "now"
"#
            )
        };
        let aws = if cfg!(feature = "aws") {
            format!(
                r#"
[aws]
region = "eu-west-1"
fuota-tasks = ["t-1"]
all = false
ota-updates = ["gw-ota-7"]
poll-s = 60
max-image-bytes = 1048576
[[aws.task]]
id = "t-1"
multicast-groups = ["a"]
start = "2026-11-22T08:00:00Z"
interval = "exact"
sha256 = "{zeros}"
session-timeout-exponent = 12
[ota."gw-ota-7"]
file-name = "app.bin"
multicast-groups = ["a"]
start = "2026-11-22T08:00:00Z"
redundancy-percent = 30
fragment-size-bytes = 112
fragment-interval-ms = 2500
interval = "exact"
sha256 = "{zeros}"
session-timeout-exponent = 12
on-delete = "finish"
"#
            )
        } else {
            String::new()
        };
        let gps = if cfg!(feature = "gps") { "[gps]\ntty = \"/dev/null/none\"\nbaud = 9600\n" } else { "" };
        format!(
            r#"[state]
dir = "{dir}/state"
crash-rest-s = 600
[gateway]
region = "EU868"
withdrawn-region = false
id = "0016c001f1500812"
[forwarder]
listen = "{listen}"
[[network-server]]
address = "{server}"
[radio]
frequency-hz = 869_525_000
data-rate = 3
eirp-dbm = 27
antenna-gain-dbi = 2
forwarder-antenna-gain-dbi = 0
max-eirp-dbm = 29
listen-before-talk = false
rf-chain = 0
duty-share = 0.4
max-deaf = 0.2
server-reserve = 0.1
spacing = "even"
turns = "in-order"
[tasks]
folder = "{dir}/tasks"
scan-s = 3
[clock]
trust = "never"
evidence = []
[status]
socket = "{dir}/status.sock"
[log]
filter = "info"
{gps}{aws}{}{}"#,
            group("a", "01c0ffee"),
            group("b", "01c0ffef"),
        )
    }

    fn prepared(&self) -> Result<Start, String> {
        prepare(&self.scratch.path("fuotad.toml")).map_err(|failure| failure.to_string())
    }

    /// Keeps in the state folder what a good start keeps there.
    fn keep(&self) {
        let Ok(start) = self.prepared() else { panic!("the good configuration is none") };
        assert_eq!(start.settings.relay_only, None);
        self.scratch.write("state/relay.toml", start.settings.relay_text.unwrap());
    }

    /// Whether an uplink and a downlink pass an engine with this start's settings; and why it only relays.
    fn relays(&self) -> Result<Option<String>, String> {
        let settings = self.prepared()?.settings;
        let server = settings.engine.relay.servers.first().map(|server| server.name.clone());
        if server != Some(self.server.local_addr().unwrap().to_string()) || settings.listen != self.listen {
            return Err(format!("another relay: {server:?} {}", settings.listen));
        }
        let at = |ms: i64| Now { mono: Instant::from_us(ms * 1000), gps: None };
        let mut engine = Engine::new(settings.engine, Recovered::default(), 1, at(0));
        if let Some(reason) = &settings.relay_only {
            engine.halt(at(0), reason.clone());
        }
        let from = SocketAddr::from(([127, 0, 0, 1], 40_001));
        let datagram = |head: [u8; 4], body: &[u8]| [&head[..], &EUI, body].concat();
        let mut passed = Vec::new();
        let steps = [(1, datagram([2, 1, 2, 2], b"")), (2, datagram([2, 3, 4, 0], UPLINK))];
        for (ms, bytes) in &steps {
            engine.handle(at(*ms), Input::Datagram { from, bytes });
            passed.extend(outputs(&mut engine));
        }
        let is_uplink = |output: &Output| matches!(output, Output::ToServer { server: 0, bytes } if bytes.ends_with(UPLINK));
        if !passed.iter().any(is_uplink) {
            return Err("the uplink did not pass".to_owned());
        }
        let bytes = [&[2, 0, 9, 3], DOWNLINK].concat();
        engine.handle(at(3), Input::FromServer { server: 0, bytes: &bytes });
        let downlinks: Vec<Output> = outputs(&mut engine)
            .into_iter()
            .filter(|output| matches!(output, Output::Datagram { bytes, .. } if bytes[3] == 3))
            .collect();
        match downlinks.as_slice() {
            [Output::Datagram { bytes, .. }]
                if String::from_utf8_lossy(bytes).contains("YAEQASYAAQAAAAAA") =>
            {
                Ok(settings.relay_only)
            }
            other => Err(format!("not the downlink: {other:?}")),
        }
    }
}

fn outputs(engine: &mut Engine) -> Vec<Output> {
    let next = || Some(engine.poll()).filter(|output| !matches!(output, Output::WakeAt(_)));
    std::iter::from_fn(next).collect()
}

/// The value at `path` in `value`, and what to do with its table and its name.
fn at<'a>(value: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match value {
        Value::Array(list) => &mut list[step.parse::<usize>().unwrap()],
        table => table.get_mut(step.as_str()).unwrap(),
    })
}

/// The path of every value that is no table and not the relay's own.
fn leaves(value: &Value, path: &[String], found: &mut Vec<Vec<String>>) {
    let below = |step: String| [path, &[step]].concat();
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(name, value)| leaves(value, &below(name.clone()), found))
        }
        Value::Array(list) if list.iter().any(Value::is_table) => {
            list.iter()
                .enumerate()
                .for_each(|(index, value)| leaves(value, &below(index.to_string()), found));
        }
        _ if RELAY.contains(&path[0].as_str()) || path == ["gateway", "id"] => {}
        _ => found.push(path.to_vec()),
    }
}

#[derive(Clone, Copy, Debug)]
enum Mistake {
    WrongType,
    Nonsense,
    Misspelt,
}

/// The good configuration with one mistake.
fn mistaken(good: &Value, path: &[String], mistake: Mistake) -> String {
    let mut value = good.clone();
    let (name, table) = path.split_last().unwrap();
    match mistake {
        Mistake::WrongType => {
            let place = at(&mut value, path);
            *place = if place.is_str() { Value::Integer(7) } else { Value::String("x".to_owned()) };
        }
        Mistake::Nonsense => {
            let place = at(&mut value, path);
            *place = match place {
                Value::String(_) => Value::String("\u{1}nonsense".to_owned()),
                Value::Integer(_) => Value::Integer(-1),
                Value::Float(_) => Value::Float(1e9),
                _ => Value::Array(vec![Value::Integer(1)]),
            };
        }
        Mistake::Misspelt => {
            let Value::Table(table) = at(&mut value, table) else { panic!("{path:?}") };
            let kept = table.remove(name).unwrap();
            table.insert(format!("{name}x"), kept);
        }
    }
    toml::to_string(&value).unwrap()
}

#[test]
fn two_hundred_mistakes_in_what_is_not_the_relays_leave_the_relay() {
    let gateway = Gateway::new();
    gateway.keep();
    assert_eq!(gateway.relays(), Ok(None), "the good configuration does more than relay");
    let good: Value = Value::Table(toml::from_str(&gateway.good()).unwrap());
    let mut found = Vec::new();
    leaves(&good, &[], &mut found);
    let (mut planted, mut faults, mut failed) = (0, 0, Vec::new());
    let mut tried = |what: String| {
        planted += 1;
        match gateway.relays() {
            Ok(None) => {}
            Ok(Some(reason)) => {
                faults += 1;
                if reason.contains('\n')
                    || reason.contains(&MC_KEY[4..28])
                    || !reason.contains("fuotad check")
                {
                    failed.push(format!("{what}: the reason is {reason:?}"));
                }
            }
            Err(why) => failed.push(format!("{what}: {why}")),
        }
    };
    for path in &found {
        for mistake in [Mistake::WrongType, Mistake::Nonsense, Mistake::Misspelt] {
            gateway.config(&mistaken(&good, path, mistake));
            tried(format!("{} {mistake:?}", path.join(".")));
        }
    }
    for name in ["radio", "tasks", "clock", "status", "log", "gps", "aws", "ota", "group"] {
        let mut value = good.clone();
        let Value::Table(table) = &mut value else { panic!() };
        if let Some(kept) = table.remove(name) {
            table.insert(format!("{name}z"), kept);
            gateway.config(&toml::to_string(&value).unwrap());
            tried(format!("[{name}z]"));
            let Value::Table(table) = &mut value else { panic!() };
            table.remove(&format!("{name}z"));
            table.insert(name.to_owned(), Value::Integer(3));
            gateway.config(&toml::to_string(&value).unwrap());
            tried(format!("{name} = 3"));
        }
    }
    // A key in the wrong place is in no text that anybody is shown.
    gateway.config(&gateway.good().replace("fport = 201", &format!("mc-key = \"{MC_KEY}\"")));
    tried("a key in the configuration".to_owned());
    // What is no TOML at all: a line that is cut, from the state folder's on.
    let text = gateway.good();
    let from = text.find("crash-rest-s").unwrap();
    for cut in (from..text.len()).step_by(67) {
        gateway.config(&format!("{}\n= \u{0}", text.get(..cut).unwrap()));
        tried(format!("cut at {cut}"));
    }
    gateway.config(&text);
    assert!(failed.is_empty(), "{} of {planted}:\n{}", failed.len(), failed.join("\n"));
    println!("{planted} mistakes, {faults} of them keep it from broadcasting");
    assert!(planted >= 200 && faults >= 150, "{planted} planted, {faults} noticed");
}

#[test]
fn a_key_that_cannot_be_used_leaves_the_relay() {
    let gateway = Gateway::new();
    let broken = |what: &str, needle: &str| {
        let reason = gateway.relays().unwrap().unwrap_or_else(|| panic!("{what}: nothing is wrong"));
        assert!(reason.contains(needle), "{what}: {reason}");
        assert!(!reason.contains(&MC_KEY[4..28]), "{what}: {reason}");
    };
    let good = |name: &str| {
        gateway.remove(name);
        gateway.secret(name, MC_KEY);
    };
    gateway.remove("b.mckey");
    broken("missing", "b.mckey: it is not there");
    gateway.secret("b.mckey", "");
    for (text, needle) in
        [("", "b.mckey"), ("zz", "b.mckey"), (&MC_KEY[1..], "b.mckey"), (&"0".repeat(2000), "1024")]
    {
        gateway.secret("b.mckey", text);
        broken(text, needle);
    }
    gateway.scratch.write("b.mckey", [0xff; 16]);
    broken("bytes", "no text");
    good("b.mckey");
    gateway.mode("b.mckey", 0o644);
    broken("open", "open to the world");
    gateway.remove("b.mckey");
    std::fs::create_dir(gateway.scratch.path("b.mckey")).unwrap();
    broken("a folder", "b.mckey");
    gateway.remove("b.mckey");
    std::os::unix::fs::symlink("nowhere", gateway.scratch.path("b.mckey")).unwrap();
    broken("a link to nowhere", "b.mckey");
    std::fs::remove_file(gateway.scratch.path("b.mckey")).unwrap();
    gateway.secret("b.mckey", MC_KEY);
    gateway.config(&gateway.good().replace("pins = [", "anchors = [\"/nowhere.pem\"]\npins = ["));
    broken("an anchor that is missing", "/nowhere.pem");
    gateway.config(&gateway.good().replacen("mc-key-file", "mc-key-credential", 1).replacen(
        &format!("{}/a.mckey", gateway.scratch.dir().display()),
        "a",
        1,
    ));
    broken("a credential that nobody passes", "CREDENTIALS_DIRECTORY");
}

#[test]
fn a_fault_of_the_relays_own_ends_with_78_or_goes_on_with_the_last_good_start() {
    let gateway = Gateway::new();
    let listen = format!("listen = \"{}\"", gateway.listen);
    let address = format!("address = \"{}\"", gateway.server.local_addr().unwrap());
    let mistakes = [
        (listen.as_str(), "listen = \"1700\"".to_owned()),
        (&listen, format!("lissen = \"{}\"", gateway.listen)),
        (&listen, format!("{listen}\nallow = [\"me\"]")),
        (&address, "address = \"no port\"".to_owned()),
        (&address, format!("adress = \"{}\"", gateway.server.local_addr().unwrap())),
        (&address, format!("{address}\nrx1-delay-s = 99")),
        ("[[network-server]]", "[[network-servers]]".to_owned()),
        ("id = \"0016c001f1500812\"", "id = \"banana\"".to_owned()),
        ("[gateway]", "[gateway".to_owned()),
    ];
    for is_kept in [false, true] {
        for (from, to) in &mistakes {
            let good = gateway.good();
            assert!(good.contains(from), "{from}");
            gateway.config(&good.replacen(from, to, 1));
            match gateway.relays() {
                Ok(Some(reason)) if is_kept => {
                    assert!(reason.contains("the last good start"), "{to}: {reason}")
                }
                Ok(reason) => panic!("{to}: {reason:?}"),
                Err(why) => assert!(!is_kept, "{to}: {why}"),
            }
        }
        gateway.config(&gateway.good());
        gateway.keep();
    }
}

/// The real process on this gateway, until it is dropped.
struct Process<'a> {
    gateway: &'a Gateway,
    child: Child,
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    fn run(&self, environment: &[(&str, String)]) -> Process<'_> {
        let log = std::fs::File::options().create(true).append(true).open(self.scratch.path("log")).unwrap();
        self.run_into(log.into(), environment)
    }

    fn run_into(&self, log: Stdio, environment: &[(&str, String)]) -> Process<'_> {
        let child = Command::new(env!("CARGO_BIN_EXE_fuotad"))
            .args(["run", "--config"])
            .arg(self.scratch.path("fuotad.toml"))
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Process { gateway: self, child }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path("log")).unwrap_or_default()
    }
}

impl Process<'_> {
    /// One uplink to the server, one downlink back.
    fn carries(&mut self) -> Result<(), String> {
        let gateway = self.gateway;
        let patience = Duration::from_millis(100);
        let forwarder = UdpSocket::bind("127.0.0.1:0").unwrap();
        forwarder.set_read_timeout(Some(patience)).unwrap();
        gateway.server.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 2048];
        let (mut is_up, mut to_gateway) = (false, None);
        for turn in 0..100u8 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("it ended with {:?}: {}", status.code(), gateway.log()));
            }
            for (kind, body) in [(2, &b""[..]), (0, UPLINK)] {
                let bytes = [&[2, turn, kind, kind][..], &EUI, body].concat();
                // Nobody listens yet, perhaps.
                let _ = forwarder.send_to(&bytes, gateway.listen);
            }
            while let Ok((length, from)) = gateway.server.recv_from(&mut buffer) {
                match buffer[3] {
                    0 if buffer[..length].ends_with(UPLINK) => is_up = true,
                    2 => to_gateway = Some(from),
                    _ => {}
                }
                if is_up && to_gateway.is_some() {
                    break;
                }
            }
            if let (true, Some(to)) = (is_up, to_gateway) {
                gateway.server.send_to(&[&[2, turn, 9, 3], DOWNLINK].concat(), to).unwrap();
            }
            while let Ok((length, _)) = forwarder.recv_from(&mut buffer) {
                if buffer[3] == 3 {
                    let text = String::from_utf8_lossy(&buffer[4..length]);
                    return if text.contains("YAEQASYAAQAAAAAA") {
                        Ok(())
                    } else {
                        Err(format!("a frame of ours: {text}"))
                    };
                }
            }
        }
        Err(format!("up {is_up}, down no: {}", gateway.log()))
    }

    fn status(&self) -> Option<Snapshot> {
        serde_json::from_str(&read_status(&self.gateway.scratch.path("status.sock")).ok()?).ok()
    }

    fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        for _ in 0..500 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

type Plant = fn(&Gateway) -> Vec<(&'static str, String)>;

/// Faults on the disk and around the process: what is done to the gateway, and a word of the reason, if there is one.
const PLANTED: &[(&str, Plant, Option<&str>)] = &[
    ("nothing", |_| Vec::new(), None),
    (
        "a key is missing",
        |g| {
            g.remove("a.mckey");
            Vec::new()
        },
        Some("a.mckey"),
    ),
    (
        "a key is garbage",
        |g| {
            g.secret("a.mckey", "garbage");
            Vec::new()
        },
        Some("a.mckey"),
    ),
    (
        "a key is open",
        |g| {
            g.mode("a.mckey", 0o644);
            Vec::new()
        },
        Some("chmod 0640"),
    ),
    (
        "the state folder is missing",
        |g| {
            g.remove("state");
            Vec::new()
        },
        None,
    ),
    (
        "the state folder is missing, and a key",
        |g| {
            g.remove("state");
            g.remove("a.mckey");
            Vec::new()
        },
        Some("a.mckey"),
    ),
    (
        "the state folder is a file",
        |g| {
            g.remove("state");
            g.scratch.write("state", "x");
            Vec::new()
        },
        Some("state folder"),
    ),
    (
        "the state folder leads nowhere",
        |g| {
            g.remove("state");
            std::os::unix::fs::symlink("/proc/none", g.scratch.path("state")).unwrap();
            Vec::new()
        },
        Some("state folder"),
    ),
    (
        "the state folder cannot be written",
        |g| {
            g.remove("state");
            std::os::unix::fs::symlink("/proc/self", g.scratch.path("state")).unwrap();
            Vec::new()
        },
        Some("state folder"),
    ),
    (
        "the marks are garbage",
        |g| {
            g.scratch.write("state/marks", [0x55; 70_000]);
            Vec::new()
        },
        None,
    ),
    (
        "the marks are a folder",
        |g| {
            std::fs::create_dir(g.scratch.path("state/marks")).unwrap();
            Vec::new()
        },
        Some("marks"),
    ),
    (
        "the list of ends is a folder",
        |g| {
            std::fs::create_dir(g.scratch.path("state/ended")).unwrap();
            Vec::new()
        },
        Some("ended"),
    ),
    (
        "a journal is garbage",
        |g| {
            for end in ["a", "b"] {
                g.scratch.write(&format!("state/{}.{end}", "5a".repeat(16)), [0x77; 65_536]);
            }
            Vec::new()
        },
        None,
    ),
    (
        "what was kept is garbage",
        |g| {
            g.scratch.write("state/relay.toml", [0xff; 999]);
            Vec::new()
        },
        None,
    ),
    (
        "the lock is a folder",
        |g| {
            std::fs::create_dir(g.scratch.path("state/lock")).unwrap();
            Vec::new()
        },
        Some("state folder"),
    ),
    (
        "the task folder is missing",
        |g| {
            g.remove("tasks");
            Vec::new()
        },
        None,
    ),
    (
        "the task folder is a file",
        |g| {
            g.remove("tasks");
            g.scratch.write("tasks", "x");
            Vec::new()
        },
        None,
    ),
    (
        "a task is garbage",
        |g| {
            g.scratch.write("tasks/a.json", [0xff; 5000]);
            Vec::new()
        },
        None,
    ),
    ("a variable is misspelt", |_| vec![("FUOTAD__RADIO__DUTY", "1".to_owned())], Some("environment")),
    (
        "a variable is nonsense",
        |_| vec![("FUOTAD__RADIO__DUTY_SHARE", "7".to_owned())],
        Some("radio.duty-share"),
    ),
    ("the log filter is nonsense", |_| vec![("FUOTAD__LOG__FILTER", "a=b=c".to_owned())], None),
    (
        "the configuration is missing",
        |g| {
            g.remove("fuotad.toml");
            vec![("STATE_DIRECTORY", g.scratch.path("state").display().to_string())]
        },
        Some("fuotad.toml: it is not there"),
    ),
    (
        "the configuration is empty",
        |g| {
            g.config("");
            vec![("FUOTAD__STATE__DIR", g.scratch.path("state").display().to_string())]
        },
        Some("line 1"),
    ),
    (
        "the configuration is no text",
        |g| {
            g.scratch.write("fuotad.toml", [0xff; 100]);
            vec![("STATE_DIRECTORY", g.scratch.path("state").display().to_string())]
        },
        Some("no text"),
    ),
    (
        "the configuration is a folder",
        |g| {
            g.remove("fuotad.toml");
            std::fs::create_dir(g.scratch.path("fuotad.toml")).unwrap();
            vec![("STATE_DIRECTORY", g.scratch.path("state").display().to_string())]
        },
        Some("folder"),
    ),
    (
        "the configuration is half there",
        |g| {
            g.config(g.good().split_once("alse\nid").unwrap().0);
            Vec::new()
        },
        Some("last good start"),
    ),
    (
        "the region is unknown",
        |g| {
            g.config(&g.good().replace("EU868", "EU867"));
            Vec::new()
        },
        Some("EU867"),
    ),
    (
        "a receiver of another speed",
        |g| {
            g.config(&g.good().replace("baud = 9600", "baud = 9601"));
            Vec::new()
        },
        Some("9601"),
    ),
    (
        "the status socket has no place",
        |g| {
            g.config(&g.good().replace("status.sock", "none/status.sock"));
            Vec::new()
        },
        None,
    ),
];

#[test]
fn the_real_process_relays_whatever_of_ours_is_broken() {
    let next = Mutex::new(PLANTED.iter());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((what, plant, reason)) = next.lock().unwrap().next() else { return };
                    if let Err(why) = try_one(*plant, *reason) {
                        failed.lock().unwrap().push(format!("{what}: {why}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), PLANTED.len(), failed.join("\n"));
}

fn try_one(plant: Plant, reason: Option<&str>) -> Result<(), String> {
    let gateway = Gateway::new();
    gateway.keep();
    let environment = plant(&gateway);
    let mut process = gateway.run(&environment);
    process.carries()?;
    let status = process.status();
    match (reason, status) {
        (Some(needle), Some(status)) => {
            let said = status.relay_only.clone().unwrap_or_default();
            if status.is_ready || !said.contains(needle) || !status.not_ready[0].starts_with("relay only: ") {
                return Err(format!("no {needle:?} in {said:?}, {:?}", status.not_ready));
            }
            // The log has a thread of its own.
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while !gateway.log().contains("relay only: ") && std::time::Instant::now() < until {
                std::thread::yield_now();
            }
            if !gateway.log().contains("relay only: ") {
                return Err(format!("nothing in the log: {}", gateway.log()));
            }
        }
        (Some(_), None) => return Err("no status".to_owned()),
        (None, Some(status)) if status.relay_only.is_some() => {
            return Err(format!("{:?}", status.relay_only));
        }
        (None, _) => {}
    }
    match process.end(Signal::TERM) {
        Some(0) => Ok(()),
        other => Err(format!("at the end {other:?}: {}", gateway.log())),
    }
}

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_campaign_stands_still_while_a_key_is_missing_and_its_counters_are_untouched() {
    let mut site = Site::new("relay-only", 74);
    site.network(7200);
    site.order("lamps-1", "");
    site.start();
    site.wait_for_frames(5);
    assert_eq!(site.terminate().0, Some(0));
    site.wait_for_the_air();
    let before = files(&site.path("state"));
    assert!(before.contains_key("relay.toml"), "{:?}", before.keys());
    std::fs::rename(site.path("key"), site.path("elsewhere")).unwrap();
    let (frames, (server, _)) = (site.frames(), site.network_counts());
    site.start();
    let status = site.wait("it relays", 30, |status| {
        status.servers.iter().any(|server| server.pushed > 3 && server.push_acked > 3)
            && status.relay.passed > 2
    });
    let reason = status.relay_only.unwrap();
    assert!(reason.contains("mc-key-file") && !status.is_ready, "{reason}");
    let shown = site.cli(&["status", "--socket", &site.socket()]);
    assert!(shown.contains("not ready, relay only: "), "{shown}");
    assert_eq!(site.terminate().0, Some(0));
    site.wait_for_the_air();
    let (later, _) = site.network_counts();
    let downlinks = later.answers.sent - server.answers.sent;
    assert!(site.frames() - frames <= downlinks + 1, "nothing but the server's downlinks was on the air");
    assert_eq!(files(&site.path("state")), before, "the state folder is as it was");
    std::fs::rename(site.path("elsewhere"), site.path("key")).unwrap();
    site.start();
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    site.terminate();
    site.wait_for_the_air();
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert_eq!(verdict.devices_complete, site.devices());
}

#[test]
fn a_service_manager_that_reloads_gets_an_end_that_it_restarts_and_nobody_else() {
    let gateway = Gateway::new();
    let notify = gateway.scratch.path("notify");
    let _manager = std::os::unix::net::UnixDatagram::bind(&notify).unwrap();
    let mut process = gateway.run(&[("NOTIFY_SOCKET", notify.display().to_string())]);
    process.carries().unwrap();
    assert_eq!(process.end(Signal::HUP), Some(0), "{}", gateway.log());
    let mut process = gateway.run(&[]);
    process.carries().unwrap();
    kill_process(Pid::from_child(&process.child), Signal::HUP).unwrap();
    process.carries().unwrap();
    assert_eq!(process.end(Signal::TERM), Some(0), "{}", gateway.log());
}

/// What `words` say on stderr, and the exit code.
fn says(gateway: &Gateway, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
    let output = command.args(words).current_dir(gateway.scratch.dir()).env_clear().output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_the_service_only_relays_without_is_an_error_before_a_reload() {
    let gateway = Gateway::new();
    let (check, strict) = (["check", "fuotad.toml"], ["check", "--strict", "fuotad.toml"]);
    assert_eq!(says(&gateway, &strict).0, Some(0));
    gateway.remove("b.mckey");
    let (code, text) = says(&gateway, &check);
    assert!(code == Some(0) && text.contains("b.mckey is not here"), "{text}");
    let (code, text) = says(&gateway, &strict);
    assert!(code == Some(78) && text.contains("b.mckey is not here"), "{text}");
}

#[test]
fn root_is_told_what_the_services_user_cannot_read() {
    use std::os::unix::fs::MetadataExt;
    let is_installed = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
        .iter()
        .any(|dir| Path::new(dir).join("fuotad.service").exists());
    if !rustix::process::geteuid().is_root() || is_installed {
        return;
    }
    let gateway = Gateway::new();
    let own = |name: &str| {
        std::os::unix::fs::chown(gateway.scratch.path(name), Some(12_345), Some(54_321)).unwrap()
    };
    own("state");
    let check = ["check", "fuotad.toml"];
    let (code, text) = says(&gateway, &check);
    assert_eq!(code, Some(78), "{text}");
    for needle in ["a.mckey", "user 12345 cannot read it (mode 600)", "chgrp 54321", "chmod 0640"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    for name in ["a.mckey", "b.mckey"] {
        std::os::unix::fs::chown(gateway.scratch.path(name), None, Some(54_321)).unwrap();
        gateway.mode(name, 0o640);
    }
    let (code, text) = says(&gateway, &check);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("hides /tmp from the service"), "{text}");
    // Tasks, their images, and devices' root keys.
    gateway.scratch.write("image.bin", "x");
    gateway.mode("image.bin", 0o600);
    let image = gateway.scratch.path("image.bin");
    gateway.scratch.write(
        "tasks/t.json",
        format!(r#"{{"FirmwareUpdateImage":"file://{}","Fuotad":{{"Start":"at-once"}}}}"#, image.display()),
    );
    gateway.mode("tasks/t.json", 0o600);
    gateway.scratch.write("devices.toml", "");
    gateway.mode("devices.toml", 0o644);
    let (code, text) = says(&gateway, &check);
    assert_eq!(code, Some(0), "{text}");
    for needle in
        ["t.json: the service's user", "image.bin: the service's user", "devices.toml holds keys and is open"]
    {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    gateway.mode("tasks", 0o700);
    assert!(
        says(&gateway, &check).1.contains("tasks: the service's user 12345"),
        "{:?}",
        says(&gateway, &check)
    );
    // A key that is made is the service's to read.
    let (code, text) =
        says(&gateway, &["group", "new", "lamps", "--key-file", "lamps.mckey", "--config", "fuotad.toml"]);
    assert_eq!(code, Some(0), "{text}");
    let made = std::fs::metadata(gateway.scratch.path("lamps.mckey")).unwrap();
    assert_eq!((made.uid(), made.gid(), made.mode() & 0o777), (0, 54_321, 0o640));
}

#[test]
fn a_gateway_without_a_network_server_is_warned_everywhere() {
    let gateway = Gateway::new();
    let server = format!("[[network-server]]\naddress = \"{}\"\n", gateway.server.local_addr().unwrap());
    let text = gateway.good();
    assert!(text.contains(&server));
    gateway.config(&text.replace(&server, ""));
    gateway.scratch.write("forwarder.json", include_str!("../configs/forwarder-local.json"));
    for words in [&["check", "fuotad.toml"][..], &["check", "fuotad.toml", "--forwarder", "forwarder.json"]] {
        let (_, text) = says(&gateway, words);
        assert!(text.contains("write [[network-server]] and address = "), "{words:?}: {text}");
    }
    let process = gateway.run(&[]);
    let status = (0..200).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        process.status()
    });
    assert!(status.unwrap().warnings[0].starts_with("no [[network-server]]"));
    assert!(gateway.log().contains("leaves its network"), "{}", gateway.log());
    let socket = gateway.scratch.path("status.sock");
    let output = Command::new(env!("CARGO_BIN_EXE_fuotad"))
        .args(["status", "--socket", socket.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("warning    no [[network-server]]"));
}

#[test]
fn a_task_file_of_a_used_name_is_told_with_the_way_out() {
    let mut site = Site::new("used-name", 4);
    site.order("lamps-1", "");
    site.start();
    site.wait("it is over", 30, |status| !status.finished.is_empty());
    // Another order under the name of the one that is over.
    site.order("lamps-1", r#","Description":"another one""#);
    let status = site.wait("it is told", 10, |status| !status.ordered_again.is_empty());
    let (task, reason) = &status.ordered_again[0];
    assert!(task == "lamps-1" && reason.contains("give it another Id or file name"), "{reason}");
    assert!(site.log().contains("give it another Id or file name"), "{}", site.log());
    let shown = site.cli(&["status", "--socket", &site.socket()]);
    assert!(shown.contains("ignored    lamps-1: over already (complete"), "{shown}");
    std::fs::remove_file(site.path("tasks").join("lamps-1.json")).unwrap();
    site.wait("it is taken back", 10, |status| status.ordered_again.is_empty());
}

/// What a pipe holds (pipe(7)).
const PIPE_BYTES: usize = 65_536;

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    use std::io::Read;
    use std::io::Write;
    let gateway = Gateway::new();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; PIPE_BYTES]).unwrap();
    let mut process = gateway.run_into(writer.into(), &[]);
    for _ in 0..3 {
        process.carries().unwrap();
    }
    assert!(process.status().is_some());
    assert_eq!(process.end(Signal::TERM), Some(0), "SIGTERM with a log that nobody reads");
    // Nothing of the log found room.
    let mut filled = Vec::new();
    reader.read_to_end(&mut filled).unwrap();
    assert_eq!(filled.len(), PIPE_BYTES);
    // One that is read says what is going on.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut process = gateway.run_into(writer.into(), &[]);
    process.carries().unwrap();
    assert_eq!(process.end(Signal::TERM), Some(0));
    drop(process);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.contains("ready listen=") && text.contains("stopping: no new frame"), "{text}");
}
