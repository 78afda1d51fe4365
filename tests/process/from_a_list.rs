//! From a list of keys to rebuilt images with no hand in between: the real process, a real broker, a simulated forwarder
//! and four simulated devices behind a network server of either kind.
//!
//! `FUOTAD_TEST_LONG_SETUP=1` gives the devices an uplink a minute and lets the service decide the start, and one of them hears
//! nothing in the first session: it takes fifteen minutes and prints the seconds from the order to the last device that heard,
//! and to the one that was told a session of its own.

use super::support::broker::Broker;
use super::support::broker::Subscriber;
use super::support::broker::until;
use super::support::scratch::Scratch;
use super::support::site::radio::Radio;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::daemon::ControlClient;
use fuotad::lns::Dialect;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::sim::device::Device;
use fuotad::sim::device::Settings;
use fuotad::sim::device::Stack;
use fuotad::sim::random::Random;
use fuotad::sim::referee::Referee;
use fuotad::task::rfc3339_from_gps;
use fuotad::time::GpsTime;
use serde_json::Value;
use serde_json::json;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

const APPLICATION: &str = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";
const DEVICES: usize = 4;
const IMAGE_BYTES: usize = 10_240;
/// The server fills a window so long after the uplink; the device answers so long after that.
const FILL_AFTER: Duration = Duration::from_millis(400);
const ANSWER_AFTER: Duration = Duration::from_millis(1200);

fn root_key(device: usize) -> [u8; 16] {
    [device as u8 + 1; 16]
}

fn dev_eui(device: usize) -> String {
    format!("70b3d57ed000000{device}")
}

fn gps() -> GpsTime {
    let unix_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    GpsTime::from_unix_us(i64::try_from(unix_us).unwrap()).unwrap()
}

/// The folder of the operator and of the service.
struct Service {
    scratch: Scratch,
    listen: UdpSocket,
    child: Option<Child>,
}

impl Service {
    /// Everything from the list of keys to the running service.
    fn from_a_list(dialect: Dialect, broker: &Broker) -> Service {
        let scratch = Scratch::new(&format!("list-{dialect}"));
        for folder in ["state", "tasks"] {
            std::fs::create_dir(scratch.path(folder)).unwrap();
        }
        let mut list = "dev-eui,root-key,name,device-id\n".to_owned();
        for device in 0..DEVICES {
            let key: String = root_key(device).iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(list, "{},{key},m{device},meter-{device}", dev_eui(device)).unwrap();
        }
        scratch.write("keys.csv", list);
        let listen = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut service = Service { scratch, listen, child: None };
        let (key, devices) = (service.path("meters.mckey"), service.path("meters.devices.toml"));
        service.cli(&["group", "new", "meters", "--key-file", &key, "--mc-addr", "01c0ffee"]);
        service.cli(&[
            "prepare",
            "--group",
            "meters",
            "--mc-key-file",
            &key,
            "--root",
            "gen-app-key",
            "--out",
            &devices,
        ]);
        let (dir, port) = (service.path(""), broker.port);
        let address = service.listen.local_addr().unwrap();
        let (kind, more) = match dialect {
            Dialect::ChirpStack => ("chirpstack", format!("applications = [\"{APPLICATION}\"]")),
            Dialect::TheThingsStack => {
                let password = service.path("tts.key");
                service.scratch.write("tts.key", "NNSXS");
                std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
                let more =
                    format!("applications = [\"app1\"]\ntenant = \"ttn\"\npassword-file = \"{password}\"");
                ("the-things-stack", more)
            }
        };
        service.scratch.write(
            "fuotad.toml",
            format!(
                "[gateway]\nregion = \"US915\"\nid = \"0016c001f1500812\"\n\
                 [radio]\nfrequency-hz = 923_300_000\ndata-rate = 13\neirp-dbm = 26\n\
                 [forwarder]\nlisten = \"{address}\"\n[state]\ndir = \"{dir}state\"\n\
                 [tasks]\nfolder = \"{dir}tasks\"\nscan-s = 1\n[status]\nsocket = \"{dir}status.sock\"\n\
                 [clock]\ntrust = \"always\"\n[[lns]]\nname = \"lns\"\nkind = \"{kind}\"\n\
                 broker = \"mqtt://127.0.0.1:{port}\"\n{more}\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\n\
                 mc-key-file = \"{key}\"\nsession = \"windows\"\nfirst-fcnt = 2\ndevice-profile = \"fast\"\nlns = \"lns\"\n\
                 devices-file = \"{devices}\"\n\
                 start-when = {{ ready-percent = 100, min-ready-percent = 100, at-latest-h = 1 }}\n"
            ),
        );
        let config = service.path("fuotad.toml");
        service.cli(&["group", "enrol", "meters", "-c", &config]);
        // The port is free until the service takes it.
        service.listen = UdpSocket::bind("127.0.0.1:0").unwrap();
        service.start();
        service
    }

    fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut run = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        run.args(["run", "--config", &self.path("fuotad.toml")]).stdout(Stdio::null()).stderr(log);
        let mut child = run.spawn().unwrap();
        until("the broker is connected", || {
            assert!(child.try_wait().unwrap().is_none(), "it ended: {}", self.log());
            self.status()["lns"][0]["state"] == "connected"
        });
        self.child = Some(child);
    }

    /// Kills it.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path(name).display().to_string()
    }

    /// A command of an operator, who feeds it the list.
    fn cli(&self, words: &[&str]) {
        let list = std::fs::File::open(self.path("keys.csv")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_fuotad")).args(words).stdin(list).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.prints(&["status", "--json", "--socket", &self.path("status.sock")]))
            .unwrap_or_default()
    }

    fn history(&self, words: &[&str]) -> String {
        self.prints(&[&["history", "-c", &self.path("fuotad.toml")], words].concat())
    }

    /// What a command prints.
    fn prints(&self, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_fuotad")).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn order(&self, image: &[u8], start: Option<GpsTime>) {
        self.scratch.write("image.bin", image);
        let mut document = json!({
            "FirmwareUpdateImage": format!("file://{}", self.path("image.bin")),
            "RedundancyPercent": 30, "FragmentSizeBytes": 232, "LoRaWAN": {"RfRegion": "US915"},
        });
        if let Some(start) = start {
            document["Fuotad"] = json!({ "Start": rfc3339_from_gps(start) });
        }
        self.scratch.write("tasks/task-1.json", document.to_string());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A downlink in a device's queue.
struct Item {
    id: String,
    f_port: u8,
    payload: Vec<u8>,
}

/// What the network server and the field know of one device.
struct Place {
    next_uplink: Instant,
    /// What it answers, and when.
    answers: VecDeque<(Instant, u8, Vec<u8>)>,
    /// When the window of its last uplink is filled.
    fill_at: Option<Instant>,
    queue: VecDeque<Item>,
    f_cnt: u32,
}

/// The network server and the devices behind it.
struct Field<'a> {
    dialect: Dialect,
    broker: &'a Broker,
    subscriber: Subscriber,
    radio: Radio,
    interval: Duration,
    places: Vec<Place>,
}

impl Field<'_> {
    fn publish(&self, device: usize, end: &str, mut document: Value) {
        let topic = match self.dialect {
            Dialect::ChirpStack => {
                document["deviceInfo"] = json!({ "devEui": dev_eui(device) });
                format!("application/{APPLICATION}/device/{}/event/{end}", dev_eui(device))
            }
            Dialect::TheThingsStack => {
                document["end_device_ids"] = json!({ "device_id": format!("meter-{device}"), "dev_eui": dev_eui(device).to_uppercase() });
                format!("v3/app1@ttn/devices/meter-{device}/{end}")
            }
        };
        self.broker.publish(&topic, &document.to_string(), 1, false);
    }

    fn up(&mut self, device: usize, f_port: u8, data: &[u8]) {
        let (f_cnt, data) = (self.places[device].f_cnt, BASE64_STANDARD.encode(data));
        self.places[device].f_cnt += 1;
        let document = match self.dialect {
            Dialect::ChirpStack => {
                let lora = json!({ "bandwidth": 125_000, "spreadingFactor": 7 });
                json!({
                    "fCnt": f_cnt, "fPort": f_port, "data": data,
                    "rxInfo": [{ "gatewayId": "0016c001f1500812", "rssi": -90, "snr": 7.0 }],
                    "txInfo": { "frequency": 902_300_000, "modulation": { "lora": lora } },
                })
            }
            Dialect::TheThingsStack => {
                let lora = json!({ "bandwidth": 125_000, "spreading_factor": 7 });
                json!({ "uplink_message": {
                    "f_port": f_port, "f_cnt": f_cnt, "frm_payload": data,
                    "rx_metadata": [{ "gateway_ids": { "eui": "0016C001F1500812" }, "rssi": -90, "snr": 7.0 }],
                    "settings": { "data_rate": { "lora": lora }, "frequency": "902300000" },
                }})
            }
        };
        self.publish(device, "up", document);
        self.places[device].fill_at = Some(Instant::now() + FILL_AFTER);
    }

    /// A message of the service: a downlink for a queue.
    fn take(&mut self, message: &str) {
        let Some((topic, document)) = message.split_once('{') else { return };
        let document: Value = serde_json::from_str(&format!("{{{document}")).unwrap();
        let device = |at: &str| {
            topic.trim().trim_end_matches(at).chars().last().unwrap().to_digit(10).unwrap() as usize
        };
        let (device, id, f_port, data) = match self.dialect {
            Dialect::ChirpStack if topic.contains("/command/down") => {
                (device("/command/down"), &document["id"], &document["fPort"], &document["data"])
            }
            Dialect::TheThingsStack if topic.contains("/down/push") => {
                let item = &document["downlinks"][0];
                (device("/down/push"), &item["correlation_ids"][0], &item["f_port"], &item["frm_payload"])
            }
            _ => return,
        };
        self.places[device].queue.push_back(Item {
            id: id.as_str().unwrap().to_owned(),
            f_port: f_port.as_u64().unwrap() as u8,
            payload: BASE64_STANDARD.decode(data.as_str().unwrap()).unwrap(),
        });
    }

    /// The window after a device's uplink.
    fn fill(&mut self, device: usize) {
        self.places[device].fill_at = None;
        let Some(item) = self.places[device].queue.pop_front() else { return };
        match self.dialect {
            Dialect::ChirpStack => {
                self.publish(device, "txack", json!({ "queueItemId": item.id, "fCntDown": 1 }));
            }
            Dialect::TheThingsStack => {
                let sent = json!({ "f_cnt": 1, "correlation_ids": ["as:downlink:01", item.id] });
                self.publish(device, "down/sent", json!({ "downlink_sent": sent }));
            }
        }
        for (f_port, answer) in self.radio.unicast(device, item.f_port, &item.payload) {
            self.places[device].answers.push_back((Instant::now() + ANSWER_AFTER, f_port, answer));
        }
    }

    /// Lets everybody do what is due.
    fn step(&mut self) {
        if let Some(message) = self.subscriber.within(Duration::from_millis(5)) {
            self.take(&message);
        }
        for device in 0..self.places.len() {
            let now = Instant::now();
            let reports = self.radio.reports(device).into_iter();
            let place = &mut self.places[device];
            place.answers.extend(reports.map(|(f_port, data)| (now, f_port, data)));
            if place.fill_at.is_some_and(|at| at <= now) {
                self.fill(device);
            } else if place.answers.front().is_some_and(|(at, ..)| *at <= now) {
                let (_, f_port, data) = place.answers.pop_front().unwrap();
                self.up(device, f_port, &data);
            } else if place.next_uplink <= now {
                place.next_uplink = now + self.interval;
                self.up(device, 2, &[1, 2, 3]);
            }
        }
    }

    /// Until this is so, at most so long.
    fn until(
        &mut self,
        what: &str,
        patience: Duration,
        service: &Service,
        is_so: impl Fn(&Field<'_>) -> bool,
    ) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < patience, "{what}: not within {patience:?}\n{}", service.log());
            self.step();
        }
    }
}

