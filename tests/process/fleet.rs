//! The real process sets a device up through a real broker: the network server's side and the device are ours.

use super::support::broker::Broker;
use super::support::broker::Subscriber;
use super::support::broker::until;
use super::support::scratch::Scratch;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::daemon::ControlClient;
use fuotad::daemon::ControlError;
use fuotad::daemon::FolderFiles;
use fuotad::lorawan::Eui64;
use fuotad::lorawan::KeyFingerprint;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::lorawan::encrypt_mc_key;
use fuotad::lorawan::mc_ke_key;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::sim::device::Device;
use fuotad::sim::device::Settings;
use fuotad::sim::device::Stack;
use fuotad::sim::device::State;
use fuotad::sim::random::Random;
use fuotad::store::Change;
use fuotad::store::FleetRecord;
use fuotad::store::RecordId;
use fuotad::store::Store;
use fuotad::task::rfc3339_from_gps;
use fuotad::time::GpsTime;
use fuotad::time::Instant;
use fuotad::time::Now;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::SystemTime;

const APPLICATION: &str = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";
const DEVICE: &str = "70b3d57ed0000001";
const MC_KEY: &str = "00112233445566778899aabbccddeeff";

/// The service with one group whose one device is behind the broker.
struct Service {
    scratch: Scratch,
    child: Option<Child>,
}

