//! Mistakes in orders, and how well each is answered: with the member, what was found and what to write.

use super::Desk;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

const MISTAKES: &str = include_str!("../../configs/order-mistakes.toml");

/// The configuration for which each order is meant.
const CONFIG: &str = "[gateway]\nregion = \"EU868\"\n[[network-server]]\naddress = \"192.0.2.1:1700\"\n[[group]]\n\
                      name = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"meters.mckey\"\nfrequency-hz = 869_525_000\n\
                      data-rate = 5\neirp-dbm = 27\nfirst-fcnt = 2\nsession = \"windows\"\n\
                      [state]\ndir = \"state\"\n[tasks]\nfolder = \"tasks\"\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    at: Option<String>,
    value: Option<String>,
    document: Option<String>,
    image: Option<String>,
    member: String,
    found: String,
    write: String,
    #[serde(default)]
    taken: bool,
}

#[derive(Deserialize)]
struct Mistakes {
    mistake: Vec<Mistake>,
}

/// The order in which each mistake is made; nothing is wrong with it.
fn right() -> Value {
    json!({
        "Id": "meters-1.4.2", "Status": "Pending", "Name": "meters", "FirmwareUpdateImage": "file:///nowhere/meters.bin",
        "LoRaWAN": {"RfRegion": "EU868", "StartTime": "2099-11-22T08:30:00Z"},
        "RedundancyPercent": 30, "FragmentSizeBytes": 48, "FragmentIntervalMS": 2000,
        "Fuotad": {"MulticastGroups": ["meters"]},
    })
}

impl Mistake {
    fn document(&self, digest: &str) -> String {
        if let Some(document) = &self.document {
            return document.replace("IMAGE", digest);
        }
        let mut document = right();
        if let (Some(at), Some(value)) = (&self.at, &self.value) {
            let (object, name) = at.rsplit_once('/').unwrap();
            let object = document.pointer_mut(object).unwrap().as_object_mut().unwrap();
            object.insert(name.to_owned(), serde_json::from_str(value).unwrap());
        }
        document.to_string()
    }

    fn is_answered_by(&self, err: &str) -> bool {
        let wanted = [&self.member, &self.found, &self.write];
        err.lines().any(|answer| wanted.iter().all(|wanted| answer.contains(wanted.as_str())))
    }
}

/// A desk with images that are none.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("fuotad.toml", CONFIG);
    let text = "IDBGIAjRAQDFAQgAyQEIAM0BCADRAQgA1QEIAAAAAAAAAAAAAAAAAAAAAADZAQgA3QEI\n".repeat(20);
    for (name, bytes) in [
        ("app.elf", &b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0"[..]),
        ("app.hex", b":10010000214601360121470136007EFE09D2190140\n:00000001FF\n"),
        ("app.srec", b"S00F000068656C6C6F202020202000003C\nS9030000FC\n"),
        ("app.b64", text.as_bytes()),
        ("app.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        ("app.json", b"{\"version\": \"1.4.2\"}\n"),
        ("error.html", b"<!doctype html>\n<html><body>404</body></html>\n"),
        ("error.xml", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code></Error>"),
        ("app.zip", b"PK\x03\x04\x14\0\0\0\x08\0 a file in an archive"),
        ("app.gz", b"\x1F\x8B\x08\0\0\0\0\0\0\x03 a compressed file"),
        ("empty.bin", b""),
    ] {
        desk.write(name, bytes);
    }
    desk
}

fn digest() -> String {
    let image = crate::support::small_world::lcg(7, 5000);
    Sha256::digest(image).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn nine_of_ten_mistakes_in_orders_are_answered_precisely_and_none_is_taken_silently() {
    let (desk, digest) = (desk(), digest());
    let plan = |document: &str, image: &str| {
        desk.write("order.json", document);
        desk.run(&format!("plan order.json -c fuotad.toml --image {image}"))
    };
    let done = plan(&right().to_string(), "image.bin");
    assert!(done.code == 0 && done.err.lines().count() == 0, "{}", done.err);
    let mistakes = toml::from_str::<Mistakes>(MISTAKES).unwrap().mistake;
    let (mut precise, mut silent, mut wrong_end) = (0, Vec::new(), Vec::new());
    for mistake in &mistakes {
        let document = mistake.document(&digest);
        let done = plan(&document, mistake.image.as_deref().unwrap_or("image.bin"));
        let shown = format!("{document} {:?}\n  {}: {}", mistake.image, done.code, done.err);
        match mistake.is_answered_by(&done.err) {
            true => precise += 1,
            false => println!("not precise: {shown}"),
        }
        if done.code == 0 && done.err.is_empty() {
            silent.push(shown.clone());
        }
        if (done.code == 0) != mistake.taken {
            wrong_end.push(shown);
        }
    }
    println!("{} mistakes: {precise} answered precisely, {} taken silently", mistakes.len(), silent.len());
    assert!(mistakes.len() >= 80, "only {} mistakes", mistakes.len());
    assert!(silent.is_empty(), "taken silently: {silent:#?}");
    assert!(wrong_end.is_empty(), "taken or refused against what is written: {wrong_end:#?}");
    assert!(precise * 10 >= mistakes.len() * 9, "only {precise} of {}", mistakes.len());
}