/// Four devices from their keys in a list to their images.
fn from_a_list_to_images(dialect: Dialect) {
    let is_long = std::env::var_os("FUOTAD_TEST_LONG_SETUP").is_some();
    let broker = Broker::start(&format!("list-{dialect}"), &[], "allow_anonymous true");
    let mut service = Service::from_a_list(dialect, &broker);
    let region = parameters(RfRegion::Us915).unwrap();
    let device = |index: usize| {
        let root_key = RootKey::GenAppKey(Secret::from_bytes(root_key(index)));
        Device::new(
            Settings::stock(Stack::Ideal, format!("m{index}"), root_key, region),
            Random::new(index as u64),
        )
    };
    let config = std::fs::read_to_string(service.path("fuotad.toml")).unwrap();
    let listen = config.split("listen = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let devices = (0..DEVICES).map(device).collect();
    let radio = Radio::among(listen.parse().unwrap(), Referee::new(region), devices, region, None, gps());
    let interval = Duration::from_secs(if is_long { 60 } else { 5 });
    let place = |index: usize| Place {
        next_uplink: Instant::now() + interval * index as u32 / DEVICES as u32,
        answers: VecDeque::new(),
        fill_at: None,
        queue: VecDeque::new(),
        f_cnt: 0,
    };
    let mut field = Field {
        dialect,
        subscriber: broker.subscriber(),
        broker: &broker,
        radio,
        interval,
        places: (0..DEVICES).map(place).collect(),
    };
    // Where nothing expires, nobody is told a session before it is known how often he sends.
    let known_after = if is_long { 2 } else { 6 };
    let before = if is_long || dialect == Dialect::TheThingsStack { known_after } else { 0 };
    field.until("uplinks before the order", interval * (before + 1), &service, |field| {
        field.places.iter().all(|place| place.f_cnt >= before)
    });
    let image: Vec<u8> = (0..IMAGE_BYTES).map(|n| (n * 31 + n / 256) as u8).collect();
    let lead_s = if dialect == Dialect::TheThingsStack { 38 } else { 32 };
    let ordered = Instant::now();
    service.order(&image, (!is_long).then(|| gps().plus_us(lead_s * 1_000_000)));
    let patience = Duration::from_secs(if is_long { 500 } else { 90 });
    let deaf = is_long.then_some(DEVICES - 1);
    field.radio.deafen(deaf);
    let is_there = |deaf: Option<usize>| {
        move |field: &Field<'_>| {
            let images = field.radio.images();
            images.iter().enumerate().all(|(device, image)| image.is_some() || deaf == Some(device))
        }
    };
    field.until("every device has an image", patience, &service, is_there(deaf));
    // A start that comes so soon leaves no time for canaries.
    let how = if is_long {
        "canaries are asked under the group's key"
    } else {
        "without a proof of their root keys"
    };
    assert!(service.log().contains(how), "{how}: {}", service.log());
    let took_s = ordered.elapsed().as_secs();
    println!("{dialect}: {took_s} s from the order to the last complete device");
    if is_long {
        let told = "1 devices of group meters miss fragments: they are told one more session";
        field.until("one more session is told", patience, &service, |_| service.log().contains(told));
        field.radio.deafen(None);
        let listened = field.radio.listening_us();
        field.until("it has its image, too", patience, &service, is_there(None));
        assert_eq!(
            field.radio.listening_us()[..DEVICES - 1],
            listened[..DEVICES - 1],
            "nobody else is told it"
        );
        println!("{dialect}: {} s to the one that heard nothing", ordered.elapsed().as_secs());
    }
    assert!(field.radio.images().iter().all(|rebuilt| rebuilt.as_deref() == Some(&image[..])));
    assert!(took_s <= 300, "{took_s} s");
    if dialect == Dialect::ChirpStack {
        field.until("the results are final", patience, &service, |_| {
            service.status()["answers"][0]["stage"] == "over"
        });
        until("the report is there", || service.history(&["--json"]).contains("\"results\""));
        results_outlive_a_restart(&mut service);
    }
}

