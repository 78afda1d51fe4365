//! `fuotad rerun` of a group whose devices answer, over the socket of a service behind a real broker: coded fragments
//! alone for those who miss some, nothing for the others.

use super::support::broker::Broker;
use super::support::broker::Subscriber;
use super::support::broker::until;
use super::support::site::MC_KEY;
use super::support::site::Site;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::daemon::ControlClient;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::lorawan::encrypt_mc_key;
use fuotad::lorawan::mc_ke_key;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::sim::device::Device;
use fuotad::sim::device::Settings;
use fuotad::sim::device::Stack;
use fuotad::sim::random::Random;
use fuotad::task::rfc3339_from_gps;
use fuotad::time::GpsTime;
use fuotad::time::Instant;
use fuotad::time::Now;
use serde_json::Value;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

const APPLICATION: &str = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";
const BEHIND: &str = "70b3d57ed0000001";
const DONE: &str = "70b3d57ed0000002";
/// Seconds until a campaign begins: enough to tell its devices.
const AHEAD_S: u64 = 15;

fn root_key() -> RootKey {
    RootKey::GenAppKey(Secret::from_bytes([7; 16]))
}

fn gps() -> GpsTime {
    let unix_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    GpsTime::from_unix_us(i64::try_from(unix_us).unwrap()).unwrap()
}

/// A start some seconds from now.
fn soon() -> String {
    rfc3339_from_gps(gps().plus_us(AHEAD_S * 1_000_000))
}

/// A site whose lamps, with these DevEUIs, are behind the broker.
fn site(broker: &Broker, name: &str, dev_euis: &[String]) -> Site {
    let mut site = Site::new(name, 24);
    let encrypted = encrypt_mc_key(&mc_ke_key(&root_key().mc_root_key()), &Secret::from_hex(MC_KEY).unwrap());
    let hex: String = encrypted.iter().map(|byte| format!("{byte:02x}")).collect();
    let device = |dev_eui: &String| {
        format!("[[device]]\nname = \"l{dev_eui}\"\ndev-eui = \"{dev_eui}\"\nmc-key-encrypted = \"{hex}\"\n")
    };
    let devices: String = dev_euis.iter().map(device).collect();
    let list = site.path("devices.toml");
    std::fs::write(&list, format!("group = \"lamps\"\n{devices}")).unwrap();
    std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (list, port) = (list.display(), broker.port);
    site.extend(
        &format!(
            "lns = \"cs\"\ndevices-file = \"{list}\"\ngive-up = {{ questions = 1, airtime-s = 1 }}\n\
             [[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://127.0.0.1:{port}\"\n\
             applications = [\"{APPLICATION}\"]\nsetup-share = 1.0\n"
        ),
        &[],
    );
    site.replace("trust = \"never\"", "trust = \"always\"");
    site
}

/// The network server's side and its devices.
struct Field<'a> {
    broker: &'a Broker,
    subscriber: Subscriber,
    devices: [(&'static str, Device); 2],
    began: std::time::Instant,
    f_cnt: u32,
}

impl Field<'_> {
    fn publish(&self, dev_eui: &str, event: &str, mut document: Value) {
        document["deviceInfo"] = json!({"devEui": dev_eui});
        let topic = format!("application/{APPLICATION}/device/{dev_eui}/event/{event}");
        self.broker.publish(&topic, &document.to_string(), 1, false);
    }

    fn up(&mut self, dev_eui: &str, f_port: u8, data: &[u8]) {
        let document = json!({
            "fCnt": self.f_cnt, "fPort": f_port, "data": BASE64_STANDARD.encode(data),
            "rxInfo": [{"gatewayId": "0016c001f1500812", "rssi": -90, "snr": 7.0}],
            "txInfo": {"frequency": 902_300_000, "modulation": {"lora": {"bandwidth": 125_000, "spreadingFactor": 7}}},
        });
        self.f_cnt += 1;
        self.publish(dev_eui, "up", document);
    }

    /// The device gets the next downlink, which is for it, and answers; FPort and FRMPayload.
    fn obey(&mut self, dev_eui: &str) -> (u8, Vec<u8>) {
        let message = loop {
            let message = self.subscriber.next();
            if message.contains("/command/down ") {
                break message;
            }
        };
        assert!(message.contains(dev_eui), "{message}");
        let command: Value = serde_json::from_str(&message[message.find('{').unwrap()..]).unwrap();
        self.publish(dev_eui, "txack", json!({"queueItemId": command["id"], "fCntDown": 1}));
        let payload = BASE64_STANDARD.decode(command["data"].as_str().unwrap()).unwrap();
        let f_port = command["fPort"].as_u64().unwrap() as u8;
        let mono = Instant::from_us(i64::try_from(self.began.elapsed().as_micros()).unwrap());
        let now = Now { mono, gps: Some(gps()) };
        let (_, device) = self.devices.iter_mut().find(|(known, _)| *known == dev_eui).unwrap();
        let (port, answer) = device.unicast(now, f_port, &payload).remove(0);
        self.up(dev_eui, port, &answer);
        (f_port, payload)
    }
}

fn ask(site: &Site, request: Value) -> Value {
    ControlClient::connect(&site.path("control.sock")).unwrap().ask(request).unwrap()
}

fn device(site: &Site, dev_eui: &str) -> Value {
    ask(site, json!({"do": "devices.show", "group": "lamps", "device": dev_eui}))
}

fn start(site: &mut Site) {
    site.start();
    site.wait("it answers", 20, |_| true);
    until("the broker is connected", || ask(site, json!({"do": "status"}))["lns"][0]["state"] == "connected");
}