impl Service {
    fn new(name: &str, broker: &Broker) -> Service {
        let scratch = Scratch::new(&format!("fleet-{name}"));
        let dir = scratch.dir().display().to_string();
        for folder in ["state", "tasks"] {
            std::fs::create_dir(scratch.path(folder)).unwrap();
        }
        let write_secret = |name: &str, text: &str| {
            scratch.write(name, text);
            std::fs::set_permissions(scratch.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write_secret("key", MC_KEY);
        let encrypted =
            encrypt_mc_key(&mc_ke_key(&root_key().mc_root_key()), &Secret::from_hex(MC_KEY).unwrap());
        let hex: String = encrypted.iter().map(|byte| format!("{byte:02x}")).collect();
        write_secret(
            "devices.toml",
            &format!(
                "group = \"meters\"\n[[device]]\nname = \"m1\"\ndev-eui = \"{DEVICE}\"\nmc-key-encrypted = \"{hex}\"\n"
            ),
        );
        let listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = broker.port;
        scratch.write(
            "fuotad.toml",
            format!(
                "[gateway]\nregion = \"EU868\"\nid = \"0016c001f1500812\"\n[forwarder]\nlisten = \"{listen}\"\n\
                 [state]\ndir = \"{dir}/state\"\n[tasks]\nfolder = \"{dir}/tasks\"\n[status]\nsocket = \"{dir}/status.sock\"\n\
                 [clock]\ntrust = \"always\"\n[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://127.0.0.1:{port}\"\n\
                 applications = [\"{APPLICATION}\"]\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\n\
                 mc-key-file = \"{dir}/key\"\nsession = \"windows\"\nlns = \"cs\"\ndevices-file = \"{dir}/devices.toml\"\n"
            ),
        );
        let service = Service { scratch, child: None };
        let enrolled =
            service.command(&["group", "enrol", "meters", "--first-fcnt", "2", "-c"]).output().unwrap();
        assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
        service
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        command.args(words).arg(self.scratch.path("fuotad.toml"));
        command
    }

    fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.scratch.path("log")).unwrap();
        let child = self.command(&["run", "--config"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        until("the broker is connected", || {
            let client = ControlClient::connect(&self.scratch.path("control.sock"));
            let status = client.and_then(|mut client| client.ask(json!({"do": "status"})));
            status.is_ok_and(|status| status["lns"][0]["state"] == "connected")
        });
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn ask(&self, request: Value) -> Result<Value, ControlError> {
        ControlClient::connect(&self.scratch.path("control.sock")).unwrap().ask(request)
    }

    fn device(&self) -> Value {
        self.ask(json!({"do": "devices.show", "group": "meters", "device": DEVICE})).unwrap()
    }

    fn status(&self) -> Value {
        self.ask(json!({"do": "status"})).unwrap()
    }

    /// The report of the only task, once it is over.
    fn report(&self) -> Option<Value> {
        let entries = std::fs::read_dir(self.scratch.path("state")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        // A report that is being written has another name until it is whole.
        let is_its = |name: &str| name.contains("report-task-1") && !name.ends_with(".new");
        let path = paths.find(|path| is_its(&path.to_string_lossy()))?;
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Puts into the state folder what a life knows that sent the task and asks its device alone since an hour ago.
    fn asks_alone(&self) {
        let key = fingerprint();
        let since_s = gps().session_time() - 3600;
        let mut bytes = vec![2];
        bytes.extend(key.as_bytes());
        // FCnt of the first frame, NbFrag, two questions, five coded fragments for them; the sessions are over.
        bytes.extend([2, 0, 0, 0, 21, 0, 2, 0, 5, 0, 0b1000, 4, 0, 0, 0, 0, 0]);
        bytes.extend(since_s.to_le_bytes());
        bytes.extend([6, 0]);
        bytes.extend(b"task-1");
        // 30 fragments were sent, now and at the question; the device was told and said nothing.
        bytes.extend([1, 1, 30, 0, 30, 0, 0, 0, 30, 0, 30, 0, 0, 0]);
        bytes.extend(DEVICE.parse::<Eui64>().unwrap().as_bytes());
        bytes.push(1);
        bytes.extend([0; 22]);
        let files = FolderFiles::open(&self.scratch.path("state")).unwrap();
        let (mut store, _) = Store::open(files, [7; 16]).unwrap();
        store.apply(&Change::Fleet(FleetRecord { id: record_id(), bytes })).unwrap();
    }

    /// Whether the record of the answers says that nobody is asked any more.
    fn is_over_on_disk(&self) -> bool {
        let record = std::fs::read(self.scratch.path(&format!("state/fleet-{}", record_id())));
        // Behind version, key, FCnt, NbFrag, questions and coded fragments.
        record.is_ok_and(|bytes| bytes[1 + 16 + 4 + 2 + 2 + 2] & 0b100 != 0)
    }

    /// A campaign that begins in an hour.
    fn order(&self) {
        self.scratch.write("image.bin", vec![0x5a; 1000]);
        let image = self.scratch.path("image.bin").display().to_string();
        let start = rfc3339_from_gps(gps().plus_us(3_600_000_000));
        let document = json!({
            "FirmwareUpdateImage": format!("file://{image}"), "RedundancyPercent": 30, "FragmentSizeBytes": 48,
            "LoRaWAN": {"RfRegion": "EU868"}, "Fuotad": {"Start": start},
        });
        self.scratch.write("tasks/task-1.json", document.to_string());
        until("the device has something to be told", || self.device()["command"] != Value::Null);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn fingerprint() -> KeyFingerprint {
    McSessionKeys::derive(&Secret::from_hex(MC_KEY).unwrap(), McAddr::new(0x01c0_ffee)).fingerprint()
}

/// The name of the record with the answers of the group's first devices.
fn record_id() -> RecordId {
    let hash = Sha256::new()
        .chain_update(b"fuotad answers record")
        .chain_update(fingerprint().as_bytes())
        .chain_update(0_u64.to_le_bytes())
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    RecordId(id)
}

fn root_key() -> RootKey {
    RootKey::GenAppKey(Secret::from_bytes([7; 16]))
}

fn gps() -> GpsTime {
    let unix_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    GpsTime::from_unix_us(i64::try_from(unix_us).unwrap()).unwrap()
}

/// The network server's side and the one device.
struct Field<'a> {
    broker: &'a Broker,
    subscriber: Subscriber,
    device: Device,
    began: std::time::Instant,
    f_cnt: u32,
}

impl<'a> Field<'a> {
    fn new(broker: &'a Broker) -> Field<'a> {
        let region = parameters(RfRegion::Eu868).unwrap();
        let settings = Settings::stock(Stack::Ideal, "m1".to_owned(), root_key(), region);
        let device = Device::new(settings, Random::new(1));
        let (subscriber, began) = (broker.subscriber(), std::time::Instant::now());
        Field { broker, subscriber, device, began, f_cnt: 10 }
    }

    fn now(&self) -> Now {
        let mono = Instant::from_us(i64::try_from(self.began.elapsed().as_micros()).unwrap());
        Now { mono, gps: Some(gps()) }
    }

    fn publish(&self, event: &str, mut document: Value) {
        document["deviceInfo"] = json!({"devEui": DEVICE});
        let topic = format!("application/{APPLICATION}/device/{DEVICE}/event/{event}");
        self.broker.publish(&topic, &document.to_string(), 1, false);
    }

    fn up(&mut self, f_port: u8, data: &[u8]) {
        let document = json!({
            "fCnt": self.f_cnt, "fPort": f_port, "data": BASE64_STANDARD.encode(data),
            "rxInfo": [{"gatewayId": "0016c001f1500812", "rssi": -90, "snr": 7.0}],
            "txInfo": {"frequency": 868_100_000, "modulation": {"lora": {"bandwidth": 125_000, "spreadingFactor": 7}}},
        });
        self.f_cnt += 1;
        self.publish("up", document);
    }

    /// The next downlink that fuotad publishes.
    fn command(&self) -> Value {
        loop {
            let message = self.subscriber.next();
            if message.contains("/command/down ") {
                return serde_json::from_str(&message[message.find('{').unwrap()..]).unwrap();
            }
        }
    }

    /// The device obeys a downlink and answers; FPort and CID.
    fn obey(&mut self, command: &Value) -> (u64, u8) {
        self.publish("txack", json!({"queueItemId": command["id"], "fCntDown": 1}));
        let payload = BASE64_STANDARD.decode(command["data"].as_str().unwrap()).unwrap();
        let f_port = command["fPort"].as_u64().unwrap();
        let now = self.now();
        let (port, answer) = self.device.unicast(now, f_port as u8, &payload).remove(0);
        self.up(port, &answer);
        (f_port, payload[0])
    }
}

#[test]
fn a_device_behind_a_broker_is_told_a_campaign_across_a_kill_and_nothing_twice() {
    let broker = Broker::start("fleet", &[], "allow_anonymous true");
    let mut field = Field::new(&broker);
    let mut service = Service::new("told", &broker);
    service.start();
    assert_eq!(service.device()["state"], "initial");
    service.order();
    field.up(2, &[1, 2, 3]);
    let mut commands = vec![field.command()];
    let mut asked = vec![field.obey(&commands[0])];
    commands.push(field.command());
    // The second command is out when the process is killed; its answer comes to the next life.
    service.kill();
    service.start();
    until("the campaign is there again", || service.device()["command"] != Value::Null);
    asked.push(field.obey(&commands[1]));
    commands.push(field.command());
    asked.push(field.obey(&commands[2]));
    assert_eq!(asked, [(200, 0x00), (201, 0x00), (200, 0x04)]);
    until("it is told", || service.device()["state"] == "told");
    let shown = service.device();
    assert_eq!(
        (&shown["downlinks"], &shown["ts004"], &shown["aws"]),
        (&json!(3), &json!(1), &json!("Initial"))
    );
    // Before anything was sent nobody holds anything.
    assert_eq!(shown["result"], Value::Null);
    assert_eq!(field.device.status(field.now()).state, State::Waiting);
    let ids: std::collections::BTreeSet<&str> =
        commands.iter().map(|command| command["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    let list = service.ask(json!({"do": "devices.list", "group": "meters"})).unwrap();
    assert_eq!(
        (&list["devices"][0], &list["counts"]["told"], &list["next"]),
        (&shown, &json!(1), &Value::Null)
    );
    let unknown =
        service.ask(json!({"do": "devices.retry", "group": "meters", "device": "70b3d57ed0000009"}));
    assert!(matches!(unknown, Err(ControlError::Refused { code, .. }) if code == "unknown-device"));
    let status = service.ask(json!({"do": "status"})).unwrap();
    let fleet = &status["fleets"][0];
    assert_eq!(
        (&fleet["group"], &fleet["devices"], &fleet["told"]),
        (&json!("meters"), &json!(1), &json!(1))
    );
    let mut command = service.command(&["status", "--config"]);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(text.contains("devices    meters: 1 of 1 told\n"), "{text}");
    let retried = service.ask(json!({"do": "devices.retry", "group": "meters", "device": DEVICE})).unwrap();
    assert_eq!(retried["command"], "McGroupSetupReq");
    // The report of a campaign names those who were not told.
    std::fs::remove_file(service.scratch.path("tasks/task-1.json")).unwrap();
    until("the report is there", || service.report().is_some());
    let devices = &service.report().unwrap()["devices"];
    assert_eq!((&devices["counts"]["devices"], &devices["counts"]["told"]), (&json!(1), &json!(0)));
    let asked = &devices["not-told"][0];
    assert_eq!((&asked["dev-eui"], &asked["aws"]), (&json!(DEVICE), &json!("Initial")));
}

#[test]
fn a_device_whose_result_is_open_is_asked_on_after_a_restart_and_all_of_it_is_shown() {
    let broker = Broker::start("fleet-open", &[], "allow_anonymous true");
    let mut field = Field::new(&broker);
    let mut service = Service::new("open", &broker);
    service.start();
    service.order();
    field.up(2, &[1, 2, 3]);
    for _ in 0..3 {
        let command = field.command();
        field.obey(&command);
    }
    until("it is told", || service.device()["state"] == "told");
    assert_eq!(service.status()["answers"], json!([]));
    std::fs::remove_file(service.scratch.path("tasks/task-1.json")).unwrap();
    until("the report is there", || service.report().is_some());
    assert_eq!(service.report().unwrap()["results"], Value::Null);
    service.kill();
    service.asks_alone();
    service.start();
    let open = service.status()["answers"][0].clone();
    assert_eq!((&open["task"], &open["group"]), (&json!("task-1"), &json!("meters")));
    assert_eq!(
        (&open["stage"], &open["end"], &open["questions"]),
        (&json!("alone"), &json!("session"), &json!(2))
    );
    assert_eq!((&open["counts"]["unheard"], &open["without"]), (&json!(1), &json!({ DEVICE: "unheard" })));
    let left_s = open["ends_in_s"].as_u64().unwrap();
    assert!((46 * 3600..=47 * 3600).contains(&left_s), "{left_s} s of 48 h, an hour of them over");
    let shown =
        || String::from_utf8(service.command(&["status", "--config"]).output().unwrap().stdout).unwrap();
    let text = shown();
    let line = "\nanswers    task-1: 0 done, 1 unheard after 2 questions; asked alone until\n           20";
    assert!(text.contains(line), "{text}");
    assert_eq!(service.device()["result"], "unheard");
    // At its next uplink it is asked, and what it says is final.
    field.up(2, &[1, 2, 3]);
    let question = field.command();
    assert_eq!(field.obey(&question), (201, 0x01));
    until("its result is final", || service.status()["answers"][0]["stage"] == "over");
    let results = || service.report().map_or(Value::Null, |report| report["results"].clone());
    until("its report has it", || results() != Value::Null);
    let results = results();
    assert_eq!(
        (&results["counts"]["missing"], &results["without"]),
        (&json!(1), &json!({ DEVICE: "missing 21" }))
    );
    let told = |service: &Service| {
        let list = service.ask(json!({"do": "devices.list", "group": "meters"})).unwrap();
        assert_eq!(list["devices"][0]["result"], "missing 21");
        (list["results"].clone(), service.status()["answers"].clone())
    };
    let before = told(&service);
    assert_eq!(before.0, results["counts"]);
    until("it is on the disk", || service.is_over_on_disk());
    service.kill();
    service.start();
    assert_eq!(told(&service), before);
}