/// What devices hold is told by status, control socket, history and report, before a kill and after it.
fn results_outlive_a_restart(service: &mut Service) {
    let told = |service: &Service| {
        let mut client = ControlClient::connect(&service.scratch.path("control.sock")).unwrap();
        let list = client.ask(json!({ "do": "devices.list", "group": "meters" })).unwrap();
        let config = service.path("fuotad.toml");
        let history: Value = serde_json::from_str(&service.history(&["--json"])).unwrap();
        assert_eq!(history["results"]["counts"], list["results"]);
        let words = format!("{DEVICES} done after");
        let history = service.history(&[]);
        assert!(history.contains(&words), "{history}");
        let shown = service.prints(&["status", "-c", &config]);
        assert!(shown.contains(&format!("\nanswers    task-1: {words}")), "{shown}");
        (service.status()["answers"].clone(), list["results"].clone())
    };
    let before = told(service);
    assert_eq!(before.1["done"], DEVICES, "{before:?}");
    let answers = &before.0[0];
    assert_eq!((&answers["counts"], &answers["without"]), (&before.1, &json!({})));
    assert_eq!((&answers["end"], &answers["ends_in_s"]), (&json!("done"), &Value::Null));
    service.kill();
    service.start();
    assert_eq!(told(service), before);
}

#[test]
fn four_devices_behind_chirpstack_come_from_a_list_of_keys_to_their_images_with_no_hand_in_between() {
    from_a_list_to_images(Dialect::ChirpStack);
}

#[test]
fn four_devices_behind_the_things_stack_come_from_a_list_of_keys_to_their_images_with_no_hand_in_between() {
    from_a_list_to_images(Dialect::TheThingsStack);
}