/// Waits until the campaign asks its devices.
fn until_asked(site: &mut Site) {
    site.wait("its devices are asked", 60, |status| {
        let wait = status.tasks.first().and_then(|task| task.wait.as_ref());
        wait.is_some_and(|wait| wait.reason == "device-answers")
    });
}

#[test]
fn coded_fragments_go_to_the_device_that_misses_some_and_the_one_that_holds_the_image_is_left_alone() {
    let broker = Broker::start("rerun", &[], "allow_anonymous true");
    let settings =
        || Settings::stock(Stack::Ideal, "l".to_owned(), root_key(), parameters(RfRegion::Us915).unwrap());
    let mut field = Field {
        subscriber: broker.subscriber(),
        broker: &broker,
        devices: [BEHIND, DONE].map(|dev_eui| (dev_eui, Device::new(settings(), Random::new(1)))),
        began: std::time::Instant::now(),
        f_cnt: 10,
    };
    let mut site = site(&broker, "rerun-lns", &[BEHIND, DONE].map(str::to_owned));
    start(&mut site);
    site.order("app", &format!(r#","Fuotad":{{"Start":"{}"}}"#, soon()));
    until("a device has something to be told", || device(&site, DONE)["command"] != Value::Null);
    for dev_eui in [BEHIND, DONE] {
        field.up(dev_eui, 2, &[1, 2, 3]);
        let told = [field.obey(dev_eui), field.obey(dev_eui)];
        let commands = told.map(|(f_port, payload)| (f_port, payload[0]));
        assert_eq!(commands, [(200, 0x00), (201, 0x00)], "group and fragmentation session");
        until("it is told", || device(&site, dev_eui)["state"] == "told");
    }
    until_asked(&mut site);
    field.up(BEHIND, 201, &[0x01, 25, 0, 5, 0]);
    field.up(DONE, 201, &[0x01, 30, 0, 0, 0]);
    site.wait("it is over", 60, |status| status.finished.iter().any(|(task, _)| task == "app"));
    let (config, image) = (site.config(), site.path("image.bin").display().to_string());
    until("its report is kept", || site.cli(&["history", "--json", "-c", &config]).contains("end-fcnt"));
    let at_once = site.refuses(&["rerun", "app", "-y", "-c", &config]);
    assert!(at_once.0 == Some(64) && at_once.1.contains("give --start"), "{at_once:?}");
    let out = site.cli(&["rerun", "app", "--start", &soon(), "-y", "-c", &config]);
    for needle in [
        "for 1 of 2 devices: 1 missing fragments; 1 hold the image and are left alone",
        "24 uncoded (not sent again)",
        "ordered app~2: ",
    ] {
        assert!(out.contains(needle), "{needle}: {out}");
    }
    until("the rest is planned", || device(&site, BEHIND)["command"] == "McGroupSetupReq");
    assert_eq!(device(&site, DONE)["state"], "not-needed");
    // Whoever holds the image is told nothing; the other keeps its fragmentation session.
    field.up(DONE, 2, &[1, 2, 3]);
    field.up(BEHIND, 2, &[1, 2, 3]);
    let (f_port, payload) = field.obey(BEHIND);
    assert_eq!((f_port, payload[0]), (200, 0x02));
    // It answered the first campaign, so its keys are right.
    until("it is told", || device(&site, BEHIND)["state"] == "proved");
    until_asked(&mut site);
    field.up(BEHIND, 201, &[0x01, 33, 0, 0, 0]);
    site.wait("it is over", 60, |status| status.finished.iter().any(|(task, _)| task == "app~2"));
    let downlinks = [BEHIND, DONE].map(|dev_eui| device(&site, dev_eui)["downlinks"].clone());
    assert_eq!(downlinks, [json!(3), json!(2)]);
    // Nobody is left of the second, nor of the first, whose results are not the newest ones any more.
    until("its report is kept", || site.cli(&["history", "--json", "-c", &config]).contains("app~2"));
    let nobody =
        site.refuses(&["rerun", "app~2", "--image", &image, "--start", &soon(), "-y", "-c", &config]);
    assert!(nobody.0 == Some(65) && nobody.1.contains("nobody misses anything: 2 of 2 hold"), "{nobody:?}");
    let unknown = site.refuses(&["rerun", "app", "--start", &soon(), "-y", "-c", &config]);
    assert!(unknown.0 == Some(65) && unknown.1.contains("--all sends the whole image"), "{unknown:?}");
    let out = site.cli(&["rerun", "app", "--all", "--start", &soon(), "-y", "-c", &config]);
    assert!(out.contains("24 uncoded + ") && out.contains("ordered app~3: "), "{out}");
}

#[test]
fn of_hundreds_that_were_not_told_each_is_in_the_order_for_the_rest() {
    let broker = Broker::start("rerun-many", &[], "allow_anonymous true");
    let dev_euis: Vec<String> = (0..400).map(|n| format!("70b3d57ed0000{n:03x}")).collect();
    let mut site = site(&broker, "rerun-many", &dev_euis);
    start(&mut site);
    site.order("app", &format!(r#","Fuotad":{{"Start":"{}"}}"#, soon()));
    site.wait("it is over", 90, |status| status.finished.iter().any(|(task, _)| task == "app"));
    let config = site.config();
    until("its report is kept", || site.cli(&["history", "--json", "-c", &config]).contains("end-fcnt"));
    let out = site.cli(&["rerun", "app", "--start", &soon(), "-y", "-c", &config]);
    assert!(out.contains("for 400 of 400 devices: 400 not-told"), "{out}");
    let folder = site.path("tasks");
    let document = std::fs::read(folder.join("app~2.json")).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["Fuotad"]["Devices"], json!(dev_euis));
    site.wait("the service takes it", 10, |status| {
        status.tasks.iter().any(|task| task.task == "app~2" && task.campaign.is_some())
    });
}
